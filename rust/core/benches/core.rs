//! Nanoseconds of the core alone, without Python. The argument is the number of packets one iteration handles.

use std::hint::black_box;

use divan::Bencher;
use tickloom_core::wire::kite::packet::{Full, Level};
use tickloom_core::wire::kite::{Packet, ScaleTable, census, emit::FrameBuilder, frame};

fn main() {
    divan::main();
}

/// A frame of full packets of as many instruments.
fn full_frame(packets: u32) -> Vec<u8> {
    let mut builder = FrameBuilder::new();
    for index in 0..packets {
        let price = 100_000 + 5 * index;
        let level = |away: u32| Level {
            quantity: (75 + index).into(),
            price: (price + away).into(),
            orders: 7.into(),
            padding: 0.into(),
        };
        builder.push(&Full {
            instrument_token: (((index * 7 + 1) << 8) | 1).into(),
            last_price: price.into(),
            last_traded_quantity: 25.into(),
            average_traded_price: price.into(),
            volume_traded: (1_000_000 + index).into(),
            open: price.into(),
            high: (price + 10).into(),
            low: (price - 10).into(),
            close: price.into(),
            last_trade_time: 1_782_877_500.into(),
            exchange_timestamp: 1_782_877_501.into(),
            bids: [5, 10, 15, 20, 25].map(|away| level(25 - away)),
            asks: [5, 10, 15, 20, 25].map(level),
            ..Full::default()
        });
    }
    builder.finish()
}

/// Walks the frame and counts: what `apply` pays before it looks at a field.
#[divan::bench(args = [1, 50, 200])]
fn walk(bencher: Bencher, packets: u32) {
    let bytes = full_frame(packets);
    bencher.bench_local(|| census(black_box(&bytes)));
}

/// Reads the sixteen prices of every packet as exact floats.
#[divan::bench(args = [1, 50, 200])]
fn prices(bencher: Bencher, packets: u32) {
    let bytes = full_frame(packets);
    let scales = ScaleTable::kite();
    bencher.bench_local(|| {
        let mut sum = 0.0;
        for body in frame(black_box(&bytes)) {
            if let Packet::Full(full) = Packet::read(body) {
                let scale = scales.of(full.instrument_token.get());
                let head = [
                    full.last_price,
                    full.average_traded_price,
                    full.open,
                    full.high,
                    full.low,
                    full.close,
                ];
                for price in head
                    .iter()
                    .chain(full.bids.iter().chain(&full.asks).map(|level| &level.price))
                {
                    sum += scale.to_f64(price.get());
                }
            }
        }
        sum
    });
}
