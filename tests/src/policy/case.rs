//! Case files: text that people write, but for the column that is measured.
//!
//! ```text
//! # A title of the document            a chapter
//! Sentences under it.
//!
//! [name]
//! > GET / HTTP/1.1                     a line of the message, CRLF added
//! > Host: a
//! >
//! | hello\r\n                          bytes as they are
//! end                                  then the sender ends its stream
//! at: lax                              on the listener with accept-invalid-http-…
//! method: HEAD                         (responses) the request that is answered
//! rfc: 9112 6.3
//! why: One sentence.
//! haproxy: …                           measured; UPDATE_EXPECT=1 writes it
//! haproxy or: …                        what it does at other times, for no reason that is seen
//! tidegate: …
//! tidegate or: …                       what it does if the end comes together with the rest
//! ```

use std::fmt::Write;

use super::text;

/// One message in doubt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Case {
    pub name: String,
    /// The lines that make the message, as they are in the file.
    source: Vec<String>,
    /// The message.
    pub bytes: Vec<u8>,
    /// The sender ends its stream behind it.
    pub end: bool,
    /// The listener: `strict`, or `lax` for `option accept-invalid-http-…`.
    pub at: String,
    /// Responses: the request's method, and its version if that is not HTTP/1.1.
    pub method: String,
    pub rfc: String,
    pub why: String,
    pub haproxy: String,
    pub haproxy_or: String,
    pub tidegate: String,
    pub tidegate_or: String,
}

/// Cases that belong together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chapter {
    pub title: String,
    pub prose: String,
    pub cases: Vec<Case>,
}

/// Reads a case file.
pub fn read(text: &str) -> Result<Vec<Chapter>, String> {
    let mut chapters: Vec<Chapter> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        take(&mut chapters, line).map_err(|why| format!("line {}: {why}: {line}", number + 1))?;
    }
    let names: Vec<&str> = chapters.iter().flat_map(|c| &c.cases).map(|c| &*c.name).collect();
    for (at, name) in names.iter().enumerate() {
        if names[..at].contains(name) {
            return Err(format!("two cases are called {name}"));
        }
    }
    Ok(chapters)
}

fn take(chapters: &mut Vec<Chapter>, line: &str) -> Result<(), String> {
    if let Some(title) = line.strip_prefix("# ") {
        chapters.push(Chapter { title: title.to_owned(), ..Chapter::default() });
        return Ok(());
    }
    let chapter = chapters.last_mut().ok_or("nothing stands before the first chapter")?;
    if let Some(name) = line.strip_prefix('[') {
        let name = name.strip_suffix(']').ok_or("a name without its bracket")?.to_owned();
        let (at, method) = ("strict".to_owned(), "GET".to_owned());
        chapter.cases.push(Case { name, at, method, ..Case::default() });
        return Ok(());
    }
    let Some(case) = chapter.cases.last_mut() else {
        if !line.is_empty() {
            chapter.prose.push_str(line);
            chapter.prose.push('\n');
        }
        return Ok(());
    };
    if line == ">" || line.starts_with("> ") || line.starts_with("| ") {
        let raw = text::bytes(line.get(2..).unwrap_or_default())?;
        case.bytes.extend(raw);
        if line.starts_with('>') {
            case.bytes.extend_from_slice(b"\r\n");
        }
        case.source.push(line.to_owned());
        return Ok(());
    }
    if line == "end" {
        case.end = true;
        return Ok(());
    }
    if line.is_empty() {
        return Ok(());
    }
    let (key, value) = line.split_once(": ").ok_or("no 'key: value'")?;
    let place = match key {
        "at" => &mut case.at,
        "method" => &mut case.method,
        "rfc" => &mut case.rfc,
        "why" => &mut case.why,
        "haproxy" => &mut case.haproxy,
        "haproxy or" => &mut case.haproxy_or,
        "tidegate" => &mut case.tidegate,
        "tidegate or" => &mut case.tidegate_or,
        _ => return Err(format!("'{key}' is no key")),
    };
    *place = value.to_owned();
    Ok(())
}

/// Writes what [`read`] reads.
pub fn write(chapters: &[Chapter]) -> String {
    let mut out = String::new();
    for (number, chapter) in chapters.iter().enumerate() {
        let gap = if number > 0 { "\n" } else { "" };
        // Writing to a string does not fail.
        let _ = writeln!(out, "{gap}# {}\n{}", chapter.title, chapter.prose.trim_end());
        for case in &chapter.cases {
            let _ = writeln!(out, "\n[{}]", case.name);
            for line in &case.source {
                let _ = writeln!(out, "{line}");
            }
            if case.end {
                out.push_str("end\n");
            }
            for (key, value, default) in [
                ("at", &case.at, "strict"),
                ("method", &case.method, "GET"),
                ("rfc", &case.rfc, ""),
                ("why", &case.why, ""),
                ("haproxy", &case.haproxy, ""),
                ("haproxy or", &case.haproxy_or, ""),
                ("tidegate", &case.tidegate, ""),
                ("tidegate or", &case.tidegate_or, ""),
            ] {
                if value != default {
                    let _ = writeln!(out, "{key}: {value}");
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_written() {
        let text = "# One\nSome words.\n\n[a]\n> GET / HTTP/1.1\n>\n| b\\x00\nend\nat: lax\n\
                    rfc: 9112 2.2\nwhy: Because.\nhaproxy: 400\ntidegate: 400\n\n\
                    # Two\n\n\n[b]\n> x\n";
        let chapters = read(text).expect("it is well formed");
        assert_eq!(chapters[0].cases[0].bytes, b"GET / HTTP/1.1\r\n\r\nb\0");
        assert!(chapters[0].cases[0].end && chapters[0].cases[0].at == "lax");
        assert_eq!(chapters[1].cases[0].method, "GET");
        assert_eq!(read(&write(&chapters)), Ok(chapters));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for text in
            ["x", "# a\n[b\n", "# a\n[b]\nnonsense\n", "# a\n[b]\n[b]\n", "# a\n[b]\nq: 1\n"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
