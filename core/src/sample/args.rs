//! The second level of the configuration's syntax: `name(arg,arg),name(arg)`, inside one word.
//!
//! Arguments end at a comma or the closing parenthesis. They have quotes and backslashes of their
//! own, which the first level has left in place only if they were quoted there.

/// What is wrong with part of a word, and where in the word's bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// The first byte to blame.
    pub at: usize,
    /// How many bytes are to blame; 0 blames the whole word.
    pub len: usize,
    /// One sentence.
    pub message: String,
    /// What was probably meant in their place.
    pub near: Option<String>,
}

impl Mistake {
    /// Something is wrong with `len` bytes from `at`.
    pub fn new(at: usize, len: usize, message: impl Into<String>) -> Mistake {
        Mistake { at, len, message: message.into(), near: None }
    }

    /// With what was probably meant.
    pub fn near(mut self, near: Option<impl Into<String>>) -> Mistake {
        self.near = near.map(Into::into);
        self
    }

    /// The same in a text in which this one stands at `offset`.
    pub fn shift(mut self, offset: usize) -> Mistake {
        self.at += offset;
        self
    }
}

/// A call: a name and its arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call<'t> {
    /// The name.
    pub name: &'t str,
    /// Where the name stands.
    pub at: usize,
    /// The arguments, quotes and backslashes resolved. None without parentheses; empty parentheses
    /// are one empty argument.
    pub args: Vec<Arg>,
    /// Where the call ends.
    pub end: usize,
}

/// An argument.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arg {
    /// Its text.
    pub text: String,
    /// Where it begins.
    pub at: usize,
    /// How many bytes it takes, quotes included.
    pub len: usize,
}

/// Reads the call that begins at `at`.
pub fn call(text: &str, at: usize) -> Result<Call<'_>, Mistake> {
    let rest = &text[at..];
    let len = rest.find(['(', ',', ')', ']', ' ', '\t']).unwrap_or(rest.len());
    let name = &rest[..len];
    if !rest[len..].starts_with('(') {
        return Ok(Call { name, at, args: Vec::new(), end: at + len });
    }
    let mut args = Vec::new();
    let mut from = at + len + 1;
    loop {
        let (arg, end) = argument(text, from)?;
        args.push(arg);
        match text.as_bytes().get(end) {
            Some(b',') => from = end + 1,
            Some(_) => return Ok(Call { name, at, args, end: end + 1 }),
            None => {
                let message = format!("'{name}(' has no closing parenthesis");
                return Err(Mistake::new(at, len + 1, message));
            }
        }
    }
}

/// The argument from `from` to the comma or parenthesis behind it, or to the end of the text.
fn argument(text: &str, from: usize) -> Result<(Arg, usize), Mistake> {
    let mut out: Vec<u8> = Vec::new();
    let bytes = text.as_bytes();
    let mut quote: Option<(u8, usize)> = None;
    let mut at = from;
    while let Some(&byte) = bytes.get(at) {
        match (byte, quote) {
            (b'"' | b'\'', None) => quote = Some((byte, at)),
            (_, Some((open, _))) if byte == open => quote = None,
            (b'\\', None | Some((b'"', _))) if at + 1 < bytes.len() => {
                at += 1;
                match bytes[at] {
                    b'n' => out.push(b'\n'),
                    b'r' => out.push(b'\r'),
                    b't' => out.push(b'\t'),
                    // Before others the backslash stays (regular expressions have many), and does
                    // not take a comma's or a parenthesis' meaning away: that is for quotes.
                    other @ (b'\\' | b'"' | b'\'' | b' ') => out.push(other),
                    b',' | b')' => {
                        out.push(b'\\');
                        if quote.is_none() {
                            continue;
                        }
                        out.push(bytes[at]);
                    }
                    other => out.extend_from_slice(&[b'\\', other]),
                }
            }
            (b',' | b')', None) => break,
            _ => out.push(byte),
        }
        at += 1;
    }
    if let Some((_, open)) = quote {
        return Err(Mistake::new(open, 1, "this quote is not closed"));
    }
    // Only whole characters were taken or left out.
    let text = String::from_utf8_lossy(&out).into_owned();
    Ok((Arg { text, at: from, len: at - from }, at))
}

/// The arguments of one fetch or converter while they are checked.
#[derive(Debug)]
pub struct Args<'c, 't> {
    call: &'c Call<'t>,
    /// `sample fetch` or `converter`.
    what: &'static str,
}

impl<'c, 't> Args<'c, 't> {
    /// The arguments of a call of `what` that takes from `least` to `most`.
    pub fn of(
        call: &'c Call<'t>,
        what: &'static str,
        (least, most): (usize, usize),
    ) -> Result<Self, Mistake> {
        let args = Args { call, what };
        let given = match &call.args[..] {
            // `name()` has none.
            [only] if only.text.is_empty() && only.len == 0 => 0,
            all => all.len(),
        };
        if given < least {
            let more = least - given;
            let s = if more == 1 { "" } else { "s" };
            return Err(args.wrong(format!("{what} '{}' needs {more} more argument{s}", call.name)));
        }
        if given > most {
            let message = if most == 0 {
                format!("{what} '{}' takes no argument", call.name)
            } else {
                format!("{what} '{}' takes at most {most} arguments, not {given}", call.name)
            };
            let extra = &call.args[most];
            return Err(Mistake::new(extra.at, extra.len, message));
        }
        Ok(args)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.call.args.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.call.args.is_empty()
    }

    /// The name that was called.
    pub fn name(&self) -> &'t str {
        self.call.name
    }

    /// The argument `index`, if it is there and not empty.
    pub fn get(&self, index: usize) -> Option<&'c str> {
        self.call.args.get(index).map(|arg| arg.text.as_str()).filter(|text| !text.is_empty())
    }

    /// The argument `index`, or the empty text.
    pub fn text(&self, index: usize) -> &'c str {
        self.call.args.get(index).map_or("", |arg| arg.text.as_str())
    }

    /// The argument `index` as a number, if it is there; one that is too large is the largest there
    /// is.
    pub fn int(&self, index: usize) -> Result<Option<i64>, Mistake> {
        use core::num::IntErrorKind::{NegOverflow, PosOverflow};
        let Some(text) = self.get(index) else { return Ok(None) };
        match text.parse::<i64>() {
            Ok(number) => Ok(Some(number)),
            Err(error) if *error.kind() == PosOverflow => Ok(Some(i64::MAX)),
            Err(error) if *error.kind() == NegOverflow => Ok(Some(i64::MIN)),
            Err(_) => {
                let message = format!("'{}' expects a number (got '{text}')", self.call.name);
                Err(self.blame(index, message))
            }
        }
    }

    /// The argument `index` as a number in a range; `absent` if it is not there.
    pub fn int_in(
        &self,
        index: usize,
        range: core::ops::RangeInclusive<i64>,
        absent: i64,
    ) -> Result<i64, Mistake> {
        let n = self.int(index)?.unwrap_or(absent);
        if range.contains(&n) {
            return Ok(n);
        }
        let (low, high) = range.into_inner();
        let message = format!("'{}' expects a number from {low} to {high} (got {n})", self.name());
        Err(self.blame(index, message))
    }

    /// A complaint about the argument `index`.
    pub fn blame(&self, index: usize, message: impl Into<String>) -> Mistake {
        match self.call.args.get(index) {
            Some(arg) if arg.len > 0 => Mistake::new(arg.at, arg.len, message),
            _ => self.wrong(message),
        }
    }

    /// A complaint about the call as a whole.
    pub fn wrong(&self, message: impl Into<String>) -> Mistake {
        Mistake::new(self.call.at, self.call.name.len(), message)
    }

    /// `sample fetch` or `converter`.
    pub fn what(&self) -> &'static str {
        self.what
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> (String, Vec<String>, usize) {
        let call = call(text, 0).expect(text);
        (call.name.into(), call.args.into_iter().map(|arg| arg.text).collect(), call.end)
    }

    #[test]
    fn calls() {
        for (text, name, args, end) in [
            ("src", "src", &[][..], 3),
            ("hdr(host),lower", "hdr", &["host"], 9),
            ("hdr()", "hdr", &[""], 5),
            ("a(b,c)", "a", &["b", "c"], 6),
            ("a(,c)", "a", &["", "c"], 5),
            (r#"str("a,b)")"#, "str", &["a,b)"], 11),
            (r"str(a\,b)", "str", &[r"a\", "b"], 9),
            (r#"str("a\,b")"#, "str", &[r"a\,b"], 11),
            (r"regsub(\.x,'$')", "regsub", &[r"\.x", "$"], 15),
            ("f( a b )", "f", &[" a b "], 8),
        ] {
            assert_eq!(
                texts(text),
                (name.into(), args.iter().map(|a| a.to_string()).collect(), end)
            );
        }
        assert!(call("f(a", 0).is_err());
        assert!(call("f('a)", 0).is_err());
    }
}
