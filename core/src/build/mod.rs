//! From the statements of a configuration to a compiled [`Site`]: all complaints of all files in
//! one run, each with its place and what to write instead. Nothing is opened or bound here; what
//! the machine must be asked (files, names, limits) goes through [`Host`].
//!
//! ```text
//!   Section ──► global ───────────────► Global, Tunables ──────────┐
//!           ──► defaults ──► Draft ┐ (copied)                      ├─► finish ──► Site
//!           ──► frontend, backend, listen ──► Draft ───────────────┘  names to indices, ids,
//!                                                                     limits, warnings
//! ```
//!
//! The table in [`crate::config::keywords`] says what becomes of each keyword before anything here
//! looks at it: refused, accepted with a warning that it has no effect, or compiled.

mod address;
mod args;
mod balance;
mod bind;
mod capture;
mod directory;
mod draft;
mod error_file;
mod finish;
mod format;
mod forwarded;
mod global;
mod legacy;
mod log;
mod monitor;
mod option;
mod phrase;
mod proxy;
mod ring;
mod rule;
mod server;
mod userlist;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::keywords::{self, Context, Keyword, Status};
use crate::config::{
    Diagnostic, Diagnostics, Environment, Host, Section, SectionKind, Severity, Source, Span,
    Statement, Word, statement,
};
use crate::proxy::spec::{Global, Site, Tunables};
use crate::sample::Names;

use draft::Draft;

/// What the command line says about the configuration; it wins over the files.
#[derive(Clone, Default, Debug)]
pub struct CliOverrides {
    /// `-n`: `maxconn` of the process.
    pub maxconn: Option<u32>,
    /// `-N`: `maxconn` of frontends that set none.
    pub proxy_maxconn: Option<u32>,
    /// `-D`.
    pub daemon: bool,
    /// `-p`.
    pub pidfile: Option<String>,
    /// `-L`: name of the local peer.
    pub localpeer: Option<String>,
    /// `-dS`: never splice.
    pub no_splice: bool,
    /// `-dR`: no `SO_REUSEPORT`.
    pub no_reuseport: bool,
    /// `-dr`: a server whose name does not resolve starts in maintenance.
    pub ignore_resolution: bool,
    /// `-dW`: any warning prevents the start.
    pub zero_warning: bool,
}

/// Compiles the files. On success the warnings, notices and `-dD` messages come along; on failure
/// everything there is to say.
pub fn build(
    sources: &[Source],
    cli: &CliOverrides,
    host: &dyn Host,
) -> Result<(Site, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut diagnostics = Diagnostics::default();
    let mut env = Environment::new(host);
    let localpeer = cli.localpeer.clone().unwrap_or_else(|| host.hostname());
    let files: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    env.set("HAPROXY_LOCALPEER", &localpeer);
    env.set("HAPROXY_CFGFILES", &files.join(";"));
    let sections = statement::read(sources, &mut env, &mut diagnostics);

    let mut builder = Builder::new(sources, cli, env, diagnostics);
    builder.site.global.localpeer = localpeer.into();
    for section in &sections {
        builder.section(section);
    }
    builder.finish()
}

/// Everything that is known so far.
struct Builder<'b> {
    sources: &'b [Source],
    cli: &'b CliOverrides,
    host: &'b dyn Host,
    diagnostics: Diagnostics,
    site: Site,
    /// Set by `-n` or `maxconn`; derived from the descriptor limit otherwise.
    maxconn: Option<u32>,
    unix_bind: bind::UnixBind,
    /// `http-errors` sections by name.
    error_sets: error_file::ErrorSets,
    /// What expressions name.
    names: Names<'b>,
    /// `expose-experimental-directives`.
    experimental: bool,
    defaults: Vec<Draft>,
    /// The last of each name.
    defaults_named: BTreeMap<Arc<str>, usize>,
    drafts: Vec<Draft>,
    /// Keywords without effect: first place, further lines, reason.
    ineffective: BTreeMap<(Context, &'static str), (Span, usize, &'static str)>,
    default_path: error_file::DefaultPath,
    /// The first `set-mark`, which takes privileges.
    marked: Option<Span>,
    /// An ACL asks for the unique id.
    acl_unique_id: bool,
    /// `ring` sections, and who logs to them.
    rings: ring::Rings,
}

impl<'b> Builder<'b> {
    fn new(
        sources: &'b [Source],
        cli: &'b CliOverrides,
        env: Environment<'b>,
        diagnostics: Diagnostics,
    ) -> Self {
        let host = env.host();
        let name: Arc<str> = host.hostname().into();
        let global = Global {
            daemon: cli.daemon,
            pidfile: cli.pidfile.clone(),
            log_tag: "haproxy".into(),
            hostname: name.clone(),
            node: name,
            noreuseport: cli.no_reuseport,
            zero_warning: cli.zero_warning,
            ..Global::default()
        };
        let tunables = Tunables { nosplice: cli.no_splice, ..Tunables::default() };
        Builder {
            sources,
            cli,
            host,
            diagnostics,
            site: Site { global, tunables, ..Site::default() },
            maxconn: cli.maxconn,
            unix_bind: bind::UnixBind::default(),
            error_sets: error_file::ErrorSets::new(),
            names: Names { env, ..Names::new(host) },
            experimental: false,
            defaults: Vec::new(),
            defaults_named: BTreeMap::new(),
            drafts: Vec::new(),
            ineffective: BTreeMap::new(),
            default_path: error_file::DefaultPath::Current,
            marked: None,
            acl_unique_id: false,
            rings: ring::Rings::default(),
        }
    }

    fn section(&mut self, section: &Section) {
        match section.kind {
            SectionKind::Global => self.global(section),
            SectionKind::Defaults
            | SectionKind::Frontend
            | SectionKind::Backend
            | SectionKind::Listen => self.proxy(section),
            SectionKind::HttpErrors => self.error_set(section),
            SectionKind::Userlist => self.userlist(section),
            SectionKind::Ring => self.ring(section),
            _ => self.other(section),
        }
    }

    /// A section nothing is made of: its keywords are checked against the table.
    fn other(&mut self, section: &Section) {
        for statement in &section.statements {
            self.keyword(Context::Line(section.kind), statement);
        }
    }

    /// The keyword that a statement begins with, if it is to be compiled: unknown, refused and
    /// removed ones are complained about, ones without effect are noted.
    fn keyword(&mut self, context: Context, statement: &Statement) -> Option<&'static Keyword> {
        let keyword = self.known(context, statement)?;
        self.usable(context, keyword, head(keyword, statement)).then_some(keyword)
    }

    /// The keyword that a statement begins with, whatever becomes of it.
    fn known(&mut self, context: Context, statement: &Statement) -> Option<&'static Keyword> {
        let words: Vec<&str> = statement.words.iter().map(Word::as_str).collect();
        let found = keywords::find(context, &words);
        if found.is_none() {
            self.unknown(context, statement, 0);
        }
        found
    }

    /// Whether a keyword that stands at `span` is to be compiled.
    fn usable(&mut self, context: Context, keyword: &'static Keyword, span: Span) -> bool {
        let title = title(context, keyword.name);
        match keyword.status {
            Status::Works => return true,
            Status::NoEffect(reason) => self.ineffective(context, keyword.name, span, reason),
            Status::Unsafe(reason) => {
                let message = format!("'{title}' is not supported: {reason}");
                let found = self.diagnostics.alert(span, message);
                found.help.push("remove it if the traffic may do without".into());
            }
            Status::Removed(instead) => {
                let message = format!("'{title}' is not supported any more; {instead}");
                self.diagnostics.alert(span, message);
            }
        }
        false
    }

    /// Notes a keyword that has no effect; one warning tells of all its lines.
    fn ineffective(
        &mut self,
        context: Context,
        name: &'static str,
        span: Span,
        reason: &'static str,
    ) {
        self.ineffective
            .entry((context, name))
            .and_modify(|(_, more, _)| *more += 1)
            .or_insert((span, 0, reason));
    }

    fn unknown(&mut self, context: Context, statement: &Statement, at: usize) {
        let word = statement.word(at);
        let span = statement.place(at);
        let near = keywords::nearest(context, word);
        let message = match context {
            Context::Line(kind) => {
                let second = statement.word(at + 1);
                let alive = |keyword: &&Keyword| !matches!(keyword.status, Status::Removed(_));
                let family = keywords::table(context).iter().filter(alive).filter_map(|keyword| {
                    keyword.name.strip_prefix(word).and_then(|rest| rest.strip_prefix(' '))
                });
                let family: Vec<&str> = family.collect();
                if family.is_empty() {
                    format!("unknown keyword '{word}' in '{}' section", kind.as_str())
                } else {
                    let list = family.join("', '");
                    let message = format!("'{word}' supports '{list}' (got '{second}')");
                    let place = statement.place(at + 1);
                    let near = crate::config::similar::nearest(second, family);
                    self.suggest(place, message, near);
                    return;
                }
            }
            Context::Option if word.is_empty() => "'option' expects an option name".to_string(),
            Context::Option => format!("unknown option '{word}'"),
            Context::Bind | Context::Server => {
                format!("unknown keyword '{word}' on a '{}' line", statement.word(0))
            }
            Context::Rule(ruleset) => format!("unknown action '{word}' for '{ruleset}'"),
        };
        self.suggest(span, message, near);
    }

    fn suggest(&mut self, span: Span, message: String, near: Option<&str>) {
        let (message, help) = match near {
            Some(near) => (format!("{message}; did you mean '{near}' maybe ?"), Some(near)),
            None => (message, None),
        };
        let found = self.diagnostics.alert(span, message);
        if let Some(near) = help {
            *found = found.clone().suggest(span, near);
        }
    }

    fn tell_ineffective(&mut self) {
        for ((context, name), (span, more, reason)) in std::mem::take(&mut self.ineffective) {
            let message = format!("'{}' has no effect: {reason}", title(context, name));
            let mut warning = Diagnostic::new(Severity::Warning, Some(span), message);
            if more > 0 {
                let plural = if more == 1 { "line" } else { "lines" };
                warning = warning.help(format!("the same is true of {more} more {plural}"));
            }
            self.diagnostics.push(warning);
        }
    }
}

/// The words of a statement that are its keyword.
fn head(keyword: &Keyword, statement: &Statement) -> Span {
    let last = keyword.name.split(' ').count() - 1;
    statement.place(0).to(statement.place(last))
}

/// A keyword as one would write it.
fn title(context: Context, name: &str) -> String {
    match context {
        Context::Line(_) => name.into(),
        Context::Option => format!("option {name}"),
        Context::Bind => format!("bind ... {name}"),
        Context::Server => format!("server ... {name}"),
        Context::Rule(ruleset) => format!("{ruleset} {name}"),
    }
}

#[cfg(test)]
mod tests;
