//! The deterministic side of Tidegate: the engine of `tidegate-core`, unchanged, in networks that
//! are made of nothing but a seed.
//!
//! - [`memnet`]: the discrete-event network.
//! - [`record`]: recordings of an engine, of the daemon too, and their replay.

#![forbid(unsafe_code)]

pub mod actor;
pub mod auditor;
pub mod chaos;
pub mod digest;
pub mod ledger;
pub mod memnet;
pub mod record;
pub mod scenario;
pub mod site;
pub mod strict;
pub mod sweep;
pub mod trace;
pub mod world;
