//! Stage 1, wire: bytes to packets and back. One module a broker.

pub mod kite;
pub mod upstox;
