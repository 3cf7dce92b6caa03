//! The small parts of a line: numbers, addresses, and bytes that must not break it.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Appends a number in decimal.
#[inline]
pub fn push_number(n: u64, out: &mut Vec<u8>) {
    // Most numbers of a line have one digit, and nearly all at most three.
    let digit = |n: u64| b'0' + (n % 10) as u8;
    match n {
        0..10 => out.push(digit(n)),
        10..100 => out.extend_from_slice(&[digit(n / 10), digit(n)]),
        100..1_000 => out.extend_from_slice(&[digit(n / 100), digit(n / 10), digit(n)]),
        _ => push_long(n, out),
    }
}

#[inline(never)]
fn push_long(n: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

/// Appends a number, or -1 if there is none.
pub fn push_or_minus_one(n: Option<u64>, out: &mut Vec<u8>) {
    match n {
        Some(n) => push_number(n, out),
        None => out.extend_from_slice(b"-1"),
    }
}

/// Appends an address.
pub fn push_ip(ip: IpAddr, out: &mut Vec<u8>) {
    match ip {
        IpAddr::V4(ip) => push_octets(ip.octets(), out),
        IpAddr::V6(ip) => push_v6(ip, out),
    }
}

/// Appends `address:port`. An IPv6 address has no brackets.
pub fn push_endpoint(at: SocketAddr, out: &mut Vec<u8>) {
    push_ip(at.ip(), out);
    out.push(b':');
    push_number(at.port().into(), out);
}

fn push_octets(octets: [u8; 4], out: &mut Vec<u8>) {
    let mut text = [0; 15];
    let mut len = 0;
    for (i, octet) in octets.into_iter().enumerate() {
        if i > 0 {
            text[len] = b'.';
            len += 1;
        }
        if octet >= 100 {
            text[len] = b'0' + octet / 100;
            len += 1;
        }
        if octet >= 10 {
            text[len] = b'0' + octet / 10 % 10;
            len += 1;
        }
        text[len] = b'0' + octet % 10;
        len += 1;
    }
    out.extend_from_slice(&text[..len]);
}

/// RFC 5952: the first longest run of two or more zero groups becomes `::`.
fn push_v6(ip: Ipv6Addr, out: &mut Vec<u8>) {
    if let Some(v4) = ip.to_ipv4_mapped() {
        out.extend_from_slice(b"::ffff:");
        return push_octets(v4.octets(), out);
    }
    let groups = ip.segments();
    let (mut zeros, mut run) = (0..0, 0..0);
    for (i, &group) in groups.iter().enumerate() {
        run = if group == 0 { run.start..i + 1 } else { i + 1..i + 1 };
        if run.len() > zeros.len().max(1) {
            zeros = run.clone();
        }
    }
    let mut i = 0;
    while i < groups.len() {
        if i == zeros.start && !zeros.is_empty() {
            out.extend_from_slice(b"::");
            i = zeros.end;
            continue;
        }
        if i > 0 && i != zeros.end {
            out.push(b':');
        }
        push_group(groups[i], out);
        i += 1;
    }
}

fn push_group(group: u16, out: &mut Vec<u8>) {
    let digits = (16 - group.leading_zeros()).div_ceil(4).max(1);
    for i in (0..digits).rev() {
        out.push(HEX_LOWER[usize::from(group >> (4 * i) & 15)]);
    }
}

const HEX_LOWER: &[u8; 16] = b"0123456789abcdef";
pub(super) const HEX_UPPER: &[u8; 16] = b"0123456789ABCDEF";

/// Appends bytes of a request line: `"`, `#` and what is not printable ASCII become `#XX`.
///
/// `out` grows to `stop` bytes at most. An escape that would reach `stop` ends the text.
pub fn push_escaped(bytes: &[u8], stop: usize, out: &mut Vec<u8>) {
    escape::<false>(bytes, stop, out);
}

/// Appends a captured header: like [`push_escaped`], with `{`, `|` and `}` escaped too.
pub fn push_captured(bytes: &[u8], stop: usize, out: &mut Vec<u8>) {
    escape::<true>(bytes, stop, out);
}

fn escape<const CAPTURE: bool>(mut bytes: &[u8], stop: usize, out: &mut Vec<u8>) {
    loop {
        let clean = clean_prefix::<CAPTURE>(bytes);
        let room = stop.saturating_sub(out.len());
        out.extend_from_slice(&bytes[..clean.min(room)]);
        if clean == bytes.len() || out.len() + 3 >= stop {
            return;
        }
        let byte = usize::from(bytes[clean]);
        out.extend_from_slice(&[b'#', HEX_UPPER[byte >> 4], HEX_UPPER[byte & 15]]);
        bytes = &bytes[clean + 1..];
    }
}

/// How many bytes from the start need no escape.
fn clean_prefix<const CAPTURE: bool>(bytes: &[u8]) -> usize {
    // Sixteen at a time without a branch in between: this is what compilers turn into vectors.
    let (chunks, tail) = bytes.as_chunks::<16>();
    let is_clean = |chunk: &[u8; 16]| {
        chunk.iter().fold(0, |dirty, &b| dirty | u8::from(is_unsafe::<CAPTURE>(b))) == 0
    };
    let mut clean = 16 * chunks.iter().take_while(|chunk| is_clean(chunk)).count();
    if clean == bytes.len() - tail.len() {
        let mut padded = [b' '; 16];
        padded[..tail.len()].copy_from_slice(tail);
        if is_clean(&padded) {
            return bytes.len();
        }
    }
    // There is one that does, within the chunk or tail that starts here.
    while !is_unsafe::<CAPTURE>(bytes[clean]) {
        clean += 1;
    }
    clean
}

const fn is_unsafe<const CAPTURE: bool>(b: u8) -> bool {
    (b < b' ') | (b > b'~') | (b == b'"') | (b == b'#') | (CAPTURE & (b >= b'{') & (b <= b'}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn addresses_are_written_as_the_standard_library_does() {
        let table = [
            "0.0.0.0:0",
            "9.10.99.100:1",
            "255.255.255.255:65535",
            "[::]:80",
            "[::1]:80",
            "[1::]:80",
            "[2001:db8::1:0:0:1]:443",
            "[2001:0:0:1::1]:443",
            "[2001:db8:0:1:1:1:1:1]:443",
            "[fe80::abcd:ef01:10:200]:9",
            "[1:2:3:4:5:6:7:8]:9",
            "[0:1:2:3:4:5:6:7]:9",
            "[0:0:1::]:9",
            "[::ffff:192.0.2.7]:10",
        ];
        for address in table {
            let at: SocketAddr = address.parse().unwrap();
            let expected = format!("{}:{}", at.ip(), at.port());
            assert_eq!(text(|out| push_endpoint(at, out)), expected);
        }
    }

    #[test]
    fn what_breaks_a_line_is_escaped() {
        let long = format!("{}\"{}", "x".repeat(40), "y".repeat(20));
        let table: &[(&[u8], &str, &str)] = &[
            (b"", "", ""),
            (b" !~", " !~", " !~"),
            (b"\"#\\", "#22#23\\", "#22#23\\"),
            (b"{|}", "{|}", "#7B#7C#7D"),
            (b"\0\x1f\x7f\x80\xff", "#00#1F#7F#80#FF", "#00#1F#7F#80#FF"),
            (long.as_bytes(), &long.replace('"', "#22"), &long.replace('"', "#22")),
        ];
        for &(bytes, plain, captured) in table {
            assert_eq!(text(|out| push_escaped(bytes, 1000, out)), plain);
            assert_eq!(text(|out| push_captured(bytes, 1000, out)), captured);
        }
    }

    #[test]
    fn text_ends_at_its_limit_and_never_within_an_escape() {
        let table: &[(&[u8], usize, &str)] = &[
            (b"abcdef", 4, "abcd"),
            (b"a##", 4, "a"),
            (b"a##", 5, "a#23"),
            (b"##b", 4, "#23"),
            (b"##b", 3, ""),
            (b"abc", 0, ""),
        ];
        for &(bytes, stop, expected) in table {
            assert_eq!(text(|out| push_escaped(bytes, stop, out)), expected);
        }
    }

    #[test]
    fn numbers_have_no_padding() {
        for n in [0, 9, 10, 1234, u64::MAX] {
            assert_eq!(text(|out| push_number(n, out)), n.to_string());
        }
        assert_eq!(text(|out| push_or_minus_one(None, out)), "-1");
    }
}
