//! PROXY headers: what a client says of itself, and what a server must hear. Written and read here
//! anew, without the core's own code.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// How a client introduces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// A line of version 1.
    Line,
    /// A block of version 2.
    Block,
    /// The same with TLVs of so many bytes behind the addresses.
    Long(u16),
    /// Either version, saying only that it is there.
    Nobody(bool),
}

/// Somebody who has no socket here: number `lot` of them.
pub fn somebody(lot: u64) -> SocketAddr {
    let port = 1_024 + (lot >> 8) as u16 % 60_000;
    let last = lot as u8;
    match lot & 1 {
        0 => SocketAddr::new(Ipv4Addr::new(192, 0, 2, last).into(), port),
        _ => SocketAddr::new(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()).into(), port),
    }
}

/// The header of `source`.
pub fn header(manner: Manner, source: SocketAddr) -> Vec<u8> {
    let to: IpAddr = match source {
        SocketAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
        SocketAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    };
    let (family, octets) = match (source.ip(), to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => (4, [from.octets(), to.octets()].concat()),
        (IpAddr::V6(from), IpAddr::V6(to)) => (6, [from.octets(), to.octets()].concat()),
        _ => unreachable!("both are of one family"),
    };
    let more = match manner {
        Manner::Line => {
            let (ip, port) = (source.ip(), source.port());
            return format!("PROXY TCP{family} {ip} {to} {port} 443\r\n").into_bytes();
        }
        Manner::Nobody(false) => return b"PROXY UNKNOWN\r\n".to_vec(),
        Manner::Nobody(true) => return [&SIGNATURE[..], b"\x20\0\0\0"].concat(),
        Manner::Block => 0,
        Manner::Long(more) => more.max(3),
    };
    let length = octets.len() as u16 + 4 + more;
    let mut block = [&SIGNATURE[..], &[0x21, if family == 4 { 0x11 } else { 0x21 }]].concat();
    block.extend(length.to_be_bytes());
    block.extend(octets);
    block.extend(source.port().to_be_bytes());
    block.extend(443u16.to_be_bytes());
    if more > 0 {
        block.push(4);
        block.extend((more - 3).to_be_bytes());
        block.extend((3..more).map(|n| n as u8));
    }
    block
}

/// Reads a header at the front of `bytes`: its length and the source that it names, if it names
/// one. None while it is not whole.
pub fn read(bytes: &[u8], block: bool) -> Result<Option<(usize, Option<SocketAddr>)>, String> {
    if block { read_block(bytes) } else { read_line(bytes) }
}

fn read_line(bytes: &[u8]) -> Result<Option<(usize, Option<SocketAddr>)>, String> {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        let begins = b"PROXY ".starts_with(&bytes[..bytes.len().min(6)]);
        let sound = begins && bytes.len() < 107;
        return if sound { Ok(None) } else { Err("no line of the PROXY protocol".into()) };
    };
    let line = String::from_utf8_lossy(&bytes[..end]);
    let words: Vec<&str> = line.trim_end_matches('\r').split(' ').collect();
    let source = match words[..] {
        ["PROXY", "UNKNOWN"] => None,
        ["PROXY", "TCP4" | "TCP6", ip, _, port, _] => match (ip.parse(), port.parse()) {
            (Ok(ip), Ok(port)) => Some(SocketAddr::new(ip, port)),
            _ => return Err(format!("a bad line of the PROXY protocol: {line}")),
        },
        _ => return Err(format!("another line than one of the PROXY protocol: {line}")),
    };
    Ok(Some((end + 1, source)))
}

fn read_block(bytes: &[u8]) -> Result<Option<(usize, Option<SocketAddr>)>, String> {
    let seen = bytes.len().min(SIGNATURE.len());
    if bytes[..seen] != SIGNATURE[..seen] {
        return Err("no block of the PROXY protocol".into());
    }
    let Some(&[command, family, high, low]) = bytes.get(12..16) else { return Ok(None) };
    let len = 16 + usize::from(u16::from_be_bytes([high, low]));
    let Some(body) = bytes.get(16..len) else { return Ok(None) };
    let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    let source = match (command, family, body.len()) {
        (0x20, 0, _) => None,
        (0x21, 0x11, 12..) => {
            let ip = Ipv4Addr::new(body[0], body[1], body[2], body[3]);
            Some(SocketAddr::new(ip.into(), port(8)))
        }
        (0x21, 0x21, 36..) => {
            let mut ip = [0; 16];
            ip.copy_from_slice(&body[..16]);
            Some(SocketAddr::new(Ipv6Addr::from(ip).into(), port(32)))
        }
        _ => return Err(format!("a block of another kind: {:x?}", &bytes[12..16])),
    };
    Ok(Some((len, source)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_write_is_read_here() {
        for lot in 0..600 {
            let source = somebody(lot * 77);
            for (manner, block) in
                [(Manner::Line, false), (Manner::Block, true), (Manner::Long(40), true)]
            {
                let wire = header(manner, source);
                assert_eq!(read(&wire, block), Ok(Some((wire.len(), Some(source)))));
                assert!((0..wire.len()).all(|cut| read(&wire[..cut], block) == Ok(None)));
            }
        }
        for block in [false, true] {
            let wire = header(Manner::Nobody(block), somebody(0));
            assert_eq!(read(&wire, block), Ok(Some((wire.len(), None))));
            assert!(read(b"GET / HTTP/1.1\r\n", block).is_err());
        }
    }
}
