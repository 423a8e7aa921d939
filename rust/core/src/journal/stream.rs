//! Records of several journals in one order: by receive time, and of one time by journal.

use core::ops::Range;

use super::block::{unzigzag, varint};
use super::{BlockHeader, Fault, Record};
use crate::units::Ns;

/// The record that comes next in a block.
#[derive(Clone, Debug)]
struct Head {
    kind: u8,
    connection: u8,
    time: Ns,
    payload: Range<usize>,
}

/// One journal's records, block by block, as the caller loads them.
#[derive(Clone, Debug)]
pub struct Stream {
    raw: Vec<u8>,
    head: Option<Head>,
    left: u32,
    ended: bool,
    /// Records at the start that are earlier than this are stepped over.
    start: Option<Ns>,
    /// Blocks whose records ended in nonsense.
    damaged: u64,
}

impl Stream {
    /// A journal from its first record that is not earlier than `start`.
    #[must_use]
    pub const fn new(start: Option<Ns>) -> Self {
        Self {
            raw: Vec::new(),
            head: None,
            left: 0,
            ended: false,
            start,
            damaged: 0,
        }
    }

    /// Takes the next block.
    ///
    /// # Errors
    /// Why it cannot be read; the stream is as before.
    pub fn load(&mut self, block: &[u8]) -> Result<(), Fault> {
        let header = BlockHeader::read(block)?;
        if header.is_index {
            return Err(Fault::Content);
        }
        self.head = None;
        self.left = 0;
        header.unpack(block, &mut self.raw)?;
        self.left = header.records;
        self.follow(0, 0);
        Ok(())
    }

    /// There are no more blocks.
    pub const fn end(&mut self) {
        self.ended = true;
    }

    #[must_use]
    pub const fn damaged(&self) -> u64 {
        self.damaged
    }

    const fn wants(&self) -> bool {
        self.head.is_none() && !self.ended
    }

    fn next_time(&self) -> Option<Ns> {
        self.head.as_ref().map(|head| head.time)
    }

    /// The record that comes next.
    #[inline]
    #[must_use]
    pub fn peek(&self) -> Option<Record<'_>> {
        let head = self.head.as_ref()?;
        Some(Record {
            kind: head.kind,
            connection: head.connection,
            time: head.time,
            payload: &self.raw[head.payload.clone()],
        })
    }

    /// Steps over the record that comes next.
    #[inline]
    pub fn step(&mut self) {
        if let Some(head) = self.head.take() {
            self.follow(head.payload.end, head.time);
        }
    }

    /// Reads the record at an offset, and those behind it until one is late enough.
    #[inline]
    fn follow(&mut self, mut offset: usize, mut before: Ns) {
        loop {
            if self.left == 0 {
                self.damaged += u64::from(offset != self.raw.len());
                return;
            }
            let Some(head) = read(&self.raw, offset, before) else {
                self.damaged += 1;
                self.left = 0;
                return;
            };
            self.left -= 1;
            match self.start {
                Some(start) if head.time < start => {
                    offset = head.payload.end;
                    before = head.time;
                }
                _ => {
                    self.start = None;
                    self.head = Some(head);
                    return;
                }
            }
        }
    }
}

#[inline]
fn read(raw: &[u8], offset: usize, before: Ns) -> Option<Head> {
    let kind = *raw.get(offset)?;
    let connection = *raw.get(offset + 1)?;
    let (delta, offset) = varint(raw, offset + 2)?;
    let (length, offset) = varint(raw, offset)?;
    let end = offset.checked_add(usize::try_from(length).ok()?)?;
    (end <= raw.len()).then(|| Head {
        kind,
        connection,
        time: before.wrapping_add(unzigzag(delta)),
        payload: offset..end,
    })
}

/// What a merge does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// This journal's record, and its time.
    Record(usize, Ns),
    /// This journal's next block is needed before it can be said.
    Wants(usize),
    /// Nothing is left.
    End,
}

/// Several journals as one.
#[derive(Clone, Debug)]
pub struct Merge {
    pub streams: Vec<Stream>,
}

impl Merge {
    #[must_use]
    pub fn new(journals: usize, start: Option<Ns>) -> Self {
        Self {
            streams: vec![Stream::new(start); journals],
        }
    }

    /// Whose turn it is.
    #[inline]
    #[must_use]
    pub fn pick(&self) -> Pick {
        let mut found = Pick::End;
        for (journal, stream) in self.streams.iter().enumerate() {
            if stream.wants() {
                return Pick::Wants(journal);
            }
            let Some(time) = stream.next_time() else { continue };
            if !matches!(found, Pick::Record(_, earliest) if earliest <= time) {
                found = Pick::Record(journal, time);
            }
        }
        found
    }
}
