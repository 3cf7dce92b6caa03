//! Worker threads: each turns one engine, waits as the engine allows, and turns it again.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tidegate_core::engine::{Engine, Notice, Park, Setup};
use tidegate_core::proxy::shared::Shared;
use tidegate_core::proxy::spec::Site;
use tidegate_core::rng::Seed;
use tidegate_core::time::{Instant, Now};

use crate::clock::Clock;
use crate::poller::hub::Hub;
use crate::poller::{MioPoller, Openings};
use crate::signals::{Doorbell, Letterbox, Signals};
use crate::sys;

/// How often at most the allocator gives memory back.
const TRIM_EVERY_NS: u64 = 5_000_000_000;

/// How many turns make it worth while.
const TRIM_TURNS: u32 = 1_000;

/// What the workers of a process need.
#[derive(Debug)]
pub struct Plan {
    /// The configuration.
    pub site: Arc<Site>,
    /// By engine: what it accepts from and logs to.
    pub openings: Vec<Openings>,
    /// Where all randomness comes from.
    pub seed: u64,
    /// Takes the lines for the operator's stderr.
    pub notify: fn(&Notice),
}

/// The engines of a process, started and not yet running.
#[derive(Debug)]
pub struct Crew {
    workers: Vec<Worker>,
    hub: Option<Arc<Hub>>,
}

impl Crew {
    /// Makes the engines and starts them: what cannot work is known before there are threads.
    pub fn assemble(plan: Plan) -> Result<Crew, String> {
        let count = plan.openings.len() as u32;
        let shared = Arc::new(Shared::new(&plan.site, count));
        let pollers = MioPoller::for_engines(plan.openings, plan.site.tunables.maxpollevents)
            .map_err(|error| format!("Cannot create a poller: {error}"))?;
        let hub = pollers.first().map(|poller| Arc::clone(poller.hub()));
        let mut clock = Clock::start();
        let mut workers = Vec::new();
        for (id, mut net) in pollers.into_iter().enumerate() {
            let id = id as u32;
            let mut engine = Engine::new(Setup {
                site: Arc::clone(&plan.site),
                shared: Arc::clone(&shared),
                id,
                engines: count,
                seed: Seed(plan.seed),
                pid: std::process::id(),
            });
            engine.start(&mut net, clock.now())?;
            workers.push(Worker {
                id,
                engine,
                net,
                clock: clock.clone(),
                letterbox: Arc::default(),
                notify: plan.notify,
                turns: 0,
                trimmed: Instant::START,
            });
        }
        Ok(Crew { workers, hub })
    }

    /// Lets every engine run in its own thread and passes signals on until all have ended. Returns
    /// early, with the others still running, if one cannot go on.
    pub fn run(self, signals: &mut Signals) -> Result<(), String> {
        let letterboxes: Vec<_> =
            self.workers.iter().map(|worker| Arc::clone(&worker.letterbox)).collect();
        let roster = Arc::new(Roster::new(self.workers.len()));
        let mut threads = Vec::new();
        for worker in self.workers {
            let shift = Shift {
                roster: Arc::clone(&roster),
                _doorbell: signals.doorbell().map_err(|error| error.to_string())?,
            };
            let thread = worker.start(shift);
            threads.push(thread.map_err(|error| format!("Cannot start a thread: {error}"))?);
        }
        while roster.is_at_work() {
            for signal in signals.wait() {
                for (id, letterbox) in letterboxes.iter().enumerate() {
                    letterbox.post(signal);
                    if let Some(hub) = &self.hub {
                        hub.wake(id as u32);
                    }
                }
            }
        }
        roster.verdict()?;
        for thread in threads {
            thread.join().map_err(|_| PANICKED.to_owned())?;
        }
        Ok(())
    }
}

const PANICKED: &str = "a worker thread panicked";

/// How many workers are running, and why one cannot.
#[derive(Debug)]
struct Roster {
    running: AtomicUsize,
    failure: OnceLock<String>,
}

impl Roster {
    fn new(running: usize) -> Self {
        Roster { running: AtomicUsize::new(running), failure: OnceLock::new() }
    }

    fn is_at_work(&self) -> bool {
        self.failure.get().is_none() && self.running.load(Ordering::Acquire) > 0
    }

    fn verdict(&self) -> Result<(), String> {
        self.failure.get().map_or(Ok(()), |failure| Err(failure.clone()))
    }
}

/// One worker's time at work. Its end is counted first and then rung.
#[derive(Debug)]
struct Shift {
    roster: Arc<Roster>,
    _doorbell: Doorbell,
}

impl Shift {
    fn fail(&self, failure: String) {
        // The first failure is the one that is told.
        let _ = self.roster.failure.set(failure);
    }
}

impl Drop for Shift {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.fail(PANICKED.to_owned());
        }
        self.roster.running.fetch_sub(1, Ordering::AcqRel);
    }
}

#[derive(Debug)]
struct Worker {
    id: u32,
    engine: Engine,
    net: MioPoller,
    clock: Clock,
    letterbox: Arc<Letterbox>,
    notify: fn(&Notice),
    turns: u32,
    trimmed: Instant,
}

impl Worker {
    fn start(mut self, shift: Shift) -> io::Result<JoinHandle<()>> {
        let name = format!("engine-{}", self.id);
        Builder::new().name(name).spawn(move || {
            if let Err(failure) = self.run() {
                shift.fail(failure);
            }
        })
    }

    fn run(&mut self) -> Result<(), String> {
        loop {
            let now = self.clock.now();
            for signal in self.letterbox.take() {
                self.engine.signal(signal);
            }
            let park = self.engine.turn(&mut self.net, &mut (), now);
            for notice in self.engine.take_notices() {
                (self.notify)(&notice);
            }
            let timeout = match park {
                Park::Busy => Some(Duration::ZERO),
                Park::Until(at) => Some(Duration::from_nanos(at.since(now.mono).as_nanos())),
                Park::Idle => {
                    self.trim(now);
                    None
                }
                Park::Done => return Ok(()),
            };
            self.turns = self.turns.wrapping_add(1);
            self.net.wait(timeout).map_err(|error| format!("Cannot wait for events: {error}"))?;
        }
    }

    /// After a burst, when nothing is left to do, what the allocator holds goes back to the system.
    fn trim(&mut self, now: Now) {
        let due = now.mono.since(self.trimmed).as_nanos() >= TRIM_EVERY_NS;
        if due && self.turns >= TRIM_TURNS {
            self.turns = 0;
            self.trimmed = now.mono;
            sys::trim_allocator();
        }
    }
}
