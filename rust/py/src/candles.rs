//! Candles: the live columns of one instrument and interval.

use std::sync::{Arc, Mutex, PoisonError};

use numpy::{PyArray1, PyArrayDescr};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tickloom_core::bar::{FULL_COVERAGE, Row};
use tickloom_core::nontime::heikin_ashi;
use tickloom_core::ring::View;

use crate::bar::PyBar;
use crate::engine::{Shared, lock};
use crate::panel;
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

/// Where each column lies in a row's words (bar.rs, `Row::words`).
const PARTS: [Part; COLUMNS] = [
    Part {
        word: 0,
        offset: 0,
        size: 8,
    },
    Part {
        word: 1,
        offset: 0,
        size: 8,
    },
    Part {
        word: 2,
        offset: 0,
        size: 8,
    },
    Part {
        word: 3,
        offset: 0,
        size: 8,
    },
    Part {
        word: 4,
        offset: 0,
        size: 8,
    },
    Part {
        word: 5,
        offset: 0,
        size: 8,
    },
    Part {
        word: 6,
        offset: 0,
        size: 8,
    },
    Part {
        word: 7,
        offset: 0,
        size: 8,
    },
    Part {
        word: 8,
        offset: 0,
        size: 4,
    },
    Part {
        word: 8,
        offset: 4,
        size: 4,
    },
    Part {
        word: 9,
        offset: 0,
        size: 4,
    },
    Part {
        word: 9,
        offset: 6,
        size: 1,
    },
];

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

/// The live candles of one instrument and interval. See python/tickloom/_core.pyi.
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
        let view = self.view(py);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let same = made.as_ref().is_some_and(|made| {
            Arc::ptr_eq(&made.view.page, &view.page)
                && made.view.end == view.end
                && made.view.start == view.start
        });
        if !same {
            let pin = Py::new(py, PagePin::new(Arc::clone(&view.page)))?;
            *made = Some(Made {
                view,
                pin,
                arrays: [const { None }; COLUMNS],
            });
        }
        let made = made.as_mut().expect("made just above");
        if let Some(array) = &made.arrays[column] {
            return Ok(array.bind(py).clone());
        }
        let array = view::column(
            made.pin.bind(py),
            PARTS[column],
            descr(py, column),
            made.view.start,
            made.view.end,
        )?;
        made.arrays[column] = Some(array.clone().unbind());
        Ok(array)
    }

    /// Each bar's end, which rows do not hold.
    fn ends(&self, py: Python<'_>, view: &View) -> Vec<i64> {
        let engine = lock(py, &self.engine);
        (0..view.len())
            .map(|at| engine.book().end_of(self.slot, self.index, view.row(at).time))
            .collect()
    }
}

#[pymethods]
impl PyCandles {
    #[getter]
    fn time<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, TIME)
    }

    #[getter]
    fn open<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, OPEN)
    }

    #[getter]
    fn high<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, HIGH)
    }

    #[getter]
    fn low<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, LOW)
    }

    #[getter]
    fn close<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, CLOSE)
    }

    #[getter]
    fn volume<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, VOLUME)
    }

    #[getter]
    fn vwap<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, VWAP)
    }

    #[getter]
    fn oi<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, OI)
    }

    #[getter]
    fn ticks<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, TICKS)
    }

    #[getter]
    fn flags<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, FLAGS)
    }

    #[getter]
    fn vwap_err<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, VWAP_ERR)
    }

    #[getter]
    fn rev<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, REV)
    }

    #[getter]
    fn coverage<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        let view = self.view(py);
        let share = |at| f32::from(view.row(at).coverage) / FULL_COVERAGE as f32;
        PyArray1::from_iter(py, (0..view.len()).map(share))
    }

    #[getter]
    fn time_source<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u8>> {
        let view = self.view(py);
        PyArray1::from_iter(py, (0..view.len()).map(|at| view.row(at).origin & 15))
    }

    #[getter]
    fn src<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u8>> {
        let view = self.view(py);
        PyArray1::from_iter(py, (0..view.len()).map(|at| view.row(at).origin >> 4))
    }

    #[getter]
    fn end<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        let view = self.view(py);
        PyArray1::from_vec(py, self.ends(py, &view))
    }

    /// Bars that are not sealed yet, oldest first: during the grace time there can be two.
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

    #[getter]
    fn forming(&self, py: Python<'_>) -> Option<PyBar> {
        self.unsealed(py).pop()
    }

    #[pyo3(signature = (n=1))]
    fn last(&self, py: Python<'_>, n: usize) -> PyResult<Vec<PyBar>> {
        let view = self.view(py);
        if n == 0 {
            return Err(PyValueError::new_err(format!("n must be at least 1: {n}")));
        }
        let ends = self.ends(py, &view);
        let from = view.len().saturating_sub(n);
        Ok((from..view.len())
            .map(|at| PyBar::new(view.row(at), ends[at]))
            .collect())
    }

    #[pyo3(signature = (fill=None))]
    fn filled<'py>(&self, py: Python<'py>, fill: Option<&str>) -> PyResult<Bound<'py, PyDict>> {
        let how = panel::fill(fill)?;
        let laid = lock(py, &self.engine).filled(self.slot, self.index, how);
        let dict = PyDict::new(py);
        for name in [
            "open", "high", "low", "close", "volume", "vwap", "oi", "ticks", "flags",
        ] {
            let (values, valid) = panel::matrix(py, &laid.cells, 1, name)?;
            dict.set_item(name, values.call_method0("ravel")?)?;
            dict.set_item("valid", valid.call_method0("ravel")?)?;
        }
        dict.set_item("time", PyArray1::from_vec(py, laid.times))?;
        Ok(dict)
    }

    fn heikin_ashi<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let view = self.view(py);
        let rows: Vec<_> = (0..view.len()).map(|at| view.row(at)).collect();
        let column = |read: fn(&Row) -> f64| rows.iter().map(read).collect::<Vec<_>>();
        let made = heikin_ashi(
            &column(|row| row.open),
            &column(|row| row.high),
            &column(|row| row.low),
            &column(|row| row.close),
        );
        let dict = PyDict::new(py);
        dict.set_item("time", PyArray1::from_iter(py, rows.iter().map(|row| row.time)))?;
        for (name, values) in [
            ("open", made.open),
            ("high", made.high),
            ("low", made.low),
            ("close", made.close),
        ] {
            dict.set_item(name, PyArray1::from_vec(py, values))?;
        }
        Ok(dict)
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        lock(py, &self.engine)
            .book_mut()
            .ring(self.slot, self.index)
            .len()
    }

    #[getter]
    const fn token(&self) -> u32 {
        self.token
    }

    #[getter]
    fn symbol(&self) -> Option<&str> {
        self.symbol.as_deref()
    }

    #[getter]
    fn interval(&self) -> &str {
        &self.interval
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let name = self.symbol.clone().unwrap_or_else(|| self.token.to_string());
        format!("Candles({name}, {}, {} bars)", self.interval, self.__len__(py))
    }
}
