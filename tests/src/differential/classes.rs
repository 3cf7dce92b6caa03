//! Why haproxy and Tidegate may differ: each class is a predicate on the input and on the outcome,
//! with its cause and the clause that it goes by.
//!
//! Most classes are refusals: the strict reader finds a fault in what was sent, and Tidegate sent
//! nothing of it on. What both sent on and what means two things has no class.

use super::compare::{Difference, Place};
use super::grammar::Case;
use super::stage::{End, Outcome};
use super::strict::{self, Fault, Reading};
use super::wire::{self, Framing, Message};

/// All that a predicate may look at.
#[derive(Debug)]
pub struct Context<'a> {
    pub case: &'a Case,
    pub haproxy: &'a Outcome,
    pub tidegate: &'a Outcome,
    /// What the client sent, as the strict reader reads it.
    pub sent: Reading,
    /// What the origin answered the first request with, read in the same way.
    pub answer: Reading,
    /// The messages of `sent`, and the head of what is not whole.
    requests: Vec<Message>,
    /// The same of `answer`.
    answers: Vec<Message>,
}

impl<'a> Context<'a> {
    pub fn new(case: &'a Case, haproxy: &'a Outcome, tidegate: &'a Outcome) -> Self {
        let sent = strict::requests(&case.sent);
        let arrivals = tidegate.arrivals.first().or(haproxy.arrivals.first());
        let method = arrivals.map_or(&b"GET"[..], |arrival| arrival.message.word(0));
        let answer = strict::responses(&case.answer, &[method], true);
        let (mut requests, mut answers) = (sent.messages.clone(), answer.messages.clone());
        requests.extend(wire::request(&case.sent[sent.at..]));
        answers.extend(wire::response(&case.answer[answer.at..], method, false));
        Self { case, haproxy, tidegate, sent, answer, requests, answers }
    }

    /// Tidegate's final answers.
    fn finals(&self) -> Vec<&Message> {
        self.tidegate.finals().collect()
    }

    /// Tidegate refused what follows `n` requests: it closed, with an error page or, where an
    /// answer had begun, without.
    fn refuses(&self, n: usize) -> bool {
        let answers = self.finals();
        let closed = matches!(self.tidegate.end, End::Closed | End::Nudged);
        let told = match answers.get(n) {
            // It was answered before it came to the fault.
            Some(_) if n == 0 && self.case.early => true,
            Some(answer) => matches!(answer.status(), 400 | 408 | 413) && is_page(answer),
            None => true,
        };
        let whole = self.tidegate.arrivals.iter().filter(|a| a.message.complete).count();
        closed && told && answers.len() <= n + 1 && whole <= n
    }

    /// Both wrote the answer to request `n` themselves, in the same place.
    fn both_refuse(&self, n: usize) -> bool {
        let page = |side: &Outcome| {
            let page = side.finals().nth(n).filter(|answer| is_page(answer));
            page.map(|answer| (answer.status() >= 500, side.arrivals.len()))
        };
        page(self.haproxy).is_some() && page(self.haproxy) == page(self.tidegate)
    }

    /// haproxy passed what followed on as it was, and the recorder took it for requests.
    fn tunnels_where_we_do_not(&self) -> bool {
        let tunnel = |outcome: &Outcome| outcome.finals().any(|a| a.framing == Framing::Tunnel);
        tunnel(self.haproxy) && !tunnel(self.tidegate)
    }

    /// Tidegate did not present the origin's first answer as a whole one.
    fn distrusts(&self) -> bool {
        match self.finals().first() {
            Some(answer) => {
                answer.status() == 502 && is_page(answer)
                    || !answer.complete
                    || answer.framing == Framing::UntilClose
            }
            None => true,
        }
    }
}

/// Whether a proxy wrote an answer itself.
pub fn is_page(answer: &Message) -> bool {
    let page = answer.body.starts_with(b"<html><body><h1>") || answer.body.is_empty();
    page && answer.status() >= 400
        && answer.values("cache-control").eq([&b"no-cache"[..]])
        && answer.values("content-type").eq([&b"text/html"[..]])
}

/// A reason for a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Tidegate refused a request for that.
    Request(Fault),
    /// Tidegate did not trust an answer for that.
    Answer(Fault),
    Other(&'static Other),
}

/// A class that is not a refusal.
pub struct Other {
    pub name: &'static str,
    pub cause: &'static str,
    pub clause: &'static str,
    /// Deliberate, however often it is seen.
    pub policy: bool,
    covers: fn(&Context<'_>, &Place) -> bool,
}

impl PartialEq for Other {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Other {}

impl std::fmt::Debug for Other {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Class {
    pub fn name(self) -> String {
        match self {
            Self::Request(fault) => format!("request-{}", fault.name()),
            Self::Answer(fault) => format!("answer-{}", fault.name()),
            Self::Other(other) => other.name.to_owned(),
        }
    }

    pub fn cause(self) -> String {
        match self {
            Self::Request(fault) => format!("Tidegate refuses {}", fault.meaning().0),
            Self::Answer(fault) => format!("Tidegate does not trust {}", fault.meaning().0),
            Self::Other(other) => other.cause.to_owned(),
        }
    }

    pub fn clause(self) -> &'static str {
        match self {
            Self::Request(fault) | Self::Answer(fault) => fault.meaning().1,
            Self::Other(other) => other.clause,
        }
    }

    pub fn is_policy(self) -> bool {
        matches!(self, Self::Other(other) if other.policy)
    }
}

/// The class that explains a difference.
pub fn explain(context: &Context<'_>, difference: &Difference) -> Option<Class> {
    let place = &difference.place;
    if place.is_hard() {
        return None;
    }
    if let Some(other) = OTHERS.iter().find(|other| (other.covers)(context, place)) {
        return Some(Class::Other(other));
    }
    let before = context.sent.messages.len();
    if let Some(fault) = context.sent.fault
        && context.refuses(before)
        && follows(place, before)
        && (!context.both_refuse(before) || matches!(place, Place::AnswerStatus(_)))
    {
        return Some(Class::Request(fault));
    }
    if context.answer.partial
        && context.answer.messages.iter().all(Message::is_interim)
        && context.distrusts()
        && follows(place, 0)
        && !context.both_refuse(0)
        && may_be_cut(context, place)
    {
        return Some(Class::Other(&CUT));
    }
    if let Some(fault) = context.answer.fault
        && context.distrusts()
        && (follows(place, 0) || context.tunnels_where_we_do_not() && place.is_of_request())
        && (!context.both_refuse(0) || *place == Place::Interim(0))
        && may_be_cut(context, place)
    {
        return Some(Class::Answer(fault));
    }
    None
}

/// Whether an answer that is not trusted may have had that effect: the first request has arrived
/// whole, unless its answer came before its end.
fn may_be_cut(context: &Context<'_>, place: &Place) -> bool {
    match place {
        Place::RequestCount(0) => false,
        Place::RequestCut(0) => context.case.early,
        _ => true,
    }
}

/// Whether a difference can follow from the refusal of message `n`.
fn follows(place: &Place, n: usize) -> bool {
    match place {
        Place::AnswerCount(at)
        | Place::AnswerStatus(at)
        | Place::AnswerCut(at)
        | Place::AnswerFraming(at)
        | Place::Interim(at)
        | Place::RequestCount(at)
        | Place::RequestCut(at)
        | Place::Reuse(at) => *at >= n,
        Place::End | Place::Tunnel | Place::TunnelUp => true,
        _ => false,
    }
}

/// Fields that end at each hop.
const ONE_HOP: [&[u8]; 6] =
    [b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade", b"http2-settings"];

/// Whether a field is one that is not passed on, or is named by Connection in `bytes`.
fn is_one_hop(name: &[u8], messages: &[Message]) -> bool {
    let name = std::str::from_utf8(name).unwrap_or_default();
    ONE_HOP.contains(&name.as_bytes()) || messages.iter().any(|m| m.lists("connection", name))
}

/// What a Connection field of a message that came through haproxy names beside these.
fn is_nominated(name: &[u8], outcome: &Outcome) -> bool {
    let name = std::str::from_utf8(name).unwrap_or_default();
    let arrivals = outcome.arrivals.iter().map(|arrival| &arrival.message);
    arrivals.chain(&outcome.answers).any(|message| message.lists("connection", name))
}

fn old_client(context: &Context<'_>) -> bool {
    context.sent.messages.first().is_some_and(|request| request.line.ends_with(b"HTTP/1.0"))
}

fn is_chunked(answer: &Message) -> bool {
    answer.framing == Framing::Chunked
}

/// An HTTP/1.0 client got what was chunked by its origin.
fn dechunked(context: &Context<'_>) -> bool {
    let chunked = context.answer.messages.iter().any(|m| m.has("transfer-encoding"));
    let chunked = chunked || context.haproxy.finals().next().is_some_and(is_chunked);
    let first = context.finals().first().is_some_and(|a| a.framing == Framing::UntilClose);
    old_client(context) && chunked && first
}

static CUT: Other = Other {
    name: "answer-cut",
    cause: "Tidegate does not present an answer as whole that was cut",
    clause: "9112 8",
    policy: false,
    covers: |_, _| false,
};

static OTHERS: &[Other] = &[
    Other {
        name: "interim-early",
        cause: "haproxy drops interim answers that come together with a bad final one",
        clause: "9110 15.2",
        policy: false,
        covers: |context, place| {
            *place == Place::Interim(0)
                && context.both_refuse(0)
                && !context.haproxy.answers.iter().any(Message::is_interim)
        },
    },
    Other {
        name: "close-in-parts",
        cause: "haproxy spoils a Connection with more than close in it when the head comes in parts",
        clause: "9112 9.6",
        policy: false,
        covers: |context, place| {
            let asked = context.requests.first().is_some_and(Message::says_close);
            let closed = context.tidegate.end == End::Closed && context.finals().len() == 1;
            let spoilt =
                context.haproxy.arrivals.first().is_some_and(|a| a.message.has("connection"));
            !context.case.cuts.is_empty() && asked && closed && spoilt && follows(place, 1)
        },
    },
    Other {
        name: "page-to-head",
        cause: "the page to a bad HEAD has no body; haproxy's has one where the head itself is bad, and none where Tidegate found no HEAD",
        clause: "9110 9.3.2",
        policy: true,
        covers: |context, place| match place {
            Place::AnswerCut(n) => {
                let bare =
                    |side: &Outcome| side.finals().nth(*n).is_some_and(|page| page.body.is_empty());
                context.both_refuse(*n) && (bare(context.tidegate) || bare(context.haproxy))
            }
            _ => false,
        },
    },
    Other {
        name: "upgrade-http10",
        cause: "haproxy passes on an HTTP/1.0 answer's upgrade, and not that it keeps the connection",
        clause: "9110 7.8",
        policy: false,
        covers: |context, place| {
            let odd =
                |m: &Message| m.line.starts_with(b"HTTP/1.0") && m.lists("connection", "upgrade");
            follows(place, 0) && context.haproxy.finals().last().is_some_and(odd)
        },
    },
    Other {
        name: "upgrade-elsewhere",
        cause: "Tidegate lets nobody switch to what it did not pass on or nobody offered, or without proof",
        clause: "9110 7.8",
        policy: false,
        covers: |context, place| {
            let offers = |name| context.requests.first().is_some_and(|m| m.lists("upgrade", name));
            let asked = offers("h2c") || offers("h2") || offers("websocket");
            let page = context.finals().first().is_some_and(|a| is_page(a) && a.status() == 502);
            let other = context.haproxy.finals().next().is_some_and(|answer| {
                !answer.values("upgrade").all(|name| str::from_utf8(name).is_ok_and(offers))
            });
            (asked || other) && page && follows(place, 0) && context.tunnels_where_we_do_not()
        },
    },
    Other {
        name: "http10-handshake",
        cause: "haproxy asks for a WebSocket key even of HTTP/1.0, which upgrades nothing",
        clause: "9110 7.8",
        policy: false,
        covers: |context, place| {
            let old = context
                .requests
                .first()
                .is_some_and(|m| m.line.ends_with(b" HTTP/1.0") && m.lists("upgrade", "websocket"));
            let page = context.haproxy.finals().next().is_some_and(|a| a.status() == 400);
            old && page && follows(place, 0)
        },
    },
    Other {
        name: "connect-handshake",
        cause: "haproxy asks for a WebSocket key even of a CONNECT",
        clause: "9110 9.3.6",
        policy: false,
        covers: |context, place| {
            let odd = |m: &Message| m.word(0) == b"CONNECT" && m.lists("upgrade", "websocket");
            let n = context.requests.iter().position(odd);
            n.is_some_and(|n| {
                follows(place, n) && context.haproxy.finals().nth(n).is_some_and(is_page)
            })
        },
    },
    Other {
        name: "trailer-framing",
        cause: "haproxy reads a trailer's length or coding as if it stood in the head",
        clause: "9110 6.5.1",
        policy: false,
        covers: |context, place| {
            let framed = |messages: &[Message]| {
                messages.iter().position(|message| {
                    let names = message.trailers.iter().map(|(name, _)| &**name);
                    let framing = [&b"content-length"[..], b"transfer-encoding"];
                    names.into_iter().any(|name| framing.contains(&name))
                })
            };
            let n = framed(&context.requests).or(framed(&context.answers).map(|_| 0));
            n.is_some_and(|n| {
                follows(place, n) && context.haproxy.finals().nth(n).is_some_and(is_page)
            })
        },
    },
    Other {
        name: "head-size",
        cause: "haproxy's form of a head takes more of its buffer than the head did",
        clause: "9112 3",
        policy: false,
        covers: |context, place| {
            let long = |messages: &[Message]| {
                let size = |m: &Message| {
                    let fields = m.fields.iter().map(|(n, v)| n.len() + v.len() + 4);
                    m.line.len() + fields.sum::<usize>()
                };
                messages.iter().any(|message| size(message) > 14_000)
            };
            follows(place, 0)
                && (long(&context.requests) || long(&context.answers))
                && context.haproxy.finals().any(is_page)
        },
    },
    Other {
        name: "coding-anew",
        cause: "the name of the coding is written anew, in lower case",
        clause: "9112 7",
        policy: false,
        covers: |context, place| {
            let coding = |message: Option<&Message>| {
                let value = message?.values("transfer-encoding").next()?;
                Some(value.to_ascii_lowercase())
            };
            let (ours, theirs) = match place {
                Place::RequestField(n, name) if name == b"transfer-encoding" => {
                    let of = |outcome: &Outcome| {
                        coding(outcome.arrivals.get(*n).map(|arrival| &arrival.message))
                    };
                    (of(context.haproxy), of(context.tidegate))
                }
                Place::AnswerField(n, name) if name == b"transfer-encoding" => {
                    let of = |outcome: &Outcome| coding(outcome.finals().nth(*n));
                    (of(context.haproxy), of(context.tidegate))
                }
                _ => return false,
            };
            ours.is_some() && ours == theirs
        },
    },
    Other {
        name: "trailers",
        cause: "trailers are checked and dropped",
        clause: "9110 6.5.1",
        policy: true,
        covers: |context, place| match place {
            Place::RequestTrailers(n) => {
                context.tidegate.arrivals.get(*n).is_some_and(|a| a.message.trailers.is_empty())
            }
            Place::AnswerTrailers(n) => {
                context.finals().get(*n).is_some_and(|a| a.trailers.is_empty())
            }
            _ => false,
        },
    },
    Other {
        name: "http10-body",
        cause: "an HTTP/1.0 client knows no chunks: its body ends with the connection",
        clause: "9112 6.1",
        policy: true,
        covers: |context, place| {
            let place = match place {
                Place::AnswerFraming(0) | Place::End => true,
                Place::AnswerField(0, name) => {
                    name == b"transfer-encoding" || name == b"connection"
                }
                Place::AnswerCount(n) | Place::RequestCount(n) => *n >= 1,
                _ => false,
            };
            place && dechunked(context)
        },
    },
    Other {
        name: "http10-interim",
        cause: "an HTTP/1.0 client knows no interim answers",
        clause: "9110 15.2",
        policy: true,
        covers: |context, place| matches!(place, Place::Interim(0)) && old_client(context),
    },
    Other {
        name: "hop-by-hop",
        cause: "what is for one hop is not passed on; TE keeps trailers, Upgrade its protocol",
        clause: "9110 7.6.1",
        policy: true,
        covers: |context, place| match place {
            Place::RequestField(_, name) | Place::AnswerField(_, name) => {
                is_one_hop(name, &context.requests)
                    || is_one_hop(name, &context.answers)
                    || is_nominated(name, context.haproxy)
            }
            Place::Interim(0) => {
                let interim = |outcome: &Outcome| {
                    let all = outcome.answers.iter().take_while(|answer| answer.is_interim());
                    let kept = |answer: &Message| {
                        let fields = answer.fields.iter().filter(|(name, _)| {
                            !is_one_hop(name, &context.answers)
                                && !is_nominated(name, context.haproxy)
                        });
                        (answer.line.clone(), fields.cloned().collect::<Vec<_>>())
                    };
                    all.map(kept).collect::<Vec<_>>()
                };
                interim(context.haproxy) == interim(context.tidegate)
            }
            _ => false,
        },
    },
    Other {
        name: "hop-by-hop-order",
        cause: "fields for the next hop are written anew, behind the others",
        clause: "9110 5.3",
        policy: true,
        covers: |context, place| {
            let names = |m: Option<&Message>| {
                let fields = m.map_or(&[][..], |m| &m.fields);
                let kept = fields.iter().filter(|(name, _)| !ONE_HOP.contains(&&**name));
                kept.cloned().collect::<Vec<_>>()
            };
            let of = |outcome: &Outcome, n: usize| {
                names(outcome.arrivals.get(n).map(|arrival| &arrival.message))
            };
            match place {
                Place::RequestOrder(n) => of(context.haproxy, *n) == of(context.tidegate, *n),
                _ => false,
            }
        },
    },
    Other {
        name: "length-anew",
        cause: "a length is written anew, without leading zeros",
        clause: "9110 8.6",
        policy: false,
        covers: |context, place| {
            let number = |message: Option<&Message>| {
                let mut values = message?.values("content-length").map(<[u8]>::to_vec);
                let text = String::from_utf8(values.next()?).ok()?;
                let bare = text.trim_start_matches('0').to_owned();
                values.next().is_none().then_some(bare)
            };
            let request = |outcome: &Outcome, n: usize| {
                number(outcome.arrivals.get(n).map(|arrival| &arrival.message))
            };
            match place {
                Place::RequestField(n, name) if name == b"content-length" => {
                    let ours = request(context.haproxy, *n);
                    ours.is_some() && ours == request(context.tidegate, *n)
                }
                Place::AnswerField(n, name) if name == b"content-length" => {
                    let ours = number(context.haproxy.finals().nth(*n));
                    ours.is_some() && ours == number(context.tidegate.finals().nth(*n))
                }
                _ => false,
            }
        },
    },
    Other {
        name: "reason-space",
        cause: "haproxy skips spaces before a reason phrase, which may begin with them",
        clause: "9112 4",
        policy: false,
        covers: |context, place| {
            let Place::AnswerLine(n) = place else { return false };
            let words = |outcome: &Outcome| {
                let line = outcome.finals().nth(*n).map(|answer| answer.line.clone());
                let line = line.unwrap_or_default();
                let words = line.split(|b| matches!(b, b' ' | b'\t'));
                words.filter(|word| !word.is_empty()).map(<[u8]>::to_vec).collect::<Vec<_>>()
            };
            words(context.haproxy) == words(context.tidegate)
        },
    },
    Other {
        name: "page-order",
        cause: "haproxy's page for a bad body names the connection last",
        clause: "9110 5.3",
        policy: false,
        covers: |context, place| match place {
            Place::AnswerOrder(n) => {
                let page = |outcome: &Outcome| outcome.finals().nth(*n).is_some_and(is_page);
                page(context.haproxy) && page(context.tidegate)
            }
            _ => false,
        },
    },
    Other {
        name: "websocket-accept",
        cause: "haproxy makes a Sec-WebSocket-Accept for any answer that names websocket",
        clause: "6455 4.2.2",
        policy: false,
        covers: |_, place| matches!(place, Place::AnswerField(_, name) if name == b"sec-websocket-accept"),
    },
    Other {
        name: "connect-framing",
        cause: "a length or a coding in a granted CONNECT means nothing and is not passed on",
        clause: "9110 9.3.6",
        policy: false,
        covers: |context, place| match place {
            Place::AnswerField(n, name) => {
                let answer = context.haproxy.finals().nth(*n);
                answer.is_some_and(|answer| answer.framing == Framing::Tunnel)
                    && (name == b"content-length" || name == b"transfer-encoding")
            }
            _ => false,
        },
    },
    Other {
        name: "path-empty",
        cause: "haproxy refuses an absolute target whose query follows the host",
        clause: "9112 3.2.2",
        policy: false,
        covers: |context, place| {
            let bare = |message: &Message| {
                let target = message.word(1).to_vec();
                let at = wire::find(&target, b"://").map(|at| at + 3);
                let rest = at.map(|at| &target[at..]).unwrap_or_default();
                rest.iter().find(|b| matches!(b, b'/' | b'?')) == Some(&b'?')
                    && !target.starts_with(b"/")
            };
            let n = context.requests.iter().position(bare);
            n.is_some_and(|n| {
                let answer = context.haproxy.finals().nth(n);
                follows(place, n) && answer.is_some_and(|a| is_page(a) && a.status() == 400)
            })
        },
    },
    Other {
        name: "long-field-name",
        cause: "haproxy's model has no room for a name of more than 255 bytes",
        clause: "9110 5.1",
        policy: false,
        covers: |context, place| {
            let long = |messages: &[Message]| {
                messages.iter().any(|m| m.fields.iter().any(|(name, _)| name.len() > 255))
            };
            follows(place, 0)
                && (long(&context.requests) || long(&context.answers))
                && context.haproxy.finals().any(|a| is_page(a) && a.status() >= 400)
        },
    },
];

#[cfg(test)]
mod tests {
    use super::super::compare::compare;
    use super::super::compare::tests::outcome;
    use super::*;

    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const PAGE: &str = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 15\r\ncache-control: no-cache\r\n\
        content-type: text/html\r\n\r\n<html><body><h1>";

    /// The classes of what differs where `sent` and `answer` came to these outcomes.
    fn classes(sent: &str, answer: &str, haproxy: &Outcome, tidegate: &Outcome) -> Vec<String> {
        let case = Case {
            sent: sent.as_bytes().to_vec(),
            meant: 1,
            answer: answer.as_bytes().to_vec(),
            ..Case::default()
        };
        let context = Context::new(&case, haproxy, tidegate);
        let of = |difference: &Difference| explain(&context, difference).map(Class::name);
        let found = compare(haproxy, tidegate);
        found.iter().map(|d| of(d).unwrap_or("none".to_owned())).collect()
    }

    #[test]
    fn only_a_fault_explains_a_refusal() {
        let page = PAGE.replace("length: 15", "length: 16");
        let (ours, theirs) = (outcome(GET, OK), outcome(GET, &page));
        assert_eq!(classes(GET, OK, &ours, &theirs), ["none"]);
        let folded = OK.replace("OK", "OK\r\nA: b\r\n c");
        assert_eq!(classes(GET, &folded, &ours, &theirs), ["answer-fold"]);
    }

    #[test]
    fn nothing_explains_another_message() {
        let folded = GET.replace("Host", "A: b\r\n c\r\nHost");
        for other in ["POST / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /b HTTP/1.1\r\nHost: a\r\n\r\n"] {
            let (ours, theirs) = (outcome(GET, OK), outcome(other, OK));
            assert_eq!(classes(&folded, OK, &ours, &theirs), ["none"]);
        }
        let theirs = outcome(GET, &OK.replace("ok", "no"));
        assert_eq!(classes(GET, OK, &outcome(GET, OK), &theirs), ["none"]);
    }

    #[test]
    fn fields_of_one_hop_may_go_and_others_may_not() {
        let with = |field: &str| GET.replace("\r\n\r\n", &format!("\r\n{field}\r\n\r\n"));
        for (field, class) in [("Keep-Alive: 5", "hop-by-hop"), ("Cookie: a", "none")] {
            let sent = with(field);
            let (ours, theirs) = (outcome(&sent, OK), outcome(GET, OK));
            assert_eq!(classes(&sent, OK, &ours, &theirs), [class], "{field}");
        }
    }
}
