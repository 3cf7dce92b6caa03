//! Analysers: what has to look at a channel before its bytes may pass, one file each, run in the
//! order of their bits.
//!
//! An analyser finishes (its bit is cleared), waits, or stops the sweep because the exchange has
//! taken another turn (an answer of ours, an abort). It sees the session and [`Cx`], never the
//! poller.

pub mod forward;
mod process_backend;
mod process_frontend;
mod process_response;
mod refusal;
mod rules;
mod switching;
pub mod tarpit;
mod tcp_inspect;
mod wait_request;
mod wait_response;

pub use process_backend::make_unique_id;

use crate::channel::{Analysers, Facts};
use crate::fault::{Cause, Phase};
use crate::http::{
    Body, HeadLimits, HeadScan, Known, Scan, UpgradeField, Version, chunks_data, chunks_len,
    connection, parse_response, settle, strip_hop_by_hop, write_response,
};
use crate::pool::Class;
use crate::reply::{self, Shape};
use crate::rule::Set;
use crate::sample::Point;
use crate::session::{Cx, Session};
use crate::time::Deadline;
use crate::txn::{Flow, TxnFlags};

const CONNECTION: &str = "connection";

/// What an analyser has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// It has seen what it had to see.
    Done,
    /// It needs more bytes, or time.
    Wait,
    /// The exchange has taken another turn: the sweep ends.
    Stop,
}

/// Runs the request's analysers: the lowest bit that is set, and so on. One that is set behind the
/// cursor runs in the next sweep.
pub fn run_request(s: &mut Session, cx: &mut Cx<'_>) {
    while let Some(next) = s.req.analysers.lowest() {
        let verdict = match next {
            Analysers::TCP_INSPECT => tcp_inspect::run(s, cx),
            Analysers::WAIT_REQUEST => wait_request::run(s, cx),
            Analysers::PROCESS_FRONTEND => process_frontend::run(s, cx),
            Analysers::SWITCHING => switching::run(s, cx),
            Analysers::TCP_INSPECT_BACKEND => tcp_inspect::run_backend(s, cx),
            Analysers::PROCESS_BACKEND => process_backend::run(s, cx),
            Analysers::TARPIT => tarpit::run(s, cx),
            _ => forward::request(s, cx),
        };
        match verdict {
            Verdict::Done => s.req.analysers.clear(next),
            Verdict::Wait | Verdict::Stop => return,
        }
    }
}

/// Runs the response's analysers.
pub fn run_response(s: &mut Session, cx: &mut Cx<'_>) {
    while let Some(next) = s.res.analysers.lowest() {
        let verdict = match next {
            Analysers::INSPECT_RESPONSE => tcp_inspect::run_response(s, cx),
            Analysers::WAIT_RESPONSE => wait_response::run(s, cx),
            Analysers::PROCESS_RESPONSE => process_response::run(s, cx),
            _ => forward::response(s, cx),
        };
        match verdict {
            Verdict::Done => s.res.analysers.clear(next),
            Verdict::Wait | Verdict::Stop => return,
        }
    }
}

/// Answers in the server's place with the page for `status`, and ends the exchange.
pub fn answer(s: &mut Session, status: u16, cx: &mut Cx<'_>) {
    answer_shaped(s, status, Shape::Session, cx);
}

fn answer_shaped(s: &mut Session, status: u16, shape: Shape, cx: &mut Cx<'_>) {
    if shape == Shape::Session {
        let configured = [s.backend, s.frontend].into_iter().find_map(|p| {
            let site = cx.site;
            site.proxy(p).http_errors.iter().find(|reply| reply.status == status).map(|r| (p, r))
        });
        if let Some((proxy, reply)) = configured {
            return rules::reply(s, reply, (Point::Answer, proxy), cx);
        }
        if looks_at_answers(s, cx) {
            let page = page_of(s, status, cx);
            return answer_with(s, status, &page, cx);
        }
    }
    stand_in(s);
    if shape == Shape::Parser || !s.txn.request_flow.is_done() || s.req.is(Facts::EOF) {
        s.txn.flags.set(TxnFlags::CLIENT_CLOSE);
    }
    let close = s.txn.is(TxnFlags::CLIENT_CLOSE);
    let bodyless =
        reply::is_bodyless(&s.txn) || shape == Shape::Parser && asks_for_head(s.req.input());
    cx.scratch.clear();
    // Interim answers that were passed on are counted already.
    s.txn.head_bytes += match error_file(s, status, shape, cx) {
        Some(file) => write_file(s, &file, close, TRIES, cx),
        None => {
            let close = close || reply::closes(status);
            if close {
                s.txn.flags.set(TxnFlags::CLIENT_CLOSE);
            }
            let old = s.txn.request.version() == Version::V10;
            let says = if close { Some("close") } else { old.then_some("keep-alive") };
            reply::write(status, shape, says, bodyless, cx.scratch)
        }
    };
    answered(s, status, cx);
}

/// Whether the rules of a set, `tcp-request connection` or `session`, refuse the client; true
/// inside if it shall not be told.
pub fn refuses(set: Set, cx: &mut Cx<'_>) -> Option<bool> {
    rules::client(set, cx)
}

/// Whether rules want to see our own answers too (`http-after-response`).
fn looks_at_answers(s: &Session, cx: &Cx<'_>) -> bool {
    let asks = |p| !cx.site.proxy(p).rules.after_response.is_empty();
    s.txn.is(TxnFlags::REQUEST) && (asks(s.frontend) || asks(s.backend))
}

/// The page for `status`, head and all; of the connection it says only that it ends, if it does so
/// whatever the request was.
fn page_of(s: &Session, status: u16, cx: &Cx<'_>) -> Vec<u8> {
    match error_file(s, status, Shape::Session, cx) {
        Some(file) => file.to_vec(),
        None => {
            let mut page = Vec::new();
            let says = reply::closes(status).then_some("close");
            reply::write(status, Shape::Session, says, false, &mut page);
            page
        }
    }
}

/// Answers with these bytes, head and all, in the server's place, and ends the exchange.
fn answer_with(s: &mut Session, status: u16, raw: &[u8], cx: &mut Cx<'_>) {
    stand_in(s);
    if !s.txn.request_flow.is_done() || s.req.is(Facts::EOF) {
        s.txn.flags.set(TxnFlags::CLIENT_CLOSE);
    }
    let close = s.txn.is(TxnFlags::CLIENT_CLOSE);
    cx.scratch.clear();
    s.txn.status = status;
    s.txn.head_bytes += write_file(s, raw, close, TRIES, cx);
    let status = s.txn.status;
    answered(s, status, cx);
}

/// Takes the server's place: nothing of what it said, or would say, is for the client any more.
fn stand_in(s: &mut Session) {
    s.txn.body_bytes = 0;
    if s.res.analysers.any(Analysers::PROCESS_RESPONSE) {
        // Rules refused the server's answer. HAProxy's log has no response time then, but counts
        // what had come.
        s.times.response = None;
        s.txn.body_bytes = held_body(s);
    }
    s.req.analysers = Analysers::NONE;
    s.res.analysers = Analysers::NONE;
    s.req.to_forward = 0;
    s.res.to_forward = 0;
    s.req.read_expiry = Deadline::NEVER;
    s.request_expiry = Deadline::NEVER;
    s.rule_expiry = Deadline::NEVER;
    s.close_back();
    skip_body(s);
}

/// How much of the response's body came with its head, as the log counts it.
#[cold]
fn held_body(s: &Session) -> u64 {
    let body = s.res.input().get(s.txn.head_len as usize..).unwrap_or_default();
    match s.txn.response_flow {
        Flow::Length(n) => n.min(body.len() as u64),
        Flow::UntilClose => body.len() as u64,
        Flow::Chunked(recoder) => chunks_data(recoder.decoder, body),
        Flow::Head | Flow::Done => 0,
    }
}

/// Sends the answer that was written.
fn answered(s: &mut Session, status: u16, cx: &mut Cx<'_>) {
    s.txn.status = status;
    s.txn.flags.set(TxnFlags::LOCAL);
    s.txn.response_flow = Flow::Done;
    if cx.scratch.is_empty() {
        s.txn.flags.set(TxnFlags::CLIENT_CLOSE);
        return;
    }
    if !queue_answer(s, cx) {
        s.txn.flags.set(TxnFlags::CLIENT_CLOSE);
    }
}

/// Whether what was not understood was a HEAD at least, whose answer has no body whatever it says
/// (RFC 9110 section 9.3.2). HAProxy sends one, which the end of the connection cuts off.
fn asks_for_head(mut input: &[u8]) -> bool {
    while let Some(rest) = input.strip_prefix(b"\r\n") {
        input = rest;
    }
    input.starts_with(b"HEAD ")
}

/// Puts the answer in `cx.scratch` behind what is on its way to the client; what else the server
/// sent is not for the client any more. False if it does not fit.
fn queue_answer(s: &mut Session, cx: &mut Cx<'_>) -> bool {
    let len = cx.scratch.len();
    let mut buf = match s.res.buf.take() {
        Some(mut buf) => {
            s.res.added -= buf.input_len() as i64;
            buf.drop_input();
            buf
        }
        None => cx.pools.take(Class::Medium),
    };
    buf.compact();
    if buf.room().len() < len {
        buf = cx.pools.grow(buf, Class::Forward);
    }
    let fits = buf.append(cx.scratch);
    if fits {
        buf.release(len);
        s.res.added += len as i64;
    }
    s.res.buf = Some(buf);
    s.res.await_writer(cx.now.mono);
    fits
}

/// Drops a request's body that is here whole, so that the next request can be read behind it.
fn skip_body(s: &mut Session) {
    let Some(buf) = s.req.buf.as_mut().filter(|buf| buf.output_len() == 0) else { return };
    let len = match s.txn.request_flow {
        // Of one that passes already, only the rest is here.
        Flow::Length(_) if s.txn.is(TxnFlags::BODY_STARTED) => None,
        Flow::Length(n) => usize::try_from(n).ok().filter(|n| *n <= buf.input_len()),
        Flow::Chunked(recoder) => chunks_len(recoder.decoder, buf.input()),
        Flow::Head | Flow::UntilClose | Flow::Done => None,
    };
    if let Some(len) = len {
        buf.skip(len);
        s.req.added -= len as i64;
        s.txn.request_flow = Flow::Done;
    }
}

/// The answer that replaces our page for `status`: the backend's, else the frontend's. Where no
/// request was understood, only an empty one does, as in HAProxy.
fn error_file(s: &Session, status: u16, shape: Shape, cx: &Cx<'_>) -> Option<std::sync::Arc<[u8]>> {
    let file = [s.backend, s.frontend].into_iter().find_map(|p| {
        let files = &cx.site.proxy(p).error_files;
        files.iter().find(|(code, _)| *code == status).map(|(_, file)| file.clone())
    })?;
    (shape == Shape::Session || file.is_empty()).then_some(file)
}

/// How often `http-after-response` rules look at an answer: at what was to be said, and at the page
/// that takes its place if they fail.
const TRIES: u8 = 2;

/// Rules failed to change an answer of ours: the page for that takes its place.
#[cold]
fn write_failure(s: &mut Session, close: bool, tries: u8, cx: &mut Cx<'_>) -> u64 {
    let phase = s.end.take().map_or(Phase::Request, |end| end.phase);
    s.ends_in(Cause::Proxy, phase);
    if phase == Phase::Request {
        s.times.request = None;
    }
    let page = page_of(s, 500, cx);
    write_file(s, &page, close, tries, cx)
}

/// Writes an `errorfile`, its head in our form; returns how many bytes the log counts for it. One
/// that does not say how long it is ends with the connection.
/// `tries`: how often rules may still look at it.
fn write_file(s: &mut Session, file: &[u8], close: bool, tries: u8, cx: &mut Cx<'_>) -> u64 {
    let Scan::Complete { skip, len } = HeadScan::response().advance(file, &HeadLimits::default())
    else {
        // Not a whole head: it goes out as it is (an empty one says nothing at all).
        cx.scratch.extend_from_slice(file);
        s.txn.flags.set(TxnFlags::CLIENT_CLOSE);
        return file.len() as u64;
    };
    let (head, body) = (&file[skip..skip + len], &file[skip + len..]);
    let response = &mut s.txn.response;
    if parse_response(head, response, &HeadLimits::default()).is_err() {
        cx.scratch.extend_from_slice(file);
        s.txn.flags.set(TxnFlags::CLIENT_CLOSE);
        return file.len() as u64;
    }
    let bounded = response.has(Known::ContentLength) || response.status() == 204;
    let version = response.version();
    let says_close = connection(response).close;
    let close = close || says_close || !bounded || version == Version::V10;
    let framing = match response.status() {
        204 => Body::None,
        _ if bounded => Body::Length(body.len() as u64),
        _ => Body::UntilClose,
    };
    s.txn.head_len = 0;
    if tries > 0 && looks_at_answers(s, cx) {
        s.txn.status = s.txn.response.status();
        let fits = rules::after_response(s, cx);
        cx.scratch.clear();
        if !fits {
            return write_failure(s, close, tries - 1, cx);
        }
    }
    let response = &mut s.txn.response;
    // HAProxy counts what a page of ours says of the connection.
    let said = response.values(Known::Connection).map(|value| CONNECTION.len() + value.len());
    let said: usize = said.sum();
    let said = match response.value(Known::ContentLength) {
        // One of a 204 is counted, and not sent.
        Some(length) if response.status() == 204 => said + "content-length".len() + length.len(),
        _ => said,
    };
    strip_hop_by_hop(response, UpgradeField::Strip);
    settle(response, framing);
    let before = s.txn.head_bytes;
    s.txn.count_head(framing);
    let counted = core::mem::replace(&mut s.txn.head_bytes, before) - before + said as u64;
    if close {
        s.txn.flags.set(TxnFlags::CLIENT_CLOSE);
    }
    let old = s.txn.request.version() == Version::V10;
    match version {
        Version::V11 if close => s.txn.response.push_known(Known::Connection, b"close"),
        Version::V11 if old => s.txn.response.push_known(Known::Connection, b"keep-alive"),
        _ => {}
    }
    write_response(&s.txn.response, version, cx.scratch);
    if reply::is_bodyless(&s.txn) {
        return counted;
    }
    cx.scratch.extend_from_slice(body);
    counted + body.len() as u64
}
