//! Which form of target fits which method (RFC 9112 section 3.2), and whether it names the host
//! that Host names, if that is a host at all.

use super::{Head, Start};

/// Whether the target of a request fits its method and its Host.
pub fn fits(head: &Head) -> bool {
    let Start::Request(method, target) = &head.start else { return false };
    let Ok(text) = core::str::from_utf8(target) else { return false };
    let host = head.values("host").next();
    let is_host = |host: &[u8]| core::str::from_utf8(host).ok().and_then(authority).is_some();
    if host.is_some_and(|host| !host.is_empty() && !is_host(host)) {
        return false;
    }
    // The preface of HTTP/2.
    if method == b"PRI" {
        return false;
    }
    if method == b"CONNECT" {
        let Some((name, Some(port))) = authority(text) else { return false };
        return !port.is_empty() && names(host, name, port, port);
    }
    if text.starts_with('/') {
        return true;
    }
    if text == "*" {
        return method == b"OPTIONS";
    }
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let mut letters = scheme.chars();
    let begins = letters.next().is_some_and(|c| c.is_ascii_alphabetic());
    if !begins || !letters.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) {
        return false;
    }
    // A query right behind the host would make `authority` refuse it.
    let place = rest.split('/').next().unwrap_or_default();
    let Some((name, port)) = authority(place) else { return false };
    let usual = match scheme.to_ascii_lowercase().as_str() {
        "http" => "80",
        "https" => "443",
        _ => "",
    };
    let port = port.filter(|port| !port.is_empty()).unwrap_or(usual);
    names(host, name, port, usual)
}

/// Leaves out the port that goes without saying, of a target that fits.
pub fn settle(head: &mut Head) {
    let Start::Request(method, target) = &mut head.start else { return };
    let text = String::from_utf8_lossy(target).into_owned();
    let host = head.fields.iter_mut().find(|(name, _)| name == b"host").map(|(_, value)| value);
    if method == b"CONNECT" {
        // The name in Host is Host's own.
        let Some(host) = host else { return };
        for port in [&b":80"[..], b":443"] {
            if let Some(name) = host.strip_suffix(port).filter(|name| !name.ends_with(b":")) {
                *host = name.to_vec();
                return;
            }
        }
        return;
    }
    let Some((scheme, rest)) = text.split_once("://").filter(|_| !text.starts_with('/')) else {
        return;
    };
    let usual = match scheme.to_ascii_lowercase().as_str() {
        "http" => "80",
        "https" => "443",
        _ => return,
    };
    let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let Some((name, Some(port))) = authority(place) else { return };
    if port.is_empty() || port == usual {
        *target = format!("{scheme}://{name}{path}").into_bytes();
        if let Some(host) = host {
            *host = name.as_bytes().to_vec();
        }
    }
}

/// Host and port, which may be empty or missing.
fn authority(text: &str) -> Option<(&str, Option<&str>)> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (inner, after) = rest.split_once(']')?;
            let plain = |c: char| c.is_ascii_alphanumeric() || ".:%".contains(c);
            if inner.is_empty() || !inner.chars().all(plain) {
                return None;
            }
            let port = match after {
                "" => None,
                _ => Some(after.strip_prefix(':')?),
            };
            (&text[..inner.len() + 2], port)
        }
        None => {
            let (name, port) = match text.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (text, None),
            };
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=%".contains(c);
            if name.is_empty() || !name.chars().all(plain) {
                return None;
            }
            (name, port)
        }
    };
    let valid = |port: &str| {
        port.len() <= 5
            && port.bytes().all(|byte| byte.is_ascii_digit())
            && (port.is_empty() || port.parse::<u32>().is_ok_and(|port| port <= 65_535))
    };
    port.is_none_or(valid).then_some((name, port))
}

/// Whether Host, if there is one, names this host and port.
fn names(host: Option<&[u8]>, name: &str, port: &str, usual: &str) -> bool {
    let Some(host) = host else { return true };
    let Some((other, other_port)) = core::str::from_utf8(host).ok().and_then(authority) else {
        return false;
    };
    let other_port = other_port.filter(|port| !port.is_empty()).unwrap_or(usual);
    name.eq_ignore_ascii_case(other) && port == other_port
}
