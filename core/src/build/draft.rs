//! A proxy section while it is being read: settings, and names that are not indices yet.

use std::sync::Arc;

use crate::config::{SectionKind, Span, Word};
use crate::proxy::spec::{Listener, Mode, Proxy, RetryOn, Role};

use super::server::{ServerDraft, ServerSettings};

/// What a proxy section says so far. A `defaults` section is one too, and is copied.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) kind: SectionKind,
    /// Where its head stands, and its name in it.
    pub(super) span: Span,
    pub(super) name_span: Span,
    /// Everything that needs no name of another section.
    pub(super) proxy: Proxy,
    pub(super) id: Option<(u32, Span)>,
    pub(super) default_backend: Option<Word>,
    /// Backends of `use_backend` lines whose condition always holds.
    pub(super) use_backends: Vec<Word>,
    pub(super) binds: Vec<BindDraft>,
    pub(super) default_server: ServerSettings,
    pub(super) servers: Vec<ServerDraft>,
    /// The first rule of each rule set that always applies; rules behind it never run.
    pub(super) verdicts: [Option<Verdict>; 3],
    /// A `tcp-request connection accept` always applies: rules of that set behind it never run.
    pub(super) accepts_connections: bool,
    /// What is ignored, with a warning, unless the mode is HTTP.
    pub(super) http_only: Vec<(&'static str, Span)>,
    /// The last `option httplog` or `tcplog`.
    pub(super) log_option: Option<Span>,
}

/// What an unconditional rule does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The rules behind it are not looked at.
    Allow,
    /// The connection begins with a PROXY header.
    ExpectProxy,
    /// The rule itself.
    Apply(crate::proxy::spec::Rule),
}

/// A listener whose id may not be given yet.
#[derive(Clone)]
pub(super) struct BindDraft {
    pub(super) listener: Listener,
    pub(super) id: Option<u32>,
    pub(super) span: Span,
}

impl Draft {
    /// A section that says nothing.
    pub(super) fn new(kind: SectionKind, span: Span) -> Self {
        let proxy = Proxy {
            retries: 3,
            redispatch_interval: -1,
            retry_on: RetryOn::CONN_FAILURE,
            ..Proxy::default()
        };
        Draft {
            kind,
            span,
            name_span: span,
            proxy,
            id: None,
            default_backend: None,
            use_backends: Vec::new(),
            binds: Vec::new(),
            default_server: ServerSettings::default(),
            servers: Vec::new(),
            verdicts: [None; 3],
            accepts_connections: false,
            http_only: Vec::new(),
            log_option: None,
        }
    }

    /// The proxy `name`, which starts from this `defaults` section.
    pub(super) fn derive(&self, kind: SectionKind, name: &str, span: Span, at: Span) -> Self {
        let mut draft = self.clone();
        draft.kind = kind;
        draft.span = span;
        draft.name_span = at;
        draft.proxy.name = Arc::from(name);
        draft.proxy.role = match kind {
            SectionKind::Frontend => Role::FRONTEND,
            SectionKind::Backend => Role::BACKEND,
            SectionKind::Listen => Role::FRONTEND.with(Role::BACKEND),
            _ => Role::NONE,
        };
        draft
    }

    pub(super) fn is_frontend(&self) -> bool {
        self.proxy.role.has(Role::FRONTEND)
    }

    pub(super) fn is_backend(&self) -> bool {
        self.proxy.role.has(Role::BACKEND)
    }

    pub(super) fn is_http(&self) -> bool {
        self.proxy.mode == Mode::Http
    }

    /// `frontend 'f'`, `backend 'b'`, or `proxy 'l'` for a `listen`.
    pub(super) fn title(&self) -> String {
        let kind = match self.kind {
            SectionKind::Listen => "proxy",
            kind => kind.as_str(),
        };
        format!("{kind} '{}'", self.proxy.name)
    }
}
