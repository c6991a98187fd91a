//! Arbitrary bytes to `checks::pattern`.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::pattern(input));
