//! How long is the body: the core's decision against the reference's, over lines that are all about
//! that; and a decision that is written down is read again as the same.

use tidegate_core::http::{
    Body, Head, HeadLimits, HeadScan, Method, Scan, request_body, response_body, settle,
    write_request, write_response,
};

use crate::reference::{self, Kind, Read, body::Framing};
use crate::{Target, lines, reference::body, texts};

/// The target.
pub const TARGET: Target = Target { name: "framing", run, seeds, words: texts::words };

/// What the first byte chooses: the start line, and the method of the request that is answered.
const STARTS: &[(&str, &str)] = &[
    ("POST / HTTP/1.1", ""),
    ("POST / HTTP/1.0", ""),
    ("GET / HTTP/1.1", ""),
    ("CONNECT a:1 HTTP/1.1", ""),
    ("HTTP/1.1 200 OK", "GET"),
    ("HTTP/1.0 200 OK", "GET"),
    ("HTTP/1.1 200 OK", "HEAD"),
    ("HTTP/1.1 200 OK", "CONNECT"),
    ("HTTP/1.1 407 No", "CONNECT"),
    ("HTTP/1.1 100 Continue", "GET"),
    ("HTTP/1.1 101 Switching", "GET"),
    ("HTTP/1.1 204 No Content", "GET"),
    ("HTTP/1.1 304 Not Modified", "GET"),
];

/// Runs the target: a start line is chosen by the first byte, the rest are its fields, each ended
/// by LF alone, so that few bytes are needed.
pub fn run(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let (start, method) = STARTS[usize::from(*choice) % STARTS.len()];
    let mut input = format!("{start}\r\n").into_bytes();
    for line in rest.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        input.extend_from_slice(line);
        input.extend_from_slice(b"\r\n");
    }
    input.extend_from_slice(b"\r\n");
    let kind = if method.is_empty() { Kind::Request } else { Kind::Response };
    check(kind, &input, method);
}

fn check(kind: Kind, input: &[u8], method: &str) {
    let Some(mut head) = parsed(kind, input) else { return };
    let Read::Whole(seen, _) = reference::head(kind, input) else {
        panic!("the reference reads no head in {}", lines(&head));
    };
    let expected = decided(kind, &seen, method);
    let found = decide(kind, &head, method);
    assert_eq!(found.ok().map(as_reference), expected, "{found:?}: {}", lines(&head));
    let Ok(found) = found else { return };

    settle(&mut head, found);
    let mut wire = Vec::new();
    match kind {
        Kind::Request => write_request(&head, &mut wire),
        Kind::Response => write_response(&head, head.version(), &mut wire),
    }
    let again = parsed(kind, &wire).expect("what is written is read again");
    assert_eq!(decide(kind, &again, method), Ok(found), "{}", lines(&again));
    let Read::Whole(seen, used) = reference::head(kind, &wire) else {
        panic!("the reference does not read what was written: {}", lines(&again));
    };
    assert_eq!(used, wire.len());
    assert_eq!(decided(kind, &seen, method), expected, "{}", lines(&again));
    let codings = seen.values("transfer-encoding").count();
    let lengths = seen.values("content-length").count();
    assert!(codings + lengths <= 1, "two framings: {}", lines(&again));
}

fn parsed(kind: Kind, input: &[u8]) -> Option<Head> {
    let mut scan = match kind {
        Kind::Request => HeadScan::request(),
        Kind::Response => HeadScan::response(),
    };
    let mut head = Head::new();
    match scan.parse(input, &mut head, &HeadLimits::default()) {
        Scan::Complete { .. } => Some(head),
        _ => None,
    }
}

fn decide(
    kind: Kind,
    head: &Head,
    method: &str,
) -> Result<Body, tidegate_core::http::FramingError> {
    match kind {
        Kind::Request => request_body(head),
        Kind::Response => response_body(head, Method::recognise(method.as_bytes())),
    }
}

fn decided(kind: Kind, head: &reference::Head, method: &str) -> Option<Framing> {
    match kind {
        Kind::Request => body::of_request(head),
        Kind::Response => body::of_response(head, method.as_bytes()),
    }
}

/// The core's decision in the reference's words.
pub fn as_reference(body: Body) -> Framing {
    match body {
        Body::None => Framing::None,
        Body::Length(length) => Framing::Length(length),
        Body::Chunked => Framing::Chunked,
        Body::UntilClose => Framing::UntilClose,
        Body::Tunnel => Framing::Tunnel,
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let fields = [
        "",
        "Content-Length: 5",
        "Content-Length: 5, 5",
        "Content-Length: 5\nContent-Length: 6",
        "Content-Length: 0005\nA: b\nContent-Length: 5",
        "Content-Length: 9223372036854775807",
        "Content-Length: 9223372036854775808",
        "Content-Length: 18446744073709551616",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "Content-Length:",
        "Content-Length: ,5",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: CHUNKED\nContent-Length: 5",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked\nTransfer-Encoding: chunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding:\tchunked\t",
        "Transfer-Encoding: chunked, identity",
        "Connection: content-length, transfer-encoding\nContent-Length: 3",
    ];
    let starts = (0..STARTS.len() as u8).cycle();
    let seed = |(start, text): (u8, &str)| [&[start], text.as_bytes()].concat();
    let all = starts.zip(fields).chain([0, 4].into_iter().cycle().zip(fields));
    all.map(seed).collect()
}
