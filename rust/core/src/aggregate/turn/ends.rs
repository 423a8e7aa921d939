//! Which folds end at which minute of a leg: looked up, because the sweep asks for every instrument.

/// The folds' ends by minute of a leg, all counted from the leg's start.
#[derive(Debug, Default)]
pub(in crate::aggregate) struct Ends {
    /// Seconds a bucket of each fold lasts.
    widths: Vec<u32>,
    /// By minute: the folds, by bit, of which a bucket ends with it, and when the next one ends in seconds of the leg.
    minutes: Vec<(u64, u32)>,
}

/// Minutes of the longest leg.
const MINUTES: u32 = 1_440;

impl Ends {
    /// `widths` are whole minutes, at most 64 of them.
    pub fn new(widths: Vec<u32>) -> Self {
        let of = |minute: u32| {
            let ends = widths.iter().enumerate();
            let mask = ends.filter(|(_, width)| (minute * 60).is_multiple_of(**width));
            let next = widths.iter().map(|width| (minute * 60 / width + 1) * width).min();
            (
                mask.fold(0, |mask, (fold, _)| mask | 1 << fold),
                next.unwrap_or(u32::MAX),
            )
        };
        let minutes = (0..=MINUTES).map(of).collect();
        Self { widths, minutes }
    }

    fn of(&self, second: u32) -> (u64, u32) {
        self.minutes
            .get((second / 60) as usize)
            .copied()
            .unwrap_or((0, u32::MAX))
    }

    /// The folds, by bit, of which a bucket ends at this second of a leg; all of them where the leg ends too.
    #[inline]
    pub fn ending(&self, second: u32, leg: u32) -> u64 {
        if second == leg {
            (1_u64 << self.widths.len()) - 1
        } else if second.is_multiple_of(60) {
            self.of(second).0
        } else {
            0
        }
    }

    /// When the first of the buckets ends that contain this second of a leg.
    #[inline]
    pub fn first_after(&self, second: u32) -> u32 {
        self.of(second).1
    }

    /// Whether each bucket of the folds `mask` that ends at `end` starts at `since` or later.
    pub fn start_since(&self, mask: u64, end: u32, since: u32) -> bool {
        let of = |(fold, width): (usize, &u32)| {
            mask & 1 << fold == 0 || end.saturating_sub(1) / width * width >= since
        };
        self.widths.iter().enumerate().all(of)
    }
}
