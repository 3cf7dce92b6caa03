//! What expressions name: variables, proxies, servers, user lists, pattern files. Names become
//! numbers while the configuration is compiled; what they stand for is known at its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::args::Mistake;
use super::scene::PatternFile;
use super::vars::{Scope, VarId};
use crate::acl::{Acl, Patterns};
use crate::config::{Environment, Host, Span};
use crate::proxy::spec::{ProxyId, Role, ServerId, Wants};

/// A name of something that may stand further down: an index into [`Refs`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NameRef(pub u32);

/// What kind of thing a name stands for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Named {
    /// A backend, frontend or listen.
    Proxy(String),
    /// A server of a backend; without one, of the proxy where the expression stands.
    Server {
        /// The backend.
        backend: Option<String>,
        /// The server.
        server: String,
        /// The proxy where the expression stands.
        here: String,
    },
    /// A `userlist`.
    Userlist(String),
}

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// A proxy.
    Proxy(ProxyId),
    /// A server.
    Server(ServerId),
    /// An index in the site's user lists.
    Userlist(u32),
}

/// What all names stand for.
#[derive(Clone, Debug, Default)]
pub struct Refs {
    /// By [`NameRef`].
    pub targets: Vec<Target>,
}

impl Refs {
    /// The proxy of that name.
    pub fn proxy(&self, name: NameRef) -> Option<ProxyId> {
        match self.targets.get(name.0 as usize) {
            Some(Target::Proxy(id)) => Some(*id),
            _ => None,
        }
    }

    /// The server of that name.
    pub fn server(&self, name: NameRef) -> Option<ServerId> {
        match self.targets.get(name.0 as usize) {
            Some(Target::Server(id)) => Some(*id),
            _ => None,
        }
    }

    /// The user list of that name.
    pub fn userlist(&self, name: NameRef) -> Option<u32> {
        match self.targets.get(name.0 as usize) {
            Some(Target::Userlist(index)) => Some(*index),
            _ => None,
        }
    }
}

/// A slot of `capture request header` and kin, where an expression looks at it.
#[derive(Clone, Debug)]
pub struct Captured {
    /// The proxy in which it stands.
    pub proxy: String,
    /// Where.
    pub span: Span,
    /// `capture.req.hdr` or `capture.res.hdr`.
    pub fetch: String,
    /// It is one of the response.
    pub response: bool,
    /// Its number.
    pub slot: u32,
}

/// The names that were met so far, and what expressions may ask while they are compiled.
pub struct Names<'p> {
    /// The machine: files.
    pub host: &'p dyn Host,
    /// The environment as the configuration left it.
    pub env: Environment<'p>,
    /// Where the expression stands that is being read.
    pub span: Span,
    /// `file:line` of it.
    pub place: String,
    /// The proxy in which it stands.
    pub proxy: String,
    /// What that proxy may do; both in a `defaults` section.
    pub role: Role,
    /// Slots of `capture request header` and kin that expressions look at.
    pub captured: Vec<Captured>,
    /// Pattern files that rules change, each once, by path; what reads them may stand further down.
    pub changed: Vec<(String, Span)>,
    /// What costs something for each connection, and some expression wants to know.
    pub wants: Wants,
    /// Variables by name: their numbers, in the order in which they were met.
    pub vars: BTreeMap<String, u32>,
    /// What else was named, and where first.
    pub refs: Vec<(Named, Span)>,
    /// The index in `refs` of each.
    pub known: BTreeMap<Named, u32>,
    /// Pattern files, and lists of patterns that rules may change.
    pub patterns: Vec<PatternFile>,
    /// Where a pattern file is: by path and how it is read.
    pub files: BTreeMap<(String, String), u32>,
    /// Compiled ACLs: the lines of each.
    pub acls: Vec<Vec<Acl>>,
    /// The ACLs that have names, in the proxy where the expression stands.
    pub acl_names: BTreeMap<String, u32>,
    /// Numbers that lists of patterns were given (`-u`).
    pub list_ids: BTreeSet<u32>,
    /// What is odd and no error: sentences about the place.
    pub warnings: Vec<(Span, String)>,
}

impl<'p> Names<'p> {
    /// No names yet.
    pub fn new(host: &'p dyn Host) -> Self {
        Names {
            host,
            env: Environment::new(host),
            span: Span::line(0, 0),
            place: String::new(),
            proxy: String::new(),
            role: Role::FRONTEND.with(Role::BACKEND),
            captured: Vec::new(),
            changed: Vec::new(),
            wants: Wants::default(),
            vars: BTreeMap::new(),
            refs: Vec::new(),
            known: BTreeMap::new(),
            patterns: Vec::new(),
            files: BTreeMap::new(),
            acls: Vec::new(),
            acl_names: BTreeMap::new(),
            list_ids: BTreeSet::new(),
            warnings: Vec::new(),
        }
    }

    /// The variable `scope.name`.
    pub fn var(&mut self, text: &str) -> Result<VarId, String> {
        let (word, name) = text.split_once('.').unwrap_or((text, ""));
        let Some(scope) = Scope::ALL.into_iter().find(|scope| scope.as_str() == word) else {
            return Err(format!(
                "the variable '{text}' must begin with its scope: 'proc.', 'sess.', 'txn.', \
                 'req.' or 'res.'"
            ));
        };
        let odd = |b: u8| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'));
        if name.is_empty() || name.bytes().any(odd) {
            return Err(format!(
                "the variable '{text}' needs a name of letters, digits, '_' and '.' behind its \
                 scope"
            ));
        }
        if let Some(name) = self.vars.get(name) {
            return Ok(VarId { scope, name: *name });
        }
        let number = self.vars.len() as u32;
        self.vars.insert(name.into(), number);
        Ok(VarId { scope, name: number })
    }

    /// The same, as an argument's mistake.
    pub fn var_arg(
        &mut self,
        args: &super::args::Args<'_, '_>,
        index: usize,
    ) -> Result<VarId, Mistake> {
        self.var(args.text(index)).map_err(|message| args.blame(index, message))
    }

    /// Something that is named here; that it exists is checked at the end.
    pub fn refer(&mut self, named: Named) -> NameRef {
        if let Some(index) = self.known.get(&named) {
            return NameRef(*index);
        }
        let index = self.refs.len() as u32;
        self.known.insert(named.clone(), index);
        self.refs.push((named, self.span));
        NameRef(index)
    }

    /// The server that `[backend/]server` names.
    pub fn server(&mut self, text: &str) -> NameRef {
        let (backend, server) = match text.split_once('/') {
            Some((backend, server)) => (Some(backend.to_owned()), server),
            None => (None, text),
        };
        let here = self.proxy.clone();
        self.refer(Named::Server { backend, server: server.into(), here })
    }

    /// Adds patterns; `key` is how they are found again.
    pub fn add_patterns(&mut self, key: Option<(String, String)>, file: PatternFile) -> u32 {
        self.patterns.push(file);
        let index = self.patterns.len() as u32 - 1;
        if let Some(key) = key {
            self.files.insert(key, index);
        }
        index
    }

    /// The number of a pattern file that a rule here changes.
    pub fn changed_file(&mut self, path: &str) -> u32 {
        let known = self.changed.iter().position(|(known, _)| known == path);
        let index = known.unwrap_or_else(|| {
            self.changed.push((path.to_owned(), self.span));
            self.changed.len() - 1
        });
        index as u32
    }

    /// Adds patterns that stand in the configuration.
    pub fn add_list(&mut self, patterns: Patterns) -> u32 {
        let name: Arc<str> = format!("#{}", self.patterns.len()).into();
        self.add_patterns(None, PatternFile { name, patterns: Arc::new(patterns) })
    }

    /// Makes a name known that has no line yet, because its only one is wrong.
    pub fn declare_acl(&mut self, name: &str) {
        if !self.acl_names.contains_key(name) {
            self.acls.push(Vec::new());
            self.acl_names.insert(name.into(), self.acls.len() as u32 - 1);
        }
    }

    /// Adds a line to the ACL of that name, or an ACL without one.
    pub fn add_acl(&mut self, name: Option<&str>, line: Acl) -> u32 {
        if let Some(index) = name.and_then(|name| self.acl_names.get(name)) {
            self.acls[*index as usize].push(line);
            return *index;
        }
        self.acls.push(vec![line]);
        let index = self.acls.len() as u32 - 1;
        if let Some(name) = name {
            self.acl_names.insert(name.into(), index);
        }
        index
    }
}
