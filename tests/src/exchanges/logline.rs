//! One log line cut into named fields, and the comparison of two.

use super::outcome::Difference;

/// How far two timers may be apart, in milliseconds.
pub const TIMER_SLACK_MS: u64 = 50;

/// A line of `option httplog`, `option tcplog` or neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    fields: Vec<(&'static str, String)>,
}

const HTTP: [&str; 12] = [
    "client",
    "date",
    "frontend",
    "backend/server",
    "TR/Tw/Tc/Tr/Ta",
    "status",
    "bytes",
    "request cookie",
    "response cookie",
    "termination",
    "counters",
    "queues",
];
const TCP: [&str; 9] = [
    "client",
    "date",
    "frontend",
    "backend/server",
    "Tw/Tc/Tt",
    "bytes",
    "termination",
    "counters",
    "queues",
];

impl LogLine {
    /// `line` has its known addresses masked already.
    pub fn parse(line: &str) -> Self {
        let (priority, message) = header(line);
        let mut fields = vec![("priority", priority)];
        let words: Vec<&str> = message.split(' ').collect();
        let slashes = |at: usize| words.get(at).map_or(0, |word| word.matches('/').count());
        let dated = words.get(1).is_some_and(|word| word.starts_with('['));
        let names: &[&str] = match (dated, slashes(4)) {
            (true, 4) if words.len() >= HTTP.len() => &HTTP,
            (true, 2) if words.len() >= TCP.len() => &TCP,
            _ => &[],
        };
        for (&name, &word) in names.iter().zip(&words) {
            let word = match name {
                "client" => masked_port(word),
                "date" => masked_date(word),
                _ => word.to_owned(),
            };
            fields.push((name, word));
        }
        let rest = words[names.len()..].join(" ");
        if names.is_empty() {
            fields.push(("message", masked_words(&rest)));
        } else if names.len() == HTTP.len() {
            fields.push(("captures and request", rest));
        } else if !rest.is_empty() {
            fields.push(("rest", rest));
        }
        Self { fields }
    }

    /// The first two letters of the termination state.
    pub fn code(&self) -> Option<&str> {
        self.field("termination").and_then(|code| code.get(..2))
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str())
    }

    /// The line for people: the fields in order, dates and the client's port masked.
    pub fn text(&self) -> String {
        let values: Vec<&str> = self.fields.iter().map(|(_, value)| value.as_str()).collect();
        values.join(" ")
    }

    /// The same, with each timer that ran as `T`.
    pub fn shape(&self) -> String {
        let value = |(name, value): &(&'static str, String)| {
            if !name.starts_with('T') {
                return value.clone();
            }
            let timers = value.split('/').map(|timer| match timer.strip_prefix('+') {
                Some(_) => "+T",
                None if timer.starts_with('-') => timer,
                None => "T",
            });
            timers.collect::<Vec<_>>().join("/")
        };
        self.fields.iter().map(value).collect::<Vec<_>>().join(" ")
    }

    /// Takes the shorter of each timer; `other` has the same fields.
    pub fn soonest(&mut self, other: &Self) {
        for ((name, ours), (_, theirs)) in self.fields.iter_mut().zip(&other.fields) {
            if name.starts_with('T') {
                let shorter = |(one, other)| if number(one) <= number(other) { one } else { other };
                let timers: Vec<&str> =
                    ours.split('/').zip(theirs.split('/')).map(shorter).collect();
                *ours = timers.join("/");
            }
        }
    }

    /// Appends what differs, each place prefixed by `at`.
    pub fn compare(&self, other: &Self, at: &str, found: &mut Vec<Difference>) {
        let names = |line: &Self| line.fields.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        if names(self) != names(other) {
            found.push(Difference::new(format!("{at} shape"), self.text(), other.text()));
            return;
        }
        for ((name, ours), (_, theirs)) in self.fields.iter().zip(&other.fields) {
            let same = if name.starts_with('T') { timers(ours, theirs) } else { ours == theirs };
            if !same {
                let mut difference = Difference::new(format!("{at} {name}"), ours, theirs);
                difference.timing = name.starts_with('T') && both_ran(ours, theirs);
                found.push(difference);
            }
        }
    }
}

/// Splits off `<PRI>date tag[pid]: `; what is left of it is the priority.
fn header(line: &str) -> (String, &str) {
    let Some((priority, rest)) = line.split_once('>') else { return (String::new(), line) };
    let Some((head, message)) = rest.split_once("]: ") else {
        return (format!("{priority}>"), rest);
    };
    // `Nov 22 12:41:20 haproxy[2402`: three words of date, then the tag.
    let shape = head.split_whitespace().count() == 4 && head.contains('[');
    (format!("{priority}>{}", if shape { "" } else { head }), message)
}

fn masked_port(word: &str) -> String {
    word.rsplit_once(':').map_or_else(|| word.to_owned(), |(address, _)| format!("{address}:PORT"))
}

fn masked_date(word: &str) -> String {
    let shape: String = word.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    let digits = shape.trim_start_matches("[99/").trim_end_matches("/9999:99:99:99.999]");
    if digits.len() == 3 { "[DATE]".to_owned() } else { word.to_owned() }
}

/// A message without a format: ports and dates are masked wherever they stand.
fn masked_words(message: &str) -> String {
    let word = |word: &str| match word.rsplit_once(':') {
        _ if word.starts_with('[') => masked_date(word),
        Some((address, port)) if port.parse::<u16>().is_ok() && address.contains('.') => {
            format!("{address}:PORT")
        }
        _ => word.to_owned(),
    };
    message.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn timers(ours: &str, theirs: &str) -> bool {
    both_ran(ours, theirs)
        && ours.split('/').zip(theirs.split('/')).all(|(one, other)| {
            match (number(one), number(other)) {
                (Some(one), Some(other)) => one.abs_diff(other) <= TIMER_SLACK_MS,
                _ => one == other,
            }
        })
}

/// The same timers are -1 (and `+` stands at the same ones), whatever the others' values.
fn both_ran(ours: &str, theirs: &str) -> bool {
    let shape = |timers: &str| -> Vec<(bool, bool)> {
        timers.split('/').map(|timer| (timer.starts_with('-'), timer.starts_with('+'))).collect()
    };
    shape(ours) == shape(theirs)
}

fn number(timer: &str) -> Option<i64> {
    timer.trim_start_matches('+').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTP_LINE: &str = "<134>Nov 22 12:21:14 haproxy[77]: 127.0.0.1:40360 \
        [22/Nov/2026:12:21:14.079] fe be/s1 0/0/1/2/3 200 51 - - ---- 1/1/0/0/0 0/0 \"GET /a b\"";

    #[test]
    fn an_http_line_has_its_fields() {
        let line = LogLine::parse(HTTP_LINE);
        assert_eq!(line.field("priority"), Some("<134>"));
        assert_eq!(line.field("client"), Some("127.0.0.1:PORT"));
        assert_eq!(line.field("date"), Some("[DATE]"));
        assert_eq!(line.field("bytes"), Some("51"));
        assert_eq!(line.code(), Some("--"));
        assert_eq!(line.field("captures and request"), Some("\"GET /a b\""));
    }

    #[test]
    fn timers_may_be_apart_but_not_absent() {
        assert!(timers("0/0/1/2/3", "10/0/1/50/53"));
        assert!(!timers("0/0/1/2/3", "10/0/1/80/83"));
        assert!(!timers("0/-1/1/2/3", "0/0/1/2/3"));
        assert!(!timers("0/0/1/2/+3", "0/0/1/2/3"));
    }

    #[test]
    fn the_shorter_timers_count() {
        let mut line = LogLine::parse(&HTTP_LINE.replace("0/0/1/2/3", "9/0/1/20/+30"));
        line.soonest(&LogLine::parse(&HTTP_LINE.replace("0/0/1/2/3", "0/7/1/21/+22")));
        assert_eq!(line.field("TR/Tw/Tc/Tr/Ta"), Some("0/0/1/20/+22"));
    }

    #[test]
    fn each_other_field_must_be_equal() {
        let one = LogLine::parse(HTTP_LINE);
        let other = LogLine::parse(&HTTP_LINE.replace(" 51 ", " 52 ").replace("200", "201"));
        let mut found = Vec::new();
        one.compare(&other, "log 1", &mut found);
        let places: Vec<&str> = found.iter().map(|difference| difference.place.as_str()).collect();
        assert_eq!(places, ["log 1 status", "log 1 bytes"]);
    }
}
