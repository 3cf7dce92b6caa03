//! A server: reads requests, checks that they are what their clients meant, and answers them in the
//! manner that is drawn for each.

use core::net::SocketAddr;

use slab::Slab;

use tidegate_core::poller::{Accepted, Close, Event, ListenSpec, Poller, Sock};
use tidegate_core::time::{Duration, Instant};

use super::{Heard, Outbox, receive};
use crate::ledger::{self, Shared, Way};
use crate::memnet::Port;
use crate::preface;
use crate::scenario::Knobs;
use crate::strict::{Body, Framing, Head};
use crate::timeline::Host;

/// One connection.
#[derive(Debug)]
struct Talk {
    sock: Sock,
    inbox: Vec<u8>,
    /// Whose it is, as its PROXY header says, once that is here.
    told: Option<Option<SocketAddr>>,
    request: Option<Request>,
    out: Outbox,
    /// It does nothing until then.
    asleep: Instant,
    ends: Option<Close>,
    ended: bool,
    /// TCP mode: bytes of the request's body that were checked.
    checked: u64,
    open: bool,
    /// It said that its answer is the last.
    last: bool,
    /// It is ended so when something comes.
    slams: Option<Close>,
    /// What passes from here on is the stream of this request.
    tunnel: Option<u64>,
}

/// The request that is being read.
#[derive(Debug)]
struct Request {
    id: u64,
    body: Body,
    at: u64,
    method: &'static str,
    answered: bool,
    /// It asks for a tunnel.
    tunnel: bool,
}

/// A server.
#[derive(Debug)]
pub struct Server {
    number: u64,
    port: Port,
    ledger: Shared,
    knobs: Knobs,
    seed: u64,
    calm: bool,
    listener: Option<Sock>,
    talks: Slab<Talk>,
    events: Vec<Event>,
    /// Connections so far.
    accepted: u64,
}

/// What an answer does beside what is right.
#[derive(Clone, Copy, Debug, Default)]
struct Manner {
    late: bool,
    stalls: bool,
    closes_early: bool,
    resets: bool,
    garbage: bool,
    closes_idle: bool,
    interim: bool,
    early: bool,
    says_close: bool,
    says_more: bool,
}

impl Server {
    /// A server that listens where the port's listener 0 is bound.
    pub fn new(number: u64, port: Port, ledger: Shared, knobs: &Knobs, seed: u64) -> Server {
        let mut server = Server {
            number,
            port,
            ledger,
            knobs: knobs.clone(),
            seed,
            calm: false,
            listener: None,
            talks: Slab::new(),
            events: Vec::new(),
            accepted: 0,
        };
        server.listen();
        server
    }

    /// Begins to listen, if it does not.
    pub fn listen(&mut self) {
        if self.listener.is_none() {
            self.listener = self.port.listen(&ListenSpec { listener: 0 }).ok();
        }
    }

    /// Refuses connections from now on.
    pub fn refuse(&mut self) {
        if let Some(listener) = self.listener.take() {
            self.port.close(listener, Close::Graceful);
        }
    }

    /// From now on it behaves well.
    pub fn calm_down(&mut self) {
        self.calm = true;
        self.listen();
    }

    /// Whether something came for it.
    pub fn has_events(&self) -> bool {
        self.port.has_events()
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.talks.len()
    }

    /// When it wants to be turned again.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        self.talks.iter().map(|(_, talk)| talk.asleep).filter(|at| *at > now).min()
    }

    /// Does all that can be done now.
    pub fn turn(&mut self, now: Instant) {
        self.events.clear();
        self.port.harvest(&mut self.events);
        while let Some(listener) = self.listener {
            let Accepted::One { sock, .. } = self.port.accept(listener) else { break };
            self.accepted += 1;
            let lot = ledger::lot(self.seed ^ self.number, self.accepted, 9) % 1000;
            if !self.calm && lot < self.knobs.slams {
                self.port.close(sock, Close::Reset);
                continue;
            }
            let lot = ledger::lot(self.seed ^ self.number, self.accepted, 8) % 1000;
            let how = if lot.is_multiple_of(2) { Close::Reset } else { Close::Graceful };
            let slams = (!self.calm && lot < self.knobs.slams_later).then_some(how);
            self.talks.insert(Talk {
                sock,
                inbox: Vec::new(),
                told: None,
                request: None,
                out: Outbox::default(),
                asleep: Instant::START,
                ends: None,
                ended: false,
                checked: 0,
                open: true,
                last: false,
                slams,
                tunnel: None,
            });
        }
        for key in 0..self.talks.capacity() {
            let Some(mut talk) = self.talks.try_remove(key) else { continue };
            if let Some(how) = self.talk(&mut talk, now) {
                self.port.close(talk.sock, how);
            } else {
                // The place it was in is the first that is free.
                self.talks.insert(talk);
            }
        }
    }

    /// Says how the connection is closed, if it is.
    fn talk(&mut self, talk: &mut Talk, now: Instant) -> Option<Close> {
        loop {
            if talk.asleep > now {
                return None;
            }
            let sent = match talk.out.send(&mut self.port, talk.sock, usize::MAX) {
                Ok(sent) => sent,
                Err(()) => return Some(Close::Graceful),
            };
            if sent > 0 && !self.calm && self.knobs.answers_urge > 0 {
                let lot = ledger::lot(self.seed ^ self.number, talk.out.left() as u64, 21);
                if lot % 1000 < self.knobs.answers_urge {
                    self.port.urge(talk.sock);
                }
            }
            if talk.out.left() == 0
                && let Some(how) = talk.ends
            {
                return Some(how);
            }
            let heard = match talk.open {
                true => receive(&mut self.port, talk.sock, &mut talk.inbox, 32 << 10),
                false => Heard::Bytes(0),
            };
            match heard {
                Heard::Dead => return Some(Close::Graceful),
                Heard::Eof => talk.open = false,
                Heard::Bytes(_) => {}
            }
            if let Some(how) = talk.slams.filter(|_| !talk.inbox.is_empty() && !self.calm) {
                return Some(how);
            }
            let before = (talk.inbox.len(), talk.out.left(), talk.checked);
            let understood = match (self.hear_header(talk), self.knobs.tcp) {
                (Ok(true), 1) => self.read_stream(talk),
                (Ok(true), _) => self.read_request(talk, now),
                (other, _) => other.map(|_| ()),
            };
            if let Err(detail) = understood {
                let excerpt = crate::strict::excerpt(&talk.inbox);
                let text = format!("server {}: {detail}; unread: {excerpt}", self.number);
                self.ledger.borrow_mut().violated("A8", text);
                return Some(Close::Reset);
            }
            let after = (talk.inbox.len(), talk.out.left(), talk.checked);
            if !talk.open && before == after && talk.out.left() == 0 && !talk.ended {
                // The proxy will send nothing more, and nothing is left to answer.
                return Some(Close::Graceful);
            }
            if sent == 0 && before == after && matches!(heard, Heard::Bytes(0)) {
                return None;
            }
        }
    }

    /// Reads the PROXY header in front of everything else. False while it is not whole.
    fn hear_header(&self, talk: &mut Talk) -> Result<bool, String> {
        if self.knobs.send_proxy == 0 || talk.told.is_some() {
            return Ok(true);
        }
        match preface::read(&talk.inbox, self.knobs.send_proxy == 2)? {
            Some((len, source)) => {
                talk.inbox.drain(..len);
                talk.told = Some(source);
                Ok(true)
            }
            None if talk.open => Ok(false),
            None => {
                // It will never be whole.
                talk.inbox.clear();
                Ok(false)
            }
        }
    }

    /// Whether request `id` is that of whom the connection's header names.
    fn is_told(&self, talk: &Talk, id: u64) -> Result<(), String> {
        let source = self.ledger.borrow().sources.get(&id).copied().flatten();
        match talk.told {
            Some(told) if told != source => {
                Err(format!("request {id} of {source:?} came behind the header of {told:?}"))
            }
            _ => Ok(()),
        }
    }

    /// TCP mode: a number, a length, and so many bytes.
    fn read_stream(&mut self, talk: &mut Talk) -> Result<(), String> {
        if talk.inbox.len() < 16 || talk.ended {
            return Ok(());
        }
        let word = |at: usize| {
            talk.inbox[at..at + 8].iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
        };
        let (id, len) = (word(0), word(8));
        let meant = self.ledger.borrow_mut().entry(id).map(|entry| entry.meant.body);
        if meant != Some(len) {
            return Err(format!("stream {id} of {len} bytes was never sent"));
        }
        self.is_told(talk, id)?;
        super::check_stream(id, Way::Request, &mut talk.checked, len, &talk.inbox[16..])?;
        talk.inbox.truncate(16);
        if talk.checked < len {
            return Ok(());
        }
        self.count(id);
        let size = ledger::lot(1, id, 2) % (self.knobs.body + 1);
        let manner = self.manner(id);
        let shown = if manner.closes_early || manner.resets { size / 2 } else { size };
        talk.out.push_body(id, Way::Response, 0, shown);
        talk.ends = Some(if manner.resets { Close::Reset } else { Close::Graceful });
        talk.ended = true;
        Ok(())
    }

    fn read_request(&mut self, talk: &mut Talk, now: Instant) -> Result<(), String> {
        loop {
            if talk.ends.is_some() || talk.asleep > now {
                return Ok(());
            }
            if let Some(id) = talk.tunnel {
                return self.read_tunnel(talk, id);
            }
            let Some(request) = &mut talk.request else {
                let Some((head, len)) = Head::read(&talk.inbox)? else {
                    if !talk.open && !talk.inbox.is_empty() {
                        talk.inbox.clear();
                    }
                    return Ok(());
                };
                talk.inbox.drain(..len);
                let request = self.begin(&head)?;
                self.is_told(talk, request.id)?;
                if talk.last {
                    return Err(format!("request {} came behind the last answer", request.id));
                }
                if self.manner(request.id).early && request.method == "POST" {
                    self.answer(talk, &request, now);
                    talk.request = Some(Request { answered: true, ..request });
                } else {
                    talk.request = Some(request);
                }
                continue;
            };
            let (id, mut wrong) = (request.id, None);
            let at = &mut request.at;
            let used = request.body.read(&talk.inbox, |data| {
                wrong = wrong.or(ledger::first_wrong(id, Way::Request, *at, data));
                *at += data.len() as u64;
            })?;
            talk.inbox.drain(..used);
            if request.at > 0
                && let Some(entry) = self.ledger.borrow_mut().entry(id)
            {
                entry.body_seen = true;
            }
            if let Some(at) = wrong {
                return Err(format!("request {id}: byte {at} of its body is another's"));
            }
            if !request.body.is_done() {
                if !talk.open {
                    // It will never be whole.
                    talk.inbox.clear();
                    talk.request = None;
                }
                return Ok(());
            }
            let meant = self.ledger.borrow_mut().entry(id).map(|entry| entry.meant.body);
            if meant != Some(request.at) {
                return Err(format!("request {id} has {} bytes of {meant:?}", request.at));
            }
            self.count(id);
            if let Some(request) = talk.request.take()
                && !request.answered
            {
                self.answer(talk, &request, now);
            }
        }
    }

    /// The stream of a tunnel: its end is answered by another.
    fn read_tunnel(&mut self, talk: &mut Talk, id: u64) -> Result<(), String> {
        let meant = self.ledger.borrow_mut().entry(id).and_then(|entry| entry.meant.tunnel);
        let len = meant.ok_or(format!("request {id} is in a tunnel"))?;
        super::check_stream(id, Way::Request, &mut talk.checked, len, &talk.inbox)?;
        talk.inbox.clear();
        if talk.checked == len {
            self.count(id);
            let size = ledger::lot(1, id, 2) % (self.knobs.body + 1);
            talk.out.push_body(id, Way::Response, 0, size);
            talk.ends = Some(Close::Graceful);
        }
        Ok(())
    }

    fn count(&mut self, id: u64) {
        let mut ledger = self.ledger.borrow_mut();
        let number = self.number;
        ledger.note(Host::Server(number), || format!("request {id} is read"));
        if let Some(entry) = ledger.entry(id) {
            entry.served += 1;
        }
    }

    /// Looks at a request's head: is it what its client meant?
    fn begin(&mut self, head: &Head) -> Result<Request, String> {
        let mut ledger = self.ledger.borrow_mut();
        let id = head.only("x-id")?.ok_or(format!("a request of nobody's: {head:?}"))?;
        let id: u64 = id.parse().map_err(|_| format!("a bad number: {head:?}"))?;
        let entry = ledger.entry(id).ok_or(format!("request {id} was never sent"))?;
        if entry.body_seen {
            return Err(format!("request {id} came again, and part of its body had been sent"));
        }
        let meant = entry.meant;
        let (mut target, mut host) = (format!("/r/{id}"), "sim".to_owned());
        if meant.method == "CONNECT" {
            // Of the two the target keeps the port.
            host = format!("r{id}.sim");
            target = format!("{host}:80");
        }
        let lines = ["1.1", "1.0"].map(|v| format!("{} {target} HTTP/{v}", meant.method));
        if !lines.contains(&head.line) || head.only("host")? != Some(&host) {
            return Err(format!("request {id} was another one: {head:?}"));
        }
        let added = ["x-forwarded-for", "connection", "content-length", "transfer-encoding"];
        let known = |name: &str| {
            let upgrade = name == "upgrade" && meant.tunnel.is_some();
            let ruled = name == "x-rule" && self.knobs.rules == 1;
            name == "host" || name == "x-id" || added.contains(&name) || upgrade || ruled
        };
        if let Some((name, _)) = head.fields.iter().find(|(name, _)| !known(name)) {
            return Err(format!("request {id} has a field {name} that nobody sent"));
        }
        let mark = (self.knobs.rules == 1).then(|| id.to_string());
        if head.only("x-rule")? != mark.as_deref() {
            return Err(format!("request {id} is marked as another: {head:?}"));
        }
        let source = ledger.sources.get(&id).copied().flatten();
        let source = source.map(|source| source.ip().to_string());
        let named = head.only("x-forwarded-for")?;
        if named.is_some() && named.map(str::to_owned) != source {
            return Err(format!("request {id} of {source:?} is said to be another's: {head:?}"));
        }
        let framing = head.framing()?.unwrap_or(Framing::Length(0));
        let body = Body::new(framing);
        let tunnel = meant.method == "CONNECT" || head.only("upgrade")? == Some("sim");
        Ok(Request { id, body, at: 0, method: meant.method, answered: false, tunnel })
    }

    fn manner(&self, id: u64) -> Manner {
        let finale = self.ledger.borrow().entries.get(&id).is_some_and(|e| e.meant.finale);
        if self.calm || finale {
            return Manner::default();
        }
        let knobs = &self.knobs;
        let hits = |ratio: u64, purpose| ledger::lot(self.seed, id, purpose) % 1000 < ratio;
        Manner {
            late: hits(knobs.answers_late, 10),
            stalls: hits(knobs.stalls, 11),
            closes_early: hits(knobs.closes_early, 12),
            resets: hits(knobs.resets, 13),
            garbage: hits(knobs.says_garbage, 14),
            closes_idle: hits(knobs.closes_idle, 15),
            interim: hits(knobs.interim, 16),
            early: hits(knobs.answers_early, 17),
            says_close: hits(knobs.says_close, 18),
            says_more: hits(knobs.says_more, 19),
        }
    }

    /// Whether so many bytes, sent together, are there for the proxy's next receive. Bytes that
    /// come when the connection already carries the next request are that one's answer: no proxy
    /// can tell.
    fn arrives_at_once(&self, len: usize) -> bool {
        let k = &self.knobs;
        let least = [k.segment, k.window, k.send_buffer, 1_000].into_iter().min();
        least.is_some_and(|least| len as u64 <= least) && k.short_read == 0
    }

    fn answer(&mut self, talk: &mut Talk, request: &Request, now: Instant) {
        let id = request.id;
        let manner = self.manner(id);
        {
            let mut ledger = self.ledger.borrow_mut();
            let number = self.number;
            ledger.note(Host::Server(number), || format!("request {id} is answered: {manner:?}"));
            if let Some(entry) = ledger.entry(id) {
                entry.begun += 1;
            }
        }
        if manner.stalls {
            talk.asleep = now + Duration::from_secs(1_000);
        } else if manner.late {
            talk.asleep = now + Duration::from_millis(ledger::lot(self.seed, id, 20) % 6_000);
        }
        if manner.garbage {
            talk.out.push(*b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n");
            talk.ends = Some(Close::Graceful);
            return;
        }
        if manner.interim {
            talk.out.push(*b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        }
        if request.tunnel
            && (request.method == "CONNECT" || !ledger::lot(9, id, 2).is_multiple_of(3))
        {
            talk.out.push(match request.method {
                "CONNECT" => format!("HTTP/1.1 200 OK\r\nX-Id: {id}\r\n\r\n"),
                _ => format!(
                    "HTTP/1.1 101 Switching Protocols\r\nX-Id: {id}\r\nConnection: Upgrade\r\n\
                     Upgrade: sim\r\n\r\n"
                ),
            });
            talk.tunnel = Some(id);
            if manner.resets || manner.closes_early {
                talk.ends = Some(if manner.resets { Close::Reset } else { Close::Graceful });
            }
            return;
        }
        let before = talk.out.left();
        let size = ledger::lot(1, id, 2) % (self.knobs.body + 1);
        let mut head = format!("HTTP/1.1 200 OK\r\nX-Id: {id}\r\n");
        let mut framing = ledger::lot(self.seed, id, 3) % 4;
        if manner.says_close {
            framing = 2;
            head.push_str("Connection: close\r\n");
            talk.last = true;
        }
        let bodyless = request.method == "HEAD";
        let shown = if manner.closes_early || manner.resets { size / 2 } else { size };
        match framing {
            0 if !bodyless && !manner.closes_early => {
                head.push_str("Connection: close\r\n\r\n");
                talk.out.push(head);
                talk.out.push_body(id, Way::Response, 0, shown);
                talk.ends = Some(Close::Graceful);
            }
            1 if !bodyless => {
                head.push_str("Transfer-Encoding: chunked\r\n\r\n");
                talk.out.push(head);
                let mut at = 0;
                while at < shown {
                    let n = (shown - at).min(1 + ledger::lot(8, id, at) % 5_000);
                    talk.out.push(format!("{n:X}\r\n"));
                    talk.out.push_body(id, Way::Response, at, n);
                    talk.out.push(*b"\r\n");
                    at += n;
                }
                if !manner.closes_early && !manner.resets {
                    talk.out.push(*b"0\r\n\r\n");
                }
            }
            _ => {
                head.push_str(&format!("Content-Length: {size}\r\n\r\n"));
                talk.out.push(head);
                if !bodyless {
                    talk.out.push_body(id, Way::Response, 0, shown);
                }
            }
        }
        let whole = shown == size && talk.ends.is_none() && framing > 1 && !bodyless;
        if manner.says_more && whole {
            // Whoever gets this asked for something else.
            let more = format!("HTTP/1.1 200 OK\r\nX-Id: {id}\r\nContent-Length: 0\r\n\r\n");
            if before == 0 && self.arrives_at_once(talk.out.left() + more.len()) {
                talk.out.push(more);
            }
        }
        if manner.resets {
            talk.ends = Some(Close::Reset);
        } else if manner.closes_early || manner.closes_idle {
            talk.ends = Some(Close::Graceful);
        }
    }
}
