//! Columns for `push_many`: whatever numpy can turn into numbers without losing any of them.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use numpy::{
    PyArray1, PyArrayDescrMethods, PyArrayMethods, PyReadonlyArray1, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use tickloom_core::engine::{PushError, Pushed};

use crate::engine::Shared;

/// Above this not every whole number is a float64.
const EXACT: f64 = (1_u64 << 53) as f64;

fn array<'py>(name: &str, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyUntypedArray>> {
    if value.get_type().name()? == "MaskedArray" {
        // What is masked would be read as if it were not.
        return Err(PyTypeError::new_err(format!(
            "{name} must be a plain array, not a masked one"
        )));
    }
    let array = value.py().import("numpy")?.call_method1("asarray", (value,))?;
    let array = array.cast_into::<PyUntypedArray>()?;
    if array.ndim() == 1 {
        return Ok(array);
    }
    Err(PyValueError::new_err(format!(
        "{name} must be an array of one dimension, not {}",
        array.ndim()
    )))
}

fn refused(name: &str, wanted: &str, array: &Bound<'_, PyUntypedArray>) -> PyErr {
    PyTypeError::new_err(format!("{name} must be {wanted}, not {}", array.dtype()))
}

fn cast<'py, T: numpy::Element>(
    array: &Bound<'py, PyUntypedArray>,
    dtype: &str,
) -> PyResult<PyReadonlyArray1<'py, T>> {
    let cast = array.call_method1("astype", (dtype,))?;
    Ok(cast.cast_into::<PyArray1<T>>()?.readonly())
}

/// Real numbers as float64: any kind of integer and any float up to eight bytes.
pub fn floats<'py>(name: &str, value: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArray1<'py, f64>> {
    let array = array(name, value)?;
    match (array.dtype().kind(), array.dtype().itemsize()) {
        (b'f' | b'i' | b'u', 0..=8) => cast(&array, "f8"),
        _ => Err(refused(name, "real numbers", &array)),
    }
}

/// Whole numbers as int64: any kind of integer, and floats that are whole where `from_floats` allows them.
pub fn integers<'py>(
    name: &str,
    value: &Bound<'py, PyAny>,
    from_floats: bool,
) -> PyResult<PyReadonlyArray1<'py, i64>> {
    let array = array(name, value)?;
    match (array.dtype().kind(), array.dtype().itemsize()) {
        (b'u', 8) => {
            let values = cast::<u64>(&array, "u8")?;
            let large = |value: &u64| i64::try_from(*value).is_err();
            first(name, "too large", values.as_array().iter(), large)?;
            cast(&array, "i8")
        }
        (b'i' | b'u', 0..=8) => cast(&array, "i8"),
        (b'f', 0..=8) if from_floats => {
            let values = cast::<f64>(&array, "f8")?;
            let broken = |value: &f64| !(value.fract() == 0.0 && value.abs() <= EXACT);
            first(name, "not a whole number", values.as_array().iter(), broken)?;
            cast(&array, "i8")
        }
        // An empty list has a type that says nothing.
        _ if array.is_empty() => cast(&array, "i8"),
        _ if from_floats => Err(refused(name, "whole numbers", &array)),
        _ => Err(refused(name, "integers", &array)),
    }
}

/// A column of whole numbers that may be left out.
pub fn whole<'py>(
    name: &str,
    value: Option<&Bound<'py, PyAny>>,
) -> PyResult<Option<PyReadonlyArray1<'py, i64>>> {
    value.map(|value| integers(name, value, true)).transpose()
}

/// Refuses the first value that is `bad`.
fn first<'a, T: std::fmt::Display + 'a>(
    name: &str,
    why: &str,
    values: impl Iterator<Item = &'a T>,
    bad: impl Fn(&T) -> bool,
) -> PyResult<()> {
    match values.enumerate().find(|(_, value)| bad(value)) {
        Some((at, value)) => Err(PyValueError::new_err(format!(
            "row {at}: {name} is {why}: {value}"
        ))),
        None => Ok(()),
    }
}

/// One token for all rows, or one a row.
pub enum Tokens<'py> {
    One(u32),
    Many(PyReadonlyArray1<'py, i64>),
}

impl<'py> Tokens<'py> {
    pub fn new(value: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(one) = value.extract() {
            return Ok(Self::One(one));
        }
        let many = integers("token", value, false)?;
        let outside = |token: &i64| u32::try_from(*token).is_err();
        first(
            "token",
            "not an unsigned 32-bit number",
            many.as_array().iter(),
            outside,
        )?;
        Ok(Self::Many(many))
    }
}

/// The arguments of `push_many`, all of one length.
pub struct Columns<'py> {
    pub token: Tokens<'py>,
    pub price: PyReadonlyArray1<'py, f64>,
    pub time: PyReadonlyArray1<'py, i64>,
    pub quantity: Option<PyReadonlyArray1<'py, i64>>,
    pub cumulative: Option<PyReadonlyArray1<'py, i64>>,
    pub oi: Option<PyReadonlyArray1<'py, i64>>,
}

impl Columns<'_> {
    /// Pushes every row, or none and says which is bad.
    ///
    /// `cast` has copied the columns, so that nobody else knows their memory: the work on it needs no interpreter.
    pub fn push(&self, py: Python<'_>, engine: &Shared) -> PyResult<usize> {
        let rows = self.price.len();
        let price = self.price.as_slice()?;
        let time = self.time.as_slice()?;
        let optional = [&self.quantity, &self.cumulative, &self.oi];
        let mut columns = [None; 3];
        for (slice, column) in columns.iter_mut().zip(optional) {
            *slice = column.as_ref().map(|column| column.as_slice()).transpose()?;
        }
        let optional: [Option<&[i64]>; 3] = columns;
        let tokens = match &self.token {
            Tokens::One(_) => None,
            Tokens::Many(tokens) => Some(tokens.as_slice()?),
        };
        let one = if let Tokens::One(token) = self.token {
            token
        } else {
            0
        };
        let others = [("time_ns", Some(time)), ("token", tokens)];
        let named = ["quantity", "cumulative_volume", "oi"].into_iter().zip(optional);
        for (name, column) in others.into_iter().chain(named) {
            if let Some(length) = column.map(|column| column.len()).filter(|length| *length != rows) {
                return Err(PyValueError::new_err(format!(
                    "{name} must be as long as price, {rows}: {length}"
                )));
            }
        }
        let row = |at: usize| {
            let pushed = Pushed {
                price: price[at],
                time: time[at],
                quantity: optional[0].map(|column| column[at]),
                cumulative: optional[1].map(|column| column[at]),
                oi: optional[2].map(|column| column[at]),
                rx: None,
            };
            // Checked to be in range when it was read.
            (tokens.map_or(one, |tokens| tokens[at] as u32), pushed)
        };
        let bad = |at: usize, error: PushError| PyValueError::new_err(format!("row {at}: {error}"));
        py.detach(|| {
            let mut engine = engine.lock().unwrap_or_else(PoisonError::into_inner);
            let mut unseen = BTreeSet::new();
            for at in 0..rows {
                let (token, pushed) = row(at);
                engine.check(token, &pushed).map_err(|error| bad(at, error))?;
                if engine.slot(token).is_none() && unseen.insert(token) && unseen.len() > engine.room() {
                    return Err(bad(at, PushError::Full));
                }
            }
            for at in 0..rows {
                let (token, pushed) = row(at);
                engine.push(token, &pushed).map_err(|error| bad(at, error))?;
            }
            Ok(rows)
        })
    }
}
