//! Events: what was closed, revised and reconciled since the last look.

use crate::aggregate::Event;
use crate::units::Ns;

use super::Engine;

impl Engine {
    /// Takes the events since the last call, oldest first.
    pub fn drain(&mut self) -> impl Iterator<Item = Event> + '_ {
        self.book.event_ends.clear();
        self.book.events.drain(..)
    }

    /// The same, each with the end of its bar: of bars without time, when they closed (R38).
    pub fn drain_with_ends(&mut self) -> Vec<(Event, Ns)> {
        let mut ends = std::mem::take(&mut self.book.event_ends);
        let events: Vec<Event> = self.drain().collect();
        let timed = self.book.intervals.len();
        let mut end_of = |event: &Event| match usize::from(event.interval) {
            series if series < timed => self.book.end_of(event.slot as usize, series, event.row.time),
            _ => ends.pop_front().unwrap_or(event.row.time),
        };
        events.into_iter().map(|event| (event, end_of(&event))).collect()
    }
}
