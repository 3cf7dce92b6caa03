//! One whole head becomes a [`Head`]. Not incremental: [`HeadScan`] says when the head is whole.
//!
//! The received bytes are copied once, as they are, and become the model's lines where they stand.
//! That is all there is to do to a head that is spaced regularly, see `regular`. Any other is read
//! by httparse, into slots on the stack, and its irregular lines are appended in regular form. What
//! httparse would let pass and we do not (a line that ends in LF alone, a target that is not
//! ASCII) is caught on the way. It does not say where it stopped, so what it refuses is read again
//! by `syntax`.

use core::mem::{self, MaybeUninit};

use httparse::{ParserConfig, Status};
use memchr::memchr;

use super::authority::{check_host_value, check_target};
use super::error::{BadHead, HeadError};
use super::index::{NAME_MAX, recognise};
use super::known::{Known, VERSION_LEN, Version};
use super::lenient;
use super::model::{BLOCK_MAX, Head};
use super::regular::take_regular;
use super::scan::{HeadScan, Kind, Scan, Start};
use super::syntax;
use super::token::{is_blank, is_target_byte};

/// What a head may hold. Its length is limited by whoever buffers it.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// The most fields; `tune.http.maxhdr` less one, since HAProxy counts the end of the head.
    pub fields_max: usize,
    /// Whether some of what the strict grammar refuses is taken (see `lenient`).
    pub lenient: bool,
}

impl HeadLimits {
    /// The limits for `tune.http.maxhdr`, which counts one more than HAProxy lets pass.
    pub fn of(maxhdr: u32) -> Self {
        HeadLimits { fields_max: (maxhdr as usize).saturating_sub(1), lenient: false }
    }
}

impl Default for HeadLimits {
    fn default() -> HeadLimits {
        HeadLimits::of(101)
    }
}

/// The longest head in bytes: in regular form it is less than twice as long, and both forms must
/// fit the block.
const HEAD_MAX: usize = BLOCK_MAX / 4;

/// Of so many bytes it is tried whether they start with a regular head before its end is searched.
const FIRST_LOOK_MAX: usize = 4096;

/// So many fields are parsed without an allocation.
const SLOTS: usize = 128;

/// The shortest field is `a:` and its CRLF.
const FIELD_LEN_MIN: usize = 4;

type Slot<'input> = MaybeUninit<httparse::Header<'input>>;

/// Parses the head of a request into `into`, which is left empty if it is refused. `input` is
/// exactly one head, as [`Scan::Complete`] has told.
///
/// A repeated Host of the same value is merged into one. That there is one is not required: as in
/// HAProxy, rules decide.
pub fn parse_request(input: &[u8], into: &mut Head, limits: &HeadLimits) -> Result<(), BadHead> {
    parse_or_clear(Kind::Request, input, into, limits)
}

/// Parses the head of a response into `into`, which is left empty if it is refused. `input` is
/// exactly one head, as [`Scan::Complete`] has told.
pub fn parse_response(input: &[u8], into: &mut Head, limits: &HeadLimits) -> Result<(), BadHead> {
    parse_or_clear(Kind::Response, input, into, limits)
}

impl HeadScan {
    /// [Advances](HeadScan::advance), and parses the head into `into` as soon as it is whole; until
    /// then, or if it is refused, `into` is left empty. This is what a proxy wants to do, and it is
    /// quicker than one after the other: nearly all heads come whole and are regular, and the
    /// parser then finds their end by itself.
    pub fn parse(&mut self, input: &[u8], into: &mut Head, limits: &HeadLimits) -> Scan {
        let found = match self.start(input) {
            Ok(start) if start.first_look => self.look_and_parse(&start, input, into, limits),
            Ok(_) => self.advance_and_parse(input, into, limits),
            Err(found) => found,
        };
        if !matches!(found, Scan::Complete { .. }) {
            into.clear();
        }
        found
    }

    #[inline]
    fn look_and_parse(
        &mut self,
        start: &Start,
        input: &[u8],
        into: &mut Head,
        limits: &HeadLimits,
    ) -> Scan {
        let &Start { kind, skip, .. } = start;
        let rest = &input[skip..];
        self.note_look(rest.len().min(FIRST_LOOK_MAX));
        into.load(&rest[..rest.len().min(FIRST_LOOK_MAX)]);
        match take_regular(kind, into, limits.fields_max) {
            Some(len) => parsed(skip, len, check(kind, rest, into, limits)),
            None => self.advance_and_parse(input, into, limits),
        }
    }

    fn advance_and_parse(&mut self, input: &[u8], into: &mut Head, limits: &HeadLimits) -> Scan {
        match self.advance(input, limits) {
            Scan::Complete { skip, len } => {
                self.note_look(len);
                parsed(skip, len, parse(self.kind(), &input[skip..skip + len], into, limits))
            }
            found => found,
        }
    }
}

fn parsed(skip: usize, len: usize, outcome: Result<(), BadHead>) -> Scan {
    match outcome {
        Ok(()) => Scan::Complete { skip, len },
        Err(BadHead { at, why }) => Scan::Bad { at: skip + at, why },
    }
}

fn parse_or_clear(
    kind: Kind,
    input: &[u8],
    into: &mut Head,
    limits: &HeadLimits,
) -> Result<(), BadHead> {
    let outcome = parse(kind, input, into, limits);
    if outcome.is_err() {
        into.clear();
    }
    outcome
}

fn parse(kind: Kind, input: &[u8], into: &mut Head, limits: &HeadLimits) -> Result<(), BadHead> {
    if input.len() > HEAD_MAX {
        return Err(BadHead { at: HEAD_MAX, why: HeadError::TooLarge });
    }
    into.load(input);
    if take_regular(kind, into, limits.fields_max) != Some(input.len()) {
        parse_irregular(kind, input, into, limits)?;
    }
    check(kind, input, into, limits)
}

/// Has httparse read a head that is unusual, or wrong.
#[cold]
pub(super) fn parse_irregular(
    kind: Kind,
    input: &[u8],
    into: &mut Head,
    limits: &HeadLimits,
) -> Result<(), BadHead> {
    let outcome = take_irregular(kind, input, into, limits);
    if outcome.is_err() && limits.lenient {
        syntax::check(kind, input, limits)?;
        return lenient::take(kind, input, into);
    }
    outcome.map_err(|refusal| match refusal {
        Refusal::Bad(bad) => bad,
        Refusal::TooManyFields | Refusal::Syntax => {
            let found = syntax::check(kind, input, limits);
            debug_assert!(found.is_err(), "httparse refused what is valid");
            found.err().unwrap_or(BadHead { at: 0, why: HeadError::Incomplete })
        }
    })
}

/// Whether what the lines say goes together, and the host is one. `input` begins with the head.
#[inline(always)]
fn check(kind: Kind, input: &[u8], head: &mut Head, limits: &HeadLimits) -> Result<(), BadHead> {
    match kind {
        Kind::Request => check_request(input, head, limits),
        Kind::Response => Ok(()),
    }
}

fn check_request(input: &[u8], head: &mut Head, limits: &HeadLimits) -> Result<(), BadHead> {
    if !limits.lenient {
        check_host_value(head).map_err(|why| BadHead { at: host_at(input), why })?;
    }
    let target_at = head.method_bytes().len() + 1;
    check_target(head).map_err(|why| BadHead { at: target_at, why })
}

/// Where the value of the first Host starts.
#[cold]
fn host_at(input: &[u8]) -> usize {
    let mut at = 0;
    for line in input.split_inclusive(|byte| *byte == b'\n') {
        if line.len() > 5 && line[..5].eq_ignore_ascii_case(b"host:") {
            return at + 5 + line[5..].iter().take_while(|byte| is_blank(**byte)).count();
        }
        at += line.len();
    }
    0
}

fn take_irregular(
    kind: Kind,
    input: &[u8],
    into: &mut Head,
    limits: &HeadLimits,
) -> Result<(), Refusal> {
    into.load(input.strip_suffix(b"\r\n").ok_or(Refusal::Syntax)?);
    let mut slots = [const { MaybeUninit::uninit() }; SLOTS];
    match fill(kind, input, into, limits, &mut slots) {
        // Only a proxy that is configured for it gets here.
        Err(Refusal::TooManyFields) if limits.fields_max > SLOTS => {
            let most = limits.fields_max.min(input.len() / FIELD_LEN_MIN);
            fill(kind, input, into, limits, &mut vec![MaybeUninit::uninit(); most])
        }
        outcome => outcome,
    }
}

enum Refusal {
    Bad(BadHead),
    TooManyFields,
    /// What and where is for `syntax` to find.
    Syntax,
}

impl From<httparse::Error> for Refusal {
    fn from(error: httparse::Error) -> Refusal {
        match error {
            httparse::Error::TooManyHeaders => Refusal::TooManyFields,
            _ => Refusal::Syntax,
        }
    }
}

fn refuse(at: usize, why: HeadError) -> Result<(), Refusal> {
    Err(Refusal::Bad(BadHead { at, why }))
}

fn fill<'input>(
    kind: Kind,
    input: &'input [u8],
    into: &mut Head,
    limits: &HeadLimits,
    slots: &mut [Slot<'input>],
) -> Result<(), Refusal> {
    match kind {
        Kind::Request => fill_request(input, into, limits, slots),
        Kind::Response => fill_response(input, into, limits, slots),
    }
}

fn fill_request<'input>(
    input: &'input [u8],
    into: &mut Head,
    limits: &HeadLimits,
    slots: &mut [Slot<'input>],
) -> Result<(), Refusal> {
    let mut request = httparse::Request::new(&mut []);
    let whole = request.parse_with_uninit_headers(input, slots)?;
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Err(Refusal::Syntax);
    };
    let rest = &input[method.len() + 1 + target.len() + 1 + VERSION_LEN..];
    let strict = input.starts_with(method.as_bytes()) && rest.starts_with(b"\r\n");
    if whole != Status::Complete(input.len()) || !strict || !target.bytes().all(is_target_byte) {
        return Err(Refusal::Syntax);
    }

    into.take_request_line(0, method.len(), target.len(), version(minor));
    let hosts = take_fields(input, request.headers, into, limits)?;
    if hosts > 1 {
        merge_hosts(input, request.headers, into)?;
    }
    Ok(())
}

fn fill_response<'input>(
    input: &'input [u8],
    into: &mut Head,
    limits: &HeadLimits,
    slots: &mut [Slot<'input>],
) -> Result<(), Refusal> {
    let mut response = httparse::Response::new(&mut []);
    let strict = ParserConfig::default();
    let whole = strict.parse_response_with_uninit_headers(&mut response, input, slots)?;
    let (Some(status @ 100..), Some(minor)) = (response.code, response.version) else {
        return Err(Refusal::Syntax);
    };
    if whole != Status::Complete(input.len()) {
        return Err(Refusal::Syntax);
    }
    // httparse gives no reason phrase that is not ASCII, so take it from the line.
    let line = match memchr(b'\n', input) {
        Some(end) => input[..end].strip_suffix(b"\r").ok_or(Refusal::Syntax)?,
        None => return Err(Refusal::Syntax),
    };
    let version = version(minor);

    match line.get(STATUS_END..) {
        Some([b' ', reason @ ..]) => into.take_status_line(0, reason.len(), status, version),
        Some([]) => into.push_status_line(status, b"", version),
        _ => return Err(Refusal::Syntax),
    }
    take_fields(input, response.headers, into, limits)?;
    Ok(())
}

/// The length of `HTTP/1.1 200`.
const STATUS_END: usize = VERSION_LEN + 4;

fn version(minor: u8) -> Version {
    if minor == 0 { Version::V10 } else { Version::V11 }
}

/// Says how many of the fields are Host.
fn take_fields(
    input: &[u8],
    fields: &[httparse::Header<'_>],
    into: &mut Head,
    limits: &HeadLimits,
) -> Result<usize, Refusal> {
    if fields.len() > limits.fields_max {
        return Err(Refusal::TooManyFields);
    }
    let mut hosts = 0;
    for field in fields {
        let (name, value) = (field.name.as_bytes(), field.value);
        let at = offset(input, name);
        let value_at = offset(input, value);
        let rest = &input[value_at + value.len()..];
        if name.len() > NAME_MAX {
            refuse(at, HeadError::TooLarge)?;
        }
        let known = if rest.starts_with(b"\r\n") && value_at == at + name.len() + 2 {
            let (lines, index) = into.loaded();
            let line = &mut lines[at..];
            line[name.len() + 1] = b' ';
            let known = recognise(&mut line[..name.len()]).ok_or(Refusal::Syntax)?;
            index.push(at, name.len(), value.len(), known);
            known
        } else if ends_line(rest) {
            into.push(name, value)
        } else {
            return Err(Refusal::Syntax);
        };
        hosts += usize::from(known == Known::Host);
    }
    Ok(hosts)
}

/// Where in the input a part of it starts.
fn offset(input: &[u8], part: &[u8]) -> usize {
    let at = part.as_ptr().addr() - input.as_ptr().addr();
    debug_assert!(at + part.len() <= input.len());
    at
}

fn ends_line(rest: &[u8]) -> bool {
    let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
    rest[blanks..].starts_with(b"\r\n")
}

/// Leaves the first of several Host fields that agree.
fn merge_hosts(
    input: &[u8],
    fields: &[httparse::Header<'_>],
    head: &mut Head,
) -> Result<(), Refusal> {
    let mut hosts = fields.iter().filter(|field| field.name.eq_ignore_ascii_case("host"));
    if let Some(first) = hosts.next()
        && let Some(other) = hosts.find(|host| !host.value.eq_ignore_ascii_case(first.value))
    {
        refuse(offset(input, other.value), HeadError::HostConflict)?;
    }
    let mut kept = false;
    head.retain(|name, _| name != b"host" || !mem::replace(&mut kept, true));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Method, write_request, write_response};

    /// A good head as it is sent on, or what is wrong with it and where.
    type Outcome = Result<&'static str, (usize, HeadError)>;

    /// Parses the input whole, byte by byte, in two parts cut at every place, and with the next
    /// message behind it. It ends where its head ends.
    fn check_all_ways(scan: HeadScan, input: &[u8], limits: &HeadLimits, expected: Outcome) {
        let text = input.escape_ascii();
        let mut head = Head::new();
        let mut feed = |scan: &mut HeadScan, input: &[u8]| {
            let outcome = match scan.parse(input, &mut head, limits) {
                Scan::NeedMore => {
                    assert!(!head.is_request() && !head.is_response());
                    return None;
                }
                Scan::Complete { skip, len } => Ok((skip + len, written(&head))),
                Scan::Bad { at, why } => Err((at, why)),
            };
            Some(outcome)
        };
        let expected = expected.map(|wire| (input.len(), wire.as_bytes().to_vec()));

        let more = [input, input].concat();
        assert_eq!(feed(&mut scan.clone(), input).as_ref(), Some(&expected), "whole: {text}");
        assert_eq!(feed(&mut scan.clone(), &more).as_ref(), Some(&expected), "twice: {text}");
        let mut trickle = scan;
        let last = (0..=input.len()).find_map(|len| feed(&mut trickle, &input[..len]));
        assert_eq!(last.as_ref(), Some(&expected), "byte by byte: {text}");
        for cut in 0..input.len() {
            let mut scan = scan;
            let found = feed(&mut scan, &input[..cut]).or_else(|| feed(&mut scan, input));
            assert_eq!(found.as_ref(), Some(&expected), "cut at {cut}: {text}");
        }
    }

    fn written(head: &Head) -> Vec<u8> {
        let mut wire = Vec::new();
        match head.is_request() {
            true => write_request(head, &mut wire),
            false => write_response(head, Version::V11, &mut wire),
        }
        assert_eq!(wire.len(), head.wire_len());
        wire
    }

    #[test]
    fn requests() {
        use HeadError::*;
        let limits = HeadLimits { fields_max: 3, lenient: false };
        let table: &[(&[u8], Outcome)] = &[
            (b"GET / HTTP/1.1\r\n\r\n", Ok("GET / HTTP/1.1\r\n\r\n")),
            (b"GET / HTTP/1.0\r\n\r\n", Ok("GET / HTTP/1.0\r\n\r\n")),
            (b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", Ok("GET / HTTP/1.1\r\n\r\n")),
            (b"M-~1 /a?b=c HTTP/1.1\r\n\r\n", Ok("M-~1 /a?b=c HTTP/1.1\r\n\r\n")),
            (
                b"GET / HTTP/1.1\r\nHost: A\r\nX-Y_Z: B\r\n\r\n",
                Ok("GET / HTTP/1.1\r\nhost: A\r\nx-y_z: B\r\n\r\n"),
            ),
            (
                b"GET / HTTP/1.1\r\nHost:a\r\nX: \t b c\t \r\nY:\r\n\r\n",
                Ok("GET / HTTP/1.1\r\nhost: a\r\nx: b c\r\ny: \r\n\r\n"),
            ),
            (
                b"GET / HTTP/1.1\r\nX: \r\nY:  \r\nZ:\ta\r\n\r\n",
                Ok("GET / HTTP/1.1\r\nx: \r\ny: \r\nz: a\r\n\r\n"),
            ),
            (b"GET / HTTP/1.1\r\nX: a\tb: c\r\n\r\n", Ok("GET / HTTP/1.1\r\nx: a\tb: c\r\n\r\n")),
            (
                b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\nHOST: A\r\n\r\n",
                Ok("GET / HTTP/1.1\r\nhost: a\r\nx: b\r\n\r\n"),
            ),
            (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Err((31, HostConflict))),
            (b"GET / HTTP/1.1\r\nA: b\r\nHost: a/b\r\n\r\n", Err((28, Host))),
            (b"GET / HTTP/1.1\r\nHOST:\t a b \r\n\r\n", Err((23, Host))),
            (b"GET http://a@b/ HTTP/1.1\r\nHost: a@b\r\n\r\n", Err((32, Host))),
            (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", Ok("GET / HTTP/1.1\r\nhost: \r\n\r\n")),
            (b"GET / HTTP/1.1\r\nHost: a\r\nHost:\r\n\r\n", Err((30, HostConflict))),
            (b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", Err((4, TargetAuthority))),
            (b"OPTIONS * HTTP/1.1\r\n\r\n", Ok("OPTIONS * HTTP/1.1\r\n\r\n")),
            (b"GET * HTTP/1.1\r\n\r\n", Err((4, TargetForm))),
            (b"\r\nGET * HTTP/1.1\r\n\r\n", Err((6, TargetForm))),
            (b"GET  / HTTP/1.1\r\n\r\n", Err((4, Target))),
            (b"GET / a HTTP/1.1\r\n\r\n", Err((6, Version))),
            (b"GET /  HTTP/1.1\r\n\r\n", Err((6, Version))),
            (b"GET / HTTP/1.1 \r\n\r\n", Err((6, Version))),
            (b"GET / HTTP/1.2\r\n\r\n", Err((6, Version))),
            (b"GET / HTTP/2.0\r\n\r\n", Err((6, Version))),
            (b"GET / HTTP/11\r\n\r\n", Err((6, Version))),
            (b"GET / http/1.1\r\n\r\n", Err((6, Version))),
            (b"GET /\r\n\r\n", Err((5, Target))),
            (b"GET / \r\n\r\n", Err((6, Version))),
            (b"GET\r\n\r\n", Err((3, Method))),
            (b"GE(T / HTTP/1.1\r\n\r\n", Err((2, Method))),
            (b"GET\t/ HTTP/1.1\r\n\r\n", Err((3, Method))),
            (b"GET /#a HTTP/1.1\r\n\r\n", Err((5, Target))),
            (b"GET /\xc3\xa9 HTTP/1.1\r\n\r\n", Err((5, Target))),
            (b"GET /\xff HTTP/1.1\r\n\r\n", Err((5, Target))),
            (b"GET /\x7f HTTP/1.1\r\n\r\n", Err((5, Control))),
            (b"GET / HTTP/1.1\r\n: a\r\n\r\n", Err((16, FieldName))),
            (b"GET / HTTP/1.1\r\nA\r\n\r\n", Err((17, FieldName))),
            (b"GET / HTTP/1.1\r\nA(: b\r\n\r\n", Err((17, FieldName))),
            (b"GET / HTTP/1.1\r\nA\x80: b\r\n\r\n", Err((17, FieldName))),
            (b"GET / HTTP/1.1\r\nA : b\r\n\r\n", Err((17, SpaceBeforeColon))),
            (b"GET / HTTP/1.1\r\nA\t: b\r\n\r\n", Err((17, SpaceBeforeColon))),
            (b"GET / HTTP/1.1\r\n A: b\r\n\r\n", Err((16, Folded))),
            (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", Err((22, Folded))),
            (b"GET / HTTP/1.1\r\nA: b\r\n\tc: d\r\n\r\n", Err((22, Folded))),
            (b"GET / HTTP/1.1\r\nA: b\x7f\r\n\r\n", Err((20, Control))),
            (b"GET / HTTP/1.1\r\na:1\r\nb:2\r\nc:3\r\nd:4\r\n\r\n", Err((31, TooManyFields))),
            (b"GET / HTTP/1.1\r\na: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\n\r\n", Err((34, TooManyFields))),
        ];
        for (input, expected) in table {
            check_all_ways(HeadScan::request(), input, &limits, *expected);
        }
    }

    #[test]
    fn responses() {
        use HeadError::*;
        let limits = HeadLimits::default();
        let table: &[(&[u8], Outcome)] = &[
            (b"HTTP/1.1 200 OK\r\n\r\n", Ok("HTTP/1.1 200 OK\r\n\r\n")),
            (b"HTTP/1.0 200 OK\r\n\r\n", Ok("HTTP/1.1 200 OK\r\n\r\n")),
            (b"HTTP/1.1 999 \r\nA: b\r\n\r\n", Ok("HTTP/1.1 999 \r\na: b\r\n\r\n")),
            (b"HTTP/1.1 204\r\nA:b\r\nC: d\r\n\r\n", Ok("HTTP/1.1 204 \r\na: b\r\nc: d\r\n\r\n")),
            (b"HTTP/1.1 200 a  b\tc \r\n\r\n", Ok("HTTP/1.1 200 a  b\tc \r\n\r\n")),
            (b"HTTP/1.1 200  \r\n\r\n", Ok("HTTP/1.1 200  \r\n\r\n")),
            (b"HTTP/1.1 200 caf\xc3\xa9\r\n\r\n", Ok("HTTP/1.1 200 caf\u{e9}\r\n\r\n")),
            (
                b"HTTP/1.1 200 caf\xc3\xa9\r\nA:b\r\n\r\n",
                Ok("HTTP/1.1 200 caf\u{e9}\r\na: b\r\n\r\n"),
            ),
            (
                b"HTTP/1.1 200 OK\r\nHost: a\r\nHost: b\r\n\r\n",
                Ok("HTTP/1.1 200 OK\r\nhost: a\r\nhost: b\r\n\r\n"),
            ),
            (b"HTTP/1.1 099 x\r\n\r\n", Err((8, Status))),
            (b"HTTP/1.1 20 x\r\n\r\n", Err((8, Status))),
            (b"HTTP/1.1 2000 x\r\n\r\n", Err((12, Status))),
            (b"HTTP/1.1  200 x\r\n\r\n", Err((8, Status))),
            (b"HTTP/1.1 200\tx\r\n\r\n", Err((12, Status))),
            (b"HTTP/1.1200 x\r\n\r\n", Err((8, Status))),
            (b"HTTP/1.1 200 a\x7f\r\n\r\n", Err((14, Control))),
            (b"HTTP/1.2 200 x\r\n\r\n", Err((0, Version))),
            (b"ICY 200 x\r\n\r\n", Err((0, Version))),
            (b"HTTP\r\n\r\n", Err((0, Version))),
        ];
        for (input, expected) in table {
            check_all_ways(HeadScan::response(), input, &limits, *expected);
        }
    }

    /// However a head is cut, the bytes that are looked at are a few times its own: no part of it
    /// is looked at again with each piece that comes.
    #[test]
    fn the_work_grows_with_the_bytes() {
        let line = |fields: &str, count| {
            let fields = fields.repeat(count);
            format!("GET / HTTP/1.1\r\n{fields}\r\n")
        };
        let heads = [
            line("", 0),
            line("Host: a\r\n", 1),
            line("a: b\r\n", 10_000),
            line("a:b\r\n", 10_000),
            line(&format!("X: {}\r\n", "y".repeat(60_000)), 1),
            line(&format!("X:{}\r\n", "\t".repeat(60_000)), 1),
            format!("{}{}", "\r\n".repeat(32), line("a: b\r\n", 100)),
        ];
        for (head, lenient) in heads.iter().flat_map(|head| [(head, false), (head, true)]) {
            let limits = HeadLimits { fields_max: 100_000, lenient };
            for piece in [1, 2, 3, 5, 64, 1_460] {
                let (mut scan, mut model) = (HeadScan::request(), Head::new());
                let mut end = 0;
                let found = loop {
                    end = (end + piece).min(head.len());
                    let found = scan.parse(&head.as_bytes()[..end], &mut model, &limits);
                    if found != Scan::NeedMore {
                        break found;
                    }
                };
                assert!(matches!(found, Scan::Complete { .. }), "{found:?}");
                let most = 7 * head.len() + FIRST_LOOK_MAX;
                assert!(scan.looked <= most, "{} of {}, {piece}", scan.looked, head.len());
            }
        }
    }

    #[test]
    fn the_model_of_a_request() {
        let input = b"POST /a?b HTTP/1.0\r\nHost: x\r\nCookie:c\r\nX-A: 1\r\nx-a:2\r\n\r\n";
        let mut head = Head::new();
        assert_eq!(parse_request(input, &mut head, &HeadLimits::default()), Ok(()));
        assert!(head.is_request() && !head.is_response());
        assert_eq!((head.method(), head.method_bytes()), (Method::Post, &b"POST"[..]));
        assert_eq!((head.target(), head.version()), (&b"/a?b"[..], Version::V10));
        assert_eq!((head.status(), head.reason()), (0, &b""[..]));
        assert_eq!(head.value(Known::Host), Some(&b"x"[..]));
        assert_eq!(head.value(Known::Cookie), Some(&b"c"[..]));
        assert_eq!(head.value(Known::Connection), None);
        assert!(head.named(b"x-a").eq([&b"1"[..], b"2"]));
        assert!(head.named(b"cookie").eq([&b"c"[..]]));
        assert_eq!(head.fields_count(), 4);
        assert_eq!(head.field(3), Some((&b"x-a"[..], &b"2"[..])));
        assert_eq!(head.field(4), None);
    }

    #[test]
    fn the_model_of_a_response() {
        let input = b"HTTP/1.0 404 Not here\r\nSet-Cookie: a\r\nSET-COOKIE: b\r\n\r\n";
        let mut head = Head::new();
        assert_eq!(parse_response(input, &mut head, &HeadLimits::default()), Ok(()));
        assert!(head.is_response() && !head.is_request());
        assert_eq!((head.status(), head.reason()), (404, &b"Not here"[..]));
        assert_eq!(head.version(), Version::V10);
        assert_eq!(
            (head.method(), head.method_bytes(), head.target()),
            (Method::Other, &b""[..], &b""[..])
        );
        assert!(head.values(Known::SetCookie).eq([&b"a"[..], b"b"]));
        assert!(head.values(Known::SetCookie).rev().eq([&b"b"[..], b"a"]));
    }

    /// Heads with more fields than there are slots, regular and not, up to the limit and beyond.
    #[test]
    fn many_fields() {
        let (limit, mut head) = (3 * SLOTS, Head::new());
        for line in ["x: 1\r\n", "x:1\r\n"] {
            for (count, fields_max, good) in [
                (SLOTS, SLOTS, true),
                (SLOTS + 1, SLOTS, false),
                (SLOTS + 1, limit, true),
                (limit, limit, true),
                (limit + 1, limit, false),
            ] {
                let input = format!("GET / HTTP/1.1\r\n{}\r\n", line.repeat(count));
                let limits = HeadLimits { fields_max, lenient: false };
                let outcome = parse_request(input.as_bytes(), &mut head, &limits);
                assert_eq!(outcome.is_ok(), good, "{count} of {fields_max}");
                if good {
                    assert_eq!(head.fields_count(), count);
                }
            }
        }
    }

    #[test]
    fn long_names() {
        for (len, line_end) in [(NAME_MAX, ": a"), (NAME_MAX, ":a"), (NAME_MAX + 1, ": a")] {
            let input = format!("GET / HTTP/1.1\r\n{}{line_end}\r\n\r\n", "x".repeat(len));
            let outcome = parse_request(input.as_bytes(), &mut Head::new(), &HeadLimits::default());
            let too_large = BadHead { at: 16, why: HeadError::TooLarge };
            assert_eq!(outcome, if len > NAME_MAX { Err(too_large) } else { Ok(()) });
        }
    }

    #[test]
    fn the_longest_head() {
        let mut head = Head::new();
        let input = format!("GET / HTTP/1.1\r\nx:{}\r\n\r\n", "y".repeat(HEAD_MAX - 22));
        assert_eq!(parse_request(input.as_bytes(), &mut head, &HeadLimits::default()), Ok(()));
        let input = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(HEAD_MAX - 22));
        let too_large = BadHead { at: HEAD_MAX, why: HeadError::TooLarge };
        let outcome = parse_request(input.as_bytes(), &mut head, &HeadLimits::default());
        assert_eq!(outcome, Err(too_large));
        assert!(!head.is_request(), "a refused head leaves nothing behind");
    }

    /// What is not exactly one head is refused, also by itself.
    #[test]
    fn exactly_one_head() {
        for (input, at, why) in [
            (&b""[..], 0, HeadError::Incomplete),
            (b"\r\n", 0, HeadError::Method),
            (b"GET / HTTP/1.1\r\n", 16, HeadError::Incomplete),
            (b"GET / HTTP/1.1\r\nA: b\r\n\r\nx", 25, HeadError::Incomplete),
            (b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n", 36, HeadError::Incomplete),
            (b"\r\nGET / HTTP/1.1\r\n\r\n", 0, HeadError::Method),
            (b"GET / HTTP/1.1\n\n", 14, HeadError::BareLf),
            (b"GET / HTTP/1.1\r\nA: b\n\r\n", 20, HeadError::BareLf),
            (b"GET / HTTP/1.1\r\nA: \n\r\n", 19, HeadError::BareLf),
            (b"GET / HTTP/1.1\nA: b\r\n\r\n", 14, HeadError::BareLf),
            (b"GET / HTTP/1.1\r\nA: b\r\n\n", 22, HeadError::BareLf),
        ] {
            let outcome = parse_request(input, &mut Head::new(), &HeadLimits::default());
            assert_eq!(outcome, Err(BadHead { at, why }), "{}", input.escape_ascii());
        }
    }
}
