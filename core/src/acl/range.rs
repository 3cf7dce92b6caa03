//! Numbers and ranges of them: patterns of `int` and `len`, and versions (`3.1`).

/// A range of numbers, both ends in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Range {
    pub(super) min: i64,
    pub(super) max: i64,
}

impl Range {
    /// Reads `5`, `1:5`, `:5` or `1:`. As in HAProxy a dash does the same as the colon, so that
    /// `-5` is everything up to 5.
    pub(super) fn parse(text: &str) -> Result<Range, String> {
        let wrong = || format!("'{text}' is not a valid number range");
        let Some(at) = text.find([':', '-']) else {
            let n = number(text).ok_or_else(|| format!("'{text}' is not a number"))?;
            return Ok(Range { min: n, max: n });
        };
        let (low, high) = (&text[..at], &text[at + 1..]);
        let range = match (low, high) {
            ("", "") => return Err(wrong()),
            ("", high) => Range { min: i64::MIN, max: signed(high).ok_or_else(wrong)? },
            (low, "") => Range { min: number(low).ok_or_else(wrong)?, max: i64::MAX },
            (low, high) => {
                Range { min: number(low).ok_or_else(wrong)?, max: signed(high).ok_or_else(wrong)? }
            }
        };
        if range.min > range.max { Err(wrong()) } else { Ok(range) }
    }

    /// Reads the same with versions: `3.1` is 3 × 65536 + 1, and `3` is `3.0`.
    pub(super) fn parse_version(text: &str) -> Result<Range, String> {
        let one = |text: &str| {
            let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
            let small = |text: &str| number(text).filter(|n| *n < 1 << 16);
            small(major).zip(small(minor)).map(|(major, minor)| major << 16 | minor)
        };
        let wrong = || format!("'{text}' is not a dotted number");
        let range = match text.split_once([':', '-']) {
            None => one(text).map(|n| (n, n)),
            Some(("", "")) => None,
            Some(("", high)) => one(high).map(|n| (i64::MIN, n)),
            Some((low, "")) => one(low).map(|n| (n, i64::MAX)),
            Some((low, high)) => one(low).zip(one(high)),
        };
        let (min, max) = range.ok_or_else(wrong)?;
        if min > max { Err(wrong()) } else { Ok(Range { min, max }) }
    }

    /// Whether a number is in it.
    pub(super) fn holds(self, n: i64) -> bool {
        self.min <= n && n <= self.max
    }
}

/// Digits only.
fn number(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Digits, perhaps with a minus before them: what stands behind a colon.
fn signed(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(digits) => number(digits).map(|n| -n),
        None => number(text),
    }
}

/// A word before a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operator {
    /// `eq`.
    Eq,
    /// `ge`.
    Ge,
    /// `gt`.
    Gt,
    /// `le`.
    Le,
    /// `lt`.
    Lt,
}

impl Operator {
    /// The operator that the word is.
    pub(super) fn parse(word: &str) -> Option<Operator> {
        Some(match word {
            "eq" => Operator::Eq,
            "ge" => Operator::Ge,
            "gt" => Operator::Gt,
            "le" => Operator::Le,
            "lt" => Operator::Lt,
            _ => return None,
        })
    }

    /// The pattern that says the same as this operator before `text`. Ranges stay what they are.
    pub(super) fn pattern(self, text: &str, version: bool) -> Result<String, String> {
        if self == Operator::Eq || text.contains([':', '-']) {
            return Ok(text.to_owned());
        }
        let wrong = || format!("'{text}' is neither a number nor a supported operator");
        let n = if version {
            Range::parse_version(text).map_err(|_| wrong())?.min
        } else {
            // HAProxy looks no further than a dot.
            let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
            number(whole).ok_or_else(wrong)?
        };
        let n = match self {
            Operator::Gt => n.saturating_add(1),
            Operator::Lt => n - 1,
            _ => n,
        };
        let shown = if version { format!("{}.{}", n >> 16, n & 0xffff) } else { n.to_string() };
        Ok(match self {
            Operator::Ge | Operator::Gt => format!("{shown}:"),
            _ => format!(":{shown}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_as_haproxy_reads_them() {
        let range = |min, max| Some(Range { min, max });
        for (text, expected) in [
            ("5", range(5, 5)),
            ("05", range(5, 5)),
            ("4:6", range(4, 6)),
            ("4-6", range(4, 6)),
            (":6", range(i64::MIN, 6)),
            ("-6", range(i64::MIN, 6)),
            (":-1", range(i64::MIN, -1)),
            ("5:", range(5, i64::MAX)),
            ("5-", range(5, i64::MAX)),
            ("6:4", None),
            ("-5:-2", None),
            ("+5", None),
            ("0x5", None),
            ("int 5", None),
            (":", None),
            ("", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(Range::parse(text).ok(), expected, "{text}");
        }
        for (text, expected) in [
            ("3.1", range(0x3_0001, 0x3_0001)),
            ("3", range(0x3_0000, 0x3_0000)),
            ("3.0:3.1", range(0x3_0000, 0x3_0001)),
            ("3.1:", range(0x3_0001, i64::MAX)),
            ("3.x", None),
        ] {
            assert_eq!(Range::parse_version(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn operators_become_ranges() {
        for (word, text, expected) in [
            ("eq", "5", Some("5")),
            ("gt", "5", Some("6:")),
            ("ge", "5", Some("5:")),
            ("lt", "5", Some(":4")),
            ("lt", "0", Some(":-1")),
            ("le", "5", Some(":5")),
            ("le", "3:6", Some("3:6")),
            ("gt", "3.5", Some("4:")),
            ("gt", "x", None),
        ] {
            let made = Operator::parse(word).expect(word).pattern(text, false);
            assert_eq!(made.ok().as_deref(), expected, "{word} {text}");
        }
        let made = Operator::Gt.pattern("3.0", true);
        assert_eq!(made.as_deref(), Ok("3.1:"));
    }
}
