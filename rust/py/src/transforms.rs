//! Filled bars and Heikin-Ashi: what is made from sealed bars when it is read, and never stored.

use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tickloom_core::bar::Row;
use tickloom_core::engine::Panel;
use tickloom_core::nontime;
use tickloom_core::ring::View;

use crate::panel::matrix;

/// One instrument's bars on its calendar (R24).
pub fn filled(py: Python<'_>, laid: Panel) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    for name in [
        "open", "high", "low", "close", "volume", "vwap", "oi", "ticks", "flags",
    ] {
        let (values, valid) = matrix(py, &laid.cells, 1, name)?;
        dict.set_item(name, values.call_method0("ravel")?)?;
        dict.set_item("valid", valid.call_method0("ravel")?)?;
    }
    dict.set_item("time", PyArray1::from_vec(py, laid.times))?;
    Ok(dict)
}

/// Heikin-Ashi bars of a view (R38).
pub fn heikin_ashi<'py>(py: Python<'py>, view: &View) -> PyResult<Bound<'py, PyDict>> {
    let rows: Vec<_> = (0..view.len()).map(|at| view.row(at)).collect();
    let column = |read: fn(&Row) -> f64| rows.iter().map(read).collect::<Vec<_>>();
    let made = nontime::heikin_ashi(
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
