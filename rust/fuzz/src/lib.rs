//! What must hold for any bytes: the targets, apart from the engines that run them.

mod frame;
mod roundtrip;

pub use frame::frame;
pub use roundtrip::roundtrip;

/// A target by its name, which is also its corpus folder's.
#[must_use]
pub fn target(name: &str) -> Option<fn(&[u8])> {
    match name {
        "frame" => Some(frame),
        "roundtrip" => Some(roundtrip),
        _ => None,
    }
}

pub const TARGETS: [&str; 2] = ["frame", "roundtrip"];
