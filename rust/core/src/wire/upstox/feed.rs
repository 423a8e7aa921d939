//! Stage 1, wire: what a message says of one instrument.

use crate::error::DecodeError;

use super::fields::{Fields, Span, Value};
use super::parts::{Few, Kind, Level, MOST_LEVELS, MOST_OHLC, Ohlc, double, has, integer};

/// One instrument's part of a message. What was not on the wire is 0, and its bit of `present` is not set.
#[derive(Clone, Debug, Default)]
pub struct Feed<'a> {
    /// Such as `NSE_EQ|INE002A01018`.
    pub key: &'a [u8],
    pub kind: Kind,
    /// Bits of [`has`].
    pub present: u32,
    /// The request mode; numbers that the schema does not name are kept.
    pub mode: i32,
    /// Last price.
    pub ltp: f64,
    /// Last trade time, milliseconds since the epoch.
    pub ltt: i64,
    /// Last traded quantity.
    pub ltq: i64,
    /// The previous day's close.
    pub cp: f64,
    /// The day's average price.
    pub atp: f64,
    /// The day's volume so far.
    pub vtt: i64,
    pub oi: f64,
    /// Implied volatility.
    pub iv: f64,
    /// Total quantity of all bids.
    pub tbq: f64,
    /// Total quantity of all offers.
    pub tsq: f64,
    /// Delta, theta, gamma, vega, rho.
    pub greeks: [f64; 5],
    /// Levels and candles beyond [`MOST_LEVELS`] and [`MOST_OHLC`], which are left out.
    pub excess: u32,
    /// The book; see [`Feed::levels`].
    pub book: Few<Level, MOST_LEVELS>,
    /// The broker's candles; see [`Feed::ohlc`].
    pub candles: Few<Ohlc<'a>, MOST_OHLC>,
}

impl PartialEq for Feed<'_> {
    fn eq(&self, other: &Self) -> bool {
        let numbers = |feed: &Self| {
            let Self {
                ltp,
                cp,
                atp,
                oi,
                iv,
                tbq,
                tsq,
                ..
            } = *feed;
            [ltp, cp, atp, oi, iv, tbq, tsq]
        };
        (self.key, self.kind, self.present, self.mode) == (other.key, other.kind, other.present, other.mode)
            && numbers(self) == numbers(other)
            && (self.ltt, self.ltq, self.vtt, self.excess) == (other.ltt, other.ltq, other.vtt, other.excess)
            && self.greeks == other.greeks
            && self.levels() == other.levels()
            && self.ohlc() == other.ohlc()
    }
}

impl<'a> Feed<'a> {
    /// The book, best first.
    #[inline]
    #[must_use]
    pub fn levels(&self) -> &[Level] {
        self.book.as_slice()
    }

    /// The broker's candles, in the order of the wire.
    #[inline]
    #[must_use]
    pub fn ohlc(&self) -> &[Ohlc<'a>] {
        self.candles.as_slice()
    }

    /// Whether all these bits are set.
    #[inline]
    #[must_use]
    pub const fn has(&self, bits: u32) -> bool {
        self.present & bits == bits
    }

    /// Appends a level, as a message does.
    pub fn push_level(&mut self, level: Level) {
        self.present |= has::DEPTH;
        self.excess += u32::from(!self.book.push(level));
    }

    /// Appends a candle, as a message does.
    pub fn push_ohlc(&mut self, ohlc: Ohlc<'a>) {
        self.present |= has::OHLC;
        self.excess += u32::from(!self.candles.push(ohlc));
    }

    /// Reads one entry of the map of feeds: a key and a value, both of which may be absent.
    #[inline]
    pub(super) fn read_entry(&mut self, entry: Span<'a>) -> Result<(), DecodeError> {
        self.key = &[];
        self.mode = 0;
        self.kind = Kind::None;
        self.present = 0;
        self.empty();
        let mut fields = Fields::of(entry);
        while let Some(field) = fields.next()? {
            match field {
                (1, Value::Bytes(key)) => self.key = key.bytes,
                (2, Value::Bytes(feed)) => self.read_feed(feed)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn empty(&mut self) {
        self.present &= has::MODE;
        (self.ltp, self.ltt, self.ltq, self.cp) = (0.0, 0, 0, 0.0);
        (self.atp, self.vtt, self.oi, self.iv) = (0.0, 0, 0.0, 0.0);
        (self.tbq, self.tsq) = (0.0, 0.0);
        self.greeks = [0.0; 5];
        self.excess = 0;
        self.book.clear();
        self.candles.clear();
    }

    /// Of the shapes only one is there: another one takes the place of the one before it.
    #[inline(always)]
    fn become_a(&mut self, kind: Kind) {
        if self.kind != kind {
            if !matches!(self.kind, Kind::None | Kind::Full) {
                self.empty();
            }
            self.kind = kind;
        }
    }

    #[inline(always)]
    fn read_feed(&mut self, feed: Span<'a>) -> Result<(), DecodeError> {
        let mut fields = Fields::of(feed);
        while let Some(field) = fields.next()? {
            match field {
                (1, Value::Bytes(ltpc)) => {
                    self.become_a(Kind::Ltpc);
                    self.read_ltpc(ltpc)?;
                }
                (2, Value::Bytes(full)) => {
                    if !matches!(self.kind, Kind::Market | Kind::Index) {
                        self.become_a(Kind::Full);
                    }
                    self.read_full(full)?;
                }
                (3, Value::Bytes(first)) => {
                    self.become_a(Kind::FirstLevel);
                    self.read_first_level(first)?;
                }
                // An enumeration is 32 bits wide; the rest of a longer number falls off.
                (4, Value::Varint(mode)) => {
                    self.mode = mode as i32;
                    self.present |= has::MODE;
                }
                _ => {}
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn read_full(&mut self, full: Span<'a>) -> Result<(), DecodeError> {
        let mut fields = Fields::of(full);
        while let Some(field) = fields.next()? {
            match field {
                (1, Value::Bytes(market)) => {
                    self.become_a(Kind::Market);
                    self.read_market(market)?;
                }
                (2, Value::Bytes(index)) => {
                    self.become_a(Kind::Index);
                    self.read_index(index)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn read_market(&mut self, market: Span<'a>) -> Result<(), DecodeError> {
        let mut fields = Fields::of(market);
        if let Some(ltpc) = fields.bytes(0x0a) {
            self.read_ltpc(ltpc)?;
        }
        if let Some(levels) = fields.bytes(0x12) {
            self.read_levels(levels)?;
        }
        if let Some(greeks) = fields.bytes(0x1a) {
            self.read_greeks(greeks)?;
        }
        if let Some(candles) = fields.bytes(0x22) {
            self.read_candles(candles)?;
        }
        let bit = |found: bool, bit: u32| if found { bit } else { 0 };
        self.present |= bit(fields.double(0x29, &mut self.atp), has::ATP)
            | bit(fields.integer(0x30, &mut self.vtt), has::VTT)
            | bit(fields.double(0x39, &mut self.oi), has::OI)
            | bit(fields.double(0x41, &mut self.iv), has::IV)
            | bit(fields.double(0x49, &mut self.tbq), has::TBQ)
            | bit(fields.double(0x51, &mut self.tsq), has::TSQ);
        while let Some((number, value)) = fields.next()? {
            let found = match (number, value) {
                (1, Value::Bytes(ltpc)) => {
                    self.read_ltpc(ltpc)?;
                    continue;
                }
                (2, Value::Bytes(levels)) => {
                    self.read_levels(levels)?;
                    continue;
                }
                (3, Value::Bytes(greeks)) => {
                    self.read_greeks(greeks)?;
                    continue;
                }
                (4, Value::Bytes(candles)) => {
                    self.read_candles(candles)?;
                    continue;
                }
                (5, value) if double(&mut self.atp, value) => has::ATP,
                (6, value) if integer(&mut self.vtt, value) => has::VTT,
                (7, value) if double(&mut self.oi, value) => has::OI,
                (8, value) if double(&mut self.iv, value) => has::IV,
                (9, value) if double(&mut self.tbq, value) => has::TBQ,
                (10, value) if double(&mut self.tsq, value) => has::TSQ,
                _ => 0,
            };
            self.present |= found;
        }
        Ok(())
    }

    fn read_index(&mut self, index: Span<'a>) -> Result<(), DecodeError> {
        let mut fields = Fields::of(index);
        while let Some(field) = fields.next()? {
            match field {
                (1, Value::Bytes(ltpc)) => self.read_ltpc(ltpc)?,
                (2, Value::Bytes(candles)) => self.read_candles(candles)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_first_level(&mut self, first: Span<'a>) -> Result<(), DecodeError> {
        let mut fields = Fields::of(first);
        while let Some((number, value)) = fields.next()? {
            let found = match (number, value) {
                (1, Value::Bytes(ltpc)) => {
                    self.read_ltpc(ltpc)?;
                    continue;
                }
                (2, Value::Bytes(quote)) => {
                    // One level, so a second one is merged into it.
                    self.book.only().read(quote)?;
                    has::DEPTH
                }
                (3, Value::Bytes(greeks)) => {
                    self.read_greeks(greeks)?;
                    continue;
                }
                (4, value) if integer(&mut self.vtt, value) => has::VTT,
                (5, value) if double(&mut self.oi, value) => has::OI,
                (6, value) if double(&mut self.iv, value) => has::IV,
                _ => 0,
            };
            self.present |= found;
        }
        Ok(())
    }

    #[inline(always)]
    fn read_ltpc(&mut self, ltpc: Span<'a>) -> Result<(), DecodeError> {
        self.present |= has::LTPC;
        let mut fields = Fields::of(ltpc);
        let bit = |found: bool, bit: u32| if found { bit } else { 0 };
        self.present |= bit(fields.double(0x09, &mut self.ltp), has::LTP)
            | bit(fields.integer(0x10, &mut self.ltt), has::LTT)
            | bit(fields.integer(0x18, &mut self.ltq), has::LTQ)
            | bit(fields.double(0x21, &mut self.cp), has::CP);
        while let Some(field) = fields.next()? {
            let found = match field {
                (1, value) if double(&mut self.ltp, value) => has::LTP,
                (2, value) if integer(&mut self.ltt, value) => has::LTT,
                (3, value) if integer(&mut self.ltq, value) => has::LTQ,
                (4, value) if double(&mut self.cp, value) => has::CP,
                _ => 0,
            };
            self.present |= found;
        }
        Ok(())
    }

    #[inline(always)]
    fn read_levels(&mut self, levels: Span<'a>) -> Result<(), DecodeError> {
        self.present |= has::DEPTH;
        let mut fields = Fields::of(levels);
        while let Some(quote) = fields.bytes(0x0a) {
            let mut level = Level::default();
            level.read(quote)?;
            self.push_level(level);
        }
        while let Some(field) = fields.next()? {
            if let (1, Value::Bytes(quote)) = field {
                let mut level = Level::default();
                level.read(quote)?;
                self.push_level(level);
            }
        }
        Ok(())
    }

    fn read_candles(&mut self, candles: Span<'a>) -> Result<(), DecodeError> {
        self.present |= has::OHLC;
        let mut fields = Fields::of(candles);
        while let Some(candle) = fields.bytes(0x0a) {
            let mut ohlc = Ohlc::default();
            ohlc.read(candle)?;
            self.push_ohlc(ohlc);
        }
        while let Some(field) = fields.next()? {
            if let (1, Value::Bytes(candle)) = field {
                let mut ohlc = Ohlc::default();
                ohlc.read(candle)?;
                self.push_ohlc(ohlc);
            }
        }
        Ok(())
    }

    fn read_greeks(&mut self, greeks: Span<'a>) -> Result<(), DecodeError> {
        self.present |= has::GREEKS;
        let mut fields = Fields::of(greeks);
        for (at, greek) in self.greeks.iter_mut().enumerate() {
            if fields.double(9 + 8 * at as u8, greek) {
                self.present |= has::DELTA << at;
            }
        }
        while let Some((number, value)) = fields.next()? {
            if let (at @ 1..=5, Value::Fixed64(bits)) = (number, value) {
                self.greeks[at as usize - 1] = f64::from_bits(bits);
                self.present |= has::DELTA << (at - 1);
            }
        }
        Ok(())
    }
}
