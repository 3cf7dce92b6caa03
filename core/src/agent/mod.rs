//! Agents: what talks to the world without a client.
//!
//! A check, a resolver, a log sink or a peer is a small machine that keeps its own state and says
//! what it wants; `engine/` does it through the `Poller` and reports what came of it. An agent has
//! no session, is not counted among the jobs, and so never keeps a stopping process alive.

pub mod log;
pub mod ring;
