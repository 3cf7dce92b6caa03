//! Which form of target fits which method (RFC 9112 section 3.2), whether Host is a host, and
//! whether an absolute target agrees with it. Not a URI parser: path and query are rules' business.

use super::HeadError;
use super::find::odd_in_name;
use super::known::{Known, Method};
use super::model::Head;

/// Accepts a request whose target is origin-form (`/a?b`), absolute-form (`http://host/a`),
/// authority-form for CONNECT (`host:443`) or `*` for OPTIONS. The target of an absolute-form and
/// of CONNECT must be the host that Host names, if there is one: HAProxy refuses it as well, since
/// whoever routes by the one and whoever routes by the other would disagree.
///
/// A port that the scheme has anyway is then left out, and Host follows, as in HAProxy: whoever
/// looks at either sees one name for one place. The target of CONNECT has to have a port: there
/// only Host leaves it out.
pub(super) fn check_target(head: &mut Head) -> Result<(), HeadError> {
    let form = |fits: bool| if fits { Ok(()) } else { Err(HeadError::TargetForm) };
    let target = head.target();
    match (head.method(), target) {
        (Method::Connect, authority) => match split_port(authority) {
            // Host may leave the port out.
            Some((_, Some(port))) if !port.is_empty() => {
                check_host(head, authority, port)?;
                leave_out_host_port(head);
                Ok(())
            }
            _ => Err(HeadError::TargetForm),
        },
        // HTTP/2's preface, which is no request in any version of HTTP/1 (RFC 9113 section 3.4).
        (Method::Other, _) if head.method_bytes() == b"PRI" => Err(HeadError::TargetForm),
        (_, [b'/', ..]) => Ok(()),
        (method, b"*") => form(method == Method::Options),
        (_, uri) => {
            let (scheme, authority) = split_uri(uri).ok_or(HeadError::TargetForm)?;
            form(split_port(authority).is_some())?;
            check_host(head, authority, default_port(scheme))?;
            leave_out_port(head)
        }
    }
}

/// Leaves the port out of an absolute target that is right, if it is the scheme's own, and lets
/// Host follow.
fn leave_out_port(head: &mut Head) -> Result<(), HeadError> {
    let target = head.target();
    let Some((scheme, authority)) = split_uri(target) else { return Ok(()) };
    let usual = default_port(scheme);
    let Some((host, Some(port))) = split_port(authority) else { return Ok(()) };
    if usual.is_empty() || !(port.is_empty() || port == usual) || has_several_hosts(head) {
        return Ok(());
    }
    let start = scheme.len() + b"://".len();
    let made = [&target[..start + host.len()], &target[start + authority.len()..]].concat();
    let host = host.to_vec();
    head.set_target(&made)?;
    if head.has(Known::Host) {
        head.settle_known(Known::Host, &host);
    }
    Ok(())
}

/// Whether there are several Host fields, which one shall not stand for. (A strict reader has
/// merged those that agree, and refused others.)
fn has_several_hosts(head: &Head) -> bool {
    head.values(Known::Host).nth(1).is_some()
}

/// Leaves the port out of the Host of a CONNECT, if it is one that a scheme has anyway.
fn leave_out_host_port(head: &mut Head) {
    if let Some((host, Some(b"80" | b"443"))) = head.value(Known::Host).and_then(split_port)
        && !has_several_hosts(head)
    {
        let host = host.to_vec();
        head.settle_known(Known::Host, &host);
    }
}

/// Accepts a Host that is empty, or a host with or without a port (RFC 9112 section 3.2). Whoever
/// builds a URL of anything else reaches another place than the rules have seen.
#[inline]
pub(super) fn check_host_value(head: &Head) -> Result<(), HeadError> {
    // Most are short, and all of the plainest bytes.
    if let Some((word, len)) = head.short_value(Known::Host)
        && odd_in_name(word) & ((1 << len) - 1) == 0
    {
        return Ok(());
    }
    match head.value(Known::Host) {
        Some(host) if !is_host(host) => Err(HeadError::Host),
        _ => Ok(()),
    }
}

fn is_host(host: &[u8]) -> bool {
    let name_len = host.iter().position(|byte| !is_name_byte(*byte)).unwrap_or(host.len());
    match &host[name_len..] {
        [] => true,
        [b':', port @ ..] if name_len > 0 => is_port(port),
        _ => split_port(host).is_some(),
    }
}

/// What nearly all names and IPv4 addresses are made of.
fn is_name_byte(byte: u8) -> bool {
    NAME_BYTES[usize::from(byte)]
}

static NAME_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        byte += 1;
    }
    table
};

fn check_host(head: &Head, authority: &[u8], default_port: &[u8]) -> Result<(), HeadError> {
    match head.value(Known::Host) {
        Some(host) if !agree(authority, host, default_port) => Err(HeadError::TargetAuthority),
        _ => Ok(()),
    }
}

/// Scheme and authority of an absolute URI with both. A query right behind the authority is valid
/// (RFC 3986 section 3.2), but HAProxy and others take it for a part of the host: what two readers
/// of it would route differently is not sent on, and a sender is to write `/` in between anyway
/// (RFC 9112 section 3.2.1).
fn split_uri(uri: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = uri.iter().position(|byte| *byte == b':')?;
    let (scheme, rest) = uri.split_at(colon);
    let valid = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    let rest = rest.strip_prefix(b"://")?;
    let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
    let plain = rest.get(end) != Some(&b'?');
    (valid && plain).then_some((scheme, &rest[..end]))
}

/// Lets Host follow a target that rules gave the request: an absolute one names the host, and who
/// routes by the one and who routes by the other shall agree. Where there is no Host none is added.
/// Refused if the target names none that can be one.
pub fn host_follows_target(head: &mut Head) -> Result<(), HeadError> {
    let target = head.target();
    if !is_absolute(target) || !head.has(Known::Host) {
        return Ok(());
    }
    let (_, authority) = split_uri(target).ok_or(HeadError::TargetForm)?;
    let host = match memchr::memrchr(b'@', authority) {
        Some(at) => &authority[at + 1..],
        None => authority,
    };
    if split_port(host).is_none() {
        return Err(HeadError::TargetForm);
    }
    let host = host.to_vec();
    head.settle_known(Known::Host, &host);
    Ok(())
}

/// The other way round: an absolute target names the host that rules wrote into Host.
pub fn target_follows_host(head: &mut Head) {
    let target = head.target();
    let Some(host) = head.value(Known::Host).filter(|_| is_absolute(target)) else { return };
    let Some((scheme, authority)) = split_uri(target) else { return };
    let start = scheme.len() + b"://".len();
    let made = [&target[..start], host, &target[start + authority.len()..]].concat();
    // What can be no target is no host either: the server is to judge it.
    let _ = head.set_target(&made);
}

fn is_absolute(target: &[u8]) -> bool {
    !target.starts_with(b"/") && memchr::memmem::find(target, b"://").is_some()
}

/// Host and port of an authority, if it is a host with or without a port. An empty host is none,
/// and one with user information is not accepted (RFC 9110 section 4.2.4).
fn split_port(authority: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let host_end = match authority {
        [b'[', ..] => authority.iter().position(|byte| *byte == b']')? + 1,
        _ => authority.iter().position(|byte| *byte == b':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(host_end);
    let valid = match host {
        [b'[', address @ .., b']'] => {
            !address.is_empty()
                && address.iter().all(|byte| byte.is_ascii_alphanumeric() || b".:%".contains(byte))
        }
        name => {
            !name.is_empty()
                && name
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(byte))
        }
    };
    match port {
        _ if !valid => None,
        [] => Some((host, None)),
        [b':', digits @ ..] => is_port(digits).then_some((host, Some(digits))),
        _ => None,
    }
}

/// Is this a port, or nothing? `host:` is a valid authority (RFC 3986 section 3.2.3).
fn is_port(digits: &[u8]) -> bool {
    let value = |value: u32, digit: &u8| {
        digit.is_ascii_digit().then(|| value.saturating_mul(10) + u32::from(digit - b'0'))
    };
    digits.len() <= 5 && digits.iter().try_fold(0, value).is_some_and(|port| port <= 65535)
}

fn default_port(scheme: &[u8]) -> &'static [u8] {
    match scheme {
        _ if scheme.eq_ignore_ascii_case(b"http") => b"80",
        _ if scheme.eq_ignore_ascii_case(b"https") => b"443",
        _ => b"",
    }
}

/// Do the two name the same host and port, where a port that is left out is the default one?
fn agree(authority: &[u8], host: &[u8], default_port: &[u8]) -> bool {
    fn port_or<'a>(port: Option<&'a [u8]>, default: &'a [u8]) -> &'a [u8] {
        port.filter(|port| !port.is_empty()).unwrap_or(default)
    }
    match (split_port(authority), split_port(host)) {
        (Some((one, one_port)), Some((other, other_port))) => {
            one.eq_ignore_ascii_case(other)
                && port_or(one_port, default_port) == port_or(other_port, default_port)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Version;
    use crate::http::token::is_value_byte;

    #[test]
    fn hosts() {
        for (host, good) in [
            ("", true),
            ("a", true),
            ("a-b.example_c.", true),
            ("127.0.0.1:8080", true),
            ("a:", true),
            ("a:65535", true),
            ("[::1]", true),
            ("[fe80::1%25eth0]:80", true),
            ("a,b", true),
            ("%61~!$&'()*+;=:1", true),
            ("a:65536", false),
            ("a:000080", false),
            ("a:x", false),
            ("a:80:80", false),
            (":80", false),
            ("a b", false),
            ("a, b", false),
            ("a/b", false),
            ("a?b", false),
            ("a#b", false),
            ("a\\b", false),
            ("u@a", false),
            ("u:p@a", false),
            ("http://a", false),
            ("[::1", false),
            ("::1", false),
            ("[::1]x", false),
            ("a]", false),
            ("<a>", false),
            ("\"a\"", false),
            ("{a}", false),
            ("a\tb", false),
            ("\u{e9}", false),
        ] {
            let mut head = Head::new();
            head.push_known(Known::Host, host.as_bytes());
            let expected = if good { Ok(()) } else { Err(HeadError::Host) };
            assert_eq!(check_host_value(&head), expected, "{host}");
        }
        assert_eq!(check_host_value(&Head::new()), Ok(()), "none");
        for byte in 0..=255u8 {
            let host = [b'a', byte, b'b'];
            let slow = byte != b':' && split_port(&host).is_some();
            assert_eq!(is_host(&host), slow, "{byte:#x}");
            if is_value_byte(byte) {
                // Short and long, at the end of the block and before it.
                for (len, behind) in [(3, 0), (3, 3), (13, 0), (14, 1), (40, 3)] {
                    let mut head = Head::new();
                    let host = [&b"a".repeat(len - 2), &[byte, b'b'][..]].concat();
                    head.push_known(Known::Host, &host);
                    for _ in 0..behind {
                        head.push_known(Known::Accept, b"a/b");
                    }
                    assert_eq!(check_host_value(&head).is_ok(), slow, "{byte:#x} {len}");
                }
            }
        }
    }

    #[test]
    fn rules_keep_host_and_target_together() {
        let request = |target: &str, host: Option<&str>| {
            let mut head = Head::new();
            head.set_request_line(b"GET", target.as_bytes(), Version::V11).unwrap();
            if let Some(host) = host {
                head.push_known(Known::Host, host.as_bytes());
            }
            head
        };
        for (target, before, after) in [
            ("/a", Some("x"), Ok(Some("x"))),
            ("*", Some("x"), Ok(Some("x"))),
            ("/go?to=http://y/", Some("x"), Ok(Some("x"))),
            ("http://y/a", Some("x"), Ok(Some("y"))),
            ("http://y:80", Some("x"), Ok(Some("y:80"))),
            ("http://me@Y:81/", Some("x"), Ok(Some("Y:81"))),
            ("http://y/", None, Ok(None)),
            ("http:///a", Some("x"), Err(HeadError::TargetForm)),
            ("http://<y>/a", Some("x"), Err(HeadError::TargetForm)),
        ] {
            let mut head = request(target, before);
            let found = host_follows_target(&mut head)
                .map(|()| head.value(Known::Host).map(<[u8]>::to_vec));
            let after = after.map(|host: Option<&str>| host.map(|host| host.as_bytes().to_vec()));
            assert_eq!(found, after, "{target}");
        }
        for (target, host, after) in [
            ("/a", "x", "/a"),
            ("http://y/a?b", "x", "http://x/a?b"),
            ("http://me@y", "x:1", "http://x:1"),
            ("http://y/", "a b", "http://y/"),
        ] {
            let mut head = request(target, Some(host));
            target_follows_host(&mut head);
            assert_eq!(head.target(), after.as_bytes(), "{target}");
        }
    }

    #[test]
    fn target_and_method() {
        const FORM: Result<(), HeadError> = Err(HeadError::TargetForm);
        const OTHER: Result<(), HeadError> = Err(HeadError::TargetAuthority);
        for (method, target, host, expected) in [
            ("GET", "/", None, Ok(())),
            ("GET", "//a/b?c=http://d", Some("x"), Ok(())),
            ("GET", "a", None, FORM),
            ("GET", "?a", None, FORM),
            ("GET", "*", None, FORM),
            ("GET", "a:80", None, FORM),
            ("OPTIONS", "*", Some("x"), Ok(())),
            ("OPTIONS", "*/", None, FORM),
            ("OPTIONS", "/a", None, Ok(())),
            ("CONNECT", "a:443", None, Ok(())),
            ("CONNECT", "a:443", Some("a:443"), Ok(())),
            ("CONNECT", "a:443", Some("A"), Ok(())),
            ("CONNECT", "a:443", Some("a:80"), OTHER),
            ("CONNECT", "a:443", Some("b:443"), OTHER),
            ("CONNECT", "[::1]:443", Some("[::1]"), Ok(())),
            ("CONNECT", "a", None, FORM),
            ("CONNECT", "a:", None, FORM),
            ("CONNECT", ":443", None, FORM),
            ("CONNECT", "a:65536", None, FORM),
            ("CONNECT", "a:000080", None, FORM),
            ("CONNECT", "a:+443", None, FORM),
            ("CONNECT", "u@a:443", None, FORM),
            ("CONNECT", "a:443/", None, FORM),
            ("CONNECT", "[::1:443", None, FORM),
            ("CONNECT", "[]:443", None, FORM),
            ("CONNECT", "[::1]x:443", None, FORM),
            ("CONNECT", "/", None, FORM),
            ("CONNECT", "*", None, FORM),
            ("CONNECT", "http://a:80/", None, FORM),
            ("GET", "http://a/x", None, Ok(())),
            ("GET", "http://a", Some("a"), Ok(())),
            ("GET", "http://a?x", Some("a"), FORM),
            ("GET", "http://a?x", None, FORM),
            ("GET", "http://a:80?x/y", Some("a"), FORM),
            ("GET", "http://a/?x", Some("a"), Ok(())),
            ("GET", "HTTP://A/x", Some("a"), Ok(())),
            ("GET", "http://a:80/x", Some("a"), Ok(())),
            ("GET", "http://a/x", Some("a:80"), Ok(())),
            ("GET", "http://a:/x", Some("a"), Ok(())),
            ("GET", "https://a:443/x", Some("a"), Ok(())),
            ("GET", "ws+x://a:1/x", Some("a:1"), Ok(())),
            ("GET", "ws://a/x", Some("a"), Ok(())),
            ("GET", "ws://a:80/x", Some("a"), OTHER),
            ("GET", "ws://a:443/x", Some("a"), OTHER),
            ("GET", "http://a:443/x", Some("a"), OTHER),
            ("GET", "http://a/x", Some("b"), OTHER),
            ("GET", "http://a/x", Some(""), OTHER),
            ("GET", "http://a/x", Some("a, b"), OTHER),
            ("GET", "http:a", None, FORM),
            ("GET", "http:/a", None, FORM),
            ("GET", "http:///a", None, FORM),
            ("GET", "://a/", None, FORM),
            ("GET", "1http://a/", None, FORM),
            ("GET", "ht_tp://a/", None, FORM),
            ("GET", "http://u:p@a/", None, FORM),
            ("GET", "http://a:b/", None, FORM),
            ("GET", "http://a\\b/", None, FORM),
            ("get", "*", None, FORM),
            ("PRI", "*", None, FORM),
            ("PRI", "/", None, FORM),
            ("pri", "/", None, Ok(())),
        ] {
            let mut head = Head::new();
            let line = head.set_request_line(method.as_bytes(), target.as_bytes(), Version::V11);
            assert_eq!(line, Ok(()));
            if let Some(host) = host {
                head.push_known(Known::Host, host.as_bytes());
            }
            assert_eq!(check_target(&mut head), expected, "{method} {target} host {host:?}");
        }
    }

    /// As measured.
    #[test]
    fn ports_that_go_without_saying() {
        for (line, host, target, after) in [
            ("GET http://h:80/", "h:80", "http://h/", "h"),
            ("GET http://h:80/a?b", "h", "http://h/a?b", "h"),
            ("OPTIONS http://h:80", "h:80", "http://h", "h"),
            ("GET http://h/", "h:80", "http://h/", "h:80"),
            ("GET http://h/", "h:", "http://h/", "h:"),
            ("GET http://h:8080/", "h:8080", "http://h:8080/", "h:8080"),
            ("GET http://h:443/", "h:443", "http://h:443/", "h:443"),
            ("GET https://h:443/", "h:443", "https://h/", "h"),
            ("GET https://h:80/", "h:80", "https://h:80/", "h:80"),
            ("GET HTTP://H:80/", "h:80", "HTTP://H/", "H"),
            ("GET http://h:/", "h:80", "http://h/", "h"),
            ("GET http://h:080/", "h:080", "http://h:080/", "h:080"),
            ("GET http://[::1]:80/", "[::1]", "http://[::1]/", "[::1]"),
            ("GET ws://h:80/", "h:80", "ws://h:80/", "h:80"),
            ("GET /", "h:80", "/", "h:80"),
            ("OPTIONS *", "h:80", "*", "h:80"),
            ("CONNECT h:80", "h:80", "h:80", "h"),
            ("CONNECT H:443", "h:443", "H:443", "h"),
            ("CONNECT [::1]:443", "[::1]:443", "[::1]:443", "[::1]"),
            ("CONNECT h:80", "h:", "h:80", "h:"),
            ("CONNECT h:080", "h:080", "h:080", "h:080"),
            ("CONNECT h:8443", "h:8443", "h:8443", "h:8443"),
        ] {
            let (method, asked) = line.split_once(' ').unwrap();
            for hosts in 0..=1 {
                let mut head = Head::new();
                head.set_request_line(method.as_bytes(), asked.as_bytes(), Version::V11).unwrap();
                head.push_known(Known::Accept, b"a/b");
                for _ in 0..hosts {
                    head.push_known(Known::Host, host.as_bytes());
                }
                head.push(b"x-y", b"z");
                assert_eq!(check_target(&mut head), Ok(()), "{line}");
                assert_eq!(head.target(), target.as_bytes(), "{line}");
                let found: Vec<_> = head.values(Known::Host).collect();
                assert_eq!(found, vec![after.as_bytes(); hosts], "{line}");
                assert_eq!(head.fields_count(), 2 + hosts, "{line}");
            }
        }
        // Of several Hosts, which only a lenient reader leaves standing, none hides another.
        for (method, target) in [("GET", "http://h:80/"), ("CONNECT", "h:80")] {
            let mut head = Head::new();
            head.set_request_line(method.as_bytes(), target.as_bytes(), Version::V11).unwrap();
            head.push_known(Known::Host, b"h:80");
            head.push_known(Known::Host, b"other");
            assert_eq!(check_target(&mut head), Ok(()));
            assert_eq!(head.target(), target.as_bytes());
            let hosts: Vec<_> = head.values(Known::Host).collect();
            assert_eq!(hosts, [&b"h:80"[..], b"other"]);
        }
    }
}
