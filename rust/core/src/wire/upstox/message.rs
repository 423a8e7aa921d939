//! Stage 1, wire: a message's own fields, and the walk over its map of feeds.

use crate::error::DecodeError;

use super::feed::Feed;
use super::fields::{Fields, Span, Value};

/// Values of [`Message::kind`].
pub mod kind {
    /// What the server had cached when it was asked: a snapshot (R4).
    pub const INITIAL_FEED: i32 = 0;
    pub const LIVE_FEED: i32 = 1;
    /// The status of the market's segments, and no feeds.
    pub const MARKET_INFO: i32 = 2;
}

/// What stands beside the feeds.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// As far as it is whole.
    bytes: &'a [u8],
    /// One of [`kind`]; numbers that the schema does not name are kept.
    pub kind: i32,
    /// The server's clock, milliseconds since the epoch; 0 if it was not there.
    pub current_ts: i64,
    /// How many feeds there are, readable or not.
    pub feeds: usize,
    /// Whether the status of segments was there.
    pub has_market_info: bool,
    /// What was wrong with the message. The feeds before the cut are good all the same.
    pub error: Option<DecodeError>,
}

/// Reads what stands beside the feeds, and counts them.
///
/// # Errors
/// [`DecodeError`] only if not one field could be read; a message that is cut later keeps what was whole, with the
/// error in [`Message::error`].
pub fn message(bytes: &[u8]) -> Result<Message<'_>, DecodeError> {
    let mut fields = Fields::of(Span { bytes, offset: 0 });
    let mut found = Message {
        bytes,
        kind: 0,
        current_ts: 0,
        feeds: 0,
        has_market_info: false,
        error: None,
    };
    loop {
        let whole = fields.offset();
        match fields.next() {
            Ok(None) => return Ok(found),
            Ok(Some((1, Value::Varint(kind)))) => found.kind = kind as i32,
            Ok(Some((2, Value::Bytes(_)))) => found.feeds += 1,
            Ok(Some((3, Value::Varint(ts)))) => found.current_ts = ts.cast_signed(),
            Ok(Some((4, Value::Bytes(_)))) => found.has_market_info = true,
            Ok(Some(_)) => {}
            Err(error) if whole == 0 => return Err(error),
            Err(error) => {
                found.bytes = &bytes[..whole];
                found.error = Some(error);
                return Ok(found);
            }
        }
    }
}

impl<'a> Message<'a> {
    /// The walk over the feeds, in the order of the wire.
    #[inline]
    #[must_use]
    pub fn walk(&self) -> Feeds<'a> {
        Feeds(self.fields())
    }

    /// The status of each segment, in the order of the wire; of a segment that comes twice the last one counts.
    #[must_use]
    pub fn statuses(&self) -> Statuses<'a> {
        Statuses {
            fields: self.fields(),
            within: None,
        }
    }

    fn fields(&self) -> Fields<'a> {
        Fields::of(Span {
            bytes: self.bytes,
            offset: 0,
        })
    }
}

/// The feeds of a message, one after the other.
#[derive(Clone, Debug)]
pub struct Feeds<'a>(Fields<'a>);

impl<'a> Feeds<'a> {
    /// Reads the next feed into `feed`, which may hold anything beforehand; `None` after the last one.
    ///
    /// An error is that feed's alone, of which nothing should be used: the walk goes on behind it.
    #[inline]
    pub fn next(&mut self, feed: &mut Feed<'a>) -> Option<Result<(), DecodeError>> {
        loop {
            if let (2, Value::Bytes(entry)) = self.0.next().ok()?? {
                return Some(feed.read_entry(entry));
            }
        }
    }
}

/// Segments and their status, a number of the schema's `MarketStatus` or one that is not known.
#[derive(Clone, Debug)]
pub struct Statuses<'a> {
    fields: Fields<'a>,
    within: Option<Fields<'a>>,
}

impl<'a> Iterator for Statuses<'a> {
    type Item = Result<(&'a [u8], i32), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(within) = &mut self.within else {
                match self.fields.next() {
                    Ok(Some((4, Value::Bytes(info)))) => self.within = Some(Fields::of(info)),
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return None,
                }
                continue;
            };
            match within.next() {
                Ok(Some((1, Value::Bytes(entry)))) => return Some(status(entry)),
                Ok(Some(_)) => {}
                Ok(None) => self.within = None,
                Err(error) => {
                    self.within = None;
                    return Some(Err(error));
                }
            }
        }
    }
}

fn status(entry: Span<'_>) -> Result<(&[u8], i32), DecodeError> {
    let mut fields = Fields::of(entry);
    let (mut segment, mut status): (&[u8], i32) = (&[], 0);
    while let Some(field) = fields.next()? {
        match field {
            (1, Value::Bytes(name)) => segment = name.bytes,
            (2, Value::Varint(number)) => status = number as i32,
            _ => {}
        }
    }
    Ok((segment, status))
}
