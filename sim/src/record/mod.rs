//! Recordings: everything that one engine took in from outside, so that the same engine can be run
//! again without a network, another engine or a clock, and ends in the same digest. This is not a
//! log of the traffic (what went out is there as hashes only), and it opens no file.
//!
//! - [`boot`]: what the engine was made of · [`tape`]: writing, [`Record`] around any poller
//! - [`replay`]: running it again · [`entry`], [`wire`]: what stands in a recording, and how
//!
//! # The format
//!
//! ```text
//!   recording  = head entry*                  one engine's; a process has one for each
//!   head       = "\x89TGR\r\n\x1a\n"
//!                format          u16          1; numbers of fixed size are little-endian
//!                length          u64          of the body
//!                body                         Boot: program, engine, engines, seed, pid, files of
//!                                             the configuration, command line, what was asked of
//!                                             the machine (files, environment, names, limits,
//!                                             users), tunables, digest of the compiled site
//!                digest          u64          of the body
//!   entry      = kind u8, fields, answer      see [`entry::Entry`]
//!   run        = Start call* Started          once
//!                ((Signal | Trim)* turn)*
//!                End?                         engine ended, size limit, or stopped
//!   turn       = Turn call* Parked Check?     a Check every 64 turns
//! ```
//!
//! A call is a method of `Poller` or a question to the state that the engines share. Its fields are
//! the arguments, with a hash in place of the bytes that are sent; the answer behind it is what came
//! back, with all bytes that were received. `Turn` has both clocks, `Parked` what the engine allows
//! its host and a hash of its notices. `Check` and `End` have the number of turns and the digest of
//! all entries up to the last whole turn: questions, hashes of what was sent (log lines too) and
//! answers.
//!
//! Numbers are LEB128 unless said otherwise, lists and texts stand behind their lengths, options and
//! variants behind a byte.
//!
//! A recording without `End` breaks off there: its process was killed, or runs. Up to there it is as
//! good as any, since turns are written whole; only a panicking process writes the turn in which it
//! panics as far as it came.
//!
//! # What is not in it
//!
//! Bytes that were spliced (their number is), and what went out. What is in it is enough to see what
//! the traffic contained: whoever keeps a recording keeps the traffic, in clear.

pub mod boot;
pub mod entry;
pub mod replay;
pub mod tape;
pub mod wire;

#[cfg(test)]
mod tests;

pub use boot::{Boot, Config, Listening, Transcript};
pub use entry::Finish;
pub use replay::{Replay, Report, Verdict};
pub use tape::{Over, Record, Reel, Sink, Tape, to_memory};
