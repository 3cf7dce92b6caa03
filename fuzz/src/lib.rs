//! Fuzz targets as plain functions of bytes, each with a small corpus of our own and a dictionary.
//!
//! ```text
//!   fuzz_targets/NAME.rs (libFuzzer) ──► Target::run ◄── tests/corpus.rs (plain `cargo test`)
//!   bin/seeds ──► corpus/NAME/seed-* and dictionaries/NAME.dict
//! ```
//!
//! A target fails by a panic. It compares: with a second reading that shares no code with the core
//! ([`mod@reference`]), with a plain model, or with itself on the same bytes cut elsewhere.

#![forbid(unsafe_code)]

pub mod canary;
pub mod chunks;
pub mod config;
pub mod framing;
pub mod head_model;
pub mod heads;
pub mod peer;
pub mod proxy_header;
pub mod reference;
pub mod reuse;
pub mod rules;
pub mod session;
pub mod stage;
pub mod steps;
pub mod texts;
pub mod world;

use tidegate_core::http::Head;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its binary, its folder in `corpus/` and its file in `dictionaries/`.
    pub name: &'static str,
    /// Tries one input. It panics if something does not hold.
    pub run: fn(&[u8]),
    /// What the corpus begins with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What is worth putting into an input.
    pub words: fn() -> Vec<Vec<u8>>,
}

/// Every target but the [canary](canary::TARGET), which fails.
pub const TARGETS: &[Target] = &[
    heads::REQUEST,
    heads::RESPONSE,
    chunks::TARGET,
    head_model::TARGET,
    framing::TARGET,
    config::LEXER,
    config::CONFIG,
    config::CONDITION,
    rules::RULES,
    rules::FORMAT,
    proxy_header::TARGET,
    session::TARGET,
    reuse::TARGET,
    world::TARGET,
];

/// Some places to cut an input at, which follow from its bytes; all places if they are so few.
pub fn cuts(input: &[u8], most: usize) -> Vec<usize> {
    if input.len() <= most {
        return (0..input.len()).collect();
    }
    let mut state = digest(input);
    let mut cut = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % input.len() as u64) as usize
    };
    (0..most).map(|_| cut()).collect()
}

/// FNV-1a, 64 bits; never 0.
pub fn digest(bytes: &[u8]) -> u64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, fold).max(1)
}

/// A dictionary as libFuzzer reads it.
pub fn dictionary(words: &[Vec<u8>]) -> String {
    let quoted = |byte: &u8| match byte {
        b'"' | b'\\' => format!("\\{}", char::from(*byte)),
        b' '..=b'~' => char::from(*byte).to_string(),
        _ => format!("\\x{byte:02X}"),
    };
    let line = |word: &Vec<u8>| format!("\"{}\"\n", word.iter().map(quoted).collect::<String>());
    words.iter().filter(|word| !word.is_empty()).map(line).collect()
}

/// The name of a seed's file.
pub fn seed_name(index: usize) -> String {
    format!("seed-{index:02}")
}

/// The fields of a head, to be shown.
fn lines(head: &Head) -> String {
    let line = |(name, value): (&[u8], &[u8])| {
        format!("{}: {}", name.escape_ascii(), value.escape_ascii())
    };
    head.fields().map(line).collect::<Vec<_>>().join("; ")
}
