//! The policy table: what becomes of every doubtful HTTP/1 message, in Tidegate and in haproxy.
//!
//! The cases are text (`policy/requests.txt`, `policy/responses.txt`): the bytes, the clause that
//! they are about, and what each proxy makes of them. Both outcomes are compared with what the real
//! programs do on loopback; `docs/http-policy.md` is made of the same files. Not here: exchanges in
//! which nothing is doubtful (see [`crate::exchanges`]).
//!
//! ```text
//!  requests:   client ── the case's bytes ──► proxy ──► origin: an independent reader says which
//!                  then a probe on the same connection     requests it saw, and answers them
//!  responses:  client ── a good request ────► proxy ──► origin answers with the case's bytes
//!                  then a probe: does it get its own answer?
//! ```

pub mod case;
pub mod document;
pub mod origin;
pub mod outcome;
pub mod play;
pub mod reader;
pub mod run;
pub mod text;
