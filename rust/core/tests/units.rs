//! Time as the core counts it (rule R1).

use tickloom_core::units::{DAY, MINUTE, SECOND, ist_day, ist_midnight};

#[test]
fn r1_an_instant_has_the_same_indian_wall_clock_on_every_host() {
    let at = 1_625_461_887 * SECOND;
    let since_midnight = at - ist_midnight(ist_day(at));
    assert_eq!(since_midnight, (10 * 60 + 41) * MINUTE + 27 * SECOND);
}

#[test]
fn r1_the_indian_day_begins_five_and_a_half_hours_before_the_utc_day() {
    let midnight = ist_midnight(18_813);
    assert_eq!(midnight, 18_813 * DAY - 330 * MINUTE);
    assert_eq!((ist_day(midnight - 1), ist_day(midnight)), (18_812, 18_813));
}

#[test]
fn r10_absurd_instants_have_a_day_too() {
    assert!(ist_day(i64::MAX) > 106_000);
    assert!(ist_day(i64::MIN) < -106_000);
}
