//! The seeded market for Python, in the core's own integers: `tickloom.sources.simulator` turns them into
//! prices and named columns.

use std::sync::{Mutex, MutexGuard, PoisonError};

use numpy::PyArray1;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tickloom_core::interval::Interval;
use tickloom_core::market::{self as core, Event, Faults, Instrument, MarketError, Mode, Population, Print};
use tickloom_core::units::Ns;
use tickloom_core::wire::kite::ScaleTable;

type Counts = (u32, u32, u32, u32, u32, u32);
type Knobs = (f64, f64, f64, f64, f64, f64, f64, f64, u32, Vec<(Ns, Ns)>);
type InstrumentRow = (
    u32,
    String,
    &'static str,
    &'static str,
    &'static str,
    u32,
    u32,
    u32,
    u32,
    u32,
    u32,
);
type EventTuple<'py> = (&'static str, Ns, Option<Bound<'py, PyBytes>>);
type Table<'py> = PyResult<Option<Bound<'py, PyArray1<i64>>>>;

struct State {
    market: core::Market,
    /// Counts the calls of `events`: an iterator that an earlier one made has lost its place.
    run: u64,
}

#[pyclass(frozen, module = "tickloom._core")]
pub struct Market {
    state: Mutex<State>,
}

#[pymethods]
impl Market {
    /// `faults` is a tuple of all knobs, or `None` for the preset that turns all of them.
    #[new]
    #[pyo3(signature = (*, seed, counts, dates, session, auction, cas, postclose, packets_per_frame, rate, mode, modes, faults))]
    #[expect(clippy::too_many_arguments, reason = "the keywords of the Python constructor")]
    fn new(
        seed: u64,
        counts: Counts,
        dates: (i64, u32),
        session: (u32, u32),
        auction: bool,
        cas: bool,
        postclose: bool,
        packets_per_frame: u16,
        rate: f64,
        mode: &str,
        modes: Vec<(u32, String)>,
        faults: Option<Knobs>,
    ) -> PyResult<Self> {
        let ((liquid, middling, thin, indices, commodities, currencies), (start, end)) = (counts, session);
        let mode = Mode::parse(mode).map_err(refused)?;
        let faults = faults.map_or_else(|| Faults::all(core::instant(dates.0, start)), knobs);
        let population = Population {
            liquid,
            middling,
            thin,
            indices,
            commodities,
            currencies,
            start,
            end,
            auction,
            cas,
            postclose,
            mode,
            rate,
            packets_per_frame,
            faults,
        };
        let mut config = population.config(dates.0, dates.1).map_err(refused)?;
        for (token, mode) in modes {
            config
                .set_mode(token, Mode::parse(&mode).map_err(refused)?)
                .map_err(refused)?;
        }
        let market = core::Market::new(config, seed).map_err(refused)?;
        Ok(Self {
            state: Mutex::new(State { market, run: 0 }),
        })
    }

    fn events(slf: Bound<'_, Self>) -> MarketEvents {
        let mut state = slf.get().lock();
        state.market.rewind();
        state.run += 1;
        MarketEvents {
            run: state.run,
            market: slf.clone().unbind(),
        }
    }

    /// Token, symbol, kind, liquidity, mode, tick size, lot, base price, open and close in seconds, divisor.
    fn instruments(&self) -> Vec<InstrumentRow> {
        let scales = ScaleTable::kite();
        let row = |i: &Instrument| {
            let words = (i.kind.name(), i.liquidity.name(), i.mode.name());
            let (hours, divisor) = (&i.hours, scales.of(i.token).divisor());
            let symbol = i.symbol.clone();
            let (tick, lot, base) = (i.tick_size, i.lot, i.base_price);
            (
                i.token,
                symbol,
                words.0,
                words.1,
                words.2,
                tick,
                lot,
                base,
                hours.open,
                hours.close,
                divisor,
            )
        };
        self.lock().market.instruments().iter().map(row).collect()
    }

    fn days(&self) -> Vec<i64> {
        self.lock().market.days().to_vec()
    }

    /// Rows of start, end, open, high, low, close, volume, value, trades; `None` for an unknown token.
    fn truth<'py>(&self, py: Python<'py>, token: u32, interval: &str) -> Table<'py> {
        let seconds = match Interval::parse(interval) {
            Ok(Interval::Seconds(seconds)) => seconds,
            // A session is shorter than a day, so one bar holds it.
            Ok(Interval::Day) => 86_400,
            _ => {
                return Err(PyValueError::new_err(format!(
                    "not an interval of the truth: {interval:?}"
                )));
            }
        };
        let bars = py.detach(|| self.lock().market.truth(token, seconds));
        table(py, bars, |b| {
            let [open, high, low, close] = [b.open, b.high, b.low, b.close].map(i64::from);
            [
                b.start,
                b.end,
                open,
                high,
                low,
                close,
                wide(b.volume),
                wide(b.value),
                b.trades.into(),
            ]
        })
    }

    /// Rows of day, open, high, low, close, volume, value, trades, then time, price and volume of the
    /// opening auction, of the closing auction and of the post-close session.
    fn truth_days<'py>(&self, py: Python<'py>, token: u32) -> Table<'py> {
        let days = py.detach(|| self.lock().market.truth_days(token));
        table(py, days, |day| {
            let b = &day.bar;
            let [open, high, low, close] = [b.open, b.high, b.low, b.close].map(i64::from);
            let [o, c, p] = [day.auction_open, day.auction_close, day.post].map(print);
            let (volume, value, trades) = (wide(b.volume), wide(b.value), b.trades.into());
            [
                day.day, open, high, low, close, volume, value, trades, o[0], o[1], o[2], c[0], c[1], c[2],
                p[0], p[1], p[2],
            ]
        })
    }

    /// Rows of time, price, quantity, phase.
    fn trades<'py>(&self, py: Python<'py>, token: u32) -> Table<'py> {
        let trades = py.detach(|| self.lock().market.trades(token));
        table(py, trades, |t| {
            [t.time, t.price.into(), t.quantity.into(), t.phase as i64]
        })
    }

    /// Rows of day, packets, first volume (-1 for none), last volume, highest volume, cancelled.
    fn delivered<'py>(&self, py: Python<'py>, token: u32) -> Table<'py> {
        let days = self.lock().market.delivered(token);
        table(py, days, |d| {
            let first = d.first_volume.map_or(-1, wide);
            [
                d.day,
                wide(d.packets),
                first,
                wide(d.last_volume),
                wide(d.highest_volume),
                wide(d.cancelled),
            ]
        })
    }
}

impl Market {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in between leaves a market that can be rewound, so the poison says nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The events of one run of a `Market`.
#[pyclass(frozen, module = "tickloom._core")]
pub struct MarketEvents {
    market: Py<Market>,
    run: u64,
}

#[pymethods]
impl MarketEvents {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<EventTuple<'py>>> {
        let market = self.market.get();
        let event = py.detach(|| {
            let mut state = market.lock();
            (state.run == self.run).then(|| state.market.next_event())
        });
        let Some(event) = event else {
            return Err(PyRuntimeError::new_err(
                "this run ended when events() was called again",
            ));
        };
        Ok(event.map(|event| match event {
            Event::Frame { received_ns, bytes } => ("frame", received_ns, Some(PyBytes::new(py, &bytes))),
            Event::Disconnected { at } => ("disconnected", at, None),
            Event::Connected { at } => ("connected", at, None),
        }))
    }
}

fn table<'py, T, const N: usize>(
    py: Python<'py>,
    rows: Option<Vec<T>>,
    row: impl Fn(&T) -> [i64; N],
) -> Table<'py> {
    Ok(rows.map(|rows| PyArray1::from_iter(py, rows.iter().flat_map(row))))
}

fn print(print: Print) -> [i64; 3] {
    [print.time, print.price.into(), wide(print.volume)]
}

fn wide(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn knobs(knobs: Knobs) -> Faults {
    let (
        drop,
        duplicate,
        reorder,
        delay_spike,
        stale_first,
        truncate,
        rollback,
        cancellation,
        wrap,
        disconnections,
    ) = knobs;
    Faults {
        drop,
        duplicate,
        reorder,
        delay_spike,
        stale_first,
        truncate,
        rollback,
        cancellation,
        wrap,
        disconnections,
    }
}

fn refused(error: MarketError) -> PyErr {
    PyValueError::new_err(error.to_string())
}
