//! tickloom._core: the pane of glass between Python and tickloom-core.

mod bar;
mod batch;
mod candles;
mod columns;
mod datetimes;
mod dicts;
mod engine;
mod errors;
mod journal;
mod market;
mod options;
mod panel;
mod recycle;
mod report;
mod rows;
mod scales;
mod sessions;
mod table;
mod tick;
mod transforms;
mod upstox;
mod view;

use pyo3::prelude::*;

#[pymodule]
mod _core {
    #[pymodule_export]
    use crate::batch::{TickBatch, parse};
    #[pymodule_export]
    use crate::scales::PriceScales;
    #[pymodule_export]
    use crate::tick::Tick;

    /// Whether debug assertions are compiled in: such a build is slow and no benchmark may use it.
    #[pymodule_export]
    const DEBUG_BUILD: bool = cfg!(debug_assertions);

    #[pymodule_export]
    use crate::bar::{PyBar, PyClosedBar};
    #[pymodule_export]
    use crate::candles::PyCandles;
    #[pymodule_export]
    use crate::engine::PyEngine;
    #[pymodule_export]
    use crate::journal::{JournalCursor, JournalWriter};
    #[pymodule_export]
    use crate::market::{Market, MarketEvents};
    #[pymodule_export]
    use crate::panel::Panel;
    #[pymodule_export]
    use crate::sessions::Sessions;
    #[pymodule_export]
    use crate::table::read_columns;
    #[pymodule_export]
    use crate::upstox::{UpstoxDecoder, UpstoxMessage, parse_upstox};
}
