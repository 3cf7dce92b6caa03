//! What one run of a scenario gave: log lines, and what each socket received.

use std::collections::BTreeMap;

use super::logline::LogLine;
use super::scenario::{Allowed, Scenario};
use super::script::quoted;

/// What a socket saw, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// The connection arrived at this server.
    At(String),
    Head(Vec<u8>),
    Body(Vec<u8>),
    Chunks {
        sizes: Vec<usize>,
        payload: Vec<u8>,
        /// The trailers and the last empty line.
        trailer: Vec<u8>,
    },
    /// The peer's stream ended.
    End(End),
    /// Nothing came for that long.
    Silence(u64),
    /// What was to come did not; the script stopped here.
    Missing(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Fin,
    Reset,
}

impl Seen {
    pub fn text(&self) -> String {
        match self {
            Self::At(server) => format!("at {server}"),
            Self::Head(bytes) => format!("head {}", quoted(bytes)),
            Self::Body(bytes) => format!("body {}", quoted(bytes)),
            Self::Chunks { sizes, payload, trailer } => {
                format!("chunks {sizes:?} {} trailer {}", quoted(payload), quoted(trailer))
            }
            Self::End(End::Fin) => "end".to_owned(),
            Self::End(End::Reset) => "reset".to_owned(),
            Self::Silence(ms) => format!("nothing for {ms} ms"),
            Self::Missing(what) => format!("MISSING: {what}"),
        }
    }

    /// Equal for a receiver: how a sender cuts its chunks has no meaning (RFC 9112 section 7.1).
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Chunks { payload, trailer, .. },
                Self::Chunks { payload: other_payload, trailer: other_trailer, .. },
            ) => payload == other_payload && trailer == other_trailer,
            _ => self == other,
        }
    }
}

/// What a socket received, by the socket's name in the script.
pub type Transcripts = BTreeMap<&'static str, Vec<Seen>>;

#[derive(Debug, Clone, Default)]
pub struct Outcome {
    pub logs: Vec<LogLine>,
    pub transcripts: Transcripts,
    /// Why the script could not go on, or the proxy not start.
    pub failure: Option<String>,
    /// What the proxy wrote to its standard error.
    pub stderr: String,
}

/// Two values at one place that should be equal.
#[derive(Debug, Clone)]
pub struct Difference {
    /// `log 2 bytes`, `c 1 header 3`, …
    pub place: String,
    pub haproxy: String,
    pub tidegate: String,
    /// Only the length of a timer: a busy machine may have done it.
    pub timing: bool,
}

impl Difference {
    pub fn new(place: String, haproxy: impl Into<String>, tidegate: impl Into<String>) -> Self {
        Self { place, haproxy: haproxy.into(), tidegate: tidegate.into(), timing: false }
    }

    pub fn allowed<'a>(&self, allowed: &'a [Allowed]) -> Option<&'a Allowed> {
        allowed.iter().find(|allowed| allowed.covers(self))
    }
}

impl Allowed {
    pub fn covers(&self, difference: &Difference) -> bool {
        difference.place.starts_with(self.place)
    }
}

impl Outcome {
    /// What differs between a run through haproxy (`self`) and one through Tidegate.
    pub fn compare(&self, other: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        let failure = |outcome: &Self| outcome.failure.clone().unwrap_or_default();
        if self.failure != other.failure {
            found.push(Difference::new("script".to_owned(), failure(self), failure(other)));
        }
        let lines = |outcome: &Self| {
            let lines: Vec<String> = outcome.logs.iter().map(LogLine::text).collect();
            format!("{} lines\n{}", lines.len(), lines.join("\n"))
        };
        if self.logs.len() != other.logs.len() {
            found.push(Difference::new("log lines".to_owned(), lines(self), lines(other)));
        }
        for (at, (ours, theirs)) in self.logs.iter().zip(&other.logs).enumerate() {
            ours.compare(theirs, &format!("log {}", at + 1), &mut found);
        }
        let nothing = Vec::new();
        let names = self.transcripts.keys().chain(other.transcripts.keys());
        let names: std::collections::BTreeSet<_> = names.collect();
        for name in names {
            let ours = self.transcripts.get(name).unwrap_or(&nothing);
            let theirs = other.transcripts.get(name).unwrap_or(&nothing);
            transcripts(name, ours, theirs, &mut found);
        }
        found
    }

    /// This outcome with the shorter of each timer, if `other` is equal in all else.
    #[must_use]
    pub fn soonest(mut self, other: &Self) -> Self {
        if self.compare(other).iter().all(|difference| difference.timing) {
            for (ours, theirs) in self.logs.iter_mut().zip(&other.logs) {
                ours.soonest(theirs);
            }
        }
        self
    }

    /// What is wrong with this outcome by itself: a script that stopped, unexpected codes.
    pub fn faults(&self, scenario: &Scenario) -> Vec<String> {
        let mut faults = Vec::new();
        faults.extend(self.failure.clone());
        let codes: Vec<&str> = self.logs.iter().map(|line| line.code().unwrap_or("")).collect();
        if codes != scenario.codes {
            faults.push(format!("termination states {codes:?}, expected {:?}", scenario.codes));
        }
        faults
    }
}

fn transcripts(name: &str, ours: &[Seen], theirs: &[Seen], found: &mut Vec<Difference>) {
    let absent = || "nothing".to_owned();
    for at in 0..ours.len().max(theirs.len()) {
        let place = format!("{name} {}", at + 1);
        match (ours.get(at), theirs.get(at)) {
            (Some(Seen::Head(ours)), Some(Seen::Head(theirs))) => {
                heads(&place, ours, theirs, found);
            }
            (Some(ours), Some(theirs)) if ours.same(theirs) => {}
            (ours, theirs) => found.push(Difference::new(
                place,
                ours.map_or_else(absent, Seen::text),
                theirs.map_or_else(absent, Seen::text),
            )),
        }
    }
}

/// Line by line, so that a report names the header.
fn heads(place: &str, ours: &[u8], theirs: &[u8], found: &mut Vec<Difference>) {
    let lines = |head: &[u8]| -> Vec<String> {
        head.split_inclusive(|&byte| byte == b'\n').map(quoted).collect()
    };
    let (ours, theirs) = (lines(ours), lines(theirs));
    for at in 0..ours.len().max(theirs.len()) {
        let line = |lines: &[String]| lines.get(at).cloned().unwrap_or_default();
        if line(&ours) != line(&theirs) {
            let place = match at {
                0 => format!("{place} start line"),
                _ => format!("{place} header {at}"),
            };
            found.push(Difference::new(place, line(&ours), line(&theirs)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(head: &str, seen: Vec<Seen>) -> Outcome {
        let mut seen = seen;
        seen.insert(0, Seen::Head(head.as_bytes().to_vec()));
        Outcome { transcripts: Transcripts::from([("c", seen)]), ..Outcome::default() }
    }

    fn chunks(sizes: &[usize], payload: &str) -> Seen {
        let (payload, trailer) = (payload.as_bytes().to_vec(), b"\r\n".to_vec());
        Seen::Chunks { sizes: sizes.to_vec(), payload, trailer }
    }

    #[test]
    fn a_difference_is_found_and_named() {
        let head = "HTTP/1.1 200 OK\r\na: 1\r\nb: 2\r\n\r\n";
        let base = || outcome(head, vec![chunks(&[2, 3], "hello"), Seen::End(End::Fin)]);
        let cases = [
            (base(), vec![]),
            (outcome(head, vec![chunks(&[5], "hello"), Seen::End(End::Fin)]), vec![]),
            (outcome(head, vec![chunks(&[5], "hellO"), Seen::End(End::Fin)]), vec!["c 2"]),
            (outcome(head, vec![chunks(&[5], "hello"), Seen::End(End::Reset)]), vec!["c 3"]),
            (outcome(head, vec![chunks(&[5], "hello")]), vec!["c 3"]),
            (
                outcome(
                    "HTTP/1.1 200 OK\r\nb: 2\r\na: 1\r\n\r\n",
                    vec![chunks(&[5], "hello"), Seen::End(End::Fin)],
                ),
                vec!["c 1 header 1", "c 1 header 2"],
            ),
            (
                outcome(
                    "HTTP/1.1 200 Fine\r\na: 1\r\nb: 2\r\n\r\n",
                    vec![chunks(&[5], "hello"), Seen::End(End::Fin)],
                ),
                vec!["c 1 start line"],
            ),
        ];
        for (other, expected) in cases {
            let found = base().compare(&other);
            let places: Vec<&str> =
                found.iter().map(|difference| difference.place.as_str()).collect();
            assert_eq!(places, expected);
        }
    }

    #[test]
    fn a_missing_log_line_is_a_difference() {
        let line = LogLine::parse("<134>Nov 22 12:21:14 haproxy[77]: hello");
        let logged = Outcome { logs: vec![line], ..Outcome::default() };
        let places: Vec<String> =
            logged.compare(&Outcome::default()).into_iter().map(|found| found.place).collect();
        assert_eq!(places, ["log lines"]);
    }
}
