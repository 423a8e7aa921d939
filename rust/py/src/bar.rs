//! Bar and ClosedBar: light objects for one bar.

use pyo3::prelude::*;
use tickloom_core::bar::{FULL_COVERAGE, Row};

/// One bar, sealed or forming. Times are UTC nanoseconds, prices money.
#[pyclass(frozen, get_all, name = "Bar", module = "tickloom")]
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
}

#[pymethods]
impl PyBar {
    fn __repr__(&self) -> String {
        format!(
            "Bar(time={}, open={}, high={}, low={}, close={}, volume={}, vwap={}, oi={}, ticks={}, flags={})",
            self.time,
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

/// What happened to a bar: it was closed, revised by a late tick, or reconciled with history (R25).
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
