//! Coarser bars of the sealed ones, made when they are asked for (R27).

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tickloom_core::bar::Row;
use tickloom_core::interval::Interval;
use tickloom_core::units::Ns;

use numpy::PyArray1;

use super::{PyCandles, coverage};
use crate::engine::lock;
use crate::options;

#[pymethods]
impl PyCandles {
    /// Bars of a longer interval made of the sealed ones, as `tickloom.candles.Resampled`: a copy of this moment.
    ///
    /// Raises ValueError for an interval that is no multiple of this one, and for days, weeks, months and bars
    /// without time on either side: those are not folds of bars of time (R28, R38).
    fn resample<'py>(&self, py: Python<'py>, interval: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let wanted = options::interval(interval)?;
        let own = Interval::parse(&self.interval).ok().and_then(Interval::ns);
        let ns = match (own, wanted.ns()) {
            (Some(own), Some(ns)) if ns % own == 0 => ns,
            (Some(_), Some(_)) => {
                return Err(PyValueError::new_err(format!(
                    "only a multiple of {} can be made of its bars: {wanted}",
                    self.interval
                )));
            }
            _ => {
                return Err(PyValueError::new_err(format!(
                    "only bars shorter than a day are resampled, name it in Engine(intervals=...): {} to {wanted}",
                    self.interval
                )));
            }
        };
        let rows = lock(py, &self.engine).resampled(self.slot, self.index, ns);
        let named = PyDict::new(py);
        named.set_item("token", self.token)?;
        named.set_item("symbol", &self.symbol)?;
        named.set_item("interval", wanted.to_string())?;
        py.import("tickloom.candles")?
            .call_method("Resampled", (columns(py, &rows)?,), Some(&named))
    }
}

/// The columns of `Candles.columns()`, in its order.
fn columns<'py>(py: Python<'py>, rows: &[(Row, Ns)]) -> PyResult<Bound<'py, PyDict>> {
    fn column<'py, T: numpy::Element>(
        py: Python<'py>,
        rows: &[(Row, Ns)],
        read: impl Fn(&Row) -> T,
    ) -> Bound<'py, PyArray1<T>> {
        PyArray1::from_iter(py, rows.iter().map(|(row, _)| read(row)))
    }
    let dict = PyDict::new(py);
    dict.set_item("time", column(py, rows, |row| row.time))?;
    dict.set_item("open", column(py, rows, |row| row.open))?;
    dict.set_item("high", column(py, rows, |row| row.high))?;
    dict.set_item("low", column(py, rows, |row| row.low))?;
    dict.set_item("close", column(py, rows, |row| row.close))?;
    dict.set_item("volume", column(py, rows, |row| row.volume))?;
    dict.set_item("vwap", column(py, rows, |row| row.vwap))?;
    dict.set_item("oi", column(py, rows, |row| row.oi))?;
    dict.set_item("ticks", column(py, rows, |row| row.ticks))?;
    dict.set_item("flags", column(py, rows, |row| row.flags))?;
    dict.set_item("vwap_err", column(py, rows, |row| row.vwap_err))?;
    dict.set_item("rev", column(py, rows, |row| row.rev))?;
    dict.set_item("coverage", column(py, rows, |row| coverage(*row)))?;
    dict.set_item("time_source", column(py, rows, |row| row.origin & 15))?;
    dict.set_item("src", column(py, rows, |row| row.origin >> 4))?;
    dict.set_item("end", PyArray1::from_iter(py, rows.iter().map(|(_, end)| *end)))?;
    Ok(dict)
}
