//! Market, run: the exchange's day, second by second, never more than a few seconds in memory.

use super::config::{Kind, MarketConfig, at};
use super::delivery::{Delivered, Delivery, Event, Parcel};
use super::live::{Live, LiveIndex, quote_chance, seconds};
use super::rng::Rng;
use crate::session::calendar::weekday;
use crate::units::{Ns, SECOND};

const PURPOSE: u64 = 6;

/// What of the market never changes while it runs.
pub(crate) struct Plan {
    pub(crate) config: MarketConfig,
    pub(crate) seed: u64,
    pub(crate) days: Vec<i64>,
    /// Whether the instrument's volume is to pass 2^32, by its place.
    pub(crate) near_wrap: Vec<bool>,
    /// The seconds of the day in which anything is published.
    pub(crate) first_second: u32,
    pub(crate) last_second: u32,
}

enum Player {
    Trades(Box<Live>),
    Index(Box<LiveIndex>),
}

pub(crate) struct Run {
    players: Vec<Player>,
    delivery: Delivery,
    rng: Rng,
    day: usize,
    second: u32,
    body: Vec<u8>,
    /// What was delivered on the dates that are over, date by date.
    pub(crate) past: Vec<Vec<Delivered>>,
}

/// Delays are measured from the stamp, which is all that a user can see: 0.41 to 2.98 s, mean 0.92 s
/// (kite-protocol §6). The longest leaves room for the two slots that a frame may wait.
const SHORTEST_DELAY: Ns = 410_000_000;
const LONGEST_DELAY: Ns = 2_930_000_000;
const BASE_DELAY: Ns = 20_000_000;
const MEAN_EXTRA: f64 = 345_000_000.0;

/// When a snapshot taken at `instant` arrives.
fn arrival(rng: &mut Rng, instant: Ns, last: Ns) -> Ns {
    let stamp = instant - instant.rem_euclid(SECOND);
    let extra = (rng.exponential() * MEAN_EXTRA) as Ns;
    let jitter = Ns::from(rng.below(30_000_000));
    let earliest = stamp + SHORTEST_DELAY + jitter;
    (instant + BASE_DELAY + extra)
        .max(earliest)
        .min(stamp + LONGEST_DELAY - jitter)
        .max(last)
}

impl Run {
    pub(crate) fn new(plan: &Plan) -> Self {
        let market = &plan.config.instruments;
        let day = plan.days[0];
        // The date before the first, for stale ticks: yesterday, or Friday.
        let before = if weekday(day) == 0 { day - 3 } else { day - 1 };
        let player = |(instrument, &near_wrap): (&super::config::Instrument, &bool)| match instrument.kind {
            Kind::Index => Player::Index(Box::new(LiveIndex::new(plan.seed, instrument, market, day))),
            _ => Player::Trades(Box::new(Live::new(plan.seed, instrument, day, before, near_wrap))),
        };
        let mut run = Self {
            players: market.iter().zip(&plan.near_wrap).map(player).collect(),
            delivery: Delivery::new(plan.seed, at(day, plan.first_second), market.len()),
            rng: Rng::new(plan.seed, PURPOSE, 0, 0),
            day: 0,
            second: plan.first_second,
            body: Vec::with_capacity(512),
            past: Vec::new(),
        };
        run.begin_day(plan);
        run.greet(plan, at(day, plan.first_second), true);
        run
    }

    /// The next event, or `None` when the last date is over.
    pub(crate) fn next_event(&mut self, plan: &Plan) -> Option<Event> {
        loop {
            if let Some(event) = self.delivery.next_ready() {
                return Some(event);
            }
            if self.day == plan.days.len() {
                return None;
            }
            self.step(plan);
        }
    }

    /// What was delivered of an instrument: the dates that are over, then the current one.
    pub(crate) fn delivered(&self, plan: &Plan, place: usize) -> Vec<Delivered> {
        let past = self.past.iter().map(|day| day[place]);
        let current = (self.day < plan.days.len()).then(|| self.delivery.delivered[place]);
        past.chain(current).collect()
    }

    fn begin_day(&mut self, plan: &Plan) {
        let day = plan.days[self.day];
        self.second = plan.first_second;
        for (place, (player, instrument)) in self.players.iter_mut().zip(&plan.config.instruments).enumerate()
        {
            self.delivery.delivered[place] = Delivered {
                day,
                ..Delivered::default()
            };
            if let Player::Trades(live) = player {
                let opening = at(day, instrument.hours.first_second());
                live.next_snapshot = opening + live.quotes.below_wide(2 * SECOND as u64) as Ns;
                let hours = &instrument.hours;
                let cancels = live.faults.chance(plan.config.faults.cancellation) && !plan.near_wrap[place];
                let session = u64::from(hours.close - hours.open) * SECOND as u64;
                let when = at(day, hours.open) + live.faults.below_wide(session) as Ns;
                live.volume_faults.cancel_at = if cancels { when } else { 0 };
            }
        }
    }

    fn end_day(&mut self, plan: &Plan) {
        let config = &plan.config;
        let mut limit = at(plan.days[self.day], plan.last_second);
        while !self.delivery.is_empty() {
            limit += SECOND;
            self.delivery
                .release(limit, config.packets_per_frame.into(), &config.faults);
        }
        self.past.push(self.delivery.delivered.clone());
        self.day += 1;
        let Some(&day) = plan.days.get(self.day) else {
            return;
        };
        for (player, instrument) in self.players.iter_mut().zip(&config.instruments) {
            match player {
                Player::Trades(live) => live.start_day(instrument, day),
                Player::Index(index) => index.start_day(plan.seed, instrument, day),
            }
        }
        self.begin_day(plan);
    }

    /// Plays one second of the exchange.
    fn step(&mut self, plan: &Plan) {
        let faults = &plan.config.faults;
        let now = at(plan.days[self.day], self.second);
        self.delivery.maybe_stall(now, faults.delay_spike);
        let back = faults
            .disconnections
            .iter()
            .find(|&&(_, to)| now <= to && to < now + SECOND);
        if let Some(&(_, to)) = back {
            self.greet(plan, to, false);
        }
        // Indices first: an index shows its components as they stood when the second began.
        for place in 0..self.players.len() {
            if matches!(self.players[place], Player::Index(_)) {
                self.publish_index(plan, place);
            }
        }
        // A random stride, so that a frame's packets are not sorted by instrument.
        let count = self.players.len();
        let stride = self.stride(count);
        let mut place = self.rng.below(count as u32) as usize;
        for _ in 0..count {
            place = (place + stride) % count;
            self.play(plan, place);
        }
        self.delivery
            .release(now + SECOND, plan.config.packets_per_frame.into(), faults);
        self.second += 1;
        if self.second >= plan.last_second {
            self.end_day(plan);
        }
    }

    fn stride(&mut self, count: usize) -> usize {
        const fn gcd(a: usize, b: usize) -> usize {
            if b == 0 { a } else { gcd(b, a % b) }
        }
        let tries = (0..8).map(|_| 1 + self.rng.below(count as u32) as usize);
        tries
            .into_iter()
            .find(|&stride| gcd(stride, count) == 1)
            .unwrap_or(1)
    }

    /// One second of one instrument: its snapshots, each after the trades before it.
    fn play(&mut self, plan: &Plan, place: usize) {
        let Player::Trades(live) = &mut self.players[place] else {
            return;
        };
        let instrument = &plan.config.instruments[place];
        if self.second < instrument.hours.first_second() || self.second >= instrument.hours.last_second() {
            return;
        }
        let end = at(plan.days[self.day], self.second) + SECOND;
        while live.next_snapshot < end {
            let instant = live.next_snapshot;
            live.trade_until(instrument, instant + 1);
            live.restate_oi(instrument);
            let chance = quote_chance(instrument, self.second);
            if core::mem::take(&mut live.traded) || live.quotes.chance(chance) {
                snapshot(plan, place, live, instant, &mut self.delivery, &mut self.body);
            }
            let gap = (0.5 + live.quotes.unit()) / plan.config.rate;
            live.next_snapshot += (gap * SECOND as f64) as Ns;
        }
        live.trade_until(instrument, end);
    }

    fn publish_index(&mut self, plan: &Plan, place: usize) {
        let instrument = &plan.config.instruments[place];
        let hours = &instrument.hours;
        if self.second < hours.first_second() || self.second >= hours.last_second() {
            return;
        }
        let (before, rest) = self.players.split_at_mut(place);
        let Some((Player::Index(index), after)) = rest.split_first_mut() else {
            return;
        };
        let Some(instant) = index.publications.within(plan.days[self.day], self.second) else {
            return;
        };
        let level = index.basket.level(|i| {
            let player = if i < place {
                &before[i]
            } else {
                &after[i - place - 1]
            };
            match player {
                Player::Trades(live) => live.tape.last_price,
                Player::Index(_) => 0,
            }
        });
        index
            .today
            .publish(level, hours.open <= self.second && self.second <= hours.close);
        index.published = instant;
        self.body.clear();
        index.encode(instrument, seconds(instant), &mut self.body);
        let arrival = arrival(&mut index.quotes, instant, index.last_arrival);
        index.last_arrival = arrival;
        let faults = &plan.config.faults;
        post(
            &mut self.delivery,
            faults,
            &mut index.faults,
            arrival,
            parcel(place, &self.body, None),
            &self.body,
        );
    }

    /// After a connection each instrument's cached tick comes first: after a reconnection that of a moment
    /// ago, or by a fault that of the previous date, which is all there can be at the start.
    fn greet(&mut self, plan: &Plan, at: Ns, first: bool) {
        for place in 0..self.players.len() {
            let instrument = &plan.config.instruments[place];
            self.body.clear();
            match &mut self.players[place] {
                Player::Trades(live) => {
                    let stale = live.faults.chance(plan.config.faults.stale_first);
                    let arrival = (at + live.faults.below_wide(100_000_000) as Ns).max(live.last_arrival);
                    let volume = if stale {
                        let figures = live.yesterday;
                        let stamp = seconds(figures.last_trade);
                        live.encode(instrument, &figures, stamp, figures.volume, &mut self.body);
                        None
                    } else if !first && live.published > 0 {
                        let figures = live.today;
                        let stamp = seconds(live.published.max(figures.last_trade));
                        let volume = figures.volume - live.volume_faults.cancelled;
                        live.encode(instrument, &figures, stamp, volume, &mut self.body);
                        Some(volume).filter(|_| instrument.mode != super::Mode::Ltp)
                    } else {
                        continue;
                    };
                    live.last_arrival = arrival;
                    self.delivery
                        .post(arrival, parcel(place, &self.body, volume), &self.body);
                }
                Player::Index(index) if !first && index.published > 0 => {
                    let arrival = (at + index.faults.below_wide(100_000_000) as Ns).max(index.last_arrival);
                    index.last_arrival = arrival;
                    index.encode(instrument, seconds(index.published), &mut self.body);
                    self.delivery
                        .post(arrival, parcel(place, &self.body, None), &self.body);
                }
                Player::Index(_) => {}
            }
        }
    }
}

fn parcel(place: usize, body: &[u8], volume: Option<u64>) -> Parcel {
    Parcel {
        place: place as u32,
        length: body.len() as u32,
        volume,
    }
}

/// Takes a snapshot of one instrument and posts it, with the volume faults that hold it.
fn snapshot(
    plan: &Plan,
    place: usize,
    live: &mut Live,
    instant: Ns,
    delivery: &mut Delivery,
    body: &mut Vec<u8>,
) {
    let instrument = &plan.config.instruments[place];
    let faults = &plan.config.faults;
    let figures = live.today;
    let fault = &mut live.volume_faults;
    if fault.cancel_at != 0 && instant >= fault.cancel_at && figures.volume > 100 {
        fault.cancel_at = 0;
        fault.cancelled = 1 + live.faults.below_wide(figures.volume / 50);
        delivery.delivered[place].cancelled = fault.cancelled;
    }
    let mut volume = figures.volume - fault.cancelled;
    let mut honest = instrument.mode != super::Mode::Ltp;
    // A volume that wraps is left alone: below 2^32 again it would read as a second wrap.
    if fault.rolled_back_for == 0
        && !plan.near_wrap[place]
        && live.faults.chance(faults.rollback)
        && volume > 100
    {
        fault.rolled_back_for = 1 + live.faults.below(4);
        fault.rolled_back = 1 + live.faults.below_wide(volume / 20);
    }
    if fault.rolled_back_for > 0 {
        fault.rolled_back_for -= 1;
        volume = volume.saturating_sub(fault.rolled_back);
        honest = false;
    }
    live.published = instant;
    body.clear();
    live.encode(instrument, &figures, seconds(instant), volume, body);
    let arrival = arrival(&mut live.quotes, instant, live.last_arrival);
    live.last_arrival = arrival;
    let parcel = parcel(place, body, honest.then_some(volume));
    post(delivery, faults, &mut live.faults, arrival, parcel, body);
}

/// Posts a snapshot, unless a fault takes it, holds it back or doubles it.
fn post(
    delivery: &mut Delivery,
    faults: &super::Faults,
    rng: &mut Rng,
    arrival: Ns,
    parcel: Parcel,
    body: &[u8],
) {
    if rng.chance(faults.drop) {
        return;
    }
    let held = if rng.chance(faults.reorder) {
        rng.below_wide(2 * SECOND as u64) as Ns
    } else {
        0
    };
    delivery.post(arrival + held, parcel, body);
    if rng.chance(faults.duplicate) {
        let again = arrival + held + rng.below_wide(SECOND as u64) as Ns;
        delivery.post(again, parcel, body);
    }
}
