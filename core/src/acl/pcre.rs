//! From the syntax of PCRE to that of the crate which compiles expressions. Bytes that are plain in
//! one and special in the other are written as `\xHH`; what needs backtracking is refused, with a
//! sentence that says what it was.

/// What `$` and `\Z` match at the end of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// The very end: where it matters what the match covers.
    Exact,
    /// As in PCRE, also before a newline that is the last byte. The match then covers it.
    Loose,
}

/// The same expression for `regex_syntax`, without Unicode.
pub(super) fn translate(text: &[u8], end: End) -> Result<String, String> {
    let mut pcre = Pcre { text, at: 0, out: String::with_capacity(text.len() + 8), end };
    pcre.run()?;
    Ok(pcre.out)
}

/// Classes that have a name in brackets.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

struct Pcre<'t> {
    text: &'t [u8],
    at: usize,
    out: String,
    end: End,
}

/// What an escape stands for.
enum Escape {
    /// A byte.
    Byte(u8),
    /// A class that can stand inside brackets.
    Class(&'static str),
    /// Something that cannot.
    Other(&'static str),
    /// `\Q`: all up to `\E` is plain.
    Quote,
    /// Nothing: a stray `\E`.
    Nothing,
}

/// Tells that a construct needs what we do not have.
fn unsupported(what: &str) -> String {
    format!(
        "{what} cannot be matched in linear time and is not supported; say it in another way, \
         perhaps with two conditions"
    )
}

impl Pcre<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn rest(&self) -> &[u8] {
        &self.text[self.at..]
    }

    fn eat(&mut self, what: &[u8]) -> bool {
        let found = self.rest().starts_with(what);
        if found {
            self.at += what.len();
        }
        found
    }

    fn byte(&mut self, byte: u8) {
        if byte.is_ascii_alphanumeric() {
            self.out.push(byte.into());
        } else {
            self.out.push_str(&format!("\\x{byte:02X}"));
        }
    }

    fn run(&mut self) -> Result<(), String> {
        // For each open group whether `(?m)` was on when it began.
        let mut groups = Vec::new();
        let mut multiline = false;
        while let Some(byte) = self.peek() {
            self.at += 1;
            let mut repeatable = true;
            match byte {
                b'\\' => match self.escape(false)? {
                    Escape::Byte(byte) => self.byte(byte),
                    Escape::Class(class) => {
                        if class.starts_with('\\') && class.len() == 2 {
                            self.out.push_str(class);
                        } else {
                            self.out.push_str(&format!("[{class}]"));
                        }
                    }
                    Escape::Other("$") => self.end(false),
                    Escape::Other(other) => self.out.push_str(other),
                    Escape::Quote => {
                        while !self.eat(b"\\E")
                            && let Some(byte) = self.peek()
                        {
                            self.at += 1;
                            self.byte(byte);
                        }
                    }
                    Escape::Nothing => repeatable = false,
                },
                b'[' => self.class()?,
                b'(' => {
                    groups.push(multiline);
                    let opens = self.group(&mut multiline)?;
                    if !opens {
                        groups.pop();
                    }
                    repeatable = false;
                }
                b')' => {
                    multiline = groups.pop().ok_or("a closing parenthesis is too many")?;
                    self.out.push(')');
                }
                b'$' => self.end(multiline),
                b'^' | b'.' => self.out.push(byte.into()),
                b'|' => {
                    self.out.push('|');
                    repeatable = false;
                }
                b'*' | b'+' | b'?' => {
                    return Err(format!("'{}' has nothing before it to repeat", byte as char));
                }
                b'{' if self.count().is_some() => {
                    return Err("a repetition in braces has nothing before it".into());
                }
                // In `(?x)` blanks and comments mean the same in both; elsewhere they are plain.
                b' ' | b'#' | b'\n' | b'\t' => self.out.push(byte.into()),
                _ => self.byte(byte),
            }
            if repeatable {
                self.repetition()?;
            }
        }
        if groups.is_empty() { Ok(()) } else { Err("a closing parenthesis is missing".into()) }
    }

    /// What may stand behind something that can be repeated.
    fn repetition(&mut self) -> Result<(), String> {
        match self.peek() {
            Some(byte @ (b'*' | b'+' | b'?')) => {
                self.at += 1;
                self.out.push(byte.into());
            }
            Some(b'{') => {
                self.at += 1;
                let Some(len) = self.count() else {
                    self.at -= 1;
                    return Ok(());
                };
                let count = &self.text[self.at..self.at + len];
                self.at += len;
                self.out.push('{');
                self.out.push_str(&String::from_utf8_lossy(count));
            }
            _ => return Ok(()),
        }
        match self.peek() {
            Some(b'?') => {
                self.at += 1;
                self.out.push('?');
            }
            Some(b'+') => return Err(unsupported("a possessive repetition ('++', '*+', '?+')")),
            _ => {}
        }
        if matches!(self.peek(), Some(b'*' | b'+' | b'?')) {
            return Err("a repetition is repeated".into());
        }
        Ok(())
    }

    /// How long the count behind a brace is, with the closing one: `3}`, `3,}` or `3,5}`. Other
    /// braces are plain.
    fn count(&self) -> Option<usize> {
        let len = self.rest().iter().position(|byte| *byte == b'}')?;
        let inside = &self.rest()[..len];
        let (least, most) = match inside.iter().position(|byte| *byte == b',') {
            Some(comma) => (&inside[..comma], &inside[comma + 1..]),
            None => (inside, &[][..]),
        };
        let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
        (!least.is_empty() && digits(least) && digits(most)).then_some(len + 1)
    }

    fn end(&mut self, multiline: bool) {
        self.out.push_str(match (multiline, self.end) {
            (true, _) => "(?m:$)",
            (false, End::Exact) => r"\z",
            (false, End::Loose) => r"(?:\n?\z)",
        });
    }

    /// What stands behind an opening parenthesis. False if it is no group that will be closed.
    fn group(&mut self, multiline: &mut bool) -> Result<bool, String> {
        if self.rest().starts_with(b"*") {
            return Err(unsupported("a verb ('(*')"));
        }
        if !self.eat(b"?") {
            self.out.push('(');
            return Ok(true);
        }
        for (mark, what) in [
            (&b"="[..], "a look-ahead ('(?=')"),
            (b"!", "a look-ahead ('(?!')"),
            (b"<=", "a look-behind ('(?<=')"),
            (b"<!", "a look-behind ('(?<!')"),
            (b">", "an atomic group ('(?>')"),
            (b"|", "a group that numbers its branches alike ('(?|')"),
            (b"(", "a conditional group ('(?(')"),
            (b"P=", "a back-reference"),
            (b"P>", "a recursion"),
            (b"&", "a recursion"),
            (b"R", "a recursion"),
            (b"C", "a callout"),
        ] {
            if self.rest().starts_with(mark) {
                return Err(unsupported(what));
            }
        }
        if matches!(self.rest(), [b'0'..=b'9', ..] | [b'+' | b'-', b'0'..=b'9', ..]) {
            return Err(unsupported("a recursion"));
        }
        if self.eat(b"#") {
            let len = self.rest().iter().position(|byte| *byte == b')');
            self.at += len.ok_or("a comment is not closed")? + 1;
            return Ok(false);
        }
        for (open, close) in [(&b"P<"[..], b'>'), (b"<", b'>'), (b"'", b'\'')] {
            if self.eat(open) {
                // Names are of no use here: groups are counted.
                let len = self.rest().iter().position(|byte| *byte == close);
                self.at += len.ok_or("the name of a group is not closed")? + 1;
                self.out.push('(');
                return Ok(true);
            }
        }
        let len = self.rest().iter().position(|byte| matches!(byte, b':' | b')'));
        let len = len.ok_or("a closing parenthesis is missing")?;
        let flags = &self.text[self.at..self.at + len];
        let mut on = true;
        for flag in flags {
            match flag {
                b'-' => on = false,
                b'm' => *multiline = on,
                b'i' | b's' | b'x' | b'U' => {}
                other => return Err(format!("the option '(?{}' is unknown", *other as char)),
            }
        }
        let closes = self.text[self.at + len] == b')';
        self.at += len + 1;
        if flags.is_empty() && closes {
            return Ok(false);
        }
        self.out.push_str("(?");
        self.out.push_str(&String::from_utf8_lossy(flags));
        self.out.push(if closes { ')' } else { ':' });
        Ok(!closes)
    }

    /// What stands behind a backslash.
    fn escape(&mut self, in_class: bool) -> Result<Escape, String> {
        let Some(byte) = self.peek() else {
            return Err("it ends with a backslash".into());
        };
        self.at += 1;
        Ok(match byte {
            b'd' => Escape::Class(r"\d"),
            b'D' => Escape::Class(r"\D"),
            b'w' => Escape::Class(r"\w"),
            b'W' => Escape::Class(r"\W"),
            b's' => Escape::Class(r"\s"),
            b'S' => Escape::Class(r"\S"),
            b'h' => Escape::Class(r"\x09\x20\xA0"),
            b'H' => Escape::Class(r"\x00-\x08\x0A-\x1F\x21-\x9F\xA1-\xFF"),
            b'v' => Escape::Class(r"\x0A-\x0D\x85"),
            b'V' => Escape::Class(r"\x00-\x09\x0E-\x84\x86-\xFF"),
            b'n' => Escape::Byte(b'\n'),
            b'r' => Escape::Byte(b'\r'),
            b't' => Escape::Byte(b'\t'),
            b'f' => Escape::Byte(0x0c),
            b'a' => Escape::Byte(0x07),
            b'e' => Escape::Byte(0x1b),
            b'c' => {
                let of = self.peek().ok_or("'\\c' has no character behind it")?;
                self.at += 1;
                Escape::Byte(of.to_ascii_uppercase() ^ 0x40)
            }
            b'x' => Escape::Byte(self.hexadecimal()?),
            b'0' => Escape::Byte(self.octal(0)),
            b'1'..=b'7' if in_class => Escape::Byte(self.octal(byte - b'0')),
            b'1'..=b'9' | b'g' | b'k' => return Err(unsupported("a back-reference")),
            b'Q' => Escape::Quote,
            b'E' => Escape::Nothing,
            b'b' if in_class => Escape::Byte(0x08),
            b'b' => Escape::Other(r"\b"),
            b'B' if !in_class => Escape::Other(r"\B"),
            b'A' if !in_class => Escape::Other(r"\A"),
            b'z' if !in_class => Escape::Other(r"\z"),
            b'Z' if !in_class => Escape::Other("$"),
            b'N' if !in_class => Escape::Other(r"[^\n]"),
            b'C' if !in_class => Escape::Other("(?s:.)"),
            b'R' if !in_class => Escape::Other(r"(?:\r\n|[\x0A-\x0D\x85])"),
            b'K' | b'G' => return Err(unsupported(&format!("'\\{}'", byte as char))),
            b'p' | b'P' | b'X' => {
                return Err("classes of Unicode are not supported: values are bytes".into());
            }
            other if other.is_ascii_alphanumeric() => {
                return Err(format!("'\\{}' is unknown", other as char));
            }
            other => Escape::Byte(other),
        })
    }

    /// What stands behind `\x`: at most two digits, or any number of them in braces.
    fn hexadecimal(&mut self) -> Result<u8, String> {
        let wrong = "'\\x{…}' must stand for one byte";
        if self.eat(b"{") {
            let len = self.rest().iter().position(|byte| *byte == b'}').ok_or(wrong)?;
            let digits = std::str::from_utf8(&self.rest()[..len]).map_err(|_| wrong)?;
            let byte = u8::from_str_radix(digits, 16).map_err(|_| wrong)?;
            self.at += len + 1;
            return Ok(byte);
        }
        let mut byte = 0;
        for _ in 0..2 {
            let digit = self.peek().and_then(|byte| (byte as char).to_digit(16));
            let Some(digit) = digit else { break };
            byte = byte << 4 | digit as u8;
            self.at += 1;
        }
        Ok(byte)
    }

    /// At most two more octal digits.
    fn octal(&mut self, first: u8) -> u8 {
        let mut byte = u32::from(first);
        for _ in 0..2 {
            let Some(digit @ b'0'..=b'7') = self.peek() else { break };
            byte = byte << 3 | u32::from(digit - b'0');
            self.at += 1;
        }
        byte as u8
    }

    /// What stands behind an opening bracket, and the bracket.
    fn class(&mut self) -> Result<(), String> {
        let open = "a closing bracket is missing";
        self.out.push('[');
        if self.eat(b"^") {
            self.out.push('^');
        }
        // The byte before, if a dash behind it makes a range.
        let mut low: Option<u8> = None;
        // A class is before.
        let mut class = false;
        let mut first = true;
        loop {
            let byte = self.peek().ok_or(open)?;
            self.at += 1;
            let behind_class = core::mem::take(&mut class);
            let item = match byte {
                b'-' if behind_class && self.peek() != Some(b']') => {
                    return Err("a range in brackets begins with a class".into());
                }
                b']' if !first => break,
                b'[' if matches!(self.peek(), Some(b':')) => {
                    let len = self.rest().windows(2).position(|pair| pair == b":]");
                    match len {
                        Some(len) => {
                            let name = String::from_utf8_lossy(&self.rest()[1..len]).into_owned();
                            if !POSIX.contains(&name.strip_prefix('^').unwrap_or(&name)) {
                                return Err(format!("the class '[:{name}:]' is unknown"));
                            }
                            self.at += len + 2;
                            self.out.push_str(&format!("[:{name}:]"));
                            first = false;
                            low = None;
                            class = true;
                            continue;
                        }
                        None => b'[',
                    }
                }
                b'\\' => match self.escape(true)? {
                    Escape::Byte(byte) => byte,
                    Escape::Class(items) => {
                        self.out.push_str(items);
                        first = false;
                        low = None;
                        class = true;
                        continue;
                    }
                    Escape::Other(_) | Escape::Nothing => continue,
                    Escape::Quote => {
                        while !self.eat(b"\\E") {
                            let byte = self.peek().ok_or(open)?;
                            self.at += 1;
                            self.byte(byte);
                        }
                        first = false;
                        low = None;
                        continue;
                    }
                },
                b'-' if low.is_some() && self.peek().is_some_and(|next| next != b']') => {
                    let from = low.take().unwrap_or(0);
                    let next = self.peek().ok_or(open)?;
                    self.at += 1;
                    let to = match next {
                        b'\\' => match self.escape(true)? {
                            Escape::Byte(byte) => byte,
                            _ => return Err("a range in brackets ends with a class".into()),
                        },
                        other => other,
                    };
                    if from > to {
                        return Err("a range in brackets is out of order".into());
                    }
                    self.out.push('-');
                    self.byte(to);
                    continue;
                }
                other => other,
            };
            self.byte(item);
            low = Some(item);
            first = false;
        }
        self.out.push(']');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Regex;
    use super::*;

    #[test]
    fn what_is_plain_in_one_and_special_in_the_other() {
        // Each with a value that matches and one that does not, as PCRE has it.
        for (text, yes, no) in [
            (r"^a{$", "a{", "a"),
            (r"^a{,3}$", "a{,3}", "aaa"),
            (r"^a{2,3}$", "aaa", "a"),
            (r"^{x}$", "{x}", "x"),
            (r"^[a[b]$", "[", "c"),
            (r"^[]a]$", "]", "b"),
            (r"^[^]a]$", "b", "]"),
            (r"^[a&&b]$", "&", "c"),
            (r"^[a~~b-]$", "-", "c"),
            (r"^[\w-]$", "-", "+"),
            (r"^[a-z-9]$", "-", "8"),
            (r"^[[:digit:]x]+$", "5x", "a"),
            (r"^\<a\>$", "<a>", "a"),
            (r"^\/a\_\-$", "/a_-", "/a"),
            (r"^\x41\x{42}[\103]\0$", "ABC\0", "ABC"),
            (r"^\Qa.b\E.$", "a.bc", "axbc"),
            (r"^\h+$", " \t", "x"),
            (r"^\d+\s\w$", "12 a", "12a"),
            (r"^(?<n>a)(?:b)(?#c)$", "ab", "abc"),
            (r"(?i)^A(?-i)b$", "ab", "aB"),
            (r"(?m)^b$", "a\nb\nc", "ab"),
            (r"^]}$", "]}", "]"),
            (r"^é$", "é", "e"),
            (r"^a\Z", "a", "ab"),
            (r"\bfoo\b", "a foo", "afoo"),
            (r"^[ ]#$", " #", "#"),
            (r"(?x)^ a b # c", "ab", "a b"),
        ] {
            let regex = Regex::new(text.as_bytes(), false).expect(text);
            assert!(regex.is_match(yes.as_bytes()), "{text} on {yes}");
            assert!(!regex.is_match(no.as_bytes()), "{text} on {no}");
        }
        // A dot is one byte, whatever the byte.
        let regex = Regex::new(b"^a.b$", false).expect("an expression");
        assert!(regex.is_match(b"a\xe9b") && !regex.is_match("a\u{e9}b".as_bytes()));
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        for (text, part) in [
            ("a(?=b)", "look-ahead"),
            ("a(?!b)", "look-ahead"),
            ("(?<=a)b", "look-behind"),
            ("(?<!a)b", "look-behind"),
            ("(?>a)b", "atomic"),
            (r"(a)\1", "back-reference"),
            (r"(?P<n>a)\k<n>", "back-reference"),
            ("a++b", "possessive"),
            ("(?R)", "recursion"),
            ("(*SKIP)", "verb"),
            ("[a", "closing bracket"),
            ("(a", "closing parenthesis"),
            ("a)", "closing parenthesis"),
            ("*a", "nothing before it"),
            ("a**", "repeated"),
            (r"\pL", "Unicode"),
            (r"\y", "unknown"),
            ("a\\", "backslash"),
            ("[z-a]", "out of order"),
            (r"[\w-.]", "begins with a class"),
            ("[[:nope:]]", "class"),
            ("(a{1000}){1000}", "large"),
        ] {
            let error = Regex::new(text.as_bytes(), false).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn the_end_of_a_list_s_expressions_is_before_a_last_newline_too() {
        assert_eq!(translate(b"a$", End::Loose).as_deref(), Ok(r"a(?:\n?\z)"));
        assert_eq!(translate(b"a$", End::Exact).as_deref(), Ok(r"a\z"));
    }
}
