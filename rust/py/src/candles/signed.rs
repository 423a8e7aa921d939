//! Signed volume of bars without time (R38).

use numpy::PyArray1;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tickloom_core::aggregate::Tail;

use super::PyCandles;
use crate::engine::lock;

#[pymethods]
impl PyCandles {
    /// Volume bought less volume sold in each bar without time, int64: an estimate (R38). A copy.
    ///
    /// Raises ValueError for bars of time, and unless the engine was made with `signed_volume`.
    #[getter]
    fn delta<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<i64>>> {
        self.signed(py, |tail| tail.delta)
    }

    /// The sum of `delta` over this and all bars before, those that are not kept any more included (R38). A copy.
    #[getter]
    fn cvd<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<i64>>> {
        self.signed(py, |tail| tail.cvd)
    }
}

impl PyCandles {
    /// What the signed volume of each bar without time says.
    fn signed<'py>(&self, py: Python<'py>, read: fn(Tail) -> i64) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let mut engine = lock(py, &self.engine);
        let count = engine.book_mut().ring(self.slot, self.index).len();
        let book = engine.book();
        if !book.is_signed_series(self.index) {
            return Err(PyValueError::new_err(format!(
                "signed volume is kept for bars without time, by Engine(signed_volume=\"tick\") or \"quote\": {:?}",
                self.interval
            )));
        }
        let tails = book.nontime_tails(self.slot, self.index, count);
        Ok(PyArray1::from_iter(py, tails.into_iter().flatten().map(read)))
    }
}
