//! One line into words, by HAProxy 2.6's rules. No sections, no conditions.
//!
//! ```text
//!               outside quotes        in "…"                  in '…'
//!   space, tab  ends the word         itself                  itself
//!   #           ends the line         itself                  itself
//!   "           opens weak quotes     closes them             itself
//!   '           opens strong quotes   itself                  closes them
//!   $           itself                expands a variable      itself
//!   \           \  \# \\ \' \" \n \r \t \xNN, and \$ in "…"   itself
//! ```
//!
//! A backslash before anything else stays. A line is a line: there is no continuation. Variables
//! are `$NAME`, `${NAME}`, `${NAME-default}` and `${NAME[*]}` (its blank-separated parts as words
//! of their own); `.FILE`, `.LINE` and `.SECTION` are answered here.

use std::fmt;

use super::environment::Environment;
use super::source::Span;

/// Words of one line, its keyword included.
pub const WORDS_MAX: usize = 64;

/// A word, after quotes, escapes and variables are resolved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Word {
    text: String,
    /// The bytes, if they are no UTF-8; `text` then has replacement characters.
    raw: Option<Box<[u8]>>,
    /// Where it stands in its source, quotes included.
    pub span: Span,
}

impl Word {
    /// A word of these bytes.
    pub fn new(bytes: Vec<u8>, span: Span) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Word { text, raw: None, span },
            Err(error) => {
                let bytes = error.into_bytes();
                let text = String::from_utf8_lossy(&bytes).into_owned();
                Word { text, raw: Some(bytes.into()), span }
            }
        }
    }

    /// The word as text. Bytes that are no UTF-8 show as U+FFFD, so they match no keyword.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The word's very bytes.
    pub fn bytes(&self) -> &[u8] {
        self.raw.as_deref().unwrap_or(self.text.as_bytes())
    }
}

/// What the pseudo variables answer with.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// `.FILE`
    pub file: &'a str,
    /// Index of the file among the sources.
    pub file_index: u32,
    /// `.LINE`
    pub line: u32,
    /// `.SECTION`: the section's name, else its kind, else nothing.
    pub section: &'a str,
}

/// Why a line has no words, and the byte (from 0) that is to blame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LexError {
    /// What is wrong.
    pub kind: LexErrorKind,
    /// Where in the line; just behind it if something is missing there.
    pub at: usize,
}

/// What is wrong with a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LexErrorKind {
    /// A quote that is not closed on its line.
    Quote,
    /// `${` without `}`.
    Brace,
    /// A variable name that starts with neither a letter nor `_`, or an unknown pseudo variable.
    Name,
    /// `\x` without two hexadecimal digits.
    Hex,
    /// `[` in `${…}` that is not `[*]`.
    Expansion,
    /// A NUL byte, written as such or as `\x00`.
    Nul,
    /// More than [`WORDS_MAX`] words.
    TooMany,
}

impl LexErrorKind {
    /// What to do about it.
    pub fn help(self) -> &'static str {
        match self {
            LexErrorKind::Quote => {
                "close the quote on the same line, or write \\\" or \\' for the character itself"
            }
            LexErrorKind::Brace => {
                "write \"${NAME}\", \"${NAME-default}\" or \"${NAME[*]}\"; \\$ in double quotes is \
                 a plain dollar"
            }
            LexErrorKind::Name => {
                "a name starts with a letter or '_'; .FILE, .LINE and .SECTION are the only names \
                 with a dot; \\$ in double quotes is a plain dollar"
            }
            LexErrorKind::Hex => "write \\x and two hexadecimal digits, or \\\\x for a plain \\x",
            LexErrorKind::Expansion => "write \"${NAME[*]}\" to get one word per value",
            LexErrorKind::Nul => "remove the NUL byte; no word may hold one",
            LexErrorKind::TooMany => "put words that belong together in quotes, or use more lines",
        }
    }
}

impl fmt::Display for LexErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LexErrorKind::Quote => "unmatched quote",
            LexErrorKind::Brace => "unmatched brace in environment variable name",
            LexErrorKind::Name => "forbidden first char in environment variable name",
            LexErrorKind::Hex => "truncated or invalid hexadecimal sequence",
            LexErrorKind::Expansion => "truncated or invalid word expansion sequence",
            LexErrorKind::Nul => "stray NUL character",
            LexErrorKind::TooMany => "too many words on one line (at most 64)",
        })
    }
}

/// The words of `line`, which has no LF. `\r` is blank.
pub fn words(line: &[u8], place: Place<'_>, env: &Environment<'_>) -> Result<Vec<Word>, LexError> {
    if let Some(at) = memchr::memchr(0, line) {
        return Err(LexError { kind: LexErrorKind::Nul, at });
    }
    Lexer { line, at: 0, place, env, words: Vec::new(), word: None }.run()
}

struct Lexer<'a, 'h> {
    line: &'a [u8],
    at: usize,
    place: Place<'a>,
    env: &'a Environment<'h>,
    words: Vec<Word>,
    /// The word being read, and where it began.
    word: Option<(usize, Vec<u8>)>,
}

impl Lexer<'_, '_> {
    fn run(mut self) -> Result<Vec<Word>, LexError> {
        let mut weak: Option<usize> = None;
        while let Some(byte) = self.peek(0) {
            let start = self.at;
            match byte {
                b'"' => {
                    self.begin(start);
                    weak = if weak.is_some() { None } else { Some(start) };
                    self.at += 1;
                }
                b'\'' if weak.is_none() => self.strong()?,
                b'#' if weak.is_none() => break,
                b'$' if weak.is_some() => self.variable()?,
                b'\\' => self.escape(weak.is_some())?,
                _ if weak.is_none() && is_blank(byte) => {
                    self.end(start)?;
                    self.at += 1;
                }
                _ => {
                    self.push(byte);
                    self.at += 1;
                }
            }
        }
        if let Some(at) = weak {
            return Err(LexError { kind: LexErrorKind::Quote, at });
        }
        self.end(self.at)?;
        Ok(self.words)
    }

    /// From the opening single quote past the closing one.
    fn strong(&mut self) -> Result<(), LexError> {
        let open = self.at;
        let length = memchr::memchr(b'\'', &self.line[open + 1..])
            .ok_or(LexError { kind: LexErrorKind::Quote, at: open })?;
        let text = &self.line[open + 1..open + 1 + length];
        self.begin(open).extend_from_slice(text);
        self.at = open + length + 2;
        Ok(())
    }

    fn escape(&mut self, weak: bool) -> Result<(), LexError> {
        let byte = match self.peek(1) {
            Some(byte @ (b' ' | b'\\' | b'#' | b'\'' | b'"')) => byte,
            Some(b'$') if weak => b'$',
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'x') => {
                let digit = |byte: Option<u8>| char::from(byte.unwrap_or(b'?')).to_digit(16);
                let (Some(high), Some(low)) = (digit(self.peek(2)), digit(self.peek(3))) else {
                    return Err(LexError { kind: LexErrorKind::Hex, at: self.at });
                };
                if high + low == 0 {
                    return Err(LexError { kind: LexErrorKind::Nul, at: self.at });
                }
                self.push((high * 16 + low) as u8);
                self.at += 4;
                return Ok(());
            }
            _ => {
                self.push(b'\\');
                self.at += 1;
                return Ok(());
            }
        };
        self.push(byte);
        self.at += 2;
        Ok(())
    }

    /// From the dollar past the name or the closing brace.
    fn variable(&mut self) -> Result<(), LexError> {
        let brace = (self.peek(1) == Some(b'{')).then_some(self.at + 1);
        let start = brace.unwrap_or(self.at) + 1;
        let dot = usize::from(self.line.get(start) == Some(&b'.'));
        let rest = &self.line[start + dot..];
        let length = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        let forbidden = LexError { kind: LexErrorKind::Name, at: start };
        if length == 0 || rest[0].is_ascii_digit() {
            return Err(forbidden);
        }
        // Only ASCII letters, digits and '_' were counted.
        let name = std::str::from_utf8(&rest[..length]).unwrap_or_default();
        let mut value = match (dot, name) {
            (0, _) => self.env.var(name),
            (_, "FILE") => Some(self.place.file.to_string()),
            (_, "LINE") => Some(self.place.line.to_string()),
            (_, "SECTION") => Some(self.place.section.to_string()),
            _ => return Err(forbidden),
        }
        .map(String::into_bytes);
        self.at = start + dot + length;

        let mut split = false;
        if let Some(open) = brace {
            if self.peek(0) == Some(b'[') {
                if !self.line[self.at..].starts_with(b"[*]") {
                    return Err(LexError { kind: LexErrorKind::Expansion, at: self.at });
                }
                split = true;
                self.at += 3;
            }
            let close = memchr::memchr(b'}', &self.line[self.at..])
                .filter(|&length| length == 0 || self.peek(0) == Some(b'-'))
                .ok_or(LexError { kind: LexErrorKind::Brace, at: open })?;
            if close > 0 && value.is_none() {
                value = Some(self.line[self.at + 1..self.at + close].to_vec());
            }
            self.at += close + 1;
        }
        let value = value.unwrap_or_default();
        if split {
            self.push_parts(&value)
        } else {
            self.begin(start).extend_from_slice(&value);
            Ok(())
        }
    }

    /// Each run of blanks ends a word: leading and trailing ones leave an empty word there.
    fn push_parts(&mut self, value: &[u8]) -> Result<(), LexError> {
        let from = self.word.as_ref().map_or(self.at, |(start, _)| *start);
        let mut rest = value;
        while let Some(blank) = rest.iter().position(|b| is_blank(*b)) {
            self.begin(from).extend_from_slice(&rest[..blank]);
            self.end(self.at)?;
            self.begin(from);
            rest = &rest[blank..];
            rest = &rest[rest.iter().take_while(|b| is_blank(**b)).count()..];
        }
        self.begin(from).extend_from_slice(rest);
        Ok(())
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.line.get(self.at + ahead).copied()
    }

    fn begin(&mut self, at: usize) -> &mut Vec<u8> {
        &mut self.word.get_or_insert_with(|| (at, Vec::new())).1
    }

    fn push(&mut self, byte: u8) {
        let at = self.at;
        self.begin(at).push(byte);
    }

    fn end(&mut self, at: usize) -> Result<(), LexError> {
        let Some((start, bytes)) = self.word.take() else { return Ok(()) };
        if self.words.len() == WORDS_MAX {
            return Err(LexError { kind: LexErrorKind::TooMany, at: start });
        }
        let span = Span {
            file: self.place.file_index,
            line: self.place.line,
            start: start as u32,
            end: at as u32,
        };
        self.words.push(Word::new(bytes, span));
        Ok(())
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

#[cfg(test)]
#[path = "lexer_test.rs"]
mod tests;
