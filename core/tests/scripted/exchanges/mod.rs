//! HAProxy's exchanges, played without sockets: every scenario of the reference file `tests/exchanges.md` goes
//! through the engine as it is there, and then with everything cut into pieces, and must give the same bytes
//! and the same log lines.
//!
//! The other test of these scenarios runs them over real sockets against a real haproxy. This one needs
//! neither, takes a second, cuts what real networks rarely cut, and audits the engine all the way.

mod compare;
mod reference;
mod stage;

use std::panic::{AssertUnwindSafe, catch_unwind};

use reference::Scenario;

const REFERENCE: &str = include_str!("../../../../tests/exchanges.md");

/// Where we differ on purpose: the scenario, the beginning of the place, and why.
const ALLOWED: &[(&str, &str, &str)] = &[];

fn play(piece_max: usize) {
    let only: Vec<&str> = option_env!("EXCHANGES").unwrap_or("").split_whitespace().collect();
    let (mut bad, mut played) = (Vec::new(), 0);
    for scenario in Scenario::all(REFERENCE) {
        if !only.is_empty() && !only.contains(&&*scenario.name) {
            continue;
        }
        let run = AssertUnwindSafe(|| stage::play(&scenario, piece_max));
        let found = catch_unwind(run).unwrap_or_else(|_| vec!["it panicked".into()]);
        played += 1;
        let differences: Vec<String> = compare::differences(&scenario.expected, &found)
            .into_iter()
            .filter(|d| !is_allowed(&scenario.name, d))
            .collect();
        if !differences.is_empty() {
            println!("## {}: {}\n{}", scenario.name, scenario.why, differences.join("\n"));
            bad.push(scenario.name);
        }
    }
    assert!(bad.is_empty(), "{} of {played} differ: {}", bad.len(), bad.join(" "));
}

fn is_allowed(scenario: &str, difference: &str) -> bool {
    ALLOWED.iter().any(|(name, place, _)| *name == scenario && difference.starts_with(place))
}

#[test]
fn whole() {
    play(0);
}

#[test]
fn cut_in_pieces_of_7() {
    play(7);
}

#[test]
fn cut_in_single_bytes() {
    play(1);
}
