//! Market, randomness: one small generator, the same stream on every machine.
//!
//! SplitMix64: eight bytes of state, so that each instrument can own several independent streams, and
//! a day of trades can be made again from its seed alone. Only the four basic operations on floats are
//! used, which IEEE 754 fixes to the last bit; a library logarithm would not be.

/// A seeded stream of numbers.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Rng {
    /// A stream of its own for each (seed, what it is for, whom it is for, when).
    pub(crate) const fn new(seed: u64, purpose: u64, token: u32, day: i64) -> Self {
        let s = mix(seed.wrapping_add(GOLDEN));
        let s = mix(s ^ purpose.wrapping_mul(GOLDEN));
        let s = mix(s ^ (token as u64).wrapping_mul(GOLDEN));
        Self(mix(s ^ (day as u64).wrapping_mul(GOLDEN)))
    }

    #[inline]
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// Uniform in [0, n); 0 when n is 0.
    #[inline]
    pub(crate) const fn below(&mut self, n: u32) -> u32 {
        (((self.next() >> 32) * n as u64) >> 32) as u32
    }

    /// Uniform in [0, n) for spans that need more than 32 bits, such as nanoseconds of a session.
    #[inline]
    pub(crate) const fn below_wide(&mut self, n: u64) -> u64 {
        ((self.next() as u128 * n as u128) >> 64) as u64
    }

    /// Uniform in [0, 1).
    #[inline]
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    #[inline]
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        p > 0.0 && self.unit() < p
    }

    /// 1 with probability 1/2, 2 with 1/4, and so on, at most 16.
    #[inline]
    pub(crate) const fn geometric(&mut self) -> u32 {
        (self.next() | (1 << 15)).trailing_zeros() + 1
    }

    /// Exponential with mean 1.
    #[inline]
    pub(crate) fn exponential(&mut self) -> f64 {
        // 1 - u is in (0, 1], so the logarithm is finite.
        -ln(1.0 - self.unit())
    }
}

/// The natural logarithm of x in (0, 1], to about 1e-9: the exponent, then the atanh series of the mantissa.
fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let exponent = (bits >> 52) as i64 - 1023;
    let mantissa = f64::from_bits((bits & 0x000F_FFFF_FFFF_FFFF) | (1023 << 52));
    // Centred on 1 the series needs few terms.
    let (mantissa, exponent) = if mantissa > core::f64::consts::SQRT_2 {
        (mantissa * 0.5, exponent + 1)
    } else {
        (mantissa, exponent)
    };
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let s2 = s * s;
    let series = 1.0 + s2 * (1.0 / 3.0 + s2 * (1.0 / 5.0 + s2 * (1.0 / 7.0 + s2 * (1.0 / 9.0 + s2 / 11.0))));
    2.0 * s * series + exponent as f64 * core::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ln_agrees_with_the_library_to_a_billionth() {
        let mut rng = Rng::new(1, 0, 0, 0);
        for _ in 0..100_000 {
            let x = 1.0 - rng.unit();
            assert!((ln(x) - x.ln()).abs() < 2e-9, "{x}");
        }
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn exponential_has_mean_one_and_below_covers_its_range_evenly() {
        let mut rng = Rng::new(7, 1, 2, 3);
        let mean = (0..200_000).map(|_| rng.exponential()).sum::<f64>() / 200_000.0;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        let mut seen = [0_u32; 10];
        for _ in 0..100_000 {
            seen[rng.below(10) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| (9_500..10_500).contains(&n)), "{seen:?}");
        assert!((0..10_000).all(|_| rng.below_wide(3) < 3));
    }

    #[test]
    fn streams_differ_by_seed_purpose_token_and_day() {
        let first = |seed, purpose, token, day| Rng::new(seed, purpose, token, day).next();
        let base = first(1, 1, 1, 1);
        assert_eq!(base, first(1, 1, 1, 1));
        for other in [
            first(2, 1, 1, 1),
            first(1, 2, 1, 1),
            first(1, 1, 2, 1),
            first(1, 1, 1, 2),
        ] {
            assert_ne!(base, other);
        }
    }
}
