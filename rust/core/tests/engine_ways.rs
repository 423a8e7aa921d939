//! The same ticks on different ways give the same bars, word for word: short way or long, split frames or joined.

use tickloom_core::aggregate::{BucketBy, EventKind, Options, Tally};
use tickloom_core::bar::{Row, Vwap, WORDS};
use tickloom_core::engine::{Config, Engine, Pushed};
use tickloom_core::interval::Interval;
use tickloom_core::market::{Event, Faults, Market, Population};
use tickloom_core::units::{Ns, SECOND, ist_midnight};

const DAY: i64 = 20_635;
const OPEN: Ns = ist_midnight(DAY) + 33_300 * SECOND;
const NAMES: [&str; 10] = ["1m", "3m", "5m", "10m", "15m", "60m", "7s", "30s", "1s", "1d"];

/// Where the short way turns the minute by itself, and where it does not.
const SETS: [&[&str]; 5] = [
    &["1m", "3m", "5m", "10m", "15m", "30m", "60m"],
    &["1m"],
    &["5s"],
    &["3m", "1d"],
    &["1m", "2m", "7m", "1d", "1w"],
];

fn events(seed: u64, faults: Faults) -> Vec<Event> {
    events_until(seed, faults, 33_300 + 900)
}

fn events_until(seed: u64, faults: Faults, end: u32) -> Vec<Event> {
    let population = Population {
        liquid: 6,
        middling: 6,
        thin: 6,
        indices: 1,
        end,
        faults,
        ..Population::default()
    };
    let mut market = Market::new(population.config(DAY, 1).unwrap(), seed).unwrap();
    market.events().collect()
}

fn engine(options: Options, names: &[&str]) -> Engine {
    let intervals = names.iter().map(|name| Interval::parse(name).unwrap()).collect();
    Engine::new(Config {
        intervals,
        options,
        max_events: 1 << 20,
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

/// What a run leaves: every word of every bar, sealed and unsealed; what was said of them and when; the counters.
#[derive(Debug, PartialEq)]
struct Left {
    words: Vec<[u64; WORDS]>,
    said: Vec<(u32, u16, EventKind, [u64; WORDS])>,
    tally: Tally,
    accounts: Vec<String>,
    board: Vec<u8>,
}

/// How the events come to an engine.
#[derive(Clone, Copy, Default)]
struct How {
    /// Every packet in a frame of its own.
    apart: bool,
    /// A reader asks for something after every so many frames; 0 for never.
    reads: usize,
}

fn run(events: &[Event], options: Options, names: &[&str], how: How) -> Left {
    let mut engine = engine(options, names);
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Frame { received_ns, bytes } if how.apart => {
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
        let slots = engine.instruments().len();
        if how.reads > 0 && slots > 0 && at % how.reads == 0 {
            let (slot, series) = (at / how.reads % slots, at % names.len());
            let _ = engine.book_mut().unsealed(slot, series);
            let _ = engine.book_mut().account((slot + 1) % slots);
            engine.book_mut().ring((slot + 2) % slots, series).view();
        }
    }
    let mut words = Vec::new();
    let mut accounts = Vec::new();
    for slot in 0..engine.instruments().len() {
        for series in 0..names.len() {
            let view = engine.book_mut().ring(slot, series).view();
            words.extend((0..view.len()).map(|at| view.row(at).words()));
            let unsealed = engine.book_mut().unsealed(slot, series);
            words.extend(unsealed.iter().map(|(row, _): &(Row, Ns)| row.words()));
        }
        accounts.push(format!("{:?}", engine.book_mut().account(slot)));
    }
    let tally = engine.counts().1;
    let said = engine
        .drain()
        .map(|event| (event.slot, event.interval, event.kind, event.row.words()))
        .collect();
    Left {
        words,
        said,
        tally,
        accounts,
        board: engine.board(),
    }
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
        Options {
            bucket_by: BucketBy::Exchange,
            ..base
        },
    ]
}

/// The long way, with nobody looking: what every other way is held against.
fn held_against(events: &[Event], options: Options, names: &[&str]) -> Left {
    let long = Options {
        short_way: false,
        ..options
    };
    run(events, long, names, How::default())
}

#[track_caller]
fn assert_same(short: &Left, long: &Left, what: &str) {
    assert!(long.words.len() > 15, "{what}");
    for (at, (short, long)) in short.said.iter().zip(&long.said).enumerate() {
        assert_eq!(short, long, "event {at} of {what}");
    }
    assert!(short == long, "{what}: {:?}\n{:?}", short.tally, long.tally);
}

#[test]
fn the_short_way_and_the_long_way_make_the_same_bars() {
    for seed in 1..4 {
        for faults in [Faults::default(), Faults::all(OPEN)] {
            let events = events(seed, faults);
            for options in options() {
                for names in SETS.into_iter().chain([&NAMES[..]]) {
                    let short = run(&events, options, names, How::default());
                    let long = held_against(&events, options, names);
                    assert_same(&short, &long, &format!("{names:?}, seed {seed}, {options:?}"));
                }
            }
        }
    }
}

/// Full packets with a field changed that a broker changes only with others: a price, an average, the day's open or
/// close, without a trade or with one.
fn odd(mut events: Vec<Event>) -> Vec<Event> {
    let mut count = 0;
    for event in &mut events {
        let Event::Frame { bytes, .. } = event else {
            continue;
        };
        let mut at = 2;
        while at + 2 + 184 <= bytes.len() {
            let length = usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
            at += 2;
            if length == 184 {
                count += 1;
                let field = [Some(4), Some(12), Some(28), Some(40), None][count % 5];
                if let Some(field) = field.filter(|_| count % 3 == 0) {
                    bytes[at + field + 3] ^= 1 + (count / 15 % 2) as u8;
                }
            }
            at += length;
        }
    }
    events
}

#[test]
fn packets_that_contradict_the_last_one_are_the_same_on_both_ways() {
    for seed in 1..4 {
        let events = odd(events(seed, Faults::default()));
        let long = Options {
            short_way: false,
            ..Options::default()
        };
        for names in [&NAMES[..]].into_iter().chain(SETS) {
            let short = run(&events, Options::default(), names, How::default());
            let long = run(&events, long, names, How::default());
            assert!(short.words == long.words, "seed {seed}: bars of {names:?}");
            assert!(short.board == long.board, "seed {seed}: boards");
            assert!(short == long, "seed {seed}: {:?}\n{:?}", short.tally, long.tally);
        }
    }
}

#[test]
fn a_reader_changes_nothing() {
    for seed in 1..4 {
        for faults in [Faults::default(), Faults::all(OPEN)] {
            let events = events(seed, faults);
            for (names, reads) in SETS.into_iter().zip([1, 2, 7, 30, 3]) {
                let read = run(&events, Options::default(), names, How { reads, apart: false });
                let long = held_against(&events, Options::default(), names);
                assert_same(&read, &long, &format!("{names:?}, seed {seed}"));
            }
        }
    }
}

#[test]
fn a_whole_day_is_the_same_on_both_ways() {
    for (seed, faults) in [(1, Faults::default()), (2, Faults::all(OPEN))] {
        let events = events_until(seed, faults, 57_600);
        for names in [SETS[0], SETS[3], SETS[4]] {
            let short = run(&events, Options::default(), names, How::default());
            let long = held_against(&events, Options::default(), names);
            assert_same(&short, &long, &format!("{names:?}, seed {seed}"));
        }
    }
}

#[test]
fn splitting_frames_changes_nothing() {
    for seed in 1..4 {
        let events = events(seed, Faults::all(OPEN));
        for names in [SETS[0], &NAMES] {
            let apart = How {
                apart: true,
                reads: 0,
            };
            let joined = run(&events, Options::default(), names, How::default());
            assert_same(
                &run(&events, Options::default(), names, apart),
                &joined,
                &format!("seed {seed}"),
            );
        }
    }
}

#[test]
fn three_replays_are_byte_identical() {
    let events = events(9, Faults::all(OPEN));
    let replay = || run(&events, Options::default(), &NAMES, How::default());
    let first = replay();
    assert!(first == replay() && first == replay());
}

#[test]
fn a_pushed_tick_leaves_the_boards_packet_alone_on_either_way() {
    let events = events(1, Faults::default());
    let [short, long] = [true, false].map(|short_way| {
        let mut last = 0;
        let mut played = || {
            let options = Options {
                short_way,
                ..Options::default()
            };
            let mut engine = engine(options, &NAMES);
            for event in &events {
                if let Event::Frame { received_ns, bytes } = event {
                    engine.apply(bytes, *received_ns).unwrap();
                    last = *received_ns;
                }
            }
            engine
        };
        // Reading a board makes its packets whole: the one that is pushed to has not been read.
        let before = played().board();
        let mut engine = played();
        let tokens: Vec<u32> = engine.instruments().iter().map(|name| name.token).collect();
        for token in tokens {
            let tick = Pushed {
                price: 1.0,
                time: last,
                quantity: Some(5),
                cumulative: None,
                oi: None,
                rx: None,
            };
            engine.push(token, &tick).unwrap();
        }
        (before, engine.board())
    });
    assert!(short == long);
    assert!(short.0 == short.1);
}
