//! What holds of every schedule, interval, anchor and stamp, checked against a second-by-second count.

use proptest::prelude::*;
use tickloom_core::interval::Interval;
use tickloom_core::session::{Anchor, ClassId, Phase, Schedule, SessionTable, Span, Tail};
use tickloom_core::units::{Ns, SECOND, ist_midnight};

const ANCHORS: [Anchor; 4] = [Anchor::Leg, Anchor::Day, Anchor::Midnight, Anchor::Epoch];
const TAILS: [Tail; 2] = [Tail::Stub, Tail::Merge];

/// A schedule of one to four legs given by the seconds of pairs of edges.
fn schedule(day: i64, edges: &[u32]) -> Schedule {
    let clock = |s: u32| format!("{:02}:{:02}:{:02}", s / 3_600, s / 60 % 60, s % 60);
    let legs = edges
        .chunks_exact(2)
        .map(|pair| format!("{}-{}", clock(pair[0]), clock(pair[1])));
    let mut table = SessionTable::builtin();
    let row = format!(
        "cash | .. | .. | - | {} | - | -",
        legs.collect::<Vec<_>>().join(" ")
    );
    table.overlay(&row).unwrap();
    table.schedule(table.class("cash").unwrap(), day)
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let edges = proptest::collection::btree_set(0u32..=86_400, 2..=8);
    (-40_000i64..40_000, edges).prop_map(|(day, edges)| {
        let edges: Vec<u32> = edges.into_iter().collect();
        schedule(day, &edges)
    })
}

/// The bars by definition: walk the leg a second at a time and begin a bar where the cell changes.
fn slow_bars(day: &Schedule, seconds: i64, anchor: Anchor, tail: Tail) -> Vec<Span> {
    let mut all = Vec::new();
    for leg in day.legs() {
        let base = match anchor {
            Anchor::Leg => leg.start,
            Anchor::Day => day.legs()[0].start,
            Anchor::Midnight => ist_midnight(day.day),
            Anchor::Epoch => 0,
        };
        let cell = |t: Ns| ((t - base) / SECOND).div_euclid(seconds);
        let mut bars: Vec<(i64, Span)> = Vec::new();
        let mut t = leg.start;
        while t < leg.end {
            match bars.last_mut() {
                Some((current, bar)) if *current == cell(t) => bar.end = t + SECOND,
                _ => bars.push((
                    cell(t),
                    Span {
                        start: t,
                        end: t + SECOND,
                    },
                )),
            }
            t += SECOND;
        }
        if tail == Tail::Merge && bars.len() > 1 {
            let (last_cell, last) = bars[bars.len() - 1];
            if last.end < base + (last_cell + 1) * seconds * SECOND {
                bars.pop();
                bars.last_mut().unwrap().1.end = last.end;
            }
        }
        all.extend(bars.into_iter().map(|(_, bar)| bar));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bars_equal_the_second_by_second_count(day in schedules(), seconds in 1i64..20_000) {
        for anchor in ANCHORS {
            for tail in TAILS {
                let slow = slow_bars(&day, seconds, anchor, tail);
                let fast: Vec<Span> = day.bars(seconds * SECOND, anchor, tail).collect();
                prop_assert_eq!(&fast, &slow, "{:?} {:?}", anchor, tail);
                prop_assert_eq!(day.expected(seconds * SECOND, anchor, tail), slow.len());
            }
        }
    }

    #[test]
    fn bars_partition_the_legs(day in schedules(), interval in 60 * SECOND..90_000 * SECOND) {
        for anchor in ANCHORS {
            for tail in TAILS {
                let bars: Vec<Span> = day.bars(interval, anchor, tail).collect();
                prop_assert_eq!(day.expected(interval, anchor, tail), bars.len());
                let mut bars = bars.into_iter().peekable();
                for leg in day.legs() {
                    let mut at = leg.start;
                    while at < leg.end {
                        let bar = bars.next().unwrap();
                        prop_assert_eq!(bar.start, at);
                        prop_assert!(bar.end > at && bar.end <= leg.end);
                        at = bar.end;
                    }
                }
                prop_assert!(bars.next().is_none());
            }
        }
    }

    #[test]
    fn a_stamp_lies_in_the_bar_it_is_given(
        day in schedules(),
        interval in prop_oneof![1i64..1_000, 1i64..90_000 * SECOND],
        offset in -3_600 * SECOND..90_000 * SECOND,
    ) {
        let t = ist_midnight(day.day) + offset;
        for anchor in ANCHORS {
            for tail in TAILS {
                let Some(bar) = day.bucket(t, interval, anchor, tail) else {
                    prop_assert!(!day.legs().iter().any(|leg| leg.start <= t && t <= leg.end));
                    continue;
                };
                let inside = bar.start <= t && t < bar.end;
                let at_the_end = t == bar.end && day.legs().iter().any(|leg| leg.end == t);
                prop_assert!(inside || at_the_end);
                // The bar is one of the day's; walking from its start must reach it at once.
                prop_assert_eq!(day.bucket(bar.start, interval, anchor, tail), Some(bar));
                prop_assert_eq!(day.bucket(bar.end - 1, interval, anchor, tail), Some(bar));
            }
        }
    }

    #[test]
    fn no_text_panics(
        text in prop_oneof![
            ".*",
            "[a-z_ ]{0,9}|[0-9.-]{0,11}|[0-9.-]{0,11}|[0-9:/-]{0,12}|[0-9:/ -]{0,24}|[0-9:-]{0,12}|-",
            "cash|..|2[0-9]{3}-[01][0-9]-[0-3][0-9]|-|[012][0-9]:[0-5][0-9]-[012][0-9]:[0-5][0-9]|-|-",
        ],
    ) {
        let mut table = SessionTable::builtin();
        if let Err(error) = table.overlay(&text) {
            prop_assert_eq!((error.line, text.contains(&error.text)), (1, true));
        }
        let _ = Interval::parse(&text);
    }

    #[test]
    fn no_stamp_day_or_interval_panics(t: i64, day: i64, class: u8, interval: i64) {
        let day = SessionTable::builtin().schedule(ClassId(class), day);
        check_extreme(&day, t, interval);
    }
}

fn check_extreme(day: &Schedule, t: Ns, interval: Ns) {
    let phase = day.phase(t);
    for anchor in ANCHORS {
        for tail in TAILS {
            let bar = day.bucket(t, interval, anchor, tail);
            let continuous = matches!(phase, Phase::Continuous(_));
            assert_eq!(bar.is_some(), continuous && interval > 0);
            if let Some(bar) = bar {
                assert!(bar.start <= t && t <= bar.end);
            }
            let expected = day.expected(interval, anchor, tail);
            assert_eq!(day.bars(interval, anchor, tail).take(3).count(), expected.min(3));
        }
    }
}

#[test]
fn no_extreme_panics() {
    let table = SessionTable::builtin();
    let days = [
        i64::MIN,
        i64::MIN + 1,
        -100_001,
        -100_000,
        -1,
        0,
        20_000,
        100_000,
        100_001,
        i64::MAX,
    ];
    for day in days {
        for class in [0, 1, 5, 8, 9, 255] {
            let schedule = table.schedule(ClassId(class), day);
            assert_eq!(
                schedule.legs().is_empty(),
                class > 8 || day.unsigned_abs() > 100_000
            );
            let edges = schedule
                .legs()
                .iter()
                .flat_map(|leg| [leg.start - 1, leg.start, leg.end - 1, leg.end, leg.end + 1]);
            for t in edges.chain([i64::MIN, -1, 0, 1, i64::MAX]) {
                for interval in [
                    i64::MIN,
                    -1,
                    0,
                    1,
                    7,
                    SECOND,
                    i64::MAX / 2,
                    i64::MAX - 1,
                    i64::MAX,
                ] {
                    check_extreme(&schedule, t, interval);
                }
            }
        }
    }
}
