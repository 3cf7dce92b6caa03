//! Answers and redirects in rules.

use crate::config::{Host, Word};
use crate::logfmt::format::{Format, Style};
use crate::reply;
use crate::rule::{Redirect, RedirectKind, Reply, ReplyBody};

use super::super::error_file::{self, DefaultPath, ErrorSets};
use super::super::phrase::Phrase;

/// Where the files of answers come from.
pub(in crate::build) struct Pages<'a> {
    pub(in crate::build) host: &'a dyn Host,
    pub(in crate::build) sets: &'a ErrorSets,
    pub(in crate::build) default_path: &'a DefaultPath,
    /// The configuration file that names them.
    pub(in crate::build) config: &'a str,
    /// `tune.bufsize`.
    pub(in crate::build) max: usize,
}

/// What an answer is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::build) enum Purpose {
    /// `deny`, with this status if none is given.
    Deny(u16),
    /// `return`.
    Return,
    /// `http-error`.
    Error,
}

/// The words of an answer, up to a condition or the end.
pub(in crate::build) fn answer(
    phrase: &mut Phrase<'_, '_, '_>,
    purpose: Purpose,
    pages: &Pages<'_>,
) -> Option<Reply> {
    let (default, mut body) = match purpose {
        Purpose::Deny(status) => (status, ReplyBody::Page),
        Purpose::Return => (200, ReplyBody::Empty),
        Purpose::Error => (0, ReplyBody::Empty),
    };
    let mut status = None;
    let mut content_type: Option<Box<str>> = None;
    let mut fields = Vec::new();
    let mut file_status = None;
    let mut set: Option<&Word> = None;
    let mut whole = false;
    let mut stated = false;
    while let Some(word) = phrase.args.peek() {
        let name = word.as_str();
        match name {
            "if" | "unless" => break,
            "status" | "deny_status" => {
                phrase.args.next();
                let word = phrase.args.need("a status")?;
                let span = word.span;
                let number = word.as_str().parse::<u16>().ok();
                let fits = |n: u16| match purpose {
                    Purpose::Return => (200..=599).contains(&n),
                    _ => reply::is_known(n),
                };
                match number {
                    Some(n) if fits(n) => {
                        status = Some(n);
                        // `status` asks for an answer of one's own, which is empty if nothing else
                        // is said; `deny_status` for the usual page.
                        if name == "status" && !stated {
                            body = ReplyBody::Empty;
                        }
                    }
                    _ => {
                        let known: Vec<String> = reply::known().map(|n| n.to_string()).collect();
                        let help = match purpose {
                            Purpose::Return => "a number from 200 to 599".to_owned(),
                            _ => format!("known are: {}", known.join(", ")),
                        };
                        let message = format!(
                            "'{}' : invalid status '{}'",
                            phrase.args.name(),
                            word.as_str()
                        );
                        phrase.args.alert(span, message, &help);
                        return None;
                    }
                }
            }
            "content-type" => {
                phrase.args.next();
                content_type = Some(phrase.args.need("a media type")?.as_str().into());
            }
            "hdr" => {
                phrase.args.next();
                let name = field_name(phrase)?;
                fields.push((name, phrase.format("the header's value", Style::Http)?));
            }
            "default-errorfiles" | "errorfile" | "errorfiles" | "file" | "lf-file" | "string"
            | "lf-string" => {
                phrase.args.next();
                if stated {
                    let message = format!(
                        "'{}' : an answer has one body, not '{name}' too",
                        phrase.args.name()
                    );
                    phrase.args.alert(word.span, message, "");
                    return None;
                }
                stated = true;
                whole = name.contains("errorfile");
                if name == "errorfiles" {
                    set = Some(error_set(phrase, pages)?);
                    body = ReplyBody::Page;
                } else {
                    body = payload(phrase, name, pages, &mut file_status)?;
                }
            }
            other => {
                let message = format!(
                    "'{}' : unexpected '{other}'; an answer has 'status', 'content-type', a body \
                     ('string', 'lf-string', 'file', 'lf-file', 'errorfile', 'errorfiles', \
                     'default-errorfiles') and 'hdr'",
                    phrase.args.name()
                );
                phrase.args.alert(word.span, message, "");
                return None;
            }
        }
    }
    let status = status.or(file_status).unwrap_or(default);
    if whole && !fields.is_empty() {
        fields.clear();
        let message = format!("'{}' : 'hdr' adds nothing to a whole page", phrase.args.name());
        phrase.names.warnings.push((phrase.args.place(), message));
    }
    if let Some(word) = set {
        let of_set = pages.sets.get(word.as_str()).into_iter().flatten();
        let page = of_set.into_iter().find(|(known, _)| *known == status);
        if page.is_none() {
            let without =
                if purpose == Purpose::Error { "the line has no effect" } else { "it is empty" };
            let message = format!(
                "'{}' : http-errors section '{}' has no page for {status}: {without}",
                phrase.args.name(),
                word.as_str()
            );
            phrase.names.warnings.push((word.span, message));
        }
        body = match page {
            Some((_, page)) => ReplyBody::File(page.clone()),
            None if purpose == Purpose::Error => return None,
            None => ReplyBody::Empty,
        };
    }
    match &mut body {
        ReplyBody::Bytes(bytes, kind) => match content_type {
            Some(stated) => *kind = stated,
            None if !bytes.is_empty() => return lacks_type(phrase),
            None => {}
        },
        ReplyBody::Format(_, kind) => match content_type {
            Some(stated) => *kind = stated,
            None => return lacks_type(phrase),
        },
        ReplyBody::Empty | ReplyBody::Page | ReplyBody::File(_) => {}
    }
    Some(Reply { status, body, fields })
}

/// The next word is the name of an `http-errors` section.
fn error_set<'s>(phrase: &mut Phrase<'s, '_, '_>, pages: &Pages<'_>) -> Option<&'s Word> {
    let word = phrase.args.need("the name of an http-errors section")?;
    if pages.sets.contains_key(word.as_str()) {
        return Some(word);
    }
    let message = format!("unknown http-errors section '{}'", word.as_str());
    phrase.args.alert(word.span, message, "it must stand above its use");
    None
}

fn lacks_type<T>(phrase: &mut Phrase<'_, '_, '_>) -> Option<T> {
    let message =
        format!("'{}' : a body needs 'content-type', such as text/plain", phrase.args.name());
    phrase.args.alert(phrase.args.place(), message, "");
    None
}

fn payload(
    phrase: &mut Phrase<'_, '_, '_>,
    kind: &str,
    pages: &Pages<'_>,
    file_status: &mut Option<u16>,
) -> Option<ReplyBody> {
    match kind {
        "default-errorfiles" => Some(ReplyBody::Page),
        "string" => {
            let word = phrase.args.next()?;
            Some(ReplyBody::Bytes(word.bytes().into(), "".into()))
        }
        "lf-string" => {
            let format = phrase.format("a format", Style::Http)?;
            Some(ReplyBody::Format(Box::new(format), "".into()))
        }
        _ => {
            let word = phrase.args.need("a file")?;
            let path = pages.default_path.resolve(word.as_str(), pages.config);
            let bytes = match pages.host.read(&path) {
                Ok(bytes) => bytes,
                Err(error) => {
                    let message = format!("'{kind}' : error opening file '{path}': {error}");
                    phrase.args.alert(word.span, message, "");
                    return None;
                }
            };
            if bytes.len() > pages.max {
                let message = format!("'{kind}' : '{path}' is longer than {} bytes", pages.max);
                phrase.args.alert(word.span, message, "'tune.bufsize' is the limit");
                return None;
            }
            match kind {
                "file" => Some(ReplyBody::Bytes(bytes.into(), "".into())),
                "lf-file" => {
                    let text = crate::config::Word::new(bytes, word.span);
                    let format = phrase.format_of(&text, Style::Http)?;
                    Some(ReplyBody::Format(Box::new(format), "".into()))
                }
                _ => match error_file::answer(&bytes) {
                    Ok(answer) => {
                        *file_status = error_file::status_of(&answer);
                        Some(ReplyBody::File(answer))
                    }
                    Err(error) => {
                        let message = format!("'{kind}' : '{path}': {error}");
                        phrase.args.alert(word.span, message, "");
                        None
                    }
                },
            }
        }
    }
}

/// The next word is the name of a header field, which is taken in lower case.
pub(super) fn field_name(phrase: &mut Phrase<'_, '_, '_>) -> Option<Box<[u8]>> {
    let word = phrase.args.need("a header's name")?;
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !word.bytes().iter().all(|b| token(*b)) {
        let message = format!("'{}' is no header name", word.as_str());
        phrase.args.alert(word.span, message, "");
        return None;
    }
    Some(word.as_str().to_ascii_lowercase().into_bytes().into())
}

/// The words of a redirect, up to a condition or the end, and where they end.
pub(super) fn redirect(phrase: &mut Phrase<'_, '_, '_>) -> Option<(Redirect, usize)> {
    let mut target: Option<(RedirectKind, Format)> = None;
    let mut redirect_status = 302;
    let (mut drop_query, mut append_slash, mut ignore_empty) = (false, false, false);
    let mut cookie: Option<Box<[u8]>> = None;
    while let Some(word) = phrase.args.peek() {
        let name = word.as_str();
        if matches!(name, "if" | "unless") {
            break;
        }
        phrase.args.next();
        match name {
            "location" | "prefix" | "scheme" => {
                let kind = match name {
                    "location" => RedirectKind::Location,
                    "prefix" => RedirectKind::Prefix,
                    _ => RedirectKind::Scheme,
                };
                target = Some((kind, phrase.format("a target", Style::Http)?));
            }
            "code" => {
                const CODES: [(&str, u16); 5] =
                    [("301", 301), ("302", 302), ("303", 303), ("307", 307), ("308", 308)];
                redirect_status = phrase.args.choice(&CODES)?;
            }
            "drop-query" => drop_query = true,
            "append-slash" => append_slash = true,
            "ignore-empty" => ignore_empty = true,
            "set-cookie" => {
                let cookie_text = phrase.args.need("a cookie: a name, or name=value")?;
                let text = cookie_text.as_str();
                let value = format!("{text}; path=/;");
                cookie = Some(value.into_bytes().into());
            }
            "clear-cookie" => {
                let text = phrase.args.need("a cookie's name")?.as_str();
                let value = format!("{text}; path=/; Max-Age=0;");
                cookie = Some(value.into_bytes().into());
            }
            other => {
                let message = format!(
                    "'{}' expects 'code', 'prefix', 'location', 'scheme', 'set-cookie', \
                     'clear-cookie', 'drop-query', 'append-slash' or 'ignore-empty' (got \
                     '{other}')",
                    phrase.args.name()
                );
                phrase.args.alert(word.span, message, "");
                return None;
            }
        }
    }
    let Some((kind, target)) = target else {
        let message = format!("'{}' expects 'location', 'prefix' or 'scheme'", phrase.args.name());
        phrase.args.alert(phrase.args.place(), message, "");
        return None;
    };
    let status = redirect_status;
    let redirect =
        Redirect { kind, target, status, drop_query, append_slash, ignore_empty, cookie };
    Some((redirect, phrase.args.position()))
}
