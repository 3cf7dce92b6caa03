//! Whole runs of the simulator: engines, clients and servers on a network of bytes, with everything
//! going wrong that the input chooses, and the simulator's auditor on. The schedule is the input's;
//! what is said is the simulator's.

use arbitrary::{Result, Unstructured};
use tidegate_sim::scenario::{Knobs, Profile, Scenario};
use tidegate_sim::world::{Watch, run as simulate};

use crate::Target;

/// The target.
pub const TARGET: Target = Target { name: "world", run, seeds, words: Vec::new };

/// Runs the target.
///
/// # Panics
///
/// If a promise is broken; the scenario is printed, as `tidegate-sim` reads it.
pub fn run(data: &[u8]) {
    let Ok(scenario) = scenario(&mut Unstructured::new(data)) else { return };
    let outcome = simulate(&scenario, Watch::default());
    if let Some(violation) = outcome.violation {
        panic!("{} at {:?}: {}\n{scenario}", violation.invariant, violation.at, violation.detail);
    }
}

/// A seed and a profile, then knobs turned to where other seeds have them.
fn scenario(input: &mut Unstructured<'_>) -> Result<Scenario> {
    let profiles = [Profile::Calm, Profile::Swarm, Profile::Storm];
    let profile = profiles[usize::from(input.arbitrary::<u8>()?) % profiles.len()];
    let mut scenario = Scenario::draw(u64::from(input.arbitrary::<u16>()?), profile);
    for _ in 0..Knobs::NAMES.len() {
        let Ok([knob, seed]) = input.arbitrary::<[u8; 2]>() else { break };
        let at = usize::from(knob) % Knobs::NAMES.len();
        let mut other = Scenario::draw(u64::from(seed), Profile::Storm);
        *scenario.knobs.knob(at) = *other.knobs.knob(at);
    }
    // Many short runs rather than few long ones.
    let knobs = &mut scenario.knobs;
    knobs.clients = knobs.clients.min(4);
    knobs.requests = knobs.requests.min(3);
    knobs.body = knobs.body.min(3_000);
    Ok(scenario)
}

fn seeds() -> Vec<Vec<u8>> {
    let seed = |n: u8| vec![n, n.wrapping_mul(37), n, n.wrapping_mul(11), n, n.wrapping_mul(23), n];
    (0..16).map(seed).collect()
}
