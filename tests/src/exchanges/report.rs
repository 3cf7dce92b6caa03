//! What a run says to people: differences, coverage of termination states, side-by-side views.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::outcome::{Difference, Outcome};
use super::proxy::NOT_STARTED;
use super::run::Verdict;
use super::scenario::{Allowed, Scenario};
use super::scenarios;

/// The termination states (positions 1 and 2) that haproxy's documentation names and a site can
/// meet, besides `--`.
pub const STATES: [&str; 27] = [
    "CC", "CD", "cD", "CH", "cH", "CQ", "CR", "cR", "CT", "LC", "LH", "LR", "PC", "PD", "PH", "PR",
    "PT", "RC", "SC", "sC", "SD", "sD", "SH", "sH", "sQ", "KD", "DD",
];

/// Why a state of `STATES` has no scenario: the first three exist in haproxy's documentation only,
/// the others need what does not exist here yet.
fn uncovered_because(state: &str) -> &'static str {
    match state {
        "CT" => "haproxy 2.6 ends in PT, whether the client stays, leaves or resets: tarpit-*",
        "PC" | "RC" => {
            "without a port or a descriptor haproxy 2.6 ends in SC, after all its tries: no-port"
        }
        "cH" => "haproxy 2.6 ends in sH or cD where its documentation says cH: client-body*",
        "LC" => "needs server redir",
        "LR" | "LH" => "needs redirect, return, monitor-uri or stats",
        "KD" => "needs shutdown session on the runtime socket",
        "DD" | "UD" => "needs on-marked-down and on-marked-up, and health checks",
        _ => "no scenario",
    }
}

/// The states that no scenario ends in, with what each would need.
pub fn uncovered(scenarios: &[Scenario]) -> String {
    let covered: BTreeSet<&str> =
        scenarios.iter().flat_map(|scenario| scenario.codes.iter().copied()).collect();
    let missing: Vec<String> = STATES
        .iter()
        .chain(&["UD"])
        .filter(|state| !covered.contains(*state))
        .map(|state| format!("{state} ({})", uncovered_because(state)))
        .collect();
    let covered: Vec<&str> = covered.into_iter().filter(|state| !state.is_empty()).collect();
    format!(
        "termination states covered: {}\nnot covered: {}",
        covered.join(" "),
        if missing.is_empty() { "none".to_owned() } else { missing.join(", ") }
    )
}

/// The differences of one scenario, one a line, then the accepted ones by their reasons.
pub fn differences(scenario: &Scenario, found: &[Difference]) -> String {
    let mut text = String::new();
    let mut allowed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for difference in found {
        let Difference { place, haproxy, tidegate, .. } = difference;
        if let Some(Allowed { reason, .. }) = difference.allowed(&scenario.allowed) {
            allowed.entry(reason).or_default().push(place);
            continue;
        }
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "  {place}:\n    haproxy:  {}\n    tidegate: {}",
            indented(haproxy),
            indented(tidegate)
        );
    }
    for (reason, places) in allowed {
        let _ = writeln!(text, "  allowed, {reason}: {}", places.join(", "));
    }
    text
}

fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n              ")
}

/// All that one run gave.
pub fn outcome(outcome: &Outcome) -> String {
    let mut text = String::new();
    for line in &outcome.logs {
        let _ = writeln!(text, "  log: {}", line.text());
    }
    for (name, seen) in &outcome.transcripts {
        for seen in seen {
            let _ = writeln!(text, "  {name}: {}", seen.text());
        }
    }
    if let Some(failure) = &outcome.failure {
        let _ = writeln!(text, "  FAILED: {}", indented(failure));
    }
    for line in outcome.stderr.lines() {
        let _ = writeln!(text, "  stderr: {line}");
    }
    text
}

/// Prints what each comparison gave and the sums. True if all are good.
pub fn verdicts(scenarios: &[Scenario], verdicts: &[Verdict]) -> bool {
    let (mut equal, mut allowed) = (0, 0);
    let mut bad = Vec::new();
    for (scenario, verdict) in scenarios.iter().zip(verdicts) {
        // What did not start differs in everything: say that alone.
        let shown = match verdict.differences.first() {
            Some(first) if first.tidegate.starts_with(NOT_STARTED) => 1,
            _ => verdict.differences.len(),
        };
        let found = differences(scenario, &verdict.differences[..shown]);
        match (verdict.good(scenario), verdict.differences.is_empty()) {
            (true, true) => equal += 1,
            (true, false) => {
                allowed += 1;
                print!("{}\n{found}", scenario.name);
            }
            (false, _) => {
                bad.push(scenario.name);
                println!("{}: {}", scenario.name, scenario.why);
                for fault in &verdict.faults {
                    println!("  haproxy itself: {}", indented(fault));
                }
                print!("{found}");
                for Allowed { place, reason, .. } in verdict.spare(scenario) {
                    println!("  allowed, but equal: \"{place}\", {reason}");
                }
                for line in verdict.stderr.lines() {
                    println!("  stderr: {line}");
                }
            }
        }
        if verdict.tries > 1 {
            println!("{}: {} runs, for its timers", scenario.name, verdict.tries);
        }
    }
    println!(
        "{equal} of {} exchanges are equal, {allowed} differ as allowed, {} differ: {}",
        scenarios.len(),
        bad.len(),
        bad.join(" ")
    );
    println!("{}", uncovered(&scenarios::all()));
    bad.is_empty()
}
