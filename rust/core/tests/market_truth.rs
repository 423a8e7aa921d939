//! The truth of the seeded market against its own trades, aggregated again the slow way.

use std::collections::BTreeMap;

use tickloom_core::market::{Kind, Liquidity, Market, Phase, Population, Trade, TruthBar};
use tickloom_core::units::{Ns, SECOND, ist_day};

/// 2026-07-01, a Wednesday.
const DAY: i64 = 20_635;
/// 2026-08-03, a Monday: the first date of the closing auction.
const CAS_DAY: i64 = 20_668;

/// Start, open, high, low, close, volume, value, trades.
type Row = (Ns, u32, u32, u32, u32, u64, u64, u32);

fn market(population: Population, day: i64, days: u32, seed: u64) -> Market {
    Market::new(population.config(day, days).unwrap(), seed).unwrap()
}

fn crowd() -> Population {
    Population {
        liquid: 6,
        middling: 6,
        thin: 6,
        indices: 1,
        ..Population::default()
    }
}

fn slow_bars(trades: &[Trade], open: Ns, close: Ns, interval: Ns) -> Vec<Row> {
    let mut bars: BTreeMap<Ns, Vec<&Trade>> = BTreeMap::new();
    for trade in trades.iter().filter(|trade| trade.phase == Phase::Continuous) {
        let mut start = open;
        while start + interval <= trade.time && start + interval < close {
            start += interval;
        }
        bars.entry(start).or_default().push(trade);
    }
    let fold = |(start, trades): (Ns, Vec<&Trade>)| {
        let prices = || trades.iter().map(|trade| trade.price);
        (
            start,
            trades[0].price,
            prices().max().unwrap(),
            prices().min().unwrap(),
            trades[trades.len() - 1].price,
            trades.iter().map(|trade| u64::from(trade.quantity)).sum(),
            trades
                .iter()
                .map(|trade| u64::from(trade.price) * u64::from(trade.quantity))
                .sum(),
            trades.len() as u32,
        )
    };
    bars.into_iter().map(fold).collect()
}

fn row(bar: &TruthBar) -> Row {
    (
        bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.value, bar.trades,
    )
}

#[test]
fn the_bars_are_the_trades_aggregated_the_slow_way() {
    let market = market(crowd(), DAY, 1, 3);
    for instrument in market.instruments().iter().filter(|i| i.kind != Kind::Index) {
        let trades = market.trades(instrument.token).unwrap();
        let midnight = tickloom_core::units::ist_midnight(DAY);
        let open = midnight + Ns::from(instrument.hours.open) * SECOND;
        let close = midnight + Ns::from(instrument.hours.close) * SECOND;
        // 7 minutes leave a stub, 60 minutes leave half an hour (R7).
        for seconds in [60, 420, 900, 3_600] {
            let truth: Vec<_> = market
                .truth(instrument.token, seconds)
                .unwrap()
                .iter()
                .map(row)
                .collect();
            assert_eq!(
                truth,
                slow_bars(&trades, open, close, Ns::from(seconds) * SECOND),
                "{}",
                instrument.symbol
            );
        }
    }
}

#[test]
fn a_trade_at_the_very_end_of_the_session_is_in_the_last_bar() {
    let market = market(
        Population {
            liquid: 12,
            ..Population::default()
        },
        DAY,
        1,
        5,
    );
    let mut seen = 0;
    for instrument in market.instruments() {
        let close = tickloom_core::units::ist_midnight(DAY) + Ns::from(instrument.hours.close) * SECOND;
        let trades = market.trades(instrument.token).unwrap();
        let at_close = trades
            .iter()
            .any(|trade| trade.time == close && trade.phase == Phase::Continuous);
        let bars = market.truth(instrument.token, 60).unwrap();
        assert_eq!(bars.last().unwrap().end, close);
        if at_close {
            seen += 1;
            assert_eq!(bars.last().unwrap().close, trades.last().unwrap().price);
        }
    }
    assert!((1..12).contains(&seen), "{seen}");
}

#[test]
fn bars_and_prints_add_up_to_the_day_also_with_a_closing_auction() {
    let population = Population {
        cas: true,
        postclose: true,
        ..crowd()
    };
    let market = market(population, CAS_DAY, 3, 11);
    let days = market.days();
    assert_eq!(days, [CAS_DAY, CAS_DAY + 1, CAS_DAY + 2]);
    for instrument in market.instruments().iter().filter(|i| i.kind != Kind::Index) {
        let bars = market.truth(instrument.token, 300).unwrap();
        let truth = market.truth_days(instrument.token).unwrap();
        assert_eq!(truth.iter().map(|day| day.day).collect::<Vec<_>>(), days);
        for day in truth {
            let of_day = |bar: &&TruthBar| ist_day(bar.start) == day.day;
            let in_bars: u64 = bars.iter().filter(of_day).map(|bar| bar.volume).sum();
            let prints = day.auction_open.volume + day.auction_close.volume + day.post.volume;
            assert_eq!(in_bars + prints, day.bar.volume, "{}", instrument.symbol);
            let cas = instrument.kind == Kind::Equity && instrument.liquidity == Liquidity::Liquid;
            assert_eq!(day.auction_close.volume > 0, cas, "{}", instrument.symbol);
            assert_eq!(day.auction_open.volume > 0, instrument.kind != Kind::Option);
            if cas {
                let second = (day.auction_close.time - tickloom_core::units::ist_midnight(day.day)) / SECOND;
                assert!((55_800..56_100).contains(&second), "{second}");
                // Post-close volume changes hands at the closing price.
                assert!(day.post.volume == 0 || day.post.price == day.auction_close.price);
            }
        }
    }
}

#[test]
fn liquidity_means_what_it_says() {
    let market = market(
        Population {
            liquid: 4,
            middling: 8,
            thin: 30,
            ..Population::default()
        },
        DAY,
        1,
        1,
    );
    let mean = |liquidity| {
        let names = || market.instruments().iter().filter(|i| i.liquidity == liquidity);
        let trades: usize = names().map(|i| market.trades(i.token).unwrap().len()).sum();
        trades as f64 / names().count() as f64 / 22_500.0
    };
    let rates = [
        mean(Liquidity::Liquid),
        mean(Liquidity::Middling),
        mean(Liquidity::Thin),
    ];
    assert!((2.5..3.5).contains(&rates[0]), "{rates:?}");
    assert!((0.25..0.35).contains(&rates[1]), "{rates:?}");
    assert!((1.0 / 300.0..1.0 / 130.0).contains(&rates[2]), "{rates:?}");
}

#[test]
fn trading_is_busier_at_both_ends_than_in_the_middle() {
    let market = market(
        Population {
            liquid: 4,
            ..Population::default()
        },
        DAY,
        1,
        2,
    );
    let mut hours = [0_u32; 25];
    for instrument in market.instruments() {
        for bar in market.truth(instrument.token, 900).unwrap() {
            let midnight = tickloom_core::units::ist_midnight(DAY);
            hours[((bar.start - midnight) / SECOND - 33_300) as usize / 900] += bar.trades;
        }
    }
    assert!(hours[0] > 2 * hours[12] && hours[24] > 2 * hours[12], "{hours:?}");
}

#[test]
fn several_trades_share_a_second_and_prices_bounce_on_the_grid() {
    let market = market(
        Population {
            liquid: 1,
            ..Population::default()
        },
        DAY,
        1,
        9,
    );
    let instrument = &market.instruments()[0];
    let trades = market.trades(instrument.token).unwrap();
    assert!(trades.windows(2).all(|pair| pair[0].time <= pair[1].time));
    assert!(
        trades
            .iter()
            .all(|trade| trade.price % instrument.tick_size == 0 && trade.quantity > 0)
    );
    let crowded = trades
        .windows(3)
        .filter(|t| t[0].time / SECOND == t[2].time / SECOND)
        .count();
    assert!(crowded > 1_000, "{crowded}");
    let moves: Vec<i64> = trades
        .windows(2)
        .map(|t| i64::from(t[1].price) - i64::from(t[0].price))
        .filter(|&step| step != 0)
        .collect();
    // A bounce between bid and ask makes successive moves cancel out more often than not.
    let turns = moves.windows(2).map(|m| (m[0] * m[1]).signum()).sum::<i64>();
    assert!(turns < -1_000, "{turns}");
    // Fat tails: some moves are far beyond the ordinary one.
    let ordinary = moves.iter().map(|m| m.abs()).sum::<i64>() / moves.len() as i64;
    let largest = moves.iter().map(|m| m.abs()).max().unwrap();
    assert!(largest > 10 * ordinary.max(1), "{largest} {ordinary}");
}

#[test]
fn trading_dates_skip_weekends_and_carry_the_close() {
    // 2026-07-03 is a Friday.
    let market = market(
        Population {
            liquid: 2,
            ..Population::default()
        },
        DAY + 2,
        2,
        4,
    );
    assert_eq!(market.days(), [DAY + 2, DAY + 5]);
    for instrument in market.instruments() {
        let days = market.truth_days(instrument.token).unwrap();
        let (close, open) = (f64::from(days[0].bar.close), f64::from(days[1].bar.open));
        assert!((open / close - 1.0).abs() < 0.01, "{close} {open}");
    }
}

#[test]
fn the_truth_does_not_depend_on_the_faults_or_on_what_has_run() {
    let calm = market(crowd(), DAY, 2, 8);
    let mut faults =
        tickloom_core::market::Faults::all(tickloom_core::units::ist_midnight(DAY) + 33_300 * SECOND);
    faults.wrap = 0;
    let mut rough = market(Population { faults, ..crowd() }, DAY, 2, 8);
    rough.events().take(5_000).for_each(drop);
    for instrument in calm.instruments() {
        assert_eq!(
            calm.truth(instrument.token, 60),
            rough.truth(instrument.token, 60)
        );
        assert_eq!(
            calm.truth_days(instrument.token),
            rough.truth_days(instrument.token)
        );
    }
}

#[test]
fn unknown_tokens_and_an_interval_of_zero_have_no_truth() {
    let market = market(crowd(), DAY, 1, 1);
    assert!(market.truth(1, 60).is_none() && market.trades(1).is_none() && market.truth_days(1).is_none());
    assert!(market.truth(market.instruments()[0].token, 0).is_none());
    assert!(market.delivered(1).is_none() && market.delivered_volume(1).is_none());
}

#[test]
fn commodities_and_currencies_keep_their_own_hours_and_price_grids() {
    let population = Population {
        liquid: 1,
        commodities: 2,
        currencies: 2,
        ..Population::default()
    };
    let market = market(population.clone(), DAY, 1, 1);
    let others: Vec<_> = market
        .instruments()
        .iter()
        .filter(|i| matches!(i.segment(), 3 | 7))
        .collect();
    assert_eq!(others.len(), 4);
    for instrument in others {
        let (open, close, grid) = if instrument.segment() == 7 {
            (32_400, 84_600, 100)
        } else {
            (32_400, 61_200, 25_000)
        };
        let midnight = tickloom_core::units::ist_midnight(DAY);
        let bars = market.truth(instrument.token, 3_600).unwrap();
        // R6 and R7: hours from 09:00 on, the last one a stub where half an hour is left.
        assert!(
            bars.iter()
                .all(|bar| (bar.start - midnight) / SECOND % 3_600 == 0)
        );
        assert_eq!(bars[0].start, midnight + open * SECOND);
        assert_eq!(bars.last().unwrap().end, midnight + close * SECOND);
        let trades = market.trades(instrument.token).unwrap();
        assert!(
            trades
                .iter()
                .all(|trade| trade.price % grid == 0 && trade.phase == Phase::Continuous)
        );
    }
    let compressed = self::market(
        Population {
            end: 33_900,
            ..population
        },
        DAY,
        1,
        1,
    );
    assert!(
        compressed
            .instruments()
            .iter()
            .all(|i| (i.hours.open, i.hours.close) == (33_300, 33_900))
    );
}
