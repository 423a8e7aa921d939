//! Seconds of the wire as datetimes, many of them quickly.
//!
//! Asking Python for the local time of a second costs as much as ten prices. Within a quarter of an hour in
//! which the zone does nothing, a datetime is the quarter's first one and a timedelta.

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

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

    /// The tzinfo of aware datetimes.
    fn tzinfo(self, py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
        static UTC: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        static IST: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        const IST_SECONDS: u32 = 19_800;
        let (cell, seconds, name) = match self {
            Self::Local => return Ok(None),
            Self::Utc => (&UTC, 0, "UTC"),
            Self::Ist => (&IST, IST_SECONDS, "IST"),
        };
        let zone = cell.get_or_try_init(py, || {
            let timezone = py.import("datetime")?.getattr("timezone")?;
            timezone.call1((timedelta(py, seconds)?, name)).map(Bound::unbind)
        })?;
        Ok(Some(zone.bind(py).clone()))
    }
}

const RECENT: usize = 32;
const QUARTERS: usize = 8;
const QUARTER: u32 = 900;

/// A quarter of an hour since the epoch, and what is known of it.
#[derive(Clone)]
enum Quarter<'py> {
    /// One second of it has been asked for, which is not worth more than an answer.
    Seen(u32),
    /// The zone does nothing in it; this is the datetime it begins with.
    Even(u32, Bound<'py, PyAny>),
    /// Clocks change in it, or repeat it: every second is asked for.
    Odd(u32),
}

/// Makes the datetimes of one call. Nothing outlives the call, because the host's zone may change.
pub struct Datetimes<'py> {
    py: Python<'py>,
    from_timestamp: Bound<'py, PyAny>,
    tzinfo: Option<Bound<'py, PyAny>>,
    /// Each where the low bits of its second put it.
    recent: [Option<(u32, Bound<'py, PyAny>)>; RECENT],
    /// Each where the low bits of its number put it.
    quarters: [Option<Quarter<'py>>; QUARTERS],
}

impl<'py> Datetimes<'py> {
    pub fn new(py: Python<'py>, zone: Zone) -> PyResult<Self> {
        static FROM_TIMESTAMP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let from_timestamp = FROM_TIMESTAMP.get_or_try_init(py, || {
            py.import("datetime")?
                .getattr("datetime")?
                .getattr("fromtimestamp")
                .map(Bound::unbind)
        })?;
        Ok(Self {
            py,
            from_timestamp: from_timestamp.bind(py).clone(),
            tzinfo: zone.tzinfo(py)?,
            recent: [const { None }; RECENT],
            quarters: [const { None }; QUARTERS],
        })
    }

    pub fn of(&mut self, stamp: u32) -> PyResult<Bound<'py, PyAny>> {
        let slot = stamp as usize % RECENT;
        if let Some((second, datetime)) = &self.recent[slot]
            && *second == stamp
        {
            return Ok(datetime.clone());
        }
        // Aware datetimes are ours, so that none may be None; the naive ones are the vendor's.
        let datetime = if stamp == 0 && self.tzinfo.is_some() {
            self.py.None().into_bound(self.py)
        } else {
            self.make(stamp)?
        };
        self.recent[slot] = Some((stamp, datetime.clone()));
        Ok(datetime)
    }

    fn make(&mut self, stamp: u32) -> PyResult<Bound<'py, PyAny>> {
        let (number, offset) = (stamp / QUARTER, stamp % QUARTER);
        let slot = number as usize % QUARTERS;
        match &self.quarters[slot] {
            Some(Quarter::Even(known, first)) if *known == number => {
                return first.add(timedelta(self.py, offset)?);
            }
            Some(Quarter::Odd(known)) if *known == number => {}
            Some(Quarter::Seen(known)) if *known == number => {
                self.quarters[slot] = Some(self.look_at(number)?);
            }
            _ => self.quarters[slot] = Some(Quarter::Seen(number)),
        }
        self.ask(stamp)
    }

    /// Asks Python, which asks the host.
    fn ask(&self, stamp: u32) -> PyResult<Bound<'py, PyAny>> {
        match &self.tzinfo {
            Some(tzinfo) => self.from_timestamp.call1((stamp, tzinfo)),
            None => self.from_timestamp.call1((stamp,)),
        }
    }

    fn look_at(&self, number: u32) -> PyResult<Quarter<'py>> {
        let first = number * QUARTER;
        // The last quarter of the 32 bits is not whole.
        let Some(last) = first.checked_add(QUARTER - 1) else {
            return Ok(Quarter::Odd(number));
        };
        let (first, last) = (self.ask(first)?, self.ask(last)?);
        let even = last.sub(&first)?.eq(timedelta(self.py, QUARTER - 1)?)?
            && !first.getattr(intern!(self.py, "fold"))?.is_truthy()?
            && !last.getattr(intern!(self.py, "fold"))?.is_truthy()?;
        Ok(if even {
            Quarter::Even(number, first)
        } else {
            Quarter::Odd(number)
        })
    }
}

/// A timedelta of some seconds, made once if they are within a quarter.
fn timedelta(py: Python<'_>, seconds: u32) -> PyResult<Bound<'_, PyAny>> {
    static MADE: [PyOnceLock<Py<PyAny>>; QUARTER as usize] = [const { PyOnceLock::new() }; QUARTER as usize];
    let make = || py.import("datetime")?.getattr("timedelta")?.call1((0, seconds));
    match MADE.get(seconds as usize) {
        Some(cell) => Ok(cell
            .get_or_try_init(py, || make().map(Bound::unbind))?
            .bind(py)
            .clone()),
        None => make(),
    }
}
