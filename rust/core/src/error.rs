//! Errors of the core: what and where, no strings on the hot path.

use core::fmt;

/// Why bytes could not be read as a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// Fewer bytes than the two of the packet count, and not the one byte of a heartbeat.
    ShortHeader,
    /// The frame ends inside a packet's length field.
    TruncatedLength,
    /// The frame ends inside a packet's body, a protobuf message inside a field.
    TruncatedBody,
    /// Bytes follow the last packet that the count announced.
    TrailingBytes,
    /// A protobuf message ends inside a varint.
    TruncatedVarint,
    /// A protobuf varint of more than ten bytes.
    LongVarint,
    /// A protobuf field of number 0, a group, or of a wire type that there is not.
    BadTag,
}

/// A frame that could not be read whole: the kind, and the byte offset where reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DecodeError {
    pub kind: DecodeErrorKind,
    pub offset: usize,
}

impl DecodeErrorKind {
    /// The kind's stable name, as Python sees it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ShortHeader => "short_header",
            Self::TruncatedLength => "truncated_length",
            Self::TruncatedBody => "truncated_body",
            Self::TrailingBytes => "trailing_bytes",
            Self::TruncatedVarint => "truncated_varint",
            Self::LongVarint => "long_varint",
            Self::BadTag => "bad_tag",
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.kind.name(), self.offset)
    }
}

impl core::error::Error for DecodeError {}
