//! Stage 1, wire: price scales as data (kite-protocol §5).
//!
//! A price on the wire is an integer; its value is `raw / divisor`, and which divisor is a property of
//! the segment, the last byte of the token. Readers get the quotient correctly rounded, so that it equals
//! what the vendor's client computes to the last bit.

use core::fmt;

/// The segment of an instrument token.
#[inline]
#[must_use]
pub const fn segment(instrument_token: u32) -> u8 {
    (instrument_token & 0xff) as u8
}

/// The segment of indices: not tradable, no volume.
pub const INDICES: u8 = 9;

/// One segment's price scale.
///
/// Division is the slowest thing a decoder could do sixteen times a packet, so a scale multiplies where
/// that is exact. Write `1 / divisor = high + low` with `high` cut to 21 significant bits: `raw * high`
/// has at most 32 + 21 bits and is exact; `low` is below `2^-20` of the quotient and its rounding errors
/// are below `2^-72` of it; the sum is then rounded once. That last rounding can only differ from the true
/// quotient's when the quotient lies closer than this to the midpoint of two floats, yet `raw / divisor`
/// and such a midpoint, a 54-bit odd number over a power of two, differ by at least `2^-54 / odd` of the
/// quotient, `odd` being the divisor's odd part, and never coincide. So it holds for every odd part
/// below `2^17`, which includes every power of ten up to 10^7. Any other divisor divides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    pub(crate) high: f64,
    pub(crate) low: f64,
    divisor: u32,
    /// Two multiplications of an unsigned integer give the quotient.
    multiplies: bool,
    signed: bool,
}

impl Scale {
    /// A scale of `1 / divisor`.
    ///
    /// # Errors
    /// [`ScaleError`] for a divisor of 0.
    pub const fn new(divisor: u32) -> Result<Self, ScaleError> {
        if divisor == 0 {
            return Err(ScaleError);
        }
        let exact = divisor as f64;
        // Cutting 32 of the 53 significant bits leaves 21.
        let high = f64::from_bits((1.0 / exact).to_bits() >> 32 << 32);
        // 1 - divisor * high is exact: the product has at most 53 bits, the difference fewer.
        let low = (1.0 - exact * high) / exact;
        Ok(Self {
            high,
            low,
            divisor,
            multiplies: has_small_odd_part(divisor),
            signed: false,
        })
    }

    /// The same scale for prices that are read as two's complement, as those of commodities that fell below 0.
    #[must_use]
    pub const fn signed(self, signed: bool) -> Self {
        Self {
            signed,
            multiplies: !signed && has_small_odd_part(self.divisor),
            ..self
        }
    }

    /// Whether prices are read as two's complement.
    #[inline]
    #[must_use]
    pub const fn is_signed(self) -> bool {
        self.signed
    }

    /// An integer of the wire as a price in units.
    #[inline]
    #[must_use]
    pub const fn units(self, raw: u32) -> i64 {
        if self.signed {
            raw.cast_signed() as i64
        } else {
            raw as i64
        }
    }

    /// The divisor.
    #[must_use]
    pub const fn divisor(self) -> u32 {
        self.divisor
    }

    /// Whether the quotient comes from two multiplications of the integer as it is.
    #[inline]
    #[must_use]
    pub(crate) const fn multiplies(self) -> bool {
        self.multiplies
    }

    /// The price of an integer of the wire: `raw / divisor`, correctly rounded.
    #[inline]
    #[must_use]
    pub fn to_f64(self, raw: u32) -> f64 {
        if self.signed {
            self.signed_to_f64(raw.cast_signed())
        } else {
            self.unsigned_to_f64(raw)
        }
    }

    /// The same where prices are unsigned: decoders with many prices ask once for the sign.
    #[inline]
    #[must_use]
    pub(crate) fn unsigned_to_f64(&self, raw: u32) -> f64 {
        if self.multiplies {
            let raw = f64::from(raw);
            raw * self.high + raw * self.low
        } else {
            f64::from(raw) / f64::from(self.divisor)
        }
    }

    /// The same for the one field of the wire that is always signed, an index's change.
    #[inline]
    #[must_use]
    pub fn signed_to_f64(self, raw: i32) -> f64 {
        // Rounding to nearest is symmetric, so the sign can wait.
        let magnitude = self.signed(false).unsigned_to_f64(raw.unsigned_abs());
        if raw < 0 { -magnitude } else { magnitude }
    }
}

/// Whether the proof of [`Scale`] holds for a divisor.
const fn has_small_odd_part(divisor: u32) -> bool {
    divisor >> divisor.trailing_zeros() < 1 << 17
}

/// The price scale of every segment.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaleTable {
    by_segment: [Scale; 256],
}

/// A scale whose divisor is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScaleError;

impl ScaleTable {
    /// The divisors of kite-protocol §5: CDS 10,000,000, BCD and NCO 10,000, every other segment 100.
    #[must_use]
    pub const fn kite() -> Self {
        const fn known(divisor: u32) -> Scale {
            match Scale::new(divisor) {
                Ok(scale) => scale,
                Err(ScaleError) => panic!("a divisor of the protocol is never 0"),
            }
        }
        let mut by_segment = [known(100); 256];
        by_segment[3] = known(10_000_000);
        by_segment[6] = known(10_000);
        by_segment[12] = known(10_000);
        Self { by_segment }
    }

    /// The same table with one segment's divisor replaced.
    ///
    /// # Errors
    /// [`ScaleError`] for a divisor of 0.
    pub fn with(mut self, segment: u8, divisor: u32) -> Result<Self, ScaleError> {
        let signed = self.segment(segment).is_signed();
        self.by_segment[usize::from(segment)] = Scale::new(divisor)?.signed(signed);
        Ok(self)
    }

    /// The same table with the prices of one segment read as two's complement; by default none are.
    #[must_use]
    pub const fn with_signed(mut self, segment: u8) -> Self {
        self.by_segment[segment as usize] = self.by_segment[segment as usize].signed(true);
        self
    }

    /// The scale of a token's segment.
    #[inline]
    #[must_use]
    pub fn of(&self, instrument_token: u32) -> &Scale {
        &self.by_segment[usize::from(segment(instrument_token))]
    }

    /// The scale of a segment.
    #[inline]
    #[must_use]
    pub fn segment(&self, segment: u8) -> &Scale {
        &self.by_segment[usize::from(segment)]
    }
}

impl Default for ScaleTable {
    fn default() -> Self {
        Self::kite()
    }
}

impl fmt::Display for ScaleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a price divisor must be a positive integer: 0")
    }
}

impl core::error::Error for ScaleError {}
