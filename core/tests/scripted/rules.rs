//! Rules: what they leave of an exchange on the wire and in the log.

use tidegate_core::config::MapHost;
use tidegate_core::poller::{SockOpt, TcpInfo};

use crate::rig::{Ended, Knobs, Rig, S1, http_config, in_pieces, tcp_config};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_silent_drop_says_nothing() {
    for rule in [
        "tcp-request connection silent-drop",
        "tcp-request session silent-drop",
        "tcp-request content silent-drop",
        "http-request silent-drop",
    ] {
        let mut rig = Rig::new(&http_config(&format!(" {rule}\n{S1}")));
        let c = rig.ask(GET);
        assert_eq!(rig.heard(c), (String::new(), Ended::Dropped), "{rule}");
        rig.finish();
    }
}

#[test]
fn a_silent_drop_of_an_answer_says_nothing() {
    in_pieces(|knobs| {
        let rules = format!(" http-response silent-drop\n{S1}");
        let mut rig = Rig::with(&http_config(&rules), knobs);
        let c = rig.ask(GET);
        let o = rig.server("s1");
        rig.send(o, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(rig.heard(c), (String::new(), Ended::Dropped));
        rig.finish();
    });
}

#[test]
fn an_answer_that_is_refused_has_no_response_time() {
    let rules = format!(" http-response deny if {{ status 500 }}\n{S1}");
    for (answer, bytes) in [
        ("HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops", 264),
        ("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", 260),
        // As measured; 1 is for the end of the chunks.
        (
            "HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n2\r\noo\r\n2\r\nps\r\n0\r\n\r\n",
            274,
        ),
    ] {
        let mut rig = Rig::new(&http_config(&rules));
        let c = rig.ask(GET);
        let o = rig.server("s1");
        rig.send(o, answer);
        assert!(rig.text(c).starts_with("HTTP/1.1 502 Bad Gateway\r\n"));
        let line = rig.log();
        assert!(line.contains(&format!("/-1/0 502 {bytes} ")), "{line}");
        rig.end(c);
        rig.finish();
    }
}

#[test]
fn a_chunked_body_that_is_here_whole_does_not_end_the_connection() {
    const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let config = http_config(" http-request return status 200 hdr n %[req.hdr_cnt]\n");
    for (body, stays) in [("3\r\nabc\r\n0\r\n\r\n", true), ("3\r\nabc\r\n", false)] {
        let mut rig = Rig::new(&config);
        let c = rig.ask(format!("{CHUNKED}{body}{}", if stays { GET } else { "" }));
        let (text, ended) = rig.heard(c);
        assert_eq!(text.matches("HTTP/1.1 200 OK\r\n").count(), 1 + usize::from(stays), "{text}");
        assert_eq!(ended, if stays { Ended::Open } else { Ended::Shut }, "{body:?}");
        rig.end(c);
        rig.finish();
    }
}

#[test]
fn a_rewrite_that_does_not_fit_is_refused_or_left_out() {
    let config = |strict: &str| {
        http_config(&format!(
            " {strict}\n http-request set-header x-big %[req.hdr(x-part)]%[req.hdr(x-part)]\n{S1}"
        ))
    };
    let ask =
        |len: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX-Part: {}\r\n\r\n", "x".repeat(len));
    let mut rig = Rig::new(&config("http-request strict-mode on"));
    let c = rig.ask(ask(6_000));
    assert!(rig.text(c).starts_with("HTTP/1.1 500 Internal Server Error\r\n"));
    assert!(rig.log().contains(" -1/-1/-1/-1/0 500 208 - - PR-- "));
    rig.end(c);
    rig.finish();
    for (strict, len, fits) in [("on", 5_000, true), ("off", 5_000, true), ("off", 6_000, false)] {
        let mut rig = Rig::new(&config(&format!("http-request strict-mode {strict}")));
        rig.ask(ask(len));
        let o = rig.server("s1");
        assert_eq!(rig.text(o).contains("x-big"), fits, "{strict} {len}");
        rig.finish();
    }
}

#[test]
fn response_rules_run_on_a_switch_of_protocols() {
    const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    const SWITCH: &str = "HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    let rules = format!(
        " http-response set-header x-a 1\n http-response deny if {{ res.hdr(x-no) -m found }}\n\
         {S1}"
    );
    in_pieces(|knobs| {
        let mut rig = Rig::with(&http_config(&rules), knobs);
        let c = rig.ask(UPGRADE);
        let o = rig.server("s1");
        assert!(rig.text(o).contains("\r\nconnection: Upgrade\r\n"));
        rig.send(o, format!("{SWITCH}then"));
        assert!(rig.text(c).ends_with("\r\nx-a: 1\r\n\r\nthen"));
        rig.finish();

        let mut rig = Rig::with(&http_config(&rules), knobs);
        let c = rig.ask(UPGRADE);
        let o = rig.server("s1");
        rig.send(o, format!("{}X-No: 1\r\n\r\nthen", &SWITCH[..SWITCH.len() - 2]));
        let text = rig.text(c);
        assert!(text.starts_with("HTTP/1.1 502 ") && !text.contains("then"), "{text}");
        rig.end(c);
        rig.finish();
    });
}

#[test]
fn the_usual_page_may_be_asked_for_as_an_http_error() {
    let config = http_config(
        " errorfile 403 /gone\n http-error status 403 default-errorfiles\n http-request deny\n",
    );
    let gone = "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n";
    let host = MapHost::default().with_file("/gone", gone);
    let mut rig = Rig::with(&config, &Knobs { host, ..Knobs::default() });
    let c = rig.ask(GET);
    assert!(rig.text(c).starts_with("HTTP/1.1 403 Forbidden\r\ncontent-length: 93\r\n"));
    rig.end(c);
    rig.finish();
}

#[test]
fn the_unique_id_is_made_when_it_is_asked_for() {
    let config = |rules: &str| {
        http_config(&format!(
            " unique-id-format %[path]\n unique-id-header x-id\n option forwardfor\n {rules}\n\
             \x20http-request set-path /later\n{S1}"
        ))
    };
    for (rules, id) in [
        ("http-request set-var(txn.a) str(x)", "/later"),
        ("http-request set-header x-too %[unique-id]", "/"),
        ("http-request set-header x-too %[unique-id] if { path /no }", "/later"),
        ("http-request deny if { unique-id no }", "/"),
    ] {
        let mut rig = Rig::new(&config(rules));
        rig.ask(GET);
        let o = rig.server("s1");
        let text = rig.text(o);
        assert!(text.contains(&format!("\r\nx-id: {id}\r\nx-forwarded-for: ")), "{rules}: {text}");
        rig.finish();
    }
}

/// What rules had said to a socket since this was last asked.
fn marks(rig: &mut Rig, wire: usize) -> Vec<SockOpt> {
    let mut options = rig.net.options(wire);
    options.retain(|option| matches!(option, SockOpt::Tos(_) | SockOpt::Mark(_)));
    options
}

#[test]
fn a_clients_packets_are_marked_and_the_socket_is_told_once() {
    use SockOpt::{Mark, Tos};
    let config = http_config(
        " tcp-request connection set-tos 0x10
 tcp-request session set-tos 16
          tcp-request session set-mark 7 unless { src 192.0.2.1 }
          http-request set-tos 010 if { path /8 }
          http-request set-mark 0xffffffff if { path /m }
          http-request set-tos 32 if { path /both }
          http-request set-tos 64 if { path /both }
          http-response set-tos 0 if { status 200 }
          http-request return status 204 unless { path /go }
 server s1 10.0.0.1:80
",
    );
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut rig = Rig::new(&config);
    let c = rig.client();
    assert_eq!(marks(&mut rig, c), [Tos(16), Mark(7)]);
    for (path, told) in [
        ("/", &[][..]),
        ("/8", &[Tos(8)]),
        ("/8", &[]),
        ("/m", &[Mark(u32::MAX)]),
        ("/both", &[Tos(64)]),
    ] {
        rig.send(c, get(path));
        assert!(rig.text(c).starts_with("HTTP/1.1 204 "), "{path}");
        assert_eq!(marks(&mut rig, c), told, "{path}");
    }
    rig.send(c, get("/go"));
    let o = rig.server("s1");
    assert_eq!(marks(&mut rig, c), []);
    rig.send(o, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert!(rig.text(c).starts_with("HTTP/1.1 200 "));
    assert_eq!(marks(&mut rig, c), [Tos(0)]);
    // It is the client's socket, not the server's.
    assert_eq!(marks(&mut rig, o), []);
    rig.finish();
}

#[test]
fn packets_are_marked_in_tcp_mode() {
    let mut rig = Rig::new(&tcp_config(&format!(
        " tcp-request content set-tos 8\n tcp-request content set-mark 1\n\
         \x20tcp-response content set-tos 16\n{S1}"
    )));
    let c = rig.client();
    assert_eq!(marks(&mut rig, c), [SockOpt::Tos(8), SockOpt::Mark(1)]);
    let o = rig.server("s1");
    rig.send(o, "x");
    assert_eq!(marks(&mut rig, c), [SockOpt::Tos(16)]);
    rig.finish();
}

#[test]
fn rules_that_wait_for_a_proxy_header_mark_too() {
    let config = http_config(
        " tcp-request connection expect-proxy layer4\n tcp-request connection set-tos 8\n\
         \x20tcp-request session set-tos 16 if { src 192.0.2.1 }\n http-request deny\n",
    );
    let mut rig = Rig::new(&config);
    let c = rig.client();
    assert_eq!(marks(&mut rig, c), [SockOpt::Tos(8)]);
    rig.send(c, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n");
    assert_eq!(marks(&mut rig, c), [SockOpt::Tos(16)]);
    rig.finish();
}

#[test]
fn the_kernel_is_asked_only_where_an_expression_wants_to_know() {
    let info = TcpInfo {
        rtt_us: 1_499,
        rtt_var_us: 500,
        unacked: 2,
        sacked: 3,
        lost: 4,
        retrans: 5,
        fackets: 6,
        reordering: 7,
    };
    let all = "%[fc_rtt] %[fc_rtt(us)] %[fc_rtt(ms)] %[fc_rttvar] %[fc_rttvar(us)] \
               %[fc_unacked] %[fc_sacked] %[fc_retrans] %[fc_fackets] %[fc_lost] \
               %[fc_reordering]";
    let config = http_config(&format!(
        " tcp-request connection reject if {{ fc_lost gt 4 }}\n\
         \x20http-request return hdr x \"{all}\"\n"
    ));
    let mut rig = Rig::new(&config);
    for (tcp_info, header) in [(Some(info), "x: 1 1499 1 1 500 2 3 5 6 4 7\r\n"), (None, "x: \r\n")]
    {
        rig.net.tcp_info = tcp_info;
        let c = rig.ask(GET);
        let text = rig.text(c);
        assert!(text.contains(header), "{text}");
        rig.end(c);
    }
    // What is told is what was true when the rule ran.
    rig.net.tcp_info = Some(info);
    let c = rig.ask(GET);
    rig.net.tcp_info = Some(TcpInfo { reordering: 8, ..info });
    rig.send(c, GET);
    assert!(rig.text(c).contains(" 4 8\r\n"));
    rig.net.tcp_info = Some(TcpInfo { lost: 5, ..info });
    let refused = rig.client();
    assert_eq!(rig.ended(refused), Ended::Closed);
    rig.finish();

    let mut rig = Rig::new(&http_config(" http-request return status 204\n"));
    let calls = rig.calls(|rig| {
        rig.ask(GET);
    });
    assert_eq!(calls.info, 0);
    rig.finish();
}

#[test]
fn the_kernels_figures_are_for_logs_too() {
    let mut rig = Rig::new(&http_config(" log-format %[fc_rtt(us)]\n http-request deny\n"));
    rig.net.tcp_info = Some(TcpInfo { rtt_us: 77, ..TcpInfo::default() });
    let c = rig.ask(GET);
    rig.end(c);
    assert_eq!(rig.raw_logs(), ["77"]);
    rig.finish();
}

#[test]
fn who_is_nicer_runs_later() {
    for (nice, turned, first) in
        [("0", false, "/a"), ("0", true, "/b"), ("5", false, "/b"), ("-5", true, "/a")]
    {
        let mut rig = Rig::new(&http_config(&format!(
            " http-request set-nice {nice} if {{ path /a }}\n log-format %HP\n{S1}"
        )));
        let ask = |rig: &mut Rig, path: &str| {
            rig.ask(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
            rig.server("s1")
        };
        let mut servers = [ask(&mut rig, "/a"), ask(&mut rig, "/b")];
        if turned {
            servers.reverse();
        }
        // Both answers come in one turn.
        for server in servers {
            rig.net.push(server, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
        rig.turns();
        assert_eq!(rig.raw_logs()[0], first, "{nice}");
        rig.finish();
    }
}

#[test]
fn names_that_could_be_taken_for_others() {
    const ODD: &str = "X_b: 2\r\nX-C.d: 3\r\ne1: 4\r\n";
    let ask = |fields: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let rules = " http-request set-header x-seen %[req.hdr(x_b)]\n\
                 \x20http-request set-header x_own 1 if { hdr(e1) 5 }\n option forwardfor header x_f\n";
    for (option, fields, expected) in [
        ("", ODD, Some("host: a\r\nx_b: 2\r\nx-c.d: 3\r\ne1: 4\r\nx-seen: 2\r\nx_f: ")),
        (
            " option http-restrict-req-hdr-names preserve\n",
            ODD,
            Some("host: a\r\nx_b: 2\r\nx-c.d: 3\r\ne1: 4\r\nx-seen: 2\r\nx_f: "),
        ),
        // Rules have seen them; what comes behind the rules is ours.
        (
            " option http-restrict-req-hdr-names delete\n",
            ODD,
            Some("host: a\r\ne1: 4\r\nx-seen: 2\r\nx_f: "),
        ),
        (
            " option http-restrict-req-hdr-names delete\n",
            "e1: 5\r\n",
            Some("host: a\r\ne1: 5\r\nx-seen: \r\nx_f: "),
        ),
        (" option http-restrict-req-hdr-names reject\n redirect location /x\n", ODD, None),
        (" option http-restrict-req-hdr-names reject\n", "X!: 1\r\n", None),
        (" option http-restrict-req-hdr-names reject\n", "_: 1\r\n", None),
        (" option http-restrict-req-hdr-names reject\n", "e1: 5\r\n", None),
        (
            " option http-restrict-req-hdr-names reject\n",
            "A1-b: 1\r\n",
            Some("host: a\r\na1-b: 1\r\nx-seen: \r\nx_f: "),
        ),
    ] {
        let mut rig = Rig::new(&http_config(&format!("{option}{rules}{S1}")));
        let c = rig.ask(ask(fields));
        match expected {
            Some(expected) => {
                let o = rig.server("s1");
                let text = rig.text(o);
                assert!(text.starts_with(&format!("GET / HTTP/1.1\r\n{expected}")), "{text}");
            }
            None => {
                rig.no_dial();
                assert!(rig.text(c).starts_with("HTTP/1.1 403 Forbidden\r\n"), "{option}");
                let line = rig.log();
                assert!(line.contains("l/<NOSRV> 0/-1/-1/-1/0 403 192 - - PR-- "), "{line}");
            }
        }
        rig.finish();
    }
    // Each proxy has its own, the frontend first.
    let mut rig = Rig::new(&http_config(&format!(
        " option http-restrict-req-hdr-names delete\n default_backend b\n\
         backend b\n option http-restrict-req-hdr-names reject\n{S1}"
    )));
    rig.ask(ask(ODD));
    let o = rig.server("s1");
    assert_eq!(rig.text(o), "GET / HTTP/1.1\r\nhost: a\r\ne1: 4\r\n\r\n");
    rig.finish();
}

#[test]
fn an_answer_that_cannot_be_changed_as_it_has_to_becomes_a_failure() {
    const BIG: &str = "%[capture.req.hdr(0)]%[capture.req.hdr(0)]";
    const LOCAL: &str = " http-request return status 200 hdr x-big old\n";
    let ask = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Part: {}\r\n\r\n", "x".repeat(8_500));
    let config = |rules: &str, end: &str| {
        http_config(&format!(
            " capture request header x-part len 10000\n http-after-response set-header x-1 1\n\
             {rules} http-after-response set-header x-2 2\n{end}"
        ))
    };
    let always = format!(" http-after-response set-header x-big {BIG}\n");
    let once = format!(" http-after-response set-header x-big {BIG} if {{ status 200 }}\n");
    let soft = format!(
        " http-after-response strict-mode off\n http-after-response set-header x-big {BIG}\n"
    );
    let again = format!("{soft} http-after-response strict-mode on\n{always}");
    let response_only = format!(" http-response strict-mode off\n{always}");
    for (rules, end, status, fields, log) in [
        (&always, LOCAL, 500, "", "l/<NOSRV> -1/-1/-1/-1/0 500 208 - - PR-- "),
        (&once, LOCAL, 500, "x-1: 1\r\nx-2: 2\r\n", "l/<NOSRV> -1/-1/-1/-1/0 500 "),
        (&soft, LOCAL, 200, "x-1: 1\r\nx-2: 2\r\n", "l/<NOSRV> 0/-1/-1/-1/0 200 "),
        (&again, LOCAL, 500, "", "l/<NOSRV> -1/-1/-1/-1/0 500 208 - - PR-- "),
        (&always, S1, 500, "", "l/s1 0/0/0/-1/0 500 "),
        (&once, S1, 500, "x-1: 1\r\nx-2: 2\r\n", "l/s1 0/0/0/-1/0 500 "),
        (&soft, S1, 200, "x-1: 1\r\nx-2: 2\r\n", "l/s1 0/0/0/0/0 200 "),
        // It ends with its set.
        (&response_only, S1, 500, "", "l/s1 0/0/0/-1/0 500 "),
    ] {
        let mut rig = Rig::new(&config(rules, end));
        let c = rig.ask(&ask);
        if end == S1 {
            let o = rig.server("s1");
            rig.send(o, "HTTP/1.1 200 OK\r\nX-Big: old\r\nContent-Length: 2\r\n\r\nok");
        }
        let text = rig.text(c);
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{rules}: {text}");
        assert!(text.contains(&format!("\r\n{fields}")), "{rules}: {text}");
        assert_eq!(text.contains("x-1"), !fields.is_empty(), "{rules}: {text}");
        // What was to be replaced is gone.
        assert!(!text.contains("x-big"), "{rules}: {text}");
        let line = rig.log();
        assert!(line.contains(log), "{rules}: {line}");
        if end == S1 && status == 500 {
            assert!(line.contains(" - - PH-- "), "{rules}: {line}");
        }
        rig.end(c);
        rig.finish();
    }
}

#[test]
fn who_asks_as_of_a_proxy_is_asked_for_credentials_all_the_same() {
    let config = format!(
        "userlist u\n user a insecure-password b\n{}",
        http_config(
            " http-request auth unless { http_auth(u) }\n http-request return status 204\n"
        )
    );
    for (line, fields, status) in [
        ("GET /", "", 401),
        ("GET http://a/", "", 401),
        ("CONNECT a:80", "", 401),
        ("OPTIONS *", "Proxy-Connection: keep-alive\r\n", 401),
        ("GET http://a/", "Proxy-Authorization: Basic YTpi\r\n", 401),
        ("GET http://a/", "Authorization: Basic YTpi\r\n", 204),
    ] {
        let mut rig = Rig::new(&config);
        let c = rig.ask(format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        let text = rig.text(c);
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {text}");
        let asks = text.contains("\r\nwww-authenticate: Basic realm=\"l\"\r\n");
        assert_eq!(asks, status == 401, "{line}: {text}");
        rig.finish();
    }
}

#[test]
fn a_variable_is_set_where_its_conditions_hold() {
    for set in ["tcp-request connection", "tcp-request session", "http-request"] {
        let config = http_config(&format!(
            " {set} set-var(sess.a,ifnotexists) str(1)\n\
             \x20{set} set-var(sess.a,ifnotexists) str(2)\n\
             \x20{set} set-var-fmt(sess.b,ifexists) 3\n\
             \x20http-request return status 200 hdr v [%[var(sess.a)],%[var(sess.b)]]\n"
        ));
        let mut rig = Rig::new(&config);
        let c = rig.ask(GET);
        let text = rig.text(c);
        assert!(text.contains("\r\nv: [1,]\r\n"), "{set}: {text}");
        rig.finish();
    }
}
