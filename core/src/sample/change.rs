//! What rules change of what every engine has a copy of: pattern files and the variables of the
//! process. The engine whose rule it is changes its own copy at once, and tells the others at the
//! end of its turn.

use super::vars::Stored;
use crate::rule::PatternChange;

/// A change that every engine makes in its own copy.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Change {
    /// Of a pattern file.
    Patterns {
        /// What is done with it.
        change: PatternChange,
        /// Which, by index in [`Site::patterns`](crate::proxy::spec::Site::patterns).
        file: u32,
        /// The pattern.
        key: Box<[u8]>,
        /// What it leads to, in a map.
        value: Option<Box<[u8]>>,
    },
    /// Of a variable of the process: its value, or that it has none any more.
    Variable {
        /// The number of its name.
        name: u32,
        /// What it has.
        value: Option<Stored>,
    },
}
