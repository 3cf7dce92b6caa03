//! The PROXY protocol's header: what stands before the first byte of a connection and says for whom
//! it was made. Both versions, read and written; no sockets and no policy here.
//!
//! ```text
//!   v1   PROXY TCP4 192.0.2.7 192.0.2.1 40312 443\r\n        at most 107 bytes
//!   v2   signature (12) · version and command · family · length (2) · addresses · TLVs
//! ```
//!
//! Reading is strict: what is not a header of the specification ends the connection, as early as
//! the bytes show it. HAProxy 2.6 is laxer about numbers in version 1 (`256.1.1.1`, port 70000, a
//! port left out), and refuses two things that are sound and pass here: a header that comes in
//! pieces, and the families of version 2 that carry no TCP address (unix, UDP, unspecified), for
//! which the connection's own addresses are used.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::io::Write;

use crc::{CRC_32_ISCSI, Crc};

use crate::poller::Peer;
use crate::proxy::spec::SendProxy;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of version 2 before the addresses.
const FIXED: usize = 16;
/// Bytes of a header of version 1, its line feed included.
const LINE_MAX: usize = 107;
/// Bytes of an authority.
const AUTHORITY_MAX: usize = 255;
/// Bytes of a unique id.
const UNIQUE_ID_MAX: usize = 128;

const TLV_AUTHORITY: u8 = 2;
const TLV_CRC32C: u8 = 3;
const TLV_UNIQUE_ID: u8 = 5;
const TLV_SSL: u8 = 0x20;

static CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// The two ends of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ends {
    /// Who made it.
    pub source: SocketAddr,
    /// Where to.
    pub destination: SocketAddr,
}

/// What a header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Header<'a> {
    /// The ends of the connection that it stands for. None: those of the connection itself.
    pub ends: Option<Ends>,
    /// The name that the client asked for.
    pub authority: Option<&'a [u8]>,
    /// The connection's unique id.
    pub unique_id: Option<&'a [u8]>,
}

/// What [`read`] makes of the first bytes of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found<'a> {
    /// It may become a header.
    NeedMore,
    /// A whole header.
    Whole {
        /// Its bytes.
        len: usize,
        /// What it says.
        header: Header<'a>,
    },
    /// Not a header.
    Bad {
        /// Why.
        fault: HeaderFault,
        /// The ends, if only what stands behind them is wrong.
        ends: Option<Ends>,
    },
}

/// Why no header came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeaderFault {
    /// The connection ended before its first byte.
    Empty,
    /// The connection broke.
    Aborted,
    /// It took too long.
    TimedOut,
    /// The connection ended within it, or it is longer than we read.
    Truncated,
    /// It does not begin like one.
    Foreign,
    /// It breaks the rules.
    Invalid,
    /// Version 1 with a protocol that it does not have.
    Protocol,
}

impl HeaderFault {
    /// HAProxy's words for it in the log.
    pub const fn explain(self) -> &'static str {
        match self {
            HeaderFault::Empty => "Connection closed while waiting for PROXY protocol header",
            HeaderFault::Aborted => "Connection error while waiting for PROXY protocol header",
            HeaderFault::TimedOut => "Timeout while waiting for PROXY protocol header",
            HeaderFault::Truncated => "Truncated PROXY protocol header received",
            HeaderFault::Foreign => {
                "Received something which does not look like a PROXY protocol header"
            }
            HeaderFault::Invalid => "Received an invalid PROXY protocol header",
            HeaderFault::Protocol => "Received an unhandled protocol in the PROXY protocol header",
        }
    }

    /// HAProxy's number for it (`fc_err`).
    pub const fn code(self) -> u8 {
        match self {
            HeaderFault::Empty => 11,
            HeaderFault::Aborted => 12,
            HeaderFault::TimedOut => 13,
            HeaderFault::Truncated => 14,
            HeaderFault::Foreign => 15,
            HeaderFault::Invalid => 16,
            HeaderFault::Protocol => 17,
        }
    }

    /// Whether nothing of a header came: `option dontlognull` is silent about it.
    pub const fn is_null(self) -> bool {
        matches!(self, HeaderFault::Empty | HeaderFault::Aborted | HeaderFault::TimedOut)
    }
}

const fn bad<'a>(fault: HeaderFault) -> Found<'a> {
    Found::Bad { fault, ends: None }
}

/// Reads a header of either version, of at most `max` bytes, at the front of `bytes`.
pub fn read(bytes: &[u8], max: usize) -> Found<'_> {
    const PREFIX: &[u8] = b"PROXY ";
    if let Some(line) = bytes.strip_prefix(PREFIX) {
        return read_line(line, bytes);
    }
    let seen = bytes.len().min(SIGNATURE.len());
    if bytes[..seen] == SIGNATURE[..seen] {
        return read_block(bytes, max);
    }
    if PREFIX.starts_with(bytes) { Found::NeedMore } else { bad(HeaderFault::Foreign) }
}

/// Version 1: `line` is what follows `PROXY ` in `bytes`.
fn read_line<'a>(line: &'a [u8], bytes: &'a [u8]) -> Found<'a> {
    const UNKNOWN: &[u8] = b"UNKNOWN\r\n";
    if line.starts_with(UNKNOWN) {
        let len = bytes.len() - line.len() + UNKNOWN.len();
        return Found::Whole { len, header: Header::default() };
    }
    let v4 = match line {
        [b'T', b'C', b'P', version @ (b'4' | b'6'), b' ', ..] => *version == b'4',
        _ if [UNKNOWN, b"TCP4 ", b"TCP6 "].iter().any(|word| word.starts_with(line)) => {
            return Found::NeedMore;
        }
        _ => return bad(HeaderFault::Protocol),
    };
    let fields = &line[5..];
    let of_fields = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b'.' | b':' | b' ');
    let end = fields.iter().position(|b| !of_fields(b)).unwrap_or(fields.len());
    let len = bytes.len() - fields.len() + end + 2;
    if len > LINE_MAX {
        return bad(HeaderFault::Invalid);
    }
    match &fields[end..] {
        [] | [b'\r'] => return Found::NeedMore,
        [b'\r', b'\n', ..] => {}
        _ => return bad(HeaderFault::Invalid),
    }
    match core::str::from_utf8(&fields[..end]).ok().and_then(|text| ends_of(text, v4)) {
        Some(ends) => {
            Found::Whole { len, header: Header { ends: Some(ends), ..Header::default() } }
        }
        None => bad(HeaderFault::Invalid),
    }
}

/// `SOURCE DESTINATION PORT PORT`.
fn ends_of(text: &str, v4: bool) -> Option<Ends> {
    let mut fields = text.split(' ');
    let mut ip = || {
        let field = fields.next()?;
        if v4 {
            field.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
        } else {
            field.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        }
    };
    let (source, destination) = (ip()?, ip()?);
    let mut port = || {
        let field = fields.next()?;
        let leading = field.len() > 1 && field.starts_with('0');
        // `parse` would take a sign, but a sign is no byte of a field.
        if leading { None } else { field.parse::<u16>().ok() }
    };
    let (from, to) = (port()?, port()?);
    if fields.next().is_some() {
        return None;
    }
    Some(Ends {
        source: SocketAddr::new(source, from),
        destination: SocketAddr::new(destination, to),
    })
}

/// Version 2: `bytes` begins like the signature.
fn read_block(bytes: &[u8], max: usize) -> Found<'_> {
    let Some(&version) = bytes.get(SIGNATURE.len()) else { return Found::NeedMore };
    let proxied = match version {
        0x20 => false,
        0x21 => true,
        _ if version & 0xf0 == 0x20 => return bad(HeaderFault::Invalid),
        _ => return bad(HeaderFault::Foreign),
    };
    let Some(&[family, high, low]) = bytes.get(FIXED - 3..FIXED) else { return Found::NeedMore };
    let body = usize::from(u16::from_be_bytes([high, low]));
    let len = FIXED + body;
    if len > max {
        return bad(HeaderFault::Truncated);
    }
    // What `LOCAL` carries means nothing, whatever it is.
    let addresses = if proxied {
        match (family >> 4, family & 15) {
            (1, 0..=2) => 12,
            (2, 0..=2) => 36,
            (3, 0..=2) => 216,
            (0, 0..=2) => 0,
            _ => return bad(HeaderFault::Invalid),
        }
    } else {
        0
    };
    if body < addresses {
        return bad(HeaderFault::Invalid);
    }
    let Some(block) = bytes.get(..len) else { return Found::NeedMore };
    let ends = match (proxied, family) {
        (true, 0x11) => ends_v4(&block[FIXED..]),
        (true, 0x21) => ends_v6(&block[FIXED..]),
        _ => None,
    };
    if ends.is_none() {
        return Found::Whole { len, header: Header::default() };
    }
    let mut header = Header { ends, ..Header::default() };
    match read_extras(block, FIXED + addresses, &mut header) {
        Ok(()) => Found::Whole { len, header },
        Err(fault) => Found::Bad { fault, ends },
    }
}

fn ends_v4(body: &[u8]) -> Option<Ends> {
    let (source, rest) = body.split_first_chunk::<4>()?;
    let (destination, rest) = rest.split_first_chunk::<4>()?;
    ends(IpAddr::from(*source), IpAddr::from(*destination), rest)
}

fn ends_v6(body: &[u8]) -> Option<Ends> {
    let (source, rest) = body.split_first_chunk::<16>()?;
    let (destination, rest) = rest.split_first_chunk::<16>()?;
    ends(IpAddr::from(*source), IpAddr::from(*destination), rest)
}

fn ends(source: IpAddr, destination: IpAddr, ports: &[u8]) -> Option<Ends> {
    let (from, rest) = ports.split_first_chunk::<2>()?;
    let (to, _) = rest.split_first_chunk::<2>()?;
    Some(Ends {
        source: SocketAddr::new(source, u16::from_be_bytes(*from)),
        destination: SocketAddr::new(destination, u16::from_be_bytes(*to)),
    })
}

/// The TLVs of a whole block from `at` on. What is not known is skipped; of two of a kind the last
/// counts.
fn read_extras<'a>(
    block: &'a [u8],
    mut at: usize,
    header: &mut Header<'a>,
) -> Result<(), HeaderFault> {
    let mut sums = 0;
    while at < block.len() {
        let Some((&[kind, high, low], rest)) = block[at..].split_first_chunk::<3>() else {
            return Err(HeaderFault::Invalid);
        };
        let len = usize::from(u16::from_be_bytes([high, low]));
        let value = rest.get(..len).ok_or(HeaderFault::Invalid)?;
        let sound = match kind {
            TLV_AUTHORITY => {
                header.authority = Some(value);
                len <= AUTHORITY_MAX
            }
            TLV_UNIQUE_ID => {
                header.unique_id = Some(value);
                len <= UNIQUE_ID_MAX
            }
            TLV_CRC32C => {
                sums += 1;
                // A second sum could not have been made by the rules.
                sums == 1 && value == checksum(block, at + 3).to_be_bytes()
            }
            _ => true,
        };
        if !sound {
            return Err(HeaderFault::Invalid);
        }
        at += 3 + len;
    }
    Ok(())
}

/// The checksum of a block whose own four bytes at `at` count as zeros.
fn checksum(block: &[u8], at: usize) -> u32 {
    let mut digest = CRC32C.digest();
    digest.update(&block[..at.min(block.len())]);
    digest.update(&[0; 4]);
    digest.update(block.get(at + 4..).unwrap_or_default());
    digest.finalize()
}

/// The two ends of a connection as far as they are known: a unix socket has none.
pub fn ends_between(source: Peer, destination: Option<Peer>) -> Option<Ends> {
    match (source, destination) {
        (Peer::Inet(source), Some(Peer::Inet(destination))) => Some(Ends { source, destination }),
        _ => None,
    }
}

/// Appends the header that `how` asks for: nothing, if it asks for none.
pub fn write(how: SendProxy, header: &Header<'_>, out: &mut Vec<u8>) {
    if how.has(SendProxy::V2) {
        write_block(how, header, out);
    } else if !how.is_empty() {
        write_line(header.ends, out);
    }
}

/// Both ends in one family: if they differ, the IPv4 one is mapped.
fn in_one_family(ends: Ends) -> (Ends, bool) {
    let mapped = |at: SocketAddr| match at.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), at.port()),
        IpAddr::V6(_) => at,
    };
    let Ends { source, destination } = ends;
    if source.is_ipv4() == destination.is_ipv4() {
        return (ends, source.is_ipv4());
    }
    (Ends { source: mapped(source), destination: mapped(destination) }, false)
}

fn write_line(ends: Option<Ends>, out: &mut Vec<u8>) {
    let Some(ends) = ends else {
        out.extend_from_slice(b"PROXY UNKNOWN\r\n");
        return;
    };
    let (Ends { source, destination }, v4) = in_one_family(ends);
    let family = if v4 { "TCP4" } else { "TCP6" };
    let (from, to) = (source.port(), destination.port());
    // Writing to memory does not fail.
    let _ = write!(out, "PROXY {family} {} {} {from} {to}\r\n", source.ip(), destination.ip());
}

fn write_block(how: SendProxy, header: &Header<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(SIGNATURE);
    match header.ends.map(in_one_family) {
        // Without addresses it is as if we spoke for ourselves.
        None => out.extend_from_slice(&[0x20, 0, 0, 0]),
        Some((ends, v4)) => {
            out.extend_from_slice(&[0x21, if v4 { 0x11 } else { 0x21 }, 0, 0]);
            for at in [ends.source, ends.destination] {
                match at.ip() {
                    IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
                    IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
                }
            }
            out.extend_from_slice(&ends.source.port().to_be_bytes());
            out.extend_from_slice(&ends.destination.port().to_be_bytes());
        }
    }
    let mut sum_at = None;
    if how.has(SendProxy::CRC32C) {
        write_extra(TLV_CRC32C, &[0; 4], out);
        sum_at = Some(out.len() - 4 - start);
    }
    if let Some(authority) = header.authority
        && how.has(SendProxy::AUTHORITY)
    {
        write_extra(TLV_AUTHORITY, authority, out);
    }
    if how.has(SendProxy::UNIQUE_ID) {
        write_extra(TLV_UNIQUE_ID, header.unique_id.unwrap_or_default(), out);
    }
    if how.has(SendProxy::SSL) {
        // The client came without TLS, so there is no certificate that could be told of or sound.
        write_extra(TLV_SSL, &[0; 5], out);
    }
    let block = &mut out[start..];
    let len = (block.len() - FIXED) as u16;
    block[FIXED - 2..FIXED].copy_from_slice(&len.to_be_bytes());
    if let Some(at) = sum_at {
        let sum = checksum(block, at);
        block[at..at + 4].copy_from_slice(&sum.to_be_bytes());
    }
}

fn write_extra(kind: u8, value: &[u8], out: &mut Vec<u8>) {
    /// So that everything together stays within the length that the header can say.
    const VALUE_MAX: usize = 8_192;
    let value = &value[..value.len().min(VALUE_MAX)];
    let [high, low] = (value.len() as u16).to_be_bytes();
    out.extend_from_slice(&[kind, high, low]);
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests;
