//! One frame's ticks: parsed when asked, and in the shape that is asked for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyIterator, PyList, PyMemoryView};
use tickloom_core::error::DecodeError;
use tickloom_core::tick::{Depth20Row, TickRow, decode_depth20};
use tickloom_core::wire::kite::{Census, ScaleTable, census};
use zerocopy::IntoBytes;

use crate::datetimes::Zone;
use crate::dicts;
use crate::recycle;
use crate::rows::{Rows, depth20_descr};
use crate::scales::PriceScales;
use crate::tick::Tick;
use crate::view::{Memory, Renew, Renewable, items};

/// More than any frame off the wire has; what is longer is given back.
const MOST_KEPT_TICKS: usize = 4096;
const MOST_KEPT_BYTES: usize = 1 << 20;

static KITE: ScaleTable = ScaleTable::kite();

/// A frame's bytes, kept as they came when they came as `bytes`.
pub struct FrameOwner(Py<PyBytes>);

impl FrameOwner {
    /// Takes any bytes-like object; what could change under us is copied.
    ///
    /// # Errors
    /// TypeError that names the type for anything else.
    #[inline]
    pub fn new(frame: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = frame.cast::<PyBytes>() {
            return Ok(Self(bytes.clone().unbind()));
        }
        let view = PyMemoryView::from(frame).map_err(|_| {
            let kind = frame
                .get_type()
                .qualname()
                .map_or_else(|_| "?".into(), |name| name.to_string());
            PyTypeError::new_err(format!("a frame must be a bytes-like object, not {kind}"))
        })?;
        Ok(Self(
            view.call_method0("tobytes")?.cast_into::<PyBytes>()?.unbind(),
        ))
    }

    /// Keeps a copy of bytes that the library made itself.
    pub fn from_bytes(py: Python<'_>, bytes: &[u8]) -> Self {
        Self(PyBytes::new(py, bytes).unbind())
    }

    #[inline]
    pub fn bytes<'a>(&'a self, py: Python<'a>) -> &'a [u8] {
        self.0.as_bytes(py)
    }
}

/// The ticks of one frame, in the order of the wire.
///
/// A batch keeps the frame's bytes; rows and dicts are made from them when they are asked for.
/// `len(batch)` is the number of ticks; iterating and indexing give `Tick` objects. Whatever is kept of a
/// batch never changes; what nobody has any more, of the last two batches of a thread, becomes the next one.
#[pyclass(frozen, module = "tickloom")]
pub struct TickBatch(Renewable<Content>);

/// A frame that has been walked once, and what is known of it.
pub struct Walked {
    frame: FrameOwner,
    /// None is the protocol's own table.
    scales: Option<Arc<ScaleTable>>,
    received_ns: i64,
    census: Census,
}

impl Walked {
    /// Walks a frame; decodes nothing.
    ///
    /// # Errors
    /// DecodeError if not one whole packet could be read.
    #[inline]
    pub fn walk(
        py: Python<'_>,
        frame: FrameOwner,
        scales: Option<Arc<ScaleTable>>,
        received_ns: i64,
    ) -> PyResult<Self> {
        let census = census(frame.bytes(py)).map_err(|error| raised(py, error))?;
        Ok(Self::new(frame, scales, received_ns, census))
    }

    /// The same for a caller who has done so already.
    #[inline]
    pub fn new(frame: FrameOwner, scales: Option<Arc<ScaleTable>>, received_ns: i64, census: Census) -> Self {
        Self {
            frame,
            scales,
            received_ns,
            census,
        }
    }

    /// Whether a batch of it may outlive its use: a thread keeps the memory of its last ones.
    #[inline]
    pub fn is_worth_keeping(&self, py: Python<'_>) -> bool {
        self.census.ticks <= MOST_KEPT_TICKS && self.frame.bytes(py).len() <= MOST_KEPT_BYTES
    }

    /// Drops it, knowing that this thread is attached.
    #[inline]
    pub fn release(self, py: Python<'_>) {
        self.frame.0.drop_ref(py);
    }

    #[inline]
    fn scales(&self) -> &ScaleTable {
        self.scales.as_deref().unwrap_or(&KITE)
    }
}

/// What a batch is made of.
pub struct Content {
    walked: Walked,
    rows: OnceLock<Rows>,
    depth20: OnceLock<Vec<Depth20Row>>,
    /// Whether somebody asked for the rows.
    rows_read: AtomicBool,
}

impl Content {
    #[inline]
    fn decoded(&self, py: Python<'_>) -> &Rows {
        self.rows_read.store(true, Ordering::Relaxed);
        let walked = &self.walked;
        self.rows
            .get_or_init(|| Rows::decode(walked.frame.bytes(py), &walked.census, walked.scales()))
    }
}

impl TickBatch {
    /// A batch that is not recycled: see `recycle::batch`.
    pub fn new(walked: Walked) -> Self {
        Self(Renewable::new(Content {
            walked,
            rows: OnceLock::new(),
            depth20: OnceLock::new(),
            rows_read: AtomicBool::new(false),
        }))
    }

    /// The decoded rows.
    pub fn rows(&self, py: Python<'_>) -> &[TickRow] {
        self.0.decoded(py).as_rows()
    }
}

/// The parts of a batch that arrays show.
#[derive(Clone, Copy)]
pub enum Part {
    Rows,
    Depth20,
}

impl Memory for TickBatch {
    type Part = Part;

    fn memory(&self, part: Part) -> &[u8] {
        match part {
            Part::Rows => self.0.rows.get().map_or(&[], Rows::as_bytes),
            Part::Depth20 => self.0.depth20.get().map_or(&[], |rows| rows.as_bytes()),
        }
    }
}

impl Renew for TickBatch {
    type Content = Content;
    type Source = Walked;

    #[inline]
    fn content(&self) -> &Renewable<Content> {
        &self.0
    }

    #[inline]
    fn renew(py: Python<'_>, content: &mut Content, walked: Walked) -> Walked {
        let read = std::mem::take(content.rows_read.get_mut());
        match content.rows.get_mut() {
            // Who read the last packet will read this one: now it costs no more than the decoding.
            Some(rows) if read && walked.census.ticks == 1 => {
                rows.decode_again(walked.frame.bytes(py), &walked.census, walked.scales());
            }
            _ => drop(content.rows.take()),
        }
        drop(content.depth20.take());
        std::mem::replace(&mut content.walked, walked)
    }
}

#[pymethods]
impl TickBatch {
    /// The ticks as a read-only structured array of `len(batch)` rows, 256 bytes each, decoded once.
    ///
    /// Prices are float64, exact to the last bit; times int64 nanoseconds UTC, 0 for none; quantities uint32
    /// as on the wire (`volume_traded` is the day's, so differences want a cast to int64); `bid_*` and
    /// `ask_*` have five levels, best first. What the row's `mode` (1 ltp, 2 ltpc, 3 quote, 4 full,
    /// 5 depth20) does not carry is NaN or 0. `flags`: 1 tradable, 2 an index's layout. `change` is in
    /// percent of `prev_close`, as the vendor's client has it; `net_change` is what an index packet itself
    /// says. See kite-protocol §4.
    #[getter]
    pub fn array<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.get().0.decoded(slf.py());
        recycle::rows_array(slf)
    }

    /// The twenty levels of every 492-byte packet, a read-only structured array; `row` is the tick's index.
    #[getter]
    fn depth20<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let batch = &slf.get().0;
        batch.depth20.get_or_init(|| {
            if batch.walked.census.depth20 == 0 {
                return Vec::new();
            }
            decode_depth20(batch.walked.frame.bytes(slf.py()), batch.walked.scales())
        });
        items(slf, Part::Depth20, depth20_descr(slf.py())?)
    }

    /// The list of dicts that `kiteconnect.KiteTicker` passes to `on_ticks`, equal to the last bit
    /// (kite-protocol §8); packets of 12 and 492 bytes, which it does not know, are left out as it does.
    ///
    /// With `tz="local"` the datetimes are naive in the host's zone and a stamp of 0 is the epoch, as the
    /// vendor has them. With `"UTC"` or `"IST"` they are aware, and a stamp of 0 is None.
    ///
    /// Raises ValueError for another zone.
    #[pyo3(signature = (tz = "local"))]
    fn to_dicts<'py>(&self, py: Python<'py>, tz: &str) -> PyResult<Bound<'py, PyList>> {
        dicts::to_dicts(
            py,
            self.0.walked.frame.bytes(py),
            self.0.walked.scales(),
            Zone::named(tz)?,
        )
    }

    /// Packets that gave no tick: of unknown length, cut off, or announced and missing. Ticks and rejected
    /// packets together are always the count in the frame's header.
    #[getter]
    fn rejected(&self) -> usize {
        self.0.walked.census.rejected
    }

    /// The `DecodeError` of a frame that was cut or too long, with `kind` and `offset`; else None. The ticks
    /// before the cut are in the batch.
    #[getter]
    fn error<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.0
            .walked
            .census
            .error
            .map(|error| decode_error(py, error))
            .transpose()
    }

    /// When the frame was received, nanoseconds UTC, as the caller said; 0 if nobody did.
    #[getter]
    fn received_ns(&self) -> i64 {
        self.0.walked.received_ns
    }

    /// Whether the frame was the one byte that says the line is alive.
    #[getter]
    fn is_heartbeat(&self) -> bool {
        self.0.walked.census.is_heartbeat
    }

    /// The frame's bytes.
    #[getter]
    fn frame(&self, py: Python<'_>) -> Py<PyBytes> {
        self.0.walked.frame.0.clone_ref(py)
    }

    fn __len__(&self) -> usize {
        self.0.walked.census.ticks
    }

    fn __getitem__(slf: &Bound<'_, Self>, index: isize) -> PyResult<Tick> {
        let ticks = slf.get().0.walked.census.ticks;
        let from_start = if index < 0 {
            index.checked_add_unsigned(ticks)
        } else {
            Some(index)
        };
        let index = from_start
            .and_then(|index| usize::try_from(index).ok())
            .filter(|&index| index < ticks);
        let index = index.ok_or_else(|| PyIndexError::new_err("tick index out of range"))?;
        Ok(Tick::new(slf.clone().unbind(), index))
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyIterator>> {
        let ticks = (0..slf.get().0.walked.census.ticks).map(|index| Tick::new(slf.clone().unbind(), index));
        PyList::new(slf.py(), ticks)?.try_iter()
    }

    fn __repr__(&self) -> String {
        let Census {
            ticks,
            rejected,
            error,
            is_heartbeat,
            ..
        } = self.0.walked.census;
        if is_heartbeat {
            return "TickBatch(heartbeat)".into();
        }
        let error = error.map_or_else(String::new, |error| format!(", error='{error}'"));
        format!("TickBatch({ticks} ticks, rejected={rejected}{error})")
    }
}

/// Parses one binary frame (kite-protocol §4) into a `TickBatch`.
///
/// `frame` is any bytes-like object; `bytes` are kept, anything else is copied. `scales` replaces price
/// divisors. `received_ns` is kept as it is.
///
/// Raises DecodeError if not one packet could be read, TypeError if `frame` is not bytes-like. A frame that
/// is cut keeps its whole packets: see `TickBatch.error` and `TickBatch.rejected`.
#[pyfunction]
#[pyo3(signature = (frame, *, scales = None, received_ns = 0))]
pub fn parse(
    frame: &Bound<'_, PyAny>,
    scales: Option<&Bound<'_, PriceScales>>,
    received_ns: i64,
) -> PyResult<Py<TickBatch>> {
    let py = frame.py();
    let scales = scales.map(|scales| scales.get().table.clone());
    recycle::batch(
        py,
        Walked::walk(py, FrameOwner::new(frame)?, scales, received_ns)?,
    )
}

/// The exception for a core error.
#[cold]
pub fn raised(py: Python<'_>, error: DecodeError) -> PyErr {
    decode_error(py, error).map_or_else(|failure| failure, PyErr::from_value)
}

fn decode_error(py: Python<'_>, error: DecodeError) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.import(py, "tickloom.errors", "DecodeError")?;
    class.call1((error.kind.name(), error.offset))
}
