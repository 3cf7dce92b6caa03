//! `option forwarded`: the Forwarded field of RFC 7239.

use core::net::{IpAddr, SocketAddr};
use std::io::Write;

use crate::http::Known;
use crate::sample::{Expr, Kind, Scene, Value};

/// What the field says of a request.
#[derive(Debug, Clone, Default)]
pub struct Forwarded {
    /// `proto`: how the client spoke to us.
    pub proto: bool,
    /// `host`: the name that it asked for.
    pub host: Option<Source>,
    /// `by`: where it came to.
    pub by: Option<Node>,
    /// `for`: who it is.
    pub client: Option<Node>,
}

/// Where a part comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// From the request or its connection.
    Own,
    /// From an expression.
    Expr(Box<Expr>),
}

/// One end of the connection.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its address.
    pub name: Source,
    /// Its port.
    pub port: Option<Source>,
}

impl Forwarded {
    /// Appends the field's value to `out`; it may come out empty.
    pub fn write(&self, scene: &Scene<'_>, out: &mut Vec<u8>) {
        if self.proto {
            // There is no other way to us.
            out.extend_from_slice(b"proto=http");
        }
        if let Some(host) = &self.host {
            write_host(host, scene, out);
        }
        if let Some(node) = &self.by {
            parameter(b"by", out);
            node.write(scene, scene.ends.dst, out);
        }
        if let Some(node) = &self.client {
            parameter(b"for", out);
            node.write(scene, scene.ends.src, out);
        }
    }
}

fn parameter(name: &[u8], out: &mut Vec<u8>) {
    if !out.is_empty() {
        out.push(b';');
    }
    out.extend_from_slice(name);
    out.push(b'=');
}

/// What cannot be a host is left out.
fn write_host(host: &Source, scene: &Scene<'_>, out: &mut Vec<u8>) {
    let text = match host {
        Source::Own => scene.req.head.and_then(|head| head.value(Known::Host)),
        Source::Expr(expr) => expr.text(scene),
    };
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte);
    let Some(text) = text.filter(|text| !text.is_empty() && text.iter().all(part)) else { return };
    parameter(b"host", out);
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

impl Node {
    fn write(&self, scene: &Scene<'_>, end: Option<SocketAddr>, out: &mut Vec<u8>) {
        let mut name = Vec::new();
        self.write_name(scene, end, &mut name);
        if name.is_empty() {
            name.extend_from_slice(b"unknown");
        }
        if let Some(port) = &self.port {
            let before = name.len();
            name.push(b':');
            write_port(port, scene, end, &mut name);
            if name.len() == before + 1 {
                name.truncate(before);
            }
        }
        // Colons and brackets only stand between quotes.
        let quoted = name.iter().any(|byte| b":[]".contains(byte));
        out.extend_from_slice(if quoted { b"\"" } else { b"" });
        out.extend_from_slice(&name);
        out.extend_from_slice(if quoted { b"\"" } else { b"" });
    }

    /// Writes nothing if there is no name.
    fn write_name(&self, scene: &Scene<'_>, end: Option<SocketAddr>, out: &mut Vec<u8>) {
        let value = match &self.name {
            Source::Own => end.map(|at| Value::Ip(at.ip())),
            Source::Expr(expr) => expr.eval(scene).value,
        };
        match value {
            Some(Value::Ip(ip)) => write_ip(ip, out),
            Some(other) => {
                let Some(Value::Str(text)) = other.cast(Kind::Str, scene.arena()) else { return };
                match parse_ip(text) {
                    Some(ip) => write_ip(ip, out),
                    None if text == b"unknown" => out.extend_from_slice(text),
                    None => write_obscured(text, out),
                }
            }
            None => {}
        }
    }
}

/// An address as a node's name has it, with or without the brackets around one of IPv6.
fn parse_ip(text: &[u8]) -> Option<IpAddr> {
    let text = core::str::from_utf8(text).ok()?;
    match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(text) => text.parse().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

fn write_ip(ip: IpAddr, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = match ip {
        IpAddr::V4(ip) => write!(out, "{ip}"),
        IpAddr::V6(ip) => write!(out, "[{ip}]"),
    };
}

fn write_port(port: &Source, scene: &Scene<'_>, end: Option<SocketAddr>, out: &mut Vec<u8>) {
    let text = match port {
        Source::Own => {
            if let Some(at) = end {
                let _ = write!(out, "{}", at.port());
            }
            return;
        }
        Source::Expr(expr) => expr.text(scene).unwrap_or_default(),
    };
    if (1..=5).contains(&text.len()) && text.iter().all(u8::is_ascii_digit) {
        out.extend_from_slice(text);
    } else {
        write_obscured(text, out);
    }
}

/// What stands for something that shall not be known begins with `_`; what cannot is left out.
fn write_obscured(text: &[u8], out: &mut Vec<u8>) {
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    if text.is_empty() || text == b"_" || !text.iter().all(part) {
        return;
    }
    if text[0] != b'_' {
        out.push(b'_');
    }
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::stage::Stage;

    fn node(name: Source, port: Option<Source>) -> Option<Node> {
        Some(Node { name, port })
    }

    #[test]
    fn what_the_field_says() {
        let mut stage = Stage::new().request("GET / HTTP/1.1\r\nHost: a.example:8080\r\n\r\n");
        stage.ends.src = Some("[2001:db8::1]:4000".parse().unwrap());
        let expr = |text: &str| Source::Expr(Box::new(stage_expr(text)));
        let own = || Source::Own;
        let usual = Forwarded { proto: true, client: node(own(), None), ..Forwarded::default() };
        for (rule, expected) in [
            (usual, "proto=http;for=\"[2001:db8::1]\""),
            (
                Forwarded {
                    proto: true,
                    host: Some(own()),
                    by: node(own(), Some(own())),
                    client: node(own(), Some(own())),
                },
                "proto=http;host=\"a.example:8080\";by=\"127.0.0.2:80\";for=\"[2001:db8::1]:4000\"",
            ),
            (Forwarded { by: node(own(), None), ..Forwarded::default() }, "by=127.0.0.2"),
            (Forwarded { host: Some(expr("str(a b)")), ..Forwarded::default() }, ""),
            (Forwarded { host: Some(expr("str(h)")), ..Forwarded::default() }, "host=\"h\""),
        ] {
            let mut out = Vec::new();
            rule.write(&stage.scene(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    fn stage_expr(text: &str) -> Expr {
        let mut stage = Stage::new();
        stage.compile(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn what_a_node_may_be_called() {
        let stage = Stage::new();
        for (name, port, expected) in [
            ("str(1.2.3.4)", None, "1.2.3.4"),
            ("str(::1)", None, "\"[::1]\""),
            ("str([::1])", Some("int(10)"), "\"[::1]:10\""),
            ("str(unknown)", None, "unknown"),
            ("str(_x)", None, "_x"),
            ("str(7F2F)", None, "_7F2F"),
            ("int(7)", None, "_7"),
            ("str(a b)", None, "unknown"),
            ("str(_)", None, "unknown"),
            ("str(a;b)", None, "unknown"),
            ("req.hdr(none)", Some("int(1)"), "\"unknown:1\""),
            ("ipv4(1.2.3.4)", Some("str(999999)"), "\"1.2.3.4:_999999\""),
            ("ipv4(1.2.3.4)", Some("str(p/q)"), "1.2.3.4"),
            ("ipv4(1.2.3.4)", Some("req.hdr(none)"), "1.2.3.4"),
        ] {
            let source = |text: &str| Source::Expr(Box::new(stage_expr(text)));
            let node = Node { name: source(name), port: port.map(source) };
            let mut out = Vec::new();
            node.write(&stage.scene(), None, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{name} {port:?}");
        }
    }
}
