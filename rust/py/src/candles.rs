//! Candles: the live columns of one instrument and interval.

mod convert;
mod resample;
mod signed;

use std::sync::{Mutex, PoisonError};

use numpy::{PyArray1, PyArrayDescr};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tickloom_core::bar::{FULL_COVERAGE, Row};
use tickloom_core::ring::View;

use crate::bar::PyBar;
use crate::engine::{Shared, lock};
use crate::panel;
use crate::transforms;
use crate::view::{self, PagePin, Part};

const COLUMNS: usize = 12;
const TIME: usize = 0;
const OPEN: usize = 1;
const HIGH: usize = 2;
const LOW: usize = 3;
const CLOSE: usize = 4;
const VOLUME: usize = 5;
const VWAP: usize = 6;
const OI: usize = 7;
const TICKS: usize = 8;
const FLAGS: usize = 9;
const VWAP_ERR: usize = 10;
const REV: usize = 11;
const NAMES: [&str; COLUMNS] = [
    "time", "open", "high", "low", "close", "volume", "vwap", "oi", "ticks", "flags", "vwap_err", "rev",
];

/// Where each column lies in a row's words (bar.rs, `Row::words`): the last four share two words.
const fn part(column: usize) -> Part {
    let (word, offset, size) = match column {
        TICKS => (8, 0, 4),
        FLAGS => (8, 4, 4),
        VWAP_ERR => (9, 0, 4),
        REV => (9, 6, 1),
        word => (word, 0, 8),
    };
    Part { word, offset, size }
}

fn descr(py: Python<'_>, column: usize) -> Bound<'_, PyArrayDescr> {
    match column {
        OPEN | HIGH | LOW | CLOSE | VWAP => PyArrayDescr::of::<f64>(py),
        TIME | VOLUME | OI => PyArrayDescr::of::<i64>(py),
        TICKS | FLAGS => PyArrayDescr::of::<u32>(py),
        VWAP_ERR => PyArrayDescr::of::<f32>(py),
        _ => PyArrayDescr::of::<u8>(py),
    }
}

/// The arrays made for one state of the ring; they are handed out again until a bar is sealed or revised.
struct Made {
    view: View,
    pin: Py<PagePin>,
    arrays: [Option<Py<PyAny>>; COLUMNS],
}

impl Made {
    fn shows(&self, view: &View) -> bool {
        self.view.page.is(&view.page) && self.view.end == view.end && self.view.start == view.start
    }
}

/// The live candles of one instrument and interval, as `Engine.candles` gives them.
///
/// Each column is a read-only 1-D numpy array of the sealed bars, oldest first, at most `capacity` long. An
/// array shows the engine's own memory, never changes and never moves: take the attribute again to see
/// newer bars. `columns()` gives all of one moment. `forming` is the bar that is not sealed yet.
#[pyclass(frozen, name = "Candles", module = "tickloom")]
pub struct PyCandles {
    engine: Shared,
    slot: usize,
    index: usize,
    token: u32,
    symbol: Option<String>,
    interval: String,
    made: Mutex<Option<Made>>,
}

impl PyCandles {
    pub fn new(
        engine: Shared,
        slot: usize,
        index: usize,
        token: u32,
        symbol: Option<String>,
        interval: String,
    ) -> Self {
        Self {
            engine,
            slot,
            index,
            token,
            symbol,
            interval,
            made: Mutex::new(None),
        }
    }

    fn view(&self, py: Python<'_>) -> View {
        lock(py, &self.engine)
            .book_mut()
            .ring(self.slot, self.index)
            .view()
    }

    fn column<'py>(&self, py: Python<'py>, column: usize) -> PyResult<Bound<'py, PyAny>> {
        self.column_of(py, self.view(py), column)
    }

    /// A column of one state. No Python code can run while `made` is locked: it could come back here.
    fn column_of<'py>(&self, py: Python<'py>, view: View, column: usize) -> PyResult<Bound<'py, PyAny>> {
        let unpoisoned = || self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pin = None;
        if let Some(made) = unpoisoned().as_ref().filter(|made| made.shows(&view)) {
            if let Some(array) = &made.arrays[column] {
                return Ok(array.bind(py).clone());
            }
            pin = Some(made.pin.clone_ref(py));
        }
        let pin = match pin {
            Some(pin) => pin,
            None => Py::new(py, PagePin::new(view.page.clone()))?,
        };
        let array = view::column(
            pin.bind(py),
            part(column),
            descr(py, column),
            view.start,
            view.end,
        )?;
        let mut held = unpoisoned();
        let mut older = None;
        if !held.as_ref().is_some_and(|made| made.shows(&view)) {
            older = held.replace(Made {
                view,
                pin,
                arrays: [const { None }; COLUMNS],
            });
        }
        if let Some(made) = held.as_mut() {
            made.arrays[column] = Some(array.clone().unbind());
        }
        drop(held);
        drop(older);
        Ok(array)
    }

    /// The bars of one moment, and each one's end, which rows do not hold.
    fn moment(&self, py: Python<'_>) -> (View, Vec<i64>) {
        let mut engine = lock(py, &self.engine);
        let view = engine.book_mut().ring(self.slot, self.index).view();
        let book = engine.book();
        let ends = match book.nontime_tails(self.slot, self.index, view.len()) {
            Some(tails) => tails.map(|tail| tail.end).collect(),
            None => (0..view.len())
                .map(|at| book.end_of(self.slot, self.index, view.row(at).time))
                .collect(),
        };
        (view, ends)
    }
}

fn made<'py, T: numpy::Element>(
    py: Python<'py>,
    view: &View,
    read: impl Fn(Row) -> T,
) -> Bound<'py, PyArray1<T>> {
    PyArray1::from_iter(py, (0..view.len()).map(|at| read(view.row(at))))
}

fn coverage(row: Row) -> f32 {
    f32::from(row.coverage) / FULL_COVERAGE as f32
}

#[pymethods]
impl PyCandles {
    /// Start of each bar, int64 nanoseconds UTC (R3).
    #[getter]
    fn time<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, TIME)
    }

    /// Price of the first trade known of the bar, float64 (R17).
    #[getter]
    fn open<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, OPEN)
    }

    /// Highest price, float64, with the day's high where that proves more (R18).
    #[getter]
    fn high<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, HIGH)
    }

    /// Lowest price, float64, with the day's low where that proves more (R18).
    #[getter]
    fn low<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, LOW)
    }

    /// Price of the last trade known of the bar, float64 (R19).
    #[getter]
    fn close<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, CLOSE)
    }

    /// What was traded in the bar, int64; 0 with the flag NO_VOLUME where the mode tells none (R11).
    #[getter]
    fn volume<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, VOLUME)
    }

    /// Volume-weighted average price, float64; NaN without volume (R22).
    #[getter]
    fn vwap<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, VWAP)
    }

    /// Open interest at the bar's end, int64; 0 with the flag NO_OI where none was told (R30).
    #[getter]
    fn oi<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, OI)
    }

    /// Snapshots that counted, uint32. Four bytes in steps of eight.
    #[getter]
    fn ticks<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, TICKS)
    }

    /// Bits of `tickloom.Flags`, uint32 (R39). Four bytes in steps of eight.
    #[getter]
    fn flags<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, FLAGS)
    }

    /// The vwap's error bound, float32; NaN where nothing bounds it (R22). Four bytes in steps of eight.
    #[getter]
    fn vwap_err<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, VWAP_ERR)
    }

    /// How often the bar was revised after it was sealed, uint8 (R25). One byte in steps of eight.
    #[getter]
    fn rev<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, REV)
    }

    /// Share of the bar during which the feed was connected, float32 from 0 to 1 (R39). A copy.
    #[getter]
    fn coverage<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        made(py, &self.view(py), coverage)
    }

    /// The worst clock that placed a tick, uint8, see `tickloom.TimeSource` (R2). A copy.
    #[getter]
    fn time_source<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u8>> {
        made(py, &self.view(py), |row| row.origin & 15)
    }

    /// Where the numbers came from, uint8, see `tickloom.BarSource` (R39). A copy.
    #[getter]
    fn src<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u8>> {
        made(py, &self.view(py), |row| row.origin >> 4)
    }

    /// End of each bar, int64 nanoseconds UTC (R7); of bars without time, when they closed (R38). A copy.
    #[getter]
    fn end<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        PyArray1::from_vec(py, self.moment(py).1)
    }

    /// All columns of one moment by name, so that they are equally long whatever other threads apply.
    fn columns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (view, ends) = self.moment(py);
        let dict = PyDict::new(py);
        for (column, name) in NAMES.into_iter().enumerate() {
            dict.set_item(name, self.column_of(py, view.clone(), column)?)?;
        }
        dict.set_item("coverage", made(py, &view, coverage))?;
        dict.set_item("time_source", made(py, &view, |row| row.origin & 15))?;
        dict.set_item("src", made(py, &view, |row| row.origin >> 4))?;
        dict.set_item("end", PyArray1::from_vec(py, ends))?;
        Ok(dict)
    }

    /// Bars that are not sealed yet, oldest first: during the grace time there can be two (R25).
    #[getter]
    fn unsealed(&self, py: Python<'_>) -> Vec<PyBar> {
        let mut engine = lock(py, &self.engine);
        engine
            .book_mut()
            .unsealed(self.slot, self.index)
            .into_iter()
            .map(|(row, end)| PyBar::new(row, end))
            .collect()
    }

    /// The newest bar that is not sealed yet as a `Bar`, a copy; None if there is none.
    #[getter]
    fn forming(&self, py: Python<'_>) -> Option<PyBar> {
        self.unsealed(py).pop()
    }

    /// The last `n` sealed bars as `Bar` objects, oldest first; fewer if there are fewer. ValueError if n is below 1.
    #[pyo3(signature = (n=1))]
    fn last(&self, py: Python<'_>, n: isize) -> PyResult<Vec<PyBar>> {
        let wanted = usize::try_from(n).ok().filter(|n| *n > 0);
        let wanted = wanted.ok_or_else(|| PyValueError::new_err(format!("n must be at least 1: {n}")))?;
        let (view, ends) = self.moment(py);
        let from = view.len().saturating_sub(wanted);
        Ok((from..view.len())
            .map(|at| PyBar::new(view.row(at), ends[at]))
            .collect())
    }

    /// The bars laid on the calendar between the first and the last, a dict of arrays with a mask `valid` (R24).
    ///
    /// Where no bar is, floats are NaN and integers 0; with `fill="ffill"` a bar of the close before it and the
    /// flag FILLED stands where the market was open, the feed was there and nothing traded.
    #[pyo3(signature = (fill=None))]
    fn filled<'py>(&self, py: Python<'py>, fill: Option<&str>) -> PyResult<Bound<'py, PyDict>> {
        let how = panel::fill(fill)?;
        let laid = lock(py, &self.engine).filled(self.slot, self.index, how);
        transforms::filled(py, laid)
    }

    /// Heikin-Ashi bars of the sealed ones, a dict of `time`, `open`, `high`, `low`, `close` (R38). Copies.
    fn heikin_ashi<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        transforms::heikin_ashi(py, &self.view(py))
    }

    /// The number of sealed bars.
    fn __len__(&self, py: Python<'_>) -> usize {
        lock(py, &self.engine)
            .book_mut()
            .ring(self.slot, self.index)
            .len()
    }

    /// The instrument's token.
    #[getter]
    const fn token(&self) -> u32 {
        self.token
    }

    /// The symbol that `track` gave, as it was when these candles were asked for; None if it gave none.
    #[getter]
    fn symbol(&self) -> Option<&str> {
        self.symbol.as_deref()
    }

    /// The interval's canonical name.
    #[getter]
    fn interval(&self) -> &str {
        &self.interval
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let name = self.symbol.clone().unwrap_or_else(|| self.token.to_string());
        format!("Candles({name}, {}, {} bars)", self.interval, self.__len__(py))
    }
}
