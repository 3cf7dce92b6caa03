//! See `tidegate_fuzz::canary::run`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_fuzz::canary::run(data));
