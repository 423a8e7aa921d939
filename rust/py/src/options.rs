//! Keyword arguments to the core's options.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDelta, PyString};
use tickloom_core::aggregate::{
    BucketBy, CloseOn, EdgeSplit, GapVolume, OpenSource, Options, PostClose, PreOpen, SignedVolume,
    VolumeKind,
};
use tickloom_core::bar::{Extremes, Vwap};
use tickloom_core::interval::Interval;
use tickloom_core::nontime::NonTime;
use tickloom_core::session::{Anchor, Tail};

/// Picks the value that a word names, or says which words there are.
pub fn choose<T: Copy>(option: &str, word: &str, choices: &[(&str, T)]) -> PyResult<T> {
    let found = choices.iter().find(|(name, _)| *name == word);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
        PyValueError::new_err(format!("{option} must be one of {}: {word:?}", names.join(", ")))
    })
}

fn seconds(option: &str, value: f64) -> PyResult<i64> {
    if (0.0..=86_400.0).contains(&value) {
        return Ok((value * 1e9).round() as i64);
    }
    Err(PyValueError::new_err(format!(
        "{option} must lie between 0 and 86400 seconds: {value}"
    )))
}

/// The options as Python's keyword arguments name them.
pub struct Words<'a> {
    pub grace: f64,
    pub revise: f64,
    pub gap_s: f64,
    pub bucket_by: &'a str,
    pub edge_split: &'a str,
    pub anchor: &'a str,
    pub tail: &'a str,
    pub preopen: &'a str,
    pub open_source: &'a str,
    pub postclose: &'a str,
    pub gap_volume: &'a str,
    pub extremes: &'a str,
    pub vwap: &'a str,
    pub atp_rounding: &'a str,
    pub close_on: &'a str,
    pub volume: &'a str,
    pub week_start: &'a str,
    pub signed_volume: Option<&'a str>,
}

impl Words<'_> {
    pub fn options(&self) -> PyResult<Options> {
        let mut options = Options {
            grace: seconds("grace", self.grace)?,
            revise: seconds("revise", self.revise)?,
            gap: seconds("gap_s", self.gap_s)?,
            ..Options::default()
        };
        options.bucket_by = choose(
            "bucket_by",
            self.bucket_by,
            &[
                ("ltt", BucketBy::Ltt),
                ("exchange", BucketBy::Exchange),
                ("receive", BucketBy::Receive),
            ],
        )?;
        options.edge_split = choose(
            "edge_split",
            self.edge_split,
            &[("last", EdgeSplit::Last), ("prorata", EdgeSplit::Prorata)],
        )?;
        options.anchor = choose(
            "anchor",
            self.anchor,
            &[
                ("leg", Anchor::Leg),
                ("day", Anchor::Day),
                ("midnight", Anchor::Midnight),
                ("epoch", Anchor::Epoch),
            ],
        )?;
        options.tail = choose("tail", self.tail, &[("stub", Tail::Stub), ("merge", Tail::Merge)])?;
        options.preopen = choose(
            "preopen",
            self.preopen,
            &[
                ("separate", PreOpen::Separate),
                ("fold", PreOpen::Fold),
                ("bar", PreOpen::Bar),
                ("drop", PreOpen::Drop),
            ],
        )?;
        options.open_source = choose(
            "open_source",
            self.open_source,
            &[
                ("first_trade", OpenSource::FirstTrade),
                ("day_open", OpenSource::DayOpen),
            ],
        )?;
        options.postclose = choose(
            "postclose",
            self.postclose,
            &[
                ("day_only", PostClose::DayOnly),
                ("bar", PostClose::Bar),
                ("drop", PostClose::Drop),
            ],
        )?;
        options.gap_volume = choose(
            "gap_volume",
            self.gap_volume,
            &[
                ("last", GapVolume::Last),
                ("spread", GapVolume::Spread),
                ("exclude", GapVolume::Exclude),
            ],
        )?;
        options.saying.extremes = choose(
            "extremes",
            self.extremes,
            &[
                ("apply", Extremes::Apply),
                ("skip", Extremes::Skip),
                ("off", Extremes::Off),
            ],
        )?;
        options.saying.vwap = choose(
            "vwap",
            self.vwap,
            &[
                ("hybrid", Vwap::Hybrid),
                ("atp", Vwap::Atp),
                ("ltp", Vwap::Ltp),
                ("hlc3", Vwap::Hlc3),
            ],
        )?;
        options.saying.atp_width = choose(
            "atp_rounding",
            self.atp_rounding,
            &[("round", 1), ("truncate", 2)],
        )?;
        options.close_on = choose(
            "close_on",
            self.close_on,
            &[
                ("watermark", CloseOn::Watermark),
                ("next_tick", CloseOn::NextTick),
            ],
        )?;
        options.volume = choose(
            "volume",
            self.volume,
            &[("cumulative", VolumeKind::Cumulative), ("none", VolumeKind::None)],
        )?;
        options.week_starts_sunday = choose(
            "week_start",
            self.week_start,
            &[("monday", false), ("sunday", true)],
        )?;
        if let Some(rule) = self.signed_volume {
            options.signed = choose(
                "signed_volume",
                rule,
                &[("tick", SignedVolume::Tick), ("quote", SignedVolume::Quote)],
            )?;
        }
        Ok(options)
    }
}

/// An interval as Python writes it: one of the names, or a timedelta of whole seconds.
pub fn interval(value: &Bound<'_, PyAny>) -> PyResult<Interval> {
    if let Ok(text) = value.cast::<PyString>() {
        return Interval::parse(text.to_str()?).map_err(|error| PyValueError::new_err(error.to_string()));
    }
    if let Ok(delta) = value.cast::<PyDelta>() {
        let part = |name: &str| delta.getattr(name)?.extract::<i64>();
        let seconds = part("days")? * 86_400 + part("seconds")?;
        let whole = part("microseconds")? == 0 && seconds > 0;
        let text = if seconds == 86_400 {
            "1d".to_owned()
        } else {
            format!("{seconds}s")
        };
        return match Interval::parse(&text) {
            Ok(interval) if whole => Ok(interval),
            _ => Err(PyValueError::new_err(format!(
                "interval must be a whole number of seconds up to a day: {}",
                value.repr()?
            ))),
        };
    }
    let kind = value.get_type().name()?;
    Err(PyTypeError::new_err(format!(
        "interval must be a str or a timedelta, not {kind}"
    )))
}

/// What an engine keeps: intervals of time, and bars without time.
#[derive(Default)]
pub struct Kept {
    pub timed: Vec<Interval>,
    pub nontime: Vec<String>,
}

/// The canonical name of an interval or of bars without time (R38).
pub fn series(value: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Some(text) = nontime(value)? {
        return Ok(text);
    }
    interval(value).map(|interval| interval.to_string())
}

fn nontime(value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    let Ok(text) = value.cast::<PyString>() else {
        return Ok(None);
    };
    let text = text.to_str()?;
    if !text.contains(':') {
        return Ok(None);
    }
    NonTime::parse(text, 10_000_000).map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(Some(text.to_owned()))
}

/// Bars whose size is below the tick of the price are refused.
pub fn too_fine(text: &str, tick: Option<f64>) -> PyErr {
    let tick = tick.map_or_else(String::new, |tick| format!(" of {tick}"));
    PyValueError::new_err(format!(
        "range and renko bars must not be smaller than the instrument's tick{tick}, which track(tick_size=) tells: {text:?}"
    ))
}

/// The intervals of an engine, distinct, in the order given; one minute if none are.
pub fn intervals(value: Option<&Bound<'_, PyAny>>) -> PyResult<Kept> {
    let Some(value) = value else {
        return Ok(Kept {
            timed: vec![Interval::Seconds(60)],
            ..Kept::default()
        });
    };
    if value.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err(format!(
            "intervals must be a list of intervals, not a str: {value}"
        )));
    }
    let mut kept = Kept::default();
    for item in value.try_iter()? {
        let item = item?;
        if let Some(text) = nontime(&item)? {
            // No segment has a finer tick.
            let finest = 25_000;
            if !NonTime::parse(&text, 10_000_000).is_ok_and(|bars| bars.suits(finest)) {
                return Err(too_fine(&text, Some(0.0025)));
            }
            if !kept.nontime.contains(&text) {
                kept.nontime.push(text);
            }
            continue;
        }
        let interval = interval(&item)?;
        if !kept.timed.contains(&interval) {
            kept.timed.push(interval);
        }
    }
    let count = kept.timed.len() + kept.nontime.len();
    if count == 0 || count > 64 {
        return Err(PyValueError::new_err(format!(
            "an engine keeps 1 to 64 intervals: {count}"
        )));
    }
    Ok(kept)
}

pub fn within(option: &str, value: usize, least: usize, most: usize) -> PyResult<usize> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(PyValueError::new_err(format!(
        "{option} must lie between {least} and {most}: {value}"
    )))
}

/// A receive time or a clock reading: 0 or an instant up to the year 2200.
pub fn instant(name: &str, value: i64) -> PyResult<i64> {
    if (0..=7_258_118_400_000_000_000).contains(&value) {
        return Ok(value);
    }
    Err(PyValueError::new_err(format!(
        "{name} must be UTC nanoseconds between 1970 and 2200: {value}"
    )))
}

/// How many units of an instrument are one rupee.
pub fn divisor(value: Option<i64>) -> PyResult<Option<i64>> {
    match value {
        Some(value) if !(1..=1_000_000_000).contains(&value) => Err(PyValueError::new_err(format!(
            "divisor must lie between 1 and 10**9: {value}"
        ))),
        _ => Ok(value),
    }
}

/// A tick size in units, at least one.
pub fn tick_size(value: Option<f64>, divisor: i64) -> PyResult<Option<i64>> {
    match value {
        Some(size) if size > 0.0 && size <= 1e6 => Ok(Some(((size * divisor as f64).ceil() as i64).max(1))),
        Some(size) => Err(PyValueError::new_err(format!(
            "tick_size must lie between 0 and 10**6: {size}"
        ))),
        None => Ok(None),
    }
}

/// A volume that was seen of a day before its first tick.
pub fn baseline(value: Option<i64>) -> PyResult<Option<i64>> {
    match value {
        Some(value) if !(0..=1 << 53).contains(&value) => Err(PyValueError::new_err(format!(
            "baseline_volume must lie between 0 and 2**53: {value}"
        ))),
        _ => Ok(value),
    }
}
