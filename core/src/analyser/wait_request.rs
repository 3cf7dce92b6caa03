//! Waits for a whole request head and understands it, or refuses it.

use super::{Verdict, answer_shaped, refusal};
use crate::channel::Facts;
use crate::fault::{Cause, Phase};
use crate::http::{Body, Head, HeadLimits, Known, Method, Scan, Version, connection, request_body};
use crate::proxy::shared::Rate;
use crate::proxy::shared::errors::{Direction, Why};
use crate::proxy::spec::Options;
use crate::reply::Shape;
use crate::session::{Cx, Session};
use crate::sometimes;
use crate::time::Deadline;
use crate::txn::{Flow, Txn, TxnFlags};

/// The length of 16 bytes in base64.
const WEBSOCKET_KEY_LEN: usize = 24;

/// Reads the request's head once it is complete.
#[inline]
pub(super) fn run(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    let input = s.req.buf.as_ref().map_or(&[][..], |b| b.input());
    let options = cx.site.proxy(s.frontend).options;
    let mut limits = HeadLimits::of(cx.site.tunables.maxhdr);
    limits.lenient = options.has(Options::ACCEPT_INVALID_REQUEST);
    let (skip, len) = match s.txn.request_scan.parse(input, &mut s.txn.request, &limits) {
        Scan::Complete { skip, len } => (skip, len),
        Scan::Bad { at, why } => return malformed(s, Why::Head(why), at, cx),
        Scan::NeedMore => return incomplete(s, &limits, cx),
    };
    let limit = (cx.site.tunables.bufsize - cx.site.tunables.maxrewrite) as usize;
    if len > limit {
        return malformed(s, Why::TooLarge, limit, cx);
    }
    let body = match request_body(&s.txn.request) {
        Ok(body) => body,
        Err(why) => {
            let at = skip + refusal::framing_at(&input[skip..skip + len]);
            return malformed(s, Why::Framing(why), at, cx);
        }
    };
    if s.txn.request.version() == Version::V10
        && ignores_body(s.txn.request.method(), body)
        && !cx.site.tunables.payload_any_method
    {
        refusal::keep(s, Direction::Request, Why::Payload, skip + len, cx);
        return refuse(s, 413, Cause::Proxy, cx);
    }
    if body == Body::Chunked
        && let Some((at, why)) = refusal::chunk_fault(&input[skip + len..])
    {
        // Nobody else has seen it yet: as if the head were malformed.
        return malformed(s, Why::Chunk(why), skip + len + at, cx);
    }
    // An Upgrade in HTTP/1.0 is ignored (RFC 9110 section 7.8); so is one in front of a body, of
    // which nobody could say in which protocol its rest is.
    let said = connection(&s.txn.request);
    let upgrade = said.upgrade
        && s.txn.request.version() == Version::V11
        && matches!(body, Body::None | Body::Length(0))
        && s.txn.request.method() != Method::Connect;
    if upgrade && lacks_key(&s.txn.request) {
        return malformed(s, Why::Upgrade, skip + len, cx);
    }
    if let Some(buf) = &mut s.req.buf {
        buf.skip(skip + len);
        s.req.added -= (skip + len) as i64;
    }
    s.request_body_begins();
    let txn = &mut s.txn;
    txn.count_request(skip + len);
    txn.flags.set(TxnFlags::REQUEST);
    txn.request_flow = Flow::of(body);
    if !said.keeps_alive(txn.request.version()) {
        txn.flags.set(TxnFlags::CLIENT_CLOSE.with(TxnFlags::CLIENT_ASKED_CLOSE));
    }
    if upgrade {
        txn.flags.set(TxnFlags::UPGRADE);
    }
    if cx.site.rewrites {
        keep_line(txn);
        count(s, cx);
        s.take_number(cx);
    }
    s.request_expiry = Deadline::NEVER;
    if s.txn.request_flow.is_done() {
        s.req.read_expiry = Deadline::NEVER;
    }
    s.times.request = Some(cx.now.mono);
    Verdict::Done
}

/// Counts a request of the frontend, understood or not.
fn count(s: &Session, cx: &Cx<'_>) {
    if cx.site.wants.rates {
        cx.shared.count(cx.engine, Rate::Requests(s.frontend), cx.now.mono);
    }
}

/// Keeps the request line as it came: rules may change what the head says.
fn keep_line(txn: &mut Txn) {
    let request = &txn.request;
    let parts =
        [request.method_bytes(), b" ", request.target(), b" ", request.version().as_bytes()];
    parts.into_iter().for_each(|part| txn.line.extend_from_slice(part));
}

/// The head is not whole: is it still to be waited for?
fn incomplete(s: &mut Session, limits: &HeadLimits, cx: &mut Cx<'_>) -> Verdict {
    let txn = &mut s.txn;
    let (scan, head, input) = (&mut txn.request_scan, &mut txn.request, s.req.input());
    if let Some((at, why)) = refusal::foreseen(scan, input, head, limits, cx.scratch, request_body)
    {
        return malformed(s, why, at, cx);
    }
    let held = s.req.input().len();
    let limit = (cx.site.tunables.bufsize - cx.site.tunables.maxrewrite) as usize;
    if s.req.is(Facts::READ_ERROR) {
        return gone(s, cx);
    }
    if s.req.is(Facts::EOF) {
        return refuse(s, 400, Cause::Client, cx);
    }
    if s.req.is(Facts::READ_TIMEOUT) {
        s.req.facts.clear(Facts::READ_TIMEOUT);
        return refuse(s, 408, Cause::ClientTimeout, cx);
    }
    // What is held and still not whole would have to become longer than that.
    if held >= limit {
        return malformed(s, Why::TooLarge, limit, cx);
    }
    sometimes!(PartialHead, held > 0);
    Verdict::Wait
}

/// Whether a server of HTTP/1.0 days reads the body as the next request.
fn ignores_body(method: Method, body: Body) -> bool {
    let bodyless = matches!(method, Method::Get | Method::Head | Method::Delete);
    bodyless && !matches!(body, Body::None | Body::Length(0))
}

/// The client reset the connection: nobody is there to be told.
fn gone(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    refusal::count(s, Direction::Request);
    s.ends_in(Cause::Client, Phase::Request);
    s.txn.status = 400;
    s.abort(cx);
    Verdict::Stop
}

/// It can be no request, whatever follows.
#[cold]
fn malformed(s: &mut Session, why: Why, at: usize, cx: &mut Cx<'_>) -> Verdict {
    refusal::keep(s, Direction::Request, why, at, cx);
    refuse(s, 400, Cause::Proxy, cx)
}

fn refuse(s: &mut Session, status: u16, cause: Cause, cx: &mut Cx<'_>) -> Verdict {
    refusal::count(s, Direction::Request);
    count(s, cx);
    s.ends_in(cause, Phase::Request);
    answer_shaped(s, status, Shape::Parser, cx);
    Verdict::Stop
}

/// Whether it is a WebSocket handshake without a key that can be one (RFC 6455 section 4.2.1);
/// what it is, is the server's affair.
fn lacks_key(head: &Head) -> bool {
    let can_be = |key: &[u8]| key.len() == WEBSOCKET_KEY_LEN;
    names_websocket(head) && !head.named(b"sec-websocket-key").any(can_be)
}

/// Whether the Upgrade field names WebSocket (RFC 6455 section 4.1).
pub(super) fn names_websocket(head: &Head) -> bool {
    let mut names = head.values(Known::Upgrade).flat_map(|value| value.split(|b| *b == b','));
    names.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket"))
}
