//! See `tidegate_fuzz::framing::run`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_fuzz::framing::run(data));
