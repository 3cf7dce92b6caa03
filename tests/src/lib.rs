//! Tests of Tidegate from outside.

pub mod bench;
pub mod exchanges;
