//! One block: records gathered, sealed into bytes, and read back.

use std::mem;

use super::{Fault, Record, at, crc32c, i64_at, u32_at};
use crate::units::Ns;

const MAGIC: [u8; 4] = *b"TLJB";
const STORED: u8 = 0;
const LZ4: u8 = 1;
/// No more than this many bytes can come of one compressed byte, so that no length field is believed beyond it.
const MOST_FROM_A_BYTE: usize = 255;
/// More memory than this is not kept from block to block.
const MOST_KEPT: usize = 1 << 20;

/// The longest payload of a record. A WebSocket message is shorter by far.
pub const MAX_PAYLOAD: usize = (16 << 20) - 64;
/// The longest block before compression: one record of the longest payload.
pub const MAX_RAW: usize = 16 << 20;

/// What a block says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    codec: u8,
    /// The index of the file, not records.
    pub is_index: bool,
    /// Bytes of the payload as stored, behind the header.
    pub stored: usize,
    /// Bytes of the payload when unpacked.
    pub raw: usize,
    pub records: u32,
    payload_crc: u32,
    /// The lowest and highest time of its records.
    pub first: Ns,
    pub last: Ns,
}

impl BlockHeader {
    pub const LENGTH: usize = 48;

    /// Reads the header of a block; the payload need not be there.
    ///
    /// # Errors
    /// `Cut` if 48 bytes are not there, `Magic` and `Header` if they are no block's.
    pub fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let head: [u8; Self::LENGTH] = at(bytes, 0)?;
        if head[..4] != MAGIC {
            return Err(Fault::Magic);
        }
        if crc32c(&head[..44]) != u32_at(&head, 44)? {
            return Err(Fault::Header);
        }
        let length =
            |offset| u32_at(&head, offset).map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        let found = Self {
            codec: head[4],
            is_index: head[5] == 1,
            stored: length(8)?,
            raw: length(12)?,
            records: u32_at(&head, 16)?,
            payload_crc: u32_at(&head, 20)?,
            first: i64_at(&head, 24)?,
            last: i64_at(&head, 32)?,
        };
        let plausible = match found.codec {
            STORED => found.raw == found.stored,
            LZ4 => found.raw / MOST_FROM_A_BYTE <= found.stored,
            _ => false,
        };
        let fits = found.raw <= MAX_RAW && found.stored <= MAX_RAW;
        if plausible && fits && head[5] <= 1 {
            Ok(found)
        } else {
            Err(Fault::Header)
        }
    }

    /// Checks the payload of a block that begins at the head of `bytes` and unpacks it into `raw`.
    ///
    /// # Errors
    /// `Cut` if it is not all there, `Checksum` or `Content` if it is not what was written.
    pub fn unpack(&self, bytes: &[u8], raw: &mut Vec<u8>) -> Result<(), Fault> {
        let end = Self::LENGTH + self.stored;
        let payload = bytes.get(Self::LENGTH..end).ok_or(Fault::Cut)?;
        if crc32c(payload) != self.payload_crc {
            return Err(Fault::Checksum);
        }
        if self.codec == STORED {
            raw.clear();
            raw.extend_from_slice(payload);
            return Ok(());
        }
        raw.resize(self.raw, 0);
        match lz4_flex::block::decompress_into(payload, raw) {
            Ok(length) if length == self.raw => Ok(()),
            _ => Err(Fault::Content),
        }
    }
}

/// A block that is being gathered.
#[derive(Clone, Debug)]
pub struct Raw {
    pub(super) bytes: Vec<u8>,
    pub(super) records: u32,
    first: Ns,
    last: Ns,
    before: Ns,
}

impl Raw {
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            records: 0,
            first: Ns::MAX,
            last: Ns::MIN,
            before: 0,
        }
    }

    /// Begins anew in the same memory, unless one long record made it large.
    pub(super) fn clear(&mut self) {
        let mut bytes = mem::take(&mut self.bytes);
        bytes.clear();
        bytes.shrink_to(MOST_KEPT);
        *self = Self {
            bytes,
            ..Self::with_capacity(0)
        };
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Bytes gathered.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    #[must_use]
    pub const fn records(&self) -> u32 {
        self.records
    }

    /// The lowest and the highest time.
    #[must_use]
    pub const fn times(&self) -> (Ns, Ns) {
        (self.first, self.last)
    }

    /// Adds a record. The caller has seen that its payload is no longer than [`MAX_PAYLOAD`].
    pub fn push(&mut self, record: &Record<'_>) {
        let delta = record.time.wrapping_sub(self.before);
        self.bytes.push(record.kind);
        self.bytes.push(record.connection);
        put_varint(&mut self.bytes, zigzag(delta));
        put_varint(&mut self.bytes, record.payload.len() as u64);
        self.bytes.extend_from_slice(record.payload);
        self.records += 1;
        self.first = self.first.min(record.time);
        self.last = self.last.max(record.time);
        self.before = record.time;
    }

    /// Appends the block to `out`: packed if that makes it shorter.
    pub fn seal(&self, out: &mut Vec<u8>) {
        seal(&self.bytes, false, self.records, (self.first, self.last), out);
    }
}

/// Appends a block of `raw` bytes.
pub(super) fn seal(raw: &[u8], is_index: bool, records: u32, (first, last): (Ns, Ns), out: &mut Vec<u8>) {
    let start = out.len();
    let body = start + BlockHeader::LENGTH;
    out.resize(body + lz4_flex::block::get_maximum_output_size(raw.len()), 0);
    let packed = lz4_flex::block::compress_into(raw, &mut out[body..]);
    let codec = match packed {
        Ok(length) if length < raw.len() => {
            out.truncate(body + length);
            LZ4
        }
        _ => {
            out.truncate(body);
            out.extend_from_slice(raw);
            STORED
        }
    };
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let mut head = [0u8; BlockHeader::LENGTH];
    head[..4].copy_from_slice(&MAGIC);
    head[4] = codec;
    head[5] = u8::from(is_index);
    head[8..12].copy_from_slice(&length(out.len() - body));
    head[12..16].copy_from_slice(&length(raw.len()));
    head[16..20].copy_from_slice(&records.to_le_bytes());
    head[20..24].copy_from_slice(&crc32c(&out[body..]).to_le_bytes());
    head[24..32].copy_from_slice(&first.to_le_bytes());
    head[32..40].copy_from_slice(&last.to_le_bytes());
    let crc = crc32c(&head[..44]);
    head[44..].copy_from_slice(&crc.to_le_bytes());
    out[start..body].copy_from_slice(&head);
}

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

pub(super) const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// A number, and where it ends. `None`: the bytes end first, or it has more bits than 64.
#[inline]
pub(super) fn varint(bytes: &[u8], mut at: usize) -> Option<(u64, usize)> {
    let (mut value, mut shift) = (0u64, 0u32);
    loop {
        let byte = u64::from(*bytes.get(at)?);
        let part = byte & 0x7f;
        if shift > 63 || (part << shift) >> shift != part {
            return None;
        }
        value |= part << shift;
        at += 1;
        if byte < 0x80 {
            return Some((value, at));
        }
        shift += 7;
    }
}
