//! Runs the sites through a proxy, several at a time, and judges them.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::diff::{self, Difference, Record};
use super::origin::Origins;
use super::play;
use super::text::Site;
use crate::exchanges::places::Places;
use crate::exchanges::proxy::Proxy;

/// Sites at a time: they wait for one another's processes, and some for timers.
const TOGETHER: usize = 4;

/// What a proxy made of a site.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It did not start, and said this.
    Refused(String),
    Played(Vec<Record>),
}

/// Plays one site through `program`.
pub fn run(site: &Site, program: &Path) -> Outcome {
    match set_up(site, program) {
        Ok(records) => Outcome::Played(records),
        Err(why) => Outcome::Refused(why),
    }
}

fn set_up(site: &Site, program: &Path) -> Result<Vec<Record>, String> {
    let (mut places, config) =
        Places::of(&site.config, &site.files).map_err(|error| format!("cannot set up: {error}"))?;
    let origins =
        Origins::start(&places.origins, &site.tcp).map_err(|error| format!("servers: {error}"))?;
    let proxy = Proxy::start(program, places.dir(), &config, places.binds())
        .map_err(|error| places.mask(&error))?;
    let records = play::play(site, &mut places, &origins);
    drop(proxy);
    drop(origins);
    Ok(records)
}

/// How a site did.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// The reference itself is not what haproxy does, or stopped before its end.
    Faulty(Vec<String>),
    NotLoaded(String),
    Differs(Vec<Difference>),
    /// Nothing needed an allowance that is given.
    Spare(Vec<String>),
    /// What is allowed may have been found.
    Equal(Vec<Difference>),
}

/// Compares what Tidegate did with the reference.
pub fn judge(site: &Site, reference: &[Record], tidegate: &Outcome) -> Verdict {
    let missing: Vec<String> = reference
        .iter()
        .flat_map(|record| record.lines.iter().map(move |line| (record, line)))
        .filter(|(_, line)| line.starts_with("MISSING") || line.contains("c> SOMETHING"))
        .map(|(record, line)| format!("haproxy, {}: {line}", record.exchange))
        .collect();
    if !missing.is_empty() {
        return Verdict::Faulty(missing);
    }
    let records = match tidegate {
        Outcome::Refused(why) => return Verdict::NotLoaded(why.clone()),
        Outcome::Played(records) => records,
    };
    let found = diff::compare(reference, records);
    let covers = |begins: &str, one: &Difference| one.line.starts_with(begins);
    let unexplained: Vec<Difference> = found
        .iter()
        .filter(|one| !site.allowed.iter().any(|allowed| covers(&allowed.begins, one)))
        .cloned()
        .collect();
    if !unexplained.is_empty() {
        return Verdict::Differs(unexplained);
    }
    let spare: Vec<String> = site
        .allowed
        .iter()
        .filter(|allowed| !found.iter().any(|one| covers(&allowed.begins, one)))
        .map(|allowed| format!("allowed, but equal: {}", allowed.begins))
        .collect();
    if spare.is_empty() { Verdict::Equal(found) } else { Verdict::Spare(spare) }
}

/// Calls `work` for each site from several threads; the results are in the sites' order.
pub fn each<T: Send>(sites: &[Site], work: impl Fn(&Site) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<T>>> = sites.iter().map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        for _ in 0..TOGETHER.min(sites.len()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(site) = sites.get(at) else { return };
                    let result = work(site);
                    if let Ok(mut place) = results[at].lock() {
                        *place = Some(result);
                    }
                }
            });
        }
    });
    results.into_iter().filter_map(|place| place.into_inner().ok().flatten()).collect()
}
