//! Engine: argument mapping around `tickloom_core::engine::Engine`.

mod feed;
mod history;
mod read;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBool, PyString};
use tickloom_core::aggregate::EventKind;
use tickloom_core::engine::{Config, Engine, Instrument};
use tickloom_core::session::{ClassId, SessionTable};
use tickloom_core::wire::kite::ScaleTable;
use tickloom_core::wire::kite::scale::segment;

use crate::bar::{PyBar, PyClosedBar};
use crate::batch::{self, FrameOwner, TickBatch, Walked};
use crate::errors;
use crate::options::{self, Words};
use crate::recycle;
use crate::scales::PriceScales;

/// The core's engine, shared by its Python handle and every `Candles` made from it.
pub type Shared = Arc<Mutex<Engine>>;

/// Locks without holding up other Python threads; a panic inside the core leaves the data readable.
pub fn lock<'a>(py: Python<'_>, engine: &'a Shared) -> MutexGuard<'a, Engine> {
    match engine.try_lock() {
        Ok(guard) => guard,
        Err(_) => engine
            .lock_py_attached(py)
            .unwrap_or_else(PoisonError::into_inner),
    }
}

/// Ticks in, candles of every interval out.
///
/// `intervals` is a list of "1m", "30s", "1h" and their like, timedeltas of whole seconds, and bars that close by
/// what was traded: "volume:1000", "value:1e6", "updates:100", "range:2.5", "renko:1" (R38). At least the last
/// `capacity` bars of each are kept. `grace`, `revise` and `gap_s` are seconds, the words from `bucket_by` to
/// `week_start` are options of the rules, all listed in docs/bars.md. `sessions` is an override text as in
/// docs/sessions.md, `scales` a `PriceScales`. Tokens beyond `max_instruments` are counted as `untracked`; of
/// more than `max_events` undrained events the oldest are dropped and counted.
///
/// Any thread may call any method: calls take turns. Raises ValueError or TypeError that names the argument.
#[pyclass(frozen, name = "Engine", module = "tickloom")]
pub struct PyEngine {
    pub shared: Shared,
    scales: Option<Arc<ScaleTable>>,
    /// Names of all series: the intervals, then the bars without time.
    names: Vec<String>,
}

#[pymethods]
impl PyEngine {
    #[new]
    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments, one an option of docs/bars.md"
    )]
    #[pyo3(signature = (intervals=None, capacity=500, *, grace=2.0, revise=5.0, gap_s=10.0, bucket_by="ltt",
        edge_split="last", anchor="leg", tail="stub", preopen="separate", open_source="first_trade",
        postclose="day_only", gap_volume="last", extremes="apply", vwap="hybrid", atp_rounding="round",
        close_on="watermark", volume="cumulative", week_start="monday", signed_volume=None, sessions=None, scales=None,
        max_instruments=20_000, max_events=131_072))]
    fn new(
        intervals: Option<&Bound<'_, PyAny>>,
        capacity: usize,
        grace: f64,
        revise: f64,
        gap_s: f64,
        bucket_by: &str,
        edge_split: &str,
        anchor: &str,
        tail: &str,
        preopen: &str,
        open_source: &str,
        postclose: &str,
        gap_volume: &str,
        extremes: &str,
        vwap: &str,
        atp_rounding: &str,
        close_on: &str,
        volume: &str,
        week_start: &str,
        signed_volume: Option<&str>,
        sessions: Option<&str>,
        scales: Option<&Bound<'_, PriceScales>>,
        max_instruments: usize,
        max_events: usize,
    ) -> PyResult<Self> {
        let words = Words {
            grace,
            revise,
            gap_s,
            bucket_by,
            edge_split,
            anchor,
            tail,
            preopen,
            open_source,
            postclose,
            gap_volume,
            extremes,
            vwap,
            atp_rounding,
            close_on,
            volume,
            week_start,
            signed_volume,
        };
        let kept = options::intervals(intervals)?;
        let mut config = Config {
            intervals: kept.timed,
            nontime: kept.nontime,
            capacity: options::within("capacity", capacity, 1, 10_000_000)?,
            options: words.options()?,
            max_instruments: options::within("max_instruments", max_instruments, 1, 65_000)?,
            max_events: options::within("max_events", max_events, 1, 100_000_000)?,
            ..Config::default()
        };
        if let Some(text) = sessions {
            config
                .sessions
                .overlay(text)
                .map_err(|error| PyValueError::new_err(format!("sessions: {error}")))?;
        }
        let scales = scales.map(|scales| scales.get().table.clone());
        if let Some(table) = &scales {
            config.scales = (**table).clone();
        }
        let names = config
            .intervals
            .iter()
            .map(ToString::to_string)
            .chain(config.nontime.iter().cloned())
            .collect();
        Ok(Self {
            shared: Arc::new(Mutex::new(Engine::new(config))),
            scales,
            names,
        })
    }

    /// The intervals kept, by their canonical names.
    #[getter]
    fn intervals(&self) -> Vec<String> {
        self.names.clone()
    }

    /// Parses one binary frame, aggregates it, and gives its ticks as a `TickBatch` (kite-protocol §4).
    ///
    /// `frame` is any bytes-like object; `received_ns` is when it came, int nanoseconds UTC, 0 if nobody knows.
    /// Raises DecodeError if not one packet could be read, TypeError for what is not bytes-like and
    /// ValueError for an absurd time: nothing that was aggregated before is touched.
    #[pyo3(signature = (frame, received_ns=0))]
    fn apply(&self, frame: &Bound<'_, PyAny>, received_ns: i64) -> PyResult<Py<TickBatch>> {
        let py = frame.py();
        let rx = options::instant("received_ns", received_ns)?;
        let frame = FrameOwner::new(frame)?;
        let census = lock(py, &self.shared)
            .apply(frame.bytes(py), rx)
            .map_err(|error| batch::raised(py, error))?;
        recycle::batch(py, Walked::new(frame, self.scales.clone(), received_ns, census))
    }

    /// Tells the engine that it is `now_ns` (nanoseconds UTC on the clock of `received_ns`), so that bars close
    /// though nothing arrives (R25). Gives the number of bars it sealed; an earlier time than before does nothing.
    fn advance(&self, py: Python<'_>, now_ns: i64) -> PyResult<u64> {
        Ok(lock(py, &self.shared).advance(options::instant("now_ns", now_ns)?))
    }

    /// The feed is gone since `at_ns`: what is traded until the next tick is a gap (R13).
    fn disconnected(&self, py: Python<'_>, at_ns: i64) -> PyResult<()> {
        let at = options::instant("at_ns", at_ns)?;
        lock(py, &self.shared).disconnected(at);
        Ok(())
    }

    /// The feed is back. Nothing follows from it yet: a gap ends with an instrument's next tick (R13).
    fn connected(&self, at_ns: i64) -> PyResult<()> {
        options::instant("at_ns", at_ns).map(|_| ())
    }

    /// Takes the `ClosedBar` events since the last call, oldest first (R25).
    fn drain_closed(&self, py: Python<'_>) -> Vec<PyClosedBar> {
        let mut engine = lock(py, &self.shared);
        let events = engine.drain_with_ends();
        events
            .into_iter()
            .map(|(event, end)| PyClosedBar {
                token: engine.instruments()[event.slot as usize].token,
                symbol: engine.instruments()[event.slot as usize].symbol.clone(),
                interval: self.names[usize::from(event.interval)].clone(),
                kind: match event.kind {
                    EventKind::Closed => "closed",
                    EventKind::Revised => "revised",
                    EventKind::Reconciled => "reconciled",
                },
                bar: PyBar::new(event.row, end),
            })
            .collect()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let count = lock(py, &self.shared).instruments().len();
        format!(
            "Engine(intervals=[{}], instruments={count})",
            self.names.join(", ")
        )
    }
}

impl PyEngine {
    /// The price table that was given, if one was.
    pub fn scales(&self) -> Option<Arc<ScaleTable>> {
        self.scales.clone()
    }

    fn series_of(&self, interval: &Bound<'_, PyAny>) -> PyResult<usize> {
        let wanted = options::series(interval)?;
        self.names.iter().position(|kept| *kept == wanted).ok_or_else(|| {
            PyValueError::new_err(format!(
                "interval is not kept, only {}: {wanted}",
                self.names.join(", ")
            ))
        })
    }

    /// The slot of a token or a symbol; `UnknownInstrument` otherwise.
    fn slot_of(&self, py: Python<'_>, instrument: &Bound<'_, PyAny>) -> PyResult<usize> {
        let found = if let Ok(symbol) = instrument.cast::<PyString>() {
            slot_named(&lock(py, &self.shared), symbol.to_str()?)
        } else if instrument.is_instance_of::<PyBool>() || !instrument.hasattr("__index__")? {
            let kind = instrument.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "instrument must be a token or a symbol, not {kind}"
            )));
        } else {
            let token = instrument.extract::<u32>().ok();
            token.and_then(|token| lock(py, &self.shared).slot(token))
        };
        found.ok_or_else(|| errors::unknown_instrument(py, &instrument.to_string()))
    }
}

fn slot_named(engine: &Engine, symbol: &str) -> Option<usize> {
    let named = |known: &Instrument| known.symbol.as_deref() == Some(symbol);
    engine.instruments().iter().position(named)
}

/// A symbol that no other instrument has.
fn free_symbol(engine: &Engine, token: u32, symbol: String) -> PyResult<String> {
    let holder = slot_named(engine, &symbol).map(|slot| engine.instruments()[slot].token);
    match holder.filter(|holder| *holder != token) {
        Some(holder) => Err(PyValueError::new_err(format!(
            "symbol belongs to instrument {holder} already: {symbol}"
        ))),
        None => Ok(symbol),
    }
}

fn class_of(engine: &Engine, token: u32, session: Option<&str>) -> PyResult<ClassId> {
    let Some(name) = session else {
        return Ok(engine.book().sessions().class_of_segment(segment(token)));
    };
    engine.book().sessions().class(name).ok_or_else(|| {
        PyValueError::new_err(format!(
            "session must be one of {}: {name:?}",
            SessionTable::class_names().join(", ")
        ))
    })
}
