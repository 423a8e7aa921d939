//! Journals: argument mapping around `tickloom_core::journal`. The files are Python's.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::PyBytes;
use tickloom_core::engine::{Engine, Pushed};
use tickloom_core::journal::{
    BlockHeader, Fault, FileHeader, IndexEntry, Merge, Pending, Pick, Record, file_header, footer, index,
    kind, trailer,
};
use tickloom_core::tick::upstox::Known;

use crate::batch::FrameOwner;
use crate::engine::PyEngine;
use crate::options;
use crate::upstox::{self, UpstoxDecoder};

/// Big enough to pack well, small enough to be read back from the processor's cache.
const BLOCK: usize = 256 << 10;

fn refused(fault: Fault) -> PyErr {
    PyValueError::new_err(fault.name())
}

fn held<'a, T>(py: Python<'_>, mutex: &'a Mutex<T>) -> MutexGuard<'a, T> {
    match mutex.try_lock() {
        Ok(guard) => guard,
        Err(_) => mutex.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner),
    }
}

/// A sealed block: its bytes, lowest time, highest time, records.
type Sealed = (Py<PyBytes>, i64, i64, u32);
/// A block of a file: offset, lowest time, highest time, records, bytes of the payload as stored.
type Entry = (u64, i64, i64, u32, u32);

/// Records that wait to be written. `append` only copies; `take` packs, while other Python threads run.
#[pyclass(frozen, module = "tickloom")]
pub struct JournalWriter {
    pending: Mutex<Pending>,
    keyed: Option<Keyed>,
}

/// Of whom messages name instruments by key, and how many of its keys were taken.
struct Keyed {
    decoder: Py<UpstoxDecoder>,
    taken: AtomicUsize,
}

impl Keyed {
    /// Under the lock of `pending`.
    fn learn(&self, pending: &mut Pending) {
        let known = self.decoder.get().known();
        let taken = self.taken.swap(known.rows.len(), Ordering::Relaxed);
        if taken < known.rows.len() {
            for (key, token) in known.keys().skip(taken) {
                pending.learn(key, token);
            }
        }
    }
}

#[pymethods]
impl JournalWriter {
    #[new]
    #[pyo3(signature = (max_buffer=268_435_456, decoder=None))]
    fn new(max_buffer: usize, decoder: Option<Py<UpstoxDecoder>>) -> Self {
        let pending = Pending::new(BLOCK, max_buffer);
        let keyed = decoder.map(|decoder| Keyed {
            decoder,
            taken: AtomicUsize::new(0),
        });
        Self {
            pending: Mutex::new(if keyed.is_some() { pending.keyed() } else { pending }),
            keyed,
        }
    }

    /// Adds a record. True if it is the first that waits. With a decoder a frame is a message of Upstox's, and the
    /// keys that the decoder knows are written before it.
    #[pyo3(signature = (payload, received_ns, connection=0, kind=1))]
    fn append(
        &self,
        payload: &Bound<'_, PyAny>,
        received_ns: i64,
        connection: u8,
        kind: u8,
    ) -> PyResult<bool> {
        let py = payload.py();
        let payload = FrameOwner::new(payload)?;
        let mut pending = held(py, &self.pending);
        let was_empty = pending.is_empty();
        let kind = match &self.keyed {
            Some(keyed) if kind == kind::FRAME => {
                keyed.learn(&mut pending);
                kind::UPSTOX
            }
            _ => kind,
        };
        pending.push(&Record {
            kind,
            connection,
            time: received_ns,
            payload: payload.bytes(py),
        });
        Ok(was_empty)
    }

    /// Seals blocks, the one that is not full only if `everything` is wanted.
    fn take(&self, py: Python<'_>, everything: bool) -> Vec<Sealed> {
        let mut sealed = Vec::new();
        loop {
            let taken = held(py, &self.pending).take(everything);
            let Some(block) = taken else { return sealed };
            let bytes = py.detach(|| {
                let mut out = Vec::new();
                block.seal(&mut out);
                out
            });
            let ((first, last), records) = (block.times(), block.records());
            sealed.push((PyBytes::new(py, &bytes).unbind(), first, last, records));
            held(py, &self.pending).give_back(block);
        }
    }

    /// Records offered, dropped for want of room, and taken; bytes that wait; whether a block is full.
    fn counts(&self, py: Python<'_>) -> (u64, u64, u64, usize, bool) {
        let pending = held(py, &self.pending);
        let counts = pending.counts();
        (
            counts.offered,
            counts.dropped,
            counts.taken,
            pending.len(),
            pending.has_full(),
        )
    }

    /// Notes at `time_ns` what was dropped and no later record could tell.
    fn finish(&self, py: Python<'_>, time_ns: i64) {
        held(py, &self.pending).finish(time_ns);
    }

    #[staticmethod]
    fn header(py: Python<'_>, source: &str, created_ns: i64) -> Py<PyBytes> {
        PyBytes::new(py, &file_header(source, created_ns)).unbind()
    }

    /// The index and trailer of a file whose blocks end at `offset`.
    #[staticmethod]
    fn footer(py: Python<'_>, entries: Vec<Entry>, offset: u64) -> Py<PyBytes> {
        let entry = |(offset, first, last, records, stored)| IndexEntry {
            offset,
            first,
            last,
            records,
            stored,
        };
        let entries: Vec<_> = entries.into_iter().map(entry).collect();
        PyBytes::new(py, &footer(&entries, offset)).unbind()
    }
}

/// A connection: when something came over it last, and whether it is known to be lost since.
#[derive(Clone, Copy)]
struct Line {
    heard: i64,
    lost: bool,
}

const QUIET: Line = Line {
    heard: i64::MAX,
    lost: false,
};

/// Several journals as one, by receive time: the caller loads blocks, the cursor gives records.
#[pyclass(frozen, module = "tickloom")]
pub struct JournalCursor {
    merge: Mutex<Merge>,
    decoder: Option<Py<UpstoxDecoder>>,
    /// By journal and connection, as far as it was replayed into an engine.
    lines: Mutex<Vec<[Line; 256]>>,
}

#[pymethods]
impl JournalCursor {
    #[new]
    #[pyo3(signature = (journals, start_ns=None, decoder=None))]
    fn new(journals: usize, start_ns: Option<i64>, decoder: Option<Py<UpstoxDecoder>>) -> Self {
        Self {
            merge: Mutex::new(Merge::new(journals, start_ns)),
            decoder,
            lines: Mutex::new(vec![[QUIET; 256]; journals]),
        }
    }

    /// The journal whose next block is needed, and the time of the next record: (None, None) at the end.
    fn next(&self, py: Python<'_>) -> (Option<usize>, Option<i64>) {
        match held(py, &self.merge).pick() {
            Pick::Wants(journal) => (Some(journal), None),
            Pick::Record(_, time) => (None, Some(time)),
            Pick::End => (None, None),
        }
    }

    /// Takes a journal's next block; None: there is none. Raises ValueError with the fault's name.
    fn load(&self, py: Python<'_>, journal: usize, block: Option<&[u8]>) -> PyResult<()> {
        let mut merge = held(py, &self.merge);
        let stream = merge
            .streams
            .get_mut(journal)
            .ok_or_else(|| PyIndexError::new_err(format!("no such journal: {journal}")))?;
        match block {
            Some(block) => stream.load(block).map_err(refused),
            None => {
                stream.end();
                Ok(())
            }
        }
    }

    /// At most `limit` records before `until_ns`: (kind, receive time, journal, connection, payload). Fewer when a
    /// block is needed, at the end, and when `until_ns` is reached.
    #[pyo3(signature = (limit, until_ns=None))]
    fn take(
        &self,
        py: Python<'_>,
        limit: usize,
        until_ns: Option<i64>,
    ) -> Vec<(u8, i64, usize, u8, Py<PyBytes>)> {
        let mut merge = held(py, &self.merge);
        let mut found = Vec::new();
        while found.len() < limit {
            let Pick::Record(journal, time) = merge.pick() else {
                break;
            };
            if until_ns.is_some_and(|until| time >= until) {
                break;
            }
            let stream = &mut merge.streams[journal];
            if let Some(record) = stream.peek() {
                let payload = PyBytes::new(py, record.payload).unbind();
                found.push((record.kind, time, journal, record.connection, payload));
            }
            stream.step();
        }
        found
    }

    /// Blocks that had their checksum and were nonsense all the same.
    #[getter]
    fn damaged(&self, py: Python<'_>) -> u64 {
        held(py, &self.merge)
            .streams
            .iter()
            .map(tickloom_core::journal::Stream::damaged)
            .sum()
    }

    /// The creation time, source and length of a file's header.
    #[staticmethod]
    fn read_header(head: &[u8]) -> PyResult<(i64, String, usize)> {
        let header = FileHeader::read(head).map_err(refused)?;
        Ok((header.created, header.source, header.length))
    }

    /// A block header's: whether it is the index, lowest time, highest time, records, bytes of the payload.
    #[staticmethod]
    fn read_block_header(head: &[u8]) -> PyResult<(bool, i64, i64, u32, usize)> {
        let header = BlockHeader::read(head).map_err(refused)?;
        Ok((
            header.is_index,
            header.first,
            header.last,
            header.records,
            header.stored,
        ))
    }

    /// Where the index block begins, by the last 20 bytes of a file.
    #[staticmethod]
    fn read_trailer(head: &[u8]) -> Option<u64> {
        trailer(head)
    }

    #[staticmethod]
    fn read_index(head: &[u8]) -> PyResult<Vec<Entry>> {
        let entries = index(head).map_err(refused)?;
        let entry = |entry: IndexEntry| (entry.offset, entry.first, entry.last, entry.records, entry.stored);
        Ok(entries.into_iter().map(entry).collect())
    }
}

#[pymethods]
impl PyEngine {
    /// Applies what a cursor has, up to `until_ns`, and gives the number of records: frames, messages of Upstox's, pushed
    /// ticks, lost connections (R13) and the clock (R25). It comes back when the cursor wants a block; other Python threads
    /// run meanwhile. Raises ValueError for keys that cannot be, and for Kite's frames among Upstox's messages.
    #[pyo3(signature = (cursor, until_ns=None))]
    fn replay(
        &self,
        py: Python<'_>,
        cursor: &Bound<'_, JournalCursor>,
        until_ns: Option<i64>,
    ) -> PyResult<u64> {
        let cursor = cursor.get();
        let until = until_ns.unwrap_or(i64::MAX);
        py.detach(|| {
            let mut merge = cursor.merge.lock().unwrap_or_else(PoisonError::into_inner);
            let mut lines = cursor.lines.lock().unwrap_or_else(PoisonError::into_inner);
            let mut engine = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            let mut known = cursor.decoder.as_ref().map(|decoder| decoder.get().known());
            let mut records = 0;
            while let Pick::Record(journal, time) = merge.pick() {
                if time >= until && until_ns.is_some() {
                    break;
                }
                let stream = &mut merge.streams[journal];
                let record = stream.peek();
                if let Some(record) = record.filter(|_| options::instant("received_ns", time).is_ok()) {
                    let line = &mut lines[journal][usize::from(record.connection)];
                    one(&mut engine, known.as_deref_mut(), line, &record)?;
                }
                stream.step();
                records += 1;
            }
            Ok(records)
        })
        .map_err(PyValueError::new_err::<String>)
    }
}

/// Applies one record; says what is wrong with it if nothing behind it can be right.
#[inline]
fn one(
    engine: &mut Engine,
    known: Option<&mut Known>,
    line: &mut Line,
    record: &Record<'_>,
) -> Result<(), String> {
    let &Record { time, payload, .. } = record;
    if matches!(
        record.kind,
        kind::FRAME | kind::UPSTOX | kind::PUSHED | kind::TEXT
    ) {
        *line = Line {
            heard: time,
            lost: false,
        };
    }
    match (record.kind, known) {
        (kind::FRAME, Some(_)) => return Err("a frame of Kite's among messages of Upstox's".into()),
        (kind::FRAME, None) => {
            // A frame that cannot be read is counted by the engine.
            let _ = engine.apply(payload, time);
        }
        (kind::UPSTOX, Some(known)) => {
            let _ = engine.apply_upstox(known, payload, time);
        }
        (kind::KEYS, Some(known)) => upstox::load(known, payload)?,
        (kind::PUSHED, _) => {
            for (token, tick) in Pushed::recorded(payload, time) {
                // The feed that recorded it left out the same ones.
                let _ = engine.push(token, &tick);
            }
        }
        // The line was dead since the last thing that came over it, not since somebody noticed.
        (kind::DISCONNECTED | kind::LOST, _) if !line.lost => {
            line.lost = true;
            engine.disconnected(time.min(line.heard));
        }
        (kind::CLOCK, _) => {
            engine.advance(time);
        }
        _ => {}
    }
    Ok(())
}
