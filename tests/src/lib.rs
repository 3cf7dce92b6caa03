//! Tests of Tidegate from outside.
