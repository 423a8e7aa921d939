//! The name of a non-time bar and its size: exact decimals, no floats.

use core::fmt;
use core::num::{NonZeroU32, NonZeroU64, NonZeroU128};

use super::{NonTime, Overshoot, RangeBars, RenkoBars, UpdateBars, ValueBars, VolumeBars};

/// Why a text names no bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NonTimeErrorKind {
    /// The word before the colon is none of the known.
    Bars,
    /// The size is no decimal number.
    Number,
    /// The size is zero, too large, or no whole number of units.
    Size,
    /// The word behind the size is none of the known, or the bars take none.
    Policy,
}

/// A text that names no bar, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NonTimeError {
    pub kind: NonTimeErrorKind,
    pub text: String,
}

impl fmt::Display for NonTimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            NonTimeErrorKind::Bars => "bars must be volume, value, updates, range or renko and a size",
            NonTimeErrorKind::Number => "the size of a bar must be a decimal number",
            NonTimeErrorKind::Size => "the size of a bar must be a positive whole number of units",
            NonTimeErrorKind::Policy => "only volume and value bars take a policy, carry or overshoot",
        };
        write!(f, "{what}: {:?}", self.text)
    }
}

impl core::error::Error for NonTimeError {}

pub(super) fn parse(text: &str, divisor: u32) -> Result<NonTime, NonTimeError> {
    read(text.trim(), divisor).map_err(|kind| NonTimeError {
        kind,
        text: text.to_owned(),
    })
}

fn read(text: &str, divisor: u32) -> Result<NonTime, NonTimeErrorKind> {
    let (name, rest) = text.split_once(':').ok_or(NonTimeErrorKind::Bars)?;
    let (size, policy) = match rest.split_once(':') {
        Some((size, policy)) => (size, Some(policy)),
        None => (rest, None),
    };
    let overshoot = match policy {
        None | Some("carry") => Overshoot::Carry,
        Some("overshoot") => Overshoot::Keep,
        Some(_) => return Err(NonTimeErrorKind::Policy),
    };
    let divisor = u128::from(divisor);
    let bars = match name {
        "volume" => NonTime::Volume(VolumeBars::new(size_of(size, 1)?, overshoot)),
        "value" => {
            let size2 = decimal(size, 2 * divisor)?;
            NonTime::Value(ValueBars::new(
                NonZeroU128::new(size2).ok_or(NonTimeErrorKind::Size)?,
                overshoot,
            ))
        }
        "updates" => {
            let size = NonZeroU32::try_from(size_of(size, 1)?).map_err(|_| NonTimeErrorKind::Size)?;
            NonTime::Updates(UpdateBars::new(size))
        }
        "range" => NonTime::Range(RangeBars::new(size_of(size, divisor)?)),
        "renko" => NonTime::Renko(RenkoBars::new(size_of(size, divisor)?)),
        _ => return Err(NonTimeErrorKind::Bars),
    };
    match bars {
        NonTime::Volume(_) | NonTime::Value(_) => Ok(bars),
        _ if policy.is_some() => Err(NonTimeErrorKind::Policy),
        _ => Ok(bars),
    }
}

fn size_of(text: &str, units: u128) -> Result<NonZeroU64, NonTimeErrorKind> {
    let size = u64::try_from(decimal(text, units)?).map_err(|_| NonTimeErrorKind::Size)?;
    NonZeroU64::new(size).ok_or(NonTimeErrorKind::Size)
}

/// `text` times `units`, exactly: digits with a point, and an exponent of ten.
fn decimal(text: &str, units: u128) -> Result<u128, NonTimeErrorKind> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !is_digits(whole) || !is_digits(fraction) {
        return Err(NonTimeErrorKind::Number);
    }
    let fraction = fraction.trim_end_matches('0');
    let places = i32::try_from(fraction.len()).map_err(|_| NonTimeErrorKind::Size)?;
    let digits = whole.bytes().chain(fraction.bytes());
    let number = digits
        .map(|b| u128::from(b - b'0'))
        .try_fold(0u128, |sum, digit| {
            sum.checked_mul(10).and_then(|sum| sum.checked_add(digit))
        });
    let scaled = number
        .and_then(|number| number.checked_mul(units))
        .ok_or(NonTimeErrorKind::Size)?;
    let power = exponent - places;
    let ten = 10u128.checked_pow(power.unsigned_abs());
    let shifted = match ten {
        _ if scaled == 0 => Some(0),
        Some(ten) if power >= 0 => scaled.checked_mul(ten),
        Some(ten) => (scaled % ten == 0).then(|| scaled / ten),
        None => None,
    };
    shifted.ok_or(NonTimeErrorKind::Size)
}

/// An exponent of at most three digits; more would not fit any size.
fn exponent_of(text: &str) -> Result<i32, NonTimeErrorKind> {
    let (sign, digits) = match text.as_bytes() {
        [b'-', ..] => (-1, &text[1..]),
        [b'+', ..] => (1, &text[1..]),
        _ => (1, text),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NonTimeErrorKind::Number);
    }
    if digits.len() > 3 {
        return Err(NonTimeErrorKind::Size);
    }
    digits
        .parse::<i32>()
        .map(|n| sign * n)
        .map_err(|_| NonTimeErrorKind::Number)
}
