//! CRC-32C (Castagnoli), the polynomial of iSCSI and ext4: every single, double and odd number of flipped bits, and
//! every burst up to 32 bits, is found.
//!
//! The processor's instruction takes three cycles and can begin every cycle, so three stretches are summed at once
//! and joined: what a checksum becomes when zeros follow is linear, and stands in tables.

const POLYNOMIAL: u32 = 0x82f6_3b78;
/// Bytes of one of three stretches.
#[cfg(any(target_arch = "x86_64", test))]
const LANE: usize = 512;

/// `BYTES[k][b]`: what byte `b` does to the checksum when `k` bytes follow it in a step of eight.
static BYTES: [[u32; 256]; 8] = bytes();

const fn bytes() -> [[u32; 256]; 8] {
    let mut tables = [[0u32; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = (value >> 1) ^ (if value & 1 == 1 { POLYNOMIAL } else { 0 });
            bit += 1;
        }
        tables[0][byte] = value;
        byte += 1;
    }
    let mut step = 1;
    while step < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[step - 1][byte];
            tables[step][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        step += 1;
    }
    tables
}

/// The checksum of all bytes.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        return simd.vectorize(fast::Sum(simd, bytes));
    }
    by_table(bytes)
}

/// Eight bytes a step, on processors without the instruction.
fn by_table(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    let (steps, rest) = bytes.as_chunks::<8>();
    for step in steps {
        let [a, b, c, d, e, f, g, h] = *step;
        let [i, j, k, l] = crc.to_le_bytes();
        crc = BYTES[7][usize::from(a ^ i)]
            ^ BYTES[6][usize::from(b ^ j)]
            ^ BYTES[5][usize::from(c ^ k)]
            ^ BYTES[4][usize::from(d ^ l)]
            ^ BYTES[3][usize::from(e)]
            ^ BYTES[2][usize::from(f)]
            ^ BYTES[1][usize::from(g)]
            ^ BYTES[0][usize::from(h)];
    }
    for byte in rest {
        crc = (crc >> 8) ^ BYTES[0][usize::from(crc.to_le_bytes()[0] ^ byte)];
    }
    !crc
}

#[cfg(target_arch = "x86_64")]
mod fast {
    use super::{BYTES, LANE};

    /// `ZEROS[k][b]`: what byte `k` of a checksum, if it is `b`, becomes when `LANE` zeros follow.
    static ZEROS: [[u32; 256]; 4] = zeros();

    const fn zeros() -> [[u32; 256]; 4] {
        let mut bits = [0u32; 32];
        let mut bit = 0;
        while bit < 32 {
            let mut value = 1u32 << bit;
            let mut step = 0;
            while step < LANE {
                value = (value >> 8) ^ BYTES[0][(value & 0xff) as usize];
                step += 1;
            }
            bits[bit] = value;
            bit += 1;
        }
        let mut tables = [[0u32; 256]; 4];
        let mut entry = 0;
        while entry < 1024 {
            let mut bit = 0;
            while bit < 8 {
                if (entry & 255) >> bit & 1 == 1 {
                    tables[entry >> 8][entry & 255] ^= bits[(entry >> 8) * 8 + bit];
                }
                bit += 1;
            }
            entry += 1;
        }
        tables
    }

    fn shifted(crc: u32) -> u32 {
        let [a, b, c, d] = crc.to_le_bytes();
        ZEROS[0][usize::from(a)]
            ^ ZEROS[1][usize::from(b)]
            ^ ZEROS[2][usize::from(c)]
            ^ ZEROS[3][usize::from(d)]
    }

    pub struct Sum<'a>(pub pulp::x86::V3, pub &'a [u8]);

    impl pulp::NullaryFnOnce for Sum<'_> {
        type Output = u32;

        #[inline(always)]
        fn call(self) -> u32 {
            let Self(simd, bytes) = self;
            let word = |crc, word: &[u8; 4]| simd.sse4_2._mm_crc32_u32(crc, u32::from_le_bytes(*word));
            let (stretches, rest) = bytes.as_chunks::<{ 3 * LANE }>();
            let mut crc = !0u32;
            for stretch in stretches {
                let (words, _) = stretch.as_chunks::<4>();
                let (first, others) = words.split_at(LANE / 4);
                let (second, third) = others.split_at(LANE / 4);
                let (mut a, mut b, mut c) = (crc, 0, 0);
                for ((x, y), z) in first.iter().zip(second).zip(third) {
                    a = word(a, x);
                    b = word(b, y);
                    c = word(c, z);
                }
                crc = shifted(shifted(a) ^ b) ^ c;
            }
            let (words, rest) = rest.as_chunks::<4>();
            for four in words {
                crc = word(crc, four);
            }
            for byte in rest {
                crc = simd.sse4_2._mm_crc32_u8(crc, *byte);
            }
            !crc
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LANE, by_table, crc32c};

    #[test]
    fn the_instruction_and_the_table_agree_at_every_length() {
        let bytes: Vec<u8> = (0..4 * 3 * LANE + 9).map(|n| (n * n / 7) as u8).collect();
        for length in (0..200)
            .chain(3 * LANE - 9..3 * LANE + 9)
            .chain(bytes.len() - 20..=bytes.len())
        {
            assert_eq!(crc32c(&bytes[..length]), by_table(&bytes[..length]), "{length}");
        }
        assert_eq!(by_table(b"123456789"), 0xe306_9283);
    }
}
