//! The vendor client's dicts, key by key (kite-protocol §8).
//!
//! Making Python objects is all the cost there is, so what can be made once is: keys are interned, a tick's
//! dict begins as a copy of one that has its keys already, a second of time becomes one datetime a call.
//! The small dicts begin empty: filling five keys or fewer is cheaper than copying them.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyFloat, PyList, PyString};
use tickloom_core::wire::kite::packet::{Full, IndexFull, IndexQuote, Level, Ltp, Quote};
use tickloom_core::wire::kite::scale::{INDICES, segment};
use tickloom_core::wire::kite::{Packet, Scale, ScaleTable, frame};
use zerocopy::big_endian::U32;
use zerocopy::{FromBytes, IntoBytes};

use crate::datetimes::{Datetimes, Zone};

pub fn to_dicts<'py>(
    py: Python<'py>,
    bytes: &[u8],
    scales: &ScaleTable,
    zone: Zone,
) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    let mut maker = Maker::new(py, zone)?;
    for body in frame(bytes) {
        let packet = Packet::read(body);
        let scale = match packet.instrument_token() {
            Some(token) => scales.of(token),
            None => continue,
        };
        let dict = match packet {
            Packet::Ltp(packet) => maker.ltp(packet, scale)?,
            Packet::IndexQuote(packet) => maker.index_quote(packet, scale)?,
            Packet::IndexFull(packet) => maker.index_full(packet, scale)?,
            Packet::Quote(packet) => maker.quote(packet, scale)?,
            Packet::Full(packet) => maker.full(packet, scale)?,
            // The vendor's client does not know these lengths.
            Packet::Ltpc(_) | Packet::Depth20(_) | Packet::Unknown(_) => continue,
        };
        list.append(dict)?;
    }
    Ok(list)
}

/// Dicts that have every key of their mode, its name, and no other value yet.
struct Templates {
    ltp: Py<PyDict>,
    index_quote: Py<PyDict>,
    index_full: Py<PyDict>,
    quote: Py<PyDict>,
    full: Py<PyDict>,
}

impl Templates {
    fn get(py: Python<'_>) -> PyResult<&'static Self> {
        static TEMPLATES: PyOnceLock<Templates> = PyOnceLock::new();
        TEMPLATES.get_or_try_init(py, || {
            let of = |mode: &str, parts: &[&[&str]]| -> PyResult<Py<PyDict>> {
                let dict = PyDict::new(py);
                dict.set_item(intern!(py, "tradable"), true)?;
                dict.set_item(intern!(py, "mode"), PyString::intern(py, mode))?;
                for key in parts.iter().copied().flatten() {
                    dict.set_item(PyString::intern(py, key), py.None())?;
                }
                Ok(dict.unbind())
            };
            let head: &[_] = &["instrument_token", "last_price"];
            let traded: &[_] = &[
                "last_traded_quantity",
                "average_traded_price",
                "volume_traded",
                "total_buy_quantity",
                "total_sell_quantity",
            ];
            let day: &[_] = &["ohlc", "change"];
            let interest: &[_] = &["last_trade_time", "oi", "oi_day_high", "oi_day_low"];
            let stamp: &[_] = &["exchange_timestamp"];
            Ok(Self {
                ltp: of("ltp", &[head])?,
                index_quote: of("quote", &[head, day])?,
                index_full: of("full", &[head, day, stamp])?,
                quote: of("quote", &[head, traded, day])?,
                full: of("full", &[head, traded, day, interest, stamp, &["depth"]])?,
            })
        })
    }
}

/// The four prices of a day with their keys, in the order of the packet and of the dict, the close last.
type Day<'a, 'py> = [(&'a Bound<'py, PyString>, U32); 4];

/// Makes the dicts of one call.
struct Maker<'py> {
    py: Python<'py>,
    templates: &'static Templates,
    datetimes: Datetimes<'py>,
}

impl<'py> Maker<'py> {
    fn new(py: Python<'py>, zone: Zone) -> PyResult<Self> {
        Ok(Self {
            py,
            templates: Templates::get(py)?,
            datetimes: Datetimes::new(py, zone)?,
        })
    }

    fn head(&self, template: &Py<PyDict>, token: U32, last_price: f64) -> PyResult<Bound<'py, PyDict>> {
        let py = self.py;
        let dict = template.bind(py).copy()?;
        if segment(token.get()) == INDICES {
            dict.set_item(intern!(py, "tradable"), false)?;
        }
        dict.set_item(intern!(py, "instrument_token"), token.get())?;
        dict.set_item(intern!(py, "last_price"), PyFloat::new(py, last_price))?;
        Ok(dict)
    }

    fn ltp(&self, packet: &Ltp, scale: &Scale) -> PyResult<Bound<'py, PyDict>> {
        let last_price = scale.to_f64(packet.last_price.get());
        self.head(&self.templates.ltp, packet.instrument_token, last_price)
    }

    /// Sets `ohlc` and `change`.
    fn day(
        &self,
        dict: &Bound<'py, PyDict>,
        day: Day<'_, 'py>,
        scale: &Scale,
        last_price: f64,
    ) -> PyResult<()> {
        let py = self.py;
        let ohlc = PyDict::new(py);
        let mut close = 0.0;
        for (key, raw) in day {
            close = scale.to_f64(raw.get());
            ohlc.set_item(key, PyFloat::new(py, close))?;
        }
        dict.set_item(intern!(py, "ohlc"), ohlc)?;
        if close == 0.0 {
            // The vendor's client leaves the int it began with.
            dict.set_item(intern!(py, "change"), 0)
        } else {
            let change = (last_price - close) * 100.0 / close;
            dict.set_item(intern!(py, "change"), PyFloat::new(py, change))
        }
    }

    fn index_quote(&self, packet: &IndexQuote, scale: &Scale) -> PyResult<Bound<'py, PyDict>> {
        self.index(&self.templates.index_quote, packet, scale)
    }

    fn index_full(&mut self, packet: &IndexFull, scale: &Scale) -> PyResult<Bound<'py, PyDict>> {
        let (quote, _) =
            IndexQuote::ref_from_prefix(packet.as_bytes()).expect("a full index begins as a quote");
        let dict = self.index(&self.templates.index_full, quote, scale)?;
        let stamp = self.datetimes.of(packet.exchange_timestamp.get())?;
        dict.set_item(intern!(self.py, "exchange_timestamp"), stamp)?;
        Ok(dict)
    }

    fn index(
        &self,
        template: &Py<PyDict>,
        packet: &IndexQuote,
        scale: &Scale,
    ) -> PyResult<Bound<'py, PyDict>> {
        let py = self.py;
        let last_price = scale.to_f64(packet.last_price.get());
        let dict = self.head(template, packet.instrument_token, last_price)?;
        let day = [
            (intern!(py, "high"), packet.high),
            (intern!(py, "low"), packet.low),
            (intern!(py, "open"), packet.open),
            (intern!(py, "close"), packet.close),
        ];
        self.day(&dict, day, scale, last_price)?;
        Ok(dict)
    }

    fn quote(&self, packet: &Quote, scale: &Scale) -> PyResult<Bound<'py, PyDict>> {
        self.traded(&self.templates.quote, packet, scale)
    }

    fn traded(&self, template: &Py<PyDict>, packet: &Quote, scale: &Scale) -> PyResult<Bound<'py, PyDict>> {
        let py = self.py;
        let last_price = scale.to_f64(packet.last_price.get());
        let average = scale.to_f64(packet.average_traded_price.get());
        let dict = self.head(template, packet.instrument_token, last_price)?;
        let set = |key, raw: U32| dict.set_item(key, raw.get());
        set(intern!(py, "last_traded_quantity"), packet.last_traded_quantity)?;
        dict.set_item(intern!(py, "average_traded_price"), PyFloat::new(py, average))?;
        set(intern!(py, "volume_traded"), packet.volume_traded)?;
        set(intern!(py, "total_buy_quantity"), packet.total_buy_quantity)?;
        set(intern!(py, "total_sell_quantity"), packet.total_sell_quantity)?;
        let day = [
            (intern!(py, "open"), packet.open),
            (intern!(py, "high"), packet.high),
            (intern!(py, "low"), packet.low),
            (intern!(py, "close"), packet.close),
        ];
        self.day(&dict, day, scale, last_price)?;
        Ok(dict)
    }

    fn full(&mut self, packet: &Full, scale: &Scale) -> PyResult<Bound<'py, PyDict>> {
        let py = self.py;
        let (quote, _) = Quote::ref_from_prefix(packet.as_bytes()).expect("a full packet begins as a quote");
        let dict = self.traded(&self.templates.full, quote, scale)?;
        let last_trade_time = self.datetimes.of(packet.last_trade_time.get())?;
        dict.set_item(intern!(py, "last_trade_time"), last_trade_time)?;
        dict.set_item(intern!(py, "oi"), packet.oi.get())?;
        dict.set_item(intern!(py, "oi_day_high"), packet.oi_day_high.get())?;
        dict.set_item(intern!(py, "oi_day_low"), packet.oi_day_low.get())?;
        let exchange_timestamp = self.datetimes.of(packet.exchange_timestamp.get())?;
        dict.set_item(intern!(py, "exchange_timestamp"), exchange_timestamp)?;
        let depth = PyDict::new(py);
        depth.set_item(intern!(py, "buy"), self.levels(&packet.bids, scale)?)?;
        depth.set_item(intern!(py, "sell"), self.levels(&packet.asks, scale)?)?;
        dict.set_item(intern!(py, "depth"), depth)?;
        Ok(dict)
    }

    fn levels(&self, levels: &[Level; 5], scale: &Scale) -> PyResult<Bound<'py, PyList>> {
        let py = self.py;
        let level = |level: &Level| {
            let dict = PyDict::new(py);
            dict.set_item(intern!(py, "quantity"), level.quantity.get())?;
            dict.set_item(
                intern!(py, "price"),
                PyFloat::new(py, scale.to_f64(level.price.get())),
            )?;
            dict.set_item(intern!(py, "orders"), level.orders.get())?;
            PyResult::Ok(dict)
        };
        let [a, b, c, d, e] = levels;
        PyList::new(py, [level(a)?, level(b)?, level(c)?, level(d)?, level(e)?])
    }
}
