//! Tidegate against haproxy: the same exchanges must give the same log lines and the same bytes.
//!
//! Run with names to run only the scenarios whose names contain them.

use std::process::ExitCode;

use tidegate_tests::exchanges::proxy::{Kind, find};
use tidegate_tests::exchanges::{report, run, scenarios};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--list") {
        println!("exchanges: test");
        return ExitCode::SUCCESS;
    }
    let haproxy = match find(Kind::Haproxy, false) {
        Ok(path) => path,
        Err(reason) => {
            println!("exchanges: SKIPPED, NOTHING WAS COMPARED: {reason}");
            return ExitCode::SUCCESS;
        }
    };
    let tidegate = match find(Kind::Tidegate, true) {
        Ok(path) => path,
        Err(reason) => {
            println!("exchanges: {reason}");
            return ExitCode::FAILURE;
        }
    };
    let names: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let mut scenarios = scenarios::all();
    scenarios.retain(|scenario| {
        names.is_empty() || names.iter().any(|name| scenario.name.contains(name.as_str()))
    });
    let verdicts = run::compare(&scenarios, &haproxy, &tidegate);
    if report::verdicts(&scenarios, &verdicts) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
