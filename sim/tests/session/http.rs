//! HTTP on one client connection: requests in pieces and pipelined, answers in pieces, interim ones,
//! ends, resets, silence for longer than the timeouts.
//!
//! ```text
//!   planned requests ──► client ──► engine ──► server: is each one that was planned, in order?
//!   planned answers ◄─── client ◄── engine ◄── server: answers what it has read
//!        is each the planned one, in order, or an error that something which happened explains?
//! ```
//!
//! The model knows what was planned, how much of it was said, and which troubles there were. While
//! there were none, every request that was sent whole is answered whole, up to the answer that ends
//! the connection. It reads with the simulator's strict reader and knows nothing of the engine.

use std::io::IoSlice;

use proptest::collection::vec;
use proptest::prelude::*;
use tidegate_core::poller::{Accepted, Close, Io, More, Poller, Sock};
use tidegate_sim::ledger::{Way, extend, first_wrong};
use tidegate_sim::strict::{Body, Framing, Head};

use crate::rig::{Bench, PROXY, SERVER, World, cases, plain, world};

/// A request, and the answer to it.
#[derive(Clone, Debug)]
struct Planned {
    method: &'static str,
    /// Bytes of the request's body, if it has one.
    body: usize,
    chunk: usize,
    status: u16,
    interims: usize,
    answer: usize,
    framing: Shape,
}

/// How an answer's body ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Length,
    Chunked,
    Close,
}

/// Something that a peer does, or time that passes.
#[derive(Clone, Debug)]
enum Op {
    /// The client offers so many bytes of what it has to say.
    Ask(usize),
    /// The servers read, and one offers so many bytes of its answers.
    Answer(usize),
    /// The client reads so many bytes.
    Hear(usize),
    /// The client ends its direction, or resets.
    EndClient,
    ResetClient,
    /// The server closes the connection that it last accepted, or resets it.
    EndServer,
    ResetServer,
    /// So many microseconds pass.
    Pass(u64),
    /// Longer than every timeout.
    Sleep,
}

fn planned() -> impl Strategy<Value = Planned> {
    let method = prop_oneof![3 => Just("GET"), 1 => Just("HEAD"), 2 => Just("POST")];
    let request = (method, 0..30_000_usize, prop_oneof![Just(0_usize), 1..9_000_usize]);
    let status = prop_oneof![4 => Just(200_u16), 1 => Just(204), 1 => Just(304), 1 => Just(404)];
    let framing =
        prop_oneof![3 => Just(Shape::Length), 2 => Just(Shape::Chunked), 1 => Just(Shape::Close)];
    let answer = (status, 0..2_usize, 0..30_000_usize, framing);
    (request, answer).prop_map(|((method, body, chunk), (status, interims, answer, framing))| {
        Planned { method, body, chunk, status, interims, answer, framing }
    })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (1..20_000_usize).prop_map(Op::Ask),
        4 => (1..200_usize).prop_map(Op::Ask),
        8 => (1..20_000_usize).prop_map(Op::Answer),
        4 => (1..200_usize).prop_map(Op::Answer),
        8 => (1..40_000_usize).prop_map(Op::Hear),
        8 => (0..2_000_u64).prop_map(Op::Pass),
        1 => Just(Op::EndClient),
        1 => Just(Op::ResetClient),
        1 => Just(Op::EndServer),
        1 => Just(Op::ResetServer),
        1 => Just(Op::Sleep),
    ]
}

impl Planned {
    fn id(at: usize) -> u64 {
        at as u64 + 1
    }

    /// What the client says, and where its head ends.
    fn request(&self, at: usize) -> (Vec<u8>, usize) {
        let id = Planned::id(at);
        let mut head = format!("{} /r/{id} HTTP/1.1\r\nHost: sim\r\nX-Id: {id}\r\n", self.method);
        let chunked = self.chunk > 0;
        let posts = self.method == "POST";
        match (posts, chunked) {
            (true, true) => head.push_str("Transfer-Encoding: chunked\r\n"),
            (true, false) => head.push_str(&format!("Content-Length: {}\r\n", self.body)),
            _ => {}
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        let head_len = bytes.len();
        if posts {
            put_body(&mut bytes, id, Way::Request, self.body, self.chunk);
        }
        (bytes, head_len)
    }

    fn is_bodyless(&self) -> bool {
        self.method == "HEAD" || matches!(self.status, 204 | 304)
    }

    fn response(&self, at: usize) -> Vec<u8> {
        let id = Planned::id(at);
        let mut bytes = Vec::new();
        for _ in 0..self.interims {
            bytes.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        }
        let mut head = format!("HTTP/1.1 {} Whatever\r\nX-Id: {id}\r\n", self.status);
        match self.framing {
            Shape::Close => head.push_str("Connection: close\r\n"),
            _ if self.status == 204 => {}
            Shape::Length => head.push_str(&format!("Content-Length: {}\r\n", self.answer)),
            Shape::Chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
        }
        head.push_str("\r\n");
        bytes.extend_from_slice(head.as_bytes());
        if !self.is_bodyless() {
            let chunk = if self.framing == Shape::Chunked { 1 + self.answer / 3 } else { 0 };
            put_body(&mut bytes, id, Way::Response, self.answer, chunk);
        }
        bytes
    }
}

/// A body, in chunks of that size if it has one.
fn put_body(into: &mut Vec<u8>, id: u64, way: Way, len: usize, chunk: usize) {
    if chunk == 0 {
        return extend(into, id, way, 0, len);
    }
    let mut at = 0;
    while at < len {
        let n = chunk.min(len - at);
        into.extend_from_slice(format!("{n:x}\r\n").as_bytes());
        extend(into, id, way, at as u64, n);
        into.extend_from_slice(b"\r\n");
        at += n;
    }
    into.extend_from_slice(b"0\r\n\r\n");
}

/// A connection that the server accepted.
#[derive(Default)]
struct Served {
    sock: Option<Sock>,
    inbox: Vec<u8>,
    /// The request that is being read: which, its body, and how much of that has come.
    reading: Option<(usize, Body, u64)>,
    out: Vec<u8>,
    sent: usize,
    closes: bool,
    open: bool,
}

/// What became of a request, as the client sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Waits,
    Answered,
    /// By the proxy itself, with that status.
    Refused(u16),
}

struct Rig {
    bench: Bench,
    plan: Vec<Planned>,
    client: Option<Sock>,
    /// What the client has to say; where each request ends.
    words: Vec<u8>,
    ends: Vec<(usize, usize)>,
    said: usize,
    ended: bool,
    inbox: Vec<u8>,
    answer: Option<(Body, u64, Option<u16>)>,
    /// The answer that was said to be the last.
    last: Option<usize>,
    /// The client has seen the end: in order, or by a fault.
    end: Option<bool>,
    fates: Vec<Fate>,
    interims: usize,
    served: Vec<Served>,
    /// Which requests were read whole by a server, in order.
    read: Vec<usize>,
    /// What happened that excuses something.
    server_failed: bool,
    client_reset: bool,
    slept: bool,
    /// The request of which a part was there when all timeouts passed.
    late_head: Option<usize>,
}

impl Rig {
    fn new(world: &World, plan: &[Planned]) -> Rig {
        let splice = if world.splice { "option splice-auto\n" } else { "" };
        let config = format!(
            "listen l\nmode http\nbind {PROXY}:80\ntimeout connect 5s\ntimeout client 20s\n\
             timeout server 10s\ntimeout http-request 5s\ntimeout http-keep-alive 5s\n{splice}\
             server s {SERVER}:80"
        );
        let mut bench = Bench::new(world, &config);
        let client = Some(bench.dial());
        let (mut words, mut ends) = (Vec::new(), Vec::new());
        for (at, planned) in plan.iter().enumerate() {
            let (bytes, head) = planned.request(at);
            ends.push((words.len() + head, words.len() + bytes.len()));
            words.extend(bytes);
        }
        Rig {
            bench,
            client,
            words,
            ends,
            said: 0,
            ended: false,
            inbox: Vec::new(),
            answer: None,
            last: None,
            end: None,
            fates: vec![Fate::Waits; plan.len()],
            interims: 0,
            plan: plan.to_vec(),
            served: Vec::new(),
            read: Vec::new(),
            server_failed: false,
            client_reset: false,
            slept: false,
            late_head: None,
        }
    }

    fn act(&mut self, op: &Op) {
        match *op {
            Op::Ask(n) => {
                self.ask(n);
            }
            Op::Answer(n) => {
                self.serve(n);
            }
            Op::Hear(n) => {
                self.hear(n);
            }
            Op::EndClient => self.end_client(),
            Op::ResetClient => {
                if let Some(sock) = self.client.take() {
                    self.bench.client.close(sock, Close::Reset);
                    self.client_reset = true;
                }
            }
            Op::EndServer | Op::ResetServer => {
                let last = self.served.iter_mut().rev().find(|served| served.sock.is_some());
                if let Some(sock) = last.and_then(|served| served.sock.take()) {
                    let reset = matches!(op, Op::ResetServer);
                    let how = if reset { Close::Reset } else { Close::Graceful };
                    self.bench.server.close(sock, how);
                    self.server_failed = true;
                }
            }
            Op::Pass(micros) => self.pass(micros),
            Op::Sleep => {
                // What is under way arrives first, so that it is clear who waits for whom.
                self.pass(100_000);
                while self.hear(50_000) {
                    self.pass(1_000);
                }
                let next = self.fates.iter().position(|fate| *fate == Fate::Waits);
                let begun =
                    next.map_or(0, |next| next.checked_sub(1).map_or(0, |n| self.ends[n].1));
                if let Some(next) = next
                    && self.said > begun
                    && self.said < self.ends[next].0
                    && self.client.is_some()
                    && self.end.is_none()
                    && !self.ended
                {
                    self.late_head = Some(next);
                }
                self.slept = true;
                self.pass(30_000_000);
            }
        }
    }

    fn pass(&mut self, micros: u64) {
        let served = &mut self.served;
        self.bench.pass(micros, |bench| {
            while let Accepted::One { sock, .. } = bench.server.accept(bench.listener) {
                served.push(Served { sock: Some(sock), open: true, ..Served::default() });
            }
        });
    }

    /// Lets time pass while nobody accepts.
    fn pass_alone(&mut self, micros: u64) {
        self.bench.pass(micros, |_| {});
    }

    fn ask(&mut self, n: usize) -> bool {
        let Some(sock) = self.client.filter(|_| !self.ended) else { return false };
        let to = self.words.len().min(self.said + n);
        if self.said == to {
            return false;
        }
        let bytes = [IoSlice::new(&self.words[self.said..to])];
        match self.bench.client.send(sock, &bytes, More::No) {
            Io::Done(n) => {
                self.said += n;
                true
            }
            _ => false,
        }
    }

    fn end_client(&mut self) {
        if let Some(sock) = self.client.filter(|_| !self.ended) {
            self.bench.client.shut_write(sock);
            self.ended = true;
        }
    }

    /// Reads and understands up to so many bytes at the client. False if nothing came.
    fn hear(&mut self, n: usize) -> bool {
        let Some(sock) = self.client.filter(|_| self.end.is_none()) else { return false };
        let mut into = vec![0; n];
        match self.bench.client.recv(sock, &mut into) {
            Io::Done(n) => self.inbox.extend_from_slice(&into[..n]),
            Io::Blocked => return false,
            Io::Eof => self.end = Some(true),
            Io::Failed(_) => self.end = Some(false),
        }
        self.understand();
        true
    }

    fn understand(&mut self) {
        loop {
            let next = self.fates.iter().position(|fate| *fate == Fate::Waits);
            if self.answer.is_none() {
                let read = Head::read(&self.inbox).expect("a head");
                let Some((head, len)) = read else { return };
                self.inbox.drain(..len);
                let status = head.status().expect("a status");
                let next = next.expect("an answer that was asked for");
                let planned = &self.plan[next];
                if status == 103 {
                    self.interims += 1;
                    continue;
                }
                let named = head.only("x-id").expect("at most one");
                let local = named.is_none().then_some(status);
                if let Some(named) = named {
                    assert_eq!(named, Planned::id(next).to_string(), "the answer to another");
                    assert_eq!(status, planned.status, "request {next}");
                    assert_eq!(self.interims, planned.interims, "interim answers to {next}");
                }
                self.interims = 0;
                let bodyless = planned.method == "HEAD" || matches!(status, 204 | 304);
                let framing = if bodyless {
                    Framing::Length(0)
                } else {
                    head.framing().expect("one framing").unwrap_or(Framing::UntilClose)
                };
                let closes = head.only("connection").expect("at most one") == Some("close");
                if closes || framing == Framing::UntilClose {
                    self.last = self.last.or(Some(next));
                }
                self.answer = Some((Body::new(framing), 0, local));
            }
            let (Some((body, at, local)), Some(next)) = (&mut self.answer, next) else { return };
            let (id, planned) = (Planned::id(next), &self.plan[next]);
            let used = body.read(&self.inbox, |data| {
                if local.is_none() {
                    let wrong = first_wrong(id, Way::Response, *at, data);
                    assert_eq!(wrong, None, "byte of answer {id}");
                }
                *at += data.len() as u64;
            });
            let used = used.expect("a body");
            self.inbox.drain(..used);
            let whole = body.is_done() || body.is_until_close() && self.end == Some(true);
            if !whole {
                return;
            }
            let expected = if planned.is_bodyless() { 0 } else { planned.answer as u64 };
            // Where only the end of the connection ends it, nobody can tell that it was cut.
            if local.is_none() && !(body.is_until_close() && self.server_failed) {
                assert_eq!(*at, expected, "bytes of answer {id}");
            }
            self.fates[next] = local.map_or(Fate::Answered, Fate::Refused);
            self.answer = None;
        }
    }

    /// The server reads all that came, and offers so many bytes of its answers where it has some.
    fn serve(&mut self, n: usize) -> bool {
        let mut moved = false;
        for at in 0..self.served.len() {
            moved |= self.read(at);
            moved |= self.write(at, n);
        }
        moved
    }

    fn read(&mut self, at: usize) -> bool {
        let served = &mut self.served[at];
        let mut came = false;
        let mut block = [0; 10_000];
        while let Some(sock) = served.sock.filter(|_| served.open) {
            match self.bench.server.recv(sock, &mut block) {
                Io::Done(n) => {
                    served.inbox.extend_from_slice(&block[..n]);
                    came = true;
                }
                Io::Blocked => break,
                Io::Eof => served.open = false,
                Io::Failed(_) => {
                    self.bench.server.close(sock, Close::Graceful);
                    served.sock = None;
                }
            }
        }
        loop {
            if served.reading.is_none() {
                let Some((head, len)) = Head::read(&served.inbox).expect("a head") else { break };
                served.inbox.drain(..len);
                let id: usize = head.only("x-id").expect("one").expect("one").parse().expect("id");
                let (planned, which) = (&self.plan[id - 1], id - 1);
                assert_eq!(head.line, format!("{} /r/{id} HTTP/1.1", planned.method));
                assert_eq!(head.only("host"), Ok(Some("sim")));
                // What was answered is never asked again.
                assert!(self.fates[which] == Fate::Waits, "request {id} after its answer");
                let framing = head.framing().expect("one").unwrap_or(Framing::Length(0));
                served.reading = Some((which, Body::new(framing), 0));
            }
            let Some((which, body, got)) = &mut served.reading else { break };
            let id = Planned::id(*which);
            let used = body.read(&served.inbox, |data| {
                let wrong = first_wrong(id, Way::Request, *got, data);
                assert_eq!(wrong, None, "byte of request {id}");
                *got += data.len() as u64;
            });
            let used = used.expect("a body");
            served.inbox.drain(..used);
            if !body.is_done() {
                break;
            }
            let planned = &self.plan[*which];
            let expected = if planned.method == "POST" { planned.body as u64 } else { 0 };
            assert_eq!(*got, expected, "bytes of request {id}");
            assert!(self.ends[*which].1 <= self.said, "request {id} is whole before it was sent");
            self.read.push(*which);
            served.out.extend(planned.response(*which));
            served.closes |= planned.framing == Shape::Close;
            served.reading = None;
        }
        came
    }

    fn write(&mut self, at: usize, n: usize) -> bool {
        let served = &mut self.served[at];
        let Some(sock) = served.sock else { return false };
        let to = served.out.len().min(served.sent + n);
        let mut moved = false;
        if served.sent < to {
            let bytes = [IoSlice::new(&served.out[served.sent..to])];
            if let Io::Done(n) = self.bench.server.send(sock, &bytes, More::No) {
                served.sent += n;
                moved = true;
            }
        }
        let done = served.sent == served.out.len();
        if done && (served.closes || !served.open) {
            self.bench.server.close(sock, Close::Graceful);
            served.sock = None;
            moved = true;
        }
        moved
    }

    /// Everybody does what is left to do.
    fn drain(&mut self) {
        let mut quiet = 0;
        while quiet < 20 {
            self.pass(2_000);
            let mut moved = self.ask(50_000);
            while self.hear(50_000) {
                moved = true;
            }
            moved |= self.serve(50_000);
            quiet = if moved { 0 } else { quiet + 1 };
        }
    }

    /// Holds what happened against the model.
    fn judge(&self) {
        let sent = self.ends.iter().filter(|(_, end)| *end <= self.said).count();
        let last = self.last.unwrap_or(self.plan.len());
        let trouble = self.server_failed || self.client_reset || self.slept;
        let why = self.last.map(|last| &self.plan[last]);
        let due = why.is_none_or(|p| p.framing == Shape::Close && !p.is_bodyless());
        assert!(trouble || self.ended || due, "a close for no reason: {self:?}");
        for (at, fate) in self.fates.iter().enumerate() {
            match *fate {
                Fate::Waits => {}
                Fate::Answered => {
                    assert!(at < sent, "request {at} was answered before it was whole");
                    assert!(at <= last, "request {at} was answered after the last");
                    assert!(self.read.contains(&at), "request {at} was answered by nobody");
                }
                Fate::Refused(status) => {
                    let excuse = match status {
                        400 => self.ended && at >= sent,
                        408 => self.slept,
                        502 => self.server_failed,
                        503 => self.server_failed,
                        504 => self.slept,
                        _ => false,
                    };
                    assert!(excuse, "request {at} came to {status}: {self:?}");
                }
            }
            if !trouble && at < sent && at <= last {
                assert_eq!(*fate, Fate::Answered, "request {at}: {self:?}");
            }
        }
        if let Some(at) = self.late_head {
            let told = self.fates[at] == Fate::Refused(408) || self.end.is_some();
            assert!(told || self.client_reset, "half a head waits for ever: {self:?}");
        }
        if last < self.plan.len() && self.fates[last] != Fate::Waits && !self.client_reset {
            assert!(self.end.is_some(), "the connection stays: {self:?}");
        }
        // Who tries once more to connect does so even if the client has left.
        let left = self.client_reset || self.ended && self.said == self.words.len();
        if left && !self.server_failed {
            assert_eq!(self.bench.engine.clients(), 0, "a client that left: {self:?}");
        }
    }

    /// Both leave. A session that still hopes for an answer ends by its timeout.
    fn close(mut self) {
        if let Some(sock) = self.client.take() {
            self.bench.client.close(sock, Close::Graceful);
        }
        for served in &mut self.served {
            if let Some(sock) = served.sock.take() {
                self.bench.server.close(sock, Close::Graceful);
            }
        }
        self.bench.server.close(self.bench.listener, Close::Graceful);
        self.pass_alone(60_000_000);
        self.bench.stop();
    }
}

impl core::fmt::Debug for Rig {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Rig")
            .field("fates", &self.fates)
            .field("read", &self.read)
            .field("said", &self.said)
            .field("ends", &self.ends)
            .field("end", &self.end)
            .field("last", &self.last)
            .field("ended", &self.ended)
            .field("slept", &self.slept)
            .field("server_failed", &self.server_failed)
            .finish_non_exhaustive()
    }
}

fn play(world: &World, plan: &[Planned], ops: &[Op]) {
    let mut rig = Rig::new(world, plan);
    for op in ops {
        rig.act(op);
    }
    rig.drain();
    rig.judge();
    rig.close();
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn requests_are_answered_in_order_or_for_a_reason(
        world in world(),
        plan in vec(planned(), 1..5),
        ops in vec(op(), 0..40),
    ) {
        play(&world, &plan, &ops);
    }
}

/// The model is of some use: each of these differs from what happened in one thing.
#[test]
fn the_model_tells_right_from_wrong() {
    let one = Planned {
        method: "POST",
        body: 500,
        chunk: 0,
        status: 200,
        interims: 1,
        answer: 700,
        framing: Shape::Length,
    };
    let plan = [one.clone(), Planned { framing: Shape::Close, ..one }];
    let falsify: [fn(&mut Rig); 5] = [
        |rig| rig.fates[0] = Fate::Waits,
        |rig| rig.fates[1] = Fate::Refused(502),
        |rig| rig.read.clear(),
        |rig| rig.said -= 1,
        |rig| rig.last = Some(0),
    ];
    for (n, falsify) in falsify.into_iter().enumerate() {
        let mut rig = Rig::new(&plain(), &plan);
        rig.drain();
        rig.judge();
        falsify(&mut rig);
        let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rig.judge()));
        assert!(judged.is_err(), "number {n} was not noticed");
    }
}
