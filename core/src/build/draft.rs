//! A proxy section while it is being read: settings, and names that are not indices yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::acl::Condition;
use crate::config::{SectionKind, Span, Word};
use crate::logfmt::format::Format;
use crate::proxy::spec::{Listener, Mode, Proxy, RetryOn, Role};
use crate::rule::Action;

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
    /// `use_backend` lines.
    pub(super) use_backends: Vec<SwitchDraft>,
    /// `use-server` lines.
    pub(super) use_servers: Vec<SwitchDraft>,
    /// ACLs by name: indices in the site's.
    pub(super) acl_names: BTreeMap<String, u32>,
    pub(super) binds: Vec<BindDraft>,
    /// It has a `bind` line, be it a wrong one.
    pub(super) has_bind: bool,
    pub(super) default_server: ServerSettings,
    pub(super) servers: Vec<ServerDraft>,
    /// What is ignored, with a warning, unless the mode is HTTP.
    pub(super) http_only: Vec<(&'static str, Span)>,
    /// The last `option httplog` or `tcplog`.
    pub(super) log_option: Option<Span>,
    /// Where its formats stand.
    pub(super) formats: Vec<(&'static str, Span)>,
}

/// A `use_backend` or `use-server` whose name is not an index yet.
#[derive(Clone)]
pub(super) struct SwitchDraft {
    pub(super) to: SwitchTo,
    pub(super) condition: Option<Condition>,
    pub(super) place: (Arc<str>, u32),
    pub(super) text: Arc<str>,
    pub(super) span: Span,
}

/// Where it leads.
#[derive(Clone)]
pub(super) enum SwitchTo {
    Name(Word),
    Format(Box<Format>),
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
            use_servers: Vec::new(),
            acl_names: BTreeMap::new(),
            binds: Vec::new(),
            has_bind: false,
            default_server: ServerSettings::default(),
            servers: Vec::new(),
            http_only: Vec::new(),
            log_option: None,
            formats: Vec::new(),
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

    /// Whether it has a rule with `switch-mode http`.
    pub(super) fn becomes_http(&self) -> bool {
        self.proxy.rules.content.iter().any(|rule| matches!(rule.action, Action::SwitchHttp))
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
