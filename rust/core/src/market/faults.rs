//! Market, faults: what a feed does to its snapshots, each as a probability or a schedule.

use super::config::MarketError;
use crate::units::{Ns, SECOND};

/// Every knob is off by default. Faults have random streams of their own: turning one on changes
/// neither the trades nor the truth.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// A snapshot that is never sent, per snapshot.
    pub drop: f64,
    /// A snapshot that is sent a second time up to a second later, per snapshot.
    pub duplicate: f64,
    /// A snapshot that arrives up to 2 s later than it should, overtaken by others, per snapshot.
    pub reorder: f64,
    /// The whole connection stalls for 1 to 6 s and then delivers at once, per second.
    pub delay_spike: f64,
    /// The first tick after a connection is the cached one of the previous trading date, per instrument.
    pub stale_first: f64,
    /// Frames received in these spans are lost; [from, to) in ns UTC, ordered and apart.
    pub disconnections: Vec<(Ns, Ns)>,
    /// A frame cut somewhere after its packet count, per frame.
    pub truncate: f64,
    /// The cumulative volume is too low for one to four snapshots, per snapshot.
    pub rollback: f64,
    /// The cumulative volume falls once and stays lower for the day (cancelled trades), per instrument and day.
    pub cancellation: f64,
    /// So many of the first liquid names open with an auction that brings their volume near 2^32 (R14).
    pub wrap: u32,
}

impl Faults {
    /// Every fault, at rates that a test of a few minutes sees and an engine survives. One disconnection
    /// crosses the edge two minutes after `open_ns`, for 40 s.
    #[must_use]
    pub fn all(open_ns: Ns) -> Self {
        Self {
            drop: 0.02,
            duplicate: 0.02,
            reorder: 0.02,
            delay_spike: 0.01,
            stale_first: 0.5,
            disconnections: vec![(open_ns + 100 * SECOND, open_ns + 140 * SECOND)],
            truncate: 0.01,
            rollback: 0.002,
            cancellation: 0.2,
            wrap: 1,
        }
    }

    pub(crate) fn check(&self) -> Result<(), MarketError> {
        let knobs = [
            ("drop", self.drop),
            ("duplicate", self.duplicate),
            ("reorder", self.reorder),
            ("delay_spike", self.delay_spike),
            ("stale_first", self.stale_first),
            ("truncate", self.truncate),
            ("rollback", self.rollback),
            ("cancellation", self.cancellation),
        ];
        if let Some((name, _)) = knobs.iter().find(|(_, p)| !(0.0..=1.0).contains(p)) {
            return Err(MarketError::BadProbability(name));
        }
        let mut last = Ns::MIN;
        for &(from, to) in &self.disconnections {
            if from <= last || to <= from {
                return Err(MarketError::BadDisconnection);
            }
            last = to;
        }
        Ok(())
    }
}
