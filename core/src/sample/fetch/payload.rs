//! Bytes as they came: what TCP carries, and what can be read off it without HTTP. TLS is in
//! `hello`.

use memchr::memchr;

use super::{Args, Avail, Kind, Mistake, Sample, Scene, Side, Spec, Value, hello, row};

/// A compiled fetch of this family.
#[derive(Clone, Debug)]
pub enum Fetch {
    /// `len`: how many bytes there are.
    Len(Side),
    /// `payload`: so many bytes from an offset; all if it is 0.
    Payload(Side, u32, u32),
    /// `payload_lv`: bytes whose length stands before them.
    Prefixed(Side, Prefixed),
    /// What the first message of TLS says.
    Hello(Side, hello::What),
    /// `rdp_cookie`: of that name; of any if it is empty.
    RdpCookie(Box<[u8]>),
    /// `rdp_cookie_cnt`.
    RdpCookieCount(Box<[u8]>),
    /// `req.proto_http`.
    IsHttp,
    /// `distcc_param`, `distcc_body`.
    Distcc(Distcc),
}

/// Where a length stands, and what it is the length of.
#[derive(Clone, Copy, Debug)]
pub struct Prefixed {
    length_at: u32,
    length_size: u32,
    /// From the start, or from behind the length; right behind it if none is given.
    value_at: Option<(i32, From)>,
}

/// What an offset counts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum From {
    /// The start of the bytes.
    Start,
    /// The end of the length.
    Length,
}

/// A token of the distcc protocol.
#[derive(Clone, Copy, Debug)]
pub struct Distcc {
    token: [u8; 4],
    /// Which of several, from 1; 0 is the first.
    occurrence: u32,
    /// The bytes behind it, not its number.
    body: bool,
}

/// What was looked for in bytes that are not all there.
pub(super) enum Found<T> {
    /// It is there.
    Is(T),
    /// It is not.
    No,
    /// That can only be said of more bytes.
    Short,
}

impl<'a> Found<Value<'a>> {
    fn sample(self, more: bool) -> Sample<'a> {
        match self {
            Found::Is(value) => Sample::is(value),
            Found::Short if more => Sample::NOT_YET,
            Found::Short | Found::No => Sample::NONE,
        }
    }
}

impl Fetch {
    pub(super) fn get<'a>(&'a self, scene: &Scene<'a>) -> Sample<'a> {
        let side = match self {
            Fetch::Len(side)
            | Fetch::Payload(side, ..)
            | Fetch::Prefixed(side, _)
            | Fetch::Hello(side, _) => *side,
            Fetch::Distcc(_) => Side::Either,
            _ => Side::Request,
        };
        let stream = side.stream(scene);
        let (bytes, more) = (stream.bytes, stream.more);
        match self {
            Fetch::IsHttp => return is_http(scene),
            Fetch::Len(_) => {
                let head = stream.head.filter(|_| scene.http).map_or(0, |head| head.wire_len());
                let len = Value::Int((head + bytes.len()) as i64);
                return Sample { value: Some(len), may_change: more };
            }
            // What a head was taken from is no stream of bytes any more.
            _ if scene.http => return Sample::NONE,
            _ => {}
        }
        let max = scene.site.tunables.bufsize as usize;
        let found = match self {
            Fetch::Len(_) | Fetch::IsHttp => Found::No,
            Fetch::Payload(_, at, len) => {
                let all = *len == 0;
                match payload(bytes, *at as usize, *len as usize, max) {
                    Found::Is(piece) => {
                        let value = Some(Value::Bin(piece));
                        return Sample { value, may_change: all && more };
                    }
                    Found::Short => Found::Short,
                    Found::No => Found::No,
                }
            }
            Fetch::Prefixed(_, at) => at.find(bytes, max),
            Fetch::Hello(_, what) => what.find(bytes, max),
            Fetch::RdpCookie(name) => match rdp_cookie(bytes, name) {
                Found::Is(value) => Found::Is(Value::Str(value)),
                Found::No => Found::No,
                Found::Short => Found::Short,
            },
            Fetch::RdpCookieCount(name) => match rdp_cookie(bytes, name) {
                Found::Is(_) => Found::Is(Value::Int(1)),
                Found::No => Found::Is(Value::Int(0)),
                Found::Short => Found::Short,
            },
            Fetch::Distcc(distcc) => distcc.find(bytes),
        };
        found.sample(more)
    }
}

/// Whether the client speaks HTTP: known once its head is understood, or was not.
fn is_http(scene: &Scene<'_>) -> Sample<'static> {
    match Side::Request.head(scene) {
        Ok(_) => Sample::is(Value::Bool(true)),
        Err(Sample { may_change: true, .. }) => Sample::NOT_YET,
        Err(_) => Sample::NONE,
    }
}

fn payload(bytes: &[u8], at: usize, len: usize, max: usize) -> Found<&[u8]> {
    match at.checked_add(len) {
        Some(end) if end <= max => match bytes.get(at..) {
            Some(rest) if len == 0 => Found::Is(rest),
            Some(rest) => rest.get(..len).map_or(Found::Short, Found::Is),
            None => Found::Short,
        },
        _ => Found::No,
    }
}

impl Prefixed {
    fn find<'a>(self, bytes: &'a [u8], max: usize) -> Found<Value<'a>> {
        let (at, size) = (self.length_at as usize, self.length_size as usize);
        let Some(digits) = bytes.get(at..).and_then(|rest| rest.get(..size)) else {
            return if at + size > max { Found::No } else { Found::Short };
        };
        // As HAProxy: only the low 32 bits count.
        let len = digits.iter().fold(0_u32, |n, byte| n << 8 | u32::from(*byte)) as usize;
        let behind = at + size;
        let at = match self.value_at {
            None => Some(behind),
            Some((offset, From::Start)) => usize::try_from(offset).ok(),
            Some((offset, From::Length)) => behind.checked_add_signed(offset as isize),
        };
        match at {
            Some(at) if len > 0 && at + len <= max => match payload(bytes, at, len, max) {
                Found::Is(value) => Found::Is(Value::Bin(value)),
                Found::Short => Found::Short,
                Found::No => Found::No,
            },
            _ => Found::No,
        }
    }
}

/// The value of the cookie in the first message of RDP.
fn rdp_cookie<'a>(bytes: &'a [u8], name: &[u8]) -> Found<&'a [u8]> {
    /// TPKT and X.224 headers.
    const HEADERS: usize = 11;
    const FIELD: &[u8] = b"Cookie:";
    let Some(field) = bytes.get(HEADERS..HEADERS + FIELD.len()) else { return Found::Short };
    let rest = &bytes[HEADERS + FIELD.len()..];
    if !field.eq_ignore_ascii_case(FIELD) {
        return if bytes.len() == HEADERS + FIELD.len() { Found::Short } else { Found::No };
    }
    let begin = rest.iter().position(|byte| *byte != b' ').unwrap_or(rest.len());
    let rest = &rest[begin..];
    let equal = if name.is_empty() {
        let stop = |byte: &u8| matches!(byte, b'=' | b'\r' | b'\n');
        rest.iter().position(stop)
    } else {
        (rest.len() > name.len()).then_some(name.len())
    };
    let Some(equal) = equal else { return Found::Short };
    let named = name.is_empty() || rest[..equal].eq_ignore_ascii_case(name);
    if rest[equal] != b'=' || !named {
        return Found::No;
    }
    let value = &rest[equal + 1..];
    let Some(end) = memchr(b'\r', value) else { return Found::Short };
    match value.get(end + 1) {
        None => Found::Short,
        Some(b'\n') => Found::Is(&value[..end]),
        Some(_) => Found::No,
    }
}

impl Distcc {
    /// Tokens: four letters and eight hexadecimal digits, which are the length of what follows for
    /// some of them.
    fn find<'a>(self, bytes: &'a [u8]) -> Found<Value<'a>> {
        const WITH_BODY: [&[u8; 4]; 9] =
            [b"ARGV", b"CDIR", b"DOTI", b"DOTO", b"FILE", b"LINK", b"NAME", b"SERR", b"SOUT"];
        let (mut rest, mut seen) = (bytes, 0);
        loop {
            let Some((head, behind)) = rest.split_first_chunk::<12>() else { return Found::Short };
            let (token, digits) = head.split_at(4);
            let digits = core::str::from_utf8(digits).ok();
            let hexadecimal = |digits: &&str| digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            let Some(digits) = digits.filter(hexadecimal) else { return Found::No };
            let Ok(n) = u32::from_str_radix(digits, 16) else { return Found::No };
            let body = WITH_BODY.iter().any(|known| token == *known);
            let len = if body { n as usize } else { 0 };
            if token == self.token {
                seen += 1;
                if self.occurrence <= 1 || seen == self.occurrence {
                    return match self.body {
                        false => Found::Is(Value::Int(n.into())),
                        true => match behind.get(..len) {
                            Some(body) => Found::Is(Value::Bin(body)),
                            None => Found::Short,
                        },
                    };
                }
            }
            let Some(next) = behind.get(len..) else { return Found::Short };
            rest = next;
        }
    }
}

fn made(fetch: Fetch) -> Result<super::Fetch, Mistake> {
    Ok(super::Fetch::Payload(fetch))
}

fn offset(args: &Args<'_, '_>, index: usize) -> Result<u32, Mistake> {
    Ok(args.int_in(index, 0..=i64::from(i32::MAX), 0)? as u32)
}

fn payload_of(args: &Args<'_, '_>, side: Side) -> Result<super::Fetch, Mistake> {
    made(Fetch::Payload(side, offset(args, 0)?, offset(args, 1)?))
}

fn prefixed(args: &Args<'_, '_>, side: Side) -> Result<super::Fetch, Mistake> {
    let (length_at, length_size) = (offset(args, 0)?, offset(args, 1)?);
    if length_size == 0 {
        let message = format!("'{}' expects a length of 1 byte at least", args.name());
        return Err(args.blame(1, message));
    }
    let value_at = match args.get(2) {
        None => None,
        Some(text) => {
            let offset = args.int_in(2, i64::from(i32::MIN)..=i64::from(i32::MAX), 0)? as i32;
            if offset < 0 && i64::from(length_at) + i64::from(length_size) + i64::from(offset) < 0 {
                let message = format!("'{}' would begin before the first byte", args.name());
                return Err(args.blame(2, message));
            }
            Some(match text.starts_with(['+', '-']) {
                true => (offset, From::Length),
                // HAProxy 2.6 keeps the sign's mark in the lowest bit, and without a sign takes
                // the number itself for such a mixture: what works there has to work here.
                false if offset % 2 == 1 => (offset / 2, From::Length),
                false => (offset / 2, From::Start),
            })
        }
    };
    made(Fetch::Prefixed(side, Prefixed { length_at, length_size, value_at }))
}

fn distcc(args: &Args<'_, '_>, body: bool) -> Result<super::Fetch, Mistake> {
    let text = args.text(0);
    let Ok(token) = text.as_bytes().try_into() else {
        let message = format!("'{}' expects a token of four letters (got '{text}')", args.name());
        return Err(args.blame(0, message));
    };
    let occurrence = offset(args, 1)?;
    made(Fetch::Distcc(Distcc { token, occurrence, body }))
}

fn name(args: &Args<'_, '_>) -> Box<[u8]> {
    args.text(0).as_bytes().into()
}

macro_rules! payload_row {
    ($name:literal, $side:ident) => {
        row($name, Kind::Bin, Side::$side.avail(), (2, 2), |args, _| payload_of(args, Side::$side))
    };
}

macro_rules! prefixed_row {
    ($name:literal, $side:ident) => {
        row($name, Kind::Bin, Side::$side.avail(), (2, 3), |args, _| prefixed(args, Side::$side))
    };
}

macro_rules! plain_row {
    ($name:literal, $kind:ident, $side:ident, $fetch:expr) => {
        row($name, Kind::$kind, Side::$side.avail(), (0, 0), |_, _| made($fetch))
    };
}

macro_rules! hello_row {
    ($name:literal, $kind:ident, $what:ident) => {
        plain_row!($name, $kind, Request, Fetch::Hello(Side::Request, hello::What::$what))
    };
}

macro_rules! rdp_row {
    ($name:literal, $kind:ident, $fetch:ident) => {
        row($name, Kind::$kind, Avail::Request, (0, 1), |args, _| made(Fetch::$fetch(name(args))))
    };
}

pub(super) const TABLE: &[Spec] = &[
    row("distcc_body", Kind::Bin, Avail::Either, (1, 2), |args, _| distcc(args, true)),
    row("distcc_param", Kind::Int, Avail::Either, (1, 2), |args, _| distcc(args, false)),
    payload_row!("payload", Either),
    payload_row!("req.payload", Request),
    payload_row!("res.payload", Response),
    prefixed_row!("payload_lv", Either),
    prefixed_row!("req.payload_lv", Request),
    prefixed_row!("res.payload_lv", Response),
    plain_row!("req.len", Int, Request, Fetch::Len(Side::Request)),
    plain_row!("req_len", Int, Request, Fetch::Len(Side::Request)),
    plain_row!("res.len", Int, Response, Fetch::Len(Side::Response)),
    row("req.proto_http", Kind::Bool, Avail::Stream, (0, 0), |_, _| made(Fetch::IsHttp)),
    row("req_proto_http", Kind::Bool, Avail::Stream, (0, 0), |_, _| made(Fetch::IsHttp)),
    rdp_row!("rdp_cookie", Str, RdpCookie),
    rdp_row!("req.rdp_cookie", Str, RdpCookie),
    rdp_row!("rdp_cookie_cnt", Int, RdpCookieCount),
    rdp_row!("req.rdp_cookie_cnt", Int, RdpCookieCount),
    hello_row!("req.ssl_alpn", Str, Alpn),
    hello_row!("req.ssl_ec_ext", Bool, Curves),
    hello_row!("req.ssl_hello_type", Int, Type),
    hello_row!("req_ssl_hello_type", Int, Type),
    hello_row!("req.ssl_sni", Str, ServerName),
    hello_row!("req_ssl_sni", Str, ServerName),
    hello_row!("req.ssl_st_ext", Int, Ticket),
    hello_row!("req.ssl_ver", Int, Version),
    hello_row!("req_ssl_ver", Int, Version),
    plain_row!(
        "rep_ssl_hello_type",
        Int,
        Response,
        Fetch::Hello(Side::Response, hello::What::Type)
    ),
    plain_row!(
        "res.ssl_hello_type",
        Int,
        Response,
        Fetch::Hello(Side::Response, hello::What::Type)
    ),
];
