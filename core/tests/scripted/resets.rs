//! Resets, at every phase and from either side: what the other side sees, and what the log says.

use crate::rig::{Ended, Rig, S1, in_pieces, tcp_config};

#[test]
fn a_tcp_client_resets() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&tcp_config(S1), knobs);
        let c = rig.ask("hello");
        let o = rig.server("s1");
        assert_eq!(rig.text(o), "hello");
        rig.reset(c);
        // Not an end: the server would take half of something for the whole.
        assert_eq!(rig.ended(o), Ended::Reset);
        assert_eq!(rig.log(), "l l/s1 0/0/0 0 CD 1/1/0/0/0 0/0");
        rig.finish();
    });
}

#[test]
fn a_tcp_client_resets_after_the_servers_end() {
    let mut rig = Rig::tcp(S1);
    let c = rig.client();
    let o = rig.server("s1");
    rig.send(o, "bye");
    rig.end(o);
    rig.reset(c);
    assert_eq!(rig.ended(o), Ended::Closed);
    assert_eq!(rig.log(), "l l/s1 0/0/0 3 CD 1/1/0/0/0 0/0");
    rig.finish();
}

#[test]
fn a_tcp_server_resets() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&tcp_config(S1), knobs);
        let c = rig.client();
        let o = rig.server("s1");
        rig.window(c, 2);
        rig.send(o, "hello");
        rig.reset(o);
        // What it had said is still delivered.
        assert_eq!(rig.heard(c), ("he".into(), Ended::Open));
        rig.window(c, 10);
        let (text, ended) = rig.heard(c);
        assert_eq!(text, "llo");
        assert!(ended != Ended::Open);
        rig.end(c);
        assert_eq!(rig.log(), "l l/s1 0/0/0 5 SD 1/1/0/0/0 0/0");
        rig.finish();
    });
}

#[test]
fn a_tcp_client_leaves_while_the_connection_hangs() {
    for (said, reset, code) in [("", false, "CC"), ("", true, "CD"), ("hello", true, "CD")] {
        let mut rig = Rig::tcp(S1);
        let c = rig.client();
        if !said.is_empty() {
            rig.send(c, said);
        }
        let o = rig.dial("s1");
        rig.advance(100);
        if reset {
            rig.reset(c)
        } else {
            rig.end(c)
        }
        assert_eq!(rig.ended(o), Ended::Reset, "{code}");
        assert_eq!(rig.log(), format!("l l/s1 0/-1/100 0 {code} 1/1/0/0/0 0/0"));
        rig.finish();
    }
}

#[test]
fn an_http_client_resets_within_its_head() {
    let mut rig = Rig::http(S1);
    let c = rig.ask("GET / HT");
    rig.reset(c);
    assert_eq!(rig.log(), "l l/<NOSRV> -1/-1/-1/-1/0 400 0 - - CR-- 1/1/0/0/0 0/0 \"<BADREQ>\"");
    assert_eq!(rig.text(c), "");
    rig.no_dial();
    rig.finish();
}

#[test]
fn an_http_client_resets_between_requests() {
    let mut rig = Rig::http(S1);
    let c = rig.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let o = rig.server("s1");
    rig.send(o, "HTTP/1.1 204 No Content\r\n\r\n");
    rig.logs();
    rig.reset(c);
    assert_eq!(rig.logs(), [""; 0]);
    assert_eq!((rig.clients(), rig.ended(o)), (0, Ended::Open));
    rig.finish();
}

#[test]
fn an_http_client_resets_within_its_body() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&crate::rig::http_config(S1), knobs);
        let c = rig.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
        let o = rig.server("s1");
        rig.reset(c);
        assert_eq!(rig.ended(o), Ended::Reset);
        assert_eq!(rig.log(), "l l/s1 0/0/0/-1/0 -1 0 - - CD-- 1/1/0/0/0 0/0 \"POST / HTTP/1.1\"");
        rig.finish();
    });
}

/// As in HAProxy: without abortonclose nobody looks.
#[test]
fn an_http_client_resets_while_its_answer_is_awaited() {
    let mut rig = Rig::http(S1);
    let c = rig.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let o = rig.server("s1");
    rig.reset(c);
    assert_eq!((rig.ended(o), rig.sessions()), (Ended::Open, 1));
    rig.send(o, "HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(rig.ended(o), Ended::Open, "the server did its part: it stays");
    assert_eq!(rig.log(), "l l/s1 0/0/0/0/0 204 42 - - CD-- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\"");
    rig.finish();

    let mut rig = Rig::http(&format!(" option abortonclose\n{S1}"));
    let c = rig.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let o = rig.server("s1");
    rig.reset(c);
    assert_eq!(rig.ended(o), Ended::Reset);
    assert_eq!(rig.log(), "l l/s1 0/0/0/-1/0 -1 0 - - CD-- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\"");
    rig.finish();
}

#[test]
fn an_http_client_resets_within_its_answer() {
    let mut rig = Rig::http(S1);
    let c = rig.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let o = rig.server("s1");
    rig.send(o, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    rig.reset(c);
    assert_eq!(rig.ended(o), Ended::Open, "not seen until something is sent");
    rig.send(o, "w");
    assert_eq!(rig.ended(o), Ended::Reset);
    assert_eq!(rig.log(), "l l/s1 0/0/0/0/0 200 56 - - CD-- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\"");
    rig.finish();
}

#[test]
fn an_http_server_resets_at_every_phase() {
    for (said, code, status) in [
        ("", "SH", 502),
        ("HTTP/1.1 200", "SH", 502),
        ("HTTP/1.1 100 Continue\r\n\r\n", "SH", 502),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "SD", 200),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "SD", 200),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", "SD", 200),
        ("HTTP/1.1 200 OK\r\n\r\nhello", "SD", 200),
    ] {
        let mut rig = Rig::http(S1);
        let c = rig.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let o = rig.server("s1");
        if !said.is_empty() {
            rig.send(o, said);
        }
        rig.reset(o);
        assert_eq!(rig.ended(c) == Ended::Open, status == 502, "{said:?}");
        let line = rig.log();
        assert!(line.contains(&format!(" {status} ")), "{said:?}: {line}");
        assert!(line.contains(&format!(" {code}-- ")), "{said:?}: {line}");
        rig.end(c);
        rig.finish();
    }
}

#[test]
fn a_reset_in_a_tunnel_is_passed_on() {
    let mut rig = Rig::http(S1);
    let c = rig.ask("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n");
    let o = rig.server("s1");
    rig.send(o, "HTTP/1.1 200 OK\r\n\r\n");
    rig.reset(c);
    assert_eq!(rig.ended(o), Ended::Reset);
    let line = rig.log();
    assert!(line.contains(" CD-- "), "{line}");
    rig.finish();
}

#[test]
fn both_reset_at_the_same_moment() {
    for lines in [" mode tcp\n option tcplog\n", " mode http\n"] {
        let mut rig = Rig::http(&format!("{lines}{S1}"));
        let c = rig.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
        let o = rig.server("s1");
        rig.net.reset(c);
        rig.net.reset(o);
        rig.turns();
        assert_eq!((rig.sessions(), rig.clients()), (0, 0), "{lines}");
        assert_eq!(rig.logs().len(), 1);
        rig.finish();
    }
}
