//! The sans-IO core of Tidegate.
#![forbid(unsafe_code)]

pub mod agent;
pub mod analyser;
pub mod audit;
pub mod balance;
pub mod bits;
pub mod buf;
pub mod build;
pub mod channel;
pub mod check;
pub mod config;
pub mod conn;
pub mod engine;
pub mod fault;
pub mod fds;
pub mod http;
pub mod logfmt;
pub mod poller;
pub mod pool;
pub mod proxy;
pub mod reply;
pub mod rng;
pub mod script;
pub mod session;
pub mod side;
pub mod tasks;
pub mod time;
pub mod timers;
pub mod txn;
