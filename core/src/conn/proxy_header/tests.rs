//! What HAProxy 2.6 takes and refuses was measured with each of these headers; where we differ, the
//! test says so.

use core::net::SocketAddr;

use proptest::prelude::*;

use super::*;

const MAX: usize = 16_384;
const V4: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 4, 87, 8, 174];
const V6: &[u8] = &[
    0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 2, 4, 87, 8, 174,
];

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn between(source: &str, destination: &str) -> Option<Ends> {
    Some(Ends { source: at(source), destination: at(destination) })
}

/// A block of version 2 with the length of its body.
fn block(version: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut block = SIGNATURE.to_vec();
    block.extend([version, family]);
    block.extend((body.len() as u16).to_be_bytes());
    block.extend(body);
    block
}

fn extra(kind: u8, value: &[u8]) -> Vec<u8> {
    let mut extra = vec![kind];
    extra.extend((value.len() as u16).to_be_bytes());
    extra.extend(value);
    extra
}

fn v4_with(extras: &[&[u8]]) -> Vec<u8> {
    block(0x21, 0x11, &[V4, &extras.concat()].concat())
}

/// Reads a header followed by a request, and the header cut at every byte: what is whole needs
/// every byte of it, and what is bad is so however it comes.
fn outcome(header: &[u8]) -> Result<Header<'_>, HeaderFault> {
    let followed = [header, b"GET / HTTP/1.1\r\n"].concat();
    let found = read(&followed, MAX);
    let whole = matches!(found, Found::Whole { .. });
    let mut seen = Found::NeedMore;
    for cut in 0..header.len() {
        let now = read(&header[..cut], MAX);
        match (seen, now) {
            (Found::NeedMore, now) => seen = now,
            (Found::Bad { fault, .. }, Found::Bad { fault: again, .. }) => {
                assert_eq!(fault, again, "cut at {cut}");
            }
            (seen, now) => panic!("{seen:?} became {now:?} at {cut}"),
        }
        assert!(!whole || now == Found::NeedMore, "{now:?} of {cut} bytes");
    }
    match (read(header, MAX), found) {
        (Found::Whole { len, header: read }, Found::Whole { len: again, .. }) => {
            assert_eq!((len, again), (header.len(), header.len()));
            Ok(read)
        }
        (_, Found::Bad { fault, .. }) => Err(fault),
        (alone, followed) => panic!("{alone:?} alone, {followed:?} with more behind it"),
    }
}

fn line(text: &str) -> Result<Option<Ends>, HeaderFault> {
    outcome(text.as_bytes()).map(|header| header.ends)
}

#[test]
fn lines_that_are_sound() {
    for (text, ends) in [
        ("TCP4 1.2.3.4 5.6.7.8 1111 2222", between("1.2.3.4:1111", "5.6.7.8:2222")),
        ("TCP4 0.0.0.0 5.6.7.8 0 0", between("0.0.0.0:0", "5.6.7.8:0")),
        (
            "TCP4 255.255.255.255 255.255.255.255 65535 65535",
            between("255.255.255.255:65535", "255.255.255.255:65535"),
        ),
        ("TCP6 2001:db8::1 ::ffff:1.2.3.4 1 2", between("[2001:db8::1]:1", "[::ffff:1.2.3.4]:2")),
        ("TCP6 2001:DB8::1 1:2:3:4:5:6:7:8 1 2", between("[2001:db8::1]:1", "[1:2:3:4:5:6:7:8]:2")),
        (
            "TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
             65535 65535",
            between(
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
            ),
        ),
        ("UNKNOWN", None),
    ] {
        assert_eq!(line(&format!("PROXY {text}\r\n")), Ok(ends), "{text}");
    }
}

#[test]
fn lines_that_haproxy_refuses_too() {
    use HeaderFault::{Foreign, Invalid, Protocol};
    for (text, fault) in [
        ("PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222 \r\n", Invalid),
        ("PROXY TCP4 1.2.3.4  5.6.7.8 1111 2222\r\n", Invalid),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 1111\r\n", Invalid),
        ("PROXY TCP4 ::1 ::1 1111 2222\r\n", Invalid),
        ("PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n", Invalid),
        ("PROXY TCP6 2001:db8::1 2001:db8::2 1\r\n", Invalid),
        ("PROXY TCP6  2001:db8::1 2001:db8::2 1 2\r\n", Invalid),
        ("PROXY TCP6 fe80::1%lo ::1 1 2\r\n", Invalid),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n", Invalid),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n", Invalid),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", Invalid),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n\r\n", Invalid),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rG", Invalid),
        ("PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n", Protocol),
        ("PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n", Protocol),
        ("PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n", Protocol),
        ("PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n", Protocol),
        ("PROXY UNKNOWN \r\n", Protocol),
        ("PROXY UNKNOWNX\r\n", Protocol),
        ("PROXY UNKNOWN\n\n", Protocol),
        // The specification would have it taken; HAProxy does not.
        ("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", Protocol),
        ("proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n", Foreign),
        ("PROXY\tTCP4 1.2.3.4 5.6.7.8 1 2\r\n", Foreign),
        ("GET / HTTP/1.1\r\n", Foreign),
        ("\r\n\r\n\0\r\nQUIT\r", Foreign),
        ("\n", Foreign),
    ] {
        assert_eq!(line(text), Err(fault), "{text:?}");
    }
}

/// HAProxy 2.6 takes these, and makes some other address or port of them.
#[test]
fn lines_that_only_we_refuse() {
    for fields in [
        "TCP4 1.2.3.4 5.6.7.8 70000 2222",
        "TCP4 1.2.3.4 5.6.7.8 4294967297 2",
        "TCP4 1.2.3.4 5.6.7.8 01111 2222",
        "TCP4 1.2.3.4 5.6.7.8 1 00",
        "TCP4 01.2.3.4 5.6.7.8 1111 2222",
        "TCP4 256.2.3.4 5.6.7.8 1111 2222",
        "TCP4 1.2.3 5.6.7.8 1111 2222",
        "TCP4 1.2.3.4 5.6.7.8  2222",
        "TCP4 1.2.3.4 5.6.7.8 a 2222",
        "TCP6 2001:db8::1 2001:db8::2 70000 2222",
        "TCP6 2001:db8::1 2001:db8::2 01 2",
        "TCP6 2001:db8::1 2001:db8::2 1 2 3",
    ] {
        assert_eq!(line(&format!("PROXY {fields}\r\n")), Err(HeaderFault::Invalid), "{fields}");
    }
}

#[test]
fn a_line_has_107_bytes_at_most() {
    let line = |len: usize| {
        let mut line = b"PROXY TCP6 ".to_vec();
        line.resize(len, b'0');
        line
    };
    assert_eq!(read(&line(105), MAX), Found::NeedMore);
    assert_eq!(read(&[line(105), b"\r".to_vec()].concat(), MAX), Found::NeedMore);
    assert_eq!(read(&line(106), MAX), bad(HeaderFault::Invalid));
    assert_eq!(read(&[line(106), b"\r\n".to_vec()].concat(), MAX), bad(HeaderFault::Invalid));
}

#[test]
fn blocks_that_are_sound() {
    let own = Ok(None);
    let v4 = Ok(between("1.2.3.4:1111", "5.6.7.8:2222"));
    let v6 = Ok(between("[2001:db8::1]:1111", "[2001:db8::2]:2222"));
    let stray = [V4, &[2, 0]].concat();
    for (block, ends) in [
        (block(0x21, 0x11, V4), v4),
        (block(0x21, 0x21, V6), v6),
        // What LOCAL carries is not looked at.
        (block(0x20, 0, b""), own),
        (block(0x20, 0x11, V4), own),
        (block(0x20, 0xff, V4), own),
        (block(0x20, 0x11, &stray), own),
        (block(0x20, 0x11, &[V4, &extra(TLV_CRC32C, b"abcd")].concat()), own),
        (v4_with(&[&extra(4, b"xx"), &extra(0xe0, b"yy"), &extra(0, b"")]), v4),
        (v4_with(&[&extra(TLV_SSL, &[1])]), v4),
        // HAProxy 2.6 refuses these, which the specification has taken.
        (block(0x21, 0, b""), own),
        (block(0x21, 0, V4), own),
        (block(0x21, 0x12, V4), own),
        (block(0x21, 0x22, V6), own),
        (block(0x21, 0x31, &[0; 216]), own),
        (block(0x21, 0x32, &[0; 216]), own),
        (block(0x21, 0x10, V4), own),
    ] {
        assert_eq!(outcome(&block).map(|header| header.ends), ends, "{block:x?}");
    }
}

#[test]
fn blocks_that_are_refused() {
    use HeaderFault::{Foreign, Invalid, Truncated};
    for (block, fault) in [
        (block(0x21, 0x11, &V4[..11]), Invalid),
        (block(0x21, 0x11, b""), Invalid),
        (block(0x21, 0x21, &V6[..35]), Invalid),
        (block(0x21, 0x31, &[0; 215]), Invalid),
        (block(0x22, 0x11, V4), Invalid),
        (block(0x2f, 0x11, V4), Invalid),
        (block(0x11, 0x11, V4), Foreign),
        (block(0x31, 0x11, V4), Foreign),
        (block(0x21, 0x41, V4), Invalid),
        (block(0x21, 0x13, V4), Invalid),
        (block(0x21, 0xff, V4), Invalid),
        (v4_with(&[&[2]]), Invalid),
        (v4_with(&[&[2, 0]]), Invalid),
        (v4_with(&[&[2, 0, 4, 1, 2, 3]]), Invalid),
        (v4_with(&[&extra(TLV_AUTHORITY, &[b'a'; 256])]), Invalid),
        (v4_with(&[&extra(TLV_UNIQUE_ID, &[b'u'; 129])]), Invalid),
        (v4_with(&[&extra(TLV_CRC32C, b"abc")]), Invalid),
        (v4_with(&[&extra(TLV_CRC32C, b"abcd")]), Invalid),
        (block(0x21, 0x11, &vec![0; MAX - FIXED + 1]), Truncated),
    ] {
        let text = format!("{:x?}", &block[..block.len().min(60)]);
        assert_eq!(outcome(&block), Err(fault), "{text}");
    }
    assert!(outcome(&v4_with(&[&extra(4, &[b'x'; MAX - 31])])).is_ok());
}

/// HAProxy 2.6 names the client by the addresses that it read when what stands behind them is
/// wrong, and by its own before.
#[test]
fn a_fault_behind_the_addresses_tells_them() {
    let bad_extra = v4_with(&[&[2, 0]]);
    let ends = between("1.2.3.4:1111", "5.6.7.8:2222");
    assert_eq!(read(&bad_extra, MAX), Found::Bad { fault: HeaderFault::Invalid, ends });
    assert_eq!(read(&block(0x21, 0x11, &V4[..11]), MAX), bad(HeaderFault::Invalid));
}

#[test]
fn extras() {
    let header = |extras: &[&[u8]]| {
        let block = v4_with(extras);
        let header = outcome(&block).expect("it is sound");
        (header.authority.map(<[u8]>::to_vec), header.unique_id.map(<[u8]>::to_vec))
    };
    let some = |text: &[u8]| Some(text.to_vec());
    let (name, id) = (extra(TLV_AUTHORITY, b"example.com"), extra(TLV_UNIQUE_ID, b"id"));
    assert_eq!(header(&[]), (None, None));
    assert_eq!(header(&[&name]), (some(b"example.com"), None));
    assert_eq!(header(&[&id, &name]), (some(b"example.com"), some(b"id")));
    assert_eq!(header(&[&name, &extra(TLV_AUTHORITY, b"last")]), (some(b"last"), None));
    assert_eq!(header(&[&extra(TLV_AUTHORITY, b"")]), (some(b""), None));
    assert_eq!(header(&[&extra(TLV_AUTHORITY, &[b'a'; 255])]), (some(&[b'a'; 255]), None));
    assert_eq!(header(&[&extra(TLV_AUTHORITY, b"\0\xff\r\n")]), (some(b"\0\xff\r\n"), None));
    assert_eq!(header(&[&extra(TLV_UNIQUE_ID, &[b'u'; 128])]), (None, some(&[b'u'; 128])));
}

/// The sums are HAProxy's.
#[test]
fn a_sum_counts_every_byte_of_the_block() {
    let sent = |hex: &str| {
        let digits: Vec<u8> = hex.bytes().collect();
        let byte = |pair: &[u8]| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok();
        digits.chunks(2).filter_map(byte).collect::<Vec<u8>>()
    };
    let body = "0102030405060708045708ae0300041eed3cbf02000c617574682e6578616d706c65\
                05000d69642d312e322e332e342d3137";
    let sound = block(0x21, 0x11, &sent(body));
    let header = outcome(&sound).expect("its sum is right");
    let extras = (header.authority, header.unique_id);
    assert_eq!(extras, (Some(&b"auth.example"[..]), Some(&b"id-1.2.3.4-17"[..])));
    // The type of the sum itself, changed, would make it something else.
    for flipped in (FIXED..sound.len()).filter(|&at| at != FIXED + V4.len()) {
        let mut wrong = sound.clone();
        wrong[flipped] ^= 1;
        assert!(outcome(&wrong).is_err(), "byte {flipped}");
    }
    let twice = [&sent(body)[..], &extra(TLV_CRC32C, &[0; 4])].concat();
    assert!(outcome(&block(0x21, 0x11, &twice)).is_err());
}

fn written(how: SendProxy, header: &Header<'_>) -> Vec<u8> {
    let mut out = b"before".to_vec();
    write(how, header, &mut out);
    assert_eq!(out[..6], *b"before");
    out.split_off(6)
}

#[test]
fn lines_as_haproxy_writes_them() {
    for (source, destination, expected) in [
        ("127.0.0.1:53562", "127.0.0.1:9620", "PROXY TCP4 127.0.0.1 127.0.0.1 53562 9620\r\n"),
        ("[::1]:34604", "[::1]:9620", "PROXY TCP6 ::1 ::1 34604 9620\r\n"),
        ("[::ffff:1.2.3.4]:1", "[::1]:2", "PROXY TCP6 ::ffff:1.2.3.4 ::1 1 2\r\n"),
        (
            "[2001:db8::9]:54234",
            "127.0.0.1:9642",
            "PROXY TCP6 2001:db8::9 ::ffff:127.0.0.1 54234 9642\r\n",
        ),
    ] {
        let header = Header { ends: between(source, destination), ..Header::default() };
        // A header is sent if any option is set.
        for how in [SendProxy::V1, SendProxy::CRC32C, SendProxy::SSL] {
            assert_eq!(written(how, &header), expected.as_bytes());
        }
        assert_eq!(written(SendProxy::NONE, &header), b"");
    }
    assert_eq!(written(SendProxy::V1, &Header::default()), b"PROXY UNKNOWN\r\n");
}

#[test]
fn blocks_as_haproxy_writes_them() {
    let v4 = Header { ends: between("127.0.0.1:43914", "127.0.0.1:9621"), ..Header::default() };
    let body = [127, 0, 0, 1, 127, 0, 0, 1, 0xab, 0x8a, 0x25, 0x95];
    assert_eq!(written(SendProxy::V2, &v4), block(0x21, 0x11, &body));
    // Version 1 is not sent beside version 2.
    assert_eq!(written(SendProxy::V2.with(SendProxy::V1), &v4), block(0x21, 0x11, &body));
    let ssl = SendProxy::V2.with(SendProxy::SSL);
    let told = [&body[..], &extra(TLV_SSL, &[0; 5])].concat();
    assert_eq!(written(ssl, &v4), block(0x21, 0x11, &told));
    // A unix client, with and without options.
    assert_eq!(written(SendProxy::V2, &Header::default()), block(0x20, 0, b""));
    let all = ssl.with(SendProxy::CRC32C).with(SendProxy::UNIQUE_ID).with(SendProxy::AUTHORITY);
    let sum = extra(TLV_CRC32C, &[0x95, 0x5e, 0x6a, 0]);
    let extras = [sum, extra(TLV_UNIQUE_ID, b""), extra(TLV_SSL, &[0; 5])].concat();
    assert_eq!(written(all, &Header::default()), block(0x20, 0, &extras));
    let mixed = Header { ends: between("[2001:db8::9]:58702", "127.0.0.1:9643"), ..v4 };
    let mapped: Ends = between("[2001:db8::9]:58702", "[::ffff:127.0.0.1]:9643").expect("ends");
    let wire = written(SendProxy::V2, &mixed);
    assert_eq!(outcome(&wire).map(|header| header.ends), Ok(Some(mapped)));
    let passed_on = Header { authority: Some(b"auth.example"), ..v4 };
    let both = SendProxy::V2.with(SendProxy::AUTHORITY);
    let named = [&body[..], &extra(TLV_AUTHORITY, b"auth.example")].concat();
    assert_eq!(written(both, &passed_on), block(0x21, 0x11, &named));
    assert_eq!(written(SendProxy::V2, &passed_on), block(0x21, 0x11, &body));
}

fn any_ends() -> impl Strategy<Value = Option<Ends>> {
    let v4 =
        (any::<[u8; 4]>(), any::<[u8; 4]>()).prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b)));
    let v6 = (any::<[u8; 16]>(), any::<[u8; 16]>())
        .prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b)));
    let ends = (prop_oneof![v4, v6], any::<u16>(), any::<u16>()).prop_map(|((a, b), from, to)| {
        Ends { source: SocketAddr::new(a, from), destination: SocketAddr::new(b, to) }
    });
    proptest::option::of(ends)
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        how in 1u8..=255,
        ends in any_ends(),
        authority in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..=255)),
        id in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..=128)),
    ) {
        let all = [
            SendProxy::V1, SendProxy::V2, SendProxy::SSL, SendProxy::CERT_CN, SendProxy::SSL_MORE,
            SendProxy::CRC32C, SendProxy::UNIQUE_ID, SendProxy::AUTHORITY,
        ];
        let mut asked = SendProxy::NONE;
        for bit in all.into_iter().filter(|bit| bit.bits() & how != 0) {
            asked.set(bit);
        }
        let header =
            Header { ends, authority: authority.as_deref(), unique_id: id.as_deref() };
        let wire = written(asked, &header);
        let block = asked.has(SendProxy::V2) && ends.is_some();
        let told = |bit: SendProxy, value| if block && asked.has(bit) { value } else { None };
        let expected = Header {
            ends,
            authority: told(SendProxy::AUTHORITY, header.authority),
            unique_id: told(SendProxy::UNIQUE_ID, header.unique_id.or(Some(b""))),
        };
        prop_assert_eq!(outcome(&wire), Ok(expected));
    }

    #[test]
    fn any_bytes_are_read_without_harm(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
        front in 0usize..3,
    ) {
        let front: &[u8] = [&b""[..], b"PROXY TCP4 ", SIGNATURE][front];
        bytes.splice(0..0, front.iter().copied());
        if let Found::Whole { len, .. } = read(&bytes, MAX) {
            prop_assert!(len <= bytes.len());
        }
    }
}
