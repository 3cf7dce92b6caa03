//! Peers that try to make the engine work or hold more than they send: everything is counted, and
//! none of it may grow faster than what arrives.

use tidegate_core::engine::Engine;

use crate::rig::{Ended, Knobs, Rig, S1, http_config};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// What an exchange has cost so far.
#[derive(Debug)]
struct Cost {
    /// Bytes moved in buffers.
    moved: u64,
    turns: u64,
    /// Receives.
    calls: u32,
    /// Blocks of memory made.
    made: u64,
}

fn cost(rig: &Rig) -> Cost {
    let pools = Engine::pools(&rig.engines[0]);
    let Rig { turns, .. } = *rig;
    Cost { moved: pools.moved, turns, calls: rig.net.calls.recv, made: pools.made }
}

/// Plays `attack` of growing sizes; what it costs may grow by so much a byte and no more.
fn grows_evenly(what: &str, sizes: &[usize], per_byte: u64, attack: impl Fn(&mut Rig, usize)) {
    for &size in sizes {
        let mut rig = Rig::with(&http_config(S1), &Knobs::default());
        attack(&mut rig, size);
        let Cost { moved, turns, calls, made } = cost(&rig);
        let size = size as u64;
        assert!(moved <= per_byte * size + 20_000, "{what}: {moved} bytes moved for {size}");
        assert!(turns <= 4 * size + 100, "{what}: {turns} turns for {size}");
        assert!(u64::from(calls) <= 4 * size + 100, "{what}: {calls} receives for {size}");
        assert!(made <= 12, "{what}: {made} blocks for {size}");
        rig.finish();
    }
}

fn trickle(rig: &mut Rig, wire: tidegate_core::script::Wire, bytes: &[u8]) {
    for byte in bytes {
        rig.send(wire, [*byte]);
    }
}

#[test]
fn a_request_head_byte_by_byte() {
    grows_evenly("request head", &[500, 1_500, 4_000, 15_000], 8, |rig, size| {
        let c = rig.net.connect(0);
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(size - 32));
        trickle(rig, c, head.as_bytes());
        let o = rig.server("s1");
        assert_eq!(rig.text(o).len(), size);
        rig.send(o, OK);
        assert!(rig.text(c).ends_with("ok"));
    });
}

#[test]
fn a_head_of_many_fields_byte_by_byte() {
    grows_evenly("many fields", &[600, 3_000, 12_000], 8, |rig, size| {
        let c = rig.net.connect(0);
        let fields = "a: b\r\n".repeat(size / 6);
        trickle(rig, c, format!("GET / HTTP/1.1\r\n{fields}\r\n").as_bytes());
        if size / 6 <= 100 {
            let o = rig.server("s1");
            rig.send(o, OK);
        } else {
            assert!(rig.text(c).starts_with("HTTP/1.1 400 "), "more fields than are taken");
        }
    });
}

#[test]
fn a_response_head_byte_by_byte() {
    grows_evenly("response head", &[500, 1_500, 4_000, 15_000], 8, |rig, size| {
        let c = rig.ask(GET);
        let o = rig.server("s1");
        let fields = format!("X: {}\r\nContent-Length: 0\r\n\r\n", "y".repeat(size));
        trickle(rig, o, format!("HTTP/1.1 200 OK\r\n{fields}").as_bytes());
        assert!(rig.text(c).ends_with("content-length: 0\r\n\r\n"));
    });
}

/// A head that never ends is refused as soon as it cannot become one, however it comes.
#[test]
fn a_head_without_an_end() {
    for piece in [1, 7, 1_460, 100_000] {
        let mut rig = Rig::http(S1);
        let c = rig.net.connect(0);
        let head = format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(100_000));
        let mut sent = 0;
        for piece in head.as_bytes().chunks(piece) {
            if rig.ended(c) != Ended::Open {
                break;
            }
            sent += piece.len();
            rig.send(c, piece);
        }
        assert!(rig.text(c).starts_with("HTTP/1.1 400 "), "in pieces of {piece}");
        assert!(sent <= 15_360 + piece, "in pieces of {piece}: after {sent}");
        rig.finish();
    }
}

const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn tiny_chunks() {
    grows_evenly("tiny chunks", &[10_000, 100_000, 1_000_000], 4, |rig, size| {
        let c = rig.ask(CHUNKED);
        let o = rig.server("s1");
        rig.net.window(o, usize::MAX);
        let chunks = "1\r\nx\r\n".repeat(size / 6);
        rig.send(c, format!("{chunks}0\r\n\r\n"));
        assert!(rig.text(o).len() > size);
        rig.send(o, OK);
        assert!(rig.text(c).ends_with("ok"));
    });
}

/// Cut where framing came in two pieces and has to go out in one.
#[test]
fn tiny_chunks_in_tiny_pieces() {
    for piece in [1, 2, 3, 5, 7] {
        grows_evenly("tiny pieces", &[6_000, 30_000], 8, |rig, size| {
            let c = rig.ask(CHUNKED);
            let o = rig.server("s1");
            let chunks = format!("{}0\r\n\r\n", "1\r\nx\r\n".repeat(size / 6));
            for piece in chunks.as_bytes().chunks(piece) {
                rig.send(c, piece);
            }
            assert!(rig.text(o).len() > size);
            rig.send(o, OK);
            assert!(rig.text(c).ends_with("ok"));
        });
    }
}

#[test]
fn tiny_chunks_of_an_answer() {
    grows_evenly("tiny chunks", &[10_000, 100_000, 1_000_000], 4, |rig, size| {
        let c = rig.ask(GET);
        let o = rig.server("s1");
        rig.net.window(c, usize::MAX);
        let chunks = "1\r\nx\r\n".repeat(size / 6);
        rig.send(
            o,
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"),
        );
        assert!(rig.text(c).ends_with("\r\n0\r\n\r\n"));
    });
}

/// What stands around a size moves nothing; there is an end to it.
#[test]
fn framing_without_data() {
    for framing in ["5;x".to_owned() + &"y".repeat(1_000), "0".repeat(1_000), " ".repeat(1_000)] {
        let mut rig = Rig::http(S1);
        let c = rig.ask(CHUNKED);
        rig.server("s1");
        trickle(&mut rig, c, framing.as_bytes());
        assert!(rig.text(c).starts_with("HTTP/1.1 400 "), "{framing}");
        rig.finish();
    }
    let mut rig = Rig::http(S1);
    let c = rig.ask(CHUNKED);
    rig.server("s1");
    rig.send(c, "0\r\n");
    let mut lines = 0;
    while rig.ended(c) == Ended::Open {
        rig.send(c, "a: b\r\n");
        lines += 1;
        assert!(lines <= 65, "a trailer without an end");
    }
    assert!(rig.text(c).starts_with("HTTP/1.1 400 "));
    rig.finish();
}

/// Requests and requests, more than the buffer holds: what waits for its turn is not moved for each
/// of them.
#[test]
fn pipelining_more_than_is_held() {
    grows_evenly("pipelining", &[50_000, 200_000, 800_000], 12, |rig, size| {
        let c = rig.ask(GET.repeat(size / GET.len()));
        let o = rig.server("s1");
        let mut served = 0;
        while !rig.text(o).is_empty() {
            served += 1;
            rig.send(o, OK);
        }
        assert_eq!(served, size / GET.len());
        assert!(rig.text(c).ends_with("ok"));
    });
}

/// A body that comes a byte at a time has no end of its own, as in HAProxy; it holds next to nothing.
#[test]
fn a_body_that_takes_its_time() {
    let mut rig = Rig::http(S1);
    let c = rig.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    let o = rig.server("s1");
    for _ in 0..900 {
        rig.send(c, "x");
        // `timeout client` is 2 s.
        rig.advance(1_900);
        let live: u32 = rig.engines[0].pools().figures().iter().map(|(_, live, _)| *live).sum();
        assert_eq!((live, rig.sessions(), rig.clients()), (0, 1, 1), "buffers, sessions, clients");
    }
    assert!(rig.text(o).ends_with(&"x".repeat(900)));
    rig.advance(2_001);
    assert_ne!(rig.ended(c), Ended::Open, "but not a pause longer than the client's time");
    rig.finish();
}

/// Requests and requests, and nobody reads an answer: what is held does not grow.
#[test]
fn pipelining_without_reading() {
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{}", "z".repeat(5_000));
    let mut rig = Rig::http(S1);
    let c = rig.client();
    rig.net.window(c, 0);
    let mut server = None;
    let (mut served, mut held_max) = (0, 0);
    for _ in 0..200 {
        rig.send(c, GET.repeat(500));
        for _ in 0..50 {
            server = server.or_else(|| rig.dialled().map(|(wire, _)| wire));
            let Some(o) = server else { break };
            rig.net.establish(o);
            rig.turns();
            if rig.text(o).is_empty() {
                break;
            }
            served += 1;
            rig.send(o, &answer);
        }
        let figures = rig.engines[0].pools().figures();
        let held: usize = figures.iter().map(|(size, live, _)| size * *live as usize).sum();
        held_max = held_max.max(held);
    }
    assert_eq!(rig.sessions(), 1);
    assert_eq!(served, 1, "one answer waits for its reader, and nothing is asked behind it");
    assert!(held_max <= 2 * 65_536 + 262_144, "{held_max} bytes are held");
    rig.net.window(c, 20_000);
    rig.turns();
    assert!(rig.text(c).len() > 5_000, "it goes on with who reads");
    rig.reset(c);
    rig.finish();
}

/// Who sends a byte now and then does not put off the end of its time. The request's whole head has
/// `timeout http-request`, from accept or the first byte on.
#[test]
fn slow_heads_have_an_end() {
    let rig = || Rig::http(&format!(" timeout http-request 5s\n timeout client 3s\n{S1}"));
    for every in [10, 400, 999] {
        let mut rig = rig();
        let c = rig.client();
        let head = format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(10_000));
        let mut bytes = head.bytes();
        while rig.ended(c) == Ended::Open {
            assert!(rig.ms() <= 5_000, "a byte every {every} ms");
            rig.send(c, [bytes.next().expect("more than the time is long")]);
            rig.advance(every);
        }
        assert!(rig.ms() >= 5_000, "a byte every {every} ms: after {}", rig.ms());
        assert!(rig.text(c).starts_with("HTTP/1.1 408 "));
        rig.end(c);
        assert!(rig.log().contains(" cR-- "));
        rig.finish();
    }
}

/// Where nothing comes at all: in a head, behind it, in the line of a size, in its data, behind
/// them, in a trailer, in a body of known length. The client's or the server's patience ends.
#[test]
fn silence_has_an_end() {
    for (request, status) in [
        ("", 408),
        ("G", 408),
        ("GET / HTTP/1.1\r\nHost: a\r\n", 408),
        ("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 504),
        ("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhel", 504),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 504),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5", 504),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x", 504),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r", 504),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", 504),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r", 504),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 504),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b", 504),
    ] {
        let mut rig = Rig::http(S1);
        let c = rig.net.connect(0);
        rig.send(c, request);
        if status == 504 {
            rig.server("s1");
        }
        // `timeout server` is 3 s, `timeout client` 2 s.
        rig.advance(3_001);
        assert!(rig.text(c).starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}");
        assert_ne!(rig.ended(c), Ended::Open, "{request:?}");
        rig.finish();
    }
}
