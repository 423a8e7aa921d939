//! What an engine shows: candles, all instruments at once, accounts and counters.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PySlice};
use zerocopy::IntoBytes;

use super::{PyEngine, lock};
use crate::batch::{FrameOwner, TickBatch, Walked};
use crate::candles::PyCandles;
use crate::options;
use crate::panel::{self, Panel};
use crate::report;

#[pymethods]
impl PyEngine {
    /// The live `Candles` of one instrument, by token or symbol, and one interval in any spelling.
    ///
    /// Raises UnknownInstrument (a KeyError) for an instrument that is not tracked, ValueError for an interval
    /// that is not kept, and for range and renko bars below the instrument's tick, which are not made (R38).
    fn candles(
        &self,
        py: Python<'_>,
        instrument: &Bound<'_, PyAny>,
        interval: &Bound<'_, PyAny>,
    ) -> PyResult<PyCandles> {
        let slot = self.slot_of(py, instrument)?;
        let index = self.series_of(interval)?;
        let (token, symbol) = {
            let engine = lock(py, &self.shared);
            if engine.book().has_no_bars(slot, index) {
                return Err(options::too_fine(&self.names[index], None));
            }
            let instrument = &engine.instruments()[slot];
            (instrument.token, instrument.symbol.clone())
        };
        Ok(PyCandles::new(
            Arc::clone(&self.shared),
            slot,
            index,
            token,
            symbol,
            self.names[index].clone(),
        ))
    }

    /// The cross-section: the last packet of every instrument that has had one, a read-only structured array
    /// with the rows of `TickBatch.array`. Those that were only pushed come last, with price, volume, OI and times.
    fn board<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (frame, pushed) = {
            let mut engine = lock(py, &self.shared);
            (engine.board(), engine.pushed_rows())
        };
        let walked = Walked::walk(py, FrameOwner::from_bytes(py, &frame), self.scales.clone(), 0)?;
        let array = TickBatch::array(&Bound::new(py, TickBatch::new(walked))?)?;
        if pushed.is_empty() {
            return Ok(array);
        }
        // Joining would lose the rows' layout, so they are written into an array of it.
        let (dtype, came) = (array.getattr("dtype")?, array.len()?);
        let numpy = py.import("numpy")?;
        let rows = PyBytes::new(py, pushed.as_bytes());
        let rows = numpy.call_method1("frombuffer", (rows, &dtype))?;
        let board = numpy.call_method1("empty", (came + pushed.len(), &dtype))?;
        board.set_item(PySlice::new(py, 0, came as isize, 1), array)?;
        board.set_item(
            PySlice::new(py, came as isize, (came + pushed.len()) as isize, 1),
            rows,
        )?;
        board.getattr("flags")?.setattr("writeable", false)?;
        Ok(board)
    }

    /// All instruments' sealed bars of one interval on one time axis, as a `Panel` (R24).
    ///
    /// `field` is a column of Candles such as "close"; `fill` is None or "ffill", as in `Candles.filled`.
    #[pyo3(signature = (interval, field, fill=None))]
    fn panel(
        &self,
        py: Python<'_>,
        interval: &Bound<'_, PyAny>,
        field: &str,
        fill: Option<&str>,
    ) -> PyResult<Panel> {
        let index = self.series_of(interval)?;
        panel::panel(py, &mut lock(py, &self.shared), index, field, panel::fill(fill)?)
    }

    /// Where an instrument's volume of the current date went (R11), or of all dates: a dict of int.
    ///
    /// `bars + auction_open + auction_close + post + unattributed + dropped` is always `last - baseline`.
    #[pyo3(signature = (instrument, *, all_days=false))]
    fn account<'py>(
        &self,
        py: Python<'py>,
        instrument: &Bound<'py, PyAny>,
        all_days: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let slot = self.slot_of(py, instrument)?;
        let account = {
            let mut engine = lock(py, &self.shared);
            let book = engine.book_mut();
            if all_days {
                book.account_of_all_days(slot)
            } else {
                book.account(slot)
            }
        };
        report::account(py, &account)
    }

    /// The date's auctions: a dict of `open` and `close`, each None or a dict of `price`, `volume`, `time` (R8, R9).
    fn auctions<'py>(&self, py: Python<'py>, instrument: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let slot = self.slot_of(py, instrument)?;
        let (auctions, divisor) = {
            let engine = lock(py, &self.shared);
            (engine.book().auctions(slot), engine.book().divisor(slot) as f64)
        };
        report::auctions(py, auctions, divisor)
    }

    /// The gaps of an instrument as (from, to) in nanoseconds UTC, oldest first (R13).
    fn gaps(&self, py: Python<'_>, instrument: &Bound<'_, PyAny>) -> PyResult<Vec<(i64, i64)>> {
        let slot = self.slot_of(py, instrument)?;
        Ok(lock(py, &self.shared)
            .book()
            .gaps(slot)
            .iter()
            .map(|gap| (gap.from, gap.to))
            .collect())
    }

    /// Token and symbol (None if not named) of all instruments, in the order of their first appearance.
    #[getter]
    fn instruments(&self, py: Python<'_>) -> Vec<(u32, Option<String>)> {
        let engine = lock(py, &self.shared);
        engine
            .instruments()
            .iter()
            .map(|instrument| (instrument.token, instrument.symbol.clone()))
            .collect()
    }

    /// Counters since the engine was made, a dict of int. `packets` is always `ticks + rejected`.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (counts, tally) = lock(py, &self.shared).counts();
        report::stats(py, &counts, &tally)
    }
}
