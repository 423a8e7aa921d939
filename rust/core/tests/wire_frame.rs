//! Frames: what is whole is kept, what is wrong is said and counted (kite-protocol §4).

use proptest::prelude::*;
use tickloom_core::error::{DecodeError, DecodeErrorKind};
use tickloom_core::wire::kite::emit::FrameBuilder;
use tickloom_core::wire::kite::packet::{Full, Ltp, Packet};
use tickloom_core::wire::kite::{census, frame};

fn built(bodies: &[Vec<u8>]) -> Vec<u8> {
    let mut builder = FrameBuilder::new();
    for body in bodies {
        builder.push_raw(body);
    }
    builder.finish()
}

fn bodies() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let length = prop_oneof![
        6 => prop::sample::select(vec![8usize, 12, 28, 32, 44, 184, 492]),
        1 => 0usize..600,
    ];
    prop::collection::vec(
        length.prop_flat_map(|n| prop::collection::vec(any::<u8>(), n)),
        0..12,
    )
}

#[test]
fn a_heartbeat_is_an_empty_frame_and_no_error() {
    for byte in [0, 1, 255] {
        let found = census(&[byte]).expect("a heartbeat is readable");
        assert!(found.is_heartbeat);
        assert_eq!((found.ticks, found.rejected, found.error), (0, 0, None));
    }
}

#[test]
fn an_empty_message_is_refused() {
    let error = census(&[]).expect_err("nothing could be read");
    assert_eq!(
        error,
        DecodeError {
            kind: DecodeErrorKind::ShortHeader,
            offset: 0
        }
    );
}

#[test]
fn a_frame_of_no_packets_is_readable() {
    let found = census(&[0, 0]).expect("the count says 0 and 0 are there");
    assert_eq!(
        (found.ticks, found.rejected, found.error, found.is_heartbeat),
        (0, 0, None, false)
    );
}

#[test]
fn a_count_that_lies_high_is_counted_and_the_rest_kept() {
    let mut builder = FrameBuilder::new();
    builder.push(&Ltp {
        instrument_token: 408_065.into(),
        last_price: 1.into(),
    });
    let mut bytes = builder.finish();
    bytes[..2].copy_from_slice(&60_001u16.to_be_bytes());
    let found = census(&bytes).expect("one packet is whole");
    assert_eq!((found.ticks, found.rejected), (1, 60_000));
    assert_eq!(
        found.error,
        Some(DecodeError {
            kind: DecodeErrorKind::TruncatedLength,
            offset: 12
        })
    );
}

#[test]
fn a_count_that_lies_low_leaves_trailing_bytes() {
    let full = Full::default();
    let mut builder = FrameBuilder::new();
    builder.push(&full);
    builder.push(&full);
    let mut bytes = builder.finish();
    bytes[..2].copy_from_slice(&1u16.to_be_bytes());
    let found = census(&bytes).expect("one packet is whole");
    assert_eq!((found.ticks, found.rejected), (1, 0));
    assert_eq!(
        found.error,
        Some(DecodeError {
            kind: DecodeErrorKind::TrailingBytes,
            offset: 188
        })
    );
}

#[test]
fn a_walk_that_is_over_stays_over() {
    let mut walk = frame(&[0, 2, 0, 0, 0, 9, 1]);
    assert_eq!(walk.next(), Some(&[][..]));
    for _ in 0..3 {
        assert_eq!(walk.next(), None);
        let cut = DecodeError {
            kind: DecodeErrorKind::TruncatedBody,
            offset: 4,
        };
        assert_eq!(walk.error(), Some(cut));
        assert_eq!(walk.missing(), 1);
    }
}

proptest! {
    #[test]
    fn parse_is_the_inverse_of_emit(bodies in bodies()) {
        let bytes = built(&bodies);
        let mut walk = frame(&bytes);
        let read: Vec<Vec<u8>> = walk.by_ref().map(<[u8]>::to_vec).collect();
        prop_assert_eq!(walk.error(), None);
        prop_assert_eq!(&read, &bodies);
        prop_assert_eq!(built(&read), bytes);
    }

    #[test]
    fn every_prefix_keeps_the_whole_packets_before_the_cut(bodies in bodies(), at in any::<prop::sample::Index>()) {
        let bytes = built(&bodies);
        let cut = &bytes[..at.index(bytes.len() + 1)];
        let mut end = 2;
        let whole = bodies.iter().take_while(|body| { end += 2 + body.len(); end <= cut.len() }).count();
        let mut walk = frame(cut);
        let read: Vec<&[u8]> = walk.by_ref().collect();
        prop_assert_eq!(read.len(), whole);
        prop_assert!(read.iter().zip(&bodies).all(|(read, body)| read == body));
        if cut.len() >= 2 {
            prop_assert_eq!(walk.error().is_none(), whole == bodies.len());
            prop_assert_eq!(whole + walk.missing(), bodies.len());
        }
    }

    #[test]
    fn announced_packets_are_ticks_or_rejected_whatever_the_bytes(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
        let mut walk = frame(&bytes);
        let ticks = walk.by_ref().filter(|body| !matches!(Packet::read(body), Packet::Unknown(_))).count();
        match census(&bytes) {
            Ok(found) => {
                prop_assert_eq!(found.ticks, ticks);
                prop_assert_eq!(found.ticks + found.rejected, walk.announced());
                prop_assert_eq!(found.error, walk.error());
            }
            Err(error) => {
                prop_assert_eq!(Some(error), walk.error());
                prop_assert_eq!(walk.missing(), walk.announced());
            }
        }
    }
}
