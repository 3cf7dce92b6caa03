//! `docs/keywords.md` says what becomes of every keyword. It is written from the same list that the
//! parser asks; `UPDATE_EXPECT=1 cargo test -p tidegate-core --test keywords` writes it anew.

#![expect(clippy::disallowed_methods, reason = "the document is a file, and tests have a world")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use tidegate_core::config::keywords::{Context, Keyword, Status, contexts, table};

const INTRODUCTION: &str = "\
# Keywords

Every keyword of HAProxy 2.6 and what becomes of it in Tidegate.

- *works*: it does what it does in HAProxy.
- *no effect*: it is accepted with a warning that says so and why.
- *refused*: an error. To ignore it could expose or misroute traffic.
- *removed*: HAProxy 2.6 refuses it too.

A word that only begins a line, such as `http-response` or `stats` in `global`, counts as working;
what follows it is judged by itself (`stats socket` and its kin have no effect).

A word that is not here is an error, with a guess at what was meant. `tidegate -dKcfg` lists the same
words and the sections that may have them.

This file is written by a test (`core/tests/keywords.rs`); don't edit it.
";

#[test]
fn the_document_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/keywords.md");
    let expected = document();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &expected).expect("the document can be written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/keywords.md is not what the keywords are: \
         UPDATE_EXPECT=1 cargo test -p tidegate-core --test keywords"
    );
}

fn document() -> String {
    let mut text = INTRODUCTION.to_owned();
    text += "\n| | works | no effect | refused | removed |\n|---|---:|---:|---:|---:|\n";
    for context in contexts() {
        let count = |wanted| table(context).iter().filter(|k| kind(k) == wanted).count();
        let [works, none, refused, removed] = [0, 1, 2, 3].map(count);
        let name = title(context);
        let _ = writeln!(text, "| {name} | {works} | {none} | {refused} | {removed} |");
    }
    for context in contexts() {
        let _ = write!(text, "\n## {}\n", title(context));
        section(&mut text, table(context));
    }
    text
}

fn title(context: Context) -> String {
    match context {
        Context::Line(kind) if kind.is_proxy() => {
            "`defaults`, `frontend`, `listen`, `backend`".into()
        }
        Context::Line(kind) => format!("`{}`", kind.as_str()),
        Context::Option => "`option` in a proxy".into(),
        Context::Bind => "on a `bind` line".into(),
        Context::Server => "on a `server` or `default-server` line".into(),
        Context::Rule(ruleset) => format!("actions of `{ruleset}`"),
    }
}

fn kind(keyword: &Keyword) -> usize {
    match keyword.status {
        Status::Works => 0,
        Status::NoEffect(_) => 1,
        Status::Unsafe(_) => 2,
        Status::Removed(_) => 3,
    }
}

/// What works, then the rest by reason, in the order of the list.
fn section(text: &mut String, keywords: &[Keyword]) {
    let names = |keywords: &[&Keyword]| {
        keywords.iter().map(|k| format!("`{}`", k.name)).collect::<Vec<_>>().join(", ")
    };
    let works: Vec<&Keyword> = keywords.iter().filter(|k| k.status == Status::Works).collect();
    if !works.is_empty() {
        let _ = write!(text, "\nWorks: {}.\n", names(&works));
    }
    let mut rest: BTreeMap<(usize, &str), Vec<&Keyword>> = BTreeMap::new();
    for keyword in keywords {
        match keyword.status {
            Status::Works => {}
            Status::NoEffect(why) | Status::Unsafe(why) | Status::Removed(why) => {
                rest.entry((kind(keyword), why)).or_default().push(keyword);
            }
        }
    }
    if !rest.is_empty() {
        *text += "\n| | keywords | why |\n|---|---|---|\n";
    }
    for ((kind, why), keywords) in rest {
        let status = ["works", "no effect", "refused", "removed"][kind];
        let _ = writeln!(text, "| {status} | {} | {why} |", names(&keywords));
    }
}
