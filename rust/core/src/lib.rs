//! tickloom-core: a broker's binary ticks in, exact candles out.
//!
//! The layout is the pipeline; a stage knows the stages above it, never one below it:
//!
//! ```text
//! units -> error -> wire -> tick -> interval -> session -> bar -> nontime -> aggregate -> ring -> engine
//! ```
//!
//! The crate is pure: no clock, no socket, no file, no thread. Time and randomness are arguments, and
//! the same input gives byte-identical output.
#![forbid(unsafe_code)]

pub mod aggregate;
mod ahead;
pub mod bar;
pub mod engine;
pub mod error;
pub mod interval;
pub mod journal;
pub mod lookup;
#[cfg(feature = "emit")]
pub mod market;
pub mod nontime;
pub mod ring;
pub mod session;
pub mod tick;
pub mod units;
pub mod wire;
