//! Dates as day numbers since 1970-01-01, and the one foreign rule that Indian hours follow.
//!
//! The proleptic Gregorian calendar in integer arithmetic: no time-zone database is involved (R1).

/// The days on which a whole day fits into `i64` nanoseconds with room to spare: 1696 to 2243.
pub const MAX_DAY: i64 = 100_000;

/// The day number of a date, or None where there is no such date.
#[must_use]
pub const fn day_of(year: i64, month: i64, day: i64) -> Option<i64> {
    if year < 1 || year > 9_999 || month < 1 || month > 12 || day < 1 || day > month_length(year, month) {
        return None;
    }
    Some(day_number(year, month, day))
}

/// The (year, month, day) of a day number. Days beyond year 1 to 9999 are clamped into it.
#[must_use]
pub const fn civil(day: i64) -> (i64, i64, i64) {
    let (first, last) = (day_number(1, 1, 1), day_number(9_999, 12, 31));
    let day = if day < first {
        first
    } else if day > last {
        last
    } else {
        day
    };
    // Years are counted from March, so that the leap day is the last of its year.
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + if month <= 2 { 1 } else { 0 };
    (year, month, day_of_month)
}

/// The day of the week, 0 for Monday to 6 for Sunday.
#[must_use]
pub const fn weekday(day: i64) -> i64 {
    // 1970-01-01 was a Thursday; the remainder comes first, so that no day can overflow.
    (day.rem_euclid(7) + 3) % 7
}

/// The Monday of the week a day lies in (R28).
#[must_use]
pub const fn week_start(day: i64) -> i64 {
    day.saturating_sub(weekday(day))
}

/// The first day of the month a day lies in (R28).
#[must_use]
pub const fn month_start(day: i64) -> i64 {
    let (year, month, _) = civil(day);
    day_number(year, month, 1)
}

/// Whether the United States keep daylight saving on this day, by the rule in force since 2007: from
/// the second Sunday of March to the first Sunday of November.
///
/// The change to summer falls on Sunday noon and the change back on Sunday morning, Indian time, so a
/// Sunday's evening already has the new hours.
#[must_use]
pub const fn us_daylight_saving(day: i64) -> bool {
    let (year, _, _) = civil(day);
    let begins = first_sunday(year, 3) + 7;
    let ends = first_sunday(year, 11);
    begins <= day && day < ends
}

const fn first_sunday(year: i64, month: i64) -> i64 {
    let first = day_number(year, month, 1);
    first + (6 - weekday(first))
}

const fn month_length(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

const fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let march_month = (month + 9) % 12;
    let of_year = (153 * march_month + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let mut expected = (1_900, 1, 1);
        for day in day_of(1_900, 1, 1).unwrap()..=day_of(2_300, 1, 1).unwrap() {
            assert_eq!(civil(day), expected);
            assert_eq!(day_of(expected.0, expected.1, expected.2), Some(day));
            let (y, m, d) = expected;
            expected = if d < month_length(y, m) {
                (y, m, d + 1)
            } else if m < 12 {
                (y, m + 1, 1)
            } else {
                (y + 1, 1, 1)
            };
        }
        assert_eq!(day_of(1_970, 1, 1), Some(0));
        assert_eq!(day_of(2_000, 2, 29), Some(11_016));
        assert_eq!(day_of(2_026, 11, 21), Some(20_778));
    }

    #[test]
    fn impossible_dates_have_no_day() {
        for (y, m, d) in [
            (2_025, 2, 29),
            (2_100, 2, 29),
            (2_025, 4, 31),
            (2_025, 0, 1),
            (2_025, 13, 1),
            (0, 1, 1),
        ] {
            assert_eq!(day_of(y, m, d), None);
        }
        assert_eq!(day_of(2_025, 1, 0), None);
        assert_eq!(day_of(10_000, 1, 1), None);
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        let sunday = day_of(2_026, 2, 1).unwrap();
        assert_eq!(weekday(sunday), 6);
        assert_eq!(civil(week_start(sunday)), (2_026, 1, 26));
        assert_eq!(month_start(sunday), sunday);
        assert_eq!(civil(month_start(sunday - 1)), (2_026, 1, 1));
        assert_eq!(weekday(0), 3);
        assert_eq!(weekday(-1), 2);
    }

    #[test]
    fn us_daylight_saving_runs_from_the_second_sunday_of_march_to_the_first_of_november() {
        for (begin, end) in [
            ((2_015, 3, 8), (2_015, 11, 1)),
            ((2_020, 3, 8), (2_020, 11, 1)),
            ((2_023, 3, 12), (2_023, 11, 5)),
            ((2_024, 3, 10), (2_024, 11, 3)),
            ((2_025, 3, 9), (2_025, 11, 2)),
            ((2_026, 3, 8), (2_026, 11, 1)),
            ((2_027, 3, 14), (2_027, 11, 7)),
            ((2_035, 3, 11), (2_035, 11, 4)),
        ] {
            let begin = day_of(begin.0, begin.1, begin.2).unwrap();
            let end = day_of(end.0, end.1, end.2).unwrap();
            assert_eq!(
                [begin - 1, begin, end - 1, end].map(us_daylight_saving),
                [false, true, true, false]
            );
        }
    }

    #[test]
    fn no_day_number_panics() {
        for day in [
            i64::MIN,
            i64::MIN + 1,
            -MAX_DAY,
            -1,
            0,
            MAX_DAY,
            i64::MAX - 1,
            i64::MAX,
        ] {
            let (year, month, _) = civil(day);
            assert!((1..=9_999).contains(&year) && (1..=12).contains(&month));
            assert!((0..7).contains(&weekday(day)));
            assert!(week_start(day) <= day);
            let _ = (month_start(day), us_daylight_saving(day));
        }
    }
}
