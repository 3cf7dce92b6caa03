//! What a sample is: a typed value that borrows its bytes, and the casts between the types.

use core::net::{IpAddr, Ipv4Addr};

use super::Arena;

/// The type of a sample, as far as the configuration alone tells it (HAProxy's `SMP_T_*`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Kind {
    /// Any type; only the value knows.
    Any,
    /// True or false.
    Bool,
    /// A signed number of 64 bits.
    Int,
    /// An address of either family.
    Addr,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// Text.
    Str,
    /// Bytes.
    Bin,
    /// An HTTP method.
    Method,
}

impl Kind {
    /// HAProxy's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Any => "any",
            Kind::Bool => "bool",
            Kind::Int => "sint",
            Kind::Addr => "addr",
            Kind::Ipv4 => "ipv4",
            Kind::Ipv6 => "ipv6",
            Kind::Str => "str",
            Kind::Bin => "bin",
            Kind::Method => "meth",
        }
    }

    /// Whether some value of this type can be cast to `to`: what is checked when an expression is
    /// compiled.
    pub const fn casts_to(self, to: Kind) -> bool {
        use Kind::*;
        match (self, to) {
            (Any, _) | (_, Any) => true,
            (Bool, Bool | Int | Str | Bin) => true,
            (Int, Method) => false,
            (Int, _) => true,
            (Addr, Addr | Ipv4 | Ipv6 | Str | Bin) => true,
            (Ipv4, Int | Addr | Ipv4 | Ipv6 | Str | Bin) => true,
            (Ipv6, Addr | Ipv4 | Ipv6 | Str | Bin) => true,
            (Str, _) => true,
            (Bin, Str | Bin | Method) => true,
            (Method, Str | Bin | Method) => true,
            _ => false,
        }
    }
}

/// A sample's value. Its bytes lie in a message, in the configuration, or in an [`Arena`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value<'a> {
    /// True or false.
    Bool(bool),
    /// A number.
    Int(i64),
    /// An address.
    Ip(IpAddr),
    /// Text: bytes that need not be UTF-8.
    Str(&'a [u8]),
    /// Bytes.
    Bin(&'a [u8]),
    /// An HTTP method, by its name.
    Method(&'a [u8]),
}

impl<'a> Value<'a> {
    /// Its type.
    pub const fn kind(self) -> Kind {
        match self {
            Value::Bool(_) => Kind::Bool,
            Value::Int(_) => Kind::Int,
            Value::Ip(IpAddr::V4(_)) => Kind::Ipv4,
            Value::Ip(IpAddr::V6(_)) => Kind::Ipv6,
            Value::Str(_) => Kind::Str,
            Value::Bin(_) => Kind::Bin,
            Value::Method(_) => Kind::Method,
        }
    }

    /// The value as `to`; none if it cannot be one. Text that must be made lies in `arena`.
    pub fn cast(self, to: Kind, arena: &'a Arena) -> Option<Value<'a>> {
        let value = match to {
            Kind::Any => self,
            Kind::Bool => Value::Bool(self.to_bool()?),
            Kind::Int => Value::Int(self.to_int()?),
            Kind::Addr => Value::Ip(self.to_ip()?),
            Kind::Ipv4 => match self.to_ip()? {
                IpAddr::V4(ip) => Value::Ip(ip.into()),
                IpAddr::V6(ip) => Value::Ip(embedded_v4(ip)?.into()),
            },
            Kind::Ipv6 => match self.to_ip()? {
                IpAddr::V4(ip) => Value::Ip(ip.to_ipv6_mapped().into()),
                ip => Value::Ip(ip),
            },
            Kind::Str => Value::Str(self.text(arena)),
            Kind::Bin => Value::Bin(self.bytes(arena)?),
            Kind::Method => match self {
                Value::Str(name) | Value::Bin(name) | Value::Method(name) => Value::Method(name),
                _ => return None,
            },
        };
        Some(value)
    }

    /// As a truth value: numbers are true unless zero, text if it begins with such a number.
    pub fn to_bool(self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(b),
            other => other.to_int().map(|n| n != 0),
        }
    }

    /// As a number. Text counts as far as it is one: `12ab` is 12, `ab` is 0, as HAProxy has it;
    /// no text at all is no number.
    pub fn to_int(self) -> Option<i64> {
        match self {
            Value::Bool(b) => Some(b.into()),
            Value::Int(n) => Some(n),
            Value::Ip(IpAddr::V4(ip)) => Some(u32::from(ip).into()),
            Value::Str(text) => (!text.is_empty()).then(|| leading_int(text)),
            Value::Ip(IpAddr::V6(_)) | Value::Bin(_) | Value::Method(_) => None,
        }
    }

    /// As an address.
    pub fn to_ip(self) -> Option<IpAddr> {
        match self {
            Value::Ip(ip) => Some(ip),
            // The low 32 bits, as HAProxy takes them.
            Value::Int(n) => Some(Ipv4Addr::from(n as u32).into()),
            Value::Str(text) => parse_ip(text),
            Value::Bool(_) | Value::Bin(_) | Value::Method(_) => None,
        }
    }

    /// As text, which always can be made: bytes count up to the first NUL.
    pub fn text(self, arena: &'a Arena) -> &'a [u8] {
        match self {
            Value::Str(text) | Value::Method(text) => text,
            Value::Bool(b) => {
                if b {
                    b"1"
                } else {
                    b"0"
                }
            }
            Value::Int(n) => arena.alloc_slice_copy(itoa::Buffer::new().format(n).as_bytes()),
            Value::Ip(ip) => {
                use std::io::Write;
                let mut text = [0; 45];
                let mut rest = &mut text[..];
                // 45 bytes hold every address.
                let _ = match compatible_v4(ip) {
                    Some(v4) => write!(rest, "::{v4}"),
                    None => write!(rest, "{ip}"),
                };
                let len = 45 - rest.len();
                arena.alloc_slice_copy(&text[..len])
            }
            Value::Bin(bytes) => match memchr::memchr(0, bytes) {
                Some(end) => &bytes[..end],
                None => bytes,
            },
        }
    }

    /// As bytes: numbers are 8 bytes, addresses 4 or 16, in network order.
    pub fn bytes(self, arena: &'a Arena) -> Option<&'a [u8]> {
        match self {
            Value::Bin(bytes) | Value::Str(bytes) | Value::Method(bytes) => Some(bytes),
            Value::Int(n) => Some(arena.alloc_slice_copy(&n.to_be_bytes())),
            Value::Ip(IpAddr::V4(ip)) => Some(arena.alloc_slice_copy(&ip.octets())),
            Value::Ip(IpAddr::V6(ip)) => Some(arena.alloc_slice_copy(&ip.octets())),
            Value::Bool(b) => Some(arena.alloc_slice_copy(&i64::from(b).to_be_bytes())),
        }
    }
}

/// The IPv4 address in whose form the C library writes `::a.b.c.d`, which Rust does not.
fn compatible_v4(ip: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(ip) = ip else { return None };
    let bits = ip.to_bits();
    (bits >> 32 == 0 && bits >> 16 != 0).then(|| Ipv4Addr::from(bits as u32))
}

/// The IPv4 address that an IPv6 one stands for: mapped, compatible, or 6to4.
pub(crate) fn embedded_v4(ip: core::net::Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, ..] = ip.octets()[2..] else { return None };
    if ip.segments()[0] == 0x2002 {
        return Some(Ipv4Addr::new(a, b, c, d));
    }
    let [.., e, f, g, h] = ip.octets();
    let zeros = ip.octets()[..10].iter().all(|octet| *octet == 0);
    (zeros && matches!(ip.segments()[5], 0 | 0xffff)).then(|| Ipv4Addr::new(e, f, g, h))
}

/// The number that text begins with, 0 if it does not begin with one; what is too large is the
/// largest there is.
pub fn leading_int(text: &[u8]) -> i64 {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let mut n: i64 = 0;
    for digit in digits.iter().take_while(|b| b.is_ascii_digit()) {
        let digit = i64::from(digit - b'0');
        n = n.saturating_mul(10);
        n = if negative { n.saturating_sub(digit) } else { n.saturating_add(digit) };
    }
    n
}

/// An address in text, of either family. As in HAProxy, what stands behind four octets is ignored
/// unless it is one more dot.
pub fn parse_ip(text: &[u8]) -> Option<IpAddr> {
    match parse_ipv4(text) {
        Some(ip) => Some(ip.into()),
        None => core::str::from_utf8(text).ok()?.parse().ok().filter(IpAddr::is_ipv6),
    }
}

fn parse_ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let (mut octets, mut at) = ([0u8; 4], 0);
    for (index, octet) in octets.iter_mut().enumerate() {
        if index > 0 {
            if text.get(at) != Some(&b'.') {
                return None;
            }
            at += 1;
        }
        let first = at;
        while let Some(digit @ b'0'..=b'9') = text.get(at) {
            *octet = octet.checked_mul(10)?.checked_add(digit - b'0')?;
            at += 1;
        }
        if at == first {
            return None;
        }
    }
    (text.get(at) != Some(&b'.')).then(|| octets.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts() {
        let arena = Arena::new();
        let ip = |text: &str| Value::Ip(text.parse().expect(text));
        for (from, to, expected) in [
            (Value::Bool(true), Kind::Str, Some(Value::Str(b"1"))),
            (Value::Bool(false), Kind::Int, Some(Value::Int(0))),
            (Value::Int(-7), Kind::Str, Some(Value::Str(b"-7"))),
            (Value::Int(-7), Kind::Bool, Some(Value::Bool(true))),
            (Value::Int(0x7f00_0001), Kind::Ipv4, Some(ip("127.0.0.1"))),
            (Value::Int(1), Kind::Bin, Some(Value::Bin(&[0, 0, 0, 0, 0, 0, 0, 1]))),
            (ip("1.2.3.4"), Kind::Int, Some(Value::Int(0x0102_0304))),
            (ip("1.2.3.4"), Kind::Ipv6, Some(ip("::ffff:1.2.3.4"))),
            (ip("::ffff:1.2.3.4"), Kind::Ipv4, Some(ip("1.2.3.4"))),
            (ip("2002:102:304::"), Kind::Ipv4, Some(ip("1.2.3.4"))),
            (ip("2001:db8::1"), Kind::Ipv4, None),
            (ip("2001:db8::1"), Kind::Str, Some(Value::Str(b"2001:db8::1"))),
            (Value::Str(b"12ab"), Kind::Int, Some(Value::Int(12))),
            (Value::Str(b"ab"), Kind::Bool, Some(Value::Bool(false))),
            (Value::Str(b"1.2.3.4"), Kind::Addr, Some(ip("1.2.3.4"))),
            (Value::Str(b"1.2.3"), Kind::Addr, None),
            (Value::Str(b"GET"), Kind::Method, Some(Value::Method(b"GET"))),
            (Value::Bin(&[0xab, 1, 0, 2]), Kind::Str, Some(Value::Str(&[0xab, 1]))),
            (Value::Bool(true), Kind::Bin, Some(Value::Bin(&[0, 0, 0, 0, 0, 0, 0, 1]))),
            (Value::Str(b""), Kind::Int, None),
            (Value::Str(b"1.2.3.4:80"), Kind::Addr, Some(ip("1.2.3.4"))),
            (ip("::1.2.3.4"), Kind::Str, Some(Value::Str(b"::1.2.3.4"))),
            (Value::Method(b"GET"), Kind::Str, Some(Value::Str(b"GET"))),
            (Value::Method(b"GET"), Kind::Int, None),
        ] {
            assert_eq!(from.cast(to, &arena), expected, "{from:?} to {to:?}");
            assert!(expected.is_none() || from.kind().casts_to(to), "{from:?} to {to:?}");
        }
    }

    #[test]
    fn numbers_at_the_start_of_text() {
        for (text, n) in [
            ("", 0),
            ("+5", 5),
            ("-5x", -5),
            ("9223372036854775807", i64::MAX),
            ("99999999999999999999", i64::MAX),
            ("-99999999999999999999", i64::MIN),
        ] {
            assert_eq!(leading_int(text.as_bytes()), n, "{text}");
        }
    }
}
