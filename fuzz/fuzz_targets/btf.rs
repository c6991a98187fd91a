//! Arbitrary bytes to `types::check`.
#![no_main]
#![allow(dead_code)] // not all of it is asked

// Of a crate whose door it is not.
#[path = "../../crates/linux/src/bpf/btf.rs"]
mod btf;
#[path = "../types.rs"]
mod types;

libfuzzer_sys::fuzz_target!(|input: &[u8]| types::check(input));
