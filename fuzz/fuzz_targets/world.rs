//! See `tidegate_fuzz::world::run`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_fuzz::world::run(data));
