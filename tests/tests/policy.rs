//! The policy table: every case against the real Tidegate and the real haproxy, and the document
//! that is made of it. `UPDATE_EXPECT=1` measures haproxy's column anew and writes the document;
//! Tidegate's column is written by people.
//!
//! `policy WORD…` plays the cases whose names contain a word, and says what became of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use tidegate_tests::exchanges::proxy::{Kind, find};
use tidegate_tests::policy::case::{self, Case, Chapter};
use tidegate_tests::policy::document::render;
use tidegate_tests::policy::outcome::Outcome;
use tidegate_tests::policy::play::{Feed, Side};
use tidegate_tests::policy::run;

/// The version that the document is about.
const HAPROXY: &str = "version 2.6";

const FILES: [(Side, &str); 2] =
    [(Side::Requests, "policy/requests.txt"), (Side::Responses, "policy/responses.txt")];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--list") {
        println!("policy: test");
        return ExitCode::SUCCESS;
    }
    let names: Vec<String> = words.into_iter().filter(|word| !word.starts_with('-')).collect();
    match check(&names) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(bad) => {
            println!("policy: {bad} differ");
            ExitCode::FAILURE
        }
        Err(why) => {
            println!("policy: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Says how many outcomes are not as they should be.
fn check(names: &[String]) -> Result<usize, String> {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let tidegate = find(Kind::Tidegate, true)?;
    let haproxy = find(Kind::Haproxy, false).and_then(|path| is_2_6(&path).map(|()| path));
    let mut bad = 0;
    let mut files = Vec::new();
    for (side, name) in FILES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let text = fs::read_to_string(&path).map_err(|error| format!("{name}: {error}"))?;
        let mut chapters = case::read(&text).map_err(|why| format!("{name}, {why}"))?;
        if case::write(&chapters) != text && !update {
            println!("{name} is not written as UPDATE_EXPECT=1 would write it");
            bad += 1;
        }
        match &haproxy {
            Ok(haproxy) if update => measure(side, haproxy, &mut chapters, names)?,
            Ok(haproxy) => {
                bad += compare(side, haproxy, &chapters, names, haproxys)?.0;
            }
            Err(why) => println!("haproxy's column of {name}: SKIPPED, {why}"),
        }
        let (differ, whole) = compare(side, &tidegate, &chapters, names, tidegates)?;
        bad += differ + in_pieces(side, &tidegate, &chapters, names, &whole)?;
        if update {
            fs::write(&path, case::write(&chapters)).map_err(|error| error.to_string())?;
        }
        println!("{name}: {} cases", chosen(&chapters, names).len());
        files.push(chapters);
    }
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/http-policy.md");
    let expected = render(&files[0], &files[1]);
    if update {
        fs::write(&document, &expected).map_err(|error| error.to_string())?;
    } else if fs::read_to_string(&document).unwrap_or_default() != expected {
        println!("docs/http-policy.md is not what the cases are: UPDATE_EXPECT=1");
        bad += 1;
    }
    Ok(bad)
}

fn is_2_6(haproxy: &PathBuf) -> Result<(), String> {
    let said = Command::new(haproxy).arg("-v").output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    if said.contains(HAPROXY) { Ok(()) } else { Err(format!("the document is about {HAPROXY}")) }
}

fn chosen<'a>(chapters: &'a [Chapter], names: &[String]) -> Vec<&'a Case> {
    let all = chapters.iter().flat_map(|chapter| &chapter.cases);
    all.filter(|case| names.is_empty() || names.iter().any(|name| case.name.contains(name)))
        .collect()
}

fn text_of(side: Side, outcome: &Outcome) -> String {
    match side {
        Side::Requests => outcome.of_request(),
        Side::Responses => outcome.of_response(),
    }
}

fn haproxys(case: &Case) -> [&str; 2] {
    [&case.haproxy, &case.haproxy_or]
}

fn tidegates(case: &Case) -> [&str; 2] {
    [&case.tidegate, &case.tidegate_or]
}

/// Writes haproxy's column.
fn measure(
    side: Side,
    program: &Path,
    chapters: &mut [Chapter],
    names: &[String],
) -> Result<(), String> {
    let cases = chosen(chapters, names);
    let known = |case: &Case, outcome: &Outcome| haproxys(case).contains(&&*text_of(side, outcome));
    let outcomes = run::all(program, side, &cases, Feed::Whole, known)?;
    let found: Vec<(String, String)> = cases
        .iter()
        .zip(&outcomes)
        .map(|(case, outcome)| (case.name.clone(), text_of(side, outcome)))
        .collect();
    for case in chapters.iter_mut().flat_map(|chapter| &mut chapter.cases) {
        if let Some((_, text)) = found.iter().find(|(name, _)| *name == case.name)
            && !haproxys(case).contains(&&**text)
        {
            case.haproxy.clone_from(text);
        }
    }
    Ok(())
}

/// Plays the cases and prints those that end otherwise than their column says. Says how many they
/// are, and how all ended.
fn compare(
    side: Side,
    program: &Path,
    chapters: &[Chapter],
    names: &[String],
    column: fn(&Case) -> [&str; 2],
) -> Result<(usize, Vec<Outcome>), String> {
    let cases = chosen(chapters, names);
    let good = |case: &Case, outcome: &Outcome| column(case).contains(&&*text_of(side, outcome));
    let outcomes = run::all(program, side, &cases, Feed::Whole, good)?;
    let mut bad = 0;
    for (case, outcome) in cases.iter().zip(&outcomes) {
        if !good(case, outcome) {
            bad += 1;
            say(case, program, column(case)[0], &text_of(side, outcome));
        }
    }
    Ok((bad, outcomes))
}

/// Plays the cases in small pieces: they must end as `whole` did.
fn in_pieces(
    side: Side,
    program: &Path,
    chapters: &[Chapter],
    names: &[String],
    whole: &[Outcome],
) -> Result<usize, String> {
    let cases = chosen(chapters, names);
    let of = |case: &Case| cases.iter().position(|other| other.name == case.name);
    let good = |case: &Case, outcome: &Outcome| {
        of(case).is_some_and(|at| whole[at].agrees_in_pieces(outcome))
    };
    let outcomes = run::all(program, side, &cases, Feed::Trickle, good)?;
    let mut bad = 0;
    for ((case, outcome), whole) in cases.iter().zip(&outcomes).zip(whole) {
        if !whole.agrees_in_pieces(outcome) {
            bad += 1;
            let text = format!("in pieces: {}", text_of(side, outcome));
            say(case, program, &text_of(side, whole), &text);
        }
    }
    Ok(bad)
}

fn say(case: &Case, program: &Path, said: &str, found: &str) {
    let who = program.file_name().unwrap_or_default().to_string_lossy();
    println!("[{}] {who}\n  said:  {said}\n  found: {found}", case.name);
}
