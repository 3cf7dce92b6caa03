//! Conditions: patterns that values are matched against, named ACLs, and what `if` and `unless`
//! make of them.

pub mod file;
mod index;
mod keyword;
mod network;
mod pattern;
mod pcre;
mod range;
mod regex;
mod texts;
mod words;

pub use keyword::{keyword, keywords};
pub use network::Resolve;
pub use pattern::{Match, Output, Patterns};
pub use regex::{GROUPS_MAX, Groups, Regex, expand};
pub use words::{Lists, WordMistake, parse_patterns};
