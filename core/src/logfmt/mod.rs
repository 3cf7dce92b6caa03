//! Log formats: what a line says (`line`), what stands before it on the wire (`wire`), the dates in
//! both (`dates`), the same as JSON (`json`), formats of the configuration's own (`format`), and
//! the text of `show errors` (`errors`).
//!
//! Everything here appends bytes to a `Vec` that the caller keeps, so that a line costs no
//! allocation. Nothing here sends, and nothing here decides whether a line is due: that is the
//! session's business, and the sinks are those of the log agent.

pub mod dates;
pub mod errors;
pub mod format;
pub mod json;
pub mod line;
mod text;
pub mod wire;
