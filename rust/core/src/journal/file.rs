//! What stands around the blocks: the header, the index and the trailer.

use super::block::{MAX_RAW, seal};
use super::{BlockHeader, Fault, at, crc32c, i64_at, u16_at, u32_at, u64_at};
use crate::units::Ns;

/// The first byte is no text, and the line ends show what a transfer as text has done.
const MAGIC: [u8; 8] = *b"\x89TLJ\r\n\x1a\n";
const END: [u8; 8] = *b"TLJEND\r\n";
const VERSION: u16 = 1;
const FIXED: usize = 24;
/// No source's name is longer.
const MAX_SOURCE: usize = 1024;
const ENTRY: usize = 32;
/// The length of the trailer.
pub const TRAILER: usize = 20;

/// A journal's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileHeader {
    pub created: Ns,
    /// What was recorded, in a word.
    pub source: String,
    /// Where the first block begins.
    pub length: usize,
}

impl FileHeader {
    /// No header is longer.
    pub const MOST: usize = FIXED + MAX_SOURCE + 4;

    /// Reads a header from the head of a file.
    ///
    /// # Errors
    /// `Magic`, `Version`, `Cut` or `Header`.
    pub fn read(bytes: &[u8]) -> Result<Self, Fault> {
        if at::<8>(bytes, 0)? != MAGIC {
            return Err(Fault::Magic);
        }
        if u16_at(bytes, 8)? != VERSION {
            return Err(Fault::Version);
        }
        let end = FIXED + usize::from(u16_at(bytes, 10)?);
        let source = bytes.get(FIXED..end).ok_or(Fault::Cut)?;
        if crc32c(&bytes[..end]) != u32_at(bytes, end)? || source.len() > MAX_SOURCE {
            return Err(Fault::Header);
        }
        Ok(Self {
            created: i64_at(bytes, 16)?,
            source: core::str::from_utf8(source)
                .map_err(|_| Fault::Header)?
                .to_owned(),
            length: end + 4,
        })
    }
}

/// The header of a file; a source's name that is too long is cut.
#[must_use]
pub fn file_header(source: &str, created: Ns) -> Vec<u8> {
    let source = &source.as_bytes()[..source.floor_char_boundary(MAX_SOURCE)];
    let mut out = Vec::with_capacity(FIXED + source.len() + 4);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&u16::try_from(source.len()).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&created.to_le_bytes());
    out.extend_from_slice(source);
    let crc = crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

/// Where a block is, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    pub offset: u64,
    pub first: Ns,
    pub last: Ns,
    pub records: u32,
    /// Bytes of the payload as stored.
    pub stored: u32,
}

/// The index block and the trailer of a file whose blocks end at `offset`. Nothing if there are more blocks than an
/// index holds; the file is whole without.
#[must_use]
pub fn footer(entries: &[IndexEntry], offset: u64) -> Vec<u8> {
    let mut out = Vec::new();
    if entries.len() * ENTRY > MAX_RAW {
        return out;
    }
    let mut raw = Vec::with_capacity(entries.len() * ENTRY);
    for entry in entries {
        raw.extend_from_slice(&entry.offset.to_le_bytes());
        raw.extend_from_slice(&entry.first.to_le_bytes());
        raw.extend_from_slice(&entry.last.to_le_bytes());
        raw.extend_from_slice(&entry.records.to_le_bytes());
        raw.extend_from_slice(&entry.stored.to_le_bytes());
    }
    let first = entries.iter().map(|entry| entry.first).min();
    let last = entries.iter().map(|entry| entry.last).max();
    let times = (first.unwrap_or(Ns::MAX), last.unwrap_or(Ns::MIN));
    let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    seal(&raw, true, count, times, &mut out);
    let start = out.len();
    out.extend_from_slice(&END);
    out.extend_from_slice(&offset.to_le_bytes());
    let crc = crc32c(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

/// Where the index block of a file begins, by the last bytes of the file.
#[must_use]
pub fn trailer(last: &[u8]) -> Option<u64> {
    let bytes = last.get(last.len().checked_sub(TRAILER)?..)?;
    let whole = bytes[..8] == END && crc32c(&bytes[..16]) == u32_at(bytes, 16).ok()?;
    whole.then(|| u64_at(bytes, 8).ok()).flatten()
}

/// Reads an index block.
///
/// # Errors
/// Any [`Fault`]: then the blocks are found by walking from header to header.
pub fn index(bytes: &[u8]) -> Result<Vec<IndexEntry>, Fault> {
    let header = BlockHeader::read(bytes)?;
    let mut raw = Vec::new();
    header.unpack(bytes, &mut raw)?;
    let (entries, rest) = raw.as_chunks::<ENTRY>();
    if !header.is_index || !rest.is_empty() || u32::try_from(entries.len()) != Ok(header.records) {
        return Err(Fault::Content);
    }
    let read = |entry: &[u8; ENTRY]| {
        Ok(IndexEntry {
            offset: u64_at(entry, 0)?,
            first: i64_at(entry, 8)?,
            last: i64_at(entry, 16)?,
            records: u32_at(entry, 24)?,
            stored: u32_at(entry, 28)?,
        })
    };
    entries.iter().map(read).collect()
}
