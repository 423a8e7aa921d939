#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tickloom_fuzz::upstox(bytes));
