//! Attempts that fail: pauses, other servers, and what is tried again after a failure of another
//! kind.

use crate::rig::{Ended, Rig, S1, S12};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_refused_attempt_is_repeated_after_a_pause() {
    // The pause is the shorter of a second and timeout connect.
    for (timeout, pause) in [("300", 300), ("5s", 1_000)] {
        let mut rig = Rig::http(&format!(" timeout connect {timeout}\n retries 2\n{S1}"));
        let c = rig.ask(GET);
        for _ in 0..2 {
            rig.refuse("s1");
            rig.advance(pause - 1);
            rig.no_dial();
            rig.advance(1);
        }
        let o = rig.server("s1");
        rig.send(o, OK);
        assert!(rig.text(c).ends_with("ok"));
        let (all, line) = (2 * pause, rig.log());
        let expected = format!("l l/s1 0/0/{all}/0/{all} 200 51 - - ---- 1/1/0/0/2 0/0 ");
        assert!(line.starts_with(&expected), "{line}");
        rig.finish();
    }
}

#[test]
fn refused_for_good() {
    for retries in [0, 1, 3] {
        let mut rig = Rig::http(&format!(" timeout connect 100\n retries {retries}\n{S1}"));
        let c = rig.ask(GET);
        for _ in 0..retries {
            rig.refuse("s1");
            rig.advance(100);
        }
        rig.refuse("s1");
        let (text, ended) = rig.heard(c);
        assert!(text.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{text}");
        assert_eq!(ended, Ended::Open);
        let all = retries * 100;
        assert_eq!(
            rig.log(),
            format!(
                "l l/s1 0/0/-1/-1/{all} 503 217 - - SC-- 1/1/0/0/{retries} 0/0 \"GET / HTTP/1.1\""
            )
        );
        rig.finish();
    }
}

/// The client's patience does not count while a server is looked for, not even where it ends in the
/// same moment as a pause between two attempts.
#[test]
fn a_body_waits_for_a_server() {
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    for client in [199, 200, 201] {
        let limits = format!(" timeout client {client}\n timeout connect 100\n retries 3\n{S1}");
        let mut rig = Rig::http(&limits);
        let c = rig.ask(post);
        rig.send(c, "hello");
        for _ in 0..3 {
            rig.refuse("s1");
            rig.advance(100);
        }
        rig.refuse("s1");
        let text = rig.text(c);
        assert!(text.starts_with("HTTP/1.1 503 "), "{client}: {text}");
        assert!(rig.log().contains(" 0/0/-1/-1/300 503 217 - - SC-- "));
        rig.finish();
    }
}

#[test]
fn refused_in_tcp_mode() {
    let mut rig = Rig::tcp(&format!(" timeout connect 100\n retries 1\n{S1}"));
    let c = rig.ask("hello");
    rig.refuse("s1");
    rig.advance(100);
    rig.refuse("s1");
    assert_ne!(rig.ended(c), Ended::Open);
    assert_eq!(rig.log(), "l l/s1 0/-1/100 0 SC 1/1/0/0/1 0/0");
    rig.finish();
}

/// Where the algorithm does not care and there is another server, the first refusal leads there at
/// once.
#[test]
fn redispatch_at_once() {
    let mut rig = Rig::http(&format!(" option redispatch\n{S12}"));
    let c = rig.ask(GET);
    rig.refuse("s1");
    let o = rig.server("s2");
    rig.send(o, OK);
    assert!(rig.text(c).ends_with("ok"));
    let line = rig.log();
    assert!(line.starts_with("l l/s2 0/0/0/0/0 200 51 - - ---- 1/1/0/0/+1 "), "{line}");
    rig.finish();
}

#[test]
fn without_redispatch_it_stays() {
    let mut rig = Rig::http(&format!(" timeout connect 100\n retries 1\n{S12}"));
    let c = rig.ask(GET);
    rig.refuse("s1");
    rig.advance(100);
    rig.refuse("s1");
    assert!(rig.text(c).starts_with("HTTP/1.1 503 "));
    rig.finish();
}

/// An algorithm that has a server for each client is asked again only as the interval says.
#[test]
fn redispatch_intervals() {
    for (interval, retries, pauses) in
        [("", 3, "PP-"), (" -1", 3, "PP-"), (" 1", 3, "---"), (" 2", 3, "P-P"), (" 3", 3, "PP-")]
    {
        let lines = format!(
            " balance source\n timeout connect 100\n retries {retries}\n \
             option redispatch{interval}\n{S12}"
        );
        let mut rig = Rig::http(&lines);
        let c = rig.ask(GET);
        let mut seen = String::new();
        let (first, mut server) = rig.dialled().expect("an attempt");
        rig.net.refuse(first, tidegate_core::fault::Fault::Refused);
        rig.turns();
        for _ in 0..retries {
            let mut next = rig.dialled();
            let paused = next.is_none();
            if paused {
                rig.advance(100);
                next = rig.dialled();
            }
            let (wire, name) = next.expect("another attempt");
            seen.push(if paused { 'P' } else { '-' });
            server = name;
            rig.net.refuse(wire, tidegate_core::fault::Fault::Refused);
            rig.turns();
        }
        assert!(!server.is_empty());
        assert_eq!(seen, pauses, "{interval}");
        assert!(rig.text(c).starts_with("HTTP/1.1 503 "));
        rig.finish();
    }
}

#[test]
fn backups_serve_when_no_other_can() {
    for (lines, server) in [
        (" server s1 10.0.0.1:1 disabled\n server b1 10.0.0.2:1 backup\n", "b1"),
        (" server s1 10.0.0.1:1\n server b1 10.0.0.2:1 backup\n", "s1"),
    ] {
        let mut rig = Rig::http(lines);
        let c = rig.ask(GET);
        let o = rig.server(server);
        rig.send(o, OK);
        assert!(rig.text(c).ends_with("ok"));
        rig.finish();
    }
    let two = " server s1 10.0.0.1:1 disabled\n server b1 10.0.0.2:1 backup\n \
               server b2 10.0.0.3:1 backup\n";
    for (option, expected) in [("", ["b1", "b1"]), (" option allbackups\n", ["b1", "b2"])] {
        let mut rig = Rig::http(&format!("{option}{two}"));
        for name in expected {
            let _ = rig.ask(GET);
            let _ = rig.server(name);
        }
        rig.finish();
    }
}

#[test]
fn no_server_at_all() {
    for lines in ["", " server s1 10.0.0.1:1 disabled\n", " server s1 10.0.0.1:1 weight 0\n"] {
        let mut rig = Rig::http(lines);
        let c = rig.ask(GET);
        assert!(rig.text(c).starts_with("HTTP/1.1 503 "), "{lines}");
        let line = rig.log();
        assert!(line.starts_with("l l/<NOSRV> "), "{line}");
        assert!(line.contains(" 503 217 - - SC-- "), "{line}");
        rig.finish();
    }
}

/// What `retry-on` names is tried again, as long as there are attempts and the request can be
/// repeated.
#[test]
fn retry_on() {
    let garbage = "garbage\r\n\r\n";
    let busy = "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";
    for (words, first, again, status) in [
        ("", "", false, "502"),
        ("empty-response", "", true, ""),
        ("conn-failure", "", false, "502"),
        ("junk-response", garbage, true, ""),
        ("empty-response", garbage, false, "502"),
        ("503", busy, true, ""),
        ("500 504", busy, false, "503"),
        ("response-timeout", "WAIT", true, ""),
        ("conn-failure", "WAIT", false, "504"),
        ("all-retryable-errors", busy, true, ""),
    ] {
        let line = if words.is_empty() { String::new() } else { format!(" retry-on {words}\n") };
        let mut rig = Rig::http(&format!("{line} timeout server 500\n{S1}"));
        let c = rig.ask(GET);
        let o = rig.server("s1");
        match first {
            "" => rig.end(o),
            "WAIT" => rig.advance(500),
            bytes => rig.send(o, bytes),
        }
        if again {
            assert_eq!(rig.text(c), "", "{words}");
            assert_ne!(rig.ended(o), Ended::Open, "{words}");
            let o = rig.server("s1");
            assert_eq!(rig.text(o), "GET / HTTP/1.1\r\nhost: a\r\n\r\n", "{words}");
            rig.send(o, OK);
            assert!(rig.text(c).ends_with("ok"), "{words}");
            let line = rig.log();
            assert!(line.contains(" 200 51 - - ---- 1/1/0/0/1 "), "{line}");
        } else {
            assert!(rig.text(c).starts_with(&format!("HTTP/1.1 {status} ")), "{words}");
        }
        rig.finish();
    }
}

#[test]
fn retry_on_comes_to_an_end() {
    let mut rig = Rig::http(&format!(" retry-on empty-response\n retries 2\n{S1}"));
    let c = rig.ask(GET);
    for _ in 0..3 {
        let o = rig.server("s1");
        rig.end(o);
    }
    assert!(rig.text(c).starts_with("HTTP/1.1 502 "));
    let line = rig.log();
    assert!(line.contains(" 502 209 - - SH-- 1/1/0/0/2 "), "{line}");
    rig.finish();
}

/// A body that has left our hands cannot be sent again: whole or in part, chunked or not.
#[test]
fn retry_on_needs_the_whole_request() {
    let chunked = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    for request in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhello".to_owned(),
        chunked.to_owned(),
        format!("{chunked}0\r\n\r\n"),
    ] {
        let mut rig = Rig::http(&format!(" retry-on all-retryable-errors\n{S1}"));
        let c = rig.ask(&request);
        let o = rig.server("s1");
        rig.end(o);
        assert!(rig.text(c).starts_with("HTTP/1.1 502 "), "{request:?}");
        rig.no_dial();
        rig.finish();
    }
}

/// Nor on another connection when the reused one was dead: a head that announces a body would go
/// without it.
#[test]
fn a_chunked_body_is_not_lost_by_a_dead_connection() {
    let mut rig = Rig::http(&format!(" http-reuse always\n{S1}"));
    let c = rig.ask(GET);
    let o = rig.server("s1");
    rig.send(o, OK);
    assert!(rig.text(c).ends_with("ok"));
    rig.send(
        c,
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    );
    assert!(rig.text(o).ends_with("0\r\n\r\n"));
    rig.end(o);
    // The client, which asked on a connection that had been used, knows whether to ask again.
    assert_eq!(rig.text(c), "");
    assert_ne!(rig.ended(c), Ended::Open);
    rig.no_dial();
    rig.finish();
}
