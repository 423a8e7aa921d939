//! What was offered and is not on its way to the disk yet.

use std::collections::VecDeque;
use std::mem;

use super::keys::Keys;
use super::{MAX_PAYLOAD, Raw, Record, kind};
use crate::units::Ns;

/// `offered = taken + pending + dropped`, always; records that say what was lost, or keys, are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub offered: u64,
    pub dropped: u64,
    pub taken: u64,
}

/// Records in blocks: those that are full, and the one being gathered. Bounded: what does not fit is dropped and
/// counted, and a record in the journal says so.
#[derive(Debug)]
pub struct Pending {
    full: VecDeque<Raw>,
    open: Raw,
    /// A block that was sealed: its memory is there already, fresh memory costs the reader a fault a page.
    spare: Option<Raw>,
    /// Bytes of the full blocks.
    held: usize,
    target: usize,
    /// 0 when closed.
    limit: usize,
    /// Dropped since the last record that was kept.
    lost: u64,
    /// Records in `full` and `open` that tell of losses or keys.
    told: u64,
    /// Of messages that name instruments by key.
    keys: Option<Keys>,
    counts: Counts,
}

impl Pending {
    /// Blocks of about `target` bytes, `limit` bytes in all.
    #[must_use]
    pub fn new(target: usize, limit: usize) -> Self {
        Self {
            full: VecDeque::new(),
            open: Raw::with_capacity(target + target / 4),
            spare: None,
            held: 0,
            target,
            limit,
            lost: 0,
            told: 0,
            keys: None,
            counts: Counts::default(),
        }
    }

    /// The messages name instruments by key: what is known of them stands in front of the first record.
    #[must_use]
    pub fn keyed(mut self) -> Self {
        self.keys = Some(Keys::default());
        self
    }

    /// Takes an instrument whose messages come from now on. What is not `keyed` has no use for it.
    pub fn learn(&mut self, key: &[u8], token: u32) {
        if let Some(keys) = &mut self.keys {
            keys.learn(key, token);
        }
    }

    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Bytes that wait.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.held + self.open.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.full.is_empty() && self.open.is_empty()
    }

    /// Whether a block is full.
    #[must_use]
    pub fn has_full(&self) -> bool {
        !self.full.is_empty()
    }

    /// Adds a record. False: it was dropped, there is no room or it is too long.
    #[inline]
    pub fn push(&mut self, record: &Record<'_>) -> bool {
        self.counts.offered += 1;
        let is_closed = self.limit == 0;
        if is_closed || record.payload.len() > MAX_PAYLOAD || self.len() + record.payload.len() > self.limit {
            self.counts.dropped += 1;
            self.lost += 1;
            return false;
        }
        if self.lost > 0 {
            self.tell(record.time);
        }
        self.make_room(record.payload.len());
        if let Some(keys) = &mut self.keys {
            self.told += keys.say(&mut self.open, record.time);
            self.make_room(record.payload.len());
        }
        self.open.push(record);
        true
    }

    /// Begins another block if this one would become too long.
    #[inline]
    fn make_room(&mut self, length: usize) {
        if !self.open.is_empty() && self.open.len() + length > self.target {
            self.turn();
        }
    }

    #[cold]
    fn tell(&mut self, time: Ns) {
        let lost = mem::take(&mut self.lost).to_string();
        let payload = lost.as_bytes();
        self.told += 1;
        self.open.push(&Record {
            kind: kind::LOST,
            connection: 0,
            time,
            payload,
        });
    }

    /// Begins another block.
    fn turn(&mut self) {
        let fresh = || Raw::with_capacity(self.target + self.target / 4);
        let next = self.spare.take().unwrap_or_else(fresh);
        let done = mem::replace(&mut self.open, next);
        self.held += done.len();
        if let Some(keys) = &mut self.keys {
            keys.turned(done.len());
        }
        self.full.push_back(done);
    }

    /// The oldest block, to be sealed by the caller. Blocks that are not full only if `all` are wanted.
    pub fn take(&mut self, all: bool) -> Option<Raw> {
        if self.full.is_empty() && all && !self.open.is_empty() {
            self.turn();
        }
        let block = self.full.pop_front()?;
        self.held -= block.len();
        // Records of losses and keys go out with the first blocks; which one of them is the same to the sums.
        let told = self.told.min(u64::from(block.records));
        self.told -= told;
        self.counts.taken += u64::from(block.records) - told;
        Some(block)
    }

    /// Takes back the memory of a block that was taken and sealed.
    pub fn give_back(&mut self, mut block: Raw) {
        block.clear();
        self.spare = Some(block);
    }

    /// Takes no more, and says how many were dropped when no later record did.
    pub fn finish(&mut self, time: Ns) {
        self.limit = 0;
        if self.lost > 0 {
            self.tell(time);
        }
    }
}
