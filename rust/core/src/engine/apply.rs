//! Frames, packet by packet, on the short way or the long one.

use crate::aggregate::{Clock, SignedVolume, Snap};
use crate::error::DecodeError;
use crate::units::{Ns, SECOND};
use crate::wire::kite::packet::{Framed, Full};
use crate::wire::kite::{Census, Packet, frame, uniform};

use super::{Engine, NO_SLOT, ODD_DELAY};

/// How many packets are looked up before the first of them is applied.
const AHEAD: usize = 16;

/// What is the same for all packets of a frame.
#[derive(Clone, Copy)]
struct Arrival {
    /// Receive time; 0 for unknown.
    rx: Ns,
    /// The latest stamp to be believed, and in seconds.
    limit: Ns,
    limit_s: u32,
}

impl Engine {
    /// Applies one frame received at `rx` (0 = unknown).
    ///
    /// # Errors
    /// [`DecodeError`] if not one whole packet could be read; what was aggregated before stays.
    #[inline]
    pub fn apply(&mut self, bytes: &[u8], rx: Ns) -> Result<Census, DecodeError> {
        let limit = if rx > 0 {
            rx.saturating_add(ODD_DELAY)
        } else {
            Ns::MAX
        };
        let arrival = Arrival {
            rx,
            limit,
            // The last second there is stands for none on the short way.
            limit_s: u32::try_from(limit / SECOND).unwrap_or(u32::MAX - 1),
        };
        self.counts.frames += 1;
        match uniform(bytes) {
            Some((packets, length)) if length == size_of::<Full>() => {
                self.fulls(Framed::all(&bytes[2..]), arrival);
                self.counts.packets += packets as u64;
                self.counts.ticks += packets as u64;
                Ok(Census {
                    ticks: packets,
                    uniform: length,
                    ..Census::default()
                })
            }
            _ => self.mixed(bytes, arrival),
        }
    }

    /// The packets of nearly every frame: all of one kind, none cut.
    #[inline]
    fn fulls(&mut self, packets: &[Framed<Full>], arrival: Arrival) {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            struct Walk<'a>(&'a mut Engine, &'a [Framed<Full>], Arrival);
            impl pulp::NullaryFnOnce for Walk<'_> {
                type Output = ();
                #[inline(always)]
                fn call(self) {
                    self.0.walk_fulls(self.1, self.2);
                }
            }
            return simd.vectorize(Walk(self, packets, arrival));
        }
        self.walk_fulls(packets, arrival);
    }

    /// Finds the slots of the next packets and asks for what they will need, then applies them: the cache misses of
    /// many packets are waited for together.
    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "there are fewer slots than u32 has values"
    )]
    fn walk_fulls(&mut self, packets: &[Framed<Full>], arrival: Arrival) {
        let mut slots = [NO_SLOT; AHEAD];
        for packets in packets.chunks(AHEAD) {
            for (packet, slot) in packets.iter().zip(&mut slots) {
                let known = self.tokens.get(packet.body.instrument_token.get());
                *slot = known.map_or(NO_SLOT, |slot| slot as u32);
                if let Some(slot) = known {
                    self.book.ask(slot);
                }
            }
            if std::mem::take(&mut self.book.turning) {
                // An edge is being crossed: most of these will open a bar, or see one end.
                for &slot in slots.iter().take(packets.len()).filter(|slot| **slot != NO_SLOT) {
                    self.book.ask_for_turn(slot as usize);
                }
            }
            for (packet, &slot) in packets.iter().zip(&slots) {
                if slot == NO_SLOT {
                    self.unseen(&packet.body, arrival);
                } else {
                    self.full(slot as usize, &packet.body, arrival);
                }
            }
        }
    }

    #[inline(always)]
    fn full(&mut self, slot: usize, full: &Full, arrival: Arrival) {
        if self.book.quick(slot, full, arrival.limit_s) || self.turn(slot, full, arrival.limit_s) {
            let ets = Ns::from(full.exchange_timestamp.get()) * SECOND;
            if arrival.rx > 0 {
                self.sample(arrival.rx - ets);
            }
            if ets > self.watermark {
                self.tick_clock(ets, arrival.rx);
            }
        } else {
            self.long_way(slot, full, arrival);
        }
    }

    #[inline(always)]
    fn turn(&mut self, slot: usize, full: &Full, limit_s: u32) -> bool {
        self.book
            .turn(slot, full, limit_s, self.watermark.max(self.timer))
    }

    #[cold]
    #[inline(never)]
    fn long_way(&mut self, slot: usize, full: &Full, arrival: Arrival) {
        let quoted = self.book.options.signed == SignedVolume::Quote;
        if quoted {
            let mid2 = self.mid_before(slot);
            self.book.set_mid(slot, mid2);
        }
        self.raws[slot].take_full(full);
        self.book.went_the_long_way(slot, full);
        let snap = self.snap_full(full, arrival.rx, arrival.limit);
        self.step(slot, &snap);
        if quoted {
            self.book.set_mid(slot, None);
        }
    }

    /// A packet of another length.
    #[cold]
    #[inline(never)]
    fn other(&mut self, body: &[u8], arrival: Arrival, applied: &mut Census) {
        let Arrival { rx, limit, .. } = arrival;
        let packet = Packet::read(body);
        let Some(token) = packet.instrument_token() else {
            return;
        };
        applied.ticks += 1;
        applied.depth20 += usize::from(body.len() == 492);
        let Some(slot) = self.tokens.get(token).or_else(|| self.meet(token)) else {
            self.counts.untracked += 1;
            return;
        };
        if body.len() <= size_of::<Full>() {
            self.catch_up(slot);
            self.raws[slot].renew(body);
        }
        if let Some(snap) = self.snap_other(&packet, rx, limit) {
            self.step(slot, &snap);
        } else if let Packet::Depth20(deep) = packet {
            let ets = self.valid(deep.exchange_timestamp.get(), limit);
            self.stamp(ets, rx);
            self.tick_clock(ets, rx);
        }
    }

    pub(super) fn step(&mut self, slot: usize, snap: &Snap) {
        let clock = Clock {
            now: self.book.live_clock(slot, self.watermark.max(self.timer)),
            watermark: self.watermark,
        };
        if snap.has_volume {
            self.book.tick(slot, snap, &clock);
        } else {
            self.book.price_tick(slot, snap, &clock);
        }
        self.tick_clock(snap.ets, snap.rx);
    }

    /// A full packet of a token that is new.
    #[cold]
    #[inline(never)]
    fn unseen(&mut self, full: &Full, arrival: Arrival) {
        let token = full.instrument_token.get();
        // Its first packet may be of this very frame.
        match self.tokens.get(token).or_else(|| self.meet(token)) {
            Some(slot) => self.full(slot, full, arrival),
            None => self.counts.untracked += 1,
        }
    }

    /// Packets of several kinds, or a frame that is cut.
    fn mixed(&mut self, bytes: &[u8], arrival: Arrival) -> Result<Census, DecodeError> {
        let mut walk = frame(bytes);
        let mut applied = Census {
            is_heartbeat: walk.is_heartbeat(),
            ..Census::default()
        };
        while let Some(run) = walk.next_run() {
            if run.length() == size_of::<Full>() {
                self.fulls(run.packets(), arrival);
                applied.ticks += run.len();
                continue;
            }
            for body in run.bodies() {
                self.other(body, arrival, &mut applied);
            }
        }
        applied.error = walk.error();
        applied.rejected = walk.announced() - applied.ticks;
        self.counts.heartbeats += u64::from(applied.is_heartbeat);
        self.counts.packets += walk.announced() as u64;
        self.counts.ticks += applied.ticks as u64;
        self.counts.rejected += applied.rejected as u64;
        match applied.error {
            Some(error) if walk.missing() == walk.announced() => {
                self.counts.bad_frames += 1;
                Err(error)
            }
            _ => Ok(applied),
        }
    }
}
