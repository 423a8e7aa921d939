//! Engine: argument mapping around `tickloom_core::engine::Engine`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use numpy::{AllowTypeChange, PyArrayLike1};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyDict, PyInt, PyString};
use tickloom_core::aggregate::EventKind;
use tickloom_core::engine::{Config, Engine, Pushed, default_tick};
use tickloom_core::session::{ClassId, SessionTable};
use tickloom_core::wire::kite::ScaleTable;
use tickloom_core::wire::kite::scale::segment;

use crate::bar::{PyBar, PyClosedBar};
use crate::batch::{self, FrameOwner, TickBatch};
use crate::candles::PyCandles;
use crate::errors;
use crate::options::{self, Words};
use crate::panel::{self, Panel};
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

/// Ticks in, candles out. See python/tickloom/_core.pyi for the documentation of every argument.
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
        close_on="watermark", volume="cumulative", week_start="monday", sessions=None, scales=None,
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

    #[pyo3(signature = (frame, received_ns=0))]
    fn apply(&self, frame: &Bound<'_, PyAny>, received_ns: i64) -> PyResult<TickBatch> {
        let py = frame.py();
        let rx = options::instant("received_ns", received_ns)?;
        let frame = FrameOwner::new(frame)?;
        let census = lock(py, &self.shared)
            .apply(frame.bytes(py), rx)
            .map_err(|error| batch::raised(py, error))?;
        Ok(TickBatch::from_census(
            frame,
            self.scales.clone(),
            received_ns,
            census,
        ))
    }

    /// The last packet of every instrument as rows of a `TickBatch`'s array.
    fn board<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let frame = lock(py, &self.shared).board();
        let batch = TickBatch::from_frame(py, FrameOwner::from_bytes(py, &frame), self.scales.clone(), 0)
            .map_err(|error| batch::raised(py, error))?;
        TickBatch::array(&Bound::new(py, batch)?)
    }

    #[pyo3(signature = (interval, field, fill=None))]
    fn panel(
        &self,
        py: Python<'_>,
        interval: &Bound<'_, PyAny>,
        field: &str,
        fill: Option<&str>,
    ) -> PyResult<Panel> {
        let index = self.series_of(interval)?;
        panel::panel(py, &mut lock(py, &self.shared), index, field, panel::fill(fill)?)
    }

    #[pyo3(signature = (token, symbol=None, session=None, *, tick_size=None, divisor=None, baseline_volume=None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments")]
    fn track(
        &self,
        py: Python<'_>,
        token: u32,
        symbol: Option<String>,
        session: Option<&str>,
        tick_size: Option<f64>,
        divisor: Option<i64>,
        baseline_volume: Option<i64>,
    ) -> PyResult<()> {
        let mut engine = lock(py, &self.shared);
        if let Some(slot) = engine.slot(token) {
            let fixed =
                session.is_some() || tick_size.is_some() || divisor.is_some() || baseline_volume.is_some();
            if fixed {
                return Err(PyValueError::new_err(format!(
                    "instrument is tracked already; its session, scale and baseline cannot change: {token}"
                )));
            }
            if let Some(symbol) = symbol {
                engine.name(slot, symbol);
            }
            return Ok(());
        }
        let class = class_of(&engine, token, session)?;
        let divisor = match divisor {
            Some(divisor) if (1..=1_000_000_000).contains(&divisor) => divisor,
            Some(divisor) => {
                return Err(PyValueError::new_err(format!(
                    "divisor must lie between 1 and 10**9: {divisor}"
                )));
            }
            None => i64::from(engine.scales().of(token).divisor()),
        };
        let tick = match tick_size {
            Some(size) if size > 0.0 && size.is_finite() => ((size * divisor as f64).ceil() as i64).max(1),
            Some(size) => {
                return Err(PyValueError::new_err(format!(
                    "tick_size must be above 0: {size}"
                )));
            }
            None => default_tick(token, divisor),
        };
        if let Some(volume) = baseline_volume.filter(|volume| !(0..=1 << 53).contains(volume)) {
            return Err(PyValueError::new_err(format!(
                "baseline_volume must lie between 0 and 2**53: {volume}"
            )));
        }
        let slot = engine
            .add(token, class, divisor, tick, baseline_volume)
            .ok_or_else(|| PyValueError::new_err("too many instruments: raise max_instruments"))?;
        engine.book_mut().reserve_typical(slot);
        if let Some(symbol) = symbol {
            engine.name(slot, symbol);
        }
        Ok(())
    }

    #[pyo3(signature = (token, price, *, time_ns, quantity=None, cumulative_volume=None, oi=None, received_ns=None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments")]
    fn push(
        &self,
        py: Python<'_>,
        token: u32,
        price: f64,
        time_ns: i64,
        quantity: Option<i64>,
        cumulative_volume: Option<i64>,
        oi: Option<i64>,
        received_ns: Option<i64>,
    ) -> PyResult<()> {
        let pushed = Pushed {
            price,
            time: time_ns,
            quantity,
            cumulative: cumulative_volume,
            oi,
            rx: received_ns,
        };
        lock(py, &self.shared)
            .push(token, &pushed)
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    #[pyo3(signature = (token, price, *, time_ns, quantity=None, cumulative_volume=None, oi=None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments")]
    fn push_many(
        &self,
        py: Python<'_>,
        token: &Bound<'_, PyAny>,
        price: PyArrayLike1<'_, f64, AllowTypeChange>,
        time_ns: PyArrayLike1<'_, i64, AllowTypeChange>,
        quantity: Option<PyArrayLike1<'_, i64, AllowTypeChange>>,
        cumulative_volume: Option<PyArrayLike1<'_, i64, AllowTypeChange>>,
        oi: Option<PyArrayLike1<'_, i64, AllowTypeChange>>,
    ) -> PyResult<usize> {
        let prices = price.as_array();
        let times = time_ns.as_array();
        let one: Option<u32> = token.extract().ok();
        let many: Option<PyArrayLike1<'_, u32, AllowTypeChange>> = if one.is_some() {
            None
        } else {
            Some(token.extract()?)
        };
        let many = many.as_ref().map(|tokens| tokens.as_array());
        let columns =
            [&quantity, &cumulative_volume, &oi].map(|column| column.as_ref().map(|array| array.as_array()));
        let lengths = columns
            .iter()
            .flatten()
            .map(|column| column.len())
            .chain(many.map(|tokens| tokens.len()));
        for length in lengths.chain([times.len()]) {
            if length != prices.len() {
                return Err(PyValueError::new_err(format!(
                    "arrays must have the length of price, {}: {length}",
                    prices.len()
                )));
            }
        }
        let mut engine = lock(py, &self.shared);
        for at in 0..prices.len() {
            let of = |column: usize| columns[column].map(|values| values[at]);
            let pushed = Pushed {
                price: prices[at],
                time: times[at],
                quantity: of(0),
                cumulative: of(1),
                oi: of(2),
                rx: None,
            };
            let token = one.or_else(|| many.map(|tokens| tokens[at])).unwrap_or_default();
            engine
                .push(token, &pushed)
                .map_err(|error| PyValueError::new_err(format!("row {at}: {error}")))?;
        }
        Ok(prices.len())
    }

    fn advance(&self, py: Python<'_>, now_ns: i64) -> PyResult<u64> {
        Ok(lock(py, &self.shared).advance(options::instant("now_ns", now_ns)?))
    }

    fn disconnected(&self, py: Python<'_>, at_ns: i64) -> PyResult<()> {
        let at = options::instant("at_ns", at_ns)?;
        lock(py, &self.shared).disconnected(at);
        Ok(())
    }

    /// Nothing is needed of it today: a gap ends with an instrument's next tick (R13).
    fn connected(&self, at_ns: i64) -> PyResult<()> {
        options::instant("at_ns", at_ns).map(|_| ())
    }

    fn drain_closed(&self, py: Python<'_>) -> Vec<PyClosedBar> {
        let mut engine = lock(py, &self.shared);
        let events: Vec<_> = engine.drain().collect();
        events
            .into_iter()
            .map(|event| PyClosedBar {
                token: engine.instruments()[event.slot as usize].token,
                symbol: engine.instruments()[event.slot as usize].symbol.clone(),
                interval: self.names[usize::from(event.interval)].clone(),
                kind: match event.kind {
                    EventKind::Closed => "closed",
                    EventKind::Revised => "revised",
                    EventKind::Reconciled => "reconciled",
                },
                bar: PyBar::new(
                    event.row,
                    engine
                        .book()
                        .end_of(event.slot as usize, usize::from(event.interval), event.row.time),
                ),
            })
            .collect()
    }

    fn candles(
        &self,
        py: Python<'_>,
        instrument: &Bound<'_, PyAny>,
        interval: &Bound<'_, PyAny>,
    ) -> PyResult<PyCandles> {
        let slot = self.slot_of(py, instrument)?;
        let index = self.series_of(interval)?;
        let (token, symbol) = {
            let engine = lock(py, &self.shared);
            let instrument = &engine.instruments()[slot];
            (instrument.token, instrument.symbol.clone())
        };
        Ok(PyCandles::new(
            Arc::clone(&self.shared),
            slot,
            index,
            token,
            symbol,
            self.names[index].clone(),
        ))
    }

    #[pyo3(signature = (instrument, *, all_days=false))]
    fn account<'py>(
        &self,
        py: Python<'py>,
        instrument: &Bound<'py, PyAny>,
        all_days: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let slot = self.slot_of(py, instrument)?;
        let mut engine = lock(py, &self.shared);
        let book = engine.book_mut();
        let account = if all_days {
            book.account_of_all_days(slot)
        } else {
            book.account(slot)
        };
        let dict = PyDict::new(py);
        let fields = [
            ("baseline", account.baseline),
            ("last", account.last),
            ("bars", account.bars),
            ("auction_open", account.auction_open),
            ("auction_close", account.auction_close),
            ("post", account.post),
            ("unattributed", account.unattributed),
            ("dropped", account.dropped),
            ("rebased", account.rebased),
        ];
        for (name, value) in fields {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }

    fn auctions<'py>(&self, py: Python<'py>, instrument: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let slot = self.slot_of(py, instrument)?;
        let engine = lock(py, &self.shared);
        let divisor = engine.book().divisor(slot) as f64;
        let dict = PyDict::new(py);
        for (name, auction) in ["open", "close"].into_iter().zip(engine.book().auctions(slot)) {
            let print = auction
                .map(|auction| {
                    let print = PyDict::new(py);
                    print.set_item("price", auction.price as f64 / divisor)?;
                    print.set_item("volume", auction.volume)?;
                    print.set_item("time", auction.time)?;
                    PyResult::Ok(print)
                })
                .transpose()?;
            dict.set_item(name, print)?;
        }
        Ok(dict)
    }

    fn gaps(&self, py: Python<'_>, instrument: &Bound<'_, PyAny>) -> PyResult<Vec<(i64, i64)>> {
        let slot = self.slot_of(py, instrument)?;
        Ok(lock(py, &self.shared)
            .book()
            .gaps(slot)
            .iter()
            .map(|gap| (gap.from, gap.to))
            .collect())
    }

    #[getter]
    fn instruments(&self, py: Python<'_>) -> Vec<(u32, Option<String>)> {
        let engine = lock(py, &self.shared);
        engine
            .instruments()
            .iter()
            .map(|instrument| (instrument.token, instrument.symbol.clone()))
            .collect()
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (counts, tally) = lock(py, &self.shared).counts();
        let dict = PyDict::new(py);
        let fields = [
            ("frames", counts.frames),
            ("heartbeats", counts.heartbeats),
            ("bad_frames", counts.bad_frames),
            ("packets", counts.packets),
            ("ticks", counts.ticks),
            ("rejected", counts.rejected),
            ("untracked", counts.untracked),
            ("pushed", counts.pushed),
            ("trades", tally.trades),
            ("quotes", tally.quotes),
            ("duplicates", tally.duplicates),
            ("late", tally.late),
            ("late_dropped", tally.late_dropped),
            ("stale", tally.stale),
            ("untimed", tally.untimed),
            ("bad_stamps", tally.bad_stamps),
            ("price_rejected", tally.price_rejected),
            ("rollbacks", tally.rollbacks),
            ("rebases", tally.rebases),
            ("outside", tally.outside),
            ("without_volume", tally.without_volume),
            ("gaps", tally.gaps),
            ("contacts", tally.contacts),
            ("bars_closed", tally.bars_closed),
            ("bars_revised", tally.bars_revised),
            ("events_dropped", tally.events_dropped),
        ];
        for (name, value) in fields {
            dict.set_item(name, value)?;
        }
        Ok(dict)
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
        let engine = lock(py, &self.shared);
        if let Ok(symbol) = instrument.cast::<PyString>() {
            let symbol = symbol.to_str()?;
            let found = engine
                .instruments()
                .iter()
                .position(|known| known.symbol.as_deref() == Some(symbol));
            return found.ok_or_else(|| errors::unknown_instrument(py, symbol));
        }
        if !instrument.is_instance_of::<PyInt>() {
            let kind = instrument.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "instrument must be a token or a symbol, not {kind}"
            )));
        }
        let found = instrument
            .extract::<u32>()
            .ok()
            .and_then(|token| engine.slot(token));
        found.ok_or_else(|| errors::unknown_instrument(py, &instrument.to_string()))
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
