//! A client: one connection after the other, some requests on each, in the manner that is drawn for
//! it. It knows what every answer must be.

use core::net::SocketAddr;
use std::collections::VecDeque;

use tidegate_core::poller::{
    Address, Close, ConnectSpec, Connecting, Event, Peer, Poller, Sock, Which,
};
use tidegate_core::rng::Rng;
use tidegate_core::time::{Duration, Instant};

use super::{Heard, Outbox, receive};
use crate::ledger::{self, Fate, Meant, Shared, Way};
use crate::memnet::Port;
use crate::preface;
use crate::scenario::Knobs;
use crate::strict::{Body, Framing, Head};
use crate::timeline::Host;

/// How long a client waits for anything at all before it says that it was left hanging. All of the
/// proxy's timeouts are shorter, and so is what TCP tries.
const PATIENCE: Duration = Duration::from_secs(400);

/// What a client does beside what is right.
#[derive(Clone, Copy, Debug, Default)]
struct Manner {
    pipelines: bool,
    http10: bool,
    /// Gives up after having sent, or received, so many bytes.
    abort_sent: Option<u64>,
    abort_received: Option<u64>,
    /// By a reset.
    abort_hard: bool,
    half_closes: bool,
    reads_slowly: bool,
    sends_slowly: bool,
    garbage: bool,
    tunnels: bool,
    urges: bool,
}

#[derive(Debug)]
enum State {
    /// Until then.
    Resting(Instant),
    Dialling(Talk),
    Talking(Talk),
    Done,
}

/// One connection.
#[derive(Debug)]
struct Talk {
    sock: Sock,
    manner: Manner,
    /// Not yet asked.
    ahead: VecDeque<u64>,
    /// Asked and not yet answered.
    asked: VecDeque<u64>,
    out: Outbox,
    sent: u64,
    received: u64,
    inbox: Vec<u8>,
    answer: Option<Answer>,
    heard: Instant,
    next_read: Instant,
    next_send: Instant,
    half_closed: bool,
    /// What passes is a stream: in TCP mode, and in a tunnel, which began with that status.
    stream: Option<u16>,
    /// Bytes of the stream that were checked.
    checked: u64,
}

/// The answer that is being read.
#[derive(Debug)]
struct Answer {
    id: u64,
    status: u16,
    body: Option<Body>,
    /// The proxy's own answer: its body is not a server's.
    local: bool,
    at: u64,
    last: bool,
}

/// A client.
#[derive(Debug)]
pub struct Client {
    number: u64,
    port: Port,
    rng: Rng,
    ledger: Shared,
    target: Address,
    knobs: Knobs,
    left: u64,
    calm: bool,
    finale: bool,
    /// The proxy is stopping: a finale need not be answered.
    stopped: bool,
    state: State,
    events: Vec<Event>,
}

impl Client {
    /// A client that will ask so many requests at `target`, as the knobs say.
    pub fn new(
        number: u64,
        port: Port,
        mut rng: Rng,
        ledger: Shared,
        target: Address,
        knobs: &Knobs,
    ) -> Client {
        let start = Instant::START + Duration::from_millis(u64::from(rng.below(2_000)));
        Client {
            number,
            port,
            rng,
            ledger,
            target,
            left: knobs.requests,
            knobs: knobs.clone(),
            calm: false,
            finale: false,
            stopped: false,
            state: State::Resting(start),
            events: Vec::new(),
        }
    }

    /// From now on it behaves well, and when it is done with what it has begun it asks a last time.
    pub fn calm_down(&mut self, stopped: bool) {
        self.calm = true;
        self.stopped = stopped;
        self.left = 0;
    }

    /// Whether it will do nothing more.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Whether it rests for good until it is calmed down.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Done) || (self.left == 0 && !self.is_talking())
    }

    fn is_talking(&self) -> bool {
        matches!(self.state, State::Dialling(_) | State::Talking(_))
    }

    /// Whether something came for it.
    pub fn has_events(&self) -> bool {
        self.port.has_events()
    }

    /// When it wants to be turned again.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Done => None,
            State::Resting(at) => (self.left > 0 || self.calm).then_some(*at),
            State::Dialling(talk) => Some(talk.heard + PATIENCE),
            State::Talking(talk) => {
                let mut at = talk.heard + PATIENCE;
                if talk.manner.reads_slowly {
                    at = at.min(talk.next_read);
                }
                if talk.manner.sends_slowly && talk.out.left() > 0 {
                    at = at.min(talk.next_send);
                }
                Some(at)
            }
        }
    }

    /// Does all that can be done now.
    pub fn turn(&mut self, now: Instant) {
        self.events.clear();
        self.port.harvest(&mut self.events);
        loop {
            self.state = match core::mem::replace(&mut self.state, State::Done) {
                State::Done => return,
                State::Resting(at) => {
                    if at > now || (self.left == 0 && !self.calm) {
                        self.state = State::Resting(at);
                        return;
                    }
                    if self.left == 0 {
                        if self.finale {
                            return;
                        }
                        self.finale = true;
                    }
                    self.dial(now)
                }
                State::Dialling(talk) => match self.port.connect_status(talk.sock) {
                    Connecting::Done => State::Talking(talk),
                    Connecting::Failed(_) => self.end(talk, Fate::Cut, Close::Graceful, now),
                    Connecting::Pending if talk.heard + PATIENCE <= now => {
                        self.end(talk, Fate::Cut, Close::Graceful, now)
                    }
                    Connecting::Pending => {
                        self.state = State::Dialling(talk);
                        return;
                    }
                },
                State::Talking(mut talk) => match self.talk(&mut talk, now) {
                    Next::Wait => {
                        self.state = State::Talking(talk);
                        return;
                    }
                    Next::End(fate, how) => self.end(talk, fate, how, now),
                },
            };
        }
    }

    /// Opens the next connection and decides what is asked on it.
    fn dial(&mut self, now: Instant) -> State {
        let options = ConnectSpec { to: &self.target, from: None, options: &[] };
        let Ok(sock) = self.port.connect(&options) else {
            return State::Resting(now + Duration::from_millis(100));
        };
        let manner = self.manner();
        let most = if self.knobs.tcp == 1 { 1 } else { 1 + u64::from(self.rng.below(4)) };
        let count = if self.finale || manner.tunnels { 1 } else { most.min(self.left) };
        self.left = self.left.saturating_sub(count);
        let ahead: VecDeque<u64> = (0..count).map(|_| self.mean(manner)).collect();
        let (source, header) = self.introduction(sock, manner);
        for id in &ahead {
            self.ledger.borrow_mut().sources.insert(*id, source);
        }
        let mut out = Outbox::default();
        out.push(header);
        State::Dialling(Talk {
            sock,
            manner,
            ahead,
            asked: VecDeque::new(),
            out,
            sent: 0,
            received: 0,
            inbox: Vec::new(),
            answer: None,
            heard: now,
            next_read: now,
            next_send: now,
            half_closed: false,
            stream: (self.knobs.tcp == 1).then_some(200),
            checked: 0,
        })
    }

    /// Who it is on a connection, and the header that says so, if there is to be one.
    fn introduction(&mut self, sock: Sock, manner: Manner) -> (Option<SocketAddr>, Vec<u8>) {
        let own = match self.port.address(sock, Which::Local) {
            Some(Peer::Inet(own)) => Some(own),
            Some(Peer::Unix) | None => None,
        };
        if self.knobs.accept_proxy == 0 {
            return (own, Vec::new());
        }
        let somebody = preface::somebody(u64::from(self.rng.below(1 << 20)));
        if manner.garbage && self.rng.below(2) == 0 {
            let wrong = *b"PROXY TCP4 192.0.2.1 192.0.2.256 1 70000\r\n";
            return (own, wrong[self.rng.below(wrong.len() as u32) as usize..].to_vec());
        }
        let (how, source) = match self.rng.below(8) {
            0 => (preface::Manner::Nobody(false), own),
            1 => (preface::Manner::Nobody(true), own),
            2..=4 => (preface::Manner::Line, Some(somebody)),
            5 | 6 => (preface::Manner::Block, Some(somebody)),
            _ => (preface::Manner::Long(self.rng.below(1_500) as u16), Some(somebody)),
        };
        (source, preface::header(how, somebody))
    }

    fn manner(&mut self) -> Manner {
        if self.calm {
            return Manner::default();
        }
        let knobs = self.knobs.clone();
        let mut hits = |ratio: u64| ratio > 0 && u64::from(self.rng.below(1000)) < ratio;
        let mut manner = Manner {
            pipelines: hits(knobs.pipelines),
            http10: hits(knobs.http10),
            abort_hard: hits(500),
            half_closes: hits(knobs.half_closes),
            reads_slowly: hits(knobs.reads_slowly),
            sends_slowly: hits(knobs.sends_slowly),
            garbage: knobs.tcp == 0 && hits(knobs.garbage),
            tunnels: knobs.tcp == 0 && hits(knobs.tunnels),
            urges: hits(knobs.urges),
            ..Manner::default()
        };
        manner.garbage &= !manner.tunnels;
        manner.http10 &= !manner.tunnels;
        if hits(knobs.aborts) {
            let sending = hits(500);
            let at = Some(u64::from(self.rng.below(if sending { 400 } else { 3_000 })));
            if sending { manner.abort_sent = at } else { manner.abort_received = at }
        }
        manner
    }

    /// Decides what the next request is.
    fn mean(&mut self, manner: Manner) -> u64 {
        let finale = self.finale;
        if manner.tunnels {
            let method = ["GET", "CONNECT"][self.rng.below(2) as usize];
            let tunnel = Some(u64::from(self.rng.below(self.knobs.body as u32 + 1)));
            let spoilt = manner.is_spoilt();
            let (body, chunked, finale) = (0, false, false);
            let meant = Meant { method, body, chunked, tunnel, finale, spoilt };
            return self.ledger.borrow_mut().enter(meant);
        }
        let method = match self.rng.below(6) {
            0 if !finale && !manner.half_closes => "HEAD",
            1 | 2 if !finale => "POST",
            _ => "GET",
        };
        let most = self.knobs.body as u32;
        let posts = method == "POST" || (self.knobs.tcp == 1 && !finale);
        let body = if posts { u64::from(self.rng.below(most + 1)) } else { 0 };
        let chunked = posts && !manner.http10 && self.rng.below(3) == 0;
        let (spoilt, tunnel, finale) = (manner.is_spoilt(), None, finale && !self.stopped);
        let meant = Meant { method, body, chunked, tunnel, finale, spoilt };
        self.ledger.borrow_mut().enter(meant)
    }

    /// Writes the next request.
    fn ask(&mut self, talk: &mut Talk) {
        let Some(id) = talk.ahead.pop_front() else { return };
        talk.asked.push_back(id);
        let Some(meant) = self.ledger.borrow_mut().entry(id).map(|entry| entry.meant) else {
            return;
        };
        let host = Host::Client(self.number);
        self.ledger.borrow_mut().note(host, || format!("request {id} is sent: {meant:?}"));
        if self.knobs.tcp == 1 {
            talk.out.push(id.to_be_bytes());
            talk.out.push(meant.body.to_be_bytes());
            talk.out.push_body(id, Way::Request, 0, meant.body);
            return;
        }
        if talk.manner.garbage {
            let garbage: &[&[u8]] = &[
                b"GET  / HTTP/1.1\r\n\r\n",
                b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
                b"GET / HTTP/1.1\nHost: a\n\n",
                b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            ];
            let choice = self.rng.below(garbage.len() as u32) as usize;
            talk.out.push(garbage[choice]);
            return;
        }
        if let Some(bytes) = meant.tunnel {
            talk.out.push(if meant.method == "CONNECT" {
                let host = format!("r{id}.sim:80");
                format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\nX-Id: {id}\r\n\r\n")
            } else {
                format!(
                    "GET /r/{id} HTTP/1.1\r\nHost: sim\r\nX-Id: {id}\r\nConnection: Upgrade\r\n\
                     Upgrade: sim\r\n\r\n"
                )
            });
            // Some do not wait for the answer.
            if ledger::lot(9, id, 0).is_multiple_of(4) {
                talk.out.push_body(id, Way::Request, 0, bytes);
            }
            return;
        }
        let version = if talk.manner.http10 { "1.0" } else { "1.1" };
        let mut head =
            format!("{} /r/{id} HTTP/{version}\r\nHost: sim\r\nX-Id: {id}\r\n", meant.method);
        if talk.manner.http10 && !talk.ahead.is_empty() {
            head.push_str("Connection: keep-alive\r\n");
        }
        if meant.chunked {
            head.push_str("Transfer-Encoding: chunked\r\n\r\n");
            talk.out.push(head);
            let mut at = 0;
            while at < meant.body {
                let n = (meant.body - at).min(1 + ledger::lot(7, id, at) % 3_000);
                talk.out.push(format!("{n:x}\r\n"));
                talk.out.push_body(id, Way::Request, at, n);
                talk.out.push(*b"\r\n");
                at += n;
            }
            talk.out.push(*b"0\r\n\r\n");
        } else {
            if meant.method == "POST" {
                head.push_str(&format!("Content-Length: {}\r\n", meant.body));
            }
            head.push_str("\r\n");
            talk.out.push(head);
            talk.out.push_body(id, Way::Request, 0, meant.body);
        }
    }

    fn talk(&mut self, talk: &mut Talk, now: Instant) -> Next {
        loop {
            while !talk.ahead.is_empty() && (talk.asked.is_empty() || talk.manner.pipelines) {
                self.ask(talk);
            }
            let sent = match self.send(talk, now) {
                Ok(sent) => sent,
                Err(next) => return next,
            };
            let heard = match self.hear(talk, now) {
                Ok(heard) => heard,
                Err(next) => return next,
            };
            if talk.asked.is_empty() && talk.ahead.is_empty() {
                return Next::End(Fate::Cut, Close::Graceful);
            }
            if !sent && !heard {
                break;
            }
        }
        if talk.heard + PATIENCE <= now {
            let detail = format!("{:?} got nothing for {PATIENCE:?}", talk.asked);
            self.ledger.borrow_mut().violated("A14", detail);
            return Next::End(Fate::Cut, Close::Graceful);
        }
        Next::Wait
    }

    fn send(&mut self, talk: &mut Talk, now: Instant) -> Result<bool, Next> {
        let mut most = usize::MAX;
        if talk.manner.sends_slowly {
            if now < talk.next_send {
                return Ok(false);
            }
            most = 1 + self.rng.below(if talk.out.left() > 5_000 { 8_000 } else { 100 }) as usize;
            talk.next_send = now + Duration::from_millis(50);
        }
        if let Some(at) = talk.manner.abort_sent {
            most = most.min(at.saturating_sub(talk.sent) as usize);
        }
        // A dead connection may still hold an answer: it is read first.
        let sent = talk.out.send(&mut self.port, talk.sock, most).unwrap_or(0);
        talk.sent += sent as u64;
        if sent > 0 {
            talk.heard = now;
            if talk.manner.urges {
                self.port.urge(talk.sock);
            }
        }
        if talk.manner.abort_sent.is_some_and(|at| talk.sent >= at) {
            return Err(Next::End(Fate::Abandoned, talk.manner.ending()));
        }
        let all = talk.out.left() == 0 && talk.ahead.is_empty();
        let mut ends = talk.manner.half_closes;
        if talk.manner.tunnels {
            // Until there is a tunnel, there is more to come.
            ends =
                talk.stream.is_some() && (ends || ledger::lot(9, talk.sent, 1).is_multiple_of(2));
        }
        if ends && all && !talk.half_closed {
            talk.half_closed = true;
            self.port.shut_write(talk.sock);
        }
        Ok(sent > 0 && !talk.manner.sends_slowly)
    }

    fn hear(&mut self, talk: &mut Talk, now: Instant) -> Result<bool, Next> {
        // More is read in the next round.
        let mut most = 32 << 10;
        if talk.manner.reads_slowly {
            if now < talk.next_read {
                return Ok(false);
            }
            most = 1 + self.rng.below(4_000) as usize;
            talk.next_read = now + Duration::from_millis(100);
        }
        if let Some(at) = talk.manner.abort_received {
            most = most.min(at.saturating_sub(talk.received) as usize);
            if most == 0 {
                return Err(Next::End(Fate::Abandoned, talk.manner.ending()));
            }
        }
        let heard = receive(&mut self.port, talk.sock, &mut talk.inbox, most);
        if let Heard::Bytes(n) = heard {
            talk.received += n as u64;
            if n > 0 {
                talk.heard = now;
            }
        }
        let mut understood = Ok(());
        if talk.stream.is_none() {
            understood = self.understand(talk, heard);
        }
        if let Some(status) = talk.stream {
            understood = understood.and_then(|()| self.check_stream(talk, heard, status));
        }
        if let Err(detail) = understood {
            let excerpt = crate::strict::excerpt(&talk.inbox);
            self.ledger.borrow_mut().violated("A1", format!("{detail}; unread: {excerpt}"));
            return Err(Next::End(Fate::Cut, Close::Reset));
        }
        match heard {
            Heard::Bytes(n) => Ok(n > 0 && !talk.manner.reads_slowly),
            Heard::Eof | Heard::Dead => Err(Next::End(Fate::Cut, Close::Graceful)),
        }
    }

    /// A stream that is whole once it has ended.
    fn check_stream(&mut self, talk: &mut Talk, heard: Heard, status: u16) -> Result<(), String> {
        let Some(id) = talk.asked.front().copied() else { return Ok(()) };
        let len = ledger::lot(1, id, 2) % (self.knobs.body + 1);
        super::check_stream(id, Way::Response, &mut talk.checked, len, &talk.inbox)?;
        talk.inbox.clear();
        if heard == Heard::Eof && talk.checked == len {
            talk.asked.pop_front();
            self.ledger.borrow_mut().settle(id, Fate::Answered(status));
        }
        Ok(())
    }

    /// Reads answers.
    fn understand(&mut self, talk: &mut Talk, heard: Heard) -> Result<(), String> {
        let mut used = 0;
        loop {
            let input = &talk.inbox[used..];
            let Some(answer) = &mut talk.answer else {
                if input.is_empty() {
                    break;
                }
                let Some((head, len)) = Head::read(input)? else { break };
                used += len;
                let Some(id) = talk.asked.front().copied() else {
                    return Err(format!("an answer that was not asked for: {}", head.line));
                };
                let status = head.status()?;
                let meant = self.ledger.borrow_mut().entry(id).map(|entry| entry.meant);
                let opens = match meant.map_or("GET", |meant| meant.method) {
                    "CONNECT" => 200,
                    _ => 101,
                };
                if let Some(bytes) = meant.and_then(|meant| meant.tunnel)
                    && status == opens
                {
                    self.enter_tunnel(talk, id, &head, bytes)?;
                    break;
                }
                talk.answer = self.begin(id, &head, talk.manner)?;
                continue;
            };
            let (id, local) = (answer.id, answer.local);
            let mut wrong = None;
            if let Some(body) = &mut answer.body {
                let at = &mut answer.at;
                used += body.read(input, |data| {
                    if !local && wrong.is_none() {
                        wrong = ledger::first_wrong(id, Way::Response, *at, data);
                    }
                    *at += data.len() as u64;
                })?;
            }
            if let Some(at) = wrong {
                return Err(format!("answer {id}: byte {at} is another's"));
            }
            let ended = heard == Heard::Eof && talk.inbox.len() == used;
            let done = match &answer.body {
                None => true,
                Some(body) => body.is_done() || (ended && body.is_until_close()),
            };
            if !done {
                break;
            }
            let wanted = ledger::lot(1, id, 2) % (self.knobs.body + 1);
            if !local && answer.body.is_some() && answer.at != wanted {
                // Only a body that ends with the connection may be cut so that nobody notices.
                if !answer.body.as_ref().is_some_and(Body::is_until_close) {
                    return Err(format!("answer {id} has {} bytes of {wanted}", answer.at));
                }
            }
            let (status, last) = (answer.status, answer.last);
            talk.answer = None;
            talk.asked.pop_front();
            self.ledger.borrow_mut().settle(id, Fate::Answered(status));
            if last || talk.manner.tunnels {
                // Nothing more will be answered here.
                let mut ledger = self.ledger.borrow_mut();
                for id in talk.ahead.drain(..) {
                    ledger.settle(id, Fate::Abandoned);
                }
                for id in talk.asked.drain(..) {
                    // Whoever pipelines must expect that.
                    ledger.settle(id, Fate::Abandoned);
                }
                break;
            }
        }
        talk.inbox.drain(..used);
        Ok(())
    }

    /// From here on the bytes are a stream's.
    fn enter_tunnel(
        &mut self,
        talk: &mut Talk,
        id: u64,
        head: &Head,
        bytes: u64,
    ) -> Result<(), String> {
        if head.only("x-id")? != Some(&id.to_string()) {
            return Err(format!("a tunnel of another's, or nobody's, for {id}: {head:?}"));
        }
        if head.framing()?.is_some() {
            return Err(format!("a tunnel with a body: {head:?}"));
        }
        let status = head.status()?;
        talk.stream = Some(status);
        if !ledger::lot(9, id, 0).is_multiple_of(4) {
            talk.out.push_body(id, Way::Request, 0, bytes);
        }
        Ok(())
    }

    /// Reads a head: none if the answer proper is still to come.
    fn begin(&mut self, id: u64, head: &Head, manner: Manner) -> Result<Option<Answer>, String> {
        let status = head.status()?;
        if (100..200).contains(&status) {
            if manner.http10 {
                return Err(format!("a {status} to HTTP/1.0"));
            }
            return Ok(None);
        }
        let said = head.only("x-id")?;
        if let Some(said) = said
            && said != id.to_string()
        {
            let detail = format!("the answer to {said} came for {id}: {head:?}");
            self.ledger.borrow_mut().violated("A10", detail);
        }
        // What rules kept of the request, and said with the answer.
        if self.knobs.rules == 1 && said.is_some() && head.only("x-seen")? != said {
            let detail = format!("the answer to {id} is marked as another's: {head:?}");
            self.ledger.borrow_mut().violated("A10", detail);
        }
        let local = said.is_none();
        if local && status == 200 {
            return Err(format!("an answer from nowhere: {head:?}"));
        }
        let method = self.ledger.borrow_mut().entry(id).map_or("GET", |entry| entry.meant.method);
        let bodyless = method == "HEAD" || status == 204 || status == 304;
        let framing = head.framing()?.unwrap_or(Framing::UntilClose);
        if manner.http10 && framing == Framing::Chunked && !bodyless {
            return Err("chunks for HTTP/1.0".to_owned());
        }
        let closes = head.fields.iter().any(|(n, v)| n == "connection" && v == "close");
        let old = head.line.starts_with("HTTP/1.0") || manner.http10;
        let kept = head.fields.iter().any(|(n, v)| n == "connection" && v == "keep-alive");
        let last = closes || (old && !kept) || framing == Framing::UntilClose && !bodyless;
        let body = (!bodyless).then(|| Body::new(framing));
        Ok(Some(Answer { id, status, body, local, at: 0, last }))
    }

    /// Closes the connection; what was asked on it and not answered has that fate.
    fn end(&mut self, talk: Talk, fate: Fate, how: Close, now: Instant) -> State {
        self.port.close(talk.sock, how);
        let mut ledger = self.ledger.borrow_mut();
        for id in talk.asked {
            ledger.settle(id, fate);
        }
        for id in talk.ahead {
            ledger.settle(id, Fate::Abandoned);
        }
        if self.finale {
            return State::Done;
        }
        State::Resting(now + Duration::from_millis(u64::from(self.rng.below(200))))
    }
}

/// What a conversation comes to.
enum Next {
    Wait,
    End(Fate, Close),
}

impl Manner {
    /// Whether what is asked in this manner may fail.
    fn is_spoilt(self) -> bool {
        let aborts = self.abort_sent.is_some() || self.abort_received.is_some();
        aborts || self.garbage || self.half_closes || self.urges
    }

    fn ending(self) -> Close {
        if self.abort_hard { Close::Reset } else { Close::Graceful }
    }
}
