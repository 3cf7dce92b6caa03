//! Finds where a head ends while it arrives. Not a parser: it knows lines, not what they say.
//!
//! A head that is whole is only searched for its end: what is wrong with it, the parser finds. A
//! head that is not goes through the grammar as far as it has come (see `syntax`), so that nobody
//! waits for the rest of what can no longer become one. No byte is looked at twice but for the few
//! around the cursor.
//!
//! ```text
//!             skip            len
//!           ┌──────┐┌──────────────────────┐
//!   input:   CRLF... GET / HTTP/1.1CRLF  ...  CRLF CRLF  the body, or what was pipelined
//!                    ▲                   ▲ cursor
//! ```

use core::mem;

use memchr::memrchr;

use super::error::{BadHead, HeadError};
use super::find::{END, find_end};
use super::parse::HeadLimits;
use super::syntax::{Reach, Syntax};
use super::token::is_token_byte;

/// How many bytes of empty lines are skipped before a request (RFC 9112 section 2.2 asks for one
/// line at least; old clients send one after the body of a POST).
const SKIP_MAX: u32 = 64;

/// So many times the lines of a head that is not whole are looked at for what they mean.
const LOOKS_MAX: u8 = 4;

/// The progress of a scan; as small as it is so that a waiting connection can hold it.
///
/// The same scan must be given inputs of which each starts with the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HeadScan {
    /// All before it has been seen.
    cursor: u32,
    /// Where the head starts, after the empty lines.
    skip: u32,
    kind: Kind,
    /// Where in the grammar the cursor is.
    syntax: Syntax,
    /// Times that [`HeadScan::decisive_lines`] has found some.
    looks: u8,
    /// Bytes looked at, those that were looked at twice counted twice.
    #[cfg(test)]
    pub(super) looked: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    #[default]
    Request,
    Response,
}

/// What a scan has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Scan {
    /// The head goes on: call again with more input.
    NeedMore,
    /// The head is `input[skip..skip + len]`, its final empty line included. Whether it is valid
    /// the parser will say.
    Complete {
        /// Bytes before the head: empty lines.
        skip: usize,
        /// Bytes of the head.
        len: usize,
    },
    /// No valid head can come of it, whatever follows.
    Bad {
        /// The offset of the first byte in error, counted from the start of the input.
        at: usize,
        /// What is wrong there.
        why: HeadError,
    },
}

impl HeadScan {
    /// Starts on a request; the same as the default. Empty lines before it are skipped.
    pub fn request() -> HeadScan {
        HeadScan::of(Kind::Request)
    }

    /// Starts on a response. Nothing is skipped before it.
    pub fn response() -> HeadScan {
        HeadScan::of(Kind::Response)
    }

    pub(super) fn of(kind: Kind) -> HeadScan {
        HeadScan { kind, syntax: Syntax::of(kind), ..HeadScan::default() }
    }

    /// Goes on over `input`, which is all that is unread, of any length up to 4 GB. After
    /// `Complete` or `Bad` the scan is over: start a new one.
    pub fn advance(&mut self, input: &[u8], limits: &HeadLimits) -> Scan {
        assert!(u32::try_from(input.len()).is_ok(), "a head is scanned in less than 4 GB");
        debug_assert!(self.cursor as usize <= input.len(), "the input never shrinks");

        let skip = match self.start(input) {
            Ok(start) => start.skip,
            Err(found) => return found,
        };
        let seen = self.cursor as usize;
        let start = skip.max(seen.saturating_sub(END.len() - 1));
        self.note_look(input.len() - start);
        if let Some(found) = find_end(&input[start..]) {
            return Scan::Complete { skip, len: start + found + END.len() - skip };
        }
        self.note_look(input.len() - seen);
        match self.syntax.advance(input, seen, limits) {
            Ok(Reach::Until(cursor)) => {
                self.cursor = cursor as u32;
                Scan::NeedMore
            }
            // It would have been found above.
            Ok(Reach::End(end)) => Scan::Complete { skip, len: end - skip },
            Err(BadHead { at, why }) => Scan::Bad { at, why },
        }
    }

    /// Whether nothing was looked at yet.
    pub fn is_fresh(&self) -> bool {
        self.cursor == 0
    }

    /// The whole lines of a head that is not whole, if one has come that may decide against it
    /// already: a length, a coding or a host. Whoever ends them with an empty line and reads that
    /// as a head knows what will not be mended by what follows. There are some a few times in the
    /// life of a head only, so that all looks together stay within its length.
    pub fn decisive_lines<'input>(&mut self, input: &'input [u8]) -> Option<&'input [u8]> {
        if !mem::take(&mut self.syntax.decisive) || self.looks == LOOKS_MAX {
            return None;
        }
        self.looks += 1;
        memrchr(b'\n', &input[..self.cursor as usize]).map(|end| &input[..=end])
    }

    /// Starts on a message of the same kind.
    pub fn again(&self) -> HeadScan {
        HeadScan::of(self.kind)
    }

    /// Steps over empty lines until the head has started, or says what that leads to instead.
    #[inline]
    pub(super) fn start(&mut self, input: &[u8]) -> Result<Start, Scan> {
        let skip_max = match self.kind {
            Kind::Request => SKIP_MAX,
            Kind::Response => 0,
        };
        while self.cursor == self.skip && input[self.skip as usize..].starts_with(b"\r\n") {
            if self.skip == skip_max {
                return Err(Scan::Bad { at: skip_max as usize, why: HeadError::EmptyLines });
            }
            self.skip += 2;
            self.cursor += 2;
        }
        let skip = self.skip as usize;
        match input[skip..] {
            [first, ..] if is_token_byte(first) => {
                Ok(Start { kind: self.kind, skip, first_look: self.cursor == self.skip })
            }
            [] | [b'\r'] => Err(Scan::NeedMore),
            [first, ..] => Err(Scan::Bad { at: skip, why: HeadError::of_first(first) }),
        }
    }

    #[inline(always)]
    pub(super) fn note_look(&mut self, _bytes: usize) {
        #[cfg(test)]
        {
            self.looked += _bytes;
        }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }
}

/// A head that has started.
pub(super) struct Start {
    pub(super) kind: Kind,
    pub(super) skip: usize,
    /// Nothing of it has been seen before.
    pub(super) first_look: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Head, HeadLimits, parse_request, parse_response};

    /// What becomes of the input in the end: if a head is complete, the parser has the last word.
    fn verdict(scan: &mut HeadScan, input: &[u8]) -> Scan {
        let (head, limits) = (&mut Head::new(), HeadLimits::default());
        let found = scan.advance(input, &limits);
        let Scan::Complete { skip, len } = found else { return found };
        let parse = if scan.kind == Kind::Request { parse_request } else { parse_response };
        match parse(&input[skip..skip + len], head, &limits) {
            Ok(()) => found,
            Err(BadHead { at, why }) => Scan::Bad { at: skip + at, why },
        }
    }

    /// Every table entry comes whole, byte by byte, and in two parts cut at every place.
    fn check(start: HeadScan, input: &[u8], expected: Scan) {
        let text = input.escape_ascii();
        assert_eq!(verdict(&mut start.clone(), input), expected, "whole: {text}");

        let mut scan = start;
        let mut last = Scan::NeedMore;
        let mut cursor = 0;
        for len in 0..=input.len() {
            last = verdict(&mut scan, &input[..len]);
            assert!(scan.cursor >= cursor, "the cursor moved back at {len}: {text}");
            assert!(scan.cursor as usize + 1 >= len || last != Scan::NeedMore, "unseen: {text}");
            cursor = scan.cursor;
            if last != Scan::NeedMore {
                break;
            }
        }
        assert_eq!(last, expected, "byte by byte: {text}");

        for cut in 0..input.len() {
            let mut scan = start;
            let mut found = verdict(&mut scan, &input[..cut]);
            if found == Scan::NeedMore {
                found = verdict(&mut scan, input);
            }
            assert_eq!(found, expected, "cut at {cut}: {text}");
        }
    }

    #[test]
    fn requests() {
        let complete = |skip, len| Scan::Complete { skip, len };
        let bad = |at, why| Scan::Bad { at, why };
        let empty_lines =
            |count: usize| [&b"\r\n".repeat(count), &b"G / HTTP/1.1\r\n\r\n"[..]].concat();
        let most = SKIP_MAX as usize / 2;
        for (input, expected) in [
            (&b""[..], Scan::NeedMore),
            (b"GET / HTTP/1.1", Scan::NeedMore),
            (b"GET / HTTP/1.1\r\n", Scan::NeedMore),
            (b"GET / HTTP/1.1\r\n\r", Scan::NeedMore),
            (b"GET / HTTP/1.1\r\n\r\n", complete(0, 18)),
            (b"GET / HTTP/1.1\r\n\r\nbody\n\r\0\r\n\r\n", complete(0, 18)),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", complete(0, 27)),
            (b"\r\nGET / HTTP/1.1\r\n\r\n", complete(2, 18)),
            (b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", complete(4, 18)),
            (b"\r\n", Scan::NeedMore),
            (b"\r\n\r\n", Scan::NeedMore),
            (&empty_lines(most), complete(2 * most, 16)),
            (&empty_lines(most + 1), bad(2 * most, HeadError::EmptyLines)),
            (b"GET / HTTP/1.1\n\n", bad(14, HeadError::BareLf)),
            (b"GET / HTTP/1.1\r\nA: b\n\r\n", bad(20, HeadError::BareLf)),
            (b"GET / HTTP/1.1\r\nA: b\r\n\n", bad(22, HeadError::BareLf)),
            (b"GET / HTTP/1.1\r\r\n", bad(14, HeadError::BareCr)),
            (b"GET / HTTP/1.1\rX", bad(14, HeadError::BareCr)),
            (b"GET / HTTP/1.1\r\nA: \rb\r\n\r\n", bad(19, HeadError::BareCr)),
            (b"GET / HTTP/1.1\r\nA: \0b\r\n\r\n", bad(19, HeadError::Nul)),
            (b"GET / HTTP/1.1\r\nA: \x01b\r\n\r\n", bad(19, HeadError::Control)),
            (b"GET / HTTP/1.1\r\nA: \x7fb\r\n", bad(19, HeadError::Control)),
            (b"GET / HTTP/1.1\r\nA:\tb\t\r\n\r\n", complete(0, 25)),
            (b"GET / HTTP/1.1\r\nA:\rX\rX\r\n\r\n", bad(18, HeadError::BareCr)),
            (b"GET / HTTP/1.1\n\r\n\r\n", bad(14, HeadError::BareLf)),
            (b"\nGET", bad(0, HeadError::BareLf)),
            (b"\0GET", bad(0, HeadError::Nul)),
            (b"\r\n\nGET", bad(2, HeadError::BareLf)),
            (b"\rGET", bad(0, HeadError::BareCr)),
            (b" GET", bad(0, HeadError::FirstByte)),
            (b"\r\n GET", bad(2, HeadError::FirstByte)),
            (b"\x16\x03\x01\x02\0", bad(0, HeadError::FirstByte)),
        ] {
            check(HeadScan::request(), input, expected);
        }
        assert_eq!(HeadScan::default(), HeadScan::request());
    }

    #[test]
    fn responses() {
        let bad = |at, why| Scan::Bad { at, why };
        for (input, expected) in [
            (&b"HTTP/1.1 200 OK\r\n\r\n"[..], Scan::Complete { skip: 0, len: 19 }),
            (b"HTTP/1.1 200 OK\r\nA: b\r\n", Scan::NeedMore),
            (b"\r\nHTTP/1.1 200 OK\r\n\r\n", bad(0, HeadError::EmptyLines)),
            (b"HTTP/1.1 200 OK\n\n", bad(15, HeadError::BareLf)),
        ] {
            check(HeadScan::response(), input, expected);
        }
    }

    /// Each once, as soon as its line end is there, and not more often than it may cost.
    #[test]
    fn lines_that_may_decide() {
        const REQUEST: &str = "GET / HTTP/1.1\r\n";
        let mut length_lines = REQUEST.to_owned();
        let limits = HeadLimits::default();
        for name in ["Content-Length", "content-length", "TRANSFER-ENCODING", "Host"] {
            length_lines += &format!("{name}: 5\r\n");
        }
        for (input, expected) in [
            ("\r\n", vec![]),
            (REQUEST, vec![]),
            ("Host: a HTTP/1.1\r\n", vec![]),
            ("GET / HTTP/1.1\r\nHost : a", vec![]),
            ("GET / HTTP/1.1\r\nHos: a\r\nHosts: a\r\nHost", vec![]),
            ("GET / HTTP/1.1\r\nHost: a\r", vec![]),
            ("GET / HTTP/1.1\r\nHost: a\r\nHos", vec![25]),
            ("\r\nGET / HTTP/1.1\r\nA: b\r\nhost:\r\nB: c", vec![31]),
            (&length_lines, vec![35, 54, 76, 85]),
            (&format!("{length_lines}Host: b\r\n"), vec![35, 54, 76, 85]),
        ] {
            let mut scan = HeadScan::request();
            let mut found = Vec::new();
            for len in 0..=input.len() {
                let input = &input.as_bytes()[..len];
                if scan.advance(input, &limits) != Scan::NeedMore {
                    break;
                }
                if let Some(lines) = scan.decisive_lines(input) {
                    assert!(lines.ends_with(b"\r\n") && lines.len() == len, "{len}");
                    found.push(len);
                }
                assert_eq!(scan.decisive_lines(input), None, "each is told once");
            }
            assert_eq!(found, expected, "{input:?}");
        }

        let input = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\nB";
        let mut scan = HeadScan::response();
        assert!(scan.is_fresh());
        assert_eq!(scan.advance(input, &limits), Scan::NeedMore);
        assert!(!scan.is_fresh());
        assert_eq!(scan.decisive_lines(input), Some(&input[..input.len() - 1]));
        assert_eq!(scan.again(), HeadScan::response());
    }
}
