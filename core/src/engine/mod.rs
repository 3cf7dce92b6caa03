//! The engine: the run loop cut at the poll. The host waits; [`Engine::turn`] does the rest.

use std::sync::Arc;

use crate::poller::Poller;
use crate::proxy::shared::Shared;
use crate::proxy::spec::Site;
use crate::rng::Seed;
use crate::time::{Instant, Now};

/// What the host may do until the next turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Park {
    /// Work is left over: poll with a zero timeout.
    Busy,
    /// Sleep until this instant or readiness.
    Until(Instant),
    /// Only readiness or a signal can wake us.
    Idle,
    /// No listener and no session is left: leave.
    Done,
}

/// A signal, queued by the host and handled by the next turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// USR1: close the listeners, end when the last session ends.
    SoftStop,
    /// TTOU: stop accepting, keep the listeners.
    Pause,
    /// TTIN: accept again.
    Resume,
    /// HUP: write the state of all servers and proxies to the log.
    DumpState,
    /// QUIT: say how much the pools hold, and trim them.
    TrimPools,
}

/// What an engine is given at construction.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The configuration.
    pub site: Arc<Site>,
    /// The door to the other engines.
    pub shared: Arc<Shared>,
    /// Which engine this is, from 0.
    pub id: u32,
    /// How many there are.
    pub engines: u32,
    /// Where all its randomness comes from.
    pub seed: Seed,
    /// The process id, for logs.
    pub pid: u32,
}

/// How grave a notice is; HAProxy's words on stderr.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// `[NOTICE]`.
    Notice,
    /// `[WARNING]`.
    Warning,
    /// `[ALERT]`.
    Alert,
}

/// A line for the operator's stderr.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// How grave.
    pub severity: Severity,
    /// The line, without the `[WARNING]  (pid) : ` in front.
    pub text: String,
}

/// One proxy engine: everything that one thread of the daemon serves.
#[derive(Debug)]
pub struct Engine {
    setup: Setup,
}

impl Engine {
    /// An engine for a site; it opens nothing yet.
    pub fn new(setup: Setup) -> Self {
        Engine { setup }
    }

    /// Opens the listeners that are this engine's and the log sinks. Errors name the listener.
    pub fn start<P: Poller>(&mut self, _net: &mut P, _now: Now) -> Result<(), String> {
        let _ = &self.setup;
        Ok(())
    }

    /// Queues a signal for the next turn.
    pub fn signal(&mut self, _signal: Signal) {}

    /// One turn of the loop: readiness, cached descriptors, signals, timers, tasks, flush.
    pub fn turn<P: Poller>(&mut self, _net: &mut P, _now: Now) -> Park {
        Park::Idle
    }

    /// Takes the lines that the operator should see on stderr.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        Vec::new()
    }
}
