//! Random exchanges that make sense: clients whose requests are numbered, servers that answer each
//! with its number, in any framing, cut and slowed down at random. Whatever happens, a client gets
//! the answers to its own requests, in their order, each whole or visibly broken off; and where
//! nobody fails, it gets all.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tidegate_core::script::Wire;

use crate::random::{cases, tiny};
use crate::rig::{GLOBAL, Knobs, Rig};
use crate::tcp::pattern;

/// How a request carries its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    None,
    Length(usize),
    Chunked(usize),
}

/// How an answer is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length,
    Chunked,
    UntilClose,
    /// With a length, behind an interim answer.
    Interim,
    /// With a length, and then the server closes without having said so.
    Closing,
}

#[derive(Clone, Debug)]
struct Request {
    body: Body,
    close: bool,
    answer: Framing,
    size: usize,
}

#[derive(Clone, Debug)]
enum Step {
    /// A client sends so many bytes of its requests.
    Ask(Index, usize),
    /// A peer takes so many bytes.
    Take(Index, usize),
    Wait(u64),
    /// A server connection ends or resets, in the middle of whatever.
    Break(Index, bool),
}

fn request() -> impl Strategy<Value = Request> {
    let size = || prop_oneof![4 => 0usize..50, 1 => 50usize..5_000, 1 => 60_000usize..90_000];
    let body = prop_oneof![
        3 => Just(Body::None),
        1 => size().prop_map(Body::Length),
        1 => size().prop_map(Body::Chunked),
    ];
    let answer = prop_oneof![
        4 => Just(Framing::Length),
        2 => Just(Framing::Chunked),
        1 => Just(Framing::UntilClose),
        1 => Just(Framing::Interim),
        1 => Just(Framing::Closing),
    ];
    (body, proptest::bool::weighted(0.1), answer, size())
        .prop_map(|(body, close, answer, size)| Request { body, close, answer, size })
}

fn steps(breaks: u32) -> impl Strategy<Value = Vec<Step>> {
    let n = || prop_oneof![1usize..30, 30usize..3_000, Just(1_000_000)];
    let step = prop_oneof![
        4 => (any::<Index>(), n()).prop_map(|(who, n)| Step::Ask(who, n)),
        3 => (any::<Index>(), n()).prop_map(|(who, n)| Step::Take(who, n)),
        1 => (0u64..20).prop_map(Step::Wait),
        breaks => (any::<Index>(), any::<bool>()).prop_map(|(who, r)| Step::Break(who, r)),
    ];
    vec(step, 0..60)
}

struct Client {
    wire: Wire,
    requests: Vec<(usize, Request)>,
    bytes: Vec<u8>,
    sent: usize,
    heard: Vec<u8>,
}

struct Server {
    wire: Wire,
    heard: Vec<u8>,
    /// Answered the last time that it would.
    closed: bool,
}

struct World {
    rig: Rig,
    clients: Vec<Client>,
    servers: Vec<Server>,
    /// Every request by its number.
    all: Vec<Request>,
    /// How often each was seen whole by a server.
    seen: Vec<u32>,
}

impl World {
    fn new(lines: &str, knobs: &Knobs, requests: &[Vec<Request>]) -> World {
        let rig = Rig::with(
            &format!(
                "{GLOBAL}defaults\n mode http\n log global\n option httplog\n timeout connect 1m\n \
                 timeout client 1m\n timeout server 1m\nlisten l\n bind :80\n{lines}"
            ),
            knobs,
        );
        let mut world = World {
            rig,
            clients: Vec::new(),
            servers: Vec::new(),
            seen: Vec::new(),
            all: Vec::new(),
        };
        for own in requests {
            let wire = world.rig.net.connect(0);
            let mut client = Client {
                wire,
                requests: Vec::new(),
                bytes: Vec::new(),
                sent: 0,
                heard: Vec::new(),
            };
            for request in own {
                let number = world.all.len();
                client.bytes.extend(asked(number, request));
                client.requests.push((number, request.clone()));
                world.all.push(request.clone());
                world.seen.push(0);
                if request.close {
                    break;
                }
            }
            world.clients.push(client);
        }
        world
    }

    /// Servers get their connections, answer what they have whole, and everybody looks what came.
    fn settle(&mut self) {
        loop {
            self.rig.turns();
            let mut moved = false;
            while let Some((wire, _)) = self.rig.dialled() {
                self.rig.net.window(wire, 0);
                self.rig.net.establish(wire);
                self.servers.push(Server { wire, heard: Vec::new(), closed: false });
                moved = true;
            }
            for server in &mut self.servers {
                server.heard.extend(self.rig.net.sent(server.wire));
                while !server.closed
                    && self.rig.net.closed(server.wire).is_none()
                    && let Some((number, len)) = whole(&server.heard)
                {
                    server.heard.drain(..len);
                    self.seen[number] += 1;
                    let request = &self.all[number];
                    self.rig.net.push(server.wire, &answered(number, request));
                    server.closed = ends(request.answer);
                    if server.closed {
                        self.rig.net.end(server.wire);
                    }
                    moved = true;
                }
            }
            for client in &mut self.clients {
                client.heard.extend(self.rig.net.sent(client.wire));
            }
            if !moved {
                return;
            }
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Ask(who, n) => {
                let at = who.index(self.clients.len());
                self.ask(at, *n);
            }
            Step::Take(who, n) => {
                let clients = self.clients.iter().map(|c| c.wire);
                let wires: Vec<Wire> = clients.chain(self.servers.iter().map(|s| s.wire)).collect();
                self.rig.net.window(wires[who.index(wires.len())], *n);
            }
            Step::Wait(ms) => self.rig.advance(*ms),
            Step::Break(who, reset) if !self.servers.is_empty() => {
                let at = who.index(self.servers.len());
                let server = &mut self.servers[at];
                if !server.closed && self.rig.net.closed(server.wire).is_none() {
                    server.closed = true;
                    if *reset {
                        self.rig.net.reset(server.wire);
                    } else {
                        self.rig.net.end(server.wire);
                    }
                }
            }
            Step::Break(..) => {}
        }
        self.settle();
    }

    fn ask(&mut self, client: usize, n: usize) {
        let client = &mut self.clients[client];
        let n = n.min(client.bytes.len() - client.sent);
        if n > 0 && self.rig.net.closed(client.wire).is_none() {
            self.rig.net.push(client.wire, &client.bytes[client.sent..client.sent + n]);
            client.sent += n;
        }
    }

    /// Everybody goes on until nothing moves.
    fn calm(&mut self) {
        for _ in 0..200 {
            let before = self.rig.net.progress;
            for at in 0..self.clients.len() {
                self.ask(at, usize::MAX);
            }
            let clients = self.clients.iter().map(|c| c.wire);
            for wire in clients.chain(self.servers.iter().map(|s| s.wire)).collect::<Vec<_>>() {
                self.rig.net.window(wire, 200_000);
            }
            self.settle();
            if self.rig.net.progress == before {
                break;
            }
        }
    }
}

/// A request on the wire.
fn asked(number: usize, request: &Request) -> Vec<u8> {
    let method = if request.body == Body::None { "GET" } else { "PUT" };
    let mut out = format!("{method} /{number} HTTP/1.1\r\nHost: a\r\n").into_bytes();
    if request.close {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    match request.body {
        Body::None => out.extend_from_slice(b"\r\n"),
        Body::Length(n) => {
            out.extend(format!("Content-Length: {n}\r\n\r\n").into_bytes());
            out.extend(pattern(n));
        }
        Body::Chunked(n) => {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            out.extend(chunks(&pattern(n)));
        }
    }
    out
}

fn chunks(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, chunk) in body.chunks(1_777).enumerate() {
        let extension = if at % 2 == 0 { ";a=b" } else { "" };
        out.extend(format!("{:x}{extension}\r\n", chunk.len()).into_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

/// The body of an answer: its number, and as much as was asked for.
fn content(number: usize, request: &Request) -> Vec<u8> {
    [format!("{number}:").as_bytes(), &pattern(request.size)].concat()
}

fn answered(number: usize, request: &Request) -> Vec<u8> {
    let body = content(number, request);
    let len = body.len();
    let (head, body) = match request.answer {
        Framing::Length | Framing::Closing => (format!("Content-Length: {len}\r\n"), body),
        Framing::Interim => (format!("Content-Length: {len}\r\n"), body),
        Framing::Chunked => ("Transfer-Encoding: chunked\r\n".into(), chunks(&body)),
        Framing::UntilClose => (String::new(), body),
    };
    let interim = match request.answer {
        Framing::Interim => "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",
        _ => "",
    };
    [format!("{interim}HTTP/1.1 200 OK\r\n{head}\r\n").as_bytes(), &body].concat()
}

fn ends(framing: Framing) -> bool {
    matches!(framing, Framing::UntilClose | Framing::Closing)
}

fn head_len(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// A decoded chunked body at the start of `bytes`, and where it ends.
fn unchunked(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line = bytes[at..].windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..at + line]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size without extension");
        at += line + 2;
        body.extend_from_slice(bytes.get(at..at + size)?);
        assert_eq!(bytes.get(at + size..at + size + 2)?, b"\r\n");
        at += size + 2;
        if size == 0 {
            return Some((body, at));
        }
    }
}

/// The number of a whole request at the start of what a server heard, and its length. Its body must
/// be what the client sent.
fn whole(heard: &[u8]) -> Option<(usize, usize)> {
    let head = head_len(heard)?;
    let text = std::str::from_utf8(&heard[..head]).expect("text");
    let number = text.split(['/', ' ']).nth(2).and_then(|n| n.parse().ok()).expect("a number");
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::trim)
    };
    if field("transfer-encoding:").is_some() {
        let (body, len) = unchunked(&heard[head..])?;
        assert!(body == pattern(body.len()), "a chunked body of {number} is damaged");
        return Some((number, head + len));
    }
    let len = field("content-length:").map_or(0, |n| n.parse().expect("a length"));
    let body = heard.get(head..head + len)?;
    assert!(body == pattern(len), "the body of {number} is damaged");
    Some((number, head + len))
}

/// Reads what a client got where servers fail: each answer is to the next request, a whole one of
/// the server, a page of ours, or, as the last, the beginning of one.
fn check_loosely(client: &Client) {
    let mut rest = &client.heard[..];
    for (number, request) in &client.requests {
        let (mut head, mut text) = (0, "");
        while head == 0 || text.starts_with("HTTP/1.1 103 ") {
            rest = &rest[head..];
            let Some(len) = head_len(rest) else {
                assert!(b"HTTP/1.1 ".starts_with(&rest[..rest.len().min(9)]), "{number}");
                return;
            };
            head = len;
            text = std::str::from_utf8(&rest[..head]).expect("text");
        }
        rest = &rest[head..];
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: Option<usize> = length.map(|n| n.parse().expect("a length"));
        if !text.starts_with("HTTP/1.1 200 ") {
            assert!(text.starts_with("HTTP/1.1 5"), "{text}");
            rest = &rest[length.expect("a page has a length").min(rest.len())..];
            continue;
        }
        let expected = content(*number, request);
        if text.contains("transfer-encoding: chunked") {
            let Some((body, len)) = unchunked(rest) else { return };
            assert!(body == expected, "the answer to {number} is damaged or another's");
            rest = &rest[len..];
        } else {
            let len = length.unwrap_or(expected.len()).min(rest.len());
            assert!(expected.starts_with(&rest[..len]), "the answer to {number} is damaged");
            rest = &rest[len..];
        }
    }
    assert!(rest.is_empty(), "more answers than requests");
}

/// Reads a client's answers: each must be the next one's, and whole unless it is the last and
/// `broken` says that it may break off. Returns how many were whole.
fn check(client: &Client, ended: bool) -> usize {
    let mut rest = &client.heard[..];
    let mut count = 0;
    while !rest.is_empty() {
        let (number, request) = client.requests.get(count).expect("more answers than requests");
        let Some(head) = head_len(rest) else { return count };
        let text = std::str::from_utf8(&rest[..head]).expect("text");
        rest = &rest[head..];
        if text.starts_with("HTTP/1.1 103 ") {
            continue;
        }
        assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
        let expected = content(*number, request);
        let chunked = text.contains("transfer-encoding: chunked");
        let (body, len) = if chunked {
            match unchunked(rest) {
                Some(whole) => whole,
                None => return count,
            }
        } else if text.contains("content-length:") {
            match rest.get(..expected.len()) {
                Some(body) => (body.to_vec(), body.len()),
                None => return count,
            }
        } else if ended {
            (rest.to_vec(), rest.len())
        } else {
            return count;
        };
        assert!(body == expected, "the answer to {number} is damaged or another's");
        rest = &rest[len..];
        count += 1;
    }
    count
}

proptest! {
    #![proptest_config(cases(100))]

    /// Nobody fails, so every request is served exactly once, unless its connection had to close
    /// before it.
    #[test]
    fn every_request_gets_its_answer(
        requests in vec(vec(request(), 1..5), 1..4),
        steps in steps(0),
        piece_max in select(vec![0, 1, 7, 1_000]),
        small in any::<bool>(),
        (balk_every, backwards) in (select(vec![0, 3, 10]), any::<bool>()),
        lines in select(vec![
            " server s1 10.0.0.1:1\n",
            " http-reuse always\n server s1 10.0.0.1:1\n server s2 10.0.0.2:1\n",
            " http-reuse never\n option prefer-last-server\n server s1 10.0.0.1:1\n server s2 10.0.0.2:1\n",
            " option http-server-close\n server s1 10.0.0.1:1 maxconn 1\n",
            " option splice-auto\n http-reuse aggressive\n server s1 10.0.0.1:1 maxconn 1\n",
            " option httpclose\n server s1 10.0.0.1:1\n",
        ]),
    ) {
        let large = requests.iter().flatten().any(|r| r.size > 50_000 || r.body != Body::None);
        let piece_max = if large && piece_max > 0 { 1_000 } else { piece_max };
        let mut knobs = Knobs { piece_max, ..Knobs::default() };
        if small {
            knobs.tunables = |t| {
                tiny(t);
                t.linger_bytes_max = 1_000_000;
                t.lingering_max = 100;
            };
        }
        let mut world = World::new(lines, &knobs, &requests);
        // An end that hides for a moment is seen only after the next request went there.
        let hides = requests.iter().flatten().any(|r| r.answer == Framing::Closing);
        world.rig.net.balk_every = if hides { 0 } else { balk_every };
        world.rig.net.backwards = backwards;
        for step in &steps {
            world.take(step);
        }
        world.calm();
        for client in &world.clients {
            let ended = world.rig.net.is_shut(client.wire);
            let answered = check(client, ended);
            // An answer that ends with the connection is the last.
            let last = client.requests.iter().position(|(_, r)| {
                r.close || r.answer == Framing::UntilClose || lines.contains("httpclose")
            });
            let expected = last.map_or(client.requests.len(), |at| at + 1);
            prop_assert_eq!(answered, expected, "{:?}", String::from_utf8_lossy(&client.heard));
            for (number, _) in &client.requests[..expected] {
                prop_assert_eq!(world.seen[*number], 1, "request {} was served", number);
            }
        }
        let lines = world.rig.logs();
        for line in &lines {
            prop_assert!(line.contains(" 200 ") && line.contains(" ---- "), "{}", line);
        }
        world.rig.finish();
    }

    /// Servers fail at any moment: nobody gets another's answer, or one of two halves, and a request
    /// that has a body is never served twice.
    #[test]
    fn no_answer_is_mixed_up(
        requests in vec(vec(request(), 1..5), 1..4),
        steps in steps(3),
        piece_max in select(vec![0, 1_000]),
        small in any::<bool>(),
        (balk_every, backwards) in (select(vec![0, 3, 10]), any::<bool>()),
        lines in select(vec![
            " server s1 10.0.0.1:1\n",
            " http-reuse always\n server s1 10.0.0.1:1\n server s2 10.0.0.2:1\n",
            " http-reuse always\n retry-on all-retryable-errors\n server s1 10.0.0.1:1\n",
            " option splice-auto\n http-reuse aggressive\n server s1 10.0.0.1:1 maxconn 1\n",
        ]),
    ) {
        let mut knobs = Knobs { piece_max, ..Knobs::default() };
        if small {
            knobs.tunables = tiny;
        }
        let mut world = World::new(lines, &knobs, &requests);
        world.rig.net.balk_every = balk_every;
        world.rig.net.backwards = backwards;
        for step in &steps {
            world.take(step);
        }
        world.calm();
        for client in &world.clients {
            check_loosely(client);
            for (number, request) in &client.requests {
                let often = world.seen[*number];
                let empty = [Body::None, Body::Length(0), Body::Chunked(0)];
                prop_assert!(often <= 1 || empty.contains(&request.body), "{} {}", number, often);
            }
        }
        world.rig.finish();
    }
}
