//! The sans-IO core of Tidegate.
#![forbid(unsafe_code)]

pub mod balance;
pub mod bits;
pub mod buf;
pub mod check;
pub mod engine;
pub mod fault;
pub mod fds;
pub mod poller;
pub mod pool;
pub mod proxy;
pub mod rng;
pub mod tasks;
pub mod time;
pub mod timers;
