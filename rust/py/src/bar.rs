//! Bar and ClosedBar: light objects for one bar.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use tickloom_core::bar::{FULL_COVERAGE, Row};
use tickloom_core::session::calendar::civil;
use tickloom_core::units::{Ns, SECOND, ist_day, ist_midnight};

/// A copy of one bar, sealed or forming.
///
/// The attributes are a row's of `Candles`: `time` and `end` int nanoseconds UTC, prices floats, NaN for a
/// vwap without volume. Bars are equal if all attributes are, bit by bit.
#[pyclass(frozen, eq, get_all, name = "Bar", module = "tickloom")]
#[derive(Clone)]
pub struct PyBar {
    time: i64,
    end: i64,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: i64,
    vwap: f64,
    oi: i64,
    ticks: u32,
    flags: u32,
    vwap_err: f32,
    coverage: f32,
    rev: u8,
    time_source: u8,
    src: u8,
}

impl PyBar {
    pub fn new(row: Row, end: i64) -> Self {
        Self {
            time: row.time,
            end,
            open: row.open,
            high: row.high,
            low: row.low,
            close: row.close,
            volume: row.volume,
            vwap: row.vwap,
            oi: row.oi,
            ticks: row.ticks,
            flags: row.flags,
            vwap_err: row.vwap_err,
            coverage: f32::from(row.coverage) / FULL_COVERAGE as f32,
            rev: row.rev,
            time_source: row.origin & 15,
            src: row.origin >> 4,
        }
    }

    /// Everything that makes two bars the same; NaN is itself here.
    fn bits(&self) -> ([i64; 4], [u64; 5], [u32; 4], [u8; 3]) {
        (
            [self.time, self.end, self.volume, self.oi],
            [self.open, self.high, self.low, self.close, self.vwap].map(f64::to_bits),
            [
                self.ticks,
                self.flags,
                self.vwap_err.to_bits(),
                self.coverage.to_bits(),
            ],
            [self.rev, self.time_source, self.src],
        )
    }
}

impl PartialEq for PyBar {
    fn eq(&self, other: &Self) -> bool {
        self.bits() == other.bits()
    }
}

#[pymethods]
impl PyBar {
    /// The attributes by name, in the order of `Candles.columns()`.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("time", self.time)?;
        dict.set_item("open", self.open)?;
        dict.set_item("high", self.high)?;
        dict.set_item("low", self.low)?;
        dict.set_item("close", self.close)?;
        dict.set_item("volume", self.volume)?;
        dict.set_item("vwap", self.vwap)?;
        dict.set_item("oi", self.oi)?;
        dict.set_item("ticks", self.ticks)?;
        dict.set_item("flags", self.flags)?;
        dict.set_item("vwap_err", self.vwap_err)?;
        dict.set_item("rev", self.rev)?;
        dict.set_item("coverage", self.coverage)?;
        dict.set_item("time_source", self.time_source)?;
        dict.set_item("src", self.src)?;
        dict.set_item("end", self.end)?;
        Ok(dict)
    }

    fn __repr__(&self) -> String {
        format!(
            "Bar({}, open={:?}, high={:?}, low={:?}, close={:?}, volume={}, vwap={:?}, oi={}, ticks={}, flags={})",
            wall_time(self.time),
            self.open,
            self.high,
            self.low,
            self.close,
            self.volume,
            self.vwap,
            self.oi,
            self.ticks,
            self.flags
        )
    }
}

/// What happened to a bar: `kind` is "closed", "revised" by a late tick, or "reconciled" with history (R25).
///
/// `token`, `symbol` (None if not named) and `interval` say which bar, `bar` is it as it then was, and `rev`
/// counts its revisions.
#[pyclass(frozen, get_all, name = "ClosedBar", module = "tickloom")]
pub struct PyClosedBar {
    pub token: u32,
    pub symbol: Option<String>,
    pub interval: String,
    pub kind: &'static str,
    pub bar: PyBar,
}

#[pymethods]
impl PyClosedBar {
    #[getter]
    fn rev(&self) -> u8 {
        self.bar.rev
    }

    fn __repr__(&self) -> String {
        let name = self.symbol.clone().unwrap_or_else(|| self.token.to_string());
        format!(
            "ClosedBar({name}, {}, {}, {})",
            self.interval,
            self.kind,
            self.bar.__repr__()
        )
    }
}

/// An instant as Indian wall time, for people.
fn wall_time(at: Ns) -> String {
    let day = ist_day(at);
    let (year, month, date) = civil(day);
    let second = (at - ist_midnight(day)) / SECOND;
    let (hours, minutes, seconds) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year}-{month:02}-{date:02} {hours:02}:{minutes:02}:{seconds:02} IST")
}
