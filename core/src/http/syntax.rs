//! The grammar of a head as a machine that takes bytes as they come. It decides nothing about a
//! head that is whole, which the parser does: it says of one that is not that it can no longer
//! become one, so that nobody waits for the rest; and of one that was refused, what is wrong with
//! it and at which byte. It knows the form of the lines, not what they mean together.
//!
//! ```text
//!   Method ─SP► Target ─SP► Version ──CRLF──┐
//!                                           ▼
//!   FirstVersion ─► Status ──CRLF──────► LineStart ─► Name ─:► Text ─CRLF─► LineStart
//!                      └─SP─► Text ─CRLF──► ▲ │
//!                                             └─CRLF─► the end
//! ```

use memchr::memrchr;

use super::error::{BadHead, HeadError};
use super::find::find_control;
use super::known::{Known, VERSION_LEN};
use super::parse::HeadLimits;
use super::scan::Kind;
use super::token::{is_blank, is_target_byte, is_token_byte};

/// The length of ` 200`.
const STATUS_LEN: usize = 4;

/// Where in a head the next byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Syntax {
    place: Place,
    /// Bytes of the place that came, as far as they can be counted.
    count: u8,
    /// Fields that have started.
    fields: u16,
    /// A line has ended that may decide about the whole head, and nobody was told yet.
    pub(super) decisive: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Place {
    #[default]
    Method,
    Target,
    /// Behind a target.
    Version,
    /// In front of a status.
    FirstVersion,
    Status,
    LineStart,
    Name,
    /// The value of a field, or the words behind a status.
    Text,
}

/// How far the machine has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// All before this place has been seen, which is all of the input but for a CR at its end.
    Until(usize),
    /// The head ends before this place.
    End(usize),
}

impl Syntax {
    pub(super) fn of(kind: Kind) -> Syntax {
        let place = match kind {
            Kind::Request => Place::Method,
            Kind::Response => Place::FirstVersion,
        };
        Syntax { place, ..Syntax::default() }
    }

    /// Goes on over `input`, of which all before `at` has been seen.
    pub(super) fn advance(
        &mut self,
        input: &[u8],
        mut at: usize,
        limits: &HeadLimits,
    ) -> Result<Reach, BadHead> {
        loop {
            if self.place == Place::Text {
                at = find_control(&input[at..]).map_or(input.len(), |found| at + found);
            }
            match input[at..] {
                [] | [b'\r'] => return Ok(Reach::Until(at)),
                [b'\r', b'\n', ..] => {
                    if self.place == Place::LineStart {
                        return Ok(Reach::End(at + 2));
                    }
                    self.end_line().map_err(|fault| fault.at(at))?;
                    self.decisive |= self.fields > 0 && is_decisive(&input[..at]);
                    at += 2;
                }
                [byte, ..] => {
                    self.step(byte, limits).map_err(|fault| fault.at(at))?;
                    at += 1;
                }
            }
        }
    }

    /// Takes a byte that does not belong to the end of a line.
    fn step(&mut self, byte: u8, limits: &HeadLimits) -> Result<(), Fault> {
        let strange = byte < b' ' && byte != b'\t' || byte == 0x7f;
        if matches!(byte, b'\r' | b'\n' | b'\0') || strange && !limits.lenient {
            return Err(Fault::here(HeadError::of_control(byte)));
        }
        let count = usize::from(self.count);
        match self.place {
            Place::Method if byte == b' ' && count > 0 => self.enter(Place::Target),
            Place::Method if is_token_byte(byte) => self.stay(),
            Place::Method => return Err(Fault::here(HeadError::Method)),
            Place::Target if byte == b' ' && count > 0 => self.enter(Place::Version),
            Place::Target if may_be_target(byte, limits) => self.stay(),
            Place::Target => return Err(Fault::here(HeadError::Target)),
            Place::Version | Place::FirstVersion if goes_on_version(count, byte) => self.stay(),
            Place::FirstVersion if count == VERSION_LEN => {
                self.enter(Place::Status);
                return self.step(byte, limits);
            }
            Place::Version | Place::FirstVersion => return Err(self.fault(HeadError::Version)),
            Place::Status if goes_on_status(count, byte) => self.stay(),
            Place::Status if count == STATUS_LEN && byte == b' ' => self.enter(Place::Text),
            Place::Status if count == STATUS_LEN => return Err(Fault::here(HeadError::Status)),
            Place::Status => return Err(self.fault(HeadError::Status)),
            Place::LineStart if usize::from(self.fields) >= limits.fields_max => {
                return Err(Fault::here(HeadError::TooManyFields));
            }
            Place::LineStart if is_blank(byte) => return Err(Fault::here(HeadError::Folded)),
            Place::LineStart if may_be_name(byte, limits) => {
                self.fields = self.fields.saturating_add(1);
                self.enter(Place::Name);
            }
            Place::Name if byte == b':' => self.enter(Place::Text),
            Place::Name if may_be_name(byte, limits) => {}
            Place::Name if is_blank(byte) => {
                return Err(Fault::here(HeadError::SpaceBeforeColon));
            }
            Place::LineStart | Place::Name => return Err(Fault::here(HeadError::FieldName)),
            Place::Text => {}
        }
        Ok(())
    }

    /// Takes the CRLF of a line that is not the empty one.
    fn end_line(&mut self) -> Result<(), Fault> {
        let count = usize::from(self.count);
        match self.place {
            Place::Method => return Err(Fault::here(HeadError::Method)),
            Place::Target => return Err(Fault::here(HeadError::Target)),
            Place::Version if count == VERSION_LEN => {}
            Place::FirstVersion if count == VERSION_LEN => {
                return Err(Fault::here(HeadError::Status));
            }
            Place::Version | Place::FirstVersion => return Err(self.fault(HeadError::Version)),
            Place::Status if count == STATUS_LEN => {}
            Place::Status => return Err(self.fault(HeadError::Status)),
            Place::Name => return Err(Fault::here(HeadError::FieldName)),
            Place::LineStart | Place::Text => {}
        }
        self.enter(Place::LineStart);
        Ok(())
    }

    fn enter(&mut self, place: Place) {
        (self.place, self.count) = (place, 0);
    }

    fn stay(&mut self) {
        self.count = self.count.saturating_add(1);
    }

    /// A fault of all that came of the place.
    fn fault(&self, why: HeadError) -> Fault {
        Fault { back: self.count.into(), why }
    }
}

/// What is wrong, and how many bytes before the one that showed it.
struct Fault {
    back: usize,
    why: HeadError,
}

impl Fault {
    fn here(why: HeadError) -> Fault {
        Fault { back: 0, why }
    }

    fn at(self, at: usize) -> BadHead {
        BadHead { at: at - self.back, why: self.why }
    }
}

/// Whether the last line of `lines` alone, or with others of its name, can make a head a bad one
/// whatever follows.
fn is_decisive(lines: &[u8]) -> bool {
    let line = &lines[memrchr(b'\n', lines).map_or(0, |end| end + 1)..];
    [Known::ContentLength, Known::TransferEncoding, Known::Host].iter().any(|known| {
        let name = known.name().as_bytes();
        line.get(name.len()) == Some(&b':') && line[..name.len()].eq_ignore_ascii_case(name)
    })
}

fn goes_on_version(count: usize, byte: u8) -> bool {
    match b"HTTP/1.".get(count) {
        Some(expected) => byte == *expected,
        None => count + 1 == VERSION_LEN && matches!(byte, b'0' | b'1'),
    }
}

fn goes_on_status(count: usize, byte: u8) -> bool {
    match count {
        0 => byte == b' ',
        1 => matches!(byte, b'1'..=b'9'),
        2 | 3 => byte.is_ascii_digit(),
        _ => false,
    }
}

/// With `accept-invalid-http-request`, bytes beyond ASCII and a fragment are let pass.
fn may_be_target(byte: u8, limits: &HeadLimits) -> bool {
    is_target_byte(byte) || limits.lenient && matches!(byte, b'#' | 0x80..)
}

/// With the option, whatever is visible but a colon.
fn may_be_name(byte: u8, limits: &HeadLimits) -> bool {
    is_token_byte(byte) || limits.lenient && matches!(byte, 0x21..=0x7e | 0x80..) && byte != b':'
}

/// The first thing that is wrong with the form of `input` as one whole head of that kind.
pub(super) fn check(kind: Kind, input: &[u8], limits: &HeadLimits) -> Result<(), BadHead> {
    match Syntax::of(kind).advance(input, 0, limits)? {
        Reach::End(end) if end == input.len() => Ok(()),
        _ => Err(BadHead { at: input.len(), why: HeadError::Incomplete }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{HeadScan, Scan};

    /// The last byte is the one that shows it, however what is before it came.
    fn check_row(kind: Kind, lenient: bool, input: &str, at: usize, why: HeadError) {
        let input: Vec<u8> = input.chars().map(|c| c as u8).collect();
        let limits = HeadLimits { fields_max: 2, lenient };
        let text = input.escape_ascii();
        let before = input.len() - 1;
        for cut in 0..input.len() {
            let mut scan = HeadScan::of(kind);
            assert_eq!(scan.advance(&input[..cut], &limits), Scan::NeedMore, "{text}");
            assert_eq!(scan.advance(&input[..before], &limits), Scan::NeedMore, "{text}");
            let found = scan.advance(&input, &limits);
            assert_eq!(found, Scan::Bad { at, why }, "{text}, cut at {cut}");
        }
        let whole = check(kind, &[&input[..], b"\r\n\r\n"].concat(), &limits);
        assert_eq!(whole, Err(BadHead { at, why }), "{text}, and its end");
    }

    #[test]
    fn what_can_become_no_request_is_refused_at_once() {
        use HeadError::*;
        for (input, at, why) in [
            ("GE(", 2, Method),
            ("GET\t", 3, Method),
            ("GE\u{80}", 2, Method),
            ("GET\r\n", 3, Method),
            ("GET  ", 4, Target),
            ("GET \r\n", 4, Target),
            ("GET /\u{80}", 5, Target),
            ("GET /\u{ff}", 5, Target),
            ("GET /a#", 6, Target),
            ("GET /a\t", 6, Target),
            ("GET /a\r\n", 6, Target),
            ("GET / h", 6, Version),
            ("GET /  ", 6, Version),
            ("GET / HTTP/2", 6, Version),
            ("GET / HTTP/1.2", 6, Version),
            ("GET / HTTP/1.1 ", 6, Version),
            ("GET / HTTP/1.10", 6, Version),
            ("GET / HTTP/1.\r\n", 6, Version),
            ("GET / \r\n", 6, Version),
            ("GET / HTTP/1.1\r\n ", 16, Folded),
            ("GET / HTTP/1.1\r\n\t", 16, Folded),
            ("GET / HTTP/1.1\r\n:", 16, FieldName),
            ("GET / HTTP/1.1\r\nA(", 17, FieldName),
            ("GET / HTTP/1.1\r\nA\u{80}", 17, FieldName),
            ("GET / HTTP/1.1\r\nA\r\n", 17, FieldName),
            ("GET / HTTP/1.1\r\nA ", 17, SpaceBeforeColon),
            ("GET / HTTP/1.1\r\nA\t", 17, SpaceBeforeColon),
            ("GET / HTTP/1.1\r\nA: b\r\n ", 22, Folded),
            ("GET / HTTP/1.0\r\nA: b\r\nB:\r\nC", 26, TooManyFields),
            ("GET / HTTP/1.0\r\nA: b\r\nB:\r\n ", 26, TooManyFields),
            ("GET\0", 3, Nul),
            ("GET /\n", 5, BareLf),
            ("GET / HT\x01", 8, Control),
            ("GET / HTTP/1.1\rA", 14, BareCr),
            ("GET / HTTP/1.1\r\nA\x1f", 17, Control),
            ("GET / HTTP/1.1\r\nA: b\x7f", 20, Control),
        ] {
            check_row(Kind::Request, false, input, at, why);
        }
    }

    #[test]
    fn what_can_become_no_response_is_refused_at_once() {
        use HeadError::*;
        for (input, at, why) in [
            ("HTTQ", 0, Version),
            ("I", 0, Version),
            ("HTTP/1.2", 0, Version),
            ("HTTP/1\r\n", 0, Version),
            ("HTTP/1.1\r\n", 8, Status),
            ("HTTP/1.11", 8, Status),
            ("HTTP/1.1\t", 8, Status),
            ("HTTP/1.1 0", 8, Status),
            ("HTTP/1.1 :", 8, Status),
            ("HTTP/1.1  ", 8, Status),
            ("HTTP/1.1 2/", 8, Status),
            ("HTTP/1.1 20 ", 8, Status),
            ("HTTP/1.1 20\r\n", 8, Status),
            ("HTTP/1.1 2000", 12, Status),
            ("HTTP/1.1 200\t", 12, Status),
            ("HTTP/1.1 200 a\x02", 14, Control),
            ("HTTP/1.0 200\r\n ", 14, Folded),
            ("HTTP/1.0 200 OK\r\n:", 17, FieldName),
        ] {
            check_row(Kind::Response, false, input, at, why);
        }
    }

    #[test]
    fn what_the_lenient_grammar_refuses_at_once() {
        use HeadError::*;
        for (input, at, why) in [
            ("GE\x01", 2, Method),
            ("GET /\x01", 5, Target),
            ("GET /\x7f", 5, Target),
            ("GET /#\t", 6, Target),
            ("GET /\u{ff} h", 7, Version),
            ("GET / HTTP/1.1\r\nA\x01", 17, FieldName),
            ("GET / HTTP/1.1\r\nA\x7f", 17, FieldName),
            ("GET / HTTP/1.1\r\n\x1f", 16, FieldName),
            ("GET / HTTP/1.1\r\n:", 16, FieldName),
            ("GET / HTTP/1.1\r\n(/ ", 18, SpaceBeforeColon),
            ("GET / HTTP/1.1\r\nA: \x01\0", 20, Nul),
            ("GET / HTTP/1.1\r\nA: \x01\rb", 20, BareCr),
            ("GET / HTTP/1.1\r\nA: \x01\n", 20, BareLf),
        ] {
            check_row(Kind::Request, true, input, at, why);
        }
    }

    /// What has not been refused can still become a head: one of these ends makes one of it.
    #[test]
    fn what_is_waited_for_can_come() {
        let heads = [
            (Kind::Request, &b"OPTIONS /x?y HTTP/1.0\r\nA: \tb c\t\r\nB:\r\n\r\n"[..]),
            (Kind::Response, b"HTTP/1.1 204\r\nA~: \tb \xe9 c\t\r\nB:\r\n\r\n"),
            (Kind::Response, b"HTTP/1.0 999 \r\n\r\n"),
        ];
        for (kind, head) in heads {
            let limits = HeadLimits::default();
            assert_eq!(check(kind, head, &limits), Ok(()));
            for end in 0..head.len() {
                assert_eq!(
                    check(kind, &head[..end], &limits),
                    Err(BadHead { at: end, why: HeadError::Incomplete })
                );
                let mut scan = HeadScan::of(kind);
                assert_eq!(scan.advance(&head[..end], &limits), Scan::NeedMore);
                assert_eq!(
                    scan.advance(head, &limits),
                    Scan::Complete { skip: 0, len: head.len() }
                );
            }
        }
    }
}
