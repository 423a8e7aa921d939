//! Stage 1, wire: the walk over a frame's packets.

use crate::error::{DecodeError, DecodeErrorKind};

use super::packet::{Body, Depth20, Framed, Packet};

/// The packets of one frame: an iterator over the bodies that are whole, in the order of the wire.
///
/// It reads nothing ahead and allocates nothing, whatever the count field says. When it is exhausted,
/// [`Frame::error`] tells whether the frame ended early or late, and [`Frame::missing`] how many of the
/// announced packets were not there.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    bytes: &'a [u8],
    offset: usize,
    announced: usize,
    left: usize,
    error: Option<DecodeError>,
}

/// Starts the walk over a frame (kite-protocol §4). A single byte is a heartbeat: no packets, no error.
#[inline]
#[must_use]
pub fn frame(bytes: &[u8]) -> Frame<'_> {
    let announced = match bytes {
        [high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    };
    let error = match bytes.len() {
        0 => Some(DecodeError {
            kind: DecodeErrorKind::ShortHeader,
            offset: 0,
        }),
        _ => None,
    };
    Frame {
        bytes,
        offset: bytes.len().min(2),
        announced,
        left: announced,
        error,
    }
}

impl<'a> Frame<'a> {
    /// Whether the frame is the one byte that says the line is alive.
    #[inline]
    #[must_use]
    pub const fn is_heartbeat(&self) -> bool {
        self.bytes.len() == 1
    }

    /// How many packets the header announces.
    #[inline]
    #[must_use]
    pub const fn announced(&self) -> usize {
        self.announced
    }

    /// How many of the announced packets have not been yielded. After the walk: the cut one and those
    /// that should have followed it.
    #[inline]
    #[must_use]
    pub const fn missing(&self) -> usize {
        self.left
    }

    /// What was wrong with the frame, as far as it has been walked.
    #[inline]
    #[must_use]
    pub const fn error(&self) -> Option<DecodeError> {
        self.error
    }

    /// The next packets as long as they have one length.
    ///
    /// Walking a run is cheaper than walking its packets: the place of the next packet comes from the
    /// length that the last one had, so the processor need not wait for each length field to arrive
    /// before it looks for the one behind it.
    #[inline]
    pub fn next_run(&mut self) -> Option<Run<'a>> {
        let start = self.offset;
        let length = self.next()?.len();
        let bytes = self.bytes;
        let header = [bytes[start], bytes[start + 1]];
        let stride = 2 + length;
        let mut rest = &bytes[self.offset..];
        while self.left > 0 && rest.len() >= stride && rest[..2] == header {
            rest = &rest[stride..];
            self.left -= 1;
        }
        self.offset = bytes.len() - rest.len();
        Some(Run {
            length,
            bytes: &bytes[start..self.offset],
        })
    }

    #[cold]
    fn stop(&mut self, kind: DecodeErrorKind) -> Option<&'a [u8]> {
        // The first finding stands: a walk that goes on asking gets the same answer.
        self.error.get_or_insert(DecodeError {
            kind,
            offset: self.offset,
        });
        None
    }
}

impl<'a> Iterator for Frame<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        if self.left == 0 {
            return if rest.is_empty() {
                None
            } else {
                self.stop(DecodeErrorKind::TrailingBytes)
            };
        }
        let Some((length, rest)) = rest.split_first_chunk::<2>() else {
            return self.stop(DecodeErrorKind::TruncatedLength);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        let Some(body) = rest.get(..length) else {
            return self.stop(DecodeErrorKind::TruncatedBody);
        };
        self.offset += 2 + length;
        self.left -= 1;
        Some(body)
    }
}

/// Consecutive packets of one length.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    length: usize,
    bytes: &'a [u8],
}

impl<'a> Run<'a> {
    /// The length of each body.
    #[inline]
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// How many packets there are, at least one.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len() / (2 + self.length)
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The packets' bodies, in the order of the wire.
    #[inline]
    pub fn bodies(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.bytes
            .chunks_exact(2 + self.length)
            .map(|packet| &packet[2..])
    }

    /// The packets as what they are, or none if they are not of this length.
    #[inline]
    #[must_use]
    pub fn packets<P: Body>(&self) -> &'a [Framed<P>] {
        if self.length == size_of::<P>() {
            Framed::all(self.bytes)
        } else {
            &[]
        }
    }
}

/// What a walk over a whole frame finds, without decoding anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Packets of a known length: the rows that decoding will give.
    pub ticks: usize,
    /// Whole packets of an unknown length, the packet that is cut, and the announced packets that are
    /// missing: `ticks + rejected` is always the count in the header.
    pub rejected: usize,
    /// Packets of 492 bytes among the ticks.
    pub depth20: usize,
    /// The length of every packet, if they all have one and the frame is whole; else 0.
    pub uniform: usize,
    /// What was wrong with the frame. The ticks before the cut are good all the same.
    pub error: Option<DecodeError>,
    pub is_heartbeat: bool,
}

/// Walks a frame once and counts.
///
/// # Errors
/// Returns the frame's [`DecodeError`] only if not one whole packet could be read; a frame that is cut
/// later keeps what was whole, with the error in [`Census::error`].
#[inline]
pub fn census(bytes: &[u8]) -> Result<Census, DecodeError> {
    match uniform(bytes) {
        Some((packets, length)) => {
            let ticks = if Packet::is_known_length(length) {
                packets
            } else {
                0
            };
            let depth20 = if length == size_of::<Depth20>() {
                packets
            } else {
                0
            };
            let rejected = packets - ticks;
            Ok(Census {
                ticks,
                rejected,
                depth20,
                uniform: length,
                ..Census::default()
            })
        }
        None => count(bytes),
    }
}

/// The number and the length of a frame's packets, if the frame is whole and they all have one length:
/// what most frames are, and told without walking from packet to packet.
#[inline(always)]
pub(crate) fn uniform(bytes: &[u8]) -> Option<(usize, usize)> {
    let [count_high, count_low, high, low, ..] = *bytes else {
        return None;
    };
    let packets = usize::from(u16::from_be_bytes([count_high, count_low]));
    let length = usize::from(u16::from_be_bytes([high, low]));
    let stride = 2 + length;
    if bytes.len() != 2 + packets * stride {
        return None;
    }
    // The first packet's length is the one that the others are held against.
    let mut rest = bytes.get(2 + stride..)?;
    while let [a, b, ..] = *rest {
        if [a, b] != [high, low] {
            return None;
        }
        rest = rest.get(stride..)?;
    }
    Some((packets, length))
}

fn count(bytes: &[u8]) -> Result<Census, DecodeError> {
    let mut walk = frame(bytes);
    let mut found = Census {
        is_heartbeat: walk.is_heartbeat(),
        ..Census::default()
    };
    for body in walk.by_ref() {
        found.ticks += usize::from(Packet::is_known_length(body.len()));
        found.depth20 += usize::from(body.len() == size_of::<Depth20>());
    }
    found.rejected = walk.announced() - found.ticks;
    found.error = walk.error();
    match found.error {
        Some(error) if walk.missing() == walk.announced() => Err(error),
        _ => Ok(found),
    }
}
