//! The engine without sockets: every exchange is played against the scripted poller, with time by hand
//! and an audit after each turn.

mod exchanges;
mod random;
mod rig;
