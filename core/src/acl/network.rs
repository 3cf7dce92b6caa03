//! Networks as patterns: how they are written.

use core::net::{Ipv4Addr, Ipv6Addr};

/// Looks a host name up.
pub type Resolve<'r> = &'r dyn Fn(&str) -> Option<Ipv4Addr>;

/// What a pattern of `ip` stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Network {
    /// IPv4 addresses that begin so.
    V4(u32, u8),
    /// IPv6 addresses that begin so.
    V6(u128, u8),
    /// IPv4 addresses that are the same where the mask (the second) has ones, which are not all
    /// at its start.
    Masked(u32, u32),
}

impl Network {
    /// Reads an address, perhaps with a mask or a number of bits. What is no address may be a name
    /// that `resolve` knows.
    pub(super) fn parse(text: &str, resolve: Option<Resolve<'_>>) -> Result<Network, String> {
        let wrong = || format!("'{text}' is not a valid IPv4 or IPv6 address");
        let (address, mask) = match text.split_once('/') {
            Some((address, mask)) => (address, Some(mask)),
            None => (text, None),
        };
        if let Ok(ip) = address.parse::<Ipv6Addr>() {
            let bits = mask.map_or(Some(128), |mask| bits(mask, 128)).ok_or_else(wrong)?;
            let ip = u128::from(ip) & u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            return Ok(Network::V6(ip, bits));
        }
        let ip = match address.parse::<Ipv4Addr>() {
            Ok(ip) => ip,
            Err(_) => {
                let resolve = resolve.ok_or_else(wrong)?;
                classic_v4(address).or_else(|| resolve(address)).ok_or_else(wrong)?
            }
        };
        let mask = match mask {
            None => u32::MAX,
            Some(text) => match text.parse::<Ipv4Addr>() {
                Ok(mask) => mask.into(),
                Err(_) => {
                    let bits = bits(text, 32).ok_or_else(wrong)?;
                    u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)
                }
            },
        };
        let ip = u32::from(ip) & mask;
        let bits = mask.leading_ones();
        let whole = mask.count_ones() == bits;
        Ok(if whole { Network::V4(ip, bits as u8) } else { Network::Masked(ip, mask) })
    }
}

/// A number of bits.
fn bits(text: &str, max: u8) -> Option<u8> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|bits| digits && *bits <= max)
}

/// An IPv4 address in one of the old forms: fewer numbers, of which the last fills the rest, and
/// octal numbers (`10.1` is 10.0.0.1).
fn classic_v4(text: &str) -> Option<Ipv4Addr> {
    let mut parts = [0u32; 4];
    let mut count = 0;
    for part in text.split('.') {
        let slot = parts.get_mut(count)?;
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let octal = part.len() > 1 && part.starts_with('0');
        *slot = u32::from_str_radix(part, if octal { 8 } else { 10 }).ok()?;
        count += 1;
    }
    let last = parts[count - 1];
    let room = 8 * (5 - count as u32);
    if room < 32 && last >> room != 0 {
        return None;
    }
    let mut ip = last;
    for (at, part) in parts[..count - 1].iter().enumerate() {
        if *part > 255 {
            return None;
        }
        ip |= part << (24 - 8 * at);
    }
    Some(ip.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_as_haproxy_reads_them() {
        let localhost = |name: &str| (name == "localhost").then_some(Ipv4Addr::LOCALHOST);
        for (text, expected) in [
            ("10.1.2.3", Some(Network::V4(0x0a01_0203, 32))),
            ("10.1.2.3/8", Some(Network::V4(0x0a00_0000, 8))),
            ("10.0.0.0/0", Some(Network::V4(0, 0))),
            ("10.1.2.3/255.255.0.0", Some(Network::V4(0x0a01_0000, 16))),
            ("10.1.2.3/255.0.255.0", Some(Network::Masked(0x0a00_0200, 0xff00_ff00))),
            ("10.0/16", Some(Network::V4(0x0a00_0000, 16))),
            ("10.1", Some(Network::V4(0x0a00_0001, 32))),
            ("10", Some(Network::V4(10, 32))),
            ("010.2.3.4", Some(Network::V4(0x0802_0304, 32))),
            ("localhost", Some(Network::V4(0x7f00_0001, 32))),
            ("localhost/8", Some(Network::V4(0x7f00_0000, 8))),
            ("::1", Some(Network::V6(1, 128))),
            ("2001:db8::1/32", Some(Network::V6(0x2001_0db8 << 96, 32))),
            ("::/0", Some(Network::V6(0, 0))),
            ("10.0.0.0/33", None),
            ("10.0.0.0/x", None),
            ("10.0.0.0/+8", None),
            ("::1/129", None),
            ("fe80::1%lo", None),
            ("10.1.2.3:5", None),
            ("0x01020304", None),
            ("1.2.3.4.5", None),
            ("1..2", None),
            ("256.1", None),
            ("nowhere", None),
            ("", None),
        ] {
            assert_eq!(Network::parse(text, Some(&localhost)).ok(), expected, "{text}");
        }
        // Without look-ups the old forms are none either.
        assert!(Network::parse("10.1", None).is_err());
        assert!(Network::parse("localhost", None).is_err());
    }
}
