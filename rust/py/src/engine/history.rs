//! What a broker's history tells an engine: minutes that fill, replace and repair its bars.

use numpy::{PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tickloom_core::aggregate::{Authority, Minute};
use tickloom_core::bar::Row;
use tickloom_core::units::MINUTE;

use super::{PyEngine, lock};
use crate::bar::PyBar;
use crate::columns::{floats, integers, whole};
use crate::options;

/// The columns of a broker's minutes.
struct Columns<'py> {
    time: PyReadonlyArray1<'py, i64>,
    prices: [PyReadonlyArray1<'py, f64>; 4],
    volume: Option<PyReadonlyArray1<'py, i64>>,
    oi: Option<PyReadonlyArray1<'py, i64>>,
}

impl Columns<'_> {
    fn minutes(&self) -> PyResult<Vec<Minute>> {
        let rows = self.time.len();
        let counts = [("volume", &self.volume), ("oi", &self.oi)];
        let counts = counts.map(|(name, column)| (name, column.as_ref().map(|column| column.len())));
        let prices = ["open", "high", "low", "close"].into_iter().zip(&self.prices);
        let prices = prices.map(|(name, column)| (name, Some(column.len())));
        for (name, length) in prices.chain(counts) {
            if let Some(length) = length.filter(|length| *length != rows) {
                return Err(PyValueError::new_err(format!(
                    "{name} must be as long as time, {rows}: {length}"
                )));
            }
        }
        let time = self.time.as_array();
        let [open, high, low, close] = self.prices.each_ref().map(|column| column.as_array());
        let [volume, oi] =
            [&self.volume, &self.oi].map(|column| column.as_ref().map(|column| column.as_array()));
        let minute = |at: usize| Minute {
            time: time[at],
            open: open[at],
            high: high[at],
            low: low[at],
            close: close[at],
            volume: volume.map(|column| column[at]),
            oi: oi.map(|column| column[at]),
        };
        Ok((0..rows).map(minute).collect())
    }
}

#[pymethods]
impl PyEngine {
    /// Joins a broker's minute bars; gives the number of bars of all intervals that it made or changed.
    ///
    /// The columns are 1-D and of one length, oldest first: `time` the start of each minute in int nanoseconds UTC,
    /// `open`, `high`, `low`, `close` in money, `volume` whole numbers or None, `oi` likewise. `now_ns` is when they
    /// were read. Rows that are not final yet (R32) or not before the current bar (R33) are counted and left out.
    /// They fill what is missing, PARTIAL or in a GAP (R12, R13); a complete live bar stays, with `authority`
    /// "broker" or "newest" it is replaced (R34). Coarser bars follow. A token that is not tracked is tracked as
    /// with its first tick. ValueError names the bad row, TypeError the column, and then nothing was changed.
    #[pyo3(signature = (token, *, time, open, high, low, close, volume, oi=None, now_ns, authority="live"))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments, one a column")]
    fn join_history(
        &self,
        py: Python<'_>,
        token: u32,
        time: &Bound<'_, PyAny>,
        open: &Bound<'_, PyAny>,
        high: &Bound<'_, PyAny>,
        low: &Bound<'_, PyAny>,
        close: &Bound<'_, PyAny>,
        volume: Option<&Bound<'_, PyAny>>,
        oi: Option<&Bound<'_, PyAny>>,
        now_ns: i64,
        authority: &str,
    ) -> PyResult<usize> {
        let now = options::instant("now_ns", now_ns)?;
        let words = [
            ("live", Authority::Live),
            ("broker", Authority::Broker),
            ("newest", Authority::Newest),
        ];
        let authority = options::choose("authority", authority, &words)?;
        let columns = Columns {
            time: integers("time", time, false)?,
            prices: [
                floats("open", open)?,
                floats("high", high)?,
                floats("low", low)?,
                floats("close", close)?,
            ],
            volume: whole("volume", volume)?,
            oi: whole("oi", oi)?,
        };
        let minutes = columns.minutes()?;
        lock(py, &self.shared)
            .join_history(token, &minutes, now, authority)
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// The complete live minutes that history says otherwise, as pairs of `Bar`: live, history; oldest first, the
    /// last 1,000 of the instrument (R34, R40).
    fn differences(&self, py: Python<'_>, instrument: &Bound<'_, PyAny>) -> PyResult<Vec<(PyBar, PyBar)>> {
        let slot = self.slot_of(py, instrument)?;
        let engine = lock(py, &self.shared);
        let bar = |row: Row| PyBar::new(row, row.time + MINUTE);
        let pairs = engine.book().differences(slot);
        Ok(pairs.map(|pair| (bar(pair.live), bar(pair.history))).collect())
    }
}
