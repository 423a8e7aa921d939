//! A pen for the engine's tests: full packets of one instrument, with Indian wall times of 2026-07-01.
#![allow(dead_code, reason = "each test file uses a part")]

use tickloom_core::aggregate::{Account, Options};
use tickloom_core::bar::Row;
use tickloom_core::engine::{Config, Engine};
use tickloom_core::interval::Interval;
use tickloom_core::units::{IST_OFFSET, Ns, SECOND};
use tickloom_core::wire::kite::packet::Full;
use zerocopy::IntoBytes;

pub const INFY: u32 = 408_065;
/// 2026-07-01, a Wednesday.
pub const DAY: i64 = 20_635;

/// UTC nanoseconds of `HH:MM:SS`, or of `+D HH:MM:SS` that many days later.
pub fn at(clock: &str) -> Ns {
    let (days, clock) = match clock.strip_prefix('+') {
        Some(rest) => {
            let (days, clock) = rest.split_once(' ').unwrap();
            (days.parse().unwrap(), clock)
        }
        None => (0, clock),
    };
    let parts: Vec<i64> = clock.split(':').map(|part| part.parse().unwrap()).collect();
    let second = parts[0] * 3_600 + parts[1] * 60 + parts[2];
    ((DAY + days) * 86_400 + second) * SECOND - IST_OFFSET
}

pub fn clock_of(time: Ns) -> String {
    let second = (time + IST_OFFSET) / SECOND % 86_400;
    format!("{:02}:{:02}", second / 3_600, second / 60 % 60)
}

/// What a packet says beside its times, its price and its volume.
#[derive(Clone, Copy, Default)]
pub struct Extra {
    pub oi: u32,
    pub average: f64,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
}

pub struct Feed {
    pub engine: Engine,
    intervals: Vec<Interval>,
}

impl Feed {
    pub fn new(intervals: &[&str]) -> Self {
        Self::with(intervals, |_| {})
    }

    pub fn with(intervals: &[&str], change: impl Fn(&mut Options)) -> Self {
        let intervals: Vec<_> = intervals
            .iter()
            .map(|name| Interval::parse(name).unwrap())
            .collect();
        let mut options = Options::default();
        change(&mut options);
        let engine = Engine::new(Config {
            intervals: intervals.clone(),
            options,
            ..Config::default()
        });
        Self { engine, intervals }
    }

    pub fn packet(&mut self, token: u32, ltt: Ns, ets: Ns, price: f64, volume: i64, extra: Extra) {
        let seconds = |t: Ns| u32::try_from(t / SECOND).unwrap().into();
        let units = |price: f64| ((price * 100.0).round() as u32).into();
        let full = Full {
            instrument_token: token.into(),
            last_price: units(price),
            volume_traded: u32::try_from(volume).unwrap().into(),
            average_traded_price: units(extra.average),
            open: units(extra.open),
            high: units(extra.high),
            low: units(extra.low),
            close: units(extra.close),
            last_trade_time: seconds(ltt),
            exchange_timestamp: seconds(ets),
            oi: extra.oi.into(),
            ..zerocopy::FromZeros::new_zeroed()
        };
        let mut frame = vec![0, 1, 0, 184];
        frame.extend_from_slice(full.as_bytes());
        self.engine.apply(&frame, ets + 900_000_000).unwrap();
    }

    pub fn full_at(&mut self, ltt: &str, ets: &str, price: f64, volume: i64) {
        self.packet(INFY, at(ltt), at(ets), price, volume, Extra::default());
    }

    pub fn full(&mut self, clock: &str, price: f64, volume: i64) {
        self.full_at(clock, clock, price, volume);
    }

    pub fn full_oi(&mut self, clock: &str, price: f64, volume: i64, oi: u32) {
        let extra = Extra {
            oi,
            ..Extra::default()
        };
        self.packet(INFY, at(clock), at(clock), price, volume, extra);
    }

    pub fn at_second(&mut self, start: Ns, second: u32, price: f64, volume: i64) {
        let t = start + Ns::from(second) * SECOND;
        self.packet(INFY, t, t, price, volume, Extra::default());
    }

    pub fn advance(&mut self, clock: &str) {
        self.engine.advance(at(clock));
    }

    pub fn account(&mut self) -> Account {
        self.engine.book_mut().account(0)
    }

    fn index(&self, interval: &str) -> usize {
        let wanted = Interval::parse(interval).unwrap();
        self.intervals.iter().position(|known| *known == wanted).unwrap()
    }

    pub fn rows(&mut self, interval: &str) -> Vec<Row> {
        let index = self.index(interval);
        let view = self.engine.book_mut().ring(0, index).view();
        (0..view.len()).map(|at| view.row(at)).collect()
    }

    pub fn row(&mut self, interval: &str, clock: &str) -> Row {
        let found = self
            .rows(interval)
            .into_iter()
            .find(|row| clock_of(row.time) == clock);
        found.unwrap_or_else(|| panic!("no bar of {interval} at {clock}"))
    }

    pub fn volumes(&mut self, interval: &str) -> Vec<(String, i64)> {
        self.rows(interval)
            .iter()
            .map(|row| (clock_of(row.time), row.volume))
            .collect()
    }

    pub fn unsealed(&mut self, interval: &str) -> Vec<Row> {
        let index = self.index(interval);
        self.engine
            .book_mut()
            .unsealed(0, index)
            .into_iter()
            .map(|(row, _)| row)
            .collect()
    }

    pub fn forming(&mut self, interval: &str) -> Row {
        *self.unsealed(interval).last().expect("a bar forms")
    }

    /// Sealed and forming minutes of the date, where minutes are kept.
    pub fn every_minute(&mut self) -> Vec<Row> {
        let mut rows = self.rows("1m");
        for row in self.unsealed("1m") {
            if rows.iter().all(|sealed| sealed.time != row.time) {
                rows.push(row);
            }
        }
        rows
    }
}
