//! What is noted of a message that is refused, for the counters and for `show errors`. Off the hot
//! path: nothing here runs unless something is wrong.

use crate::http::{
    Body, Chunk, ChunkDecoder, ChunkError, FramingError, Head, HeadLimits, HeadScan, Known, Scan,
};
use crate::proxy::shared::errors::{Direction, Message, Why};
use crate::session::{Cx, Refusal, Session};
use crate::txn::Flow;

/// Notes a message that came incomplete, too late or not at all: it is only counted.
#[cold]
pub(super) fn count(s: &mut Session, direction: Direction) {
    s.errands_mut().refusal.get_or_insert(Refusal { direction, message: None });
}

/// Notes a malformed message: it is counted and kept. `at` is counted from the start of what its
/// channel holds and has not released.
#[cold]
pub(super) fn keep(s: &mut Session, direction: Direction, why: Why, at: usize, cx: &Cx<'_>) {
    let (channel, flow) = match direction {
        Direction::Request => (&mut s.req, &s.txn.request_flow),
        Direction::Response => (&mut s.res, &s.txn.response_flow),
    };
    let chunk_left = match flow {
        Flow::Chunked(recoder) => recoder.decoder.left(),
        _ => 0,
    };
    let held = channel.buf.as_mut();
    let (free, size) = held.map_or((0, 0), |buf| (buf.room().len(), buf.capacity()));
    let held = channel.buf.as_ref();
    let (input, out) = held.map_or((&[][..], 0), |buf| (buf.input(), buf.output_len()));
    let bytes = &input[..input.len().min(cx.site.tunables.bufsize as usize)];
    let body = match direction {
        Direction::Request => 0,
        Direction::Response => s.txn.body_bytes,
    };
    let at = at.min(bytes.len());
    let message = Message { why, at, bytes: bytes.into(), out, free, size, chunk_left, body };
    s.errands_mut().refusal = Some(Refusal { direction, message: Some(message) });
}

/// The fault in what is there of a chunked body, if there is one already, and where.
pub(super) fn chunk_fault(bytes: &[u8]) -> Option<(usize, ChunkError)> {
    let mut decoder = ChunkDecoder::default();
    let mut at = 0;
    loop {
        let before = decoder;
        match decoder.step(&bytes[at..]) {
            Chunk::Bad(why) => return Some((at + fault_at(before, &bytes[at..]), why)),
            Chunk::NeedMore | Chunk::End(_) => return None,
            Chunk::Skip(n) | Chunk::Data(n) => at += n,
        }
    }
}

/// What is wrong already with the lines of a head that is not whole, and where: lengths that
/// differ, say. `head` is left empty.
#[cold]
pub(super) fn foreseen(
    scan: &mut HeadScan,
    input: &[u8],
    head: &mut Head,
    limits: &HeadLimits,
    scratch: &mut Vec<u8>,
    body: impl Fn(&Head) -> Result<Body, FramingError>,
) -> Option<(usize, Why)> {
    let lines = scan.decisive_lines(input)?;
    scratch.clear();
    scratch.extend_from_slice(lines);
    scratch.extend_from_slice(b"\r\n");
    let fault = match scan.again().parse(scratch, head, limits) {
        Scan::Bad { at, why } => Some((at, Why::Head(why))),
        Scan::NeedMore => None,
        Scan::Complete { .. } => {
            body(head).err().map(|why| (framing_at(scratch), Why::Framing(why)))
        }
    };
    head.clear();
    fault
}

/// Where in the bytes the decoder fails.
#[cold]
pub(super) fn fault_at(mut decoder: ChunkDecoder, bytes: &[u8]) -> usize {
    let fails = |byte: &u8| matches!(decoder.step(&[*byte]), Chunk::Bad(_));
    bytes.iter().position(fails).unwrap_or(bytes.len())
}

/// Where in a head the last field stands that frames it.
#[cold]
pub(super) fn framing_at(head: &[u8]) -> usize {
    let (mut at, mut found) = (0, 0);
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let names = [Known::ContentLength, Known::TransferEncoding].map(Known::name);
        let is = |name: &&str| {
            let start = line.get(..name.len()).unwrap_or_default();
            start.eq_ignore_ascii_case(name.as_bytes()) && line.get(name.len()) == Some(&b':')
        };
        if let Some(name) = names.iter().find(|name| is(name)) {
            let value = &line[name.len() + 1..];
            let blanks = value.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
            found = at + name.len() + 1 + blanks;
        }
        at += line.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_found_where_they_are() {
        for (bytes, expected) in [
            (&b"5\r\nhello\r\n"[..], None),
            (b"5\r\nhelloXX", Some((8, ChunkError::DataEnd))),
            (b"5\r\nhello\r\n0x", Some((11, ChunkError::Size))),
            (b"5;a\nb", Some((3, ChunkError::Extension))),
            (b"0\r\nA : b\r\n\r\n", Some((4, ChunkError::Trailer))),
        ] {
            assert_eq!(chunk_fault(bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn the_last_field_that_frames() {
        let head = b"POST / HTTP/1.1\r\nContent-Length: 5\r\nA: b\r\ntransfer-encoding:\tx\r\n\r\n";
        assert_eq!(framing_at(head), 61);
        assert_eq!(framing_at(b"GET / HTTP/1.1\r\n\r\n"), 0);
    }
}
