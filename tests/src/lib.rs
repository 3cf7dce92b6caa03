//! Tests of Tidegate from outside.

#![allow(missing_docs, reason = "nobody but the tests beside it uses this crate")]

pub mod attacks;
pub mod bench;
pub mod contract;
pub mod daemon;
pub mod differential;
pub mod exchanges;
pub mod fetches;
pub mod policy;
pub mod sites;
