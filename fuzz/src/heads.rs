//! Heads of requests and responses: what the core makes of them, however they are cut, is what the
//! reference makes of them; what it writes is read again as the same by both; and what was meant
//! for one hop does not get further.

use tidegate_core::http::{
    Head, HeadLimits, HeadScan, Method, Scan, UpgradeField, Version, request_body, response_body,
    settle, strip_hop_by_hop, write_request, write_response,
};

use crate::reference::{self, Kind, Read, Start, body};
use crate::{Target, lines, texts};

/// Requests.
pub const REQUEST: Target =
    Target { name: "request_head", run: request, seeds: texts::requests, words: texts::words };

/// Responses.
pub const RESPONSE: Target =
    Target { name: "response_head", run: response, seeds: texts::responses, words: texts::words };

/// Runs `request_head`.
pub fn request(data: &[u8]) {
    check(Kind::Request, data);
}

/// Runs `response_head`.
pub fn response(data: &[u8]) {
    check(Kind::Response, data);
}

fn check(kind: Kind, input: &[u8]) {
    let (found, head) = feed(kind, input, &[]);
    check_cuts(kind, input, &found, &head);
    match (reference::head(kind, input), found) {
        (Read::Whole(expected, used), Scan::Complete { skip, len }) => {
            assert_eq!(skip + len, used, "the head ends elsewhere");
            assert_same(&head, &expected);
            check_written(kind, &head);
            check_hop(kind, head);
        }
        (Read::Partial, Scan::NeedMore) => {}
        (Read::Partial, Scan::Bad { .. }) => check_refused_early(kind, input),
        (Read::Bad, Scan::Bad { at, .. }) => assert!(at <= input.len(), "a fault at {at}"),
        (expected, found) => panic!("{found:?}, and the reference has {expected:?}"),
    }
}

/// What was refused before its end came would have been refused with any end.
fn check_refused_early(kind: Kind, input: &[u8]) {
    let whole: &[u8] = match kind {
        Kind::Request => b"OPTIONS / HTTP/1.1\r\na: b\r\n\r\n",
        Kind::Response => b"HTTP/1.1 200 OK\r\na: b\r\n\r\n",
    };
    for at in 0..whole.len() {
        let end = &whole[at..];
        let found = reference::head(kind, &[input, end].concat());
        assert!(!matches!(found, Read::Whole(..)), "good with {}", end.escape_ascii());
    }
}

/// Gives a scan the input as far as each of the cuts, then whole.
fn feed(kind: Kind, input: &[u8], cuts: &[usize]) -> (Scan, Head) {
    let mut scan = match kind {
        Kind::Request => HeadScan::request(),
        Kind::Response => HeadScan::response(),
    };
    let mut head = Head::new();
    for cut in cuts.iter().copied().chain([input.len()]) {
        let found = scan.parse(&input[..cut], &mut head, &HeadLimits::default());
        if found != Scan::NeedMore {
            return (found, head);
        }
    }
    (Scan::NeedMore, head)
}

/// However it arrives, the same is found: byte by byte, and in two parts cut at some places.
fn check_cuts(kind: Kind, input: &[u8], found: &Scan, head: &Head) {
    let bytewise: Vec<usize> = (0..input.len()).collect();
    let once = |cuts: &[usize]| {
        let (other, other_head) = feed(kind, input, cuts);
        assert_eq!(other, *found, "cut at {cuts:?}");
        assert!(other_head.fields().eq(head.fields()), "cut at {cuts:?}");
        assert_eq!(other_head.target(), head.target(), "cut at {cuts:?}");
    };
    once(&bytewise);
    for cut in crate::cuts(input, 8) {
        once(&[cut]);
    }
}

fn assert_same(head: &Head, expected: &reference::Head) {
    let minor = u8::from(head.version() == Version::V11);
    assert_eq!(minor, expected.minor, "the version");
    match &expected.start {
        Start::Request(method, target) => {
            assert_eq!((head.method_bytes(), head.target()), (&method[..], &target[..]));
        }
        Start::Response(status, reason) => {
            assert_eq!((head.status(), head.reason()), (*status, &reason[..]));
        }
    }
    let expected = expected.fields.iter().map(|(name, value)| (&name[..], &value[..]));
    assert!(head.fields().eq(expected), "the fields are {}", lines(head));
}

/// What is written is read again, and is written again the same.
fn check_written(kind: Kind, head: &Head) {
    let wire = write(kind, head);
    assert_eq!(wire.len(), head.wire_len(), "the length that was said");
    let (found, again) = feed(kind, &wire, &[]);
    assert_eq!(found, Scan::Complete { skip: 0, len: wire.len() }, "it is not read again");
    assert!(again.fields().eq(head.fields()), "{} became {}", lines(head), lines(&again));
    assert_eq!(write(kind, &again), wire);
    match reference::head(kind, &wire) {
        Read::Whole(expected, used) => {
            assert_eq!(used, wire.len());
            assert_same(&again, &expected);
        }
        other => panic!("the reference does not read what was written: {other:?}"),
    }
}

fn write(kind: Kind, head: &Head) -> Vec<u8> {
    let mut wire = Vec::new();
    match kind {
        Kind::Request => write_request(head, &mut wire),
        Kind::Response => write_response(head, head.version(), &mut wire),
    }
    wire
}

/// Takes off what is for one hop, says how long the body is, and looks what the next hop would see.
fn check_hop(kind: Kind, mut head: Head) {
    let before = head.clone();
    let framing = match kind {
        Kind::Request => request_body(&head),
        Kind::Response => response_body(&head, Method::Get),
    };
    let upgrade = if head.fields_count().is_multiple_of(2) {
        UpgradeField::Keep
    } else {
        UpgradeField::Strip
    };
    strip_hop_by_hop(&mut head, upgrade);
    let Ok(framing) = framing else { return };
    settle(&mut head, framing);
    let wire = write(kind, &head);
    let Read::Whole(seen, used) = reference::head(kind, &wire) else {
        panic!("the next hop reads no head in {}", lines(&head));
    };
    assert_eq!(used, wire.len());
    let again = match kind {
        Kind::Request => body::of_request(&seen),
        Kind::Response => body::of_response(&seen, b"GET"),
    };
    assert_eq!(again, Some(crate::framing::as_reference(framing)), "the next hop's framing");
    for name in ["keep-alive", "proxy-connection", "http2-settings"] {
        assert!(!seen.has(name), "{name} went on");
    }
    let kept = seen.has("upgrade");
    assert!(!kept || upgrade == UpgradeField::Keep, "an upgrade went on");
    let connection: Vec<&[u8]> = seen.values("connection").collect();
    match connection[..] {
        [] => assert!(!kept, "an upgrade went on that nobody is told of"),
        // As it was written.
        [option] => assert!(kept && option.eq_ignore_ascii_case(b"upgrade")),
        _ => panic!("several Connection fields"),
    }
    assert!(seen.values("te").all(|te| te == b"trailers"), "TE went on");
    // Nothing is made up, nothing changes its place, and no message loses what is for all hops.
    let ours = ["connection", "te", "content-length", "transfer-encoding"];
    let is_ours = |name: &[u8]| ours.iter().any(|our| our.as_bytes() == name);
    let mut old = before.fields();
    for (name, value) in seen.fields.iter().filter(|(name, _)| !is_ours(name)) {
        let found = old.any(|field| field == (name, value));
        assert!(found, "{:?} is new", name.escape_ascii().to_string());
    }
    for name in ["host", "cookie", "authorization", "x-forwarded-for"] {
        let count = |head: &Head| head.named(name.as_bytes()).count();
        assert_eq!(count(&head), count(&before), "{name} was lost");
    }
}
