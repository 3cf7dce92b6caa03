//! Rewriting: regular expressions with what replaces their matches, and URI normalisers.

use crate::acl::{Groups, Regex};
use crate::logfmt::format::Format;
use crate::sample::args::Mistake;

/// A regular expression.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles one. What needs backtracking is refused with a sentence.
    pub fn new(text: &str, ignore_case: bool) -> Result<Pattern, Mistake> {
        match Regex::new(text.as_bytes(), ignore_case) {
            Ok(regex) => Ok(Pattern(regex)),
            Err(why) => Err(Mistake::new(0, 0, why)),
        }
    }

    /// Whether it matches somewhere.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }

    /// The groups of its first match.
    pub fn groups(&self, text: &[u8]) -> Option<Groups> {
        self.0.groups(text, 0)
    }
}

/// What replaces a match: a format whose text then has `\1` to `\9` and `\0` for the groups.
#[derive(Clone, Debug)]
pub struct Template(pub Format);

/// `normalize-uri`: what is made of a path or a query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Normalizer {
    /// `fragment-encode`: `#` becomes `%23`.
    FragmentEncode,
    /// `fragment-strip`: what follows `#` goes.
    FragmentStrip,
    /// `path-merge-slashes`.
    MergeSlashes,
    /// `path-strip-dot`: `/./` becomes `/`.
    StripDot,
    /// `path-strip-dotdot`: `/a/../` becomes `/`.
    StripDotDot {
        /// `full`: those at the start go too.
        full: bool,
    },
    /// `percent-decode-unreserved`.
    DecodeUnreserved {
        /// `strict`: a broken escape is refused.
        strict: bool,
    },
    /// `percent-to-uppercase`.
    Uppercase {
        /// `strict`: a broken escape is refused.
        strict: bool,
    },
    /// `query-sort-by-name`.
    SortQuery,
}

/// Why a target cannot be normalised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken;

impl Normalizer {
    /// Normalises a target; none if it stays as it is.
    pub fn apply(self, target: &[u8]) -> Result<Option<Vec<u8>>, Broken> {
        let made = match self {
            Normalizer::FragmentEncode => replace_all(target, b"#", b"%23"),
            Normalizer::FragmentStrip => {
                let end = target.iter().position(|b| *b == b'#').unwrap_or(target.len());
                target[..end].to_vec()
            }
            Normalizer::DecodeUnreserved { strict } => percent(target, strict, true)?,
            Normalizer::Uppercase { strict } => percent(target, strict, false)?,
            Normalizer::MergeSlashes
            | Normalizer::StripDot
            | Normalizer::StripDotDot { .. }
            | Normalizer::SortQuery => self.parts(target),
        };
        Ok((made != target).then_some(made))
    }

    /// What concerns the path alone or the query alone.
    fn parts(self, target: &[u8]) -> Vec<u8> {
        let start = path_start(target);
        let end = target.iter().position(|b| matches!(b, b'?' | b'#')).unwrap_or(target.len());
        let (before, path, rest) =
            (&target[..start.min(end)], &target[start.min(end)..end], &target[end..]);
        match self {
            Normalizer::MergeSlashes => [before, &merge_slashes(path), rest].concat(),
            Normalizer::StripDot => [before, &strip_dot(path), rest].concat(),
            Normalizer::StripDotDot { full } => [before, &strip_dotdot(path, full), rest].concat(),
            _ => {
                let Some(query) = rest.strip_prefix(b"?") else { return target.to_vec() };
                let end = query.iter().position(|b| *b == b'#').unwrap_or(query.len());
                let mut params: Vec<&[u8]> = query[..end].split(|b| *b == b'&').collect();
                params.sort_by_key(|param| param.split(|b| *b == b'=').next().unwrap_or(param));
                [before, path, b"?", &params.join(&b'&'), &query[end..]].concat()
            }
        }
    }
}

/// Where the path of a target begins: behind the authority in absolute form.
pub fn path_start(target: &[u8]) -> usize {
    if target.starts_with(b"/") {
        return 0;
    }
    let Some(at) = memchr::memmem::find(target, b"://") else { return target.len() };
    let behind = at + 3;
    let stop = target[behind..].iter().position(|b| matches!(b, b'/' | b'?' | b'#'));
    stop.map_or(target.len(), |stop| behind + stop)
}

fn replace_all(text: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, what) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(with);
        rest = &rest[at + what.len()..];
    }
    out.extend_from_slice(rest);
    out
}

fn percent(target: &[u8], strict: bool, decode: bool) -> Result<Vec<u8>, Broken> {
    let mut out = Vec::with_capacity(target.len());
    let mut at = 0;
    while at < target.len() {
        if target[at] != b'%' {
            out.push(target[at]);
            at += 1;
            continue;
        }
        let digits = target.get(at + 1..at + 3).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        let Some(digits) = digits else {
            if strict {
                return Err(Broken);
            }
            out.push(b'%');
            at += 1;
            continue;
        };
        let value = |digit: u8| (digit as char).to_digit(16).unwrap_or(0) as u8;
        let byte = value(digits[0]) << 4 | value(digits[1]);
        let unreserved = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        match (decode, unreserved) {
            (true, true) => out.push(byte),
            (true, false) => out.extend_from_slice(&target[at..at + 3]),
            (false, _) => out.extend_from_slice(&[
                b'%',
                digits[0].to_ascii_uppercase(),
                digits[1].to_ascii_uppercase(),
            ]),
        }
        at += 3;
    }
    Ok(out)
}

fn merge_slashes(path: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(path.len());
    for &byte in path {
        if byte != b'/' || out.last() != Some(&b'/') {
            out.push(byte);
        }
    }
    out
}

fn strip_dot(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let segments: Vec<&[u8]> = path.split(|b| *b == b'/').collect();
    let last = segments.len() - 1;
    let mut first = true;
    for (index, segment) in segments.iter().enumerate() {
        if *segment == b"." {
            // The slash in front of a dot stays where nothing follows.
            if index == last && !first {
                out.push(b'/');
            }
            continue;
        }
        if !first {
            out.push(b'/');
        }
        first = false;
        out.extend_from_slice(segment);
    }
    out
}

fn strip_dotdot(path: &[u8], full: bool) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let segments: Vec<&[u8]> = path.split(|b| *b == b'/').collect();
    let last = segments.len() - 1;
    for (index, segment) in segments.iter().enumerate() {
        let named = |s: &&[u8]| !s.is_empty() && **s != *b"..";
        if *segment == b".." {
            if kept.last().is_some_and(|last| named(last) || kept.len() > 1 && last.is_empty()) {
                kept.pop();
                if index == last {
                    kept.push(b"");
                }
                continue;
            }
            if full {
                if index == last {
                    kept.push(b"");
                }
                continue;
            }
        }
        kept.push(segment);
    }
    kept.join(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalizers() {
        let dots = Normalizer::StripDotDot { full: false };
        let full = Normalizer::StripDotDot { full: true };
        let decode = Normalizer::DecodeUnreserved { strict: false };
        let upper = Normalizer::Uppercase { strict: false };
        for (normalizer, target, expected) in [
            (Normalizer::MergeSlashes, "//a///b/?c//d", "/a/b/?c//d"),
            (Normalizer::MergeSlashes, "http://h//a", "http://h/a"),
            (Normalizer::StripDot, "/./a/./b/.", "/a/b/"),
            (Normalizer::StripDot, "/a.b/.c", "/a.b/.c"),
            (dots, "/a/b/../c", "/a/c"),
            (dots, "/a/..", "/"),
            (dots, "/../a", "/../a"),
            (full, "/../a", "/a"),
            (full, "/a/../../b?x=/../", "/b?x=/../"),
            (decode, "/%41%2f%7e%zz", "/A%2f~%zz"),
            (upper, "/%2f%aB?%7e", "/%2F%AB?%7E"),
            (Normalizer::SortQuery, "/?b=1&a=2&a=1&c", "/?a=2&a=1&b=1&c"),
            (Normalizer::FragmentStrip, "/a#b", "/a"),
            (Normalizer::FragmentEncode, "/a#b", "/a%23b"),
        ] {
            let made = normalizer.apply(target.as_bytes()).expect(target);
            let made = made.unwrap_or_else(|| target.into());
            assert_eq!(String::from_utf8_lossy(&made), expected, "{normalizer:?} {target}");
        }
        let strict = Normalizer::Uppercase { strict: true };
        assert_eq!(strict.apply(b"/%zz"), Err(Broken));
    }
}
