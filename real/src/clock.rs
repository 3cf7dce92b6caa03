//! The clocks of the process: the only place that reads them for the core.

use std::time::{Instant as Monotonic, SystemTime, UNIX_EPOCH};

use tidegate_core::time::{Instant, Now, Wall};

/// How long the distance between the two clocks is believed.
const RECHECK_NS: u64 = 1_000_000_000;

/// Reads the monotonic clock once a turn, and the wall clock about once a second: between, the wall
/// clock is taken to go as fast.
#[derive(Clone, Debug)]
pub struct Clock {
    start: Monotonic,
    /// What to add to the monotonic clock for the wall clock; nanoseconds since the epoch.
    offset: u64,
    checked: u64,
}

impl Clock {
    /// A clock that starts now. Clones go on from the same start.
    pub fn start() -> Self {
        let start = Monotonic::now();
        Clock { start, offset: since_epoch(), checked: 0 }
    }

    /// The time. Call it once a turn.
    pub fn now(&mut self) -> Now {
        let mono = nanos(self.start.elapsed());
        if mono.saturating_sub(self.checked) >= RECHECK_NS {
            self.offset = since_epoch().saturating_sub(mono);
            self.checked = mono;
        }
        Now { mono: Instant::from_nanos(mono), wall: Wall::from_nanos(self.offset + mono) }
    }
}

fn since_epoch() -> u64 {
    // A clock before 1970 is as good as none.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanos)
}

fn nanos(length: std::time::Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_go_on_together() {
        let mut clock = Clock::start();
        let (first, second) = (clock.now(), clock.now());
        assert!(second.mono >= first.mono && second.wall >= first.wall);
        assert!(first.wall.as_secs() > 1_700_000_000);
        // A clock that was set is believed after a second.
        clock.offset = 0;
        clock.checked = 0;
        clock.start -= std::time::Duration::from_secs(2);
        assert!(clock.now().wall.as_secs() > 1_700_000_000);
    }
}
