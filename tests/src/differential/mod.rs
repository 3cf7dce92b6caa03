//! haproxy and Tidegate, the same configuration, the same bytes from both sides: what each made of
//! them is compared, and every difference must have a class with a cause.
//!
//! Not the exchanges, which are written by hand and also compare logs and times.
//!
//! ```text
//!  seed ─► grammar: Case ─┬─► stage: client ─ haproxy  ─ origin ─► Outcome ┐
//!                         └─► stage: client ─ tidegate ─ origin ─► Outcome ┤
//!                                                                          ▼
//!                 verdict ◄─ classes: what explains each ◄─ compare: Difference…
//!                    ▲
//!                    └─ oracle: what Tidegate forwarded, as strict, hyper and haproxy read it
//! ```

pub mod classes;
pub mod compare;
pub mod grammar;
pub mod oracle;
pub mod peer;
pub mod proxies;
pub mod report;
pub mod run;
pub mod stage;
pub mod strict;
pub mod wire;
