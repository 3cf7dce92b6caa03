//! A reader of HTTP/1 that goes by the letter of RFC 9110 and 9112, and names the clause where a
//! message breaks it. It shares no code with the core.
//!
//! It allows what a proxy may repair without another reader seeing another message: empty lines
//! before a request, one length said several times, spaces after a chunk size, no Host.

use super::wire::{Field, Framing, Message};

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    BareLf,
    BareCr,
    Nul,
    Control,
    Fold,
    SpaceBeforeColon,
    FieldName,
    FirstByte,
    EmptyLines,
    Method,
    Target,
    TargetForm,
    TargetHost,
    Host,
    HostTwice,
    Version,
    Status,
    Length,
    LengthTooLarge,
    LengthConflict,
    LengthAndCoding,
    Coding,
    CodingInHttp10,
    ConnectBody,
    ChunkSize,
    ChunkExtension,
    ChunkEnd,
    Trailer,
    TooMany,
    TooLong,
    Handshake,
    Switch,
    OldBody,
}

impl Fault {
    /// In words with hyphens.
    pub fn name(self) -> String {
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }

    /// What it is, and the clause that says so.
    pub fn meaning(self) -> (&'static str, &'static str) {
        match self {
            Fault::BareLf => ("a line that ends in LF alone", "9112 2.2"),
            Fault::BareCr => ("a CR that no LF follows", "9112 2.2"),
            Fault::Nul => ("a NUL in a head", "9110 5.5"),
            Fault::Control => ("a control character in a head", "9110 5.5"),
            Fault::Fold => ("a folded line", "9112 5.2"),
            Fault::SpaceBeforeColon => ("white space before a colon", "9112 5.1"),
            Fault::FieldName => ("a field name that is no token", "9110 5.1"),
            Fault::FirstByte => ("a first byte that no message has", "9112 2.1"),
            Fault::EmptyLines => ("many empty lines before a request", "9112 2.2"),
            Fault::Method => ("a method that is no token", "9110 9.1"),
            Fault::Target => ("a byte that no target has", "9112 3.2"),
            Fault::TargetForm => ("a target that does not fit the method", "9112 3.2"),
            Fault::TargetHost => ("Host is not the target's host", "9112 3.2.2"),
            Fault::Host => ("a Host that is no host", "9112 3.2"),
            Fault::HostTwice => ("two Hosts that differ", "9112 3.2"),
            Fault::Version => ("a version that is not 1.0 or 1.1", "9112 2.3"),
            Fault::Status => ("a status line that is none", "9112 4"),
            Fault::Length => ("a length that is no number", "9112 6.3"),
            Fault::LengthTooLarge => ("a length beyond 2^63", "9110 8.6"),
            Fault::LengthConflict => ("two lengths that differ", "9112 6.3"),
            Fault::LengthAndCoding => ("a length beside chunked", "9112 6.3"),
            Fault::Coding => ("a coding that is not one chunked", "9112 6.1"),
            Fault::CodingInHttp10 => ("a coding in HTTP/1.0", "9112 6.1"),
            Fault::ConnectBody => ("a CONNECT with a body", "9110 9.3.6"),
            Fault::ChunkSize => ("a chunk size that is no number", "9112 7.1"),
            Fault::ChunkExtension => ("a chunk extension that is none", "9112 7.1.1"),
            Fault::ChunkEnd => ("a chunk that does not end in CRLF", "9112 7.1"),
            Fault::Trailer => ("a trailer that is no field", "9112 7.1.2"),
            Fault::TooMany => ("too many fields", "9110 5.4"),
            Fault::TooLong => ("a head or a trailer that is too long", "9110 5.4"),
            Fault::OldBody => ("a body where HTTP/1.0 has none", "1945 8"),
            Fault::Switch => ("a 101 that does not name its protocol", "9110 7.8"),
            Fault::Handshake => ("a WebSocket handshake without its key", "6455 4.2"),
        }
    }
}

/// What a stream says.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Whole messages.
    pub messages: Vec<Message>,
    /// What is wrong behind them.
    pub fault: Option<Fault>,
    /// Something is behind them that is neither whole nor wrong.
    pub partial: bool,
    /// Where it stopped.
    pub at: usize,
}

/// The most fields of a message, and the longest head.
const FIELDS_MAX: usize = 100;
const HEAD_MAX: usize = 15_360;
const TRAILER_MAX: usize = 8192;
const TRAILER_LINES_MAX: usize = 64;
const EMPTY_LINES_MAX: usize = 64;
const EXTENSION_MAX: usize = 256;

/// Reads requests until the end or a fault. Whether what follows a CONNECT is one, the answer says.
pub fn requests(bytes: &[u8]) -> Reading {
    read_requests(bytes, &READ)
}

/// The same of what a proxy wrote, which may have added fields.
pub fn written_requests(bytes: &[u8]) -> Reading {
    read_requests(bytes, &WRITTEN)
}

/// What is too much.
struct Limits {
    fields: usize,
    head: usize,
}

const READ: Limits = Limits { fields: FIELDS_MAX, head: HEAD_MAX };
const WRITTEN: Limits = Limits { fields: FIELDS_MAX + 2, head: HEAD_MAX + 256 };

fn read_requests(bytes: &[u8], limits: &Limits) -> Reading {
    let mut reading = Reading::default();
    let mut at = 0;
    loop {
        let empty = bytes[at..].chunks(2).take_while(|pair| *pair == b"\r\n").count() * 2;
        if empty > EMPTY_LINES_MAX {
            reading.fault = Some(Fault::EmptyLines);
            return reading;
        }
        at += empty;
        reading.at = at;
        match one(&bytes[at..], None, false, limits) {
            Ok(Some(message)) => {
                at += message.len;
                reading.at = at;
                reading.messages.push(message);
            }
            Ok(None) => {
                reading.partial = at < bytes.len();
                return reading;
            }
            Err(fault) => {
                reading.fault = Some(fault);
                return reading;
            }
        }
    }
}

/// Reads the answers to requests of `methods`, interim ones included, until the last is whole.
/// `ended` tells that the connection ended there.
pub fn responses(bytes: &[u8], methods: &[&[u8]], ended: bool) -> Reading {
    read_responses(bytes, methods, ended, &READ)
}

/// The same of what a proxy wrote.
pub fn written_responses(bytes: &[u8], methods: &[&[u8]], ended: bool) -> Reading {
    read_responses(bytes, methods, ended, &WRITTEN)
}

fn read_responses(bytes: &[u8], methods: &[&[u8]], ended: bool, limits: &Limits) -> Reading {
    let mut reading = Reading::default();
    let mut at = 0;
    let mut methods = methods.iter();
    let Some(mut method) = methods.next() else {
        reading.partial = !bytes.is_empty();
        return reading;
    };
    loop {
        match one(&bytes[at..], Some(method), ended, limits) {
            Ok(Some(message)) => {
                let interim = message.is_interim();
                let tunnel = message.framing == Framing::Tunnel;
                at += message.len;
                reading.at = at;
                reading.messages.push(message);
                if tunnel {
                    return reading;
                }
                if !interim {
                    match methods.next() {
                        Some(next) => method = next,
                        None => {
                            reading.partial = at < bytes.len();
                            return reading;
                        }
                    }
                }
            }
            Ok(None) => {
                reading.partial = at < bytes.len();
                return reading;
            }
            Err(fault) => {
                reading.fault = Some(fault);
                return reading;
            }
        }
    }
}

/// One message: a response if `method` says to what.
fn one(
    bytes: &[u8],
    method: Option<&[u8]>,
    ended: bool,
    limits: &Limits,
) -> Result<Option<Message>, Fault> {
    if bytes.is_empty() {
        return Ok(None);
    }
    if !is_tchar(bytes[0]) && bytes != b"\r" {
        return Err(match bytes[0] {
            b'\r' if method.is_some() => Fault::EmptyLines,
            b'\n' => Fault::BareLf,
            b'\r' => Fault::BareCr,
            0 => Fault::Nul,
            _ => Fault::FirstByte,
        });
    }
    let Some((lines, len)) = head_lines(bytes)? else {
        return if bytes.len() > limits.head { Err(Fault::TooLong) } else { Ok(None) };
    };
    if len > limits.head {
        return Err(Fault::TooLong);
    }
    let mut lines = lines.into_iter();
    let line = lines.next().unwrap_or_default();
    match method {
        None => request_line(line)?,
        Some(_) => status_line(line)?,
    }
    let fields = lines.map(field).collect::<Result<Vec<Field>, Fault>>()?;
    if fields.len() > limits.fields {
        return Err(Fault::TooMany);
    }
    let mut message = Message {
        line: line.to_vec(),
        fields,
        framing: Framing::None,
        body: Vec::new(),
        trailers: Vec::new(),
        complete: false,
        headed: true,
        len,
    };
    message.framing = match method {
        None => {
            hosts(&message)?;
            let framing = request_framing(&message)?;
            let bodyless = matches!(message.word(0), b"GET" | b"HEAD" | b"DELETE");
            let none = matches!(framing, Framing::None | Framing::Length(0));
            if bodyless && !none && line.ends_with(b" HTTP/1.0") {
                return Err(Fault::OldBody);
            }
            if none {
                // Behind a body nobody switches.
                handshake(&message)?;
            }
            framing
        }
        Some(method) => response_framing(&message, method)?,
    };
    let rest = &bytes[len..];
    match message.framing {
        Framing::None | Framing::Tunnel => message.complete = true,
        Framing::Length(length) => match usize::try_from(length) {
            Ok(length) if length <= rest.len() => {
                message.body = rest[..length].to_vec();
                message.len += length;
                message.complete = true;
            }
            _ => return Ok(None),
        },
        Framing::UntilClose if ended => {
            message.body = rest.to_vec();
            message.len = bytes.len();
            message.complete = true;
        }
        Framing::UntilClose => return Ok(None),
        Framing::Chunked => match chunked(rest, &mut message)? {
            Some(taken) => {
                message.len += taken;
                message.complete = true;
            }
            None => return Ok(None),
        },
    }
    Ok(Some(message))
}

/// The lines of a head without their ends, and its length; none if it is not whole.
#[allow(clippy::type_complexity)]
fn head_lines(bytes: &[u8]) -> Result<Option<(Vec<&[u8]>, usize)>, Fault> {
    let mut lines = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\r' => match bytes.get(at + 1) {
                Some(b'\n') => {
                    if at == start {
                        return Ok(Some((lines, at + 2)));
                    }
                    lines.push(&bytes[start..at]);
                    at += 2;
                    start = at;
                }
                Some(_) => return Err(Fault::BareCr),
                None => return Ok(None),
            },
            b'\n' => return Err(Fault::BareLf),
            0 => return Err(Fault::Nul),
            b'\t' => at += 1,
            0x01..=0x1f | 0x7f => return Err(Fault::Control),
            b' ' if at == start => return Err(Fault::Fold),
            _ => at += 1,
        }
    }
    Ok(None)
}

fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| is_tchar(*b))
}

fn request_line(line: &[u8]) -> Result<(), Fault> {
    let words: Vec<&[u8]> = line.split(|b| *b == b' ').collect();
    let method = words[0];
    if !is_token(method) {
        return Err(Fault::Method);
    }
    let [_, target, version] = words[..] else {
        return Err(match words.last() {
            Some(version) if words.len() > 3 && version.starts_with(b"HTTP/") => Fault::Target,
            _ => Fault::Version,
        });
    };
    if target.is_empty() || target.iter().any(|b| !(0x21..0x7f).contains(b) || *b == b'#') {
        return Err(Fault::Target);
    }
    if version != b"HTTP/1.1" && version != b"HTTP/1.0" {
        return Err(Fault::Version);
    }
    let fits = match (method, target[0]) {
        (b"PRI", _) => false,
        (b"CONNECT", _) => authority(target).is_some_and(|(_, port)| !port.is_empty()),
        (_, b'/') => true,
        (b"OPTIONS", _) if target == b"*" => true,
        _ => absolute(target).is_some(),
    };
    if fits { Ok(()) } else { Err(Fault::TargetForm) }
}

/// Scheme and authority of an absolute target.
fn absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = super::wire::find(target, b"://")?;
    let (scheme, rest) = (&target[..at], &target[at + 3..]);
    // A query right behind the authority makes that one that is none.
    let end = rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
    let good = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b));
    (good && authority(&rest[..end]).is_some()).then_some((scheme, &rest[..end]))
}

/// Host and port, which is empty if it is not said.
fn authority(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = match text.first()? {
        b'[' => text.iter().position(|b| *b == b']')? + 1,
        _ => text.iter().position(|b| *b == b':').unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at(end);
    let port = match rest {
        [] => rest,
        [b':', port @ ..] => port,
        _ => return None,
    };
    let number = std::str::from_utf8(port).ok()?;
    let small = number.is_empty() || number.len() <= 5 && number.parse::<u16>().is_ok();
    let digits = port.iter().all(u8::is_ascii_digit);
    let named = match host {
        [b'[', inner @ .., b']'] => {
            !inner.is_empty()
                && inner.iter().all(|b| b.is_ascii_alphanumeric() || b".:%".contains(b))
        }
        _ => {
            !host.is_empty()
                && host.iter().all(|b| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(b))
        }
    };
    (small && digits && named).then_some((host, port))
}

fn status_line(line: &[u8]) -> Result<(), Fault> {
    let version = line.get(..8).ok_or(Fault::Version)?;
    if version != b"HTTP/1.1" && version != b"HTTP/1.0" {
        return Err(Fault::Version);
    }
    let good = match line[8..] {
        [b' ', b'1'..=b'9', b, c] | [b' ', b'1'..=b'9', b, c, b' ', ..] => {
            b.is_ascii_digit() && c.is_ascii_digit()
        }
        _ => false,
    };
    if good { Ok(()) } else { Err(Fault::Status) }
}

fn field(line: &[u8]) -> Result<Field, Fault> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Fault::Fold);
    }
    let colon = line.iter().position(|b| *b == b':').ok_or(Fault::FieldName)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if !is_token(name) {
        let bare = name.trim_ascii_end();
        return Err(match is_token(bare) {
            true => Fault::SpaceBeforeColon,
            false => Fault::FieldName,
        });
    }
    Ok((name.to_ascii_lowercase(), value.trim_ascii().to_vec()))
}

fn hosts(message: &Message) -> Result<(), Fault> {
    let mut hosts = message.values("host");
    let Some(host) = hosts.next() else { return Ok(()) };
    if hosts.any(|other| !other.eq_ignore_ascii_case(host)) {
        return Err(Fault::HostTwice);
    }
    if !host.is_empty() && authority(host).is_none() {
        return Err(Fault::Host);
    }
    let target = message.word(1);
    let (named, default): (&[u8], &[u8]) = match (message.word(0), absolute(target)) {
        (b"CONNECT", _) => (target, authority(target).map_or(&b""[..], |(_, port)| port)),
        (_, Some((scheme, named))) if target[0] != b'/' => (
            named,
            match scheme.to_ascii_lowercase().as_slice() {
                b"http" => b"80",
                b"https" => b"443",
                _ => b"",
            },
        ),
        _ => return Ok(()),
    };
    let of = |text| {
        authority(text).map(|(host, port)| (host, if port.is_empty() { default } else { port }))
    };
    match (of(named), of(host)) {
        (Some((a, p)), Some((b, q))) if a.eq_ignore_ascii_case(b) && p == q => Ok(()),
        _ => Err(Fault::TargetHost),
    }
}

/// RFC 6455: who asks for WebSocket names its key.
fn handshake(message: &Message) -> Result<(), Fault> {
    let asked = message.lists("connection", "upgrade") && message.lists("upgrade", "websocket");
    let key = message.values("sec-websocket-key").any(|key| key.len() == 24);
    // HTTP/1.0 upgrades nothing (RFC 9110 section 7.8).
    let old = message.line.ends_with(b" HTTP/1.0");
    match asked && !old && message.word(0) != b"CONNECT" && !key {
        true => Err(Fault::Handshake),
        false => Ok(()),
    }
}

fn request_framing(message: &Message) -> Result<Framing, Fault> {
    let (chunked, length) = (coding(message), length(message));
    if message.word(0) == b"CONNECT" {
        let announced = message.has("transfer-encoding") || message.has("content-length");
        return if announced { Err(Fault::ConnectBody) } else { Ok(Framing::None) };
    }
    match (chunked?, length?) {
        (true, Some(_)) => Err(Fault::LengthAndCoding),
        (true, None) => Ok(Framing::Chunked),
        (false, Some(length)) => Ok(Framing::Length(length)),
        (false, None) => Ok(Framing::None),
    }
}

fn response_framing(message: &Message, method: &[u8]) -> Result<Framing, Fault> {
    let (chunked, length) = (coding(message)?, length(message)?);
    let names = message.has("upgrade") && message.lists("connection", "upgrade");
    if message.status() == 101 && !names {
        return Err(Fault::Switch);
    }
    if message.lists("upgrade", "websocket")
        && message.status() == 101
        && !message.has("sec-websocket-accept")
    {
        return Err(Fault::Handshake);
    }
    Ok(match message.status() {
        101 => Framing::Tunnel,
        200..=299 if method == b"CONNECT" => Framing::Tunnel,
        100..=199 | 204 | 304 => Framing::None,
        _ if method == b"HEAD" => Framing::None,
        _ if chunked => Framing::Chunked,
        _ => length.map_or(Framing::UntilClose, Framing::Length),
    })
}

fn coding(message: &Message) -> Result<bool, Fault> {
    let codings: Vec<&[u8]> = message.values("transfer-encoding").collect();
    match codings[..] {
        [] => Ok(false),
        _ if message.line.starts_with(b"HTTP/1.0") || message.line.ends_with(b" HTTP/1.0") => {
            Err(Fault::CodingInHttp10)
        }
        [one] if one.eq_ignore_ascii_case(b"chunked") => Ok(true),
        _ => Err(Fault::Coding),
    }
}

fn length(message: &Message) -> Result<Option<u64>, Fault> {
    let mut said = None;
    for text in message.values("content-length").flat_map(|value| value.split(|b| *b == b',')) {
        let text = text.trim_ascii();
        if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
            return Err(Fault::Length);
        }
        let digits = std::str::from_utf8(text).map_err(|_| Fault::Length)?;
        let number = digits.parse::<u128>().ok().and_then(|n| i64::try_from(n).ok());
        // More digits than a u128 has are zeros, or too many.
        let number = match number {
            None if text.iter().all(|b| *b == b'0') => Some(0),
            None => digits.trim_start_matches('0').parse::<i64>().ok(),
            some => some,
        };
        let number = number.ok_or(Fault::LengthTooLarge)?;
        if said.is_some_and(|other| other != number) {
            return Err(Fault::LengthConflict);
        }
        said = Some(number);
    }
    Ok(said.map(|number| number as u64))
}

/// A line of the chunked coding and where the next starts; none if it is not whole.
fn coding_line(bytes: &[u8], at: usize, fault: Fault) -> Result<Option<(&[u8], usize)>, Fault> {
    let rest = &bytes[at..];
    let Some(end) = rest.iter().position(|b| matches!(b, b'\r' | b'\n')) else { return Ok(None) };
    match rest[end..] {
        [b'\r', b'\n', ..] => Ok(Some((&rest[..end], at + end + 2))),
        [b'\r'] => Ok(None),
        _ => Err(fault),
    }
}

fn chunked(bytes: &[u8], message: &mut Message) -> Result<Option<usize>, Fault> {
    let mut at = 0;
    loop {
        let digits = bytes[at..].iter().take_while(|b| b.is_ascii_hexdigit()).count();
        match bytes.get(at + digits) {
            _ if digits > 16 => return Err(Fault::ChunkSize),
            None => return Ok(None),
            Some(b'\r' | b'\n' | b';' | b' ' | b'\t') if digits > 0 => {}
            Some(_) => return Err(Fault::ChunkSize),
        }
        let number = std::str::from_utf8(&bytes[at..at + digits]).unwrap_or_default();
        let size = u64::from_str_radix(number, 16).map_err(|_| Fault::ChunkSize)?;
        if size > 1 << 62 {
            return Err(Fault::ChunkSize);
        }
        let extension = bytes[at + digits..].iter().take_while(|b| **b != b'\r' && **b != b'\n');
        let extension: Vec<u8> = extension.copied().collect();
        let mut text = extension.as_slice();
        while let [b' ' | b'\t', rest @ ..] = text {
            text = rest;
        }
        let opened = text.first().is_none_or(|b| *b == b';');
        let controls = extension.iter().any(|b| *b < b' ' && *b != b'\t' || *b == 0x7f);
        if !opened || controls || extension.len() > EXTENSION_MAX {
            return Err(Fault::ChunkExtension);
        }
        let Some((_, next)) = coding_line(bytes, at, Fault::ChunkExtension)? else {
            return Ok(None);
        };
        at = next;
        if size == 0 {
            break;
        }
        let Some(end) = usize::try_from(size).ok().and_then(|size| at.checked_add(size)) else {
            return Ok(None);
        };
        let Some(data) = bytes.get(at..end) else { return Ok(None) };
        message.body.extend_from_slice(data);
        at = end;
        match bytes[at..] {
            [b'\r', b'\n', ..] => at += 2,
            [] | [b'\r'] => return Ok(None),
            _ => return Err(Fault::ChunkEnd),
        }
    }
    let start = at;
    loop {
        let line = coding_line(bytes, at, Fault::Trailer)?;
        let held = line.map_or(&bytes[at..], |(line, _)| line);
        if held.iter().any(|b| *b < b' ' && !b"\t\r".contains(b) || *b == 0x7f) {
            return Err(Fault::Trailer);
        }
        let name = held.iter().position(|b| *b == b':').unwrap_or(held.len());
        if !held.is_empty() && held != b"\r" && !is_token(&held[..name]) {
            return Err(Fault::Trailer);
        }
        let Some((line, next)) = line else {
            return if bytes.len() - start > TRAILER_MAX { Err(Fault::TooLong) } else { Ok(None) };
        };
        at = next;
        if line.is_empty() {
            return Ok(Some(at));
        }
        message.trailers.push(field(line).map_err(|_| Fault::Trailer)?);
        if message.trailers.len() > TRAILER_LINES_MAX || at - start > TRAILER_MAX {
            return Err(Fault::TooLong);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Option<Fault> {
        requests(text.as_bytes()).fault
    }

    #[test]
    fn heads() {
        for (fields, expected) in [
            ("A: b", None),
            ("A:\tb \t", None),
            ("A : b", Some(Fault::SpaceBeforeColon)),
            (": b", Some(Fault::FieldName)),
            ("A b: c", Some(Fault::FieldName)),
            ("A", Some(Fault::FieldName)),
            ("A: b\r\n c", Some(Fault::Fold)),
            ("A: b\nC: d", Some(Fault::BareLf)),
            ("A: b\rC: d", Some(Fault::BareCr)),
            ("A: \0", Some(Fault::Nul)),
            ("A: \u{1}", Some(Fault::Control)),
            ("Host: a\r\nHost: b", Some(Fault::HostTwice)),
            ("Content-Length: 0, 0\r\nContent-Length: 00", None),
            ("Content-Length: +1", Some(Fault::Length)),
            ("Content-Length: 1, 2", Some(Fault::LengthConflict)),
            ("Content-Length: 9223372036854775808", Some(Fault::LengthTooLarge)),
            ("Content-Length: 0\r\nTransfer-Encoding: chunked", Some(Fault::LengthAndCoding)),
            ("Transfer-Encoding: gzip, chunked", Some(Fault::Coding)),
            ("Connection: upgrade\r\nUpgrade: websocket", Some(Fault::Handshake)),
        ] {
            assert_eq!(
                fault(&format!("GET / HTTP/1.1\r\n{fields}\r\n\r\n")),
                expected,
                "{fields:?}"
            );
        }
    }

    #[test]
    fn request_lines() {
        for (line, expected) in [
            ("GET / HTTP/1.1", None),
            ("GET / HTTP/1.2", Some(Fault::Version)),
            ("GET /", Some(Fault::Version)),
            ("GET  / HTTP/1.1", Some(Fault::Target)),
            ("GET /a#b HTTP/1.1", Some(Fault::Target)),
            ("GET * HTTP/1.1", Some(Fault::TargetForm)),
            ("OPTIONS * HTTP/1.1", None),
            ("GET http://a/b HTTP/1.1", None),
            ("GET http://a?b HTTP/1.1", Some(Fault::TargetForm)),
            ("CONNECT a HTTP/1.1", Some(Fault::TargetForm)),
            ("CONNECT a:1 HTTP/1.1", None),
            ("G(T / HTTP/1.1", Some(Fault::Method)),
            (" GET / HTTP/1.1", Some(Fault::FirstByte)),
        ] {
            assert_eq!(fault(&format!("{line}\r\n\r\n")), expected, "{line:?}");
        }
    }

    #[test]
    fn chunks() {
        for (body, expected) in [
            ("3\r\nabc\r\n0\r\n\r\n", None),
            ("03 ;x=\"y\"\r\nabc\r\n0\r\nA: b\r\n\r\n", None),
            ("3\nabc\r\n0\r\n\r\n", Some(Fault::ChunkExtension)),
            ("0x3\r\nabc\r\n0\r\n\r\n", Some(Fault::ChunkSize)),
            ("3 x\r\nabc\r\n0\r\n\r\n", Some(Fault::ChunkExtension)),
            ("3\r\nabcd\r\n0\r\n\r\n", Some(Fault::ChunkEnd)),
            ("0\r\nA\r\n\r\n", Some(Fault::Trailer)),
            ("0\r\n\n", Some(Fault::Trailer)),
        ] {
            let text = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
            assert_eq!(fault(&text), expected, "{body:?}");
        }
    }

    #[test]
    fn answers_are_cut_by_their_requests() {
        let bytes = b"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\
            HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
        let reading = responses(bytes, &[b"HEAD", b"GET"], false);
        assert_eq!((reading.messages.len(), reading.fault), (3, None));
        assert_eq!(reading.messages[2].body, b"x");
    }
}
