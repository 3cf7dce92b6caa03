//! Proxies by name: of those with the same name, the first that is a frontend and the first that is
//! a backend. A configuration may have tens of thousands, so none is searched for in a list.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::proxy::spec::{ProxyId, Role};

/// Where proxies are found.
#[derive(Default)]
pub(super) struct Directory {
    frontends: BTreeMap<Arc<str>, ProxyId>,
    backends: BTreeMap<Arc<str>, ProxyId>,
}

impl Directory {
    /// Enters a proxy; one of its name that is entered already stays.
    pub(super) fn add(&mut self, name: &Arc<str>, role: Role, id: ProxyId) {
        if role.has(Role::FRONTEND) {
            self.frontends.entry(name.clone()).or_insert(id);
        }
        if role.has(Role::BACKEND) {
            self.backends.entry(name.clone()).or_insert(id);
        }
    }

    /// The first backend or listen of that name.
    pub(super) fn backend(&self, name: &str) -> Option<ProxyId> {
        self.backends.get(name).copied()
    }

    /// The first backend of that name, or else the first frontend.
    pub(super) fn proxy(&self, name: &str) -> Option<ProxyId> {
        self.backend(name).or_else(|| self.frontends.get(name).copied())
    }

    /// The first proxy of that name that has a role of these.
    pub(super) fn first(&self, name: &str, role: Role) -> Option<ProxyId> {
        let frontend = self.frontends.get(name).filter(|_| role.has(Role::FRONTEND));
        let backend = self.backends.get(name).filter(|_| role.has(Role::BACKEND));
        frontend.into_iter().chain(backend).min().copied()
    }
}
