//! Batches that nobody has any more, made into the next ones.
//!
//! Most batches are read and dropped before the next one comes, or the one after it. To make the object and
//! its array anew each time costs several times what decoding a packet does.

use std::cell::RefCell;

use pyo3::prelude::*;

use crate::batch::{Part, TickBatch, Walked};
use crate::rows::row_descr;
use crate::view::{Spare, items};

/// Two, because `batch = parse(frame)` in a loop lets go of a batch only when it has the next.
type Spares = [Option<Spare<TickBatch>>; 2];

thread_local! {
    /// The last batches of this thread, whether or not somebody still has them.
    static SPARES: RefCell<Spares> = const { RefCell::new([None, None]) };
}

/// None as well in a thread that is ending, and within itself.
#[inline]
fn with<T>(act: impl FnOnce(&mut Spares) -> Option<T>) -> Option<T> {
    let found = SPARES.try_with(|spares| {
        spares
            .try_borrow_mut()
            .ok()
            .and_then(|mut spares| act(&mut spares))
    });
    found.ok().flatten()
}

/// A batch of a frame: one that nobody has any more, else a new one.
#[inline]
pub fn batch(py: Python<'_>, walked: Walked) -> PyResult<Py<TickBatch>> {
    if !walked.is_worth_keeping(py) {
        return Py::new(py, TickBatch::new(walked));
    }
    // What was there is dropped at the end: a frame's class may have a `__del__` that comes here.
    let mut walked = Some(walked);
    let reused = with(|spares| {
        let mut spares = spares.iter_mut().flatten();
        spares.find_map(|spare| spare.renew(py, &mut walked))
    });
    if let Some((batch, last)) = reused {
        last.release(py);
        return Ok(batch);
    }
    made(py, walked.expect("no batch took it"))
}

#[cold]
fn made(py: Python<'_>, walked: Walked) -> PyResult<Py<TickBatch>> {
    let batch = Py::new(py, TickBatch::new(walked))?;
    let spare = Spare::new(batch.clone_ref(py));
    let oldest = with(|spares| {
        spares.swap(0, 1);
        spares[0].replace(spare)
    });
    if let Some(oldest) = oldest {
        oldest.release(py);
    }
    Ok(batch)
}

/// The array of a batch's rows, which must be decoded.
#[inline]
pub fn rows_array<'py>(batch: &Bound<'py, TickBatch>) -> PyResult<Bound<'py, PyAny>> {
    let descr = row_descr(batch.py())?;
    let kept = with(|spares| {
        let spare = spares.iter_mut().flatten().find(|spare| spare.is(batch))?;
        Some(spare.items(batch, Part::Rows, descr))
    });
    kept.unwrap_or_else(|| items(batch, Part::Rows, descr))
}
