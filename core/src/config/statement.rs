//! Lines into sections of statements: section heads, `no` and `default`, conditional blocks,
//! messages, and the four words of `global` that change what later lines say.

use std::collections::BTreeSet;

use super::condition;
use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::environment::Environment;
use super::lexer::{self, Place, Word};
use super::similar::nearest;
use super::source::{Source, Span};

/// The kinds of section of HAProxy 2.6.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SectionKind {
    /// `global`: the process.
    Global,
    /// `defaults`: what the proxies after it start from.
    Defaults,
    /// `frontend`: takes clients.
    Frontend,
    /// `backend`: has servers.
    Backend,
    /// `listen`: both.
    Listen,
    /// `userlist`: names and passwords.
    Userlist,
    /// `peers`: other instances to share tables with.
    Peers,
    /// `resolvers`: name servers.
    Resolvers,
    /// `mailers`: mail servers.
    Mailers,
    /// `http-errors`: a set of error pages.
    HttpErrors,
    /// `ring`: a buffer for logs.
    Ring,
    /// `log-forward`: a syslog relay.
    LogForward,
    /// `cache`: an HTTP cache.
    Cache,
    /// `fcgi-app`: a FastCGI application.
    FcgiApp,
    /// `program`: another process.
    Program,
}

impl SectionKind {
    /// Every kind.
    pub const ALL: [SectionKind; 15] = [
        SectionKind::Global,
        SectionKind::Defaults,
        SectionKind::Frontend,
        SectionKind::Backend,
        SectionKind::Listen,
        SectionKind::Userlist,
        SectionKind::Peers,
        SectionKind::Resolvers,
        SectionKind::Mailers,
        SectionKind::HttpErrors,
        SectionKind::Ring,
        SectionKind::LogForward,
        SectionKind::Cache,
        SectionKind::FcgiApp,
        SectionKind::Program,
    ];

    /// The word that begins such a section.
    pub const fn as_str(self) -> &'static str {
        match self {
            SectionKind::Global => "global",
            SectionKind::Defaults => "defaults",
            SectionKind::Frontend => "frontend",
            SectionKind::Backend => "backend",
            SectionKind::Listen => "listen",
            SectionKind::Userlist => "userlist",
            SectionKind::Peers => "peers",
            SectionKind::Resolvers => "resolvers",
            SectionKind::Mailers => "mailers",
            SectionKind::HttpErrors => "http-errors",
            SectionKind::Ring => "ring",
            SectionKind::LogForward => "log-forward",
            SectionKind::Cache => "cache",
            SectionKind::FcgiApp => "fcgi-app",
            SectionKind::Program => "program",
        }
    }

    /// Whether it is `defaults` or a proxy, which share their keywords and may have `from`.
    pub const fn is_proxy(self) -> bool {
        use SectionKind::*;
        matches!(self, Defaults | Frontend | Backend | Listen)
    }
}

/// `no` or `default` before a keyword.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Negation {
    /// Neither.
    #[default]
    Plain,
    /// `no option x`: off.
    No,
    /// `default option x`: as if never mentioned.
    Default,
}

/// A line that says something. `no` and `default` are not among its words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statement {
    /// The keyword and its arguments; at least one word.
    pub words: Vec<Word>,
    /// What stood before the keyword.
    pub negation: Negation,
}

impl Statement {
    /// The word `index`, or the empty word if there are fewer.
    pub fn word(&self, index: usize) -> &str {
        self.words.get(index).map_or("", Word::as_str)
    }

    /// Where the word `index` stands; if there are fewer, just behind the last.
    pub fn place(&self, index: usize) -> Span {
        match self.words.get(index) {
            Some(word) => word.span,
            None => {
                let last = self.span();
                Span { start: last.end, end: last.end + 1, ..last }
            }
        }
    }

    /// From its first word to its last.
    pub fn span(&self) -> Span {
        self.words[0].span.to(self.words[self.words.len() - 1].span)
    }
}

/// A section: its head and the statements up to the next head or the end of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// Which kind.
    pub kind: SectionKind,
    /// Its name, if it has one.
    pub name: Option<Word>,
    /// The `defaults` section named after `from`.
    pub from: Option<Word>,
    /// Where its head stands.
    pub span: Span,
    /// What it says.
    pub statements: Vec<Statement>,
}

impl Section {
    /// Its name, or the empty string.
    pub fn name(&self) -> &str {
        self.name.as_ref().map_or("", Word::as_str)
    }
}

/// Reads every source. What is wrong goes to `diagnostics`; reading goes on behind it.
pub fn read(
    sources: &[Source],
    env: &mut Environment<'_>,
    diagnostics: &mut Diagnostics,
) -> Vec<Section> {
    let mut sections = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let mut reader = Reader {
            source,
            file: index as u32,
            line: 0,
            env,
            diagnostics,
            sections: &mut sections,
            inside: Inside::Nothing,
            blocks: Vec::new(),
        };
        reader.file();
    }
    sections
}

/// Conditional blocks in one another.
const BLOCKS_MAX: usize = 64;

/// Where the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// Before the first section.
    Nothing,
    /// In the last section of the list.
    Section,
    /// In a section whose head is wrong: its statements are skipped.
    Broken,
}

/// An `.if` that is open.
struct Block {
    span: Span,
    /// Whether its lines count now.
    active: bool,
    /// Whether one branch has counted, or may not (the block stands in one that does not count).
    settled: bool,
    /// `.else` was seen.
    last: bool,
}

struct Reader<'r, 'h> {
    source: &'r Source,
    file: u32,
    line: u32,
    env: &'r mut Environment<'h>,
    diagnostics: &'r mut Diagnostics,
    sections: &'r mut Vec<Section>,
    inside: Inside,
    blocks: Vec<Block>,
}

impl Reader<'_, '_> {
    fn file(&mut self) {
        let mut rest = self.source.bytes.as_slice();
        while !rest.is_empty() {
            self.line += 1;
            let Some(length) = memchr::memchr(b'\n', rest) else {
                let place = Span { end: rest.len() as u32, ..Span::line(self.file, self.line) };
                self.diagnostics
                    .alert(place, "missing LF on last line, file might have been truncated")
                    .help
                    .push("end the last line with a line feed if it is complete".into());
                break;
            };
            self.line(&rest[..length]);
            rest = &rest[length + 1..];
        }
        while let Some(block) = self.blocks.pop() {
            self.diagnostics
                .alert(block.span, "non-terminated '.if' block")
                .help
                .push("close it with '.endif' in the same file".into());
        }
    }

    fn line(&mut self, line: &[u8]) {
        let section = match self.inside {
            Inside::Nothing => "",
            _ => self.sections.last().map_or("", |section| match section.name() {
                "" => section.kind.as_str(),
                name => name,
            }),
        };
        let place =
            Place { file: &self.source.name, file_index: self.file, line: self.line, section };
        let mut words = match lexer::words(line, place, self.env) {
            Ok(words) => words,
            Err(error) => {
                let at = error.at as u32;
                let span = Span { start: at, end: at + 1, ..Span::line(self.file, self.line) };
                let text = format!("{} at position {}", error.kind, at + 1);
                self.diagnostics.alert(span, text).help.push(error.kind.help().into());
                return;
            }
        };
        // A line whose first word is empty says nothing: `"$UNSET" keyword` is a way to switch
        // lines off.
        let Some(first) = words.first().filter(|word| !word.as_str().is_empty()) else { return };
        if first.as_str().starts_with('.') {
            self.directive(&words);
            return;
        }
        if self.blocks.iter().any(|block| !block.active) {
            return;
        }
        let negation = match first.as_str() {
            "no" => Negation::No,
            "default" => Negation::Default,
            _ => Negation::Plain,
        };
        if negation != Negation::Plain {
            let word = words.remove(0);
            if !self.negatable(&word, &words) {
                return;
            }
        }
        self.statement(Statement { words, negation });
    }

    /// Whether `no` or `default` may stand before these words.
    fn negatable(&mut self, prefix: &Word, words: &[Word]) -> bool {
        const NEGATABLE: [&str; 7] = [
            "option",
            "log",
            "busy-polling",
            "set-dumpable",
            "strict-limits",
            "insecure-fork-wanted",
            "numa-cpu-mapping",
        ];
        if words.first().is_some_and(|word| NEGATABLE.contains(&word.as_str())) {
            return true;
        }
        self.diagnostics.alert(
            prefix.span,
            "negation/default currently supported only for options, log, busy-polling, \
             set-dumpable, strict-limits, insecure-fork-wanted and numa-cpu-mapping",
        );
        false
    }

    fn statement(&mut self, statement: Statement) {
        let keyword = statement.word(0);
        if let Some(kind) = SectionKind::ALL.into_iter().find(|kind| kind.as_str() == keyword) {
            self.head(kind, statement);
            return;
        }
        match (self.inside, self.sections.last_mut()) {
            (Inside::Section, Some(section)) => {
                let global = section.kind == SectionKind::Global;
                if global && matches!(keyword, "setenv" | "presetenv" | "unsetenv" | "resetenv") {
                    self.environment(&statement);
                } else {
                    section.statements.push(statement);
                }
            }
            (Inside::Broken, _) => {}
            _ => {
                let span = statement.place(0);
                let kinds = SectionKind::ALL.map(SectionKind::as_str);
                let near = nearest(keyword, kinds);
                let message = format!("unknown keyword '{keyword}' out of section");
                let found = self.diagnostics.alert(span, message);
                match near {
                    Some(near) => *found = found.clone().suggest(span, near),
                    None => found.help.push(
                        "a file begins with a section: global, defaults, frontend, backend or \
                         listen"
                            .into(),
                    ),
                }
            }
        }
    }

    fn head(&mut self, kind: SectionKind, statement: Statement) {
        self.inside = Inside::Broken;
        let mut words = statement.words.into_iter();
        // A statement has at least its keyword.
        let Some(keyword) = words.next() else { return };
        let mut rest: Vec<Word> = words.collect();
        let span = rest.last().map_or(keyword.span, |last| keyword.span.to(last.span));
        let mut name = None;
        if kind != SectionKind::Global && !rest.is_empty() {
            // `defaults from x` has no name.
            let anonymous = kind == SectionKind::Defaults && rest[0].as_str() == "from";
            if !(anonymous && rest.len() == 2) {
                name = Some(rest.remove(0));
            }
        }
        let mut from = None;
        if kind.is_proxy() && rest.first().is_some_and(|word| word.as_str() == "from") {
            let word = rest.remove(0);
            if rest.is_empty() {
                self.diagnostics.alert(word.span, "'from' expects the name of a defaults section");
                return;
            }
            from = Some(rest.remove(0));
        }
        if name.is_none() && !matches!(kind, SectionKind::Global | SectionKind::Defaults) {
            let message = format!("'{}' expects an <id> argument", kind.as_str());
            self.diagnostics.alert(keyword.span, message);
            return;
        }
        if let Some(name) = &name
            && let Some(bad) = name.as_str().chars().find(|c| !is_name_char(*c))
        {
            let message = format!(
                "character '{bad}' is not permitted in '{}' name '{}'",
                kind.as_str(),
                name.as_str()
            );
            let found = self.diagnostics.alert(name.span, message);
            found.help.push("names are made of letters, digits, '-', '_', '.' and ':'".into());
            return;
        }
        if let Some(extra) = rest.first() {
            let message = format!(
                "'{}' cannot handle unexpected argument '{}'",
                kind.as_str(),
                extra.as_str()
            );
            let found = self.diagnostics.alert(extra.span, message);
            if kind.is_proxy() {
                found.help.push("listening addresses are given by 'bind' lines".into());
            }
            // The rest of the section is still worth checking.
        }
        self.inside = Inside::Section;
        self.sections.push(Section { kind, name, from, span, statements: Vec::new() });
    }

    /// `setenv`, `presetenv`, `unsetenv`, `resetenv`.
    fn environment(&mut self, statement: &Statement) {
        let keyword = statement.word(0);
        let names = statement.words[1..].iter().map(Word::as_str);
        match keyword {
            "setenv" | "presetenv" => {
                if statement.words.len() != 3 {
                    let message = format!("'{keyword}' expects a name and a value");
                    let place = statement.place(statement.words.len().min(3));
                    let found = self.diagnostics.alert(place, message);
                    found.help.push("quote a value that has blanks".into());
                    return;
                }
                let (name, value) = (statement.word(1), statement.word(2));
                if keyword == "setenv" {
                    self.env.set(name, value);
                } else {
                    self.env.preset(name, value);
                }
            }
            "unsetenv" => {
                if statement.words.len() < 2 {
                    self.diagnostics.alert(statement.place(1), "'unsetenv' expects names");
                }
                names.for_each(|name| self.env.unset(name));
            }
            _ => self.env.reset(&names.map(String::from).collect::<BTreeSet<_>>()),
        }
    }

    /// `.if` and kin.
    fn directive(&mut self, words: &[Word]) {
        let first = &words[0];
        let counts = self.blocks.iter().all(|block| block.active);
        match first.as_str() {
            ".if" => {
                if self.blocks.len() >= BLOCKS_MAX {
                    let message = format!("too many nested '.if', max is {BLOCKS_MAX}");
                    self.diagnostics.alert(first.span, message);
                }
                // In lines that do not count the condition is not looked at.
                let active = counts && self.condition(words).unwrap_or(false);
                self.blocks.push(Block {
                    span: first.span,
                    active,
                    settled: active || !counts,
                    last: false,
                });
            }
            ".elif" => {
                let Some(block) = self.open_block(first) else { return };
                let settled = block.settled;
                block.active = false;
                if !settled && self.condition(words).unwrap_or(false) {
                    self.settle();
                }
            }
            ".else" => {
                self.no_more(words, 1);
                let Some(block) = self.open_block(first) else { return };
                block.last = true;
                block.active = false;
                if !block.settled {
                    self.settle();
                }
            }
            ".endif" => {
                self.no_more(words, 1);
                if self.blocks.pop().is_none() {
                    let message = "lone '.endif' with no matching '.if'";
                    self.diagnostics.alert(first.span, message);
                }
            }
            ".diag" | ".notice" | ".warning" | ".alert" if counts => {
                if self.no_more(words, 2) {
                    let severity = match first.as_str() {
                        ".diag" => Severity::Diag,
                        ".notice" => Severity::Notice,
                        ".warning" => Severity::Warning,
                        _ => Severity::Alert,
                    };
                    let text = words.get(1).map_or("", Word::as_str);
                    let place = Span::line(self.file, self.line);
                    self.diagnostics.push(Diagnostic::new(
                        severity,
                        Some(place),
                        format!("'{text}'"),
                    ));
                }
            }
            ".diag" | ".notice" | ".warning" | ".alert" => {}
            other => {
                const DIRECTIVES: [&str; 8] =
                    [".if", ".elif", ".else", ".endif", ".diag", ".notice", ".warning", ".alert"];
                if counts {
                    let near = nearest(other, DIRECTIVES);
                    let message = format!("unknown directive '{other}'");
                    let found = self.diagnostics.alert(first.span, message);
                    if let Some(near) = near {
                        *found = found.clone().suggest(first.span, near);
                    }
                }
            }
        }
    }

    fn settle(&mut self) {
        if let Some(block) = self.blocks.last_mut() {
            block.active = true;
            block.settled = true;
        }
    }

    /// The innermost block, if `.elif` or `.else` may go on with it.
    fn open_block(&mut self, word: &Word) -> Option<&mut Block> {
        let message = match self.blocks.last() {
            None => format!("lone '{}' with no matching '.if'", word.as_str()),
            Some(block) if block.last => {
                format!("'{}' after '.else' is not permitted", word.as_str())
            }
            Some(_) => return self.blocks.last_mut(),
        };
        self.diagnostics.alert(word.span, message);
        None
    }

    fn condition(&mut self, words: &[Word]) -> Option<bool> {
        let text: Vec<&str> = words[1..].iter().map(Word::as_str).collect();
        match condition::evaluate(&text.join(" "), self.env) {
            Ok(truth) => Some(truth),
            Err(error) => {
                let last = words[words.len() - 1].span;
                let span = words.get(1).map_or(last, |word| word.span.to(last));
                let message = format!("{error} in '{}'", words[0].as_str());
                self.diagnostics.alert(span, message);
                None
            }
        }
    }

    /// Complains about a word from `count` on; true if there is none.
    fn no_more(&mut self, words: &[Word], count: usize) -> bool {
        let Some(extra) = words.get(count) else { return true };
        let message =
            format!("unexpected argument '{}' for '{}'", extra.as_str(), words[0].as_str());
        let found = self.diagnostics.alert(extra.span, message);
        if count > 1 {
            found.help.push("use quotes if the message should contain spaces".into());
        }
        false
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':')
}

#[cfg(test)]
#[path = "statement_test.rs"]
mod tests;
