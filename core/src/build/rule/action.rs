//! The actions of rules and their arguments.

use crate::config::Statement;
use crate::config::units::Unit;
use crate::logfmt::format::Style;
use crate::logfmt::wire::Level;
use crate::proxy::spec::Capture;
use crate::rule::{
    Action, End, NameMatch, Normalizer, Pattern, PatternChange, Set, Template, TimeoutValue, Value,
    Which,
};
use crate::sample::args;
use crate::sample::conv::Condition;

use super::super::Builder;
use super::super::draft::Draft;
use super::super::phrase::Phrase;
use super::point;
use super::reply::{self, Pages, Purpose, field_name};

/// The statuses that rules may give an answer (`set-status`).
const STATUSES: core::ops::RangeInclusive<u32> = 100..=999;

impl Builder<'_> {
    /// Reads the action called `name` at word `at`: what it is, and which word stands behind it.
    /// None if it is wrong, or if nothing is to be done.
    pub(super) fn action(
        &mut self,
        draft: &mut Draft,
        statement: &Statement,
        (at, name, title): (usize, &str, &str),
        set: Set,
    ) -> Option<(Action, usize)> {
        let word = &statement.words[at];
        // `set-var(txn.x)`, `set-map(file)`: the parentheses belong to the action's word.
        let mut in_parentheses = Vec::new();
        if word.as_str().len() > name.len() {
            match args::call(word.as_str(), 0) {
                Ok(call) if call.end == word.as_str().len() => in_parentheses = call.args,
                Ok(call) => {
                    let rest = &word.as_str()[call.end..];
                    let message = format!("'{title}' : '{rest}' does not belong here");
                    self.diagnostics.alert(word.span, message);
                    return None;
                }
                Err(mistake) => {
                    let message = format!("'{title}' : {}", mistake.message);
                    self.diagnostics.alert(word.span, message);
                    return None;
                }
            }
        }
        let inside: Vec<&str> = in_parentheses.iter().map(|arg| arg.text.as_str()).collect();
        let config = &self.sources[statement.place(0).file as usize].name;
        let pages = Pages {
            host: self.host,
            sets: &self.error_sets,
            default_path: &self.default_path,
            config,
            max: self.site.tunables.bufsize as usize,
        };
        let experimental = self.experimental;
        let span = statement.place(0);
        self.names.span = span;
        self.names.place = format!("{config}:{}", span.line);
        let cursor = super::super::args::Args::new(statement, at + 1, title, &mut self.diagnostics);
        let mut phrase = Phrase { args: cursor, names: &mut self.names, point: point(set) };
        let p = &mut phrase;
        let action = match name {
            "accept" | "allow" => Action::Allow,
            "reject" => Action::Reject,
            "close" => Action::Close,
            "silent-drop" => Action::SilentDrop,
            "deny" => {
                let status = if set == Set::HttpResponse { 502 } else { 403 };
                Action::Deny(Box::new(reply::answer(p, Purpose::Deny(status), &pages)?))
            }
            "tarpit" => Action::Tarpit(Box::new(reply::answer(p, Purpose::Deny(500), &pages)?)),
            "return" => Action::Return(Box::new(reply::answer(p, Purpose::Return, &pages)?)),
            "redirect" => Action::Redirect(Box::new(reply::redirect(p)?.0)),
            "auth" => {
                let realm = match p.args.takes("realm") {
                    true => Some(Box::new(p.format("a realm", Style::Http)?)),
                    false => None,
                };
                Action::Auth { realm }
            }
            "expect-proxy" => {
                const LAYERS: [(&str, ()); 1] = [("layer4", ())];
                p.args.choice(&LAYERS)?;
                Action::ExpectProxy
            }
            "set-header" | "add-header" | "early-hint" => {
                let field = field_name(p)?;
                let value = Box::new(p.format("the header's value", Style::Http)?);
                match name {
                    "set-header" => Action::SetHeader(field, value),
                    "add-header" => Action::AddHeader(field, value),
                    _ => Action::EarlyHint(field, value),
                }
            }
            "del-header" => Action::DelHeader(name_match(p)?),
            "replace-header" | "replace-value" => {
                let field = field_name(p)?;
                let pattern = Box::new(p.pattern()?);
                let with = template(p)?;
                if name == "replace-header" {
                    Action::ReplaceHeader(field, pattern, with)
                } else {
                    Action::ReplaceValue(field, pattern, with)
                }
            }
            "set-method" | "set-path" | "set-pathq" | "set-query" | "set-uri" => {
                let format = Box::new(p.format("a format", Style::Http)?);
                match name {
                    "set-method" => Action::SetMethod(format),
                    "set-path" => Action::SetPath(format),
                    "set-pathq" => Action::SetPathq(format),
                    "set-query" => Action::SetQuery(format),
                    _ => Action::SetUri(format),
                }
            }
            "replace-path" | "replace-pathq" | "replace-uri" => {
                let pattern = Box::new(p.pattern()?);
                let with = template(p)?;
                match name {
                    "replace-path" => Action::ReplacePath(pattern, with),
                    "replace-pathq" => Action::ReplacePathq(pattern, with),
                    _ => Action::ReplaceUri(pattern, with),
                }
            }
            "normalize-uri" => {
                if !experimental {
                    let message = format!("'{title}' is experimental");
                    let help = "write 'expose-experimental-directives' in the global section";
                    p.args.alert(word.span, message, help);
                    return None;
                }
                Action::Normalize(normalizer(p)?)
            }
            "set-status" => {
                let status = p.args.number(STATUSES)? as u16;
                let reason = match p.args.takes("reason") {
                    true => Some(p.args.need("a reason")?.bytes().into()),
                    false => None,
                };
                Action::SetStatus { status, reason }
            }
            "set-var" | "set-var-fmt" => set_var(p, name, &inside)?,
            "unset-var" => Action::UnsetVar(variable(p, &inside)?),
            "set-src" | "set-dst" => {
                let end = if name == "set-src" { End::Source } else { End::Destination };
                Action::SetAddress(end, Box::new(p.expr()?))
            }
            "set-src-port" | "set-dst-port" => {
                let end = if name == "set-src-port" { End::Source } else { End::Destination };
                Action::SetPort(end, Box::new(p.expr()?))
            }
            "set-tos" => Action::SetTos(integer(p, 255)? as u8),
            "set-mark" => Action::SetMark(integer(p, u32::MAX.into())? as u32),
            "set-nice" => {
                let word = p.args.need("a number from -1024 to 1024")?;
                match word.as_str().parse::<i32>() {
                    Ok(n) => Action::SetNice(n.clamp(-1024, 1024) as i16),
                    Err(_) => {
                        let message =
                            format!("'{title}' expects a number (got '{}')", word.as_str());
                        p.args.alert(word.span, message, "");
                        return None;
                    }
                }
            }
            "set-log-level" => {
                let word = p.args.need("a level, or 'silent'")?;
                match word.as_str() {
                    "silent" => Action::SetLogLevel(None),
                    text => match Level::named(text) {
                        Some(level) => Action::SetLogLevel(Some(level)),
                        None => {
                            let message = format!("'{title}' : no such level '{text}'");
                            let help = "known are: emerg, alert, crit, err, warning, notice, info, \
                                        debug and silent";
                            p.args.alert(word.span, message, help);
                            return None;
                        }
                    },
                }
            }
            "capture" => capture(p, draft, set)?,
            "add-acl" | "del-acl" | "set-map" | "del-map" => patterns(p, name, &inside)?,
            "disable-l7-retry" => Action::DisableL7Retry,
            "strict-mode" => {
                const MODES: [(&str, bool); 2] = [("on", true), ("off", false)];
                Action::StrictMode(p.args.choice(&MODES)?)
            }
            "wait-for-body" => wait_for_body(p)?,
            "set-timeout" => {
                const WHICH: [(&str, Which); 2] =
                    [("server", Which::Server), ("tunnel", Which::Tunnel)];
                let which = p.args.choice(&WHICH)?;
                let fixed = p
                    .args
                    .peek()
                    .is_some_and(|w| w.as_str().starts_with(|c: char| c.is_ascii_digit()));
                let value = if fixed {
                    TimeoutValue::Fixed(p.args.time(Unit::Millis)?)
                } else {
                    TimeoutValue::Expr(p.expr()?)
                };
                Action::SetTimeout(which, Box::new(value))
            }
            "set-priority-class" => Action::SetPriorityClass(Box::new(p.expr()?)),
            "set-priority-offset" => Action::SetPriorityOffset(Box::new(p.expr()?)),
            "switch-mode" => {
                const MODES: [(&str, ()); 1] = [("http", ())];
                const PROTOCOLS: [(&str, ()); 1] = [("h1", ())];
                p.args.choice(&MODES)?;
                if p.args.takes("proto") {
                    p.args.choice(&PROTOCOLS)?;
                }
                if !draft.proxy.role.has(crate::proxy::spec::Role::FRONTEND) {
                    let message = format!("'{title}' is for frontends only");
                    p.args.alert(
                        word.span,
                        message,
                        "the frontend is where a client's mode is set",
                    );
                    return None;
                }
                Action::SwitchHttp
            }
            // Without TLS there is no handshake to wait for.
            "wait-for-handshake" => Action::Nothing,
            _ => {
                debug_assert!(false, "'{title}' is said to work and is not compiled");
                return None;
            }
        };
        let at = phrase.args.position();
        if matches!(action, Action::SetMark(_)) {
            self.marked.get_or_insert(span);
        }
        Some((action, at))
    }
}

fn integer(p: &mut Phrase<'_, '_, '_>, max: u64) -> Option<u64> {
    let word = p.args.need("a number")?;
    let text = word.as_str();
    let parsed = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16),
        // As in C.
        None if text.starts_with('0') => u64::from_str_radix(text, 8),
        None => text.parse(),
    };
    match parsed {
        Ok(n) if n <= max => Some(n),
        _ => {
            let message = format!(
                "'{}' expects a number from 0 to {max}, in hexadecimal with 0x, or in octal with 0 \
                 (got '{text}')",
                p.args.name()
            );
            p.args.alert(word.span, message, "");
            None
        }
    }
}

fn template(p: &mut Phrase<'_, '_, '_>) -> Option<Box<Template>> {
    Some(Box::new(Template(p.format("what replaces it", Style::Http)?)))
}

/// `<name> [ -m <method> ]`.
fn name_match(p: &mut Phrase<'_, '_, '_>) -> Option<NameMatch> {
    const METHODS: [(&str, u8); 5] = [("str", 0), ("beg", 1), ("end", 2), ("sub", 3), ("reg", 4)];
    let word = p.args.need("a header's name")?;
    let how = if p.args.takes("-m") { p.args.choice(&METHODS)? } else { 0 };
    let text: Box<[u8]> = word.as_str().to_ascii_lowercase().into_bytes().into();
    Some(match how {
        0 => NameMatch::Is(text),
        1 => NameMatch::Begins(text),
        2 => NameMatch::Ends(text),
        3 => NameMatch::Contains(text),
        _ => match Pattern::new(word.as_str(), true) {
            Ok(pattern) => NameMatch::Matches(Box::new(pattern)),
            Err(mistake) => {
                p.mistake(word, &mistake);
                return None;
            }
        },
    })
}

fn normalizer(p: &mut Phrase<'_, '_, '_>) -> Option<Normalizer> {
    #[derive(Clone, Copy)]
    enum Kind {
        Plain(Normalizer),
        DotDot,
        Decode,
        Upper,
    }
    const KINDS: [(&str, Kind); 8] = [
        ("fragment-encode", Kind::Plain(Normalizer::FragmentEncode)),
        ("fragment-strip", Kind::Plain(Normalizer::FragmentStrip)),
        ("path-merge-slashes", Kind::Plain(Normalizer::MergeSlashes)),
        ("path-strip-dot", Kind::Plain(Normalizer::StripDot)),
        ("path-strip-dotdot", Kind::DotDot),
        ("percent-decode-unreserved", Kind::Decode),
        ("percent-to-uppercase", Kind::Upper),
        ("query-sort-by-name", Kind::Plain(Normalizer::SortQuery)),
    ];
    Some(match p.args.choice(&KINDS)? {
        Kind::Plain(normalizer) => normalizer,
        Kind::DotDot => Normalizer::StripDotDot { full: p.args.takes("full") },
        Kind::Decode => Normalizer::DecodeUnreserved { strict: p.args.takes("strict") },
        Kind::Upper => Normalizer::Uppercase { strict: p.args.takes("strict") },
    })
}

fn variable(p: &mut Phrase<'_, '_, '_>, inside: &[&str]) -> Option<crate::sample::vars::VarId> {
    let text = inside.first().copied().unwrap_or_default();
    match p.names.var(text) {
        Ok(var) => Some(var),
        Err(message) => {
            let message = format!("'{}' : {message}", p.args.name());
            let place = p.args.before();
            p.args.alert(place, message, "");
            None
        }
    }
}

fn set_var(p: &mut Phrase<'_, '_, '_>, name: &str, inside: &[&str]) -> Option<Action> {
    let var = variable(p, inside)?;
    let mut when = Vec::new();
    for word in &inside[1..] {
        let Some((_, only)) = Condition::ALL.iter().find(|(known, _)| known == word) else {
            let known: Vec<&str> = Condition::ALL.iter().map(|(known, _)| *known).collect();
            let message = format!("'{}' : no such condition '{word}'", p.args.name());
            let place = p.args.before();
            p.args.alert(place, message, &format!("known are: {}", known.join(", ")));
            return None;
        };
        when.push(*only);
    }
    let value = if name == "set-var" {
        Value::Expr(p.expr()?)
    } else {
        Value::Format(p.format("a format", Style::Plain)?)
    };
    Some(Action::SetVar { var, value: Box::new(value), when: when.into() })
}

/// `capture <expr> { len <bytes> | id <slot> }`.
fn capture(p: &mut Phrase<'_, '_, '_>, draft: &mut Draft, set: Set) -> Option<Action> {
    const KINDS: [(&str, bool); 2] = [("len", true), ("id", false)];
    let expr = Box::new(p.expr()?);
    let response = matches!(set, Set::HttpResponse | Set::AfterResponse);
    let place = p.args.place();
    let len = p.args.choice(&KINDS)?;
    let number = p.args.number(0..=u32::from(u16::MAX))?;
    let slots = &mut draft.proxy.captures[usize::from(response)];
    if !len {
        // Of a frontend the slots are known; a backend's rule uses those of whoever comes.
        if draft.proxy.role.has(crate::proxy::spec::Role::FRONTEND)
            && number as usize >= slots.len()
        {
            let message = format!("'{}' : there is no capture with the id {number}", p.args.name());
            p.args.alert(place, message, "declare it with 'declare capture'");
            return None;
        }
        return Some(Action::Capture { slot: number, len: u32::MAX, expr });
    }
    if response || !draft.proxy.role.has(crate::proxy::spec::Role::FRONTEND) {
        let message = format!("'{}' : 'len' is for requests in frontends; use 'id'", p.args.name());
        p.args.alert(place, message, "declare a slot with 'declare capture' in the frontend");
        return None;
    }
    slots.push(Capture { header: None, len: number });
    let slot = slots.len() as u32 - 1;
    Some(Action::Capture { slot, len: number, expr })
}

fn patterns(p: &mut Phrase<'_, '_, '_>, name: &str, inside: &[&str]) -> Option<Action> {
    let path = inside.first().copied().unwrap_or_default();
    // What reads it may stand further down.
    let file = p.names.changed_file(path);
    let key = Box::new(p.format("a key", Style::Plain)?);
    let (change, value) = match name {
        "add-acl" => (PatternChange::AddAcl, None),
        "del-acl" => (PatternChange::DelAcl, None),
        "set-map" => (PatternChange::SetMap, Some(Box::new(p.format("a value", Style::Plain)?))),
        _ => (PatternChange::DelMap, None),
    };
    Some(Action::Patterns { change, file, key, value })
}

/// `time <time> [ at-least <bytes> ]`.
fn wait_for_body(p: &mut Phrase<'_, '_, '_>) -> Option<Action> {
    const WORDS: [(&str, bool); 2] = [("time", true), ("at-least", false)];
    let (mut time, mut at_least) = (None, 0);
    while p.args.peek().is_some_and(|word| !matches!(word.as_str(), "if" | "unless")) {
        if p.args.choice(&WORDS)? {
            time = Some(p.args.time(Unit::Millis)?);
        } else {
            at_least = p.args.size(0..=u32::MAX.into())? as u32;
        }
    }
    let Some(time) = time else {
        let message = format!("'{}' expects 'time' and how long", p.args.name());
        p.args.alert(p.args.place(), message, "");
        return None;
    };
    Some(Action::WaitForBody { time, at_least })
}
