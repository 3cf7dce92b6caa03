//! The lines and `docs/log-json.md` say the same.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;
use crate::fault::{Cause, End, Phase};
use crate::logfmt::dates::Dates;
use crate::logfmt::line::{Counts, Timers};
use crate::time::Wall;

const DOCUMENT: &str = include_str!("../../../../docs/log-json.md");

fn lines() -> Lines {
    Lines { dates: Dates::utc(), request_max: 1_023, line_max: 8_192 }
}

fn record() -> Record<'static> {
    let at = |millis: u64| Wall::from_nanos((1_795_350_074_000 + millis) * 1_000_000);
    Record {
        client: Peer::Inet("127.0.0.1:40360".parse().unwrap()),
        listener_id: 2,
        accepted: at(0),
        requested: at(79),
        frontend: "fe",
        backend: "ok",
        server: Some("s1"),
        timers: Timers {
            handshake: Some(0),
            idle: 3,
            request: Some(0),
            queue: Some(0),
            connect: Some(1),
            response: Some(12),
            data: Some(1),
            total: 14,
        },
        status: 200,
        bytes: 51,
        bytes_in: 78,
        counter: 0,
        log_counter: 0,
        end: End::default(),
        cookies: *b"--",
        request_cookie: Some(b"SID=1"),
        response_cookie: Some(b"SID=2"),
        counts: Counts { actconn: 1, feconn: 1, ..Counts::default() },
        request_captures: None,
        response_captures: None,
        request: Some(b"GET /ok?a=1 HTTP/1.1"),
        error: None,
        early: false,
    }
}

/// A record of a request that nobody served.
fn refused(cause: Cause, status: i32) -> Record<'static> {
    Record {
        backend: "fe",
        server: None,
        timers: Timers::default(),
        status,
        bytes_in: 0,
        end: End::new(cause, Phase::Request),
        request_cookie: None,
        response_cookie: None,
        request: None,
        ..record()
    }
}

fn texts(texts: &[Option<&[u8]>]) -> Vec<Option<Box<[u8]>>> {
    texts.iter().map(|text| text.map(Box::from)).collect()
}

/// Lines in which everything that may be absent is once there and once not: (HTTP, line).
fn samples() -> Vec<(bool, String)> {
    let (request, response) = (texts(&[Some(b"curl/7.88.1"), None]), texts(&[Some(b"text/html")]));
    let served =
        Record { request_captures: Some(&request), response_captures: Some(&response), ..record() };
    let denied = Record {
        timers: Timers { request: Some(0), ..Timers::default() },
        bytes: 192,
        request: Some(b"GET /deny HTTP/1.1"),
        ..refused(Cause::Proxy, 403)
    };
    let late = Record {
        client: Peer::Unix,
        timers: Timers { total: 602, ..Timers::default() },
        bytes: 0,
        ..refused(Cause::ClientTimeout, 408)
    };
    let tcp = Record {
        backend: "db",
        bytes_in: 0,
        end: End::new(Cause::Client, Phase::Data),
        ..record()
    };
    let unserved = Record { client: Peer::Unix, server: None, timers: Timers::default(), ..tcp };
    let broken = Record { error: Some((11, "Connection closed")), ..refused(Cause::Proxy, 0) };
    [(true, served), (true, denied), (true, late), (false, tcp), (false, unserved)]
        .into_iter()
        .chain([(true, broken), (false, broken)])
        .map(|(http, record)| (http, line(&record, http, 8_192)))
        .collect()
}

fn line(record: &Record<'_>, http: bool, room: usize) -> String {
    let mut out = b"header ".to_vec();
    lines().json(record, http, room, &mut out);
    assert!(out.len() <= b"header ".len() + room, "{}", out.len());
    String::from_utf8(out.split_off(b"header ".len())).expect("a line is UTF-8")
}

/// The fields of a line in their order, with their types.
fn fields(line: &str) -> Vec<(String, &'static str)> {
    let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    let Value::Object(object) = value else { panic!("no object: {line}") };
    let mut fields: Vec<_> = object
        .into_iter()
        .map(|(name, value)| {
            let kind = match value {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Number(n) if n.is_u64() => "number",
                Value::String(_) => "string",
                Value::Array(texts)
                    if texts.iter().all(|text| text.is_string() || text.is_null()) =>
                {
                    "array"
                }
                other => panic!("{name}: {other}"),
            };
            (name, kind)
        })
        .collect();
    let place = |name: &str| line.find(&format!("\"{name}\":"));
    fields.sort_by_key(|(name, _)| place(name));
    fields
}

/// The cells of the table whose header begins with `head`.
fn table(head: &str) -> Vec<Vec<&'static str>> {
    let rows = DOCUMENT.lines().skip_while(|row| !row.starts_with(head)).skip(2);
    let rows = rows.take_while(|row| row.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|it| it.trim().trim_matches('`')).collect())
        .collect()
}

#[test]
fn lines_have_the_documented_fields() {
    let rows = table("| field |");
    assert!(rows.len() > 30, "{rows:?}");
    let mut seen: BTreeMap<(bool, String), BTreeSet<&str>> = BTreeMap::new();
    for (http, line) in samples() {
        let fields = fields(&line);
        let documented = rows.iter().filter(|row| http || row[2] == "both").map(|row| row[0]);
        assert_eq!(
            fields.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            documented.collect::<Vec<_>>(),
            "{line}"
        );
        for (name, kind) in fields {
            seen.entry((http, name)).or_default().insert(kind);
        }
    }
    for row in rows {
        let expected: BTreeSet<&str> = row[1].split(" or ").collect();
        assert!(["both", "HTTP"].contains(&row[2]), "{row:?}");
        for http in [true, false].into_iter().filter(|http| *http || row[2] == "both") {
            assert_eq!(seen[&(http, row[0].to_owned())], expected, "{} in http: {http}", row[0]);
        }
    }
}

#[test]
fn the_documented_examples_are_lines() {
    let examples: Vec<&str> =
        DOCUMENT.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let examples: Vec<&str> = examples.into_iter().filter(|line| line.starts_with('{')).collect();
    let samples = samples();
    let samples: Vec<&str> = samples.iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(examples, samples[..4]);
}

#[test]
fn the_documented_reasons_are_ours() {
    use Cause::*;
    let causes = [
        Normal,
        Client,
        Server,
        Proxy,
        Local,
        Resource,
        Internal,
        Down,
        Up,
        Killed,
        ClientTimeout,
        ServerTimeout,
    ];
    let row = |code: u8, name, text| vec![(code as char).to_string(), name, text];
    let ours: Vec<_> = causes
        .iter()
        .map(|it| row(it.code(), it.name().to_owned(), it.explain().to_owned()))
        .collect();
    assert_eq!(table("| first letter |"), ours);
    let phases = [
        Phase::Done,
        Phase::Request,
        Phase::Queue,
        Phase::Connect,
        Phase::Headers,
        Phase::Data,
        Phase::Last,
        Phase::Tarpit,
    ];
    let ours: Vec<_> = phases
        .iter()
        .map(|it| row(it.code(), it.name().to_owned(), it.explain().to_owned()))
        .collect();
    assert_eq!(table("| second letter |"), ours);
}

#[test]
fn strings() {
    let table: &[(&[u8], &str)] = &[
        (b"", r#""""#),
        (b"plain /?#[]{}|<>&'", r#""plain /?#[]{}|<>&'""#),
        (b"a\"b\\c/", r#""a\"b\\c/""#),
        (b"\n\r\t", r#""\n\r\t""#),
        (b"\0\x01\x08\x0c\x1f\x7f", r#""\u0000\u0001\u0008\u000c\u001f\u007f""#),
        ("h\u{e9}\u{20ac}\u{1f600}".as_bytes(), "\"h\u{e9}\u{20ac}\u{1f600}\""),
        (b"\xff", "\"\u{fffd}\""),
        (b"a\xe9b", "\"a\u{fffd}b\""),
        // Two that begin nothing; one that begins and is not continued; an overlong slash; a
        // surrogate.
        (b"\x80\xbf", "\"\u{fffd}\u{fffd}\""),
        (b"\xe2\x82", "\"\u{fffd}\""),
        (b"\xe2\x82\xe2\x82\xac", "\"\u{fffd}\u{20ac}\""),
        (b"\xc0\xaf", "\"\u{fffd}\u{fffd}\""),
        (b"\xed\xa0\x80", "\"\u{fffd}\u{fffd}\u{fffd}\""),
        (b"\xf0\x9f\x98\"", "\"\u{fffd}\\\"\""),
    ];
    for &(text, expected) in table {
        let mut out = Vec::new();
        assert!(push_string(text, 1_000, &mut out));
        assert_eq!(String::from_utf8(out.clone()).unwrap(), expected);
        let back: String = serde_json::from_slice(&out).unwrap();
        assert_eq!(back, String::from_utf8_lossy(text));
    }
}

#[test]
fn strings_are_shortened_between_characters() {
    let table: &[(&[u8], usize, &str)] = &[
        (b"abcdef", 8, r#""abcdef""#),
        (b"abcdef", 7, r#""abcde""#),
        (b"ab\"", 5, r#""ab""#),
        (b"ab\"", 6, r#""ab\"""#),
        (b"a\0", 8, r#""a""#),
        (b"a\0", 9, r#""a\u0000""#),
        ("a\u{20ac}".as_bytes(), 5, r#""a""#),
        ("a\u{20ac}".as_bytes(), 6, "\"a\u{20ac}\""),
        (b"a\xff", 5, r#""a""#),
        (b"a\xff", 6, "\"a\u{fffd}\""),
    ];
    for &(text, stop, expected) in table {
        let mut out = Vec::new();
        let whole = push_string(text, stop, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{stop}");
        assert_eq!(whole, expected.len() == push_whole(text), "{expected}");
    }
}

fn push_whole(text: &[u8]) -> usize {
    let mut out = Vec::new();
    push_string(text, 1_000, &mut out);
    out.len()
}

#[test]
fn a_line_is_an_object_whatever_the_room() {
    let euros = "\u{20ac}".repeat(100);
    let uri = [b"GET /\"\xff\\\n".as_slice(), euros.as_bytes(), b" HTTP/1.1"];
    let uri = uri.concat();
    let captures = texts(&[Some(&[b'"'; 40]), None, Some(b"\xff\xfe")]);
    let record = Record {
        request: Some(&uri),
        request_captures: Some(&captures),
        request_cookie: Some(b"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\""),
        ..record()
    };
    let whole = line(&record, true, 8_192);
    for http in [true, false] {
        for room in TRUNCATED.len()..2_000 {
            let line = line(&record, http, room);
            let value: Value =
                serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
            let complete = !http || room >= whole.len() + TRUNCATED.len();
            if complete && room >= 1_200 {
                assert_eq!(value.get("truncated"), None, "{room}: {line}");
            }
            if http && room < whole.len() {
                assert_eq!(value["truncated"], true, "{room}: {line}");
            }
            // Nothing is said that the whole line does not say.
            let full: Value = serde_json::from_str(&whole).unwrap();
            for (name, value) in value.as_object().unwrap() {
                let known = &full[name];
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let shortened = value.is_string() && text(known).starts_with(&text(value));
                let of_tcp = !http && ["time", "state"].contains(&name.as_str());
                assert!(
                    name == "truncated" || shortened || value == known || of_tcp,
                    "{name}: {value}"
                );
            }
        }
    }
}

#[test]
fn a_uri_ends_at_its_limit() {
    let mut lines = lines();
    lines.request_max = 5;
    for (request, uri, truncated) in [
        (&b"GET /1234 HTTP/1.1"[..], "/1234", false),
        (b"GET /12345 HTTP/1.1", "/1234", true),
        (b"GET /a b c HTTP/1.0", "/a b ", true),
    ] {
        let mut out = Vec::new();
        lines.json(&Record { request: Some(request), ..record() }, true, 8_192, &mut out);
        let value: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["uri"], uri);
        assert_eq!(value["method"], "GET");
        assert_eq!(value.get("truncated").is_some(), truncated);
    }
}
