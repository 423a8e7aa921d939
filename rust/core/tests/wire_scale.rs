//! Prices leave the wire as the correctly rounded quotient (kite-protocol §5).

use proptest::prelude::*;
use tickloom_core::wire::kite::{Scale, ScaleTable};

fn scale(divisor: u32) -> Scale {
    Scale::new(divisor).expect("the divisor is not 0")
}

#[test]
fn the_default_divisors_are_the_protocols() {
    let table = ScaleTable::kite();
    for segment in 0..=255u8 {
        let divisor = match segment {
            3 => 10_000_000,
            6 | 12 => 10_000,
            _ => 100,
        };
        assert_eq!(table.segment(segment).divisor(), divisor, "segment {segment}");
        assert_eq!(table.of(0xabcd_ef00 | u32::from(segment)).divisor(), divisor);
    }
}

#[test]
fn the_four_known_prices_of_the_nco_segment_come_out_right() {
    let table = ScaleTable::kite();
    for (token, raw, price) in [
        (31_132_428, 3_782_000, 378.20),
        (31_188_748, 2_916_000, 291.60),
        (31_503_116, 268_500_000, 26_850.00),
        (33_539_084, 84_940_000, 8_494.00),
    ] {
        assert_eq!(table.of(token).to_f64(raw), price, "token {token}");
    }
}

#[test]
fn a_scale_can_be_replaced_and_zero_is_refused() {
    let table = ScaleTable::kite().with(12, 1_000).expect("1,000 is a divisor");
    assert_eq!(table.of(31_132_428).to_f64(3_782_000), 3_782.0);
    assert_eq!(table.of(1), ScaleTable::kite().of(1));
    let refused = ScaleTable::kite().with(12, 0).expect_err("0 is no divisor");
    assert_eq!(
        refused.to_string(),
        "a price divisor must be a positive integer: 0"
    );
}

#[test]
fn the_index_change_keeps_its_sign() {
    let scale = scale(100);
    assert_eq!(scale.signed_to_f64(-1), -0.01);
    assert_eq!(scale.signed_to_f64(i32::MIN), f64::from(i32::MIN) / 100.0);
    assert_eq!(scale.signed_to_f64(0).to_bits(), 0);
}

#[test]
fn only_the_prices_of_a_signed_segment_are_read_as_twos_complement() {
    let table = ScaleTable::kite().with_signed(7);
    let fell = (-3_763_i32).cast_unsigned();
    assert_eq!(
        (table.segment(7).to_f64(fell), table.segment(7).units(fell)),
        (-37.63, -3_763)
    );
    assert_eq!(table.segment(1).to_f64(fell), 42_949_635.33);
    assert_eq!(table.segment(1).units(fell), 4_294_963_533);
    // A divisor given later leaves the sign as it was.
    let table = table.with(7, 10_000).unwrap();
    assert_eq!(table.segment(7).to_f64(fell), -0.3763);
    assert!(!ScaleTable::kite().segment(7).is_signed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn a_signed_price_is_the_correctly_rounded_quotient(raw in any::<i32>(), divisor in 1..=u32::MAX, shift in 0u32..32) {
        let divisor = (divisor >> shift).max(1);
        let signed = scale(divisor).signed(true);
        prop_assert_eq!(signed.to_f64(raw.cast_unsigned()), f64::from(raw) / f64::from(divisor));
        prop_assert_eq!(signed.signed_to_f64(raw), f64::from(raw) / f64::from(divisor));
    }

    #[test]
    fn a_price_is_the_correctly_rounded_quotient(raw in any::<u32>(), power in 0u32..8) {
        let divisor = 10u32.pow(power);
        prop_assert_eq!(scale(divisor).to_f64(raw), f64::from(raw) / f64::from(divisor));
    }

    #[test]
    fn so_it_is_for_any_divisor(raw in any::<u32>(), divisor in 1..=u32::MAX, shift in 0u32..32) {
        let divisor = (divisor >> shift).max(1);
        prop_assert_eq!(scale(divisor).to_f64(raw), f64::from(raw) / f64::from(divisor));
    }
}

#[test]
#[ignore = "thirteen thousand million divisions: run it in release"]
fn a_price_is_exact_for_every_raw_value_of_every_divisor_of_the_protocol() {
    for divisor in [100, 10_000, 10_000_000] {
        let scale = scale(divisor);
        let exact = f64::from(divisor);
        let wrong = (0..=u32::MAX)
            .filter(|&raw| scale.to_f64(raw) != f64::from(raw) / exact)
            .count();
        assert_eq!(wrong, 0, "divisor {divisor}");
    }
}
