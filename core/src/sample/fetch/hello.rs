//! The first message of TLS, as far as routing wants to know it. Not TLS: nothing is checked that
//! is not needed to find what is asked for.
//!
//! ```text
//!   record   16 03 01 len len │ handshake   01 len len len │ 03 03 random session ciphers methods
//!                                                          │ extensions: type type len len …
//! ```

use super::Value;
use super::payload::Found;

/// What is asked of a client's hello.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// `ssl_hello_type`: 1 is a client's, 2 a server's.
    Type,
    /// `ssl_ver`: the version that the client offers, the major number in the high 16 bits.
    Version,
    /// `ssl_sni`: the host that it wants.
    ServerName,
    /// `ssl_alpn`: the protocol that it prefers.
    Alpn,
    /// `ssl_st_ext`: 0 without the session ticket extension, 1 if it is empty, 2 if not.
    Ticket,
    /// `ssl_ec_ext`: it names elliptic curves.
    Curves,
}

impl What {
    /// Looks for it; a message of more than `max` bytes never becomes whole.
    pub(super) fn find<'a>(self, bytes: &'a [u8], max: usize) -> Found<Value<'a>> {
        match self {
            What::Type => hello_type(bytes),
            What::Version => version(bytes, max),
            What::ServerName | What::Alpn | What::Ticket | What::Curves => {
                match extensions(bytes) {
                    Found::Is(extensions) => self.among(extensions),
                    Found::Short => Found::Short,
                    Found::No => Found::No,
                }
            }
        }
    }

    /// What the extensions say of it.
    fn among(self, mut rest: &[u8]) -> Found<Value<'_>> {
        let wanted = match self {
            What::ServerName => 0,
            What::Curves => 10,
            What::Alpn => 16,
            _ => 35,
        };
        while let Some((head, behind)) = rest.split_first_chunk::<4>() {
            let [a, b, c, d] = *head;
            let Some(data) = behind.get(..length(c, d)) else { return Found::No };
            rest = &behind[data.len()..];
            if length(a, b) != wanted {
                continue;
            }
            let found = match self {
                What::Ticket => Some(Value::Int(if data.is_empty() { 1 } else { 2 })),
                What::Curves => Some(Value::Bool(true)),
                What::Alpn => first_protocol(data).map(Value::Str),
                _ => match server_name(data) {
                    Some(Some(name)) => Some(Value::Str(name)),
                    // A name of another kind.
                    Some(None) => continue,
                    None => None,
                },
            };
            return found.map_or(Found::No, Found::Is);
        }
        match self {
            What::Ticket => Found::Is(Value::Int(0)),
            _ => Found::No,
        }
    }
}

fn length(high: u8, low: u8) -> usize {
    usize::from(high) << 8 | usize::from(low)
}

/// Whether a record begins so.
fn is_record(first: u8) -> bool {
    matches!(first, 0x14..=0x17 | 0xff)
}

fn hello_type<'a>(bytes: &[u8]) -> Found<Value<'a>> {
    match bytes {
        [] => Found::Short,
        [first, ..] if !is_record(*first) => Found::No,
        [_, major, _, a, b, kind, c, d, e, rest @ ..] => {
            let len = usize::from(*c) << 16 | length(*d, *e);
            if *major < 3 || length(*a, *b) < 4 {
                Found::No
            } else if rest.len() < len {
                Found::Short
            } else {
                Found::Is(Value::Int((*kind).into()))
            }
        }
        _ => Found::Short,
    }
}

/// The version that a client's hello offers, in the form of SSLv3 and later, or of SSLv2.
fn version<'a>(bytes: &[u8], max: usize) -> Found<Value<'a>> {
    /// The longest record: 2^14 bytes and what ciphers may add.
    const RECORD_MAX: usize = (1 << 14) + 2048;
    let (version, message_len, held) = match bytes {
        [] => return Found::Short,
        [first, rest @ ..] if is_record(*first) => {
            let [major, _, a, b, _, _, _, _, high, low, ..] = *rest else { return Found::Short };
            let len = length(a, b);
            if major < 3 || !(6..=RECORD_MAX).contains(&len) {
                return Found::No;
            }
            ((high, low), len, bytes.len() - 5)
        }
        [a, b, c, d, e, ..] => {
            let short = a & 0x80 != 0;
            let (len, head) = match short {
                true => (length(a & 0x7f, *b), 2),
                false => (length(a & 0x3f, *b), 3),
            };
            let (kind, high) = if short { (*c, *d) } else { (*d, *e) };
            let low = if short { Some(*e) } else { bytes.get(5).copied() };
            if kind != 1 {
                return Found::No;
            }
            let Some(low) = low else { return Found::Short };
            ((high, low), len, bytes.len() - head)
        }
        _ => return Found::Short,
    };
    let start = bytes.len() - held;
    if held < message_len.min(max.saturating_sub(start)) {
        return Found::Short;
    }
    let (high, low) = version;
    Found::Is(Value::Int(i64::from(high) << 16 | i64::from(low)))
}

/// The extensions of a whole client's hello.
fn extensions(bytes: &[u8]) -> Found<&[u8]> {
    /// The least that a hello with one extension has.
    const HELLO_MIN: usize = 2 + 32 + 1 + 2 + 2 + 1 + 1 + 2 + 2;
    match bytes {
        [] => return Found::Short,
        [0x16, major, _, ..] if *major < 3 => return Found::No,
        [0x16, ..] => {}
        _ => return Found::No,
    }
    let Some(([_, _, _, a, b], message)) = bytes.split_first_chunk::<5>() else {
        return Found::Short;
    };
    if length(*a, *b) < 4 + HELLO_MIN {
        return Found::No;
    }
    match message {
        [] => return Found::Short,
        [kind, ..] if *kind != 1 => return Found::No,
        _ => {}
    }
    let Some(([_, a, b, c], hello)) = message.split_first_chunk::<4>() else {
        return Found::Short;
    };
    let len = usize::from(*a) << 16 | length(*b, *c);
    if len < HELLO_MIN {
        return Found::No;
    }
    let Some(hello) = hello.get(..len) else { return Found::Short };
    if hello[0] < 3 || hello[1] < 1 {
        return Found::No;
    }
    parts(hello).map_or(Found::No, Found::Is)
}

/// What stands behind version, random, session, ciphers and compression methods.
fn parts(hello: &[u8]) -> Option<&[u8]> {
    let (session, rest) = hello.get(34..)?.split_first()?;
    let rest = rest.get(usize::from(*session)..).filter(|_| *session <= 32)?;
    let (ciphers, rest) = rest.split_first_chunk::<2>()?;
    let ciphers = length(ciphers[0], ciphers[1]);
    let rest = rest.get(ciphers..).filter(|_| ciphers >= 2)?;
    let (methods, rest) = rest.split_first()?;
    let rest = rest.get(usize::from(*methods)..).filter(|_| *methods >= 1)?;
    let (len, rest) = rest.split_first_chunk::<2>()?;
    rest.get(..length(len[0], len[1]))
}

/// The first host name of the extension's list. None if it is malformed, none within if the first
/// name is no host's.
fn server_name(data: &[u8]) -> Option<Option<&[u8]>> {
    let [a, b, kind, c, d, name @ ..] = data else { return None };
    // At least one name of one byte.
    if !(4..=data.len() - 2).contains(&length(*a, *b)) {
        return None;
    }
    match kind {
        0 => name.get(..length(*c, *d)).map(Some),
        _ => Some(None),
    }
}

/// The first protocol of the extension's list.
fn first_protocol(data: &[u8]) -> Option<&[u8]> {
    let [a, b, len, protocols @ ..] = data else { return None };
    let fits = length(*a, *b) <= data.len() - 2;
    protocols.get(..usize::from(*len)).filter(|_| fits)
}
