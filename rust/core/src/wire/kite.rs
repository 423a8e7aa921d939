//! Stage 1, wire: the Kite ticker's binary frames (kite-protocol §4), big-endian throughout.
//!
//! ```text
//! frame  = u16 packets | packets x ( u16 length | body )
//! ```
//!
//! A body's length alone tells its layout ([`packet`]). [`frame`] walks the bodies without copying or
//! allocating; [`emit`] is its inverse; [`scale`] turns the integers of the wire into prices.

#[cfg(feature = "emit")]
pub mod emit;
mod frame;
pub mod packet;
pub mod scale;

pub(crate) use frame::uniform;
pub use frame::{Census, Frame, Run, census, frame};
pub use packet::Packet;
pub use scale::{Scale, ScaleError, ScaleTable};
