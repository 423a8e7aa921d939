//! Four readers while one writer appends, turns pages and revises: no row is torn, and no view ever changes.
//!
//! Every word of a row is a function of the row's number and of how often it was revised, so a reader can tell by
//! a view alone whether it saw anything half written, moved or taken back.
#![expect(
    clippy::disallowed_methods,
    reason = "the ring is written for readers in other threads"
)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use tickloom_core::bar::{Row, WORDS};
use tickloom_core::ring::{Page, Ring, View};

const READERS: u64 = 4;
const CAPACITY: usize = 48;
/// How often a reader looks at one page before it asks for the newest.
const LOOKS: u64 = 16;
const NUMBER: u64 = (1 << 32) - 1;

/// One word of a row: the number is its time, everything else tells the revision as well.
fn word(seed: u64, word: u64) -> u64 {
    match word {
        0 => seed & NUMBER,
        // Below 2^62, so that a word that is read as a float is none of the many values of NaN.
        _ => (seed.wrapping_add(word).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 3) | 1,
    }
}

fn row(number: u64, revision: u64) -> Row {
    let seed = number | revision << 32;
    let mut words = [0; WORDS];
    for (at, out) in words.iter_mut().enumerate() {
        *out = if at == 1 { seed } else { word(seed, at as u64) };
    }
    Row::from_words(&words)
}

/// Reads every column of rows `[start, end)` and gives their sum; a row that is not one row panics.
fn read(page: &Page, start: usize, end: usize) -> u64 {
    let rows = start..end;
    let seeds = &page.column(1)[rows.clone()];
    let mut sum = 0_u64;
    for column in 0..WORDS {
        let values = &page.column(column)[rows.clone()];
        let mut torn = 0_u64;
        for (value, seed) in values.iter().zip(seeds) {
            let (value, seed) = (value.load(Ordering::Relaxed), seed.load(Ordering::Relaxed));
            let expected = if column == 1 {
                seed
            } else {
                word(seed, column as u64)
            };
            torn |= value ^ expected;
            sum = sum.wrapping_mul(31).wrapping_add(value);
        }
        assert_eq!(torn, 0, "column {column} of rows {start} to {end} is torn");
    }
    let times = &page.column(0)[rows];
    for pair in times.windows(2) {
        let [older, newer] = [0, 1].map(|at| pair[at].load(Ordering::Relaxed));
        assert_eq!(older + 1, newer, "bars are not in order");
    }
    sum
}

/// Reads the row that was published last at once, last word first: a length that came too early shows here.
fn read_newest(page: &Page) {
    let newest = page.len() - 1;
    let value = |column: usize| page.column(column)[newest].load(Ordering::Relaxed);
    let words: [u64; WORDS] = core::array::from_fn(|at| value(WORDS - 1 - at));
    let seed = words[WORDS - 2];
    for (at, got) in words.into_iter().rev().enumerate() {
        let expected = if at == 1 { seed } else { word(seed, at as u64) };
        assert_eq!(got, expected, "column {at} of the newest row is torn");
    }
}

fn of(view: &View) -> u64 {
    read(&view.page, view.start, view.end)
}

/// The ring behind its lock. The counter says again what the lock says, in words that a sanitizer reads: the lock's
/// own are in the standard library, which is not compiled for it.
struct Shared {
    ring: Mutex<Ring>,
    turns: AtomicU64,
}

impl Shared {
    fn with<T>(&self, act: impl FnOnce(&mut Ring) -> T) -> T {
        let mut ring = self.ring.lock().unwrap();
        self.turns.fetch_add(1, Ordering::AcqRel);
        let done = act(&mut ring);
        self.turns.fetch_add(1, Ordering::AcqRel);
        done
    }
}

struct Run {
    appended: u64,
    revised: u64,
    pages: u64,
}

fn run(reads: u64) -> Run {
    let mut ring = Ring::new(CAPACITY, &Page::new(0));
    (1..=CAPACITY as u64).for_each(|number| ring.push(row(number, 0)));
    let early = ring.view();
    let before = of(&early);
    let shared = Shared {
        ring: Mutex::new(ring),
        turns: AtomicU64::new(0),
    };
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let written = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut run = Run {
                appended: CAPACITY as u64,
                revised: 0,
                pages: 0,
            };
            let mut page = early.page.clone();
            while !stop.load(Ordering::Relaxed) || run.appended < 10_000 {
                let now = shared.with(|ring| {
                    run.appended += 1;
                    ring.push(row(run.appended, 0));
                    if run.appended.is_multiple_of(29) {
                        run.revised += 1;
                        ring.put(row(run.appended - 20, run.revised & 0xffff));
                    }
                    ring.flush();
                    ring.view().page
                });
                run.pages += u64::from(!page.is(&now));
                page = now;
            }
            run
        });
        let reader = || {
            let share = reads / READERS / WORDS as u64;
            let mine = shared.with(Ring::view);
            let first = of(&mine);
            for look in 0..share / LOOKS {
                let view = shared.with(Ring::view);
                assert!(
                    view.len() == CAPACITY,
                    "the last {CAPACITY} bars are not in one piece"
                );
                let sum = of(&view);
                for _ in 2..LOOKS {
                    // Without the lock, while the writer is at the same page.
                    read_newest(&view.page);
                    read(&view.page, view.start, view.page.len());
                }
                assert_eq!(of(&view), sum, "a view has changed");
                if look % 4096 == 0 {
                    assert_eq!(of(&mine), first, "a view has changed");
                }
            }
            assert_eq!(of(&mine), first, "a view has changed");
            done.fetch_add(share / LOOKS * LOOKS * WORDS as u64, Ordering::Relaxed);
        };
        // However a reader ends, the writer must end too, or the scope waits for ever.
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        {
            let _stop = Stop(&stop);
            let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(reader)).collect();
            readers.into_iter().for_each(|reader| reader.join().unwrap());
        }
        writer.join().unwrap()
    });
    assert_eq!(of(&early), before, "the view taken first has changed");
    assert!(done.load(Ordering::Relaxed) > reads * 9 / 10);
    written
}

fn assert_it_was_worth_reading(run: &Run) {
    assert!(run.appended >= 10_000 && run.revised >= 300 && run.pages >= 800);
}

#[test]
fn four_readers_see_whole_rows_while_pages_turn_and_bars_are_revised() {
    assert_it_was_worth_reading(&run(4_000_000));
}

#[test]
#[ignore = "takes minutes: cargo test --release -p tickloom-core --test readers -- --ignored --nocapture"]
#[expect(clippy::disallowed_macros, reason = "a long run says what it did")]
fn a_thousand_million_column_reads_see_whole_rows() {
    let run = run(1_000_000_000);
    assert_it_was_worth_reading(&run);
    println!(
        "1,000,000,000 column reads of {CAPACITY} rows or more by {READERS} readers, none torn; meanwhile {} bars appended, {} revised, {} pages turned",
        run.appended, run.revised, run.pages
    );
}
