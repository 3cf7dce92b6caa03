//! The model of a head under any sequence of changes, against a plain list of fields; and what is
//! written of it at the end, read again.

use arbitrary::{Result, Unstructured};
use tidegate_core::http::{
    Head, HeadLimits, HeadScan, Known, KnownSet, Version, write_request, write_response,
};

use crate::reference::{self, Kind, Read, Start};
use crate::{Target, lines, texts};

/// The target.
pub const TARGET: Target = Target { name: "head_model", run, seeds, words: texts::words };

/// Names that are none of the known ones.
const OTHERS: &[&str] = &["x", "x-y", "hosts", "x-a-name-that-is-longer-than-most", "aa"];

/// A plain head.
#[derive(Clone, Debug)]
struct Plain {
    start: Start,
    minor: u8,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Runs the target: a head to begin with, then changes until the input ends.
pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    // Too little input to begin with is none to try.
    let _ = play(&mut input);
}

fn play(input: &mut Unstructured<'_>) -> Result<()> {
    let all = [texts::REQUESTS, texts::RESPONSES].concat();
    let text = all[usize::from(input.arbitrary::<u8>()?) % all.len()].as_bytes();
    let kind = if text.starts_with(b"HTTP/") { Kind::Response } else { Kind::Request };
    let mut head = Head::new();
    let mut scan = match kind {
        Kind::Request => HeadScan::request(),
        Kind::Response => HeadScan::response(),
    };
    let _ = scan.parse(text, &mut head, &HeadLimits::default());
    let mut plain = match reference::head(kind, text) {
        Read::Whole(seen, _) => Plain { start: seen.start, minor: seen.minor, fields: seen.fields },
        _ => {
            head.set_status_line(200, b"OK", Version::V11);
            Plain { start: Start::Response(200, b"OK".to_vec()), minor: 1, fields: Vec::new() }
        }
    };
    check(&head, &plain);
    let mut steps = 0;
    let mut changed = Ok(());
    while !input.is_empty() && changed.is_ok() {
        changed = change(input, &mut head, &mut plain);
        check(&head, &plain);
        steps += 1;
        if steps % 16 == 0 {
            check_names(&head, &plain);
        }
    }
    check_names(&head, &plain);
    check_wire(&head, &plain);
    changed
}

/// Makes one change to both.
fn change(input: &mut Unstructured<'_>, head: &mut Head, plain: &mut Plain) -> Result<()> {
    let choice = input.arbitrary::<u8>()? % 15;
    match choice {
        0 => {
            let (name, value) = (token(input)?, text(input)?);
            head.push(&name, &value);
            plain.push(&name, &value);
        }
        1 => {
            let (known, value) = (known(input)?, text(input)?);
            head.push_known(known, &value);
            plain.push(known.name().as_bytes(), &value);
        }
        2 => {
            let (name, value) = (token(input)?.to_ascii_lowercase(), text(input)?);
            head.set(&name, &value);
            plain.fields.retain(|(n, _)| *n != name);
            plain.push(&name, &value);
        }
        3 => {
            let (known, value) = (known(input)?, text(input)?);
            head.set_known(known, &value);
            plain.fields.retain(|(n, _)| n != known.name().as_bytes());
            plain.push(known.name().as_bytes(), &value);
        }
        4 | 5 if !plain.fields.is_empty() => {
            let at = usize::from(input.arbitrary::<u8>()?) % plain.fields.len();
            let value = text(input)?;
            head.replace_value(at, &value);
            plain.fields[at].1 = mended(&value);
        }
        6 => {
            let known = known(input)?;
            let name = known.name().as_bytes();
            assert_eq!(head.remove(known), plain.remove(|n, _| n == name));
        }
        7 => {
            let names = [known(input)?, known(input)?];
            let found = head.remove_all(KnownSet::of(&names));
            let is = |n: &[u8]| names.iter().any(|known| known.name().as_bytes() == n);
            assert_eq!(found, plain.remove(|n, _| is(n)));
        }
        8 => {
            let name = token(input)?.to_ascii_lowercase();
            assert_eq!(head.remove_name(&name), plain.remove(|n, _| n == name));
        }
        9 => {
            let length = usize::from(input.arbitrary::<u8>()? % 8);
            head.retain(|_, value| value.len() != length);
            plain.remove(|_, value| value.len() == length);
        }
        10 | 11 if matches!(plain.start, Start::Request(..)) => {
            change_line(input, head, plain, choice == 10)?;
        }
        12 => {
            let (method, target) = (text(input)?, text(input)?);
            let version = if input.arbitrary()? { Version::V10 } else { Version::V11 };
            let good = is_token(&method) && is_target(&target);
            assert_eq!(head.set_request_line(&method, &target, version).is_ok(), good);
            if good {
                plain.start = Start::Request(method, target);
                plain.minor = u8::from(version == Version::V11);
            }
        }
        13 => {
            let status = 100 + u16::from(input.arbitrary::<u8>()?) * 3;
            let reason = text(input)?;
            head.set_status_line(status, &reason, Version::V10);
            plain.start = Start::Response(status, mended(&reason));
            plain.minor = 0;
        }
        _ => {
            // A field of many bytes, so that dead ones are tidied away.
            let value = vec![b'v'; usize::from(input.arbitrary::<u8>()?) * 64];
            head.set_known(Known::Cookie, &value);
            plain.fields.retain(|(n, _)| n != b"cookie");
            plain.push(b"cookie", &value);
        }
    }
    Ok(())
}

/// Another target, or another method.
fn change_line(
    input: &mut Unstructured<'_>,
    head: &mut Head,
    plain: &mut Plain,
    of_target: bool,
) -> Result<()> {
    let new = text(input)?;
    let Start::Request(method, target) = &mut plain.start else { return Ok(()) };
    if of_target {
        assert_eq!(head.set_target(&new).is_ok(), is_target(&new));
        if is_target(&new) {
            *target = new;
        }
    } else {
        assert_eq!(head.set_method(&new).is_ok(), is_token(&new));
        if is_token(&new) {
            *method = new;
        }
    }
    Ok(())
}

impl Plain {
    fn push(&mut self, name: &[u8], value: &[u8]) {
        self.fields.push((name.to_ascii_lowercase(), mended(value)));
    }

    /// Removes fields; says whether there was one.
    fn remove(&mut self, which: impl Fn(&[u8], &[u8]) -> bool) -> bool {
        let before = self.fields.len();
        self.fields.retain(|(name, value)| !which(name, value));
        self.fields.len() < before
    }

    fn wire(&self) -> Vec<u8> {
        let minor = self.minor;
        let mut wire = match &self.start {
            Start::Request(method, target) => {
                [method, &b" "[..], target, format!(" HTTP/1.{minor}\r\n").as_bytes()].concat()
            }
            Start::Response(status, reason) => {
                [format!("HTTP/1.{minor} {status} ").as_bytes(), reason, b"\r\n"].concat()
            }
        };
        for (name, value) in &self.fields {
            wire.extend([name, &b": "[..], value, b"\r\n"].concat());
        }
        wire.extend_from_slice(b"\r\n");
        wire
    }
}

/// With spaces for control characters.
fn mended(value: &[u8]) -> Vec<u8> {
    value.iter().map(|byte| if reference::is_text(*byte) { *byte } else { b' ' }).collect()
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| reference::is_token(*byte))
}

fn is_target(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#')
}

fn known(input: &mut Unstructured<'_>) -> Result<Known> {
    Ok(Known::ALL[usize::from(input.arbitrary::<u8>()?) % Known::ALL.len()])
}

/// A name: known, in any case, or another.
fn token(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let choice = usize::from(input.arbitrary::<u8>()?);
    let all = Known::ALL.len() + OTHERS.len();
    let name = match Known::ALL.get(choice % all) {
        Some(known) => known.name(),
        None => OTHERS[choice % all - Known::ALL.len()],
    };
    let name = name.as_bytes().to_vec();
    Ok(if choice >= all { name.to_ascii_uppercase() } else { name })
}

fn text(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let len = usize::from(input.arbitrary::<u8>()? % 48).min(input.len());
    Ok(input.bytes(len)?.to_vec())
}

/// The head says what the plain one says.
fn check(head: &Head, plain: &Plain) {
    let expected = plain.fields.iter().map(|(name, value)| (&name[..], &value[..]));
    assert!(head.fields().eq(expected), "{}, not {plain:?}", lines(head));
    assert_eq!(head.fields_count(), plain.fields.len());
    let len: usize = plain.fields.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert_eq!(head.fields_len(), len, "the length of the fields");
    let start = match head.is_request() {
        true => Start::Request(head.method_bytes().to_vec(), head.target().to_vec()),
        false => Start::Response(head.status(), head.reason().to_vec()),
    };
    assert_eq!(start, plain.start);
}

/// It finds by name what is there.
fn check_names(head: &Head, plain: &Plain) {
    assert_eq!(head.wire_len(), plain.wire().len(), "the length on the wire");
    for &known in Known::ALL {
        let name = known.name().as_bytes();
        let values = || plain.fields.iter().filter(|(n, _)| n == name).map(|(_, v)| &v[..]);
        assert!(head.values(known).eq(values()), "the values of {known:?}");
        assert_eq!(head.value(known), values().next());
        assert_eq!(head.has(known), values().next().is_some(), "whether there is {known:?}");
    }
    for name in OTHERS {
        let named = plain.fields.iter().filter(|(n, _)| n == name.as_bytes()).map(|(_, v)| &v[..]);
        assert!(head.named(name.as_bytes()).eq(named), "the values of {name}");
    }
}

/// What is written is the plain head's, and is read again by both.
fn check_wire(head: &Head, plain: &Plain) {
    let expected = plain.wire();
    let mut wire = Vec::new();
    let kind = match plain.start {
        Start::Request(..) => {
            write_request(head, &mut wire);
            Kind::Request
        }
        Start::Response(..) => {
            write_response(head, head.version(), &mut wire);
            Kind::Response
        }
    };
    assert!(wire == expected, "{} not {}", wire.escape_ascii(), expected.escape_ascii());
    match kind {
        Kind::Request => crate::heads::request(&wire),
        Kind::Response => crate::heads::response(&wire),
    }
    let whole = match reference::head(kind, &wire) {
        Read::Whole(seen, used) => used == wire.len() && seen.start == plain.start,
        // The lines may contradict each other, which a parser refuses; nothing else may be wrong.
        Read::Bad => plain.fields.len() > reference::FIELDS_MAX || kind == Kind::Request,
        Read::Partial => false,
    };
    assert!(whole, "it broke out of its lines: {}", wire.escape_ascii());
}

fn seeds() -> Vec<Vec<u8>> {
    let all = (texts::REQUESTS.len() + texts::RESPONSES.len()) as u8;
    let mut seeds: Vec<Vec<u8>> = (0..15)
        .map(|choice| {
            let mut seed = vec![choice * 7 % all];
            for step in 0..6 {
                seed.extend([(choice + step) % 15, step * 11, 9]);
                seed.extend_from_slice(b"Value 1\t\r");
                seed.extend([step, 4]);
                seed.extend_from_slice(b"/two");
            }
            seed
        })
        .collect();
    seeds.extend([vec![0], vec![30, 14, 255, 14, 255, 14, 255, 14, 255, 14, 255, 14, 255]]);
    seeds
}
