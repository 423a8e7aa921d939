//! Stage 1, wire: the inverse of [`super::frame`], packets to bytes.

use super::packet::Body;

/// Builds one frame, packet by packet.
///
/// ```
/// use tickloom_core::wire::kite::{emit::FrameBuilder, frame, packet::Ltp};
///
/// let mut builder = FrameBuilder::new();
/// builder.push(&Ltp { instrument_token: 408_065.into(), last_price: 129_905.into() });
/// let bytes = builder.finish();
/// assert_eq!(frame(&bytes).count(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct FrameBuilder {
    bytes: Vec<u8>,
    packets: u16,
}

impl FrameBuilder {
    #[must_use]
    pub fn new() -> Self {
        Self {
            bytes: vec![0, 0],
            packets: 0,
        }
    }

    /// Appends a packet.
    ///
    /// # Panics
    /// When the frame already holds 65,535 packets: its count field has 16 bits.
    pub fn push<P: Body>(&mut self, packet: &P) {
        self.push_raw(packet.as_bytes());
    }

    /// Appends a body as it is, of whatever length: how a test says something the protocol does not.
    ///
    /// # Panics
    /// When the body is longer than 65,535 bytes, or the frame already holds as many packets.
    pub fn push_raw(&mut self, body: &[u8]) {
        let length = u16::try_from(body.len()).expect("a packet's length field has 16 bits");
        self.packets = self
            .packets
            .checked_add(1)
            .expect("a frame's count field has 16 bits");
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(body);
    }

    /// Packets pushed so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.packets as usize
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// The frame's bytes.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes[..2].copy_from_slice(&self.packets.to_be_bytes());
        self.bytes
    }
}

impl Default for FrameBuilder {
    fn default() -> Self {
        Self::new()
    }
}
