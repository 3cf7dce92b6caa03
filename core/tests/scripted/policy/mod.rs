//! The messages of the policy table (`tests/policy/*.txt`), cut in two at their positions: wherever
//! the cut is, the same requests reach the server, and the client gets the same.
//!
//! The other test of these cases plays them over real sockets, and says what must come out.

#![allow(dead_code, reason = "the readers of case files are shared with that test")]

#[path = "../../../../tests/src/policy/case.rs"]
mod case;
#[path = "../../../../tests/src/policy/reader.rs"]
mod reader;
#[path = "../../../../tests/src/policy/text.rs"]
mod text;

use case::Case;
use reader::Message;
use tidegate_core::script::Wire;

use crate::rig::{Ended, Rig, S1, http_config};

const REQUESTS: &str = include_str!("../../../../tests/policy/requests.txt");
const RESPONSES: &str = include_str!("../../../../tests/policy/responses.txt");

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// So many cuts of a message at most, evenly spread.
const CUTS_MAX: usize = 24;

fn cases(text: &str) -> Vec<Case> {
    let chapters = case::read(text).expect("the cases are well formed");
    chapters.into_iter().flat_map(|chapter| chapter.cases).collect()
}

fn config(case: &Case) -> String {
    let lax = match &*case.at {
        "lax" => " option accept-invalid-http-request\n option accept-invalid-http-response\n",
        _ => "",
    };
    http_config(&format!("{lax}{S1}"))
}

/// What both sides saw.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// Whole requests at the server.
    requests: Vec<String>,
    /// What the client got; of answers of our own, the status.
    client: String,
    ended: bool,
}

/// Takes whole requests out of what the server has got, and answers them.
fn serve(rig: &mut Rig, server: &mut Option<Wire>, held: &mut Vec<u8>, outcome: &mut Outcome) {
    loop {
        if let Some((wire, _)) = rig.dialled() {
            rig.net.establish(wire);
            rig.turns();
            *server = Some(wire);
            held.clear();
        }
        let Some(o) = *server else { return };
        held.extend(rig.net.sent(o));
        let Message::Whole(len) = reader::request(held) else { return };
        let rest = held.split_off(len);
        let request = std::mem::replace(held, rest);
        let head = request.starts_with(b"HEAD ");
        outcome.requests.push(text::shown(&request));
        rig.send(o, if head { &OK[..OK.len() - 2] } else { OK });
    }
}

fn request(case: &Case, cut: usize) -> Outcome {
    let mut rig = Rig::new(&config(case));
    let mut outcome = Outcome { requests: Vec::new(), client: String::new(), ended: false };
    let (mut server, mut held) = (None, Vec::new());
    let c = rig.client();
    for part in [&case.bytes[..cut], &case.bytes[cut..]] {
        if !part.is_empty() {
            rig.send(c, part);
        }
        serve(&mut rig, &mut server, &mut held, &mut outcome);
    }
    if case.end {
        rig.end(c);
    }
    serve(&mut rig, &mut server, &mut held, &mut outcome);
    let mut got = rig.net.sent(c);
    // Timeouts of the rig: whatever waits is over.
    rig.advance(3_001);
    got.extend(rig.net.sent(c));
    outcome.client = statuses(&got);
    outcome.ended = rig.ended(c) != Ended::Open;
    rig.finish();
    outcome
}

/// The statuses of all answers.
fn statuses(bytes: &[u8]) -> String {
    let mut found = String::new();
    for at in 0..bytes.len() {
        if bytes[at..].starts_with(b"HTTP/1.")
            && let Some(status) = reader::status(&bytes[at..])
        {
            found += &format!("{status} ");
        }
    }
    found
}

fn response(case: &Case, cut: usize) -> Outcome {
    let mut rig = Rig::new(&config(case));
    let request = match case.method.split_once(' ') {
        Some((method, "upgrade")) => format!(
            "{method} / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: test\r\n\r\n"
        ),
        Some((method, version)) => format!("{method} / {version}\r\nHost: a\r\n\r\n"),
        None if case.method == "CONNECT" => "CONNECT a:1 HTTP/1.1\r\n\r\n".to_owned(),
        None => format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", case.method),
    };
    let c = rig.ask(request);
    let o = rig.server("s1");
    for part in [&case.bytes[..cut], &case.bytes[cut..]] {
        if !part.is_empty() && rig.ended(o) == Ended::Open {
            rig.send(o, part);
        }
    }
    if case.end && rig.ended(o) == Ended::Open {
        rig.end(o);
    }
    let mut got = rig.net.sent(c);
    rig.advance(3_001);
    got.extend(rig.net.sent(c));
    let own = got.windows(16).any(|part| part == b"<html><body><h1>");
    let client = if own { statuses(&got) } else { text::shown(&got) };
    let outcome = Outcome { requests: Vec::new(), client, ended: rig.ended(c) != Ended::Open };
    rig.finish();
    outcome
}

/// The positions to cut at.
fn cuts(case: &Case) -> impl Iterator<Item = usize> {
    let len = case.bytes.len();
    (1..len).step_by((len / CUTS_MAX).max(1))
}

#[test]
fn requests_cut_in_two() {
    let mut bad = Vec::new();
    let (mut passed, mut refused) = (0, 0);
    for case in cases(REQUESTS) {
        let whole = request(&case, 0);
        passed += usize::from(!whole.requests.is_empty());
        refused += usize::from(whole.client.contains("400 "));
        let differs = |cut: &usize| request(&case, *cut) != whole;
        if let Some(cut) = cuts(&case).find(differs) {
            let other = request(&case, cut);
            bad.push(format!("[{}] cut at {cut}: {other:?}\n  whole: {whole:?}", case.name));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    assert!(passed > 80 && refused > 80, "{passed} passed, {refused} were refused");
}

/// A fault in a body may be found when its head is on its way already: then the answer is visibly
/// cut off, instead of replaced.
#[test]
fn responses_cut_in_two() {
    let mut bad = Vec::new();
    for case in cases(RESPONSES) {
        let whole = response(&case, 0);
        let method = case.method.split(' ').next().unwrap_or_default().as_bytes();
        let differs = |cut: &usize| {
            let other = response(&case, *cut);
            let bytes = text::bytes(&other.client).unwrap_or_default();
            let truncated = whole.client == "502 "
                && other.ended
                && reader::response(&bytes, method) == Message::Partial;
            other != whole && !truncated
        };
        if let Some(cut) = cuts(&case).find(differs) {
            let other = response(&case, cut);
            bad.push(format!("[{}] cut at {cut}: {other:?}\n  whole: {whole:?}", case.name));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}
