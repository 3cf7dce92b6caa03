//! Many scenarios, one after the other: what they came to, added up.

use crate::chaos::Injected;
use crate::digest::Digest;
use crate::ledger::Violation;
use crate::memnet::Counts;
use crate::scenario::Scenario;
use crate::world::{Outcome, Watch, run};

/// The sum of many runs.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    /// Runs.
    pub runs: u64,
    /// Turns of engines.
    pub turns: u64,
    /// Requests made, and those that were answered.
    pub requests: u64,
    /// Of those, answered.
    pub answered: u64,
    /// Virtual time, in seconds.
    pub seconds: u64,
    /// What the networks did.
    pub net: Counts,
    /// What the pollers did.
    pub injected: Injected,
    /// Which seeds broke what.
    pub failures: Vec<(u64, Violation)>,
}

impl Sum {
    /// Adds a run.
    pub fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.runs += 1;
        self.turns += outcome.turns_count;
        self.requests += outcome.requests;
        self.answered += outcome.answered;
        self.seconds += outcome.time.as_nanos() / 1_000_000_000;
        self.net.add(outcome.net);
        self.injected.add(outcome.injected);
        if let Some(violation) = &outcome.violation {
            self.failures.push((seed, violation.clone()));
        }
    }
}

/// One hash of many, in the order of their seeds.
pub fn digest_of(digests: impl IntoIterator<Item = u64>) -> u64 {
    let mut all = Digest::default();
    digests.into_iter().for_each(|digest| all.number(digest));
    all.value()
}

/// Makes a scenario that breaks a promise smaller for as long as it breaks the same one, in at most
/// so many runs. `tell` hears of each success.
pub fn shrink(
    mut scenario: Scenario,
    invariant: &str,
    mut runs: u32,
    mut tell: impl FnMut(&Scenario),
) -> Scenario {
    let breaks = |scenario: &Scenario| {
        let violation = run(scenario, Watch::default()).violation;
        violation.is_some_and(|violation| violation.invariant == invariant)
    };
    'again: loop {
        for smaller in scenario.smaller() {
            if runs == 0 {
                return scenario;
            }
            runs -= 1;
            if breaks(&smaller) {
                tell(&smaller);
                scenario = smaller;
                continue 'again;
            }
        }
        return scenario;
    }
}

/// How two runs of one scenario compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// They are the same, and break nothing.
    None,
    /// They part in that turn.
    Turn(usize),
    /// A promise was broken.
    Broken(Violation),
}

/// Runs a scenario twice and compares all that passed between its engines and the world, turn by
/// turn.
pub fn differ(scenario: &Scenario) -> Difference {
    let watch = Watch { turns: true, ..Watch::default() };
    let (one, two) = (run(scenario, watch), run(scenario, watch));
    if one.digest == two.digest && one.turns == two.turns {
        return one.violation.map_or(Difference::None, Difference::Broken);
    }
    let turn = one.turns.iter().zip(&two.turns).position(|(one, two)| one != two);
    Difference::Turn(turn.unwrap_or(one.turns.len().min(two.turns.len())))
}
