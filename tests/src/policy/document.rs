//! `docs/http-policy.md`, made of the case files.

use std::fmt::Write;

use super::case::{Case, Chapter};
use super::text::shown;

const INTRODUCTION: &str = "\
# HTTP/1: what is refused, what is normalised

Every doubtful HTTP/1 message that the tests know: what haproxy 2.6 makes of it, what Tidegate
makes of it, and why. Both columns are compared with what the real programs do, message by message,
each sent in one piece and (to Tidegate) byte by byte.

How to read the outcomes:

- *sends on …*: the bytes that reached the server, as one request of their own.
- *400 closes*: the client got that status, and then its connection ended. *stays open*: a second
  request on the same connection got its own answer.
- *server reused*, *server closed*: whether the server's connection carried a later request.
- *logs PR <BADREQ>*: the termination state in the log, if it is not `--`, and whether the line says
  `<BADREQ>` in the place of a request.
- *the same*: as haproxy does.
- `{text*20}`: that text twenty times. RFC clauses are of RFC 9110 and RFC 9112 unless said.

`option accept-invalid-http-request` and `-response` relax what haproxy's relax, and never what
decides where a message ends.

This file is made of `tests/policy/*.txt` by a test (`tests/tests/policy.rs`); don't edit it.
";

/// The document.
pub fn render(requests: &[Chapter], responses: &[Chapter]) -> String {
    let mut out = INTRODUCTION.to_owned();
    let count = |chapters: &[Chapter]| chapters.iter().map(|c| c.cases.len()).sum::<usize>();
    let same = |chapters: &[Chapter]| {
        let cases = chapters.iter().flat_map(|chapter| &chapter.cases);
        cases.filter(|case| case.haproxy == case.tidegate).count()
    };
    // Writing to a string does not fail.
    let _ = writeln!(out, "\n| | cases | the same as haproxy |\n|---|---:|---:|");
    for (title, chapters) in [("requests", requests), ("responses", responses)] {
        let _ = writeln!(out, "| {title} | {} | {} |", count(chapters), same(chapters));
    }
    for (title, chapters) in [("Requests", requests), ("Responses", responses)] {
        for chapter in chapters {
            let _ = writeln!(out, "\n## {title}: {}\n\n{}", chapter.title, chapter.prose);
            out.push_str("| input | haproxy 2.6 | Tidegate | RFC | why |\n|---|---|---|---|---|\n");
            for case in &chapter.cases {
                let _ = writeln!(out, "{}", row(case));
            }
        }
    }
    out
}

fn row(case: &Case) -> String {
    let mut input = format!("`{}`", shown(&case.bytes));
    if case.end {
        input.push_str(" and the end");
    }
    if case.method != "GET" {
        input.push_str(&format!(" to {}", case.method));
    }
    if case.at == "lax" {
        input.push_str(", accept-invalid");
    }
    let or = |one: &str, other: &str| match other {
        "" => one.to_owned(),
        other => format!("{one}, or: {other}"),
    };
    let theirs = or(&case.haproxy, &case.haproxy_or);
    let own = match or(&case.tidegate, &case.tidegate_or) {
        own if own == theirs => "the same".to_owned(),
        own => own,
    };
    let cells = [&input, &theirs, &own, &case.rfc, &case.why];
    let cells = cells.map(|cell| cell.replace('|', "\\|").replace("<BADREQ>", "&lt;BADREQ&gt;"));
    format!("| {} |", cells.join(" | "))
}
