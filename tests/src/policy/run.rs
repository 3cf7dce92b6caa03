//! Plays all cases of a file through one proxy, several at a time.

use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::case::Case;
use super::origin::Origin;
use super::outcome::Outcome;
use super::play::{Feed, Side, play};
use crate::exchanges::places::{NO_FILES, Places};
use crate::exchanges::proxy::Proxy;

/// Proxies at a time, each with an origin of its own.
const LANES: usize = 3;

/// Of a case on a busy machine, the outcome that came twice counts.
const TRIES_MAX: usize = 5;

/// The configuration of every case. Timeouts are short: some cases end in one.
const CONFIG: &str = "\
global
    log {log} local0
    nbthread 1

defaults
    mode http
    log global
    option httplog
    http-reuse always
    timeout connect 2s
    timeout client 600ms
    timeout server 900ms
    timeout http-request 350ms
    timeout http-keep-alive 2s

frontend strict
    bind {bind.strict}
    default_backend be

frontend lax
    bind {bind.lax}
    option accept-invalid-http-request
    default_backend be-lax

backend be
    server s1 {origin.s1}

backend be-lax
    option accept-invalid-http-response
    server s1 {origin.s1}
";

/// A proxy with its origin and its log.
struct Lane {
    // Dropped first: the origin's threads then see their connections end.
    _proxy: Proxy,
    origin: Origin,
    places: Places,
}

impl Lane {
    fn start(program: &Path) -> Result<Self, String> {
        let (mut places, config) =
            Places::of(CONFIG, NO_FILES).map_err(|error| error.to_string())?;
        let proxy = Proxy::start(program, places.dir(), &config, places.binds())?;
        let listener = places.origins.remove("s1").ok_or("no origin")?;
        Ok(Self { _proxy: proxy, origin: Origin::start(listener), places })
    }

    fn play(&mut self, side: Side, case: &Case, feed: Feed) -> io::Result<Outcome> {
        let to = self.places.bind(&case.at).ok_or(io::ErrorKind::NotFound)?;
        play(side, case, feed, to, &self.origin, &mut self.places.sink)
    }

    /// The outcome that came twice, or that is as `expected`.
    fn settled(
        &mut self,
        side: Side,
        case: &Case,
        feed: Feed,
        expected: impl Fn(&Outcome) -> bool,
    ) -> io::Result<Outcome> {
        let mut outcomes: Vec<Outcome> = Vec::new();
        loop {
            let outcome = self.play(side, case, feed)?;
            if expected(&outcome) || outcomes.contains(&outcome) || outcomes.len() >= TRIES_MAX {
                return Ok(outcome);
            }
            outcomes.push(outcome);
        }
    }
}

/// Plays `cases` through `program`. A case whose outcome is not `expected` is played again, until
/// an outcome comes twice.
pub fn all(
    program: &Path,
    side: Side,
    cases: &[&Case],
    feed: Feed,
    expected: impl Fn(&Case, &Outcome) -> bool + Sync,
) -> Result<Vec<Outcome>, String> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<Outcome>>> = cases.iter().map(|_| Mutex::new(None)).collect();
    let work = || -> Result<(), String> {
        let mut lane = Lane::start(program)?;
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(at) else { return Ok(()) };
            let outcome = lane
                .settled(side, case, feed, |outcome| expected(case, outcome))
                .map_err(|error| format!("{}: {error}", case.name))?;
            *results[at].lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        }
    };
    let failed: Vec<String> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES.min(cases.len())).map(|_| scope.spawn(work)).collect();
        let ends = lanes.into_iter().map(|lane| lane.join());
        ends.filter_map(|end| match end {
            Ok(Ok(())) => None,
            Ok(Err(why)) => Some(why),
            Err(_) => Some("a lane panicked".to_owned()),
        })
        .collect()
    });
    if let Some(why) = failed.into_iter().next() {
        return Err(why);
    }
    let take =
        |place: Mutex<Option<Outcome>>| place.into_inner().unwrap_or_else(PoisonError::into_inner);
    results
        .into_iter()
        .map(|place| take(place).ok_or_else(|| "a case was not played".to_owned()))
        .collect()
}
