//! The worked example of rule R38, and what each kind of bar does at its edges.

use tickloom_core::nontime::{Bar, MAX_BARS_PER_UPDATE, NonTime, NonTimeErrorKind, Update, flags};

fn update(time: i64, price: i64, volume: i64) -> Update {
    Update {
        time,
        price,
        volume,
        side: 0,
        high: None,
        low: None,
        oi: None,
    }
}

fn bars(text: &str) -> NonTime {
    NonTime::parse(text, 100).unwrap()
}

fn run(bars: &mut NonTime, updates: &[Update]) -> Vec<Bar> {
    let mut closed = Vec::new();
    for update in updates {
        bars.push(update, |bar| closed.push(bar));
    }
    closed
}

/// Updates at one price each, a second apart, of volume 1.
fn at_prices(prices: &[i64]) -> Vec<Update> {
    prices
        .iter()
        .enumerate()
        .map(|(second, &price)| update(second as i64, price, 1))
        .collect()
}

fn ohlc(bar: &Bar) -> [i64; 4] {
    [bar.open, bar.high, bar.low, bar.close]
}

#[test]
fn r38_carry_cuts_an_update_where_the_bar_is_full() {
    let mut volume = bars("volume:1000");
    let closed = run(
        &mut volume,
        &[update(1, 10, 600), update(2, 12, 700), update(3, 11, 1_900)],
    );
    assert_eq!(
        closed.iter().map(|bar| bar.volume).collect::<Vec<_>>(),
        [1_000; 3]
    );
    assert_eq!(volume.forming().unwrap().volume, 200);
    assert_eq!(
        closed.iter().map(ohlc).collect::<Vec<_>>(),
        [[10, 12, 10, 12], [12, 12, 11, 11], [11; 4]]
    );
    assert_eq!(
        closed.iter().map(|bar| (bar.start, bar.end)).collect::<Vec<_>>(),
        [(1, 2), (2, 3), (3, 3)]
    );
    assert_eq!(
        closed.iter().map(|bar| bar.updates).collect::<Vec<_>>(),
        [2, 2, 1]
    );
    assert_eq!(closed[0].value2, 2 * (600 * 10 + 400 * 12));
    assert!(closed.iter().all(|bar| bar.flags == 0));
}

#[test]
fn r38_overshoot_keeps_an_update_whole() {
    let mut volume = bars("volume:1000:overshoot");
    let closed = run(
        &mut volume,
        &[update(1, 10, 600), update(2, 12, 700), update(3, 11, 1_900)],
    );
    assert_eq!(
        closed.iter().map(|bar| bar.volume).collect::<Vec<_>>(),
        [1_300, 1_900]
    );
    assert_eq!(volume.forming(), None);
}

#[test]
fn r38_an_update_without_volume_is_no_trade_to_a_volume_bar() {
    let mut volume = bars("volume:10");
    assert_eq!(run(&mut volume, &[update(1, 10, 0), update(2, 10, -5)]), []);
    assert_eq!(volume.forming(), None);
    run(&mut volume, &[update(3, 10, 5), update(4, 99, 0)]);
    assert_eq!(ohlc(&volume.forming().unwrap()), [10; 4]);
}

#[test]
fn r38_recovered_extremes_that_may_be_an_earlier_bars_are_flagged() {
    let extremes = |volume| Update {
        high: Some(15),
        low: Some(5),
        ..update(2, 12, volume)
    };
    let mut whole = bars("volume:1000");
    let closed = run(&mut whole, &[update(1, 10, 600), extremes(400)]);
    assert_eq!((ohlc(&closed[0]), closed[0].flags), ([10, 15, 5, 12], 0));
    let mut cut = bars("volume:1000");
    let closed = run(&mut cut, &[update(1, 10, 600), extremes(700)]);
    assert_eq!((ohlc(&closed[0]), closed[0].flags), ([10, 12, 10, 12], 0));
    let forming = cut.forming().unwrap();
    assert_eq!(
        (ohlc(&forming), forming.flags),
        ([12, 15, 5, 12], flags::H_AMBIG | flags::L_AMBIG)
    );
}

#[test]
fn r38_value_bars_end_with_the_quantity_that_reaches_their_size() {
    // 1,000 rupees at 33.00: 31 pieces are worth 1,023.
    let mut value = bars("value:1e3");
    let closed = run(&mut value, &[update(1, 3_300, 70)]);
    assert_eq!(closed.iter().map(|bar| bar.volume).collect::<Vec<_>>(), [31, 31]);
    assert_eq!((closed[0].value2, closed[0].updates), (2 * 3_300 * 31, 1));
    assert_eq!(value.forming().unwrap().volume, 8);
    let mut exact = bars("value:330");
    assert_eq!(run(&mut exact, &[update(1, 3_300, 20)]).len(), 2);
    assert_eq!(exact.forming(), None);
    // A price of nothing fills no bar, and a negative one fills it like its opposite.
    let mut odd = bars("value:330");
    assert_eq!(run(&mut odd, &[update(1, 0, 1_000_000)]), []);
    let closed = run(&mut odd, &[update(2, -3_300, 10)]);
    assert_eq!((closed.len(), closed[0].value2), (1, -66_000));
}

#[test]
fn r38_update_bars_count_updates_with_and_without_volume() {
    let mut updates = bars("updates:3");
    let closed = run(
        &mut updates,
        &[
            update(1, 10, 5),
            update(2, 12, 0),
            update(3, 9, 7),
            update(4, 11, 1),
        ],
    );
    assert_eq!(closed.len(), 1);
    assert_eq!(
        (ohlc(&closed[0]), closed[0].volume, closed[0].updates),
        ([10, 12, 9, 9], 12, 3)
    );
    assert_eq!((closed[0].start, closed[0].end), (1, 3));
    assert_eq!(updates.forming().unwrap().updates, 1);
}

#[test]
fn r38_range_bars_close_at_one_of_their_ends_and_open_there_again() {
    let mut range = NonTime::parse("range:10", 1).unwrap();
    let closed = run(&mut range, &at_prices(&[100, 104, 96, 106, 107]));
    // 96..104, then up through 106 = 96 + 10.
    assert_eq!(closed.iter().map(ohlc).collect::<Vec<_>>(), [[100, 106, 96, 106]]);
    assert_eq!((closed[0].volume, closed[0].start, closed[0].end), (4, 0, 3));
    assert_eq!(ohlc(&range.forming().unwrap()), [106, 107, 106, 107]);
}

#[test]
fn r38_a_jump_passes_through_range_bars_that_say_so() {
    let mut range = NonTime::parse("range:10", 1).unwrap();
    let closed = run(&mut range, &[update(0, 100, 5), update(1, 75, 9)]);
    assert_eq!(
        closed.iter().map(ohlc).collect::<Vec<_>>(),
        [[100, 100, 90, 90], [90, 90, 80, 80]]
    );
    assert_eq!(closed.iter().map(|bar| bar.volume).collect::<Vec<_>>(), [5, 0]);
    assert_eq!(
        closed.iter().map(|bar| bar.flags).collect::<Vec<_>>(),
        [0, flags::FILLED]
    );
    assert_eq!(
        closed.iter().map(|bar| (bar.start, bar.end)).collect::<Vec<_>>(),
        [(0, 1), (1, 1)]
    );
    // The volume is where the update ended, and it does not end a bar that it only reaches.
    let forming = range.forming().unwrap();
    assert_eq!((ohlc(&forming), forming.volume), ([80, 80, 75, 75], 9));
    let closed = run(&mut range, &[update(2, 70, 3)]);
    assert_eq!((closed[0].volume, closed[0].flags), (12, 0));
    assert_eq!(range.forming(), None);
}

#[test]
fn r38_recovered_extremes_close_range_bars_and_their_order_is_flagged() {
    let mut range = NonTime::parse("range:10", 1).unwrap();
    // Up to 111 and back: one extreme leaves no doubt.
    let closed = run(
        &mut range,
        &[
            update(0, 100, 1),
            Update {
                high: Some(111),
                ..update(1, 105, 1)
            },
        ],
    );
    assert_eq!(
        closed
            .iter()
            .map(|bar| (ohlc(bar), bar.flags))
            .collect::<Vec<_>>(),
        [([100, 110, 100, 110], 0)]
    );
    assert_eq!(ohlc(&range.forming().unwrap()), [110, 111, 105, 105]);
    // Both: the shorter way from 105 by 98 and 112 to 111 goes down first, which is a guess.
    let closed = run(
        &mut range,
        &[Update {
            high: Some(112),
            low: Some(98),
            ..update(2, 111, 1)
        }],
    );
    let shown: Vec<_> = closed.iter().map(|bar| (ohlc(bar), bar.flags)).collect();
    assert_eq!(
        shown,
        [
            ([110, 111, 101, 101], flags::AMBIG),
            ([101, 108, 98, 108], flags::AMBIG | flags::FILLED),
        ]
    );
    assert_eq!(range.forming().unwrap().flags, flags::AMBIG);
    // An order that closes nothing changes nothing.
    let mut quiet = NonTime::parse("range:10", 1).unwrap();
    run(
        &mut quiet,
        &[
            update(0, 100, 1),
            Update {
                high: Some(103),
                low: Some(98),
                ..update(1, 101, 1)
            },
        ],
    );
    let forming = quiet.forming().unwrap();
    assert_eq!((ohlc(&forming), forming.flags), ([100, 103, 98, 101], 0));
}

#[test]
fn r18_extremes_at_first_contact_are_not_used() {
    for text in ["range:10", "renko:10"] {
        let mut path = NonTime::parse(text, 1).unwrap();
        let first = Update {
            high: Some(500),
            low: Some(1),
            ..update(0, 100, 1)
        };
        assert_eq!(run(&mut path, &[first]), []);
        assert_eq!(ohlc(&path.forming().unwrap()), [100; 4]);
    }
}

#[test]
fn r38_renko_bricks_lie_on_multiples_and_turn_after_two() {
    let mut renko = NonTime::parse("renko:10", 1).unwrap();
    // 103 is nearest to 100. Up two bricks, down to 101 is no turn yet, 100 is.
    let closed = run(&mut renko, &at_prices(&[103, 98, 121, 101, 100, 90]));
    assert_eq!(
        closed.iter().map(ohlc).collect::<Vec<_>>(),
        [
            [100, 110, 98, 110],
            [110, 120, 110, 120],
            [110, 121, 100, 100],
            [100, 100, 90, 90],
        ]
    );
    assert_eq!(
        closed.iter().map(|bar| bar.volume).collect::<Vec<_>>(),
        [2, 0, 3, 1]
    );
    assert_eq!(closed[1].flags, flags::FILLED);
    assert_eq!(renko.forming(), None);
    // Two runs that begin elsewhere share their levels.
    let mut other = NonTime::parse("renko:10", 1).unwrap();
    let closed = run(&mut other, &at_prices(&[97, 111]));
    assert_eq!(closed.iter().map(ohlc).collect::<Vec<_>>(), [[100, 110, 97, 110]]);
}

#[test]
fn open_interest_is_the_last_one_told() {
    let mut updates = bars("updates:3");
    let told = |oi| Update {
        oi,
        ..update(1, 10, 1)
    };
    let closed = run(&mut updates, &[told(Some(7)), told(Some(9)), told(None)]);
    assert_eq!(closed[0].oi, Some(9));
}

#[test]
fn one_update_closes_at_most_ten_thousand_bars_and_the_last_takes_the_rest() {
    let mut volume = bars("volume:1");
    let closed = run(&mut volume, &[update(1, 10, 1_000_000_000)]);
    assert_eq!(closed.len(), MAX_BARS_PER_UPDATE);
    let last = closed.last().unwrap();
    assert_eq!((last.volume, last.flags), (1_000_000_000 - 9_999, flags::CAPPED));
    assert!(
        closed[..9_999]
            .iter()
            .all(|bar| (bar.volume, bar.flags) == (1, 0))
    );
    assert_eq!(volume.forming(), None);
    // A rest that would fill one bar more belongs to the last.
    let closed = run(&mut bars("volume:10"), &[update(1, 10, 100_010)]);
    assert_eq!(
        (closed.len(), closed[9_999].volume, closed[9_999].flags),
        (10_000, 20, flags::CAPPED)
    );
    // What fits is not capped: exactly ten thousand bars, and a rest that fills no further one.
    let mut fits = bars("volume:10");
    let closed = run(&mut fits, &[update(1, 10, 100_009)]);
    assert_eq!(
        (closed.len(), closed[9_999].volume, closed[9_999].flags),
        (10_000, 10, 0)
    );
    assert_eq!(fits.forming().unwrap().volume, 9);
}

#[test]
fn a_jump_through_too_many_bars_ends_in_one_that_reaches_the_price() {
    for text in ["range:1", "renko:1"] {
        let mut path = NonTime::parse(text, 1).unwrap();
        let closed = run(&mut path, &[update(0, 100, 5), update(1, 1_000_000, 7)]);
        assert_eq!(closed.len(), MAX_BARS_PER_UPDATE, "{text}");
        let last = closed.last().unwrap();
        assert_eq!(
            (last.close, last.high, last.volume, last.flags),
            (1_000_000, 1_000_000, 7, flags::CAPPED)
        );
        let next = run(&mut path, &[update(2, 1_000_001, 1)]);
        assert_eq!(
            (next.len(), ohlc(&next[0])),
            (1, [1_000_000, 1_000_001, 1_000_000, 1_000_001]),
            "{text}"
        );
    }
}

#[test]
fn a_text_names_bars_and_their_exact_size() {
    for (given, same) in [
        ("value:1e6", "value:1000000"),
        ("value:2.5E+3", "value:2500"),
        ("volume:1e3", "volume:1000"),
        ("volume:1000:carry", "volume:1000"),
        ("volume:2500e-1", "volume:250"),
        ("range:2.50", "range:2.5"),
        ("range:.05", "range:0.05"),
        ("renko:1.", "renko:1"),
        (" updates:100 ", "updates:100"),
    ] {
        assert_eq!(NonTime::parse(given, 100), NonTime::parse(same, 100), "{given}");
        assert!(NonTime::parse(given, 100).is_ok(), "{given}");
    }
    assert_ne!(
        NonTime::parse("range:2.5", 100),
        NonTime::parse("range:2.5", 10_000)
    );
    assert_ne!(
        NonTime::parse("volume:5", 100),
        NonTime::parse("volume:5:overshoot", 100)
    );
}

#[test]
fn a_text_that_names_no_bars_says_what_is_wrong() {
    use NonTimeErrorKind as K;
    let long = format!("volume:{}", "9".repeat(60));
    for (given, kind) in [
        ("", K::Bars),
        ("volume", K::Bars),
        ("ticks:100", K::Bars),
        ("volume:", K::Number),
        ("volume:.", K::Number),
        ("volume:-5", K::Number),
        ("volume:1e", K::Number),
        ("volume:1e5x", K::Number),
        ("volume:५", K::Number),
        ("volume:nan", K::Number),
        ("volume:0", K::Size),
        ("volume:1.5", K::Size),
        ("volume:1e400", K::Size),
        ("volume:1e4000", K::Size),
        ("volume:1e-400", K::Size),
        (&long, K::Size),
        ("updates:5000000000", K::Size),
        ("range:0.001", K::Size),
        ("value:0", K::Size),
        ("volume:5:keep", K::Policy),
        ("range:5:carry", K::Policy),
        ("renko:1:overshoot", K::Policy),
    ] {
        let error = NonTime::parse(given, 100).unwrap_err();
        assert_eq!(error.kind, kind, "{given}");
        assert!(error.to_string().ends_with(&format!("{given:?}")), "{error}");
    }
    // A scale of nothing makes every size nothing.
    assert_eq!(NonTime::parse("range:1", 0).unwrap_err().kind, K::Size);
}
