//! What is kept and counted of messages that are refused.

use tidegate_core::http::{ChunkError, FramingError, HeadError};
use tidegate_core::logfmt::dates::Dates;
use tidegate_core::logfmt::errors::push_errors;
use tidegate_core::proxy::shared::Gauge;
use tidegate_core::proxy::shared::errors::{Direction, Event, Why};
use tidegate_core::proxy::spec::ProxyId;
use tidegate_core::time::Wall;

use crate::rig::{GLOBAL, Rig, S1, http_config, in_pieces};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A frontend and a backend, so that it shows which of them is meant.
const TWO: &str = "defaults\n mode http\n log global\n option httplog\n timeout connect 1s\n \
    timeout client 2s\n timeout server 3s\n\
    frontend fe\n bind 127.0.0.1:80\n default_backend be\n\
    backend be\n server s1 10.0.0.1:80\n";

const FE: ProxyId = 0;
const BE: ProxyId = 1;

fn rig() -> Rig {
    Rig::new(&format!("{GLOBAL}{TWO}"))
}

fn last(rig: &Rig, proxy: ProxyId, direction: Direction) -> Event {
    rig.shared.last_error(proxy, direction).expect("an event")
}

/// `ereq` of the frontend, `eresp` of the backend and of the server.
fn counted(rig: &Rig) -> [u32; 3] {
    [Gauge::RequestErrors(FE), Gauge::ResponseErrors(BE), Gauge::ServerResponseErrors(0)]
        .map(|gauge| rig.shared.gauge(gauge))
}

fn text(rig: &Rig, only: (Option<ProxyId>, Option<Direction>)) -> String {
    let mut out = Vec::new();
    // 2026-11-22T12:00:05Z
    let now = Wall::from_nanos(1_795_348_805_000_000_000);
    push_errors(&rig.site, &rig.shared, &mut Dates::utc(), now, only, &mut out);
    String::from_utf8(out).expect("text")
}

#[test]
fn refused_requests_are_kept() {
    for (request, why, at) in [
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", Why::Head(HeadError::SpaceBeforeColon), 20),
        ("\r\nGET / HTTP/1.2\r\n\r\n", Why::Head(HeadError::Version), 8),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Why::Head(HeadError::Host), 22),
        (
            "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            Why::Framing(FramingError::LengthConflict),
            51,
        ),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX",
            Why::Chunk(ChunkError::DataEnd),
            55,
        ),
        ("GET / HTTP/1.0\r\nContent-Length: 1\r\n\r\n", Why::Payload, 37),
        ("GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", Why::Upgrade, 59),
    ] {
        let mut rig = rig();
        let c = rig.ask(request);
        assert!(rig.text(c).starts_with("HTTP/1.1 4"), "{request:?}");
        let event = last(&rig, FE, Direction::Request);
        assert_eq!((event.message.why, event.message.at), (why, at), "{request:?}");
        assert_eq!(&*event.message.bytes, request.as_bytes());
        assert_eq!((event.frontend, event.backend, event.server), (FE, None, None));
        assert_eq!((counted(&rig), rig.shared.errors()), ([1, 0, 0], 1), "{request:?}");
        assert_eq!(rig.shared.last_error(BE, Direction::Response), None);
        rig.end(c);
        assert!(rig.log().ends_with("\"<BADREQ>\""), "{request:?}");
        rig.finish();
    }
}

#[test]
fn refused_responses_are_kept() {
    for (response, why, at) in [
        ("HTTP/1.1 200 OK\r\nX : y\r\n\r\n", Why::Head(HeadError::SpaceBeforeColon), 18),
        ("garbage\r\n\r\n", Why::Head(HeadError::Version), 0),
        ("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx", Why::Framing(FramingError::Length), 33),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX",
            Why::Chunk(ChunkError::DataEnd),
            55,
        ),
        ("HTTP/1.1 101 Go\r\n\r\n", Why::Upgrade, 19),
    ] {
        let mut rig = rig();
        let c = rig.ask(GET);
        let o = rig.server("s1");
        rig.send(o, response);
        assert!(rig.text(c).starts_with("HTTP/1.1 502 "), "{response:?}");
        let event = last(&rig, BE, Direction::Response);
        assert_eq!((event.message.why, event.message.at), (why, at), "{response:?}");
        assert_eq!(&*event.message.bytes, response.as_bytes());
        assert_eq!((event.frontend, event.backend, event.server), (FE, Some(BE), Some(0)));
        assert_eq!((counted(&rig), rig.shared.errors()), ([0, 1, 1], 1), "{response:?}");
        assert!(rig.log().contains(" PH-- "), "{response:?}");
        rig.finish();
    }
}

/// A body that turns out to be malformed when its beginning is gone.
#[test]
fn a_body_that_breaks_later() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&format!("{GLOBAL}{TWO}"), knobs);
        let c = rig.ask("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        rig.server("s1");
        rig.send(c, "0x");
        assert!(rig.text(c).starts_with("HTTP/1.1 400 "));
        let event = last(&rig, FE, Direction::Request);
        let Why::Chunk(why) = event.message.why else { panic!("{event:?}") };
        assert_eq!(why, ChunkError::Size);
        assert_eq!(event.message.bytes.get(event.message.at), Some(&b'x'), "{event:?}");
        assert_eq!((event.backend, event.server), (Some(BE), Some(0)));
        assert_eq!(counted(&rig), [1, 0, 0]);
        rig.finish();

        let mut rig = Rig::with(&format!("{GLOBAL}{TWO}"), knobs);
        let c = rig.ask(GET);
        let o = rig.server("s1");
        rig.send(o, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        rig.send(o, "5\r\nhelloX");
        assert!(rig.text(c).ends_with("5\r\nhello"), "cut off");
        let event = last(&rig, BE, Direction::Response);
        assert_eq!(event.message.why, Why::Chunk(ChunkError::DataEnd));
        assert_eq!(event.message.bytes.get(event.message.at), Some(&b'X'), "{event:?}");
        assert_eq!(event.message.body, 10);
        assert_eq!(counted(&rig), [0, 1, 1]);
        rig.finish();
    });
}

/// What came too late, or not whole, or not at all, is counted and leaves what was kept.
#[test]
fn what_is_only_counted() {
    let mut rig = rig();
    rig.ask("GET / HTTP/1.1\r\n");
    rig.advance(2_001);
    assert_eq!(counted(&rig), [1, 0, 0]);
    let c = rig.ask("GET / HTTP/1.1\r\n");
    rig.end(c);
    assert_eq!(counted(&rig), [2, 0, 0]);
    let c = rig.ask("GET / HTTP/1.1\r\n");
    rig.reset(c);
    assert_eq!(counted(&rig), [3, 0, 0]);
    rig.ask(GET);
    rig.server("s1");
    rig.advance(3_001);
    assert_eq!(counted(&rig), [3, 1, 1]);
    rig.ask(GET);
    let o = rig.server("s1");
    rig.send(o, "HTTP/1.1 200 OK\r\n");
    rig.end(o);
    assert_eq!(counted(&rig), [3, 2, 2]);
    assert_eq!(rig.shared.errors(), 0);
    rig.finish();
}

#[test]
fn good_messages_and_early_ends_of_bodies_are_not_counted() {
    let mut rig = rig();
    let c = rig.ask(GET);
    let o = rig.server("s1");
    rig.send(o, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    rig.send(c, GET);
    rig.send(o, "HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nok");
    rig.end(o);
    assert_eq!((counted(&rig), rig.shared.errors()), ([0, 0, 0], 0));
    rig.finish();
}

/// The last one is kept, and of it no more than `tune.bufsize`.
#[test]
fn one_of_a_kind_and_no_more_than_a_buffer() {
    let mut rig = Rig::new(&http_config(S1));
    for n in 1..=20 {
        let junk = format!("GET /{n} HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(30_000));
        rig.ask(&junk);
        let event = last(&rig, 0, Direction::Request);
        assert_eq!((event.number, event.message.why), (n - 1, Why::TooLarge));
        assert_eq!(event.message.bytes.len(), 16_384);
        assert_eq!(event.message.at, 15_360);
        assert_eq!(*event.message.bytes, junk.as_bytes()[..16_384]);
    }
    assert_eq!(rig.shared.errors(), 20);
    assert_eq!(rig.shared.gauge(Gauge::RequestErrors(0)), 20);
    rig.finish();
}

#[test]
fn the_text_of_show_errors() {
    let mut rig = rig();
    let head = "Total events captured on [22/Nov/2026:12:00:05.000] : ";
    assert_eq!(text(&rig, (None, None)), format!("{head}0\n\n"));
    rig.advance(1_500);
    rig.ask("GET / HTTP/1.1\r\nHost : a\r\n\r\n");
    rig.ask(GET);
    let o = rig.server("s1");
    rig.send(o, "HTTP/1.1 200 OK\r\nX : y\r\n\r\nabc");

    let event = last(&rig, FE, Direction::Request);
    let port = match event.source {
        tidegate_core::poller::Peer::Inet(at) => at.port(),
        other => panic!("{other:?}"),
    };
    let (free, size) = (event.message.free, event.message.size);
    assert!(free + event.message.bytes.len() <= size, "{event:?}");
    let [client, session, transaction] = event.flags;
    let request = format!(
        " \n[22/Nov/2026:12:00:01.500] frontend fe (#2): invalid request\n  \
         backend <NONE> (#-1), server <NONE> (#-1), event #0, src 127.0.0.1:{port}\n  \
         buffer starts at 0 (including 0 out), {free} free,\n  \
         len 28, wraps at {size}, error at position 20\n  \
         H1 connection flags 0x{client:08x}, H1 stream flags 0x{session:08x}\n  \
         H1 msg state MSG_HDR_NAME(17), H1 msg flags 0x{transaction:08x}\n  \
         H1 chunk len 0 bytes, H1 body len 0 bytes :\n  \n  \
         00000  GET / HTTP/1.1\\r\\n\n  00016  Host : a\\r\\n\n  00026  \\r\\n\n"
    );
    assert_eq!(text(&rig, (Some(FE), Some(Direction::Request))), format!("{head}2\n{request}\n"));
    let all = text(&rig, (None, None));
    let rest = all.strip_prefix(&format!("{head}2\n{request}")).expect("the request first");
    assert!(
        rest.starts_with(
            " \n[22/Nov/2026:12:00:01.500] backend be (#3): invalid response\n  \
             frontend fe (#2), server s1 (#1), event #1, src 127.0.0.1:"
        ),
        "{rest}"
    );
    assert!(rest.contains(", error at position 18\n"), "{rest}");
    assert!(
        rest.ends_with(
            " :\n  \n  00000  HTTP/1.1 200 OK\\r\\n\n  00017  X : y\\r\\n\n  00024  \\r\\n\n  \
             00026  abc\n\n"
        ),
        "{rest}"
    );
    // A proxy's text is of every exchange that it had a part in.
    assert_eq!(text(&rig, (Some(FE), None)), all);
    assert_eq!(text(&rig, (Some(BE), None)), format!("{head}2\n{rest}"));
    assert_eq!(text(&rig, (Some(BE), Some(Direction::Request))), format!("{head}2\n\n"));
    rig.finish();
}
