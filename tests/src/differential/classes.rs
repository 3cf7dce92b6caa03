//! Why haproxy and Tidegate may differ: each class is a predicate on the input and on the outcome,
//! with its cause and the clause that it goes by.

use super::compare::Difference;
use super::grammar::Case;
use super::stage::Outcome;
use super::strict::{self, Reading};

/// All that a predicate may look at.
#[derive(Debug)]
pub struct Context<'a> {
    pub case: &'a Case,
    pub haproxy: &'a Outcome,
    pub tidegate: &'a Outcome,
    /// What the client sent, as the strict reader reads it.
    pub sent: Reading,
    /// What the origin answered the first request with, read in the same way.
    pub answer: Reading,
}

impl<'a> Context<'a> {
    pub fn new(case: &'a Case, haproxy: &'a Outcome, tidegate: &'a Outcome) -> Self {
        let sent = strict::requests(&case.sent);
        let arrivals = tidegate.arrivals.first().or(haproxy.arrivals.first());
        let method = arrivals.map_or(&b"GET"[..], |arrival| arrival.message.word(0));
        let answer = strict::responses(&case.answer, &[method], true);
        Self { case, haproxy, tidegate, sent, answer }
    }
}

/// A class that explains a difference.
pub fn explain(context: &Context<'_>, difference: &Difference) -> Option<&'static str> {
    let _ = (context, difference);
    None
}
