//! HTTP requests: what the server sees of them, and which never get there.

use tidegate_core::proxy::spec::Tunables;

use crate::rig::{Ended, Knobs, Rig, S1, http_config, in_pieces};
use crate::tcp::pattern;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Sends a request in one go and answers it; gives what the server got, and what the client got.
fn exchange(knobs: &Knobs, lines: &str, request: &[u8]) -> (String, String) {
    let mut rig = Rig::with(&http_config(&format!("{lines}{S1}")), knobs);
    let c = rig.ask(request);
    let o = rig.server("s1");
    let server = rig.text(o);
    rig.send(o, OK);
    let client = rig.text(c);
    rig.finish();
    (server, client)
}

#[test]
fn heads_are_written_anew() {
    in_pieces(|knobs| {
        for (lines, sent, got) in [
            (
                "",
                "GET /a?b HTTP/1.1\r\nHost: X\r\nA-B:  c \r\n",
                "GET /a?b HTTP/1.1\r\nhost: X\r\na-b: c\r\n",
            ),
            ("", "\r\nGET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1\r\nhost: a\r\n"),
            ("", "GET / HTTP/1.0\r\n", "GET / HTTP/1.0\r\nconnection: keep-alive\r\n"),
            (
                "",
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n",
                "GET / HTTP/1.1\r\nhost: a\r\n",
            ),
            (
                " option forwardfor\n",
                "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\n",
                "GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 1.2.3.4\r\nx-forwarded-for: 127.0.0.1\r\n",
            ),
            (
                " option forwardfor if-none\n",
                "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\n",
                "GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 1.2.3.4\r\n",
            ),
            (
                " option forwardfor except 127.0.0.0/8\n",
                "GET / HTTP/1.1\r\nHost: a\r\n",
                "GET / HTTP/1.1\r\nhost: a\r\n",
            ),
            (
                " option forwarded\n option forwardfor\n",
                "GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=1.2.3.4\r\n",
                "GET / HTTP/1.1\r\nhost: a\r\nforwarded: for=1.2.3.4\r\n\
                 forwarded: proto=http;for=127.0.0.1\r\nx-forwarded-for: 127.0.0.1\r\n",
            ),
            (
                " option forwarded host by by_port for-expr src,hex for_port-expr str(p)\n",
                "GET / HTTP/1.1\r\nHost: a:81\r\n",
                "GET / HTTP/1.1\r\nhost: a:81\r\n\
                 forwarded: host=\"a:81\";by=\"127.0.0.1:80\";for=\"_7F000001:_p\"\r\n",
            ),
            (
                " option forwardfor header X-Client\n",
                "GET / HTTP/1.1\r\nHost: a\r\n",
                "GET / HTTP/1.1\r\nhost: a\r\nx-client: 127.0.0.1\r\n",
            ),
            (
                " option http-server-close\n",
                "GET / HTTP/1.1\r\nHost: a\r\n",
                "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n",
            ),
            (
                " option http-server-close\n option http-pretend-keepalive\n",
                "GET / HTTP/1.1\r\nHost: a\r\n",
                "GET / HTTP/1.1\r\nhost: a\r\n",
            ),
        ] {
            let (server, client) = exchange(knobs, lines, format!("{sent}\r\n").as_bytes());
            assert_eq!(server, format!("{got}\r\n"), "{lines} {sent:?}");
            assert!(client.ends_with("\r\n\r\nok"), "{client}");
        }
    });
}

#[test]
fn bodies_of_known_length() {
    for (piece_max, window) in [(0, 100_000), (1_009, 100_000), (0, 777), (4_099, 5_000)] {
        let knobs = Knobs { piece_max, ..Knobs::default() };
        let mut rig = Rig::with(&http_config(S1), &knobs);
        let body = pattern(200_000);
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n";
        let c = rig.ask([head.as_bytes(), &body].concat());
        let o = rig.dial("s1");
        rig.net.window(o, 0);
        rig.net.establish(o);
        rig.turns();
        let got = rig.drain(o, window);
        let head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 200000\r\n\r\n";
        assert!(got.starts_with(head.as_bytes()));
        assert_eq!(got[head.len()..], body);
        rig.send(o, OK);
        assert!(rig.text(c).ends_with("ok"));
        rig.finish();
    }
}

/// Decodes a chunked body; panics if it is none.
fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let at = bytes.windows(2).position(|w| w == b"\r\n").expect("a size line");
        let size = std::str::from_utf8(&bytes[..at]).expect("text");
        let size = usize::from_str_radix(size, 16).expect("a size");
        bytes = &bytes[at + 2..];
        body.extend_from_slice(&bytes[..size]);
        assert_eq!(&bytes[size..size + 2], b"\r\n");
        bytes = &bytes[size + 2..];
        if size == 0 {
            assert!(bytes.is_empty(), "something behind the body");
            return body;
        }
    }
}

#[test]
fn chunked_bodies_cut_anywhere() {
    let chunks = b"5;a=\"b\"\r\nhello\r\n1\r\n \r\n0A\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n";
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let wire = [&head[..], chunks].concat();
    let play = |pieces: &[&[u8]], window: usize| {
        let mut rig = Rig::http(S1);
        let c = rig.client();
        let mut o = None;
        let mut got = Vec::new();
        for piece in pieces {
            rig.send(c, piece);
            if o.is_none()
                && let Some((wire, _)) = rig.dialled()
            {
                rig.net.window(wire, window);
                rig.net.establish(wire);
                rig.turns();
                o = Some(wire);
            }
            if let Some(o) = o {
                got.extend(rig.drain(o, window));
            }
        }
        let o = o.expect("dialled");
        let head = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        assert!(got.starts_with(head));
        assert_eq!(unchunked(&got[head.len()..]), b"hello 0123456789");
        rig.send(o, OK);
        assert!(rig.text(c).ends_with("ok"));
        rig.finish();
    };
    for at in 1..wire.len() {
        play(&[&wire[..at], &wire[at..]], 100_000);
    }
    let single: Vec<&[u8]> = wire.chunks(1).collect();
    play(&single, 100_000);
    play(&single, 1);
    play(&[&wire], 3);
}

#[test]
fn a_large_chunked_body_through_a_small_window() {
    let body = pattern(300_000);
    let mut wire = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(7_919) {
        wire.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    let mut rig = Rig::http(S1);
    let _c = rig.ask(&wire);
    let o = rig.dial("s1");
    rig.net.window(o, 0);
    rig.net.establish(o);
    rig.turns();
    let got = rig.drain(o, 4_001);
    let at = got.windows(4).position(|w| w == b"\r\n\r\n").expect("a head") + 4;
    assert_eq!(unchunked(&got[at..]), body);
    rig.finish();
}

#[test]
fn refused_requests() {
    in_pieces(|knobs| {
        for bad in [
            "GET /\r\n\r\n",
            "GET / HTTP/3.0\r\n\r\n",
            "G@T / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            let mut rig = Rig::with(&http_config(S1), knobs);
            let c = rig.ask(bad);
            let (text, ended) = rig.heard(c);
            assert!(text.starts_with("HTTP/1.1 400 Bad request\r\n"), "{bad:?}: {text:?}");
            assert_ne!(ended, Ended::Open);
            assert_eq!(
                rig.log(),
                "l l/<NOSRV> -1/-1/-1/-1/0 400 0 - - PR-- 1/1/0/0/0 0/0 \"<BADREQ>\"",
                "{bad:?}"
            );
            rig.no_dial();
            rig.finish();
        }
    });
}

#[test]
fn a_head_that_does_not_fit() {
    for piece_max in [0, 1_000] {
        let knobs = Knobs { piece_max, ..Knobs::default() };
        for len in [15_200, 15_500, 70_000, 1_000_000] {
            let mut rig = Rig::with(&http_config(S1), &knobs);
            let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(len));
            let c = rig.ask(head);
            if len == 15_200 {
                let o = rig.server("s1");
                assert!(rig.text(o).len() > len);
            } else {
                assert!(rig.text(c).starts_with("HTTP/1.1 400 "), "{len}");
            }
            rig.finish();
        }
    }
}

/// The same with buffers that are no larger than what may be held, and behind another request.
#[test]
fn large_heads_in_large_buffers() {
    for (bufsize, recv_size) in [(16_384, 16_384), (131_072, 65_536)] {
        let tunables: fn(&mut Tunables) = match bufsize {
            16_384 => |t| t.recv_size = 16_384,
            _ => |t| t.bufsize = 131_072,
        };
        let mut knobs = Knobs { tunables, ..Knobs::default() };
        let limit = bufsize - 1_024;
        for (len, fits) in
            [(limit - 100, true), (limit, true), (limit + 1, false), (bufsize * 2, false)]
        {
            for first in ["", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
                for piece_max in [0, 5_000] {
                    knobs.piece_max = piece_max;
                    let mut rig = Rig::with(&http_config(S1), &knobs);
                    let start = "GET /long HTTP/1.1\r\nHost: a\r\nX: ";
                    let x = "x".repeat(len - start.len() - 4);
                    let c = rig.ask(format!("{first}{start}{x}\r\n\r\n"));
                    let mut o = None;
                    if !first.is_empty() {
                        let wire = rig.server("s1");
                        rig.net.sent(wire);
                        rig.send(wire, "HTTP/1.1 204 No Content\r\n\r\n");
                        o = Some(wire);
                    }
                    let what = format!("{bufsize} {recv_size} {len} {first:?} {piece_max}");
                    if fits {
                        let o = o.unwrap_or_else(|| rig.server("s1"));
                        assert!(rig.text(o).starts_with("GET /long "), "{what}");
                        rig.send(o, OK);
                        assert!(rig.text(c).ends_with("ok"), "{what}");
                    } else {
                        let text = rig.text(c);
                        assert!(text.contains("HTTP/1.1 400 Bad request\r\n"), "{what}: {text}");
                    }
                    rig.finish();
                }
            }
        }
    }
}

#[test]
fn rules() {
    for (rules, status, code) in [
        (" http-request deny\n", "403 192", "PR--"),
        (" http-request deny deny_status 429\n", "429 225", "PR--"),
        (" http-request allow\n http-request deny\n", "", ""),
        (" http-request reject\n", "-1 0", "PR--"),
    ] {
        let mut rig = Rig::http(&format!("{rules}{S1}"));
        let c = rig.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        if status.is_empty() {
            let _ = rig.server("s1");
        } else {
            let line = rig.log();
            assert!(line.contains(&format!(" {status} - - {code} ")), "{rules}: {line}");
            let (text, ended) = rig.heard(c);
            assert_eq!(text.is_empty(), status.starts_with('-'));
            // A denied client may go on.
            assert_eq!(ended == Ended::Open, !text.is_empty(), "{rules}");
            rig.no_dial();
        }
        rig.finish();
    }
}

/// A megabyte that is denied at once: the client reads the whole answer, because nothing resets it.
#[test]
fn a_large_body_is_denied_at_once() {
    let mut rig = Rig::http(&format!(" http-request deny\n{S1}"));
    let c = rig.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    let (text, ended) = rig.heard(c);
    assert!(text.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{text}");
    assert!(text.contains("\r\nconnection: close\r\n"));
    assert!(text.ends_with("</html>\n"));
    assert_eq!(ended, Ended::Shut);
    for _ in 0..100 {
        rig.send(c, pattern(10_000));
        assert_eq!(rig.ended(c), Ended::Shut, "still listening");
    }
    rig.end(c);
    assert_eq!(rig.ended(c), Ended::Closed);
    assert_eq!(rig.logs().len(), 1);
    rig.finish();
}

#[test]
fn lingering_has_a_limit_in_bytes_and_in_time() {
    let denied = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n";
    let knobs = Knobs { tunables: |t| t.linger_bytes_max = 50_000, ..Knobs::default() };
    let config = http_config(&format!(" http-request deny\n{S1}"));
    let mut rig = Rig::with(&config, &knobs);
    let c = rig.ask(denied);
    rig.send(c, pattern(40_000));
    assert_eq!(rig.ended(c), Ended::Shut);
    rig.send(c, pattern(40_000));
    assert_ne!(rig.ended(c), Ended::Shut);
    rig.finish();

    let mut rig = Rig::new(&config);
    let c = rig.ask(denied);
    for _ in 0..9 {
        rig.advance(1_000);
        rig.send(c, "x");
    }
    rig.advance(999);
    assert_eq!(rig.ended(c), Ended::Shut);
    rig.advance(2);
    assert_eq!(rig.ended(c), Ended::Closed);
    rig.finish();
}

/// Nor do many who linger keep others out.
#[test]
fn who_lingers_holds_no_place() {
    let config = http_config(&format!(" maxconn 1\n http-request deny\n{S1}"));
    let knobs = Knobs { tunables: |t| t.lingering_max = 2, ..Knobs::default() };
    let mut rig = Rig::with(&config, &knobs);
    let denied = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";
    let clients: Vec<_> = (0..4).map(|_| rig.ask(denied)).collect();
    let ended: Vec<_> = clients.iter().map(|c| rig.ended(*c)).collect();
    assert_eq!(ended, [Ended::Shut, Ended::Shut, Ended::Closed, Ended::Closed]);
    rig.finish();
}

#[test]
fn expect_100_continue() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&http_config(S1), knobs);
        let c = rig
            .ask("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
        let o = rig.server("s1");
        assert!(rig.text(o).contains("\r\nexpect: 100-continue\r\n"));
        rig.send(o, "HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(rig.text(c), "HTTP/1.1 100 Continue\r\n\r\n");
        rig.send(c, "body");
        assert_eq!(rig.text(o), "body");
        rig.send(o, OK);
        assert!(rig.text(c).ends_with("ok"));
        assert_eq!((rig.ended(c), rig.ended(o)), (Ended::Open, Ended::Open));
        rig.finish();
    });
}

#[test]
fn an_early_answer_leaves_the_rest_of_the_body_its_way() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&http_config(S1), knobs);
        let c = rig.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
        let o = rig.server("s1");
        rig.text(o);
        rig.send(o, OK);
        assert_eq!(rig.text(c), "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        assert_eq!(rig.logs(), [""; 0]);
        rig.send(c, "world");
        assert_eq!(rig.text(o), "world");
        assert_eq!(rig.logs().len(), 1);
        // Both connections go on.
        rig.send(c, "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(rig.text(o).starts_with("GET /2 "));
        rig.no_dial();
        rig.finish();
    });
}

#[test]
fn an_early_answer_of_a_server_that_leaves() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&http_config(S1), knobs);
        let c = rig.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhello");
        let o = rig.server("s1");
        rig.send(o, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
        rig.reset(o);
        rig.send(c, "more of it");
        let (text, ended) = rig.heard(c);
        assert!(text.ends_with("\r\n\r\nno"), "{text}");
        assert_eq!(ended, Ended::Shut, "the answer is not destroyed by a reset");
        rig.send(c, pattern(1_000));
        rig.end(c);
        assert_eq!(rig.ended(c), Ended::Closed);
        rig.finish();
    });
}

#[test]
fn a_bad_chunk_ends_the_exchange_once() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&http_config(S1), knobs);
        let c = rig.ask("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        let o = rig.server("s1");
        rig.send(c, "zz\r\n");
        let text = rig.text(c);
        assert!(text.starts_with("HTTP/1.1 400 Bad request\r\n"), "{text}");
        assert_eq!(text.matches("HTTP/1.1").count(), 1);
        assert_eq!(rig.ended(o), Ended::Reset);
        let line = rig.log();
        assert!(line.contains(" 400 206 - - PH-- "), "{line}");
        rig.finish();
    });
}

#[test]
fn probes_may_be_ignored() {
    for (lines, logged, said) in [
        ("", 1, "HTTP/1.1 400 "),
        (" option dontlognull\n", 0, "HTTP/1.1 400 "),
        (" option http-ignore-probes\n", 0, ""),
    ] {
        let mut rig = Rig::http(&format!("{lines}{S1}"));
        let c = rig.client();
        rig.end(c);
        assert_eq!(rig.logs().len(), logged, "{lines}");
        assert!(rig.text(c).starts_with(said), "{lines}");
        assert!(rig.text(c).is_empty());
        rig.finish();

        let mut rig = Rig::http(&format!("{lines}{S1}"));
        let c = rig.client();
        rig.advance(2_100);
        assert_eq!(rig.logs().len(), logged, "{lines}");
        assert_eq!(rig.text(c).is_empty(), said.is_empty(), "{lines}");
        rig.finish();
    }
}

#[test]
fn bodies_that_http_1_0_does_not_know() {
    for (method, length, refused) in [
        ("GET", 2, true),
        ("HEAD", 2, true),
        ("DELETE", 2, true),
        ("GET", 0, false),
        ("POST", 2, false),
        ("OPTIONS", 2, false),
    ] {
        let body = &"ab"[..length];
        for (minor, refused) in [(0, refused), (1, false)] {
            let mut rig = Rig::http(S1);
            let head = format!("{method} / HTTP/1.{minor}\r\nHost: a\r\nContent-Length: {length}");
            let c = rig.ask(format!("{head}\r\n\r\n{body}"));
            if refused {
                assert!(rig.text(c).starts_with("HTTP/1.1 413 "), "{head}");
                assert_ne!(rig.ended(c), Ended::Open, "{head}");
                rig.no_dial();
                let line = rig.log();
                assert!(line.contains(" 413 0 - - PR-- ") && line.contains("<BADREQ>"), "{line}");
            } else {
                let o = rig.server("s1");
                assert!(rig.text(o).ends_with(&format!("\r\n\r\n{body}")), "{head}");
            }
            rig.finish();
        }
    }
}
