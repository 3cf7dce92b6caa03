//! The engine without sockets: every exchange is played against the scripted poller, with time by
//! hand and an audit after each turn.

// Knobs are set one by one, as a test needs them.
#![allow(clippy::field_reassign_with_default)]

mod attacks;
mod backpressure;
mod engines;
mod errors;
mod exchanges;
mod exhaustion;
mod forward;
mod half_close;
mod http_request;
mod http_response;
mod listeners;
mod logs;
mod patterns;
mod pipelining;
mod policy;
mod preface;
mod queue;
mod random;
mod resets;
mod retries;
mod reuse;
mod rig;
mod rules;
mod served;
mod soft_stop;
mod splice;
mod state;
mod strict;
mod tcp;
mod timeouts;
mod tunnels;
