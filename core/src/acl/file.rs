//! Files of patterns: lists, a pattern a line, and maps, a key and a value a line. Each is read
//! once for each way of matching, whoever names it.

use core::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::{Match, Output, Patterns};
use crate::config::Host;
use crate::sample::{Kind, Names, PatternFile};

/// How a file is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileUse {
    /// How its patterns match.
    pub how: Match,
    /// `-i`.
    pub ignore_case: bool,
    /// Names of hosts are looked up.
    pub look_up: bool,
    /// The type of a map's values; none for lists.
    pub output: Option<Kind>,
    /// A map of which only the keys are wanted (`-M`).
    pub keys_only: bool,
}

impl FileUse {
    /// A map's.
    pub const fn map(how: Match, output: Kind) -> FileUse {
        FileUse { how, ignore_case: false, look_up: false, output: Some(output), keys_only: false }
    }

    /// Whether lines have a key and a value.
    const fn two_columns(self) -> bool {
        self.output.is_some() || self.keys_only
    }

    /// What tells it from other ways.
    fn key(self) -> String {
        let columns = if self.two_columns() { MAP } else { LIST };
        format!("{columns}{:?}", self)
    }
}

/// The first letter of the keys of maps.
const MAP: char = 'm';
/// The first letter of the keys of lists.
const LIST: char = 'l';

/// The index in the site's patterns of a file, which is read unless it was before. The error is a
/// sentence.
pub fn load(path: &str, way: FileUse, names: &mut Names<'_>) -> Result<u32, String> {
    let key = (path.to_owned(), way.key());
    if let Some(index) = names.files.get(&key) {
        return Ok(*index);
    }
    let first = if way.two_columns() { MAP } else { LIST };
    let others = names.files.range((path.to_owned(), String::new())..);
    let mut others = others.take_while(|((other, _), _)| other == path);
    if others.any(|((_, key), _)| !key.starts_with(first)) {
        let (is, wanted) = if way.two_columns() { ("list", "map") } else { ("map", "list") };
        return Err(format!(
            "'{path}' is used as a {is} elsewhere and cannot be a {wanted} here: a file has one \
             or two columns, not both"
        ));
    }
    let bytes = names
        .host
        .read(path)
        .map_err(|error| format!("pattern file '{path}' cannot be read: {error}"))?;
    let patterns = Arc::new(read(path, &bytes, way, names.host)?);
    Ok(names.add_patterns(Some(key), PatternFile { name: path.into(), patterns }))
}

/// The patterns of a file.
fn read(path: &str, bytes: &[u8], way: FileUse, host: &dyn Host) -> Result<Patterns, String> {
    let mut patterns = match way.output {
        Some(kind) => Patterns::map(way.how, kind),
        None => Patterns::new(way.how, way.ignore_case),
    };
    let resolve = |name: &str| first_v4(host, name);
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let Some((key, value)) = split(line, way.two_columns()) else { continue };
        let output = way.output.map(|kind| Output::parse(value, kind)).transpose();
        output
            .and_then(|output| {
                let resolve = way.look_up.then_some(&resolve as super::Resolve<'_>);
                patterns.add_resolved(key, output, resolve)
            })
            .map_err(|message| format!("{path}:{number}: {message}"))?;
    }
    patterns.finish();
    Ok(patterns)
}

/// The first IPv4 address of a name, which is the one that HAProxy takes.
pub(super) fn first_v4(host: &dyn Host, name: &str) -> Option<Ipv4Addr> {
    host.resolve(name).ok()?.into_iter().find_map(|ip| match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    })
}

/// The pattern of a line, and what stands behind it in a map; none if there is nothing. What
/// stands behind a list's pattern on its line, blanks too, is part of it.
fn split(line: &[u8], two_columns: bool) -> Option<(&[u8], &[u8])> {
    if line.starts_with(b"#") {
        return None;
    }
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    // A carriage return ends a line wherever it stands, and so does a NUL.
    let end = line.iter().position(|byte| matches!(byte, b'\r' | 0)).unwrap_or(line.len());
    let start = line[..end].iter().position(|byte| !blank(byte))?;
    let line = &line[start..end];
    if !two_columns {
        return Some((line, b""));
    }
    let key = line.iter().position(blank).unwrap_or(line.len());
    let (key, rest) = line.split_at(key);
    let from = rest.iter().position(|byte| !blank(byte)).unwrap_or(rest.len());
    let to = rest.iter().rposition(|byte| !blank(byte)).map_or(from, |last| last + 1);
    Some((key, &rest[from..to]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MapHost;

    /// What is read of a file, as text.
    fn lines(file: &str, two_columns: bool) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let lines = file.as_bytes().split(|byte| *byte == b'\n');
        let split = lines.filter_map(|line| split(line, two_columns));
        split.map(|(key, value)| (text(key), text(value))).collect()
    }

    #[test]
    fn lines_as_haproxy_reads_them() {
        let map = "# c\n  # d x\na  1 2  \r\n\n   b\t2\t\nnoval\nd\t\tx # y\n\t\nz 9";
        let pairs = [("#", "d x"), ("a", "1 2"), ("b", "2"), ("noval", ""), ("d", "x # y")];
        let mut expected: Vec<_> =
            pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        expected.push(("z".into(), "9".into()));
        assert_eq!(lines(map, true), expected);

        let list = "  abc  \n#x\n # y\na b\r\ntab\tx\n\n\t\nlast";
        let keys: Vec<String> = lines(list, false).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["abc  ", "# y", "a b", "tab\tx", "last"]);
    }

    #[test]
    fn a_file_is_read_once_for_each_use_and_is_a_list_or_a_map() {
        let host = MapHost::default()
            .with_file("a", "x\ny\n")
            .with_file("m", "1 2\n")
            .with_file("bad", "1\n\nx\n");
        let mut names = Names::new(&host);
        let list = |how, ignore_case| FileUse {
            how,
            ignore_case,
            look_up: true,
            output: None,
            keys_only: false,
        };
        let first = load("a", list(Match::Str, false), &mut names);
        assert_eq!(first, Ok(0));
        assert_eq!(load("a", list(Match::Str, false), &mut names), Ok(0));
        assert_eq!(load("a", list(Match::Str, true), &mut names), Ok(1));
        assert_eq!(load("m", FileUse::map(Match::Int, Kind::Int), &mut names), Ok(2));
        assert_eq!(names.patterns[0].patterns.len(), 2);
        for (path, way, part) in [
            ("a", FileUse::map(Match::Str, Kind::Str), "used as a list elsewhere"),
            ("m", list(Match::Str, false), "used as a map elsewhere"),
            ("none", list(Match::Str, false), "cannot be read"),
            ("bad", list(Match::Int, false), "bad:3: 'x' is not a number"),
        ] {
            let error = load(path, way, &mut names).expect_err(path);
            assert!(error.contains(part), "{error}");
        }
    }
}
