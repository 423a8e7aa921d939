//! Upstox's protobuf messages: vectors written by hand, what the encoding allows, and emit's inverse.

use proptest::prelude::*;
use tickloom_core::error::{DecodeError, DecodeErrorKind};
use tickloom_core::wire::upstox::emit;
use tickloom_core::wire::upstox::{Feed, Kind, Level, MOST_LEVELS, MOST_OHLC, Ohlc, has, kind, message};

/// Every feed of a message that can be read, and how many cannot.
fn feeds(bytes: &[u8]) -> (Vec<Feed<'_>>, usize) {
    let found = message(bytes).expect("it begins well");
    let (mut whole, mut bad, mut feed) = (Vec::new(), 0, Feed::default());
    let mut walk = found.walk();
    while let Some(read) = walk.next(&mut feed) {
        match read {
            Ok(()) => whole.push(feed.clone()),
            Err(_) => bad += 1,
        }
    }
    assert_eq!(whole.len() + bad, found.feeds);
    (whole, bad)
}

fn one(bytes: &[u8]) -> Feed<'_> {
    let (mut whole, bad) = feeds(bytes);
    assert_eq!((whole.len(), bad), (1, 0));
    whole.remove(0)
}

/// A message with one feed, whose value `fill` writes.
fn of(fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    emit::within(&mut out, 2, |entry| {
        emit::bytes(entry, 1, b"K");
        emit::within(entry, 2, fill);
    });
    out
}

fn double(out: &mut Vec<u8>, number: u8, value: f64) {
    out.push(number << 3 | 1);
    out.extend(value.to_le_bytes());
}

#[test]
fn a_message_written_byte_by_byte_reads_as_it_was_meant() {
    #[rustfmt::skip]
    let bytes = [
        0x08, 0x01, // type = live_feed
        0x12, 0x1e, // feeds, 30 bytes
        0x0a, 0x03, b'A', b'|', b'1', // key
        0x12, 0x17, // value, 23 bytes
        0x0a, 0x13, // ltpc, 19 bytes
        0x09, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, // ltp = 1.5
        0x10, 0x80, 0x89, 0x8f, 0xdc, 0x84, 0x34, // ltt
        0x18, 0x96, 0x01, // ltq = 150
        0x20, 0x03, // requestMode = full_d30
        0x18, 0x05, // currentTs = 5
    ];
    let found = message(&bytes).unwrap();
    assert_eq!(
        (found.kind, found.current_ts, found.feeds, found.error),
        (kind::LIVE_FEED, 5, 1, None)
    );
    let feed = one(&bytes);
    assert_eq!((feed.key, feed.kind, feed.mode), (&b"A|1"[..], Kind::Ltpc, 3));
    assert_eq!(
        (feed.ltp, feed.ltt, feed.ltq, feed.cp),
        (1.5, 1_787_973_321_856, 150, 0.0)
    );
    assert_eq!(
        feed.present,
        has::LTPC | has::LTP | has::LTT | has::LTQ | has::MODE
    );
}

#[test]
fn an_empty_message_is_a_snapshot_of_nothing() {
    let found = message(&[]).unwrap();
    assert_eq!(
        (found.kind, found.current_ts, found.feeds, found.has_market_info),
        (kind::INITIAL_FEED, 0, 0, false)
    );
}

#[test]
fn a_feed_that_says_nothing_has_nothing_present() {
    let empty = of(|_| {});
    assert_eq!((one(&empty).kind, one(&empty).present), (Kind::None, 0));
    let full = of(|out| emit::within(out, 2, |_| {}));
    assert_eq!((one(&full).kind, one(&full).present), (Kind::Full, 0));
    let market = of(|out| emit::within(out, 2, |out| emit::within(out, 1, |_| {})));
    assert_eq!((one(&market).kind, one(&market).present), (Kind::Market, 0));
}

#[test]
fn a_zero_that_is_on_the_wire_is_present() {
    let bytes = of(|out| emit::within(out, 1, |out| double(out, 1, 0.0)));
    assert_eq!(one(&bytes).present, has::LTPC | has::LTP);
}

#[test]
fn of_a_number_that_comes_twice_the_last_counts_and_messages_are_merged() {
    let bytes = of(|out| {
        emit::within(out, 1, |out| {
            double(out, 1, 1.0);
            double(out, 1, 2.0);
        });
        emit::within(out, 1, |out| double(out, 4, 3.0));
    });
    let feed = one(&bytes);
    assert_eq!((feed.ltp, feed.cp), (2.0, 3.0));
}

#[test]
fn levels_of_a_book_that_comes_twice_follow_each_other() {
    let bytes = of(|out| {
        emit::within(out, 2, |out| {
            emit::within(out, 1, |out| {
                for price in [1.0, 2.0] {
                    emit::within(out, 2, |out| emit::within(out, 1, |out| double(out, 2, price)));
                }
            });
        });
    });
    let bids: Vec<f64> = one(&bytes).levels().iter().map(|level| level.bid_price).collect();
    assert_eq!(bids, [1.0, 2.0]);
}

#[test]
fn another_shape_takes_the_place_of_the_one_before_it() {
    let bytes = of(|out| {
        emit::within(out, 2, |out| {
            emit::within(out, 1, |out| {
                emit::within(out, 1, |out| double(out, 1, 1.0));
                emit::varint(out, 6, 500);
            });
        });
        emit::varint(out, 4, 1);
        emit::within(out, 3, |out| double(out, 6, 0.5));
    });
    let feed = one(&bytes);
    assert_eq!(
        (feed.kind, feed.ltp, feed.vtt, feed.iv, feed.mode),
        (Kind::FirstLevel, 0.0, 0, 0.5, 1)
    );
    assert_eq!(feed.present, has::IV | has::MODE);
}

#[test]
fn the_first_level_of_an_option_is_one_level_however_often_it_comes() {
    let bytes = of(|out| {
        emit::within(out, 3, |out| {
            emit::within(out, 2, |out| double(out, 2, 9.0));
            emit::within(out, 2, |out| emit::varint(out, 3, 7));
        });
    });
    let level = Level {
        bid_price: 9.0,
        ask_quantity: 7,
        ..Level::default()
    };
    assert_eq!(one(&bytes).levels(), [level]);
}

#[test]
fn fields_that_nobody_knows_are_skipped_whatever_their_type() {
    let bytes = of(|out| {
        emit::varint(out, 99, u64::MAX);
        emit::bytes(out, 1000, b"later");
        double(out, 15, 4.0);
        out.extend([7 << 3 | 5, 1, 2, 3, 4]);
        emit::within(out, 1, |out| {
            // A known number in another wire type is an unknown field too.
            emit::varint(out, 1, 3);
            double(out, 1, 8.0);
            emit::bytes(out, 2, b"");
        });
    });
    assert_eq!(
        (one(&bytes).ltp, one(&bytes).present),
        (8.0, has::LTPC | has::LTP)
    );
}

#[test]
fn numbers_of_an_enumeration_that_nobody_knows_are_kept() {
    let mut bytes = emit::message(7, [], 1, &[(b"NSE_EQ", 2), (b"NSE_FO", 41)]);
    assert_eq!(message(&bytes).unwrap().kind, 7);
    let statuses: Vec<_> = message(&bytes).unwrap().statuses().map(Result::unwrap).collect();
    assert_eq!(statuses, [(&b"NSE_EQ"[..], 2), (&b"NSE_FO"[..], 41)]);
    emit::varint(&mut bytes, 1, u64::MAX);
    assert_eq!(message(&bytes).unwrap().kind, -1);
}

#[test]
fn a_group_and_a_field_without_a_number_are_refused() {
    for tag in [0x0b, 0x0c, 0x06, 0x07, 0x02] {
        let bytes = [8, 1, tag, 0];
        let error = message(&bytes).unwrap().error;
        assert_eq!(
            error,
            Some(DecodeError {
                kind: DecodeErrorKind::BadTag,
                offset: 2
            }),
            "{tag}"
        );
    }
}

#[test]
fn an_error_says_where_and_a_message_without_one_field_is_none() {
    let kinds = |bytes: &[u8]| {
        message(bytes)
            .map(|_| ())
            .map_err(|error| (error.kind, error.offset))
    };
    assert_eq!(kinds(&[8]), Err((DecodeErrorKind::TruncatedVarint, 1)));
    assert_eq!(kinds(&[8, 0x80]), Err((DecodeErrorKind::TruncatedVarint, 1)));
    assert_eq!(
        kinds(&[[8].as_slice(), &[0x80; 10], &[1]].concat()),
        Err((DecodeErrorKind::LongVarint, 1))
    );
    assert_eq!(kinds(&[0x12, 5, 1]), Err((DecodeErrorKind::TruncatedBody, 2)));
    assert_eq!(kinds(&[0x19, 5, 1]), Err((DecodeErrorKind::TruncatedBody, 1)));
    assert_eq!(
        kinds(&[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        Err((DecodeErrorKind::TruncatedBody, 11))
    );
}

#[test]
fn a_feed_that_cannot_be_read_costs_no_other() {
    let good = Feed {
        key: b"G",
        kind: Kind::Ltpc,
        present: has::LTPC | has::LTP,
        ltp: 2.0,
        ..Feed::default()
    };
    let mut bytes = of(|out| out.extend([0x0a, 50]));
    bytes.extend(emit::message(1, [&good], 9, &[]));
    let (whole, bad) = feeds(&bytes);
    assert_eq!((whole, bad), (vec![good], 1));
    assert_eq!(message(&bytes).unwrap().current_ts, 9);
}

#[test]
fn levels_and_candles_beyond_the_most_are_counted_and_left_out() {
    let bytes = of(|out| {
        emit::within(out, 2, |out| {
            emit::within(out, 1, |out| {
                emit::within(out, 2, |out| {
                    (0..40).for_each(|n| emit::within(out, 1, |out| emit::varint(out, 1, n)))
                });
                emit::within(out, 4, |out| {
                    (0..20).for_each(|n| emit::within(out, 1, |out| emit::varint(out, 6, n)))
                });
            });
        });
    });
    let feed = one(&bytes);
    assert_eq!(
        (feed.levels().len(), feed.ohlc().len(), feed.excess),
        (MOST_LEVELS, MOST_OHLC, 22)
    );
    assert_eq!(feed.levels()[29].bid_quantity, 29);
}

fn price() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.05), -1e9..1e9f64, Just(f64::MAX)]
}

prop_compose! {
    fn any_level()(bid_quantity: i64, ask_quantity: i64, bid_price in price(), ask_price in price()) -> Level {
        Level { bid_quantity, bid_price, ask_quantity, ask_price }
    }
}

prop_compose! {
    fn any_ohlc()(interval in prop_oneof![Just(&b"1d"[..]), Just(&b"I1"[..]), Just(&b""[..])],
                  prices in [price(), price(), price(), price()], volume: i64, ts: i64) -> Ohlc<'static> {
        let [open, high, low, close] = prices;
        Ohlc { interval, open, high, low, close, volume, ts }
    }
}

/// A feed as the walk could give it: what its kind does not have is not there.
fn any_feed() -> impl Strategy<Value = Feed<'static>> {
    let numbers = (
        prop::array::uniform12(price()),
        prop::array::uniform3(any::<i64>()),
        any::<i32>(),
    );
    let lists = (
        prop::collection::vec(any_level(), 0..=30),
        prop::collection::vec(any_ohlc(), 0..=8),
    );
    let what = (
        0_u8..6,
        any::<u32>(),
        prop_oneof![Just(&b"NSE_EQ|X"[..]), Just(&b""[..])],
    );
    (numbers, lists, what).prop_map(
        |((doubles, integers, mode), (levels, candles), (shape, bits, key))| {
            let kinds = [
                Kind::None,
                Kind::Ltpc,
                Kind::Full,
                Kind::Market,
                Kind::Index,
                Kind::FirstLevel,
            ];
            let kind = kinds[usize::from(shape)];
            let last = has::LTPC | has::LTP | has::LTT | has::LTQ | has::CP;
            let greeks = has::GREEKS | (has::DELTA * 31);
            let option = last | greeks | has::VTT | has::OI | has::IV | has::DEPTH;
            let allowed = has::MODE
                | match kind {
                    Kind::None | Kind::Full => 0,
                    Kind::Ltpc => last,
                    Kind::Index => last | has::OHLC,
                    Kind::FirstLevel => option,
                    Kind::Market => option | has::ATP | has::TBQ | has::TSQ | has::OHLC,
                };
            let mut present = bits & allowed;
            if kind == Kind::Ltpc {
                present |= has::LTPC;
            }
            if present & has::LTPC == 0 {
                present &= !last;
            }
            if present & has::GREEKS == 0 {
                present &= !greeks;
            }
            let of = |bit: u32| present & bit != 0;
            let double = |at: usize, bit: u32| if of(bit) { doubles[at] } else { 0.0 };
            let integer = |at: usize, bit: u32| if of(bit) { integers[at] } else { 0 };
            let mut feed = Feed {
                key,
                kind,
                present,
                mode: if of(has::MODE) { mode } else { 0 },
                ltp: double(0, has::LTP),
                ltt: integer(0, has::LTT),
                ltq: integer(1, has::LTQ),
                cp: double(1, has::CP),
                atp: double(2, has::ATP),
                vtt: integer(2, has::VTT),
                oi: double(3, has::OI),
                iv: double(4, has::IV),
                tbq: double(5, has::TBQ),
                tsq: double(6, has::TSQ),
                greeks: [0, 1, 2, 3, 4].map(|at| double(7 + at, has::DELTA << at)),
                ..Feed::default()
            };
            if of(has::DEPTH) {
                let most = if kind == Kind::FirstLevel { 1 } else { levels.len() };
                levels.iter().take(most).for_each(|level| feed.push_level(*level));
                if kind == Kind::FirstLevel && levels.is_empty() {
                    feed.push_level(Level::default());
                }
            }
            if of(has::OHLC) {
                candles.iter().for_each(|candle| feed.push_ohlc(*candle));
            }
            feed
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_emitted_is_read(list in prop::collection::vec(any_feed(), 0..6), which in 0..4_i32, ts: i64,
                                statuses in prop::collection::vec(any::<i32>(), 0..4)) {
        let told: Vec<_> = statuses.iter().map(|status| (&b"NSE_FO"[..], *status)).collect();
        let bytes = emit::message(which, &list, ts, &told);
        let found = message(&bytes).unwrap();
        prop_assert_eq!((found.kind, found.current_ts, found.error), (which, ts, None));
        prop_assert_eq!(feeds(&bytes), (list, 0));
        let heard: Vec<_> = found.statuses().map(Result::unwrap).collect();
        prop_assert_eq!(heard, told);
    }

    #[test]
    fn a_message_that_is_cut_keeps_the_feeds_before_the_cut(list in prop::collection::vec(any_feed(), 1..6), at: prop::sample::Index) {
        let bytes = emit::message(1, &list, 5, &[]);
        let cut = &bytes[..at.index(bytes.len())];
        let Ok(found) = message(cut) else { return Ok(()) };
        let (whole, bad) = feeds(cut);
        prop_assert_eq!(bad, 0);
        prop_assert_eq!(&whole[..], &list[..whole.len()]);
        let before = emit::message(1, &list[..whole.len()], 0, &[]).len();
        prop_assert!(cut.is_empty() || found.error.is_some() || cut.len() >= before && whole.len() == list.len() || cut.len() == before);
    }

    #[test]
    fn no_bytes_make_it_fail(bytes: Vec<u8>) {
        if let Ok(found) = message(&bytes) {
            let mut feed = Feed::default();
            let (mut walk, mut count) = (found.walk(), 0);
            while walk.next(&mut feed).is_some() { count += 1; }
            prop_assert_eq!(count, found.feeds);
            prop_assert!(found.statuses().count() <= bytes.len());
        }
    }
}
