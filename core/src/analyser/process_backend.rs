//! The backend's rules, and the request's head as the server will see it. Then: ask for a server.

use core::net::IpAddr;

use super::{Verdict, process_frontend, rules, switching};
use crate::http::{Body, Known, UpgradeField, Version, settle, strip_hop_by_hop};
use crate::poller::Peer;
use crate::proxy::spec::{ForwardFor, Options};
use crate::sample::Point;
use crate::session::{Cx, Session};
use crate::side::Step;
use crate::txn::{Flow, TxnFlags};

/// Runs the backend's rules and makes the head ready to be sent.
pub(super) fn run(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    let backend = cx.site.proxy(s.backend);
    let frontend = cx.site.proxy(s.frontend);
    let plain = backend.plain && frontend.plain;
    if !plain && let other @ (Verdict::Wait | Verdict::Stop) = rules(s, cx) {
        return other;
    }
    prepare_head(s, plain, cx);
    s.back.state.step(Step::Want);
    Verdict::Done
}

/// Runs the backend's rules.
fn rules(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    switching::count(s, cx);
    let buffers = cx.site.proxy(s.backend).options.has(Options::BUFFER_REQUEST);
    if s.txn.stage == 0 && s.txn.rule_at == 0 && buffers {
        match rules::buffer_request(s, s.backend, cx) {
            Verdict::Done => {}
            other => return other,
        }
    }
    if s.backend != s.frontend {
        match process_frontend::sets(s, s.backend, cx) {
            Verdict::Done => {}
            other => return other,
        }
    }
    if let Some(wanted) = &cx.site.proxy(s.frontend).capture_cookie {
        process_frontend::capture_cookie(s, 0, wanted);
    }
    Verdict::Done
}

/// Removes what was meant for the hop to us and adds what the server should know.
fn prepare_head(s: &mut Session, plain: bool, cx: &mut Cx<'_>) {
    let options = s.options(cx.site);
    let closing = Options::HTTP_SERVER_CLOSE.with(Options::HTTP_CLOSE);
    if options.any(closing) {
        s.txn.flags.set(TxnFlags::SERVER_CLOSE);
    }
    let upgrade = s.txn.is(TxnFlags::UPGRADE);
    let body = match s.txn.request_flow {
        Flow::Chunked(_) => Body::Chunked,
        Flow::Length(n) => Body::Length(n),
        _ if s.txn.request.has(Known::ContentLength) => Body::Length(0),
        _ => Body::None,
    };
    let head = &mut s.txn.request;
    strip_hop_by_hop(head, if upgrade { UpgradeField::Keep } else { UpgradeField::Strip });
    // A rule may have put a coding where there is no body: what says how long a message is, is ours
    // to say.
    if body != Body::None || head.has(Known::TransferEncoding) {
        settle(head, body);
    }
    if !plain {
        unique_id(s, cx);
        forwarded(s, cx);
    }
    let head = &mut s.txn.request;
    let forward_for = |p| cx.site.proxy(p).forward_for.as_ref();
    // The backend's parameters win; `if-none` holds if either says so.
    if let Some(rule) = forward_for(s.backend).or(forward_for(s.frontend)) {
        add_forwarded(head, rule, s.txn.ends[0].unwrap_or(cx.client.peer));
    }
    let original_to = |p| cx.site.proxy(p).original_to.as_ref();
    if let Some(rule) = original_to(s.backend).or(original_to(s.frontend))
        && let Some(destination) = s.txn.ends[1].or(cx.client.destination())
    {
        add_forwarded(head, rule, destination);
    }
    if upgrade && s.txn.request.has(Known::Upgrade) {
        return;
    }
    s.txn.flags.clear(TxnFlags::UPGRADE);
    let head = &mut s.txn.request;
    let close = s.txn.flags.has(TxnFlags::SERVER_CLOSE);
    match (head.version(), close) {
        (Version::V11, true) if !options.has(Options::PRETEND_KEEPALIVE) => {
            head.push_known(Known::Connection, b"close");
        }
        (Version::V10, false) => head.push_known(Known::Connection, b"keep-alive"),
        _ => {}
    }
}

/// `unique-id-header`.
fn unique_id(s: &mut Session, cx: &Cx<'_>) {
    make_unique_id(s, cx);
    let name = &cx.site.proxy(s.frontend).unique_id_header;
    if let (Some(id), Some(name)) = (&s.txn.unique_id, name) {
        s.txn.request.push(name.as_bytes(), id);
    }
}

/// `unique-id-format`: the id is made when it is first asked for, or when the request is made ready
/// for a server, and stays.
pub fn make_unique_id(s: &mut Session, cx: &Cx<'_>) {
    if let Some(format) = &cx.site.proxy(s.frontend).unique_id_format
        && s.txn.unique_id.is_none()
    {
        let id = rules::text_of(s, format, (Point::HttpReq, s.frontend), cx);
        s.txn.unique_id = Some(id.into());
    }
}

/// `option forwarded`, which backends have.
fn forwarded(s: &mut Session, cx: &Cx<'_>) {
    let Some(rule) = &cx.site.proxy(s.backend).forwarded else { return };
    let mut value = Vec::new();
    rule.write(&s.scene(Point::HttpReq, s.backend, cx), &mut value);
    if !value.is_empty() {
        s.txn.request.push(b"forwarded", &value);
    }
}

/// `option forwardfor`.
fn add_forwarded(head: &mut crate::http::Head, rule: &ForwardFor, peer: Peer) {
    let Peer::Inet(address) = peer else { return };
    if let Some((network, bits)) = rule.except
        && contains(network, bits, address.ip())
    {
        return;
    }
    if rule.if_none && head.named(rule.header.as_bytes()).next().is_some() {
        return;
    }
    let mut text = [0; 45];
    let len = write_ip(address.ip(), &mut text);
    match rule.known {
        Known::Other => {
            head.push(rule.header.as_bytes(), &text[..len]);
        }
        known => head.push_known(known, &text[..len]),
    }
}

/// Writes an address in text without going through the formatter for IPv4, which is on every
/// request's way.
fn write_ip(ip: IpAddr, out: &mut [u8; 45]) -> usize {
    use std::io::Write;
    match ip {
        IpAddr::V4(v4) => {
            let mut at = 0;
            for octet in v4.octets() {
                let [digits @ .., len] = OCTETS[usize::from(octet)];
                // Three digits and a dot; what is too much is written over.
                out[at..at + digits.len()].copy_from_slice(&digits);
                at += usize::from(len) + 1;
                out[at - 1] = b'.';
            }
            at - 1
        }
        IpAddr::V6(v6) => {
            let mut rest = &mut out[..];
            // 45 bytes hold every IPv6 address.
            let _ = write!(rest, "{v6}");
            45 - rest.len()
        }
    }
}

/// Every octet in decimal, and how many digits that has.
static OCTETS: [[u8; 4]; 256] = {
    let mut table = [[0; 4]; 256];
    let mut octet = 0;
    while octet < table.len() {
        let n = octet as u8;
        table[octet] = match n {
            0..10 => [b'0' + n, 0, 0, 1],
            10..100 => [b'0' + n / 10, b'0' + n % 10, 0, 2],
            100.. => [b'0' + n / 100, b'0' + n / 10 % 10, b'0' + n % 10, 3],
        };
        octet += 1;
    }
    table
};

fn contains(network: IpAddr, bits: u8, ip: IpAddr) -> bool {
    let mask = |value: u128, width: u32| value >> (width.saturating_sub(u32::from(bits)).min(127));
    match (network, ip) {
        (IpAddr::V4(n), IpAddr::V4(a)) if bits > 0 => {
            mask(u128::from(u32::from(n)), 32) == mask(u128::from(u32::from(a)), 32)
        }
        (IpAddr::V6(n), IpAddr::V6(a)) if bits > 0 => {
            mask(u128::from(n), 128) == mask(u128::from(a), 128)
        }
        (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (network, bits, ip, expected) in [
            ("127.0.0.0", 8, "127.9.9.9", true),
            ("127.0.0.0", 8, "128.0.0.1", false),
            ("10.1.2.3", 32, "10.1.2.3", true),
            ("10.1.2.3", 32, "10.1.2.4", false),
            ("0.0.0.0", 0, "9.9.9.9", true),
            ("fe80::", 10, "fe80::1", true),
            ("fe80::", 10, "fec0::1", false),
            ("::", 0, "1.2.3.4", false),
        ] {
            let parse = |t: &str| t.parse::<IpAddr>().ok();
            let (Some(n), Some(a)) = (parse(network), parse(ip)) else { panic!("{network} {ip}") };
            assert_eq!(contains(n, bits, a), expected, "{network}/{bits} {ip}");
        }
    }

    #[test]
    fn addresses_in_text() {
        for text in ["1.2.3.4", "0.10.99.100", "255.255.255.255", "::1", "2001:db8::ffff:1"] {
            let mut out = [0; 45];
            let Ok(ip) = text.parse() else { panic!("{text}") };
            let len = write_ip(ip, &mut out);
            assert_eq!(&out[..len], text.as_bytes());
        }
    }
}
