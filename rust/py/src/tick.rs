//! One tick as an object: a batch and which of its rows.

use pyo3::prelude::*;
use tickloom_core::tick::{INDEX, Mode, TRADABLE, TickRow};

use crate::batch::TickBatch;

/// One tick of a batch. Attributes are read from the batch's row; what the tick's mode does not carry is
/// None (R31). Prices are floats, times are int nanoseconds UTC.
#[pyclass(frozen, module = "tickloom")]
pub struct Tick {
    batch: Py<TickBatch>,
    index: usize,
}

impl Tick {
    pub fn new(batch: Py<TickBatch>, index: usize) -> Self {
        Self { batch, index }
    }

    fn row<'a>(&'a self, py: Python<'a>) -> &'a TickRow {
        &self.batch.bind(py).get().rows(py)[self.index]
    }
}

fn price(value: f64) -> Option<f64> {
    (!value.is_nan()).then_some(value)
}

fn stamp(value: i64) -> Option<i64> {
    (value != 0).then_some(value)
}

/// A number that only some modes of an instrument carry.
fn carried<T>(row: &TickRow, modes: &[Mode], value: T) -> Option<T> {
    let carries = row.flags & INDEX == 0 && modes.iter().any(|&mode| row.mode == mode as u8);
    carries.then_some(value)
}

type Levels = Vec<(f64, u32, u16)>;

fn levels(row: &TickRow, prices: [f64; 5], quantities: [u32; 5], orders: [u16; 5]) -> Option<Levels> {
    let levels = prices.into_iter().zip(quantities).zip(orders);
    carried(
        row,
        &[Mode::Full, Mode::Depth20],
        levels.map(|((p, q), o)| (p, q, o)).collect(),
    )
}

macro_rules! tick {
    ($($(#[$doc:meta])* $name:ident: $kind:ty = |$row:ident| $value:expr;)*) => {
        #[pymethods]
        impl Tick {
            $($(#[$doc])* #[getter] fn $name(&self, py: Python<'_>) -> $kind {
                let $row = self.row(py);
                $value
            })*

            /// The batch that the tick is from.
            #[getter]
            fn batch(&self, py: Python<'_>) -> Py<TickBatch> {
                self.batch.clone_ref(py)
            }

            fn __repr__(&self, py: Python<'_>) -> String {
                let row = self.row(py);
                let (token, price) = (row.instrument_token, row.last_price);
                format!("Tick(instrument_token={token}, last_price={price}, mode='{}')", mode(row))
            }
        }
    };
}

fn mode(row: &TickRow) -> &'static str {
    match row.mode {
        1 => "ltp",
        2 => "ltpc",
        3 => "quote",
        4 => "full",
        _ => "depth20",
    }
}

const TRADED: &[Mode] = &[Mode::Quote, Mode::Full];
const FULL: &[Mode] = &[Mode::Full];

tick! {
    instrument_token: u32 = |row| row.instrument_token;
    /// "ltp", "ltpc", "quote", "full" or "depth20".
    mode: &'static str = |row| mode(row);
    tradable: bool = |row| row.flags & TRADABLE != 0;
    last_price: f64 = |row| row.last_price;
    last_traded_quantity: Option<u32> = |row| carried(row, TRADED, row.last_traded_quantity);
    average_traded_price: Option<f64> = |row| price(row.average_traded_price);
    /// Cumulative over the trading day.
    volume_traded: Option<u32> = |row| carried(row, TRADED, row.volume_traded);
    total_buy_quantity: Option<u32> = |row| carried(row, TRADED, row.total_buy_quantity);
    total_sell_quantity: Option<u32> = |row| carried(row, TRADED, row.total_sell_quantity);
    day_open: Option<f64> = |row| price(row.day_open);
    day_high: Option<f64> = |row| price(row.day_high);
    day_low: Option<f64> = |row| price(row.day_low);
    prev_close: Option<f64> = |row| price(row.prev_close);
    /// Percent of the previous close; 0.0 when that is 0.
    change: Option<f64> = |row| price(row.change);
    /// The change that an index's packet carries itself.
    net_change: Option<f64> = |row| price(row.net_change);
    last_trade_time: Option<i64> = |row| stamp(row.last_trade_time);
    exchange_timestamp: Option<i64> = |row| stamp(row.exchange_timestamp);
    oi: Option<u32> = |row| carried(row, FULL, row.oi);
    oi_day_high: Option<u32> = |row| carried(row, FULL, row.oi_day_high);
    oi_day_low: Option<u32> = |row| carried(row, FULL, row.oi_day_low);
    /// Five levels, best first, of (price, quantity, orders).
    bids: Option<Levels> = |row| levels(row, row.bid_price, row.bid_quantity, row.bid_orders);
    /// Five levels, best first, of (price, quantity, orders).
    asks: Option<Levels> = |row| levels(row, row.ask_price, row.ask_quantity, row.ask_orders);
}
