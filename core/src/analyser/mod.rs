//! Analysers: what has to look at a channel before its bytes may pass, one file each, run in the order of
//! their bits.
//!
//! An analyser finishes (its bit is cleared), waits, or stops the sweep because the exchange has taken
//! another turn (an answer of ours, an abort). It sees the session and [`Cx`], never the poller.

pub mod forward;
mod process_backend;
mod process_frontend;
mod process_response;
mod switching;
pub mod tarpit;
mod tcp_inspect;
mod wait_request;
mod wait_response;

use crate::channel::{Analysers, Facts};
use crate::http::{HeadLimits, HeadScan, Scan, parse_response};
use crate::pool::Class;
use crate::reply::{self, Shape};
use crate::session::{Cx, Session};
use crate::time::Deadline;
use crate::txn::{Flow, TxnFlags};

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

/// Runs the request's analysers: the lowest bit that is set, and so on. One that is set behind the cursor
/// runs in the next sweep.
pub fn run_request(s: &mut Session, cx: &mut Cx<'_>) {
    sweep(s, cx, |s| s.req.analysers, |s, done| s.req.analysers.clear(done));
}

/// Runs the response's analysers.
pub fn run_response(s: &mut Session, cx: &mut Cx<'_>) {
    sweep(s, cx, |s| s.res.analysers, |s, done| s.res.analysers.clear(done));
}

fn sweep(
    s: &mut Session,
    cx: &mut Cx<'_>,
    set: impl Fn(&Session) -> Analysers,
    done: impl Fn(&mut Session, Analysers),
) {
    while let Some(next) = set(s).lowest() {
        let verdict = match next {
            Analysers::TCP_INSPECT => tcp_inspect::run(s, cx),
            Analysers::WAIT_REQUEST => wait_request::run(s, cx),
            Analysers::PROCESS_FRONTEND => process_frontend::run(s, cx),
            Analysers::SWITCHING => switching::run(s, cx),
            Analysers::PROCESS_BACKEND => process_backend::run(s, cx),
            Analysers::TARPIT => Verdict::Wait,
            Analysers::FORWARD_REQUEST => forward::request(s, cx),
            Analysers::WAIT_RESPONSE => wait_response::run(s, cx),
            Analysers::PROCESS_RESPONSE => process_response::run(s, cx),
            _ => forward::response(s, cx),
        };
        match verdict {
            Verdict::Done => done(s, next),
            Verdict::Wait | Verdict::Stop => return,
        }
    }
}

/// Answers in the server's place with the page for `status`, and ends the exchange.
pub fn answer(s: &mut Session, status: u16, cx: &mut Cx<'_>) {
    answer_shaped(s, status, Shape::Session, cx);
}

fn answer_shaped(s: &mut Session, status: u16, shape: Shape, cx: &mut Cx<'_>) {
    s.req.analysers = Analysers::NONE;
    s.res.analysers = Analysers::NONE;
    s.req.to_forward = 0;
    s.res.to_forward = 0;
    s.req.read_expiry = Deadline::NEVER;
    s.request_expiry = Deadline::NEVER;
    s.close_back();
    if shape == Shape::Parser || !s.txn.request_flow.is_done() || s.req.is(Facts::EOF) {
        s.txn.flags.set(TxnFlags::CLIENT_CLOSE);
    }
    // What the server sent so far is not for the client any more.
    if let Some(buf) = s.res.buf.take() {
        s.res.added -= buf.len() as i64;
        cx.pools.give(buf);
    }
    let close = s.txn.is(TxnFlags::CLIENT_CLOSE);
    let bodyless = reply::is_bodyless(&s.txn);
    cx.scratch.clear();
    s.txn.body_bytes = 0;
    s.txn.head_bytes = match error_file(s, status, cx) {
        Some(file) => write_file(s, &file, close, cx.scratch),
        None => reply::write(status, shape, close, bodyless, cx.scratch),
    };
    s.txn.status = status;
    s.txn.flags.set(TxnFlags::LOCAL);
    s.txn.response_flow = Flow::Done;
    if cx.scratch.is_empty() {
        s.txn.flags.set(TxnFlags::CLIENT_CLOSE);
        return;
    }
    let class = if cx.scratch.len() < cx.pools.size(Class::Medium) {
        Class::Medium
    } else {
        Class::Forward
    };
    let mut buf = cx.pools.take(class);
    let len = cx.scratch.len();
    if buf.append(cx.scratch) {
        buf.release(len);
        s.res.added += len as i64;
        s.res.buf = Some(buf);
        s.res.await_writer(cx.now.mono);
    } else {
        cx.pools.give(buf);
        s.txn.flags.set(TxnFlags::CLIENT_CLOSE);
    }
}

/// The answer that replaces our page for `status`: the backend's, else the frontend's.
fn error_file(s: &Session, status: u16, cx: &Cx<'_>) -> Option<std::sync::Arc<[u8]>> {
    [s.backend, s.frontend].into_iter().find_map(|p| {
        let files = &cx.site.proxy(p).error_files;
        files.iter().find(|(code, _)| *code == status).map(|(_, file)| file.clone())
    })
}

/// Writes an `errorfile`, its head in our form; returns how many bytes the log counts for it.
fn write_file(s: &mut Session, file: &[u8], close: bool, out: &mut Vec<u8>) -> u64 {
    let Scan::Complete { skip, len } = HeadScan::response().advance(file) else {
        // Not a whole head: it goes out as it is (an empty one says nothing at all).
        out.extend_from_slice(file);
        s.txn.flags.set(TxnFlags::CLIENT_CLOSE);
        return file.len() as u64;
    };
    let (head, body) = (&file[skip..skip + len], &file[skip + len..]);
    let response = &mut s.txn.response;
    if parse_response(head, response, &HeadLimits::default()).is_err() {
        out.extend_from_slice(file);
        s.txn.flags.set(TxnFlags::CLIENT_CLOSE);
        return file.len() as u64;
    }
    crate::http::strip_hop_by_hop(response, crate::http::UpgradeField::Strip);
    crate::http::settle(response, crate::http::Body::Length(body.len() as u64));
    s.txn.head_bytes = 0;
    s.txn.count_head();
    if close {
        s.txn.response.push_known(crate::http::Known::Connection, b"close");
    }
    crate::http::write_response(&s.txn.response, reply::VERSION, out);
    if !reply::is_bodyless(&s.txn) {
        out.extend_from_slice(body);
    }
    s.txn.head_bytes + body.len() as u64
}
