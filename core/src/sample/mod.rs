//! Samples: typed values that are taken from a message, a connection or the process (`fetch`), made
//! into others (`conv`), and used by conditions, rules, formats and balancing.
//!
//! ```text
//!   req.hdr(host),lower,map(hosts.map)     Expr: Fetch ──Value──► Conv ──Value──► Conv ──► Value
//!                                                  ▲
//!                                                Scene: borrowed parts of a session
//! ```
//!
//! Not conditions (`acl`), not what is done about a value (`rule`), not text around it (`logfmt`).
//! Values borrow: from the message, the configuration, or the engine's [`Arena`], so that a request
//! costs no allocation.

pub mod args;
mod change;
pub mod conv;
mod expr;
pub mod fetch;
mod names;
mod point;
mod scene;
#[cfg(test)]
pub(crate) mod stage;
mod value;
pub mod vars;

pub use change::Change;
pub use expr::Expr;
pub(crate) use fetch::header::element_end;
pub use names::{NameRef, Named, Names, Refs, Target};
pub use point::{Avail, Point};
pub use scene::{Applied, Captured, Captures, Desk, Ends, PatternFile, Scene, Stream};
pub(crate) use value::embedded_v4;
pub use value::{Kind, Value, leading_int, parse_ip};

/// Where values lie that are made from others: freed all at once, after each step of a session.
pub type Arena = bumpalo::Bump;

/// What a fetch came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample<'a> {
    /// The value; none if there is none.
    pub value: Option<Value<'a>>,
    /// More bytes may change it, or bring it.
    pub may_change: bool,
}

impl<'a> Sample<'a> {
    /// No value, and there will be none.
    pub const NONE: Sample<'static> = Sample { value: None, may_change: false };
    /// No value yet.
    pub const NOT_YET: Sample<'static> = Sample { value: None, may_change: true };

    /// A value that stays.
    pub const fn is(value: Value<'a>) -> Sample<'a> {
        Sample { value: Some(value), may_change: false }
    }
}

impl<'a> From<Option<Value<'a>>> for Sample<'a> {
    fn from(value: Option<Value<'a>>) -> Self {
        Sample { value, may_change: false }
    }
}
