//! Lines of HAProxy 1.5 that are gone, as one writes them today: what an operator who brings an old
//! file pastes in the place of a line. Only where the two mean the same; what cannot be said so is
//! left to the advice of the keyword.
//!
//! The old words look at whole lines of a message, `Name: value` or `METHOD target VERSION`, with
//! a regular expression; the modern ones at a field's value, or at the target.

/// The modern form of a line, given its words without quotes and escapes.
pub(super) fn modern(words: &[&str]) -> Option<String> {
    let (keyword, rest) = words.split_first()?;
    let response = keyword.starts_with("rsp");
    let side = if response { Side::RESPONSE } else { Side::REQUEST };
    match *keyword {
        "redisp" | "redispatch" => rest.is_empty().then(|| "option redispatch".into()),
        "contimeout" => timeout("connect", rest),
        "clitimeout" => timeout("client", rest),
        "srvtimeout" => timeout("server", rest),
        "timeout" => match rest.split_first()? {
            (&"contimeout", rest) => timeout("connect", rest),
            (&"clitimeout", rest) => timeout("client", rest),
            (&"srvtimeout", rest) => timeout("server", rest),
            _ => None,
        },
        "monitor-net" => match rest {
            [network] => Some(line(&["http-request return status 200 if { src", network, "}"])),
            _ => None,
        },
        "block" => {
            is_condition(rest).then_some(())?;
            Some(format!("http-request deny {}", join(rest)))
        }
        "reqadd" | "rspadd" => {
            let (field, condition) = rest.split_first()?;
            let (name, value) = field.split_once(':')?;
            let made = [side.rule, "add-header", name, &format_of(value.trim_start())].map(quoted);
            with_condition(made.join(" "), condition)
        }
        "reqdel" | "reqidel" | "rspdel" | "rspidel" => {
            let (search, condition) = rest.split_first()?;
            let delete = |name: &str| format!("{} del-header {}", side.rule, quoted(name));
            match OldLine::of(search)? {
                OldLine::Field { name, value: None } => with_condition(delete(name), condition),
                OldLine::Names(names) => {
                    let names = quoted(&format!("^{names}$"));
                    let made = format!("{} del-header {names} -m reg", side.rule);
                    with_condition(made, condition)
                }
                // The old word would spare other lines of that name.
                OldLine::Field { .. } | OldLine::Target(_) => None,
            }
        }
        "reqrep" | "reqirep" | "rsprep" | "rspirep" => {
            let [search, with, condition @ ..] = rest else { return None };
            with_condition(replaced(side, search, with, ignores_case(keyword))?, condition)
        }
        "reqdeny" | "reqideny" | "rspdeny" | "rspideny" => matched(side, "deny", keyword, rest),
        "reqtarpit" | "reqitarpit" => matched(side, "tarpit", keyword, rest),
        "reqallow" | "reqiallow" | "reqpass" | "reqipass" => matched(side, "allow", keyword, rest),
        "reqsetbe" | "reqisetbe" => {
            let [search, backend, condition @ ..] = rest else { return None };
            let test = OldLine::of(search)?.test(side, ignores_case(keyword))?;
            with_test(&format!("use_backend {}", quoted(backend)), &test, condition)
        }
        _ => None,
    }
}

/// Which message a line is about.
#[derive(Clone, Copy)]
struct Side {
    rule: &'static str,
    field: &'static str,
    response: bool,
}

impl Side {
    const REQUEST: Side = Side { rule: "http-request", field: "req.fhdr", response: false };
    const RESPONSE: Side = Side { rule: "http-response", field: "res.fhdr", response: true };
}

/// What an old expression matches, as far as it is understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum OldLine<'a> {
    /// A field; none is any value, else an expression for its beginning.
    Field { name: &'a str, value: Option<&'a str> },
    /// Fields of several names, whatever their values: an expression for the name.
    Names(&'a str),
    /// The target of a request line: an expression for its beginning.
    Target(&'a str),
}

/// What may stand for the blanks behind a colon.
const BLANKS: [&str; 11] =
    [" *", " +", " ?", "[ ]*", "[ ]+", "\\s*", "\\s+", "[\\t ]*", "[ \\t]*", "[[:space:]]*", " "];

/// What may stand for any method and the blank behind it.
const METHODS: [&str; 6] = ["([^ :]*) ", "([^ ]*) ", "([A-Z]*) ", "[^ :]* ", "[^ ]* ", "[A-Z]* "];

impl<'a> OldLine<'a> {
    fn of(search: &'a str) -> Option<OldLine<'a>> {
        let search = search.strip_prefix('^')?;
        if let Some(target) = METHODS.iter().find_map(|method| search.strip_prefix(method)) {
            // What follows the target, too, is for the old expression to see.
            return (!target.contains(' ')).then_some(OldLine::Target(target));
        }
        let (name, value) = search.split_once(':')?;
        let value = BLANKS.iter().find_map(|blanks| value.strip_prefix(blanks)).unwrap_or(value);
        let value = (!matches!(value, "" | ".*" | ".*$" | "(.*)" | "(.*)$")).then_some(value);
        let token = |name: &str| !name.is_empty() && name.bytes().all(is_name);
        if token(name) {
            return Some(OldLine::Field { name, value });
        }
        let names = name.strip_prefix('(').and_then(|name| name.strip_suffix(')'))?;
        (value.is_none() && names.split('|').all(token)).then_some(OldLine::Names(name))
    }

    /// An ACL that matches the same.
    fn test(self, side: Side, ignore_case: bool) -> Option<String> {
        let flag = if ignore_case { " -i" } else { "" };
        match self {
            OldLine::Field { name, value: None } => {
                Some(format!("{{ {}({name}) -m found }}", side.field))
            }
            OldLine::Field { name, value: Some(value) } => {
                let value = quoted(&anchored(value));
                Some(format!("{{ {}({name}) -m reg{flag} {value} }}", side.field))
            }
            OldLine::Target(target) if !side.response => {
                Some(format!("{{ url -m reg{flag} {} }}", quoted(&anchored(target))))
            }
            OldLine::Names(_) | OldLine::Target(_) => None,
        }
    }
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// `reqirep` and kin.
fn ignores_case(keyword: &str) -> bool {
    keyword.as_bytes().get(3) == Some(&b'i')
}

/// An expression for the beginning of a text. What takes anything takes it from there.
fn anchored(expression: &str) -> String {
    if expression.starts_with(".*") || expression.starts_with("(.*") {
        return expression.to_owned();
    }
    format!("^{expression}")
}

/// A field's value, or a target, that is replaced.
fn replaced(side: Side, search: &str, with: &str, ignore_case: bool) -> Option<String> {
    let fold = |expression: String| {
        let letters = has_letters(&expression);
        if ignore_case && letters { format!("(?i){expression}") } else { expression }
    };
    let behind = search.strip_prefix('^')?;
    if let Some(target) = METHODS[..3].iter().find_map(|method| behind.strip_prefix(method)) {
        let made = with.strip_prefix("\\1 ")?;
        if side.response || target.contains(' ') || made.contains(' ') || made.contains("\\1") {
            return None;
        }
        let expression = quoted(&fold(anchored(target)));
        let made = quoted(&format_of(&one_group_less(made)));
        return Some(format!("http-request replace-pathq {expression} {made}"));
    }
    let (name, value) = behind.split_once(':')?;
    let value = BLANKS.iter().find_map(|blanks| value.strip_prefix(blanks)).unwrap_or(value);
    let (new_name, new_value) = with.split_once(':')?;
    if name.is_empty() || !name.bytes().all(is_name) || !name.eq_ignore_ascii_case(new_name) {
        return None;
    }
    // Old expressions may end anywhere: the whole line is replaced.
    let value = if value.is_empty() { ".*".to_owned() } else { fold(anchored(value)) };
    let made = quoted(&format_of(new_value.trim_start()));
    Some(format!("{} replace-header {name} {} {made}", side.rule, quoted(&value)))
}

/// Whether case matters to an expression: letters that are not escapes.
fn has_letters(expression: &str) -> bool {
    let mut escaped = false;
    expression.bytes().any(|byte| {
        let letter = byte.is_ascii_alphabetic() && !escaped;
        escaped = byte == b'\\' && !escaped;
        letter
    })
}

/// The groups of what replaces a match, of which the first is not there any more.
fn one_group_less(with: &str) -> String {
    let mut made = String::new();
    let mut escaped = false;
    for c in with.chars() {
        match c.to_digit(10) {
            Some(group @ 1..) if escaped => made.push_str(&(group - 1).to_string()),
            _ => made.push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    made
}

/// A rule with that action where the expression matches.
fn matched(side: Side, action: &str, keyword: &str, rest: &[&str]) -> Option<String> {
    let (search, condition) = rest.split_first()?;
    let test = OldLine::of(search)?.test(side, ignores_case(keyword))?;
    with_test(&format!("{} {action}", side.rule), &test, condition)
}

fn timeout(which: &str, rest: &[&str]) -> Option<String> {
    match rest {
        [time] => Some(line(&["timeout", which, time])),
        _ => None,
    }
}

fn is_condition(words: &[&str]) -> bool {
    words.len() > 1 && matches!(words[0], "if" | "unless")
}

fn with_condition(made: String, condition: &[&str]) -> Option<String> {
    match condition {
        [] => Some(made),
        words if is_condition(words) => Some(format!("{made} {}", join(words))),
        _ => None,
    }
}

/// The same where a test holds, too; none if the condition has alternatives.
fn with_test(made: &str, test: &str, condition: &[&str]) -> Option<String> {
    let Some((word, terms)) = condition.split_first() else {
        return Some(format!("{made} if {test}"));
    };
    let single = match terms {
        [name] => !name.starts_with('!'),
        ["{", inner @ .., "}"] => !inner.contains(&"}"),
        _ => false,
    };
    match *word {
        "if" if is_condition(condition) && !terms.iter().any(|t| matches!(*t, "or" | "||")) => {
            Some(format!("{made} if {test} {}", join(terms)))
        }
        "unless" if single => Some(format!("{made} if {test} !{}", join(terms))),
        _ => None,
    }
}

fn line(words: &[&str]) -> String {
    words.join(" ")
}

fn join(words: &[&str]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// Text as a format has it.
fn format_of(text: &str) -> String {
    text.replace('%', "%%")
}

/// A word as one writes it: in quotes where it needs some.
fn quoted(word: &str) -> String {
    let special = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '#');
    let escapes = word.char_indices().any(|(at, c)| {
        let next = word[at + c.len_utf8()..].chars().next();
        c == '\\'
            && next.is_none_or(|next| special(next) || matches!(next, '\\' | 'n' | 'r' | 't' | 'x'))
    });
    if !word.is_empty() && !word.contains(special) && !escapes {
        return word.to_owned();
    }
    if !word.contains('\'') {
        return format!("'{word}'");
    }
    let mut made = String::from("\"");
    for c in word.chars() {
        if matches!(c, '"' | '\\' | '$') {
            made.push('\\');
        }
        made.push(c);
    }
    made.push('"');
    made
}

#[cfg(test)]
mod tests {
    use super::modern;
    use crate::build::tests::http;
    use crate::config::lexer::{self, Place};
    use crate::config::{Environment, MapHost, Word};

    /// Old lines and what they are today; `-` is what cannot be said so.
    const LINES: &[(&str, &str)] = &[
        (r"redispatch", "option redispatch"),
        (r"contimeout 5000", "timeout connect 5000"),
        (r"clitimeout 50s", "timeout client 50s"),
        (r"srvtimeout 50s", "timeout server 50s"),
        (r"timeout clitimeout 1m", "timeout client 1m"),
        (r"monitor-net 10.0.0.0/8", "http-request return status 200 if { src 10.0.0.0/8 }"),
        (r"block if x", "http-request deny if x"),
        (r"block unless x or y", "http-request deny unless x or y"),
        (r"block", "-"),
        (
            r"reqadd X-Forwarded-Proto:\ https if x",
            "http-request add-header X-Forwarded-Proto https if x",
        ),
        (r"reqadd X-A:\ one\ 50%", "http-request add-header X-A 'one 50%%'"),
        (r"reqadd nonsense", "-"),
        (r"rspadd X-Via:it\'s", r#"http-response add-header X-Via "it's""#),
        (r"rspidel ^Server:.*", "http-response del-header Server"),
        (r"rspdel ^Server:\ .*", "http-response del-header Server"),
        (r"reqidel ^X-Forwarded-For:", "http-request del-header X-Forwarded-For"),
        (
            r"rspidel ^(Server|X-Powered-By):.*",
            "http-response del-header ^(Server|X-Powered-By)$ -m reg",
        ),
        (r"reqidel ^Cookie:\ .*secret unless x", "-"),
        (r"rspidel ^Set-Cookie:\ SERVERID", "-"),
        (r"rspidel Server", "-"),
        (r"reqirep ^Host:\ (.*) Host:\ www", "http-request replace-header Host (.*) www"),
        (
            r"reqirep ^Host:\ old\.(.*) Host:\ new.\1 if x",
            r"http-request replace-header Host (?i)^old\.(.*) new.\1 if x",
        ),
        (
            r"rsprep ^Location:\ http://(.*) Location:\ https://\1",
            r"http-response replace-header Location ^http://(.*) https://\1",
        ),
        (
            r"reqrep ^([^\ :]*)\ /static/(.*) \1\ /\2",
            r"http-request replace-pathq ^/static/(.*) /\1",
        ),
        (r"reqrep ^([^\ :]*)\ /a\ (.*) \1\ /b\ \2", "-"),
        (r"reqrep ^Host:\ (.*) X-Host:\ \1", "-"),
        (r"reqideny ^[^\ :]*\ .*/\.\./", r"http-request deny if { url -m reg -i .*/\.\./ }"),
        (r"reqdeny ^[^\ ]*\ /admin if x", "http-request deny if { url -m reg ^/admin } x"),
        (r"reqdeny ^[^\ ]*\ /admin if x or y", "-"),
        (r"reqdeny ^[^\ ]*\ /admin unless !x", "-"),
        (
            r"reqdeny ^Cookie:\ .*secret unless x",
            "http-request deny if { req.fhdr(Cookie) -m reg .*secret } !x",
        ),
        (
            r"reqitarpit ^User-Agent:\ bad",
            "http-request tarpit if { req.fhdr(User-Agent) -m reg -i ^bad }",
        ),
        (r"reqipass ^X-Key:", "http-request allow if { req.fhdr(X-Key) -m found }"),
        (r"rspdeny ^X-Secret:\ yes", "http-response deny if { res.fhdr(X-Secret) -m reg ^yes }"),
        (
            r"reqisetbe ^Host:\ img\. static unless { src 10.0.0.1 }",
            r"use_backend static if { req.fhdr(Host) -m reg -i ^img\. } !{ src 10.0.0.1 }",
        ),
    ];

    #[test]
    fn old_lines_and_what_they_are_today() {
        let host = MapHost::default();
        let place = Place { file: "t.cfg", file_index: 0, line: 1, section: "l" };
        for (old, expected) in LINES {
            let words = lexer::words(old.as_bytes(), place, &Environment::new(&host)).unwrap();
            let words: Vec<&str> = words.iter().map(Word::as_str).collect();
            assert_eq!(modern(&words).as_deref().unwrap_or("-"), *expected, "{old}");
        }
    }

    #[test]
    fn what_is_advised_can_be_loaded() {
        for (_, today) in LINES.iter().filter(|(_, today)| *today != "-") {
            http(&format!(
                "backend static\nlisten l\nbind :1\nacl x src 127.0.0.1\nacl y src ::1\n{today}\n"
            ));
        }
    }
}
