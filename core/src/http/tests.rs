//! What holds for all heads and bodies, tried with many: nearly good ones, and any way to cut them.
//!
//! `cargo mutants` finds mutants of this room that no test kills. Those that are known do not change
//! what is found, and are of these kinds: a quick way that is not taken (`is_name_byte`,
//! `check_host_value`, `plain_length`); `|` or `^` of bits that are never set together; a bug that is
//! planted elsewhere and compiled out (`planted!`); a search that begins a few bytes earlier or later
//! than it must; the counting of looks, which only tests have.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::RngSeed;

use super::parse::parse_irregular;
use super::regular::take_regular;
use super::scan::Kind;
use super::syntax;
use super::*;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 600,
        rng_seed: RngSeed::Fixed(0x7e57),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// A head of valid lines, spaced regularly or not.
fn head(kind: Kind) -> impl Strategy<Value = Vec<u8>> {
    let line = match kind {
        Kind::Request => select(
            &[
                "GET / HTTP/1.1",
                "POST /a?b=c HTTP/1.0",
                "OPTIONS * HTTP/1.1",
                "CONNECT a:443 HTTP/1.1",
                "GET http://a.example:80/%20 HTTP/1.1",
                "M-SEARCH /;x HTTP/1.1",
            ][..],
        ),
        Kind::Response => select(
            &[
                "HTTP/1.1 200 OK",
                "HTTP/1.0 404 Not Found",
                "HTTP/1.1 301 ",
                "HTTP/1.1 204",
                "HTTP/1.1 200 caf\u{e9}",
            ][..],
        ),
    };
    let name = prop_oneof![
        "[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,40}",
        select(Known::ALL).prop_map(|known| known.name().to_string()),
        select(Known::ALL).prop_map(|known| known.name().to_uppercase()),
    ];
    let space = select(&["", " ", " ", "\t", "  "][..]);
    let value = "([!-~\u{e9}]([ -~\t]{0,60}[!-~])?)?";
    let fields = vec((name, space.clone(), value, space), 0..12);
    (line, any::<bool>(), fields).prop_map(|(line, regular, fields)| {
        let mut head = format!("{line}\r\n");
        for (name, before, value, after) in fields {
            let (before, after) = if regular { (" ", "") } else { (before, after) };
            head += &format!("{name}:{before}{value}{after}\r\n");
        }
        (head + "\r\n").into_bytes()
    })
}

/// A head with a few bytes changed, for better or worse.
fn damaged_head(kind: Kind) -> impl Strategy<Value = Vec<u8>> {
    let byte =
        prop_oneof![select(&b"\r\n\0\t :,;#/*.-@[]%\x01\x7f\x80\xff0129aZHTP"[..]), any::<u8>(),];
    let change = (any::<Index>(), select(&[0, 1, 2][..]), byte);
    (head(kind), vec(change, 0..4)).prop_map(|(mut head, changes)| {
        for (at, what, byte) in changes {
            let at = at.index(head.len() + 1);
            match what {
                0 => head.insert(at, byte),
                1 if at < head.len() => head[at] = byte,
                _ if at < head.len() => drop(head.remove(at)),
                _ => {}
            }
        }
        head
    })
}

/// Where an input of any length is cut.
fn cuts() -> impl Strategy<Value = Vec<Index>> {
    vec(any::<Index>(), 0..6)
}

fn parse(kind: Kind, input: &[u8]) -> Result<Head, BadHead> {
    let mut head = Head::new();
    let parse = match kind {
        Kind::Request => parse_request,
        Kind::Response => parse_response,
    };
    parse(input, &mut head, &HeadLimits::default()).map(|()| head)
}

fn write(head: &Head) -> Vec<u8> {
    let mut wire = Vec::new();
    match head.is_request() {
        true => write_request(head, &mut wire),
        false => write_response(head, Version::V11, &mut wire),
    }
    wire
}

/// Everything that a head says, but for the version it was received in, as one list.
fn meaning(head: &Head) -> Vec<Vec<u8>> {
    let status = head.status().to_string();
    let line = [head.method_bytes(), head.target(), status.as_bytes(), head.reason()];
    let fields = head.fields().flat_map(|(name, value)| [name, value]);
    line.into_iter().chain(fields).map(<[u8]>::to_vec).collect()
}

/// The outcome of feeding a scan with the input as far as each of `cuts`, then whole.
fn feed(kind: Kind, input: &[u8], cuts: &[usize]) -> (Scan, Option<Vec<u8>>) {
    let mut scan = HeadScan::of(kind);
    let mut head = Head::new();
    for cut in cuts.iter().copied().chain([input.len()]) {
        match scan.parse(&input[..cut], &mut head, &HeadLimits::default()) {
            Scan::NeedMore => {}
            complete @ Scan::Complete { .. } => return (complete, Some(write(&head))),
            bad @ Scan::Bad { .. } => return (bad, None),
        }
    }
    (Scan::NeedMore, None)
}

fn check_written_head_is_read_again(kind: Kind, input: &[u8]) {
    let Ok(head) = parse(kind, input) else { return };
    let wire = write(&head);
    assert_eq!(wire.len(), head.wire_len());
    let again = parse(kind, &wire).expect("what is written can be read");
    assert_eq!(meaning(&again), meaning(&head));
    assert_eq!(write(&again), wire);
    check_short_way(kind, &wire);
    let regular = take_regular(kind, &mut loaded(&wire), 100);
    // A response may repeat Host, which means nothing there.
    let unusual = wire.contains(&b'\t') || head.values(Known::Host).count() > 1;
    assert!(unusual || regular == Some(wire.len()), "what is written is regular");
}

fn loaded(input: &[u8]) -> Head {
    let mut head = Head::new();
    head.load(input);
    head
}

/// The short way and httparse make the same of whatever the short way takes.
fn check_short_way(kind: Kind, input: &[u8]) {
    let mut short = loaded(input);
    if take_regular(kind, &mut short, 100) != Some(input.len()) {
        return;
    }
    let mut long = Head::new();
    assert_eq!(parse_irregular(kind, input, &mut long, &HeadLimits::default()), Ok(()));
    assert_eq!(meaning(&short), meaning(&long));
    assert_eq!(short.version(), long.version());
    for &known in Known::ALL {
        assert!(short.values(known).eq(long.values(known)));
    }
}

/// The parser and the diagnosis agree about what is a head.
fn check_diagnosis(kind: Kind, input: &[u8]) {
    use HeadError::{Host, HostConflict, TargetAuthority, TargetForm, TooLarge};
    match (parse(kind, input), syntax::check(kind, input, &HeadLimits::default())) {
        (Ok(_), diagnosis) => assert_eq!(diagnosis, Ok(())),
        (
            Err(BadHead {
                why: Host | HostConflict | TargetAuthority | TargetForm | TooLarge, ..
            }),
            diagnosis,
        ) => {
            assert_eq!(diagnosis, Ok(()));
        }
        (Err(bad), diagnosis) => assert_eq!(diagnosis, Err(bad)),
    }
}

/// However a head arrives, the same is found.
fn check_cuts(kind: Kind, input: &[u8], cuts: &mut [usize]) {
    cuts.sort_unstable();
    let whole = feed(kind, input, &[]);
    assert_eq!(feed(kind, input, cuts), whole);
    let all: Vec<_> = (0..input.len()).collect();
    assert_eq!(feed(kind, input, &all), whole);
}

/// What may follow, wherever the input is cut.
const ENDS: [&[u8]; 4] =
    [b" / HTTP/1.1 200\r\n\r\n", b"/ HTTP/1.1\r\n\r\n", b"\r\nG / HTTP/1.1\r\n\r\n", b":\r\n\r\n"];

/// What is waited for can come; what has been refused cannot, whatever comes.
fn check_ends(kind: Kind, input: &[u8], cuts: &[usize]) {
    use HeadError::{
        EmptyLines, FirstByte, Host, HostConflict, TargetAuthority, TargetForm, TooLarge,
    };
    for &cut in cuts {
        let input = &input[..cut];
        let mut ends = ENDS.iter().flat_map(|end| (0..end.len()).map(|at| &end[at..]));
        let good = |end: &[u8]| {
            let whole = [input, end].concat();
            let mut head = &whole[..];
            while let Some(rest) = head.strip_prefix(b"\r\n") {
                head = rest;
            }
            syntax::check(kind, head, &HeadLimits::default()).is_ok()
        };
        let text = input.escape_ascii();
        match feed(kind, input, &[]).0 {
            Scan::NeedMore => {
                assert!(kind == Kind::Response && input == b"\r" || ends.any(good), "{text}");
            }
            Scan::Bad {
                why:
                    EmptyLines | FirstByte | Host | HostConflict | TargetAuthority | TargetForm
                    | TooLarge,
                ..
            }
            | Scan::Complete { .. } => {}
            Scan::Bad { .. } => assert!(!ends.any(good), "{text}"),
        }
    }
}

fn check_all(kind: Kind, input: &[u8], cuts: &[Index]) {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
    check_written_head_is_read_again(kind, input);
    check_short_way(kind, input);
    check_diagnosis(kind, input);
    check_cuts(kind, input, &mut cuts);
    check_ends(kind, input, &cuts);
    if let Ok(mut head) = parse(kind, input) {
        let body = match kind {
            Kind::Request => request_body(&head),
            Kind::Response => response_body(&head, Method::Get),
        };
        if let Ok(body) = body {
            settle(&mut head, body);
            let again = match kind {
                Kind::Request => request_body(&head),
                Kind::Response => response_body(&head, Method::Get),
            };
            assert_eq!(again, Ok(body), "a settled body is settled");
        }
        strip_hop_by_hop(&mut head, UpgradeField::Strip);
        assert!(!head.has(Known::Connection) && !head.has(Known::Upgrade));
        check_written_head_is_read_again(kind, &write(&head));
    }
}

/// How many bytes of a body go into each chunk, and how each size is written.
fn chunked(body: &[u8], sizes: &[usize], styles: &[u8]) -> Vec<u8> {
    let (mut wire, mut rest) = (Vec::new(), body);
    let mut styles = styles.iter().cycle();
    for size in sizes {
        let (chunk, after) = rest.split_at(rest.len().min(*size));
        rest = after;
        if chunk.is_empty() {
            continue;
        }
        match styles.next() {
            Some(0) => wire.extend(format!("{:X}\r\n", chunk.len()).into_bytes()),
            Some(1) => wire.extend(format!("00{:x} ;x=\"y\"\r\n", chunk.len()).into_bytes()),
            _ => {
                let mut head = [0; CHUNK_HEAD_MAX];
                let len = write_chunk_head(chunk.len() as u64, &mut head);
                wire.extend_from_slice(&head[..len]);
            }
        }
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(LAST_CHUNK);
    wire
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn requests(input in damaged_head(Kind::Request), cuts in cuts()) {
        check_all(Kind::Request, &input, &cuts);
    }

    #[test]
    fn responses(input in damaged_head(Kind::Response), cuts in cuts()) {
        check_all(Kind::Response, &input, &cuts);
    }

    #[test]
    fn undamaged_heads_are_good(input in head(Kind::Response)) {
        prop_assert!(parse(Kind::Response, &input).is_ok());
    }

    #[test]
    fn any_bytes_at_all(input in vec(any::<u8>(), 0..200), cuts in cuts()) {
        check_all(Kind::Request, &input, &cuts);
        check_all(Kind::Response, &input, &cuts);
    }

    /// What is encoded is decoded, whole and in pieces, and no byte of what follows is touched.
    #[test]
    fn chunked_bodies(
        body in vec(any::<u8>(), 0..300),
        sizes in vec(1..100usize, 0..8),
        styles in vec(0..3u8, 1..4),
        cuts in cuts(),
    ) {
        let sent = &body[..body.len().min(sizes.iter().sum())];
        let mut wire = chunked(sent, &sizes, &styles);
        let message_len = wire.len();
        wire.extend_from_slice(b"GET /");
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).collect();
        cuts.push(wire.len());
        cuts.sort_unstable();

        let mut decoder = ChunkDecoder::new();
        let (mut decoded, mut consumed) = (Vec::new(), 0);
        for cut in cuts {
            while consumed < cut && !decoder.is_done() {
                match decoder.step(&wire[consumed..cut]) {
                    Chunk::Data(count) => {
                        decoded.extend_from_slice(&wire[consumed..consumed + count]);
                        consumed += count;
                    }
                    Chunk::Skip(count) | Chunk::End(count) => consumed += count,
                    other => prop_assert!(false, "{other:?} at {consumed}"),
                }
            }
        }
        prop_assert!(decoder.is_done());
        prop_assert_eq!(consumed, message_len);
        prop_assert_eq!(&decoded[..], sent);
    }
}
