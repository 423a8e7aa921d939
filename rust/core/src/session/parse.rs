//! The text of the session table to rows, with an error that names the line and the word.

use core::fmt;

use super::calendar::day_of;
use super::{CLASSES, Hours, MAX_LEGS, Row, Seconds};

/// What is wrong with a line of the session table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SessionErrorKind {
    /// A row has seven cells between bars.
    Cells,
    /// The class is none of the table's.
    UnknownClass,
    /// A date is neither `yyyy-mm-dd` nor `..`.
    Date,
    /// A row ends before it begins.
    DatesReversed,
    /// A span is not `hh:mm-hh:mm`, nor the same with seconds.
    Span,
    /// A span ends at or before its start.
    SpanReversed,
    /// A span begins before the one in front of it ends.
    Overlap,
    /// A row has more legs than a day can have.
    TooManyLegs,
    /// A closed day has an auction or a post-close.
    ClosedDay,
}

/// A line of the session table that cannot be read: where, what, and the words at fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionError {
    /// Counted from one.
    pub line: usize,
    pub kind: SessionErrorKind,
    pub text: String,
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            SessionErrorKind::Cells => "a row needs seven cells between bars",
            SessionErrorKind::UnknownClass => "unknown session class",
            SessionErrorKind::Date => "a date must be yyyy-mm-dd or ..",
            SessionErrorKind::DatesReversed => "the last date is before the first",
            SessionErrorKind::Span => "a span must be hh:mm-hh:mm or -",
            SessionErrorKind::SpanReversed => "a span must end after its start",
            SessionErrorKind::Overlap => "a span begins before the one in front of it ends",
            SessionErrorKind::TooManyLegs => "a day has at most four legs",
            SessionErrorKind::ClosedDay => "a day without legs has no auction and no post-close",
        };
        write!(f, "line {}: {what}: {:?}", self.line, self.text)
    }
}

impl core::error::Error for SessionError {}

type Fault<'a> = (SessionErrorKind, &'a str);

/// Reads the whole text, or nothing: the first fault ends it.
pub(super) fn parse_rows(text: &str) -> Result<Vec<Row>, SessionError> {
    let mut rows = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let content = line.split('#').next().unwrap_or("").trim();
        if content.is_empty() {
            continue;
        }
        parse_line(content, &mut rows).map_err(|(kind, text)| SessionError {
            line: index + 1,
            kind,
            text: text.to_owned(),
        })?;
    }
    Ok(rows)
}

fn parse_line<'a>(line: &'a str, rows: &mut Vec<Row>) -> Result<(), Fault<'a>> {
    let mut cells = line.split('|').map(str::trim);
    let row: [&str; 7] = core::array::from_fn(|_| cells.next().unwrap_or(""));
    if cells.next().is_some() || row.iter().any(|cell| cell.is_empty()) {
        return Err((SessionErrorKind::Cells, line));
    }
    let [classes, from, to, preopen, legs, auction, post] = row;
    let (first, last) = (date(from, i64::MIN)?, date(to, i64::MAX)?);
    if last < first {
        return Err((SessionErrorKind::DatesReversed, to));
    }
    // The two seasons are checked apart, so that neither can hold an overlap the other hides.
    let hours = [Season::Summer, Season::Winter].map(|season| hours(season, preopen, legs, auction, post));
    let [summer, winter] = hours;
    let (summer, winter) = (summer?, winter?);
    for name in classes.split_whitespace() {
        let class = CLASSES.iter().position(|known| *known == name);
        let class = class.ok_or((SessionErrorKind::UnknownClass, name))?;
        rows.push(Row {
            class: class as u8,
            from: first,
            to: last,
            summer,
            winter,
        });
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Season {
    Summer,
    Winter,
}

fn hours<'a>(
    season: Season,
    preopen: &'a str,
    legs: &'a str,
    auction: &'a str,
    post: &'a str,
) -> Result<Hours, Fault<'a>> {
    let mut hours = Hours::default();
    let mut end = 0;
    hours.preopen = optional(season, preopen, &mut end)?;
    if legs != "-" {
        for word in legs.split_whitespace() {
            if usize::from(hours.leg_count) == MAX_LEGS {
                return Err((SessionErrorKind::TooManyLegs, legs));
            }
            hours.legs[usize::from(hours.leg_count)] = after(season, word, &mut end)?;
            hours.leg_count += 1;
        }
    }
    hours.close_auction = optional(season, auction, &mut end)?;
    hours.post = optional(season, post, &mut end)?;
    if hours.leg_count == 0 && end > 0 {
        return Err((SessionErrorKind::ClosedDay, legs));
    }
    Ok(hours)
}

fn optional<'a>(season: Season, cell: &'a str, end: &mut u32) -> Result<Option<Seconds>, Fault<'a>> {
    if cell == "-" {
        Ok(None)
    } else {
        after(season, cell, end).map(Some)
    }
}

/// A span that begins at or after `end`, which moves to the span's own end.
fn after<'a>(season: Season, word: &'a str, end: &mut u32) -> Result<Seconds, Fault<'a>> {
    let bad = (SessionErrorKind::Span, word);
    let (from, to) = word.split_once('-').ok_or(bad)?;
    let (from, to) = (
        seasonal(season, from).ok_or(bad)?,
        seasonal(season, to).ok_or(bad)?,
    );
    if to <= from {
        return Err((SessionErrorKind::SpanReversed, word));
    }
    if from < *end {
        return Err((SessionErrorKind::Overlap, word));
    }
    *end = to;
    Ok((from, to))
}

/// `23:30`, or `23:30/23:55` for summer and winter.
fn seasonal(season: Season, text: &str) -> Option<u32> {
    match text.split_once('/') {
        None => time(text),
        // Both halves must be times whichever is asked for.
        Some((summer, winter)) => {
            let (summer, winter) = (time(summer)?, time(winter)?);
            Some(if season == Season::Summer { summer } else { winter })
        }
    }
}

/// `hh:mm` or `hh:mm:ss` to seconds of the day; 24:00 is the end of it.
fn time(text: &str) -> Option<u32> {
    let mut parts = text.split(':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let second = parts.next().map_or(Some(0), |part| digits(part, 2))?;
    let total = hour * 3_600 + minute * 60 + second;
    (parts.next().is_none() && minute < 60 && second < 60 && total <= 86_400).then_some(total)
}

fn date(text: &str, open: i64) -> Result<i64, Fault<'_>> {
    if text == ".." {
        return Ok(open);
    }
    let read = || {
        let mut parts = text.split('-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        let number = day_of(
            digits(year, 4)?.into(),
            digits(month, 2)?.into(),
            digits(day, 2)?.into(),
        );
        number.filter(|_| parts.next().is_none())
    };
    read().ok_or((SessionErrorKind::Date, text))
}

/// Exactly `width` ASCII digits: no sign, no blank.
fn digits(text: &str, width: usize) -> Option<u32> {
    (text.len() == width && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}
