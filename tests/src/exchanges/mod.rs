//! Scripted exchanges, run through haproxy and through Tidegate on the same configuration, and
//! compared: log lines field by field, and what the client and the origin received.
//!
//! This is not a conformance test against RFCs: haproxy 2.6 is what is right here, and where it
//! is not, the scenario says so in its list of allowed differences.
//!
//! ```text
//!  scenario ──► Places (ports, log sink, directory) ──► proxy.cfg ──► Proxy
//!     │                                                                 ▲
//!     └─► script ──► Stage: client sockets ── bytes ────────────────────┤
//!                           origin sockets ◄─ bytes ────────────────────┘
//!                               └──► Outcome: log lines + transcripts ──► compare
//! ```

pub mod golden;
pub mod logline;
pub mod outcome;
pub mod places;
pub mod proxy;
pub mod report;
pub mod run;
pub mod scenario;
pub mod scenarios;
pub mod script;
pub mod sink;
pub mod stage;
