//! What must hold for any bytes: the targets, apart from the engines that run them.

mod engine;
mod frame;
mod journal;
mod roundtrip;
mod script;
mod upstox;

pub use engine::engine;
pub use frame::frame;
pub use journal::journal;
pub use roundtrip::roundtrip;
pub use upstox::upstox;

/// A target by its name, which is also its corpus folder's.
#[must_use]
pub fn target(name: &str) -> Option<fn(&[u8])> {
    match name {
        "engine" => Some(engine),
        "frame" => Some(frame),
        "journal" => Some(journal),
        "roundtrip" => Some(roundtrip),
        "upstox" => Some(upstox),
        _ => None,
    }
}

pub const TARGETS: [&str; 5] = ["engine", "frame", "journal", "roundtrip", "upstox"];
