//! Every keyword of HAProxy 2.6, where it may stand, and what becomes of it here.
//!
//! This is the only list: the parser asks it, "did you mean" searches it, and `docs/keywords.md`
//! is written from it.

mod action;
mod bind;
mod global;
mod option;
mod proxy;
mod reasons;
mod sections;
mod server;

use super::similar;
use super::statement::SectionKind;

/// What becomes of a keyword.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Does what it does in HAProxy.
    Works,
    /// Parses with a warning that it has no effect, and why.
    NoEffect(&'static str),
    /// An error, and why: ignoring it could expose or misroute traffic.
    Unsafe(&'static str),
    /// HAProxy 2.6 refuses it too; what to write instead.
    Removed(&'static str),
}

/// Where a keyword is looked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Context {
    /// Lines of a section: for proxies of `defaults`, `frontend`, `listen` and `backend` alike.
    Line(SectionKind),
    /// Behind `option` in a proxy.
    Option,
    /// Behind the address of a `bind` line.
    Bind,
    /// Behind the address of a `server` line.
    Server,
    /// Behind one of the words that begin a rule, such as `http-request`.
    Rule(&'static str),
}

/// Sections of proxies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sections(u8);

impl Sections {
    /// Not a keyword of proxies.
    pub const NONE: Sections = Sections(0);

    /// From the form in the documentation: an `X` or `-` each for defaults, frontend, listen and
    /// backend.
    pub const fn parse(letters: &str) -> Sections {
        let letters = letters.as_bytes();
        assert!(letters.len() == 4);
        let mut bits = 0;
        let mut i = 0;
        while i < 4 {
            assert!(letters[i] == b'X' || letters[i] == b'-');
            if letters[i] == b'X' {
                bits |= 1 << i;
            }
            i += 1;
        }
        Sections(bits)
    }

    /// Whether a section of this kind may have it.
    pub const fn contains(self, kind: SectionKind) -> bool {
        let bit = match kind {
            SectionKind::Defaults => 1,
            SectionKind::Frontend => 2,
            SectionKind::Listen => 4,
            SectionKind::Backend => 8,
            _ => 0,
        };
        self.0 & bit != 0
    }
}

/// A keyword.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keyword {
    /// The word, or the two or three words that belong together.
    pub name: &'static str,
    /// The sections of proxies that may have it.
    pub sections: Sections,
    /// How many words follow it on a `bind` or `server` line.
    pub args: u8,
    /// What becomes of it.
    pub status: Status,
}

/// All keywords of a context.
pub fn table(context: Context) -> &'static [Keyword] {
    match context {
        Context::Option => option::KEYWORDS,
        Context::Bind => bind::KEYWORDS,
        Context::Server => server::KEYWORDS,
        Context::Rule(ruleset) => action::table(ruleset),
        Context::Line(kind) => match kind {
            SectionKind::Global => global::KEYWORDS,
            SectionKind::Defaults
            | SectionKind::Frontend
            | SectionKind::Backend
            | SectionKind::Listen => proxy::KEYWORDS,
            SectionKind::Userlist => sections::USERLIST,
            SectionKind::Peers => sections::PEERS,
            SectionKind::Resolvers => sections::RESOLVERS,
            SectionKind::Mailers => sections::MAILERS,
            SectionKind::HttpErrors => sections::HTTP_ERRORS,
            SectionKind::Ring => sections::RING,
            SectionKind::LogForward => sections::LOG_FORWARD,
            SectionKind::Cache => sections::CACHE,
            SectionKind::FcgiApp => sections::FCGI_APP,
            SectionKind::Program => sections::PROGRAM,
        },
    }
}

/// Every context that has keywords, each table once.
pub fn contexts() -> impl Iterator<Item = Context> {
    let lines = SectionKind::ALL
        .into_iter()
        .filter(|kind| !kind.is_proxy() || *kind == SectionKind::Listen)
        .map(Context::Line);
    let rules = action::RULESETS.iter().map(|ruleset| Context::Rule(ruleset));
    lines.chain([Context::Option, Context::Bind, Context::Server]).chain(rules)
}

/// The keyword that `words` begin with; of several, the one of most words.
pub fn find(context: Context, words: &[&str]) -> Option<&'static Keyword> {
    let first = words.first()?;
    let begins = |keyword: &&Keyword| {
        let mut words = words.iter();
        // Most names differ at once.
        keyword.name.starts_with(first)
            && keyword.name.split(' ').all(|part| words.next().is_some_and(|word| *word == part))
    };
    table(context).iter().filter(begins).max_by_key(|keyword| keyword.name.len())
}

/// The keyword that `word` was probably meant to be; for a proxy rather one that its section may
/// have.
pub fn nearest(context: Context, word: &str) -> Option<&'static str> {
    let proxy = match context {
        Context::Line(kind) if kind.is_proxy() => Some(kind),
        _ => None,
    };
    let near = |kind: Option<SectionKind>| {
        let usable = |keyword: &&Keyword| {
            !matches!(keyword.status, Status::Removed(_))
                && kind.is_none_or(|kind| keyword.sections.contains(kind))
        };
        let names = table(context).iter().filter(usable).map(|keyword| keyword.name);
        let first_words = names.clone().filter_map(|name| Some(name.split_once(' ')?.0));
        similar::nearest(word, names.chain(first_words).chain(proxy.map(|_| "option")))
    };
    near(proxy).or_else(|| proxy.and_then(|_| near(None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_in_their_table() {
        for context in contexts() {
            let mut names: Vec<&str> = table(context).iter().map(|k| k.name).collect();
            let count = names.len();
            assert!(count > 0, "{context:?}");
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{context:?}");
        }
    }

    #[test]
    fn the_longest_name_wins() {
        let line = |text: &'static str| {
            let words: Vec<&str> = text.split(' ').collect();
            find(Context::Line(SectionKind::Listen), &words).map(|k| k.name)
        };
        assert_eq!(line("timeout client 5s"), Some("timeout client"));
        assert_eq!(line("timeout client-fin 5s"), Some("timeout client-fin"));
        assert_eq!(line("stats enable"), Some("stats enable"));
        assert_eq!(line("timeout"), None);
        assert_eq!(line("mode http"), Some("mode"));
    }

    #[test]
    fn nearest_respects_the_section() {
        let line = |kind, word| nearest(Context::Line(kind), word);
        assert_eq!(line(SectionKind::Listen, "blance"), Some("balance"));
        assert_eq!(line(SectionKind::Frontend, "blance"), Some("balance"));
        assert_eq!(line(SectionKind::Frontend, "binds"), Some("bind"));
        assert_eq!(line(SectionKind::Backend, "optoin"), Some("option"));
        assert_eq!(line(SectionKind::Listen, "timout"), Some("timeout"));
        assert_eq!(line(SectionKind::Global, "maxcon"), Some("maxconn"));
        assert_eq!(nearest(Context::Option, "httplgo"), Some("httplog"));
        assert_eq!(nearest(Context::Server, "wieght"), Some("weight"));
    }

    #[test]
    fn the_sections_of_a_keyword() {
        let balance = find(Context::Line(SectionKind::Listen), &["balance"]).unwrap();
        use SectionKind::*;
        let kinds = [Defaults, Frontend, Listen, Backend, Global];
        assert_eq!(kinds.map(|k| balance.sections.contains(k)), [true, false, true, true, false]);
    }
}
