//! Stage 1, wire: the protobuf encoding: tags, varints, fixed numbers, and runs of bytes.

use crate::error::{DecodeError, DecodeErrorKind};

/// Some bytes of a message, and where they begin in it.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    pub bytes: &'a [u8],
    pub offset: usize,
}

/// What stands behind a tag.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    /// No field of the schema has it.
    Fixed32,
    Bytes(Span<'a>),
}

/// The fields of one message, in the order of the wire.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
    end: usize,
}

impl<'a> Fields<'a> {
    #[inline(always)]
    pub fn of(span: Span<'a>) -> Self {
        Self {
            rest: span.bytes,
            end: span.offset + span.bytes.len(),
        }
    }

    /// Where in the whole message the next field begins.
    #[inline(always)]
    pub const fn offset(&self) -> usize {
        self.end - self.rest.len()
    }

    /// The next field's number and value; `None` at the end.
    ///
    /// # Errors
    /// [`DecodeError`] for bytes that are no field. Asking on gives nothing of use.
    #[inline(always)]
    pub fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, DecodeError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let start = self.rest;
        let (number, wire) = match *start {
            // Numbers below 16 have a tag of one byte: all that the schema has.
            [tag, ref rest @ ..] if tag < 0x80 => {
                self.rest = rest;
                (u32::from(tag >> 3), tag & 7)
            }
            _ => self.long_tag()?,
        };
        let value = match wire {
            _ if number == 0 => return Err(self.bad_tag(start)),
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.fixed()?)),
            2 => Value::Bytes(self.run()?),
            5 => {
                self.fixed::<4>()?;
                Value::Fixed32
            }
            _ => return Err(self.bad_tag(start)),
        };
        Ok(Some((number, value)))
    }

    /// Takes a double if this is the tag that comes next: writers send fields in the order of their numbers, and to
    /// expect them costs less than to look which one it is. Whatever else comes is for `next`.
    #[inline(always)]
    pub fn double(&mut self, tag: u8, target: &mut f64) -> bool {
        if let [found, rest @ ..] = self.rest
            && *found == tag
            && let Some((bytes, rest)) = rest.split_first_chunk::<8>()
        {
            *target = f64::from_le_bytes(*bytes);
            self.rest = rest;
            return true;
        }
        false
    }

    /// The same for a number in a varint.
    #[inline(always)]
    pub fn integer(&mut self, tag: u8, target: &mut i64) -> bool {
        let before = self.rest;
        if let [found, rest @ ..] = before
            && *found == tag
        {
            self.rest = rest;
            if let Ok(value) = self.varint() {
                *target = value.cast_signed();
                return true;
            }
            self.rest = before;
        }
        false
    }

    /// The same for a run of bytes.
    #[inline(always)]
    pub fn bytes(&mut self, tag: u8) -> Option<Span<'a>> {
        let before = self.rest;
        if let [found, rest @ ..] = before
            && *found == tag
        {
            self.rest = rest;
            if let Ok(run) = self.run() {
                return Some(run);
            }
            self.rest = before;
        }
        None
    }

    /// A tag of several bytes; of a number beyond 29 bits, which there is not, the number is 0.
    #[cold]
    fn long_tag(&mut self) -> Result<(u32, u8), DecodeError> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).unwrap_or(0);
        Ok((if number >> 29 == 0 { number } else { 0 }, tag as u8 & 7))
    }

    #[cold]
    fn bad_tag(&mut self, start: &'a [u8]) -> DecodeError {
        self.rest = start;
        self.failed(DecodeErrorKind::BadTag)
    }

    #[inline(always)]
    fn varint(&mut self) -> Result<u64, DecodeError> {
        match *self.rest {
            [byte, ref rest @ ..] if byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(byte))
            }
            [low, high, ref rest @ ..] if high < 0x80 => {
                self.rest = rest;
                Ok(u64::from(low & 0x7f) | u64::from(high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    /// Up to eight bytes at once: of each the low seven bits, pushed together in three steps.
    #[inline(always)]
    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        if let Some((bytes, _)) = self.rest.split_first_chunk::<8>() {
            let word = u64::from_le_bytes(*bytes);
            let ends = !word & 0x8080_8080_8080_8080;
            if ends != 0 {
                let length = ends.trailing_zeros() / 8 + 1;
                let x = word & (u64::MAX >> (64 - 8 * length)) & 0x7f7f_7f7f_7f7f_7f7f;
                let x = (x & 0x7f00_7f00_7f00_7f00) >> 1 | x & 0x007f_007f_007f_007f;
                let x = (x & 0x3fff_0000_3fff_0000) >> 2 | x & 0x0000_3fff_0000_3fff;
                let x = (x & 0x0fff_ffff_0000_0000) >> 4 | x & 0x0000_0000_0fff_ffff;
                self.rest = &self.rest[length as usize..];
                return Ok(x);
            }
        }
        self.any_varint()
    }

    #[inline(never)]
    fn any_varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for (at, &byte) in self.rest.iter().enumerate().take(10) {
            // The tenth byte has one bit that counts; what is beyond it falls off, as in the vendors' readers.
            value |= u64::from(byte & 0x7f).wrapping_shl(7 * at as u32);
            if byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        let kind = if self.rest.len() < 10 {
            DecodeErrorKind::TruncatedVarint
        } else {
            DecodeErrorKind::LongVarint
        };
        Err(self.failed(kind))
    }

    #[inline(always)]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.rest.split_first_chunk::<N>() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(*bytes)
            }
            None => Err(self.failed(DecodeErrorKind::TruncatedBody)),
        }
    }

    #[inline(always)]
    fn run(&mut self) -> Result<Span<'a>, DecodeError> {
        let length = self.varint()?;
        let split = usize::try_from(length)
            .ok()
            .and_then(|length| self.rest.split_at_checked(length));
        let Some((bytes, rest)) = split else {
            return Err(self.failed(DecodeErrorKind::TruncatedBody));
        };
        let offset = self.offset();
        self.rest = rest;
        Ok(Span { bytes, offset })
    }

    #[cold]
    fn failed(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError {
            kind,
            offset: self.offset(),
        }
    }
}
