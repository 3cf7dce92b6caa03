//! Every timeout: it fires neither early nor late, the peers see what they should, the log says
//! why, and where a timeout is set nothing ever waits without a deadline (the audit's A5 looks
//! after each turn).

use crate::rig::{Ended, GLOBAL, Rig, S1, S12};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn rig(mode: &str, timeouts: &str, lines: &str) -> Rig {
    Rig::new(&format!(
        "{GLOBAL}defaults\n mode {mode}\n log global\n option {mode}log\n \
         timeout connect 60s\n timeout client 60s\n timeout server 60s\n{timeouts}\n\
         listen l\n bind 127.0.0.1:80\n{lines}"
    ))
}

/// Nothing is logged until a millisecond before, and then one line is.
#[track_caller]
fn fires(rig: &mut Rig, ms: u64) -> String {
    rig.advance(ms - 1);
    assert_eq!(rig.logs(), [""; 0], "early, at {} ms", rig.ms());
    rig.advance(2);
    rig.log()
}

#[test]
fn client_in_tcp_mode() {
    let mut rig = rig("tcp", " timeout client 300\n", S1);
    let c = rig.ask("hello");
    let o = rig.server("s1");
    rig.advance(200);
    rig.send(c, "again");
    rig.advance(299);
    assert_eq!(rig.ended(o), Ended::Open);
    rig.advance(2);
    // The server hears that no more comes, and may still answer until its own time is over.
    assert_eq!(rig.heard(o), ("helloagain".into(), Ended::Shut));
    assert_eq!(rig.ended(c), Ended::Open);
    rig.end(o);
    assert_eq!(rig.ended(c), Ended::Closed);
    assert_eq!(rig.log(), "l l/s1 0/0/501 0 cD 1/1/0/0/0 0/0");
    rig.finish();
}

#[test]
fn a_client_that_takes_data_is_not_silent() {
    let mut r = rig("tcp", " timeout client 300\n", S1);
    let c = r.client();
    let o = r.server("s1");
    for _ in 0..5 {
        r.advance(250);
        r.send(o, "tick");
    }
    assert_eq!(r.heard(c), ("tick".repeat(5), Ended::Open));
    assert_eq!(r.ended(o), Ended::Open);
    r.advance(301);
    assert_eq!(r.ended(o), Ended::Shut);
    r.finish();

    // Unless it is asked not to count.
    let mut r = rig("tcp", " timeout client 300\n option independent-streams\n", S1);
    let _ = r.client();
    let o = r.server("s1");
    r.advance(250);
    r.send(o, "tick");
    r.advance(51);
    assert_eq!(r.ended(o), Ended::Shut);
    r.finish();
}

#[test]
fn server_in_tcp_mode() {
    let mut rig = rig("tcp", " timeout server 300\n", S1);
    let c = rig.client();
    let o = rig.server("s1");
    rig.send(o, "hello");
    rig.advance(299);
    assert_eq!(rig.heard(c), ("hello".into(), Ended::Open));
    rig.advance(2);
    assert_eq!((rig.ended(c), rig.ended(o)), (Ended::Shut, Ended::Open));
    rig.end(c);
    assert_eq!(rig.ended(o), Ended::Closed);
    assert_eq!(rig.log(), "l l/s1 0/0/301 5 sD 1/1/0/0/0 0/0");
    rig.finish();
}

#[test]
fn a_server_that_takes_nothing() {
    let mut rig = rig("tcp", " timeout server 300\n", S1);
    let c = rig.client();
    let o = rig.server("s1");
    rig.window(o, 2);
    rig.advance(100);
    rig.send(c, "hello");
    rig.advance(299);
    assert_eq!(rig.logs(), [""; 0]);
    rig.advance(2);
    rig.end(c);
    let line = rig.log();
    assert!(line.contains(" sD "), "{line}");
    assert_eq!(rig.text(o), "he");
    rig.finish();
}

#[test]
fn tunnel_replaces_both() {
    let mut r = rig("tcp", " timeout client 100\n timeout server 100\n timeout tunnel 500\n", S1);
    let c = r.ask("hello");
    let o = r.server("s1");
    r.advance(300);
    r.send(o, "welcome");
    let line = fires(&mut r, 500);
    assert_eq!(line, "l l/s1 0/0/800 7 cD 1/1/0/0/0 0/0");
    assert_ne!((r.ended(c), r.ended(o)), (Ended::Open, Ended::Open));
    r.finish();

    let mut r = rig("http", " timeout client 100\n timeout server 100\n timeout tunnel 500\n", S1);
    let c = r.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n");
    let o = r.server("s1");
    r.send(o, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n");
    r.advance(400);
    r.send(c, "ping");
    assert!(r.text(o).ends_with("ping"));
    let line = fires(&mut r, 500);
    assert!(line.contains(" cD-- "), "{line}");
    r.finish();
}

#[test]
fn client_fin() {
    let mut rig = rig("tcp", " timeout client-fin 300\n", S1);
    let c = rig.client();
    let o = rig.server("s1");
    rig.end(o);
    assert_eq!(rig.ended(c), Ended::Shut);
    rig.advance(200);
    rig.send(c, "still");
    rig.advance(299);
    assert_eq!(rig.heard(o), ("still".into(), Ended::Open));
    rig.advance(2);
    assert_eq!((rig.ended(c), rig.ended(o)), (Ended::Closed, Ended::Closed));
    assert_eq!(rig.log(), "l l/s1 0/0/500 0 cD 1/1/0/0/0 0/0");
    rig.finish();
}

#[test]
fn server_fin() {
    let mut rig = rig("tcp", " timeout server-fin 300\n", S1);
    let c = rig.client();
    let o = rig.server("s1");
    rig.end(c);
    assert_eq!(rig.ended(o), Ended::Shut);
    rig.advance(200);
    rig.send(o, "still");
    rig.advance(299);
    assert_eq!(rig.heard(c), ("still".into(), Ended::Open));
    rig.advance(2);
    assert_eq!((rig.ended(c), rig.ended(o)), (Ended::Closed, Ended::Closed));
    assert_eq!(rig.log(), "l l/s1 0/0/500 5 sD 1/1/0/0/0 0/0");
    rig.finish();
}

#[test]
fn connect_in_both_modes() {
    for (mode, said, line) in [
        ("tcp", "hello", "l l/s1 0/-1/600 0 sC 1/1/0/0/2 0/0"),
        ("http", GET, "l l/s1 0/0/-1/-1/600 503 217 - - sC-- 1/1/0/0/2 0/0 \"GET / HTTP/1.1\""),
    ] {
        let mut rig = rig(mode, " timeout connect 200\n retries 2\n", S1);
        let c = rig.ask(said);
        for attempt in 1..=3 {
            let o = rig.dial("s1");
            rig.advance(199);
            assert_eq!(rig.ended(o), Ended::Open, "{mode} {attempt}");
            rig.advance(1);
            assert_ne!(rig.ended(o), Ended::Open, "{mode} {attempt}");
        }
        assert_eq!(rig.log(), line);
        let (text, ended) = rig.heard(c);
        assert_eq!(text.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), mode == "http");
        assert_eq!(ended == Ended::Open, mode == "http");
        rig.finish();
    }
}

#[test]
fn connect_with_redispatch_goes_elsewhere() {
    let mut rig = rig("http", " timeout connect 200\n retries 1\n option redispatch\n", S12);
    let c = rig.ask(GET);
    let first = rig.dial("s1");
    rig.advance(200);
    assert_ne!(rig.ended(first), Ended::Open);
    let o = rig.server("s2");
    rig.send(o, OK);
    assert!(rig.text(c).ends_with("ok"));
    let line = "l l/s2 0/200/0/0/200 200 51 - - ---- 1/1/0/0/+1 0/0 \"GET / HTTP/1.1\"";
    assert_eq!(rig.log(), line);
    rig.finish();
}

#[test]
fn queue_in_both_modes() {
    for (timeouts, wait) in [(" timeout queue 300\n", 300), (" timeout connect 250\n", 250)] {
        for (mode, said) in [("tcp", "hello"), ("http", GET)] {
            let mut rig = rig(mode, timeouts, " server s1 10.0.0.1:80 maxconn 1\n");
            let _first = rig.ask(said);
            let _o = rig.server("s1");
            rig.advance(10);
            let c = rig.ask(said);
            let line = fires(&mut rig, wait);
            let expected = match mode {
                "tcp" => format!("l l/<NOSRV> {wait}/-1/{wait} 0 sQ 2/2/1/0/0 0/1"),
                _ => format!(
                    "l l/<NOSRV> 0/{wait}/-1/-1/{wait} 503 217 - - sQ-- 2/2/1/0/0 0/1 \
                     \"GET / HTTP/1.1\""
                ),
            };
            assert_eq!(line, expected);
            assert_eq!(rig.ended(c) == Ended::Open, mode == "http");
            rig.no_dial();
            rig.finish();
        }
    }
}

#[test]
fn http_request() {
    for (timeouts, wait) in [(" timeout http-request 300\n", 300), (" timeout client 200\n", 200)] {
        for said in ["", "GET / HTTP/1.1\r\nHo"] {
            let mut rig = rig("http", timeouts, S1);
            let c = rig.client();
            if !said.is_empty() {
                rig.advance(50);
                rig.send(c, said);
            }
            // Its bytes come drop by drop: that does not help.
            let since = rig.ms();
            let line = fires(&mut rig, wait - since);
            let timer = wait - since;
            let expected = format!(
                "l l/<NOSRV> -1/-1/-1/-1/{timer} 408 0 - - cR-- 1/1/0/0/0 0/0 \"<BADREQ>\""
            );
            assert_eq!(line, expected, "{said:?}");
            let (text, ended) = rig.heard(c);
            assert!(text.starts_with("HTTP/1.1 408 Request Time-out\r\n"), "{text}");
            assert_eq!(ended, Ended::Shut, "it lingers");
            rig.end(c);
            assert_eq!(rig.ended(c), Ended::Closed);
            rig.finish();
        }
    }
}

#[test]
fn http_request_of_a_later_request_begins_with_its_first_byte() {
    let mut rig = rig("http", " timeout http-request 300\n timeout http-keep-alive 500\n", S1);
    let c = rig.ask(GET);
    let o = rig.server("s1");
    rig.send(o, OK);
    rig.logs();
    rig.text(c);
    rig.advance(450);
    rig.send(c, "GET / HT");
    let line = fires(&mut rig, 300);
    assert!(line.contains(" 408 0 - - cR-- "), "{line}");
    assert!(rig.text(c).starts_with("HTTP/1.1 408 "));
    rig.finish();
}

#[test]
fn http_keep_alive_and_what_stands_in_for_it() {
    for (timeouts, wait) in [
        (" timeout http-keep-alive 300\n timeout http-request 100\n", 300),
        (" timeout http-request 200\n", 200),
        (" timeout client 250\n", 250),
    ] {
        let mut rig = rig("http", timeouts, S1);
        let c = rig.ask(GET);
        let o = rig.server("s1");
        rig.send(o, OK);
        rig.logs();
        rig.text(c);
        rig.advance(wait - 1);
        assert_eq!(rig.ended(c), Ended::Open, "{timeouts}");
        rig.advance(2);
        assert_eq!(rig.heard(c), (String::new(), Ended::Closed), "{timeouts}");
        assert_eq!(rig.logs(), [""; 0]);
        rig.finish();
    }
}

#[test]
fn an_http_answer_that_is_late() {
    for (said, code) in [
        ("", " 504 198 - - sH-- "),
        ("HTTP/1.1 200 OK\r\nCont", " 504 198 - - sH-- "),
        ("HTTP/1.1 103 Early Hints\r\n\r\n", " 504 241 - - sH-- "),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel", " 200 52 - - sD-- "),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhel", " 200 61 - - sD-- "),
    ] {
        let mut rig = rig("http", " timeout server 300\n", S1);
        let c = rig.ask(GET);
        let o = rig.server("s1");
        rig.advance(100);
        if !said.is_empty() {
            rig.send(o, said);
        }
        let line = fires(&mut rig, if said.is_empty() { 200 } else { 300 });
        assert!(line.contains(code), "{said:?}: {line}");
        let (_, ended) = rig.heard(c);
        let expected = if code.starts_with(" 504") { Ended::Open } else { Ended::Shut };
        assert_eq!(ended, expected, "{said:?}");
        assert_eq!(rig.ended(o), Ended::Reset);
        rig.end(c);
        rig.finish();
    }
}

#[test]
fn a_server_that_takes_no_request() {
    let mut rig = rig("http", " timeout server 300\n", S1);
    let c = rig.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    let o = rig.dial("s1");
    rig.net.window(o, 7);
    rig.net.establish(o);
    rig.turns();
    let line = fires(&mut rig, 300);
    assert!(line.contains(" 504 198 - - sH-- "), "{line}");
    assert!(rig.text(c).starts_with("HTTP/1.1 504 "));
    rig.finish();
}

#[test]
fn a_client_that_takes_no_answer() {
    let mut rig = rig("http", " timeout client 300\n", S1);
    let c = rig.ask(GET);
    let o = rig.server("s1");
    rig.window(c, 10);
    rig.send(o, OK);
    let line = fires(&mut rig, 300);
    assert!(line.contains(" 200 51 - - cD-- "), "{line}");
    assert_ne!(rig.ended(c), Ended::Open);
    rig.finish();
}

/// As in HAProxy it is the server's patience that counts; without one, the client's.
#[test]
fn a_body_that_stops() {
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello";
    let mut r = rig("http", " timeout client 300\n timeout server 500\n", S1);
    let c = r.ask(post);
    let _o = r.server("s1");
    let line = fires(&mut r, 500);
    assert!(line.contains(" 504 198 - - sH-- "), "{line}");
    assert!(r.text(c).starts_with("HTTP/1.1 504 "));
    r.finish();

    let mut r = rig("http", " timeout client 300\n timeout server 0\n", S1);
    let c = r.ask(post);
    let _o = r.server("s1");
    let line = fires(&mut r, 300);
    assert!(line.contains(" 408 232 - - cD-- "), "{line}");
    assert!(r.text(c).starts_with("HTTP/1.1 408 "));
    r.finish();

    // The answer is there already, and the rest of the body is not wanted for ever.
    let mut r = rig("http", " timeout client 300\n", S1);
    let c = r.ask(post);
    let o = r.server("s1");
    r.send(o, OK);
    let line = fires(&mut r, 300);
    assert!(line.contains(" 200 51 - - cD-- "), "{line}");
    assert!(r.text(c).ends_with("\r\n\r\nok"));
    r.finish();
}

#[test]
fn tarpit() {
    for (timeouts, rule, wait, status) in [
        (" timeout tarpit 300\n", " http-request tarpit\n", 300, "500 208"),
        (" timeout tarpit 300\n", " http-request tarpit deny_status 429\n", 300, "429 225"),
        (" timeout connect 200\n", " http-request tarpit\n", 200, "500 208"),
    ] {
        let mut rig = rig("http", timeouts, &format!("{rule}{S1}"));
        let c = rig.ask(GET);
        let line = fires(&mut rig, wait);
        assert_eq!(
            line,
            format!(
                "l l/<NOSRV> -1/{wait}/-1/-1/{wait} {status} - - PT-- 1/1/0/0/0 0/0 \
                 \"GET / HTTP/1.1\""
            )
        );
        let text = rig.text(c);
        assert!(text.starts_with(&format!("HTTP/1.1 {}", &status[..3])), "{text}");
        rig.no_dial();
        rig.finish();
    }
}

/// Who leaves the tarpit need not be held there, where that is looked for: in a body, and with
/// `option abortonclose`.
#[test]
fn a_client_leaves_the_tarpit() {
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhello";
    for (option, request, reset, time, bytes) in [
        ("", GET, false, 300, 208),
        ("", GET, true, 300, 208),
        ("", post, false, 100, 0),
        ("", post, true, 100, 0),
        (" option abortonclose\n", GET, false, 100, 208),
        (" option abortonclose\n", GET, true, 100, 0),
    ] {
        let defaults = format!(" timeout tarpit 300\n{option}");
        let mut rig = rig("http", &defaults, &format!(" http-request tarpit\n{S1}"));
        let c = rig.ask(request);
        rig.advance(100);
        if reset {
            rig.reset(c)
        } else {
            rig.end(c)
        }
        rig.advance(time - 100);
        let line = rig.log();
        let expected = format!("l l/<NOSRV> -1/{time}/-1/-1/{time} 500 {bytes} - - PT-- ");
        assert!(line.starts_with(&expected), "{option} {request} {reset}: {line}");
        assert_eq!((rig.sessions(), rig.clients()), (0, 0));
        rig.finish();
    }
}

/// Each wait that a session can be in, with every timeout set: whatever it waits for, it ends by
/// itself.
#[test]
fn nothing_waits_for_ever() {
    let all =
        " timeout client 300\n timeout server 300\n timeout connect 300\n timeout queue 300\n";
    for (mode, said, answer) in [
        ("tcp", "", ""),
        ("tcp", "hello", "welcome"),
        ("http", "", ""),
        ("http", "GET", ""),
        ("http", GET, ""),
        ("http", GET, "HTTP/1.1 200"),
        ("http", GET, "HTTP/1.1 100 Continue\r\n\r\n"),
        ("http", GET, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
        ("http", GET, "HTTP/1.1 200 OK\r\n\r\nhello"),
        ("http", GET, OK),
        ("http", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhel", ""),
        ("http", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhel", OK),
        ("http", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", OK),
        ("http", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"),
    ] {
        for (c_ends, o_ends, window) in
            [(false, false, 100_000), (true, false, 0), (false, true, 0), (false, false, 3)]
        {
            let mut rig = rig(mode, all, S1);
            let c = rig.net.connect(0);
            rig.net.window(c, window);
            if !said.is_empty() {
                rig.net.push(c, said.as_bytes());
            }
            if c_ends {
                rig.net.end(c);
            }
            rig.turns();
            if let Some((o, _)) = rig.dialled() {
                rig.net.window(o, window);
                rig.net.establish(o);
                if !answer.is_empty() {
                    rig.net.push(o, answer.as_bytes());
                }
                if o_ends {
                    rig.net.end(o);
                }
                rig.turns();
            }
            rig.advance(12_000);
            let left = (rig.sessions(), rig.clients());
            assert_eq!(left, (0, 0), "{mode} {said:?} {answer:?} {c_ends} {o_ends} {window}");
            rig.finish();
        }
    }
}
