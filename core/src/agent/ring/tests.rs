//! What a forwarder wants, and how it writes messages.

use super::*;

const SOCK: Sock = Sock { index: 3, generation: 4 };
const BOTH: Ready = Ready::READ.with(Ready::WRITE);

fn at(ms: u64) -> Instant {
    Instant::START + Duration::from_millis(ms)
}

fn forwarder(proto: LogProto) -> Forwarder {
    let server =
        RingServer { name: "s".into(), address: None, source: None, user_timeout: None, proto };
    let ring = RingSpec {
        name: "r".into(),
        description: "r".into(),
        format: crate::proxy::spec::WireFormat::Raw,
        len_max: 100,
        size: 1000,
        connect_timeout: Some(Duration::from_millis(700)),
        server_timeout: Some(Duration::from_secs(2)),
        servers: vec![server.clone()],
    };
    Forwarder::new((0, 0), 0, &ring, &server)
}

/// A forwarder whose connection is there since `at(0)`.
fn open(proto: LogProto) -> Forwarder {
    let mut f = forwarder(proto);
    f.dialled(Some(SOCK), at(0));
    f.connected();
    f
}

/// What a ring says whose messages begin at place `begin`.
fn found(begin: u64, messages: &[&str]) -> Followed {
    let mut bytes = Vec::new();
    for message in messages {
        bytes.extend((message.len() as u32).to_le_bytes());
        bytes.extend(message.bytes());
    }
    let next = begin + bytes.len() as u64;
    Followed { bytes, next }
}

#[test]
fn framing() {
    // As HAProxy 2.6.12 sends them.
    for (message, legacy, counted) in [
        ("", "\n", "0 "),
        ("a", "a\n", "1 a"),
        ("0123456789", "0123456789\n", "10 0123456789"),
        ("two\nlines", "two\nlines\n", "9 two\nlines"),
        ("ends\n", "ends\n\n", "5 ends\n"),
        ("\u{e9}", "\u{e9}\n", "2 \u{e9}"),
    ] {
        for (proto, expected) in [(LogProto::Legacy, legacy), (LogProto::OctetCount, counted)] {
            let mut out = Vec::new();
            frame(proto, message.as_bytes(), &mut out);
            assert_eq!(out, expected.as_bytes(), "{message:?}");
        }
    }
}

#[test]
fn what_was_not_sent_whole_is_sent_again() {
    for (sent, place) in [(0, 98), (1, 98), (6, 98), (7, 107), (8, 107), (14, 107), (15, 117)] {
        let mut f = open(LogProto::OctetCount);
        // "5 first" and "6 second".
        f.took(&found(98, &["first", "second"]));
        assert_eq!(f.output(), b"5 first6 second");
        f.left(sent, at(0));
        f.failed();
        assert_eq!(f.want(BOTH, at(0)), Want::Close(SOCK));
        f.closed();
        assert_eq!(f.place, place, "after {sent} bytes");
        assert_eq!(f.want(Ready::NONE, at(999)), Want::Nothing);
        assert_eq!(f.want(Ready::NONE, at(1000)), Want::Connect);
    }
}

#[test]
fn it_reads_on_when_all_is_sent() {
    let mut f = open(LogProto::Legacy);
    assert_eq!(f.want(Ready::WRITE, at(0)), Want::Read(0));
    f.took(&found(5, &["a", "b"]));
    assert_eq!(f.want(Ready::NONE, at(0)), Want::Nothing);
    assert_eq!(f.want(Ready::WRITE, at(0)), Want::Send(SOCK));
    f.left(3, at(0));
    assert_eq!((f.output(), f.want(Ready::WRITE, at(0))), (&b"\n"[..], Want::Send(SOCK)));
    f.left(1, at(0));
    assert_eq!(f.want(Ready::WRITE, at(0)), Want::Read(15));
    f.took(&found(15, &[]));
    assert_eq!(f.want(BOTH, at(0)), Want::Receive(SOCK));
    assert_eq!(f.want(Ready::WRITE, at(0)), Want::Nothing);
    assert!(f.is_idle());
    // It comes back by itself only if others write, too.
    assert_eq!(f.deadline(true, at(0)), Deadline::NEVER);
    assert_eq!(f.deadline(false, at(7)), Deadline::at(at(107)));
    f.look_again();
    assert_eq!(f.want(Ready::WRITE, at(0)), Want::Read(15));
}

#[test]
fn timeouts() {
    let mut f = forwarder(LogProto::Legacy);
    assert_eq!(f.want(Ready::NONE, at(5)), Want::Connect);
    f.dialled(None, at(5));
    assert_eq!(
        (f.want(Ready::NONE, at(6)), f.deadline(true, at(6)).instant()),
        (Want::Nothing, Some(at(1005)))
    );
    f.dialled(Some(SOCK), at(1005));
    assert_eq!(f.deadline(true, at(1005)), Deadline::at(at(1705)));
    assert_eq!(f.want(Ready::NONE, at(1704)), Want::Nothing);
    assert_eq!(f.want(Ready::WRITE, at(1704)), Want::Status(SOCK));
    assert_eq!(f.want(Ready::NONE, at(1705)), Want::Close(SOCK));
    f.connected();
    // Silence is no reason to end.
    f.took(&found(0, &[]));
    assert_eq!(f.deadline(true, at(9000)), Deadline::NEVER);
    f.look_again();
    f.took(&found(0, &["abc"]));
    f.left(0, at(10_000));
    f.left(0, at(11_000));
    assert_eq!(f.deadline(true, at(11_000)), Deadline::at(at(12_000)));
    f.left(1, at(11_500));
    assert_eq!(f.deadline(true, at(11_500)), Deadline::at(at(13_500)));
    assert_eq!(f.want(Ready::NONE, at(13_500)), Want::Close(SOCK));
    f.closed();
    // The attempt before is long ago.
    assert_eq!(f.want(Ready::NONE, at(13_500)), Want::Connect);
}
