//! The worked examples of rules R1, R3 and R5 to R9, as far as the session decides them.

use tickloom_core::session::calendar::{civil, day_of};
use tickloom_core::session::{Anchor, Phase, Schedule, SessionTable, Span, Tail};
use tickloom_core::units::{DAY, IST_OFFSET, MINUTE, Ns, SECOND, ist_day, ist_midnight};

/// The instant of an Indian date and time of day.
fn ist(date: (i64, i64, i64), time: (i64, i64, i64)) -> Ns {
    let day = day_of(date.0, date.1, date.2).unwrap();
    ist_midnight(day) + (time.0 * 3_600 + time.1 * 60 + time.2) * SECOND
}

fn schedule(class: &str, date: (i64, i64, i64)) -> Schedule {
    let table = SessionTable::builtin();
    table.schedule(
        table.class(class).unwrap(),
        day_of(date.0, date.1, date.2).unwrap(),
    )
}

/// `hh:mm` of an instant, Indian time.
fn clock(at: Ns) -> String {
    let seconds = (at + IST_OFFSET).rem_euclid(DAY) / SECOND;
    assert_eq!(seconds % 60, 0);
    format!("{:02}:{:02}", seconds / 3_600, seconds / 60 % 60)
}

fn show(span: Span) -> String {
    format!("{}-{}", clock(span.start), clock(span.end))
}

fn bars(day: &Schedule, minutes: i64) -> Vec<String> {
    day.bars(minutes * MINUTE, Anchor::Leg, Tail::Stub)
        .map(show)
        .collect()
}

fn legs(day: &Schedule) -> Vec<String> {
    day.legs().iter().map(|leg| show(*leg)).collect()
}

fn bucket(day: &Schedule, t: Ns, minutes: i64) -> Option<String> {
    day.bucket(t, minutes * MINUTE, Anchor::Leg, Tail::Stub).map(show)
}

/// A day of the old hours, one after the new ones began, both ordinary.
const OLD: (i64, i64, i64) = (2_025, 7, 1);
const NEW: (i64, i64, i64) = (2_026, 8, 4);

#[test]
fn r1_indian_time_is_a_constant_offset() {
    let t = 1_625_461_887 * SECOND;
    assert_eq!(civil(ist_day(t)), (2_021, 7, 5));
    assert_eq!(t, ist((2_021, 7, 5), (10, 41, 27)));
    assert_eq!(ist_day(ist(OLD, (0, 0, 0))), ist_day(ist(OLD, (23, 59, 59))));
    assert_eq!(ist_day(ist(OLD, (0, 0, 0)) - 1), ist_day(ist(OLD, (0, 0, 0))) - 1);
}

#[test]
fn r3_a_bar_holds_its_start_and_not_its_end() {
    let day = schedule("cash", OLD);
    assert_eq!(bucket(&day, ist(OLD, (9, 20, 0)), 1).unwrap(), "09:20-09:21");
    assert_eq!(bucket(&day, ist(OLD, (9, 20, 0)) - 1, 1).unwrap(), "09:19-09:20");
    assert_eq!(bucket(&day, ist(OLD, (9, 20, 0)), 5).unwrap(), "09:20-09:25");
}

#[test]
fn r3_a_stamp_at_the_segment_end_belongs_to_the_last_bar() {
    let day = schedule("cash", OLD);
    let end = ist(OLD, (15, 30, 0));
    assert_eq!(bucket(&day, end, 1).unwrap(), "15:29-15:30");
    assert_eq!(bucket(&day, end, 5).unwrap(), "15:25-15:30");
    assert_eq!(bucket(&day, end, 60).unwrap(), "15:15-15:30");
    assert_eq!(bucket(&day, end + 1, 1), None);
    assert_eq!(day.phase(end), Phase::Continuous(0));
    assert_eq!(day.phase(end + 1), Phase::Break);
    // A closing auction that begins there does not take the stamp away; a leg that begins there does.
    let cas = schedule("cash_cas", NEW);
    assert_eq!(cas.phase(ist(NEW, (15, 15, 0))), Phase::Continuous(0));
    assert_eq!(cas.phase(ist(NEW, (15, 15, 0)) + 1), Phase::CloseAuction);
    let mut table = SessionTable::builtin();
    table
        .overlay("cash | 2025-07-01 | 2025-07-01 | - | 09:15-12:00 12:00-15:30 | - | -")
        .unwrap();
    let two = table.schedule(table.class("cash").unwrap(), day_of(2_025, 7, 1).unwrap());
    assert_eq!(two.phase(ist(OLD, (12, 0, 0))), Phase::Continuous(1));
    assert_eq!(bucket(&two, ist(OLD, (12, 0, 0)), 60).unwrap(), "12:00-13:00");
}

#[test]
fn r5_hours_are_those_in_force_on_the_date() {
    for (class, date, expected, preopen) in [
        ("cash", (2_026, 7, 31), "09:15-15:30", true),
        ("cash", (2_026, 8, 3), "09:15-15:30", true),
        ("cash_cas", (2_026, 7, 31), "09:15-15:30", true),
        ("cash_cas", (2_026, 8, 3), "09:15-15:15", true),
        ("derivatives", (2_026, 7, 31), "09:15-15:30", false),
        ("derivatives", (2_026, 8, 3), "09:15-15:40", false),
        ("futures_near", (2_025, 12, 5), "09:15-15:30", false),
        ("futures_near", (2_025, 12, 8), "09:15-15:30", true),
        ("futures_near", (2_026, 8, 3), "09:15-15:40", true),
        ("index", NEW, "09:15-15:30", false),
        ("currency", NEW, "09:00-17:00", false),
        ("commodity_agri", NEW, "09:00-17:00", false),
        ("commodity_cotton", NEW, "09:00-21:00", false),
    ] {
        let day = schedule(class, date);
        assert_eq!(legs(&day), [expected], "{class} {date:?}");
        assert_eq!(
            day.preopen.map(show),
            preopen.then(|| "09:00-09:08".to_owned()),
            "{class} {date:?}"
        );
    }
}

#[test]
fn r5_the_closing_auction_and_the_post_close_moved_in_august_2026() {
    let shown = |span: Option<Span>| span.map(show);
    let old = schedule("cash_cas", (2_026, 7, 31));
    assert_eq!(
        (shown(old.close_auction), shown(old.post)),
        (None, Some("15:40-16:00".to_owned()))
    );
    let new = schedule("cash_cas", (2_026, 8, 3));
    assert_eq!(shown(new.close_auction).unwrap(), "15:15-15:35");
    assert_eq!(shown(new.post).unwrap(), "15:50-16:00");
    let others = schedule("cash", (2_026, 8, 3));
    assert_eq!(
        (shown(others.close_auction), shown(others.post)),
        (None, Some("15:50-16:00".to_owned()))
    );
}

#[test]
fn r5_metals_and_energy_close_with_new_york() {
    for (date, close) in [
        ((2_026, 3, 6), "23:55"),
        ((2_026, 3, 9), "23:30"),
        ((2_026, 10, 30), "23:30"),
        ((2_026, 11, 2), "23:55"),
        ((2_015, 3, 6), "23:55"),
        ((2_015, 3, 9), "23:30"),
        ((2_015, 10, 30), "23:30"),
        ((2_015, 11, 2), "23:55"),
        ((2_035, 3, 9), "23:55"),
        ((2_035, 3, 12), "23:30"),
        ((2_035, 11, 2), "23:30"),
        ((2_035, 11, 5), "23:55"),
    ] {
        let day = schedule("commodity", date);
        assert_eq!(legs(&day), [format!("09:00-{close}")], "{date:?}");
    }
}

#[test]
fn r5_special_days_have_hours_of_their_own() {
    assert_eq!(legs(&schedule("cash", (2_024, 11, 1))), ["18:00-19:00"]);
    assert_eq!(legs(&schedule("derivatives", (2_024, 11, 1))), ["18:00-19:00"]);
    assert_eq!(
        legs(&schedule("cash", (2_024, 3, 2))),
        ["09:15-10:00", "11:30-12:30"]
    );
    assert_eq!(
        legs(&schedule("index", (2_024, 3, 2))),
        ["09:15-10:00", "11:30-12:30"]
    );
    assert_eq!(legs(&schedule("cash", (2_026, 2, 1))), ["09:15-15:30"]);
    assert_eq!(legs(&schedule("commodity", (2_026, 2, 1))), ["09:00-17:00"]);
    assert_eq!(legs(&schedule("cash", (2_024, 11, 4))), ["09:15-15:30"]);
}

#[test]
fn r5_half_days_have_their_hours_and_closed_days_keep_ordinary_ones() {
    for (class, date, hours) in [
        ("commodity", (2_026, 1, 1), "09:00-17:00"),
        ("commodity", (2_026, 3, 3), "17:00-23:55"),
        ("commodity", (2_026, 5, 28), "17:00-23:30"),
        ("commodity_cotton", (2_026, 5, 28), "17:00-21:00"),
        ("commodity_agri", (2_026, 5, 28), "09:00-17:00"),
        ("commodity", (2_026, 1, 26), "09:00-23:55"),
        ("cash", (2_026, 3, 3), "09:15-15:30"),
    ] {
        assert_eq!(legs(&schedule(class, date)), [hours], "{class} {date:?}");
    }
}

#[test]
fn r5_every_segment_has_a_class() {
    let table = SessionTable::builtin();
    for (segment, name) in [
        (1, "cash"),
        (2, "derivatives"),
        (3, "currency"),
        (4, "cash"),
        (5, "derivatives"),
        (6, "currency"),
        (7, "commodity"),
        (8, "commodity"),
        (9, "index"),
        (12, "commodity"),
        (0, "cash"),
        (255, "cash"),
    ] {
        let class = table.class_of_segment(segment);
        assert_eq!(SessionTable::class_name(class), name);
        assert_eq!(table.class(name), Some(class));
    }
    assert_eq!(table.class("equity"), None);
}

#[test]
fn r6_sixty_minutes_start_at_09_15() {
    let day = schedule("cash", OLD);
    let sixty = bars(&day, 60);
    assert_eq!(sixty[..2], ["09:15-10:15", "10:15-11:15"]);
    assert_eq!(bars(&day, 30)[..2], ["09:15-09:45", "09:45-10:15"]);
    assert_eq!(bars(&day, 10)[..2], ["09:15-09:25", "09:25-09:35"]);
}

#[test]
fn r6_commodities_start_at_09_00() {
    assert_eq!(
        bars(&schedule("commodity", NEW), 60)[..2],
        ["09:00-10:00", "10:00-11:00"]
    );
}

#[test]
fn r6_a_muhurat_hour_starts_its_own_bars() {
    let day = schedule("cash", (2_024, 11, 1));
    assert_eq!(
        bars(&day, 15),
        ["18:00-18:15", "18:15-18:30", "18:30-18:45", "18:45-19:00"]
    );
}

#[test]
fn r6_a_holidays_evening_starts_its_own_bars() {
    let day = schedule("commodity", (2_026, 3, 3));
    let found = bars(&day, 75);
    assert_eq!(found[..2], ["17:00-18:15", "18:15-19:30"]);
    assert_eq!(found.last().unwrap(), "23:15-23:55");
}

#[test]
fn r6_each_leg_anchors_anew() {
    let day = schedule("cash", (2_024, 3, 2));
    assert_eq!(
        bars(&day, 30),
        ["09:15-09:45", "09:45-10:00", "11:30-12:00", "12:00-12:30"]
    );
    let from_the_day = day
        .bars(30 * MINUTE, Anchor::Day, Tail::Stub)
        .map(show)
        .collect::<Vec<_>>();
    assert_eq!(
        from_the_day,
        [
            "09:15-09:45",
            "09:45-10:00",
            "11:30-11:45",
            "11:45-12:15",
            "12:15-12:30"
        ]
    );
}

#[test]
fn r6_other_anchors_cut_their_first_bar_at_the_open() {
    let day = schedule("cash", OLD);
    let midnight = day
        .bars(60 * MINUTE, Anchor::Midnight, Tail::Stub)
        .map(show)
        .collect::<Vec<_>>();
    assert_eq!(midnight[..2], ["09:15-10:00", "10:00-11:00"]);
    assert_eq!(midnight.last().unwrap(), "15:00-15:30");
    // UTC hours begin at half past in India.
    let epoch = day
        .bars(60 * MINUTE, Anchor::Epoch, Tail::Stub)
        .map(show)
        .collect::<Vec<_>>();
    assert_eq!(epoch[..2], ["09:15-09:30", "09:30-10:30"]);
    assert_eq!(epoch.last().unwrap(), "14:30-15:30");
}

#[test]
fn r7_the_last_bar_is_a_stub_that_ends_with_the_leg() {
    assert_eq!(bars(&schedule("cash", OLD), 60).last().unwrap(), "15:15-15:30");
    assert_eq!(
        bars(&schedule("derivatives", NEW), 60).last().unwrap(),
        "15:15-15:40"
    );
    let cas = bars(&schedule("cash_cas", NEW), 60);
    assert_eq!((cas.len(), cas[5].as_str()), (6, "14:15-15:15"));
}

#[test]
fn r7_seventy_five_minutes_fit_the_old_day_and_leave_a_stub_in_the_new() {
    let old = bars(&schedule("derivatives", OLD), 75);
    assert_eq!((old.len(), old[4].as_str()), (5, "14:15-15:30"));
    let new = bars(&schedule("derivatives", NEW), 75);
    assert_eq!((new.len(), new[5].as_str()), (6, "15:30-15:40"));
}

#[test]
fn r7_a_merged_tail_makes_the_last_bar_longer() {
    let day = schedule("derivatives", NEW);
    let merged = day
        .bars(60 * MINUTE, Anchor::Leg, Tail::Merge)
        .map(show)
        .collect::<Vec<_>>();
    assert_eq!((merged.len(), merged[5].as_str()), (6, "14:15-15:40"));
    assert_eq!(day.expected(60 * MINUTE, Anchor::Leg, Tail::Merge), 6);
    let t = ist(NEW, (15, 39, 0));
    assert_eq!(
        show(day.bucket(t, 60 * MINUTE, Anchor::Leg, Tail::Merge).unwrap()),
        "14:15-15:40"
    );
    // An exact last bar is no stub, and a leg's only bar has nothing to join.
    assert_eq!(day.expected(MINUTE, Anchor::Leg, Tail::Merge), 385);
    assert_eq!(day.expected(1_000 * MINUTE, Anchor::Leg, Tail::Merge), 1);
}

#[test]
fn r7_a_day_has_375_or_360_or_385_minutes() {
    for (class, date, minutes) in [
        ("cash", OLD, 375),
        ("cash_cas", NEW, 360),
        ("derivatives", NEW, 385),
    ] {
        let day = schedule(class, date);
        assert_eq!(bars(&day, 1).len(), minutes, "{class}");
        assert_eq!(day.expected(MINUTE, Anchor::Leg, Tail::Stub), minutes, "{class}");
    }
}

#[test]
fn r8_the_pre_open_lasts_until_the_first_leg_opens_and_has_no_bars() {
    let day = schedule("cash", OLD);
    for (time, phase) in [
        ((8, 59, 59), Phase::Before),
        ((9, 0, 0), Phase::PreOpen),
        ((9, 7, 58), Phase::PreOpen),
        ((9, 11, 0), Phase::PreOpen),
        ((9, 14, 59), Phase::PreOpen),
        ((9, 15, 0), Phase::Continuous(0)),
        ((9, 15, 1), Phase::Continuous(0)),
    ] {
        let t = ist(OLD, time);
        assert_eq!(day.phase(t), phase, "{time:?}");
        assert_eq!(
            bucket(&day, t, 1).is_some(),
            phase == Phase::Continuous(0),
            "{time:?}"
        );
    }
    // Without a pre-open there is nothing before the open.
    assert_eq!(
        schedule("derivatives", OLD).phase(ist(OLD, (9, 7, 58))),
        Phase::Before
    );
    assert_eq!(schedule("index", OLD).phase(ist(OLD, (9, 7, 58))), Phase::Before);
}

#[test]
fn r9_the_post_close_has_no_bars() {
    let day = schedule("cash", OLD);
    for (time, phase) in [
        ((15, 29, 59), Phase::Continuous(0)),
        ((15, 30, 1), Phase::Break),
        ((15, 40, 0), Phase::PostClose),
        ((15, 59, 56), Phase::PostClose),
        ((16, 0, 0), Phase::PostClose),
        ((16, 0, 1), Phase::After),
    ] {
        let t = ist(OLD, time);
        assert_eq!(day.phase(t), phase, "{time:?}");
        assert_eq!(
            bucket(&day, t, 1).is_some(),
            phase == Phase::Continuous(0),
            "{time:?}"
        );
    }
    assert_eq!(
        schedule("derivatives", OLD).phase(ist(OLD, (15, 30, 1))),
        Phase::After
    );
}

#[test]
fn r9_the_closing_auction_has_no_bars() {
    let day = schedule("cash_cas", NEW);
    for (time, phase) in [
        ((15, 14, 59), Phase::Continuous(0)),
        ((15, 20, 0), Phase::CloseAuction),
        ((15, 30, 41), Phase::CloseAuction),
        ((15, 35, 0), Phase::CloseAuction),
        ((15, 35, 1), Phase::Break),
        ((15, 50, 0), Phase::PostClose),
        ((16, 0, 1), Phase::After),
    ] {
        let t = ist(NEW, time);
        assert_eq!(day.phase(t), phase, "{time:?}");
        assert_eq!(
            bucket(&day, t, 15).is_some(),
            phase == Phase::Continuous(0),
            "{time:?}"
        );
    }
    assert!(bars(&day, 15).iter().all(|bar| !bar.starts_with("15:15")));
}

#[test]
fn between_two_legs_there_is_a_break() {
    let date = (2_024, 3, 2);
    let day = schedule("cash", date);
    assert_eq!(day.phase(ist(date, (10, 0, 0))), Phase::Continuous(0));
    assert_eq!(day.phase(ist(date, (10, 30, 0))), Phase::Break);
    assert_eq!(day.phase(ist(date, (11, 30, 0))), Phase::Continuous(1));
    assert_eq!(bucket(&day, ist(date, (10, 30, 0)), 1), None);
}
