//! Finds where a head ends while it arrives. Not a parser: it knows lines, not what they say.
//!
//! A head that is whole is only searched for its end: what is wrong with it, the parser finds. Of
//! a head that is not, each line is looked at as well, so that nobody waits for the rest of what
//! can no longer become one: a CR or LF on its own, any other control character but HTAB, a first
//! byte that cannot start a message. No byte is looked at twice but for the few around the cursor.
//!
//! ```text
//!             skip            len
//!           ┌──────┐┌──────────────────────┐
//!   input:   CRLF... GET / HTTP/1.1CRLF  ...  CRLF CRLF  the body, or what was pipelined
//!                    ▲                   ▲ cursor
//! ```

use super::error::{BadHead, HeadError};
use super::find::{END, find_control, find_end};
use super::token::is_token_byte;

/// How many bytes of empty lines are skipped before a request (RFC 9112 section 2.2 asks for one
/// line at least; old clients send one after the body of a POST).
const SKIP_MAX: u32 = 64;

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
        HeadScan { kind, ..HeadScan::default() }
    }

    /// Goes on over `input`, which is all that is unread, of any length up to 4 GB. After
    /// `Complete` or `Bad` the scan is over: start a new one.
    pub fn advance(&mut self, input: &[u8]) -> Scan {
        self.advance_by(input, false)
    }

    /// [`HeadScan::advance`] by the strict grammar or the lenient one.
    pub(super) fn advance_by(&mut self, input: &[u8], lenient: bool) -> Scan {
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
        match check_lines(input, seen, lenient) {
            Ok(cursor) => {
                self.cursor = cursor as u32;
                Scan::NeedMore
            }
            Err(BadHead { at, why }) => Scan::Bad { at, why },
        }
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

/// Looks at the control characters from `cursor` on: CRLF ends a line, HTAB is let through, and no
/// other may stand anywhere in a head; a lenient one may hold those that break no line and no
/// string. Says how far it got, which is all of the input but for a CR at its end.
pub(super) fn check_lines(
    input: &[u8],
    mut cursor: usize,
    lenient: bool,
) -> Result<usize, BadHead> {
    while let Some(found) = find_control(&input[cursor..]) {
        let at = cursor + found;
        cursor = match input[at..] {
            [b'\t', ..] => at + 1,
            [b'\r', b'\n', ..] => at + 2,
            [b'\r'] => return Ok(at),
            [byte, ..] if lenient && !matches!(byte, b'\r' | b'\n' | b'\0') => at + 1,
            _ => return Err(BadHead { at, why: HeadError::of_control(input[at]) }),
        };
    }
    Ok(input.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Head, HeadLimits, parse_request, parse_response};

    /// What becomes of the input in the end: if a head is complete, the parser has the last word.
    fn verdict(scan: &mut HeadScan, input: &[u8]) -> Scan {
        let found = scan.advance(input);
        let Scan::Complete { skip, len } = found else { return found };
        let (head, limits) = (&mut Head::new(), HeadLimits::default());
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
}
