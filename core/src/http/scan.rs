//! Finds where a head ends while it arrives. Not a parser: it knows lines, not what they say.
//!
//! Three bytes matter: CR, LF and NUL. All others are passed over at memchr's speed, and none is
//! looked at twice (but a CR at the very end of the input, which waits for what follows it).
//!
//! ```text
//!             skip            len
//!           ┌──────┐┌──────────────────────┐
//!   input:   CRLF... GET / HTTP/1.1CRLF  ...  CRLF CRLF  the body, or what was pipelined
//!                    ▲           line ▲  ▲ cursor
//! ```

use memchr::memchr3;

use super::HeadError;
use super::token::is_token_byte;

/// How many bytes of empty lines are skipped before a request (RFC 9112 section 2.2 asks for one
/// line at least; old clients send one after the body of a POST).
const SKIP_MAX: u32 = 64;

/// The progress of a scan; as small as it is so that an idle connection can hold it.
///
/// The same scan must be given inputs of which each starts with the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadScan {
    /// All before it has been seen.
    cursor: u32,
    /// Where the line that holds the cursor starts.
    line: u32,
    /// Where the head starts, after the empty lines.
    skip: u32,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Request,
    Response,
}

/// What a scan has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// The head goes on: call again with more input.
    NeedMore,
    /// The head is `input[skip..skip + len]`, its final empty line included.
    Complete { skip: usize, len: usize },
    /// No valid head can come of it, whatever follows.
    Bad { at: usize, why: HeadError },
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
        assert!(u32::try_from(input.len()).is_ok(), "a head is scanned in less than 4 GB");
        debug_assert!(self.cursor as usize <= input.len(), "the input never shrinks");

        loop {
            let start = self.line as usize;
            if self.line == self.skip
                && let Some(&first) = input.get(start)
                && !is_token_byte(first)
                && !(first == b'\r' && self.kind == Kind::Request)
            {
                return Scan::Bad { at: start, why: first_byte(first) };
            }

            let seen = self.cursor as usize;
            let Some(found) = memchr3(b'\r', b'\n', b'\0', &input[seen..]) else {
                self.cursor = input.len() as u32;
                return Scan::NeedMore;
            };
            let at = seen + found;
            match (input[at], input.get(at + 1)) {
                (b'\r', Some(b'\n')) => {}
                (b'\r', None) => {
                    self.cursor = at as u32;
                    return Scan::NeedMore;
                }
                (b'\r', Some(_)) => return Scan::Bad { at, why: HeadError::BareCr },
                (b'\n', _) => return Scan::Bad { at, why: HeadError::BareLf },
                _ => return Scan::Bad { at, why: HeadError::Nul },
            }

            let next = at as u32 + 2;
            let empty = at == start;
            if empty && self.line > self.skip {
                let skip = self.skip as usize;
                return Scan::Complete { skip, len: next as usize - skip };
            }
            if empty {
                self.skip = next;
                if self.skip > SKIP_MAX {
                    return Scan::Bad { at, why: HeadError::EmptyLines };
                }
            }
            self.line = next;
            self.cursor = next;
        }
    }
}

fn first_byte(byte: u8) -> HeadError {
    match byte {
        b'\n' => HeadError::BareLf,
        b'\0' => HeadError::Nul,
        _ => HeadError::FirstByte,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every table entry is scanned whole, byte by byte, and in two parts cut at every place.
    fn check(start: HeadScan, input: &[u8], expected: Scan) {
        let text = input.escape_ascii();
        assert_eq!(start.clone().advance(input), expected, "whole: {text}");

        let mut scan = start;
        let mut last = Scan::NeedMore;
        let mut cursor = 0;
        for len in 0..=input.len() {
            last = scan.advance(&input[..len]);
            assert!(scan.cursor >= cursor, "the cursor moved back at {len}: {text}");
            cursor = scan.cursor;
            if last != Scan::NeedMore {
                break;
            }
        }
        assert_eq!(last, expected, "byte by byte: {text}");

        for cut in 0..input.len() {
            let mut scan = start;
            let mut found = scan.advance(&input[..cut]);
            if found == Scan::NeedMore {
                found = scan.advance(input);
            }
            assert_eq!(found, expected, "cut at {cut}: {text}");
        }
    }

    #[test]
    fn requests() {
        let complete = |skip, len| Scan::Complete { skip, len };
        let bad = |at, why| Scan::Bad { at, why };
        let empty_lines = |count: usize| [b"\r\n".repeat(count), b"G\r\n\r\n".to_vec()].concat();
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
            (&empty_lines(most), complete(2 * most, 5)),
            (&empty_lines(most + 1), bad(2 * most, HeadError::EmptyLines)),
            (b"GET / HTTP/1.1\n\n", bad(14, HeadError::BareLf)),
            (b"GET / HTTP/1.1\r\nA: b\n\r\n", bad(20, HeadError::BareLf)),
            (b"GET / HTTP/1.1\r\nA: b\r\n\n", bad(22, HeadError::BareLf)),
            (b"GET / HTTP/1.1\r\r\n", bad(14, HeadError::BareCr)),
            (b"GET / HTTP/1.1\rX", bad(14, HeadError::BareCr)),
            (b"GET / HTTP/1.1\r\nA: \rb\r\n\r\n", bad(19, HeadError::BareCr)),
            (b"GET / HTTP/1.1\r\nA: \0b\r\n\r\n", bad(19, HeadError::Nul)),
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
            (b"\r\nHTTP/1.1 200 OK\r\n\r\n", bad(0, HeadError::FirstByte)),
            (b"HTTP/1.1 200 OK\n\n", bad(15, HeadError::BareLf)),
        ] {
            check(HeadScan::response(), input, expected);
        }
    }
}
