//! The deterministic side of Tidegate: the engine of `tidegate-core`, unchanged, in networks that
//! are made of nothing but a seed.

#![forbid(unsafe_code)]
