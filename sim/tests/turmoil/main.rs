//! The engine on turmoil, a second and independent network: the poller's contract, and exchanges
//! between hyper's clients and servers, which nobody here wrote either.

mod contract;
mod exchanges;
mod host;
mod net;
mod peers;

use std::time::{Duration, UNIX_EPOCH};

/// When every run begins: 2026-11-22T12:00:00Z.
const EPOCH: Duration = Duration::from_secs(1_795_348_800);

/// A network in which everything comes from the seed.
fn builder(seed: u64) -> turmoil::Builder {
    let mut builder = turmoil::Builder::new();
    builder
        .rng_seed(seed)
        .epoch(UNIX_EPOCH + EPOCH)
        .simulation_duration(Duration::from_secs(300))
        // With the default, a queue of 64 segments that is full loses the FIN.
        .tcp_capacity(4_096)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(40));
    builder
}
