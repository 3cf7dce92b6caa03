//! Addresses as the configuration writes them: `ip:port`, `:port`, `[v6]:port`, ranges, offsets,
//! paths, and the prefixes in front of an `@`.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::config::{Environment, Host};

/// An address that may still be a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Endpoint {
    pub(super) host: HostPart,
    pub(super) port: PortPart,
    pub(super) family: Family,
    /// Asked for datagrams (`udp@`, `dgram+`).
    pub(super) datagram: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum HostPart {
    /// Nothing or `*`.
    Any,
    Ip(IpAddr),
    Name(String),
    Unix(Arc<str>),
    Abstract(Arc<str>),
    Fd(i32),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PortPart {
    None,
    Range(u16, u16),
    Offset(i32),
}

/// The family that a prefix asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Family {
    Any,
    V4,
    V6,
}

impl Family {
    fn fits(self, ip: IpAddr) -> bool {
        match self {
            Family::Any => true,
            Family::V4 => ip.is_ipv4(),
            Family::V6 => ip.is_ipv6(),
        }
    }
}

/// Parses one address. `$NAME` and `${NAME}` are resolved here too, outside of quotes as well.
/// Errors are sentences that name the part to blame.
pub(super) fn parse(text: &str, env: &Environment<'_>) -> Result<Endpoint, String> {
    let expanded = expand(text, env);
    let whole = expanded.as_str();
    let mut rest = whole;
    let mut datagram = false;
    if let Some(more) = rest.strip_prefix("stream+") {
        rest = more;
    } else if let Some(more) = rest.strip_prefix("dgram+") {
        (rest, datagram) = (more, true);
    }
    let (prefix, rest) = match rest.split_once('@') {
        Some((prefix, rest)) if prefix.bytes().all(|b| b.is_ascii_alphanumeric()) => (prefix, rest),
        _ if rest.starts_with('/') => ("unix", rest),
        _ => ("", rest),
    };
    let special = |host| Ok(Endpoint { host, port: PortPart::None, family: Family::Any, datagram });
    let family = match prefix {
        "" | "ip" | "tcp" => Family::Any,
        "ipv4" | "tcp4" => Family::V4,
        "ipv6" | "tcp6" => Family::V6,
        "udp" | "udp4" | "udp6" => {
            datagram = true;
            match prefix {
                "udp4" => Family::V4,
                "udp6" => Family::V6,
                _ => Family::Any,
            }
        }
        "unix" | "uxst" | "uxdg" | "abns" => {
            // sun_path holds 108 bytes with a NUL; a temporary name needs some of them.
            const PATH_MAX: usize = 96;
            if rest.is_empty() || rest.len() > PATH_MAX {
                return Err(format!("the socket path in '{whole}' must have 1 to 96 characters"));
            }
            datagram |= prefix == "uxdg";
            let path: Arc<str> = rest.into();
            let host =
                if prefix == "abns" { HostPart::Abstract(path) } else { HostPart::Unix(path) };
            return Ok(Endpoint { host, port: PortPart::None, family: Family::Any, datagram });
        }
        "fd" => {
            return match rest.parse() {
                Ok(fd) if fd >= 0 => special(HostPart::Fd(fd)),
                _ => Err(format!("file descriptor '{rest}' is not a valid integer in '{whole}'")),
            };
        }
        "sockpair" | "quic" | "quic4" | "quic6" | "ring" => {
            return Err(format!("'{prefix}@' addresses are not supported (in '{whole}')"));
        }
        _ => return Err(format!("unknown address type '{prefix}@' in '{whole}'")),
    };
    let (host, port) = split_port(rest);
    let port = port.map_or(Ok(PortPart::None), |port| parse_port(port, whole))?;
    let host =
        parse_host(host, family).map_err(|bad| format!("invalid address: '{bad}' in '{whole}'"))?;
    Ok(Endpoint { host, port, family, datagram })
}

/// The part in front of the last colon and the part behind it; no port if the colon is inside
/// brackets.
fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rfind(':') {
        Some(colon) if !text[colon..].contains(']') => (&text[..colon], Some(&text[colon + 1..])),
        _ => (text, None),
    }
}

fn parse_port(text: &str, whole: &str) -> Result<PortPart, String> {
    let number = |text: &str| {
        let bad = || format!("invalid port '{text}' in '{whole}'");
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        text.parse::<u16>().map_err(|_| bad())
    };
    if text.is_empty() {
        return Ok(PortPart::None);
    }
    if let Some(offset) = text.strip_prefix('+') {
        return Ok(PortPart::Offset(number(offset)?.into()));
    }
    if let Some(offset) = text.strip_prefix('-') {
        return Ok(PortPart::Offset(-i32::from(number(offset)?)));
    }
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(text)?, number(text)?),
    };
    if first > last {
        return Err(format!("invalid port range '{text}' in '{whole}'"));
    }
    Ok(PortPart::Range(first, last))
}

fn parse_host(text: &str, family: Family) -> Result<HostPart, &str> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match text {
        "" | "*" => return Ok(HostPart::Any),
        // The old way of writing 0.0.0.0.
        "0" => return Ok(HostPart::Ip(Ipv4Addr::UNSPECIFIED.into())),
        _ => {}
    }
    let ip = match bare {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::from),
        None => text.parse::<IpAddr>().ok(),
    };
    match ip {
        Some(ip) if family.fits(ip) => Ok(HostPart::Ip(ip)),
        Some(_) => Err(text),
        // What is made of digits and dots was meant as an address.
        None if bare.is_some() || !text.contains(|c: char| c.is_ascii_alphabetic()) => Err(text),
        None if text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) => {
            Ok(HostPart::Name(text.into()))
        }
        None => Err(text),
    }
}

/// The first address of a name that is of the family.
pub(super) fn resolve(name: &str, family: Family, host: &dyn Host) -> Result<Vec<IpAddr>, String> {
    let mut found = host.resolve(name)?;
    found.retain(|ip| family.fits(*ip));
    if found.is_empty() { Err("no address of the family asked for".into()) } else { Ok(found) }
}

fn expand(text: &str, env: &Environment<'_>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        let brace = rest.starts_with('{');
        let start = usize::from(brace);
        let length = rest[start..]
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len() - start);
        out.push_str(&env.var(&rest[start..start + length]).unwrap_or_default());
        rest = &rest[start + length..];
        if brace {
            rest = rest.strip_prefix('}').unwrap_or(rest);
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MapHost;

    fn ask(text: &str) -> Result<(HostPart, PortPart), String> {
        let host = MapHost::default().with_env("A", "127.0.0.1").with_env("F", "3");
        parse(text, &Environment::new(&host)).map(|e| (e.host, e.port))
    }

    #[test]
    fn addresses() {
        let ip = |text: &str| HostPart::Ip(text.parse().unwrap());
        let port = |n| PortPart::Range(n, n);
        for (text, host, expected) in [
            (":80", HostPart::Any, port(80)),
            ("*:80-85", HostPart::Any, PortPart::Range(80, 85)),
            ("*", HostPart::Any, PortPart::None),
            ("1.2.3.4:80", ip("1.2.3.4"), port(80)),
            ("1.2.3.4", ip("1.2.3.4"), PortPart::None),
            ("1.2.3.4:", ip("1.2.3.4"), PortPart::None),
            ("0:80", ip("0.0.0.0"), port(80)),
            ("[::1]:80", ip("::1"), port(80)),
            ("::1:80", ip("::1"), port(80)),
            (":::80", ip("::"), port(80)),
            ("[::1]", ip("::1"), PortPart::None),
            ("a-b.example:8080", HostPart::Name("a-b.example".into()), port(8080)),
            ("1.2.3.4:+10", ip("1.2.3.4"), PortPart::Offset(10)),
            ("1.2.3.4:-10", ip("1.2.3.4"), PortPart::Offset(-10)),
            ("ipv4@:80", HostPart::Any, port(80)),
            ("tcp6@[::1]:80", ip("::1"), port(80)),
            ("stream+ip@:80", HostPart::Any, port(80)),
            ("udp@1.1.1.1:514", ip("1.1.1.1"), port(514)),
            ("/tmp/x", HostPart::Unix("/tmp/x".into()), PortPart::None),
            ("unix@x", HostPart::Unix("x".into()), PortPart::None),
            ("uxdg@/x", HostPart::Unix("/x".into()), PortPart::None),
            ("abns@x", HostPart::Abstract("x".into()), PortPart::None),
            ("fd@3", HostPart::Fd(3), PortPart::None),
            ("fd@${F}", HostPart::Fd(3), PortPart::None),
            ("$A:80", ip("127.0.0.1"), port(80)),
            ("${A}:80", ip("127.0.0.1"), port(80)),
            ("$NOPE:80", HostPart::Any, port(80)),
        ] {
            assert_eq!(ask(text), Ok((host, expected)), "{text}");
        }
    }

    #[test]
    fn errors() {
        for (text, expected) in [
            (":99999", "invalid port '99999' in ':99999'"),
            (":a", "invalid port 'a' in ':a'"),
            (":80-", "invalid port '' in ':80-'"),
            (":80-79", "invalid port range '80-79' in ':80-79'"),
            ("300.1.1.1:3", "invalid address: '300.1.1.1' in '300.1.1.1:3'"),
            ("ipv4@[::1]:80", "invalid address: '[::1]' in 'ipv4@[::1]:80'"),
            ("ipv6@1.2.3.4:80", "invalid address: '1.2.3.4' in 'ipv6@1.2.3.4:80'"),
            ("[::1:80", "invalid address: '[::1' in '[::1:80'"),
            ("a b:80", "invalid address: 'a b' in 'a b:80'"),
            ("fd@x", "file descriptor 'x' is not a valid integer in 'fd@x'"),
            ("fd@-1", "file descriptor '-1' is not a valid integer in 'fd@-1'"),
            ("quic4@:443", "'quic4@' addresses are not supported (in 'quic4@:443')"),
            ("tpc@:443", "unknown address type 'tpc@' in 'tpc@:443'"),
            ("unix@", "the socket path in 'unix@' must have 1 to 96 characters"),
        ] {
            assert_eq!(ask(text), Err(expected.to_string()), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_an_address_or_an_error(text in "\\PC{0,40}") {
            let _ = ask(&text);
        }
    }
}
