//! What the caller tells an engine: instruments, and ticks from elsewhere.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tickloom_core::engine::{PushError, Pushed, default_tick};

use super::{PyEngine, class_of, free_symbol, lock};
use crate::columns::{Columns, Tokens, floats, integers, whole};
use crate::options;

#[pymethods]
impl PyEngine {
    /// Makes an instrument known before its first tick; needed only to name it or to change what is assumed.
    ///
    /// `session` is a class of docs/sessions.md, by default its segment's; `tick_size` is in money (R21);
    /// `divisor` units are one rupee; `baseline_volume` is a day's volume that is known to be seen (R12).
    /// A tracked instrument can be named again, but ValueError refuses to change the rest, a wrong value, and a tick
    /// that is larger than a size of the engine's range or renko bars (R38).
    #[pyo3(signature = (token, symbol=None, session=None, *, tick_size=None, divisor=None, baseline_volume=None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments")]
    fn track(
        &self,
        py: Python<'_>,
        token: u32,
        symbol: Option<String>,
        session: Option<&str>,
        tick_size: Option<f64>,
        divisor: Option<i64>,
        baseline_volume: Option<i64>,
    ) -> PyResult<()> {
        let mut engine = lock(py, &self.shared);
        let symbol = symbol
            .map(|symbol| free_symbol(&engine, token, symbol))
            .transpose()?;
        let slot = match engine.slot(token) {
            Some(slot) => {
                let fixed = session.is_some()
                    || tick_size.is_some()
                    || divisor.is_some()
                    || baseline_volume.is_some();
                if fixed {
                    return Err(PyValueError::new_err(format!(
                        "instrument is tracked already, so only its symbol can change: {token}"
                    )));
                }
                slot
            }
            None => {
                let class = class_of(&engine, token, session)?;
                let divisor = options::divisor(divisor)?
                    .unwrap_or_else(|| i64::from(engine.scales().of(token).divisor()));
                let tick =
                    options::tick_size(tick_size, divisor)?.unwrap_or_else(|| default_tick(token, divisor));
                let baseline = options::baseline(baseline_volume)?;
                if let Some(text) = engine.book().too_fine(divisor, tick) {
                    return Err(options::too_fine(text, Some(tick as f64 / divisor as f64)));
                }
                let slot = engine.add(token, class, divisor, tick, baseline).ok_or_else(|| {
                    PyValueError::new_err(format!("too many instruments, raise max_instruments: {token}"))
                })?;
                engine.book_mut().reserve_typical(slot);
                slot
            }
        };
        if let Some(symbol) = symbol {
            engine.name(slot, symbol);
        }
        Ok(())
    }

    /// Takes one tick from elsewhere: a price with the `quantity` of a trade, or the day's `cumulative_volume`, or alone.
    ///
    /// `time_ns` is when it was at the exchange, int nanoseconds UTC. Without `received_ns` it is history, which
    /// moves no clock but its own instrument's; with it, it is live, and `time_ns` may be None: the tick is then placed by its
    /// receipt (R2). A price of 0 or less (of 0, in a segment of
    /// signed prices) is counted in `price_rejected` (R21). Raises ValueError, and nothing is changed.
    #[pyo3(signature = (token, price, *, time_ns, quantity=None, cumulative_volume=None, oi=None, received_ns=None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments")]
    fn push(
        &self,
        py: Python<'_>,
        token: u32,
        price: f64,
        time_ns: Option<i64>,
        quantity: Option<i64>,
        cumulative_volume: Option<i64>,
        oi: Option<i64>,
        received_ns: Option<i64>,
    ) -> PyResult<()> {
        if time_ns == Some(0) {
            return Err(PyValueError::new_err(PushError::Time("time_ns", 0).to_string()));
        }
        let pushed = Pushed {
            price,
            time: time_ns.unwrap_or(0),
            quantity,
            cumulative: cumulative_volume,
            oi,
            rx: received_ns,
        };
        lock(py, &self.shared)
            .push(token, &pushed)
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// Pushes whole columns, oldest first, as history; gives the number of rows.
    ///
    /// `token` is one token or an array of them; the others are 1-D and of one length: `price` real numbers,
    /// `time_ns` integers of nanoseconds UTC, `quantity`, `cumulative_volume` and `oi` whole numbers of any dtype.
    /// All rows are checked before any is taken: TypeError names the column, ValueError the row, and then
    /// nothing was changed. Other Python threads run meanwhile.
    #[pyo3(signature = (token, price, *, time_ns, quantity=None, cumulative_volume=None, oi=None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments")]
    fn push_many(
        &self,
        py: Python<'_>,
        token: &Bound<'_, PyAny>,
        price: &Bound<'_, PyAny>,
        time_ns: &Bound<'_, PyAny>,
        quantity: Option<&Bound<'_, PyAny>>,
        cumulative_volume: Option<&Bound<'_, PyAny>>,
        oi: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<usize> {
        let columns = Columns {
            token: Tokens::new(token)?,
            price: floats("price", price)?,
            time: integers("time_ns", time_ns, false)?,
            quantity: whole("quantity", quantity)?,
            cumulative: whole("cumulative_volume", cumulative_volume)?,
            oi: whole("oi", oi)?,
        };
        columns.push(py, &self.shared)
    }
}
