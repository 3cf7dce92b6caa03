//! Messages that are refused, or lose something on the way, for what they mean rather than for how
//! they are written; each comes whole and cut into pieces.

use crate::rig::{Ended, Rig, S1, http_config, in_pieces};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: test\r\n\r\n";

#[test]
fn requests_that_reach_no_server() {
    let refused = [
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a:70000\r\n\r\n", 400),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 0\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", 413),
        ("HEAD / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", 413),
        ("DELETE / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", 413),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ];
    in_pieces(|knobs| {
        for (request, status) in refused {
            let mut rig = Rig::with(&http_config(S1), knobs);
            let c = rig.ask(request);
            let (text, ended) = rig.heard(c);
            assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {text}");
            assert_ne!(ended, Ended::Open, "{request:?}");
            rig.no_dial();
            rig.end(c);
            let log = rig.log();
            assert!(log.contains(&format!(" {status} 0 - - PR-- ")), "{request:?}: {log}");
            assert!(log.ends_with("\"<BADREQ>\""), "{request:?}: {log}");
            rig.finish();
        }
    });
}

/// What is there already says that no request can come of it: nobody waits for the rest.
#[test]
fn requests_that_cannot_become_one() {
    in_pieces(|knobs| {
        for request in [
            "GE(",
            "GET /\u{e9}",
            "GET / HTTP/2",
            "GET / HTTP/1.1\r\nHost a",
            "GET / HTTP/1.1\r\nHost: a\r\n b",
            "GET / HTTP/1.1\r\nHost: a\r\nX\r\n",
            "GET / HTTP/1.1\r\nContent-Length: x\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 5\r\nA: b\r\nContent-Length: 6\r\n",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\nA:",
            "\r\nGET / HTTP/1.1\r\nHost: a/b\r\n",
        ] {
            let mut rig = Rig::with(&http_config(S1), knobs);
            let c = rig.ask(request);
            let (text, ended) = rig.heard(c);
            assert!(text.starts_with("HTTP/1.1 400 "), "{request:?}: {text}");
            assert_ne!(ended, Ended::Open, "{request:?}");
            rig.no_dial();
            rig.end(c);
            assert!(rig.log().contains(" 400 0 - - PR-- "), "{request:?}");
            rig.finish();
        }
    });
}

#[test]
fn answers_that_cannot_become_one() {
    in_pieces(|knobs| {
        for answer in [
            "I",
            "HTTP/1.1 20 ",
            "HTTP/1.1 200 OK\r\nA :",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n",
        ] {
            let mut rig = Rig::with(&http_config(S1), knobs);
            let c = rig.ask(GET);
            let o = rig.server("s1");
            rig.send(o, answer);
            assert!(rig.heard(c).0.starts_with("HTTP/1.1 502 "), "{answer:?}");
            assert!(rig.log().contains(" PH-- "), "{answer:?}");
            rig.finish();
        }
    });
}

/// The answer to HEAD has no body, also if no more than that was understood of it.
#[test]
fn pages_for_a_head_that_is_none() {
    in_pieces(|knobs| {
        for (request, status) in [
            ("HEAD / HTTP/1.1\r\nA b\r\n\r\n", 400),
            ("\r\nHEAD / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
            ("HEAD / HTTP/1.0\r\nContent-Length: 1\r\n\r\nx", 413),
            ("HEAD / HTTP/1.1\r\nHost:", 408),
        ] {
            let mut rig = Rig::with(&http_config(S1), knobs);
            let c = rig.ask(request);
            rig.advance(2_001);
            let (text, ended) = rig.heard(c);
            assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {text}");
            assert!(text.ends_with("\r\n\r\n") && text.contains("Content-length: "), "{text}");
            assert_ne!(ended, Ended::Open, "{request:?}");
            rig.finish();
        }
        let mut rig = Rig::with(&http_config(S1), knobs);
        let c = rig.ask("HEADS / HTTP/1.1\r\nA b\r\n\r\n");
        assert!(rig.heard(c).0.ends_with("</html>\n"));
        rig.finish();
    });
}

#[test]
fn bodies_of_any_method_where_they_are_asked_for() {
    let config = http_config(S1);
    let config = config.replacen("global\n", "global\n h1-accept-payload-with-any-method\n", 1);
    in_pieces(|knobs| {
        for method in ["GET", "HEAD", "DELETE"] {
            let mut rig = Rig::with(&config, knobs);
            let request = format!("{method} / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello");
            rig.ask(&request);
            let o = rig.server("s1");
            let sent = format!(
                "{method} / HTTP/1.0\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nhello"
            );
            assert_eq!(rig.text(o), sent);
            rig.finish();
        }
    });
}

#[test]
fn requests_that_lose_something() {
    let table = [
        (
            "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: test\r\n\r\n",
            "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
        ),
        (
            "POST / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: test\r\nContent-Length: 1\r\n\r\nx",
            "POST / HTTP/1.1\r\ncontent-length: 1\r\n\r\nx",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: te\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        ),
        (
            "GET / HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
            "GET / HTTP/1.0\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n",
        ),
    ];
    in_pieces(|knobs| {
        for (request, sent) in table {
            let mut rig = Rig::with(&http_config(S1), knobs);
            rig.ask(request);
            let o = rig.server("s1");
            assert_eq!(rig.text(o), sent);
            rig.send(o, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            rig.finish();
        }
    });
}

/// The request, the answer, and what the client gets; `502` stands for our page.
#[test]
fn answers() {
    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    const PASSED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let interim = |fields: &str| format!("HTTP/1.1 103 Early\r\n{fields}\r\n{OK}");
    let switch = |fields: &str| format!("HTTP/1.1 101 Go\r\n{fields}\r\n");
    let table = [
        (GET, interim("Content-Length: 5\r\n"), format!("HTTP/1.1 103 Early\r\n\r\n{PASSED}")),
        (
            GET,
            interim("Transfer-Encoding: chunked\r\n"),
            format!("HTTP/1.1 103 Early\r\n\r\n{PASSED}"),
        ),
        (
            GET,
            interim("Connection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nLink: x\r\n"),
            format!("HTTP/1.1 103 Early\r\nlink: x\r\n\r\n{PASSED}"),
        ),
        (UPGRADE, switch(""), "502".into()),
        (UPGRADE, switch("Connection: upgrade\r\n"), "502".into()),
        (UPGRADE, switch("Connection: upgrade\r\nUpgrade: h2c\r\n"), "502".into()),
        (UPGRADE, switch("Connection: upgrade\r\nUpgrade: test, h2c\r\n"), "502".into()),
        (
            UPGRADE,
            switch(&format!("Connection: upgrade\r\nUpgrade: test{}\r\n", ",test".repeat(8))),
            "502".into(),
        ),
        (
            UPGRADE,
            switch("Connection: upgrade\r\nUpgrade: Test\r\n"),
            "HTTP/1.1 101 Go\r\nconnection: upgrade\r\nupgrade: Test\r\n\r\n".into(),
        ),
        (
            UPGRADE,
            switch("Connection: upgrade, x-hop\r\nUpgrade: test\r\nX-Hop: 1\r\n"),
            "HTTP/1.1 101 Go\r\nupgrade: test\r\nconnection: upgrade\r\n\r\n".into(),
        ),
    ];
    in_pieces(|knobs| {
        for (request, answer, expected) in &table {
            let mut rig = Rig::with(&http_config(S1), knobs);
            let c = rig.ask(request);
            let o = rig.server("s1");
            rig.send(o, answer);
            let text = rig.text(c);
            match &**expected {
                "502" => assert!(text.starts_with("HTTP/1.1 502 "), "{answer:?}: {text}"),
                expected => assert_eq!(text, *expected, "{answer:?}"),
            }
            rig.finish();
        }
    });
}

/// A server that says `close` in an interim answer gets no other request.
#[test]
fn an_interim_answer_that_closes() {
    let mut rig = Rig::http(S1);
    let c = rig.ask(GET);
    let o = rig.server("s1");
    let answer = "HTTP/1.1 103 Early\r\nConnection: close\r\n\r\nHTTP/1.1 200 OK\r\n";
    rig.send(o, format!("{answer}Content-Length: 0\r\n\r\n"));
    assert!(rig.text(c).ends_with("content-length: 0\r\n\r\n"));
    rig.send(c, GET);
    assert_ne!(rig.ended(o), Ended::Open);
    rig.server("s1");
    rig.finish();
}
