//! See `tidegate_fuzz::chunks::run`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_fuzz::chunks::run(data));
