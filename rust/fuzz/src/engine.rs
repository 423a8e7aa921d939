//! Any bytes as a script of frames, timers, disconnections, pushes and reads: the short way and the long way make
//! the same bars, every account closes, and no bar contradicts itself.

use tickloom_core::aggregate::{BucketBy, CloseOn, EdgeSplit, GapVolume, Options, PostClose, PreOpen};
use tickloom_core::bar::{Extremes, Row, Vwap};
use tickloom_core::engine::{Config, Engine, Pushed};
use tickloom_core::interval::Interval;
use tickloom_core::session::SessionTable;
use tickloom_core::units::{Ns, SECOND, ist_midnight};

use crate::script::Script;

/// Several bases, where every edge goes the long way; and one, where the short way turns the minute too.
const SETS: [&[&str]; 5] = [
    &["1m", "3m", "5m", "30s", "7s", "1d"],
    &["1m", "3m", "5m", "15m", "60m"],
    &["1m", "2m", "1d"],
    &["5s"],
    &["7m"],
];
/// 2026-07-01 and, with closing auctions, 2026-08-05.
const DAYS: [i64; 2] = [20_635, 20_670];
/// Seconds after Indian midnight: before the open, at it, in the day, at the closing auction, at the close.
const STARTS: [i64; 5] = [32_760, 33_280, 39_750, 54_870, 55_770];
const HOUR: Ns = 3_600 * SECOND;
/// A raw frame may name any token; beyond these they are counted and left out.
const MAX_INSTRUMENTS: usize = 12;

thread_local! {
    static SESSIONS: SessionTable = SessionTable::builtin();
}

/// What two engines that differ in the way alone have done so far.
struct Pair {
    engines: [Engine; 2],
    options: Options,
    series: usize,
}

/// # Panics
/// When the two ways differ, an account does not close, or a bar is none.
pub fn engine(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let options = options(&mut script);
    let mut pair = Pair::new(options, SETS[script.below(SETS.len())]);
    let day = DAYS[script.below(DAYS.len())];
    let mut now = ist_midnight(day) + STARTS[script.below(STARTS.len())] * SECOND;
    while !script.is_over() {
        now += script.step();
        match script.below(20) {
            0 => drop(pair.both(|engine| engine.advance(now))),
            1 => pair.both(|engine| engine.disconnected(now)),
            2 => {
                let (slot, series) = (script.below(MAX_INSTRUMENTS), script.below(pair.series));
                pair.look(slot, series);
            }
            3 | 4 => {
                let token = script.token();
                let tick = script.pushed(now);
                pair.both(|engine| engine.push(token, &tick).is_ok());
            }
            5 => {
                let frame = script.raw();
                pair.both(|engine| engine.apply(frame, now).is_ok());
            }
            6 => now += [60 * SECOND, 600 * SECOND, HOUR, 18 * HOUR, 70 * HOUR][script.below(5)],
            7 => drop(pair.both(Engine::board)),
            _ => {
                let frame = script.frame(now);
                let received = if script.below(32) == 31 { 0 } else { now };
                pair.both(|engine| engine.apply(&frame, received).is_ok());
            }
        }
    }
    pair.both(|engine| engine.advance(now + 30 * HOUR));
    pair.same();
}

/// A few options off their defaults, as the first bytes say.
fn options(script: &mut Script<'_>) -> Options {
    let mut options = Options::default();
    for _ in 0..script.below(4) {
        match script.below(12) {
            0 => options.saying.vwap = [Vwap::Ltp, Vwap::Atp, Vwap::Hlc3][script.below(3)],
            1 => options.grace = [0, SECOND, 6 * SECOND][script.below(3)],
            2 => options.revise = [0, 12 * SECOND][script.below(2)],
            3 => options.gap = 3 * SECOND,
            4 => options.bucket_by = [BucketBy::Exchange, BucketBy::Receive][script.below(2)],
            5 => options.edge_split = EdgeSplit::Prorata,
            6 => options.preopen = [PreOpen::Fold, PreOpen::Bar, PreOpen::Drop][script.below(3)],
            7 => options.postclose = [PostClose::Bar, PostClose::Drop][script.below(2)],
            8 => options.gap_volume = GapVolume::Exclude,
            9 => options.saying.extremes = [Extremes::Skip, Extremes::Off][script.below(2)],
            10 => options.close_on = CloseOn::NextTick,
            _ => options.saying.atp_width = 2,
        }
    }
    options
}

impl Pair {
    fn new(options: Options, names: &[&str]) -> Self {
        let made = |short_way| {
            let intervals = names.iter().filter_map(|name| Interval::parse(name).ok());
            Engine::new(Config {
                intervals: intervals.collect(),
                capacity: 64,
                options: Options { short_way, ..options },
                sessions: SESSIONS.with(Clone::clone),
                max_instruments: MAX_INSTRUMENTS,
                max_events: 4096,
                ..Config::default()
            })
        };
        let engines = [made(true), made(false)];
        Self {
            engines,
            options,
            series: names.len(),
        }
    }

    /// Does the same to both, and compares what they say to it.
    fn both<T: PartialEq + core::fmt::Debug>(&mut self, mut act: impl FnMut(&mut Engine) -> T) -> T {
        let [short, long] = &mut self.engines;
        let said = act(short);
        assert_eq!(said, act(long), "short way, long way");
        said
    }

    fn look(&mut self, slot: usize, series: usize) {
        if slot < self.engines[0].instruments().len() {
            self.both(|engine| unsealed(engine, slot, series));
            self.accounts(slot);
        }
    }

    fn accounts(&mut self, slot: usize) {
        let account = self.both(|engine| engine.book_mut().account(slot));
        let outside = account.auction_open + account.auction_close + account.post;
        let booked = account.bars + outside + account.unattributed + account.dropped;
        assert_eq!(booked, account.last - account.baseline, "{account:?}");
    }

    /// Everything that can be read is equal and makes sense.
    fn same(&mut self) {
        self.both(Engine::board);
        for slot in 0..self.engines[0].instruments().len() {
            for series in 0..self.series {
                self.both(|engine| {
                    let view = engine.book_mut().ring(slot, series).view();
                    let rows = (0..view.len()).map(|at| view.row(at));
                    rows.map(|row| row.words()).collect::<Vec<_>>()
                });
                let sealed = rows(&mut self.engines[0], slot, series);
                for pair in sealed.windows(2) {
                    assert!(pair[0].time < pair[1].time, "{pair:?}");
                }
                sealed.iter().for_each(|row| self.makes_sense(row));
                self.look(slot, series);
            }
            self.both(|engine| engine.book().auctions(slot));
            self.both(|engine| engine.book().gaps(slot).to_vec());
        }
        self.both(|engine| {
            let told = engine.drain();
            told.map(|event| (event.slot, event.interval, event.kind, event.row.words()))
                .collect::<Vec<_>>()
        });
        let (counts, _) = self.both(|engine| engine.counts());
        assert_eq!(counts.packets, counts.ticks + counts.rejected);
    }

    fn makes_sense(&self, row: &Row) {
        let inside = |price: f64| row.low <= price && price <= row.high;
        assert!(row.low > 0.0 && inside(row.open) && inside(row.close), "{row:?}");
        assert!(row.volume >= 0 && row.coverage <= 10_000, "{row:?}");
        // The broker's own average, which days show and "atp" asks for, may lie anywhere.
        let day = (row.time + 19_800 * SECOND) % (24 * HOUR) == 0;
        if row.volume > 0 && !day && self.options.saying.vwap != Vwap::Atp {
            assert!(inside(row.vwap), "{row:?}");
        }
    }
}

fn rows(engine: &mut Engine, slot: usize, series: usize) -> Vec<Row> {
    let view = engine.book_mut().ring(slot, series).view();
    (0..view.len()).map(|at| view.row(at)).collect()
}

fn unsealed(engine: &mut Engine, slot: usize, series: usize) -> Vec<(Vec<u64>, Ns)> {
    let rows = engine.book_mut().unsealed(slot, series);
    rows.iter()
        .map(|(row, end)| (row.words().to_vec(), *end))
        .collect()
}

/// A pushed tick is history unless it says when it was received.
impl Script<'_> {
    fn pushed(&mut self, now: Ns) -> Pushed {
        let volume = match self.below(16) {
            15 => 1 << 40,
            n => n as i64 * 25,
        };
        let kind = self.below(4);
        Pushed {
            price: self.price(),
            time: now - self.below(12) as Ns * SECOND / 2,
            quantity: (kind == 0 || kind == 1).then_some(volume),
            cumulative: (kind == 2).then(|| self.cumulative(volume)),
            oi: (self.below(4) == 0).then_some(volume),
            rx: (self.below(2) == 0).then_some(now),
        }
    }
}
