//! `option …` in proxies.

use core::net::IpAddr;
use std::sync::Arc;

use crate::config::keywords::{self, Context};
use crate::config::{Negation, SectionKind, Statement};
use crate::http::Known;
use crate::logfmt::format::{Format, Style};
use crate::proxy::spec::{ForwardFor, LogFormat, Options};
use crate::sample::Point;

use super::Builder;
use super::args::Args;
use super::draft::Draft;

/// Options that are one bit, take no argument, and may be negated.
const BITS: [(&str, Options); 19] = [
    ("http-buffer-request", Options::BUFFER_REQUEST),
    ("http-pretend-keepalive", Options::PRETEND_KEEPALIVE),
    ("prefer-last-server", Options::PREFER_LAST_SERVER),
    ("dontlognull", Options::DONT_LOG_NULL),
    ("dontlog-normal", Options::DONT_LOG_NORMAL),
    ("log-separate-errors", Options::LOG_SEPARATE_ERRORS),
    ("splice-auto", Options::SPLICE_AUTO),
    ("splice-request", Options::SPLICE_REQUEST),
    ("splice-response", Options::SPLICE_RESPONSE),
    ("nolinger", Options::NOLINGER),
    ("abortonclose", Options::ABORT_ON_CLOSE),
    ("http-ignore-probes", Options::IGNORE_PROBES),
    ("allbackups", Options::ALL_BACKUPS),
    ("idle-close-on-response", Options::IDLE_CLOSE_ON_RESPONSE),
    ("http-no-delay", Options::HTTP_NO_DELAY),
    ("logasap", Options::LOG_ASAP),
    ("independent-streams", Options::INDEPENDENT_STREAMS),
    ("accept-invalid-http-request", Options::ACCEPT_INVALID_REQUEST),
    ("accept-invalid-http-response", Options::ACCEPT_INVALID_RESPONSE),
];

/// More of them, which concern sockets.
const SOCKET_BITS: [(&str, Options); 4] = [
    ("clitcpka", Options::CLIENT_KEEPALIVE),
    ("srvtcpka", Options::SERVER_KEEPALIVE),
    ("tcp-smart-accept", Options::SMART_ACCEPT),
    ("tcp-smart-connect", Options::SMART_CONNECT),
];

/// Without effect, with a warning, unless the mode is HTTP.
const HTTP_ONLY: [&str; 8] = [
    "accept-invalid-http-request",
    "accept-invalid-http-response",
    "http-pretend-keepalive",
    "prefer-last-server",
    "http-ignore-probes",
    "idle-close-on-response",
    "http-no-delay",
    "http-restrict-req-hdr-names",
];

impl Builder<'_> {
    pub(super) fn option(&mut self, draft: &mut Draft, statement: &Statement) {
        let plain = statement.negation == Negation::Plain;
        let context = Context::Option;
        let Some(keyword) = keywords::find(context, &[statement.word(1)]) else {
            self.unknown(context, statement, 1);
            return;
        };
        let name = keyword.name;
        let span = statement.place(0).to(statement.place(1));
        let removed = matches!(keyword.status, keywords::Status::Removed(_));
        if !removed && !keyword.sections.contains(draft.kind) {
            let lacking = if draft.kind == SectionKind::Frontend { "backend" } else { "frontend" };
            let message = format!(
                "'option {name}' ignored because {} has no {lacking} capability",
                draft.title()
            );
            self.diagnostics.warning(span, message);
            return;
        }
        // What has no effect may as well be switched off.
        let harmless = !plain && matches!(keyword.status, keywords::Status::Unsafe(_));
        if harmless || !self.usable(context, keyword, span) {
            return;
        }
        if plain && HTTP_ONLY.contains(&name) {
            draft.http_only.push((name, span));
        }
        if name == "forwarded" {
            return self.forwarded(draft, statement);
        }
        let mut args = Args::new(statement, 2, format!("option {name}"), &mut self.diagnostics);
        let options = &mut draft.proxy.options;
        if let Some((_, bit)) = BITS.iter().chain(&SOCKET_BITS).find(|(known, _)| *known == name) {
            if plain {
                options.set(*bit)
            } else {
                options.clear(*bit)
            }
            args.end();
            return;
        }
        let closing = Options::HTTP_CLOSE.with(Options::HTTP_SERVER_CLOSE);
        match name {
            "httpclose" | "http-server-close" | "http-keep-alive" => {
                let bit = match name {
                    "httpclose" => Options::HTTP_CLOSE,
                    "http-server-close" => Options::HTTP_SERVER_CLOSE,
                    _ => Options::NONE,
                };
                if plain {
                    options.clear(closing);
                    options.set(bit);
                } else {
                    options.clear(bit);
                }
                args.end();
                return;
            }
            "redispatch" => {
                options.clear(Options::REDISPATCH);
                draft.proxy.redispatch_interval = -1;
                if plain && args.peek().is_some() {
                    let word = args.need("a number");
                    match word.and_then(|word| word.as_str().parse().ok()) {
                        // Zero switches it off.
                        Some(0) => return,
                        Some(interval) => draft.proxy.redispatch_interval = interval,
                        None => {
                            let place = statement.place(2);
                            args.alert(place, "'option redispatch' expects a number", "");
                            return;
                        }
                    }
                }
                if plain {
                    options.set(Options::REDISPATCH);
                }
                args.end();
                return;
            }
            // There is no HTTP/2 to upgrade to.
            "disable-h2-upgrade" => {
                args.end();
                return;
            }
            _ => {}
        }
        if !plain {
            let message = format!("negation/default is not supported for option '{name}'");
            args.alert(span, message, "");
            return;
        }
        match name {
            "tcpka" => {
                options.set(Options::CLIENT_KEEPALIVE.with(Options::SERVER_KEEPALIVE));
                args.end();
            }
            "httplog" | "tcplog" => {
                let http = name == "httplog";
                let json = args.takes("json");
                let clf = http && !json && args.takes("clf");
                draft.proxy.log_format = match (http, json) {
                    (true, false) => LogFormat::Http,
                    (true, true) => LogFormat::HttpJson,
                    (false, false) => LogFormat::Tcp,
                    (false, true) => LogFormat::TcpJson,
                };
                draft.log_option = Some(span);
                draft.proxy.format = None;
                if args.end() && clf {
                    let format = Format::parse(COMMON, Style::Log, Point::Log, &mut self.names);
                    draft.proxy.format = format.ok().map(Arc::new);
                    debug_assert!(draft.proxy.format.is_some(), "it is ours");
                }
            }
            "http-restrict-req-hdr-names" => {
                const MODES: [(&str, Options); 3] = [
                    ("preserve", Options::NONE),
                    ("delete", Options::DELETE_ODD_NAMES),
                    ("reject", Options::REJECT_ODD_NAMES),
                ];
                if let Some(bits) = args.choice(&MODES)
                    && args.end()
                {
                    options.clear(Options::ODD_NAMES);
                    options.set(bits);
                }
            }
            "forwardfor" => {
                draft.proxy.forward_for =
                    forward_for(&mut args, "x-forwarded-for").or(draft.proxy.forward_for.take());
                draft.http_only.push((name, span));
            }
            "originalto" => {
                let header = "x-original-to";
                draft.proxy.original_to =
                    forward_for(&mut args, header).or(draft.proxy.original_to.take());
                draft.http_only.push((name, span));
            }
            _ => debug_assert!(false, "'option {name}' is said to work and is not compiled"),
        }
    }
}

/// The common log format, and what HAProxy adds to it.
pub(super) const COMMON: &str = "%{+Q}o %{-Q}ci - - [%trg] %r %ST %B \"\" \"\" %cp %ms %ft %b \
    %s %TR %Tw %Tc %Tr %Ta %tsc %ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl";

/// `[ except <network> ] [ header <name> ] [ if-none ]`.
fn forward_for(args: &mut Args<'_, '_>, header: &str) -> Option<ForwardFor> {
    let (header, known) = (header.into(), Known::Other);
    let mut forward = ForwardFor { header, known, except: None, if_none: false };
    while let Some(word) = args.next() {
        match word.as_str() {
            "if-none" => forward.if_none = true,
            "header" => {
                let name = args.need("a header's name")?;
                let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
                if !name.as_str().bytes().all(token) {
                    let message = format!("'{}' is no header name", name.as_str());
                    args.alert(name.span, message, "");
                    return None;
                }
                forward.header = name.as_str().to_ascii_lowercase().into();
            }
            "except" => {
                let network = args.need("a network, such as 127.0.0.0/8")?;
                forward.except = parse_network(network.as_str());
                if forward.except.is_none() {
                    let message = "'option forwardfor except' expects <address>[/mask] as argument";
                    args.alert(network.span, message, "");
                    return None;
                }
            }
            other => {
                let message = format!(
                    "'option forwardfor' only supports optional values: 'except', 'header' and \
                     'if-none' (got '{other}')"
                );
                args.alert(word.span, message, "");
                return None;
            }
        }
    }
    forward.known = Known::recognise(forward.header.as_bytes());
    Some(forward)
}

/// `address`, `address/bits` or `address/255.255.0.0`.
fn parse_network(text: &str) -> Option<(IpAddr, u8)> {
    let (ip, mask) = match text.split_once('/') {
        Some((ip, mask)) => (ip, Some(mask)),
        None => (text, None),
    };
    let ip: IpAddr = ip.parse().ok()?;
    let width = if ip.is_ipv4() { 32 } else { 128 };
    let bits = match mask {
        None => width,
        Some(mask) => match mask.parse::<core::net::Ipv4Addr>() {
            Ok(mask) if ip.is_ipv4() => {
                let mask = mask.to_bits();
                // A mask is ones, then zeroes.
                (mask.leading_ones() + mask.trailing_zeros() == 32 || mask == 0)
                    .then_some(mask.leading_ones() as u8)?
            }
            _ => mask.parse().ok().filter(|bits| *bits <= width)?,
        },
    };
    Some((ip, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let v4 = |a, b, c, d| IpAddr::from([a, b, c, d]);
        for (text, expected) in [
            ("127.0.0.0/8", Some((v4(127, 0, 0, 0), 8))),
            ("10.1.2.3", Some((v4(10, 1, 2, 3), 32))),
            ("10.0.0.0/255.255.0.0", Some((v4(10, 0, 0, 0), 16))),
            ("0.0.0.0/0.0.0.0", Some((v4(0, 0, 0, 0), 0))),
            ("10.0.0.0/255.0.255.0", None),
            ("10.0.0.0/33", None),
            ("10.0.0.0/", None),
            ("nonsense", None),
            ("::1", Some(("::1".parse().unwrap(), 128))),
            ("fe80::/10", Some(("fe80::".parse().unwrap(), 10))),
            ("fe80::/129", None),
        ] {
            assert_eq!(parse_network(text), expected, "{text}");
        }
    }
}
