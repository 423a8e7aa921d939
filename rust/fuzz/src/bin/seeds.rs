//! Writes the seed corpus, all of it made by emit: `seeds FOLDER`.

use std::{env, fs, path::Path};

use tickloom_core::journal::{IndexEntry, Raw, Record, file_header, footer};
use tickloom_core::wire::kite::emit::FrameBuilder;
use tickloom_core::wire::kite::packet::{Depth20, Full, IndexFull, IndexQuote, Level, Ltp, Ltpc, Quote};
use tickloom_core::wire::upstox::{self, Feed, Kind, Ohlc, emit, has, kind};

fn full(token: u32) -> Full {
    let level = |n: u32| Level {
        quantity: (75 * n).into(),
        price: (10_000 + 5 * n).into(),
        orders: (n as u16).into(),
        padding: 0.into(),
    };
    Full {
        instrument_token: token.into(),
        last_price: 10_025.into(),
        close: 10_000.into(),
        volume_traded: 1_000.into(),
        last_trade_time: 1_782_877_500.into(),
        exchange_timestamp: 1_782_877_501.into(),
        bids: [5, 4, 3, 2, 1].map(level),
        asks: [6, 7, 8, 9, 10].map(level),
        ..Full::default()
    }
}

fn frames() -> Vec<(&'static str, Vec<u8>)> {
    let build = |fill: &dyn Fn(&mut FrameBuilder)| {
        let mut builder = FrameBuilder::new();
        fill(&mut builder);
        builder.finish()
    };
    let mixed = build(&|b| {
        b.push(&Ltp {
            instrument_token: 257.into(),
            last_price: 1.into(),
        });
        b.push(&Ltpc {
            instrument_token: 258.into(),
            last_price: 2.into(),
            close: 1.into(),
        });
        b.push(&IndexQuote {
            instrument_token: 265.into(),
            change: (-5).into(),
            ..IndexQuote::default()
        });
        b.push(&IndexFull {
            instrument_token: 265.into(),
            close: 7.into(),
            ..IndexFull::default()
        });
        b.push(&Quote {
            instrument_token: 259.into(),
            ..Quote::default()
        });
        b.push(&full(263));
        b.push_raw(b"not a packet");
        b.push(&Depth20 {
            instrument_token: 268.into(),
            ..Depth20::default()
        });
    });
    let fulls = build(&|b| (0..8).for_each(|n| b.push(&full(257 + 256 * n))));
    let mut lying = fulls.clone();
    lying[..2].copy_from_slice(&60_000u16.to_be_bytes());
    let mut trailing = fulls.clone();
    trailing[1] = 3;
    vec![
        ("heartbeat", vec![0]),
        ("no_packets", vec![0, 0]),
        ("ltp", build(&|b| b.push(&Ltp::default()))),
        ("full", build(&|b| b.push(&full(257)))),
        ("cut", fulls[..fulls.len() - 100].to_vec()),
        ("mixed", mixed),
        ("fulls", fulls),
        ("lying_count", lying),
        ("trailing", trailing),
        ("zero_lengths", build(&|b| (0..6).for_each(|_| b.push_raw(&[])))),
    ]
}

/// The roundtrip target reads a byte that chooses a layout before each packet's bytes.
fn scripts() -> Vec<(&'static str, Vec<u8>)> {
    let lengths = [8, 12, 28, 32, 44, 184, 492];
    let each: Vec<u8> = (0..7u8)
        .flat_map(|n| [vec![n], vec![n; lengths[usize::from(n)]]].concat())
        .collect();
    vec![
        ("ltps", [[0u8; 9], [0x40; 9]].concat()),
        ("each", each),
        ("unknown", vec![8 * 20 + 7; 50]),
        ("short", vec![5, 1, 2, 3]),
    ]
}

/// The engine target reads options, a start, and then what happens, all from single bytes; see `engine.rs`.
fn days() -> Vec<(&'static str, Vec<u8>)> {
    // A second each: a frame of one packet of a stock, with a trade or without.
    let trade = |traded: u8, price: u8| vec![4, 8, 0, 0, traded, price, 1, 0, 0, 1, 0, 20, 0];
    let quote = || vec![2, 8, 0, 0, 0, 10, 1, 1, 0, 20, 0];
    let walk = |start: [u8; 2], middle: Vec<u8>| {
        let mut bytes = vec![0, start[0], start[1]];
        for n in 0..24 {
            bytes.extend(trade(1 + n % 7, 7 + n % 6));
            bytes.extend(quote());
        }
        bytes.extend(middle);
        for n in 0..24 {
            bytes.extend(trade(1 + n % 5, 12 - n % 6));
            bytes.extend(quote());
        }
        bytes
    };
    let raw = {
        let frame = frames()
            .into_iter()
            .find(|(name, _)| *name == "mixed")
            .expect("it is there")
            .1;
        let length = [(frame.len() / 4) as u8, (frame.len() % 4) as u8];
        [&[4, 5][..], &length, &frame].concat()
    };
    let pushes: Vec<u8> = (0..40)
        .flat_map(|n| [4, 3, n % 5, n % 15, n % 4, 20 + n, 2, 1, n % 3])
        .collect();
    vec![
        ("morning", walk([0, 1], vec![])),
        ("auction", walk([1, 0], vec![4, 6, 1])),
        ("closing", walk([1, 3], vec![4, 6, 1, 8, 2, 0, 0])),
        ("disconnected", walk([0, 2], vec![4, 1, 15, 0, 15, 0, 4, 2, 0, 1])),
        ("next_day", walk([0, 4], vec![4, 6, 3, 4, 0])),
        ("pushes", walk([0, 2], pushes)),
        ("raw_frame", walk([0, 2], raw)),
    ]
}

/// The journal target: an even byte and blocks as they are, or an odd one and what to write; see `journal.rs`.
fn journals() -> Vec<(&'static str, Vec<u8>)> {
    let block = |payloads: &[&[u8]]| {
        let mut raw = Raw::with_capacity(0);
        for (time, payload) in (1_782_877_500_000_000_000..).zip(payloads) {
            raw.push(&Record {
                kind: 1,
                connection: 0,
                time,
                payload,
            });
        }
        let mut out = Vec::new();
        raw.seal(&mut out);
        out
    };
    let frame = vec![7; 184];
    let two = [block(&[b"one", b"two"]), block(&[&frame, &frame, b"", &frame])].concat();
    let script: Vec<u8> = (0..60u8)
        .flat_map(|n| [vec![1 + n % 6, n % 3, n, n % 20], vec![n; usize::from(n % 20)]].concat())
        .collect();
    let offset = |n| IndexEntry {
        offset: n,
        first: 1,
        last: 2,
        records: 3,
        stored: 4,
    };
    vec![
        ("blocks", [&[0][..], &two].concat()),
        ("header", [&[0][..], &file_header("seed", 1)].concat()),
        (
            "footer",
            [&[0][..], &footer(&[offset(28), offset(99)], 200)].concat(),
        ),
        ("empty", vec![1, 0, 0, 0]),
        ("one_block", [&[1, 255, 100, 9][..], &script].concat()),
        ("many_blocks", [&[1, 1, 200, 3][..], &script].concat()),
    ]
}

/// Messages of Upstox's: a snapshot, a live one with every shape, one that is cut, and the status of the market.
fn messages() -> Vec<(&'static str, Vec<u8>)> {
    let open = 1_782_877_500_000;
    let last = has::LTPC | has::LTP | has::LTT | has::LTQ | has::CP;
    let market = |key: &'static [u8], seconds: i64, vtt: i64| {
        let mut feed = Feed {
            key,
            kind: Kind::Market,
            present: last | has::ATP | has::VTT | has::OI | has::TBQ | has::TSQ | has::MODE,
            mode: 1,
            ltp: 100.05 + seconds as f64 / 20.0,
            ltt: open + 1_000 * seconds,
            ltq: 5,
            cp: 99.0,
            atp: 100.0,
            vtt,
            oi: 75.0,
            tbq: 1e5,
            tsq: 2e5,
            ..Feed::default()
        };
        for n in 1..=5 {
            feed.push_level(upstox::Level {
                bid_quantity: 75 * n,
                bid_price: 100.0 - n as f64 / 20.0,
                ask_quantity: 50 * n,
                ask_price: 100.1 + n as f64 / 20.0,
            });
        }
        for (interval, ts) in [
            (&b"1d"[..], open - 33_300_000),
            (b"I1", open - 60_000),
            (b"I1", open),
        ] {
            feed.push_ohlc(Ohlc {
                interval,
                open: 100.0,
                high: 110.0,
                low: 90.0,
                close: 100.0,
                volume: vtt,
                ts,
            });
        }
        feed
    };
    let index = Feed {
        key: b"NSE_INDEX|Nifty 50",
        kind: Kind::Index,
        present: last,
        ltp: 25_012.3,
        ltt: open,
        ..Feed::default()
    };
    let mut option = Feed {
        key: b"NSE_FO|1",
        kind: Kind::FirstLevel,
        present: last | has::GREEKS | has::DELTA | has::VTT | has::OI | has::IV,
        ltp: 12.5,
        ltt: open + 500,
        vtt: 75,
        oi: 150.0,
        iv: 0.25,
        greeks: [0.5, 0.0, 0.0, 0.0, 0.0],
        ..Feed::default()
    };
    option.push_level(upstox::Level::default());
    let bare = Feed {
        key: b"NSE_EQ|A",
        kind: Kind::Ltpc,
        present: last,
        ltp: 101.0,
        ..Feed::default()
    };
    let at = |seconds: i64| market(b"NSE_EQ|A", seconds, 1_000 + 10 * seconds);
    let initial = emit::message(kind::INITIAL_FEED, [&at(-2), &index], open - 1_000, &[]);
    let live = emit::message(
        kind::LIVE_FEED,
        [&at(3), &option, &index, &bare],
        open + 4_000,
        &[],
    );
    let later = emit::message(kind::LIVE_FEED, [&at(80)], open + 81_000, &[]);
    let info = emit::message(kind::MARKET_INFO, [], open, &[(b"NSE_EQ", 2), (b"NSE_FO", 9)]);
    vec![
        ("cut", live[..live.len() - 150].to_vec()),
        ("info", info),
        ("initial", initial),
        ("later", later),
        ("live", live),
    ]
}

fn main() {
    let folder = env::args().nth(1).expect("usage: seeds FOLDER");
    for (target, seeds) in [
        ("engine", days()),
        ("frame", frames()),
        ("journal", journals()),
        ("roundtrip", scripts()),
        ("upstox", messages()),
    ] {
        let folder = Path::new(&folder).join(target);
        fs::create_dir_all(&folder).expect("the folder can be made");
        for (name, bytes) in seeds {
            fs::write(folder.join(name), bytes).expect("the seed can be written");
        }
    }
}
