//! What no linter checks: rules about the text of the core's files.

mod source;

/// Columns of a line, comments included.
const WIDTH_MAX: usize = 100;
/// Lines of a file.
const LENGTH_MAX: usize = 900;

/// What a crate without I/O has no use for. `clippy.toml` names functions and types, with reasons;
/// this closes the modules that they are in. Addresses are values: `core::net` has them.
const DENIED: &[&str] = &[
    "std::env::",
    "std::fs",
    "std::net",
    "std::os::",
    "std::process",
    "std::thread",
    "std::time",
    "std::collections::hash_map",
    "HashMap",
    "HashSet",
    "thread_local!",
    "println!",
    "eprintln!",
    "unsafe ",
];

/// Reports all at once, so that one run shows what is to be done.
fn expect_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn lines_and_files_have_an_end() {
    let mut faults = Vec::new();
    for file in source::files() {
        for (index, line) in file.text.lines().enumerate() {
            let width = line.chars().count();
            if width > WIDTH_MAX {
                faults.push(format!("core/src/{}:{}: {width} columns", file.path, index + 1));
            }
        }
        let length = file.text.lines().count();
        if length > LENGTH_MAX {
            faults.push(format!("core/src/{}: {length} lines", file.path));
        }
    }
    expect_none(&faults);
}

#[test]
fn the_core_has_no_world_of_its_own() {
    let mut faults = Vec::new();
    for file in source::files() {
        for (line, code) in file.code() {
            for word in DENIED.iter().filter(|word| code.contains(**word)) {
                faults.push(format!("core/src/{}:{line}: {word}", file.path));
            }
        }
    }
    expect_none(&faults);
}

#[test]
fn unsafe_code_is_forbidden() {
    let files = source::files();
    let lib = files.iter().find(|file| file.path == "lib.rs").expect("the crate's root");
    assert!(lib.code().any(|(_, code)| code == "#![forbid(unsafe_code)]"));
}

/// Everybody else says what it wants, and the engine does it.
#[test]
fn only_the_engine_calls_the_poller() {
    let mut faults = Vec::new();
    let mut callers = 0;
    for file in source::files() {
        if ["poller", "script"].contains(&file.module()) {
            continue;
        }
        for (line, code) in file.code() {
            // Not what stands between quotes.
            let mut words = code
                .split('"')
                .step_by(2)
                .flat_map(|part| part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
            if words.any(|word| word == "Poller") {
                if file.module() == "engine" {
                    callers += 1;
                } else {
                    faults.push(format!("core/src/{}:{line}: knows the poller", file.path));
                }
            }
        }
    }
    expect_none(&faults);
    assert!(callers > 0, "nobody calls the poller: this looks at the wrong word");
}

/// Modules say what they are before anything else.
#[test]
fn every_file_opens_with_what_it_is() {
    let silent: Vec<String> = source::files()
        .iter()
        .filter(|file| !file.text.starts_with("//! "))
        .map(|file| format!("core/src/{}: no `//!` in its first line", file.path))
        .collect();
    expect_none(&silent);
}
