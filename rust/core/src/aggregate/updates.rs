//! Bars that close by what was traded (R38), fed with every accepted trade in order of arrival.

use std::collections::VecDeque;

use crate::bar::{FULL_COVERAGE, NO_HIGH, NO_LOW, Row, flags, source, src};
use crate::nontime::{self, NonTime, Update};
use crate::units::Ns;

use super::state::{EventKind, Snap, Tail};
use super::tick::Trade;
use super::{Book, SignedVolume};

/// Whether bars without time are not smaller than an instrument's unit and its tick.
fn is_suited(text: &str, divisor: i64, tick: i64) -> bool {
    let divisor = u32::try_from(divisor).unwrap_or(u32::MAX);
    NonTime::parse(text, divisor).is_ok_and(|bars| bars.suits(tick))
}

impl Book {
    /// Best bid plus best ask before the instrument's next packet, for the quote rule (R38).
    pub fn set_mid(&mut self, slot: usize, mid2: Option<i64>) {
        self.cold[slot].signing.mid2 = mid2;
    }

    /// Hands an accepted trade on to the instrument's bars without time. The day's extremes of before must still stand.
    pub(super) fn feed_nontime(&mut self, slot: usize, s: &Snap, trade: &Trade) {
        let kinds = self.nontime.len();
        if kinds == 0 {
            return;
        }
        let divisor = u32::try_from(self.cold[slot].divisor).unwrap_or(u32::MAX);
        if self.cold[slot].nontime.is_empty() {
            // A size finer than the instrument's unit or tick has no bars; its place stays.
            let tick = i64::from(self.hot[slot].tick);
            let made = self.nontime.iter();
            let made = made.map(|text| NonTime::parse(text, divisor).ok().filter(|bars| bars.suits(tick)));
            self.cold[slot].nontime = made.collect();
            self.cold[slot].nontime_tails = vec![VecDeque::new(); kinds];
        }
        let hot = &self.hot[slot];
        let update = Update {
            time: trade.t,
            price: s.price,
            volume: trade.delta,
            side: self.cold[slot].signing.side(self.options.signed, s.price),
            high: (hot.h_star != NO_HIGH && s.high > hot.h_star && s.high > s.price).then_some(s.high),
            low: (hot.l_star != NO_LOW && s.low < hot.l_star && s.low < s.price).then_some(s.low),
            oi: s.has_oi.then_some(s.oi),
        };
        let mut closed = Vec::new();
        for kind in 0..self.cold[slot].nontime.len() {
            let Some(bars) = &mut self.cold[slot].nontime[kind] else {
                continue;
            };
            bars.push(&update, |bar| closed.push(bar));
            for bar in closed.drain(..) {
                let row = self.nontime_row(slot, &bar);
                let series = self.intervals.len() + kind;
                self.tally.bars_closed += 1;
                self.ring(slot, series).push(row);
                let kept = self.ring(slot, series).len();
                let tails = &mut self.cold[slot].nontime_tails[kind];
                tails.push_back(Tail {
                    end: bar.end,
                    delta: bar.delta,
                    cvd: tails
                        .back()
                        .map_or(0, |before| before.cvd)
                        .saturating_add(bar.delta),
                });
                tails.drain(..tails.len().saturating_sub(kept.max(1)));
                self.event_ends.push_back(bar.end);
                self.emit(slot, series, EventKind::Closed, row);
            }
        }
    }

    /// The first size of the bars without time that is below the tick of an instrument, or below its unit (R38).
    #[must_use]
    pub fn too_fine(&self, divisor: i64, tick: i64) -> Option<&str> {
        let mut kinds = self.nontime.iter();
        kinds
            .find(|text| !is_suited(text, divisor, tick))
            .map(String::as_str)
    }

    /// Whether the bars of a series have a signed volume.
    #[must_use]
    pub fn is_signed_series(&self, series: usize) -> bool {
        series >= self.intervals.len() && self.options.signed != SignedVolume::Off
    }

    /// Whether a series of an instrument is of bars without time whose size is below its tick, so that there are none.
    #[must_use]
    pub fn has_no_bars(&self, slot: usize, series: usize) -> bool {
        let kind = series.checked_sub(self.intervals.len());
        let text = kind.and_then(|kind| self.nontime.get(kind));
        text.is_some_and(|text| !is_suited(text, self.cold[slot].divisor, i64::from(self.hot[slot].tick)))
    }

    /// What the rows of the newest `count` bars of a series without time do not hold, oldest first; none for a series
    /// with time.
    pub fn nontime_tails(
        &self,
        slot: usize,
        series: usize,
        count: usize,
    ) -> Option<impl Iterator<Item = Tail> + '_> {
        let kind = series.checked_sub(self.intervals.len())?;
        let tails = self.cold[slot].nontime_tails.get(kind)?;
        Some(tails.iter().skip(tails.len().saturating_sub(count)).copied())
    }

    /// The bar without time that is forming, with the time of its last update.
    pub(super) fn nontime_forming(&self, slot: usize, kind: usize) -> Option<(Row, Ns)> {
        let bar = self.cold[slot].nontime.get(kind)?.as_ref()?.forming()?;
        Some((self.nontime_row(slot, &bar), bar.end))
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "as in Said::row; 10,000 fits"
    )]
    fn nontime_row(&self, slot: usize, bar: &nontime::Bar) -> Row {
        let signed = if self.options.signed == SignedVolume::Off {
            0
        } else {
            flags::DELTA_EST
        };
        let divisor = self.cold[slot].divisor;
        let money = |units: i64| units as f64 / divisor as f64;
        let (high, low) = (money(bar.high), money(bar.low));
        let volume2 = 2.0 * bar.volume as f64 * divisor as f64;
        let vwap = if bar.volume > 0 {
            (bar.value2 as f64 / volume2).max(low).min(high)
        } else {
            f64::NAN
        };
        Row {
            time: bar.start,
            open: money(bar.open),
            high,
            low,
            close: money(bar.close),
            volume: bar.volume,
            vwap,
            oi: bar.oi.unwrap_or(0),
            ticks: bar.updates,
            flags: bar.flags | if bar.oi.is_none() { flags::NO_OI } else { 0 } | signed,
            vwap_err: f32::NAN,
            coverage: FULL_COVERAGE as u16,
            rev: 0,
            origin: source::LTT | src::LIVE << 4,
        }
    }
}
