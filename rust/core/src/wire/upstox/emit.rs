//! Stage 1, wire: the inverse of the walk, feeds to bytes: what tests, fuzzers and the simulated exchange send.

use super::feed::Feed;
use super::parts::{Kind, Level, Ohlc, has};

/// Builds one message, in the order in which the fields are numbered.
///
/// ```
/// use tickloom_core::wire::upstox::{Feed, Kind, emit, has, kind, message};
///
/// let feed = Feed { key: b"NSE_EQ|INE002A01018", kind: Kind::Ltpc, present: has::LTPC | has::LTP, ltp: 1.5, ..Feed::default() };
/// let bytes = emit::message(kind::LIVE_FEED, [&feed], 1_782_877_500_000, &[]);
/// assert_eq!(message(&bytes).unwrap().feeds, 1);
/// ```
pub fn message<'a, 'b: 'a>(
    kind: i32,
    feeds: impl IntoIterator<Item = &'a Feed<'b>>,
    current_ts: i64,
    statuses: &[(&[u8], i32)],
) -> Vec<u8> {
    let mut out = Vec::new();
    if kind != 0 {
        varint(&mut out, 1, i64::from(kind).cast_unsigned());
    }
    for feed in feeds {
        within(&mut out, 2, |entry| {
            bytes(entry, 1, feed.key);
            within(entry, 2, |out| shape(out, feed));
        });
    }
    if current_ts != 0 {
        varint(&mut out, 3, current_ts.cast_unsigned());
    }
    if !statuses.is_empty() {
        within(&mut out, 4, |info| {
            for (segment, status) in statuses {
                within(info, 1, |entry| {
                    bytes(entry, 1, segment);
                    varint(entry, 2, i64::from(*status).cast_unsigned());
                });
            }
        });
    }
    out
}

fn shape(out: &mut Vec<u8>, feed: &Feed<'_>) {
    match feed.kind {
        Kind::None => {}
        Kind::Ltpc => within(out, 1, |out| ltpc(out, feed)),
        Kind::Full => within(out, 2, |_| {}),
        Kind::Market => within(out, 2, |out| within(out, 1, |out| market(out, feed))),
        Kind::Index => within(out, 2, |out| within(out, 2, |out| index(out, feed))),
        Kind::FirstLevel => within(out, 3, |out| first_level(out, feed)),
    }
    if feed.has(has::MODE) {
        varint(out, 4, i64::from(feed.mode).cast_unsigned());
    }
}

fn market(out: &mut Vec<u8>, feed: &Feed<'_>) {
    last(out, feed);
    if feed.has(has::DEPTH) {
        within(out, 2, |out| {
            for level in feed.levels() {
                within(out, 1, |out| quote(out, level));
            }
        });
    }
    greeks(out, 3, feed);
    candles(out, 4, feed);
    double(out, 5, feed.atp, feed.has(has::ATP));
    integer(out, 6, feed.vtt, feed.has(has::VTT));
    double(out, 7, feed.oi, feed.has(has::OI));
    double(out, 8, feed.iv, feed.has(has::IV));
    double(out, 9, feed.tbq, feed.has(has::TBQ));
    double(out, 10, feed.tsq, feed.has(has::TSQ));
}

fn index(out: &mut Vec<u8>, feed: &Feed<'_>) {
    last(out, feed);
    candles(out, 2, feed);
}

fn first_level(out: &mut Vec<u8>, feed: &Feed<'_>) {
    last(out, feed);
    if feed.has(has::DEPTH) {
        let best = feed.levels().first().copied().unwrap_or_default();
        within(out, 2, |out| quote(out, &best));
    }
    greeks(out, 3, feed);
    integer(out, 4, feed.vtt, feed.has(has::VTT));
    double(out, 5, feed.oi, feed.has(has::OI));
    double(out, 6, feed.iv, feed.has(has::IV));
}

fn last(out: &mut Vec<u8>, feed: &Feed<'_>) {
    if feed.has(has::LTPC) {
        within(out, 1, |out| ltpc(out, feed));
    }
}

fn ltpc(out: &mut Vec<u8>, feed: &Feed<'_>) {
    double(out, 1, feed.ltp, feed.has(has::LTP));
    integer(out, 2, feed.ltt, feed.has(has::LTT));
    integer(out, 3, feed.ltq, feed.has(has::LTQ));
    double(out, 4, feed.cp, feed.has(has::CP));
}

fn quote(out: &mut Vec<u8>, level: &Level) {
    integer(out, 1, level.bid_quantity, level.bid_quantity != 0);
    double(out, 2, level.bid_price, level.bid_price != 0.0);
    integer(out, 3, level.ask_quantity, level.ask_quantity != 0);
    double(out, 4, level.ask_price, level.ask_price != 0.0);
}

fn greeks(out: &mut Vec<u8>, number: u32, feed: &Feed<'_>) {
    if feed.has(has::GREEKS) {
        within(out, number, |out| {
            for (at, greek) in (1_u32..).zip(feed.greeks) {
                double(out, at, greek, feed.has(has::DELTA << (at - 1)));
            }
        });
    }
}

fn candles(out: &mut Vec<u8>, number: u32, feed: &Feed<'_>) {
    if feed.has(has::OHLC) {
        within(out, number, |out| {
            for candle in feed.ohlc() {
                within(out, 1, |out| ohlc(out, candle));
            }
        });
    }
}

fn ohlc(out: &mut Vec<u8>, candle: &Ohlc<'_>) {
    bytes(out, 1, candle.interval);
    let prices = [candle.open, candle.high, candle.low, candle.close];
    for (number, price) in (2_u32..).zip(prices) {
        double(out, number, price, price != 0.0);
    }
    integer(out, 6, candle.volume, candle.volume != 0);
    integer(out, 7, candle.ts, candle.ts != 0);
}

fn double(out: &mut Vec<u8>, number: u32, value: f64, wanted: bool) {
    if wanted {
        raw(out, u64::from(number << 3 | 1));
        out.extend(value.to_bits().to_le_bytes());
    }
}

fn integer(out: &mut Vec<u8>, number: u32, value: i64, wanted: bool) {
    if wanted {
        varint(out, number, value.cast_unsigned());
    }
}

/// Appends a field with a number, known or not: how a test says something the schema does not.
pub fn varint(out: &mut Vec<u8>, number: u32, value: u64) {
    raw(out, u64::from(number << 3));
    raw(out, value);
}

/// Appends a field with bytes.
pub fn bytes(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    raw(out, u64::from(number << 3 | 2));
    raw(out, value.len() as u64);
    out.extend(value);
}

/// Appends a field with a message, which `fill` writes.
pub fn within(out: &mut Vec<u8>, number: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    fill(&mut inner);
    bytes(out, number, &inner);
}

fn raw(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
