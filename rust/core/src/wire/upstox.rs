//! Stage 1, wire: the messages of Upstox's market data feed, version 3: protobuf, walked without a copy.
//!
//! ```text
//! FeedResponse = type | map< instrument key, Feed > | currentTs | MarketInfo
//! Feed         = one of { LTPC, FullFeed = one of { MarketFullFeed, IndexFullFeed }, FirstLevelWithGreeks } | mode
//! ```
//!
//! [`fields`] reads the encoding, [`message`] a message's own fields and its market status, [`Feed`] what it says of
//! one instrument; [`emit`] is the inverse. Nothing is allocated, whatever a length says. Fields that are not known
//! are skipped, of a field that comes twice the last one counts, submessages that come twice are merged, as the
//! encoding has it. Groups, which the schema has none of, are refused.
//!
//! A number that is zero is not on the wire at all, so a field that is absent says nothing: [`Feed::present`] tells
//! which ones were there.

#[cfg(feature = "emit")]
pub mod emit;
mod feed;
mod fields;
mod message;
mod parts;

pub use feed::Feed;
pub use message::{Feeds, Message, Statuses, kind, message};
pub use parts::{Few, Kind, Level, MOST_LEVELS, MOST_OHLC, Ohlc, has};
