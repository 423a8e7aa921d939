//! Any packets through emit and back: the same packets, the same bytes.

use tickloom_core::wire::kite::emit::FrameBuilder;
use tickloom_core::wire::kite::packet::{Body, Depth20, Full, IndexFull, IndexQuote, Ltp, Ltpc, Quote};
use tickloom_core::wire::kite::{Packet, census, frame};

/// The first byte of what is left chooses a layout, the bytes behind it fill the packet.
///
/// # Panics
/// When parse is not the inverse of emit.
pub fn roundtrip(mut bytes: &[u8]) {
    let mut builder = FrameBuilder::new();
    let mut bodies: Vec<&[u8]> = Vec::new();
    while let Some((&choice, rest)) = bytes.split_first() {
        let taken = match choice % 8 {
            0 => push::<Ltp>(&mut builder, rest),
            1 => push::<Ltpc>(&mut builder, rest),
            2 => push::<IndexQuote>(&mut builder, rest),
            3 => push::<IndexFull>(&mut builder, rest),
            4 => push::<Quote>(&mut builder, rest),
            5 => push::<Full>(&mut builder, rest),
            6 => push::<Depth20>(&mut builder, rest),
            _ => {
                let length = usize::from(choice / 8).min(rest.len());
                builder.push_raw(&rest[..length]);
                Some(length)
            }
        };
        let Some(length) = taken else { break };
        bodies.push(&rest[..length]);
        bytes = &rest[length..];
    }
    assert_eq!(builder.len(), bodies.len());
    let emitted = builder.finish();

    let mut walk = frame(&emitted);
    let mut again = FrameBuilder::new();
    for body in &bodies {
        let read = walk.next().expect("what was pushed is there");
        assert_eq!(read, *body);
        match Packet::read(read) {
            Packet::Ltp(packet) => again.push(packet),
            Packet::Ltpc(packet) => again.push(packet),
            Packet::IndexQuote(packet) => again.push(packet),
            Packet::IndexFull(packet) => again.push(packet),
            Packet::Quote(packet) => again.push(packet),
            Packet::Full(packet) => again.push(packet),
            Packet::Depth20(packet) => again.push(packet),
            Packet::Unknown(body) => again.push_raw(body),
        }
    }
    assert_eq!((walk.next(), walk.error(), walk.missing()), (None, None, 0));
    assert_eq!(again.finish(), emitted);
    let found = census(&emitted).expect("what was emitted is whole");
    assert_eq!(found.ticks + found.rejected, bodies.len());
}

/// Pushes a packet read from the head of the bytes, and tells how many it took; nothing if they end first.
fn push<P: Body>(builder: &mut FrameBuilder, bytes: &[u8]) -> Option<usize> {
    let (packet, _) = P::ref_from_prefix(bytes).ok()?;
    builder.push(packet);
    Some(size_of::<P>())
}
