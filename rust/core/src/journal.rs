//! Journal, beside the stages: what came off the wire, as bytes that survive a crash. Encode and decode; no file.
//!
//! ```text
//! file    = header, block*, [index block, trailer]
//! header  = magic 8, version u16, length of source u16, 0 u32, created i64, source (UTF-8), crc u32
//! block   = magic u32, codec u8, kind u8, 0 u16, stored u32, raw u32, records u32, crc of the payload u32,
//!           lowest time i64, highest time i64, 0 u32, crc of the 44 bytes before u32, payload (`stored` bytes)
//! record  = kind u8, connection u8, time since the record before (zigzag varint), length (varint), bytes
//! index   = a block of kind 1 whose payload is 32 bytes a block: offset u64, lowest i64, highest i64, records u32,
//!           stored u32
//! trailer = magic 8, offset of the index block u64, crc u32
//! ```
//!
//! Numbers are little-endian, times are nanoseconds UTC, checksums are CRC-32C. A block stands alone: its first
//! record's time counts from 0, and nothing refers outside it. Two checksums, so that a block whose payload is
//! damaged can be stepped over. docs/journal.md says why.

mod block;
mod crc;
mod file;
mod keys;
mod pending;
mod stream;

use core::fmt;

use crate::units::Ns;

pub use block::{BlockHeader, MAX_PAYLOAD, MAX_RAW, Raw};
pub use crc::crc32c;
pub use file::{FileHeader, IndexEntry, TRAILER, file_header, footer, index, trailer};
pub use keys::{begins_anew, keys};
pub use pending::{Counts, Pending};
pub use stream::{Merge, Pick, Stream};

/// What a record is. Readers step over kinds that they do not know.
pub mod kind {
    /// One binary message of Kite's, as it came.
    pub const FRAME: u8 = 1;
    /// One text message, as it came.
    pub const TEXT: u8 = 2;
    /// A connection's event, as JSON.
    pub const EVENT: u8 = 3;
    /// The event after which ticks may be missing (R13), as JSON.
    pub const DISCONNECTED: u8 = 4;
    /// The engine was told the time (R25); no bytes.
    pub const CLOCK: u8 = 5;
    /// Records before this one were dropped because the disk did not keep up; how many, in decimal digits.
    pub const LOST: u8 = 6;
    /// Ticks that a source pushed, 40 bytes each.
    pub const PUSHED: u8 = 7;
    /// One binary message of Upstox's, as it came.
    pub const UPSTOX: u8 = 8;
    /// Keys by which the messages behind it name instruments, and the tokens that stand for them.
    pub const KEYS: u8 = 9;
}

/// One thing that came, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub kind: u8,
    pub connection: u8,
    pub time: Ns,
    pub payload: &'a [u8],
}

/// Why bytes are not what a journal holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The magic number is another one.
    Magic,
    /// A version of the format that this reader does not know.
    Version,
    /// The bytes end early: a crash while they were written, or a file that is still being written.
    Cut,
    /// A header's checksum, or a number in it that no writer writes.
    Header,
    /// The payload's checksum.
    Checksum,
    /// The payload has its checksum, and is nonsense all the same.
    Content,
}

impl Fault {
    /// The stable name, as Python sees it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Magic => "magic",
            Self::Version => "version",
            Self::Cut => "cut",
            Self::Header => "header",
            Self::Checksum => "checksum",
            Self::Content => "content",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl core::error::Error for Fault {}

/// The bytes of a fixed length at an offset; `Cut` if they are not there.
fn at<const N: usize>(bytes: &[u8], offset: usize) -> Result<[u8; N], Fault> {
    let found = offset.checked_add(N).and_then(|end| bytes.get(offset..end));
    found.and_then(|found| found.try_into().ok()).ok_or(Fault::Cut)
}

fn u16_at(bytes: &[u8], offset: usize) -> Result<u16, Fault> {
    at(bytes, offset).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], offset: usize) -> Result<u32, Fault> {
    at(bytes, offset).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], offset: usize) -> Result<u64, Fault> {
    at(bytes, offset).map(u64::from_le_bytes)
}

fn i64_at(bytes: &[u8], offset: usize) -> Result<i64, Fault> {
    at(bytes, offset).map(i64::from_le_bytes)
}
