//! A table of text to columns: CSV as brokers publish it, read at the speed of its bytes.

use std::collections::HashMap;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};
use tickloom_core::session::calendar::day_of;

/// A column under way: numbers as the bytes of a numpy array, texts as Python's.
enum Column<'py> {
    Skipped,
    Integers(Vec<u8>),
    Floats(Vec<u8>),
    Days(Vec<u8>),
    Texts(Vec<Bound<'py, PyString>>),
    /// Texts of which there are few different ones: each is made once.
    Words(Vec<Bound<'py, PyString>>, HashMap<String, Bound<'py, PyString>>),
}

impl<'py> Column<'py> {
    fn new(kind: char) -> PyResult<Self> {
        Ok(match kind {
            '-' => Self::Skipped,
            'i' => Self::Integers(Vec::new()),
            'f' => Self::Floats(Vec::new()),
            'd' => Self::Days(Vec::new()),
            't' => Self::Texts(Vec::new()),
            'w' => Self::Words(Vec::new(), HashMap::new()),
            _ => return Err(PyValueError::new_err(format!("no such kind of column: {kind:?}"))),
        })
    }

    /// Takes a cell, or None if it is not of this kind.
    fn take(&mut self, py: Python<'py>, cell: &str) -> Option<()> {
        match self {
            Self::Skipped => {}
            Self::Integers(bytes) => bytes.extend(cell.parse::<i64>().ok()?.to_ne_bytes()),
            Self::Floats(bytes) => {
                let number = if cell.is_empty() {
                    0.0
                } else {
                    cell.parse::<f64>().ok()?
                };
                bytes.extend(number.to_ne_bytes());
            }
            Self::Days(bytes) => bytes.extend(ordinal(cell)?.to_ne_bytes()),
            Self::Texts(texts) => texts.push(PyString::new(py, cell)),
            Self::Words(texts, known) => {
                if let Some(text) = known.get(cell) {
                    texts.push(text.clone());
                } else {
                    let text = PyString::new(py, cell);
                    known.insert(cell.to_owned(), text.clone());
                    texts.push(text);
                }
            }
        }
        Some(())
    }

    fn finish(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(match self {
            Self::Skipped => py.None().into_bound(py),
            Self::Integers(bytes) | Self::Floats(bytes) | Self::Days(bytes) => {
                PyBytes::new(py, &bytes).into_any()
            }
            Self::Texts(texts) | Self::Words(texts, _) => PyList::new(py, texts)?.into_any(),
        })
    }
}

/// `2026-12-29` as Python's `date.toordinal()` counts, 0 for nothing.
fn ordinal(cell: &str) -> Option<i64> {
    if cell.is_empty() {
        return Some(0);
    }
    let bytes = cell.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let part = |range: core::ops::Range<usize>| cell.get(range)?.parse::<u16>().ok().map(i64::from);
    // 1970-01-01 is the 719,163rd day of Python's calendar.
    Some(day_of(part(0..4)?, part(5..7)?, part(8..10)?)? + 719_163)
}

/// The next cell and what ends it (`,` or a line's end), or None where this is no plain CSV.
fn cell<'a>(text: &'a str, at: &mut usize) -> Option<(&'a str, bool)> {
    let bytes = text.as_bytes();
    let quoted = bytes.get(*at) == Some(&b'"');
    let start = *at + usize::from(quoted);
    let rest = bytes.get(start..)?;
    let length = if quoted {
        // A cell of several lines is no plain CSV.
        rest.iter()
            .position(|&byte| matches!(byte, b'"' | b'\n' | b'\r'))
            .filter(|&end| rest[end] == b'"')?
    } else {
        rest.iter()
            .position(|&byte| matches!(byte, b',' | b'\n' | b'\r' | b'"'))
            .unwrap_or(rest.len())
    };
    let found = text.get(start..start + length)?;
    let mut next = start + length + usize::from(quoted);
    let ends = match bytes.get(next) {
        Some(b',') => false,
        Some(b'\r') if bytes.get(next + 1) == Some(&b'\n') => {
            next += 1;
            true
        }
        Some(b'\n') | None => true,
        // A quote in the middle, or doubled.
        Some(_) => return None,
    };
    *at = next + 1;
    Some((found, ends))
}

/// The columns of a CSV text below its first line, one a letter of `kinds`: `i` int64, `f` float64 (0 if empty),
/// `d` a date as its ordinal (0 if empty) as bytes for numpy; `t` a list of str, `w` one with few different; `-` none.
///
/// None if a cell is not what its letter says, or if a row has more or fewer cells; then look at the rows one by one.
#[pyfunction]
#[pyo3(name = "read_columns")]
pub fn read_columns<'py>(
    py: Python<'py>,
    text: &str,
    kinds: &str,
) -> PyResult<Option<Vec<Bound<'py, PyAny>>>> {
    let mut columns = kinds.chars().map(Column::new).collect::<PyResult<Vec<_>>>()?;
    let Some(mut at) = text.find('\n').map(|head| head + 1) else {
        return Ok(None);
    };
    while at < text.len() {
        let width = columns.len();
        for (place, column) in columns.iter_mut().enumerate() {
            let taken = cell(text, &mut at)
                .filter(|(_, ends)| *ends == (place + 1 == width))
                .and_then(|(cell, _)| column.take(py, cell));
            if taken.is_none() {
                return Ok(None);
            }
        }
    }
    let done = columns.into_iter().map(|column| column.finish(py));
    done.collect::<PyResult<Vec<_>>>().map(Some)
}
