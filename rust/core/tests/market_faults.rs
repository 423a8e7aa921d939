//! Each fault of the seeded market does what it says, and the account of what was delivered stays right.

use std::collections::BTreeMap;

use tickloom_core::market::{Event, Faults, Kind, Market, Population};
use tickloom_core::units::{Ns, SECOND, ist_day, ist_midnight};
use tickloom_core::wire::kite::packet::Full;
use tickloom_core::wire::kite::{Packet, frame};

const DAY: i64 = 20_635;
const OPEN: Ns = ist_midnight(DAY) + 33_300 * SECOND;

/// Ten minutes from 09:15 on.
fn market(faults: Faults) -> Market {
    let population = Population {
        liquid: 10,
        middling: 10,
        thin: 10,
        indices: 1,
        end: 33_900,
        faults,
        ..Population::default()
    };
    Market::new(population.config(DAY, 1).unwrap(), 1).unwrap()
}

fn packets(market: &mut Market) -> Vec<(Ns, Full)> {
    let mut packets = Vec::new();
    for event in market.events() {
        let Event::Frame { received_ns, bytes } = event else {
            continue;
        };
        let whole = frame(&bytes).filter_map(|body| match Packet::read(body) {
            Packet::Full(full) => Some((received_ns, *full)),
            _ => None,
        });
        packets.extend(whole);
    }
    packets
}

/// How many packets in a row, by instrument, have a lower stamp or volume than the one before.
fn inversions(packets: &[(Ns, Full)]) -> (u32, u32) {
    let (mut stamps, mut volumes, mut last) = (0, 0, BTreeMap::new());
    for (_, full) in packets {
        let now = (full.exchange_timestamp.get(), full.volume_traded.get());
        if let Some((stamp, volume)) = last.insert(full.instrument_token.get(), now) {
            stamps += u32::from(now.0 < stamp);
            volumes += u32::from(now.1 < volume);
        }
    }
    (stamps, volumes)
}

#[test]
fn without_faults_nothing_is_out_of_order() {
    assert_eq!(inversions(&packets(&mut market(Faults::default()))), (0, 0));
}

#[test]
fn drop_loses_its_share_of_the_snapshots() {
    let all = packets(&mut market(Faults::default())).len() as f64;
    let left = packets(&mut market(Faults {
        drop: 0.25,
        ..Faults::default()
    }))
    .len() as f64;
    assert!((0.73..0.77).contains(&(left / all)), "{left} of {all}");
}

#[test]
fn duplicate_sends_its_share_of_the_snapshots_twice_within_about_a_second() {
    let all = packets(&mut market(Faults::default())).len() as f64;
    let doubled = packets(&mut market(Faults {
        duplicate: 0.25,
        ..Faults::default()
    }));
    assert!((1.23..1.27).contains(&(doubled.len() as f64 / all)));
    let mut seen: BTreeMap<Vec<u8>, Ns> = BTreeMap::new();
    let mut twice = 0;
    for (received, full) in &doubled {
        let key = format!("{full:?}").into_bytes();
        if let Some(first) = seen.insert(key, *received) {
            twice += 1;
            assert!((0..1_050_000_000).contains(&(received - first)));
        }
    }
    assert_eq!(f64::from(twice), doubled.len() as f64 - all);
}

#[test]
fn reorder_lets_snapshots_be_overtaken_by_at_most_two_seconds() {
    let reordered = packets(&mut market(Faults {
        reorder: 0.1,
        ..Faults::default()
    }));
    assert_eq!(reordered.len(), packets(&mut market(Faults::default())).len());
    assert!(inversions(&reordered).0 > 100);
    let late = |(received, full): &(Ns, Full)| received - Ns::from(full.exchange_timestamp.get()) * SECOND;
    let latest = reordered.iter().map(late).max().unwrap();
    assert!((3_000_000_000..4_980_000_000).contains(&latest), "{latest}");
}

#[test]
fn a_delay_spike_holds_everything_and_keeps_the_order() {
    let mut market = market(Faults {
        delay_spike: 0.03,
        ..Faults::default()
    });
    let packets = packets(&mut market);
    assert_eq!(inversions(&packets), (0, 0));
    let silences = packets
        .windows(2)
        .map(|pair| pair[1].0 - pair[0].0)
        .filter(|&gap| gap > 950_000_000);
    let silences: Vec<Ns> = silences.collect();
    assert!((5..60).contains(&silences.len()), "{}", silences.len());
    assert!(silences.iter().all(|&gap| gap < 7 * SECOND));
}

#[test]
fn a_stale_first_tick_shows_the_previous_date_and_comes_first() {
    let packets = packets(&mut market(Faults {
        stale_first: 1.0,
        ..Faults::default()
    }));
    let (mut seen, mut stale) = (BTreeMap::new(), 0);
    for (received, full) in &packets {
        let nth = seen.entry(full.instrument_token.get()).or_insert(0);
        let day = ist_day(Ns::from(full.exchange_timestamp.get()) * SECOND);
        assert_eq!(day, if *nth == 0 { DAY - 1 } else { DAY });
        if *nth == 0 {
            stale += 1;
            assert!(full.volume_traded.get() > 0 && *received < OPEN - 890 * SECOND);
        }
        *nth += 1;
    }
    assert_eq!(stale, 30);
}

#[test]
fn a_disconnection_is_announced_and_nothing_arrives_in_it() {
    // Across the edge of the second minute, then of the fifth.
    let cuts = vec![
        (OPEN + 110 * SECOND, OPEN + 130 * SECOND),
        (OPEN + 290 * SECOND, OPEN + 310 * SECOND),
    ];
    let mut market = market(Faults {
        disconnections: cuts.clone(),
        ..Faults::default()
    });
    let (mut changes, mut first_after, mut connected_at) = (Vec::new(), BTreeMap::new(), None);
    let mut last = Ns::MIN;
    for event in market.events() {
        let at = match &event {
            Event::Frame { received_ns, .. } => *received_ns,
            Event::Connected { at } | Event::Disconnected { at } => *at,
        };
        assert!(last <= at, "events in order of time");
        last = at;
        match event {
            Event::Connected { at } => {
                changes.push((true, at));
                connected_at = Some(at);
                first_after.clear();
            }
            Event::Disconnected { at } => {
                changes.push((false, at));
                connected_at = None;
            }
            Event::Frame { received_ns, bytes } => {
                let since = connected_at.expect("no frame while disconnected");
                for body in frame(&bytes) {
                    let token = Packet::read(body).instrument_token().unwrap();
                    first_after.entry(token).or_insert(received_ns - since);
                }
            }
        }
    }
    let opening = OPEN - 900 * SECOND;
    let expected: Vec<(bool, Ns)> = [(true, opening)]
        .into_iter()
        .chain(cuts.iter().flat_map(|&(from, to)| [(false, from), (true, to)]))
        .collect();
    assert_eq!(changes, expected);
    // Every name, also the thin ones, is answered with its cached tick soon after the reconnection. A
    // late snapshot from before may delay it by what a snapshot may be late.
    assert_eq!(first_after.len(), 31);
    assert!(first_after.values().all(|&after| after < 3 * SECOND));
}

#[test]
fn a_truncated_frame_keeps_the_packets_before_the_cut() {
    let mut market = market(Faults {
        truncate: 0.5,
        ..Faults::default()
    });
    let (mut cut, mut frames, mut whole) = (0_u32, 0_u32, BTreeMap::new());
    for event in market.events() {
        let Event::Frame { bytes, .. } = event else {
            continue;
        };
        let mut walk = frame(&bytes);
        for body in walk.by_ref() {
            *whole
                .entry(Packet::read(body).instrument_token().unwrap())
                .or_insert(0) += 1;
        }
        frames += 1;
        cut += u32::from(walk.error().is_some());
    }
    assert!((0.45..0.55).contains(&(f64::from(cut) / f64::from(frames))));
    for instrument in market.instruments() {
        let counted = market.delivered(instrument.token).unwrap()[0].packets;
        assert_eq!(counted, whole.get(&instrument.token).copied().unwrap_or(0));
    }
}

#[test]
fn a_rollback_lasts_a_few_snapshots_and_is_not_in_the_account() {
    let mut market = market(Faults {
        rollback: 0.01,
        ..Faults::default()
    });
    let packets = packets(&mut market);
    assert!(inversions(&packets).1 > 20);
    assert_eq!(inversions(&packets).0, 0);
    let mut runs: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
    for (_, full) in &packets {
        let (highest, run) = runs.entry(full.instrument_token.get()).or_default();
        let volume = full.volume_traded.get();
        *run = if volume < *highest { *run + 1 } else { 0 };
        // One rollback may follow another, so a little more than four.
        assert!(*run <= 12);
        *highest = volume.max(*highest);
    }
    for instrument in market.instruments().iter().filter(|i| i.kind != Kind::Index) {
        let delivered = market.delivered(instrument.token).unwrap()[0];
        let highest = runs.get(&instrument.token).map_or(0, |r| u64::from(r.0));
        assert_eq!(delivered.highest_volume, highest);
        assert!(delivered.last_volume <= highest);
    }
}

#[test]
fn the_account_only_knows_volumes_that_were_traded() {
    let mut market = market(Faults {
        rollback: 0.2,
        ..Faults::default()
    });
    market.events().for_each(drop);
    for instrument in market.instruments().iter().filter(|i| i.kind != Kind::Index) {
        let trades = market.trades(instrument.token).unwrap();
        let sums = trades.iter().scan(0, |sum, trade| {
            *sum += u64::from(trade.quantity);
            Some(*sum)
        });
        let traded: Vec<u64> = core::iter::once(0).chain(sums).collect();
        let delivered = market.delivered(instrument.token).unwrap()[0];
        for volume in [
            delivered.first_volume.unwrap_or(0),
            delivered.last_volume,
            delivered.highest_volume,
        ] {
            assert!(
                traded.binary_search(&volume).is_ok(),
                "{} {volume}",
                instrument.symbol
            );
        }
    }
}

#[test]
fn a_cancellation_lowers_the_volume_for_the_rest_of_the_day() {
    let mut market = market(Faults {
        cancellation: 1.0,
        ..Faults::default()
    });
    let packets = packets(&mut market);
    let mut last = BTreeMap::new();
    for (_, full) in &packets {
        last.insert(full.instrument_token.get(), u64::from(full.volume_traded.get()));
    }
    let mut cancelled = 0;
    for instrument in market.instruments().iter().filter(|i| i.kind != Kind::Index) {
        let traded = market
            .truth_days(instrument.token)
            .unwrap()
            .first()
            .map_or(0, |day| day.bar.volume);
        let delivered = market.delivered(instrument.token).unwrap()[0];
        cancelled += u32::from(delivered.cancelled > 0);
        let shown = last.get(&instrument.token).copied().unwrap_or(0);
        assert_eq!(shown + delivered.cancelled, traded);
        assert_eq!(shown, delivered.last_volume);
    }
    assert!(cancelled >= 20, "{cancelled}");
}

#[test]
fn a_wrapping_volume_passes_two_to_the_thirty_second_in_the_session() {
    let mut market = market(Faults {
        wrap: 2,
        ..Faults::default()
    });
    let packets = packets(&mut market);
    let mut wrapped = 0;
    for instrument in market.instruments().iter().filter(|i| i.kind != Kind::Index) {
        let traded = market
            .truth_days(instrument.token)
            .unwrap()
            .first()
            .map_or(0, |day| day.bar.volume);
        assert_eq!(
            market.delivered_volume(instrument.token),
            Some(traded),
            "{}",
            instrument.symbol
        );
        if traded < 1 << 32 {
            continue;
        }
        wrapped += 1;
        let of_name = packets
            .iter()
            .filter(|(_, full)| full.instrument_token.get() == instrument.token);
        let volumes: Vec<u32> = of_name.map(|(_, full)| full.volume_traded.get()).collect();
        let falls: Vec<_> = volumes.windows(2).filter(|pair| pair[1] < pair[0]).collect();
        assert_eq!(falls.len(), 1);
        // R14: from above nine tenths of the range to below one tenth.
        assert!(
            f64::from(falls[0][0]) > 0.9 * f64::from(u32::MAX)
                && f64::from(falls[0][1]) < 0.1 * f64::from(u32::MAX)
        );
    }
    assert_eq!(wrapped, 2);
}

#[test]
fn a_day_change_starts_the_volume_again_and_carries_the_close() {
    let population = Population {
        liquid: 4,
        thin: 4,
        end: 33_900,
        ..Population::default()
    };
    let mut market = Market::new(population.config(DAY, 3).unwrap(), 1).unwrap();
    let packets = packets(&mut market);
    for instrument in market.instruments() {
        let mut closes: BTreeMap<i64, (u32, u32, u32)> = BTreeMap::new();
        for (_, full) in packets
            .iter()
            .filter(|(_, full)| full.instrument_token.get() == instrument.token)
        {
            let day = ist_day(Ns::from(full.exchange_timestamp.get()) * SECOND);
            let entry = closes
                .entry(day)
                .or_insert((full.volume_traded.get(), full.close.get(), 0));
            assert_eq!(entry.1, full.close.get());
            entry.2 = full.last_price.get();
        }
        let days: Vec<_> = closes.into_iter().collect();
        assert_eq!(days.iter().map(|day| day.0).collect::<Vec<_>>(), market.days());
        for pair in days.windows(2) {
            assert_eq!(pair[1].1.0, 0, "the first snapshot of a date has no volume");
            assert_eq!(pair[1].1.1, pair[0].1.2, "the previous close is the last price");
        }
        let delivered = market.delivered(instrument.token).unwrap();
        assert_eq!(delivered.len(), 3);
        for truth in market.truth_days(instrument.token).unwrap() {
            let of_day = delivered.iter().find(|d| d.day == truth.day).unwrap();
            assert_eq!(
                (of_day.highest_volume, of_day.last_volume),
                (truth.bar.volume, truth.bar.volume)
            );
        }
    }
}

#[test]
fn with_every_fault_on_the_account_equals_what_a_careful_reader_of_the_frames_finds() {
    let mut market = market(Faults {
        rollback: 0.0,
        stale_first: 0.0,
        wrap: 0,
        ..Faults::all(OPEN)
    });
    let packets = packets(&mut market);
    let mut found: BTreeMap<u32, (u64, u64, u64, u64)> = BTreeMap::new();
    for (_, full) in &packets {
        let volume = u64::from(full.volume_traded.get());
        let entry = found
            .entry(full.instrument_token.get())
            .or_insert((0, volume, 0, 0));
        *entry = (entry.0 + 1, entry.1, volume, entry.3.max(volume));
    }
    for instrument in market.instruments().iter().filter(|i| i.kind != Kind::Index) {
        let delivered = market.delivered(instrument.token).unwrap()[0];
        let account = (
            delivered.packets,
            delivered.first_volume.unwrap_or(0),
            delivered.last_volume,
            delivered.highest_volume,
        );
        assert_eq!(account, found.get(&instrument.token).copied().unwrap_or_default());
    }
    // And with really all of them, it runs to its end.
    let mut rough = self::market(Faults::all(OPEN));
    assert!(rough.events().count() > 1_000);
}
