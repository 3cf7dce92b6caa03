//! Runs scenarios through proxies, several at a time, and compares what came.
//!
//! A busy machine makes timers longer, and those shorter that begin with what the proxy notices
//! late. So two runs that differ in nothing but the lengths of timers are repeated, one scenario
//! at a time, until a pair of runs agrees, or the shortest of each timer do.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::logline::LogLine;
use super::outcome::{Difference, Outcome};
use super::places::Places;
use super::proxy::Proxy;
use super::scenario::{Allowed, Scenario};
use super::stage::Stage;

/// Scenarios at a time: they mostly wait for timeouts.
const TOGETHER: usize = 8;

/// Runs of a scenario that may only be victim of a busy machine.
const TRIES_MAX: usize = 6;

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
    fn new(scenario: &Scenario, haproxy: &Outcome, tidegate: &Outcome, tries: usize) -> Self {
        Self {
            faults: haproxy.faults(scenario),
            differences: haproxy.compare(tidegate),
            tries,
            stderr: tidegate.stderr.clone(),
        }
    }

    pub fn good(&self, scenario: &Scenario) -> bool {
        self.faults.is_empty()
            && self.unexplained(scenario).next().is_none()
            && self.spare(scenario).next().is_none()
    }

    /// Allowances that nothing needed: one that stays would hide the next difference at its place.
    pub fn spare(&self, scenario: &Scenario) -> impl Iterator<Item = Allowed> {
        let needed = |allowed: &Allowed| self.differences.iter().any(|found| allowed.covers(found));
        scenario.allowed.iter().filter(move |one| one.always && !needed(one)).copied()
    }

    /// Whether another run may be better: only timers differ, or haproxy itself was late.
    fn noisy(&self, scenario: &Scenario) -> bool {
        !self.faults.is_empty()
            || self.unexplained(scenario).next().is_some()
                && self.unexplained(scenario).all(|found| found.timing)
    }

    fn unexplained(&self, scenario: &Scenario) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|found| found.allowed(&scenario.allowed).is_none())
    }
}

/// Runs every scenario through both proxies: all once, several at a time, then the doubtful alone.
pub fn compare(scenarios: &[Scenario], haproxy: &Path, tidegate: &Path) -> Vec<Verdict> {
    let outcomes = each(scenarios, |scenario| (run(scenario, haproxy), run(scenario, tidegate)));
    let pairs = scenarios.iter().zip(outcomes);
    pairs
        .map(|(scenario, (mut ours, mut theirs))| {
            let mut verdict = Verdict::new(scenario, &ours, &theirs, 1);
            for tries in 2..=TRIES_MAX {
                if !verdict.noisy(scenario) {
                    break;
                }
                let pair = (run(scenario, haproxy), run(scenario, tidegate));
                verdict = Verdict::new(scenario, &pair.0, &pair.1, tries);
                (ours, theirs) = (pair.0.soonest(&ours), pair.1.soonest(&theirs));
                if verdict.noisy(scenario) {
                    verdict = Verdict::new(scenario, &ours, &theirs, tries);
                }
            }
            verdict
        })
        .collect()
}

/// Runs every scenario through one proxy, and again alone if it went wrong or to have the
/// shortest timers.
pub fn reference(scenarios: &[Scenario], program: &Path) -> Vec<Outcome> {
    let outcomes =
        each(scenarios, |scenario| run(scenario, program).soonest(&run(scenario, program)));
    let pairs = scenarios.iter().zip(outcomes);
    pairs
        .map(|(scenario, mut outcome)| {
            let mut tries = 1;
            while !outcome.faults(scenario).is_empty() && tries < TRIES_MAX {
                tries += 1;
                outcome = run(scenario, program);
            }
            outcome
        })
        .collect()
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

#[cfg(test)]
mod tests {
    use super::super::scenario::http;
    use super::*;

    #[test]
    fn an_allowance_must_be_needed_unless_it_depends_on_the_machine() {
        let scenario = http("a", "b").allow("c 1 header", "x").tolerate("log 1", "y");
        for (places, good) in [
            (vec![], false),
            (vec!["c 1 header 3"], true),
            (vec!["c 1 header 3", "log 1 bytes"], true),
            (vec!["log 1 bytes"], false),
            (vec!["c 1 header 3", "c 2"], false),
        ] {
            let differences =
                places.iter().map(|place| Difference::new((*place).to_owned(), "", "x")).collect();
            let verdict =
                Verdict { faults: Vec::new(), differences, tries: 1, stderr: String::new() };
            assert_eq!(verdict.good(&scenario), good, "{places:?}");
        }
    }
}
