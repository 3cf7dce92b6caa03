//! The default lines: `option httplog`, `option tcplog`, and `Connect from …` without either.
//!
//! A [`Record`] is what a session knows of itself when it logs, with borrowed parts. The lines are
//! HAProxy 2.6's to the byte. What stands before them on the wire is [`super::wire`]'s.

use core::net::SocketAddr;

use super::dates::Dates;
use super::text::{push_captured, push_endpoint, push_escaped, push_number, push_or_minus_one};
use crate::fault::{Cause, End};
use crate::poller::Peer;
use crate::proxy::spec::{LogTarget, Mode, Site};
use crate::time::Wall;

/// What a session says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The client (`%ci:%cp`).
    pub client: Peer,
    /// The `id` of the listener that accepted it; it stands for a client on a unix socket.
    pub listener_id: u32,
    /// When the connection was accepted (`%t`): the date of the TCP line.
    pub accepted: Wall,
    /// When the request's first byte came (`%tr`): the date of the HTTP line.
    pub requested: Wall,
    /// The frontend's name (`%ft`).
    pub frontend: &'a str,
    /// The backend's name (`%b`); the frontend's if none was chosen.
    pub backend: &'a str,
    /// The server's name (`%s`), or what stands for it: `<STATS>`. None is `<NOSRV>`.
    pub server: Option<&'a str>,
    /// How long the stages took.
    pub timers: Timers,
    /// The status that the client got (`%ST`); -1 if it got nothing.
    pub status: i32,
    /// Bytes sent to the client (`%B`).
    pub bytes: u64,
    /// Bytes received of the client (`%U`).
    pub bytes_in: u64,
    /// The number of the request in the process (`%rt`).
    pub counter: u32,
    /// The number of the line at its frontend (`%lc`).
    pub log_counter: u32,
    /// Why the session ended (`%ts`).
    pub end: End,
    /// The third and fourth letter of `%tsc`: the client's cookie, and what was done to the
    /// server's.
    pub cookies: [u8; 2],
    /// The client's captured cookie (`%CC`).
    pub request_cookie: Option<&'a [u8]>,
    /// The server's captured cookie (`%CS`).
    pub response_cookie: Option<&'a [u8]>,
    /// How busy everything was.
    pub counts: Counts,
    /// Captured request headers (`%hr`). None if nothing is declared or the request never parsed.
    pub request_captures: Option<&'a [Option<Box<[u8]>>]>,
    /// Captured response headers (`%hs`). None if nothing is declared or the request never parsed.
    pub response_captures: Option<&'a [Option<Box<[u8]>>]>,
    /// The request line, `METHOD URI VERSION` (`%r`). None is `<BADREQ>`.
    pub request: Option<&'a [u8]>,
    /// Why there was no session at all (`fc_err`, `fc_err_str`).
    pub error: Option<(u8, &'static str)>,
    /// `option logasap`: the line is written before the end, the last timer and the bytes are only
    /// what they were by then.
    pub early: bool,
}

/// The stages of a session in milliseconds. None (logged as -1) if a stage was never completed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timers {
    /// `%Th`: handshakes, such as a PROXY header, of a connection's first session.
    pub handshake: Option<u64>,
    /// `%Ti`: idle before the request's first byte.
    pub idle: u64,
    /// `%TR`: the request's head, from its first byte.
    pub request: Option<u64>,
    /// `%Tw`: in queues.
    pub queue: Option<u64>,
    /// `%Tc`: connecting.
    pub connect: Option<u64>,
    /// `%Tr`: until the answer's head was complete.
    pub response: Option<u64>,
    /// `%Td`: from the answer's head (TCP: the connection) to the end.
    pub data: Option<u64>,
    /// `%Ta`: from the request's first byte; in TCP from the end of the handshakes.
    pub total: u64,
}

impl Timers {
    /// `%Tt`: from accept, or the end of the last answer.
    pub fn whole(&self) -> u64 {
        self.handshake.unwrap_or(0) + self.idle + self.total
    }
}

/// The counters and queue positions of a line, the session itself included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// `%ac`: connections of the process.
    pub actconn: u32,
    /// `%fc`: of the frontend.
    pub feconn: u32,
    /// `%bc`: of the backend.
    pub beconn: u32,
    /// `%sc`: of the server.
    pub srvconn: u32,
    /// `%rc`: connection attempts after the first.
    pub retries: u32,
    /// The last of them went to another server.
    pub redispatched: bool,
    /// `%sq`: requests before this one in the server's queue.
    pub srv_queue: u32,
    /// `%bq`: requests before this one in the backend's queue.
    pub backend_queue: u32,
}

impl Record<'_> {
    /// Whether `option log-separate-errors` raises the line to `err`, and `option dontlog-normal`
    /// lets it pass: an abnormal end, a retry, a redispatch, or a status from 500 up.
    pub fn is_error(&self) -> bool {
        let own = matches!(self.end.cause, Cause::Normal | Cause::Local);
        let retried = self.end.cause == Cause::Normal && self.counts.retries > 0;
        !own || retried || self.counts.redispatched || self.status >= 500
    }
}

/// What a frontend without `option tcplog` or `httplog` says when it accepts.
#[derive(Clone, Copy, Debug)]
pub struct Connect<'a> {
    /// The client.
    pub client: Peer,
    /// The address that it connected to.
    pub destination: Option<Peer>,
    /// The `id` of the listener: it stands for a unix socket.
    pub listener_id: u32,
    /// The frontend's name.
    pub frontend: &'a str,
    /// The frontend's `mode`.
    pub mode: Mode,
}

/// What is said of a connection that ended before its first session.
#[derive(Clone, Copy, Debug)]
pub struct Broken<'a> {
    /// The client.
    pub client: Peer,
    /// When it was accepted.
    pub accepted: Wall,
    /// The frontend's name.
    pub frontend: &'a str,
    /// The name of the listener, if it has one: else its `id` stands for it.
    pub listener: Option<&'a str>,
    /// The `id` of the listener.
    pub listener_id: u32,
    /// Why it ended.
    pub message: &'a str,
}

/// Writes lines: the dates, and how long a line may be.
#[derive(Debug)]
pub struct Lines {
    /// The dates of lines and headers.
    pub dates: Dates,
    /// `tune.http.logurilen`: bytes of the request line that are looked at.
    pub request_max: usize,
    /// The longest `len` of all log targets: a line is shorter than that.
    pub line_max: usize,
}

/// `len` of a log target that has none: no line is held shorter than that.
const LEN_DEFAULT: u32 = 1_024;

impl Lines {
    /// Lines as long as the site's log targets ask for.
    pub fn new(site: &Site, dates: Dates) -> Self {
        let longest = |logs: &[LogTarget]| {
            logs.iter().map(|log| log.len_max.min(log.text_max)).max().unwrap_or(0)
        };
        let proxies = site.proxies.iter().map(|proxy| longest(&proxy.logs)).max();
        let line_max = longest(&site.global.logs).max(proxies.unwrap_or(0)).max(LEN_DEFAULT);
        Lines { dates, request_max: site.tunables.logurilen as usize, line_max: line_max as usize }
    }

    /// Appends the line of `option httplog`:
    /// `%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq
    /// %hr %hs %{+Q}r`.
    pub fn http(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let stop = out.len() + self.line_max.saturating_sub(1);
        out.reserve(256);
        push_client(record.client, record.listener_id, out);
        out.push(b' ');
        self.dates.push_log(record.requested, out);
        push_route(record, out);
        let timers = &record.timers;
        for timer in [timers.request, timers.queue, timers.connect, timers.response] {
            push_or_minus_one(timer, out);
            out.push(b'/');
        }
        push_so_far(record, timers.total, out);
        out.push(b' ');
        if record.status < 0 {
            out.push(b'-');
        }
        push_number(record.status.unsigned_abs().into(), out);
        out.push(b' ');
        push_so_far(record, record.bytes, out);
        for cookie in [record.request_cookie, record.response_cookie] {
            out.push(b' ');
            out.extend_from_slice(cookie.unwrap_or(b"-"));
        }
        let ([cause, phase], [sent, made]) = (record.end.code(), record.cookies);
        out.extend_from_slice(&[b' ', cause, phase, sent, made]);
        push_counts(&record.counts, out);
        for captures in [record.request_captures, record.response_captures].into_iter().flatten() {
            push_captures(captures, stop, out);
        }
        out.extend_from_slice(b" \"");
        match record.request {
            Some(line) => push_escaped(&line[..line.len().min(self.request_max)], stop, out),
            None => out.extend_from_slice(b"<BADREQ>"),
        }
        out.push(b'"');
        out.truncate(stop);
    }

    /// Appends the line of `option tcplog`:
    /// `%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq`.
    pub fn tcp(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let stop = out.len() + self.line_max.saturating_sub(1);
        out.reserve(192);
        push_client(record.client, record.listener_id, out);
        out.push(b' ');
        self.dates.push_log(record.accepted, out);
        push_route(record, out);
        let timers = &record.timers;
        for timer in [timers.queue, timers.connect] {
            push_or_minus_one(timer, out);
            out.push(b'/');
        }
        push_so_far(record, timers.whole(), out);
        out.push(b' ');
        push_so_far(record, record.bytes, out);
        let [cause, phase] = record.end.code();
        out.extend_from_slice(&[b' ', cause, phase]);
        push_counts(&record.counts, out);
        out.truncate(stop);
    }

    /// Appends `Connect from SRC:PORT to DST:PORT (FRONTEND/MODE)`. On a unix socket only our own
    /// end has a name: `Connect to unix:ID (FRONTEND/MODE)`.
    pub fn connect(&mut self, connect: &Connect<'_>, out: &mut Vec<u8>) {
        let stop = out.len() + self.line_max.saturating_sub(1);
        match connect.client {
            Peer::Inet(client) => {
                out.extend_from_slice(b"Connect from ");
                push_endpoint(client, out);
                out.extend_from_slice(b" to ");
                // An address that the kernel did not tell is written as zeros.
                let unknown = SocketAddr::from(([0; 4], 0));
                match connect.destination {
                    Some(Peer::Inet(at)) => push_endpoint(at, out),
                    Some(Peer::Unix) | None => push_endpoint(unknown, out),
                }
            }
            Peer::Unix => {
                out.extend_from_slice(b"Connect to ");
                push_client(Peer::Unix, connect.listener_id, out);
            }
        }
        out.extend_from_slice(b" (");
        out.extend_from_slice(connect.frontend.as_bytes());
        out.extend_from_slice(match connect.mode {
            Mode::Tcp => b"/TCP)",
            Mode::Http => b"/HTTP)",
        });
        out.truncate(stop);
    }

    /// Appends `CLIENT [DATE] FRONTEND/LISTENER: MESSAGE`.
    pub fn broken(&mut self, broken: &Broken<'_>, out: &mut Vec<u8>) {
        let stop = out.len() + self.line_max.saturating_sub(1);
        push_client(broken.client, broken.listener_id, out);
        out.push(b' ');
        self.dates.push_log(broken.accepted, out);
        out.push(b' ');
        out.extend_from_slice(broken.frontend.as_bytes());
        out.push(b'/');
        match broken.listener {
            Some(name) => out.extend_from_slice(name.as_bytes()),
            None => push_number(broken.listener_id.into(), out),
        }
        out.extend_from_slice(b": ");
        out.extend_from_slice(broken.message.as_bytes());
        out.truncate(stop);
    }
}

fn push_client(client: Peer, listener_id: u32, out: &mut Vec<u8>) {
    match client {
        Peer::Inet(client) => push_endpoint(client, out),
        Peer::Unix => {
            out.extend_from_slice(b"unix:");
            push_number(listener_id.into(), out);
        }
    }
}

/// ` FRONTEND BACKEND/SERVER `.
fn push_route(record: &Record<'_>, out: &mut Vec<u8>) {
    out.push(b' ');
    out.extend_from_slice(record.frontend.as_bytes());
    out.push(b' ');
    out.extend_from_slice(record.backend.as_bytes());
    out.push(b'/');
    out.extend_from_slice(record.server.unwrap_or("<NOSRV>").as_bytes());
    out.push(b' ');
}

/// A number that still grows is marked with a plus.
fn push_so_far(record: &Record<'_>, n: u64, out: &mut Vec<u8>) {
    if record.early {
        out.push(b'+');
    }
    push_number(n, out);
}

fn push_counts(counts: &Counts, out: &mut Vec<u8>) {
    out.push(b' ');
    for n in [counts.actconn, counts.feconn, counts.beconn, counts.srvconn] {
        push_number(n.into(), out);
        out.push(b'/');
    }
    if counts.redispatched {
        out.push(b'+');
    }
    push_number(counts.retries.into(), out);
    out.push(b' ');
    push_number(counts.srv_queue.into(), out);
    out.push(b'/');
    push_number(counts.backend_queue.into(), out);
}

/// ` {a||c}`: a header that was not there leaves its place empty.
fn push_captures(captures: &[Option<Box<[u8]>>], stop: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(b" {");
    for (i, capture) in captures.iter().enumerate() {
        if i > 0 {
            out.push(b'|');
        }
        push_captured(capture.as_deref().unwrap_or_default(), stop, out);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests;
