//! First contact, trading dates and gaps (docs/bars.md §3 and §7; R4, R10, R12, R13).

use crate::bar::{Bar, NO_HIGH, NO_LOW, flags};
use crate::session::{Phase, Span};
use crate::units::{Ns, ist_day, ist_midnight};

use super::signed::Signing;
use super::state::{Account, Clock, NO_DAY, NO_TIME, Snap};
use super::{Book, NEVER, VolumeKind};

/// Gaps remembered for an instrument and date; beyond them the oldest two become one.
const MAX_GAPS: usize = 64;
/// Dates on which the feed joined late, remembered for an instrument; the oldest go.
const MAX_JOINS: usize = 64;

/// What a packet may do, as far as its date goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contact {
    /// It is of another date, or cannot be placed.
    Nothing,
    /// Its volume and price are of an earlier date, its stamps and open interest are not.
    Stamps,
    /// It was the instrument's first: it says where the day stands, and makes no bar.
    Seeded,
    Ordinary,
}

impl Book {
    /// Decides whether a packet belongs to the instrument's trading date, changing the date where it must.
    pub(super) fn contact(&mut self, slot: usize, s: &Snap, clock: &Clock) -> Contact {
        if s.stamp == NO_TIME {
            self.tally.untimed += 1;
            return Contact::Nothing;
        }
        let date = ist_day(s.stamp);
        let day = self.cold[slot].day;
        let broken = self.cold[slot].gap_from.is_some() && date > day;
        let undated = s.ltt == 0 && s.ets == 0 && s.has_volume && s.volume > 0 && !s.added;
        let old = self.hot[slot].v_star - self.hot[slot].offset;
        let repeats = day != NO_DAY && date > day && s.volume == old;
        let earlier = undated && (repeats || self.phase_on(slot, date, s.stamp) == Phase::Before);
        if day == NO_DAY || broken {
            return self.first_contact(slot, s, clock, date, earlier);
        }
        if date < day || earlier {
            self.tally.stale += 1;
            return Contact::Nothing;
        }
        if date > day {
            self.begin_day(slot, date);
            if undated && s.volume > old {
                self.join(slot, s, clock);
                return Contact::Seeded;
            }
        }
        if s.ltt != 0 && ist_day(s.ltt) < self.cold[slot].day {
            self.tally.stale += 1;
            return Contact::Stamps;
        }
        // Volume after a time without it: the mode was raised, the day's volume so far is no delta (R12).
        if s.has_volume && self.cold[slot].priced && !self.hot[slot].has_volume {
            self.gap_was_empty(slot);
            return self.first_volume(slot, s, clock);
        }
        Contact::Ordinary
    }

    fn phase_on(&self, slot: usize, date: i64, at: Ns) -> Phase {
        let cold = &self.cold[slot];
        if cold.day == date {
            cold.schedule.phase(at)
        } else {
            self.schedule_of(slot, date).phase(at)
        }
    }

    /// `earlier`: no stamp dates its volume, which must be an earlier date's (R4, R10).
    fn first_contact(&mut self, slot: usize, s: &Snap, clock: &Clock, date: i64, earlier: bool) -> Contact {
        self.tally.contacts += 1;
        let now_day = if s.rx > 0 { ist_day(s.rx) } else { date };
        let stale = earlier || date < now_day || (s.ltt != 0 && ist_day(s.ltt) < date);
        let preset = self.cold[slot].preset.take();
        if preset.is_some() || stale {
            self.begin_day(slot, if stale { now_day.max(date) } else { date });
            let baseline = preset.unwrap_or(0);
            self.hot[slot].v_star = baseline;
            self.cold[slot].account.baseline = baseline;
            self.tally.stale += u64::from(stale);
            return if stale {
                Contact::Nothing
            } else {
                Contact::Ordinary
            };
        }
        self.begin_day(slot, date);
        if !s.has_volume && s.ets != 0 && (s.rx <= 0 || s.rx.saturating_sub(s.ets) <= self.options.gap) {
            self.seed(slot, s);
            return Contact::Ordinary;
        }
        self.first_volume(slot, s, clock)
    }

    /// First contact with a date's volume: nothing yet, the opening auction, or joined in mid-session (R12).
    fn first_volume(&mut self, slot: usize, s: &Snap, clock: &Clock) -> Contact {
        if s.volume == 0 {
            self.seed(slot, s);
            return Contact::Seeded;
        }
        if s.ltt != 0 && self.cold[slot].schedule.phase(s.ltt) == Phase::PreOpen {
            return Contact::Ordinary;
        }
        self.join(slot, s, clock);
        Contact::Seeded
    }

    /// Joined in mid-session: the first volume is the baseline, nothing is counted (R12 b).
    fn join(&mut self, slot: usize, s: &Snap, clock: &Clock) {
        self.seed(slot, s);
        let hot = &mut self.hot[slot];
        hot.v_star = s.volume;
        hot.a_star = s.average;
        hot.ltt_star = if s.ltt == 0 { s.stamp } else { s.ltt };
        hot.note_said(s);
        let cold = &mut self.cold[slot];
        cold.account.baseline = s.volume;
        cold.complete = false;
        cold.t_join = s.stamp;
        // Bars that prices alone have made so far begin at this volume too.
        let (bases, after) = (self.bases.len(), self.options.final_after());
        for at in slot * bases..(slot + 1) * bases {
            for bar in self.older[at].iter_mut().chain([&mut self.newest[at]]) {
                bar.floor.v = s.volume;
                bar.floor.a = s.average;
                let open = clock.now == NO_TIME || bar.end.saturating_add(after) >= clock.now;
                if bar.exists && open && bar.contains(s.stamp) {
                    bar.flags |= flags::PARTIAL;
                    bar.uncovered += s.stamp - bar.start;
                    self.dirty |= bar.sealed;
                }
            }
        }
    }

    /// Takes the day's extremes of a packet that may not touch a bar.
    pub(super) fn seed(&mut self, slot: usize, s: &Snap) {
        let hot = &mut self.hot[slot];
        hot.h_star = hot.h_star.max(s.high);
        hot.l_star = hot.l_star.min(s.low);
    }

    /// Ends the instrument's date, if it has one, and starts another with nothing traded (R10).
    pub(super) fn begin_day(&mut self, slot: usize, day: i64) {
        self.end_day(slot);
        self.close_awaited(slot, ist_midnight(day));
        self.close_periods(slot, ist_midnight(day));
        let schedule = self.schedule_of(slot, day);
        let hot = &mut self.hot[slot];
        hot.v_star = 0;
        hot.a_star = 0;
        hot.ltt_star = NO_TIME;
        hot.ltt_said = NO_TIME;
        hot.ets_star = NO_TIME;
        hot.h_star = NO_HIGH;
        hot.l_star = NO_LOW;
        hot.offset = 0;
        hot.day_start = ist_midnight(day);
        hot.lows = 0;
        hot.open = true;
        hot.clamps = true;
        hot.has_volume = false;
        let cold = &mut self.cold[slot];
        cold.day = day;
        cold.schedule = schedule;
        cold.leg = schedule
            .legs()
            .first()
            .copied()
            .unwrap_or(Span { start: 0, end: 0 });
        cold.account = Account::default();
        cold.complete = true;
        if cold.t_join != NO_TIME {
            if cold.joins.len() == MAX_JOINS {
                cold.joins.pop_front();
            }
            cold.joins.push_back(cold.t_join);
        }
        cold.t_join = NO_TIME;
        cold.low_since = NO_TIME;
        cold.rebase_due = 0;
        cold.gap_from = None;
        cold.gaps.clear();
        cold.auction_open = None;
        cold.auction_close = None;
        cold.prints.clear();
        cold.before_prints = NO_TIME;
        cold.bookings.clear();
        cold.priced = false;
        cold.extra.iter_mut().for_each(Vec::clear);
        cold.had_extra = [false; 2];
        cold.auction_interest = Bar::NONE.interest();
        cold.opened = 0;
        cold.daily.begin();
        cold.signing = Signing::NEW;
        cold.account.history = cold.joined.begin(day);
        self.refresh(slot);
    }

    /// Seals what is open; afterwards no bar of the date can change any more.
    pub(super) fn end_day(&mut self, slot: usize) {
        if self.cold[slot].day == NO_DAY {
            return;
        }
        self.close_slot(slot, NEVER);
        let account = self.account(slot);
        self.cold[slot].past.add(&account);
        let bases = self.bases.len();
        for chain in slot * bases..(slot + 1) * bases {
            self.older[chain].clear();
            self.newest[chain] = Bar::NONE;
        }
        let plans = self.plans.len();
        for fold in &mut self.folds[slot * plans..(slot + 1) * plans] {
            fold.forget();
        }
    }

    /// Tells one instrument, or every one, that the feed is gone since `at`: until its next tick it has a gap.
    pub fn disconnected(&mut self, at: Ns) {
        for slot in 0..self.hot.len() {
            if self.cold[slot].day == NO_DAY || self.cold[slot].gap_from.is_some() {
                continue;
            }
            self.spill(slot);
            let seen = self.hot[slot].ets_star;
            self.cold[slot].gap_from = Some(if seen == NO_TIME { at } else { seen.min(at) });
            self.hot[slot].open = false;
            self.refresh(slot);
        }
    }

    /// The gap that ends with this trade, if there is one: a disconnection, or silence while others spoke (R13).
    pub(super) fn gap_before(&mut self, slot: usize, s: &Snap, clock: &Clock) -> Option<Ns> {
        let hot = &mut self.hot[slot];
        hot.open = true;
        if let Some(from) = self.cold[slot].gap_from.take() {
            return Some(from);
        }
        let seen = hot.ets_star;
        let silent =
            seen != NO_TIME && s.stamp.saturating_sub(seen) > self.options.gap && clock.watermark > seen;
        (silent && !s.given).then_some(seen)
    }

    /// A packet without a trade ends a pending gap: nothing was missed.
    pub(super) fn gap_was_empty(&mut self, slot: usize) {
        self.cold[slot].gap_from = None;
        self.hot[slot].open = true;
    }

    pub(super) fn remember_gap(&mut self, slot: usize, from: Ns, to: Ns) {
        let gaps = &mut self.cold[slot].gaps;
        if gaps.len() == MAX_GAPS {
            let second = gaps.remove(1);
            gaps[0] = super::Gap {
                from: gaps[0].from,
                ..second
            };
        }
        gaps.push(super::Gap {
            from,
            to,
            volume: 0,
            left: 0,
            price: 0,
            value2: 0,
            found: 0,
            over: 0,
            held: None,
        });
    }

    /// The cumulative volume that a quantity makes; on a new date it starts the count (R10). A quantity leaves no
    /// doubt about the volume before it, so there is no first contact to wait for.
    pub fn add_quantity(&mut self, slot: usize, at: Ns, quantity: i64) -> i64 {
        let day = ist_day(at);
        let known = self.cold[slot].day;
        self.spill(slot);
        if known == NO_DAY || (day > known && self.cold[slot].gap_from.is_some()) {
            self.begin_day(slot, day);
            if let Some(baseline) = self.cold[slot].preset.take() {
                self.hot[slot].v_star = baseline;
                self.cold[slot].account.baseline = baseline;
            }
        }
        let today = day == self.cold[slot].day && self.options.volume == VolumeKind::Cumulative;
        if today && self.cold[slot].priced && !self.hot[slot].has_volume {
            // Prices alone came before it: the count begins at 0 all the same.
            self.gap_was_empty(slot);
            self.hot[slot].has_volume = true;
        }
        let hot = &self.hot[slot];
        if day > self.cold[slot].day {
            quantity
        } else {
            (hot.v_star - hot.offset).saturating_add(quantity)
        }
    }

    /// Stamps and open interest of an accepted packet (docs/bars.md §5; R4, R30).
    pub(super) fn note_stamp(&mut self, slot: usize, s: &Snap, v: i64) {
        let hot = &mut self.hot[slot];
        hot.ets_star = hot.ets_star.max(s.stamp);
        if !s.has_oi {
            return;
        }
        if (s.stamp, v) >= (hot.oi_star_t, hot.oi_star_v) {
            hot.oi_star_t = s.stamp;
            hot.oi_star_v = v;
            hot.oi_star = s.oi;
        }
    }
}
