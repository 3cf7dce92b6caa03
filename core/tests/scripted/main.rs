//! The engine without sockets: every exchange is played against the scripted poller, with time by hand
//! and an audit after each turn.

mod exchanges;
mod half_close;
mod http_request;
mod http_response;
mod pipelining;
mod queue;
mod random;
mod resets;
mod retries;
mod reuse;
mod rig;
mod tcp;
mod timeouts;
