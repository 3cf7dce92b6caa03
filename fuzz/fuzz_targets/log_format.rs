//! See `tidegate_fuzz::rules::format`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_fuzz::rules::format(data));
