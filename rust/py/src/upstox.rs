//! Upstox's messages for Python: one decoded for reading, and the instruments that an engine knows by key.

use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};
use tickloom_core::journal;
use tickloom_core::tick::upstox::{KeyError, Known};
use tickloom_core::wire::kite::census;
use tickloom_core::wire::upstox::{Feed, Kind, has, kind, message};

use crate::batch::{self, FrameOwner, TickBatch, Walked};
use crate::engine::{PyEngine, lock};
use crate::options;
use crate::recycle;

/// The instruments of an Upstox feed: their keys, the tokens that stand for them, and what was said of each last.
///
/// A message leaves out what did not change, so this belongs to one engine, and to all connections that feed it.
#[pyclass(frozen, module = "tickloom")]
pub struct UpstoxDecoder(Mutex<Known>);

#[pymethods]
impl UpstoxDecoder {
    #[new]
    fn new() -> Self {
        Self(Mutex::new(Known::new()))
    }

    /// Lets a token stand for an instrument key such as "NSE_EQ|INE002A01018"; its last byte is the segment of
    /// docs/sessions.md. To say so again does nothing; ValueError if either belongs to another instrument.
    fn track(&self, key: &str, token: u32) -> PyResult<()> {
        let tracked = self.known().track(key.as_bytes(), token);
        tracked.map_err(|error| match error {
            KeyError::Key(held) => {
                PyValueError::new_err(format!("instrument key has token {held} already: {key}"))
            }
            KeyError::Token(held) => {
                PyValueError::new_err(format!("token belongs to another instrument key: {held}"))
            }
        })
    }

    /// Tracks what a journal's record of keys says; a key that has a token keeps it. Raises ValueError if a token
    /// belongs to another key, or for bytes that are no such record.
    fn load(&self, record: &[u8]) -> PyResult<()> {
        load(&mut self.known(), record).map_err(PyValueError::new_err::<String>)
    }

    /// Forgets what messages said, as before the first one; the keys stay.
    fn forget(&self) {
        self.known().forget();
    }

    /// The token of each key, in the order in which they were tracked.
    fn tokens<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tokens = PyDict::new(py);
        for (key, token) in self.known().keys() {
            tokens.set_item(text(py, key), token)?;
        }
        Ok(tokens)
    }

    fn __len__(&self) -> usize {
        self.known().rows.len()
    }

    fn __repr__(&self) -> String {
        format!("UpstoxDecoder({} instruments)", self.known().rows.len())
    }
}

impl UpstoxDecoder {
    /// Held only while the engine is, and by code that runs no Python.
    pub fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tracks the keys of a journal's record; says what is wrong with it.
pub fn load(known: &mut Known, record: &[u8]) -> Result<(), String> {
    let keys = journal::keys(record).ok_or("a record of keys is damaged")?;
    for (key, token) in keys {
        if let Err(KeyError::Token(held)) = known.track(key, token) {
            let key = String::from_utf8_lossy(key);
            return Err(format!(
                "token belongs to another instrument key than {key}: {held}"
            ));
        }
    }
    Ok(())
}

#[pymethods]
impl PyEngine {
    /// Decodes one binary message of Upstox's market data feed, version 3, and aggregates it; gives its ticks.
    ///
    /// `decoder` knows the instruments. The server's clock is the watermark, trade times are in milliseconds (R2), a
    /// snapshot opens no bar (R4), and minutes that come with the ticks repair what a gap left (R13, R34). Prices are
    /// rounded to the instrument's own scale, `track(divisor=)` or its segment's. The batch has Kite's layout, so its
    /// stamps are whole seconds and its counts end at 2^32 - 1; candles are not made from it. `received_ns` as in
    /// `apply`. Raises DecodeError if not one field could be read, TypeError for what is not bytes-like.
    #[pyo3(signature = (decoder, message, received_ns=0))]
    fn apply_upstox(
        &self,
        decoder: &Bound<'_, UpstoxDecoder>,
        message: &Bound<'_, PyAny>,
        received_ns: i64,
    ) -> PyResult<Py<TickBatch>> {
        let py = message.py();
        let rx = options::instant("received_ns", received_ns)?;
        let message = FrameOwner::new(message)?;
        let applied = {
            let mut engine = lock(py, &self.shared);
            engine.apply_upstox(&mut decoder.get().known(), message.bytes(py), rx)
        };
        let applied = applied.map_err(|error| batch::raised(py, error))?;
        let mut found = census(&applied.frame).map_err(|error| batch::raised(py, error))?;
        found.rejected = applied.rejected;
        found.error = applied.error;
        let frame = FrameOwner::from_bytes(py, &applied.frame);
        recycle::batch(py, Walked::new(frame, self.scales(), received_ns, found))
    }
}

/// One message of Upstox's market data feed, as it came. `len(message)` is the number of its feeds.
#[pyclass(frozen, module = "tickloom")]
pub struct UpstoxMessage {
    bytes: FrameOwner,
    kind: i32,
    current_ts: i64,
    feeds: usize,
    rejected: usize,
    excess: u32,
}

#[pymethods]
impl UpstoxMessage {
    /// "initial_feed", "live_feed" or "market_info"; another number of the enumeration as it is, in decimal.
    #[getter]
    fn kind(&self) -> String {
        match self.kind {
            kind::INITIAL_FEED => "initial_feed".into(),
            kind::LIVE_FEED => "live_feed".into(),
            kind::MARKET_INFO => "market_info".into(),
            other => other.to_string(),
        }
    }

    /// The server's clock, milliseconds since the epoch; 0 for none.
    #[getter]
    fn current_ts(&self) -> i64 {
        self.current_ts
    }

    /// Feeds that could not be read.
    #[getter]
    fn rejected(&self) -> usize {
        self.rejected
    }

    /// Levels and candles that no instrument has so many of, and that were left out.
    #[getter]
    fn excess(&self) -> u32 {
        self.excess
    }

    /// The status of each segment, the number of the schema's `MarketStatus`; 2 is open.
    #[getter]
    fn market<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let found = PyDict::new(py);
        if let Ok(read) = message(self.bytes.bytes(py)) {
            for (segment, status) in read.statuses().flatten() {
                found.set_item(text(py, segment), status)?;
            }
        }
        Ok(found)
    }

    /// The feeds that could be read, in the order of the wire, a dict each: "key", "kind" ("ltpc", "market", "index",
    /// "first_level", "full" or "none"), and the fields that were there by the schema's names; "levels" are tuples of
    /// bidQ, bidP, askQ, askP, "ohlc" of interval, open, high, low, close, vol, ts, "greeks" a dict. Times are
    /// milliseconds since the epoch, prices are the doubles of the wire.
    fn to_dicts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        let Ok(read) = message(self.bytes.bytes(py)) else {
            return Ok(list);
        };
        let (mut walk, mut feed) = (read.walk(), Feed::default());
        while let Some(outcome) = walk.next(&mut feed) {
            if outcome.is_ok() {
                list.append(dict(py, &feed)?)?;
            }
        }
        Ok(list)
    }

    fn __len__(&self) -> usize {
        self.feeds
    }

    fn __repr__(&self) -> String {
        format!(
            "UpstoxMessage({}, {} feeds, rejected={})",
            self.kind(),
            self.feeds,
            self.rejected
        )
    }
}

/// Decodes one binary message of Upstox's market data feed, version 3 (docs/upstox.md), whole.
///
/// Raises DecodeError if it is cut or broken, TypeError if it is not bytes-like. A feed that alone is broken is
/// counted in `rejected`.
#[pyfunction]
pub fn parse_upstox(frame: &Bound<'_, PyAny>) -> PyResult<UpstoxMessage> {
    let py = frame.py();
    let bytes = FrameOwner::new(frame)?;
    let read = message(bytes.bytes(py)).map_err(|error| batch::raised(py, error))?;
    if let Some(error) = read.error {
        return Err(batch::raised(py, error));
    }
    let (mut walk, mut feed) = (read.walk(), Feed::default());
    let (mut rejected, mut excess) = (0, 0_u32);
    while let Some(outcome) = walk.next(&mut feed) {
        rejected += usize::from(outcome.is_err());
        excess = excess.saturating_add(feed.excess);
    }
    let (kind, current_ts, feeds) = (read.kind, read.current_ts, read.feeds);
    Ok(UpstoxMessage {
        bytes,
        kind,
        current_ts,
        feeds,
        rejected,
        excess,
    })
}

fn text<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    PyString::new(py, &String::from_utf8_lossy(bytes))
}

fn dict<'py>(py: Python<'py>, feed: &Feed<'_>) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("key", text(py, feed.key))?;
    let kind = match feed.kind {
        Kind::None => "none",
        Kind::Ltpc => "ltpc",
        Kind::Full => "full",
        Kind::Market => "market",
        Kind::Index => "index",
        Kind::FirstLevel => "first_level",
    };
    dict.set_item("kind", kind)?;
    let doubles = [
        ("ltp", has::LTP, feed.ltp),
        ("cp", has::CP, feed.cp),
        ("atp", has::ATP, feed.atp),
        ("oi", has::OI, feed.oi),
        ("iv", has::IV, feed.iv),
        ("tbq", has::TBQ, feed.tbq),
        ("tsq", has::TSQ, feed.tsq),
    ];
    for (name, _, value) in doubles.into_iter().filter(|(_, bit, _)| feed.has(*bit)) {
        dict.set_item(name, value)?;
    }
    let integers = [
        ("ltt", has::LTT, feed.ltt),
        ("ltq", has::LTQ, feed.ltq),
        ("vtt", has::VTT, feed.vtt),
        ("requestMode", has::MODE, i64::from(feed.mode)),
    ];
    for (name, _, value) in integers.into_iter().filter(|(_, bit, _)| feed.has(*bit)) {
        dict.set_item(name, value)?;
    }
    if feed.has(has::DEPTH) {
        let levels = feed.levels().iter();
        let rows = levels.map(|l| (l.bid_quantity, l.bid_price, l.ask_quantity, l.ask_price));
        dict.set_item("levels", PyList::new(py, rows.collect::<Vec<_>>())?)?;
    }
    if feed.has(has::OHLC) {
        let candles = feed.ohlc().iter();
        let rows = candles.map(|c| {
            (
                text(py, c.interval),
                c.open,
                c.high,
                c.low,
                c.close,
                c.volume,
                c.ts,
            )
        });
        dict.set_item("ohlc", PyList::new(py, rows.collect::<Vec<_>>())?)?;
    }
    if feed.has(has::GREEKS) {
        let greeks = PyDict::new(py);
        let names = ["delta", "theta", "gamma", "vega", "rho"];
        for (at, (name, value)) in names.into_iter().zip(feed.greeks).enumerate() {
            if feed.has(has::DELTA << at) {
                greeks.set_item(name, value)?;
            }
        }
        dict.set_item("greeks", greeks)?;
    }
    Ok(dict)
}
