//! `-c` on a file with twenty mistakes: every one is reported, at its line and column. In the file
//! a comment below each mistake marks the column with `^`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use tidegate_tests::exchanges::proxy::{Kind, find};

/// A line and a column, both from 1.
type Place = (usize, usize);

/// What the comments of the file mark.
fn marked(text: &str) -> BTreeSet<Place> {
    let mut places = BTreeSet::new();
    for (at, line) in text.lines().enumerate() {
        if let Some(column) = line.find('^').filter(|_| line.starts_with('#')) {
            // The comment is below its line, which has the number that counting from 0 gives it.
            places.insert((at, column + 1));
        }
    }
    places
}

/// What the alerts in `said` blame.
fn blamed(said: &str) -> BTreeSet<Place> {
    const MARGIN: &str = "   |  ";
    let mut places = BTreeSet::new();
    let mut line = None;
    for text in said.lines() {
        if text.starts_with('[') {
            let place = text.split_once("parsing [").filter(|_| text.starts_with("[ALERT]"));
            let place = place.and_then(|(_, rest)| rest.split_once(']')).map(|(place, _)| place);
            line = place.and_then(|place| place.rsplit_once(':')?.1.parse().ok());
        } else if let (Some(number), Some(carets)) = (line, text.strip_prefix(MARGIN))
            && carets.trim_start().starts_with('^')
        {
            places.insert((number, carets.find('^').unwrap_or_default() + 1));
            line = None;
        }
    }
    places
}

#[test]
fn all_twenty_are_reported_each_at_its_column() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("mistakes/twenty.cfg");
    let expected = marked(&fs::read_to_string(&file).expect("it is committed"));
    assert_eq!(expected.len(), 20, "the file has its marks");
    let program = find(Kind::Tidegate, true).expect("it builds");
    let output =
        Command::new(program).arg("-c").arg("-f").arg(&file).output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let found = blamed(&said);
    let missed: Vec<&Place> = expected.difference(&found).collect();
    let more: Vec<&Place> = found.difference(&expected).collect();
    assert!(missed.is_empty() && more.is_empty(), "missed {missed:?}, not marked {more:?}\n{said}");
}
