//! One whole head becomes a [`Head`]. Not incremental: [`HeadScan`](super::HeadScan) says when the
//! head is whole.
//!
//! httparse reads the lines into slots on the stack. The received bytes are then copied once, as
//! they are, and become the model's lines where they stand. The few that are not spaced regularly
//! are appended in regular form instead. What httparse would let pass and we do not (a line that
//! ends in LF alone, a target that is not ASCII) is caught on the way.
//!
//! httparse does not say where it stopped, so what it refuses is read again by `diagnose`.

use core::mem::{self, MaybeUninit};

use httparse::{ParserConfig, Status};
use memchr::memchr;

use super::authority::check_target;
use super::diagnose::diagnose;
use super::error::{BadHead, HeadError};
use super::known::{Known, VERSION_LEN, Version};
use super::model::{BLOCK_MAX, Head, NAME_MAX};
use super::scan::Kind;
use super::token::{is_blank, is_target_byte};

/// What a head may hold. Its length is limited by whoever buffers it.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// The most fields; `tune.http.maxhdr` less one, since HAProxy counts the end of the head.
    pub fields_max: usize,
}

impl Default for HeadLimits {
    fn default() -> HeadLimits {
        HeadLimits { fields_max: 100 }
    }
}

/// So many fields are parsed without an allocation.
const SLOTS: usize = 128;

/// The shortest field is `a:` and its CRLF.
const FIELD_LEN_MIN: usize = 4;

type Slot<'input> = MaybeUninit<httparse::Header<'input>>;

/// Parses the head of a request into `into`, whose former contents are lost in any case. `input`
/// is exactly one head, as [`Scan::Complete`](super::Scan::Complete) has told.
///
/// A repeated Host of the same value is merged into one. That there is one is not required: as in
/// HAProxy, rules decide.
pub fn parse_request(input: &[u8], into: &mut Head, limits: &HeadLimits) -> Result<(), BadHead> {
    parse(Kind::Request, input, into, limits)
}

/// Parses the head of a response into `into`, whose former contents are lost in any case. `input`
/// is exactly one head, as [`Scan::Complete`](super::Scan::Complete) has told.
pub fn parse_response(input: &[u8], into: &mut Head, limits: &HeadLimits) -> Result<(), BadHead> {
    parse(Kind::Response, input, into, limits)
}

fn parse(kind: Kind, input: &[u8], into: &mut Head, limits: &HeadLimits) -> Result<(), BadHead> {
    let mut slots = [const { MaybeUninit::uninit() }; SLOTS];
    let mut outcome = fill(kind, input, into, limits, &mut slots);
    if let Err(Refusal::TooManyFields) = outcome
        && limits.fields_max > SLOTS
    {
        // Only a proxy that is configured for it gets here.
        let most = limits.fields_max.min(input.len() / FIELD_LEN_MIN);
        let mut slots = vec![MaybeUninit::uninit(); most];
        outcome = fill(kind, input, into, limits, &mut slots);
    }
    outcome.map_err(|refusal| {
        into.clear();
        match refusal {
            Refusal::Bad(bad) => bad,
            Refusal::TooManyFields | Refusal::Syntax => diagnose(kind, input, limits.fields_max),
        }
    })
}

enum Refusal {
    Bad(BadHead),
    TooManyFields,
    /// What and where is for `diagnose` to find.
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
    let lines = lines(input, whole)?;
    let rest = &input[method.len() + 1 + target.len() + 1 + VERSION_LEN..];
    let regular = input.starts_with(method.as_bytes()) && rest.starts_with(b"\r\n");
    if !regular || !target.bytes().all(is_target_byte) {
        return Err(Refusal::Syntax);
    }

    into.load(lines, request.headers.len());
    into.take_request_line(0, method.len(), target.len(), version(minor));
    let hosts = take_fields(input, request.headers, into, limits)?;
    if hosts > 1 {
        merge_hosts(input, request.headers, into)?;
    }
    check_target(into).or_else(|why| refuse(method.len() + 1, why))
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
    let lines = lines(input, whole)?;
    // httparse gives no reason phrase that is not ASCII, so take it from the line.
    let line = match memchr(b'\n', input) {
        Some(end) => input[..end].strip_suffix(b"\r").ok_or(Refusal::Syntax)?,
        None => return Err(Refusal::Syntax),
    };
    let version = version(minor);

    into.load(lines, response.headers.len());
    match line.get(STATUS_END..) {
        Some([b' ', reason @ ..]) => into.take_status_line(0, reason.len(), status, version),
        Some([]) => into.set_status_line(status, b"", version),
        _ => return Err(Refusal::Syntax),
    }
    take_fields(input, response.headers, into, limits)?;
    Ok(())
}

/// The length of `HTTP/1.1 200`.
const STATUS_END: usize = VERSION_LEN + 4;

/// The lines of the head without the empty one that ends it, if it is all of the input.
fn lines(input: &[u8], whole: Status<usize>) -> Result<&[u8], Refusal> {
    if input.len() > BLOCK_MAX {
        return Err(Refusal::Bad(BadHead { at: BLOCK_MAX, why: HeadError::TooLarge }));
    }
    match input.strip_suffix(b"\r\n") {
        Some(lines) if whole == Status::Complete(input.len()) => Ok(lines),
        _ => Err(Refusal::Syntax),
    }
}

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
            into.take_field(at, name.len(), value.len())
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
