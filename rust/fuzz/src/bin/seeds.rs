//! Writes the seed corpus, all of it made by emit: `seeds FOLDER`.

use std::{env, fs, path::Path};

use tickloom_core::wire::kite::emit::FrameBuilder;
use tickloom_core::wire::kite::packet::{Depth20, Full, IndexFull, IndexQuote, Level, Ltp, Ltpc, Quote};

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

fn main() {
    let folder = env::args().nth(1).expect("usage: seeds FOLDER");
    for (target, seeds) in [("frame", frames()), ("roundtrip", scripts())] {
        let folder = Path::new(&folder).join(target);
        fs::create_dir_all(&folder).expect("the folder can be made");
        for (name, bytes) in seeds {
            fs::write(folder.join(name), bytes).expect("the seed can be written");
        }
    }
}
