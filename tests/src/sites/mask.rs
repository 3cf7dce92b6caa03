//! What differs from run to run, made the same in every run.

use std::collections::BTreeMap;

use crate::exchanges::logline::LogLine;
use crate::exchanges::places::Places;

/// `name=…` in log lines and `name: …` in heads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    name: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Every digit counts as 9 and every letter as a: the width is compared.
    Date,
    /// A number counts as 9: that it is one is compared, and whether it is negative.
    Number,
    /// Any text that is not empty.
    Any,
}

impl Mask {
    /// Reads `name kind`.
    pub fn read(text: &str) -> Result<Self, String> {
        let (name, kind) = text.split_once(' ').ok_or("a mask is a name and a kind")?;
        let kind = match kind {
            "date" => Kind::Date,
            "number" => Kind::Number,
            "any" => Kind::Any,
            _ => return Err(format!("'{kind}' is no kind")),
        };
        Ok(Self { name: name.to_owned(), kind })
    }

    fn value(&self, value: &str) -> String {
        match self.kind {
            Kind::Date => value
                .chars()
                .map(|c| match c {
                    '0'..='9' => '9',
                    'a'..='z' | 'A'..='Z' => 'a',
                    _ => c,
                })
                .collect(),
            Kind::Number => {
                let digits = value.strip_prefix('+').unwrap_or(value);
                let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                if number { "9".to_owned() } else { value.to_owned() }
            }
            Kind::Any if value.is_empty() => String::new(),
            Kind::Any => "ANY".to_owned(),
        }
    }
}

/// All that one run of a site masks.
#[derive(Debug)]
pub struct Masks<'a> {
    pub places: &'a Places,
    pub named: &'a [Mask],
    /// Ports that the run knows, and what they are.
    pub ports: BTreeMap<u16, String>,
}

impl Masks<'_> {
    /// A line of a head, or a body.
    pub fn line(&self, line: &str) -> String {
        let line = self.known(line);
        for mask in self.named {
            let begin = format!("{}: ", mask.name);
            if let Some(at) = line.find(&begin)
                && (at == 0 || line[..at].ends_with("> "))
            {
                let at = at + begin.len();
                return format!("{}{}", &line[..at], mask.value(&line[at..]));
            }
        }
        line
    }

    /// A log line.
    pub fn log(&self, line: &str) -> String {
        let mut line = self.known(&rfc5424(line));
        for mask in self.named {
            line = keyed(&line, mask);
        }
        common(&dates(&LogLine::parse(&line).shape()))
    }

    /// Addresses, the directory, and ports that stand alone.
    fn known(&self, text: &str) -> String {
        let text = self.places.mask(text);
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
            let run = rest[at..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - at);
            let digits = &rest[at..at + run];
            out.push_str(&rest[..at]);
            let port = digits.parse().ok().filter(|_| run == 5);
            out.push_str(port.and_then(|port: u16| self.ports.get(&port)).map_or(digits, |s| s));
            rest = &rest[at + run..];
        }
        out + rest
    }
}

/// A line on the wire of RFC 5424: its date and its process.
fn rfc5424(line: &str) -> String {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    if words.len() > 6 && words[0].ends_with(">1") {
        words[1] = Mask { name: String::new(), kind: Kind::Date }.value(&words[1]);
        words[4] = Mask { name: String::new(), kind: Kind::Number }.value(&words[4]);
    }
    words.join(" ")
}

/// Every `26/Nov/2026:10:59:20`, wherever it stands.
fn dates(line: &str) -> String {
    const SHAPE: &str = "99/aaa/9999:99:99:99";
    let shape = Mask { name: String::new(), kind: Kind::Date }.value(line);
    let mut out = line.to_owned();
    for (at, _) in shape.match_indices(SHAPE).filter(|_| line.is_ascii()) {
        out.replace_range(at..at + SHAPE.len(), SHAPE);
    }
    out
}

/// A line in the common log format: the milliseconds behind the port, and its timers.
fn common(line: &str) -> String {
    let Some(end) = line.find(" +0000] \"").filter(|_| line.contains(" - - [")) else {
        return line.to_owned();
    };
    let mut words: Vec<String> = line[end..].split(' ').map(str::to_owned).collect();
    if let Some(port) = words.iter().position(|word| word == "PORT") {
        // Milliseconds, three names, five timers.
        for at in [1, 5, 6, 7, 8, 9] {
            if let Some(word) = words.get_mut(port + at).filter(|word| !word.starts_with('-')) {
                "T".clone_into(word);
            }
        }
    }
    format!("{}{}", &line[..end], words.join(" "))
}

/// Masks each `name=value`; a value ends at a space, a bar, a semicolon or a closing bracket, or
/// where its own bracket or quote does.
fn keyed(line: &str, mask: &Mask) -> String {
    let begin = format!("{}=", mask.name);
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(&begin) {
        let whole = rest[..at].chars().next_back().or(out.chars().next_back());
        let start = at + begin.len();
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        if whole.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') {
            continue;
        }
        let end = match rest.chars().next() {
            Some('"') => rest[1..].find('"').map(|at| at + 2),
            Some('[') => rest.find(']').map(|at| at + 1),
            _ => rest.find([' ', '|', ';', ']', '}', '"', ',']),
        };
        let end = end.unwrap_or(rest.len());
        out.push_str(&mask.value(&rest[..end]));
        rest = &rest[end..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_log_format_is_masked() {
        let line = "<134> 127.0.0.1 - - [26/Nov/2026:10:59:20 +0000] \"GET /a HTTP/1.1\" 200 79 \"\" \
            \"\" PORT 466 \"clf\" \"be\" \"s1\" 0 0 12 -1 5 ---- 1 1 0 0 0 0 0 \"\" \"\"";
        let masked = "<134> 127.0.0.1 - - [99/aaa/9999:99:99:99 +0000] \"GET /a HTTP/1.1\" 200 79 \
            \"\" \"\" PORT T \"clf\" \"be\" \"s1\" T T T -1 T ---- 1 1 0 0 0 0 0 \"\" \"\"";
        assert_eq!(common(&dates(line)), masked);
    }

    #[test]
    fn the_date_of_the_newer_format_is_masked() {
        let line = "<134>1 2026-11-26T11:19:12.639812+00:00 gateway site 14320 - [a b=\"1\"] x 5";
        let masked = "<134>1 9999-99-99a99:99:99.999999+99:99 gateway site 9 - [a b=\"1\"] x 5";
        assert_eq!(rfc5424(line), masked);
        assert_eq!(rfc5424("<134>Nov 26 x"), "<134>Nov 26 x");
    }

    #[test]
    fn a_named_value_is_masked_and_no_other() {
        for (mask, line, masked) in [
            ("t date", "t=[26/Nov/2026:01] at=26", "t=[99/aaa/9999:99] at=26"),
            ("pid number", "pid=123 rpid=7|pid=-1", "pid=9 rpid=7|pid=-1"),
            ("T number", "T=+12 T=x", "T=9 T=x"),
            ("id any", "id=\"a b\" id= x", "id=ANY id= x"),
        ] {
            assert_eq!(keyed(line, &Mask::read(mask).expect("a mask")), masked);
        }
    }
}
