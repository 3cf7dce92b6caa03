//! The target that must fail: four bytes that only somebody finds who is led by coverage. If it is
//! not found, the harness does not work, and what the others did not find means nothing.

use crate::Target;

/// The target.
pub const TARGET: Target = Target { name: "canary", run, seeds, words: Vec::new };

/// Fails on what begins with `SOS!`.
///
/// # Panics
///
/// On that.
pub fn run(data: &[u8]) {
    let mut found = 0;
    for (byte, expected) in data.iter().zip(b"SOS!") {
        if byte != expected {
            return;
        }
        found += 1;
    }
    assert!(found < 4, "the canary was found, as it must be");
}

fn seeds() -> Vec<Vec<u8>> {
    vec![b"help".to_vec()]
}
