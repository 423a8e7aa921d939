//! Nanoseconds of the core alone, without Python. The argument is the number of packets one iteration handles.

use std::hint::black_box;

use divan::Bencher;
use tickloom_core::engine::{Config, Engine, Pushed};
use tickloom_core::interval::Interval;
use tickloom_core::lookup::TokenMap;
use tickloom_core::tick::{TickRow, decode_rows, decode_rows_portably};
use tickloom_core::units::{Ns, SECOND};
use tickloom_core::wire::kite::packet::{Full, Level};
use tickloom_core::wire::kite::{ScaleTable, census, emit::FrameBuilder};
use zerocopy::FromZeros;

fn main() {
    divan::main();
}

/// 2026-07-01 09:15:00 IST.
const OPEN: u32 = 1_782_877_500;
const PACKETS_PER_FRAME: usize = 200;

/// A made-up market in full mode: each second every instrument once, 40 % of them with a trade.
struct Stream {
    packets: Vec<Full>,
    now: u32,
    random: u64,
}

impl Stream {
    fn new(instruments: u32) -> Self {
        let packets = (0..instruments).map(|index| {
            let price = 100_000 + 5 * index;
            let level = |away: u32| Level {
                quantity: 75.into(),
                price: away.into(),
                orders: 7.into(),
                ..Level::default()
            };
            Full {
                instrument_token: (((index * 7 + 1) << 8) | 1).into(),
                last_price: price.into(),
                average_traded_price: price.into(),
                close: price.into(),
                bids: [5, 10, 15, 20, 25].map(|away| level(price - away)),
                asks: [5, 10, 15, 20, 25].map(|away| level(price + away)),
                ..Full::default()
            }
        });
        Self {
            packets: packets.collect(),
            now: OPEN - 1,
            random: 1,
        }
    }

    fn next_random(&mut self) -> u32 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as u32
    }

    /// Moves every instrument on by a second, and puts them in another order, as a feed would.
    fn step(&mut self) {
        self.now += 1;
        for index in 0..self.packets.len() {
            let random = self.next_random();
            self.packets.swap(index, random as usize % (index + 1));
        }
        for index in 0..self.packets.len() {
            let random = self.next_random();
            let packet = &mut self.packets[index];
            packet.exchange_timestamp = self.now.into();
            packet.total_buy_quantity = random.into();
            if random % 10 < 4 {
                let price = packet.last_price.get() + 5 * (random % 3) - 5;
                packet.last_price = price.into();
                packet.average_traded_price = price.into();
                packet.volume_traded = (packet.volume_traded.get() + 1 + random % 100).into();
                packet.last_trade_time = self.now.into();
                packet.high = price.max(packet.high.get()).into();
                packet.low = if packet.low.get() == 0 {
                    price
                } else {
                    price.min(packet.low.get())
                }
                .into();
            }
        }
    }

    /// The next second as frames and the time they are received.
    fn second(&mut self) -> (Ns, Vec<Vec<u8>>) {
        self.step();
        let frame = |packets: &[Full]| {
            let mut builder = FrameBuilder::new();
            packets.iter().for_each(|packet| builder.push(packet));
            builder.finish()
        };
        let frames = self.packets.chunks(PACKETS_PER_FRAME).map(frame).collect();
        (Ns::from(self.now) * SECOND + 920_000_000, frames)
    }
}

fn frame_of(packets: u32) -> Vec<u8> {
    let mut stream = Stream::new(packets);
    stream.step();
    stream.second().1.remove(0)
}

fn engine() -> Engine {
    let intervals = [1, 3, 5, 10, 15, 30, 60]
        .map(|minutes| Interval::Seconds(60 * minutes))
        .to_vec();
    Engine::new(Config {
        intervals,
        ..Config::default()
    })
}

/// Walks the frame and counts: what `parse` pays before it looks at a field.
#[divan::bench(args = [1, 50, 200])]
fn census_of_a_frame(bencher: Bencher, packets: u32) {
    let bytes = frame_of(packets);
    bencher.bench_local(|| census(black_box(&bytes)));
}

fn decode_with(
    bencher: Bencher,
    packets: u32,
    decode: impl Fn(&[u8], &tickloom_core::wire::kite::Census, &ScaleTable, &mut [TickRow]) -> usize,
) {
    let bytes = frame_of(packets);
    let scales = ScaleTable::kite();
    let census = census(&bytes).expect("a whole frame");
    let mut rows = vec![TickRow::new_zeroed(); packets as usize];
    // The first call asks the processor what it can. Timed, those microseconds would make divan take samples
    // of one iteration, which the clock is too coarse for.
    decode(&bytes, &census, &scales, &mut rows);
    bencher.bench_local(|| decode(black_box(&bytes), &census, &scales, black_box(&mut rows)));
}

/// Every field of every packet into rows, with the instructions that the processor has.
#[divan::bench(args = [1, 50, 200])]
fn decode(bencher: Bencher, packets: u32) {
    decode_with(bencher, packets, decode_rows);
}

/// The same on a processor without them.
#[divan::bench(args = [1, 50, 200])]
fn decode_portably(bencher: Bencher, packets: u32) {
    decode_with(bencher, packets, decode_rows_portably);
}

/// Token to slot.
#[divan::bench(args = [3_000, 9_000])]
fn lookup(bencher: Bencher, packets: u32) {
    let mut stream = Stream::new(packets);
    stream.step();
    let tokens: Vec<u32> = stream.packets.iter().map(|p| p.instrument_token.get()).collect();
    let mut map = TokenMap::new();
    for token in &tokens {
        map.insert(*token);
    }
    bencher.bench_local(|| {
        black_box(&tokens)
            .iter()
            .filter_map(|token| map.get(*token))
            .sum::<usize>()
    });
}

/// Ticks from elsewhere to bars of seven intervals: aggregation without the wire.
#[divan::bench(args = [3_000, 9_000], sample_count = 60, sample_size = 1)]
fn aggregate(bencher: Bencher, packets: u32) {
    let mut stream = Stream::new(packets);
    let mut engine = engine();
    let mut ticks = || -> Vec<(u32, Pushed)> {
        stream.step();
        let time = Ns::from(stream.now) * SECOND;
        let tick = |packet: &Full| {
            let pushed = Pushed {
                price: f64::from(packet.last_price.get()) / 100.0,
                time,
                cumulative: Some(packet.volume_traded.get().into()),
                quantity: None,
                oi: None,
                rx: Some(time + 920_000_000),
            };
            (packet.instrument_token.get(), pushed)
        };
        stream.packets.iter().map(tick).collect()
    };
    for (token, tick) in ticks().iter().chain(&ticks()) {
        engine.push(*token, tick).expect("a good tick");
    }
    bencher.with_inputs(ticks).bench_local_values(|ticks| {
        for (token, tick) in &ticks {
            engine.push(*token, tick).expect("a good tick");
        }
    });
}

/// Bytes to bars of seven intervals, 200 packets a frame: decode, lookup, aggregate, keep the last packet.
#[divan::bench(args = [3_000, 9_000], sample_count = 60, sample_size = 1)]
fn pipeline(bencher: Bencher, packets: u32) {
    let mut stream = Stream::new(packets);
    let mut engine = engine();
    for _ in 0..130 {
        let (received, frames) = stream.second();
        for frame in &frames {
            let _ = engine.apply(frame, received);
        }
    }
    bencher
        .with_inputs(|| stream.second())
        .bench_local_values(|(received, frames)| {
            for frame in &frames {
                let _ = black_box(engine.apply(frame, received));
            }
        });
}
