//! The layouts of kite-protocol §4, offset by offset.

use core::mem::{offset_of, size_of};

use tickloom_core::wire::kite::packet::{
    Depth20, Full, IndexFull, IndexQuote, Level, Ltp, Ltpc, Packet, Quote,
};

#[test]
fn every_struct_is_as_long_as_its_packet() {
    assert_eq!(size_of::<Level>(), 12);
    assert_eq!(size_of::<Ltp>(), 8);
    assert_eq!(size_of::<Ltpc>(), 12);
    assert_eq!(size_of::<IndexQuote>(), 28);
    assert_eq!(size_of::<IndexFull>(), 32);
    assert_eq!(size_of::<Quote>(), 44);
    assert_eq!(size_of::<Full>(), 184);
    assert_eq!(size_of::<Depth20>(), 492);
}

macro_rules! offsets {
    ($name:ident { $($field:ident: $offset:literal),* $(,)? }) => {
        $(assert_eq!(offset_of!($name, $field), $offset, stringify!($name.$field));)*
    };
}

#[test]
fn every_field_lies_where_the_protocol_says() {
    offsets!(Level {
        quantity: 0,
        price: 4,
        orders: 8,
        padding: 10
    });
    offsets!(Ltp {
        instrument_token: 0,
        last_price: 4
    });
    offsets!(Ltpc {
        instrument_token: 0,
        last_price: 4,
        close: 8
    });
    offsets!(IndexQuote {
        instrument_token: 0,
        last_price: 4,
        high: 8,
        low: 12,
        open: 16,
        close: 20,
        change: 24,
    });
    offsets!(IndexFull {
        instrument_token: 0,
        last_price: 4,
        high: 8,
        low: 12,
        open: 16,
        close: 20,
        change: 24,
        exchange_timestamp: 28,
    });
    offsets!(Quote {
        instrument_token: 0,
        last_price: 4,
        last_traded_quantity: 8,
        average_traded_price: 12,
        volume_traded: 16,
        total_buy_quantity: 20,
        total_sell_quantity: 24,
        open: 28,
        high: 32,
        low: 36,
        close: 40,
    });
    offsets!(Full {
        instrument_token: 0,
        last_price: 4,
        last_traded_quantity: 8,
        average_traded_price: 12,
        volume_traded: 16,
        total_buy_quantity: 20,
        total_sell_quantity: 24,
        open: 28,
        high: 32,
        low: 36,
        close: 40,
        last_trade_time: 44,
        oi: 48,
        oi_day_high: 52,
        oi_day_low: 56,
        exchange_timestamp: 60,
        bids: 64,
        asks: 124,
    });
    offsets!(Depth20 {
        instrument_token: 0,
        last_price: 4,
        exchange_timestamp: 8,
        bids: 12,
        asks: 252
    });
}

#[test]
fn a_body_is_told_apart_by_its_length_alone() {
    let bytes = [0x11; 600];
    for length in 0..=bytes.len() {
        let packet = Packet::read(&bytes[..length]);
        let expected = match length {
            8 => "Ltp",
            12 => "Ltpc",
            28 => "IndexQuote",
            32 => "IndexFull",
            44 => "Quote",
            184 => "Full",
            492 => "Depth20",
            _ => "Unknown",
        };
        let name = format!("{packet:?}");
        assert!(
            name.starts_with(&format!("{expected}(")),
            "length {length} reads as {name:.20}"
        );
        assert_eq!(Packet::is_known_length(length), expected != "Unknown");
        assert_eq!(
            packet.instrument_token(),
            (expected != "Unknown").then_some(0x1111_1111)
        );
    }
}
