//! Conditions: patterns that values are matched against, named ACLs, and what `if` and `unless`
//! make of them.

mod pattern;

pub use pattern::{Match, Output, Patterns};
