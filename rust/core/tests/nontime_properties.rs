//! What holds of every run: nothing is lost, bars equal a count in single units, and no input panics.

use proptest::prelude::*;
use tickloom_core::nontime::{Bar, MAX_BARS_PER_UPDATE, NonTime, Update, flags};

const KINDS: [&str; 7] = [
    "volume:7",
    "volume:7:overshoot",
    "value:1000",
    "value:1000:overshoot",
    "updates:4",
    "range:5",
    "renko:5",
];

/// A walk of prices with recovered extremes now and then, as R18 hands them on.
fn walks() -> impl Strategy<Value = Vec<Update>> {
    let step = (
        -12i64..=12,
        0i64..40,
        proptest::option::weighted(0.2, 0i64..9),
        proptest::option::weighted(0.2, 0i64..9),
    );
    proptest::collection::vec(step, 1..60).prop_map(|steps| {
        let mut price = 500;
        let update = |(index, (step, volume, up, down)): (usize, (i64, i64, Option<i64>, Option<i64>))| {
            let before = price;
            price += step;
            Update {
                time: index as i64,
                price,
                volume,
                side: 0,
                high: up.map(|by| before.max(price) + by),
                low: down.map(|by| before.min(price) - by),
                oi: None,
            }
        };
        steps.into_iter().enumerate().map(update).collect()
    })
}

fn run(text: &str, updates: &[Update]) -> (Vec<Bar>, Option<Bar>) {
    let mut bars = NonTime::parse(text, 1).unwrap();
    let mut closed = Vec::new();
    for update in updates {
        bars.push(update, |bar| closed.push(bar));
    }
    (closed, bars.forming())
}

/// The points that the price passes, by R38: extremes lie between the last price and the new.
fn points(from: Option<i64>, update: &Update) -> Vec<i64> {
    let price = update.price;
    let Some(from) = from else { return vec![price] };
    let length = |way: &[i64]| way.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum::<i64>();
    match (update.high, update.low) {
        (Some(high), Some(low)) => {
            let (up, down) = ([from, high, low, price], [from, low, high, price]);
            if length(&up) <= length(&down) {
                up[1..].to_vec()
            } else {
                down[1..].to_vec()
            }
        }
        (Some(one), None) | (None, Some(one)) => vec![one, price],
        (None, None) => vec![price],
    }
}

/// Open, high, low, close, volume and number of updates: what the slow walks below count.
type Counted = [i64; 6];

fn counted(bar: &Bar) -> Counted {
    [
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.volume,
        i64::from(bar.updates),
    ]
}

/// Range or renko bars by moving the price a single unit at a time.
fn slow_path(size: i64, renko: bool, updates: &[Update]) -> (Vec<Counted>, Option<Counted>) {
    let mut closed: Vec<Counted> = Vec::new();
    let mut forming: Option<Counted> = None;
    // The last brick as (bottom, top), and whether it rose.
    let mut brick: Option<(i64, i64, bool)> = None;
    let mut from = None;
    for update in updates {
        let way = points(from, update);
        let mut ended = false;
        for (index, point) in way.iter().enumerate() {
            let begin = closed.last().map_or(*point, |bar| bar[3]);
            let begin = if renko && closed.is_empty() {
                (begin + size / 2).div_euclid(size) * size
            } else {
                begin
            };
            let mut bar = forming.take().unwrap_or([begin, begin, begin, begin, 0, 0]);
            let mut at = bar[3];
            let mut full = false;
            loop {
                if full {
                    let last = index + 1 == way.len() && at == *point;
                    if last {
                        (bar[4], bar[5], ended) = (bar[4] + update.volume, bar[5] + 1, true);
                    }
                    if renko {
                        let rose = brick.map_or(at > bar[0], |(_, top, _)| at > top);
                        brick = Some(if rose {
                            (at - size, at, true)
                        } else {
                            (at, at + size, false)
                        });
                        bar[0] = if rose { at - size } else { at + size };
                    }
                    closed.push(bar);
                    if at == *point {
                        break;
                    }
                    bar = [at, at, at, at, 0, 0];
                }
                if at == *point {
                    forming = Some(bar);
                    break;
                }
                at += (*point - at).signum();
                bar = [bar[0], bar[1].max(at), bar[2].min(at), at, bar[4], bar[5]];
                full = match (renko, brick) {
                    (false, _) => bar[1] - bar[2] == size,
                    (true, None) => (at - bar[0]).abs() == size,
                    (true, Some((bottom, top, _))) => at == top + size || at == bottom - size,
                };
            }
        }
        if let (false, Some(bar)) = (ended, &mut forming) {
            (bar[4], bar[5]) = (bar[4] + update.volume, bar[5] + 1);
        }
        from = Some(update.price);
    }
    (closed, forming)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn volume_and_value_are_conserved(updates in walks()) {
        let volume: i64 = updates.iter().map(|update| update.volume).sum();
        let value2: i128 = updates.iter().map(|update| 2 * i128::from(update.price) * i128::from(update.volume)).sum();
        for kind in KINDS {
            let (closed, forming) = run(kind, &updates);
            let bars = closed.iter().chain(&forming);
            prop_assert_eq!(bars.clone().map(|bar| bar.volume).sum::<i64>(), volume, "{}", kind);
            prop_assert_eq!(bars.map(|bar| bar.value2).sum::<i128>(), value2, "{}", kind);
        }
    }

    #[test]
    fn every_bar_is_well_formed(updates in walks()) {
        for kind in KINDS {
            let (closed, forming) = run(kind, &updates);
            for bar in closed.iter().chain(&forming) {
                prop_assert!(bar.low <= bar.open.min(bar.close), "{} {:?}", kind, bar);
                prop_assert!(bar.high >= bar.open.max(bar.close), "{} {:?}", kind, bar);
                prop_assert!(bar.start <= bar.end, "{} {:?}", kind, bar);
                prop_assert_eq!(bar.updates == 0, bar.flags & flags::FILLED != 0);
            }
            for pair in closed.windows(2) {
                prop_assert!(pair[0].end <= pair[1].start, "{} {:?}", kind, pair);
            }
        }
    }

    #[test]
    fn carried_volume_bars_equal_a_count_of_single_units(updates in walks(), size in 1i64..60) {
        let mut slow: Vec<(i64, i64, i64, i128)> = Vec::new();
        let mut open: Option<(i64, i64, i64, i128)> = None;
        for update in &updates {
            for _ in 0..update.volume {
                let (first, _, volume, value2) = open.unwrap_or((update.price, 0, 0, 0));
                let bar = (first, update.price, volume + 1, value2 + 2 * i128::from(update.price));
                open = if bar.2 == size { slow.push(bar); None } else { Some(bar) };
            }
        }
        let (closed, forming) = run(&format!("volume:{size}"), &updates);
        let shown = |bar: &Bar| (bar.open, bar.close, bar.volume, bar.value2);
        prop_assert_eq!(closed.iter().map(shown).collect::<Vec<_>>(), slow);
        prop_assert_eq!(forming.as_ref().map(shown), open);
    }

    #[test]
    fn range_bars_equal_a_walk_in_single_units(updates in walks(), size in 1i64..30) {
        let (closed, forming) = run(&format!("range:{size}"), &updates);
        let (slow, slow_forming) = slow_path(size, false, &updates);
        prop_assert_eq!(closed.iter().map(counted).collect::<Vec<_>>(), slow);
        prop_assert_eq!(forming.as_ref().map(counted), slow_forming);
        for bar in &closed {
            prop_assert_eq!(bar.high - bar.low, size);
        }
    }

    #[test]
    fn renko_bricks_equal_a_walk_in_single_units(updates in walks(), size in 1i64..30) {
        let (closed, forming) = run(&format!("renko:{size}"), &updates);
        let (slow, slow_forming) = slow_path(size, true, &updates);
        prop_assert_eq!(closed.iter().map(counted).collect::<Vec<_>>(), slow);
        prop_assert_eq!(forming.as_ref().map(counted), slow_forming);
        for bar in &closed {
            prop_assert_eq!(((bar.close - bar.open).abs(), bar.close % size), (size, 0));
        }
    }

    #[test]
    fn cutting_an_update_changes_no_carried_bar(updates in walks(), at in 0i64..40) {
        let plain: Vec<Update> = updates.iter().map(|u| Update { high: None, low: None, ..*u }).collect();
        let halves = |u: &Update| {
            let part = at.min(u.volume);
            [Update { volume: part, ..*u }, Update { volume: u.volume - part, ..*u }]
        };
        let cut: Vec<Update> = plain.iter().flat_map(halves).collect();
        let without_count = |(closed, forming): (Vec<Bar>, Option<Bar>)| {
            closed.into_iter().chain(forming).map(|bar| Bar { updates: 0, ..bar }).collect::<Vec<_>>()
        };
        for kind in ["volume:7", "value:1000"] {
            prop_assert_eq!(without_count(run(kind, &cut)), without_count(run(kind, &plain)));
        }
    }

    #[test]
    fn jumps_through_too_many_bars_lose_no_volume_and_leave_no_hole(
        jumps in proptest::collection::vec((0i64..200_000, 0i64..1_000, any::<bool>(), any::<bool>()), 2..5),
    ) {
        let mut before = None;
        let updates: Vec<Update> = jumps.iter().zip(0..).map(|(&(price, volume, up, down), time)| {
            let from = before.replace(price).unwrap_or(price);
            let high = up.then_some(from.max(price) + 40_000);
            let low = down.then_some(from.min(price) - 40_000);
            Update { time, price, volume, side: 0, high, low, oi: None }
        }).collect();
        let volume: i64 = updates.iter().map(|update| update.volume).sum();
        for kind in ["range:3", "renko:3"] {
            let (closed, forming) = run(kind, &updates);
            let bars: Vec<&Bar> = closed.iter().chain(&forming).collect();
            prop_assert_eq!(bars.iter().map(|bar| bar.volume).sum::<i64>(), volume);
            prop_assert_eq!(bars.iter().map(|bar| bar.updates as usize).sum::<usize>(), updates.len());
            for pair in bars.windows(2) {
                // A turning brick opens at the far side of the one before.
                let apart = (pair[1].open - pair[0].close).abs();
                prop_assert!(apart == 0 || kind == "renko:3" && apart == 3, "{} {:?}", kind, pair);
                prop_assert!(pair[1].low <= pair[0].close && pair[0].close <= pair[1].high);
            }
            for bar in &closed {
                let capped = bar.flags & flags::CAPPED != 0;
                prop_assert!(capped || kind != "range:3" || bar.high - bar.low == 3);
                prop_assert!(kind != "renko:3" || bar.close % 3 == 0 && (capped || (bar.close - bar.open).abs() == 3));
            }
        }
    }

    #[test]
    fn a_decimal_size_is_read_exactly(whole in 0u64..1_000_000, places in 0usize..4, shift in -3i32..=3) {
        let digits = format!("{whole:0>width$}", width = places + 1);
        let (front, back) = digits.split_at(digits.len() - places);
        let text = format!("range:{front}.{back}e{shift}");
        // The value is whole x 10^(shift - places); in hundredths that is a whole number or no size.
        let power = shift - places as i32 + 2;
        let ten = 10u64.pow(power.unsigned_abs());
        let units = if power >= 0 { Some(whole * ten) } else { (whole % ten == 0).then_some(whole / ten) };
        let expected = units.filter(|units| *units > 0);
        match NonTime::parse(&text, 100) {
            Ok(bars) => prop_assert_eq!(Ok(bars), NonTime::parse(&format!("range:{}", expected.unwrap()), 1)),
            Err(_) => prop_assert_eq!(expected, None, "{}", text),
        }
    }

    #[test]
    fn no_text_panics(
        text in prop_oneof![".*", "(volume|value|updates|range|renko):[0-9.eE+-]{0,40}(:.*)?"],
        divisor: u32,
    ) {
        if let Err(error) = NonTime::parse(&text, divisor) {
            prop_assert_eq!(error.text, text);
        }
    }

    #[test]
    fn no_input_panics_or_makes_bars_without_bound(
        inputs in proptest::collection::vec((extreme(), extreme(), extreme(), proptest::option::of(extreme()), proptest::option::of(extreme())), 1..6),
        kind in 0usize..5,
        size in prop_oneof![Just(1u64), Just(2), Just(u64::from(u32::MAX)), Just(i64::MAX as u64), Just(u64::MAX), 1u64..],
        overshoot: bool,
    ) {
        let name = ["volume", "value", "updates", "range", "renko"][kind];
        let policy = if overshoot && kind < 2 { ":overshoot" } else { "" };
        let Ok(mut bars) = NonTime::parse(&format!("{name}:{size}{policy}"), 1) else {
            prop_assert!(kind == 2 && size > u64::from(u32::MAX));
            return Ok(());
        };
        for (time, price, volume, high, low) in inputs {
            let mut made = 0;
            let update = Update { time, price, volume, side: 0, high, low, oi: None };
            bars.push(&update, |bar| {
                made += 1;
                assert!(bar.low <= bar.open.min(bar.close) && bar.high >= bar.open.max(bar.close), "{bar:?}");
            });
            prop_assert!(made <= MAX_BARS_PER_UPDATE);
        }
    }
}

fn extreme() -> impl Strategy<Value = i64> {
    prop_oneof![
        Just(i64::MIN),
        Just(i64::MIN + 1),
        Just(-1),
        Just(0),
        Just(1),
        Just(i64::MAX - 1),
        Just(i64::MAX),
        any::<i64>()
    ]
}
