//! Two clients on reused server connections. One client and the servers say what the input has them
//! say; the other client asks plain questions that hold a secret, whenever the input has it do so,
//! and whichever server reads one answers it with another secret. Then
//!
//! - the other client hears exactly the answer to its question, or a page of the proxy's own;
//! - nobody else hears a secret, and on the servers' side it stands in that question alone;
//! - a connection that carries the question has nothing left of what was before on it: every
//!   earlier request is answered whole, not a byte more was said, and `http-reuse` let it be used.

use std::collections::BTreeMap;

use arbitrary::Unstructured;
use memchr::memmem;
use tidegate_core::script::Wire;

use crate::peer::Peer;
use crate::reference::body::Framing;
use crate::reference::stream::{self, Ended, Message, Messages};
use crate::stage::{Stage, tiny};
use crate::steps::{self, Step};
use crate::{Target, texts};

/// The target.
pub const TARGET: Target = Target { name: "reuse", run, seeds, words: texts::session_words };

/// What nobody but the asking client and its server says.
const SECRET: &str = "qz7-Secret-of-the-other-client";
const PATH: &[u8] = b"/question";
const STRANGERS_MAX: usize = 4;
const REUSE: [&str; 4] = ["always", "aggressive", "safe", "never"];
const LINES: [&str; 5] = [
    "option http-server-close",
    "option forwardfor",
    "option redispatch",
    "retry-on all-retryable-errors",
    "timeout http-keep-alive 150",
];

/// A question that was put.
#[derive(Clone, Copy, Debug)]
struct Question {
    /// On which connection of the asking client, and whether it was the first there.
    client: Wire,
    first: bool,
    answered: bool,
}

struct Play {
    stage: Stage,
    reuse: &'static str,
    strangers: Vec<Peer>,
    asker: Option<Peer>,
    servers: Vec<Peer>,
    questions: Vec<Question>,
    /// By the server's wire and the place of a message on it, what was asked.
    asked: BTreeMap<(Wire, usize), usize>,
}

/// Runs the target.
///
/// # Panics
///
/// If one of the above does not hold.
pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok([mode, bits, pieces]) = input.arbitrary::<[u8; 3]>() else { return };
    let mut play = Play::new(mode, bits, pieces);
    for _ in 0..200 {
        let Ok(step) = Step::read(&mut input) else { break };
        play.take(&step);
    }
    play.ask();
    play.finish();
    play.check_secrets();
}

impl Play {
    fn new(mode: u8, bits: u8, pieces: u8) -> Play {
        let reuse = REUSE[usize::from(mode) % REUSE.len()];
        let lines: Vec<&str> =
            (0..LINES.len()).filter(|at| bits >> at & 1 == 1).map(|at| LINES[at]).collect();
        let config = format!(
            "defaults\n mode http\n timeout connect 200\n timeout client 500\n timeout server \
             600\n http-reuse {reuse}\n {}\nlisten l\n bind :80\n server s1 10.0.0.1:1{}\n",
            lines.join("\n "),
            if bits >> 6 & 1 == 1 { " maxconn 1" } else { "" },
        );
        let mut stage = Stage::new(&config, 1, |tunables| {
            if bits >> 7 == 1 {
                tiny(tunables);
            }
        });
        stage.net.piece_max = [0, 1, 2, 7][usize::from(pieces) % 4];
        stage.net.balk_every = [0, 3, 10][usize::from(pieces / 4) % 3];
        Play {
            stage,
            reuse,
            strangers: Vec::new(),
            asker: None,
            servers: Vec::new(),
            questions: Vec::new(),
            asked: BTreeMap::new(),
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Connect if self.strangers.len() < STRANGERS_MAX => {
                let wire = self.stage.client(0);
                self.strangers.push(Peer::new(wire));
            }
            Step::Wait(count) => self.stage.advance(u64::from(*count) * 10),
            Step::Signal(_) if self.questions.len() < 6 => return self.ask(),
            Step::Say(who, _)
            | Step::Text(who, _)
            | Step::End(who)
            | Step::Reset(who)
            | Step::Window(who, _) => self.act(usize::from(*who), step),
            _ => {}
        }
        self.settle();
    }

    fn act(&mut self, who: usize, step: &Step) {
        let all = self.strangers.len() + self.servers.len();
        if all == 0 {
            return;
        }
        let (at, split) = (who % all, self.strangers.len());
        let texts = if at < split { texts::REQUESTS } else { texts::RESPONSES };
        let peer = if at < split { &mut self.strangers[at] } else { &mut self.servers[at - split] };
        let net = &mut self.stage.net;
        let bytes = match step {
            Step::Say(_, bytes) => &bytes[..],
            Step::Text(_, which) => texts[usize::from(*which) % texts.len()].as_bytes(),
            Step::End(_) => return peer.end(net),
            Step::Reset(_) => return peer.reset(net),
            Step::Window(_, 255) => return net.window(peer.wire, usize::MAX),
            Step::Window(_, count) => return net.window(peer.wire, usize::from(*count) * 4),
            _ => return,
        };
        // A stranger that guesses the secret has not been told it.
        let both = [&peer.said[peer.said.len().saturating_sub(SECRET.len())..], bytes].concat();
        if memmem::find(&both, SECRET.as_bytes()).is_none() {
            peer.say(net, bytes);
        }
    }

    /// Lets the engine react, takes what it sends, and answers the questions that came through.
    fn settle(&mut self) {
        loop {
            self.stage.turns();
            let mut more = false;
            while let Some((wire, _)) = self.stage.net.dialled() {
                if self.stage.net.closed(wire).is_none() {
                    self.stage.net.establish(wire);
                    self.servers.push(Peer::new(wire));
                    more = true;
                }
            }
            let net = &mut self.stage.net;
            for peer in self.strangers.iter_mut().chain(&mut self.servers).chain(&mut self.asker) {
                peer.hear(net);
            }
            if !more && !self.answer() {
                return;
            }
        }
    }

    /// Puts the next question, and sees to it that there is an end of it.
    fn ask(&mut self) {
        self.settle();
        let number = self.questions.len();
        let kept = self.asker.take().filter(|asker| asker.speaks(&self.stage.net));
        let first = kept.is_none();
        let mut asker = kept.unwrap_or_else(|| Peer::new(self.stage.client(0)));
        asker.heard.clear();
        let body = if number % 2 == 1 { format!("{SECRET}{number}") } else { String::new() };
        let method = if body.is_empty() { "GET" } else { "POST" };
        let question = format!(
            "{method} /question HTTP/1.1\r\nHost: b\r\nX-Secret: {SECRET}{number}\r\n{}\r\n{body}",
            if body.is_empty() {
                String::new()
            } else {
                format!("Content-Length: {}\r\n", body.len())
            },
        );
        asker.say(&mut self.stage.net, question.as_bytes());
        self.questions.push(Question { client: asker.wire, first, answered: false });
        self.asker = Some(asker);
        self.settle();
        for _ in 0..40 {
            if self.asker.as_ref().is_some_and(|asker| self.is_over(asker)) {
                break;
            }
            self.stage.advance(50);
            self.settle();
        }
        let Some(asker) = &self.asker else { return };
        let answered = check_answer(&asker.heard, number);
        assert_eq!(answered, self.questions[number].answered, "{}", asker.heard.escape_ascii());
        let over = self.is_over(asker);
        assert!(over, "no end of question {number}: {}", asker.heard.escape_ascii());
    }

    /// Whether the last question is answered whole, or never will be.
    fn is_over(&self, asker: &Peer) -> bool {
        let heard = stream::responses(&asker.heard, &[b"GET".to_vec()]);
        heard.list.last().is_some_and(|last| last.whole && last.head.status() != 103)
            || self.stage.net.is_shut(asker.wire)
    }

    /// Answers every question that a server has read and not answered; says whether there was one.
    fn answer(&mut self) -> bool {
        let mut found = false;
        for at in 0..self.servers.len() {
            let requests = stream::all_requests(&self.servers[at].heard);
            for (place, message) in requests.list.iter().enumerate() {
                let wire = self.servers[at].wire;
                let Some(number) = question_of(message).filter(|_| message.whole) else { continue };
                if self.asked.contains_key(&(wire, place)) {
                    continue;
                }
                self.check_connection(&self.servers[at], &requests, place, number);
                self.asked.insert((wire, place), number);
                self.questions[number].answered = true;
                let body = format!("{SECRET}, answer {number}");
                let interim = if number % 3 == 2 { "HTTP/1.1 103 Hints\r\n\r\n" } else { "" };
                let answer = format!(
                    "{interim}HTTP/1.1 200 OK\r\nContent-Length: {}\r\nX-Answer: {SECRET}{number}\r\n\r\n{body}",
                    body.len()
                );
                self.servers[at].say(&mut self.stage.net, answer.as_bytes());
                found = true;
            }
        }
        found
    }

    /// Whether the question may stand where it stands.
    fn check_connection(&self, server: &Peer, requests: &Messages, place: usize, number: usize) {
        let before = &requests.list[..place];
        let text = || {
            format!(
                "question {number} is behind {} that was answered {}",
                server.heard.escape_ascii(),
                server.said.escape_ascii()
            )
        };
        assert_eq!(place + 1, requests.list.len(), "something is behind it: {}", text());
        let methods: Vec<Vec<u8>> = before.iter().map(|m| m.head.method().to_vec()).collect();
        let said = stream::responses(&server.said, &methods);
        let finals = || said.list.iter().filter(|m| m.head.status() / 100 != 1);
        assert_eq!(said.ended, Ended::Open, "{}", text());
        assert_eq!(finals().count(), before.len(), "not all is answered: {}", text());
        let end = said.list.last().map_or(0, |last| last.end);
        assert_eq!(end, server.said.len(), "more than that was said: {}", text());
        for (request, answer) in before.iter().zip(finals()) {
            assert!(request.whole && answer.whole, "cut: {}", text());
            assert!(answer.framing != Framing::UntilClose, "it has no end: {}", text());
            let says = |message: &Message, word: &[u8]| {
                let mut options =
                    message.head.values("connection").flat_map(|v| v.split(|b| *b == b','));
                options.any(|option| option.trim_ascii().eq_ignore_ascii_case(word))
            };
            let closes = |message: &Message| {
                says(message, b"close") || message.head.minor == 0 && !says(message, b"keep-alive")
            };
            assert!(!closes(answer) && !closes(request), "it was to close: {}", text());
        }
        assert!(!server.ended && !server.reset, "it has ended: {}", text());
        let question = self.questions[number];
        let own = |place: usize| {
            let asked = self.asked.get(&(server.wire, place));
            asked.is_some_and(|before| self.questions[*before].client == question.client)
        };
        let kept = (0..place).all(own);
        match self.reuse {
            "never" => assert!(kept, "never reused: {}", text()),
            "safe" => assert!(kept || !question.first, "not for a first request: {}", text()),
            _ => {}
        }
    }

    fn finish(&mut self) {
        let Play { stage, strangers, servers, asker, .. } = self;
        stage.finish(|net, _| {
            for peer in strangers.iter_mut().chain(servers.iter_mut()).chain(asker.iter_mut()) {
                peer.hear(net);
            }
        });
    }

    /// Where the secret got to.
    fn check_secrets(&self) {
        let secrets = |text: &[u8]| memmem::find_iter(text, SECRET).count();
        for stranger in &self.strangers {
            assert_eq!(secrets(&stranger.heard), 0, "{}", stranger.heard.escape_ascii());
        }
        if let Some(asker) = &self.asker {
            check_answer(&asker.heard, self.questions.len() - 1);
        }
        for server in &self.servers {
            let requests = stream::all_requests(&server.heard);
            let questions = requests.list.iter().filter(|m| question_of(m).is_some());
            let known: usize = questions
                .map(|m| m.head.values("x-secret").count() + usize::from(secrets(&m.body) > 0))
                .sum();
            let text = || server.heard.escape_ascii().to_string();
            // The last may be on its way.
            let rest = requests.list.last().map_or(0, |last| last.end);
            let all = secrets(&server.heard) - secrets(&server.heard[rest..]);
            assert_eq!(all, known, "a secret is elsewhere: {}", text());
        }
    }
}

/// The number of the question that a message is.
fn question_of(message: &Message) -> Option<usize> {
    let is_one = matches!(&message.head.start, crate::reference::Start::Request(_, t) if t == PATH);
    let secret = message.head.values("x-secret").next()?;
    let number = secret.strip_prefix(SECRET.as_bytes()).filter(|_| is_one)?;
    core::str::from_utf8(number).ok()?.parse().ok()
}

/// What was heard is the answer, as far as it came, or one page of the proxy's own.
/// Says whether the whole answer was.
fn check_answer(heard: &[u8], number: usize) -> bool {
    let mut responses = stream::responses(heard, &[b"GET".to_vec()]);
    let text = || format!("question {number} is answered {}", heard.escape_ascii());
    responses.list.retain(|response| response.head.status() != 103);
    let Some(response) = responses.list.first() else {
        // A head may have been cut off.
        assert!(b"HTTP/1.1 ".starts_with(&heard[..heard.len().min(9)]), "{}", text());
        return false;
    };
    assert_eq!(responses.list.len(), 1, "{}", text());
    assert_eq!(response.end, heard.len(), "{}", text());
    let expected = format!("{SECRET}, answer {number}").into_bytes();
    let field = format!("{SECRET}{number}").into_bytes();
    let is_answer = response.head.status() == 200
        && response.head.values("x-answer").eq([&field[..]])
        && expected.starts_with(&response.body)
        && (!response.whole || response.body == expected);
    assert!(is_answer || crate::session::is_ours(response), "{}", text());
    is_answer && response.whole
}

fn seeds() -> Vec<Vec<u8>> {
    use Step::*;
    let say = |who: u8, text: &str| Say(who, text.as_bytes().to_vec());
    let get = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    let post = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let smuggled = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: \
                    chunked\r\n\r\n0\r\n\r\nGET /question HTTP/1.1\r\nHost: a\r\nX: ";
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let mut plays: Vec<Vec<Step>> = [
        ok,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nX",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz",
        "HTTP/1.1 200 OK\r\n\r\nuntil the end",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n",
        "HTTP/1.1 204 No\r\n\r\nmore",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 401 No\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Up\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n",
        "garbage",
    ]
    .iter()
    .map(|answer| vec![Connect, say(0, get), say(1, answer), Signal(0), say(0, get), say(1, ok), Signal(0)])
    .collect();
    plays.extend([
        vec![
            Connect,
            say(0, post),
            say(1, ok),
            Signal(0),
            Wait(20),
            Signal(0),
            Wait(90),
            Signal(0),
        ],
        vec![Connect, say(0, smuggled), Signal(0), say(1, ok), Signal(0)],
        vec![Connect, say(0, "HEAD / HTTP/1.1\r\n\r\n"), say(1, ok), Signal(0)],
        vec![
            Connect,
            say(0, get),
            say(0, get),
            say(1, ok),
            say(1, ok),
            Signal(0),
            End(0),
            Signal(0),
        ],
        vec![Connect, say(0, &post[..50]), say(1, ok), Signal(0), say(0, &post[50..]), Signal(0)],
        vec![Connect, say(0, get), Reset(0), Signal(0), say(0, ok), Signal(0)],
        vec![Connect, say(0, get), say(1, ok), End(1), Signal(0)],
        vec![
            Connect,
            Text(0, 11),
            Text(1, 8),
            say(0, get),
            say(1, ok),
            Signal(0),
            End(1),
            Signal(0),
        ],
        vec![Connect, Text(0, 8), say(1, ok), say(0, get), Signal(0)],
        vec![
            Connect,
            Connect,
            say(0, get),
            say(1, get),
            say(2, ok),
            say(3, ok),
            Signal(0),
            Signal(0),
        ],
    ]);
    let starts = (0..).map(|n: u8| [n % 4, (n / 4 % 2) * 128, n % 12]);
    let always = plays.iter().map(|steps| steps::input(&[0, 0, 0], steps));
    always.chain(starts.zip(&plays).map(|(start, steps)| steps::input(&start, steps))).collect()
}
