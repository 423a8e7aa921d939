//! Any bytes as a frame: no panic, everything counted, nothing allocated that is not there.

use std::cell::RefCell;

use tickloom_core::tick::{TickRow, decode_depth20, decode_rows, decode_rows_portably};
use tickloom_core::wire::kite::{self, Packet, ScaleTable, census};
use zerocopy::IntoBytes;

static SCALES: ScaleTable = ScaleTable::kite();

thread_local! {
    /// The rows of the last run, dirty on purpose: a decoder must write all of a row.
    static ROWS: RefCell<[Vec<TickRow>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

const COMPARED: usize = 4096;

/// # Panics
/// When an invariant of the frame walk or of the decoder does not hold.
pub fn frame(bytes: &[u8]) {
    let mut walk = kite::frame(bytes);
    let mut whole = 0;
    let mut ticks = 0;
    let mut deep = 0;
    let mut end = 2;
    for body in walk.by_ref() {
        whole += 1;
        end += 2 + body.len();
        ticks += usize::from(!matches!(Packet::read(body), Packet::Unknown(_)));
        deep += usize::from(matches!(Packet::read(body), Packet::Depth20(_)));
    }
    assert_eq!(whole + walk.missing(), walk.announced());
    assert!(whole == 0 || end <= bytes.len());
    if let Some(error) = walk.error() {
        assert!(error.offset <= bytes.len());
    }

    let found = match census(bytes) {
        Err(error) => {
            assert_eq!((Some(error), whole), (walk.error(), 0));
            return;
        }
        Ok(found) => found,
    };
    assert_eq!(
        (found.ticks, found.depth20, found.error),
        (ticks, deep, walk.error())
    );
    assert_eq!(found.ticks + found.rejected, walk.announced());
    assert_eq!(found.is_heartbeat, bytes.len() == 1);
    // A row needs a packet of at least ten bytes that are there, whatever the header says.
    assert!(found.ticks * 10 <= bytes.len());

    ROWS.with_borrow_mut(|[fast, plain]| {
        if fast.len() < ticks {
            // The old rows go first: what counts against the limit is the decoder's memory, not a copy.
            *fast = Vec::new();
            *fast = vec![TickRow::EMPTY; ticks];
        }
        assert_eq!(decode_rows(bytes, &found, &SCALES, &mut fast[..ticks]), ticks);
        // Of a very long frame only the first rows are compared, so that memory has one set of them.
        let compared = ticks.min(COMPARED);
        plain.resize(compared.max(plain.len()), TickRow::EMPTY);
        assert_eq!(
            decode_rows_portably(bytes, &found, &SCALES, &mut plain[..compared]),
            compared
        );
        assert!(
            fast[..compared].as_bytes() == plain[..compared].as_bytes(),
            "the two decoders differ"
        );
    });
    assert_eq!(decode_depth20(bytes, &SCALES).len(), deep);

    prefix(bytes, whole);
}

/// A frame that is cut anywhere keeps the packets before the cut. The place is the bytes' own choice, so
/// that the same input always does the same: its last ones, because a hash of all would cost the most here.
fn prefix(bytes: &[u8], whole: usize) {
    let mut last = [0; 8];
    let tail = &bytes[bytes.len().saturating_sub(8)..];
    last[..tail.len()].copy_from_slice(tail);
    let choice = u64::from_le_bytes(last) as usize ^ bytes.len();
    let cut = &bytes[..choice % (bytes.len() + 1)];
    let mut walk = kite::frame(cut);
    let mut kept = 0;
    for (body, uncut) in walk.by_ref().zip(kite::frame(bytes)) {
        assert_eq!(body, uncut);
        kept += 1;
    }
    assert!(kept <= whole);
    // Nothing whole was left behind: the next packet of the uncut frame ends after the cut.
    if kept < whole && cut.len() >= 2 {
        let end: usize = 2 + kite::frame(bytes)
            .take(kept + 1)
            .map(|body| 2 + body.len())
            .sum::<usize>();
        assert!(end > cut.len());
        assert!(walk.error().is_some());
    }
}
