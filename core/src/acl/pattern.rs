//! Patterns of one kind, in an index that finds the first that matches a value.

use core::net::IpAddr;

use crate::sample::{Arena, Kind, Value};

/// How values are matched (`-m`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Match {
    /// `found`: there is a value.
    Found,
    /// `bool`: it is true.
    Bool,
    /// `int`: a number or a range.
    Int,
    /// `ip`: an address or a network.
    Ip,
    /// `bin`: bytes in hexadecimal.
    Bin,
    /// `len`: the length of text, as for `int`.
    Len,
    /// `str`: the same text.
    Str,
    /// `beg`: text that begins so.
    Beg,
    /// `sub`: text that contains it.
    Sub,
    /// `reg`: a regular expression.
    Reg,
    /// `dir`: whole parts between slashes.
    Dir,
    /// `dom`: whole parts between dots and the like.
    Dom,
    /// `end`: text that ends so.
    End,
}

/// What a map says of a pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Text.
    Str(Box<[u8]>),
    /// A number.
    Int(i64),
    /// An address.
    Ip(IpAddr),
}

/// Patterns of one kind.
#[derive(Clone, Debug)]
pub struct Patterns {
    how: Match,
    ignore_case: bool,
}

impl Patterns {
    /// No patterns yet.
    pub fn new(how: Match, ignore_case: bool) -> Self {
        Patterns { how, ignore_case }
    }

    /// How values are matched.
    pub fn how(&self) -> Match {
        self.how
    }

    /// Whether letters are compared without their case.
    pub fn ignores_case(&self) -> bool {
        self.ignore_case
    }

    /// The type that values are cast to before they are matched; none takes them as they are.
    pub fn kind(&self) -> Kind {
        Kind::Any
    }

    /// Adds a pattern. The error is a sentence about the text.
    pub fn add(&mut self, _text: &str, _output: Option<Output>) -> Result<(), String> {
        Ok(())
    }

    /// Builds what finds them quickly; to be called once all are added.
    pub fn finish(&mut self) {}

    /// Whether some pattern matches.
    pub fn matches<'a>(&self, value: Value<'a>, arena: &'a Arena) -> bool {
        self.find(value, arena).is_some()
    }

    /// The first pattern that matches: what a map says of it, if it is one's.
    pub fn find<'a>(&self, _value: Value<'a>, _arena: &'a Arena) -> Option<Option<&Output>> {
        None
    }
}
