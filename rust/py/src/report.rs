//! Reports: the core's counters and accounts as dicts.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use tickloom_core::aggregate::{Account, Auction, Tally};
use tickloom_core::engine::Counts;

fn dict<'py>(py: Python<'py>, fields: &[(&str, u64)]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in fields {
        dict.set_item(name, value)?;
    }
    Ok(dict)
}

/// Where the volume of an instrument went (R11).
pub fn account<'py>(py: Python<'py>, account: &Account) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in [
        ("baseline", account.baseline),
        ("last", account.last),
        ("bars", account.bars),
        ("auction_open", account.auction_open),
        ("auction_close", account.auction_close),
        ("post", account.post),
        ("unattributed", account.unattributed),
        ("dropped", account.dropped),
        ("rebased", account.rebased),
        ("history", account.history),
    ] {
        dict.set_item(name, value)?;
    }
    Ok(dict)
}

/// The opening and the closing auction (R8, R9).
pub fn auctions(py: Python<'_>, auctions: [Option<Auction>; 2], divisor: f64) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    for (name, auction) in ["open", "close"].into_iter().zip(auctions) {
        let print = auction
            .map(|auction| {
                let print = PyDict::new(py);
                print.set_item("price", auction.price as f64 / divisor)?;
                print.set_item("volume", auction.volume)?;
                print.set_item("time", auction.time)?;
                PyResult::Ok(print)
            })
            .transpose()?;
        dict.set_item(name, print)?;
    }
    Ok(dict)
}

/// Every counter.
pub fn stats<'py>(py: Python<'py>, counts: &Counts, tally: &Tally) -> PyResult<Bound<'py, PyDict>> {
    dict(
        py,
        &[
            ("frames", counts.frames),
            ("heartbeats", counts.heartbeats),
            ("bad_frames", counts.bad_frames),
            ("packets", counts.packets),
            ("ticks", counts.ticks),
            ("rejected", counts.rejected),
            ("untracked", counts.untracked),
            ("pushed", counts.pushed),
            ("trades", tally.trades),
            ("quotes", tally.quotes),
            ("duplicates", tally.duplicates),
            ("late", tally.late),
            ("late_dropped", tally.late_dropped),
            ("stale", tally.stale),
            ("untimed", tally.untimed),
            ("bad_stamps", tally.bad_stamps),
            ("price_rejected", tally.price_rejected),
            ("rollbacks", tally.rollbacks),
            ("rebases", tally.rebases),
            ("outside", tally.outside),
            ("without_volume", tally.without_volume),
            ("gaps", tally.gaps),
            ("contacts", tally.contacts),
            ("bars_closed", tally.bars_closed),
            ("bars_revised", tally.bars_revised),
            ("events_dropped", tally.events_dropped),
            ("history_rows", tally.history_rows),
            ("history_early", tally.history_early),
            ("history_outside", tally.history_outside),
            ("bars_reconciled", tally.bars_reconciled),
            ("differences", tally.differences),
            ("gap_mismatches", tally.gap_mismatches),
        ],
    )
}
