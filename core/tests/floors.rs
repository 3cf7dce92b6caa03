//! The rooms of the core and what each may know: the table in the crate's documentation is read and
//! every path through `crate::` is held against it. Code for tests only may use what it likes.

mod source;

use std::collections::BTreeMap;

use source::SourceFile;

/// Macros stand at the crate's root; where they come from.
const MACROS: &[(&str, &str)] =
    &[("bit_set", "bits"), ("invariant", "check"), ("sometimes", "check")];

/// A module's place: its floor, and how far to the right it stands there.
type Place = (u32, usize);

/// What lives above everything that ships.
const TESTS: u32 = u32::MAX;

/// The table of floors in the crate's documentation.
fn places(lib: &str) -> BTreeMap<String, Place> {
    let mut places = BTreeMap::new();
    let rows = lib.lines().skip_while(|line| !line.starts_with("//! | floor |")).skip(2);
    for row in rows.take_while(|line| line.starts_with("//! |")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let floor = if cells[1] == "test" { TESTS } else { cells[1].parse().expect("a floor") };
        for (column, word) in cells[2].trim_matches('`').split(' ').enumerate() {
            for module in word.split('+') {
                let before = places.insert(module.to_owned(), (floor, column));
                assert!(before.is_none(), "{module} is in the table twice");
            }
        }
    }
    places
}

/// The modules of the crate that a line of code names.
fn uses(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            // One level is looked at: `{a, b::{c, d}}` names a and b.
            Some(list) => {
                let mut depth = 1;
                let mut start = true;
                for (at, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        _ => {}
                    }
                    if depth == 1 && start && c != ' ' {
                        found.push(name(&list[at..]));
                    }
                    start = depth == 1 && (c == ',' || start && c == ' ');
                    if depth == 0 {
                        break;
                    }
                }
            }
            None => found.push(name(rest)),
        }
    }
    found.into_iter().map(origin).collect()
}

/// The module that a name at the crate's root comes from.
fn origin(name: &str) -> &str {
    MACROS.iter().find(|(word, _)| *word == name).map_or(name, |(_, from)| from)
}

fn name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// What of a file breaks the table.
fn faults(file: &SourceFile, places: &BTreeMap<String, Place>) -> Vec<String> {
    let own = file.module();
    let Some(place) = places.get(own) else {
        return vec![format!("{}: '{own}' has no floor", file.path)];
    };
    let root = !file.path.contains('/') || file.path == format!("{own}/mod.rs");
    let mut faults = Vec::new();
    for (line, code) in file.code() {
        let at = format!("core/src/{}:{line}", file.path);
        if root && code.contains("super::") {
            faults.push(format!("{at}: write 'crate::' for what is beside this module"));
        }
        if code.trim_end().ends_with("crate::{") {
            faults.push(format!("{at}: name the modules in one line"));
        }
        for used in uses(code) {
            match places.get(used) {
                None => faults.push(format!("{at}: 'crate::{used}' has no floor")),
                Some(other) if used != own && other > place => {
                    faults.push(format!("{at}: '{own}' must not know '{used}', which is higher"));
                }
                Some(_) => {}
            }
        }
    }
    faults
}

#[test]
fn no_module_knows_a_higher_one() {
    let files = source::files();
    let lib = &files.iter().find(|file| file.path == "lib.rs").expect("the crate's root").text;
    let places = places(lib);
    let mut declared: Vec<&str> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ").or(line.strip_prefix("mod ")))
        .map(|rest| rest.trim_end_matches(';'))
        .collect();
    // One with macros has to come first.
    declared.sort_unstable();
    let mut listed: Vec<&str> = places.keys().map(String::as_str).collect();
    listed.sort_unstable();
    assert_eq!(declared, listed, "the modules of the crate, and those of the table");

    let faults: Vec<String> = files
        .iter()
        .filter(|file| file.path != "lib.rs")
        .flat_map(|file| faults(file, &places))
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_check_finds_what_it_is_for() {
    let places = places(
        "//! | floor | modules | x |\n//! |---|---|---|\n//! | 0 | `low bits` | x |\n\
         //! | 1 | `left a+b right` | x |\n//! | test | `script` | x |\n",
    );
    let file = |path: &str, text: &str| {
        let (path, text) = (path.to_owned(), text.to_owned());
        faults(&SourceFile { path, text, test: false }, &places).len()
    };
    for (path, text, count) in [
        ("low.rs", "use crate::bits::X;", 1),
        ("bits.rs", "use crate::low::X;", 0),
        ("left.rs", "use crate::{bit_set, low};", 0),
        ("left.rs", "use crate::{low::{x, right}, a, right::y};", 2),
        ("left/inner.rs", "fn f(x: crate::right::X, y: crate::b::Y) {}", 2),
        ("left/inner.rs", "use super::right;", 0),
        ("left/mod.rs", "use super::right;", 1),
        ("a/x.rs", "use crate::b::X;", 0),
        ("b.rs", "use crate::a::X;", 0),
        ("right.rs", "use crate::script::X;", 1),
        ("right.rs", "// as crate::script::X\n", 0),
        ("right.rs", "#[cfg(test)]\nmod tests {\n    use crate::script::X;\n}\n", 0),
        ("right.rs", "#[cfg(test)]\nmod tests {\n}\nuse crate::script::X;\n", 1),
        ("other.rs", "", 1),
        ("low.rs", "use crate::other::X;", 1),
        ("low.rs", "use crate::{\n", 1),
    ] {
        assert_eq!(file(path, text), count, "{path}: {text}");
    }
}
