//! Passes bodies: by `to_forward` where the length is known, decoded and encoded anew where it is
//! chunked.

use super::{Verdict, answer, refusal};
use crate::buf::Buf;
use crate::channel::{Analysers, Facts};
use crate::fault::{Cause, Phase};
use crate::http::{CHUNK_HEAD_MAX, Chunk, ChunkError, LAST_CHUNK, fill_request, write_chunk_head};
use crate::pool::{Class, Pools};
use crate::proxy::shared::errors::{Direction, Why};
use crate::session::{Cx, Session};
use crate::side::State;
use crate::sometimes;
use crate::time::Deadline;
use crate::txn::{Flow, Recoder, TxnFlags};

/// Passes the request's head, once per connection, then its body.
#[inline]
pub(super) fn request(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    if s.back.state != State::Established {
        return Verdict::Wait;
    }
    if !s.txn.is(TxnFlags::HEAD_QUEUED) && !queue_head(s, cx) {
        s.ends_in(Cause::Internal, Phase::Connect);
        answer(s, 500, cx);
        return Verdict::Stop;
    }
    match s.txn.request_flow {
        Flow::Length(n) if !s.txn.is(TxnFlags::BODY_STARTED) => {
            s.txn.flags.set(TxnFlags::BODY_STARTED);
            s.req.to_forward = n;
            s.req.forward();
            s.allow_splice(cx.site);
        }
        Flow::Chunked(_) => {
            let moved = recode(&mut s.txn.request_flow, &mut s.req.buf, false, cx.pools);
            s.req.added += moved.grown;
            if moved.bad {
                note_fault(s, Direction::Request, moved.fault, cx);
                return refuse_body(s, cx);
            }
        }
        _ => {}
    }
    if matches!(s.txn.request_flow, Flow::Length(_)) && s.req.to_forward == 0 {
        s.txn.request_flow = Flow::Done;
    }
    s.req.await_writer(cx.now.mono);
    if s.txn.request_flow.is_done() {
        s.req.read_expiry = Deadline::NEVER;
        return Verdict::Done;
    }
    if s.req.is(Facts::SHUTR) && !s.req.is(Facts::SHUTW) {
        // The client ended in the middle of its body.
        sometimes!(BodyAborted);
        s.ends(Cause::Client);
        s.abort(cx);
        return Verdict::Stop;
    }
    if !s.req.read_expiry.is_set() {
        s.req.await_reader(cx.now.mono);
    }
    Verdict::Wait
}

/// A body that is no body: the server never sees its end.
fn refuse_body(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    if s.txn.is(TxnFlags::RESPONSE) {
        // Its answer has begun, or was given: the client gets what there is of it.
        s.ends_in(Cause::Proxy, Phase::Data);
        s.req.analysers = Analysers::NONE;
        let _ = truncate(s);
    } else {
        s.ends_in(Cause::Proxy, Phase::Headers);
        answer(s, 400, cx);
    }
    Verdict::Stop
}

#[cold]
fn note_fault(
    s: &mut Session,
    direction: Direction,
    fault: Option<(usize, ChunkError)>,
    cx: &Cx<'_>,
) {
    match fault {
        Some((at, why)) => refusal::keep(s, direction, Why::Chunk(why), at, cx),
        None => refusal::count(s, direction),
    }
}

/// Writes the request's head in front of what is there of its body.
#[inline]
fn queue_head(s: &mut Session, cx: &mut Cx<'_>) -> bool {
    if let Some(name) = &cx.site.proxy(s.backend).send_name_header
        && s.has_server()
    {
        let server = &cx.site.server(s.back.server).name;
        s.txn.request.set(name.as_bytes(), server.as_bytes());
    }
    let head = &s.txn.request;
    let len = head.wire_len();
    let mut buf = match s.req.buf.take() {
        Some(buf) => buf,
        None => cx.pools.take(Class::Large),
    };
    let mut fits = buf.replace_with(0, len, |gap| fill_request(head, gap));
    if !fits {
        buf = cx.pools.grow(buf, Class::Forward);
        fits = buf.replace_with(0, len, |gap| fill_request(head, gap));
    }
    s.req.buf = Some(buf);
    if fits {
        s.req.added += len as i64;
        s.txn.flags.set(TxnFlags::HEAD_QUEUED);
    }
    fits
}

/// Passes the response's body until its end, or as far as the server sends it.
#[inline]
pub(super) fn response(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    let unchunk = s.txn.is(TxnFlags::UNCHUNK);
    match s.txn.response_flow {
        Flow::Chunked(_) => {
            let moved = recode(&mut s.txn.response_flow, &mut s.res.buf, unchunk, cx.pools);
            s.res.added += moved.grown;
            // HAProxy's log counts 1 for the end of the trailers, which are dropped here.
            s.txn.body_bytes += moved.data + u64::from(s.txn.response_flow.is_done());
            if moved.bad {
                note_fault(s, Direction::Response, moved.fault, cx);
                s.ends_in(Cause::Server, Phase::Data);
                return truncate(s);
            }
        }
        Flow::Length(_) => {
            s.res.forward();
            if s.res.to_forward == 0 {
                s.txn.response_flow = Flow::Done;
            }
            s.txn.body_bytes = s.released_body();
        }
        Flow::UntilClose => {
            s.res.forward();
            s.txn.body_bytes = s.released_body();
            if s.res.is(Facts::EOF) {
                s.txn.response_flow = Flow::Done;
            }
        }
        Flow::Head | Flow::Done => {}
    }
    s.res.await_writer(cx.now.mono);
    if s.txn.response_flow.is_done() {
        s.res.read_expiry = Deadline::NEVER;
        return Verdict::Done;
    }
    if s.res.is(Facts::READ_TIMEOUT) {
        s.ends_in(Cause::ServerTimeout, Phase::Data);
        return truncate(s);
    }
    if s.res.is(Facts::SHUTR) {
        s.ends_in(Cause::Server, Phase::Data);
        return truncate(s);
    }
    Verdict::Wait
}

/// The body will not be whole: the client gets what there is, and then the connection's end where
/// none belongs; or a reset where the end would say that it is whole.
fn truncate(s: &mut Session) -> Verdict {
    sometimes!(AnswerTruncated);
    let until_close = matches!(s.txn.response_flow, Flow::UntilClose);
    if until_close || s.txn.is(TxnFlags::UNCHUNK) && !s.txn.response_flow.is_done() {
        s.txn.flags.set(TxnFlags::CUT);
    }
    s.txn.response_flow = Flow::Done;
    s.txn.flags.set(TxnFlags::CLIENT_CLOSE.with(TxnFlags::SERVER_CLOSE));
    s.res.to_forward = 0;
    s.res.facts.clear(Facts::READ_TIMEOUT);
    s.res.read_expiry = Deadline::NEVER;
    if let Some(buf) = &mut s.res.buf {
        s.res.added -= buf.input_len() as i64;
        buf.drop_input();
    }
    s.close_back();
    Verdict::Done
}

/// What recoding a chunked body did.
#[derive(Default)]
struct Moved {
    /// Bytes of the body.
    data: u64,
    /// Bytes that went out, less bytes that came in.
    grown: i64,
    /// The coding is broken.
    bad: bool,
    /// Where in what is left, and how.
    fault: Option<(usize, ChunkError)>,
}

/// Decodes what is there of a chunked body and encodes it anew, in place. With `bare` no framing
/// goes out at all. Over a whole body no more goes out than came in, but framing that came in two
/// pieces may have to go out in one: what does not fit into the gap is put in by moving.
fn recode(flow: &mut Flow, buf: &mut Option<Buf>, bare: bool, pools: &mut Pools) -> Moved {
    let mut moved = Moved::default();
    loop {
        let (Flow::Chunked(recoder), Some(held)) = (&mut *flow, buf.as_mut()) else {
            return moved;
        };
        let (before, pass) = (held.len(), held.rewrite(|bytes| pass(recoder, bytes, bare)));
        let Some(mut held) = buf.take() else { return moved };
        let owed = &pass.owed[..pass.owed_len];
        if !owed.is_empty() && !held.replace(0, owed) {
            held = pools.grow(held, Class::Forward);
            moved.bad = !held.replace(0, owed);
        }
        moved.data += pass.data;
        moved.grown += held.len() as i64 - before as i64;
        *buf = Some(held);
        moved.bad |= pass.fault.is_some();
        moved.fault = pass.fault;
        if pass.done {
            *flow = Flow::Done;
        }
        if !pass.again || moved.bad {
            return moved;
        }
    }
}

/// One pass with two cursors: `taken` reads, `kept` writes, and never overtakes.
#[derive(Default)]
struct Pass {
    kept: usize,
    taken: usize,
    data: u64,
    done: bool,
    /// What is wrong, and where behind what was taken.
    fault: Option<(usize, ChunkError)>,
    /// Framing that did not fit into the gap; the pass stopped there.
    owed: [u8; CHUNK_HEAD_MAX + 8],
    owed_len: usize,
    again: bool,
}

fn pass(recoder: &mut Recoder, bytes: &mut [u8], bare: bool) -> (usize, usize, Pass) {
    let mut p = Pass::default();
    while p.taken < bytes.len() && p.owed_len == 0 {
        let before = recoder.decoder;
        match recoder.decoder.step(&bytes[p.taken..]) {
            Chunk::NeedMore => break,
            Chunk::Skip(n) => {
                p.taken += n;
                if bare {
                    continue;
                }
                let mut framing = [0; CHUNK_HEAD_MAX + 2];
                let mut len = 0;
                if recoder.open && recoder.decoder.is_between() || recoder.decoder.left() > 0 {
                    if recoder.open {
                        framing[..2].copy_from_slice(b"\r\n");
                        len = 2;
                    }
                    recoder.open = recoder.decoder.left() > 0;
                }
                if recoder.decoder.left() > 0 {
                    let mut line = [0; CHUNK_HEAD_MAX];
                    let n = write_chunk_head(recoder.decoder.left(), &mut line);
                    framing[len..len + n].copy_from_slice(&line[..n]);
                    len += n;
                }
                p.put(bytes, &framing[..len]);
            }
            Chunk::Data(n) => {
                if p.kept < p.taken {
                    bytes.copy_within(p.taken..p.taken + n, p.kept);
                }
                p.kept += n;
                p.taken += n;
                p.data += n as u64;
            }
            Chunk::End(n) => {
                p.taken += n;
                if !bare {
                    let end = [&b"\r\n"[..], LAST_CHUNK].concat();
                    p.put(bytes, if recoder.open { &end } else { LAST_CHUNK });
                }
                p.done = true;
                break;
            }
            Chunk::Bad(why) => {
                p.fault = Some((refusal::fault_at(before, &bytes[p.taken..]), why));
                break;
            }
        }
    }
    p.again = p.owed_len > 0 && !p.done;
    (p.kept, p.taken, p)
}

impl Pass {
    fn put(&mut self, bytes: &mut [u8], what: &[u8]) {
        if self.kept + what.len() <= self.taken {
            bytes[self.kept..self.kept + what.len()].copy_from_slice(what);
            self.kept += what.len();
        } else {
            self.owed[..what.len()].copy_from_slice(what);
            self.owed_len = what.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::spec::Tunables;

    /// Feeds `input` in pieces of `size` bytes and drains what comes out.
    fn run(input: &[u8], size: usize, bare: bool) -> (Vec<u8>, bool, usize) {
        let mut pools = Pools::new(&Tunables::default());
        let mut flow = Flow::of(crate::http::Body::Chunked);
        let mut buf = Some(pools.take(Class::Large));
        let (mut out, mut data) = (Vec::new(), 0);
        for piece in input.chunks(size) {
            let held = buf.as_mut().expect("kept");
            assert!(held.append(piece));
            let moved = recode(&mut flow, &mut buf, bare, &mut pools);
            if moved.bad {
                return (out, false, data);
            }
            data += moved.data as usize;
            let held = buf.as_mut().expect("kept");
            out.extend_from_slice(held.output());
            held.sent(held.output_len());
        }
        (out, flow.is_done(), data)
    }

    #[test]
    fn chunks_are_encoded_anew_however_they_are_cut() {
        let input = b"05;x=\"y\"\r\nhello\r\n1\r\n!\r\n000A \r\n0123456789\r\n0\r\nA: b\r\n\r\n";
        for size in 1..=input.len() {
            let (out, done, data) = run(input, size, false);
            let expected = b"5\r\nhello\r\n1\r\n!\r\na\r\n0123456789\r\n0\r\n\r\n";
            assert_eq!(
                String::from_utf8_lossy(&out).to_ascii_lowercase().as_bytes(),
                expected,
                "in pieces of {size}"
            );
            assert!(done && data == 16, "in pieces of {size}");
            assert_eq!(run(input, size, true).0, b"hello!0123456789");
        }
    }

    #[test]
    fn a_chunk_ends_as_soon_as_its_end_came() {
        assert_eq!(run(b"5\r\nhello\r\n", 100, false).0, b"5\r\nhello\r\n");
        assert_eq!(run(b"5\r\nhello\r\n", 1, false).0, b"5\r\nhello\r\n");
        assert_eq!(run(b"5\r\nhel", 100, false).0, b"5\r\nhel");
    }

    #[test]
    fn broken_framing_is_an_error_in_every_cut() {
        for size in 1..9 {
            assert!(!run(b"5\r\nhelloX\r\n", size, false).1);
            assert!(!run(b"0x5\r\nhello\r\n", size, false).1);
        }
    }
}
