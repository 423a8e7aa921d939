//! Stage 1, wire: what a feed is made of: its shapes, its levels, its candles.

use crate::error::DecodeError;

use super::fields::{Fields, Span, Value};

/// Which of the shapes a feed has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// None of them was there.
    #[default]
    None,
    Ltpc,
    /// A `FullFeed` that says nothing.
    Full,
    /// `MarketFullFeed`.
    Market,
    /// `IndexFullFeed`.
    Index,
    /// `FirstLevelWithGreeks`.
    FirstLevel,
}

/// Bits of [`Feed::present`].
pub mod has {
    /// The submessage `LTPC`.
    pub const LTPC: u32 = 1;
    pub const LTP: u32 = 1 << 1;
    pub const LTT: u32 = 1 << 2;
    pub const LTQ: u32 = 1 << 3;
    pub const CP: u32 = 1 << 4;
    pub const ATP: u32 = 1 << 5;
    pub const VTT: u32 = 1 << 6;
    pub const OI: u32 = 1 << 7;
    pub const IV: u32 = 1 << 8;
    pub const TBQ: u32 = 1 << 9;
    pub const TSQ: u32 = 1 << 10;
    /// The submessage with the levels, even one without any.
    pub const DEPTH: u32 = 1 << 11;
    /// The submessage with the candles.
    pub const OHLC: u32 = 1 << 12;
    /// The submessage with the Greeks.
    pub const GREEKS: u32 = 1 << 13;
    /// Delta; theta, gamma, vega and rho are the bits after it.
    pub const DELTA: u32 = 1 << 14;
    pub const MODE: u32 = 1 << 19;
}

/// Levels that a feed has at most: those of mode `full_d30`.
pub const MOST_LEVELS: usize = 30;
/// Candles that a feed has at most; the broker sends three.
pub const MOST_OHLC: usize = 8;

/// One level of the book. What was not on the wire is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    pub bid_quantity: i64,
    pub bid_price: f64,
    pub ask_quantity: i64,
    pub ask_price: f64,
}

/// One candle of the broker's: the day's ("1d"), or a minute ("I1"), the last whole one and the running one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ohlc<'a> {
    pub interval: &'a [u8],
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    pub volume: i64,
    /// Milliseconds since the epoch, of its start.
    pub ts: i64,
}

/// A list with room for `N`, in place.
#[derive(Clone, Debug)]
pub struct Few<T, const N: usize> {
    items: [T; N],
    len: usize,
}

impl<T: Copy + Default, const N: usize> Default for Few<T, N> {
    fn default() -> Self {
        Self {
            items: [T::default(); N],
            len: 0,
        }
    }
}

impl<T: Copy + Default, const N: usize> Few<T, N> {
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        &self.items[..self.len]
    }

    /// Forgets all.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// The first one, which is made if there is none.
    #[inline]
    pub(super) fn only(&mut self) -> &mut T {
        if self.len == 0 {
            self.push(T::default());
        }
        &mut self.items[0]
    }

    /// Appends; whether there was room.
    #[inline]
    pub fn push(&mut self, item: T) -> bool {
        let Some(place) = self.items.get_mut(self.len) else {
            return false;
        };
        *place = item;
        self.len += 1;
        true
    }
}

/// A double's bits as the wire has them.
#[inline(always)]
pub(super) fn double(target: &mut f64, value: Value<'_>) -> bool {
    if let Value::Fixed64(bits) = value {
        *target = f64::from_bits(bits);
        return true;
    }
    false
}

#[inline(always)]
pub(super) fn integer(target: &mut i64, value: Value<'_>) -> bool {
    if let Value::Varint(bits) = value {
        *target = bits.cast_signed();
        return true;
    }
    false
}

impl Level {
    #[inline(always)]
    pub(super) fn read(&mut self, quote: Span<'_>) -> Result<(), DecodeError> {
        let mut fields = Fields::of(quote);
        fields.integer(0x08, &mut self.bid_quantity);
        fields.double(0x11, &mut self.bid_price);
        fields.integer(0x18, &mut self.ask_quantity);
        fields.double(0x21, &mut self.ask_price);
        while let Some(field) = fields.next()? {
            match field {
                (1, value) => _ = integer(&mut self.bid_quantity, value),
                (2, value) => _ = double(&mut self.bid_price, value),
                (3, value) => _ = integer(&mut self.ask_quantity, value),
                (4, value) => _ = double(&mut self.ask_price, value),
                _ => {}
            }
        }
        Ok(())
    }
}

impl<'a> Ohlc<'a> {
    #[inline(always)]
    pub(super) fn read(&mut self, candle: Span<'a>) -> Result<(), DecodeError> {
        let mut fields = Fields::of(candle);
        if let Some(interval) = fields.bytes(0x0a) {
            self.interval = interval.bytes;
        }
        fields.double(0x11, &mut self.open);
        fields.double(0x19, &mut self.high);
        fields.double(0x21, &mut self.low);
        fields.double(0x29, &mut self.close);
        fields.integer(0x30, &mut self.volume);
        fields.integer(0x38, &mut self.ts);
        while let Some(field) = fields.next()? {
            match field {
                (1, Value::Bytes(interval)) => self.interval = interval.bytes,
                (2, value) => _ = double(&mut self.open, value),
                (3, value) => _ = double(&mut self.high, value),
                (4, value) => _ = double(&mut self.low, value),
                (5, value) => _ = double(&mut self.close, value),
                (6, value) => _ = integer(&mut self.volume, value),
                (7, value) => _ = integer(&mut self.ts, value),
                _ => {}
            }
        }
        Ok(())
    }
}
