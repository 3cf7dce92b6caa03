//! Log lines: which there are, when, and what they say.

use tidegate_core::engine::{Severity, Signal};

use crate::rig::{GLOBAL, Rig, S1};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The lines of a served request, a denied one, and a client that says nothing.
fn lines(options: &str) -> Vec<String> {
    let mut rig = Rig::http(&format!("{options}{S1}"));
    let c = rig.ask(GET);
    let o = rig.server("s1");
    rig.send(o, OK);
    rig.end(c);
    let c = rig.ask("bad\r\n\r\n");
    rig.end(c);
    let c = rig.client();
    rig.end(c);
    let lines = rig.wire_logs();
    rig.finish();
    lines.iter().map(|line| line.split_once('>').map_or(line.as_str(), |(p, _)| p).into()).collect()
}

#[test]
fn which_lines_there_are() {
    // 134 is local0.info, 131 local0.err.
    assert_eq!(lines(""), ["<134", "<134", "<134"]);
    assert_eq!(lines(" option dontlognull\n"), ["<134", "<134"]);
    assert_eq!(lines(" option dontlog-normal\n"), ["<134", "<134"]);
    assert_eq!(lines(" option log-separate-errors\n"), ["<134", "<131", "<131"]);
    assert_eq!(lines(" no log\n"), [""; 0]);
}

#[test]
fn timers_of_a_request() {
    let mut rig = Rig::http(S1);
    let c = rig.client();
    rig.advance(100);
    // The time before the first byte is in no timer but that of the whole connection.
    rig.send(c, "GET / HTTP/1.1\r\n");
    rig.advance(20);
    rig.send(c, "Host: a\r\n\r\n");
    let o = rig.dial("s1");
    rig.advance(30);
    rig.net.establish(o);
    rig.turns();
    rig.advance(40);
    rig.send(o, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    rig.advance(50);
    rig.send(o, "ok");
    assert_eq!(rig.log(), "l l/s1 20/0/30/40/140 200 51 - - ---- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\"");
    rig.finish();
}

#[test]
fn the_date_is_when_the_request_began() {
    let mut rig = Rig::http(S1);
    let c = rig.client();
    rig.advance(1_500);
    rig.send(c, GET);
    let o = rig.server("s1");
    rig.send(o, OK);
    let line = rig.raw_logs().remove(0);
    assert!(line.starts_with("127.0.0.1:40001 [22/Nov/2026:12:00:01.500] l l/s1 "), "{line}");
    rig.finish();
}

#[test]
fn logasap() {
    let mut rig = Rig::http(&format!(" option logasap\n{S1}"));
    let c = rig.ask(GET);
    let o = rig.server("s1");
    assert_eq!(rig.logs(), [""; 0]);
    rig.advance(10);
    rig.send(o, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
    let line = rig.log();
    let expected = "l l/s1 0/0/0/10/+10 200 +51 - - ---- 1/1/1/1/0 0/0 \"GET / HTTP/1.1\"";
    assert_eq!(line, expected);
    rig.advance(10);
    rig.send(o, "cd");
    assert!(rig.text(c).ends_with("abcd"));
    assert_eq!(rig.logs(), [""; 0], "once is enough");
    // The next exchange has its own line.
    rig.send(c, GET);
    rig.send(o, OK);
    assert_eq!(rig.logs().len(), 1);
    // Without an answer there is one as well.
    rig.send(c, GET);
    rig.advance(3_001);
    let line = rig.log();
    assert!(line.contains(" 504 ") && !line.contains('+'), "{line}");
    rig.finish();

    let mut rig = Rig::tcp(&format!(" option logasap\n{S1}"));
    let _c = rig.client();
    let _o = rig.server("s1");
    assert_eq!(rig.log(), "l l/s1 0/0/+0 +0 -- 1/1/1/1/0 0/0");
    rig.finish();
}

#[test]
fn without_a_format() {
    let config = |mode: &str| {
        format!(
            "{GLOBAL}defaults\n mode {mode}\n log global\n timeout connect 1s\n \
             timeout client 1s\n timeout server 1s\nlisten l\n bind 127.0.0.1:80\n{S1}"
        )
    };
    // In TCP mode for each connection.
    let mut rig = Rig::new(&config("tcp"));
    let _c = rig.client();
    assert_eq!(rig.raw_logs(), ["Connect from 127.0.0.1:40001 to 127.0.0.1:80 (l/TCP)"]);
    rig.finish();
    // In HTTP mode for each request.
    let mut rig = Rig::new(&config("http"));
    let c = rig.client();
    assert_eq!(rig.raw_logs(), [""; 0]);
    for n in 0..3 {
        rig.send(c, GET);
        assert_eq!(rig.raw_logs(), ["Connect from 127.0.0.1:40001 to 127.0.0.1:80 (l/HTTP)"]);
        let o = if n == 0 { rig.server("s1") } else { *rig.net.connections().last().expect("o") };
        rig.send(o, OK);
        assert!(rig.text(c).ends_with("ok"));
    }
    rig.finish();
}

#[test]
fn what_a_client_sent_is_escaped() {
    let mut rig = Rig::http(&format!(" http-request deny\n{S1}"));
    let _c = rig.ask("GET /a\"b|{}\x7e HTTP/1.1\r\nHost: a\r\n\r\n");
    let line = rig.log();
    assert!(line.contains("/a#22b"), "{line}");
    rig.finish();
}

#[test]
fn a_redispatch_and_its_queues() {
    let mut rig = Rig::http(
        " option redispatch\n retries 1\n server s1 10.0.0.1:80 maxconn 1\n \
         server s2 10.0.0.2:80 maxconn 1\n",
    );
    let c = rig.ask(GET);
    rig.refuse("s1");
    let o = rig.server("s2");
    rig.send(o, OK);
    rig.text(c);
    let line = rig.log();
    assert!(line.ends_with(" 1/1/0/0/+1 0/0 \"GET / HTTP/1.1\""), "{line}");
    rig.finish();
}

#[test]
fn lines_of_a_turn_survive_a_trim_in_it() {
    let mut rig = Rig::http(S1);
    rig.turns();
    rig.raw_logs();
    rig.engines[0].signal(Signal::DumpState);
    rig.signal(Signal::TrimPools);
    let lines = rig.raw_logs();
    assert_eq!(lines.iter().filter(|line| line.starts_with("SIGHUP: ")).count(), 2, "{lines:?}");
    rig.finish();
}

#[test]
fn a_host_can_have_its_say() {
    let mut rig = Rig::http(S1);
    rig.turns();
    rig.raw_logs();
    rig.engines[0].announce(Severity::Warning, "Said by the host.".into());
    // It may be trimmed meanwhile.
    rig.engines[0].trim();
    rig.turn(0);
    assert_eq!(rig.wire_logs()[0].split_once('>').map(|(priority, _)| priority), Some("<132"));
    assert_eq!(rig.notices(), ["Said by the host."]);
    rig.finish();
}

/// The fields of a line of JSON.
fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn lines_of_json() {
    let mut rig = Rig::http(&format!(
        " option httplog json\n http-request deny if {{ path /deny }}\n \
         capture request header x-a len 20\n{S1}"
    ));
    let c = rig.ask("GET /a?\"b\" HTTP/1.1\r\nHost: a\r\nX-A: \u{e9}\"\r\n\r\n");
    let o = rig.server("s1");
    rig.advance(5);
    rig.send(o, OK);
    let served = json(&rig.raw_logs().remove(0));
    assert_eq!(served["client_ip"], "127.0.0.1");
    assert_eq!(served["status"], 200);
    assert_eq!(served["server"], "s1");
    assert_eq!((&served["response_ms"], &served["total_ms"]), (&5.into(), &5.into()));
    assert_eq!(served["uri"], "/a?\"b\"");
    assert_eq!(served["request_headers"][0], "\u{e9}\"");
    assert_eq!((&served["state"], &served["cause"]), (&"----".into(), &"normal".into()));
    assert_eq!(served["time"], "2026-11-22T12:00:00.000000+00:00");

    rig.send(c, "GET /deny HTTP/1.1\r\nHost: a\r\n\r\n");
    let denied = json(&rig.raw_logs().remove(0));
    assert_eq!(denied["status"], 403);
    assert_eq!(denied["server"], serde_json::Value::Null);
    assert_eq!(denied["reason"], "the proxy refused it while the request was incomplete");

    rig.send(c, "bad\r\n\r\n");
    let bad = json(&rig.raw_logs().remove(0));
    assert_eq!((&bad["status"], &bad["method"]), (&400.into(), &serde_json::Value::Null));
    rig.finish();
}

#[test]
fn lines_of_json_of_tcp_and_of_what_came_to_nothing() {
    let mut rig = Rig::tcp(&format!(" option tcplog json\n{S1}"));
    let c = rig.client();
    let o = rig.server("s1");
    rig.send(o, "hello");
    rig.end(o);
    rig.end(c);
    let line = json(&rig.raw_logs().remove(0));
    assert_eq!((&line["state"], &line["bytes_out"]), (&"--".into(), &5.into()));
    assert_eq!(line.get("status"), None);
    rig.finish();

    let config = format!(
        "{GLOBAL}listen l\n mode http\n log global\n option httplog json\n timeout connect 1s\n \
         timeout client 1s\n timeout server 1s\n bind 127.0.0.1:80 accept-proxy\n{S1}"
    );
    let mut rig = Rig::new(&config);
    let _c = rig.ask("nonsense, nonsense, nonsense");
    let line = json(&rig.raw_logs().remove(0));
    let error = "Received something which does not look like a PROXY protocol header";
    assert_eq!((&line["error"], &line["cause"]), (&error.into(), &"proxy".into()));
    assert_eq!(line["status"], serde_json::Value::Null);
    rig.finish();
}

#[test]
fn a_line_of_json_fits_its_shortest_target() {
    for (len, whole) in [(" len 400", false), (" len 80", false), ("", true)] {
        let config = format!(
            "global\n log 127.0.0.1:514{len} format rfc5424 local0\n\
             listen l\n mode http\n log global\n option httplog json\n timeout connect 1s\n \
             timeout client 1s\n timeout server 1s\n bind 127.0.0.1:80\n{S1}"
        );
        let mut rig = Rig::new(&config);
        let _c = rig.ask(format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(900)));
        let o = rig.server("s1");
        rig.send(o, OK);
        let wire = rig.wire_logs().remove(0);
        let (header, line) = wire.split_at(wire.find('{').expect("an object"));
        let max = len.trim_start_matches(" len ").parse().unwrap_or(8_192);
        assert!(header.len() + line.len() <= max, "{wire}");
        let line = json(line);
        assert_eq!(line.get("truncated").is_none(), whole, "{line}");
        if whole {
            assert_eq!(line["uri"].as_str().map(str::len), Some(901));
        }
        rig.finish();
    }
}

#[test]
fn handshakes_are_in_the_timers() {
    // Values of HAProxy 2.6.12, less what its machine took.
    let config = format!(
        "{GLOBAL}listen l\n mode http\n log global\n timeout connect 1s\n timeout client 1s\n \
         timeout server 1s\n bind 127.0.0.1:80 accept-proxy\n \
         log-format \"%Th/%Ti/%TR/%Tq/%Ta/%Tt/%Tu\"\n \
         error-log-format \"E %Th/%Ti/%TR/%Tq/%Ta/%Tt/%Tu %ST %ts %[fc_err]\"\n{S1}"
    );
    const HEADER: &str = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n";
    let mut rig = Rig::new(&config);
    let c = rig.client();
    rig.advance(50);
    rig.send(c, HEADER);
    rig.advance(50);
    rig.send(c, "GET / HTTP/1.1\r\n");
    rig.advance(50);
    rig.send(c, "Host: a\r\n\r\n");
    let o = rig.server("s1");
    rig.send(o, OK);
    assert_eq!(rig.raw_logs(), ["50/50/50/150/50/150/100"]);
    rig.advance(40);
    rig.send(c, GET);
    rig.send(o, OK);
    assert_eq!(rig.raw_logs(), ["0/40/0/40/0/40/0"]);
    rig.end(c);

    let c = rig.client();
    rig.advance(50);
    rig.send(c, "junk, junk");
    assert_eq!(rig.raw_logs(), ["E 50/0/-1/-1/0/50/50 0 PR 15"]);
    rig.end(c);

    // HAProxy takes its missing handshake for -1 ms, and has one more in `%Ta`.
    let _c = rig.client();
    rig.advance(1_000);
    assert_eq!(rig.raw_logs(), ["E -1/0/-1/-1/1000/1000/1000 0 PR 13"]);
    rig.finish();
}

#[test]
fn a_ring_keeps_what_is_logged_to_it() {
    // HAProxy 2.6.12 writes the same, but for the dates.
    let config = format!(
        "global\n log ring@one format raw local0\n log ring@two local1 notice\n \
         log ring@three len 90 format rfc5424 local2\n log 127.0.0.1:514 format raw local0\n\
         listen l\n mode http\n log global\n timeout connect 1s\n timeout client 1s\n \
         timeout server 1s\n bind 127.0.0.1:80\n log-format \"line %r %B {}\"\n{S1}\
         ring one\n format iso\n maxlen 60\n\
         ring two\n description the second\n\
         ring three\n format timed\n maxlen 1024\n",
        "0123456789".repeat(7)
    );
    let mut rig = Rig::new(&config);
    let _c = rig.ask(GET);
    let o = rig.server("s1");
    rig.send(o, OK);
    let ring = |rig: &Rig, ring: u32, from: u64| {
        let mut text = Vec::new();
        let next = rig.shared.read_ring(ring, from, 10_000, &mut text);
        (String::from_utf8(text).unwrap(), next)
    };
    let whole = format!("line GET / HTTP/1.1 51 {}", "0123456789".repeat(7));
    let iso = "2026-11-22T12:00:00.000000+00:00 ";
    assert_eq!(rig.wire_logs(), [whole.as_str()]);
    assert_eq!(ring(&rig, 0, 0), (format!("{iso}{}\n", &whole[..27]), 1));
    assert_eq!(ring(&rig, 1, 0), (String::new(), 0));
    assert_eq!(ring(&rig, 2, 0), (format!("<6>{iso}{}\n", &whole[..90]), 1));
    rig.signal(Signal::SoftStop);
    let (second, next) = ring(&rig, 1, 0);
    assert_eq!(next, 1, "{second}");
    assert!(second.starts_with("Proxy l stopped"), "{second}");
    rig.finish();
}
