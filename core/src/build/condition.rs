//! `if` and `unless` behind a rule, as far as they can be decided without traffic.

use crate::config::{Span, Word};

/// What is known of a condition.
pub(super) enum Verdict {
    /// No condition, or one that is always true.
    Always,
    /// One that is never true.
    Never,
    /// One that needs the traffic.
    Depends(Span),
    /// Words that are no condition.
    Stray(Span),
}

/// The verdict on the rest of a rule's words.
pub(super) fn verdict(words: &[Word]) -> Verdict {
    let Some(first) = words.first() else { return Verdict::Always };
    let negated = match first.as_str() {
        "if" => false,
        "unless" => true,
        _ => return Verdict::Stray(first.span),
    };
    let last = &words[words.len() - 1];
    let rest: Vec<&str> = words[1..].iter().map(Word::as_str).collect();
    let truth = match rest.as_slice() {
        ["TRUE"] | ["{", "always_true", "}"] => true,
        ["FALSE"] | ["{", "always_false", "}"] => false,
        _ => return Verdict::Depends(first.span.to(last.span)),
    };
    if truth != negated { Verdict::Always } else { Verdict::Never }
}
