//! Board and panel: all instruments at once, as arrays.

use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tickloom_core::bar::{FULL_COVERAGE, Row};
use tickloom_core::engine::{Engine, Fill};

/// Instruments x bars, aligned on the calendar. Row `i` of `values` and `valid` is `tokens[i]`.
#[pyclass(frozen, get_all, module = "tickloom")]
pub struct Panel {
    values: Py<PyAny>,
    valid: Py<PyArray2<bool>>,
    time: Py<PyArray1<i64>>,
    tokens: Vec<u32>,
    symbols: Vec<Option<String>>,
}

#[pymethods]
impl Panel {
    fn __repr__(&self, py: Python<'_>) -> String {
        format!(
            "Panel({} instruments x {} bars)",
            self.tokens.len(),
            self.time.bind(py).len().unwrap_or(0)
        )
    }
}

/// How a column is read from a row.
enum Field {
    Float(fn(&Row) -> f64),
    Integer(fn(&Row) -> i64),
}

fn field(name: &str) -> PyResult<Field> {
    Ok(match name {
        "open" => Field::Float(|row| row.open),
        "high" => Field::Float(|row| row.high),
        "low" => Field::Float(|row| row.low),
        "close" => Field::Float(|row| row.close),
        "vwap" => Field::Float(|row| row.vwap),
        "vwap_err" => Field::Float(|row| f64::from(row.vwap_err)),
        "coverage" => Field::Float(|row| f64::from(row.coverage) / FULL_COVERAGE as f64),
        "volume" => Field::Integer(|row| row.volume),
        "oi" => Field::Integer(|row| row.oi),
        "ticks" => Field::Integer(|row| i64::from(row.ticks)),
        "flags" => Field::Integer(|row| i64::from(row.flags)),
        "rev" => Field::Integer(|row| i64::from(row.rev)),
        _ => {
            return Err(PyValueError::new_err(format!(
                "field must be a column of Candles, such as \"close\" or \"volume\": {name:?}"
            )));
        }
    })
}

/// `fill` as Python names it.
pub fn fill(word: Option<&str>) -> PyResult<Fill> {
    match word {
        None | Some("nan") => Ok(Fill::None),
        Some("ffill") => Ok(Fill::Forward),
        Some(other) => Err(PyValueError::new_err(format!(
            "fill must be None, \"nan\" or \"ffill\": {other:?}"
        ))),
    }
}

/// Cells of one field as an array of `rows` rows: NaN or 0 where there is no bar, and the mask that says so.
pub fn matrix<'py>(
    py: Python<'py>,
    cells: &[Option<Row>],
    rows: usize,
    name: &str,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyArray2<bool>>)> {
    let shape = [rows, cells.len().checked_div(rows).unwrap_or(0)];
    let values = match field(name)? {
        Field::Float(read) => {
            let values = cells.iter().map(|cell| cell.as_ref().map_or(f64::NAN, read));
            PyArray1::from_iter(py, values).reshape(shape)?.into_any()
        }
        Field::Integer(read) => {
            let values = cells.iter().map(|cell| cell.as_ref().map_or(0, read));
            PyArray1::from_iter(py, values).reshape(shape)?.into_any()
        }
    };
    let valid = PyArray1::from_iter(py, cells.iter().map(Option::is_some)).reshape(shape)?;
    Ok((values, valid))
}

pub fn panel(py: Python<'_>, engine: &mut Engine, interval: usize, name: &str, how: Fill) -> PyResult<Panel> {
    field(name)?;
    let laid = engine.panel(interval, how);
    let (values, valid) = matrix(py, &laid.cells, engine.instruments().len(), name)?;
    Ok(Panel {
        values: values.unbind(),
        valid: valid.unbind(),
        time: PyArray1::from_vec(py, laid.times).unbind(),
        tokens: engine
            .instruments()
            .iter()
            .map(|instrument| instrument.token)
            .collect(),
        symbols: engine
            .instruments()
            .iter()
            .map(|instrument| instrument.symbol.clone())
            .collect(),
    })
}
