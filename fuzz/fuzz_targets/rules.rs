//! See `tidegate_fuzz::rules::rules`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_fuzz::rules::rules(data));
