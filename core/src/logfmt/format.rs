//! Formats: text with expressions and tags in it, as `log-format` and the rules have them.
//!
//! ```text
//!   %ci [%tr] %{+Q}[req.hdr(host)] 100%%     tag, text, expression with a flag, a percent sign
//! ```
//!
//! Where the text goes decides how it is written: a log line merges spaces and writes `-` for what
//! is absent; a header or a page takes everything as it is.

use core::net::{IpAddr, SocketAddr};

use super::line::Record;
use super::text::{
    HEX_UPPER, push_captured, push_escaped, push_ip, push_number, push_or_minus_one,
};
use crate::bit_set;
use crate::config::similar;
use crate::poller::Peer;
use crate::sample::args::Mistake;
use crate::sample::{Expr, Names, Point, Scene};

bit_set! {
    /// How a part is written.
    pub struct Flags: u8 {
        /// `+Q`: in quotes; what is absent is `""`.
        QUOTE = 1,
        /// `+X`: numbers and addresses in hexadecimal.
        HEX = 2,
        /// `+E`: a backslash before `"`, `\` and `]`.
        ESCAPE = 4,
    }
}

/// Where the text goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// A log line: spaces are merged, `-` stands for what is absent.
    Log,
    /// A header, a redirect, a target, the body of an answer: control characters become `%XX`.
    Http,
    /// A unique id: as a header, but spaces are merged.
    Id,
    /// A variable or a name: as it is.
    Plain,
}

/// A compiled format.
#[derive(Clone, Debug)]
pub struct Format {
    parts: Box<[Part]>,
    style: Style,
    /// As it was written.
    pub text: Box<str>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(Box<[u8]>),
    /// Spaces between words of a log line.
    Space,
    Expr(Expr, Flags),
    Tag(Tag, Flags),
}

macro_rules! tags {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What a tag writes.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Tag { $($(#[$doc])* $variant,)* }

        impl Tag {
            /// Every tag and its name, without the percent sign.
            pub const ALL: &'static [(&'static str, Tag)] = &[$(($name, Tag::$variant),)*];
        }
    };
}

tags! {
    /// The client's address.
    ClientIp = "ci",
    /// The client's port.
    ClientPort = "cp",
    /// The address that the client connected to.
    FrontendIp = "fi",
    /// Its port.
    FrontendPort = "fp",
    /// Our address towards the server.
    BackendIp = "bi",
    /// Our port towards the server.
    BackendPort = "bp",
    /// The server's address.
    ServerIp = "si",
    /// The server's port.
    ServerPort = "sp",
    /// The frontend's name.
    Frontend = "f",
    /// The frontend's name, with `~` if its transport is TLS.
    FrontendTransport = "ft",
    /// The backend's name.
    Backend = "b",
    /// The server's name.
    Server = "s",
    /// When the connection was accepted.
    Accepted = "t",
    /// The same in UTC.
    AcceptedUtc = "T",
    /// The same with the zone.
    AcceptedZone = "Tl",
    /// The same in seconds since the epoch.
    AcceptedSeconds = "Ts",
    /// Its milliseconds.
    AcceptedMillis = "ms",
    /// When the request began.
    Began = "tr",
    /// The same in UTC.
    BeganUtc = "trg",
    /// The same with the zone.
    BeganZone = "trl",
    /// Time of handshakes.
    Handshake = "Th",
    /// Time idle before the request.
    Idle = "Ti",
    /// Time of the request's head.
    RequestTime = "TR",
    /// All three.
    UntilRequest = "Tq",
    /// Time in queues.
    Queue = "Tw",
    /// Time to connect.
    Connect = "Tc",
    /// Time of the response's head.
    Response = "Tr",
    /// Time of the data.
    Data = "Td",
    /// From the request's first byte to the end.
    Active = "Ta",
    /// From accept to the end.
    Total = "Tt",
    /// Total without idle.
    User = "Tu",
    /// The status.
    Status = "ST",
    /// Bytes to the client.
    BytesOut = "B",
    /// Bytes from the client.
    BytesIn = "U",
    /// Two letters of the termination state.
    Termination = "ts",
    /// All four letters.
    TerminationCookies = "tsc",
    /// Connections of the process.
    ActConn = "ac",
    /// Connections of the frontend.
    FeConn = "fc",
    /// Connections of the backend.
    BeConn = "bc",
    /// Connections of the server.
    SrvConn = "sc",
    /// Retries.
    Retries = "rc",
    /// The server's queue.
    SrvQueue = "sq",
    /// The backend's queue.
    BackendQueue = "bq",
    /// The captured request cookie.
    RequestCookie = "CC",
    /// The captured response cookie.
    ResponseCookie = "CS",
    /// Captured request headers in braces.
    RequestHeaders = "hr",
    /// Captured response headers in braces.
    ResponseHeaders = "hs",
    /// Captured request headers one by one.
    RequestHeaderList = "hrl",
    /// Captured response headers one by one.
    ResponseHeaderList = "hsl",
    /// The request line.
    Request = "r",
    /// The method.
    Method = "HM",
    /// The target.
    Uri = "HU",
    /// The target without its query.
    UriPath = "HP",
    /// The path only.
    PathOnly = "HPO",
    /// The query with its question mark.
    Query = "HQ",
    /// The version.
    Version = "HV",
    /// The unique id.
    UniqueId = "ID",
    /// The machine's name.
    Hostname = "H",
    /// The process id.
    Pid = "pid",
    /// The request counter.
    RequestCounter = "rt",
    /// The frontend's log counter.
    LogCounter = "lc",
    /// The TLS cipher.
    TlsCipher = "sslc",
    /// The TLS version.
    TlsVersion = "sslv",
    /// Nothing: its flags hold for all that follows.
    Global = "o",
}

/// More than this of one text is not written: HAProxy's buffers of that kind are as large.
const TEXT_MAX: usize = 16_384;

impl Format {
    /// Compiles a format. `point` is where its expressions stand.
    pub fn parse(
        text: &str,
        style: Style,
        point: Point,
        names: &mut Names<'_>,
    ) -> Result<Format, Mistake> {
        let mut parts = Vec::new();
        let mut plain: Vec<u8> = Vec::new();
        let mut global = Flags::NONE;
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'%' if bytes.get(at + 1) == Some(&b'%') => {
                    plain.push(b'%');
                    at += 2;
                }
                b'%' => {
                    take_text(&mut plain, &mut parts);
                    let (flags, behind) = flags(text, at + 1, global)?;
                    if bytes.get(behind) == Some(&b'[') {
                        let (expr, end) = Expr::parse(text, behind + 1, point, names)?;
                        if bytes.get(end) != Some(&b']') {
                            let message = "an expression in a format ends with ']'";
                            return Err(Mistake::new(at, end - at, message));
                        }
                        parts.push(Part::Expr(expr, flags));
                        at = end + 1;
                        continue;
                    }
                    let (tag, end) = tag(text, at, behind)?;
                    let wants = &mut names.wants;
                    wants.destination |= matches!(tag, Tag::FrontendIp | Tag::FrontendPort);
                    wants.source |= matches!(tag, Tag::BackendIp | Tag::BackendPort);
                    wants.numbers |= tag == Tag::RequestCounter;
                    wants.line_numbers |= tag == Tag::LogCounter;
                    if tag == Tag::Global {
                        global = flags;
                    } else {
                        parts.push(Part::Tag(tag, flags));
                    }
                    at = end;
                }
                b' ' if matches!(style, Style::Log | Style::Id) => {
                    take_text(&mut plain, &mut parts);
                    if !matches!(parts.last(), Some(Part::Space)) {
                        parts.push(Part::Space);
                    }
                    at += 1;
                }
                byte => {
                    plain.push(byte);
                    at += 1;
                }
            }
        }
        take_text(&mut plain, &mut parts);
        Ok(Format { parts: parts.into(), style, text: text.into() })
    }

    /// The text, if it is the same for every request.
    pub fn constant(&self) -> Option<&[u8]> {
        match &self.parts[..] {
            [] => Some(b""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether it is complete only when a session is over, as HAProxy counts it: a line without
    /// bytes, timers, counts and the termination state is written as soon as there is an answer, or
    /// a connection.
    pub fn waits_for_end(&self) -> bool {
        use Tag::*;
        const LATE: [Tag; 22] = [
            Handshake,
            Idle,
            RequestTime,
            UntilRequest,
            Queue,
            Connect,
            Response,
            Data,
            Active,
            Total,
            User,
            BytesOut,
            BytesIn,
            Termination,
            UniqueId,
            ActConn,
            FeConn,
            BeConn,
            SrvConn,
            Retries,
            SrvQueue,
            BackendQueue,
        ];
        self.parts.iter().any(|part| matches!(part, Part::Tag(tag, _) if LATE.contains(tag)))
    }

    /// The name of its first tag that only HTTP has.
    pub fn needs_http(&self) -> Option<&'static str> {
        use Tag::*;
        const OF_HTTP: [Tag; 17] = [
            RequestCookie,
            ResponseCookie,
            Began,
            BeganUtc,
            BeganZone,
            Idle,
            RequestTime,
            UntilRequest,
            Response,
            Active,
            Request,
            Method,
            Uri,
            UriPath,
            PathOnly,
            Query,
            Version,
        ];
        let tag = self.parts.iter().find_map(|part| match part {
            Part::Tag(tag, _) => Some(*tag).filter(|tag| OF_HTTP.contains(tag)),
            _ => None,
        })?;
        Tag::ALL.iter().find(|(_, known)| *known == tag).map(|(name, _)| *name)
    }

    /// Whether something of it comes from the [`Record`] of the scene.
    pub fn needs_record(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Tag(..)))
    }

    /// Appends the text to `out`, which grows to `stop` bytes at most.
    pub fn write(&self, scene: &Scene<'_>, stop: usize, out: &mut Vec<u8>) {
        let mut spaced = true;
        for part in &self.parts {
            let before = out.len();
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Space => {
                    if !spaced {
                        out.push(b' ');
                        spaced = true;
                    }
                    continue;
                }
                Part::Expr(expr, flags) => self.expr(expr, *flags, scene, stop, out),
                Part::Tag(tag, flags) => match scene.record {
                    Some(record) => self.tag(*tag, *flags, record, scene, stop, out),
                    None => self.absent(*flags, out),
                },
            }
            if out.len() > before {
                spaced = false;
            }
            if out.len() >= stop {
                out.truncate(stop);
                return;
            }
        }
    }

    fn expr(&self, expr: &Expr, flags: Flags, scene: &Scene<'_>, stop: usize, out: &mut Vec<u8>) {
        let Some(text) = expr.text(scene) else {
            if self.style == Style::Log {
                self.absent(flags, out);
            }
            return;
        };
        let text = &text[..text.len().min(TEXT_MAX)];
        match self.style {
            Style::Log => self.quoted(flags, out, |out| push_logged(text, flags, out)),
            _ if flags.has(Flags::ESCAPE) => push_flagged(text, flags, out),
            Style::Http | Style::Id => push_percent(text, stop, out),
            Style::Plain => out.extend_from_slice(text),
        }
    }

    /// What stands for nothing.
    fn absent(&self, flags: Flags, out: &mut Vec<u8>) {
        if flags.has(Flags::QUOTE) {
            out.extend_from_slice(b"\"\"");
        } else if self.style == Style::Log {
            out.push(b'-');
        }
    }

    fn quoted(&self, flags: Flags, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let quote = flags.has(Flags::QUOTE);
        if quote {
            out.push(b'"');
        }
        write(out);
        if quote {
            out.push(b'"');
        }
    }

    fn text_or_absent(&self, text: Option<&[u8]>, flags: Flags, out: &mut Vec<u8>) {
        match text {
            Some(text) => self.quoted(flags, out, |out| push_flagged(text, flags, out)),
            None => self.absent(flags, out),
        }
    }

    #[allow(clippy::too_many_lines)]
    fn tag(
        &self,
        tag: Tag,
        flags: Flags,
        record: &Record<'_>,
        scene: &Scene<'_>,
        stop: usize,
        out: &mut Vec<u8>,
    ) {
        let client = match record.client {
            Peer::Inet(client) => Some(client),
            Peer::Unix => None,
        };
        let timers = &record.timers;
        let dates = &scene.desk.dates;
        let number = |n: u64, out: &mut Vec<u8>| push_number(n, out);
        let early = |out: &mut Vec<u8>| {
            if record.early {
                out.push(b'+');
            }
        };
        match tag {
            Tag::Global => {}
            Tag::ClientIp if client.is_none() => {
                self.quoted(flags, out, |out| out.extend_from_slice(b"unix"));
            }
            Tag::ClientPort if client.is_none() => number(record.listener_id.into(), out),
            Tag::ClientIp => self.ip(client, flags, out),
            Tag::ClientPort => self.port(client, flags, out),
            Tag::FrontendIp => self.ip(scene.ends.dst, flags, out),
            Tag::FrontendPort => self.port(scene.ends.dst, flags, out),
            Tag::BackendIp => self.ip(scene.ends.bc_src, flags, out),
            Tag::BackendPort => self.port(scene.ends.bc_src, flags, out),
            Tag::ServerIp => self.ip(scene.ends.bc_dst, flags, out),
            Tag::ServerPort => self.port(scene.ends.bc_dst, flags, out),
            Tag::Frontend | Tag::FrontendTransport => {
                self.text_or_absent(Some(record.frontend.as_bytes()), flags, out);
            }
            Tag::Backend => self.text_or_absent(Some(record.backend.as_bytes()), flags, out),
            Tag::Server => {
                let name = record.server.unwrap_or("<NOSRV>");
                self.text_or_absent(Some(name.as_bytes()), flags, out);
            }
            // Dates have brackets of their own in the usual formats: they are never quoted.
            Tag::Accepted => dates.borrow_mut().push_millis(record.accepted, out),
            Tag::AcceptedUtc => dates.borrow_mut().push_utc(record.accepted, out),
            Tag::AcceptedZone => dates.borrow_mut().push_zone(record.accepted, out),
            Tag::AcceptedSeconds if flags.has(Flags::HEX) => {
                push_hex(record.accepted.as_secs(), out);
            }
            Tag::AcceptedSeconds => number(record.accepted.as_secs(), out),
            Tag::AcceptedMillis => {
                let millis = record.accepted.subsec_millis();
                out.extend_from_slice(format!("{millis:03}").as_bytes());
            }
            Tag::Began => dates.borrow_mut().push_millis(record.requested, out),
            Tag::BeganUtc => dates.borrow_mut().push_utc(record.requested, out),
            Tag::BeganZone => dates.borrow_mut().push_zone(record.requested, out),
            Tag::Handshake => push_or_minus_one(timers.handshake, out),
            Tag::Idle => number(timers.idle, out),
            Tag::RequestTime => push_or_minus_one(timers.request, out),
            Tag::UntilRequest => {
                let before = timers.handshake.unwrap_or(0) + timers.idle;
                push_or_minus_one(timers.request.map(|t| t + before), out);
            }
            Tag::Queue => push_or_minus_one(timers.queue, out),
            Tag::Connect => push_or_minus_one(timers.connect, out),
            Tag::Response => push_or_minus_one(timers.response, out),
            Tag::Data => push_or_minus_one(timers.data, out),
            Tag::Active => {
                early(out);
                number(timers.total, out);
            }
            Tag::User => {
                early(out);
                number(timers.whole() - timers.idle, out);
            }
            Tag::Total => {
                early(out);
                number(timers.whole(), out);
            }
            Tag::Status => out.extend_from_slice(record.status.to_string().as_bytes()),
            Tag::BytesOut => {
                early(out);
                number(record.bytes, out);
            }
            Tag::BytesIn => {
                early(out);
                number(record.bytes_in, out);
            }
            Tag::Termination => out.extend_from_slice(&record.end.code()),
            Tag::TerminationCookies => {
                out.extend_from_slice(&record.end.code());
                out.extend_from_slice(&record.cookies);
            }
            Tag::ActConn => number(record.counts.actconn.into(), out),
            Tag::FeConn => number(record.counts.feconn.into(), out),
            Tag::BeConn => number(record.counts.beconn.into(), out),
            Tag::SrvConn => number(record.counts.srvconn.into(), out),
            Tag::Retries => {
                if record.counts.redispatched {
                    out.push(b'+');
                }
                number(record.counts.retries.into(), out);
            }
            Tag::SrvQueue => number(record.counts.srv_queue.into(), out),
            Tag::BackendQueue => number(record.counts.backend_queue.into(), out),
            Tag::RequestCookie => self.text_or_absent(record.request_cookie, flags, out),
            Tag::ResponseCookie => self.text_or_absent(record.response_cookie, flags, out),
            Tag::RequestHeaders => self.captures(record.request_captures, flags, stop, out),
            Tag::ResponseHeaders => self.captures(record.response_captures, flags, stop, out),
            Tag::RequestHeaderList => self.capture_list(record.request_captures, flags, stop, out),
            Tag::ResponseHeaderList => {
                self.capture_list(record.response_captures, flags, stop, out);
            }
            Tag::Request => {
                let line = record.request.unwrap_or(b"<BADREQ>");
                self.quoted(flags, out, |out| push_encoded::<false>(line, flags, stop, out));
            }
            Tag::Method | Tag::Uri | Tag::UriPath | Tag::PathOnly | Tag::Query | Tag::Version => {
                match record.request.and_then(|line| of_line(line, tag)) {
                    Some(part) => {
                        self.quoted(flags, out, |out| {
                            push_encoded::<false>(part, flags, stop, out)
                        });
                    }
                    None if record.request.is_none() => {
                        self.quoted(flags, out, |out| out.extend_from_slice(b"<BADREQ>"));
                    }
                    None => self.absent(flags, out),
                }
            }
            Tag::UniqueId => self.text_or_absent(scene.unique_id, flags, out),
            Tag::Hostname => {
                let name = scene.site.global.hostname.as_bytes();
                self.text_or_absent(Some(name), flags, out);
            }
            Tag::Pid if flags.has(Flags::HEX) => {
                out.extend_from_slice(format!("{:04X}", scene.desk.pid).as_bytes());
            }
            Tag::Pid => number(scene.desk.pid.into(), out),
            Tag::RequestCounter if flags.has(Flags::HEX) => {
                out.extend_from_slice(format!("{:04X}", record.counter).as_bytes());
            }
            Tag::RequestCounter => number(record.counter.into(), out),
            Tag::LogCounter if flags.has(Flags::HEX) => push_hex(record.log_counter.into(), out),
            Tag::LogCounter => number(record.log_counter.into(), out),
            // There is no TLS yet.
            Tag::TlsCipher | Tag::TlsVersion => self.absent(flags, out),
        }
    }

    fn ip(&self, at: Option<SocketAddr>, flags: Flags, out: &mut Vec<u8>) {
        match at.map(|at| at.ip()) {
            Some(IpAddr::V4(ip)) if flags.has(Flags::HEX) => {
                out.extend_from_slice(format!("{:08X}", u32::from(ip)).as_bytes());
            }
            Some(IpAddr::V6(ip)) if flags.has(Flags::HEX) => {
                out.extend_from_slice(format!("{:032X}", u128::from(ip)).as_bytes());
            }
            Some(ip) => self.quoted(flags, out, |out| push_ip(ip, out)),
            None => self.absent(flags, out),
        }
    }

    fn port(&self, at: Option<SocketAddr>, flags: Flags, out: &mut Vec<u8>) {
        match at {
            Some(at) if flags.has(Flags::HEX) => {
                out.extend_from_slice(format!("{:04X}", at.port()).as_bytes());
            }
            Some(at) => push_number(at.port().into(), out),
            None => self.absent(flags, out),
        }
    }

    /// `{a||c}`; nothing where nothing is declared.
    fn captures(
        &self,
        captures: Option<&[Option<Box<[u8]>>]>,
        flags: Flags,
        stop: usize,
        out: &mut Vec<u8>,
    ) {
        let Some(captures) = captures else { return };
        self.quoted(flags, out, |out| {
            out.push(b'{');
            for (index, capture) in captures.iter().enumerate() {
                if index > 0 {
                    out.push(b'|');
                }
                push_encoded::<true>(capture.as_deref().unwrap_or_default(), flags, stop, out);
            }
            out.push(b'}');
        });
    }

    /// Each by itself, with spaces in between.
    fn capture_list(
        &self,
        captures: Option<&[Option<Box<[u8]>>]>,
        flags: Flags,
        stop: usize,
        out: &mut Vec<u8>,
    ) {
        for (index, capture) in captures.unwrap_or_default().iter().enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            match capture {
                Some(text) => {
                    self.quoted(flags, out, |out| push_encoded::<true>(text, flags, stop, out));
                }
                None => self.absent(flags, out),
            }
        }
    }
}

fn take_text(plain: &mut Vec<u8>, parts: &mut Vec<Part>) {
    if !plain.is_empty() {
        parts.push(Part::Text(std::mem::take(plain).into()));
    }
}

/// The flags in braces at `at`, and where they end.
fn flags(text: &str, at: usize, global: Flags) -> Result<(Flags, usize), Mistake> {
    let Some(rest) = text[at..].strip_prefix('{') else { return Ok((global, at)) };
    let Some(len) = rest.find('}') else {
        return Err(Mistake::new(at, 1, "this brace is not closed"));
    };
    let mut flags = global;
    let mut from = at + 1;
    for word in rest[..len].split(',') {
        let flag = match word.get(1..) {
            Some("Q") => Flags::QUOTE,
            Some("X") => Flags::HEX,
            Some("E") => Flags::ESCAPE,
            _ => {
                let message = format!("'{word}' is no flag of a format: they are Q, X and E");
                return Err(Mistake::new(from, word.len(), message));
            }
        };
        match word.as_bytes()[0] {
            b'+' => flags.set(flag),
            b'-' => flags.clear(flag),
            _ => {
                let message = format!("the flag '{word}' needs '+' or '-' in front");
                return Err(Mistake::new(from, word.len(), message));
            }
        }
        from += word.len() + 1;
    }
    Ok((flags, at + len + 2))
}

/// The tag whose name begins at `at` (its percent sign is at `percent`), and where it ends.
fn tag(text: &str, percent: usize, at: usize) -> Result<(Tag, usize), Mistake> {
    let rest = &text[at..];
    let len = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
    let name = &rest[..len];
    if let Some((_, tag)) = Tag::ALL.iter().find(|(known, _)| *known == name) {
        return Ok((*tag, at + len));
    }
    let message = if name.is_empty() {
        "a '%' stands before a tag, '[' or another '%'".to_owned()
    } else {
        format!("no such format variable '{name}'; a literal '%' is written '%%'")
    };
    let near = similar::nearest(name, Tag::ALL.iter().map(|(known, _)| *known));
    let near = near.map(|near| format!("%{near}"));
    Err(Mistake::new(percent, at + len - percent, message).near(near))
}

/// Appends a part of a request line, or a captured header: what is not fit for a log becomes `#XX`,
/// a quote among it, and with the flag the rest of what a backslash protects gets one.
fn push_encoded<const CAPTURE: bool>(
    mut text: &[u8],
    flags: Flags,
    stop: usize,
    out: &mut Vec<u8>,
) {
    let plain = |text: &[u8], out: &mut Vec<u8>| {
        if CAPTURE {
            push_captured(text, stop, out);
        } else {
            push_escaped(text, stop, out);
        }
    };
    if flags.has(Flags::ESCAPE) {
        while let Some(at) = memchr::memchr2(b'\\', b']', text) {
            plain(&text[..at], out);
            out.extend_from_slice(&[b'\\', text[at]]);
            text = &text[at + 1..];
        }
    }
    plain(text, out);
}

/// Appends text, with a backslash where a flag asks for it.
fn push_flagged(text: &[u8], flags: Flags, out: &mut Vec<u8>) {
    if !flags.has(Flags::ESCAPE) {
        out.extend_from_slice(text);
        return;
    }
    for &byte in text {
        if matches!(byte, b'"' | b'\\' | b']') {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

/// Appends what an expression gave, which a client may have sent: in a line of the log, control
/// characters become `#XX`, so that nobody forges lines. (HAProxy writes them as they are, up to a
/// NUL.)
fn push_logged(mut text: &[u8], flags: Flags, out: &mut Vec<u8>) {
    while let Some(at) = text.iter().position(u8::is_ascii_control) {
        push_flagged(&text[..at], flags, out);
        let (high, low) = (usize::from(text[at] >> 4), usize::from(text[at] & 15));
        out.extend_from_slice(&[b'#', HEX_UPPER[high], HEX_UPPER[low]]);
        text = &text[at + 1..];
    }
    push_flagged(text, flags, out);
}

/// Appends text in which control characters (but the tab) become `%XX`.
fn push_percent(text: &[u8], stop: usize, out: &mut Vec<u8>) {
    for &byte in text {
        if out.len() >= stop {
            return;
        }
        if byte < 32 && byte != b'\t' || byte == 127 {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            out.extend_from_slice(&[b'%', HEX_UPPER[high], HEX_UPPER[low]]);
        } else {
            out.push(byte);
        }
    }
}

fn push_hex(n: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{n:04X}").as_bytes());
}

/// A part of a request line.
fn of_line(line: &[u8], tag: Tag) -> Option<&[u8]> {
    let mut words = line.splitn(2, |b| *b == b' ');
    let (method, rest) = (words.next()?, words.next()?);
    let at = rest.iter().rposition(|b| *b == b' ')?;
    let (target, version) = (&rest[..at], &rest[at + 1..]);
    let query = target.iter().position(|b| *b == b'?');
    let without = &target[..query.unwrap_or(target.len())];
    match tag {
        Tag::Method => Some(method),
        Tag::Uri => Some(target),
        Tag::UriPath => Some(without),
        Tag::PathOnly => Some(path_of(without)),
        Tag::Query => query.map(|at| &target[at..]),
        _ => Some(version),
    }
}

/// The path of a target, without scheme and authority.
fn path_of(target: &[u8]) -> &[u8] {
    let Some(at) = memchr::memmem::find(target, b"://") else { return target };
    let rest = &target[at + 3..];
    match rest.iter().position(|b| *b == b'/') {
        Some(at) => &rest[at..],
        None => b"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_is_encoded_too() {
        for (flags, text, line, capture) in [
            (Flags::NONE, &b"/a?b=]\"x\\"[..], "/a?b=]#22x\\", "/a?b=]#22x\\"),
            (Flags::ESCAPE, b"/a?b=]\"x\\", "/a?b=\\]#22x\\\\", "/a?b=\\]#22x\\\\"),
            (
                Flags::ESCAPE,
                b"1]\"2\\3{}|\x01\xe9",
                "1\\]#222\\\\3{}|#01#E9",
                "1\\]#222\\\\3#7B#7D#7C#01#E9",
            ),
            (Flags::ESCAPE, b"\r\n]\n", "#0D#0A\\]#0A", "#0D#0A\\]#0A"),
        ] {
            let mut out = [Vec::new(), Vec::new()];
            push_encoded::<false>(text, flags, 1_000, &mut out[0]);
            push_encoded::<true>(text, flags, 1_000, &mut out[1]);
            assert_eq!(out.map(|it| String::from_utf8(it).unwrap()), [line, capture]);
        }
    }

    #[test]
    fn nobody_forges_lines() {
        for (flags, text, expected) in [
            (Flags::NONE, &b"plain \xe4"[..], &b"plain \xe4"[..]),
            (Flags::NONE, b"a\r\n<134>forged\0\x7f\t", b"a#0D#0A<134>forged#00#7F#09"),
            (Flags::ESCAPE, b"\"a]\nb\\", b"\\\"a\\]#0Ab\\\\"),
            (Flags::NONE, b"\n", b"#0A"),
            (Flags::NONE, b"", b""),
        ] {
            let mut out = Vec::new();
            push_logged(text, flags, &mut out);
            assert_eq!(out, expected, "{}", text.escape_ascii());
        }
    }
}
