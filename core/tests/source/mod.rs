//! The files of `core/src` as text: which of it is code that ships, and which is for tests only.

#![expect(clippy::disallowed_methods, reason = "these tests read the source")]

use std::fs;
use std::path::{Path, PathBuf};

/// A file of `core/src`.
pub struct SourceFile {
    /// Below `core/src`, with slashes.
    pub path: String,
    /// As it is.
    pub text: String,
    /// Whether it is compiled for tests only.
    pub test: bool,
}

impl SourceFile {
    /// The module at the crate's root that it belongs to.
    pub fn module(&self) -> &str {
        self.path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    /// The lines that ship, numbered from 1, without comments.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut skipping = self.test;
        let mut attribute = false;
        self.text.lines().enumerate().filter_map(move |(index, line)| {
            if skipping {
                // As rustfmt writes it: the brace that ends an inline module stands in column 0.
                skipping = self.test || line != "}";
                return None;
            }
            if attribute && line.starts_with("mod ") && line.ends_with('{') {
                skipping = true;
                return None;
            }
            attribute = line == "#[cfg(test)]";
            let code = line.split_once("//").map_or(line, |(code, _)| code);
            Some((index + 1, code))
        })
    }
}

/// All files of `core/src`, sorted.
pub fn files() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    let read = |path: &PathBuf| fs::read_to_string(path).expect("a source file is readable");
    let texts: Vec<String> = paths.iter().map(read).collect();
    let mut tests = Vec::new();
    for (path, text) in paths.iter().zip(&texts) {
        tests.extend(test_modules(path, text));
    }
    let mut files = Vec::new();
    for (path, text) in paths.into_iter().zip(texts) {
        // A test module's own modules are in a folder of its name.
        let test =
            tests.iter().any(|test| path == *test || path.starts_with(test.with_extension("")));
        let path = path.strip_prefix(&root).expect("it was found below the root");
        files.push(SourceFile { path: path.to_string_lossy().replace('\\', "/"), text, test });
    }
    assert!(files.len() > 50, "only {} files in {}", files.len(), root.display());
    files
}

/// Files that `text`, the content of `path`, includes under `#[cfg(test)]`.
fn test_modules(path: &Path, text: &str) -> Vec<PathBuf> {
    let folder = path.parent().expect("a file is in a folder");
    let below = match path.file_stem().and_then(|stem| stem.to_str()) {
        Some("mod" | "lib") | None => folder.to_owned(),
        Some(stem) => folder.join(stem),
    };
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line != "#[cfg(test)]" {
            continue;
        }
        let mut next = lines.next().unwrap_or_default();
        if let Some(name) = next.strip_prefix("#[path = \"").and_then(|n| n.strip_suffix("\"]")) {
            found.push(folder.join(name));
            next = lines.next().unwrap_or_default();
        }
        if let Some(name) = next.strip_prefix("mod ").and_then(|n| n.strip_suffix(';')) {
            found.push(below.join(format!("{name}.rs")));
            found.push(below.join(name).join("mod.rs"));
        }
    }
    found
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a source folder is readable") {
        let path = entry.expect("a source folder is readable").path();
        if path.is_dir() {
            walk(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}
