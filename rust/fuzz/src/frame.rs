//! Any bytes as a frame: no panic, everything counted, nothing allocated that is not there.

use std::cell::RefCell;

use tickloom_core::tick::{TickRow, decode_depth20, decode_rows, decode_rows_portably};
use tickloom_core::wire::kite::{self, Census, Packet, ScaleTable, census};
use zerocopy::IntoBytes;

static SCALES: ScaleTable = ScaleTable::kite();

thread_local! {
    /// The rows of the last piece, dirty on purpose: a decoder must write all of a row.
    static ROWS: RefCell<[Vec<TickRow>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// Packets in a piece: of a very long frame only so many rows are held at a time, or the harness would need more
/// memory than the decoder that it measures.
const PIECE: usize = 4096;

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

    rows(bytes, &found);
    assert_eq!(decode_depth20(bytes, &SCALES).len(), deep);

    prefix(bytes, whole);
}

/// The two decoders agree on every row: on the head of the frame, and on the frame piece by piece.
fn rows(bytes: &[u8], found: &Census) {
    let head = found.ticks.min(PIECE);
    same_rows(bytes, found, head);
    if found.ticks == head {
        return;
    }
    let mut piece = Vec::new();
    let (mut at, mut ticks) = (2, 0);
    let mut walk = kite::frame(bytes);
    loop {
        let (mut packets, start) = (0_u16, at);
        for body in walk.by_ref().take(PIECE) {
            at += 2 + body.len();
            packets += 1;
        }
        if packets == 0 {
            break;
        }
        piece.clear();
        piece.extend_from_slice(&packets.to_be_bytes());
        piece.extend_from_slice(&bytes[start..at]);
        let found = census(&piece).expect("its packets are whole");
        same_rows(&piece, &found, found.ticks);
        ticks += found.ticks;
    }
    assert_eq!(ticks, found.ticks);
}

/// The first rows of a frame, decoded twice.
fn same_rows(bytes: &[u8], found: &Census, count: usize) {
    ROWS.with_borrow_mut(|both| {
        for rows in both.iter_mut() {
            rows.resize(count.max(rows.len()), TickRow::EMPTY);
        }
        let [fast, plain] = both;
        assert_eq!(decode_rows(bytes, found, &SCALES, &mut fast[..count]), count);
        assert_eq!(
            decode_rows_portably(bytes, found, &SCALES, &mut plain[..count]),
            count
        );
        assert!(
            fast[..count].as_bytes() == plain[..count].as_bytes(),
            "the two decoders differ"
        );
    });
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
