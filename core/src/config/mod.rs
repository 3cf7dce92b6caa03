//! The configuration language: text in, sections of words with their places out. No meaning yet:
//! what a statement does is decided in `build`.
//!
//! ```text
//!   Source ──lexer──► words ──statement──► Section { Statement { Word … } … }
//!                       ▲                      │
//!                  Environment ◄───────────────┘  setenv, presetenv, unsetenv, resetenv
//! ```
//!
//! The language is HAProxy 2.6's. Every word keeps its file, line and column, so that every
//! complaint can show the place; complaints of all files are collected in one run.

pub mod condition;
pub mod diagnostic;
pub mod environment;
pub mod host;
pub mod keywords;
pub mod lexer;
pub mod similar;
pub mod source;
pub mod statement;
pub mod units;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use environment::Environment;
pub use host::{FdLimit, Host, MapHost};
pub use lexer::Word;
pub use source::{Source, Span};
pub use statement::{Negation, Section, SectionKind, Statement};

/// The HAProxy release whose configuration language and behaviour are claimed; what
/// `version_atleast()` compares with.
pub const HAPROXY_VERSION: &str = "2.6.12";
