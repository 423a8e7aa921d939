//! The clock of an instrument that history is pushed to (docs/bars.md §2).

use crate::units::Ns;

use super::state::NO_TIME;
use super::{Book, NEVER};

impl Book {
    /// The highest time pushed to an instrument as history.
    pub fn own_clock(&self, slot: usize) -> Ns {
        self.cold[slot].own
    }

    /// Notes a time that is pushed as history; gives the highest before it.
    pub fn pushed_at(&mut self, slot: usize, time: Ns) -> Ns {
        let own = &mut self.cold[slot].own;
        std::mem::replace(own, time.max(*own))
    }

    /// The clock that a tick of history is judged by: its own, `before` it, and the engine's as well once a live
    /// packet has been judged by that.
    pub fn clock_of(&self, slot: usize, engine: Ns, before: Ns) -> Ns {
        if self.cold[slot].live {
            engine.max(before)
        } else {
            before
        }
    }

    /// The clock that a live packet is judged by, which is what the instrument has from now on.
    pub fn live_clock(&mut self, slot: usize, engine: Ns) -> Ns {
        let cold = &mut self.cold[slot];
        cold.live = true;
        engine.max(cold.own)
    }

    /// Whether an instrument has had ticks of history alone.
    pub(super) fn is_history(&self, slot: usize) -> bool {
        let cold = &self.cold[slot];
        cold.own != NO_TIME && !cold.live
    }

    /// Which bars a sweep at `now` may fold away: those that no tick can amend any more.
    pub(super) fn final_at(&self, slot: usize, now: Ns) -> Ns {
        if now != NEVER && self.is_history(slot) {
            now.min(self.cold[slot].own)
        } else {
            now
        }
    }
}
