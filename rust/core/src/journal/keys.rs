//! The instruments that messages name by key, and the tokens that stand for them: a record says those that are new,
//! and now and then one says all again, so that a reader who begins in the middle need not go back to the start.
//!
//! ```text
//! record = number of keys that were said before it u32 (0: it begins anew), then of each: token u32, length u16, key
//! ```

use super::{Raw, Record, at, kind, u16_at, u32_at};
use crate::units::Ns;

const HEAD: usize = 4;
const ENTRY: usize = 6;
/// No record is much longer.
const PIECE: usize = 1 << 20;
/// All keys are said again after so many blocks, if their bytes are then but a small part of what was written.
const BLOCKS: u32 = 64;
const SHARE: usize = 16;

/// What a writer knows of keys, and how much of it is written.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    entries: Vec<u8>,
    /// Where each entry ends.
    ends: Vec<usize>,
    said: usize,
    begun: bool,
    /// Blocks since all were said, and their bytes.
    blocks: u32,
    bytes: usize,
}

impl Keys {
    /// Adds an instrument. A key that is longer than any broker's is left out.
    pub(super) fn learn(&mut self, key: &[u8], token: u32) {
        let Ok(length) = u16::try_from(key.len()) else {
            return;
        };
        self.entries.extend_from_slice(&token.to_le_bytes());
        self.entries.extend_from_slice(&length.to_le_bytes());
        self.entries.extend_from_slice(key);
        self.ends.push(self.entries.len());
    }

    /// A block is full.
    pub(super) fn turned(&mut self, bytes: usize) {
        self.blocks = self.blocks.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Writes what the next record's reader does not know, and gives the number of records.
    #[inline]
    pub(super) fn say(&mut self, raw: &mut Raw, time: Ns) -> u64 {
        let due = self.blocks >= BLOCKS && self.bytes / SHARE >= self.entries.len();
        if self.begun && self.said == self.ends.len() && !due {
            return 0;
        }
        self.write(if due { 0 } else { self.said }, raw, time)
    }

    #[cold]
    fn write(&mut self, mut from: usize, raw: &mut Raw, time: Ns) -> u64 {
        if from == 0 {
            (self.blocks, self.bytes) = (0, 0);
        }
        let mut records = 0;
        loop {
            let begin = from.checked_sub(1).map_or(0, |last| self.ends[last]);
            let room = self.ends[from..].partition_point(|end| end - begin <= PIECE);
            let end = (from + room).checked_sub(1).map_or(0, |last| self.ends[last]);
            let mut payload = Vec::with_capacity(HEAD + end - begin);
            payload.extend_from_slice(&u32::try_from(from).unwrap_or(u32::MAX).to_le_bytes());
            payload.extend_from_slice(&self.entries[begin..end]);
            raw.push(&Record {
                kind: kind::KEYS,
                connection: 0,
                time,
                payload: &payload,
            });
            records += 1;
            from += room;
            if from == self.ends.len() {
                break;
            }
        }
        (self.said, self.begun) = (from, true);
        records
    }
}

/// The keys and tokens of a record. `None`: it is not what a writer writes.
#[must_use]
pub fn keys(payload: &[u8]) -> Option<Vec<(&[u8], u32)>> {
    u32_at(payload, 0).ok()?;
    let (mut found, mut offset) = (Vec::new(), HEAD);
    while offset < payload.len() {
        let token = u32_at(payload, offset).ok()?;
        let begin = offset + ENTRY;
        let end = begin + usize::from(u16_at(payload, offset + 4).ok()?);
        found.push((payload.get(begin..end)?, token));
        offset = end;
    }
    Some(found)
}

/// Whether a record of keys begins anew: with those behind it all are known.
#[must_use]
pub fn begins_anew(payload: &[u8]) -> bool {
    at::<HEAD>(payload, 0).is_ok_and(|head| head == [0; HEAD])
}
