//! See `tidegate_fuzz::session::run`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_fuzz::session::run(data));
