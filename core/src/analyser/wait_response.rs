//! Waits for a whole response head and understands it; passes interim answers on; tries again where
//! that is safe.

use super::wait_request::names_websocket;
use super::{Verdict, answer, refusal};
use crate::channel::{Analysers, Channel, FOREVER, Facts};
use crate::fault::{Cause, Phase};
use crate::http::{
    Body, Head, HeadError, HeadLimits, HeadScan, Known, Method, Scan, UpgradeField, Version,
    connection, elements_of, fill_response, response_body, settle, strip_hop_by_hop,
    write_response,
};
use crate::pool::{Class, Pools};
use crate::proxy::shared::errors::{Direction, Why};
use crate::proxy::spec::{Options, RetryOn};
use crate::session::{Cx, Session, SessionFlags};
use crate::side::Step;
use crate::sometimes;
use crate::time::{Deadline, Instant};
use crate::txn::{Flow, TxnFlags};

/// Reads the response's head once it is complete.
#[inline]
pub(super) fn run(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    loop {
        let input = s.res.buf.as_ref().map_or(&[][..], |b| b.input());
        if input.is_empty() {
            return incomplete(s, cx);
        }
        let options = cx.site.proxy(s.backend).options;
        let mut limits = HeadLimits::of(cx.site.tunables.maxhdr);
        limits.lenient = options.has(Options::ACCEPT_INVALID_RESPONSE);
        let len = match s.txn.response_scan.parse(input, &mut s.txn.response, &limits) {
            Scan::Complete { skip: 0, len } => len,
            Scan::Complete { skip, .. } => {
                return junk(s, Why::Head(HeadError::EmptyLines), skip, cx);
            }
            Scan::Bad { at, why } => return junk(s, Why::Head(why), at, cx),
            Scan::NeedMore => {
                return match foreseen(s, &limits, cx) {
                    Some((at, why)) => junk(s, why, at, cx),
                    None => incomplete(s, cx),
                };
            }
        };
        let limit = (cx.site.tunables.bufsize - cx.site.tunables.maxrewrite) as usize;
        if len > limit {
            return junk(s, Why::TooLarge, limit, cx);
        }
        let method = s.txn.request.method();
        let body = match response_body(&s.txn.response, method) {
            Ok(body) => body,
            Err(why) => {
                let at = refusal::framing_at(&input[..len]);
                return junk(s, Why::Framing(why), at, cx);
            }
        };
        if body == Body::Chunked
            && let Some((at, why)) = refusal::chunk_fault(&input[len..])
        {
            return junk(s, Why::Chunk(why), len + at, cx);
        }
        if s.txn.response.status() == 101 && lacks_accept(s) {
            return junk(s, Why::Upgrade, len, cx);
        }
        if s.is_logged(cx.site) {
            s.txn.count_head(body);
        }
        match s.txn.response.status() {
            101 if s.txn.is(TxnFlags::UPGRADE) && switches_as_asked(s) => {
                s.txn.flags.set(TxnFlags::SWITCHES);
                return understood(s, len, body, cx);
            }
            101 => return junk(s, Why::Upgrade, len, cx),
            100..=199 if !planted!(InterimFinal) => {
                if !interim(s, len, cx) {
                    return junk(s, Why::TooLarge, len, cx);
                }
            }
            _ if body == Body::Tunnel => {
                s.txn.flags.set(TxnFlags::SWITCHES);
                return understood(s, len, body, cx);
            }
            status if RetryOn::status(status).is_some_and(|bit| asks_again(s, bit, cx)) => {
                return Verdict::Stop;
            }
            status => {
                if matches!(status, 401 | 407) && authenticates_connection(s) {
                    s.flags.set(SessionFlags::PRIVATE);
                }
                return understood(s, len, body, cx);
            }
        }
    }
}

/// The head of the final answer is there, `len` bytes of it.
#[inline]
fn understood(s: &mut Session, len: usize, body: Body, cx: &Cx<'_>) -> Verdict {
    s.txn.status = s.txn.response.status();
    s.txn.head_len = len as u32;
    s.txn.response_flow = Flow::of(body);
    s.txn.flags.set(TxnFlags::RESPONSE);
    s.times.response = Some(cx.now.mono);
    s.res.analysers.set(Analysers::PROCESS_RESPONSE);
    Verdict::Done
}

/// What is wrong with the lines that are there, of a head that is not whole.
fn foreseen(s: &mut Session, limits: &HeadLimits, cx: &mut Cx<'_>) -> Option<(usize, Why)> {
    let txn = &mut s.txn;
    let (scan, head, input) = (&mut txn.response_scan, &mut txn.response, s.res.input());
    let body = |head: &Head| response_body(head, txn.request.method());
    refusal::foreseen(scan, input, head, limits, cx.scratch, body)
}

/// The head is not whole: is it still to be waited for?
fn incomplete(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    if s.res.is(Facts::READ_TIMEOUT) {
        s.res.facts.clear(Facts::READ_TIMEOUT);
        refusal::count(s, Direction::Response);
        if !asks_again(s, RetryOn::RESPONSE_TIMEOUT, cx) {
            s.ends_in(Cause::ServerTimeout, Phase::Headers);
            answer(s, 504, cx);
        }
        return Verdict::Stop;
    }
    if s.res.is(Facts::SHUTR) {
        return ended(s, cx);
    }
    let limit = (cx.site.tunables.bufsize - cx.site.tunables.maxrewrite) as usize;
    if s.res.input().len() >= limit {
        return junk(s, Why::TooLarge, limit, cx);
    }
    Verdict::Wait
}

/// The server's connection ended before its answer was whole.
fn ended(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    let silent = !s.flags.has(SessionFlags::ANSWERED);
    let reused = s.flags.has(SessionFlags::REUSED);
    let unsent = !s.flags.has(SessionFlags::SENT);
    if silent && asks_again(s, RetryOn::EMPTY_RESPONSE, cx) {
        return Verdict::Stop;
    }
    if silent && reused && can_resend(s) && (unsent || is_idempotent(s)) {
        sometimes!(ReuseRetry);
        retry(s, false);
        return Verdict::Stop;
    }
    refusal::count(s, Direction::Response);
    s.ends_in(Cause::Server, Phase::Headers);
    if silent && reused {
        // Nobody knows whether the server did it: the client learns what it would have without us.
        s.abort(cx);
    } else {
        answer(s, 502, cx);
    }
    Verdict::Stop
}

/// Whether a 101 that is about WebSocket lacks what proves that it was understood (RFC 6455 section
/// 4.2.2).
fn lacks_accept(s: &Session) -> bool {
    (names_websocket(&s.txn.request) || names_websocket(&s.txn.response))
        && s.txn.response.named(b"sec-websocket-accept").next().is_none()
}

/// A switch goes through so many protocols at most: each is looked for among those offered.
const LAYERS_MAX: usize = 8;

/// Whether a 101 says what it switches to, for this hop, and the client offered that (RFC 9110
/// section 7.8).
fn switches_as_asked(s: &Session) -> bool {
    let (request, response) = (&s.txn.request, &s.txn.response);
    if !connection(response).upgrade {
        return false;
    }
    let chosen = || elements_of(response, Known::Upgrade).take(LAYERS_MAX + 1);
    (1..=LAYERS_MAX).contains(&chosen().count())
        && chosen().all(|protocol| {
            elements_of(request, Known::Upgrade).any(|one| one.eq_ignore_ascii_case(protocol))
        })
}

/// Whether the server asks for NTLM or Negotiate, which authenticate connections and not requests:
/// nobody else's requests may go there from now on.
fn authenticates_connection(s: &Session) -> bool {
    let asked = [&b"www-authenticate"[..], b"proxy-authenticate"];
    let mut values = asked.into_iter().flat_map(|name| s.txn.response.named(name));
    values.any(|value| {
        let scheme = value.split(|b| *b == b' ').next().unwrap_or(value);
        scheme.eq_ignore_ascii_case(b"ntlm") || scheme.eq_ignore_ascii_case(b"negotiate")
    })
}

/// Sends the request once more if `retry-on` has this failure, an attempt is left, and it can be
/// done.
fn asks_again(s: &mut Session, failure: RetryOn, cx: &Cx<'_>) -> bool {
    let backend = cx.site.proxy(s.backend);
    let may = backend.retry_on.has(failure) && !s.flags.has(SessionFlags::NO_RETRY);
    if !may || s.back.retries_left == 0 || !can_resend(s) {
        return false;
    }
    s.back.retries_left -= 1;
    let elsewhere = s.redispatches(cx.site);
    retry(s, elsewhere);
    true
}

/// Whether the request can be sent once more: nothing of its body has left our hands, and the
/// client was not told anything yet.
fn can_resend(s: &Session) -> bool {
    planted!(RetryAnswered) || s.request_body_taken() == 0 && !s.txn.is(TxnFlags::INTERIM)
}

/// Whether sending it twice does no more than sending it once (RFC 9110 section 9.2.2).
fn is_idempotent(s: &Session) -> bool {
    matches!(
        s.txn.request.method(),
        Method::Get | Method::Head | Method::Put | Method::Delete | Method::Options | Method::Trace
    )
}

/// Sends the request again, to the same server or another, on a fresh connection.
fn retry(s: &mut Session, elsewhere: bool) {
    s.back.state.step(Step::Fail);
    if elsewhere {
        s.flags.set(SessionFlags::ELSEWHERE);
    }
    s.tries_again();
    s.flags.set(SessionFlags::DROP_SERVER);
    s.flags.set(SessionFlags::FRESH);
    s.times.connected = None;
    if let Some(buf) = &mut s.req.buf {
        let unsent = buf.output_len();
        sometimes!(HalfSentRetry, unsent > 0);
        buf.sent(unsent);
        s.req.added -= unsent as i64;
    }
    s.req.analysers.clear(Analysers::FORWARD_REQUEST);
    s.req.to_forward = 0;
    s.txn.flags.clear(TxnFlags::BODY_STARTED);
    s.res.analysers = Analysers::NONE;
    s.res.read_expiry = Deadline::NEVER;
    s.req.write_expiry = Deadline::NEVER;
    s.txn.response_scan = HeadScan::response();
    s.txn.head_bytes = 0;
    if let Some(buf) = &mut s.res.buf {
        s.res.added -= buf.input_len() as i64;
        buf.drop_input();
    }
}

/// The answer makes no sense.
#[cold]
fn junk(s: &mut Session, why: Why, at: usize, cx: &mut Cx<'_>) -> Verdict {
    refusal::keep(s, Direction::Response, why, at, cx);
    if !asks_again(s, RetryOn::JUNK_RESPONSE, cx) {
        s.ends_in(Cause::Proxy, Phase::Headers);
        answer(s, 502, cx);
    }
    Verdict::Stop
}

/// Passes an interim answer on (not to HTTP/1.0, which knows none), without what is for this hop
/// and without a word of a body, which it can't have. False if it does not fit.
fn interim(s: &mut Session, len: usize, cx: &mut Cx<'_>) -> bool {
    cx.scratch.clear();
    // It has no body, and what it says of the connection is for us.
    if strip_hop_by_hop(&mut s.txn.response, UpgradeField::Strip).close {
        s.txn.flags.set(TxnFlags::SERVER_CLOSE);
    }
    if s.txn.request.version() == Version::V11 {
        sometimes!(InterimPassed);
        s.txn.flags.set(TxnFlags::INTERIM);
        settle(&mut s.txn.response, Body::None);
        write_response(&s.txn.response, s.txn.response.version(), cx.scratch);
    }
    s.txn.response_scan = HeadScan::response();
    s.txn.response.clear();
    put_head(s, len, cx)
}

/// Puts the head in `cx.scratch` in the place of the first `len` bytes of the response's input.
#[inline]
pub(super) fn put_head(s: &mut Session, len: usize, cx: &mut Cx<'_>) -> bool {
    let head = &*cx.scratch;
    put(&mut s.res, cx.pools, cx.now.mono, len, head.len(), |gap| gap.copy_from_slice(head))
}

/// Writes the response's head, as it is now, in the place of the first `len` bytes of the input.
#[inline]
pub(super) fn put_response(s: &mut Session, len: usize, cx: &mut Cx<'_>) -> bool {
    let head = &s.txn.response;
    let write = |gap: &mut [u8]| fill_response(head, head.version(), gap);
    put(&mut s.res, cx.pools, cx.now.mono, len, head.wire_len(), write)
}

/// Puts `new` bytes that `write` writes in the place of the first `old` of the input.
#[inline]
fn put(
    channel: &mut Channel,
    pools: &mut Pools,
    now: Instant,
    old: usize,
    new: usize,
    write: impl Fn(&mut [u8]),
) -> bool {
    let Some(mut buf) = channel.buf.take() else { return false };
    let mut fits = buf.replace_with(old, new, &write);
    if !fits {
        buf = pools.grow(buf, Class::Forward);
        fits = buf.replace_with(old, new, &write);
    }
    channel.buf = Some(buf);
    if fits {
        channel.added += new as i64 - old as i64;
        channel.await_writer(now);
    }
    fits
}

/// From here on the bytes pass as they are, both ways: 101, or a CONNECT that was granted.
pub(super) fn tunnel(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    cx.scratch.clear();
    settle(&mut s.txn.response, Body::Tunnel);
    // What else it says of the connection is for us; mostly there is nothing.
    let said = connection(&s.txn.response);
    let odd = said.nominates || said.keep_alive || said.close;
    if odd || !said.upgrade || s.txn.response.has(Known::KeepAlive) {
        strip_hop_by_hop(&mut s.txn.response, UpgradeField::Keep);
    }
    write_response(&s.txn.response, s.txn.response.version(), cx.scratch);
    if !put_head(s, s.txn.head_len as usize, cx) {
        s.ends_in(Cause::Proxy, Phase::Headers);
        answer(s, 502, cx);
        return Verdict::Stop;
    }
    s.txn.flags.set(TxnFlags::TUNNEL);
    s.txn.response_flow = Flow::Done;
    s.txn.request_flow = Flow::Done;
    s.body_begins();
    let backend = cx.site.proxy(s.backend);
    let tunnel = s.txn.tunnel_timeout.or(backend.timeouts.tunnel);
    for channel in [&mut s.req, &mut s.res] {
        channel.analysers = Analysers::NONE;
        channel.to_forward = FOREVER;
        channel.facts.set(Facts::AUTO_CLOSE);
        channel.forward();
        if tunnel.is_some() {
            channel.read_timeout = tunnel;
            channel.write_timeout = tunnel;
        }
        channel.await_reader(cx.now.mono);
        channel.await_writer(cx.now.mono);
    }
    s.allow_splice(cx.site);
    Verdict::Stop
}
