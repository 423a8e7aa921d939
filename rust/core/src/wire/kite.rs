//! The Kite ticker's binary frames (kite-protocol §4).
