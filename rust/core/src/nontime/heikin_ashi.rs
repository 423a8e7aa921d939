//! Heikin-Ashi: bars averaged for the eye, made from stored bars when they are read, never stored (R38).

/// The four columns of averaged bars, as long as the shortest column they came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeikinAshi {
    pub open: Vec<f64>,
    pub high: Vec<f64>,
    pub low: Vec<f64>,
    pub close: Vec<f64>,
}

/// Averages bars, oldest first: the close is the mean of the bar's four prices, the open the middle of
/// the averaged bar before (of the bar itself, for the first), high and low reach over both.
///
/// A row with a NaN, as a gap filled on read has, stays NaN and the next goes on from the row before it.
/// Rows beyond the shortest column are left out.
#[must_use]
pub fn heikin_ashi(open: &[f64], high: &[f64], low: &[f64], close: &[f64]) -> HeikinAshi {
    let mut out = HeikinAshi::default();
    let mut before: Option<(f64, f64)> = None;
    for (((&o, &h), &l), &c) in open.iter().zip(high).zip(low).zip(close) {
        let mean = (o + h + l + c) / 4.0;
        if mean.is_nan() {
            for column in [&mut out.open, &mut out.high, &mut out.low, &mut out.close] {
                column.push(f64::NAN);
            }
            continue;
        }
        let (previous_open, previous_close) = before.unwrap_or((o, c));
        let start = (previous_open + previous_close) / 2.0;
        before = Some((start, mean));
        out.open.push(start);
        out.high.push(h.max(start).max(mean));
        out.low.push(l.min(start).min(mean));
        out.close.push(mean);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::heikin_ashi;

    #[test]
    fn the_first_bar_opens_at_its_own_middle_and_the_next_at_the_middle_of_the_last() {
        let ha = heikin_ashi(&[100.0, 104.0], &[108.0, 112.0], &[96.0, 100.0], &[104.0, 108.0]);
        // (100+108+96+104)/4 = 102; (104+112+100+108)/4 = 106; (102+102)/2 = 102.
        assert_eq!(ha.close, [102.0, 106.0]);
        assert_eq!(ha.open, [102.0, 102.0]);
        assert_eq!(ha.high, [108.0, 112.0]);
        assert_eq!(ha.low, [96.0, 100.0]);
    }

    #[test]
    fn high_and_low_reach_over_the_averaged_open() {
        // A fall of ten: the averaged open lies above the second bar's high.
        let ha = heikin_ashi(&[100.0, 90.0], &[100.0, 90.0], &[100.0, 90.0], &[100.0, 90.0]);
        assert_eq!((ha.open[1], ha.high[1]), (100.0, 100.0));
        assert_eq!((ha.low[1], ha.close[1]), (90.0, 90.0));
        let up = heikin_ashi(&[90.0, 100.0], &[90.0, 100.0], &[90.0, 100.0], &[90.0, 100.0]);
        assert_eq!(up.low[1], 90.0);
    }

    #[test]
    fn a_row_of_nan_stays_nan_and_does_not_spread() {
        let column = [100.0, f64::NAN, 90.0];
        let ha = heikin_ashi(&column, &column, &column, &column);
        assert!(ha.open[1].is_nan() && ha.high[1].is_nan() && ha.low[1].is_nan() && ha.close[1].is_nan());
        assert_eq!((ha.open[2], ha.close[2]), (100.0, 90.0));
    }

    #[test]
    fn the_shortest_column_decides_the_length_and_nothing_gives_nothing() {
        let ha = heikin_ashi(&[1.0, 2.0], &[1.0, 2.0], &[1.0], &[1.0, 2.0]);
        assert_eq!(
            [ha.open.len(), ha.high.len(), ha.low.len(), ha.close.len()],
            [1; 4]
        );
        assert!(heikin_ashi(&[], &[], &[], &[]).open.is_empty());
    }
}
