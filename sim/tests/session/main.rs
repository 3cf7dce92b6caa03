//! One session at a time, as a state machine against a model: sequences of what a client and a server
//! may do, in whatever pieces and over whatever network. Failing sequences shrink, and are kept in
//! `proptest-regressions` and tried first in every run after that.

mod http;
mod rig;
mod tcp;
