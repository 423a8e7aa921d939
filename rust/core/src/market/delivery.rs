//! Market, delivery: snapshots wait for their arrival, leave grouped into frames, and some are lost.

use std::collections::VecDeque;

use super::faults::Faults;
use super::rng::Rng;
use crate::units::{Ns, SECOND};
use crate::wire::kite::emit::FrameBuilder;

/// What a connection sees, in order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// One binary WebSocket message; `received_ns` never falls.
    Frame {
        received_ns: Ns,
        bytes: Vec<u8>,
    },
    Disconnected {
        at: Ns,
    },
    Connected {
        at: Ns,
    },
}

/// What of one instrument and date reached the receiver. Volumes are cumulative and not wrapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// The trading date, as days since 1970-01-01.
    pub day: i64,
    /// Packets, faulty ones included.
    pub packets: u64,
    /// Of the first packet with the date's own volume, `None` if there was none.
    pub first_volume: Option<u64>,
    pub last_volume: u64,
    /// The highest, rolled-back and stale packets left out.
    pub highest_volume: u64,
    /// How far the volume on the wire stays below the traded one because trades were cancelled.
    pub cancelled: u64,
}

/// A snapshot on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parcel {
    /// The instrument's place in the market.
    pub(crate) place: u32,
    /// The body's length in bytes.
    pub(crate) length: u32,
    /// The volume it carries, or `None` where it carries none or a wrong one.
    pub(crate) volume: Option<u64>,
}

#[derive(Default)]
struct Slot {
    parcels: Vec<Parcel>,
    bodies: Vec<u8>,
}

/// Arrivals are sorted by slots of this length; a frame never spans two, so no packet waits longer.
pub(crate) const SLOT: Ns = SECOND / 50;

/// Bytes beyond which a slot's memory is not kept: 9,000 names at 1.5 snapshots a second need half of it.
const LARGE_SLOT: usize = 128 << 10;

pub(crate) struct Delivery {
    slots: VecDeque<Slot>,
    spare: Vec<Slot>,
    /// The number of the first slot, counted from the epoch.
    first: i64,
    rng: Rng,
    /// Spans in which the connection stands still.
    stalls: VecDeque<(Ns, Ns)>,
    /// The next disconnection of the configuration, and whether it has begun.
    next_cut: usize,
    cut: bool,
    ready: VecDeque<Event>,
    pub(crate) delivered: Vec<Delivered>,
}

const PURPOSE: u64 = 5;

impl Delivery {
    pub(crate) fn new(seed: u64, start: Ns, instruments: usize) -> Self {
        Self {
            slots: VecDeque::new(),
            spare: Vec::new(),
            first: start.div_euclid(SLOT),
            rng: Rng::new(seed, PURPOSE, 0, 0),
            stalls: VecDeque::new(),
            next_cut: 0,
            cut: false,
            ready: VecDeque::from([Event::Connected { at: start }]),
            delivered: vec![Delivered::default(); instruments],
        }
    }

    pub(crate) fn next_ready(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    /// Rolls the dice for a stall that begins four seconds from now: by then nothing that arrives in it
    /// has been posted, so what it holds up stays in order.
    pub(crate) fn maybe_stall(&mut self, now: Ns, chance: f64) {
        while self
            .stalls
            .front()
            .is_some_and(|&(_, end)| end + 4 * SECOND < now)
        {
            self.stalls.pop_front();
        }
        let from = now + 4 * SECOND;
        if self.rng.chance(chance) && self.stalls.back().is_none_or(|&(_, end)| end <= from) {
            let length = SECOND + self.rng.below_wide(5 * SECOND as u64) as Ns;
            self.stalls.push_back((from, from + length));
        }
    }

    /// Posts one body for its arrival.
    pub(crate) fn post(&mut self, arrival: Ns, parcel: Parcel, body: &[u8]) {
        let stalled = self
            .stalls
            .iter()
            .find(|&&(from, to)| from <= arrival && arrival < to);
        let arrival = stalled.map_or(arrival, |&(_, to)| to);
        // The frame of a slot leaves after the slot, so nothing is received before it arrived.
        let number = (arrival.div_euclid(SLOT) + 1 - self.first).max(0) as usize;
        while self.slots.len() <= number {
            self.slots.push_back(self.spare.pop().unwrap_or_default());
        }
        let slot = &mut self.slots[number];
        slot.parcels.push(parcel);
        slot.bodies.extend_from_slice(body);
    }

    /// Sends everything that is due before `limit`.
    pub(crate) fn release(&mut self, limit: Ns, per_frame: usize, faults: &Faults) {
        while (self.first + 1) * SLOT <= limit {
            let Some(mut slot) = self.slots.pop_front() else {
                self.first = limit.div_euclid(SLOT);
                break;
            };
            self.send(&slot, self.first * SLOT, per_frame, faults);
            slot.parcels.clear();
            slot.bodies.clear();
            // What a stall has swollen is given back: reused, its size would spread to every slot.
            if slot.bodies.capacity() <= LARGE_SLOT {
                self.spare.push(slot);
            }
            self.first += 1;
        }
        self.connect_until(limit - 1, faults);
    }

    /// Whether anything is still on its way.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.iter().all(|slot| slot.parcels.is_empty())
    }

    fn send(&mut self, slot: &Slot, from: Ns, per_frame: usize, faults: &Faults) {
        let frames = slot.parcels.len().div_ceil(per_frame) as Ns;
        let mut offset = 0;
        for (parcels, nth) in slot.parcels.chunks(per_frame).zip(0..) {
            let share = SLOT / frames;
            let received_ns = from + nth * share + self.rng.below_wide(share as u64) as Ns;
            let lost = self.connect_until(received_ns, faults);
            let mut builder = FrameBuilder::new();
            for parcel in parcels {
                let end = offset + parcel.length as usize;
                builder.push_raw(&slot.bodies[offset..end]);
                offset = end;
            }
            if lost {
                continue;
            }
            let mut bytes = builder.finish();
            if self.rng.chance(faults.truncate) {
                let room = (bytes.len() - 2) as u32;
                bytes.truncate(2 + self.rng.below(room) as usize);
            }
            self.count(parcels, bytes.len());
            self.ready.push_back(Event::Frame { received_ns, bytes });
        }
    }

    /// Notes the packets that are whole in a frame of so many bytes.
    fn count(&mut self, parcels: &[Parcel], bytes: usize) {
        let mut end = 2;
        for parcel in parcels {
            end += 2 + parcel.length as usize;
            if end > bytes {
                break;
            }
            let delivered = &mut self.delivered[parcel.place as usize];
            delivered.packets += 1;
            if let Some(volume) = parcel.volume {
                delivered.first_volume.get_or_insert(volume);
                delivered.last_volume = volume;
                delivered.highest_volume = delivered.highest_volume.max(volume);
            }
        }
    }

    /// Reports what the connection does up to an instant, and says whether it is down then.
    fn connect_until(&mut self, now: Ns, faults: &Faults) -> bool {
        while let Some(&(from, to)) = faults.disconnections.get(self.next_cut) {
            if !self.cut && from <= now {
                self.cut = true;
                self.ready.push_back(Event::Disconnected { at: from });
            }
            if !self.cut || now < to {
                break;
            }
            self.cut = false;
            self.next_cut += 1;
            self.ready.push_back(Event::Connected { at: to });
        }
        self.cut
    }
}
