//! Stage 2, tick: what is known of Upstox's instruments, carried from message to message.
//!
//! A message leaves out what did not change, and every number that is zero. So nothing that is absent is taken for
//! zero: [`Known`] keeps what was said last. Its keys are those that the caller gave; no message can add one.

use crate::units::{Ns, ist_day};
use crate::wire::upstox::{Feed, Kind, Level, has};

/// A millisecond in nanoseconds.
const MILLISECOND: i64 = 1_000_000;
/// The broker's name of the day's candle.
const DAY: &[u8] = b"1d";
/// The broker's name of a minute's candle.
const MINUTE: &[u8] = b"I1";
/// No day's volume is larger; as for ticks from elsewhere.
const LARGEST: i64 = 1 << 53;
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Milliseconds of the wire as nanoseconds, 0 for none and for what cannot be a time.
#[must_use]
pub const fn instant(milliseconds: i64) -> Ns {
    if milliseconds < 0 {
        return 0;
    }
    match milliseconds.checked_mul(MILLISECOND) {
        Some(at) => at,
        None => 0,
    }
}

/// One instrument, as far as messages have told.
#[derive(Clone, Debug, Default)]
pub struct Carried {
    pub token: u32,
    /// The last shape that said something.
    pub kind: Kind,
    /// Bits of [`has`]: what was ever said.
    pub said: u32,
    pub price: f64,
    pub ltt: Ns,
    pub ltq: i64,
    pub close: f64,
    pub average: f64,
    pub volume: i64,
    /// The IST day of the volume: that of the last trade time it came with.
    pub volume_day: i64,
    pub oi: f64,
    pub tbq: f64,
    pub tsq: f64,
    /// Open, high, low of the day, and the day.
    pub day: [f64; 3],
    pub day_of: i64,
    pub levels: [Level; 5],
    /// Minutes of the broker's that start no later than this fill what is missing (R34); 0 for none.
    pub repair_until: Ns,
    /// The last minute that was taken.
    pub repaired: Ns,
    /// The broker's minutes as they were told last, the older one first; kept while they may repair something.
    pub minutes: [Told; 2],
    /// When they were told.
    pub minutes_at: Ns,
    /// The IST day on which the instrument was introduced before it had traded.
    pub introduced: i64,
}

/// A minute of the broker's; without a time it is none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Told {
    pub time: Ns,
    /// Open, high, low, close.
    pub prices: [f64; 4],
    pub volume: i64,
}

/// The volume of a tick, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volume {
    /// The mode has none.
    None,
    /// The mode has one, of which nothing is known for this date.
    Unknown,
    Known(i64),
}

impl Carried {
    /// Takes what a feed says; `at` is the server's clock, or the best guess at it.
    pub fn take(&mut self, feed: &Feed<'_>, at: Ns) {
        if !matches!(feed.kind, Kind::None | Kind::Full) {
            self.kind = feed.kind;
        }
        let counted = feed.has(has::VTT) && (0..=LARGEST).contains(&feed.vtt);
        // A volume that cannot be is as good as none.
        self.said |= feed.present & !(has::VTT * u32::from(!counted));
        let copy = |bit: u32, target: &mut f64, value: f64| {
            if feed.has(bit) {
                *target = value;
            }
        };
        copy(has::LTP, &mut self.price, feed.ltp);
        copy(has::CP, &mut self.close, feed.cp);
        copy(has::ATP, &mut self.average, feed.atp);
        copy(has::OI, &mut self.oi, feed.oi);
        copy(has::TBQ, &mut self.tbq, feed.tbq);
        copy(has::TSQ, &mut self.tsq, feed.tsq);
        if feed.has(has::LTT) {
            self.ltt = instant(feed.ltt);
        }
        if feed.has(has::LTQ) {
            self.ltq = feed.ltq;
        }
        if counted {
            self.volume = feed.vtt;
            self.volume_day = ist_day(if self.ltt == 0 { at } else { self.ltt });
        }
        if feed.has(has::DEPTH) {
            // The book is sent whole: levels that are not there are gone.
            self.levels = [Level::default(); 5];
            for (place, level) in self.levels.iter_mut().zip(feed.levels()) {
                *place = *level;
            }
        }
        if let Some(day) = feed.ohlc().iter().find(|candle| candle.interval == DAY) {
            self.day = [day.open, day.high, day.low];
            self.day_of = ist_day(instant(day.ts));
        }
    }

    /// Takes the minutes of a feed that has any; `at` as in `take`.
    pub fn take_minutes(&mut self, feed: &Feed<'_>, at: Ns) {
        let mut found = [Told::default(); 2];
        let minutes = feed.ohlc().iter().filter(|candle| candle.interval == MINUTE);
        for (place, candle) in found.iter_mut().zip(minutes) {
            *place = Told {
                time: instant(candle.ts),
                prices: [candle.open, candle.high, candle.low, candle.close],
                volume: candle.volume,
            };
        }
        found.sort_by_key(|told| told.time);
        self.minutes = found;
        self.minutes_at = at;
    }

    /// The day's volume of a tick that came at `at`.
    ///
    /// A volume of zero is not on the wire. It is known all the same where the last trade was on an earlier day, or
    /// there never was one. A volume of an earlier day says nothing of a trade of today.
    #[must_use]
    pub fn volume_at(&self, feed: &Feed<'_>, at: Ns) -> Volume {
        if !matches!(self.kind, Kind::Market | Kind::FirstLevel) {
            return Volume::None;
        }
        let today = ist_day(at);
        let traded = self.ltt != 0 && ist_day(self.ltt) >= today;
        if self.said & has::VTT != 0 && (!traded || self.volume_day >= today) {
            return Volume::Known(self.volume);
        }
        let told = self.said & has::LTT != 0 || feed.has(has::LTPC);
        if !traded && told {
            Volume::Known(0)
        } else {
            Volume::Unknown
        }
    }
}

/// Instruments by their keys.
#[derive(Clone, Debug)]
pub struct Known {
    /// Index into `rows` plus 1; 0 is empty.
    places: Vec<u32>,
    keys: Vec<Box<[u8]>>,
    pub rows: Vec<Carried>,
}

impl Default for Known {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a key was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// The key has another token already.
    Key(u32),
    /// The token has another key already.
    Token(u32),
}

impl Known {
    #[must_use]
    pub fn new() -> Self {
        Self {
            places: vec![0; 64],
            keys: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Every key and its token, in the order in which they came.
    pub fn keys(&self) -> impl Iterator<Item = (&[u8], u32)> {
        let tokens = self.rows.iter().map(|row| row.token);
        self.keys.iter().map(|key| &key[..]).zip(tokens)
    }

    /// The place of a key's row.
    #[inline]
    #[must_use]
    pub fn find(&self, key: &[u8]) -> Option<usize> {
        let mask = self.places.len() - 1;
        let mut at = hash(key) as usize & mask;
        loop {
            let row = self.places[at].checked_sub(1)? as usize;
            if *self.keys[row] == *key {
                return Some(row);
            }
            at = (at + 1) & mask;
        }
    }

    /// Makes an instrument known. To do so again does nothing.
    ///
    /// # Errors
    /// [`KeyError`] if the key or the token belongs to another instrument.
    pub fn track(&mut self, key: &[u8], token: u32) -> Result<(), KeyError> {
        if let Some(row) = self.find(key) {
            let held = self.rows[row].token;
            return if held == token {
                Ok(())
            } else {
                Err(KeyError::Key(held))
            };
        }
        if self.rows.iter().any(|row| row.token == token) {
            return Err(KeyError::Token(token));
        }
        self.keys.push(key.into());
        self.rows.push(Carried {
            token,
            ..Carried::default()
        });
        if 2 * self.keys.len() > self.places.len() {
            self.places = vec![0; 2 * self.places.len()];
            (0..self.keys.len()).for_each(|row| self.place(row));
        } else {
            self.place(self.keys.len() - 1);
        }
        Ok(())
    }

    /// Forgets what messages said; the keys and their tokens stay.
    pub fn forget(&mut self) {
        for row in &mut self.rows {
            *row = Carried {
                token: row.token,
                ..Carried::default()
            };
        }
    }

    fn place(&mut self, row: usize) {
        let mask = self.places.len() - 1;
        let mut at = hash(&self.keys[row]) as usize & mask;
        while self.places[at] != 0 {
            at = (at + 1) & mask;
        }
        self.places[at] = row as u32 + 1;
    }
}

/// Eight bytes a step. Whoever chooses the keys is the caller, so it need not withstand an enemy.
#[inline]
fn hash(key: &[u8]) -> u64 {
    let mut state = key.len() as u64;
    for chunk in key.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state = (state ^ u64::from_le_bytes(word)).wrapping_mul(GOLDEN);
        state ^= state >> 29;
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_again_and_no_other() {
        let mut known = Known::new();
        let keys: Vec<String> = (0..5_000).map(|n| format!("NSE_FO|{n}")).collect();
        for (token, key) in (1..).zip(&keys) {
            known.track(key.as_bytes(), token).unwrap();
        }
        for (row, key) in keys.iter().enumerate() {
            assert_eq!(known.find(key.as_bytes()), Some(row));
        }
        assert_eq!(known.find(b"NSE_FO|5000"), None);
        assert_eq!(known.find(b""), None);
        assert_eq!(known.track(b"NSE_FO|3", 4), Ok(()));
        assert_eq!(known.track(b"NSE_FO|3", 9), Err(KeyError::Key(4)));
        assert_eq!(known.track(b"other", 4), Err(KeyError::Token(4)));
    }

    #[test]
    fn what_a_message_leaves_out_stays_as_it_was() {
        let mut carried = Carried::default();
        let first = Feed {
            kind: Kind::Market,
            present: has::LTPC | has::LTP | has::LTT | has::VTT | has::OI,
            ltp: 10.0,
            ltt: 1_782_877_500_000,
            vtt: 500,
            oi: 75.0,
            ..Feed::default()
        };
        carried.take(&first, 0);
        let mut depth = Feed {
            kind: Kind::Market,
            ..Feed::default()
        };
        depth.push_level(Level {
            bid_price: 9.95,
            ..Level::default()
        });
        carried.take(&depth, 0);
        assert_eq!((carried.price, carried.volume, carried.oi), (10.0, 500, 75.0));
        assert_eq!(carried.levels[0].bid_price, 9.95);
        assert_eq!(
            carried.volume_at(&depth, 1_782_877_501 * 1_000_000_000),
            Volume::Known(500)
        );
    }

    #[test]
    fn a_volume_that_cannot_be_is_none() {
        let mut carried = Carried::default();
        for vtt in [-1, LARGEST + 1, i64::MAX, i64::MIN] {
            let feed = Feed {
                kind: Kind::Market,
                present: has::VTT,
                vtt,
                ..Feed::default()
            };
            carried.take(&feed, 0);
            assert_eq!((carried.volume, carried.said), (0, 0));
        }
    }

    #[test]
    fn a_volume_of_yesterday_says_nothing_of_a_trade_of_today() {
        let day = 86_400_000;
        let at = 1_782_877_500_000;
        let feed = |ltt: i64, vtt: i64| Feed {
            kind: Kind::Market,
            present: has::LTPC | has::LTP | has::LTT | if vtt == 0 { 0 } else { has::VTT },
            ltp: 10.0,
            ltt,
            vtt,
            ..Feed::default()
        };
        let mut carried = Carried::default();
        let yesterday = feed(at - day, 900);
        carried.take(&yesterday, instant(at));
        assert_eq!(carried.volume_at(&yesterday, instant(at)), Volume::Known(900));
        let today = feed(at, 0);
        carried.take(&today, instant(at));
        assert_eq!(carried.volume_at(&today, instant(at)), Volume::Unknown);
        let whole = feed(at, 40);
        carried.take(&whole, instant(at));
        assert_eq!(carried.volume_at(&whole, instant(at)), Volume::Known(40));
    }
}
