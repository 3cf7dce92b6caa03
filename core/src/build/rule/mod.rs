//! Rules: `tcp-request`, `tcp-response`, `http-request`, `http-response`, `http-after-response`,
//! `redirect`, `use_backend`, `use-server`, and the ACLs that they name.

mod action;
pub(super) mod reply;

use std::sync::Arc;

use crate::acl::Acl;
use crate::config::keywords::{self, Context};
use crate::config::{Statement, Word};
use crate::logfmt::format::Style;
use crate::proxy::spec::Role;
use crate::rule::{Action, ReplyBody, Rule, Set, UniqueId};
use crate::sample::Point;

use super::Builder;
use super::args::Args;
use super::draft::{Draft, SwitchDraft, SwitchTo};
use super::phrase::Phrase;

impl<'b> Builder<'b> {
    /// Tells the names where the statement stands, and gives a cursor over its words from `at` on.
    pub(super) fn phrase<'s>(
        &mut self,
        statement: &'s Statement,
        (at, name): (usize, &str),
        point: Point,
    ) -> Phrase<'s, '_, 'b> {
        let span = statement.place(0);
        self.names.span = span;
        self.names.place = format!("{}:{}", self.sources[span.file as usize].name, span.line);
        let args = Args::new(statement, at, name, &mut self.diagnostics);
        Phrase { args, names: &mut self.names, point }
    }

    /// `ruleset` is the words that begin the rule.
    pub(super) fn rule(&mut self, draft: &mut Draft, statement: &Statement, ruleset: &'static str) {
        let context = Context::Rule(ruleset);
        let Some(set) = Set::named(ruleset) else { return };
        let at = ruleset.split(' ').count();
        // Some actions have their argument in parentheses, right behind the name.
        let action = statement.word(at).split('(').next().unwrap_or_default();
        let Some(keyword) = keywords::find(context, &[action]) else {
            self.unknown(context, statement, at);
            return;
        };
        let span = statement.place(0).to(statement.place(at));
        if !self.usable(context, keyword, span) {
            return;
        }
        if matches!(set, Set::HttpRequest | Set::HttpResponse | Set::AfterResponse) {
            draft.http_only.push((ruleset, span));
        }
        let title = format!("{ruleset} {action}");
        let Some(action) = self.action(draft, statement, (at, action, &title), set) else { return };
        self.add_rule(draft, statement, &title, (set, at), action);
    }

    /// `redirect …`.
    pub(super) fn redirect_rule(&mut self, draft: &mut Draft, statement: &Statement) {
        draft.http_only.push(("redirect", statement.place(0)));
        let mut phrase = self.phrase(statement, (1, "redirect"), Point::HttpReq);
        let Some((redirect, at)) = reply::redirect(&mut phrase) else { return };
        let action = (Action::Redirect(Box::new(redirect)), at);
        self.add_rule(draft, statement, "redirect", (Set::Redirect, 0), action);
    }

    /// Reads the condition behind an action, and adds the rule.
    fn add_rule(
        &mut self,
        draft: &mut Draft,
        statement: &Statement,
        title: &str,
        (set, _): (Set, usize),
        (action, at): (Action, usize),
    ) {
        let applied = std::mem::take(&mut self.names.wants.unique_id);
        let mut phrase = self.phrase(statement, (at, title), point(set));
        let Ok(condition) = phrase.condition() else { return };
        let (file, line) = self.place_of(statement);
        let words: Vec<&str> = statement.words.iter().map(Word::as_str).collect();
        let text = words.join(" ").into();
        let tested = std::mem::take(&mut self.names.wants.unique_id)
            || condition.is_some() && self.acl_unique_id;
        let unique_id = match applied {
            _ if tested => UniqueId::Tested,
            true => UniqueId::Applied,
            false => UniqueId::Never,
        };
        let rule = Rule { condition, action, file, line, text, unique_id };
        draft.proxy.rules.set_mut(set).push(rule);
    }

    /// The file and line of a statement.
    pub(super) fn place_of(&self, statement: &Statement) -> (Arc<str>, u32) {
        let span = statement.place(0);
        (self.sources[span.file as usize].name.as_str().into(), span.line)
    }

    /// `http-error status <code> …`.
    pub(super) fn http_error(&mut self, draft: &mut Draft, statement: &Statement) {
        let config = self.sources[statement.place(0).file as usize].name.clone();
        let (host, sets, default_path) =
            (self.host, std::mem::take(&mut self.error_sets), self.default_path.clone());
        let max = self.site.tunables.bufsize as usize;
        let mut phrase = self.phrase(statement, (1, "http-error"), Point::Answer);
        let pages =
            reply::Pages { host, sets: &sets, default_path: &default_path, config: &config, max };
        let answer = reply::answer(&mut phrase, reply::Purpose::Error, &pages);
        let stated = phrase.args.end();
        self.error_sets = sets;
        let Some(answer) = answer.filter(|_| stated) else { return };
        if answer.status == 0 {
            let message = "'http-error' expects 'status' and a code";
            self.diagnostics.alert(statement.place(1), message);
            return;
        }
        // One that comes later takes the place of one that came before.
        draft.proxy.error_files.retain(|(status, _)| *status != answer.status);
        draft.proxy.http_errors.retain(|known| known.status != answer.status);
        // The usual page is there without being kept.
        if !matches!(answer.body, ReplyBody::Page) {
            draft.proxy.http_errors.push(Arc::new(answer));
        }
    }

    /// `acl <name> <criterion> [flags] [patterns]`.
    pub(super) fn acl(&mut self, statement: &Statement) {
        let mut phrase = self.phrase(statement, (1, "acl"), Point::Any);
        let Some(name) = phrase.args.need("a name") else { return };
        let text = name.as_str();
        let odd = |b: u8| !(b.is_ascii_alphanumeric() || b"-_.:".contains(&b));
        if let Some(at) = text.bytes().position(odd) {
            let stray = text[at..].chars().next().unwrap_or(' ');
            let message = format!("character '{stray}' is not permitted in the ACL name '{text}'");
            phrase.args.alert(
                name.span,
                message,
                "names have letters, digits, '-', '_', '.' and ':'",
            );
            return;
        }
        if matches!(text, "or" | "if" | "unless") {
            let message = format!("'{text}' has a meaning of its own in conditions");
            phrase.args.alert(name.span, message, "choose another name");
            return;
        }
        if phrase.args.need("a criterion, such as 'path_beg'").is_none() {
            return;
        }
        let words = &statement.words[2..];
        match Acl::parse(words, phrase.names) {
            Ok(acl) => {
                phrase.names.add_acl(Some(text), acl);
                self.acl_unique_id |= std::mem::take(&mut self.names.wants.unique_id);
            }
            Err(fault) => {
                phrase.fault(words, &fault);
                // Who names it shall not be told that there is none.
                phrase.names.declare_acl(text);
            }
        }
    }

    /// `use_backend <name> [condition]` and `use-server`.
    pub(super) fn switch(&mut self, draft: &mut Draft, statement: &Statement, keyword: &str) {
        let (file, line) = self.place_of(statement);
        let server = keyword == "use-server";
        let mut phrase = self.phrase(statement, (1, keyword), Point::Switch);
        let what = if server { "a server's name" } else { "a backend's name" };
        let Some(word) = phrase.args.need(what) else { return };
        let to = if word.as_str().contains('%') {
            let Some(format) = phrase.format_of(word, Style::Plain) else { return };
            SwitchTo::Format(Box::new(format))
        } else {
            SwitchTo::Name(word.clone())
        };
        let Ok(condition) = phrase.condition() else { return };
        if server && condition.is_none() {
            let message = "'use-server' expects 'if' or 'unless' behind the name";
            phrase.args.alert(statement.place(2), message, "");
            return;
        }
        let list = if server { &mut draft.use_servers } else { &mut draft.use_backends };
        let words: Vec<&str> = statement.words.iter().map(Word::as_str).collect();
        let text = words.join(" ").into();
        list.push(SwitchDraft { to, condition, place: (file, line), text, span: word.span });
    }

    /// Gets ready for a proxy section: its ACLs are its own, and what its defaults declared.
    pub(super) fn enter_proxy(&mut self, draft: &mut Draft) {
        self.names.proxy = draft.proxy.name.to_string();
        self.names.role = match draft.proxy.role {
            Role::NONE => Role::FRONTEND.with(Role::BACKEND),
            role => role,
        };
        self.names.acl_names = std::mem::take(&mut draft.acl_names);
    }

    /// Takes back what the section declared.
    pub(super) fn leave_proxy(&mut self, draft: &mut Draft) {
        draft.acl_names = std::mem::take(&mut self.names.acl_names);
    }
}

/// Where the expressions of a rule set stand.
pub(super) fn point(set: Set) -> Point {
    match set {
        Set::Connection => Point::Connection,
        Set::Session => Point::Session,
        Set::Content => Point::ReqContent,
        Set::HttpRequest | Set::Redirect => Point::HttpReq,
        Set::ResponseContent => Point::ResContent,
        Set::HttpResponse | Set::AfterResponse => Point::HttpRes,
    }
}
