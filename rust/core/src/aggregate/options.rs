//! The options of docs/bars.md §1, with the names candles.md gives them.

use crate::bar::{Extremes, Saying, Vwap};
use crate::session::{Anchor, Tail};
use crate::units::{Ns, SECOND};

use super::SignedVolume;

/// The stamp that places a tick (R2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketBy {
    Ltt,
    Exchange,
    Receive,
}

/// Where a volume delta that straddles an edge goes (R2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeSplit {
    Last,
    Prorata,
}

/// What becomes of the opening auction (R8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreOpen {
    Separate,
    Fold,
    Bar,
    Drop,
}

/// What the day's first bar opens with (R8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenSource {
    FirstTrade,
    DayOpen,
}

/// What becomes of the post-close session (R9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostClose {
    DayOnly,
    Bar,
    Drop,
}

/// Where the volume of a gap goes (R13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapVolume {
    Last,
    Spread,
    Exclude,
}

/// What closes a bar besides the clock (R25).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseOn {
    Watermark,
    NextTick,
}

/// Whether volume is used at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumeKind {
    Cumulative,
    None,
}

/// How bars are made.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub grace: Ns,
    pub revise: Ns,
    pub gap: Ns,
    pub bucket_by: BucketBy,
    pub edge_split: EdgeSplit,
    pub anchor: Anchor,
    pub tail: Tail,
    pub preopen: PreOpen,
    pub open_source: OpenSource,
    pub postclose: PostClose,
    pub gap_volume: GapVolume,
    pub close_on: CloseOn,
    pub volume: VolumeKind,
    pub saying: Saying,
    /// How the volume of bars without time gets its sign (R38).
    pub signed: SignedVolume,
    /// Weeks begin on Sunday instead of Monday (R28).
    pub week_starts_sunday: bool,
    /// Common ticks take the short way (`quick`). Off, every tick takes the long one: same bars, for tests.
    pub short_way: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            grace: 2 * SECOND,
            revise: 5 * SECOND,
            gap: 10 * SECOND,
            bucket_by: BucketBy::Ltt,
            edge_split: EdgeSplit::Last,
            anchor: Anchor::Leg,
            tail: Tail::Stub,
            preopen: PreOpen::Separate,
            open_source: OpenSource::FirstTrade,
            postclose: PostClose::DayOnly,
            gap_volume: GapVolume::Last,
            close_on: CloseOn::Watermark,
            volume: VolumeKind::Cumulative,
            saying: Saying {
                vwap: Vwap::Hybrid,
                extremes: Extremes::Apply,
                atp_width: 1,
            },
            signed: SignedVolume::Off,
            week_starts_sunday: false,
            short_way: true,
        }
    }
}

impl Options {
    /// How long after its end a bar can still change.
    #[must_use]
    #[inline]
    pub fn final_after(&self) -> Ns {
        self.grace.max(self.revise)
    }
}
