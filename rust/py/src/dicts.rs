//! The vendor client's dicts, key by key (kite-protocol §8).
//!
//! Making Python objects is all the cost there is, so what can be made once is: keys are interned, a tick's
//! dict begins as a copy of one that has its keys already, a second of time becomes one datetime a call.
//! The small dicts begin empty: filling five keys or fewer is cheaper than copying them.

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyFloat, PyList, PyString};
use tickloom_core::wire::kite::packet::{Full, IndexFull, IndexQuote, Level, Ltp, Quote};
use tickloom_core::wire::kite::scale::{INDICES, segment};
use tickloom_core::wire::kite::{Packet, Scale, ScaleTable, frame};
use zerocopy::big_endian::U32;
use zerocopy::{FromBytes, IntoBytes};

/// The zone of the datetimes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// The host's, naive, as the vendor's client has it.
    Local,
    Utc,
    Ist,
}

impl Zone {
    pub fn named(name: &str) -> PyResult<Self> {
        match name {
            "local" => Ok(Self::Local),
            "UTC" => Ok(Self::Utc),
            "IST" | "Asia/Kolkata" => Ok(Self::Ist),
            _ => Err(PyValueError::new_err(format!(
                "tz must be local, UTC or IST, not {name}"
            ))),
        }
    }
}

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

const RECENT: usize = 32;

/// Makes the dicts of one call.
struct Maker<'py> {
    py: Python<'py>,
    templates: &'static Templates,
    from_timestamp: Bound<'py, PyAny>,
    tzinfo: Option<Bound<'py, PyAny>>,
    /// Datetimes made in this call, each where the low bits of its second put it. They do not outlive the
    /// call, because the host's zone may change between two calls.
    recent: [Option<(u32, Bound<'py, PyAny>)>; RECENT],
}

impl<'py> Maker<'py> {
    fn new(py: Python<'py>, zone: Zone) -> PyResult<Self> {
        static FROM_TIMESTAMP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let from_timestamp = FROM_TIMESTAMP.get_or_try_init(py, || {
            py.import("datetime")?
                .getattr("datetime")?
                .getattr("fromtimestamp")
                .map(Bound::unbind)
        })?;
        Ok(Self {
            py,
            templates: Templates::get(py)?,
            from_timestamp: from_timestamp.bind(py).clone(),
            tzinfo: tzinfo(py, zone)?,
            recent: [const { None }; RECENT],
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
        let stamp = self.datetime(packet.exchange_timestamp.get())?;
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
        let last_trade_time = self.datetime(packet.last_trade_time.get())?;
        dict.set_item(intern!(py, "last_trade_time"), last_trade_time)?;
        dict.set_item(intern!(py, "oi"), packet.oi.get())?;
        dict.set_item(intern!(py, "oi_day_high"), packet.oi_day_high.get())?;
        dict.set_item(intern!(py, "oi_day_low"), packet.oi_day_low.get())?;
        let exchange_timestamp = self.datetime(packet.exchange_timestamp.get())?;
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

    fn datetime(&mut self, stamp: u32) -> PyResult<Bound<'py, PyAny>> {
        let slot = stamp as usize % RECENT;
        if let Some((second, datetime)) = &self.recent[slot]
            && *second == stamp
        {
            return Ok(datetime.clone());
        }
        let datetime = match &self.tzinfo {
            // Aware datetimes are ours, so that none may be None; the naive ones are the vendor's.
            Some(_) if stamp == 0 => self.py.None().into_bound(self.py),
            Some(tzinfo) => self.from_timestamp.call1((stamp, tzinfo))?,
            None => self.from_timestamp.call1((stamp,))?,
        };
        self.recent[slot] = Some((stamp, datetime.clone()));
        Ok(datetime)
    }
}

fn tzinfo(py: Python<'_>, zone: Zone) -> PyResult<Option<Bound<'_, PyAny>>> {
    static UTC: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static IST: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    const IST_SECONDS: i32 = 19_800;
    let zone_of = |seconds: i32, name: &str| -> PyResult<Py<PyAny>> {
        let datetime = py.import("datetime")?;
        let offset = datetime.getattr("timedelta")?.call1((0, seconds))?;
        Ok(datetime.getattr("timezone")?.call1((offset, name))?.unbind())
    };
    Ok(match zone {
        Zone::Local => None,
        Zone::Utc => Some(UTC.get_or_try_init(py, || zone_of(0, "UTC"))?.bind(py).clone()),
        Zone::Ist => Some(
            IST.get_or_try_init(py, || zone_of(IST_SECONDS, "IST"))?
                .bind(py)
                .clone(),
        ),
    })
}
