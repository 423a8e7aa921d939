//! Price scales as Python sees them.

use std::collections::BTreeMap;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tickloom_core::wire::kite::ScaleTable;

/// Which integer of the wire is one rupee, segment by segment (kite-protocol §5).
///
/// `PriceScales({12: 10_000})` is the default table with the divisors of some segments replaced. A segment
/// is the last byte of an instrument token. Prices of the segments in `signed` are read as signed 32-bit integers,
/// so that they may be negative; all others are unsigned.
///
/// Raises ValueError for a divisor of 0, OverflowError for a segment over 255 or a divisor over 2^32 - 1.
#[pyclass(frozen, module = "tickloom")]
pub struct PriceScales {
    pub table: Arc<ScaleTable>,
}

#[pymethods]
impl PriceScales {
    #[new]
    #[pyo3(signature = (divisors = None, *, signed = None))]
    fn new(divisors: Option<BTreeMap<u8, u32>>, signed: Option<Vec<u8>>) -> PyResult<Self> {
        let table = divisors
            .unwrap_or_default()
            .into_iter()
            .try_fold(ScaleTable::kite(), |table, (segment, divisor)| {
                table.with(segment, divisor)
            })
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        let signed = signed.unwrap_or_default().into_iter();
        let table = signed.fold(table, ScaleTable::with_signed);
        Ok(Self {
            table: Arc::new(table),
        })
    }

    /// The divisor of a segment.
    fn divisor(&self, segment: u8) -> u32 {
        self.table.segment(segment).divisor()
    }

    /// Whether the prices of a segment are read as signed.
    fn is_signed(&self, segment: u8) -> bool {
        self.table.segment(segment).is_signed()
    }

    /// The price of an integer of the wire, correctly rounded.
    fn price(&self, instrument_token: u32, raw: u32) -> f64 {
        self.table.of(instrument_token).to_f64(raw)
    }

    fn __repr__(&self) -> String {
        let divisors: Vec<String> = (0..=u8::MAX)
            .filter(|&segment| self.table.segment(segment).divisor() != 100)
            .map(|segment| format!("{segment}: {}", self.table.segment(segment).divisor()))
            .collect();
        let signed: Vec<String> = (0..=u8::MAX)
            .filter(|&segment| self.table.segment(segment).is_signed())
            .map(|segment| segment.to_string())
            .collect();
        let signed = if signed.is_empty() {
            String::new()
        } else {
            format!(", signed {}", signed.join(", "))
        };
        format!("PriceScales({{{}}}, others 100{signed})", divisors.join(", "))
    }
}
