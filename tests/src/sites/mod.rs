//! The corpus of whole sites: a configuration file as somebody would write it, the files that it
//! reads, and exchanges with it. Each site is played through haproxy and through Tidegate, and what
//! the client got, what the servers got and what was logged must be the same.
//!
//! ```text
//!  sites/NN-name/   haproxy.cfg      with {bind.x}, {origin.x}, {log}, {dir} for what the run knows
//!                   exchanges        what is asked, what the servers answer (see `text`)
//!                   haproxy.txt      what haproxy made of it: UPDATE_EXPECT=1 writes it
//!                   *                maps, lists, pages: copied to {dir}
//!
//!  client ── turns ──► proxy ──► origins, one thread a connection: record and answer
//!    └──────── record ◄── log sink ◄─┘ └──── record: lines of text, volatile parts masked
//! ```
//!
//! Not here: what is about time, closing and errors of the network (see [`crate::exchanges`]), and
//! doubtful messages (see [`crate::policy`]).

pub mod campaign;
pub mod diff;
pub mod hello;
pub mod mask;
pub mod origin;
pub mod pending;
pub mod play;
pub mod report;
pub mod run;
pub mod text;
