//! Two records of a site, compared line by line.

use std::fmt::Write;

/// What one exchange left: lines of text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    pub exchange: String,
    pub lines: Vec<String>,
}

/// A line that only one of the two has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub exchange: String,
    pub line: String,
    pub theirs: bool,
}

/// What a reference file says.
pub fn write(version: &str, records: &[Record]) -> String {
    let mut text = format!("# {version}\n");
    for record in records {
        // Writing to a string does not fail.
        let _ = writeln!(text, "\n[{}]", record.exchange);
        for line in &record.lines {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

/// Reads what [`write`] writes.
pub fn read(text: &str) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            records.push(Record { exchange: name.to_owned(), lines: Vec::new() });
        } else if let Some(record) = records.last_mut() {
            record.lines.push(line.to_owned());
        }
    }
    records
}

/// The lines that only one of the two has; a line that moved is one of each.
pub fn compare(ours: &[Record], theirs: &[Record]) -> Vec<Difference> {
    let mut found = Vec::new();
    let nothing = Vec::new();
    let mut names: Vec<&str> = ours.iter().map(|record| &*record.exchange).collect();
    names.extend(
        theirs
            .iter()
            .map(|record| &*record.exchange)
            .filter(|name| !names.contains(name))
            .collect::<Vec<_>>(),
    );
    for name in names {
        let of = |records: &[Record]| records.iter().position(|record| record.exchange == name);
        let one = of(ours).map_or(&nothing, |at| &ours[at].lines);
        let other = of(theirs).map_or(&nothing, |at| &theirs[at].lines);
        lines(name, one, other, &mut found);
    }
    found
}

/// By the longest common subsequence: exchanges are short.
fn lines(exchange: &str, ours: &[String], theirs: &[String], found: &mut Vec<Difference>) {
    let width = theirs.len() + 1;
    let mut longest = vec![0_u32; (ours.len() + 1) * width];
    for at in (0..ours.len()).rev() {
        for other in (0..theirs.len()).rev() {
            longest[at * width + other] = if ours[at] == theirs[other] {
                longest[(at + 1) * width + other + 1] + 1
            } else {
                longest[(at + 1) * width + other].max(longest[at * width + other + 1])
            };
        }
    }
    let (mut at, mut other) = (0, 0);
    let mut add = |line: &String, theirs: bool| {
        found.push(Difference { exchange: exchange.to_owned(), line: line.clone(), theirs });
    };
    while at < ours.len() || other < theirs.len() {
        if at < ours.len() && other < theirs.len() && ours[at] == theirs[other] {
            (at, other) = (at + 1, other + 1);
        } else if other == theirs.len()
            || at < ours.len()
                && longest[(at + 1) * width + other] >= longest[at * width + other + 1]
        {
            add(&ours[at], false);
            at += 1;
        } else {
            add(&theirs[other], true);
            other += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(lines: &[&str]) -> Vec<Record> {
        let lines = lines.iter().map(|&line| line.to_owned()).collect();
        vec![Record { exchange: "a".to_owned(), lines }]
    }

    #[test]
    fn only_what_differs_is_found() {
        for (ours, theirs, expected) in [
            (vec!["1", "2"], vec!["1", "2"], vec![]),
            (vec!["1", "2", "3"], vec!["1", "3"], vec![("2", false)]),
            (vec!["1", "3"], vec!["1", "2", "3"], vec![("2", true)]),
            (vec!["1", "2"], vec!["2", "1"], vec![("1", false), ("1", true)]),
        ] {
            let found = compare(&record(&ours), &record(&theirs));
            let found: Vec<_> = found.iter().map(|one| (&*one.line, one.theirs)).collect();
            assert_eq!(found, expected, "{ours:?} {theirs:?}");
        }
    }

    #[test]
    fn a_record_is_written_and_read() {
        let records = record(&["c> HTTP/1.1 200 OK", "log x [y]"]);
        assert_eq!(read(&write("haproxy", &records)), records);
    }

    #[test]
    fn an_exchange_that_is_missing_differs() {
        assert_eq!(compare(&record(&["1"]), &[]).len(), 1);
        assert_eq!(compare(&[], &record(&["1"])).len(), 1);
    }
}
