//! What a message says about its connection, and the removal of what is meant for one hop only
//! (RFC 9110 section 7.6.1). Not the decision whether the connection is kept, which is policy.

use super::folded::Folded;
use super::known::{Known, KnownSet, Version};
use super::model::Head;
use super::token::elements;

/// The options of the Connection fields that have a meaning here. Proxy-Connection is ignored:
/// it never was a standard, and it was always wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// `close`: the connection ends behind this message.
    pub close: bool,
    /// `keep-alive`: an HTTP/1.0 peer would keep the connection.
    pub keep_alive: bool,
    /// `upgrade`: the Upgrade field is meant for this hop.
    pub upgrade: bool,
    /// It names other fields.
    pub nominates: bool,
}

/// What becomes of an Upgrade field that the Connection field stands by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeField {
    /// It is passed on, and `upgrade` is all that is left of the Connection fields.
    Keep,
    /// It is removed, as everything for one hop is.
    Strip,
}

/// Fields that end here whether Connection names them or not.
const ONE_HOP: KnownSet = KnownSet::of(&[
    Known::Connection,
    Known::Http2Settings,
    Known::KeepAlive,
    Known::ProxyConnection,
    // No coding but chunked is understood here, and trailers end here: nothing is left to ask for.
    Known::Te,
    Known::Upgrade,
]);

/// How many names the Connection fields of one head may nominate. Each costs a look at every
/// field, and honest ones nominate one or two.
const NOMINATED_MAX: usize = 32;

const CLOSE: Folded = Folded::of(b"close");
const KEEP_ALIVE: Folded = Folded::of(b"keep-alive");
const UPGRADE: Folded = Folded::of(b"upgrade");
const TE: Folded = Folded::of(b"te");

impl Connection {
    /// Does the sender want to go on after a message of that version? (RFC 9112 section 9.3.) By
    /// default in HTTP/1.1, only if it says so in HTTP/1.0; `close` always wins.
    pub fn keeps_alive(self, version: Version) -> bool {
        !self.close && (self.keep_alive || version == Version::V11)
    }

    /// Notes an option, if it is one that has a meaning by itself.
    fn note(&mut self, option: &[u8]) -> bool {
        match Folded::of(option) {
            CLOSE => self.close = true,
            KEEP_ALIVE => self.keep_alive = true,
            UPGRADE => self.upgrade = true,
            // Dealt with whether it is named or not.
            TE => {}
            _ => return false,
        }
        true
    }
}

/// Reads the Connection fields.
#[inline]
pub fn connection(head: &Head) -> Connection {
    if head.has(Known::Connection) { read_connection(head) } else { Connection::default() }
}

fn read_connection(head: &Head) -> Connection {
    let mut found = Connection::default();
    for list in head.values(Known::Connection) {
        // Mostly, the list is one option.
        if !found.note(list) {
            for option in elements(list) {
                found.nominates |= !found.note(option);
            }
        }
    }
    found
}

/// Does the sender want to go on after this message? See [`Connection::keeps_alive`].
pub fn keep_alive_wanted(head: &Head) -> bool {
    connection(head).keeps_alive(head.version())
}

/// Removes what was meant for this hop: Connection and the fields it nominates, Keep-Alive,
/// Proxy-Connection, HTTP2-Settings, TE, and Upgrade unless it is to be kept. Says what Connection
/// said.
///
/// A nomination removes no field that the proxy knows by name ([`Known`]), since those are meant
/// for all hops or have a rule here: a client cannot have Host, Cookie, Content-Length or
/// X-Forwarded-For removed on its way to the server. Only the first 32 nominations of a head count.
///
/// An Upgrade is kept only if Connection nominates it and it does not offer HTTP/2: a server that
/// switched to that would go on unseen behind the proxy's back.
pub fn strip_hop_by_hop(head: &mut Head, upgrade: UpgradeField) -> Connection {
    let said = connection(head);
    if !head.has_any(ONE_HOP) {
        return said;
    }
    let kept = upgrade == UpgradeField::Keep && said.upgrade && may_upgrade(head);
    let spelt = if kept { spelt_upgrade(head) } else { None };
    if said.nominates {
        head.remove_nominated(NOMINATED_MAX);
    }
    if let Some(spelt) = spelt {
        head.remove_all(ONE_HOP.without(Known::Upgrade).without(Known::Connection));
        keep_upgrade(head, &spelt);
    } else {
        head.remove_all(ONE_HOP);
    }
    said
}

/// The elements of all lists that fields of that name hold; not for lists with quoted strings.
pub fn elements_of(head: &Head, known: Known) -> impl Iterator<Item = &[u8]> {
    head.values(known).flat_map(elements)
}

/// The option `upgrade` of the Connection fields, as it is spelt there.
#[cold]
fn spelt_upgrade(head: &Head) -> Option<Vec<u8>> {
    elements_of(head, Known::Connection).find(|it| is_upgrade(it)).map(<[u8]>::to_vec)
}

fn is_upgrade(option: &[u8]) -> bool {
    option.eq_ignore_ascii_case(b"upgrade")
}

/// Leaves one Connection field that says `upgrade`: where one stands, if one is left.
#[cold]
fn keep_upgrade(head: &mut Head, spelt: &[u8]) {
    const NAME: &[u8] = b"connection";
    let says = |index: &usize| {
        let (name, value) = head.field(*index).unwrap_or_default();
        name == NAME && elements(value).any(is_upgrade)
    };
    let Some(index) = (0..head.fields_count()).find(says) else {
        head.push_known(Known::Connection, spelt);
        return;
    };
    head.replace_value(index, spelt);
    let mut at = 0;
    head.retain(|name, _| {
        at += 1;
        name != NAME || at - 1 == index
    });
}

fn may_upgrade(head: &Head) -> bool {
    let mut protocols = elements_of(head, Known::Upgrade).peekable();
    protocols.peek().is_some()
        && !protocols.any(|name| {
            let name = name.split(|byte| *byte == b'/').next().unwrap_or(name);
            name.eq_ignore_ascii_case(b"h2c") || name.eq_ignore_ascii_case(b"h2")
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{HeadLimits, parse_request, write_request};

    fn parsed(version: &str, fields: &str) -> Head {
        let mut head = Head::new();
        let text = format!("GET / HTTP/{version}\r\n{fields}\r\n");
        parse_request(text.as_bytes(), &mut head, &HeadLimits::default()).unwrap();
        head
    }

    #[test]
    fn persistence() {
        for (fields, wanted_in_1_1, wanted_in_1_0) in [
            ("", true, false),
            ("Connection: close\r\n", false, false),
            ("Connection: Close\r\n", false, false),
            ("Connection: closed\r\n", true, false),
            ("Connection: keep-alive\r\n", true, true),
            ("Connection: Keep-Alive\r\n", true, true),
            ("Connection: keep-alive, close\r\n", false, false),
            ("Connection: close\r\nConnection: keep-alive\r\n", false, false),
            ("Connection: foo,\t ,KEEP-ALIVE ,bar\r\n", true, true),
            ("Connection:\r\n", true, false),
            ("Proxy-Connection: close\r\n", true, false),
            ("Proxy-Connection: keep-alive\r\n", true, false),
            ("Keep-Alive: timeout=5\r\n", true, false),
        ] {
            assert_eq!(keep_alive_wanted(&parsed("1.1", fields)), wanted_in_1_1, "{fields:?}");
            assert_eq!(keep_alive_wanted(&parsed("1.0", fields)), wanted_in_1_0, "{fields:?}");
        }
        for (list, nominates) in [("TE, close", false), ("te, a", true), ("tee", true)] {
            let said = connection(&parsed("1.1", &format!("Connection: {list}\r\n")));
            assert_eq!(said.nominates, nominates, "{list}");
        }
        let all = connection(&parsed("1.1", "Connection: upgrade, close, keep-alive\r\n"));
        assert_eq!(
            all,
            Connection { close: true, keep_alive: true, upgrade: true, nominates: false }
        );
    }

    #[test]
    fn stripping() {
        use UpgradeField::{Keep, Strip};
        for (upgrade, fields, expected) in [
            (Strip, "", ""),
            (Strip, "A: b\r\n", "a: b\r\n"),
            (Strip, "Connection: close\r\nA: b\r\n", "a: b\r\n"),
            (Strip, "A: b\r\nConnection: A\r\nC: d\r\n", "c: d\r\n"),
            (Strip, "A: b\r\nConnection: c, a\r\nC: d\r\nE: f\r\n", "e: f\r\n"),
            (Strip, "Connection: a\r\nA: b\r\nConnection: c\r\nC: d\r\n", ""),
            (Strip, "A: b\r\nC: d\r\nConnection: a\r\nConnection: c\r\nConnection: x\r\n", ""),
            (Strip, "Connection: close\r\nClose: 1\r\n", "close: 1\r\n"),
            (Strip, "Connection: close, a\r\nClose: 1\r\nA: b\r\n", ""),
            (Strip, "Keep-Alive: 5\r\nProxy-Connection: x\r\nHTTP2-Settings: x\r\n", ""),
            (Strip, "Connection: keep-alive\r\nKeep-Alive: 5\r\n", ""),
            (
                Strip,
                "Connection: host, content-length, cookie, x-forwarded-for\r\nHost: a\r\n\
                 Content-Length: 0\r\nCookie: b\r\nX-Forwarded-For: c\r\n",
                "host: a\r\ncontent-length: 0\r\ncookie: b\r\nx-forwarded-for: c\r\n",
            ),
            (Strip, "TE: trailers\r\nA: b\r\n", "a: b\r\n"),
            (Strip, "TE: gzip\r\nTE: deflate, Trailers;q=0.5\r\n", ""),
            (Strip, "Connection: TE\r\nTE: trailers\r\n", ""),
            (Strip, "TE: gzip, xtrailers\r\n", ""),
            (Strip, "Connection: upgrade\r\nUpgrade: websocket\r\n", ""),
            (Strip, "Upgrade: websocket\r\n", ""),
            (Keep, "Upgrade: websocket\r\n", ""),
            (
                Keep,
                "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nA: b\r\n",
                "connection: Upgrade\r\nupgrade: websocket\r\na: b\r\n",
            ),
            (
                Keep,
                "X: upgrade\r\nConnection: close\r\nA: b\r\nConnection: upgrade\r\n\
                 Upgrade: websocket\r\nConnection: upgrade\r\n",
                "x: upgrade\r\na: b\r\nconnection: upgrade\r\nupgrade: websocket\r\n",
            ),
            (
                Keep,
                "Connection: upgrade, connection\r\nUpgrade: websocket\r\nA: b\r\n",
                "upgrade: websocket\r\na: b\r\nconnection: upgrade\r\n",
            ),
            (Keep, "Connection: upgrade\r\n", ""),
            (Keep, "Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\n", ""),
            (Keep, "Connection: upgrade\r\nUpgrade: websocket, H2C/2\r\n", ""),
            (Keep, "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2\r\n", ""),
        ] {
            let mut head = parsed("1.1", fields);
            let said = connection(&head);
            assert_eq!(strip_hop_by_hop(&mut head, upgrade), said);
            let mut wire = Vec::new();
            write_request(&head, &mut wire);
            let wire = String::from_utf8(wire).unwrap();
            let expected = format!("GET / HTTP/1.1\r\n{expected}\r\n");
            assert_eq!(wire, expected, "{upgrade:?} {fields:?}");
            assert_eq!(head.has(Known::Connection), expected.contains("connection"), "{fields:?}");
        }
    }

    #[test]
    fn nominations_are_limited() {
        let nominated: Vec<_> = (0..=NOMINATED_MAX).map(|n| format!("x{n}")).collect();
        let list = nominated.join(",");
        let fields: String = nominated.iter().map(|name| format!("{name}: 1\r\n")).collect();
        let mut head = parsed("1.1", &format!("Connection: {list}\r\n{fields}"));
        strip_hop_by_hop(&mut head, UpgradeField::Strip);
        let left: Vec<_> = head.fields().collect();
        assert_eq!(left, [(format!("x{NOMINATED_MAX}").as_bytes(), &b"1"[..])]);
    }
}
