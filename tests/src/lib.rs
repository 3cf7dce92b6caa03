//! Tests of Tidegate from outside.

pub mod bench;
pub mod daemon;
pub mod exchanges;
