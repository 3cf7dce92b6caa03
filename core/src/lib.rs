//! The sans-IO core of Tidegate.
#![forbid(unsafe_code)]

pub mod agent;
pub mod balance;
pub mod bits;
pub mod check;
pub mod engine;
pub mod fault;
pub mod logfmt;
pub mod poller;
pub mod proxy;
pub mod rng;
pub mod time;
