//! See `tidegate_fuzz::heads::request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_fuzz::heads::request(data));
