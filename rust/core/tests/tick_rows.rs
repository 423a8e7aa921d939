//! Rows: the fast path and the plain one give the same bytes, for every layout and every value.

use core::mem::{offset_of, size_of};

use proptest::prelude::*;
use tickloom_core::tick::{Depth20Row, INDEX, Mode, TRADABLE, TickRow};
use tickloom_core::tick::{decode_depth20, decode_rows, decode_rows_portably};
use tickloom_core::wire::kite::emit::FrameBuilder;
use tickloom_core::wire::kite::packet::{Depth20, Full, IndexFull, IndexQuote, Level, Ltp, Ltpc, Quote};
use tickloom_core::wire::kite::{ScaleTable, census};
use zerocopy::{FromBytes, IntoBytes};

/// A row's bytes, so that NaN equals NaN and -0.0 does not equal 0.0.
fn bits(row: &TickRow) -> &[u8] {
    row.as_bytes()
}

fn rows(bytes: &[u8], scales: &ScaleTable) -> Vec<TickRow> {
    let found = census(bytes).unwrap_or_default();
    let mut rows = vec![TickRow::EMPTY; found.ticks];
    assert_eq!(decode_rows(bytes, &found, scales, &mut rows), found.ticks);
    rows
}

fn one<P: tickloom_core::wire::kite::packet::Body>(packet: &P) -> TickRow {
    let mut builder = FrameBuilder::new();
    builder.push(packet);
    rows(&builder.finish(), &ScaleTable::kite())[0]
}

/// Words as they are seen at the edges of every type, among any others.
fn word() -> impl Strategy<Value = u32> {
    let edges = vec![
        0,
        1,
        2,
        99,
        100,
        101,
        0x7fff_ffff,
        0x8000_0000,
        0x8000_0001,
        u32::MAX - 1,
        u32::MAX,
    ];
    prop_oneof![2 => any::<u32>(), 1 => prop::sample::select(edges)]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let lengths = vec![8usize, 12, 28, 32, 44, 184, 184, 184, 492, 16, 0];
    prop::sample::select(lengths).prop_flat_map(|length| {
        prop::collection::vec(word(), length / 4)
            .prop_map(|words| words.into_iter().flat_map(u32::to_be_bytes).collect())
    })
}

#[test]
fn a_row_is_256_bytes_in_eight_slots() {
    assert_eq!(size_of::<TickRow>(), 256);
    assert_eq!(offset_of!(TickRow, last_price), 32);
    assert_eq!(offset_of!(TickRow, bid_price), 48);
    assert_eq!(offset_of!(TickRow, day_open), 128);
    assert_eq!(offset_of!(TickRow, bid_quantity), 160);
    assert_eq!(offset_of!(TickRow, bid_orders), 200);
    assert_eq!(offset_of!(TickRow, mode), 220);
    assert_eq!(offset_of!(TickRow, last_trade_time), 224);
    assert_eq!(size_of::<Depth20Row>(), 576);
}

#[test]
fn a_full_packet_keeps_every_field() {
    let level = |n: u32| Level {
        quantity: n.into(),
        price: (n * 100 + 5).into(),
        orders: (n as u16 + 7).into(),
        padding: 0xffff.into(),
    };
    let packet = Full {
        instrument_token: 408_065.into(),
        last_price: 129_905.into(),
        last_traded_quantity: 2.into(),
        average_traded_price: 129_029.into(),
        volume_traded: u32::MAX.into(),
        total_buy_quantity: 390_117.into(),
        total_sell_quantity: 410_173.into(),
        open: 128_550.into(),
        high: 130_590.into(),
        low: 127_550.into(),
        close: 127_210.into(),
        last_trade_time: 1_612_777_255.into(),
        oi: 11.into(),
        oi_day_high: 12.into(),
        oi_day_low: 13.into(),
        exchange_timestamp: u32::MAX.into(),
        bids: [1, 2, 3, 4, 5].map(level),
        asks: [6, 7, 8, 9, 10].map(level),
    };
    let row = one(&packet);
    let day = [1285.5, 1305.9, 1275.5, 1272.1];
    assert_eq!(
        (row.instrument_token, row.last_price, row.average_traded_price),
        (408_065, 1299.05, 1290.29)
    );
    assert_eq!([row.day_open, row.day_high, row.day_low, row.prev_close], day);
    assert_eq!(row.change, (1299.05 - 1272.1) * 100.0 / 1272.1);
    assert_eq!((row.last_traded_quantity, row.volume_traded), (2, u32::MAX));
    assert_eq!(
        (row.total_buy_quantity, row.total_sell_quantity),
        (390_117, 410_173)
    );
    assert_eq!((row.oi, row.oi_day_high, row.oi_day_low), (11, 12, 13));
    assert_eq!(row.last_trade_time, 1_612_777_255_000_000_000);
    assert_eq!(row.exchange_timestamp, 4_294_967_295_000_000_000);
    assert_eq!(
        (row.bid_quantity, row.ask_quantity),
        ([1, 2, 3, 4, 5], [6, 7, 8, 9, 10])
    );
    assert_eq!(row.bid_price, [1.05, 2.05, 3.05, 4.05, 5.05]);
    assert_eq!(row.ask_price, [6.05, 7.05, 8.05, 9.05, 10.05]);
    assert_eq!(
        (row.bid_orders, row.ask_orders),
        ([8, 9, 10, 11, 12], [13, 14, 15, 16, 17])
    );
    assert_eq!((row.mode, row.flags), (Mode::Full as u8, TRADABLE));
    assert!(row.net_change.is_nan());
}

#[test]
fn an_index_keeps_its_own_order_of_prices_and_its_sign() {
    let packet = IndexFull {
        instrument_token: 256_265.into(),
        last_price: 2_501_230.into(),
        high: 2_510_000.into(),
        low: 2_490_000.into(),
        open: 2_495_000.into(),
        close: 2_505_000.into(),
        change: (-3_770).into(),
        exchange_timestamp: 0.into(),
    };
    let row = one(&packet);
    assert_eq!(
        (row.day_open, row.day_high, row.day_low, row.prev_close),
        (24_950.0, 25_100.0, 24_900.0, 25_050.0)
    );
    assert_eq!((row.net_change, row.exchange_timestamp), (-37.7, 0));
    assert_eq!((row.mode, row.flags), (Mode::Full as u8, INDEX));
    assert_eq!(row.volume_traded, 0);
    assert!(row.average_traded_price.is_nan() && row.bid_price[0].is_nan());
}

#[test]
fn what_a_mode_lacks_is_nan_or_zero() {
    let row = one(&Ltp {
        instrument_token: 1.into(),
        last_price: 5.into(),
    });
    let expected = TickRow {
        instrument_token: 1,
        last_price: 0.05,
        mode: Mode::Ltp as u8,
        flags: TRADABLE,
        ..TickRow::EMPTY
    };
    assert_eq!(bits(&row), bits(&expected));
    let row = one(&Ltpc {
        instrument_token: 1.into(),
        last_price: 6.into(),
        close: 5.into(),
    });
    let expected = TickRow {
        last_price: 0.06,
        prev_close: 0.05,
        change: (0.06 - 0.05) * 100.0 / 0.05,
        mode: Mode::Ltpc as u8,
        ..expected
    };
    assert_eq!(bits(&row), bits(&expected));
    let row = one(&Quote {
        close: 0.into(),
        last_price: 1.into(),
        ..Quote::default()
    });
    assert_eq!(
        (row.change, row.mode, row.last_trade_time),
        (0.0, Mode::Quote as u8, 0)
    );
    assert!(
        row.bid_price
            .iter()
            .chain(&row.ask_price)
            .all(|price| price.is_nan())
    );
    let row = one(&IndexQuote::default());
    assert_eq!(
        (row.net_change, row.mode, row.flags),
        (0.0, Mode::Quote as u8, TRADABLE | INDEX)
    );
}

#[test]
fn twenty_levels_are_kept_beside_the_row_with_its_first_five() {
    let mut deep = Depth20 {
        instrument_token: 2.into(),
        exchange_timestamp: 3.into(),
        ..Depth20::default()
    };
    for (i, level) in deep.bids.iter_mut().chain(&mut deep.asks).enumerate() {
        let i = i as u16;
        *level = Level {
            quantity: u32::from(i).into(),
            price: u32::from(i).into(),
            orders: i.into(),
            padding: 0.into(),
        };
    }
    let mut builder = FrameBuilder::new();
    builder.push(&Ltp::default());
    builder.push_raw(&[0; 9]);
    builder.push(&deep);
    builder.push(&deep);
    let bytes = builder.finish();
    let rows = rows(&bytes, &ScaleTable::kite());
    assert_eq!(rows.len(), 3);
    assert_eq!(
        (rows[1].bid_price, rows[1].ask_orders),
        ([0.0, 0.01, 0.02, 0.03, 0.04], [20, 21, 22, 23, 24])
    );
    assert_eq!(
        (rows[1].exchange_timestamp, rows[1].mode),
        (3_000_000_000, Mode::Depth20 as u8)
    );
    let levels = decode_depth20(&bytes, &ScaleTable::kite());
    assert_eq!(levels.iter().map(|deep| deep.row).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(levels[0].bid_orders, core::array::from_fn(|i| i as u16));
    assert_eq!(
        levels[1].ask_price,
        core::array::from_fn(|i| (i + 20) as f64 / 100.0)
    );
}

#[test]
fn fewer_rows_than_packets_take_the_first_packets() {
    let mut builder = FrameBuilder::new();
    for token in 1..=5 {
        builder.push(&Full {
            instrument_token: token.into(),
            ..Full::default()
        });
        builder.push(&Ltp {
            instrument_token: (token + 10).into(),
            ..Ltp::default()
        });
    }
    let bytes = builder.finish();
    let found = census(&bytes).expect("the frame is whole");
    let mut rows = [TickRow::EMPTY; 3];
    assert_eq!(decode_rows(&bytes, &found, &ScaleTable::kite(), &mut rows), 3);
    assert_eq!(rows.map(|row| row.instrument_token), [1, 11, 2]);
    assert_eq!(decode_rows(&bytes, &found, &ScaleTable::kite(), &mut []), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_fast_path_equals_the_plain_one_whatever_was_in_the_rows(
        bodies in prop::collection::vec(body(), 0..9),
        divisor in prop_oneof![Just(100u32), Just(10_000_000), Just(7), 1..=u32::MAX],
        signed in any::<bool>(),
    ) {
        let mut builder = FrameBuilder::new();
        bodies.iter().for_each(|body| builder.push_raw(body));
        let bytes = builder.finish();
        let scales = (0..=255).try_fold(ScaleTable::kite(), |table, segment| table.with(segment, divisor))?;
        let scales = if signed { (0..=255).fold(scales, ScaleTable::with_signed) } else { scales };
        let found = census(&bytes).unwrap_or_default();
        let mut fast = rows(&bytes, &scales);
        let mut plain = fast.clone();
        fast.reverse();
        decode_rows(&bytes, &found, &scales, &mut fast);
        decode_rows_portably(&bytes, &found, &scales, &mut plain);
        prop_assert_eq!(fast.iter().map(bits).collect::<Vec<_>>(), plain.iter().map(bits).collect::<Vec<_>>());
    }

    #[test]
    fn a_price_in_a_row_is_the_true_quotient(words in prop::collection::vec(word(), 46)) {
        let bytes: Vec<u8> = words.iter().copied().flat_map(u32::to_be_bytes).collect();
        let packet = Full::read_from_bytes(&bytes).expect("46 words are a full packet");
        let divisor = match words[0] & 0xff { 3 => 1e7, 6 | 12 => 1e4, _ => 100.0 };
        let row = one(&packet);
        prop_assert_eq!(row.last_price, f64::from(words[1]) / divisor);
        prop_assert_eq!(row.average_traded_price, f64::from(words[3]) / divisor);
        prop_assert_eq!(row.prev_close, f64::from(words[10]) / divisor);
        for i in 0..5 {
            prop_assert_eq!(row.bid_price[i], f64::from(words[17 + 3 * i]) / divisor);
            prop_assert_eq!(row.ask_price[i], f64::from(words[32 + 3 * i]) / divisor);
        }
    }
}
