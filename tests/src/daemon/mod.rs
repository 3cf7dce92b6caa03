//! The real daemon on loopback, and blocking peers for it that know nothing of its code: what the
//! tests in `tests/` that start it have in common.
//!
//! Not the exchanges (which compare with haproxy) and not the benchmark. Everything waits for
//! events, up to [`PATIENCE`], which is far beyond what a busy machine needs: who waits that long
//! has hung.

pub mod client;
pub mod content;
pub mod message;
pub mod origin;
pub mod process;
pub mod wire;

pub use client::{Answer, Ask, Outcome, Sent};
pub use content::Content;
pub use message::{Framing, Head};
pub use origin::{Origin, Visit};
pub use process::Daemon;
pub use wire::{At, Wire};

use std::time::{Duration, Instant};

/// Longest wait for anything that must happen.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `holds`, looking every few milliseconds: for what nothing announces.
///
/// # Panics
///
/// After [`PATIENCE`], with `what`.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
