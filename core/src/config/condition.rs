//! Conditions: `.if`, `.elif` and `-cc`.
//!
//! ```text
//!   expression = and ["||" expression]          the whole is parsed before anything is evaluated
//!   and        = term ["&&" and]
//!   term       = "!"* ( "(" expression ")" | integer | predicate ["(" arguments ")"] )
//! ```

use std::cmp::Ordering;
use std::fmt;

use super::HAPROXY_VERSION;
use super::environment::Environment;
use super::lexer::{self, Place};

/// The build features that HAProxy 2.6 knows, and whether this build has them: what `-vv` prints
/// and `feature()` answers.
pub const FEATURES: &[(&str, bool)] = &[
    ("51DEGREES", false),
    ("ACCEPT4", cfg!(target_os = "linux")),
    ("BACKTRACE", false),
    ("CLOSEFROM", false),
    ("CPU_AFFINITY", false),
    ("CRYPT_H", false),
    ("DEVICEATLAS", false),
    ("DL", false),
    ("ENGINE", false),
    ("EPOLL", cfg!(target_os = "linux")),
    ("EVPORTS", false),
    ("GETADDRINFO", true),
    ("KQUEUE", cfg!(any(target_os = "macos", target_os = "freebsd"))),
    ("LIBCRYPT", false),
    ("LINUX_SPLICE", cfg!(target_os = "linux")),
    ("LINUX_TPROXY", false),
    ("LUA", false),
    ("MEMORY_PROFILING", false),
    ("NETFILTER", false),
    ("NS", false),
    ("OBSOLETE_LINKER", false),
    ("OPENSSL", false),
    ("OT", false),
    ("PCRE", false),
    ("PCRE2", false),
    ("PCRE2_JIT", false),
    ("PCRE_JIT", false),
    ("POLL", false),
    ("PRCTL", false),
    ("PROCCTL", false),
    ("PROMEX", false),
    ("QUIC", false),
    ("RT", false),
    ("SLZ", false),
    ("STATIC_PCRE", false),
    ("STATIC_PCRE2", false),
    ("SYSTEMD", false),
    ("TFO", cfg!(target_os = "linux")),
    ("THREAD", true),
    ("THREAD_DUMP", false),
    ("TPROXY", false),
    ("WURFL", false),
    ("ZLIB", false),
];

/// Why a condition has no value: one sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConditionError(String);

impl fmt::Display for ConditionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The value of a condition whose words are already resolved and joined by single blanks. Nothing
/// is false.
pub fn evaluate(text: &str, env: &Environment<'_>) -> Result<bool, ConditionError> {
    if text.is_empty() {
        return Ok(false);
    }
    let mut parser = Parser { text, at: 0, depth: 0 };
    let expression = parser.expression()?;
    parser.skip_blanks();
    if let Some(stray) = parser.rest().chars().next() {
        return Err(ConditionError(format!(
            "unexpected character '{stray}' at the end of conditional expression '{text}'"
        )));
    }
    expression.value(env)
}

/// The value of `-cc`'s argument, in which quotes, escapes and variables still stand.
pub fn evaluate_argument(text: &str, env: &Environment<'_>) -> Result<bool, ConditionError> {
    // A '#' begins no comment here.
    let escaped = escape_hashes(text);
    let place = Place { file: "", file_index: 0, line: 0, section: "" };
    let words = lexer::words(escaped.as_bytes(), place, env)
        .map_err(|error| ConditionError(format!("{} at position {}", error.kind, error.at + 1)))?;
    let words: Vec<&str> = words.iter().map(lexer::Word::as_str).collect();
    if words.is_empty() && !text.is_empty() {
        return Err(unparsable(text));
    }
    evaluate(&words.join(" "), env)
}

/// A backslash before every '#' outside quotes that has none.
fn escape_hashes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut quote, mut escaped) = (None, false);
    for c in text.chars() {
        match (c, quote) {
            ('#', None) if !escaped => out.push('\\'),
            ('"' | '\'', None) if !escaped => quote = Some(c),
            (_, Some(open)) if c == open && !(escaped && open == '"') => quote = None,
            _ => {}
        }
        escaped = c == '\\' && !escaped && quote != Some('\'');
        out.push(c);
    }
    out
}

enum Expression {
    Constant(bool),
    Not(Box<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Call(Predicate, Vec<String>),
}

#[derive(Clone, Copy)]
enum Predicate {
    Defined,
    Feature,
    Streq,
    Strneq,
    VersionAtleast,
    VersionBefore,
    OpensslVersionAtleast,
    OpensslVersionBefore,
    SsllibNameStartswith,
}

impl Predicate {
    fn named(name: &str) -> Option<(Predicate, usize)> {
        Some(match name {
            "defined" => (Predicate::Defined, 1),
            "feature" => (Predicate::Feature, 1),
            "streq" => (Predicate::Streq, 2),
            "strneq" => (Predicate::Strneq, 2),
            "version_atleast" => (Predicate::VersionAtleast, 1),
            "version_before" => (Predicate::VersionBefore, 1),
            "openssl_version_atleast" => (Predicate::OpensslVersionAtleast, 1),
            "openssl_version_before" => (Predicate::OpensslVersionBefore, 1),
            "ssllib_name_startswith" => (Predicate::SsllibNameStartswith, 1),
            _ => return None,
        })
    }
}

impl Expression {
    fn value(&self, env: &Environment<'_>) -> Result<bool, ConditionError> {
        Ok(match self {
            Expression::Constant(truth) => *truth,
            Expression::Not(inner) => !inner.value(env)?,
            Expression::All(parts) => {
                for part in parts {
                    if !part.value(env)? {
                        return Ok(false);
                    }
                }
                true
            }
            Expression::Any(parts) => {
                for part in parts {
                    if part.value(env)? {
                        return Ok(true);
                    }
                }
                false
            }
            Expression::Call(predicate, arguments) => {
                let argument = |index: usize| arguments.get(index).map_or("", String::as_str);
                let version = || compare_versions(HAPROXY_VERSION, argument(0));
                match predicate {
                    Predicate::Defined => env.var(argument(0)).is_some(),
                    Predicate::Feature => FEATURES.contains(&(argument(0), true)),
                    Predicate::Streq => argument(0) == argument(1),
                    Predicate::Strneq => argument(0) != argument(1),
                    Predicate::VersionAtleast => version() != Ordering::Less,
                    Predicate::VersionBefore => version() == Ordering::Less,
                    Predicate::SsllibNameStartswith => false,
                    Predicate::OpensslVersionAtleast | Predicate::OpensslVersionBefore => {
                        return Err(ConditionError(
                            "this build has no OpenSSL whose version could be compared; test \
                             feature(OPENSSL) first"
                                .into(),
                        ));
                    }
                }
            }
        })
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn expression(&mut self) -> Result<Expression, ConditionError> {
        let mut parts = vec![self.and()?];
        while self.takes("||") {
            parts.push(self.and()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Any(parts) })
    }

    fn and(&mut self) -> Result<Expression, ConditionError> {
        let mut parts = vec![self.term()?];
        while self.takes("&&") {
            parts.push(self.term()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::All(parts) })
    }

    fn term(&mut self) -> Result<Expression, ConditionError> {
        /// Parentheses in one another.
        const DEPTH_MAX: usize = 64;
        let mut negated = false;
        while self.takes("!") {
            negated = !negated;
        }
        self.skip_blanks();
        let start = self.at;
        let inner = if self.takes("(") {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err(ConditionError("too many nested parentheses".into()));
            }
            let inner = self.expression()?;
            if !self.takes(")") {
                return Err(ConditionError(format!(
                    "expected ')' after conditional expression '{}'",
                    &self.text[start..]
                )));
            }
            self.depth -= 1;
            inner
        } else if let Some(truth) = self.integer() {
            Expression::Constant(truth)
        } else {
            self.predicate()?
        };
        Ok(if negated { Expression::Not(Box::new(inner)) } else { inner })
    }

    /// An integer: is it other than zero?
    fn integer(&mut self) -> Option<bool> {
        let rest = self.rest();
        let digits = rest.strip_prefix(['+', '-']).unwrap_or(rest);
        let (digits, radix) = match digits.strip_prefix("0x") {
            Some(hex) if hex.starts_with(|c: char| c.is_ascii_hexdigit()) => (hex, 16),
            _ => (digits, 10),
        };
        let length = digits.chars().take_while(|c| c.is_digit(radix)).count();
        if length == 0 {
            return None;
        }
        self.at += rest.len() - digits.len() + length;
        Some(digits[..length].bytes().any(|digit| digit != b'0'))
    }

    fn predicate(&mut self) -> Result<Expression, ConditionError> {
        let rest = self.rest();
        let length =
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let name = &rest[..length];
        let (predicate, count) = Predicate::named(name).ok_or_else(|| unparsable(rest))?;
        self.at += length;
        let mut arguments = Vec::new();
        if self.rest().starts_with('(') {
            self.at += 1;
            arguments = self.arguments(name, count)?;
        }
        let empty = arguments.len() == 1 && arguments[0].is_empty();
        if count > 1 && (arguments.len() < count || empty) {
            let got = if empty { 0 } else { arguments.len() };
            return Err(ConditionError(format!(
                "missing arguments (got {got}/{count}), type 'string' expected in argument 1 of \
                 predicate '{name}' used in conditional expression"
            )));
        }
        Ok(Expression::Call(predicate, arguments))
    }

    /// From behind the opening parenthesis past the closing one. Quotes and backslashes protect.
    fn arguments(&mut self, name: &str, max: usize) -> Result<Vec<String>, ConditionError> {
        let mut arguments = vec![String::new()];
        let mut quote = None;
        let start = self.at;
        let mut chars = self.text[start..].char_indices();
        while let Some((offset, c)) = chars.next() {
            let last = arguments.len() - 1;
            match (c, quote) {
                (')', None) => {
                    self.at = start + offset + 1;
                    return Ok(arguments);
                }
                (',', None) if arguments.len() < max => arguments.push(String::new()),
                (',', None) => {
                    return Err(ConditionError(format!(
                        "expected ')' before '{}' in argument {} of predicate '{name}' used in \
                         conditional expression",
                        &self.text[start + offset..],
                        arguments.len()
                    )));
                }
                ('"' | '\'', None) => quote = Some(c),
                (_, Some(open)) if c == open => quote = None,
                ('\\', None | Some('"')) => match chars.next() {
                    Some((_, 'n')) => arguments[last].push('\n'),
                    Some((_, 'r')) => arguments[last].push('\r'),
                    Some((_, 't')) => arguments[last].push('\t'),
                    Some((_, c @ (' ' | '\\' | '"' | '\''))) => arguments[last].push(c),
                    Some((_, c)) => arguments[last].extend(['\\', c]),
                    None => arguments[last].push('\\'),
                },
                _ => arguments[last].push(c),
            }
        }
        Err(ConditionError(format!(
            "expected ')' in argument {} of predicate '{name}' used in conditional expression",
            arguments.len()
        )))
    }

    fn takes(&mut self, token: &str) -> bool {
        self.skip_blanks();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }
}

fn unparsable(rest: &str) -> ConditionError {
    ConditionError(format!("unparsable conditional expression '{rest}'"))
}

/// Orders versions `[v]A.B[.C…][-devN][-M]`: missing parts are zero, dev comes before the release,
/// commits after it.
fn compare_versions(a: &str, b: &str) -> Ordering {
    version(a).cmp(&version(b))
}

/// Four numbers, the dev number (a release is later than all), and commits since.
fn version(text: &str) -> ([u64; 4], u64, u64) {
    let mut rest = text.strip_prefix('v').unwrap_or(text);
    let number = |rest: &mut &str| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let value = rest[..digits].parse().unwrap_or(0);
        *rest = &rest[digits..];
        value
    };
    let mut parts = [0; 4];
    for part in &mut parts {
        *part = number(&mut rest);
        match rest.strip_prefix('.') {
            Some(more) => rest = more,
            None => break,
        }
    }
    let mut dev = u64::MAX;
    if let Some(more) = rest.strip_prefix("-dev") {
        rest = more;
        dev = number(&mut rest);
    }
    let commits = match rest.strip_prefix('-') {
        Some(more) => number(&mut { more }),
        None => 0,
    };
    (parts, dev, commits)
}

#[cfg(test)]
#[path = "condition_test.rs"]
mod tests;
