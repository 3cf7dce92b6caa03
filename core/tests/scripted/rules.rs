//! Rules: what they leave of an exchange on the wire and in the log.

use tidegate_core::config::MapHost;

use crate::rig::{Ended, Knobs, Rig, S1, http_config, in_pieces};

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
