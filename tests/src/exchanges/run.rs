//! Runs scenarios through proxies, several at a time.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::logline::LogLine;
use super::outcome::{Difference, Outcome};
use super::places::Places;
use super::proxy::Proxy;
use super::scenario::Scenario;
use super::stage::Stage;

/// Scenarios at a time: they mostly wait for timeouts.
const TOGETHER: usize = 8;

/// Longest wait for the log lines that a script must have caused.
const LOG_WAIT: Duration = Duration::from_secs(3);

/// How long to look for a line too many.
const LOG_QUIET: Duration = Duration::from_millis(40);

/// Runs one scenario through one proxy.
pub fn run(scenario: &Scenario, program: &Path) -> Outcome {
    let mut outcome = Outcome::default();
    let (mut places, config) = match Places::open(&scenario.config) {
        Ok(opened) => opened,
        Err(error) => {
            outcome.failure = Some(format!("cannot set up: {error}"));
            return outcome;
        }
    };
    let proxy = match Proxy::start(program, places.dir(), &config, places.binds()) {
        Ok(proxy) => proxy,
        Err(error) => {
            outcome.failure = Some(places.mask(&error));
            return outcome;
        }
    };
    let mut stage = Stage::new(&mut places);
    outcome.failure = stage.play(&scenario.steps).err();
    stage.logs(scenario.codes.len(), LOG_WAIT, LOG_QUIET);
    outcome.transcripts = stage.finish();
    outcome.stderr = places.mask(&proxy.messages());
    drop(proxy);
    let lines = places.sink.lines.iter();
    outcome.logs = lines.map(|line| LogLine::parse(&places.mask(line))).collect();
    outcome
}

/// Calls `work` for each scenario from several threads; the results are in the scenarios' order.
pub fn each<T: Send>(scenarios: &[Scenario], work: impl Fn(&Scenario) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<T>>> = scenarios.iter().map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        for _ in 0..TOGETHER.min(scenarios.len()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(scenario) = scenarios.get(at) else { return };
                    let result = work(scenario);
                    if let Ok(mut place) = results[at].lock() {
                        *place = Some(result);
                    }
                }
            });
        }
    });
    results.into_iter().filter_map(|place| place.into_inner().ok().flatten()).collect()
}

/// Runs of a scenario whose only differences are lengths of timers: the machine may be busy.
const TRIES_MAX: usize = 3;

/// What the comparison of a scenario gave.
#[derive(Debug)]
pub struct Verdict {
    /// What is wrong with haproxy's own run: then the scenario is at fault.
    pub faults: Vec<String>,
    /// What differs, the allowed included.
    pub differences: Vec<Difference>,
    /// Runs that it took.
    pub tries: usize,
    /// What Tidegate wrote to its standard error.
    pub stderr: String,
}

impl Verdict {
    pub fn good(&self, scenario: &Scenario) -> bool {
        self.faults.is_empty()
            && self.differences.iter().all(|found| found.allowed(&scenario.allowed).is_some())
    }
}

/// Runs a scenario through both, again if they differ only in the lengths of timers.
pub fn compare(scenario: &Scenario, haproxy: &Path, tidegate: &Path) -> Verdict {
    let mut tries = 0;
    loop {
        tries += 1;
        let ours = run(scenario, haproxy);
        let theirs = run(scenario, tidegate);
        let (faults, differences) = (ours.faults(scenario), ours.compare(&theirs));
        let verdict = Verdict { faults, differences, tries, stderr: theirs.stderr };
        let noise = verdict.faults.is_empty()
            && verdict.differences.iter().any(|found| found.timing)
            && verdict
                .differences
                .iter()
                .all(|found| found.timing || found.allowed(&scenario.allowed).is_some());
        if !noise || tries == TRIES_MAX {
            return verdict;
        }
    }
}
