//! The production daemon: the core's engine driven by mio, one engine a thread.
//!
//! Everything that touches the machine is here: sockets, clocks, signals, files, users, the command
//! line. What the proxy does with a connection is not here; that is `tidegate-core`.

#[cfg(tidegate_planted)]
compile_error!("no daemon is built with bugs that were planted on purpose");

pub mod bind;
pub mod cli;
pub mod clock;
pub mod demo;
pub mod host;
pub mod keywords;
pub mod poller;
pub mod process;
pub mod record;
pub mod route;
pub mod say;
pub mod signals;
pub mod start;
pub mod sys;
pub mod thread;
pub mod version;
