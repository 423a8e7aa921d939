//! The same ticks on different ways give the same bars, word for word: short way or long, split frames or joined.

use tickloom_core::aggregate::{Options, Tally};
use tickloom_core::bar::{Row, Vwap, WORDS};
use tickloom_core::engine::{Config, Engine};
use tickloom_core::interval::Interval;
use tickloom_core::market::{Event, Faults, Market, Population};
use tickloom_core::units::{Ns, SECOND, ist_midnight};

const DAY: i64 = 20_635;
const OPEN: Ns = ist_midnight(DAY) + 33_300 * SECOND;
const NAMES: [&str; 9] = ["1m", "3m", "5m", "10m", "15m", "60m", "7s", "30s", "1s"];

fn events(seed: u64, faults: Faults) -> Vec<Event> {
    let population = Population {
        liquid: 6,
        middling: 6,
        thin: 6,
        indices: 1,
        end: 33_300 + 900,
        faults,
        ..Population::default()
    };
    let mut market = Market::new(population.config(DAY, 1).unwrap(), seed).unwrap();
    market.events().collect()
}

fn engine(options: Options) -> Engine {
    let intervals = NAMES.iter().map(|name| Interval::parse(name).unwrap()).collect();
    Engine::new(Config {
        intervals,
        options,
        ..Config::default()
    })
}

/// The whole packets of a frame, each as a frame of its own.
fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    tickloom_core::wire::kite::frame(bytes)
        .map(|body| {
            let mut one = vec![0, 1];
            one.extend((body.len() as u16).to_be_bytes());
            one.extend(body);
            one
        })
        .collect()
}

/// Runs the events and gives every word of every bar, sealed and unsealed, and the tally.
fn run(events: &[Event], options: Options, apart: bool) -> (Vec<[u64; WORDS]>, Tally, Vec<String>) {
    let mut engine = engine(options);
    for event in events {
        match event {
            Event::Frame { received_ns, bytes } if apart => {
                for one in split(bytes) {
                    engine.apply(&one, *received_ns).unwrap();
                }
            }
            Event::Frame { received_ns, bytes } => {
                let _ = engine.apply(bytes, *received_ns);
            }
            Event::Disconnected { at } => engine.disconnected(*at),
            _ => {}
        }
    }
    let mut words = Vec::new();
    let mut accounts = Vec::new();
    for slot in 0..engine.instruments().len() {
        for series in 0..NAMES.len() {
            let view = engine.book_mut().ring(slot, series).view();
            words.extend((0..view.len()).map(|at| view.row(at).words()));
            let unsealed = engine.book_mut().unsealed(slot, series);
            words.extend(unsealed.iter().map(|(row, _): &(Row, Ns)| row.words()));
        }
        accounts.push(format!("{:?}", engine.book_mut().account(slot)));
    }
    let tally = engine.counts().1;
    (words, tally, accounts)
}

fn options() -> Vec<Options> {
    let base = Options::default();
    let mut ltp = base;
    ltp.saying.vwap = Vwap::Ltp;
    let mut atp = base;
    atp.saying.vwap = Vwap::Atp;
    vec![
        base,
        ltp,
        atp,
        Options {
            grace: 0,
            revise: 0,
            ..base
        },
    ]
}

#[test]
fn the_short_way_and_the_long_way_make_the_same_bars() {
    for seed in 1..4 {
        for faults in [Faults::default(), Faults::all(OPEN)] {
            let events = events(seed, faults);
            for options in options() {
                let short = run(&events, options, false);
                let long = run(
                    &events,
                    Options {
                        short_way: false,
                        ..options
                    },
                    false,
                );
                assert!(short.0.len() > 1_000);
                assert!(
                    short == long,
                    "seed {seed}, {options:?}: {:?}\n{:?}",
                    short.1,
                    long.1
                );
            }
        }
    }
}

#[test]
fn splitting_frames_changes_nothing() {
    for seed in 1..4 {
        let events = events(seed, Faults::all(OPEN));
        assert!(
            run(&events, Options::default(), false) == run(&events, Options::default(), true),
            "seed {seed}"
        );
    }
}

#[test]
fn three_replays_are_byte_identical() {
    let events = events(9, Faults::all(OPEN));
    let first = run(&events, Options::default(), false);
    assert!(
        first == run(&events, Options::default(), false) && first == run(&events, Options::default(), false)
    );
}
