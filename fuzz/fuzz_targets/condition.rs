//! See `tidegate_fuzz::config::condition`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_fuzz::config::condition(data));
