//! Tests of Tidegate from outside.

pub mod exchanges;
