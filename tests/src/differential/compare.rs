//! What differs between two outcomes of a case. Only facts; whether they may differ is said by
//! `classes`.
//!
//! How a body was cut into chunks, and how much of a message that never became whole got through,
//! mean nothing to a receiver and are not compared.

use std::fmt;

use super::stage::{Arrival, End, Outcome};
use super::wire::{Field, Message, short};

/// Where two outcomes differ. Numbers count final answers and requests from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// One of the two has no such answer.
    AnswerCount(usize),
    AnswerStatus(usize),
    /// The line but for the status.
    AnswerLine(usize),
    AnswerFraming(usize),
    AnswerField(usize, Vec<u8>),
    AnswerOrder(usize),
    AnswerBody(usize),
    /// It is whole on one side only.
    AnswerCut(usize),
    AnswerTrailers(usize),
    /// Interim answers before the final one of that number.
    Interim(usize),
    Tunnel,
    End,
    /// One of the two has no such request.
    RequestCount(usize),
    /// The words of the line mean the same.
    RequestLine(usize),
    /// Another method, or a target that means something else.
    RequestTarget(usize),
    RequestFraming(usize),
    RequestField(usize, Vec<u8>),
    RequestOrder(usize),
    RequestBody(usize),
    RequestCut(usize),
    RequestTrailers(usize),
    /// The request went on a connection that was there already, or did not.
    Reuse(usize),
    TunnelUp,
}

/// One difference.
#[derive(Clone, Debug)]
pub struct Difference {
    pub place: Place,
    pub haproxy: String,
    pub tidegate: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnswerField(n, name) => write!(f, "AnswerField({n}, {})", name.escape_ascii()),
            Self::RequestField(n, name) => write!(f, "RequestField({n}, {})", name.escape_ascii()),
            place => write!(f, "{place:?}"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, haproxy, tidegate } = self;
        write!(f, "{place}\n      haproxy  {haproxy}\n      tidegate {tidegate}")
    }
}

impl Place {
    /// About a request behind the first.
    pub fn is_of_request(&self) -> bool {
        matches!(
            self,
            Place::RequestCount(1..)
                | Place::RequestLine(1..)
                | Place::RequestFraming(1..)
                | Place::RequestField(1.., _)
                | Place::RequestOrder(1..)
                | Place::RequestCut(1..)
        )
    }

    /// The same message means two things: never to be explained away.
    pub fn is_hard(&self) -> bool {
        matches!(self, Place::RequestTarget(_) | Place::RequestBody(_) | Place::AnswerBody(_))
    }
}

struct Found(Vec<Difference>);

impl Found {
    fn note(&mut self, place: Place, haproxy: impl Into<String>, tidegate: impl Into<String>) {
        self.0.push(Difference { place, haproxy: haproxy.into(), tidegate: tidegate.into() });
    }

    fn values<T: PartialEq + fmt::Debug>(&mut self, place: Place, one: &T, other: &T) {
        if one != other {
            self.note(place, format!("{one:?}"), format!("{other:?}"));
        }
    }

    fn bytes(&mut self, place: Place, one: &[u8], other: &[u8]) {
        if one != other {
            self.note(place, short(one), short(other));
        }
    }
}

/// What differs.
pub fn compare(haproxy: &Outcome, tidegate: &Outcome) -> Vec<Difference> {
    let mut found = Found(Vec::new());
    answers(haproxy, tidegate, &mut found);
    requests(haproxy, tidegate, &mut found);
    found.bytes(Place::Tunnel, &haproxy.tunnel, &tidegate.tunnel);
    found.bytes(Place::TunnelUp, &haproxy.raw, &tidegate.raw);
    // That it had to be nudged means that it waited; so did the other one, or it differs elsewhere.
    let end = |outcome: &Outcome| match outcome.end {
        End::Nudged => End::Closed,
        end => end,
    };
    found.values(Place::End, &end(haproxy), &end(tidegate));
    found.0
}

fn answers(haproxy: &Outcome, tidegate: &Outcome, found: &mut Found) {
    let (ours, theirs) = (grouped(haproxy), grouped(tidegate));
    for n in 0..ours.len().max(theirs.len()) {
        let (one, other) = (ours.get(n), theirs.get(n));
        let (Some((before, one)), Some((also, other))) = (one, other) else {
            let text = |a: Option<&(Vec<&Message>, Option<&Message>)>| {
                let last = a.and_then(|(_, last)| *last);
                last.map_or("none".to_owned(), |a| a.text())
            };
            found.note(Place::AnswerCount(n), text(one), text(other));
            return;
        };
        let texts = |list: &[&Message]| list.iter().map(|m| m.text()).collect::<Vec<_>>();
        found.values(Place::Interim(n), &texts(before), &texts(also));
        let (Some(one), Some(other)) = (one, other) else {
            if one.is_some() || other.is_some() {
                let text = |m: &Option<&Message>| m.map_or("none".to_owned(), Message::text);
                found.note(Place::AnswerCount(n), text(one), text(other));
            }
            return;
        };
        if one.status() != other.status() || one.headed != other.headed {
            found.note(Place::AnswerStatus(n), one.text(), other.text());
            return;
        }
        found.bytes(Place::AnswerLine(n), &one.line, &other.line);
        found.values(Place::AnswerFraming(n), &one.framing, &other.framing);
        fields(&one.fields, &other.fields, found, |name| match name {
            Some(name) => Place::AnswerField(n, name.to_vec()),
            None => Place::AnswerOrder(n),
        });
        found.values(Place::AnswerCut(n), &one.complete, &other.complete);
        let bodies = if one.complete && other.complete {
            one.body == other.body
        } else {
            begins(&one.body, &other.body)
        };
        if !bodies {
            found.note(Place::AnswerBody(n), short(&one.body), short(&other.body));
        }
        if one.complete && other.complete {
            found.values(Place::AnswerTrailers(n), &one.trailers, &other.trailers);
        }
    }
}

/// The final answers, each with the interim ones before it.
fn grouped(outcome: &Outcome) -> Vec<(Vec<&Message>, Option<&Message>)> {
    let mut groups = Vec::new();
    let mut interim = Vec::new();
    for answer in &outcome.answers {
        if answer.is_interim() {
            interim.push(answer);
        } else {
            groups.push((std::mem::take(&mut interim), Some(answer)));
        }
    }
    if !interim.is_empty() {
        groups.push((interim, None));
    }
    groups
}

fn requests(haproxy: &Outcome, tidegate: &Outcome, found: &mut Found) {
    let (ours, theirs) = (&haproxy.arrivals, &tidegate.arrivals);
    for n in 0..ours.len().max(theirs.len()) {
        let (Some(one), Some(other)) = (ours.get(n), theirs.get(n)) else {
            let text = |a: Option<&Arrival>| a.map_or("none".to_owned(), |a| a.message.text());
            found.note(Place::RequestCount(n), text(ours.get(n)), text(theirs.get(n)));
            return;
        };
        let earlier = |list: &[Arrival]| {
            list[..n].iter().any(|earlier| earlier.connection == list[n].connection)
        };
        found.values(Place::Reuse(n), &earlier(ours), &earlier(theirs));
        let (one, other) = (&one.message, &other.message);
        found.values(Place::RequestCut(n), &one.complete, &other.complete);
        if !one.headed || !other.headed {
            continue;
        }
        match meaning(one) == meaning(other) {
            true => found.bytes(Place::RequestLine(n), &one.line, &other.line),
            false => found.bytes(Place::RequestTarget(n), &one.line, &other.line),
        }
        found.values(Place::RequestFraming(n), &one.framing, &other.framing);
        fields(&one.fields, &other.fields, found, |name| match name {
            Some(name) => Place::RequestField(n, name.to_vec()),
            None => Place::RequestOrder(n),
        });
        let bodies = if one.complete && other.complete {
            one.body == other.body
        } else {
            begins(&one.body, &other.body)
        };
        if !bodies {
            found.note(Place::RequestBody(n), short(&one.body), short(&other.body));
        }
        if one.complete && other.complete {
            found.values(Place::RequestTrailers(n), &one.trailers, &other.trailers);
        }
    }
}

/// Method and target, without a port that is the scheme's (RFC 3986 section 6.2.3).
pub fn meaning(request: &Message) -> (Vec<u8>, Vec<u8>) {
    (request.word(0).to_vec(), without_port(request.word(1)))
}

/// A target without a port that is the scheme's.
pub fn without_port(target: &[u8]) -> Vec<u8> {
    for (scheme, port) in [(&b"http://"[..], &b":80"[..]), (b"https://", b":443")] {
        let head = &target[..scheme.len().min(target.len())];
        if head.eq_ignore_ascii_case(scheme) {
            let rest = &target[scheme.len()..];
            let end = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            let host = authority.strip_suffix(port).or(authority.strip_suffix(b":"));
            return [head, host.unwrap_or(authority), path].concat();
        }
    }
    target.to_vec()
}

/// Whether one is how the other begins.
fn begins(one: &[u8], other: &[u8]) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// By name; and the order, if it is the only thing that differs.
fn fields(
    one: &[Field],
    other: &[Field],
    found: &mut Found,
    place: impl Fn(Option<&[u8]>) -> Place,
) {
    if one == other {
        return;
    }
    let before = found.0.len();
    let mut names: Vec<&[u8]> = one.iter().chain(other).map(|(name, _)| &**name).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let values = |fields: &[Field]| {
            let named = fields.iter().filter(|(n, _)| n == name);
            named.map(|(_, v)| v.escape_ascii().to_string()).collect::<Vec<_>>()
        };
        found.values(place(Some(name)), &values(one), &values(other));
    }
    if found.0.len() == before {
        let order = |fields: &[Field]| {
            let names = fields.iter().map(|(n, _)| n.escape_ascii().to_string());
            names.collect::<Vec<_>>().join(", ")
        };
        found.note(place(None), order(one), order(other));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::{stage, wire};
    use super::*;

    /// What a run would leave behind that brought `request` to the origin and `answer` back.
    pub(crate) fn outcome(request: &str, answer: &str) -> Outcome {
        let message = wire::request(request.as_bytes()).unwrap();
        let answers = stage::answers(answer.as_bytes(), &[message.word(0)], true);
        Outcome {
            answers,
            client: answer.as_bytes().to_vec(),
            tunnel: Vec::new(),
            end: End::Closed,
            probed: false,
            arrivals: vec![Arrival { connection: 0, message }],
            connections: vec![request.as_bytes().to_vec()],
            raw: Vec::new(),
            leaked: false,
            reset: false,
        }
    }

    const POST: &str = "POST /a HTTP/1.1\r\nA: b\r\nC: d\r\nContent-Length: 2\r\n\r\nab";
    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    #[test]
    fn a_difference_has_its_place() {
        let places = |request: &str, answer: &str| {
            let found = compare(&outcome(POST, OK), &outcome(request, answer));
            found
                .iter()
                .map(|difference| difference.place.to_string())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(places(POST, OK), "");
        assert_eq!(places(&POST.replace("ab", "ac"), OK), "RequestBody(0)");
        assert_eq!(places(&POST.replace("/a", "/b"), OK), "RequestTarget(0)");
        assert_eq!(places(&POST.replace("POST", "PUT"), OK), "RequestTarget(0)");
        assert_eq!(places(&POST.replace("A: b", "A: c"), OK), "RequestField(0, a)");
        assert_eq!(places(&POST.replace("A: b\r\nC: d", "C: d\r\nA: b"), OK), "RequestOrder(0)");
        assert_eq!(places(&POST.replace("ab", "a"), OK), "RequestCut(0)");
        assert_eq!(places(POST, &OK.replace("ok", "no")), "AnswerBody(0)");
        assert_eq!(places(POST, &OK.replace("ok", "o")), "AnswerCut(0)");
        assert_eq!(places(POST, &OK.replace("OK", "Fine")), "AnswerLine(0)");
        assert_eq!(places(POST, &OK.replace("200", "502")), "AnswerStatus(0)");
        assert_eq!(places(POST, ""), "AnswerCount(0)");
        let chunked = "POST /a HTTP/1.1\r\nA: b\r\nC: d\r\nTransfer-Encoding: chunked\r\n\r\n\
            2\r\nab\r\n0\r\n\r\n";
        assert!(places(chunked, OK).starts_with("RequestFraming(0)"));
    }

    #[test]
    fn a_default_port_means_nothing() {
        let of =
            |line: &str| meaning(&wire::request(format!("{line}\r\n\r\n").as_bytes()).unwrap());
        let plain = of("GET http://a/b HTTP/1.1");
        assert_eq!(of("GET http://a:80/b HTTP/1.1"), plain);
        assert_ne!(of("GET http://a:81/b HTTP/1.1"), plain);
        assert_ne!(of("GET http://a/c HTTP/1.1"), plain);
    }
}
