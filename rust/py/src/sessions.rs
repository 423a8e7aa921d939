//! The session table as Python asks it: argument mapping around `tickloom_core::session`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tickloom_core::interval::Interval;
use tickloom_core::session::calendar::MAX_DAY;
use tickloom_core::session::{Anchor, ClassId, HOLIDAYS, Phase, SessionTable, Span, Tail};

use crate::options::{self, choose};

/// A day: pre-open, legs, closing auction, post-close, and whether a row names that very date.
type Day = (
    Option<(i64, i64)>,
    Vec<(i64, i64)>,
    Option<(i64, i64)>,
    Option<(i64, i64)>,
    bool,
);

/// The shipped hours, the shipped holidays unless told otherwise, and rows of the caller's on top.
///
/// Days are counted from 1970-01-01, instants are nanoseconds UTC. Raises ValueError for a text that cannot be
/// read, naming the line, and for a class, a day or an interval that is none.
#[pyclass(frozen, module = "tickloom._core")]
pub struct Sessions {
    table: SessionTable,
}

impl Sessions {
    fn class(&self, name: &str) -> PyResult<ClassId> {
        self.table.class(name).ok_or_else(|| {
            let names = SessionTable::class_names().join(", ");
            PyValueError::new_err(format!("session class must be one of {names}: {name:?}"))
        })
    }
}

fn within(day: i64) -> PyResult<i64> {
    if (-MAX_DAY..=MAX_DAY).contains(&day) {
        return Ok(day);
    }
    Err(PyValueError::new_err(format!(
        "a day must lie between 1696 and 2243, counted from 1970-01-01: {day}"
    )))
}

#[pymethods]
impl Sessions {
    #[new]
    #[pyo3(signature = (rows=None, *, holidays=true))]
    fn new(rows: Option<&str>, holidays: bool) -> PyResult<Self> {
        let mut table = SessionTable::builtin();
        let texts = [holidays.then_some(HOLIDAYS), rows];
        for text in texts.into_iter().flatten() {
            table
                .overlay(text)
                .map_err(|error| PyValueError::new_err(error.to_string()))?;
        }
        Ok(Self { table })
    }

    /// The text of the shipped holidays.
    #[classattr]
    const HOLIDAYS: &'static str = HOLIDAYS;

    /// The names of all classes.
    #[staticmethod]
    fn classes() -> Vec<&'static str> {
        SessionTable::class_names().to_vec()
    }

    /// The class of a segment's instruments, by the last byte of their tokens.
    #[staticmethod]
    fn class_of_segment(segment: u8) -> &'static str {
        SessionTable::class_name(SessionTable::builtin().class_of_segment(segment))
    }

    /// The hours of a class on a day.
    fn day(&self, class_: &str, day: i64) -> PyResult<Day> {
        let class = self.class(class_)?;
        let schedule = self.table.schedule(class, within(day)?);
        let pair = |span: Span| (span.start, span.end);
        Ok((
            schedule.preopen.map(pair),
            schedule.legs().iter().copied().map(pair).collect(),
            schedule.close_auction.map(pair),
            schedule.post.map(pair),
            self.table.names(class, day),
        ))
    }

    /// Where in a class's day an instant lies.
    fn phase(&self, class_: &str, day: i64, at: i64) -> PyResult<&'static str> {
        let schedule = self.table.schedule(self.class(class_)?, within(day)?);
        Ok(match schedule.phase(at) {
            Phase::Before => "before",
            Phase::PreOpen => "preopen",
            Phase::Continuous(_) => "continuous",
            Phase::Break => "break",
            Phase::CloseAuction => "closing_auction",
            Phase::PostClose => "post_close",
            Phase::After => "after",
        })
    }

    /// Start and end of every bar that a class can have on a day, in order.
    #[pyo3(signature = (class_, day, interval, *, anchor="leg", tail="stub"))]
    fn bars(
        &self,
        class_: &str,
        day: i64,
        interval: &Bound<'_, PyAny>,
        anchor: &str,
        tail: &str,
    ) -> PyResult<Vec<(i64, i64)>> {
        let schedule = self.table.schedule(self.class(class_)?, within(day)?);
        let Interval::Seconds(seconds) = options::interval(interval)? else {
            // A day, a week or a month: what of it lies in this date.
            return Ok(schedule.open().zip(schedule.close()).into_iter().collect());
        };
        let anchor = choose(
            "anchor",
            anchor,
            &[
                ("leg", Anchor::Leg),
                ("day", Anchor::Day),
                ("midnight", Anchor::Midnight),
                ("epoch", Anchor::Epoch),
            ],
        )?;
        let tail = choose("tail", tail, &[("stub", Tail::Stub), ("merge", Tail::Merge)])?;
        let step = i64::from(seconds) * 1_000_000_000;
        Ok(schedule
            .bars(step, anchor, tail)
            .map(|bar| (bar.start, bar.end))
            .collect())
    }
}
