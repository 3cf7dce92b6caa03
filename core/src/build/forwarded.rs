//! `option forwarded`.

use std::sync::Arc;

use crate::config::{Negation, Statement};
use crate::rule::{Forwarded, Node, Source};
use crate::sample::Point;

use super::Builder;
use super::draft::Draft;
use super::phrase::Phrase;

/// What its words say.
#[derive(Clone, Copy)]
enum Word {
    Proto,
    Host,
    Name(End),
    Port(End),
}

#[derive(Clone, Copy)]
enum End {
    By,
    For,
}

impl Builder<'_> {
    pub(super) fn forwarded(&mut self, draft: &mut Draft, statement: &Statement) {
        if statement.negation != Negation::Plain {
            draft.proxy.forwarded = None;
            return;
        }
        draft.http_only.push(("forwarded", statement.place(0).to(statement.place(1))));
        let unique_id = self.names.wants.unique_id;
        let mut phrase = self.phrase(statement, (2, "option forwarded"), Point::HttpReq);
        let read = read(&mut phrase);
        // When the field is made, the id is there.
        self.names.wants.unique_id = unique_id;
        let Some(forwarded) = read else { return };
        self.names.wants.destination |= forwarded.by.is_some();
        draft.proxy.forwarded = Some(Arc::new(forwarded));
    }
}

/// `[ proto ] [ host | host-expr <expr> ] [ by | by-expr <expr> ]
/// [ by_port | by_port-expr <expr> ]`, and the same with `for`; nothing is `proto for`.
fn read(p: &mut Phrase<'_, '_, '_>) -> Option<Forwarded> {
    const WORDS: [(&str, (Word, bool)); 11] = [
        ("proto", (Word::Proto, false)),
        ("host", (Word::Host, false)),
        ("host-expr", (Word::Host, true)),
        ("by", (Word::Name(End::By), false)),
        ("by-expr", (Word::Name(End::By), true)),
        ("by_port", (Word::Port(End::By), false)),
        ("by_port-expr", (Word::Port(End::By), true)),
        ("for", (Word::Name(End::For), false)),
        ("for-expr", (Word::Name(End::For), true)),
        ("for_port", (Word::Port(End::For), false)),
        ("for_port-expr", (Word::Port(End::For), true)),
    ];
    let mut forwarded = Forwarded::default();
    if p.args.peek().is_none() {
        forwarded.proto = true;
        forwarded.client = Some(Node { name: Source::Own, port: None });
    }
    // Names and ports, of `by` and of `for`.
    let mut ends: [[Option<Source>; 2]; 2] = Default::default();
    while p.args.peek().is_some() {
        let (word, is_expr) = p.args.choice(&WORDS)?;
        let source = if is_expr { Source::Expr(Box::new(p.expr()?)) } else { Source::Own };
        match word {
            Word::Proto => forwarded.proto = true,
            Word::Host => forwarded.host = Some(source),
            Word::Name(end) => ends[end as usize][0] = Some(source),
            Word::Port(end) => ends[end as usize][1] = Some(source),
        }
    }
    let places = [("by", &mut forwarded.by), ("for", &mut forwarded.client)];
    for ([name, port], (word, node)) in ends.into_iter().zip(places) {
        if let Some(name) = name {
            *node = Some(Node { name, port });
        } else if port.is_some() {
            let message =
                format!("'option forwarded' : '{word}_port' is for a node without a name");
            p.args.alert(p.args.before(), message, &format!("add '{word}' or '{word}-expr'"));
            return None;
        }
    }
    Some(forwarded)
}
