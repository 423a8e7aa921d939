//! Token to slot: open addressing with a multiplicative hash whose high bits choose the place.
//!
//! Tokens end in the segment byte, so the low bits of a plain hash collide; the high bits of the
//! product do not. One lookup is one multiplication and, nearly always, one cache line.

/// A map from instrument tokens to slots, which are given in order of insertion.
#[derive(Clone, Debug)]
pub struct TokenMap {
    /// `slot + 1` in the high half, token in the low half; 0 is empty.
    places: Vec<u64>,
    shift: u32,
    len: usize,
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

impl Default for TokenMap {
    fn default() -> Self {
        Self::new()
    }
}

impl TokenMap {
    #[must_use]
    pub fn new() -> Self {
        Self {
            places: vec![0; 64],
            shift: 64 - 6,
            len: 0,
        }
    }

    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the shift leaves fewer bits than usize has"
    )]
    fn place(&self, token: u32) -> usize {
        (u64::from(token).wrapping_mul(GOLDEN) >> self.shift) as usize
    }

    /// The slot of a token.
    #[inline(always)]
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the halves of a packed place")]
    pub fn get(&self, token: u32) -> Option<usize> {
        let mask = self.places.len() - 1;
        let mut at = self.place(token);
        loop {
            let held = self.places[at & mask];
            if held == 0 {
                return None;
            }
            if held as u32 == token {
                return Some((held >> 32) as usize - 1);
            }
            at += 1;
        }
    }

    /// Adds a token that is not there yet and gives its slot.
    pub fn insert(&mut self, token: u32) -> usize {
        if (self.len + 1) * 2 > self.places.len() {
            self.grow();
        }
        let slot = self.len;
        self.len += 1;
        self.write(token, slot);
        slot
    }

    fn write(&mut self, token: u32, slot: usize) {
        let mask = self.places.len() - 1;
        let mut at = self.place(token) & mask;
        while self.places[at] != 0 {
            at = (at + 1) & mask;
        }
        self.places[at] = (slot as u64 + 1) << 32 | u64::from(token);
    }

    #[expect(clippy::cast_possible_truncation, reason = "the halves of a packed place")]
    fn grow(&mut self) {
        let old = std::mem::take(&mut self.places);
        self.places = vec![0; old.len() * 2];
        self.shift -= 1;
        for held in old.into_iter().filter(|held| *held != 0) {
            self.write(held as u32, (held >> 32) as usize - 1);
        }
    }

    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}
