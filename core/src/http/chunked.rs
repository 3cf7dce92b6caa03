//! The chunked transfer coding (RFC 9112 section 7.1): a decoder that is told bytes and says which
//! of them are the body, and the bytes that encode one.
//!
//! The decoder holds no bytes, so a body is decoded where it lies, however it is cut:
//!
//! ```text
//!   4;x=y␍␊ b o d y ␍␊3␍␊ end ␍␊0␍␊x-sum: 1␍␊␍␊
//!   └Skip──┘└Data──┘└Skip─┘└Data┘└──────End─────────┘
//!
//!            digits            LF                      left == 0
//!   Size ──► Digits ─► … ─► SizeLf ─► Data ─► DataCr ─► DataLf ─► Size
//!              └► Pad ─► Ext ─┘ │ size 0
//!                               └► Line ─► Name ─► Value ─► ValueLf ─► Line
//!                                    └► EndLf ─► Done
//! ```
//!
//! Extensions and trailer fields are checked, counted and dropped: nobody on a path of proxies may
//! rely on the former, and the latter may be discarded by any of them (RFC 9110 section 6.5.1).
//! Spaces after a size are accepted, since servers exist that pad it and HAProxy lets them. All
//! else that the grammar does not allow is an error. After one, nothing can be said about the rest.

use super::token::{is_token_byte, is_value_byte};

/// The largest chunk in bytes. Larger sizes are an attack on somebody's arithmetic.
const SIZE_MAX: u64 = 1 << 62;

/// The most digits in a size, leading zeros included.
const DIGITS_MAX: u16 = 16;

/// The most bytes between a size and its CRLF.
const EXTENSION_MAX: u16 = 256;

/// The most bytes and the most lines after the last chunk.
const TRAILER_MAX: u16 = 8192;
const TRAILER_LINES_MAX: u8 = 64;

/// The state of decoding one body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ChunkDecoder {
    state: State,
    /// Bytes of the chunk still to come; the size while it is read.
    left: u64,
    /// Digits, or bytes of the extension, or of the trailer, that count towards a limit.
    count: u16,
    /// Lines of the trailer.
    lines: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum State {
    /// Before the first digit.
    #[default]
    Size,
    /// After one digit at least.
    Digits,
    /// In the spaces after the size.
    Pad,
    /// In the extension.
    Extension,
    /// After the CR that ends the line of the size.
    SizeLf,
    /// In the chunk, with at least one byte to come.
    Data,
    /// After the chunk.
    DataCr,
    DataLf,
    /// At the start of a line of the trailer.
    Line,
    Name,
    Value,
    ValueLf,
    /// After the CR of the empty line that ends the body.
    EndLf,
    Done,
    Failed(ChunkError),
}

/// Whether a chunked body that goes on as `decoder` says ends within `bytes`; so does one that is
/// broken there, since nothing more of it will be understood.
pub fn chunks_end(decoder: &mut ChunkDecoder, bytes: &[u8]) -> bool {
    walk(decoder, bytes, |_| {}).is_some()
}

/// How long the rest of a chunked body is that goes on as `decoder` says, if its end is in `bytes`.
pub fn chunks_len(mut decoder: ChunkDecoder, bytes: &[u8]) -> Option<usize> {
    walk(&mut decoder, bytes, |_| {})?.ok()
}

/// How many bytes of data are in `bytes`, of a body that goes on as `decoder` says, and 1 for its
/// end, as HAProxy counts a body.
pub fn chunks_data(mut decoder: ChunkDecoder, bytes: &[u8]) -> u64 {
    let mut data = 0;
    let end = walk(&mut decoder, bytes, |n| data += n as u64);
    data + u64::from(matches!(end, Some(Ok(_))))
}

/// Decodes all of `bytes` and tells how much of it is data, piece by piece. Where the body ends, or
/// that it is broken; none if it goes on behind them.
fn walk(
    decoder: &mut ChunkDecoder,
    bytes: &[u8],
    mut data: impl FnMut(usize),
) -> Option<Result<usize, ChunkError>> {
    let mut at = 0;
    loop {
        match decoder.step(&bytes[at..]) {
            Chunk::NeedMore => return None,
            Chunk::Skip(n) => at += n,
            Chunk::Data(n) => {
                data(n);
                at += n;
            }
            Chunk::End(n) => return Some(Ok(at + n)),
            Chunk::Bad(error) => return Some(Err(error)),
        }
    }
}

/// What the next input bytes are. The caller drops or keeps as many, and calls again with the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Chunk {
    /// There was no input, and the body is not over.
    NeedMore,
    /// So many bytes of framing: drop them. At least one.
    Skip(usize),
    /// So many bytes of the body: keep them. At least one, at most what was given.
    Data(usize),
    /// So many bytes of framing, and the body is over. What follows them is not of this message.
    End(usize),
    /// The coding is broken. It stays so.
    Bad(ChunkError),
}

/// What is wrong with a chunked body. A request's is answered with 400, if an answer can still be
/// sent; a response's ends truncated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChunkError {
    /// The data of a chunk is not followed by CRLF.
    DataEnd,
    /// A control character in an extension, or a line that ends in a bare CR or LF.
    Extension,
    /// An extension of more than 256 bytes.
    ExtensionTooLong,
    /// A size that is no hexadecimal number.
    Size,
    /// A size of more than 2^62 or of more than 16 digits.
    SizeTooLarge,
    /// A trailer that is not made of fields.
    Trailer,
    /// A trailer of more than 8192 bytes or 64 lines.
    TrailerTooLong,
}

impl ChunkError {
    /// A sentence's worth for logs and `show errors`.
    pub fn explain(&self) -> &'static str {
        match self {
            ChunkError::DataEnd => "a chunk is not followed by CRLF",
            ChunkError::Extension => "a forbidden byte after a chunk size",
            ChunkError::ExtensionTooLong => "a chunk extension of more than 256 bytes",
            ChunkError::Size => "a chunk size is not a hexadecimal number",
            ChunkError::SizeTooLarge => "a chunk size is too large",
            ChunkError::Trailer => "a malformed trailer",
            ChunkError::TrailerTooLong => "a trailer of more than 8192 bytes or 64 lines",
        }
    }
}

impl core::fmt::Display for ChunkError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.explain())
    }
}

impl core::error::Error for ChunkError {}

impl ChunkDecoder {
    /// At the start of a body, before its first chunk.
    pub fn new() -> ChunkDecoder {
        ChunkDecoder::default()
    }

    /// Says what the first bytes of `input` are, and takes them as consumed.
    pub fn step(&mut self, input: &[u8]) -> Chunk {
        match self.state {
            State::Done => return Chunk::End(0),
            State::Failed(error) => return Chunk::Bad(error),
            _ if input.is_empty() => return Chunk::NeedMore,
            State::Data => return Chunk::Data(self.take_data(input.len())),
            _ => {}
        }
        for (index, &byte) in input.iter().enumerate() {
            match self.next(byte) {
                Ok(State::Data) => {
                    self.state = State::Data;
                    return Chunk::Skip(index + 1);
                }
                Ok(State::Done) => {
                    self.state = State::Done;
                    return Chunk::End(index + 1);
                }
                Ok(state) => self.state = state,
                Err(error) => {
                    self.state = State::Failed(error);
                    return Chunk::Bad(error);
                }
            }
        }
        Chunk::Skip(input.len())
    }

    /// How many bytes of the current chunk are still to come; 0 outside of one. So many can be
    /// passed on without being looked at, if [`ChunkDecoder::pass`] is then told.
    pub fn left(&self) -> u64 {
        if self.state == State::Data { self.left } else { 0 }
    }

    /// Takes `count` bytes of the chunk, at least 1 and at most [`ChunkDecoder::left`], as consumed
    /// unseen (they were spliced, say).
    pub fn pass(&mut self, count: u64) {
        assert!((1..=self.left()).contains(&count), "passed what is not of the chunk");
        self.left -= count;
        if self.left == 0 {
            self.state = State::DataCr;
        }
    }

    /// Whether the last chunk's data and the CRLF behind it are consumed (or no chunk has begun).
    pub fn is_between(&self) -> bool {
        !matches!(self.state, State::Data | State::DataCr | State::DataLf)
    }

    /// Is the body over?
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    fn take_data(&mut self, len: usize) -> usize {
        let taken = usize::try_from(self.left).map_or(len, |left| left.min(len));
        self.pass(taken as u64);
        if planted!(ChunkOffByOne) && self.left > 0 {
            self.left += 1;
        }
        taken
    }

    /// The state after one byte of framing.
    fn next(&mut self, byte: u8) -> Result<State, ChunkError> {
        match (self.state, byte) {
            (State::Size | State::Digits, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                self.add_digit(byte)
            }
            (State::Digits | State::Pad | State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Digits | State::Pad, b' ' | b'\t') => self.extend(State::Pad),
            (State::Digits | State::Pad, b';') => self.extend(State::Extension),
            (State::Extension, byte) if is_value_byte(byte) => self.extend(State::Extension),
            (State::SizeLf, b'\n') if self.left == 0 => {
                self.count = 0;
                Ok(State::Line)
            }
            (State::SizeLf, b'\n') => Ok(State::Data),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => {
                self.count = 0;
                Ok(State::Size)
            }
            (State::Line, b'\r') => Ok(State::EndLf),
            (State::Line, byte) if is_token_byte(byte) => self.add_line(),
            (State::Name, byte) if is_token_byte(byte) => self.trail(State::Name),
            (State::Name, b':') => self.trail(State::Value),
            (State::Value, b'\r') => self.trail(State::ValueLf),
            (State::Value, byte) if is_value_byte(byte) => self.trail(State::Value),
            (State::ValueLf, b'\n') => self.trail(State::Line),
            (State::EndLf, b'\n') => Ok(State::Done),
            (state, _) => Err(fault(state)),
        }
    }

    fn add_digit(&mut self, digit: u8) -> Result<State, ChunkError> {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            _ => (digit | 0x20) - b'a' + 10,
        };
        // Room for one digit more is certain: the size so far is at most 2^62 / 16 then.
        if self.count == DIGITS_MAX || self.left > SIZE_MAX >> 4 {
            return Err(ChunkError::SizeTooLarge);
        }
        let size = self.left << 4 | u64::from(value);
        if size > SIZE_MAX {
            return Err(ChunkError::SizeTooLarge);
        }
        self.left = size;
        self.count += 1;
        Ok(State::Digits)
    }

    fn extend(&mut self, state: State) -> Result<State, ChunkError> {
        if self.state == State::Digits {
            self.count = 0;
        }
        self.count += 1;
        if self.count > EXTENSION_MAX { Err(ChunkError::ExtensionTooLong) } else { Ok(state) }
    }

    fn add_line(&mut self) -> Result<State, ChunkError> {
        self.lines += 1;
        if self.lines > TRAILER_LINES_MAX {
            return Err(ChunkError::TrailerTooLong);
        }
        self.trail(State::Name)
    }

    fn trail(&mut self, state: State) -> Result<State, ChunkError> {
        self.count += 1;
        if self.count > TRAILER_MAX { Err(ChunkError::TrailerTooLong) } else { Ok(state) }
    }
}

/// What a byte that the state does not expect means.
fn fault(state: State) -> ChunkError {
    match state {
        State::Size | State::Digits => ChunkError::Size,
        State::Pad | State::Extension | State::SizeLf => ChunkError::Extension,
        State::Data | State::DataCr | State::DataLf => ChunkError::DataEnd,
        State::Line | State::Name | State::Value | State::ValueLf | State::EndLf => {
            ChunkError::Trailer
        }
        State::Done | State::Failed(_) => unreachable!("nothing is read after the end"),
    }
}

/// The longest head of a chunk: 16 digits and CRLF.
pub const CHUNK_HEAD_MAX: usize = 18;

/// What ends a body, after the CRLF of its last chunk. There is no trailer.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Writes what stands before a chunk of `len` bytes, and says how long it is. After the chunk goes
/// CRLF. `len` is not 0: that would end the body, which [`LAST_CHUNK`] does.
pub fn write_chunk_head(len: u64, out: &mut [u8; CHUNK_HEAD_MAX]) -> usize {
    assert!(len > 0, "an empty chunk would end the body");
    let digits = 16 - len.leading_zeros() as usize / 4;
    for (index, digit) in out[..digits].iter_mut().enumerate() {
        let nibble = len >> (4 * (digits - 1 - index)) & 0xf;
        *digit = b"0123456789abcdef"[nibble as usize];
    }
    out[digits..digits + 2].copy_from_slice(b"\r\n");
    digits + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What decoding leads to: the body, the bytes consumed, and how it went.
    #[derive(Debug, PartialEq)]
    struct Decoded {
        body: Vec<u8>,
        consumed: usize,
        end: End,
    }

    #[derive(Debug, PartialEq)]
    enum End {
        Done,
        NeedMore,
        Bad(ChunkError),
    }

    /// Decodes pieces that end at `cuts` and at the end of the input.
    fn decode(input: &[u8], cuts: impl IntoIterator<Item = usize>) -> Decoded {
        let mut decoder = ChunkDecoder::new();
        let (mut body, mut consumed) = (Vec::new(), 0);
        let mut end = End::NeedMore;
        'pieces: for cut in cuts.into_iter().chain([input.len()]) {
            loop {
                let piece = &input[consumed..cut];
                match decoder.step(piece) {
                    Chunk::NeedMore => {
                        assert!(piece.is_empty());
                        break;
                    }
                    Chunk::Skip(count) => {
                        assert!((1..=piece.len()).contains(&count));
                        consumed += count;
                    }
                    Chunk::Data(count) => {
                        assert!((1..=piece.len()).contains(&count));
                        body.extend_from_slice(&piece[..count]);
                        consumed += count;
                    }
                    Chunk::End(count) => {
                        consumed += count;
                        end = End::Done;
                        break 'pieces;
                    }
                    Chunk::Bad(error) => {
                        end = End::Bad(error);
                        break 'pieces;
                    }
                }
            }
        }
        match end {
            End::Done => assert!(decoder.is_done() && decoder.step(b"x") == Chunk::End(0)),
            End::Bad(error) => assert_eq!(decoder.step(b"x"), Chunk::Bad(error)),
            End::NeedMore => assert!(!decoder.is_done()),
        }
        Decoded { body, consumed, end }
    }

    #[test]
    fn where_a_body_ends_and_how_much_of_it_is_data() {
        for (input, end, data) in [
            (&b"3\r\nabc\r\n0\r\n\r\nNEXT"[..], Some(13), 4),
            (b"1;x\r\na\r\nA\r\n0123456789\r\n0\r\nx: y\r\n\r\n", Some(34), 12),
            (b"0\r\n\r\n", Some(5), 1),
            (b"3\r\nabc\r\n0\r\n\r", None, 3),
            (b"3\r\nab", None, 2),
            (b"", None, 0),
        ] {
            let shown = input.escape_ascii();
            let whole = ChunkDecoder::new();
            assert_eq!(chunks_len(whole, input), end, "{shown}");
            assert_eq!(chunks_data(whole, input), data, "{shown}");
            // And from everywhere within: what is before a cut and what is behind it are all of it.
            for cut in 0..=input.len() {
                let (first, second) = input.split_at(cut);
                let mut decoder = ChunkDecoder::new();
                let ended = chunks_end(&mut decoder, first);
                assert_eq!(ended, end.is_some_and(|end| end <= cut), "{shown} {cut}");
                assert_eq!(ended, chunks_len(whole, first).is_some(), "{shown} {cut}");
                if ended {
                    assert_eq!(chunks_data(whole, first), data, "{shown} {cut}");
                } else {
                    assert_eq!(chunks_len(decoder, second), end.map(|end| end - cut));
                    let sum = chunks_data(whole, first) + chunks_data(decoder, second);
                    assert_eq!(sum, data, "{shown} {cut}");
                }
            }
        }
        // A broken one ends where it is broken; how long it would be nobody knows.
        for input in [&b"3\r\nabcd\r\n0\r\n\r\n"[..], b"3\r\nabcx", b"x"] {
            let good = if input[0] == b'3' { 3 } else { 0 };
            assert!(chunks_end(&mut ChunkDecoder::new(), input));
            assert_eq!(chunks_len(ChunkDecoder::new(), input), None);
            assert_eq!(chunks_data(ChunkDecoder::new(), input), good);
        }
    }

    #[test]
    fn errors_say_what_is_wrong() {
        for (input, words) in [
            (&b"1\r\nab"[..], "a chunk is not followed by CRLF"),
            (b"1;a\n", "a forbidden byte after a chunk size"),
            (b"g\r\n", "a chunk size is not a hexadecimal number"),
            (b"fffffffffffffffff\r\n", "a chunk size is too large"),
            (b"0\r\n: x\r\n\r\n", "a malformed trailer"),
        ] {
            let Chunk::Bad(error) = ({
                let mut decoder = ChunkDecoder::new();
                walk(&mut decoder, input, |_| {}).map(|_| decoder.step(b"")).unwrap()
            }) else {
                panic!("{} is good", input.escape_ascii());
            };
            assert_eq!(error.to_string(), words);
        }
        assert!(ChunkError::ExtensionTooLong.to_string().contains("256"));
        assert!(ChunkError::TrailerTooLong.to_string().contains("8192"));
    }

    /// True but from the size line's end to the end of the data's.
    #[test]
    fn between_chunks() {
        let wire = b"2;x\r\nab\r\n0\r\na: b\r\n\r\n";
        let mut decoder = ChunkDecoder::new();
        for (at, byte) in wire.iter().enumerate() {
            assert_eq!(decoder.is_between(), !(5..9).contains(&at), "before byte {at}");
            let _ = decoder.step(&[*byte]);
        }
        assert!(decoder.is_between() && decoder.is_done());
    }

    #[test]
    fn every_cut_decodes_alike() {
        use ChunkError::*;
        let long = |count: usize, text: &str| text.repeat(count).into_bytes();
        let extension = [b"1;", &long(255, "x")[..], b"\r\nz\r\n0\r\n\r\n"].concat();
        let extension_too_long = [b"1;", &long(256, "x")[..], b"\r\nz\r\n0\r\n\r\n"].concat();
        let lines = [b"0\r\n", &long(64, "a:\r\n")[..], b"\r\n"].concat();
        let too_many_lines = [b"0\r\n", &long(65, "a:\r\n")[..], b"\r\n"].concat();
        let trailer = [b"0\r\na:", &long(8188, "b")[..], b"\r\n\r\n"].concat();
        let trailer_too_long = [b"0\r\na:", &long(8189, "b")[..], b"\r\n\r\n"].concat();
        type Row<'a> = (&'a [u8], &'a [u8], Result<bool, ChunkError>);
        let table: &[Row<'_>] = &[
            // Input, body, whether it is over (what follows `|` is the next message).
            (b"0\r\n\r\n|", b"", Ok(true)),
            (b"3\r\nabc\r\n0\r\n\r\n|", b"abc", Ok(true)),
            (b"3\r\nabc\r\n0\r\n\r\n|GET / HTTP/1.1", b"abc", Ok(true)),
            (
                b"a\r\n0123456789\r\n1\r\n\r\r\n2\r\n\r\n\r\n0\r\n\r\n|",
                b"0123456789\r\r\n",
                Ok(true),
            ),
            (b"A\r\n0123456789\r\n000\r\n\r\n|", b"0123456789", Ok(true)),
            (b"0000000000000001\r\nx\r\n0\r\n\r\n|", b"x", Ok(true)),
            (b"1 \t\r\nx\r\n0 \r\n\r\n|", b"x", Ok(true)),
            (b"1;a=b\r\nx\r\n0;c=\"d;\t\"\r\n\r\n|", b"x", Ok(true)),
            (b"1 ; a\r\nx\r\n0\r\n\r\n|", b"x", Ok(true)),
            (b"1;\xff\r\nx\r\n0\r\n\r\n|", b"x", Ok(true)),
            (&extension, b"z", Ok(true)),
            (b"0\r\nA: b\r\n|", b"", Ok(false)),
            (b"0\r\nA: b\tc\xff\r\nX-D:\r\n\r\n|", b"", Ok(true)),
            (&lines, b"", Ok(true)),
            (&trailer, b"", Ok(true)),
            (b"", b"", Ok(false)),
            (b"3", b"", Ok(false)),
            (b"3\r", b"", Ok(false)),
            (b"3\r\n", b"", Ok(false)),
            (b"3\r\nab", b"ab", Ok(false)),
            (b"3\r\nabc\r\n0\r\n\r", b"abc", Ok(false)),
            (b"4000000000000000\r\nx", b"x", Ok(false)),
            (b"4000000000000001\r\nx", b"", Err(SizeTooLarge)),
            (b"ffffffffffffffff\r\nx", b"", Err(SizeTooLarge)),
            (b"10000000000000000\r\nx", b"", Err(SizeTooLarge)),
            (b"00000000000000001\r\nx", b"", Err(SizeTooLarge)),
            (b"\r\nx", b"", Err(Size)),
            (b" 1\r\nx", b"", Err(Size)),
            (b"+1\r\nx", b"", Err(Size)),
            (b"-1\r\nx", b"", Err(Size)),
            (b"0x1\r\nx", b"", Err(Size)),
            (b"g\r\nx", b"", Err(Size)),
            (b";a\r\nx", b"", Err(Size)),
            (b"1\nx", b"", Err(Size)),
            (b"1_0\r\n", b"", Err(Size)),
            (b"1 1\r\n", b"", Err(Extension)),
            (b"1\rx", b"", Err(Extension)),
            (b"1;a\nx", b"", Err(Extension)),
            (b"1;a\0\r\nx", b"", Err(Extension)),
            (b"1;a\r;b\r\nx", b"", Err(Extension)),
            (&extension_too_long, b"", Err(ExtensionTooLong)),
            (b"1\r\nxy\r\n", b"x", Err(DataEnd)),
            (b"1\r\nx\n", b"x", Err(DataEnd)),
            (b"1\r\nx\r\r\n", b"x", Err(DataEnd)),
            (b"1\r\nx0\r\n\r\n", b"x", Err(DataEnd)),
            (b"0\r\n\n", b"", Err(Trailer)),
            (b"0\r\n\rx", b"", Err(Trailer)),
            (b"0\r\n: a\r\n", b"", Err(Trailer)),
            (b"0\r\na\r\n\r\n", b"", Err(Trailer)),
            (b"0\r\na : b\r\n\r\n", b"", Err(Trailer)),
            (b"0\r\n a: b\r\n\r\n", b"", Err(Trailer)),
            (b"0\r\na: b\r\n c\r\n\r\n", b"", Err(Trailer)),
            (b"0\r\na: b\n\r\n", b"", Err(Trailer)),
            (b"0\r\na: b\rc\r\n\r\n", b"", Err(Trailer)),
            (b"0\r\na: \0\r\n\r\n", b"", Err(Trailer)),
            (&too_many_lines, b"", Err(TrailerTooLong)),
            (&trailer_too_long, b"", Err(TrailerTooLong)),
        ];
        for (marked, body, outcome) in table {
            let text = marked[..marked.len().min(60)].escape_ascii();
            let message_end = marked.iter().position(|byte| *byte == b'|');
            let input: Vec<u8> = marked.iter().copied().filter(|byte| *byte != b'|').collect();
            let whole = decode(&input, []);
            assert_eq!(whole.body, *body, "{text}");
            let end = match outcome {
                Ok(true) => End::Done,
                Ok(false) => End::NeedMore,
                Err(error) => End::Bad(*error),
            };
            assert_eq!(whole.end, end, "{text}");
            if outcome.is_ok() {
                assert_eq!(whole.consumed, message_end.unwrap_or(input.len()), "{text}");
            }
            let trickle = decode(&input, 0..input.len());
            assert_eq!((&trickle.body, &trickle.end), (&whole.body, &whole.end), "{text}");
            for cut in (0..input.len()).take(400) {
                let parts = decode(&input, [cut]);
                assert_eq!((&parts.body, &parts.end), (&whole.body, &whole.end), "{cut}: {text}");
            }
        }
    }

    #[test]
    fn passing_data_unseen() {
        let mut decoder = ChunkDecoder::new();
        assert_eq!(decoder.left(), 0);
        assert_eq!(decoder.step(b"1f4\r\n"), Chunk::Skip(5));
        assert_eq!(decoder.left(), 500);
        decoder.pass(499);
        assert_eq!(decoder.step(b"xyz"), Chunk::Data(1));
        assert_eq!(decoder.left(), 0);
        assert_eq!(decoder.step(b"\r\n5\r\n"), Chunk::Skip(5));
        decoder.pass(5);
        assert_eq!(decoder.step(b"\r\n0\r\n\r\n"), Chunk::End(7));
    }

    #[test]
    #[should_panic(expected = "passed what is not of the chunk")]
    fn no_more_can_be_passed_than_there_is() {
        let mut decoder = ChunkDecoder::new();
        assert_eq!(decoder.step(b"2\r\n"), Chunk::Skip(3));
        decoder.pass(3);
    }

    #[test]
    fn chunk_heads() {
        let mut out = [0; CHUNK_HEAD_MAX];
        for (len, expected) in [
            (1, "1\r\n"),
            (0xf, "f\r\n"),
            (0x10, "10\r\n"),
            (0xabcdef, "abcdef\r\n"),
            (1 << 62, "4000000000000000\r\n"),
            (u64::MAX, "ffffffffffffffff\r\n"),
        ] {
            let written = write_chunk_head(len, &mut out);
            assert_eq!(&out[..written], expected.as_bytes());
        }
    }
}
