//! Candles for other libraries, by the functions of tickloom/candles.py, which import what they need only then.

use pyo3::prelude::*;

use super::PyCandles;

impl PyCandles {
    fn converted<'py>(slf: &Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("tickloom.candles")?.call_method1(name, (slf,))
    }
}

#[pymethods]
impl PyCandles {
    /// A structured array, one row a bar, with the names of `columns()`. A copy.
    fn to_numpy<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::converted(slf, "to_numpy")
    }

    /// A pandas.DataFrame of the columns, indexed by `time`: "IST", a fixed +05:30, or "UTC". Needs the extra `pandas`.
    #[pyo3(signature = (tz = "IST"))]
    fn to_pandas<'py>(slf: &Bound<'py, Self>, tz: &str) -> PyResult<Bound<'py, PyAny>> {
        slf.py()
            .import("tickloom.candles")?
            .call_method1("to_pandas", (slf, tz))
    }

    /// A polars.DataFrame of the columns; `time` and `end` are instants shown in Indian time. Needs the extra `polars`.
    fn to_polars<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::converted(slf, "to_polars")
    }

    /// A pyarrow.Table of the columns, those of eight bytes without a copy. Needs the extra `arrow`.
    fn to_arrow<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::converted(slf, "to_arrow")
    }
}
