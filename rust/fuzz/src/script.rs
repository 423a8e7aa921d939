//! Bytes as a script: numbers read one byte at a time, and packets of a small market that they steer.

use tickloom_core::units::{Ns, SECOND};
use tickloom_core::wire::kite::emit::FrameBuilder;
use tickloom_core::wire::kite::packet::{Full, IndexFull, Ltp};
use zerocopy::IntoBytes;

/// Two stocks, an option, a commodity and an index.
const TOKENS: [u32; 5] = [408_065, 738_561, 12_345_602, 12_345_607, 256_265];
/// What a field becomes now and then.
const EDGES: [u32; 5] = [0, 1, 1 << 31, u32::MAX - 100, u32::MAX];

/// What the next packet of a name shows.
#[derive(Clone, Copy)]
struct Name {
    price: u32,
    volume: u32,
    average: u32,
    high: u32,
    low: u32,
    ltt: Ns,
    oi: u32,
}

/// A reader that gives zeros once the bytes are used up.
pub struct Script<'a> {
    bytes: &'a [u8],
    names: [Name; TOKENS.len()],
    pushed: i64,
}

impl<'a> Script<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        let name = Name {
            price: 10_000,
            volume: 0,
            average: 10_000,
            high: 0,
            low: 0,
            ltt: 0,
            oi: 100,
        };
        Self {
            bytes,
            names: [name; TOKENS.len()],
            pushed: 0,
        }
    }

    pub fn is_over(&self) -> bool {
        self.bytes.is_empty()
    }

    /// A number from one byte.
    pub fn below(&mut self, end: usize) -> usize {
        let Some((&first, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        usize::from(first) % end
    }

    /// Up to four seconds, in quarters.
    pub fn step(&mut self) -> Ns {
        self.below(16) as Ns * SECOND / 4
    }

    pub fn token(&mut self) -> u32 {
        TOKENS[self.below(TOKENS.len())]
    }

    /// A price in money near the names' own, now and then one that is none.
    pub fn price(&mut self) -> f64 {
        match self.below(64) {
            63 => [0.0, -1.0, 1e8, 0.01, f64::NAN][self.below(5)],
            n => 100.0 + n as f64 / 20.0,
        }
    }

    /// The day's volume after `more` of it, now and then a little back.
    pub fn cumulative(&mut self, more: i64) -> i64 {
        self.pushed = if self.below(8) == 7 {
            (self.pushed - more).max(0)
        } else {
            (self.pushed + more).min(1 << 52)
        };
        self.pushed
    }

    /// The next bytes as they are, as a frame.
    pub fn raw(&mut self) -> &'a [u8] {
        let length = self.below(256) * 4 + self.below(4);
        let (frame, rest) = self.bytes.split_at(length.min(self.bytes.len()));
        self.bytes = rest;
        frame
    }

    /// One to four packets of the small market.
    pub fn frame(&mut self, now: Ns) -> Vec<u8> {
        let mut builder = FrameBuilder::new();
        for _ in 0..=self.below(16).saturating_sub(12) {
            self.packet(now, &mut builder);
        }
        builder.finish()
    }

    fn packet(&mut self, now: Ns, builder: &mut FrameBuilder) {
        let which = self.below(TOKENS.len());
        let token = TOKENS[which];
        let traded = 25 * self.below(8) as u32;
        let mut name = self.names[which];
        name.price = (name.price + self.below(21) as u32).saturating_sub(10).max(1);
        let ets = now - self.below(12) as Ns * SECOND / 2;
        if traded > 0 {
            name.volume = name.volume.wrapping_add(traded);
            name.ltt = ets - self.below(6) as Ns * SECOND;
            name.average = if self.below(16) == 15 {
                0
            } else {
                name.average.midpoint(name.price)
            };
        }
        name.high = name.high.max(name.price);
        name.low = if name.low == 0 {
            name.price
        } else {
            name.low.min(name.price)
        };
        name.oi += self.below(3) as u32;
        self.names[which] = name;
        let mode = self.below(16);
        if token & 0xff == 9 {
            let stamp = if mode == 15 { 0 } else { seconds(ets) };
            return builder.push(&IndexFull {
                instrument_token: token.into(),
                last_price: name.price.into(),
                high: name.high.into(),
                low: name.low.into(),
                exchange_timestamp: stamp.into(),
                ..IndexFull::default()
            });
        }
        let mut shown = name;
        let odd = self.below(24);
        let edge = if odd < 6 {
            EDGES[self.below(EDGES.len())]
        } else {
            0
        };
        match odd {
            0 => shown.price = edge,
            1 => shown.volume = edge,
            2 => shown.average = edge,
            3 => (shown.high, shown.low) = (edge, edge),
            4 => shown.ltt = Ns::from(edge) * SECOND,
            5 => shown.oi = edge,
            6 => shown.volume = shown.volume.saturating_sub(25 * self.below(20) as u32),
            // The counter may be near its end from the first packet on.
            7 => {
                self.names[which].volume = name.volume.wrapping_sub(5_000);
                shown.volume = self.names[which].volume;
            }
            _ => {}
        }
        let full = Full {
            instrument_token: token.into(),
            last_price: shown.price.into(),
            average_traded_price: shown.average.into(),
            volume_traded: shown.volume.into(),
            open: shown.low.into(),
            high: shown.high.into(),
            low: shown.low.into(),
            close: (9_990 + u32::from(odd == 8)).into(),
            last_trade_time: seconds(shown.ltt).into(),
            exchange_timestamp: seconds(ets).into(),
            oi: shown.oi.into(),
            ..Full::default()
        };
        match mode {
            15 => builder.push(&Ltp {
                instrument_token: token.into(),
                last_price: shown.price.into(),
            }),
            14 => builder.push_raw(&full.as_bytes()[..44]),
            _ => builder.push(&full),
        }
    }
}

fn seconds(at: Ns) -> u32 {
    u32::try_from(at / SECOND).unwrap_or(u32::MAX)
}
