//! The row that a bar becomes: what readers see.

use crate::units::Ns;

/// One sealed bar, ten 64-bit words: what a page's columns hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    pub time: Ns,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    pub volume: i64,
    pub vwap: f64,
    pub oi: i64,
    pub ticks: u32,
    pub flags: u32,
    pub vwap_err: f32,
    /// Ten-thousandths of the bar during which the feed was connected.
    pub coverage: u16,
    pub rev: u8,
    /// `time_source` in the low four bits, `src` in the high four.
    pub origin: u8,
}

/// Number of 64-bit words (columns) in a row.
pub const WORDS: usize = 10;

impl Row {
    /// Room for a row.
    pub const BLANK: Self = Self {
        time: 0,
        open: 0.0,
        high: 0.0,
        low: 0.0,
        close: 0.0,
        volume: 0,
        vwap: 0.0,
        oi: 0,
        ticks: 0,
        flags: 0,
        vwap_err: 0.0,
        coverage: 0,
        rev: 0,
        origin: 0,
    };

    /// The row as a page stores it, word by word.
    #[must_use]
    #[inline]
    pub fn words(&self) -> [u64; WORDS] {
        [
            self.time.cast_unsigned(),
            self.open.to_bits(),
            self.high.to_bits(),
            self.low.to_bits(),
            self.close.to_bits(),
            self.volume.cast_unsigned(),
            self.vwap.to_bits(),
            self.oi.cast_unsigned(),
            u64::from(self.ticks) | u64::from(self.flags) << 32,
            u64::from(self.vwap_err.to_bits())
                | u64::from(self.coverage) << 32
                | u64::from(self.rev) << 48
                | u64::from(self.origin) << 56,
        ]
    }

    /// The inverse of [`Row::words`].
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "each cast picks a packed field")]
    pub fn from_words(w: &[u64; WORDS]) -> Self {
        Self {
            time: w[0].cast_signed(),
            open: f64::from_bits(w[1]),
            high: f64::from_bits(w[2]),
            low: f64::from_bits(w[3]),
            close: f64::from_bits(w[4]),
            volume: w[5].cast_signed(),
            vwap: f64::from_bits(w[6]),
            oi: w[7].cast_signed(),
            ticks: w[8] as u32,
            flags: (w[8] >> 32) as u32,
            vwap_err: f32::from_bits(w[9] as u32),
            coverage: (w[9] >> 32) as u16,
            rev: (w[9] >> 48) as u8,
            origin: (w[9] >> 56) as u8,
        }
    }

    /// Equality of everything a reader sees but `rev`, NaN equal to itself.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let with_rev = Self {
            rev: self.rev,
            ..*other
        };
        self.words() == with_rev.words()
    }
}
