//! A second reading of HTTP/1.1, slow and plain, to be compared with the core's. It shares no code
//! with it, keeps no state between calls, and is always given everything from the beginning.
//!
//! It is the grammar of RFC 9112 without its leniencies, with Tidegate's limits: what the core's
//! documentation says, written a second time.
//!
//! - here: heads · [`target`]: which target fits · [`body`]: how long a body is, and chunks ·
//!   [`stream`]: one message after the other

pub mod body;
pub mod stream;
pub mod target;

/// The most empty lines before a request.
const EMPTY_LINES_MAX: usize = 32;

/// The most fields of a head.
pub const FIELDS_MAX: usize = 100;

/// What becomes of bytes that may or may not be all there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read<T> {
    /// It is there, and takes so many bytes.
    Whole(T, usize),
    /// It goes on.
    Partial,
    /// Whatever follows, this never becomes one.
    Bad,
}

/// Which kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of a client.
    Request,
    /// Of a server.
    Response,
}

/// What the first line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Method and target.
    Request(Vec<u8>, Vec<u8>),
    /// Status and reason phrase.
    Response(u16, Vec<u8>),
}

/// A head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The first line, without the version.
    pub start: Start,
    /// The version behind `HTTP/1.`: 0 or 1.
    pub minor: u8,
    /// Names in lower case, values without the blanks around them.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Head {
    /// The values of that name.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter(move |(n, _)| n == name.as_bytes()).map(|(_, value)| &value[..])
    }

    /// Whether there is a field of that name.
    pub fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// The method of a request; nothing of a response.
    pub fn method(&self) -> &[u8] {
        match &self.start {
            Start::Request(method, _) => method,
            Start::Response(..) => b"",
        }
    }

    /// The status of a response; 0 of a request.
    pub fn status(&self) -> u16 {
        match self.start {
            Start::Request(..) => 0,
            Start::Response(status, _) => status,
        }
    }
}

/// A byte of a token, as RFC 9110 section 5.6.2 lists them.
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A byte of a field's value: no control but the tab.
pub fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Reads the head that `input` begins with; the used bytes include empty lines before it.
pub fn head(kind: Kind, input: &[u8]) -> Read<Head> {
    match form(kind, input) {
        Read::Whole(head, _) if kind == Kind::Request && !target::fits(&head) => Read::Bad,
        Read::Whole(mut head, used) => {
            target::settle(&mut head);
            Read::Whole(head, used)
        }
        read => read,
    }
}

/// The same, whatever the target of a request is.
pub fn form(kind: Kind, input: &[u8]) -> Read<Head> {
    let mut skip = 0;
    while input[skip..].starts_with(b"\r\n") {
        if kind == Kind::Response || skip == 2 * EMPTY_LINES_MAX {
            return Read::Bad;
        }
        skip += 2;
    }
    let text = &input[skip..];
    match text.first() {
        None => return Read::Partial,
        Some(b'\r') if text.len() == 1 => return Read::Partial,
        Some(byte) if !is_token(*byte) => return Read::Bad,
        Some(_) => {}
    }
    let Some(end) = text.windows(4).position(|w| w == b"\r\n\r\n") else {
        return if has_stray_control(text) { Read::Bad } else { Read::Partial };
    };
    match whole(kind, &text[..end]) {
        Some(head) => Read::Whole(head, skip + end + 4),
        None => Read::Bad,
    }
}

/// Whether there is a control character that is neither a tab nor part of a CRLF, of which the
/// last may still be coming.
fn has_stray_control(text: &[u8]) -> bool {
    let is_stray = |at: usize| match text[at] {
        b'\t' => false,
        b'\r' => text.get(at + 1).is_some_and(|next| *next != b'\n'),
        b'\n' => at == 0 || text[at - 1] != b'\r',
        byte => byte < b' ' || byte == 0x7f,
    };
    (0..text.len()).any(is_stray)
}

/// Reads a head without its last two line ends.
fn whole(kind: Kind, text: &[u8]) -> Option<Head> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.windows(2).position(|w| w == b"\r\n") {
        lines.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    lines.push(rest);
    if !lines.iter().all(|line| line.iter().all(|byte| is_text(*byte))) {
        return None;
    }
    let (start, minor) = match kind {
        Kind::Request => request_line(lines[0])?,
        Kind::Response => status_line(lines[0])?,
    };
    if lines.len() - 1 > FIELDS_MAX {
        return None;
    }
    let fields = lines[1..].iter().map(|line| field(line)).collect::<Option<Vec<_>>>()?;
    let mut head = Head { start, minor, fields };
    if kind == Kind::Request {
        merge_hosts(&mut head)?;
    }
    Some(head)
}

fn minor(version: &[u8]) -> Option<u8> {
    match version.strip_prefix(b"HTTP/1.")? {
        b"0" => Some(0),
        b"1" => Some(1),
        _ => None,
    }
}

fn request_line(line: &[u8]) -> Option<(Start, u8)> {
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let [method, target, version] = words[..] else { return None };
    let fits = !method.is_empty()
        && method.iter().all(|byte| is_token(*byte))
        && !target.is_empty()
        && target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#');
    fits.then_some((Start::Request(method.to_vec(), target.to_vec()), minor(version)?))
}

fn status_line(line: &[u8]) -> Option<(Start, u8)> {
    let minor = minor(line.get(..8)?)?;
    let digits = line.get(8..12)?.strip_prefix(b" ")?;
    let status: u16 = core::str::from_utf8(digits).ok()?.parse().ok()?;
    let plain = digits.iter().all(u8::is_ascii_digit) && status >= 100;
    let reason = match line.get(12..)? {
        [] => &[],
        [b' ', reason @ ..] => reason,
        _ => return None,
    };
    plain.then_some((Start::Response(status, reason.to_vec()), minor))
}

fn field(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let fits = !name.is_empty() && name.iter().all(|byte| is_token(*byte));
    fits.then(|| (name.to_ascii_lowercase(), trim(value).to_vec()))
}

/// Without the blanks around it.
pub fn trim(text: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = text.iter().take_while(|byte| is_blank(byte)).count();
    let end = text[start..].iter().rev().take_while(|byte| is_blank(byte)).count();
    &text[start..text.len() - end]
}

/// Several Hosts that agree become one.
fn merge_hosts(head: &mut Head) -> Option<()> {
    let hosts: Vec<&[u8]> = head.values("host").collect();
    if !hosts.iter().all(|host| host.eq_ignore_ascii_case(hosts[0])) {
        return None;
    }
    let mut seen = false;
    head.fields.retain(|(name, _)| name != b"host" || !core::mem::replace(&mut seen, true));
    Some(())
}
