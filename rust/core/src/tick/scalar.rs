//! Stage 2, tick: each layout as a row, in plain Rust.

use crate::wire::kite::Scale;
use crate::wire::kite::packet::{Depth20, Full, IndexFull, IndexQuote, Level, Ltp, Ltpc, Quote};

use super::{Decoder, Depth20Row, INDEX, Mode, TickRow, change, flags, seconds};

/// Decodes without special instructions.
#[derive(Clone, Copy)]
pub(super) struct Plain;

impl Decoder for Plain {
    #[inline(always)]
    fn full(self, packet: &Full, scale: &Scale, row: &mut TickRow) {
        full(packet, scale, row);
    }
}

#[inline(always)]
pub(super) fn ltp(packet: &Ltp, scale: &Scale, row: &mut TickRow) {
    let instrument_token = packet.instrument_token.get();
    *row = TickRow {
        instrument_token,
        last_price: scale.to_f64(packet.last_price.get()),
        mode: Mode::Ltp as u8,
        flags: flags(instrument_token, 0),
        ..TickRow::EMPTY
    };
}

#[inline(always)]
pub(super) fn ltpc(packet: &Ltpc, scale: &Scale, row: &mut TickRow) {
    let instrument_token = packet.instrument_token.get();
    let last_price = scale.to_f64(packet.last_price.get());
    let prev_close = scale.to_f64(packet.close.get());
    *row = TickRow {
        instrument_token,
        last_price,
        prev_close,
        change: change(last_price, prev_close),
        mode: Mode::Ltpc as u8,
        flags: flags(instrument_token, 0),
        ..TickRow::EMPTY
    };
}

#[inline(always)]
pub(super) fn index_quote(packet: &IndexQuote, scale: &Scale, row: &mut TickRow) {
    let instrument_token = packet.instrument_token.get();
    let last_price = scale.to_f64(packet.last_price.get());
    let prev_close = scale.to_f64(packet.close.get());
    *row = TickRow {
        instrument_token,
        last_price,
        day_open: scale.to_f64(packet.open.get()),
        day_high: scale.to_f64(packet.high.get()),
        day_low: scale.to_f64(packet.low.get()),
        prev_close,
        change: change(last_price, prev_close),
        mode: Mode::Quote as u8,
        flags: flags(instrument_token, INDEX),
        net_change: scale.signed_to_f64(packet.change.get()),
        ..TickRow::EMPTY
    };
}

#[inline(always)]
pub(super) fn index_full(packet: &IndexFull, scale: &Scale, row: &mut TickRow) {
    let instrument_token = packet.instrument_token.get();
    let last_price = scale.to_f64(packet.last_price.get());
    let prev_close = scale.to_f64(packet.close.get());
    *row = TickRow {
        instrument_token,
        last_price,
        day_open: scale.to_f64(packet.open.get()),
        day_high: scale.to_f64(packet.high.get()),
        day_low: scale.to_f64(packet.low.get()),
        prev_close,
        change: change(last_price, prev_close),
        exchange_timestamp: seconds(packet.exchange_timestamp.get()),
        mode: Mode::Full as u8,
        flags: flags(instrument_token, INDEX),
        net_change: scale.signed_to_f64(packet.change.get()),
        ..TickRow::EMPTY
    };
}

#[inline(always)]
pub(super) fn quote(packet: &Quote, scale: &Scale, row: &mut TickRow) {
    let instrument_token = packet.instrument_token.get();
    let last_price = scale.to_f64(packet.last_price.get());
    let prev_close = scale.to_f64(packet.close.get());
    *row = TickRow {
        instrument_token,
        last_traded_quantity: packet.last_traded_quantity.get(),
        volume_traded: packet.volume_traded.get(),
        total_buy_quantity: packet.total_buy_quantity.get(),
        total_sell_quantity: packet.total_sell_quantity.get(),
        last_price,
        average_traded_price: scale.to_f64(packet.average_traded_price.get()),
        day_open: scale.to_f64(packet.open.get()),
        day_high: scale.to_f64(packet.high.get()),
        day_low: scale.to_f64(packet.low.get()),
        prev_close,
        change: change(last_price, prev_close),
        mode: Mode::Quote as u8,
        flags: flags(instrument_token, 0),
        ..TickRow::EMPTY
    };
}

#[inline(always)]
pub(super) fn full(packet: &Full, scale: &Scale, row: &mut TickRow) {
    if scale.is_signed() {
        return signed_full(packet, scale, row);
    }
    full_with(packet, |raw| scale.unsigned_to_f64(raw), row);
}

/// Out of line, or the sixteen prices of the common packet slow down.
#[cold]
#[inline(never)]
fn signed_full(packet: &Full, scale: &Scale, row: &mut TickRow) {
    full_with(packet, |raw| scale.to_f64(raw), row);
}

#[inline(always)]
fn full_with(packet: &Full, price: impl Fn(u32) -> f64 + Copy, row: &mut TickRow) {
    let instrument_token = packet.instrument_token.get();
    let last_price = price(packet.last_price.get());
    let prev_close = price(packet.close.get());
    let (bid_price, bid_quantity, bid_orders) = levels(&packet.bids, price);
    let (ask_price, ask_quantity, ask_orders) = levels(&packet.asks, price);
    *row = TickRow {
        instrument_token,
        last_traded_quantity: packet.last_traded_quantity.get(),
        volume_traded: packet.volume_traded.get(),
        total_buy_quantity: packet.total_buy_quantity.get(),
        total_sell_quantity: packet.total_sell_quantity.get(),
        oi: packet.oi.get(),
        oi_day_high: packet.oi_day_high.get(),
        oi_day_low: packet.oi_day_low.get(),
        last_price,
        average_traded_price: price(packet.average_traded_price.get()),
        day_open: price(packet.open.get()),
        day_high: price(packet.high.get()),
        day_low: price(packet.low.get()),
        prev_close,
        change: change(last_price, prev_close),
        last_trade_time: seconds(packet.last_trade_time.get()),
        exchange_timestamp: seconds(packet.exchange_timestamp.get()),
        bid_price,
        ask_price,
        bid_quantity,
        ask_quantity,
        bid_orders,
        ask_orders,
        mode: Mode::Full as u8,
        flags: flags(instrument_token, 0),
        ..TickRow::EMPTY
    };
}

#[inline(always)]
pub(super) fn depth20(packet: &Depth20, scale: &Scale, row: &mut TickRow) {
    let instrument_token = packet.instrument_token.get();
    let (bid_price, bid_quantity, bid_orders) = levels(first_five(&packet.bids), |raw| scale.to_f64(raw));
    let (ask_price, ask_quantity, ask_orders) = levels(first_five(&packet.asks), |raw| scale.to_f64(raw));
    *row = TickRow {
        instrument_token,
        last_price: scale.to_f64(packet.last_price.get()),
        exchange_timestamp: seconds(packet.exchange_timestamp.get()),
        bid_price,
        ask_price,
        bid_quantity,
        ask_quantity,
        bid_orders,
        ask_orders,
        mode: Mode::Depth20 as u8,
        flags: flags(instrument_token, 0),
        ..TickRow::EMPTY
    };
}

pub(super) fn depth20_levels(packet: &Depth20, scale: &Scale, row: u32) -> Depth20Row {
    let (bid_price, bid_quantity, bid_orders) = levels(&packet.bids, |raw| scale.to_f64(raw));
    let (ask_price, ask_quantity, ask_orders) = levels(&packet.asks, |raw| scale.to_f64(raw));
    Depth20Row {
        bid_price,
        ask_price,
        exchange_timestamp: seconds(packet.exchange_timestamp.get()),
        instrument_token: packet.instrument_token.get(),
        row,
        bid_quantity,
        ask_quantity,
        bid_orders,
        ask_orders,
    }
}

#[inline(always)]
fn levels<const N: usize>(levels: &[Level; N], price: impl Fn(u32) -> f64) -> ([f64; N], [u32; N], [u16; N]) {
    (
        core::array::from_fn(|i| price(levels[i].price.get())),
        core::array::from_fn(|i| levels[i].quantity.get()),
        core::array::from_fn(|i| levels[i].orders.get()),
    )
}

#[inline(always)]
fn first_five(levels: &[Level; 20]) -> &[Level; 5] {
    levels.first_chunk().expect("twenty levels have a first five")
}
