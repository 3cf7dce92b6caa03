//! Worker threads: each turns one engine, waits as the engine allows, and turns it again.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tidegate_core::engine::{Engine, Notice, Park, Setup, Severity};
use tidegate_core::proxy::shared::Shared;
use tidegate_core::proxy::spec::Site;
use tidegate_core::rng::Seed;
use tidegate_core::time::Instant;
use tidegate_sim::record::{Finish, Record};

use crate::clock::Clock;
use crate::poller::hub::Hub;
use crate::poller::{MioPoller, Openings};
use crate::record::{Recording, Reel};
use crate::signals::{Doorbell, Letterbox, Signals};
use crate::sys;

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
    /// Where the engines are recorded, if they are.
    pub recording: Option<Recording>,
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
        let mut recording = plan.recording;
        for (id, net) in pollers.into_iter().enumerate() {
            let id = id as u32;
            let setup = Setup {
                site: Arc::clone(&plan.site),
                shared: Arc::clone(&shared),
                id,
                engines: count,
                seed: Seed(plan.seed),
                pid: std::process::id(),
            };
            let mut engine = Engine::new(setup.clone());
            let reel = recording.as_mut().map(|recording| recording.begin(&setup)).transpose()?;
            let now = clock.now();
            let mut net = Record::off(net);
            if let Some(reel) = &reel {
                net.set_tape(Some(reel.tape.clone()));
                reel.tape.starts(&mut engine, now);
            }
            let started = engine.start(&mut net, now);
            if let Some(reel) = &reel {
                reel.tape.started(started.is_ok());
            }
            started?;
            workers.push(Worker {
                id,
                engine,
                net,
                clock: clock.clone(),
                letterbox: Arc::default(),
                notify: plan.notify,
                tidy: Tidy::default(),
                reel,
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
    /// The one kind of poller that engines are turned with, whether they are recorded or not: two
    /// would be two engines to the compiler, each slower than one.
    net: Record<MioPoller>,
    clock: Clock,
    letterbox: Arc<Letterbox>,
    notify: fn(&Notice),
    tidy: Tidy,
    /// The engine's recording, if there is one and it is not over.
    reel: Option<Reel>,
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
        if let Some(reel) = &self.reel {
            reel.rescue_in_a_panic();
        }
        loop {
            let now = self.clock.now();
            self.tidy.woke(now.mono);
            for signal in self.letterbox.take() {
                match &self.reel {
                    Some(reel) => reel.tape.signal(&mut self.engine, signal),
                    None => self.engine.signal(signal),
                }
            }
            if let Some(reel) = &self.reel {
                reel.tape.turns(now);
            }
            let mut park = self.engine.turn(&mut self.net, &mut (), now);
            let notices = self.engine.take_notices();
            if let Some(reel) = self.reel.take() {
                park = self.recorded(reel, park, &notices);
            }
            self.tidy.turned(self.engine.counters.sessions, self.engine.clients());
            for notice in notices {
                (self.notify)(&notice);
            }
            let timeout = match park {
                Park::Busy => Some(Duration::ZERO),
                Park::Until(at) => Some(Duration::from_nanos(at.since(now.mono).as_nanos())),
                Park::Idle => None,
                Park::Done => return Ok(()),
            };
            if park != Park::Busy && self.tidy.is_due(now.mono) {
                self.tidy.done(now.mono);
                match &self.reel {
                    Some(reel) => reel.tape.trim(&mut self.engine),
                    None => self.engine.trim(),
                }
                sys::trim_allocator();
            }
            let timeout = self.tidy.cap(now.mono, timeout);
            self.net
                .inner_mut()
                .wait(timeout)
                .map_err(|error| format!("Cannot wait for events: {error}"))?;
        }
    }
}

impl Worker {
    /// A turn that was recorded is over, and its recording perhaps with it.
    #[cold]
    fn recorded(&mut self, reel: Reel, park: Park, notices: &[Notice]) -> Park {
        reel.tape.turned(park, notices);
        if park == Park::Done {
            reel.tape.finish(&mut self.engine, Finish::Done);
        } else if let Some(farewell) = reel.farewell() {
            self.engine.witness(None);
            self.net.set_tape(None);
            self.engine.announce(Severity::Warning, farewell);
            // What was just said is sent in the next turn, which could be far.
            return Park::Busy;
        } else {
            self.reel = Some(reel);
        }
        park
    }
}

/// When to give back what a burst left behind: after much work, once a wait was long enough to show
/// that there is time for it, and not too often.
#[derive(Debug, Default)]
struct Tidy {
    /// Turns, sessions and departures of clients since the last time: one turn of a busy engine sees
    /// many.
    work: u64,
    /// Sessions that the engine has begun.
    sessions: u64,
    /// Its clients.
    clients: usize,
    last: Instant,
    woke: Instant,
    /// The last wait was a long one.
    quiet: bool,
}

impl Tidy {
    /// Work that makes it worth while.
    const WORK: u64 = 1_000;
    /// A wait that is long, in nanoseconds: far longer than a turn.
    const QUIET: u64 = 10_000_000;
    /// Time between two times, in nanoseconds.
    const EVERY: u64 = 5_000_000_000;
    /// How long to wait for quiet to show, in nanoseconds.
    const LOOK: u64 = 1_000_000_000;

    /// A wait has ended.
    fn woke(&mut self, now: Instant) {
        self.quiet = now.since(self.woke).as_nanos() >= Self::QUIET;
        self.woke = now;
    }

    /// A turn is over; so many sessions were begun up to now, and so many clients are there.
    fn turned(&mut self, sessions: u64, clients: usize) {
        self.work += 1 + (sessions - self.sessions) + self.clients.saturating_sub(clients) as u64;
        self.sessions = sessions;
        self.clients = clients;
    }

    fn is_due(&self, now: Instant) -> bool {
        self.quiet && self.work >= Self::WORK && self.rest(now) == 0
    }

    fn done(&mut self, now: Instant) {
        self.work = 0;
        self.last = now;
    }

    /// A wait after a burst is cut short once, to see whether it has become quiet.
    fn cap(&self, now: Instant, timeout: Option<Duration>) -> Option<Duration> {
        if self.work < Self::WORK {
            return timeout;
        }
        let look = Duration::from_nanos(self.rest(now).max(Self::LOOK));
        Some(timeout.map_or(look, |timeout| timeout.min(look)))
    }

    /// Nanoseconds until it may be done again.
    fn rest(&self, now: Instant) -> u64 {
        Self::EVERY.saturating_sub(now.since(self.last).as_nanos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn a_burst_is_tidied_up_once_it_is_quiet() {
        let forever = None;
        let mut tidy = Tidy::default();
        // Few turns: nothing to tidy, and no need to wake for it.
        tidy.woke(at(10_000));
        tidy.turned(0, 0);
        assert!(!tidy.is_due(at(10_000)));
        assert_eq!(tidy.cap(at(10_000), forever), forever);
        // A burst: turn after turn.
        for _ in 0..Tidy::WORK {
            tidy.woke(at(10_001));
            tidy.turned(0, 0);
            assert!(!tidy.is_due(at(10_001)));
        }
        // Then silence: looked at after a second, tidied up, and left alone.
        let look = tidy.cap(at(10_001), forever);
        assert_eq!(look, Some(Duration::from_secs(1)));
        assert_eq!(tidy.cap(at(10_001), Some(Duration::ZERO)), Some(Duration::ZERO));
        tidy.woke(at(11_001));
        assert!(tidy.is_due(at(11_001)));
        tidy.done(at(11_001));
        assert!(!tidy.is_due(at(11_001)));
        assert_eq!(tidy.cap(at(11_001), forever), forever);
        // Another burst soon after, of few turns with many sessions each, waits for its turn.
        tidy.woke(at(11_002));
        tidy.turned(Tidy::WORK / 2, Tidy::WORK as usize / 2);
        tidy.turned(Tidy::WORK / 2, 0);
        assert_eq!(tidy.work, Tidy::WORK + 2);
        tidy.woke(at(12_002));
        assert!(!tidy.is_due(at(12_002)));
        assert_eq!(tidy.cap(at(12_002), forever), Some(Duration::from_millis(3_999)));
    }
}
