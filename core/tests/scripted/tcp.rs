//! TCP mode: bytes pass as they are, both ways, however they come and go.

use crate::rig::{Ended, Knobs, Rig, S1, in_pieces, tcp_config};

/// Bytes without a short period: a loss or a swap shows.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
}

#[test]
fn bytes_pass_both_ways() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&tcp_config(S1), knobs);
        let c = rig.client();
        let o = rig.server("s1");
        rig.send(c, "hello");
        assert_eq!(rig.text(o), "hello");
        rig.send(o, "welcome");
        assert_eq!(rig.text(c), "welcome");
        rig.end(c);
        assert_eq!(rig.ended(o), Ended::Shut);
        rig.end(o);
        assert_eq!((rig.ended(c), rig.ended(o)), (Ended::Closed, Ended::Closed));
        assert_eq!(rig.log(), "l l/s1 0/0/0 7 -- 1/1/0/0/0 0/0");
        rig.finish();
    });
}

#[test]
fn what_a_client_says_before_the_connection_is_there_waits() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&tcp_config(S1), knobs);
        let c = rig.ask("first, ");
        let o = rig.dial("s1");
        rig.send(c, "second");
        rig.advance(40);
        rig.net.establish(o);
        rig.turns();
        assert_eq!(rig.text(o), "first, second");
        rig.end(o);
        rig.end(c);
        assert_eq!(rig.log(), "l l/s1 0/40/40 0 -- 1/1/0/0/0 0/0");
        rig.finish();
    });
}

#[test]
fn a_server_may_speak_first() {
    let mut rig = Rig::tcp(S1);
    let c = rig.client();
    let o = rig.dial("s1");
    // Its greeting is there with the connection: one event for both.
    rig.net.push(o, b"220 ready");
    rig.net.establish(o);
    rig.turns();
    assert_eq!(rig.text(c), "220 ready");
    rig.finish();
}

#[test]
fn bytes_and_the_end_in_one_event() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&tcp_config(S1), knobs);
        // All of it is there before the accept.
        let c = rig.net.connect(0);
        rig.net.push(c, b"question");
        rig.net.end(c);
        rig.turns();
        let o = rig.dial("s1");
        rig.net.establish(o);
        rig.turns();
        assert_eq!(rig.heard(o), ("question".into(), Ended::Shut));
        rig.net.push(o, b"answer");
        rig.net.end(o);
        rig.turns();
        assert_eq!(rig.heard(c), ("answer".into(), Ended::Closed));
        assert_eq!(rig.ended(o), Ended::Closed);
        rig.finish();
    });
}

#[test]
fn short_writes_lose_nothing() {
    for (piece_max, window) in [(0, 1_000), (997, 313), (0, 65_536), (4_096, 100_000)] {
        let knobs = Knobs { piece_max, ..Knobs::default() };
        let mut rig = Rig::with(&tcp_config(S1), &knobs);
        let c = rig.client();
        let o = rig.server("s1");
        let (up, down) = (pattern(150_000), pattern(120_001));
        rig.window(c, 0);
        rig.window(o, 0);
        rig.send(c, &up);
        rig.send(o, &down);
        assert_eq!(rig.drain(o, window), up, "{piece_max} {window}");
        assert_eq!(rig.drain(c, window), down, "{piece_max} {window}");
        rig.end(c);
        rig.end(o);
        assert_eq!(rig.log(), "l l/s1 0/0/0 120001 -- 1/1/0/0/0 0/0");
        rig.finish();
    }
}

#[test]
fn a_client_that_says_nothing_and_leaves() {
    let mut rig = Rig::tcp(S1);
    let c = rig.client();
    let o = rig.server("s1");
    rig.end(c);
    assert_eq!(rig.ended(o), Ended::Shut);
    rig.end(o);
    assert_eq!(rig.log(), "l l/s1 0/0/0 0 -- 1/1/0/0/0 0/0");
    rig.finish();
}

#[test]
fn sessions_are_counted_while_they_last() {
    let mut rig = Rig::tcp(S1);
    let peers: Vec<_> = (0..3).map(|_| (rig.client(), rig.server("s1"))).collect();
    for (at, (c, o)) in peers.into_iter().enumerate() {
        rig.end(c);
        rig.end(o);
        let (now, others) = (3 - at, 2 - at);
        assert_eq!(rig.log(), format!("l l/s1 0/0/0 0 -- {now}/{now}/{others}/{others}/0 0/0"));
    }
    rig.finish();
}

#[test]
fn a_rejected_connection_is_closed_at_once() {
    let mut rig = Rig::tcp(&format!(" tcp-request connection reject\n{S1}"));
    let c = rig.client();
    assert_eq!(rig.heard(c), (String::new(), Ended::Closed));
    assert_eq!(rig.logs(), [""; 0]);
    rig.no_dial();
    rig.finish();

    let mut rig = Rig::tcp(&format!(" tcp-request content reject\n{S1}"));
    let c = rig.client();
    assert_eq!(rig.heard(c), (String::new(), Ended::Closed));
    assert_eq!(rig.log(), "l l/<NOSRV> -1/-1/0 0 PR 1/1/0/0/0 0/0");
    rig.finish();
}

#[test]
fn nobody_to_serve() {
    let mut rig = Rig::tcp("");
    let c = rig.ask("hello");
    assert_eq!(rig.ended(c), Ended::Closed);
    assert_eq!(rig.log(), "l l/<NOSRV> -1/-1/0 0 SC 1/1/0/0/0 0/0");
    rig.finish();
}

#[test]
fn what_is_http_becomes_http_and_stays_so() {
    const LINES: &str = " tcp-request inspect-delay 1s
 tcp-request content switch-mode http if HTTP
 tcp-request content reject if { req.len gt 0 } { req.payload(0,1) -m str ! }
 use_backend web if HTTP
 default_backend raw
backend web
 mode http
 http-request set-header X-Mode http
 server w1 10.0.0.1:80
backend raw
 server r1 10.0.0.2:80
";
    in_pieces(|knobs| {
        let mut rig = Rig::with(&tcp_config(LINES), knobs);
        let c = rig.ask("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
        let o = rig.server("w1");
        for path in ["/a", "/b"] {
            let head = format!("GET {path} HTTP/1.1\r\nhost: h\r\nx-mode: http\r\n\r\n");
            assert_eq!(rig.text(o), head);
            rig.send(o, "HTTP/1.1 204 No Content\r\n\r\n");
            assert_eq!(rig.text(c), "HTTP/1.1 204 No Content\r\n\r\n");
            assert!(rig.log().starts_with("l web/w1 0/0/0 "));
            if path == "/a" {
                rig.send(c, "GET /b HTTP/1.1\r\nHost: h\r\n\r\n");
            }
        }
        rig.end(c);
        assert_eq!(rig.ended(c), Ended::Closed);

        let c = rig.ask("SSH-2.0-x\r\n");
        let o = rig.server("r1");
        assert_eq!(rig.text(o), "SSH-2.0-x\r\n");
        rig.end(c);
        rig.end(o);
        assert_eq!(rig.log(), "l raw/r1 0/0/0 0 -- 1/1/0/0/0 0/0");
        rig.finish();
    });
}

#[test]
fn what_became_http_cannot_go_to_a_tcp_server() {
    let lines = format!(" tcp-request content switch-mode http\n{S1}");
    let mut rig = Rig::tcp(&lines);
    let c = rig.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(rig.heard(c), (String::new(), Ended::Closed));
    rig.no_dial();
    assert_eq!(rig.log(), "l l/<NOSRV> -1/-1/0 0 IR 1/1/0/0/0 0/0");
    rig.finish();
}

#[test]
fn rules_that_waited_begin_again_with_more_bytes() {
    let mut rig = Rig::tcp(&format!(
        " tcp-request inspect-delay 1s
 tcp-request content set-var(sess.len) req.len
 tcp-request content accept if {{ req.len ge 5 }}
 log-format \"%ci:%cp [%t] %b/%s %ts len=%[var(sess.len)]\"\n{S1}"
    ));
    let c = rig.ask("hel");
    rig.no_dial();
    rig.send(c, "lo");
    let o = rig.server("s1");
    assert_eq!(rig.text(o), "hello");
    rig.end(c);
    rig.end(o);
    assert_eq!(rig.log(), "l/s1 -- len=5");
    rig.finish();
}

#[test]
fn a_format_that_needs_nothing_of_the_end_is_written_at_once() {
    let mut rig = Rig::tcp(&format!(" log-format %b/%s\n{S1}"));
    let c = rig.client();
    let o = rig.server("s1");
    assert_eq!(rig.log(), "l/s1");
    rig.end(c);
    rig.end(o);
    assert_eq!(rig.logs(), [""; 0]);
    rig.finish();
}

#[test]
fn a_response_that_closes_the_server_goes_to_the_client() {
    in_pieces(|knobs| {
        let lines = format!(
            " tcp-response inspect-delay 1s
 tcp-response content close if {{ res.payload(0,3) -m str bye }}\n{S1}"
        );
        let mut rig = Rig::with(&tcp_config(&lines), knobs);
        let c = rig.client();
        let o = rig.server("s1");
        rig.send(o, "bye");
        assert_eq!(rig.heard(c), ("bye".into(), Ended::Closed));
        assert_ne!(rig.ended(o), Ended::Open);
        assert_eq!(rig.log(), "l l/s1 0/0/0 3 -- 1/1/0/0/0 0/0");
        rig.finish();
    });
}
