//! Asking for memory before it is needed.
//!
//! A load that misses the cache holds up everything behind it as soon as the processor's window is full; a
//! prefetch does not. At a minute's edge each instrument is a handful of such misses, so the next ones are
//! asked for while one is worked on.

/// Asks for the cache line in which `place` begins.
#[inline(always)]
pub(crate) fn ask<T>(place: &T) {
    prefetch_index::prefetch_index(std::slice::from_ref(place), 0);
}
