//! The board: the last packet of every instrument.

use crate::wire::kite::packet::Full;

use zerocopy::FromBytes;

use crate::aggregate::Last;
use crate::tick::{Mode, TRADABLE, TickRow};
use crate::wire::kite::scale::{INDICES, segment};

use super::Engine;

/// The last packet of an instrument that went the long way, as it came.
#[derive(Clone, Copy, Debug)]
pub struct Raw {
    bytes: [u8; 184],
    len: u16,
}

impl Raw {
    pub(super) const NONE: Self = Self {
        bytes: [0; 184],
        len: 0,
    };

    /// The packet's bytes; empty if none came yet.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    pub(super) fn take_full(&mut self, full: &Full) {
        self.bytes = zerocopy::transmute!(*full);
        self.len = 184;
    }

    /// A shorter packet that is a prefix of the longer layout renews that part and leaves the rest.
    #[expect(clippy::cast_possible_truncation, reason = "at most 184")]
    pub(super) fn renew(&mut self, body: &[u8]) {
        let prefix = matches!(
            (body.len(), self.len),
            (8, 28 | 32 | 44 | 184) | (44, 184) | (28, 32)
        );
        self.bytes[..body.len()].copy_from_slice(body);
        if !prefix {
            self.len = body.len() as u16;
        }
    }
}

impl Engine {
    /// Makes the copy of an instrument's last packet whole, if that went the short way.
    pub(super) fn catch_up(&mut self, slot: usize) {
        if let Some(full) = self.book.last_packet(slot, self.instruments[slot].token) {
            self.raws[slot].take_full(&full);
        }
    }

    /// Best bid plus best ask of the instrument's last packet, in units, if it had both (R38).
    pub(super) fn mid_before(&mut self, slot: usize) -> Option<i64> {
        self.catch_up(slot);
        let full = Full::ref_from_bytes(self.raws[slot].body()).ok()?;
        let scale = self.scales.of(full.instrument_token.get());
        let (bid, ask) = (full.bids[0].price.get(), full.asks[0].price.get());
        (bid != 0 && ask != 0).then(|| scale.units(bid) + scale.units(ask))
    }

    /// A row for each instrument that was only pushed, in the order of the slots: its last price, and what was told of
    /// volume, open interest and times. Its mode is that of a packet that would say as much.
    #[expect(clippy::cast_precision_loss, reason = "prices are below 2^53")]
    pub fn pushed_rows(&mut self) -> Vec<TickRow> {
        let narrow = |x: i64| u32::try_from(x).unwrap_or(u32::MAX);
        let silent = (0..self.raws.len()).filter(|slot| self.raws[*slot].body().is_empty());
        let mut rows = Vec::new();
        for slot in silent {
            let Some(last) = self.book.last(slot) else {
                continue;
            };
            let Last {
                price,
                volume,
                oi,
                trade_time,
                stamp,
            } = last;
            let token = self.instruments[slot].token;
            let mode = match (volume, oi) {
                (_, Some(_)) => Mode::Full,
                (Some(_), None) => Mode::Quote,
                (None, None) => Mode::Ltp,
            };
            rows.push(TickRow {
                instrument_token: token,
                last_price: price as f64 / self.book.divisor(slot) as f64,
                volume_traded: narrow(volume.unwrap_or(0)),
                oi: narrow(oi.unwrap_or(0)),
                last_trade_time: trade_time,
                exchange_timestamp: stamp,
                mode: mode as u8,
                flags: if segment(token) == INDICES { 0 } else { TRADABLE },
                ..TickRow::EMPTY
            });
        }
        rows
    }

    /// The last packet of every instrument that has had one, as one frame, in the order of the slots. Of the depth,
    /// the best level only.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a packet is at most 184 bytes, slots at most 65,535"
    )]
    pub fn board(&mut self) -> Vec<u8> {
        for slot in 0..self.raws.len() {
            self.catch_up(slot);
        }
        let bodies = || self.raws.iter().map(Raw::body).filter(|body| !body.is_empty());
        let mut frame = Vec::with_capacity(2 + bodies().map(|body| 2 + body.len()).sum::<usize>());
        frame.extend((bodies().count() as u16).to_be_bytes());
        for body in bodies() {
            frame.extend((body.len() as u16).to_be_bytes());
            let at = frame.len();
            frame.extend(body);
            if body.len() == 184 {
                frame[at + 76..at + 124].fill(0);
                frame[at + 136..at + 184].fill(0);
            }
        }
        frame
    }
}
