//! Variables: named values in scopes, set by rules and converters and read by `var()`.
//!
//! A name is made a number when the configuration is compiled. What a scope holds is a short list:
//! a request has few variables.

use core::cell::{Cell, OnceCell, RefCell};
use core::hash::{Hash, Hasher};
use core::net::IpAddr;

use super::{Arena, Value};

/// How long a variable lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Scope {
    /// `proc.`: as long as the process; each engine has its copy, and is told of changes.
    Proc,
    /// `sess.`: as long as the client's connection.
    Sess,
    /// `txn.`: a request and its answer.
    Txn,
    /// `req.`: while the request is processed.
    Req,
    /// `res.`: while the answer is processed.
    Res,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Scope; 5] = [Scope::Proc, Scope::Sess, Scope::Txn, Scope::Req, Scope::Res];

    /// The word before the dot.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::Proc => "proc",
            Scope::Sess => "sess",
            Scope::Txn => "txn",
            Scope::Req => "req",
            Scope::Res => "res",
        }
    }
}

/// A variable: its scope and the number of its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct VarId {
    /// Where it lives.
    pub scope: Scope,
    /// Which name.
    pub name: u32,
}

/// A value that a variable keeps.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Stored {
    /// Yes or no.
    Bool(bool),
    /// A number.
    Int(i64),
    /// An address.
    Ip(IpAddr),
    /// Text.
    Str(Box<[u8]>),
    /// Bytes.
    Bin(Box<[u8]>),
    /// An HTTP method.
    Method(Box<[u8]>),
}

impl Stored {
    /// A copy of a value.
    pub fn of(value: Value<'_>) -> Stored {
        match value {
            Value::Bool(b) => Stored::Bool(b),
            Value::Int(n) => Stored::Int(n),
            Value::Ip(ip) => Stored::Ip(ip),
            Value::Str(text) => Stored::Str(text.into()),
            Value::Bin(bytes) => Stored::Bin(bytes.into()),
            Value::Method(name) => Stored::Method(name.into()),
        }
    }

    /// The value.
    pub fn value(&self) -> Value<'_> {
        match self {
            Stored::Bool(b) => Value::Bool(*b),
            Stored::Int(n) => Value::Int(*n),
            Stored::Ip(ip) => Value::Ip(*ip),
            Stored::Str(text) => Value::Str(text),
            Stored::Bin(bytes) => Value::Bin(bytes),
            Stored::Method(name) => Value::Method(name),
        }
    }

    fn len(&self) -> usize {
        match self {
            Stored::Bool(_) | Stored::Int(_) | Stored::Ip(_) => 0,
            Stored::Str(bytes) | Stored::Bin(bytes) | Stored::Method(bytes) => bytes.len(),
        }
    }
}

/// The variables of one scope of one thing. As long as there are none it is a pointer to nothing:
/// every idle client has one of these.
#[derive(Debug, Default)]
pub struct Vars(OnceCell<Box<Held>>);

#[derive(Debug, Default)]
struct Held {
    list: RefCell<Vec<(u32, Stored)>>,
    /// Bytes of all values.
    bytes: Cell<usize>,
}

/// What HAProxy counts for a variable beside its bytes.
const OVERHEAD: usize = 64;

impl Hash for Vars {
    /// What is held: room that is kept for more makes no difference.
    fn hash<H: Hasher>(&self, into: &mut H) {
        let Some(held) = self.0.get() else { return 0usize.hash(into) };
        held.list.borrow().hash(into);
    }
}

impl Vars {
    /// The value of a name, copied into `arena`.
    pub fn get<'a>(&self, name: u32, arena: &'a Arena) -> Option<Value<'a>> {
        let held = self.0.get()?.list.borrow();
        let (_, stored) = held.iter().find(|(known, _)| *known == name)?;
        Some(match stored.value() {
            Value::Str(text) => Value::Str(arena.alloc_slice_copy(text)),
            Value::Bin(bytes) => Value::Bin(arena.alloc_slice_copy(bytes)),
            Value::Method(name) => Value::Method(arena.alloc_slice_copy(name)),
            Value::Bool(b) => Value::Bool(b),
            Value::Int(n) => Value::Int(n),
            Value::Ip(ip) => Value::Ip(ip),
        })
    }

    /// Whether the name has a value.
    pub fn has(&self, name: u32) -> bool {
        self.0.get().is_some_and(|held| held.list.borrow().iter().any(|(known, _)| *known == name))
    }

    /// Gives a name a value. False if there would be more than `max` bytes (0 is no limit).
    pub fn set(&self, name: u32, value: Value<'_>, max: usize) -> bool {
        let stored = Stored::of(value);
        let Held { list, bytes } = &**self.0.get_or_init(Box::default);
        let mut list = list.borrow_mut();
        let at = list.iter().position(|(known, _)| *known == name);
        let before = at.map_or(0, |at| list[at].1.len() + OVERHEAD);
        let sum = bytes.get() - before + stored.len() + OVERHEAD;
        if max > 0 && sum > max {
            return false;
        }
        bytes.set(sum);
        match at {
            Some(at) => list[at].1 = stored,
            None => list.push((name, stored)),
        }
        true
    }

    /// Takes a name's value away.
    pub fn unset(&self, name: u32) {
        let Some(held) = self.0.get() else { return };
        let mut list = held.list.borrow_mut();
        if let Some(at) = list.iter().position(|(known, _)| *known == name) {
            let (_, stored) = list.swap_remove(at);
            held.bytes.set(held.bytes.get() - stored.len() - OVERHEAD);
        }
    }

    /// Forgets everything, and keeps the room.
    pub fn clear(&mut self) {
        if let Some(held) = self.0.get_mut() {
            held.list.get_mut().clear();
            held.bytes.set(0);
        }
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.0.get().is_none_or(|held| held.list.borrow().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_get_unset_and_the_limit() {
        let (vars, arena) = (Vars::default(), Arena::new());
        assert!(vars.set(1, Value::Str(b"abc"), 200));
        assert!(vars.set(2, Value::Int(5), 200));
        assert!(!vars.set(3, Value::Bin(&[0; 200]), 200));
        assert_eq!(vars.get(1, &arena), Some(Value::Str(b"abc")));
        assert_eq!(vars.get(3, &arena), None);
        assert!(vars.set(1, Value::Bool(true), 200));
        assert_eq!(vars.get(1, &arena), Some(Value::Bool(true)));
        vars.unset(1);
        vars.unset(2);
        assert_eq!((vars.is_empty(), vars.0.get().map(|held| held.bytes.get())), (true, Some(0)));
    }
}
