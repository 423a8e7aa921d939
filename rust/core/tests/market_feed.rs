//! The frames of the seeded market without faults: what every snapshot must respect, and how it arrives.

use std::collections::BTreeMap;

use tickloom_core::market::{Event, Kind, Market, MarketError, Mode, Population};
use tickloom_core::units::{Ns, SECOND, ist_midnight};
use tickloom_core::wire::kite::{Packet, frame};

const DAY: i64 = 20_635;

/// Ten minutes from 09:15 on.
fn short() -> Population {
    Population {
        liquid: 6,
        middling: 8,
        thin: 8,
        indices: 2,
        end: 33_900,
        ..Population::default()
    }
}

fn market(population: Population, seed: u64) -> Market {
    Market::new(population.config(DAY, 1).unwrap(), seed).unwrap()
}

/// Frames only, with their receive time.
fn frames(market: &mut Market) -> Vec<(Ns, Vec<u8>)> {
    let frame_of = |event| match event {
        Event::Frame { received_ns, bytes } => Some((received_ns, bytes)),
        _ => None,
    };
    market.events().filter_map(frame_of).collect()
}

fn fingerprint(market: &mut Market) -> u64 {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    market
        .events()
        .fold(0xcbf2_9ce4_8422_2325, |hash, event| match event {
            Event::Frame { received_ns, bytes } => received_ns
                .to_be_bytes()
                .into_iter()
                .chain(bytes)
                .fold(hash, fold),
            Event::Disconnected { at } | Event::Connected { at } => {
                at.to_be_bytes().into_iter().fold(hash, fold)
            }
        })
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let first = fingerprint(&mut market(short(), 1));
    let mut again = market(short(), 1);
    assert_eq!(first, fingerprint(&mut again));
    // A second run of the same market starts from the beginning.
    assert_eq!(first, fingerprint(&mut again));
    assert_ne!(first, fingerprint(&mut market(short(), 2)));
}

#[test]
fn every_frame_decodes_whole_and_respects_its_limit() {
    let mut market = market(
        Population {
            packets_per_frame: 5,
            ..short()
        },
        1,
    );
    let mut largest = 0;
    for (_, bytes) in frames(&mut market) {
        let mut walk = frame(&bytes);
        let packets = walk.by_ref().count();
        assert!(walk.error().is_none() && packets > 0);
        largest = largest.max(packets);
    }
    assert_eq!(largest, 5);
}

#[test]
fn receive_times_never_fall_and_the_first_event_is_the_connection() {
    let mut market = market(short(), 1);
    let opening = ist_midnight(DAY) + 32_400 * SECOND;
    assert_eq!(market.events().next(), Some(Event::Connected { at: opening }));
    let frames = frames(&mut market);
    assert!(frames.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    assert!(frames.len() > 1_000);
}

#[test]
fn delays_lie_between_0_41_and_2_98_seconds_with_a_mean_of_0_92() {
    let mut market = market(
        Population {
            liquid: 60,
            ..short()
        },
        1,
    );
    let mut delays = Vec::new();
    for (received, bytes) in frames(&mut market) {
        for body in frame(&bytes) {
            if let Packet::Full(full) = Packet::read(body) {
                delays.push(received - Ns::from(full.exchange_timestamp.get()) * SECOND);
            }
        }
    }
    let mean = delays.iter().sum::<Ns>() / delays.len() as Ns;
    assert!(*delays.iter().min().unwrap() >= 410_000_000);
    assert!(*delays.iter().max().unwrap() <= 2_980_000_000);
    assert!((900_000_000..940_000_000).contains(&mean), "{mean}");
    assert!(*delays.iter().max().unwrap() > 2_500_000_000);
}

#[test]
fn every_full_packet_agrees_with_the_trades_up_to_its_instant() {
    let mut market = market(short(), 4);
    let frames = frames(&mut market);
    let mut books = BTreeMap::new();
    for instrument in market.instruments().iter().filter(|i| i.kind != Kind::Index) {
        // By cumulative volume: the trade that made it, and the day so far.
        let mut by_volume = BTreeMap::new();
        let (mut volume, mut value, mut high, mut low) = (0_u64, 0_u64, 0, u32::MAX);
        for trade in market.trades(instrument.token).unwrap() {
            volume += u64::from(trade.quantity);
            value += u64::from(trade.price) * u64::from(trade.quantity);
            (high, low) = (high.max(trade.price), low.min(trade.price));
            by_volume.insert(volume as u32, (trade, value, high, low));
        }
        books.insert(instrument.token, (by_volume, instrument.base_price));
    }
    let (mut last, mut without_trade, mut packets) = (BTreeMap::new(), 0, 0);
    for (received, bytes) in frames {
        for body in frame(&bytes) {
            let Packet::Full(full) = Packet::read(body) else {
                continue;
            };
            let token = full.instrument_token.get();
            let (by_volume, base_price) = &books[&token];
            let volume = full.volume_traded.get();
            packets += 1;
            assert_eq!(full.close.get(), *base_price);
            let before = last.insert(token, volume).unwrap_or(0);
            assert!(before <= volume, "cumulative volume fell");
            without_trade += u32::from(before == volume);
            let stamps = (full.last_trade_time.get(), full.exchange_timestamp.get());
            assert!(stamps.0 <= stamps.1 && Ns::from(stamps.1) * SECOND < received);
            if volume == 0 {
                let day = [full.open, full.high, full.low, full.average_traded_price];
                assert!(day.iter().all(|field| field.get() == 0));
                assert_eq!(full.last_price.get(), *base_price);
                continue;
            }
            let (trade, value, high, low) = by_volume[&volume];
            assert_eq!(full.last_price.get(), trade.price);
            assert_eq!(full.last_traded_quantity.get(), trade.quantity);
            assert_eq!(Ns::from(stamps.0), trade.time / SECOND);
            assert_eq!((full.high.get(), full.low.get()), (high, low));
            let mean = value as f64 / f64::from(volume);
            assert!((f64::from(full.average_traded_price.get()) - mean).abs() <= 0.5);
            assert!(full.bids[0].price.get() < full.asks[0].price.get());
            assert!(full.bids.windows(2).all(|b| b[0].price.get() > b[1].price.get()));
        }
    }
    assert!(
        without_trade * 2 > packets,
        "most full ticks carry no trade: {without_trade} of {packets}"
    );
    for instrument in market.instruments().iter().filter(|i| i.kind != Kind::Index) {
        let total: u64 = market
            .trades(instrument.token)
            .unwrap()
            .iter()
            .map(|t| u64::from(t.quantity))
            .sum();
        assert_eq!(last.get(&instrument.token).map_or(0, |&v| u64::from(v)), total);
        assert_eq!(market.delivered_volume(instrument.token), Some(total));
    }
}

#[test]
fn the_opening_auction_is_one_print_after_quotes_without_volume() {
    let mut market = market(short(), 6);
    let frames = frames(&mut market);
    let midnight = ist_midnight(DAY) / SECOND;
    for instrument in market
        .instruments()
        .iter()
        .filter(|i| i.hours.opening_auction.is_some())
    {
        let of_name =
            frames
                .iter()
                .flat_map(|(_, bytes)| frame(bytes))
                .filter_map(|body| match Packet::read(body) {
                    Packet::Full(full) if full.instrument_token.get() == instrument.token => Some(*full),
                    _ => None,
                });
        let second = |full: &tickloom_core::wire::kite::packet::Full| {
            i64::from(full.exchange_timestamp.get()) - midnight
        };
        let preopen: Vec<_> = of_name.filter(|full| second(full) < 33_300).collect();
        if instrument.kind == Kind::Index {
            continue;
        }
        let quotes = preopen
            .iter()
            .filter(|full| full.volume_traded.get() == 0)
            .count();
        assert!(quotes > 50, "{quotes}");
        let mut prints: Vec<u32> = preopen.iter().map(|full| full.volume_traded.get()).collect();
        prints.dedup();
        assert_eq!(prints.len(), 2, "nothing, then one print");
        let first = preopen.iter().find(|full| full.volume_traded.get() > 0).unwrap();
        let print = i64::from(first.last_trade_time.get()) - midnight;
        assert!((32_820..32_880).contains(&print), "{print}");
    }
}

#[test]
fn an_index_follows_its_components_once_a_second_without_volume() {
    let mut market = market(short(), 6);
    let frames = frames(&mut market);
    for index in market.instruments().iter().filter(|i| i.kind == Kind::Index) {
        let levels = frames
            .iter()
            .flat_map(|(_, bytes)| frame(bytes))
            .filter_map(|body| match Packet::read(body) {
                Packet::IndexFull(full) if full.instrument_token.get() == index.token => Some((
                    full.exchange_timestamp.get(),
                    full.last_price.get(),
                    full.open.get(),
                )),
                _ => None,
            });
        let midnight = (ist_midnight(DAY) / SECOND) as u32;
        let in_session = |stamp: u32| (33_300..=33_900).contains(&(stamp - midnight));
        let levels: Vec<_> = levels.collect();
        assert!(
            levels
                .iter()
                .filter(|l| l.0 < midnight + 33_300)
                .all(|l| l.2 == 0),
            "no open before the session"
        );
        let session: Vec<_> = levels.into_iter().filter(|l| in_session(l.0)).collect();
        assert!((570..=601).contains(&session.len()), "{}", session.len());
        let bars = market.truth(index.token, 60).unwrap();
        assert_eq!(
            bars.iter().map(|bar| bar.trades).sum::<u32>() as usize,
            session.len()
        );
        for bar in bars {
            // The level published exactly at the end of the session belongs to the last bar.
            let until = if bar.end == ist_midnight(DAY) + 33_900 * SECOND {
                bar.end + 1
            } else {
                bar.end
            };
            let inside = |l: &&(u32, u32, u32)| (bar.start..until).contains(&(Ns::from(l.0) * SECOND));
            let levels: Vec<u32> = session.iter().filter(inside).map(|l| l.1).collect();
            assert_eq!((bar.open, bar.close), (levels[0], levels[levels.len() - 1]));
            assert_eq!(Some(bar.high), levels.iter().copied().max());
            assert_eq!((Some(bar.low), bar.volume), (levels.iter().copied().min(), 0));
        }
    }
}

#[test]
fn open_interest_moves_with_and_without_trades_and_only_for_derivatives() {
    let mut market = market(
        Population {
            liquid: 10,
            ..short()
        },
        6,
    );
    let frames = frames(&mut market);
    let (mut with, mut without) = (0, 0);
    let mut last = BTreeMap::new();
    for body in frames.iter().flat_map(|(_, bytes)| frame(bytes)) {
        let Packet::Full(full) = Packet::read(body) else {
            continue;
        };
        let token = full.instrument_token.get();
        if token & 0xff == 1 {
            assert_eq!(full.oi.get(), 0);
            continue;
        }
        assert!(full.oi_day_low.get() <= full.oi.get() && full.oi.get() <= full.oi_day_high.get());
        let now = (full.volume_traded.get(), full.oi.get());
        if let Some((volume, oi)) = last.insert(token, now) {
            with += u32::from(oi != now.1 && volume != now.0);
            without += u32::from(oi != now.1 && volume == now.0);
        }
    }
    assert!(with > 100 && without > 10, "{with} {without}");
}

#[test]
fn snapshots_fall_on_every_phase_of_the_second() {
    // A packet's phase is not on the wire; but the trades that it has just missed tell it.
    let mut market = market(
        Population {
            liquid: 20,
            middling: 0,
            thin: 0,
            ..short()
        },
        2,
    );
    let frames = frames(&mut market);
    let mut phases = [0_u32; 10];
    for instrument in market.instruments().iter().filter(|i| i.kind != Kind::Index) {
        let trades = market.trades(instrument.token).unwrap();
        let mut next_of = BTreeMap::new();
        let mut volume = 0_u32;
        for pair in trades.windows(2) {
            volume += pair[0].quantity;
            next_of.insert(volume, pair[1].time);
        }
        for body in frames.iter().flat_map(|(_, bytes)| frame(bytes)) {
            let Packet::Full(full) = Packet::read(body) else {
                continue;
            };
            if full.instrument_token.get() != instrument.token {
                continue;
            }
            let Some(next) = next_of.get(&full.volume_traded.get()) else {
                continue;
            };
            if next / SECOND == Ns::from(full.exchange_timestamp.get()) {
                phases[(next % SECOND / 100_000_000) as usize] += 1;
            }
        }
    }
    assert!(phases.iter().all(|&n| n > 20), "{phases:?}");
}

#[test]
fn modes_choose_the_packet() {
    for (mode, tradable, index) in [(Mode::Ltp, 8, 8), (Mode::Quote, 44, 28), (Mode::Full, 184, 32)] {
        let mut market = market(Population { mode, ..short() }, 1);
        let mut lengths = BTreeMap::new();
        for (_, bytes) in frames(&mut market) {
            for body in frame(&bytes) {
                let is_index = Packet::read(body).instrument_token().unwrap() & 0xff == 9;
                *lengths.entry((is_index, body.len())).or_insert(0) += 1;
            }
        }
        assert_eq!(
            lengths.into_keys().collect::<Vec<_>>(),
            [(false, tradable), (true, index)]
        );
    }
}

#[test]
fn a_configuration_that_contradicts_itself_is_refused() {
    let refuse = |change: fn(&mut tickloom_core::market::MarketConfig)| {
        let mut config = short().config(DAY, 1).unwrap();
        change(&mut config);
        Market::new(config, 1).err().unwrap()
    };
    assert_eq!(refuse(|c| c.instruments.clear()), MarketError::NoInstruments);
    assert_eq!(refuse(|c| c.days = 0), MarketError::BadDays(0));
    assert_eq!(refuse(|c| c.rate = f64::NAN), MarketError::BadRate);
    assert_eq!(refuse(|c| c.packets_per_frame = 0), MarketError::BadFrameSize);
    assert_eq!(
        refuse(|c| c.faults.drop = 1.5),
        MarketError::BadProbability("drop")
    );
    assert_eq!(
        refuse(|c| c.faults.disconnections = vec![(5, 5)]),
        MarketError::BadDisconnection
    );
    let token = short().config(DAY, 1).unwrap().instruments[0].token;
    assert_eq!(refuse(|c| c.instruments[0].lot = 0), MarketError::BadLot(token));
    assert_eq!(
        refuse(|c| c.instruments[0].tick_size = 0),
        MarketError::BadPrice(token)
    );
    assert_eq!(
        refuse(|c| c.instruments[0].hours.close = 0),
        MarketError::BadHours(token)
    );
    assert_eq!(
        refuse(|c| c.instruments[1].token = c.instruments[0].token),
        MarketError::DuplicateToken(token)
    );
    let crowd = Population {
        thin: 100_001,
        ..short()
    }
    .config(DAY, 1);
    assert_eq!(crowd, Err(MarketError::TooManyInstruments(100_001)));
    let short_cas = Population { cas: true, ..short() }.config(DAY, 1);
    assert_eq!(short_cas, Err(MarketError::TooShortForClosingAuction));
}

#[test]
fn a_closing_auction_is_quotes_without_volume_and_then_one_print_and_post_close_follows_it() {
    // 2026-08-03, the last hour of the day.
    let population = Population {
        liquid: 4,
        middling: 4,
        thin: 2,
        start: 52_200,
        cas: true,
        postclose: true,
        ..short()
    };
    let population = Population {
        end: 55_800,
        ..population
    };
    let day = 20_668;
    let mut market = Market::new(population.config(day, 1).unwrap(), 3).unwrap();
    let frames = frames(&mut market);
    let midnight = ist_midnight(day) / SECOND;
    for instrument in market
        .instruments()
        .iter()
        .filter(|i| i.hours.closing_auction.is_some())
    {
        let of_name =
            frames
                .iter()
                .flat_map(|(_, bytes)| frame(bytes))
                .filter_map(|body| match Packet::read(body) {
                    Packet::Full(full) if full.instrument_token.get() == instrument.token => {
                        let second = |stamp: u32| i64::from(stamp) - midnight;
                        let stamps = (
                            second(full.exchange_timestamp.get()),
                            second(full.last_trade_time.get()),
                        );
                        Some((
                            stamps.0,
                            stamps.1,
                            full.volume_traded.get(),
                            full.last_price.get(),
                        ))
                    }
                    _ => None,
                });
        let packets: Vec<_> = of_name.collect();
        let between = |from: i64, to: i64| packets.iter().filter(move |p| (from..to).contains(&p.0));
        // From the first second after the continuous session to the print, the volume stands still.
        let mut quiet: Vec<u32> = between(54_902, 55_800).map(|p| p.2).collect();
        assert!(quiet.len() > 100);
        quiet.dedup();
        assert_eq!(quiet.len(), 1, "{}", instrument.symbol);
        let print = packets.iter().find(|p| p.2 > quiet[0]).unwrap();
        assert!((55_800..56_100).contains(&print.1), "{print:?}");
        // 15:50 to 16:00 at the closing price.
        for post in between(56_102, 90_000).filter(|p| p.2 > print.2) {
            assert!(
                (57_000..57_600).contains(&post.1) && post.3 == print.3,
                "{post:?}"
            );
        }
        assert_eq!(
            market.delivered_volume(instrument.token),
            packets.last().map(|p| p.2.into())
        );
    }
}
