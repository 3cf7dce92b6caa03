//! The deterministic side of Tidegate: the engine of `tidegate-core`, unchanged, in networks that
//! are made of nothing but a seed.
//!
//! - [`memnet`]: the discrete-event network.

#![forbid(unsafe_code)]

pub mod memnet;
