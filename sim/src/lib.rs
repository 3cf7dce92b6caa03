//! The deterministic side of Tidegate: the engine of `tidegate-core`, unchanged, in networks that
//! are made of nothing but a seed. `sim/README.md` has the picture, and what is tested where.
//!
//! - [`scenario`]: a seed and a table of knobs; [`site`]: the configuration that they describe.
//! - [`memnet`]: the discrete-event network; [`chaos`]: worsens any poller's answers; [`trace`]:
//!   hashes what passes through one.
//! - [`world`]: one run, of several engines among [`actor`]s; [`sweep`]: many.
//! - [`ledger`]: what was meant and what became of it; [`auditor`]: what must hold of it;
//!   [`strict`] and [`preface`]: readers that share nothing with the core's.
//! - [`timeline`]: what happened, for who reads it.
//! - [`stopwatch`]: where the time of a run goes, for who has a clock.
//! - [`record`]: recordings of an engine, of the daemon too, and their replay.

#![forbid(unsafe_code)]

pub mod actor;
pub mod auditor;
pub mod chaos;
pub mod ledger;
pub mod memnet;
pub mod preface;
pub mod record;
pub mod scenario;
pub mod site;
pub mod stopwatch;
pub mod strict;
pub mod sweep;
pub mod timeline;
pub mod trace;
pub mod world;

pub use tidegate_core::digest;
