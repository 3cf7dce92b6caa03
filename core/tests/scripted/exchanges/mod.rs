//! HAProxy's exchanges, played without sockets: every scenario of the reference file
//! `tests/exchanges.md` goes through the engine as it is there, and then with everything cut into
//! pieces, and must give the same bytes and the same log lines.
//!
//! The other test of these scenarios runs them over real sockets against a real haproxy. This one
//! needs neither, takes a second, cuts what real networks rarely cut, and audits the engine all the
//! way.

mod allowed;
mod compare;
mod reference;
mod stage;

use std::panic::{AssertUnwindSafe, catch_unwind};

use allowed::{ALLOWED, CUT, What, allowed};
use reference::Scenario;

const REFERENCE: &str = include_str!("../../../../tests/exchanges.md");

fn play(piece_max: usize) {
    let only: Vec<&str> = option_env!("EXCHANGES").unwrap_or("").split_whitespace().collect();
    let (mut bad, mut played) = (Vec::new(), 0);
    for scenario in Scenario::all(REFERENCE) {
        if !only.is_empty() && !only.contains(&&*scenario.name) {
            continue;
        }
        let run = AssertUnwindSafe(|| stage::play(&scenario, piece_max));
        let found = catch_unwind(run).unwrap_or_else(|_| vec![compare::PANICKED.into()]);
        played += 1;
        let cut = piece_max > 0 && CUT.contains(&&*scenario.name);
        let allowed = if cut { vec![What::All] } else { allowed(&scenario.name) };
        let differences = compare::differences(&scenario.expected, &found, &allowed);
        if !differences.is_empty() {
            println!("## {}: {}\n{}", scenario.name, scenario.why, differences.join("\n"));
            bad.push(scenario.name);
        }
    }
    assert!(bad.is_empty(), "{} of {played} differ: {}", bad.len(), bad.join(" "));
}

/// An allowance that is not needed any more hides something.
#[test]
fn every_allowance_is_needed() {
    let scenarios = Scenario::all(REFERENCE);
    let mut spare = Vec::new();
    for (at, (name, ..)) in ALLOWED.iter().enumerate() {
        let Some(scenario) = scenarios.iter().find(|s| s.name == *name) else {
            spare.push(format!("{name}: there is no such scenario"));
            continue;
        };
        let others = ALLOWED.iter().enumerate().filter(|(i, (n, ..))| *i != at && n == name);
        let others: Vec<_> = others.map(|(_, (_, what, _))| *what).collect();
        let found = stage::play(scenario, 0);
        if compare::differences(&scenario.expected, &found, &others).is_empty() {
            spare.push(format!("{name}, number {at}"));
        }
    }
    assert!(spare.is_empty(), "{spare:#?}");
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
