//! The choices held against HAProxy's, and what must hold for any farm.

mod hashes;
mod laws;
mod scenario;
