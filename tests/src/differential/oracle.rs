//! Other readers of what Tidegate forwarded: the strict one, hyper, and haproxy itself. What they
//! say against it is an objection, for which there are no classes.
//!
//! They read both what Tidegate got and what it wrote: a message that it passed on must be the same
//! one before and after, in all their eyes.

use super::classes::is_page;
use super::compare::{meaning, without_port};
use super::grammar::Case;
use super::peer::{self, Said};
use super::stage::{End, Outcome, PROBE};
use super::strict;
use super::wire::{Field, Framing, Message, short};

/// What the strict reader and hyper say against it.
pub fn objections(case: &Case, tidegate: &Outcome) -> Vec<String> {
    let mut found = Vec::new();
    requests_written(tidegate, &mut found);
    requests_read(case, tidegate, &mut found);
    answers_written(tidegate, &mut found);
    answer_read(case, tidegate, &mut found);
    found
}

/// Each connection at the origin holds the requests that the recorder saw there, and nothing else.
fn requests_written(tidegate: &Outcome, found: &mut Vec<String>) {
    for (number, bytes) in tidegate.connections.iter().enumerate() {
        let here = tidegate.arrivals.iter().filter(|arrival| arrival.connection == number);
        let whole: Vec<&Message> = here.map(|a| &a.message).filter(|m| m.complete).collect();
        let len = whole.iter().map(|message| message.len).sum();
        let reading = strict::written_requests(&bytes[..len]);
        if reading.fault.is_some() || reading.partial {
            found.push(format!("strict, at the origin: {:?} in {}", reading.fault, short(bytes)));
        }
        same_messages("strict, at the origin", &whole, &reading.messages, found);
        let (said, error) = peer::requests(&tamed(&bytes[..len], &whole));
        if let Some(error) = error {
            found.push(format!("hyper, at the origin: {error} for {}", short(bytes)));
        }
        if said.len() != whole.len() {
            found.push(format!("hyper, at the origin: {} requests of {}", said.len(), whole.len()));
        }
        for (said, message) in said.iter().zip(whole) {
            same_request("hyper, at the origin", said, message, found);
        }
    }
}

/// What arrived at the origin is what the client sent.
fn requests_read(case: &Case, tidegate: &Outcome, found: &mut Vec<String>) {
    let mut bytes = case.sent.clone();
    if tidegate.probed {
        bytes.extend_from_slice(PROBE);
    }
    let reading = strict::requests(&bytes);
    let arrived = tidegate.arrivals.iter().map(|arrival| &arrival.message);
    let arrived: Vec<&Message> = arrived.filter(|message| message.complete).collect();
    if arrived.len() > reading.messages.len() {
        found.push(format!(
            "strict, at the client: {} requests of {}, then {:?}",
            reading.messages.len(),
            arrived.len(),
            reading.fault
        ));
    }
    for (sent, got) in reading.messages.iter().map(passed_on).zip(&arrived) {
        if (sent.word(0), sent.word(1), &sent.body) != (got.word(0), got.word(1), &got.body) {
            found.push(format!("strict, from client to origin: {} is {}", sent.text(), got.text()));
        }
        same_fields("strict, from client to origin", &sent, got, found);
    }
    // hyper repairs less, or other things, than the strict reader allows: what it takes must agree.
    for (said, message) in peer::requests(&bytes).0.iter().zip(&arrived) {
        let body = said.body == message.body;
        let line = said.line.splitn(2, |b| *b == b' ').collect::<Vec<_>>();
        let line = [line[0], b" ", &without_port(line.get(1).copied().unwrap_or_default())];
        let plain = Said { line: line.concat(), ..said.clone() };
        if !same_target(&plain, message) || !body {
            let line = said.line.escape_ascii();
            found.push(format!("hyper, from client to origin: {line} is {}", message.text()));
        }
    }
}

/// What a proxy is to make of a request: a port that goes without saying is left out of an absolute
/// target, and Host follows it; with CONNECT, whose target must have a port, Host alone leaves it
/// out.
fn passed_on(sent: &Message) -> Message {
    let target = without_port(sent.word(1));
    let mut passed = sent.clone();
    let host = passed.fields.iter_mut().find(|(name, _)| name == b"host").map(|(_, value)| value);
    if sent.word(0) == b"CONNECT" {
        if let Some(host) = host {
            let plain = [&b":80"[..], b":443"].into_iter().find_map(|port| host.strip_suffix(port));
            *host = plain.unwrap_or(host).to_vec();
        }
    } else if target != sent.word(1) {
        let authority = target.splitn(4, |b| *b == b'/').nth(2).unwrap_or_default();
        let authority = authority.split(|b| *b == b'?').next().unwrap_or_default();
        if let Some(host) = host {
            *host = authority.to_vec();
        }
        passed.line = [sent.word(0), b" ", &target, b" ", sent.word(2)].concat();
    }
    passed
}

/// The client's bytes are the answers that the recorder saw, and nothing else.
fn answers_written(tidegate: &Outcome, found: &mut Vec<String>) {
    let whole: Vec<&Message> = tidegate.answers.iter().filter(|a| a.complete).collect();
    let len = whole.iter().map(|answer| answer.len).sum();
    let finals = whole.iter().filter(|answer| !answer.is_interim()).count();
    let mut methods = tidegate.methods();
    methods.resize(methods.len().max(finals), b"GET");
    methods.truncate(finals);
    let ended = matches!(tidegate.end, End::Closed | End::Nudged) && !tidegate.reset;
    let bytes = &tidegate.client[..len];
    let reading = strict::written_responses(bytes, &methods, ended);
    if reading.fault.is_some() || reading.partial && finals > 0 {
        found.push(format!("strict, at the client: {:?} in {}", reading.fault, short(bytes)));
    }
    if finals == 0 {
        return;
    }
    let until_final = whole.iter().rposition(|answer| !answer.is_interim()).unwrap_or(0);
    same_messages("strict, at the client", &whole[..=until_final], &reading.messages, found);
    // hyper reads one answer, and the interim ones before it, at a time.
    let (mut at, mut start, mut number) = (0, 0, 0);
    for answer in &whole {
        at += answer.len;
        if answer.is_interim() {
            continue;
        }
        match peer::response(&bytes[start..], methods[number]) {
            Err(error) => {
                found.push(format!("hyper, at the client: {error} for {}", answer.text()))
            }
            Ok(said) => {
                let status = said.line == answer.word(1);
                let body = said.body == answer.body || answer.framing == Framing::Tunnel;
                if !status || !body || said.fields != grouped(&answer.fields) {
                    found.push(format!("hyper, at the client: {said:?} is {}", answer.text()));
                }
            }
        }
        start = at;
        number += 1;
    }
}

/// The first answer that the client got is the origin's, or a page.
fn answer_read(case: &Case, tidegate: &Outcome, found: &mut Vec<String>) {
    let (Some(got), Some(first)) = (tidegate.finals().next(), tidegate.arrivals.first()) else {
        return;
    };
    if is_page(got) || !first.message.complete {
        return;
    }
    let method = first.message.word(0);
    let reading = strict::responses(&case.answer, &[method], true);
    let Some(sent) = reading.messages.iter().find(|answer| !answer.is_interim()) else {
        if got.complete {
            let fault = reading.fault;
            found.push(format!("strict, from origin to client: {fault:?} is {}", got.text()));
        }
        return;
    };
    let body = if got.complete { sent.body == got.body } else { sent.body.starts_with(&got.body) };
    if sent.status() != got.status() || !body {
        found.push(format!("strict, from origin to client: {} is {}", sent.text(), got.text()));
    }
    same_fields("strict, from origin to client", sent, got, found);
    if let Ok(said) = peer::response(&case.answer, method)
        && got.framing != Framing::Tunnel
        && got.complete
        && (said.line != got.word(1) || said.body != got.body)
    {
        found.push(format!("hyper, from origin to client: {said:?} is {}", got.text()));
    }
}

fn same_messages(who: &str, seen: &[&Message], read: &[Message], found: &mut Vec<String>) {
    if seen.len() != read.len() {
        found.push(format!("{who}: {} messages of {}", read.len(), seen.len()));
    }
    for (seen, read) in seen.iter().zip(read) {
        if *seen != read {
            found.push(format!("{who}: {} is {}", seen.text(), read.text()));
        }
    }
}

fn same_request(who: &str, said: &Said, message: &Message, found: &mut Vec<String>) {
    let same = same_target(said, message)
        && said.body == message.body
        && said.fields == grouped(&message.fields);
    if !same {
        found.push(format!("{who}: {said:?} is {}", message.text()));
    }
}

/// The same bytes with targets that hyper takes: it refuses bytes that no URI holds, which is about
/// URIs and not about messages.
fn tamed(bytes: &[u8], messages: &[&Message]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    for message in messages {
        let start = at + message.word(0).len() + 1;
        tame(&mut bytes[start..start + message.word(1).len()]);
        at += message.len;
    }
    bytes
}

fn tame(target: &mut [u8]) {
    for byte in target {
        if b"\"<>\\^`{|}".contains(byte) {
            *byte = b'x';
        }
    }
}

/// hyper writes a path behind an authority that has none, and scheme and host in lower case.
fn same_target(said: &Said, message: &Message) -> bool {
    let mut target = message.word(1).to_vec();
    if line_is_tame(&said.line) {
        tame(&mut target);
    }
    let line = [message.word(0), b" ", &target].concat();
    let bare = |line: &[u8]| {
        let line = String::from_utf8_lossy(line).replace("/?", "?");
        line.strip_suffix('/').unwrap_or(&line).to_ascii_lowercase()
    };
    line == said.line || !message.word(1).starts_with(b"/") && bare(&line) == bare(&said.line)
}

fn line_is_tame(line: &[u8]) -> bool {
    let mut tamed = line.to_vec();
    tame(&mut tamed);
    tamed == line
}

/// As hyper's map gives them: in the order in which names first come, those of a name together.
fn grouped(fields: &[Field]) -> Vec<Field> {
    let mut names: Vec<&[u8]> = Vec::new();
    for (name, _) in fields {
        if !names.contains(&&**name) {
            names.push(name);
        }
    }
    let place = |name: &[u8]| names.iter().position(|other| *other == name);
    let mut grouped = fields.to_vec();
    grouped.sort_by_key(|(name, _)| place(name));
    grouped
}

/// Fields that a proxy removes or writes itself.
const ITS_OWN: [&[u8]; 8] = [
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"upgrade",
    b"http2-settings",
    b"content-length",
    b"transfer-encoding",
];

/// All else arrives as it was sent, in its order, but for what Connection names.
fn same_fields(who: &str, sent: &Message, got: &Message, found: &mut Vec<String>) {
    let mut hosts = 0;
    let mut bare = |message: &Message| {
        hosts = 0;
        let kept = message.fields.iter().filter(|(name, _)| {
            hosts += usize::from(name == b"host");
            let nominated = sent.lists("connection", &String::from_utf8_lossy(name));
            let again = name == b"host" && hosts > 1;
            !ITS_OWN.contains(&&**name) && !nominated && !again
        });
        kept.cloned().collect::<Vec<_>>()
    };
    let (mut one, mut other) = (bare(sent), bare(got));
    // What `option forwardfor` adds is the last of its name.
    let added = (b"x-forwarded-for".to_vec(), b"127.0.0.1".to_vec());
    if other.last() == Some(&added) {
        other.pop();
        if one.last() == Some(&added) {
            one.pop();
        }
    }
    if one != other {
        found.push(format!("{who}: the fields of {} are {}", sent.text(), got.text()));
    }
}

/// The first request and answer as Tidegate wrote them, as a case for haproxy.
pub fn echo(case: &Case, tidegate: &Outcome) -> Option<Case> {
    let first = tidegate.arrivals.first().filter(|first| first.message.complete)?;
    if tidegate.finals().any(|answer| answer.framing == Framing::Tunnel) {
        return None;
    }
    let sent = tidegate.connections[first.connection][..first.message.len].to_vec();
    let place = tidegate.answers.iter().position(|answer| !answer.is_interim());
    let whole = place.filter(|place| tidegate.answers[*place].complete);
    let (answer, closes) = match whole {
        Some(place) => {
            let len = tidegate.answers[..=place].iter().map(|answer| answer.len).sum();
            (tidegate.client[..len].to_vec(), tidegate.answers[place].says_close())
        }
        None => (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(), false),
    };
    Some(Case { seed: case.seed, sent, meant: 1, answer, closes, ..Case::default() })
}

/// Whether haproxy found the same messages in it. A refusal is another policy, not another message.
pub fn compare_echo(echo: &Case, tidegate: &Outcome, again: &Outcome) -> Vec<String> {
    let mut found = Vec::new();
    let own = again.finals().next().is_none_or(is_page) && again.arrivals.is_empty();
    if own {
        return found;
    }
    let (Some(sent), Some(got)) = (tidegate.arrivals.first(), again.arrivals.first()) else {
        found.push("haproxy, again: nothing arrived".to_owned());
        return found;
    };
    let (sent, got) = (&sent.message, &got.message);
    if meaning(sent) != meaning(got) || sent.body != got.body || !got.complete {
        found.push(format!("haproxy, again: {} is {}", sent.text(), got.text()));
    }
    let more = again.arrivals.iter().skip(1).filter(|arrival| arrival.message.word(1) != b"/probe");
    for extra in more {
        found.push(format!("haproxy, again: one more request: {}", extra.message.text()));
    }
    let sent = super::stage::answers(&echo.answer, &[got.word(0)], echo.closes);
    let sent = sent.iter().find(|answer| !answer.is_interim());
    let got = again.finals().next();
    let same = match (sent, got) {
        // It refuses a name of more than 255 bytes, say.
        (Some(_), Some(got)) if is_page(got) && got.status() == 502 => true,
        (Some(sent), Some(got)) => {
            let whole = sent.complete == got.complete && sent.body == got.body;
            sent.status() == got.status() && whole
        }
        (sent, got) => sent.is_none() && got.is_none(),
    };
    if !same {
        let text = |message: Option<&Message>| message.map_or("none".to_owned(), Message::text);
        found.push(format!("haproxy, again: the answer {} is {}", text(sent), text(got)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::compare::tests::outcome;
    use super::*;

    fn case(sent: &str, answer: &str) -> Case {
        let (sent, answer) = (sent.as_bytes().to_vec(), answer.as_bytes().to_vec());
        Case { sent, meant: 1, answer, ..Case::default() }
    }

    #[test]
    fn readers_object() {
        let get = "GET /a HTTP/1.1\r\nHost: a\r\nCookie: b\r\n\r\n";
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let found = |request: &str, answer: &str| {
            !objections(&case(get, ok), &outcome(request, answer)).is_empty()
        };
        assert!(!found(get, ok));
        assert!(found(&get.replace("/a", "/b"), ok), "another target");
        assert!(found(&get.replace("Cookie: b\r\n", ""), ok), "a field is gone");
        assert!(found(&get.replace("Cookie", "Transfer-Encoding : chunked\r\nCookie"), ok));
        assert!(found(&get.replace("Host: a", "Host: a\r\n b"), ok), "a fold");
        let found_of = |sent: &str, request: &str| {
            !objections(&case(sent, ok), &outcome(request, ok)).is_empty()
        };
        let absolute = "GET http://A:80/b HTTP/1.1\r\nHost: a\r\n\r\n";
        let passed = "GET http://A/b HTTP/1.1\r\nHost: A\r\n\r\n";
        assert!(!found_of(absolute, passed));
        assert!(found_of(absolute, absolute), "a port that goes without saying");
        assert!(found_of(absolute, &passed.replace("Host: A", "Host: a")), "Host follows");
        assert!(found_of(&absolute.replace("80", "81"), passed), "another port");
        assert!(found(get, &ok.replace("ok", "no")), "another body");
        assert!(found(get, &ok.replace("200", "201")), "another status");
        assert!(found(get, &ok.replace("Length: 2", "Length: +2")), "a length of hyper's own");
    }

    #[test]
    fn haproxy_may_read_no_other_message() {
        let get = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let tidegate = outcome(get, ok);
        let echo = echo(&case(get, ok), &tidegate).expect("a whole request arrived");
        assert_eq!((&echo.sent[..], &echo.answer[..]), (get.as_bytes(), ok.as_bytes()));
        assert!(compare_echo(&echo, &tidegate, &outcome(get, ok)).is_empty());
        let other = outcome(&get.replace("/a", "/b"), ok);
        assert!(!compare_echo(&echo, &tidegate, &other).is_empty());
        let other = outcome(get, &ok.replace("ok", "no"));
        assert!(!compare_echo(&echo, &tidegate, &other).is_empty());
    }
}
