//! The exceptions of python/tickloom/errors.py, raised from here.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

fn class(py: Python<'_>, cell: &PyOnceLock<Py<PyType>>, name: &str, argument: &str) -> PyErr {
    match cell.import(py, "tickloom.errors", name) {
        Ok(class) => PyErr::from_type(class.clone(), argument.to_owned()),
        Err(error) => error,
    }
}

/// `UnknownInstrument` for a token or symbol that the engine does not track.
pub fn unknown_instrument(py: Python<'_>, instrument: &str) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    class(
        py,
        &CLASS,
        "UnknownInstrument",
        &format!("instrument is not tracked: {instrument}"),
    )
}
