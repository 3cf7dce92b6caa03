//! A configuration file as it was read, and places in it.

/// One configuration file: its name as the operator gave it, and its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// As on the command line; what messages and `${.FILE}` show.
    pub name: String,
    /// The whole file.
    pub bytes: Vec<u8>,
}

impl Source {
    /// A source called `name` with these bytes.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Source { name: name.into(), bytes: bytes.into() }
    }

    /// The bytes of line `line` (from 1) without its LF; empty if there is no such line.
    pub fn line(&self, line: u32) -> &[u8] {
        let index = (line as usize).saturating_sub(1);
        self.bytes.split(|&b| b == b'\n').nth(index).unwrap_or_default()
    }
}

/// A place: bytes `start..end` of one line of one source.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Span {
    /// Index into the list of sources.
    pub file: u32,
    /// From 1.
    pub line: u32,
    /// First byte in the line, from 0.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The line and nothing of it: a complaint about the line as a whole.
    pub const fn line(file: u32, line: u32) -> Self {
        Span { file, line, start: 0, end: 0 }
    }

    /// From the start of `self` to the end of `last`, which is on the same line.
    pub fn to(self, last: Span) -> Span {
        debug_assert_eq!((self.file, self.line), (last.file, last.line));
        Span { end: last.end.max(self.end), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_one() {
        let source = Source::new("f", "a\nbc\n\nd");
        assert_eq!(source.line(1), b"a");
        assert_eq!(source.line(2), b"bc");
        assert_eq!(source.line(3), b"");
        assert_eq!(source.line(4), b"d");
        assert_eq!(source.line(5), b"");
    }
}
