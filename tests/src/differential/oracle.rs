//! Other readers of what Tidegate forwarded.

use super::grammar::Case;
use super::stage::Outcome;

/// What they say against it.
pub fn objections(_case: &Case, _tidegate: &Outcome) -> Vec<String> {
    Vec::new()
}

/// What Tidegate wrote to both sides, as a case of its own for haproxy.
pub fn echo(_case: &Case, _tidegate: &Outcome) -> Option<Case> {
    None
}

/// Whether haproxy found the same messages in it.
pub fn compare_echo(_tidegate: &Outcome, _again: &Outcome) -> Vec<String> {
    Vec::new()
}
