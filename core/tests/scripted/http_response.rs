//! HTTP answers: what the client sees of them.

use crate::rig::{Ended, Knobs, Rig, S1, http_config, in_pieces};
use crate::tcp::pattern;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn answers_of_every_shape() {
    in_pieces(|knobs| {
        for (method, answer, got, stays) in [
            (
                "GET",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:  b \r\n\r\nhello",
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-a: b\r\n\r\nhello",
                true,
            ),
            (
                "GET",
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
                true,
            ),
            (
                "GET",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n05;x\r\nhello\r\n0\r\nA: b\r\n\r\n",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                true,
            ),
            (
                "HEAD",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
                true,
            ),
            (
                "HEAD",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
                true,
            ),
            ("GET", "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n", true),
            (
                "GET",
                "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
                "HTTP/1.1 204 No Content\r\n\r\n",
                true,
            ),
            (
                "GET",
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n",
                "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\netag: x\r\n\r\n",
                true,
            ),
            (
                "GET",
                "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
                true,
            ),
            (
                "GET",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
                true,
            ),
            (
                "GET",
                "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 Done\r\n\r\n",
                "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 204 Done\r\n\r\n",
                true,
            ),
        ] {
            let mut rig = Rig::with(&http_config(S1), knobs);
            let c = rig.ask(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
            let o = rig.server("s1");
            rig.send(o, answer);
            let (text, ended) = rig.heard(c);
            // HAProxy says HTTP/1.1 whatever the server said.
            let version = |text: &str| text.replacen("HTTP/1.0", "HTTP/1.1", 1);
            assert_eq!(version(&text).replace("connection: keep-alive\r\n", ""), got);
            assert_eq!(ended == Ended::Open, stays, "{answer:?}");
            assert_eq!(rig.logs().len(), 1);
            rig.finish();
        }
    });
}

#[test]
fn an_answer_that_ends_with_the_connection() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&http_config(S1), knobs);
        let c = rig.ask(GET);
        let o = rig.server("s1");
        rig.send(o, "HTTP/1.1 200 OK\r\n\r\nsome");
        rig.send(o, "thing");
        assert_eq!(rig.text(c), "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nsomething");
        rig.end(o);
        assert_eq!(rig.ended(c), Ended::Shut);
        rig.end(c);
        assert_eq!(rig.ended(c), Ended::Closed);
        let line = rig.log();
        assert!(line.contains(" 200 43 - - ---- "), "{line}");
        rig.finish();
    });
}

#[test]
fn an_answer_and_the_end_in_one_event() {
    in_pieces(|knobs| {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nhello",
        ] {
            let mut rig = Rig::with(&http_config(S1), knobs);
            let c = rig.ask(GET);
            let o = rig.server("s1");
            rig.net.push(o, answer.as_bytes());
            rig.net.end(o);
            rig.turns();
            assert!(rig.text(c).contains("hello"), "{answer:?}");
            assert_ne!(rig.ended(o), Ended::Open);
            let line = rig.log();
            assert!(line.contains(" ---- "), "{line}");
            rig.finish();
        }
    });
}

#[test]
fn bodies_through_windows() {
    for (piece_max, window) in [(0, 100_000), (1_009, 100_000), (0, 777), (4_099, 5_000)] {
        let knobs = Knobs { piece_max, ..Knobs::default() };
        let body = pattern(200_000);
        for head in ["Content-Length: 200000", "X: close-delimited"] {
            let mut rig = Rig::with(&http_config(S1), &knobs);
            let c = rig.ask(GET);
            let o = rig.server("s1");
            rig.window(c, 0);
            rig.net.push(o, format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").as_bytes());
            rig.net.push(o, &body);
            rig.net.end(o);
            rig.turns();
            let got = rig.drain(c, window);
            let at = got.windows(4).position(|w| w == b"\r\n\r\n").expect("a head") + 4;
            assert!(got[at..] == body, "{head} {piece_max} {window}");
            rig.finish();
        }
    }
}

#[test]
fn chunks_cut_anywhere() {
    let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00a;x=y\r\n0123456789\r\n0\r\nA: b\r\n\r\n";
    let expected = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n";
    for at in 1..answer.len() {
        for window in [1, 100_000] {
            let mut rig = Rig::http(S1);
            let c = rig.ask(GET);
            let o = rig.server("s1");
            rig.window(c, 0);
            rig.send(o, &answer[..at]);
            let mut got = rig.drain(c, window);
            rig.send(o, &answer[at..]);
            got.extend(rig.drain(c, window));
            let got = String::from_utf8_lossy(&got).replace("\r\na\r\n0", "\r\nA\r\n0");
            assert_eq!(got, expected, "cut at {at}");
            let line = rig.log();
            assert!(line.contains(" 200 74 - - ---- "), "{line}");
            assert_eq!(rig.ended(o), Ended::Open);
            rig.finish();
        }
    }
}

#[test]
fn a_client_of_http_1_0() {
    in_pieces(|knobs| {
        for (request, answer, got, stays) in [
            (
                "GET / HTTP/1.0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
                false,
            ),
            (
                "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nhello",
                true,
            ),
            (
                "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello",
                false,
            ),
        ] {
            let mut rig = Rig::with(&http_config(S1), knobs);
            let c = rig.ask(request);
            let o = rig.server("s1");
            rig.send(o, answer);
            let (text, ended) = rig.heard(c);
            assert_eq!(text, got);
            assert_eq!(ended == Ended::Open, stays);
            rig.finish();
        }
    });
}

#[test]
fn a_cut_body_never_looks_whole() {
    in_pieces(|knobs| {
        for (version, answer) in [
            ("1.0", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
            ("1.0", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe"),
            ("1.0", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX"),
            ("1.0", "HTTP/1.1 200 OK\r\n\r\nhello"),
            ("1.1", "HTTP/1.1 200 OK\r\n\r\nhello"),
        ] {
            let mut rig = Rig::with(&http_config(S1), knobs);
            let c = rig.ask(format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n"));
            let o = rig.server("s1");
            // In two parts, so that the head has left when the body turns out to be wrong.
            let at = answer.find("he").expect("a body") + 1;
            rig.send(o, &answer[..at]);
            rig.net.push(o, &answer.as_bytes()[at..]);
            match answer.contains("chunked") {
                true => rig.net.end(o),
                false => rig.net.reset(o),
            }
            rig.turns();
            assert_eq!(rig.ended(c), Ended::Reset, "{version} {answer:?}");
            rig.finish();
        }
    });
}

#[test]
fn a_switch_of_protocols_says_so_in_full() {
    const ASKS: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    for (fields, switches) in [
        ("Connection: upgrade\r\nUpgrade: x\r\n", true),
        ("Connection: keep-alive, Upgrade\r\nUpgrade: x\r\n", true),
        ("Connection: upgrade\r\n", false),
        ("Upgrade: x\r\n", false),
        ("Connection:\r\nUpgrade: x\r\n", false),
        ("Connection: upgrade\r\nUpgrade: x\r\nUpgrade: websocket\r\n", false),
        ("", false),
    ] {
        let mut rig = Rig::http(S1);
        let c = rig.ask(ASKS);
        let o = rig.server("s1");
        rig.send(o, format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n"));
        let text = rig.text(c);
        assert_eq!(text.starts_with("HTTP/1.1 101 "), switches, "{fields:?}: {text}");
        assert_eq!(text.starts_with("HTTP/1.1 502 "), !switches, "{fields:?}: {text}");
        rig.reset(c);
        rig.send(o, "x");
        rig.finish();
    }
}

#[test]
fn interim_answers_say_nothing_of_this_hop_or_of_a_body() {
    let mut rig = Rig::http(S1);
    let c = rig.ask(GET);
    let o = rig.server("s1");
    rig.send(
        o,
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 5\r\nConnection: x-a\r\n\
         X-A: b\r\nKeep-Alive: timeout=5\r\n\r\n\
         HTTP/1.1 102 Processing\r\nTransfer-Encoding: chunked\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    assert_eq!(
        rig.text(c),
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
         HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    );
    rig.finish();
}

#[test]
fn answers_that_are_none() {
    in_pieces(|knobs| {
        for bad in [
            "garbage\r\n\r\n",
            "HTTP/1.1 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        ] {
            let mut rig = Rig::with(&http_config(S1), knobs);
            let c = rig.ask(GET);
            let o = rig.server("s1");
            rig.send(o, bad);
            let (text, ended) = rig.heard(c);
            assert!(text.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{bad:?}: {text:?}");
            assert_eq!((ended, rig.ended(o)), (Ended::Open, Ended::Reset));
            let line = rig.log();
            assert!(line.contains(" PH-- "), "{line}");
            // The client did nothing wrong: it may go on.
            rig.send(c, GET);
            let o = rig.server("s1");
            rig.send(o, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            assert!(rig.text(c).ends_with("\r\n\r\nok"), "{bad:?}");
            assert!(rig.log().contains(" ---- "));
            rig.finish();
        }
    });
}

#[test]
fn an_answer_that_breaks_off() {
    in_pieces(|knobs| {
        for (answer, code) in [
            ("", "502 209 - - SH--"),
            ("HTTP/1.1 200 OK\r\nContent-", "502 209 - - SH--"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "200 54 - - SD--"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
                "200 63 - - SD--",
            ),
        ] {
            let mut rig = Rig::with(&http_config(S1), knobs);
            let c = rig.ask(GET);
            let o = rig.server("s1");
            if !answer.is_empty() {
                rig.net.push(o, answer.as_bytes());
            }
            rig.net.end(o);
            rig.turns();
            let (text, ended) = rig.heard(c);
            let expected = if code.starts_with("502") { Ended::Open } else { Ended::Shut };
            assert_eq!(ended, expected, "{answer:?}");
            assert!(!text.ends_with("0\r\n\r\n"), "it looks whole: {text:?}");
            let line = rig.log();
            assert!(line.contains(&format!(" {code} ")), "{answer:?}: {line}");
            rig.finish();
        }
    });
}

/// An interim answer that is half sent is not torn by the page that follows it.
#[test]
fn a_page_behind_an_interim_answer() {
    let mut rig = Rig::http(S1);
    let c = rig.ask(GET);
    let o = rig.server("s1");
    rig.window(c, 10);
    rig.send(o, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    rig.end(o);
    let text = String::from_utf8(rig.drain(c, 10)).expect("text");
    let interim = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    assert!(text.starts_with(&format!("{interim}HTTP/1.1 502 Bad Gateway\r\n")), "{text}");
    assert!(text.ends_with("</html>\n"), "{text}");
    rig.finish();
}

#[test]
fn bytes_behind_an_answer_make_its_connection_useless() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&http_config(S1), knobs);
        let c = rig.ask(GET);
        let o = rig.server("s1");
        rig.send(o, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n");
        assert!(rig.text(c).ends_with("\r\n\r\nhello"));
        assert_eq!(rig.ended(o), Ended::Reset);
        rig.finish();
    });
}

#[test]
fn both_lengths_close_the_servers_connection() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&http_config(S1), knobs);
        let c = rig.ask(GET);
        let o = rig.server("s1");
        rig.send(
            o,
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
             2\r\nok\r\n0\r\n\r\n",
        );
        let text = rig.text(c);
        assert!(!text.contains("content-length"), "{text}");
        assert_eq!((rig.ended(c), rig.ended(o)), (Ended::Open, Ended::Reset));
        // Where they are about a body that is not sent, too.
        rig.send(c, GET.replace("GET", "HEAD"));
        let o = rig.server("s1");
        rig.send(o, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert!(!rig.text(c).contains("content-length"));
        assert_eq!((rig.ended(c), rig.ended(o)), (Ended::Open, Ended::Reset));
        rig.finish();
    });
}

#[test]
fn own_pages() {
    let page =
        "HTTP/1.0 503 Sorry\r\nCache-Control: no-cache\r\nContent-Type: text/plain\r\n\r\nsorry\n";
    let file = "HTTP/1.1 403 No\r\nContent-Length: 3\r\nX-A: b\r\n\r\nno\n";
    let host = tidegate_core::config::MapHost::default()
        .with_file("/e/503", page)
        .with_file("/e/403", file)
        .with_file("/dev/null", "");
    let knobs = Knobs { host, ..Knobs::default() };
    for (lines, got, stays) in [
        (
            " errorfile 503 /e/503\n",
            "HTTP/1.0 503 Sorry\r\ncache-control: no-cache\r\ncontent-type: text/plain\r\n\r\nsorry\n",
            false,
        ),
        (
            " errorfile 403 /e/403\n http-request deny\n server s1 10.0.0.1:1\n",
            "HTTP/1.1 403 No\r\ncontent-length: 3\r\nx-a: b\r\n\r\nno\n",
            true,
        ),
        (" errorfile 503 /dev/null\n", "", false),
    ] {
        let mut rig = Rig::with(&http_config(lines), &knobs);
        let c = rig.ask(GET);
        let (text, ended) = rig.heard(c);
        assert_eq!(text, got, "{lines}");
        assert_eq!(ended == Ended::Open, stays, "{lines}");
        rig.finish();
    }
}

#[test]
fn closing_modes() {
    // Options, what the server is told, what the client is told, who stays.
    for (lines, server, client, stays) in [
        ("", "", "", (true, true)),
        (" option http-server-close\n", "connection: close\r\n", "", (true, false)),
        (" option httpclose\n", "connection: close\r\n", "connection: close\r\n", (false, false)),
        (" option http-server-close\n option http-pretend-keepalive\n", "", "", (true, false)),
    ] {
        in_pieces(|knobs| {
            let mut rig = Rig::with(&http_config(&format!("{lines}{S1}")), knobs);
            let c = rig.ask(GET);
            let o = rig.server("s1");
            assert_eq!(rig.text(o), format!("GET / HTTP/1.1\r\nhost: a\r\n{server}\r\n"));
            rig.send(o, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{client}\r\nok");
            let (text, ended) = rig.heard(c);
            assert_eq!(text, head, "{lines}");
            assert_eq!((ended == Ended::Open, rig.ended(o) == Ended::Open), stays, "{lines}");
            rig.finish();
        });
    }
}

#[test]
fn a_client_that_asks_to_close() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&http_config(S1), knobs);
        let c = rig.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let o = rig.server("s1");
        assert_eq!(rig.text(o), "GET / HTTP/1.1\r\nhost: a\r\n\r\n", "the server's may stay");
        rig.send(o, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let (text, ended) = rig.heard(c);
        assert!(text.contains("\r\nconnection: close\r\n"), "{text}");
        assert_eq!((ended, rig.ended(o)), (Ended::Closed, Ended::Open));
        rig.finish();
    });
}
