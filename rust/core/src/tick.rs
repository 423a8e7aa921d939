//! Stage 2, tick: a packet as one row of native numbers, 256 bytes, the row of the array that readers see.
//!
//! What a mode does not carry is NaN in a float column and 0 in an integer column; [`TickRow::mode`] tells
//! which columns count. Times are nanoseconds since the Unix epoch, UTC, 0 for none (R1).

mod scalar;
pub mod upstox;
#[cfg(target_arch = "x86_64")]
mod wide;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::units::{Ns, SECOND};
use crate::wire::kite::packet::{Body, Depth20, Framed, Full, Packet};
use crate::wire::kite::scale::INDICES;
use crate::wire::kite::{Census, Scale, ScaleTable, frame};

/// What a packet's length says about it: the value of [`TickRow::mode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// 8 bytes.
    Ltp = 1,
    /// 12 bytes.
    Ltpc = 2,
    /// 28 or 44 bytes.
    Quote = 3,
    /// 32 or 184 bytes.
    Full = 4,
    /// 492 bytes: twenty levels of depth, the first five of them in the row.
    Depth20 = 5,
}

/// Set in [`TickRow::flags`] when the segment is tradable, which every one but the indices' is.
pub const TRADABLE: u8 = 1;
/// Set in [`TickRow::flags`] when the packet has an index's layout: no quantities, no depth.
pub const INDEX: u8 = 2;

/// One packet, decoded. Prices are the correctly rounded quotients of kite-protocol §5.
///
/// The order is the writer's: eight slots of 32 bytes, each of them one vector or nearly.
#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TickRow {
    pub instrument_token: u32,
    pub last_traded_quantity: u32,
    /// Cumulative over the trading day.
    pub volume_traded: u32,
    pub total_buy_quantity: u32,
    pub total_sell_quantity: u32,
    pub oi: u32,
    pub oi_day_high: u32,
    pub oi_day_low: u32,
    pub last_price: f64,
    /// The day's volume-weighted average price, as the exchange rounds it.
    pub average_traded_price: f64,
    /// Best first, as in the five arrays below.
    pub bid_price: [f64; 5],
    pub ask_price: [f64; 5],
    pub day_open: f64,
    pub day_high: f64,
    pub day_low: f64,
    /// The previous day's close.
    pub prev_close: f64,
    pub bid_quantity: [u32; 5],
    pub ask_quantity: [u32; 5],
    pub bid_orders: [u16; 5],
    pub ask_orders: [u16; 5],
    /// A [`Mode`].
    pub mode: u8,
    /// [`TRADABLE`] and [`INDEX`].
    pub flags: u8,
    /// Always zero.
    pub padding: [u8; 2],
    pub last_trade_time: Ns,
    pub exchange_timestamp: Ns,
    /// Percent of the previous close; 0 when that is 0.
    pub change: f64,
    /// The price change that an index's packet carries itself.
    pub net_change: f64,
}

impl TickRow {
    /// A row of nothing: every float NaN, every integer 0.
    pub const EMPTY: Self = Self {
        instrument_token: 0,
        last_traded_quantity: 0,
        volume_traded: 0,
        total_buy_quantity: 0,
        total_sell_quantity: 0,
        oi: 0,
        oi_day_high: 0,
        oi_day_low: 0,
        last_price: f64::NAN,
        average_traded_price: f64::NAN,
        bid_price: [f64::NAN; 5],
        ask_price: [f64::NAN; 5],
        day_open: f64::NAN,
        day_high: f64::NAN,
        day_low: f64::NAN,
        prev_close: f64::NAN,
        bid_quantity: [0; 5],
        ask_quantity: [0; 5],
        bid_orders: [0; 5],
        ask_orders: [0; 5],
        mode: 0,
        flags: 0,
        padding: [0; 2],
        last_trade_time: 0,
        exchange_timestamp: 0,
        change: f64::NAN,
        net_change: f64::NAN,
    };
}

/// The twenty levels of a 492-byte packet.
#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Depth20Row {
    pub bid_price: [f64; 20],
    pub ask_price: [f64; 20],
    pub exchange_timestamp: Ns,
    pub instrument_token: u32,
    /// Which row of the batch this is.
    pub row: u32,
    pub bid_quantity: [u32; 20],
    pub ask_quantity: [u32; 20],
    pub bid_orders: [u16; 20],
    pub ask_orders: [u16; 20],
}

/// Seconds of the wire as nanoseconds: 0 stays 0, which is none.
#[inline(always)]
pub(crate) const fn seconds(stamp: u32) -> Ns {
    stamp as Ns * SECOND
}

/// The change that the vendor's client computes: percent of the close, 0 when there is none.
#[inline(always)]
fn change(last_price: f64, close: f64) -> f64 {
    if close == 0.0 {
        0.0
    } else {
        (last_price - close) * 100.0 / close
    }
}

#[inline(always)]
fn flags(instrument_token: u32, layout: u8) -> u8 {
    if instrument_token & 0xff == INDICES as u32 {
        layout
    } else {
        layout | TRADABLE
    }
}

/// Decodes the packets of a frame into the first rows of `rows`, and returns how many there are: one for
/// each packet of a known length, in the order of the wire, up to the number of rows given.
///
/// `census` is the frame's own. Every field of a row is written, so the rows may hold anything beforehand:
/// reuse them.
#[inline]
pub fn decode_rows(bytes: &[u8], census: &Census, scales: &ScaleTable, rows: &mut [TickRow]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = wide::available() {
        return wide::decode_rows(simd, bytes, census, scales, rows);
    }
    decode_rows_portably(bytes, census, scales, rows)
}

/// [`decode_rows`] without special instructions: what other processors run, and what the fast path is
/// tested against.
pub fn decode_rows_portably(
    bytes: &[u8],
    census: &Census,
    scales: &ScaleTable,
    rows: &mut [TickRow],
) -> usize {
    walk(bytes, census, scales, rows, scalar::Plain)
}

/// How a full packet is decoded, the one layout that matters for speed. A trait and no closure, because
/// only a function can be told to be inlined into its caller, whose instructions it needs.
trait Decoder: Copy {
    fn full(self, packet: &Full, scale: &Scale, row: &mut TickRow);
}

/// The loop over the packets.
#[inline(always)]
fn walk(
    bytes: &[u8],
    census: &Census,
    scales: &ScaleTable,
    rows: &mut [TickRow],
    decoder: impl Decoder,
) -> usize {
    let capacity = rows.len();
    let mut rows = rows.iter_mut();
    if census.uniform == size_of::<Full>() {
        for (packet, row) in Framed::<Full>::all(&bytes[2..]).iter().zip(rows.by_ref()) {
            decoder.full(&packet.body, scales.of(packet.body.instrument_token()), row);
        }
        return capacity - rows.len();
    }
    let mut packets = frame(bytes);
    // What a length decides is decided once a run: a live frame is a few long runs.
    while let Some(run) = packets.next_run() {
        match run.length() {
            8 => fill(run.packets(), scales, &mut rows, scalar::ltp),
            12 => fill(run.packets(), scales, &mut rows, scalar::ltpc),
            28 => fill(run.packets(), scales, &mut rows, scalar::index_quote),
            32 => fill(run.packets(), scales, &mut rows, scalar::index_full),
            44 => fill(run.packets(), scales, &mut rows, scalar::quote),
            184 => {
                for (packet, row) in run.packets::<Full>().iter().zip(rows.by_ref()) {
                    decoder.full(&packet.body, scales.of(packet.body.instrument_token()), row);
                }
            }
            492 => fill(run.packets(), scales, &mut rows, scalar::depth20),
            _ => {}
        }
    }
    capacity - rows.len()
}

#[inline(always)]
fn fill<P: Body>(
    packets: &[Framed<P>],
    scales: &ScaleTable,
    rows: &mut core::slice::IterMut<'_, TickRow>,
    decode: impl Fn(&P, &Scale, &mut TickRow),
) {
    // The packets come first: a zip that finds no packet left must not have taken a row.
    for (packet, row) in packets.iter().zip(rows) {
        decode(&packet.body, scales.of(packet.body.instrument_token()), row);
    }
}

/// The twenty levels of every 492-byte packet of a frame, in the order of the wire.
pub fn decode_depth20(bytes: &[u8], scales: &ScaleTable) -> Vec<Depth20Row> {
    let mut found = Vec::new();
    let mut row = 0;
    let mut packets = frame(bytes);
    while let Some(run) = packets.next_run() {
        for packet in run.packets::<Depth20>() {
            let scale = scales.of(packet.body.instrument_token());
            found.push(scalar::depth20_levels(&packet.body, scale, row));
            row += 1;
        }
        if run.length() != size_of::<Depth20>() && Packet::is_known_length(run.length()) {
            row += run.len() as u32;
        }
    }
    found
}
