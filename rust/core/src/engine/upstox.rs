//! Upstox's messages: every feed becomes a full snapshot, and the book does the rest.
//!
//! The stamp of all feeds of a message is the server's clock (`currentTs`), which is the watermark too (R2); trade
//! times are `ltt`, in milliseconds. What the server had cached when it was asked is its first message, which seeds
//! and makes no bar (R4).

use zerocopy::IntoBytes;
use zerocopy::big_endian::U32;

use crate::aggregate::{Authority, Clock, Minute, SignedVolume, Snap};
use crate::bar::{NO_HIGH, NO_LOW};
use crate::error::DecodeError;
use crate::tick::upstox::{Carried, Known, Told, Volume, instant};
use crate::units::{MINUTE, Ns, SECOND, ist_day};
use crate::wire::kite::Scale;
use crate::wire::kite::packet::{Full, IndexFull, Level, Ltpc};
use crate::wire::upstox::{Feed, Kind, has, kind, message};

use super::{Engine, ODD_DELAY};

/// 2000-01-01T00:00Z: no stamp is older.
const OLDEST: Ns = 946_684_800 * SECOND;
/// Beyond this a float is no price in units.
const LARGEST: f64 = 2_251_799_813_685_248.0;
/// A trade time may run ahead of the server's clock by this much (R2).
const LTT_AHEAD: Ns = 2 * SECOND;
/// A minute of the broker's is final so long after its end (R32).
const FINAL_AFTER: Ns = 15 * SECOND;

/// What became of one message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Applied {
    /// As in `wire::upstox::kind`.
    pub kind: i32,
    /// The server's clock; 0 for none.
    pub current: Ns,
    pub ticks: usize,
    /// Feeds that could not be read, of keys that nobody tracks, or that say nothing.
    pub rejected: usize,
    /// Minutes of the broker's that filled something (R34).
    pub repaired: usize,
    pub error: Option<DecodeError>,
    /// The ticks in Kite's layout, for those who read frames: one packet a tick, in the order of the message, stamps
    /// in whole seconds.
    pub frame: Vec<u8>,
    minutes: Vec<(u32, Minute)>,
}

/// What is the same for all feeds of a message.
#[derive(Clone, Copy)]
struct Moment {
    ets: Ns,
    rx: Ns,
    /// The best guess at the server's clock.
    stamp: Ns,
    limit: Ns,
    snapshot: bool,
    clock: Clock,
}

impl Engine {
    /// Applies one message received at `rx` (0 = unknown) to the instruments that are `known`.
    ///
    /// # Errors
    /// [`DecodeError`] if not one field could be read; what was aggregated before stays.
    pub fn apply_upstox(&mut self, known: &mut Known, bytes: &[u8], rx: Ns) -> Result<Applied, DecodeError> {
        self.counts.frames += 1;
        let message = message(bytes).inspect_err(|_| self.counts.bad_frames += 1)?;
        let limit = if rx > 0 {
            rx.saturating_add(ODD_DELAY)
        } else {
            Ns::MAX
        };
        let ets = self.plausible(instant(message.current_ts), limit);
        let moment = Moment {
            ets,
            rx,
            stamp: self.stamp(ets, rx),
            limit,
            snapshot: message.kind == kind::INITIAL_FEED,
            clock: Clock {
                now: self.watermark.max(self.timer),
                watermark: self.watermark,
            },
        };
        let mut applied = Applied {
            kind: message.kind,
            current: ets,
            error: message.error,
            frame: vec![0, 0],
            ..Applied::default()
        };
        let (mut walk, mut feed) = (message.walk(), Feed::default());
        while let Some(read) = walk.next(&mut feed) {
            let row = read.ok().and_then(|()| known.find(feed.key));
            let taken = row.is_some_and(|row| self.one(&mut known.rows[row], &feed, &moment, &mut applied));
            applied.ticks += usize::from(taken);
            applied.rejected += usize::from(!taken);
        }
        let packets = u16::try_from(applied.ticks).unwrap_or(u16::MAX);
        applied.frame[..2].copy_from_slice(&packets.to_be_bytes());
        self.tick_clock(ets, rx);
        // Only now is it the time that the minutes were told at.
        for (token, minute) in std::mem::take(&mut applied.minutes) {
            // A minute that is none is the broker's fault: it repairs nothing.
            let joined = self.join_history(token, &[minute], ets, Authority::Live);
            applied.repaired += joined.unwrap_or(0);
        }
        self.counts.packets += message.feeds as u64;
        self.counts.ticks += applied.ticks as u64;
        self.counts.rejected += applied.rejected as u64;
        Ok(applied)
    }

    /// A stamp that can be true, else 0; the others are counted.
    fn plausible(&mut self, at: Ns, limit: Ns) -> Ns {
        if (OLDEST..=limit).contains(&at) {
            return at;
        }
        self.book.tally.bad_stamps += u64::from(at != 0);
        0
    }

    fn one(
        &mut self,
        carried: &mut Carried,
        feed: &Feed<'_>,
        moment: &Moment,
        applied: &mut Applied,
    ) -> bool {
        // A frame's count has 16 bits. The broker sends 2,000 instruments at most.
        if applied.ticks == usize::from(u16::MAX) {
            return false;
        }
        let before = (carried.price, carried.ltt);
        carried.take(feed, moment.stamp);
        if carried.kind == Kind::None {
            return false;
        }
        if feed.has(has::LTT) {
            carried.ltt = self.plausible(carried.ltt, moment.limit);
        }
        let token = carried.token;
        let scale = *self.scales.of(token);
        let packet = Shown::of(carried, &scale, moment.ets);
        let body = packet.body();
        applied.frame.extend((body.len() as u16).to_be_bytes());
        applied.frame.extend(body);
        let Some(slot) = self.tokens.get(token).or_else(|| self.meet(token)) else {
            self.counts.untracked += 1;
            return true;
        };
        let snap = self.snap_upstox(slot, carried, feed, moment);
        let clock = Clock {
            now: self.book.live_clock(slot, moment.clock.now),
            ..moment.clock
        };
        match carried.volume_at(feed, moment.stamp) {
            Volume::Known(volume) => {
                let today = ist_day(moment.stamp);
                // Without a price it can only be introduced, and that once.
                if snap.price != 0 || carried.introduced != today {
                    carried.introduced = today;
                    let quoted = self.book.options.signed == SignedVolume::Quote;
                    if quoted {
                        let mid2 = self.mid_before(slot);
                        self.book.set_mid(slot, mid2);
                    }
                    let snap = Snap {
                        volume,
                        has_volume: true,
                        ..snap
                    };
                    self.book.tick(slot, &snap, &clock);
                    if quoted {
                        self.book.set_mid(slot, None);
                    }
                }
            }
            Volume::None if !moment.snapshot && before != (carried.price, carried.ltt) => {
                // Without volume the trade time is the best stamp there is, on the same date.
                let traded = snap.ltt != 0 && snap.ltt <= moment.ets.saturating_add(LTT_AHEAD);
                let same = ist_day(snap.ltt) == ist_day(moment.ets);
                let ets = if traded && same { snap.ltt } else { moment.ets };
                self.book.price_tick(slot, &Snap { ets, ..snap }, &clock);
            }
            Volume::None | Volume::Unknown => {}
        }
        self.show(slot, &packet);
        self.repair(carried, feed, moment, &mut applied.minutes);
        true
    }

    fn snap_upstox(&self, slot: usize, carried: &Carried, feed: &Feed<'_>, moment: &Moment) -> Snap {
        let divisor = self.book.divisor(slot) as f64;
        let price = units(carried.price, divisor);
        // Only a day that came with this very tick bounds it, and never so that it lies outside.
        let told = feed.has(has::OHLC) && carried.day_of == ist_day(moment.stamp);
        let [open, high, low] = carried.day.map(|price| units(price, divisor));
        let bounds = told && price > 0 && high > 0 && low > 0;
        Snap {
            price,
            volume: 0,
            average: units(carried.average, divisor),
            high: if bounds { high.max(price) } else { NO_HIGH },
            low: if bounds { low.min(price) } else { NO_LOW },
            day_open: if told { open } else { 0 },
            close: units(carried.close, divisor),
            ltt: carried.ltt,
            ets: moment.ets,
            rx: moment.rx,
            stamp: moment.stamp,
            oi: whole(carried.oi),
            has_oi: carried.said & has::OI != 0,
            has_volume: false,
            given: false,
            added: false,
        }
    }

    /// What the board shows.
    fn show(&mut self, slot: usize, packet: &Shown) {
        self.catch_up(slot);
        match packet {
            Shown::Full(full) => self.raws[slot].take_full(full),
            other => self.raws[slot].renew(other.body()),
        }
    }

    /// Minutes that come with the ticks fill what was missed before the line was there (R34, R13).
    fn repair(
        &self,
        carried: &mut Carried,
        feed: &Feed<'_>,
        moment: &Moment,
        found: &mut Vec<(u32, Minute)>,
    ) {
        if moment.snapshot {
            carried.repair_until = moment.stamp;
        }
        if carried.repair_until == 0 || !self.book.has_minutes() {
            return;
        }
        let final_at = |told: &Told| told.time.saturating_add(MINUTE + FINAL_AFTER);
        if feed.has(has::OHLC) {
            // A minute that was over when it was told, and is told no more.
            for told in carried.minutes {
                let over = carried.minutes_at >= told.time.saturating_add(MINUTE);
                if over && final_at(&told) <= moment.ets {
                    carried.repair(&told, found);
                }
            }
            carried.take_minutes(feed, moment.ets);
            let [first, last] = carried.minutes.map(|told| told.time);
            if last != 0 && (if first == 0 { last } else { first }) > carried.repair_until {
                carried.repair_until = 0;
                return;
            }
        }
        // What is not told again has not changed.
        for told in carried.minutes {
            if final_at(&told) <= moment.ets {
                carried.repair(&told, found);
            }
        }
    }
}

impl Carried {
    /// The minute fills what is missing, if it was not taken before and began before the line was there.
    fn repair(&mut self, told: &Told, found: &mut Vec<(u32, Minute)>) {
        if told.time <= self.repaired || told.time > self.repair_until {
            return;
        }
        self.repaired = told.time;
        let [open, high, low, close] = told.prices;
        let minute = Minute {
            time: told.time,
            open,
            high,
            low,
            close,
            volume: (self.kind == Kind::Market).then_some(told.volume),
            oi: None,
        };
        found.push((self.token, minute));
    }
}

/// A price in units, rounded to the nearest: a double that is nearest to a price of so many decimals comes back as
/// that price. What is no price is 0, which is none.
fn units(price: f64, divisor: f64) -> i64 {
    let units = price * divisor;
    if units.abs() < LARGEST { nearest(units) } else { 0 }
}

/// The nearest integer, of two the even one, without the instruction that not every processor has: in a float beyond
/// 2^52 there is no room for less than one.
#[inline(always)]
fn nearest(value: f64) -> i64 {
    const ROOM: f64 = 6_755_399_441_055_744.0;
    ((value + ROOM) - ROOM) as i64
}

/// A count that came as a double.
fn whole(count: f64) -> i64 {
    if (0.0..LARGEST).contains(&count) {
        nearest(count)
    } else {
        0
    }
}

fn narrow(count: i64) -> U32 {
    u32::try_from(count.max(0)).unwrap_or(u32::MAX).into()
}

fn seconds(at: Ns) -> U32 {
    narrow(at / SECOND)
}

fn raw(price: f64, scale: &Scale) -> U32 {
    let units = units(price, f64::from(scale.divisor()));
    if scale.is_signed() {
        i32::try_from(units).map_or(0, i32::cast_unsigned).into()
    } else {
        narrow(units)
    }
}

fn full(carried: &Carried, scale: &Scale, ets: Ns) -> Full {
    let price = |price: f64| raw(price, scale);
    let [open, high, low] = carried.day.map(price);
    let level = |price: f64, quantity: i64| Level {
        quantity: narrow(quantity),
        price: raw(price, scale),
        ..Level::default()
    };
    Full {
        instrument_token: carried.token.into(),
        last_price: price(carried.price),
        last_traded_quantity: narrow(carried.ltq),
        average_traded_price: price(carried.average),
        volume_traded: narrow(carried.volume),
        total_buy_quantity: narrow(whole(carried.tbq)),
        total_sell_quantity: narrow(whole(carried.tsq)),
        open,
        high,
        low,
        close: price(carried.close),
        last_trade_time: seconds(carried.ltt),
        oi: narrow(whole(carried.oi)),
        exchange_timestamp: seconds(ets),
        bids: carried
            .levels
            .map(|held| level(held.bid_price, held.bid_quantity)),
        asks: carried
            .levels
            .map(|held| level(held.ask_price, held.ask_quantity)),
        ..Full::default()
    }
}

fn index(carried: &Carried, scale: &Scale, ets: Ns) -> IndexFull {
    let price = |price: f64| raw(price, scale);
    let [open, high, low] = carried.day.map(price);
    let change = units(carried.price - carried.close, f64::from(scale.divisor()));
    IndexFull {
        instrument_token: carried.token.into(),
        last_price: price(carried.price),
        high,
        low,
        open,
        close: price(carried.close),
        change: i32::try_from(change).unwrap_or(0).into(),
        exchange_timestamp: seconds(ets),
    }
}

fn last(carried: &Carried, scale: &Scale) -> Ltpc {
    Ltpc {
        instrument_token: carried.token.into(),
        last_price: raw(carried.price, scale),
        close: raw(carried.close, scale),
    }
}

/// The packet of Kite's that says as much.
enum Shown {
    Full(Full),
    Index(IndexFull),
    Last(Ltpc),
}

impl Shown {
    fn of(carried: &Carried, scale: &Scale, ets: Ns) -> Self {
        match carried.kind {
            Kind::Market | Kind::FirstLevel => Self::Full(full(carried, scale, ets)),
            Kind::Index => Self::Index(index(carried, scale, ets)),
            _ => Self::Last(last(carried, scale)),
        }
    }

    fn body(&self) -> &[u8] {
        match self {
            Self::Full(packet) => packet.as_bytes(),
            Self::Index(packet) => packet.as_bytes(),
            Self::Last(packet) => packet.as_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_integer_is_the_librarys() {
        let mut state = 1_u64;
        for _ in 0..200_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let small = (state >> 11) as f64 / 2_f64.powi((state % 53) as i32);
            for value in [small, -small, small.floor() + 0.5]
                .into_iter()
                .filter(|value| value.abs() < LARGEST)
            {
                assert_eq!(nearest(value), value.round_ties_even() as i64, "{value}");
            }
        }
    }

    #[test]
    fn every_price_of_a_scale_comes_back_from_its_double() {
        for divisor in [100.0, 10_000.0, 10_000_000.0] {
            for number in (0..4_000_000_000_i64).step_by(3_999_971) {
                assert_eq!(units(number as f64 / divisor, divisor), number);
            }
        }
        assert_eq!(
            (
                units(f64::NAN, 100.0),
                units(f64::INFINITY, 100.0),
                units(1e300, 100.0)
            ),
            (0, 0, 0)
        );
    }
}
