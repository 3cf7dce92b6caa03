//! PROXY headers: what the core takes, a reader that others wrote takes for the same; it says the
//! same however the bytes come; and what it writes is read again.

use std::net::{IpAddr, SocketAddr};

use ppp::{v1, v2};
use tidegate_core::conn::proxy_header::{Ends, Found, Header, read, write};
use tidegate_core::proxy::spec::SendProxy;

use crate::Target;

/// The target.
pub const TARGET: Target = Target { name: "proxy_header", run, seeds, words };

/// As `tune.bufsize` has it.
const MAX: usize = 16_384;
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Runs the target.
pub fn run(data: &[u8]) {
    let found = read(data, MAX);
    check_cuts(data, &found);
    match found {
        Found::Whole { len, header } => {
            assert!(len <= data.len() && len <= MAX);
            check_other_reader(&data[..len], &header);
            check_written(data, &header);
        }
        Found::NeedMore => {
            let begins = |front: &[u8]| data.starts_with(front) || front.starts_with(data);
            assert!(begins(b"PROXY ") || begins(SIGNATURE));
            assert!(data.len() < MAX, "it waits for more than there may be");
        }
        Found::Bad { .. } => check_refused(data),
    }
}

/// However it comes: nothing is decided before it is there, and what is decided stays.
fn check_cuts(data: &[u8], found: &Found<'_>) {
    for cut in crate::cuts(data, 16) {
        let early = read(&data[..cut], MAX);
        match (early, *found) {
            (Found::NeedMore, _) => {}
            (Found::Whole { len, header }, Found::Whole { len: again, header: whole }) => {
                assert_eq!((len, header), (again, whole), "cut at {cut}");
                assert!(len <= cut);
            }
            (Found::Bad { fault, .. }, Found::Bad { fault: again, .. }) => {
                assert_eq!(fault, again, "cut at {cut}");
            }
            (early, found) => panic!("{early:?} became {found:?} (cut at {cut})"),
        }
    }
}

/// What is taken is a header to the other reader, and says the same.
fn check_other_reader(bytes: &[u8], header: &Header<'_>) {
    if bytes.starts_with(b"PROXY") {
        let other = v1::Header::try_from(bytes).expect("the other reader takes the line");
        let ends = match other.addresses {
            v1::Addresses::Unknown => None,
            v1::Addresses::Tcp4(at) => Some(ends(
                (at.source_address.into(), at.source_port),
                (at.destination_address.into(), at.destination_port),
            )),
            v1::Addresses::Tcp6(at) => Some(ends(
                (at.source_address.into(), at.source_port),
                (at.destination_address.into(), at.destination_port),
            )),
        };
        assert_eq!(header.ends, ends);
        return;
    }
    // What stands in a block that names nobody is not looked at, not even its family.
    let Some(found) = header.ends else { return };
    let other = v2::Header::try_from(bytes).expect("the other reader takes the block");
    assert_eq!((other.command, other.protocol), (v2::Command::Proxy, v2::Protocol::Stream));
    let ends = match other.addresses {
        v2::Addresses::IPv4(at) => ends(
            (at.source_address.into(), at.source_port),
            (at.destination_address.into(), at.destination_port),
        ),
        v2::Addresses::IPv6(at) => ends(
            (at.source_address.into(), at.source_port),
            (at.destination_address.into(), at.destination_port),
        ),
        other => panic!("{found:?} of {other:?}"),
    };
    assert_eq!(found, ends);
    let (mut authority, mut unique_id) = (None, None);
    for extra in other.tlvs() {
        let extra = extra.expect("the other reader takes the extras");
        match extra.kind {
            2 => authority = Some(extra.value.to_vec()),
            5 => unique_id = Some(extra.value.to_vec()),
            _ => {}
        }
    }
    assert_eq!(header.authority, authority.as_deref());
    assert_eq!(header.unique_id, unique_id.as_deref());
}

fn ends(source: (IpAddr, u16), destination: (IpAddr, u16)) -> Ends {
    Ends { source: SocketAddr::from(source), destination: SocketAddr::from(destination) }
}

/// What is refused although the other reader takes it has one of the reasons that we know.
fn check_refused(data: &[u8]) {
    if let Ok(other) = v1::Header::try_from(data) {
        let line = other.header.as_bytes();
        // No CRLF at the end or a CR elsewhere, a sign before a port, something behind UNKNOWN.
        let ended = line.ends_with(b"\r\n") && !line[..line.len() - 2].contains(&b'\r');
        let lax = !ended || line.contains(&b'+');
        let unknown = matches!(other.addresses, v1::Addresses::Unknown);
        assert!(lax || unknown, "{:?} is refused", other.header);
    }
    let Ok(other) = v2::Header::try_from(data) else { return };
    let len = other.len();
    let known = |kind: u8, len: usize| match kind {
        2 => len <= 255,
        5 => len <= 128,
        // The sum is not counted again here: `check_written` has sums that are right.
        3 => false,
        _ => true,
    };
    let sound = other.tlvs().all(|extra| extra.is_ok_and(|e| known(e.kind, e.value.len())));
    assert!(len > MAX || !sound, "{:?} is refused", other.header);
}

/// A header that was read is written in a way that follows from the input, and read again.
fn check_written(data: &[u8], header: &Header<'_>) {
    let all = [
        SendProxy::V1,
        SendProxy::V2,
        SendProxy::SSL,
        SendProxy::CERT_CN,
        SendProxy::SSL_MORE,
        SendProxy::CRC32C,
        SendProxy::UNIQUE_ID,
        SendProxy::AUTHORITY,
    ];
    let asked = crate::digest(data) as u8 | 1;
    let mut how = SendProxy::NONE;
    for bit in all.into_iter().filter(|bit| bit.bits() & asked != 0) {
        how.set(bit);
    }
    let mut wire = Vec::new();
    write(how, header, &mut wire);
    let Found::Whole { len, header: again } = read(&wire, MAX) else {
        panic!("{:?} is not read again", wire.escape_ascii().to_string());
    };
    assert_eq!((len, again.ends), (wire.len(), header.ends));
    check_other_reader(&wire, &again);
    let block = how.has(SendProxy::V2) && header.ends.is_some();
    if block && how.has(SendProxy::AUTHORITY) {
        assert_eq!(again.authority, header.authority);
    }
    if block && how.has(SendProxy::CRC32C) {
        let at = crate::digest(&wire) as usize % (wire.len() - SIGNATURE.len()) + SIGNATURE.len();
        let mut wrong = wire.clone();
        wrong[at] ^= 0x80;
        // Lengths and types may hide the sum; the bytes of the addresses and of the sum may not.
        let addresses = if header.ends.is_some_and(|e| e.source.is_ipv4()) { 12 } else { 36 };
        if (16..16 + addresses).contains(&at) {
            assert!(matches!(read(&wrong, MAX), Found::Bad { .. }), "byte {at} does not count");
        }
    }
}

fn block(version: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u16).to_be_bytes();
    [SIGNATURE, &[version, family], &length, body].concat()
}

fn extra(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind][..], &(value.len() as u16).to_be_bytes(), value].concat()
}

fn seeds() -> Vec<Vec<u8>> {
    const V4: &[u8] = &[192, 0, 2, 7, 192, 0, 2, 1, 4, 87, 1, 187];
    const V6: &[u8] = &[
        0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 2, 4, 87, 1, 187,
    ];
    let name = extra(2, b"www.example.com");
    let id = extra(5, b"id-1.2.3.4-17");
    let ssl = extra(0x20, &[&[7, 0, 0, 0, 0][..], &extra(0x21, b"TLSv1.3")].concat());
    let mut summed = Vec::new();
    let ends = ends(([192, 0, 2, 7].into(), 4711), ([192, 0, 2, 1].into(), 443));
    let header = Header { ends: Some(ends), authority: Some(b"a.b"), unique_id: Some(b"id") };
    let how = SendProxy::V2
        .with(SendProxy::CRC32C)
        .with(SendProxy::AUTHORITY)
        .with(SendProxy::UNIQUE_ID)
        .with(SendProxy::SSL);
    write(how, &header, &mut summed);
    let mut wrong = summed.clone();
    wrong[20] ^= 1;
    vec![
        b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\nGET / HTTP/1.1\r\n\r\n".to_vec(),
        b"PROXY TCP6 2001:db8::1 ::ffff:192.0.2.1 4711 443\r\n".to_vec(),
        b"PROXY UNKNOWN\r\nEHLO\r\n".to_vec(),
        b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(),
        b"PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n".to_vec(),
        b"PROXY TCP4 256.0.2.7 192.0.2.1 4711 70000\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7\r192.0.2.1\r4711\r443\r\n".to_vec(),
        b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2 3\r\n".to_vec(),
        block(0x21, 0x11, V4),
        block(0x21, 0x21, V6),
        block(0x20, 0, b""),
        block(0x20, 0x11, &[V4, b"\x02\0"].concat()),
        block(0x21, 0x31, &[0; 216]),
        block(0x21, 0x12, V4),
        block(0x21, 0x11, &[V4, &name, &id, &ssl].concat()),
        block(0x21, 0x21, &[V6, &id, &extra(4, &[0; 40]), &name].concat()),
        block(0x21, 0x11, &[V4, &[2, 1, 0]].concat()),
        summed,
        wrong,
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec(),
    ]
}

fn words() -> Vec<Vec<u8>> {
    let words: [&[u8]; 16] = [
        b"PROXY ",
        b"TCP4 ",
        b"TCP6 ",
        b"UNKNOWN",
        b"\r\n",
        b"192.0.2.7 ",
        b"2001:db8::1 ",
        b"::ffff:192.0.2.1 ",
        b"65535",
        SIGNATURE,
        b"\x21\x11\0\x0c",
        b"\x21\x21\0\x24",
        b"\x20\0\0\0",
        b"\x02\0\x04",
        b"\x03\0\x04",
        b"\x05\0\x04",
    ];
    words.map(<[u8]>::to_vec).to_vec()
}
