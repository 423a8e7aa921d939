//! Pushed ticks as a journal keeps them: 40 bytes each (docs/journal.md).

use crate::units::Ns;

use super::Pushed;

const ROW: usize = 40;
const CUMULATIVE: u32 = 1;
const QUANTITY: u32 = 2;
const OI: u32 = 4;

impl Pushed {
    /// The ticks of a record, received at `received`, with their tokens. What is less than a row is no tick.
    pub fn recorded(payload: &[u8], received: Ns) -> impl Iterator<Item = (u32, Self)> + '_ {
        payload.chunks_exact(ROW).map(move |row| {
            let told = u32::from_le_bytes(bytes(row, 4));
            let volume = i64::from_le_bytes(bytes(row, 24));
            let tick = Self {
                price: f64::from_le_bytes(bytes(row, 8)),
                time: i64::from_le_bytes(bytes(row, 16)),
                quantity: (told & QUANTITY != 0).then_some(volume),
                cumulative: (told & CUMULATIVE != 0).then_some(volume),
                oi: (told & OI != 0).then(|| i64::from_le_bytes(bytes(row, 32))),
                rx: Some(received),
            };
            (u32::from_le_bytes(bytes(row, 0)), tick)
        })
    }
}

/// The `N` bytes at an offset of a row, which has them.
fn bytes<const N: usize>(row: &[u8], at: usize) -> [u8; N] {
    let mut taken = [0; N];
    taken.copy_from_slice(&row[at..at + N]);
    taken
}
