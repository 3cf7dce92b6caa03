//! Expected lines were taken from HAProxy 2.6.12.

use super::*;
use crate::fault::Phase;

/// 2026-11-22T12:21:14Z and so many milliseconds.
fn wall(millis: u64) -> Wall {
    Wall::from_nanos((1_795_350_074_000 + millis) * 1_000_000)
}

fn lines() -> Lines {
    Lines { dates: Dates::utc(), request_max: 1_023, line_max: 1_024 }
}

fn record() -> Record<'static> {
    Record {
        client: Peer::Inet("127.0.0.1:40360".parse().unwrap()),
        listener_id: 2,
        accepted: wall(0),
        requested: wall(79),
        frontend: "fe",
        backend: "ok",
        server: Some("s1"),
        timers: Timers {
            handshake: Some(0),
            idle: 0,
            data: None,
            request: Some(0),
            queue: Some(0),
            connect: Some(0),
            response: Some(0),
            total: 0,
        },
        status: 200,
        bytes: 51,
        bytes_in: 0,
        counter: 0,
        log_counter: 0,
        end: End::default(),
        cookies: *b"NI",
        request_cookie: None,
        response_cookie: None,
        counts: Counts { actconn: 1, feconn: 1, ..Counts::default() },
        request_captures: None,
        response_captures: None,
        request: Some(b"GET /ok HTTP/1.1"),
        error: None,
        early: false,
    }
}

fn refused(cause: Cause, status: i32) -> Record<'static> {
    Record {
        backend: "fe",
        server: None,
        timers: Timers::default(),
        status,
        bytes: 0,
        bytes_in: 0,
        counter: 0,
        log_counter: 0,
        end: End::new(cause, Phase::Request),
        cookies: *b"--",
        request: None,
        ..record()
    }
}

#[test]
fn the_http_line() {
    let busy = Counts {
        actconn: 12,
        feconn: 11,
        beconn: 10,
        srvconn: 9,
        retries: 3,
        redispatched: true,
        srv_queue: 4,
        backend_queue: 56,
    };
    let captured = |texts: &[Option<&[u8]>]| -> Vec<Option<Box<[u8]>>> {
        texts.iter().map(|text| text.map(Box::from)).collect()
    };
    let curl = captured(&[Some(b"curl/7.88.1")]);
    let odd = captured(&[Some(b"q\"#{|}\\\x80\tz"), None]);
    let controls = captured(&[Some(b"a\"b|c{d}\x01\xff")]);
    let table: &[(Record<'_>, &str)] = &[
        (
            Record { request_captures: Some(&curl), ..record() },
            "127.0.0.1:40360 [22/Nov/2026:12:21:14.079] fe ok/s1 0/0/0/0/0 200 51 - - --NI \
             1/1/0/0/0 0/0 {curl/7.88.1} \"GET /ok HTTP/1.1\"",
        ),
        (
            Record {
                timers: Timers { request: Some(0), ..Timers::default() },
                status: 403,
                bytes: 192,
                request: Some(b"GET /deny HTTP/1.1"),
                ..refused(Cause::Proxy, 403)
            },
            "127.0.0.1:40360 [22/Nov/2026:12:21:14.079] fe fe/<NOSRV> 0/-1/-1/-1/0 403 192 - - \
             PR-- 1/1/0/0/0 0/0 \"GET /deny HTTP/1.1\"",
        ),
        (
            Record {
                timers: Timers { total: 602, ..Timers::default() },
                ..refused(Cause::ClientTimeout, 408)
            },
            "127.0.0.1:40360 [22/Nov/2026:12:21:14.079] fe fe/<NOSRV> -1/-1/-1/-1/602 408 0 - - \
             cR-- 1/1/0/0/0 0/0 \"<BADREQ>\"",
        ),
        (
            Record { client: Peer::Unix, ..refused(Cause::Proxy, -1) },
            "unix:2 [22/Nov/2026:12:21:14.079] fe fe/<NOSRV> -1/-1/-1/-1/0 -1 0 - - \
             PR-- 1/1/0/0/0 0/0 \"<BADREQ>\"",
        ),
        (
            Record { early: true, bytes: 64, cookies: *b"--", ..record() },
            "127.0.0.1:40360 [22/Nov/2026:12:21:14.079] fe ok/s1 0/0/0/0/+0 200 +64 - - \
             ---- 1/1/0/0/0 0/0 \"GET /ok HTTP/1.1\"",
        ),
        (
            Record {
                timers: Timers {
                    handshake: Some(0),
                    idle: 0,
                    data: None,
                    request: Some(1),
                    queue: Some(22),
                    connect: Some(333),
                    response: Some(4_444),
                    total: 55_555,
                },
                counts: busy,
                request_cookie: Some(b"SID=a\"#{|}b\x80"),
                response_cookie: Some(b"SID=x y"),
                request_captures: Some(&odd),
                response_captures: Some(&controls),
                request: Some(b"GET /\"#{|}\x80 HTTP/1.1"),
                ..record()
            },
            "127.0.0.1:40360 [22/Nov/2026:12:21:14.079] fe ok/s1 1/22/333/4444/55555 200 51 \
             SID=a\"#{|}b\u{fffd} SID=x y --NI 12/11/10/9/+3 4/56 \
             {q#22#23#7B#7C#7D\\#80#09z|} {a#22b#7Cc#7Bd#7D#01#FF} \"GET /#22#23{|}#80 HTTP/1.1\"",
        ),
    ];
    let mut lines = lines();
    for (record, expected) in table {
        let mut out = Vec::new();
        lines.http(record, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), *expected);
    }
}

#[test]
fn the_tcp_line() {
    let served = Record {
        client: Peer::Inet("[::1]:54942".parse().unwrap()),
        frontend: "tcpnull",
        backend: "tcpnull",
        timers: Timers { queue: Some(1), connect: Some(0), total: 4, ..Timers::default() },
        bytes: 3,
        status: -1,
        ..record()
    };
    let aborted = Record {
        timers: Timers { connect: None, total: 202, ..served.timers },
        bytes: 0,
        bytes_in: 0,
        counter: 0,
        log_counter: 0,
        end: End::new(Cause::Server, Phase::Connect),
        counts: Counts { retries: 1, ..served.counts },
        ..served
    };
    let table: &[(Record<'_>, &str)] = &[
        (
            served,
            "::1:54942 [22/Nov/2026:12:21:14.000] tcpnull tcpnull/s1 1/0/4 3 -- 1/1/0/0/0 0/0",
        ),
        (
            aborted,
            "::1:54942 [22/Nov/2026:12:21:14.000] tcpnull tcpnull/s1 1/-1/202 0 SC 1/1/0/0/1 0/0",
        ),
        (
            Record { early: true, client: Peer::Unix, ..served },
            "unix:2 [22/Nov/2026:12:21:14.000] tcpnull tcpnull/s1 1/0/+4 +3 -- 1/1/0/0/0 0/0",
        ),
    ];
    let mut lines = lines();
    for (record, expected) in table {
        let mut out = Vec::new();
        lines.tcp(record, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), *expected);
    }
}

#[test]
fn the_line_at_accept() {
    let inet = |text: &str| Peer::Inet(text.parse().unwrap());
    let table: &[(Peer, Option<Peer>, Mode, &str)] = &[
        (
            inet("127.0.0.1:34228"),
            Some(inet("127.0.0.1:53699")),
            Mode::Http,
            "Connect from 127.0.0.1:34228 to 127.0.0.1:53699 (def/HTTP)",
        ),
        (
            inet("[::1]:54566"),
            Some(inet("[::1]:33059")),
            Mode::Tcp,
            "Connect from ::1:54566 to ::1:33059 (def/TCP)",
        ),
        (Peer::Unix, None, Mode::Http, "Connect to unix:77 (def/HTTP)"),
    ];
    let mut lines = lines();
    for &(client, destination, mode, expected) in table {
        let connect = Connect { client, destination, listener_id: 77, frontend: "def", mode };
        let mut out = Vec::new();
        lines.connect(&connect, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}

#[test]
fn a_request_line_is_cut_before_it_is_escaped() {
    let request = [b"GET /".as_slice(), &[b'#'; 2_000]].concat();
    let record = Record { request: Some(&request), ..record() };
    let mut lines = Lines { request_max: 100, line_max: 65_535, ..lines() };
    let mut out = Vec::new();
    lines.http(&record, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(text.ends_with(&format!("\"GET /{}\"", "#23".repeat(95))), "{text}");
}

#[test]
fn a_line_ends_where_haproxys_does() {
    // With `len 1024` and no header, HAProxy closes the quote only if an escape did not fit.
    // The line has a prefix of 101 bytes up to and including `GET /`.
    let table: &[(usize, &[u8], usize, &str)] = &[
        (0, b"#", 1_023, "23\""),
        (1, b"#", 1_021, "23\""),
        (2, b"#", 1_022, "23\""),
        (3, b"#", 1_023, "23\""),
        (0, b"x", 1_023, "xxx"),
    ];
    for &(plain, rest, len, end) in table {
        let request = [b"GET /".as_slice(), &b"x".repeat(plain), &rest.repeat(1_000)].concat();
        let record = Record {
            client: Peer::Inet("127.0.0.1:41714".parse().unwrap()),
            frontend: "asap",
            backend: "b",
            timers: Timers { total: 1, ..record().timers },
            bytes: 64,
            counts: Counts { beconn: 1, ..record().counts },
            request: Some(&request),
            early: true,
            ..record()
        };
        let mut out = Vec::new();
        lines().http(&record, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!((text.len(), &text[text.len() - 3..]), (len, end), "{plain} {text}");
    }
}

#[test]
fn an_error_is_what_haproxy_takes_for_one() {
    let with = |cause, retries, redispatched, status| Record {
        end: End::new(cause, Phase::Done),
        counts: Counts { retries, redispatched, ..Counts::default() },
        status,
        ..record()
    };
    let table = [
        (with(Cause::Normal, 0, false, 200), false),
        (with(Cause::Normal, 0, false, 499), false),
        (with(Cause::Normal, 0, false, 500), true),
        (with(Cause::Normal, 1, false, 200), true),
        (with(Cause::Local, 0, false, 302), false),
        (with(Cause::Local, 0, true, 302), true),
        (with(Cause::Proxy, 0, false, 403), true),
        (with(Cause::ClientTimeout, 0, false, -1), true),
    ];
    for (record, expected) in table {
        assert_eq!(record.is_error(), expected, "{record:?}");
    }
}
