//! Any bytes as a message of Upstox's: what is read is read again from what emit makes of it, and an engine takes it.

use tickloom_core::engine::{Config, Engine};
use tickloom_core::tick::upstox::Known;
use tickloom_core::wire::upstox::{Feed, MOST_LEVELS, MOST_OHLC, emit, message};

/// When the messages are received, which a stamp that can be true does not exceed by much.
const RECEIVED: i64 = 1_782_877_501_000_000_000;

/// # Panics
/// When a feed does not survive emit, a count is wrong, or volume is lost in an engine.
pub fn upstox(bytes: &[u8]) {
    let Ok(found) = message(bytes) else {
        return;
    };
    let (mut walk, mut feed) = (found.walk(), Feed::default());
    let mut feeds = Vec::new();
    let mut seen = 0;
    while let Some(read) = walk.next(&mut feed) {
        seen += 1;
        assert!(feed.levels().len() <= MOST_LEVELS && feed.ohlc().len() <= MOST_OHLC);
        // What is beyond the most, and what equals nothing, does not come back.
        if read.is_ok() && feed.excess == 0 && feed == feed {
            feeds.push(feed.clone());
        }
    }
    assert_eq!(seen, found.feeds);
    let statuses: Vec<_> = found.statuses().flatten().collect();
    let again = emit::message(found.kind, &feeds, found.current_ts, &statuses);
    let read = message(&again).expect("it was just written");
    assert_eq!(
        (read.kind, read.current_ts, read.error),
        (found.kind, found.current_ts, None)
    );
    let mut walk = read.walk();
    for expected in &feeds {
        assert_eq!(walk.next(&mut feed), Some(Ok(())));
        assert_eq!(&feed, expected);
    }
    assert_eq!(walk.next(&mut feed), None);
    assert_eq!(read.statuses().flatten().collect::<Vec<_>>(), statuses);
    applied(bytes, &again);
}

fn applied(first: &[u8], second: &[u8]) {
    let mut known = Known::new();
    for (token, key) in [
        (257, "NSE_EQ|A"),
        (513, "NSE_FO|1"),
        (265, "NSE_INDEX|Nifty 50"),
        (769, ""),
    ] {
        known.track(key.as_bytes(), token).expect("they differ");
    }
    let mut engine = Engine::new(Config {
        capacity: 4,
        ..Config::default()
    });
    for (at, bytes) in (0..).zip([first, second, first]) {
        let Ok(done) = engine.apply_upstox(&mut known, bytes, RECEIVED + at * 1_000_000_000) else {
            continue;
        };
        let counts = engine.counts().0;
        assert_eq!(counts.packets, counts.ticks + counts.rejected);
        assert_eq!(
            usize::from(u16::from_be_bytes([done.frame[0], done.frame[1]])),
            done.ticks
        );
    }
    engine.advance(RECEIVED + 600_000_000_000);
    for slot in 0..engine.instruments().len() {
        let account = engine.book_mut().account(slot);
        let outside = account.auction_open + account.auction_close + account.post;
        let booked = account.bars + outside + account.unattributed + account.dropped;
        assert_eq!(booked, account.last - account.baseline, "{account:?}");
    }
}
