//! Many cases through both proxies, several at a time.

use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::classes::{self, Class, Context};
use super::compare::{Difference, compare};
use super::grammar::Case;
use super::proxies::{Lane, Site, VARIANTS};
use super::stage::{self, Outcome};
use super::{oracle, strict};
use crate::exchanges::proxy::Kind;

/// A silence that long means, mostly, that nothing will come.
pub const QUIET: Duration = Duration::from_millis(25);
/// The same where a busy machine must not decide.
pub const LONG_QUIET: Duration = Duration::from_millis(400);

/// How often a case is run again that does not come out clean.
pub const AGAIN: usize = 2;

/// Both proxies.
#[derive(Debug)]
pub struct Arena {
    haproxy: Site,
    tidegate: Site,
    lanes: usize,
    /// See [`AGAIN`].
    pub again: usize,
}

/// One place of each.
#[derive(Debug)]
pub struct Pair {
    haproxy: Lane,
    tidegate: Lane,
}

/// A case, what came of it, and what is to be said about that.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub case: Case,
    pub haproxy: Outcome,
    pub tidegate: Outcome,
    /// Each with the class that explains it.
    pub differences: Vec<(Difference, Option<Class>)>,
    /// What other readers say against what Tidegate forwarded.
    pub objections: Vec<String>,
    /// It was not clean at first.
    pub repeated: bool,
}

impl Verdict {
    /// Every difference has its class, and no reader objects.
    pub fn is_clean(&self) -> bool {
        self.objections.is_empty() && self.differences.iter().all(|(_, class)| class.is_some())
    }

    /// A message that both forwarded means two things.
    pub fn is_hard(&self) -> bool {
        !self.objections.is_empty() || self.differences.iter().any(|(d, _)| d.place.is_hard())
    }

    /// The classes, each once.
    pub fn classes(&self) -> Vec<Class> {
        let mut classes = Vec::new();
        for class in self.differences.iter().filter_map(|(_, class)| *class) {
            if !classes.contains(&class) {
                classes.push(class);
            }
        }
        classes
    }
}

impl Arena {
    pub fn start(haproxy: &Path, tidegate: &Path, lanes: usize) -> Result<Self, String> {
        Ok(Self {
            haproxy: Site::start(Kind::Haproxy, haproxy, lanes)?,
            tidegate: Site::start(Kind::Tidegate, tidegate, lanes)?,
            lanes,
            again: AGAIN,
        })
    }

    pub fn pair(&self, lane: usize) -> io::Result<Pair> {
        Ok(Pair { haproxy: self.haproxy.lane(lane)?, tidegate: self.tidegate.lane(lane)? })
    }

    /// Judges the cases of these seeds, in no order, and gives each verdict to `sink`.
    pub fn run(
        &self,
        seeds: std::ops::Range<u64>,
        sink: impl Fn(Verdict) + Sync,
    ) -> io::Result<()> {
        let next = AtomicU64::new(seeds.start);
        let failed = Mutex::new(Ok(()));
        std::thread::scope(|scope| {
            for lane in 0..self.lanes {
                let (next, failed, sink) = (&next, &failed, &sink);
                scope.spawn(move || {
                    let work = || -> io::Result<()> {
                        let pair = self.pair(lane)?;
                        loop {
                            let seed = next.fetch_add(1, Ordering::Relaxed);
                            if seed >= seeds.end {
                                return Ok(());
                            }
                            sink(pair.judge_seed(seed, self.again)?);
                        }
                    };
                    if let Err(error) = work() {
                        *failed.lock().expect("nobody panics with it") = Err(error);
                    }
                });
            }
        });
        failed.into_inner().expect("nobody panics with it")
    }
}

impl Pair {
    /// The case of a seed. What does not come out clean is run again with more patience, so that
    /// nothing is laid to a proxy that a busy machine did.
    pub fn judge_seed(&self, seed: u64, again: usize) -> io::Result<Verdict> {
        let case = Case::of(seed, VARIANTS.len());
        let mut verdict = self.judge(&case, QUIET)?;
        for _ in 0..again {
            if verdict.is_clean() {
                break;
            }
            for lane in [&self.haproxy, &self.tidegate] {
                stage::settle(lane, LONG_QUIET)?;
            }
            verdict = Verdict { repeated: true, ..self.judge(&case, LONG_QUIET)? };
        }
        Ok(verdict)
    }

    pub fn judge(&self, case: &Case, quiet: Duration) -> io::Result<Verdict> {
        let haproxy = stage::run(case, &self.haproxy, quiet)?;
        let tidegate = stage::run(case, &self.tidegate, quiet)?;
        let found = compare(&haproxy, &tidegate);
        let context = Context::new(case, &haproxy, &tidegate);
        let differences: Vec<_> = found
            .into_iter()
            .map(|difference| {
                let class = classes::explain(&context, &difference);
                (difference, class)
            })
            .collect();
        let mut objections = oracle::objections(case, &tidegate);
        if let Some(echo) = oracle::echo(case, &tidegate) {
            let again = stage::run(&echo, &self.haproxy, quiet)?;
            objections.extend(oracle::compare_echo(&echo, &tidegate, &again));
        }
        Ok(Verdict {
            case: case.clone(),
            haproxy,
            tidegate,
            differences,
            objections,
            repeated: false,
        })
    }
}

/// Whether the strict reader finds the client's bytes of a case in order.
pub fn is_valid(case: &Case) -> bool {
    let reading = strict::requests(&case.sent);
    reading.fault.is_none() && !reading.partial
}
