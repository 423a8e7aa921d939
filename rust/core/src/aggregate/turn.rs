//! The turn of a minute on the short way: the next bar opens, the last one is sealed, without the book's chain.
//!
//! Each of these is done here only where it is the common case: an in-order trade in a later bucket of the same
//! leg, with no gap before it; and one bar due, of which nothing is unusual. Every condition only sends
//! the rest the long way, which decides it again; `tests/engine_ways.rs` holds the two against each other.

mod ends;
mod seal;

pub(super) use ends::Ends;

use crate::ahead::ask;
use crate::session::Span;
use crate::units::{MINUTE, Ns, SECOND};
use crate::wire::kite::packet::Full;

use super::brief::{Opened, Traded, Turn, brief, seconds};
use super::quick::{LTT_AHEAD, Quick};
use super::state::NO_TIME;
use super::{Book, CloseOn, EdgeSplit};

impl Quick {
    /// What the trades of the newest bar made of it, where a turn holds that bar.
    fn traded(&self) -> Traded {
        Traded {
            value2: self.value2,
            last_t: self.ltt,
            last_p: self.price,
            volume: self.volume,
            average: self.average,
            pmax: self.pmax,
            pmin: self.pmin,
            hmax: self.hmax,
            lmin: self.lmin,
            updates: self.updates,
        }
    }
}

impl Turn {
    /// The open interest that came before the bar's end stays its own.
    #[inline]
    fn freeze(&mut self, q: &Quick) {
        if q.ets < self.open.end && q.seen > 0 {
            (self.open.oi, self.open.oi_t, self.open.oi_v) = (q.oi, q.ets, q.volume);
        }
    }
}

impl Book {
    /// Whether the options leave the turn of a minute to the short way: see `tune`.
    pub(super) fn may_turn(&self) -> bool {
        self.bases.len() == 1
            && self.plans.len() < 64
            && self.plain
            && self.quick_trades
            && self.options.edge_split != EdgeSplit::Prorata
            && self.options.close_on == CloseOn::Watermark
            && self.calendar.periods == [None; 2]
    }

    /// Gives the instrument's bars to its turn, if they have a brief form. `q` is the loaded short way.
    pub(super) fn load_turn(&mut self, slot: usize, q: &mut Quick) {
        if let Some(turn) = self.turn_of(slot, q) {
            self.turns[slot] = turn;
        }
    }

    fn turn_of(&self, slot: usize, q: &mut Quick) -> Option<Turn> {
        let (hot, newest, older) = (&self.hot[slot], &self.newest[slot], &self.older[slot]);
        let (open, traded) = brief(newest)?;
        let level = open.floor().join(newest.top());
        let known = hot.clamps && hot.offset == 0 && (!self.quick_bounded || hot.a_star > 0);
        let current = newest.last_t == hot.ltt_star
            && hot.ltt_said == hot.ltt_star
            && newest.last_p == hot.last_p
            && level == hot.level();
        if !known || !current || older.len() > 1 {
            return None;
        }
        let mut before = (Opened::NONE, Traded::NONE);
        if let Some(bar) = older.first() {
            before = brief(bar)?;
            let end = bar.floor.join(bar.top());
            // The level runs through both: the newer bar's carry is its floor.
            if bar.start < self.cold[slot].leg.start
                || bar.end > newest.start
                || end.join(newest.floor) != newest.floor
            {
                return None;
            }
        }
        let cold = &self.cold[slot];
        let usual = cold.extra.iter().all(Vec::is_empty)
            && cold.joined.awaited.is_empty()
            && cold.rebase_due == 0
            && cold.opened & 1 != 0
            && cold.leg.start <= newest.start
            && newest.start < cold.leg.end
            && cold.t_join < newest.end
            && cold.joined.until <= newest.start.min(older.first().map_or(Ns::MAX, |bar| bar.start));
        if !usual {
            return None;
        }
        let leg_end = seconds(cold.leg.end)?;
        if q.ets >= leg_end {
            return None;
        }
        (q.pmax, q.pmin, q.hmax, q.lmin) = (traded.pmax, traded.pmin, traded.hmax, traded.lmin);
        (q.value2, q.updates) = (traded.value2, traded.updates);
        (q.ltt, q.volume, q.average, q.price) = (traded.last_t, traded.volume, traded.average, traded.last_p);
        q.ltt_end = if open.sealed { 0 } else { open.end };
        q.ets_end = if q.ets < open.end {
            if open.sealed { 0 } else { open.end }
        } else {
            leg_end
        };
        let joined = cold.t_join.saturating_add(1);
        let since = joined.max(cold.joined.until).max(0) / SECOND;
        Some(Turn {
            open,
            before: before.0,
            traded: before.1,
            leg_end,
            leg_start: seconds(cold.leg.start)?,
            divisor: u32::try_from(cold.divisor).ok()?,
            since: u32::try_from(since).ok()?.saturating_add(1),
            ..Turn::NONE
        })
    }

    /// Gives the turn's bars back to the book's chain, if that is behind.
    pub(super) fn unload_turn(&mut self, slot: usize, q: &Quick) {
        let turn = &mut self.turns[slot];
        turn.open.exists = false;
        if q.seen == 0 && !turn.moved {
            return;
        }
        turn.freeze(q);
        let newest = turn.open.bar(&q.traded());
        let older = &mut self.older[slot];
        older.clear();
        if turn.before.exists {
            older.push(turn.before.bar(&turn.traded));
        }
        self.newest[slot] = newest;
        self.cold[slot].account.bars += i64::from(turn.retired);
        self.give_kept(slot);
    }

    /// Gives the final minutes that no fold has to all of them.
    fn give_kept(&mut self, slot: usize) {
        let Some(start) = self.turns[slot].kept.held() else {
            return;
        };
        let kept = self.turns[slot].kept.of(Span { start, end: start });
        self.turns[slot].kept.forget();
        for plan in 0..self.folds_each() {
            let fold = slot * self.plans.len() + plan;
            let span = self.fold_span(slot, fold, self.plans[plan].ns, start);
            self.folds[fold].keep(span, &kept);
        }
    }

    /// A packet that the short way of the newest bar could not take: the edge of that bar was crossed, or a trade
    /// opens the next one. `now` is the clock before the packet. False: nothing was changed.
    #[cold]
    #[inline(never)]
    pub fn turn(&mut self, slot: usize, w: &Full, limit: u32, now: Ns) -> bool {
        let Some(turn) = self.turns.get_mut(slot).filter(|turn| turn.open.exists) else {
            return false;
        };
        self.turning = true;
        let q = &mut self.seats[slot].quick;
        let ets = w.exchange_timestamp.get();
        if ets >= turn.open.end && ets < turn.leg_end && q.ets_end != turn.leg_end {
            // From here on stamps say nothing of the bar any more, trades may.
            turn.freeze(q);
            q.ets_end = turn.leg_end;
            if self.quick(slot, w, limit) {
                return true;
            }
        }
        self.roll(slot, w, limit, now)
    }

    /// Asks for what opening a bar needs.
    #[inline(always)]
    pub fn ask_for_turn(&self, slot: usize) {
        if let Some(turn) = self.turns.get(slot) {
            turn.ask();
            turn.kept.ask();
            ask(&turn.retired);
        }
    }

    fn roll(&mut self, slot: usize, w: &Full, limit: u32, now: Ns) -> bool {
        if self.calendar.day.is_some() && !self.seats[slot].has_day_of(w) {
            return false;
        }
        let q = &self.seats[slot].quick;
        let turn = &self.turns[slot];
        let (price, volume, ltt, ets) = (
            w.last_price.get(),
            w.volume_traded.get(),
            w.last_trade_time.get(),
            w.exchange_timestamp.get(),
        );
        let (high, low, average) = (w.high.get(), w.low.get(), w.average_traded_price.get());
        let sane =
            price >= low && price <= high && low != 0 && Quick::is_small(volume | average | price | high);
        let due = ltt >= turn.open.end && ltt < turn.leg_end && ltt <= ets.saturating_add(LTT_AHEAD);
        let stamped =
            ets >= q.ets && ets <= limit && ltt <= limit && ets.wrapping_sub(q.ets) <= self.quick_gap;
        if !(sane && due && stamped && average != 0 && volume > q.volume && now != NO_TIME) {
            return false;
        }
        let width = self.base_seconds;
        let start = turn.open.end + (ltt - turn.open.end) / width * width;
        let end = turn.leg_end.min(start.saturating_add(width));
        let at = |second: u32| Ns::from(second) * SECOND;
        let is_final = |opened: &Opened| opened.sealed && at(opened.end) + self.options.final_after() < now;
        if ets < start
            || ets >= end
            || at(end) + self.options.grace <= now
            || (turn.before.exists && !is_final(&turn.before))
        {
            return false;
        }
        let bounded = self.quick_bounded.then_some(self.options.saying.atp_width);
        let value = q.value_until(price, volume, average, bounded);
        if turn.before.exists && !self.retire_turn(slot) {
            return false;
        }
        let (q, turn) = (&mut self.seats[slot].quick, &mut self.turns[slot]);
        turn.freeze(q);
        turn.before = turn.open;
        turn.traded = q.traded();
        let none_high = turn.open.floor_h.max(q.hmax);
        turn.open = Opened {
            start,
            end,
            first_t: ltt,
            first_v: volume,
            first_p: price,
            first_h: high,
            first_l: low,
            floor_v: q.volume,
            floor_a: q.average,
            floor_h: none_high,
            floor_l: turn.open.floor_l.min(q.lmin),
            oi: w.oi.get(),
            oi_t: ets,
            oi_v: volume,
            flags: 0,
            source: crate::bar::source::LTT,
            straddle: q.ets < start,
            sealed: false,
            exists: true,
        };
        turn.moved = true;
        *q = Quick {
            ltt,
            ltt_end: end,
            ets,
            ets_end: end,
            volume,
            average,
            oi: w.oi.get(),
            price,
            pmax: price,
            pmin: price,
            hmax: high,
            lmin: low,
            updates: 1,
            seen: q.seen.wrapping_add(1).max(1),
            value2: value,
        };
        self.tally.trades += 1;
        self.expect(slot, at(end));
        self.seats[slot].take(w);
        true
    }

    /// Folds the older bar away, which is final.
    fn retire_turn(&mut self, slot: usize) -> bool {
        let turn = &self.turns[slot];
        let said = turn.before.say(&turn.traded, &self.options.saying);
        let Some(retired) = u32::try_from(said.volume)
            .ok()
            .and_then(|volume| turn.retired.checked_add(volume))
        else {
            return false;
        };
        let start = turn.before.start;
        if start >= turn.kept_end {
            self.give_kept(slot);
            self.turns[slot].kept_end = self.first_end(slot, start);
        }
        let turn = &mut self.turns[slot];
        let first = turn.kept.held().unwrap_or(said.start);
        turn.kept.keep(
            Span {
                start: first,
                end: said.end,
            },
            &said,
        );
        turn.retired = retired;
        true
    }

    /// When the first of the buckets ends that contain the second `at`, all counted from the leg's start.
    fn first_end(&self, slot: usize, at: u32) -> u32 {
        let turn = &self.turns[slot];
        if at >= turn.leg_end {
            return u32::MAX;
        }
        let end = self.ends.first_after(at - turn.leg_start);
        turn.leg_end.min(end.saturating_add(turn.leg_start))
    }

    /// The folds, by bit, of which a bucket ends at the second `end`.
    #[inline]
    fn ending(&self, slot: usize, end: u32) -> u64 {
        let turn = &self.turns[slot];
        self.ends
            .ending(end - turn.leg_start, turn.leg_end - turn.leg_start)
    }

    /// The folds, by bit, of an instrument that are due at `now`, as far as its turn knows.
    #[inline]
    pub(super) fn folds_due(&self, slot: usize, now: Ns) -> u64 {
        let Some(turn) = self.turns.get(slot).filter(|turn| turn.open.exists) else {
            return 0;
        };
        let end = turn.folds_end.max(turn.leg_start);
        if Ns::from(end) * SECOND > now.saturating_sub(self.options.grace) {
            return 0;
        }
        self.ending(slot, end)
    }

    fn folds_each(&self) -> usize {
        if self.bases[0].ns == MINUTE {
            self.plans.len()
        } else {
            0
        }
    }
}

impl Turn {
    /// Asks for the lines that sealing the bar that is due needs.
    #[inline]
    pub fn ask(&self) {
        ask(&self.open);
        ask(&self.before);
        ask(&self.traded);
    }
}
