//! Day, week and month bars: rule R28 with R9's official close and R23's average price.

mod feed;

use feed::{DAY, Extra, Feed, INFY, at};
use tickloom_core::aggregate::{EventKind, Options, PreOpen};
use tickloom_core::bar::flags;
use tickloom_core::engine::Pushed;
use tickloom_core::units::{Ns, ist_midnight};

const NIFTY: u32 = 256_265;

fn day_fields() -> Extra {
    Extra {
        oi: 900,
        average: 101.25,
        open: 99.0,
        high: 103.0,
        low: 98.5,
        close: 97.0,
    }
}

fn full(feed: &mut Feed, ltt: &str, price: f64, volume: i64, extra: Extra) {
    feed.packet(INFY, at(ltt), at(ltt), price, volume, extra);
}

/// A date joined at 10:00 with 500,000 shares traded before, of which the broker knows everything.
fn joined_day(intervals: &[&str], options: impl Fn(&mut Options)) -> Feed {
    let mut feed = Feed::with(intervals, options);
    full(&mut feed, "10:00:00", 100.0, 500_000, day_fields());
    full(&mut feed, "10:00:30", 100.5, 500_100, day_fields());
    full(&mut feed, "15:29:58", 102.0, 8_800_000, day_fields());
    feed
}

fn midnight(days: i64) -> Ns {
    ist_midnight(DAY + days)
}

#[test]
fn r28_a_day_is_the_brokers_day_and_the_last_continuous_price() {
    let mut feed = joined_day(&["1d"], |_| {});
    let forming = feed.forming("1d");
    assert_eq!(forming.time, midnight(0));
    assert_eq!(
        (forming.open, forming.high, forming.low, forming.close),
        (99.0, 103.0, 98.5, 102.0)
    );
    assert_eq!(
        (forming.volume, forming.vwap, forming.oi),
        (8_800_000, 101.25, 900)
    );
    assert_eq!(forming.flags & (flags::PARTIAL | flags::GAP | flags::NO_OI), 0);
    assert_eq!(feed.rows("1d"), []);
}

#[test]
fn r9_a_day_is_sealed_after_its_post_close_whose_volume_it_has() {
    let mut feed = joined_day(&["1m", "1d"], |_| {});
    feed.advance("15:59:00");
    assert_eq!(feed.rows("1d").len(), 0);
    full(&mut feed, "15:59:56", 102.0, 8_871_172, day_fields());
    feed.advance("16:00:04");
    let row = feed.rows("1d")[0];
    assert_eq!(
        (row.time, row.volume, row.close, row.rev),
        (midnight(0), 8_871_172, 102.0, 0)
    );
    assert_eq!(feed.account().post, 71_172);
    assert!(feed.unsealed("1d").is_empty());
}

#[test]
fn r9_post_close_volume_that_shows_late_revises_the_day() {
    let mut feed = joined_day(&["1d"], |_| {});
    feed.advance("16:00:04");
    feed.engine.drain().for_each(drop);
    // Reported an hour after it was traded.
    feed.packet(
        INFY,
        at("15:59:56"),
        at("16:58:06"),
        102.0,
        8_871_172,
        day_fields(),
    );
    let row = feed.rows("1d")[0];
    assert_eq!((row.volume, row.rev), (8_871_172, 1));
    assert_eq!(
        feed.engine.drain().map(|event| event.kind).collect::<Vec<_>>(),
        [EventKind::Revised]
    );
}

#[test]
fn r30_open_interest_after_the_seal_revises_the_day_at_once_on_either_way() {
    for short_way in [true, false] {
        let mut feed = joined_day(&["1m", "1d"], |options| options.short_way = short_way);
        feed.advance("16:00:04");
        let revs = [(10, 910), (20, 910), (30, 925)].map(|(second, oi)| {
            let extra = Extra { oi, ..day_fields() };
            let ets = at(&format!("16:05:{second}"));
            feed.packet(INFY, at("15:29:58"), ets, 102.0, 8_800_000, extra);
            feed.rows("1d").pop().map(|row| (row.oi, row.rev))
        });
        assert_eq!(
            revs,
            [Some((910, 1)), Some((910, 1)), Some((925, 2))],
            "short way: {short_way}"
        );
    }
}

#[test]
fn r28_the_next_dates_first_packet_brings_the_official_close() {
    let mut feed = joined_day(&["1d"], |_| {});
    feed.advance("16:00:04");
    feed.engine.drain().for_each(drop);
    let next = Extra {
        open: 104.0,
        high: 104.0,
        low: 104.0,
        close: 101.6,
        ..day_fields()
    };
    full(&mut feed, "+1 09:15:01", 104.0, 100, next);
    let row = feed.rows("1d")[0];
    assert_eq!((row.close, row.rev), (101.6, 1));
    let told: Vec<_> = feed
        .engine
        .drain()
        .map(|event| (event.kind, event.row.time))
        .collect();
    assert_eq!(told, [(EventKind::Revised, midnight(0))]);
    assert_eq!(feed.forming("1d").open, 104.0);
}

#[test]
fn r35_a_close_that_the_day_never_saw_is_not_its_official_close() {
    let mut feed = joined_day(&["1d"], |_| {});
    let halved = Extra {
        open: 52.0,
        high: 52.0,
        low: 52.0,
        close: 51.0,
        ..day_fields()
    };
    full(&mut feed, "+1 09:15:01", 52.0, 100, halved);
    assert_eq!((feed.rows("1d")[0].close, feed.rows("1d")[0].rev), (102.0, 0));
}

#[test]
fn a_cached_tick_of_yesterday_says_nothing_about_today() {
    let mut feed = joined_day(&["1d"], |_| {});
    feed.packet(
        INFY,
        at("15:29:58"),
        at("+1 09:00:30"),
        102.0,
        8_800_000,
        day_fields(),
    );
    feed.packet(
        INFY,
        at("+1 09:15:03"),
        at("+1 09:15:03"),
        104.0,
        50,
        Extra {
            average: 104.0,
            ..Extra::default()
        },
    );
    let row = feed.rows("1d")[0];
    assert_eq!((row.volume, row.close, row.rev), (8_800_000, 102.0, 0));
    let today = feed.forming("1d");
    assert_eq!(
        (today.open, today.high, today.low, today.volume),
        (104.0, 104.0, 104.0, 50)
    );
}

#[test]
fn r9_the_closing_auctions_price_is_the_days_close() {
    let mut feed = Feed::new(&["1d"]);
    let class = feed.engine.book().sessions().class("cash_cas").unwrap();
    feed.engine.add(INFY, class, 100, 5, None).unwrap();
    // 2026-08-03 is 33 days after the feed's first date.
    let day = Extra {
        open: 100.0,
        high: 101.0,
        low: 99.0,
        ..Extra::default()
    };
    full(&mut feed, "+33 09:15:02", 100.0, 100, day);
    full(&mut feed, "+33 15:14:58", 100.8, 9_000, day);
    full(&mut feed, "+33 15:30:41", 100.3, 521_000, day);
    feed.advance("+33 15:40:00");
    let forming = feed.forming("1d");
    assert_eq!((forming.close, forming.volume), (100.3, 521_000));
    feed.advance("+33 16:00:04");
    assert_eq!(feed.rows("1d").len(), 1);
}

#[test]
fn an_instrument_without_day_fields_has_its_day_from_its_own_ticks() {
    let mut feed = Feed::new(&["1d"]);
    for (clock, price, quantity) in [
        ("09:20:00", 10.0, 5),
        ("11:00:00", 12.0, 5),
        ("15:00:00", 9.0, 10),
    ] {
        let tick = Pushed {
            price,
            time: at(clock),
            quantity: Some(quantity),
            cumulative: None,
            oi: None,
            rx: None,
        };
        feed.engine.push(INFY, &tick).unwrap();
    }
    let day = feed.forming("1d");
    assert_eq!((day.open, day.high, day.low, day.close), (10.0, 12.0, 9.0, 9.0));
    assert_eq!((day.volume, day.vwap, day.ticks), (20, 10.0, 3));
    assert_eq!(day.flags & flags::NO_OI, flags::NO_OI);
}

#[test]
fn r28_an_index_has_a_day_without_volume_or_average() {
    use tickloom_core::wire::kite::packet::IndexFull;
    use zerocopy::IntoBytes;
    let mut feed = Feed::new(&["1d"]);
    for (clock, price) in [
        ("09:15:02", 2_500_000_u32),
        ("12:00:00", 2_510_000),
        ("15:29:59", 2_505_000),
    ] {
        let packet = IndexFull {
            instrument_token: NIFTY.into(),
            last_price: price.into(),
            high: 2_512_000.into(),
            low: 2_499_000.into(),
            open: 2_500_500.into(),
            close: 2_490_000.into(),
            exchange_timestamp: u32::try_from(at(clock) / 1_000_000_000).unwrap().into(),
            ..zerocopy::FromZeros::new_zeroed()
        };
        let mut frame = vec![0, 1, 0, 32];
        frame.extend_from_slice(packet.as_bytes());
        feed.engine.apply(&frame, at(clock) + 500_000_000).unwrap();
    }
    feed.advance("15:30:04");
    let day = feed.rows("1d")[0];
    assert_eq!(
        (day.open, day.high, day.low, day.close),
        (25_005.0, 25_120.0, 24_990.0, 25_050.0)
    );
    assert_eq!((day.volume, day.flags & flags::NO_VOLUME), (0, flags::NO_VOLUME));
    assert!(day.vwap.is_nan());
}

#[test]
fn r8_an_auctions_own_bar_is_no_day() {
    let mut feed = Feed::with(&["1m", "1d"], |options| options.preopen = PreOpen::Bar);
    let day = Extra {
        open: 99.5,
        high: 100.0,
        low: 99.5,
        ..Extra::default()
    };
    full(&mut feed, "09:07:30", 99.5, 700, day);
    full(&mut feed, "09:15:10", 100.0, 1_000, day);
    feed.advance("16:00:04");
    assert_eq!(
        feed.volumes("1m"),
        [("09:00".to_owned(), 700), ("09:15".to_owned(), 300)]
    );
    assert_eq!(feed.volumes("1d"), [("00:00".to_owned(), 1_000)]);
}

/// One trade a day at a price, with that much volume; the days are counted from Wednesday 2026-07-01.
fn days(feed: &mut Feed, of: &[(i64, f64, i64)]) {
    for (day, price, volume) in of {
        let extra = Extra {
            average: *price,
            open: *price,
            high: *price,
            low: *price,
            ..Extra::default()
        };
        // The first packet of a volume of zero is a baseline.
        feed.packet(
            INFY,
            at(&format!("+{day} 09:15:00")),
            at(&format!("+{day} 09:15:00")),
            *price,
            0,
            extra,
        );
        full(feed, &format!("+{day} 10:00:00"), *price, *volume, extra);
    }
}

#[test]
fn r28_weeks_begin_on_monday_and_months_on_the_first() {
    let mut feed = Feed::new(&["1w", "1mo"]);
    // Wed 1, Thu 2, Fri 3; Mon 6, Wed 8; Mon 3 August.
    days(
        &mut feed,
        &[
            (0, 10.0, 5),
            (1, 12.0, 5),
            (2, 11.0, 10),
            (5, 13.0, 1),
            (7, 9.0, 2),
            (33, 20.0, 7),
        ],
    );
    let weeks = feed.rows("1w");
    assert_eq!(
        weeks.iter().map(|row| row.time).collect::<Vec<_>>(),
        [midnight(-2), midnight(5)]
    );
    let first = weeks[0];
    assert_eq!(
        (first.open, first.high, first.low, first.close, first.volume),
        (10.0, 12.0, 10.0, 11.0, 20)
    );
    assert_eq!(first.vwap, 11.0);
    assert_eq!(
        first.flags & flags::PARTIAL,
        flags::PARTIAL,
        "Monday and Tuesday are not known"
    );
    assert_eq!(
        (
            weeks[1].open,
            weeks[1].close,
            weeks[1].volume,
            weeks[1].flags & flags::PARTIAL
        ),
        (13.0, 9.0, 3, 0)
    );
    let months = feed.rows("1mo");
    assert_eq!(
        months.iter().map(|row| row.time).collect::<Vec<_>>(),
        [midnight(0)]
    );
    assert_eq!(
        (months[0].open, months[0].low, months[0].close, months[0].volume),
        (10.0, 9.0, 9.0, 23)
    );
    assert_eq!(months[0].flags & flags::PARTIAL, 0);
    let forming = feed.forming("1mo");
    assert_eq!((forming.time, forming.volume), (midnight(31), 7));
    assert_eq!(feed.forming("1w").time, midnight(33));
}

#[test]
fn r28_a_special_sunday_belongs_to_the_week_that_began_on_monday_or_begins_one() {
    for (sunday_first, labels) in [(false, vec![-2]), (true, vec![-3, 4])] {
        let mut feed = Feed::with(&["1w"], |options| options.week_starts_sunday = sunday_first);
        // Friday 3 and Sunday 5 July; the clock ends the week.
        days(&mut feed, &[(2, 11.0, 10), (4, 12.0, 1)]);
        feed.advance("+20 00:00:05");
        let found: Vec<_> = feed.rows("1w").iter().map(|row| row.time).collect();
        assert_eq!(found, labels.into_iter().map(midnight).collect::<Vec<_>>());
    }
}

#[test]
fn the_clock_seals_a_week_and_an_official_close_still_revises_it() {
    let mut feed = Feed::new(&["1d", "1w"]);
    days(&mut feed, &[(1, 10.0, 5)]);
    full(
        &mut feed,
        "+1 11:00:00",
        12.0,
        10,
        Extra {
            average: 11.0,
            open: 10.0,
            high: 12.0,
            low: 10.0,
            ..Extra::default()
        },
    );
    feed.advance("+4 23:59:59");
    assert_eq!(feed.rows("1w").len(), 0);
    assert_eq!(feed.forming("1w").volume, 10);
    feed.advance("+5 00:00:03");
    assert_eq!((feed.rows("1w")[0].close, feed.rows("1w")[0].rev), (12.0, 0));
    let monday = Extra {
        open: 12.5,
        high: 12.5,
        low: 12.5,
        close: 11.5,
        ..Extra::default()
    };
    full(&mut feed, "+5 09:15:01", 12.5, 3, monday);
    assert_eq!((feed.rows("1d")[0].close, feed.rows("1d")[0].rev), (11.5, 1));
    assert_eq!((feed.rows("1w")[0].close, feed.rows("1w")[0].rev), (11.5, 1));
}

#[test]
fn minutes_are_the_same_with_and_without_a_day_beside_them() {
    let mut with = joined_day(&["1m", "5m", "1d", "1w"], |_| {});
    let mut without = joined_day(&["1m", "5m"], |_| {});
    for feed in [&mut with, &mut without] {
        feed.advance("+1 00:00:00");
    }
    for interval in ["1m", "5m"] {
        let (a, b) = (with.rows(interval), without.rows(interval));
        assert_eq!(a.len(), b.len());
        assert!(a.iter().zip(&b).all(|(a, b)| a.says_the_same(b)));
    }
}
