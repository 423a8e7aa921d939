//! Stage 1, wire: one struct a packet length, its fields in the order of kite-protocol §4.
//!
//! Every struct is unaligned and big-endian, so a reference to it is a reference into the frame. Prices
//! are unsigned integers in the segment's unit ([`super::scale`]), times are Unix epoch seconds, 0 for none.

use zerocopy::big_endian::{I32, U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A packet struct: its bytes are its layout.
pub trait Body: FromBytes + IntoBytes + Unaligned + Immutable + KnownLayout {
    /// The token that every layout begins with.
    fn instrument_token(&self) -> u32;
}

/// A body behind its length field, as it lies in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Unaligned, Immutable, KnownLayout)]
#[repr(C)]
pub struct Framed<P> {
    pub length: U16,
    pub body: P,
}

impl<P: Body> Framed<P> {
    /// Bytes as packets of one kind, or none if they are not a whole number of them.
    #[inline]
    #[must_use]
    pub fn all(bytes: &[u8]) -> &[Self] {
        <[Self]>::ref_from_bytes(bytes).unwrap_or_default()
    }
}

macro_rules! packet {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Unaligned, Immutable, KnownLayout,
        )]
        #[repr(C)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $kind,)*
        }

        impl Default for $name {
            fn default() -> Self {
                zerocopy::FromZeros::new_zeroed()
            }
        }
    };
}

packet! {
    /// One level of market depth, 12 bytes.
    Level {
        quantity: U32,
        price: U32,
        orders: U16,
        /// Always zero when emitted, never looked at when read.
        padding: U16,
    }
}

packet! {
    /// 8 bytes: mode ltp.
    Ltp {
        instrument_token: U32,
        last_price: U32,
    }
}

packet! {
    /// 12 bytes: last price and previous close, undocumented.
    Ltpc {
        instrument_token: U32,
        last_price: U32,
        close: U32,
    }
}

packet! {
    /// 28 bytes: an index in mode quote. Its prices come as high, low, open, close, unlike an instrument's.
    IndexQuote {
        instrument_token: U32,
        last_price: U32,
        high: U32,
        low: U32,
        open: U32,
        close: U32,
        /// Price change since the previous close: the one signed field of the wire.
        change: I32,
    }
}

packet! {
    /// 32 bytes: an index in mode full.
    IndexFull {
        instrument_token: U32,
        last_price: U32,
        high: U32,
        low: U32,
        open: U32,
        close: U32,
        change: I32,
        exchange_timestamp: U32,
    }
}

packet! {
    /// 44 bytes: mode quote.
    Quote {
        instrument_token: U32,
        last_price: U32,
        last_traded_quantity: U32,
        average_traded_price: U32,
        /// Cumulative over the trading day.
        volume_traded: U32,
        total_buy_quantity: U32,
        total_sell_quantity: U32,
        open: U32,
        high: U32,
        low: U32,
        /// The previous day's close.
        close: U32,
    }
}

packet! {
    /// 184 bytes: mode full, which is the quote's 44 bytes and what follows them.
    Full {
        instrument_token: U32,
        last_price: U32,
        last_traded_quantity: U32,
        average_traded_price: U32,
        /// Cumulative over the trading day.
        volume_traded: U32,
        total_buy_quantity: U32,
        total_sell_quantity: U32,
        open: U32,
        high: U32,
        low: U32,
        /// The previous day's close.
        close: U32,
        last_trade_time: U32,
        oi: U32,
        oi_day_high: U32,
        oi_day_low: U32,
        exchange_timestamp: U32,
        bids: [Level; 5],
        asks: [Level; 5],
    }
}

packet! {
    /// 492 bytes: twenty levels a side, undocumented.
    Depth20 {
        instrument_token: U32,
        last_price: U32,
        exchange_timestamp: U32,
        bids: [Level; 20],
        asks: [Level; 20],
    }
}

macro_rules! bodies {
    ($($name:ident),*) => {
        $(impl Body for $name {
            #[inline(always)]
            fn instrument_token(&self) -> u32 {
                self.instrument_token.get()
            }
        })*
    };
}

bodies!(Ltp, Ltpc, IndexQuote, IndexFull, Quote, Full, Depth20);

/// A packet's body, told apart by its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    Ltp(&'a Ltp),
    Ltpc(&'a Ltpc),
    IndexQuote(&'a IndexQuote),
    IndexFull(&'a IndexFull),
    Quote(&'a Quote),
    Full(&'a Full),
    Depth20(&'a Depth20),
    /// A length that the protocol does not name: skipped by its length and counted.
    Unknown(&'a [u8]),
}

impl<'a> Packet<'a> {
    /// Reads a body. Every length is accepted, so there is nothing to fail.
    #[inline]
    #[must_use]
    pub fn read(body: &'a [u8]) -> Self {
        fn view<T: Body>(body: &[u8]) -> Option<&T> {
            T::ref_from_bytes(body).ok()
        }
        match body.len() {
            8 => view(body).map(Self::Ltp),
            12 => view(body).map(Self::Ltpc),
            28 => view(body).map(Self::IndexQuote),
            32 => view(body).map(Self::IndexFull),
            44 => view(body).map(Self::Quote),
            184 => view(body).map(Self::Full),
            492 => view(body).map(Self::Depth20),
            _ => None,
        }
        .unwrap_or(Self::Unknown(body))
    }

    /// Whether a body of this length is one of the protocol's layouts, and so becomes a tick.
    #[inline]
    #[must_use]
    pub const fn is_known_length(length: usize) -> bool {
        matches!(length, 8 | 12 | 28 | 32 | 44 | 184 | 492)
    }

    /// The instrument token, or `None` for an unknown length.
    #[inline]
    #[must_use]
    pub fn instrument_token(&self) -> Option<u32> {
        Some(match self {
            Self::Ltp(p) => p.instrument_token.get(),
            Self::Ltpc(p) => p.instrument_token.get(),
            Self::IndexQuote(p) => p.instrument_token.get(),
            Self::IndexFull(p) => p.instrument_token.get(),
            Self::Quote(p) => p.instrument_token.get(),
            Self::Full(p) => p.instrument_token.get(),
            Self::Depth20(p) => p.instrument_token.get(),
            Self::Unknown(_) => return None,
        })
    }
}
