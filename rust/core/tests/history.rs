//! Joining a broker's history: the worked examples of rules R12, R13 and R32-R34, and what a repair preserves.

mod feed;

use feed::{Extra, Feed, INFY, at, clock_of};
use proptest::prelude::*;
use tickloom_core::aggregate::{Authority, EventKind, GapVolume, Minute};
use tickloom_core::bar::{flags, src};
use tickloom_core::engine::{JoinError, Pushed, RowFault};

fn minute(clock: &str, volume: i64) -> Minute {
    Minute {
        time: at(&format!("{clock}:00")),
        open: 100.1,
        high: 100.5,
        low: 99.7,
        close: 100.1,
        volume: Some(volume),
        oi: None,
    }
}

fn minutes(rows: &[(&str, i64)]) -> Vec<Minute> {
    rows.iter()
        .map(|(clock, volume)| minute(clock, *volume))
        .collect()
}

fn join(feed: &mut Feed, rows: &[(&str, i64)], now: &str) -> usize {
    feed.engine
        .join_history(INFY, &minutes(rows), at(now), Authority::Live)
        .unwrap()
}

/// R13's drop from 10:00:20 (V 50,000, live 1,800 in 10:00) to 10:03:10 (V 62,000).
fn after_a_gap(intervals: &[&str], options: impl Fn(&mut tickloom_core::aggregate::Options)) -> Feed {
    let mut feed = Feed::with(intervals, options);
    feed.full_at("10:00:00", "09:59:59", 100.0, 48_200);
    feed.full_at("10:00:19", "10:00:20", 100.0, 50_000);
    feed.engine.disconnected(at("10:00:20"));
    feed.full_at("10:03:09", "10:03:10", 100.2, 62_000);
    feed
}

const REPAIR: [(&str, i64); 3] = [("10:00", 6_000), ("10:01", 3_900), ("10:02", 2_500)];

fn booked(feed: &mut Feed) -> i64 {
    let a = feed.account();
    a.bars + a.auction_open + a.auction_close + a.post + a.unattributed + a.dropped
}

/// R11, and that the rows of the date's minutes are the bars and what history added to them.
fn balanced(feed: &mut Feed) {
    let account = feed.account();
    assert_eq!(booked(feed), account.last - account.baseline, "{account:?}");
    let sum: i64 = feed.every_minute().iter().map(|row| row.volume).sum();
    assert_eq!(sum, account.bars + account.history, "{account:?}");
}

#[test]
fn r12_history_replaces_the_partial_head_and_clears_its_flag() {
    let mut feed = Feed::new(&["1m", "5m"]);
    feed.full_at("10:02:29", "10:02:30", 100.0, 500_000);
    feed.full("10:02:50", 100.5, 500_900);
    feed.full("10:03:05", 100.5, 501_000);
    feed.advance("10:03:20");
    assert_eq!(feed.row("1m", "10:02").flags & flags::PARTIAL, flags::PARTIAL);
    assert_eq!(join(&mut feed, &[("10:02", 2_400)], "10:03:20"), 1);
    let row = feed.row("1m", "10:02");
    assert_eq!((row.volume, row.rev, row.origin >> 4), (2_400, 1, src::HISTORY));
    assert_eq!(row.flags & (flags::PARTIAL | flags::REPAIRED), flags::REPAIRED);
    assert!(row.vwap.is_nan());
    assert_eq!(feed.account().history, 1_500);
    balanced(&mut feed);
}

#[test]
fn r12_coarser_bars_are_partial_until_history_reaches_back_to_their_start() {
    for (rows, partial, volume) in [
        (&[("10:02", 2_400)][..], flags::PARTIAL, 2_500),
        (&[("10:00", 700), ("10:02", 2_400)][..], 0, 3_200),
    ] {
        let mut feed = Feed::new(&["5m"]);
        feed.full_at("10:02:29", "10:02:30", 100.0, 500_000);
        feed.full("10:02:50", 100.5, 500_900);
        feed.full("10:03:05", 100.5, 501_000);
        join(&mut feed, rows, "10:03:20");
        feed.advance("10:03:20");
        join(&mut feed, rows, "10:03:20");
        feed.advance("10:05:10");
        let row = feed.row("5m", "10:00");
        assert_eq!((row.flags & flags::PARTIAL, row.volume), (partial, volume));
        assert_eq!(row.origin >> 4, src::MIXED);
    }
}

#[test]
fn r13_history_places_a_gaps_volume_to_the_last_number() {
    let mut feed = after_a_gap(&["1m", "5m"], |_| {});
    feed.advance("10:04:03");
    join(&mut feed, &REPAIR, "10:04:03");
    assert_eq!(
        feed.volumes("1m"),
        [
            ("10:00", 6_000),
            ("10:01", 3_900),
            ("10:02", 2_500),
            ("10:03", 1_400)
        ]
        .map(|(a, b)| (a.to_owned(), b))
    );
    assert_eq!(
        feed.row("1m", "10:03").flags & (flags::GAP | flags::REPAIRED),
        flags::GAP | flags::REPAIRED
    );
    assert_eq!(feed.account().history, 0);
    balanced(&mut feed);
    feed.advance("10:05:10");
    assert_eq!(feed.volumes("5m"), [("10:00".to_owned(), 13_800)]);
    assert_eq!(feed.engine.counts().1.gap_mismatches, 0);
}

#[test]
fn r13_a_bar_that_still_forms_gives_its_gap_volume_back_too() {
    let mut feed = after_a_gap(&["1m"], |_| {});
    feed.full("10:03:20", 100.2, 62_500);
    feed.advance("10:03:30");
    join(&mut feed, &REPAIR, "10:03:30");
    assert_eq!(feed.forming("1m").volume, 1_900);
    balanced(&mut feed);
    feed.full("10:03:40", 100.3, 62_600);
    feed.full("10:04:10", 100.3, 62_700);
    feed.advance("10:04:30");
    assert_eq!(feed.row("1m", "10:03").volume, 2_000);
    balanced(&mut feed);
}

#[test]
fn r13_a_bar_that_is_long_final_gives_its_gap_volume_back() {
    let mut feed = after_a_gap(&["1m", "5m"], |_| {});
    for (clock, volume) in [("10:04:10", 62_300), ("10:05:10", 62_400), ("10:06:10", 62_500)] {
        feed.full(clock, 100.2, volume);
    }
    feed.advance("10:08:00");
    let before = feed.row("5m", "10:00");
    assert_eq!(join(&mut feed, &REPAIR, "10:08:00"), 5);
    assert_eq!(feed.row("1m", "10:03").volume, 1_400);
    let after = feed.row("5m", "10:00");
    assert_eq!((before.volume, after.volume, after.rev), (14_100, 14_100, 1));
    assert_eq!((after.high, after.low), (100.5, 99.7));
    balanced(&mut feed);
}

#[test]
fn r13_history_that_was_there_before_the_line_came_back_is_not_counted_twice() {
    let mut feed = Feed::new(&["1m"]);
    feed.full_at("10:00:00", "09:59:59", 100.0, 48_200);
    feed.full_at("10:00:19", "10:00:20", 100.0, 50_000);
    feed.engine.disconnected(at("10:00:20"));
    feed.advance("10:03:05");
    join(&mut feed, &[("10:00", 6_000), ("10:01", 3_900)], "10:03:05");
    balanced(&mut feed);
    feed.full_at("10:03:09", "10:03:10", 100.2, 62_000);
    assert_eq!(feed.forming("1m").volume, 12_000 - 4_200 - 3_900);
    balanced(&mut feed);
    feed.advance("10:03:20");
    join(&mut feed, &REPAIR, "10:03:20");
    assert_eq!(feed.forming("1m").volume, 1_400);
    assert_eq!(feed.account().history, 0);
    balanced(&mut feed);
}

#[test]
fn r13_a_gap_that_history_has_whole_stays_as_history_says_when_its_tick_comes_late() {
    let mut feed = Feed::new(&["1m"]);
    feed.full_at("10:00:00", "09:59:59", 100.0, 48_200);
    feed.full_at("10:00:19", "10:00:20", 100.0, 50_000);
    feed.engine.disconnected(at("10:00:20"));
    feed.advance("10:10:00");
    let mut rows = REPAIR.to_vec();
    rows.push(("10:03", 1_400));
    join(&mut feed, &rows, "10:10:00");
    feed.full_at("10:03:09", "10:10:00", 100.2, 62_000);
    feed.advance("10:11:00");
    assert_eq!(feed.row("1m", "10:03").volume, 1_400);
    assert_eq!((feed.account().history, feed.account().bars), (0, 13_800));
    balanced(&mut feed);
}

#[test]
fn r13_history_beyond_a_gaps_volume_is_clamped_and_counted() {
    let mut feed = after_a_gap(&["1m"], |_| {});
    feed.advance("10:04:03");
    join(
        &mut feed,
        &[("10:00", 6_000), ("10:01", 9_000), ("10:02", 2_500)],
        "10:04:03",
    );
    assert_eq!(feed.row("1m", "10:03").volume, 0);
    assert_eq!(feed.account().history, 15_700 - 12_000);
    assert_eq!(feed.engine.counts().1.gap_mismatches, 1);
    balanced(&mut feed);
}

#[test]
fn r13_excluded_gap_volume_is_attributed_by_history() {
    let mut feed = after_a_gap(&["1m"], |options| options.gap_volume = GapVolume::Exclude);
    feed.advance("10:04:03");
    assert_eq!(feed.account().unattributed, 12_000);
    join(&mut feed, &REPAIR, "10:04:03");
    assert_eq!((feed.account().unattributed, feed.account().history), (1_400, 0));
    balanced(&mut feed);
}

#[test]
fn r32_a_minute_is_not_final_within_fifteen_seconds_of_its_end() {
    let mut feed = Feed::new(&["1m"]);
    feed.full_at("10:02:29", "10:02:30", 100.0, 500_000);
    feed.full("10:02:50", 100.5, 500_900);
    feed.advance("10:03:10");
    assert_eq!(join(&mut feed, &[("10:02", 2_400)], "10:03:14"), 0);
    assert_eq!(feed.row("1m", "10:02").volume, 900);
    assert_eq!(join(&mut feed, &[("10:02", 2_400)], "10:03:15"), 1);
    assert_eq!(feed.row("1m", "10:02").volume, 2_400);
    assert_eq!(feed.engine.counts().1.history_early, 1);
}

#[test]
fn r32_a_second_reading_corrects_the_first() {
    let mut feed = Feed::new(&["1m"]);
    feed.advance("10:03:20");
    join(&mut feed, &[("10:02", 2_400)], "10:03:20");
    assert_eq!(join(&mut feed, &[("10:02", 2_400)], "10:04:00"), 0);
    assert_eq!(join(&mut feed, &[("10:02", 2_450)], "10:04:00"), 1);
    let row = feed.row("1m", "10:02");
    assert_eq!((row.volume, row.rev), (2_450, 1));
}

#[test]
fn r33_rows_from_the_current_bar_on_are_dropped() {
    let mut feed = Feed::new(&["1m"]);
    feed.full_at("10:02:29", "10:02:30", 100.0, 500_000);
    feed.full("10:02:50", 100.5, 500_900);
    let forming = feed.forming("1m");
    // The receiver's clock runs ahead of what the exchange has shown.
    join(
        &mut feed,
        &[("10:01", 700), ("10:02", 2_400), ("10:03", 1)],
        "10:30:00",
    );
    assert!(feed.forming("1m").says_the_same(&forming));
    assert_eq!(feed.volumes("1m"), [("10:01".to_owned(), 700)]);
    assert_eq!(feed.engine.counts().1.history_early, 2);
    balanced(&mut feed);
}

fn push(feed: &mut Feed, clock: &str, quantity: i64) {
    let tick = Pushed {
        price: 100.0,
        time: at(clock),
        quantity: Some(quantity),
        cumulative: None,
        oi: None,
        rx: None,
    };
    feed.engine.push(INFY, &tick).unwrap();
}

#[test]
fn a_minute_that_pushed_history_can_still_amend_is_early() {
    let mut feed = Feed::new(&["1m", "5m"]);
    push(&mut feed, "10:00:10", 5);
    push(&mut feed, "10:01:04", 6);
    // Another instrument is half an hour further; ticks of history are not judged by that.
    feed.packet(
        INFY + 256,
        at("10:30:00"),
        at("10:30:00"),
        100.0,
        1,
        Extra::default(),
    );
    let joined = |feed: &mut Feed| {
        feed.engine
            .join_history(
                INFY,
                &minutes(&[("10:00", 700)]),
                at("10:40:00"),
                Authority::Broker,
            )
            .unwrap()
    };
    assert_eq!(joined(&mut feed), 0);
    assert_eq!(feed.engine.counts().1.history_early, 1);
    push(&mut feed, "10:00:40", 7);
    assert_eq!(feed.row("1m", "10:00").volume, 12);
    push(&mut feed, "10:01:06", 1);
    assert_eq!(joined(&mut feed), 2);
    push(&mut feed, "10:00:50", 9);
    assert_eq!(feed.row("1m", "10:00").volume, 700);
    assert_eq!(feed.engine.counts().1.late_dropped, 1);
    balanced(&mut feed);
}

fn complete_live_bar() -> Feed {
    let mut feed = Feed::new(&["1m"]);
    feed.full("10:01:00", 100.0, 500_000);
    feed.full("10:02:30", 100.0, 501_000);
    feed.advance("10:05:00");
    feed
}

#[test]
fn r34_a_complete_live_bar_is_kept_and_the_difference_remembered() {
    let mut feed = complete_live_bar();
    assert_eq!(join(&mut feed, &[("10:02", 1_100), ("10:03", 50)], "10:05:00"), 1);
    assert_eq!(
        feed.volumes("1m"),
        [("10:02".to_owned(), 1_000), ("10:03".to_owned(), 50)]
    );
    let differences: Vec<_> = feed.engine.book().differences(0).copied().collect();
    assert_eq!(differences.len(), 1);
    assert_eq!(
        (differences[0].live.volume, differences[0].history.volume),
        (1_000, 1_100)
    );
    assert_eq!(feed.engine.counts().1.differences, 1);
    balanced(&mut feed);
}

#[test]
fn r34_the_broker_can_be_the_authority_and_ticks_do_not_take_it_back() {
    for authority in [Authority::Broker, Authority::Newest] {
        let mut feed = complete_live_bar();
        let rows = minutes(&[("10:02", 1_100)]);
        feed.engine
            .join_history(INFY, &rows, at("10:05:00"), authority)
            .unwrap();
        // A packet that revises the newest bar's neighbours compares every row again.
        feed.full("10:05:10", 100.0, 501_100);
        feed.full("10:06:10", 100.0, 501_200);
        feed.full_at("10:05:50", "10:06:11", 100.7, 501_150);
        feed.advance("10:08:00");
        assert_eq!(feed.row("1m", "10:02").volume, 1_100, "{authority:?}");
        assert_eq!(feed.account().history, 100);
        balanced(&mut feed);
    }
}

#[test]
fn r25_reconciled_bars_are_told_with_the_next_revision() {
    let mut feed = after_a_gap(&["1m"], |_| {});
    feed.advance("10:04:03");
    feed.engine.drain().for_each(drop);
    join(&mut feed, &REPAIR, "10:04:03");
    let told: Vec<_> = feed
        .engine
        .drain()
        .map(|event| (event.kind, clock_of(event.row.time), event.row.rev))
        .collect();
    let reconciled = |clock: &str, rev| (EventKind::Reconciled, clock.to_owned(), rev);
    assert_eq!(
        told,
        [
            reconciled("10:00", 1),
            reconciled("10:01", 0),
            reconciled("10:02", 0),
            reconciled("10:03", 1)
        ]
    );
}

#[test]
fn warming_up_fills_the_ring_without_events_and_any_interval_of_minutes() {
    let mut feed = Feed::new(&["5m", "7s"]);
    let day: Vec<_> = (15..45).map(|m| minute(&format!("09:{m}"), 10)).collect();
    assert_eq!(
        feed.engine
            .join_history(INFY, &day, at("10:02:00"), Authority::Live),
        Ok(6)
    );
    assert_eq!(feed.engine.drain().count(), 0);
    assert_eq!(feed.volumes("5m")[0], ("09:15".to_owned(), 50));
    assert_eq!(feed.volumes("5m").len(), 6);
}

#[test]
fn a_morning_joined_before_the_first_tick_makes_the_bar_that_the_tick_falls_into_whole() {
    let mut feed = Feed::new(&["1m", "5m", "15m"]);
    let rows: Vec<_> = [("10:00", 700), ("10:01", 800)].to_vec();
    join(&mut feed, &rows, "10:02:20");
    feed.full_at("10:02:29", "10:02:30", 100.0, 500_000);
    feed.full("10:02:50", 100.5, 500_900);
    feed.advance("10:05:10");
    join(&mut feed, &[("10:02", 2_400)], "10:05:10");
    let row = feed.row("5m", "10:00");
    assert_eq!((row.volume, row.flags & flags::PARTIAL), (3_900, 0));
    assert_eq!(feed.forming("15m").volume, 3_900);
    assert_eq!(feed.account().history, 700 + 800 + 1_500);
    balanced(&mut feed);
}

#[test]
fn the_clock_closes_a_coarser_bar_that_only_history_has_minutes_of() {
    let mut feed = Feed::new(&["5m"]);
    feed.advance("10:02:30");
    join(&mut feed, &[("10:00", 700), ("10:01", 800)], "10:02:30");
    assert_eq!(feed.volumes("5m"), []);
    feed.advance("10:05:03");
    assert_eq!(feed.volumes("5m"), [("10:00".to_owned(), 1_500)]);
}

#[test]
fn a_bad_row_is_named_and_changes_nothing() {
    let good = minute("10:00", 10);
    let later = minute("10:01", 10);
    for (bad, fault) in [
        (Minute { high: 99.0, ..later }, RowFault::Range(99.0)),
        (Minute { open: -1.0, ..later }, RowFault::Price(-1.0)),
        (
            Minute {
                close: f64::INFINITY,
                ..later
            },
            RowFault::Price(f64::INFINITY),
        ),
        (
            Minute {
                volume: Some(-1),
                ..later
            },
            RowFault::Volume(-1),
        ),
        (
            Minute {
                oi: Some(-2),
                ..later
            },
            RowFault::Volume(-2),
        ),
        (
            Minute {
                time: later.time + 1,
                ..later
            },
            RowFault::Time(later.time + 1),
        ),
        (
            Minute {
                time: good.time - 60_000_000_000,
                ..later
            },
            RowFault::Order(good.time - 60_000_000_000),
        ),
    ] {
        let mut feed = Feed::new(&["1m"]);
        let error = feed
            .engine
            .join_history(INFY, &[good, bad], at("11:00:00"), Authority::Live);
        assert_eq!(error, Err(JoinError::Row { at: 1, fault }));
        assert!(feed.engine.instruments().is_empty());
    }
    let nan = Minute {
        low: f64::NAN,
        ..later
    };
    let error = Feed::new(&["1m"])
        .engine
        .join_history(INFY, &[good, nan], at("11:00:00"), Authority::Live);
    assert!(
        error
            .unwrap_err()
            .to_string()
            .starts_with("row 1: price must be above 0")
    );
    let error = Feed::new(&["7s"])
        .engine
        .join_history(INFY, &[good], at("11:00:00"), Authority::Live);
    assert_eq!(error, Err(JoinError::NoMinutes));
}

#[test]
fn of_two_rows_of_one_minute_the_last_counts_and_rows_outside_the_session_none() {
    let mut feed = Feed::new(&["1m"]);
    join(
        &mut feed,
        &[("09:08", 1), ("10:00", 5), ("10:00", 7), ("15:30", 9)],
        "16:30:00",
    );
    assert_eq!(feed.volumes("1m"), [("10:00".to_owned(), 7)]);
    assert_eq!(feed.engine.counts().1.history_outside, 2);
}

#[test]
fn without_history_for_the_oi_the_live_one_stays() {
    let mut feed = Feed::new(&["1m"]);
    feed.full_at("10:02:29", "10:02:30", 100.0, 500_000);
    feed.full_oi("10:02:50", 100.5, 500_900, 4_321);
    feed.advance("10:05:00");
    join(&mut feed, &[("10:01", 10), ("10:02", 2_400)], "10:05:00");
    assert_eq!(feed.row("1m", "10:02").oi, 4_321);
    assert_eq!(feed.row("1m", "10:01").flags & flags::NO_OI, flags::NO_OI);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is lost when, and whatever part of the truth history brings in whatever order, no volume is made or lost.
    #[test]
    fn a_repair_preserves_the_sum(
        steps in prop::collection::vec((1..40_u32, 0..500_i64, 0..8_u8), 20..80),
        order in prop::collection::vec(0..12_usize, 1..6),
        late in any::<bool>(),
    ) {
        let mut feed = Feed::new(&["1m", "3m", "5m"]);
        let mut truth: std::collections::BTreeMap<i64, i64> = std::collections::BTreeMap::new();
        let (start, mut second, mut volume) = (at("10:00:00"), 0_u32, 1_000_i64);
        feed.at_second(start, 0, 100.0, volume);
        let mut connected = true;
        for (i, (gap, quantity, line)) in steps.iter().enumerate() {
            second += gap;
            volume += quantity;
            let time = start + i64::from(second) * 1_000_000_000;
            *truth.entry(time / 60_000_000_000 * 60_000_000_000).or_default() += quantity;
            if *line == 0 && connected {
                feed.engine.disconnected(time - 1_000_000_000);
                connected = false;
            } else if *line > 2 {
                connected = true;
            }
            if connected {
                feed.at_second(start, second, 100.0 + f64::from(*line), volume);
            }
            if !late && i % 9 == 8 {
                part(&mut feed, &truth, &order, time);
                balanced(&mut feed);
            }
        }
        let end = start + i64::from(second + 200) * 1_000_000_000;
        feed.engine.advance(end + 2_000_000_000);
        part(&mut feed, &truth, &order, end);
        balanced(&mut feed);
        let whole: Vec<_> = truth.iter().map(|(time, volume)| truth_row(*time, *volume)).collect();
        feed.engine.join_history(INFY, &whole, end, Authority::Broker).unwrap();
        balanced(&mut feed);
        // With all of the truth, the rows are the truth.
        let rows = feed.every_minute();
        for row in rows.iter().filter(|row| row.volume > 0 || truth.contains_key(&row.time)) {
            prop_assert_eq!(Some(&row.volume), truth.get(&row.time));
        }
        feed.engine.advance(end + 600_000_000_000);
        let sums = ["1m", "3m", "5m"].map(|interval| feed.volumes(interval).iter().map(|bar| bar.1).sum::<i64>());
        prop_assert_eq!(sums, [sums[0]; 3]);
    }
}

fn truth_row(time: i64, volume: i64) -> Minute {
    Minute {
        time,
        ..minute("10:00", volume)
    }
}

/// Some minutes of the truth.
fn part(feed: &mut Feed, truth: &std::collections::BTreeMap<i64, i64>, order: &[usize], now: i64) {
    for skip in order {
        let rows: Vec<_> = truth
            .iter()
            .enumerate()
            .filter(|(i, _)| i % 12 == *skip || i % 5 == skip % 5)
            .map(|(_, (time, volume))| truth_row(*time, *volume))
            .collect();
        feed.engine
            .join_history(INFY, &rows, now, Authority::Live)
            .unwrap();
    }
}
