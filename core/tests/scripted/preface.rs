//! PROXY headers: awaited from clients, sent to servers.

use tidegate_core::engine::{Park, Signal};
use tidegate_core::script::Wire;

use crate::rig::{Ended, GLOBAL, Knobs, Rig, in_pieces};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const LINE: &str = "PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n";
/// The same in version 2.
const BLOCK: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x01\x12\x67\x01\xbb";

fn config(mode: &str, bind: &str, lines: &str) -> String {
    format!(
        "{GLOBAL}defaults\n mode {mode}\n log global\n option {mode}log\n timeout connect 1s\n \
         timeout client 2s\n timeout server 3s\n timeout http-request 500ms\nlisten l\n \
         bind 127.0.0.1:80 {bind}\n{lines}\n"
    )
}

const SERVER: &str = " server s1 10.0.0.1:80\n";

fn http() -> Rig {
    Rig::new(&config("http", "accept-proxy", SERVER))
}

fn tcp() -> Rig {
    Rig::new(&config("tcp", "accept-proxy", SERVER))
}

/// The one line, with the client that it names.
#[track_caller]
fn log(rig: &mut Rig) -> String {
    let mut lines = rig.raw_logs();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    lines.remove(0)
}

fn headers() -> [&'static [u8]; 2] {
    [LINE.as_bytes(), BLOCK]
}

#[test]
fn a_header_and_a_request_in_one_segment_cost_one_receive() {
    for header in headers() {
        let mut rig = http();
        let c = rig.client();
        let segment = [header, GET.as_bytes()].concat();
        let calls = rig.calls(|rig| rig.send(c, segment));
        assert_eq!((calls.recv, calls.recv_blocked), (1, 0));
        let o = rig.server("s1");
        assert_eq!(rig.text(o), "GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        rig.send(o, OK);
        assert!(rig.text(c).ends_with("ok"));
        let line = log(&mut rig);
        assert!(line.starts_with("192.0.2.7:4711 ["), "{line}");
        let rest = line.split_once("] ").map(|(_, rest)| rest);
        assert_eq!(rest, Some("l l/s1 0/0/0/0/0 200 51 - - ---- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\""));
        // The next request of the same connection is the same client's.
        rig.send(c, GET);
        rig.send(o, OK);
        assert!(log(&mut rig).starts_with("192.0.2.7:4711 ["));
        rig.finish();
    }
    for header in headers() {
        let mut rig = tcp();
        let c = rig.client();
        let segment = [header, b"hello"].concat();
        let calls = rig.calls(|rig| rig.send(c, segment));
        assert_eq!((calls.recv, calls.recv_blocked), (1, 0));
        let o = rig.server("s1");
        assert_eq!(rig.text(o), "hello");
        rig.end(c);
        rig.end(o);
        assert!(log(&mut rig).starts_with("192.0.2.7:4711 ["));
        rig.finish();
    }
}

#[test]
fn however_it_is_cut() {
    for header in headers() {
        for cut in 1..header.len() + 1 {
            let mut rig = http();
            let c = rig.client();
            rig.send(c, &header[..cut]);
            rig.advance(5);
            assert_eq!((rig.clients(), rig.sessions()), (1, 0), "cut at {cut}");
            rig.send(c, [&header[cut..], GET.as_bytes()].concat());
            let o = rig.server("s1");
            rig.send(o, OK);
            assert!(rig.text(c).ends_with("ok"), "cut at {cut}");
            assert!(log(&mut rig).starts_with("192.0.2.7:4711 ["), "cut at {cut}");
            rig.finish();
        }
        in_pieces(|knobs| {
            let mut rig = Rig::with(&config("tcp", "accept-proxy", SERVER), knobs);
            let c = rig.ask([header, b"hello"].concat());
            let o = rig.server("s1");
            assert_eq!(rig.text(o), "hello");
            rig.end(c);
            rig.end(o);
            rig.finish();
        });
    }
}

/// A header as long as one may be, in small pieces: what is there is not moved for each.
#[test]
fn a_long_header_in_many_pieces() {
    let mut header = BLOCK.to_vec();
    let len = 16_384 - 16_usize;
    header[14..16].copy_from_slice(&(len as u16).to_be_bytes());
    header.extend([4, ((len - 15) >> 8) as u8, (len - 15) as u8]);
    header.resize(16_384, b'x');
    let mut rig = http();
    let c = rig.client();
    for piece in header.chunks(32) {
        rig.send(c, piece);
    }
    let moved = rig.engines[0].pools().moved;
    assert!(moved < 20 * 16_384, "{moved} bytes moved");
    rig.send(c, GET);
    rig.server("s1");
    rig.finish();
    // A longer one is refused as soon as it says so.
    let mut rig = http();
    let c = rig.client();
    header[14..16].copy_from_slice(&(len as u16 + 1).to_be_bytes());
    rig.send(c, &header[..16]);
    assert_eq!(rig.ended(c), Ended::Reset);
    assert_eq!(rig.log(), "l/1: Truncated PROXY protocol header received");
    rig.finish();
}

#[test]
fn what_is_not_a_header_is_refused_with_a_line() {
    let foreign = "Received something which does not look like a PROXY protocol header";
    let invalid = "Received an invalid PROXY protocol header";
    for (bytes, message) in [
        (GET.as_bytes(), foreign),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", invalid),
        (
            b"PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n",
            "Received an unhandled protocol in the PROXY protocol header",
        ),
        (&BLOCK[..13], ""),
    ] {
        for mode in ["http", "tcp"] {
            let mut rig = Rig::new(&config(mode, "accept-proxy name main", SERVER));
            let c = rig.ask(bytes);
            if message.is_empty() {
                rig.end(c);
                assert_eq!(rig.log(), "l/main: Truncated PROXY protocol header received");
            } else {
                let line = log(&mut rig);
                assert!(line.starts_with("127.0.0.1:4000"), "{line}");
                assert!(line.ends_with(&format!("] l/main: {message}")), "{line}");
            }
            assert_eq!(rig.heard(c), (String::new(), Ended::Reset));
            rig.no_dial();
            assert_eq!((rig.clients(), rig.sessions()), (0, 0));
            rig.finish();
        }
    }
    // What is wrong behind the addresses is said of who they name, as HAProxy does.
    let mut rig = http();
    let mut header = BLOCK.to_vec();
    header[15] += 1;
    header.push(2);
    rig.ask(header);
    let line = log(&mut rig);
    assert!(line.starts_with("192.0.2.7:4711 [") && line.ends_with(invalid), "{line}");
    rig.finish();
}

#[test]
fn a_client_that_says_nothing_of_itself() {
    let empty = "Connection closed while waiting for PROXY protocol header";
    let broke = "Connection error while waiting for PROXY protocol header";
    let late = "Timeout while waiting for PROXY protocol header";
    for (first, message, ended) in [
        ("", empty, Ended::Closed),
        ("", broke, Ended::Closed),
        ("", late, Ended::Closed),
        ("PROXY TC", late, Ended::Closed),
        ("PROXY TC", broke, Ended::Closed),
    ] {
        for silent in [false, true] {
            let option = if silent { " option dontlognull\n" } else { "" };
            let mut rig = Rig::new(&config("http", "accept-proxy", &format!("{option}{SERVER}")));
            let c = rig.client();
            if !first.is_empty() {
                rig.send(c, first);
            }
            match message {
                _ if message == empty => rig.end(c),
                _ if message == broke => rig.reset(c),
                _ => {
                    rig.advance(1_999);
                    assert_eq!(rig.ended(c), Ended::Open, "timeout client is its time");
                    rig.advance(1);
                }
            }
            assert_eq!(rig.heard(c), (String::new(), ended), "{message}");
            let expected: Vec<String> =
                if silent { vec![] } else { vec![format!("l/1: {message}")] };
            assert_eq!(rig.logs(), expected);
            rig.finish();
        }
    }
}

/// As in HAProxy, there is no line where sessions have none, and its level is raised with that of
/// errors.
#[test]
fn which_targets_hear_of_it() {
    let silent = config("http", "accept-proxy", SERVER).replace(" option httplog\n", "");
    let mut rig = Rig::new(&silent);
    rig.ask(GET);
    assert_eq!(rig.logs(), [""; 0]);
    let c = rig.ask(LINE);
    assert_eq!(rig.raw_logs(), [""; 0], "nothing before its request");
    rig.send(c, GET);
    assert_eq!(rig.raw_logs(), ["Connect from 192.0.2.7:4711 to 192.0.2.1:443 (l/HTTP)"]);
    rig.finish();
    let lines = format!(" option log-separate-errors\n{SERVER}");
    let mut rig = Rig::new(&config("http", "accept-proxy", &lines));
    rig.ask(GET);
    assert!(rig.wire_logs()[0].starts_with("<131>"), "facility local0, level err");
    rig.finish();
    let mut rig = Rig::new(&config("http", "accept-proxy", SERVER));
    rig.ask(GET);
    assert!(rig.wire_logs()[0].starts_with("<134>"), "level info");
    rig.finish();
}

/// The clocks of a request begin when the header is whole; those of a TCP session when the
/// connection was accepted.
#[test]
fn a_late_header() {
    let mut rig = http();
    let c = rig.client();
    rig.advance(1_500);
    rig.send(c, LINE);
    rig.advance(499);
    assert_eq!(rig.ended(c), Ended::Open, "timeout http-request is its time now");
    rig.advance(1);
    assert!(rig.text(c).starts_with("HTTP/1.1 408 "));
    assert!(rig.log() == "l l/<NOSRV> -1/-1/-1/-1/500 408 0 - - cR-- 1/1/0/0/0 0/0 \"<BADREQ>\"");
    rig.finish();
    let mut rig = http();
    let c = rig.client();
    rig.advance(300);
    rig.send(c, format!("{LINE}{GET}"));
    let o = rig.server("s1");
    rig.send(o, OK);
    assert_eq!(rig.log(), "l l/s1 0/0/0/0/0 200 51 - - ---- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\"");
    rig.finish();
    let mut rig = tcp();
    let c = rig.client();
    rig.advance(300);
    rig.send(c, LINE);
    let o = rig.server("s1");
    rig.end(o);
    rig.end(c);
    assert!(rig.log().contains(" 300/0/300 0 -- "), "as measured");
    rig.finish();
}

#[test]
fn headers_that_name_nobody() {
    let local = &b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"[..];
    let unspecified = &b"\r\n\r\n\0\r\nQUIT\n\x21\0\0\0"[..];
    for header in [&b"PROXY UNKNOWN\r\n"[..], local, unspecified] {
        let mut rig = http();
        rig.ask([header, GET.as_bytes()].concat());
        let o = rig.server("s1");
        rig.send(o, OK);
        assert!(log(&mut rig).starts_with("127.0.0.1:40001 ["));
        rig.finish();
    }
}

#[test]
fn what_the_header_names_is_who_the_client_is() {
    let lines = " option forwardfor\n balance source\n server s1 10.0.0.1:80\n \
                 server s2 10.0.0.2:80\n server s3 10.0.0.3:80\n";
    let mut rig = Rig::new(&config("http", "accept-proxy", lines));
    let mut servers = Vec::new();
    for last in 1..10 {
        let c = rig.ask(format!("PROXY TCP4 192.0.2.{last} 192.0.2.1 4711 443\r\n{GET}"));
        let (o, server) = rig.dialled().expect("a connection attempt");
        rig.net.establish(o);
        rig.turns();
        assert!(rig.text(o).contains(&format!("x-forwarded-for: 192.0.2.{last}\r\n")));
        servers.push(server);
        rig.end(c);
    }
    servers.sort();
    servers.dedup();
    assert!(servers.len() > 1, "the socket's own address is always the same");
    rig.finish();
}

#[test]
fn only_the_listener_that_is_told_to() {
    let lines = format!(" bind 127.0.0.1:81\n{SERVER}");
    let mut rig = Rig::new(&config("http", "accept-proxy", &lines));
    let c = rig.net.connect(1);
    rig.send(c, format!("{LINE}{GET}"));
    assert!(rig.text(c).starts_with("HTTP/1.1 400 "));
    rig.finish();
    let rule = format!(" tcp-request connection expect-proxy layer4\n bind :81\n{SERVER}");
    let mut rig = Rig::new(&config("http", "", &rule));
    for listener in [0, 1] {
        let c = rig.net.connect(listener);
        rig.send(c, format!("{LINE}{GET}"));
        let o = rig.server("s1");
        rig.send(o, OK);
        assert!(log(&mut rig).starts_with("192.0.2.7:4711 ["));
        rig.end(c);
    }
    rig.finish();
    // A rule that rejects decides before, one that accepts ends the rule set.
    let rejecting = " tcp-request connection reject\n".to_string() + &rule;
    let mut rig = Rig::new(&config("http", "", &rejecting));
    let c = rig.client();
    assert_eq!(rig.ended(c), Ended::Closed);
    rig.finish();
    let accepting = " tcp-request connection accept\n".to_string() + &rule;
    let mut rig = Rig::new(&config("http", "", &accepting));
    rig.ask(GET);
    rig.server("s1");
    rig.finish();
}

#[test]
fn one_that_waits_for_its_header_counts() {
    let lines = format!(" maxconn 1\n{SERVER}");
    let mut rig = Rig::new(&config("http", "accept-proxy", &lines));
    let waiting = rig.client();
    let c = rig.net.connect(0);
    rig.send(c, format!("{LINE}{GET}"));
    rig.no_dial();
    rig.advance(2_000);
    assert_eq!(rig.ended(waiting), Ended::Closed);
    let o = rig.server("s1");
    rig.send(o, OK);
    assert!(rig.text(c).ends_with("ok"));
    rig.finish();
}

#[test]
fn a_soft_stop_waits_for_headers_that_may_come() {
    let mut rig = http();
    let (waiting, cut, late) = (rig.client(), rig.ask(&LINE[..9]), rig.client());
    rig.signal(Signal::SoftStop);
    assert_eq!((rig.ended(waiting), rig.ended(cut)), (Ended::Open, Ended::Open));
    rig.send(waiting, format!("{LINE}{GET}"));
    let o = rig.server("s1");
    rig.send(o, OK);
    assert!(rig.text(waiting).contains("\r\nconnection: close\r\n"));
    rig.end(waiting);
    rig.send(cut, &LINE[9..]);
    rig.send(cut, GET);
    let o = rig.server("s1");
    rig.send(o, OK);
    assert!(rig.text(cut).ends_with("ok"));
    rig.end(cut);
    assert_ne!(rig.park(), Park::Done);
    rig.advance(2_000);
    assert_eq!(rig.ended(late), Ended::Closed);
    assert_eq!(rig.park(), Park::Done);
}

#[test]
fn a_hard_stop_does_not() {
    let config =
        config("tcp", "accept-proxy", SERVER).replace("local0\n", "local0\n hard-stop-after 1s\n");
    let mut rig = Rig::new(&config);
    let waiting = rig.ask(&LINE[..9]);
    rig.signal(Signal::SoftStop);
    rig.advance(1_001);
    assert_ne!(rig.ended(waiting), Ended::Open);
    assert_eq!(rig.park(), Park::Done);
}

/// A server that gets headers, and what is sent to it.
fn sender(mode: &str, bind: &str, server: &str) -> Rig {
    Rig::new(&config(mode, bind, &format!(" server s1 10.0.0.1:80 {server}\n")))
}

#[test]
fn a_header_leaves_with_the_first_bytes() {
    let line = "PROXY TCP4 127.0.0.1 127.0.0.1 40001 80\r\n";
    let mut rig = sender("http", "", "send-proxy");
    let c = rig.ask(GET);
    let calls = rig.calls(|rig| {
        let o = rig.server("s1");
        assert_eq!(rig.text(o), format!("{line}GET / HTTP/1.1\r\nhost: a\r\n\r\n"));
        rig.send(o, OK);
    });
    assert_eq!(calls.send, 2, "one to the server, one to the client");
    assert!(rig.text(c).ends_with("ok"));
    rig.finish();
    // In TCP mode at once, whether or not the client has said anything.
    let mut rig = sender("tcp", "", "send-proxy");
    let c = rig.client();
    let o = rig.server("s1");
    assert_eq!(rig.text(o), line);
    rig.send(o, "220 hello\r\n");
    assert_eq!(rig.text(c), "220 hello\r\n");
    rig.send(c, "QUIT\r\n");
    assert_eq!(rig.text(o), "QUIT\r\n");
    rig.end(c);
    assert_eq!(rig.heard(o), (String::new(), Ended::Shut));
    rig.end(o);
    assert!(rig.log().contains(" 11 -- "), "the header is not among the bytes that are counted");
    rig.finish();
}

#[test]
fn what_came_in_a_header_goes_on_in_one() {
    for (header, server, expected) in [
        (LINE.as_bytes(), "send-proxy", LINE.as_bytes()),
        (LINE.as_bytes(), "send-proxy-v2", BLOCK),
        (BLOCK, "send-proxy", LINE.as_bytes()),
        (b"PROXY UNKNOWN\r\n", "send-proxy", b"PROXY TCP4 127.0.0.1 127.0.0.1 40001 80\r\n"),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
            "send-proxy",
            b"PROXY TCP4 127.0.0.1 127.0.0.1 40001 80\r\n",
        ),
    ] {
        let mut rig = sender("tcp", "accept-proxy", server);
        rig.ask(header);
        let o = rig.server("s1");
        assert_eq!(rig.net.sent(o), expected);
        rig.finish();
    }
    let named = [BLOCK, b"\x02\0\x04name\x05\0\x02id"].concat();
    let mut header = named;
    header[15] += 12;
    let mut rig = sender("tcp", "accept-proxy", "send-proxy-v2 proxy-v2-options authority");
    rig.ask(header);
    let o = rig.server("s1");
    let sent = rig.net.sent(o);
    assert!(sent.ends_with(b"\x12\x67\x01\xbb\x02\0\x04name"), "{sent:x?}");
    rig.finish();
}

/// The id is the request's, so that the next one needs a connection of its own.
#[test]
fn each_request_has_its_unique_id() {
    let server = "unique-id-format id-%rc-%[rand(1)]-%cp\n server s1 10.0.0.1:80 send-proxy-v2 \
                  proxy-v2-options unique-id";
    for mode in ["tcp", "http"] {
        let mut rig = Rig::new(&config(mode, "", &format!(" {server}\n")));
        let c = rig.ask(GET);
        let o = rig.server("s1");
        let sent = rig.net.sent(o);
        let told = b"\x05\0\x0cid-0-0-40001";
        assert!(sent[28..].starts_with(told), "{}", sent.escape_ascii());
        rig.send(o, OK);
        assert!(rig.text(c).ends_with("ok"));
        rig.finish();
    }
    let lines = " unique-id-format %[rand(1000000000)]\n server s1 10.0.0.1:80 send-proxy-v2 \
                 proxy-v2-options unique-id\n";
    let mut rig = Rig::new(&config("http", "", lines));
    let c = rig.ask(GET);
    let first = rig.server("s1");
    let one = rig.net.sent(first);
    rig.send(first, OK);
    rig.advance(1);
    rig.send(c, GET);
    let second = rig.server("s1");
    let other = rig.net.sent(second);
    assert_ne!(one, other);
    assert!(other.starts_with(&BLOCK[..12]), "{}", other.escape_ascii());
    rig.finish();
}

#[test]
fn a_slow_server_gets_it_in_pieces() {
    let line = "PROXY TCP4 127.0.0.1 127.0.0.1 40001 80\r\n";
    for mode in ["tcp", "http"] {
        for window in [1, 7, line.len() - 1, line.len(), line.len() + 1] {
            let mut rig = sender(mode, "", "send-proxy");
            let c = rig.ask(GET);
            let o = rig.dial("s1");
            rig.net.window(o, 0);
            rig.net.establish(o);
            rig.turns();
            assert_eq!(rig.text(o), "");
            let mut all = String::new();
            while !all.ends_with("\r\n\r\n") {
                rig.window(o, window);
                let more = rig.text(o);
                assert!(!more.is_empty(), "{all:?} and nothing more");
                all += &more;
            }
            assert_eq!(all.to_lowercase(), format!("{line}{GET}").to_lowercase());
            rig.window(o, usize::MAX);
            rig.send(o, OK);
            assert!(rig.text(c).ends_with("ok"));
            rig.finish();
        }
    }
    // One that takes nothing is given up.
    for mode in ["tcp", "http"] {
        let mut rig = sender(mode, "", "send-proxy");
        let c = if mode == "tcp" { rig.client() } else { rig.ask(GET) };
        let o = rig.dial("s1");
        rig.net.window(o, 5);
        rig.net.establish(o);
        rig.turns();
        assert_eq!(rig.text(o), "PROXY");
        rig.advance(3_000);
        assert_ne!(rig.ended(o), Ended::Open, "{mode}: {:?}", rig.ended(c));
        rig.finish();
    }
}

/// A client that ends at once: the header still goes first, then the end.
#[test]
fn an_end_comes_behind_the_header() {
    let mut rig = sender("tcp", "", "send-proxy");
    let c = rig.ask("bye");
    rig.end(c);
    let o = rig.dial("s1");
    rig.net.window(o, 10);
    rig.net.establish(o);
    rig.turns();
    assert_eq!(rig.heard(o), ("PROXY TCP4".into(), Ended::Open));
    rig.window(o, usize::MAX);
    assert_eq!(rig.heard(o), (" 127.0.0.1 127.0.0.1 40001 80\r\nbye".into(), Ended::Shut));
    rig.end(o);
    rig.finish();
}

#[test]
fn a_server_that_is_gone_before_the_header() {
    for mode in ["tcp", "http"] {
        let mut rig = sender(mode, "", "send-proxy");
        let c = if mode == "tcp" { rig.client() } else { rig.ask(GET) };
        let o = rig.dial("s1");
        rig.net.window(o, 3);
        rig.net.establish(o);
        rig.turns();
        rig.reset(o);
        match mode {
            "http" => assert!(rig.text(c).starts_with("HTTP/1.1 502 ")),
            _ => assert_ne!(rig.ended(c), Ended::Open),
        }
        rig.finish();
    }
}

#[track_caller]
fn answer(rig: &mut Rig, o: Wire, c: Wire) -> String {
    let sent = rig.text(o);
    rig.send(o, OK);
    let heard = rig.text(c);
    assert!(heard.ends_with("ok"), "{heard}");
    sent
}

/// A connection with a header is for who it names, whatever `http-reuse` says.
#[test]
fn no_stranger_gets_the_connection() {
    let line = |port: u16| format!("PROXY TCP4 127.0.0.1 127.0.0.1 {port} 80\r\n");
    for reuse in ["always", "safe", "aggressive", "never"] {
        let lines = format!(" http-reuse {reuse}\n server s1 10.0.0.1:80 send-proxy\n");
        let mut rig = Rig::new(&config("http", "", &lines));
        let c1 = rig.ask(GET);
        let o1 = rig.server("s1");
        assert!(answer(&mut rig, o1, c1).starts_with(&line(40_001)));
        let c2 = rig.ask(GET);
        let o2 = rig.server("s1");
        assert!(answer(&mut rig, o2, c2).starts_with(&line(40_002)), "{reuse}");
        // Each goes on where it was, and the header is not sent again.
        for (c, o) in [(c1, o1), (c2, o2), (c1, o1)] {
            rig.send(c, GET);
            rig.no_dial();
            assert!(answer(&mut rig, o, c).starts_with("GET / "), "{reuse}");
        }
        // Nobody can use it when its client is gone.
        rig.end(c1);
        assert_ne!(rig.ended(o1), Ended::Open, "{reuse}");
        assert_eq!(rig.ended(o2), Ended::Open, "{reuse}");
        rig.finish();
    }
}

#[test]
fn a_retry_begins_with_it_again() {
    let line = "PROXY TCP4 127.0.0.1 127.0.0.1 40001 80\r\n";
    let lines = " retries 2\n retry-on all-retryable-errors\n server s1 10.0.0.1:80 send-proxy\n";
    let mut rig = Rig::new(&config("http", "", lines));
    let c = rig.ask(GET);
    rig.refuse("s1");
    rig.advance(1_000);
    let o = rig.server("s1");
    assert!(rig.text(o).starts_with(line));
    rig.end(o);
    let o = rig.server("s1");
    assert!(answer(&mut rig, o, c).starts_with(&format!("{line}GET ")));
    // A connection that was used before dies under its request.
    rig.send(c, GET);
    rig.reset(o);
    let o = rig.server("s1");
    assert!(answer(&mut rig, o, c).starts_with(&format!("{line}GET ")));
    rig.finish();
}

/// Two engines that share one listener hand clients on before their headers.
#[test]
fn a_client_that_was_handed_on() {
    let text =
        config("http", "accept-proxy", SERVER).replace("127.0.0.1:80 accept", "/x.sock accept");
    let mut rig = Rig::with(&text, &Knobs { engines: 2, ..Knobs::default() });
    for _ in 0..4 {
        let c = rig.ask(format!("{LINE}{GET}"));
        let o = rig.server("s1");
        rig.send(o, OK);
        assert!(rig.text(c).ends_with("ok"));
        assert!(log(&mut rig).starts_with("192.0.2.7:4711 ["));
    }
    rig.finish();
}
