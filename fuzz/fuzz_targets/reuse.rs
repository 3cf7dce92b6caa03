//! See `tidegate_fuzz::reuse::run`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_fuzz::reuse::run(data));
