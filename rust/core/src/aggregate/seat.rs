//! What an instrument keeps at hand for its common ticks, and what the board shows of the last one.

use crate::wire::kite::packet::Full;

use super::quick::Quick;

/// What the board shows of the last packet beside what [`Quick`] holds, as it came: one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Rest {
    /// Last traded quantity.
    pub quantity: [u8; 4],
    /// Total buy and sell quantity, open, high, low, close.
    pub day: [u8; 24],
    /// OI day high and low.
    pub oi: [u8; 8],
    pub bid: [u8; 12],
    pub ask: [u8; 12],
    /// The instrument's last packet went the short way.
    pub fresh: bool,
}

/// An instrument's two lines, next to each other.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(128))]
pub(super) struct Seat {
    pub quick: Quick,
    pub rest: Rest,
}

impl Seat {
    pub const EMPTY: Self = Self {
        quick: Quick::OFF,
        rest: Rest {
            quantity: [0; 4],
            day: [0; 24],
            oi: [0; 8],
            bid: [0; 12],
            ask: [0; 12],
            fresh: false,
        },
    };
}

impl Seat {
    /// See [`Rest::has_day_of`].
    #[inline(always)]
    pub fn has_day_of(&self, w: &Full) -> bool {
        self.rest.has_day_of(w)
    }

    /// Keeps what the board shows of a packet.
    #[inline(always)]
    pub fn take(&mut self, w: &Full) {
        self.rest.take(zerocopy::transmute_ref!(w));
    }
}

impl Rest {
    #[inline(always)]
    pub fn take(&mut self, body: &[u8; 184]) {
        self.quantity.copy_from_slice(&body[8..12]);
        self.day.copy_from_slice(&body[20..44]);
        self.oi.copy_from_slice(&body[52..60]);
        self.bid.copy_from_slice(&body[64..76]);
        self.ask.copy_from_slice(&body[124..136]);
        self.fresh = true;
    }

    /// Whether a packet says no other open and close of the day than the one before it.
    #[inline(always)]
    pub fn has_day_of(&self, w: &Full) -> bool {
        self.day[8..12] == w.open.to_bytes() && self.day[20..] == w.close.to_bytes()
    }
}
