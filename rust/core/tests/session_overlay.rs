//! The override text: what it can say, and what each malformed line is told.

use tickloom_core::session::calendar::{day_of, weekday};
use tickloom_core::session::{HOLIDAYS, Phase, Schedule, SessionErrorKind, SessionTable};
use tickloom_core::units::{SECOND, ist_midnight};

fn day(table: &SessionTable, class: &str, date: (i64, i64, i64)) -> Schedule {
    table.schedule(
        table.class(class).unwrap(),
        day_of(date.0, date.1, date.2).unwrap(),
    )
}

#[test]
fn a_later_row_wins() {
    let mut table = SessionTable::builtin();
    table
        .overlay("cash | 2027-01-01 | .. | - | 09:00-16:00 | - | -\n")
        .unwrap();
    table
        .overlay("cash | 2027-01-04 | 2027-01-04 | - | 10:00-11:00 | - | -")
        .unwrap();
    let hours = |date| {
        day(&table, "cash", date)
            .legs()
            .iter()
            .map(|l| (l.end - l.start) / SECOND)
            .sum::<i64>()
    };
    assert_eq!(hours((2_026, 12, 31)), 375 * 60);
    assert_eq!(hours((2_027, 1, 1)), 420 * 60);
    assert_eq!(hours((2_027, 1, 4)), 60 * 60);
    assert_eq!(hours((2_027, 1, 5)), 420 * 60);
}

#[test]
fn a_day_without_legs_is_closed() {
    let mut table = SessionTable::builtin();
    table
        .overlay("cash cash_cas | 2027-01-26 | 2027-01-26 | - | - | - | - # Republic Day")
        .unwrap();
    for class in ["cash", "cash_cas"] {
        let closed = day(&table, class, (2_027, 1, 26));
        assert_eq!(
            (closed.open(), closed.close(), closed.legs().len()),
            (None, None, 0)
        );
        assert_eq!(
            closed.phase(ist_midnight(closed.day) + 36_000 * SECOND),
            Phase::After
        );
    }
    assert!(day(&table, "index", (2_027, 1, 26)).open().is_some());
}

#[test]
fn comments_blank_lines_a_byte_order_mark_and_windows_line_ends_are_read_over() {
    let mut table = SessionTable::builtin();
    let text = "\u{feff}# title\r\n\r\n  \r\ncash|2027-01-04|2027-01-04|-|10:00-11:00|-|-\r\n";
    table.overlay(text).unwrap();
    assert_eq!(
        day(&table, "cash", (2_027, 1, 4)).close(),
        Some(ist_midnight(20_822) + 39_600 * SECOND)
    );
    table.overlay("").unwrap();
}

#[test]
fn seconds_the_end_of_the_day_and_a_season_can_be_written() {
    let mut table = SessionTable::builtin();
    table
        .overlay("index | .. | .. | 00:00:00-00:00:01 | 00:00:01-23:00/24:00 | - | -")
        .unwrap();
    let winter = day(&table, "index", (2_027, 1, 4));
    assert_eq!(winter.close(), Some(ist_midnight(winter.day + 1)));
    assert_eq!(winter.open(), Some(ist_midnight(winter.day) + SECOND));
    let summer = day(&table, "index", (2_027, 7, 5));
    assert_eq!(summer.close(), Some(ist_midnight(summer.day) + 82_800 * SECOND));
}

#[test]
fn a_closing_auction_that_waits_for_its_start_leaves_a_break() {
    let mut table = SessionTable::builtin();
    table
        .overlay("index | .. | .. | - | 09:15-15:15 | 15:20-15:35 | -")
        .unwrap();
    let day = day(&table, "index", (2_027, 1, 4));
    let phase = |h: i64, m: i64, s: i64| day.phase(ist_midnight(day.day) + (h * 3_600 + m * 60 + s) * SECOND);
    assert_eq!(phase(15, 15, 0), Phase::Continuous(0));
    assert_eq!(phase(15, 19, 59), Phase::Break);
    assert_eq!(phase(15, 20, 0), Phase::CloseAuction);
    assert_eq!(phase(15, 35, 0), Phase::CloseAuction);
    assert_eq!(phase(15, 35, 1), Phase::After);
}

#[test]
fn the_override_of_the_documentation_is_read() {
    let page = include_str!("../../../docs/sessions.md");
    let text = page
        .split("```sessions\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    assert_eq!(text.lines().count(), 4);
    let mut table = SessionTable::builtin();
    table.overlay(text).unwrap();
    assert_eq!(day(&table, "cash", (2_027, 1, 26)).open(), None);
    let muhurat = day(&table, "cash_cas", (2_027, 10, 29));
    assert_eq!(
        muhurat.open(),
        Some(ist_midnight(muhurat.day) + 18 * 3_600 * SECOND)
    );
    assert!(muhurat.close_auction.is_none() && muhurat.preopen.is_some());
    let currency = day(&table, "currency", (2_027, 4, 1));
    assert_eq!(
        currency.close(),
        Some(ist_midnight(currency.day) + (15 * 60 + 30) * 60 * SECOND)
    );
}

#[test]
fn every_malformed_line_says_where_and_what() {
    use SessionErrorKind as K;
    for (row, kind, text) in [
        (
            "cash | .. | .. | - | 09:15-15:30 | -",
            K::Cells,
            "cash | .. | .. | - | 09:15-15:30 | -",
        ),
        ("x|x|x|x|x|x|x|x", K::Cells, "x|x|x|x|x|x|x|x"),
        (
            "cash | .. | .. |  | 09:15-15:30 | - | -",
            K::Cells,
            "cash | .. | .. |  | 09:15-15:30 | - | -",
        ),
        ("cash, index | .. | .. | - | - | - | -", K::UnknownClass, "cash,"),
        ("equity | .. | .. | - | - | - | -", K::UnknownClass, "equity"),
        ("cash | 2025-02-29 | .. | - | - | - | -", K::Date, "2025-02-29"),
        ("cash | 25-02-01 | .. | - | - | - | -", K::Date, "25-02-01"),
        (
            "cash | 2025-02-01-1 | .. | - | - | - | -",
            K::Date,
            "2025-02-01-1",
        ),
        ("cash | .. | +025-02-01 | - | - | - | -", K::Date, "+025-02-01"),
        ("cash | .. | - | - | - | - | -", K::Date, "-"),
        (
            "cash | 2025-02-02 | 2025-02-01 | - | - | - | -",
            K::DatesReversed,
            "2025-02-01",
        ),
        ("cash | .. | .. | - | 9:15-15:30 | - | -", K::Span, "9:15-15:30"),
        ("cash | .. | .. | - | 09:15 | - | -", K::Span, "09:15"),
        ("cash | .. | .. | - | 09:60-15:30 | - | -", K::Span, "09:60-15:30"),
        ("cash | .. | .. | - | 09:15-24:01 | - | -", K::Span, "09:15-24:01"),
        (
            "cash | .. | .. | - | 09:15-15:30:00:00 | - | -",
            K::Span,
            "09:15-15:30:00:00",
        ),
        (
            "cash | .. | .. | - | 09:15-15:30/x | - | -",
            K::Span,
            "09:15-15:30/x",
        ),
        (
            "cash | .. | .. | - | 09:15-15:30, | - | -",
            K::Span,
            "09:15-15:30,",
        ),
        (
            "cash | .. | .. | - | 15:30-09:15 | - | -",
            K::SpanReversed,
            "15:30-09:15",
        ),
        (
            "cash | .. | .. | - | 09:15-09:15 | - | -",
            K::SpanReversed,
            "09:15-09:15",
        ),
        (
            "cash | .. | .. | - | 09:15-15:30/09:00 | - | -",
            K::SpanReversed,
            "09:15-15:30/09:00",
        ),
        (
            "cash | .. | .. | - | 09:15-12:00 11:00-13:00 | - | -",
            K::Overlap,
            "11:00-13:00",
        ),
        (
            "cash | .. | .. | - | 12:00-13:00 09:00-10:00 | - | -",
            K::Overlap,
            "09:00-10:00",
        ),
        (
            "cash | .. | .. | - | 09:15-12:00/14:00 13:00-15:00 | - | -",
            K::Overlap,
            "13:00-15:00",
        ),
        (
            "cash | .. | .. | 09:00-09:20 | 09:15-15:30 | - | -",
            K::Overlap,
            "09:15-15:30",
        ),
        (
            "cash | .. | .. | - | 09:15-15:30 | 15:20-15:40 | -",
            K::Overlap,
            "15:20-15:40",
        ),
        (
            "cash | .. | .. | - | 09:15-15:30 | 15:30-15:40 | 15:35-16:00",
            K::Overlap,
            "15:35-16:00",
        ),
        (
            "cash | .. | .. | - | 01:00-02:00 03:00-04:00 05:00-06:00 07:00-08:00 09:00-10:00 | - | -",
            K::TooManyLegs,
            "01:00-02:00 03:00-04:00 05:00-06:00 07:00-08:00 09:00-10:00",
        ),
        ("cash | .. | .. | 09:00-09:08 | - | - | -", K::ClosedDay, "-"),
        ("cash | .. | .. | - | - | - | 15:40-16:00", K::ClosedDay, "-"),
    ] {
        let mut table = SessionTable::builtin();
        let before = day(&table, "cash", (2_025, 7, 1));
        let text_with_row =
            format!("# a comment\ncash | .. | .. | - | 10:00-11:00 | - | -\n{row}\nindex | nonsense");
        let error = table.overlay(&text_with_row).unwrap_err();
        assert_eq!(
            (error.line, error.kind, error.text.as_str()),
            (3, kind, text),
            "{row}"
        );
        let shown = error.to_string();
        assert!(
            shown.starts_with("line 3: ") && shown.ends_with(&format!("{text:?}")),
            "{shown}"
        );
        // Nothing of a text with a fault is taken.
        assert_eq!(day(&table, "cash", (2_025, 7, 1)), before);
    }
}

#[test]
fn the_shipped_holidays_are_rows_of_single_weekdays_that_close_a_day_or_a_part_of_it() {
    let ordinary = SessionTable::builtin();
    let mut table = ordinary.clone();
    table.overlay(HOLIDAYS).unwrap();
    let mut rows = 0;
    for name in SessionTable::class_names() {
        let class = table.class(name).unwrap();
        for day in day_of(2024, 1, 1).unwrap()..=day_of(2026, 12, 31).unwrap() {
            let (before, after) = (ordinary.schedule(class, day), table.schedule(class, day));
            if before == after {
                assert_eq!(table.names(class, day), ordinary.names(class, day));
                continue;
            }
            rows += 1;
            assert!(
                table.names(class, day) && !ordinary.names(class, day),
                "{name} {day}"
            );
            assert!(weekday(day) < 5, "{name} {day}");
            let length =
                |schedule: &Schedule| -> i64 { schedule.legs().iter().map(|leg| leg.end - leg.start).sum() };
            assert!(length(&after) < length(&before), "{name} {day}");
        }
    }
    assert!(rows > 300, "{rows}");
}
