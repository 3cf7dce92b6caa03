//! The sites that are known not to be equal yet. The list may only shrink: a site that is on it and
//! equal fails the test, and so does one that is not on it and differs.

use std::fmt::Write;

/// What one line of the list says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    pub site: String,
    /// `not loaded` or `differs`, and the first thing that is wrong.
    pub why: String,
}

const TITLE: &str = "\
# Sites that are not equal to haproxy's yet, with the first thing that is wrong. This list may only
# shrink: `cargo run -p tidegate-tests --bin sites -- --update-pending` writes it anew.
";

/// Reads the list.
pub fn read(text: &str) -> Vec<Pending> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(": "))
        .map(|(site, why)| Pending { site: site.to_owned(), why: why.to_owned() })
        .collect()
}

/// Writes what [`read`] reads.
pub fn write(pending: &[Pending]) -> String {
    let mut text = TITLE.to_owned();
    for Pending { site, why } in pending {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{site}: {why}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_written_and_read() {
        let why = "not loaded: error: x: y".to_owned();
        let list = vec![Pending { site: "01-a".to_owned(), why }];
        assert_eq!(read(&write(&list)), list);
    }
}
