//! Market, run: the exchange's day, second by second, never more than a few seconds in memory.

use super::config::{Instrument, Kind, MarketConfig, Mode, at};
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

pub(crate) struct Run {
    /// By place in the market; `None` for an index.
    lives: Vec<Option<Live>>,
    /// When each instrument shows itself next, apart from the rest: most seconds most of them do not, and
    /// then nothing else of them is touched.
    wakes: Vec<Ns>,
    /// With their places in the market.
    indices: Vec<(usize, LiveIndex)>,
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
        let live = |(instrument, &near_wrap): (&Instrument, &bool)| {
            let trades = instrument.kind != Kind::Index;
            trades.then(|| Live::new(plan.seed, instrument, day, before, near_wrap))
        };
        let is_index = |&place: &usize| market[place].kind == Kind::Index;
        let index = |place: usize| (place, LiveIndex::new(plan.seed, &market[place], market, day));
        let mut run = Self {
            lives: market.iter().zip(&plan.near_wrap).map(live).collect(),
            wakes: vec![Ns::MAX; market.len()],
            indices: (0..market.len()).filter(is_index).map(index).collect(),
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
        for (place, instrument) in plan.config.instruments.iter().enumerate() {
            self.delivery.delivered[place] = Delivered {
                day,
                ..Delivered::default()
            };
            let Some(live) = &mut self.lives[place] else {
                continue;
            };
            let hours = &instrument.hours;
            let opening = at(day, hours.first_second());
            self.wakes[place] = next_snapshot(plan, instrument, live, day, opening);
            let cancels = live.faults.chance(plan.config.faults.cancellation) && !plan.near_wrap[place];
            let session = u64::from(hours.close - hours.open) * SECOND as u64;
            let when = at(day, hours.open) + live.faults.below_wide(session) as Ns;
            live.volume_faults.cancel_at = if cancels { when } else { 0 };
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
        for (live, instrument) in self.lives.iter_mut().zip(&config.instruments) {
            let Some(live) = live else { continue };
            live.trade_until(instrument, Ns::MAX);
            live.start_day(instrument, day);
        }
        for (place, index) in &mut self.indices {
            index.start_day(plan.seed, &config.instruments[*place], day);
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
        for nth in 0..self.indices.len() {
            self.publish_index(plan, nth);
        }
        // A random stride, so that a frame's packets are not sorted by instrument.
        let count = self.wakes.len();
        let stride = self.stride(count);
        let mut place = self.rng.below(count as u32) as usize;
        for _ in 0..count {
            place += stride;
            if place >= count {
                place -= count;
            }
            while self.wakes[place] < now + SECOND {
                self.show(plan, place);
            }
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

    /// Shows one instrument at its next snapshot, after the trades before it.
    fn show(&mut self, plan: &Plan, place: usize) {
        let (instrument, instant) = (&plan.config.instruments[place], self.wakes[place]);
        let Some(live) = &mut self.lives[place] else {
            self.wakes[place] = Ns::MAX;
            return;
        };
        live.trade_until(instrument, instant + 1);
        live.restate_oi(instrument);
        snapshot(plan, place, live, instant, &mut self.delivery, &mut self.body);
        self.wakes[place] = next_snapshot(plan, instrument, live, plan.days[self.day], instant);
    }

    fn publish_index(&mut self, plan: &Plan, nth: usize) {
        let (place, index) = &mut self.indices[nth];
        let (place, day) = (*place, plan.days[self.day]);
        let instrument = &plan.config.instruments[place];
        let hours = &instrument.hours;
        if self.second < hours.first_second() || self.second >= hours.last_second() {
            return;
        }
        let Some(instant) = index.publications.within(day, self.second) else {
            return;
        };
        for &component in &index.basket.components {
            if let Some(live) = &mut self.lives[component] {
                live.trade_until(&plan.config.instruments[component], at(day, self.second));
            }
        }
        let lives = &self.lives;
        let level = index
            .basket
            .level(|place| lives[place].as_ref().map_or(0, |live| live.tape.last_price));
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
        let Self {
            lives,
            indices,
            delivery,
            body,
            ..
        } = self;
        for (place, live) in lives.iter_mut().enumerate() {
            let Some(live) = live else { continue };
            let instrument = &plan.config.instruments[place];
            let stale = live.faults.chance(plan.config.faults.stale_first);
            let arrival = (at + live.faults.below_wide(100_000_000) as Ns).max(live.last_arrival);
            let (figures, stamp, volume) = if stale {
                (live.yesterday, live.yesterday.last_trade, None)
            } else if !first && live.published > 0 {
                let volume = live.shown.volume - live.volume_faults.cancelled;
                (live.shown, live.published, Some(volume))
            } else {
                continue;
            };
            body.clear();
            live.encode(
                instrument,
                &figures,
                seconds(stamp),
                volume.unwrap_or(figures.volume),
                body,
            );
            live.last_arrival = arrival;
            let volume = volume.filter(|_| instrument.mode != Mode::Ltp);
            delivery.post(arrival, parcel(place, body, volume), body);
        }
        for (place, index) in indices {
            if first || index.published == 0 {
                continue;
            }
            let arrival = (at + index.faults.below_wide(100_000_000) as Ns).max(index.last_arrival);
            index.last_arrival = arrival;
            body.clear();
            index.encode(&plan.config.instruments[*place], seconds(index.published), body);
            delivery.post(arrival, parcel(*place, body, None), body);
        }
    }
}

/// When an instrument shows itself after `last`: at the first moment of its own irregular beat at which it
/// has traded or its book has changed. `Ns::MAX` for not again on this date.
fn next_snapshot(plan: &Plan, instrument: &Instrument, live: &mut Live, day: i64, last: Ns) -> Ns {
    let (midnight, end) = (at(day, 0), at(day, instrument.hours.last_second()));
    let beat = SECOND as f64 / plan.config.rate;
    let mut next = last;
    loop {
        next += ((0.5 + live.quotes.unit()) * beat) as Ns;
        if next >= end {
            return Ns::MAX;
        }
        let second = ((next - midnight) / SECOND) as u32;
        if live.traded
            || live.tape.has_before(next + 1)
            || live.quotes.chance(quote_chance(instrument, second))
        {
            return next;
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
    let mut honest = instrument.mode != Mode::Ltp;
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
    live.shown = figures;
    live.traded = false;
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
