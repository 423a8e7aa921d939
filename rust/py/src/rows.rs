//! Decoded rows: where they lie, and what numpy is told that they are.

use std::cell::Cell;

use numpy::PyArrayDescr;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use tickloom_core::tick::{Depth20Row, TickRow, decode_rows};
use tickloom_core::wire::kite::{Census, ScaleTable};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::view::SharedDescr;

/// Rows on cache lines of their own, so that the writer's vectors never straddle two.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(64))]
struct Line(TickRow);

thread_local! {
    /// The buffer of a batch that is gone. Most batches are read and dropped before the next one comes, and
    /// a warm buffer costs neither the allocator nor a page fault.
    static SPARE: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// A longer buffer than this, a megabyte, is given back.
const MOST_SPARE_ROWS: usize = 4096;

/// Decoded rows, the first `length` of a buffer that may be longer.
pub struct Rows {
    buffer: Vec<Line>,
    length: usize,
}

impl Rows {
    pub fn decode(bytes: &[u8], census: &Census, scales: &ScaleTable) -> Self {
        let mut buffer = SPARE.try_with(Cell::take).unwrap_or_default();
        if buffer.len() < census.ticks {
            // What is in a spare buffer is of no use, so it is not worth copying to a longer one.
            buffer = vec![Line(TickRow::EMPTY); census.ticks];
        }
        let mut rows = Self { buffer, length: 0 };
        rows.fill(bytes, census, scales);
        rows
    }

    /// Decodes another frame to the same place, or to a longer one if it has more ticks.
    #[inline]
    pub fn decode_again(&mut self, bytes: &[u8], census: &Census, scales: &ScaleTable) {
        if self.buffer.len() < census.ticks {
            self.buffer = vec![Line(TickRow::EMPTY); census.ticks];
        }
        self.fill(bytes, census, scales);
    }

    #[inline]
    fn fill(&mut self, bytes: &[u8], census: &Census, scales: &ScaleTable) {
        let rows = <[TickRow]>::mut_from_bytes(self.buffer.as_mut_bytes()).unwrap_or_default();
        self.length = decode_rows(bytes, census, scales, &mut rows[..census.ticks]);
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.buffer[..self.length].as_bytes()
    }

    pub fn as_rows(&self) -> &[TickRow] {
        <[TickRow]>::ref_from_bytes(self.as_bytes()).unwrap_or_default()
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        if self.buffer.len() <= MOST_SPARE_ROWS {
            let buffer = std::mem::take(&mut self.buffer);
            // A thread that is ending has no spare buffer any more, and then this one goes as well.
            let _ = SPARE.try_with(|spare| spare.set(buffer));
        }
    }
}

/// A field of the row: name, format, offset.
type Field = (&'static str, &'static str, usize);

macro_rules! fields {
    ($row:ident { $($field:ident: $format:literal),* $(,)? }) => {
        &[$((stringify!($field), $format, std::mem::offset_of!($row, $field))),*]
    };
}

const ROW_FIELDS: &[Field] = fields!(TickRow {
    instrument_token: "<u4",
    last_traded_quantity: "<u4",
    volume_traded: "<u4",
    total_buy_quantity: "<u4",
    total_sell_quantity: "<u4",
    oi: "<u4",
    oi_day_high: "<u4",
    oi_day_low: "<u4",
    last_price: "<f8",
    average_traded_price: "<f8",
    bid_price: "(5,)<f8",
    ask_price: "(5,)<f8",
    day_open: "<f8",
    day_high: "<f8",
    day_low: "<f8",
    prev_close: "<f8",
    bid_quantity: "(5,)<u4",
    ask_quantity: "(5,)<u4",
    bid_orders: "(5,)<u2",
    ask_orders: "(5,)<u2",
    mode: "u1",
    flags: "u1",
    last_trade_time: "<i8",
    exchange_timestamp: "<i8",
    change: "<f8",
    net_change: "<f8",
});

const DEPTH20_FIELDS: &[Field] = fields!(Depth20Row {
    bid_price: "(20,)<f8",
    ask_price: "(20,)<f8",
    exchange_timestamp: "<i8",
    instrument_token: "<u4",
    row: "<u4",
    bid_quantity: "(20,)<u4",
    ask_quantity: "(20,)<u4",
    bid_orders: "(20,)<u2",
    ask_orders: "(20,)<u2",
});

pub fn row_descr(py: Python<'_>) -> PyResult<&Bound<'_, PyArrayDescr>> {
    static DESCR: PyOnceLock<SharedDescr> = PyOnceLock::new();
    let make = || descr_of(py, ROW_FIELDS, size_of::<TickRow>());
    DESCR.get_or_try_init(py, make)?.get(py, make)
}

pub fn depth20_descr(py: Python<'_>) -> PyResult<&Bound<'_, PyArrayDescr>> {
    static DESCR: PyOnceLock<SharedDescr> = PyOnceLock::new();
    let make = || descr_of(py, DEPTH20_FIELDS, size_of::<Depth20Row>());
    DESCR.get_or_try_init(py, make)?.get(py, make)
}

fn descr_of(py: Python<'_>, fields: &[Field], size: usize) -> PyResult<SharedDescr> {
    let spec = PyDict::new(py);
    spec.set_item("names", fields.iter().map(|field| field.0).collect::<Vec<_>>())?;
    spec.set_item("formats", fields.iter().map(|field| field.1).collect::<Vec<_>>())?;
    spec.set_item("offsets", fields.iter().map(|field| field.2).collect::<Vec<_>>())?;
    spec.set_item("itemsize", size)?;
    spec.set_item("aligned", true)?;
    Ok(SharedDescr::new(PyArrayDescr::new(py, spec)?))
}
