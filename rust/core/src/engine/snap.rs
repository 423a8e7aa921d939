//! Packets to snapshots: validated stamps, the clocks' samples, and what a mode does not have.

use zerocopy::big_endian::U32;

use crate::aggregate::Snap;
use crate::bar::{NO_HIGH, NO_LOW};
use crate::units::{Ns, SECOND};
use crate::wire::kite::packet::Full;
use crate::wire::kite::{Packet, Scale};

use super::{DELAY_STEP, Engine, NO_TIME, ODD_DELAY};

/// 2000-01-01T00:00Z in seconds: no exchange stamp is older.
const OLDEST: u32 = 946_684_800;

#[inline(always)]
fn count(raw: U32) -> i64 {
    i64::from(raw.get())
}

/// The prices of one instrument: 0 is none, and by its segment's scale there may be negative ones.
#[derive(Clone, Copy)]
struct Prices(Scale);

impl Prices {
    #[inline(always)]
    fn of(self, raw: U32) -> i64 {
        self.0.units(raw.get())
    }

    #[inline(always)]
    fn high(self, raw: U32) -> i64 {
        if raw.get() == 0 { NO_HIGH } else { self.of(raw) }
    }

    #[inline(always)]
    fn low(self, raw: U32) -> i64 {
        if raw.get() == 0 { NO_LOW } else { self.of(raw) }
    }
}

/// A snapshot of which nothing is known but the price.
const BARE: Snap = Snap {
    price: 0,
    volume: 0,
    average: 0,
    high: NO_HIGH,
    low: NO_LOW,
    day_open: 0,
    close: 0,
    ltt: 0,
    ets: 0,
    rx: 0,
    stamp: NO_TIME,
    oi: 0,
    has_oi: false,
    has_volume: false,
    given: false,
    added: false,
};

impl Engine {
    /// A stamp in nanoseconds, 0 for none; one that cannot be true is counted and is none.
    pub(super) fn valid(&mut self, seconds: u32, limit: Ns) -> Ns {
        let at = Ns::from(seconds) * SECOND;
        if seconds >= OLDEST && at <= limit {
            return at;
        }
        self.book.tally.bad_stamps += u64::from(seconds != 0);
        0
    }

    /// Samples the delay, and says when the packet was at the exchange as far as one can tell.
    pub(super) fn stamp(&mut self, ets: Ns, rx: Ns) -> Ns {
        if rx <= 0 {
            return if ets == 0 { NO_TIME } else { ets };
        }
        if ets == 0 {
            return rx.saturating_sub(self.delay);
        }
        self.sample(rx.saturating_sub(ets));
        ets
    }

    /// One delay of a stamped packet, for `skew` and the typical delay (docs/bars.md §2).
    #[inline(always)]
    pub(super) fn sample(&mut self, lag: Ns) {
        if lag.wrapping_add(ODD_DELAY).cast_unsigned() <= 2 * ODD_DELAY.cast_unsigned() {
            self.skew = self.skew.min(lag);
            let step = i64::from(lag > self.delay) - i64::from(lag < self.delay);
            self.delay = self.delay.wrapping_add(step.wrapping_mul(DELAY_STEP));
        }
    }

    pub(super) fn snap_full(&mut self, p: &Full, rx: Ns, limit: Ns) -> Snap {
        let prices = Prices(*self.scales.of(p.instrument_token.get()));
        let ltt = self.valid(p.last_trade_time.get(), limit);
        let ets = self.valid(p.exchange_timestamp.get(), limit);
        let stamp = self.stamp(ets, rx);
        Snap {
            price: prices.of(p.last_price),
            volume: count(p.volume_traded),
            average: prices.of(p.average_traded_price),
            high: prices.high(p.high),
            low: prices.low(p.low),
            day_open: prices.of(p.open),
            close: prices.of(p.close),
            ltt,
            ets,
            rx,
            stamp,
            oi: count(p.oi),
            has_oi: true,
            has_volume: true,
            given: false,
            added: false,
        }
    }

    pub(super) fn snap_other(&mut self, packet: &Packet<'_>, rx: Ns, limit: Ns) -> Option<Snap> {
        let mut snap = Snap { rx, ..BARE };
        let prices = Prices(*self.scales.of(packet.instrument_token()?));
        match packet {
            Packet::Ltp(p) => snap.price = prices.of(p.last_price),
            Packet::Ltpc(p) => {
                snap.price = prices.of(p.last_price);
                snap.close = prices.of(p.close);
            }
            Packet::IndexQuote(p) => {
                snap.price = prices.of(p.last_price);
                (snap.high, snap.low) = (prices.high(p.high), prices.low(p.low));
                (snap.day_open, snap.close) = (prices.of(p.open), prices.of(p.close));
            }
            Packet::IndexFull(p) => {
                snap.price = prices.of(p.last_price);
                (snap.high, snap.low) = (prices.high(p.high), prices.low(p.low));
                (snap.day_open, snap.close) = (prices.of(p.open), prices.of(p.close));
                snap.ets = self.valid(p.exchange_timestamp.get(), limit);
            }
            Packet::Quote(p) => {
                snap.price = prices.of(p.last_price);
                snap.volume = count(p.volume_traded);
                snap.average = prices.of(p.average_traded_price);
                (snap.high, snap.low) = (prices.high(p.high), prices.low(p.low));
                (snap.day_open, snap.close) = (prices.of(p.open), prices.of(p.close));
                snap.has_volume = true;
            }
            Packet::Full(_) | Packet::Depth20(_) | Packet::Unknown(_) => return None,
        }
        snap.stamp = self.stamp(snap.ets, rx);
        Some(snap)
    }

    /// A snapshot that a caller of `push` made.
    pub(super) fn snap_given(&mut self, price: i64, at: Ns, rx: Ns) -> Snap {
        Snap {
            price,
            ltt: at,
            ets: at,
            rx,
            stamp: at,
            given: true,
            ..BARE
        }
    }
}
