//! The sans-IO core of Tidegate.
#![forbid(unsafe_code)]

pub mod balance;
pub mod bits;
pub mod check;
pub mod config;
pub mod engine;
pub mod fault;
pub mod poller;
pub mod proxy;
pub mod rng;
pub mod time;
