//! The environment as the lines read so far have changed it: a layer above the host's.

use std::collections::{BTreeMap, BTreeSet};

use super::host::Host;

/// Variables for `"$NAME"`, `defined()` and children. Reading a configuration changes this layer,
/// never the process's own environment.
#[derive(Clone)]
pub struct Environment<'h> {
    host: &'h dyn Host,
    /// Set (`Some`) or removed (`None`) since the start.
    changes: BTreeMap<String, Option<String>>,
    /// After `resetenv`: the only host variables that are still seen.
    kept: Option<BTreeSet<String>>,
}

impl<'h> Environment<'h> {
    /// The host's environment, unchanged.
    pub fn new(host: &'h dyn Host) -> Self {
        Environment { host, changes: BTreeMap::new(), kept: None }
    }

    /// Sets a variable (`setenv`).
    pub fn set(&mut self, name: &str, value: &str) {
        self.changes.insert(name.into(), Some(value.into()));
    }

    /// Sets a variable unless it exists (`presetenv`).
    pub fn preset(&mut self, name: &str, value: &str) {
        if self.var(name).is_none() {
            self.set(name, value);
        }
    }

    /// Removes a variable (`unsetenv`).
    pub fn unset(&mut self, name: &str) {
        self.changes.insert(name.into(), None);
    }

    /// Removes every variable but those named (`resetenv`).
    pub fn reset(&mut self, keep: &BTreeSet<String>) {
        self.changes.retain(|name, _| keep.contains(name));
        self.kept = Some(match self.kept.take() {
            Some(kept) => kept.intersection(keep).cloned().collect(),
            None => keep.clone(),
        });
    }

    /// The value of a variable, if it exists; it may be empty.
    pub fn var(&self, name: &str) -> Option<String> {
        if let Some(change) = self.changes.get(name) {
            return change.clone();
        }
        if self.kept.as_ref().is_some_and(|kept| !kept.contains(name)) {
            return None;
        }
        self.host.env(name)
    }

    /// The host under this layer.
    pub fn host(&self) -> &'h dyn Host {
        self.host
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MapHost;

    #[test]
    fn layers_hide_the_host() {
        let host = MapHost::default().with_env("A", "host").with_env("B", "host");
        let mut env = Environment::new(&host);
        env.preset("A", "preset");
        env.preset("C", "preset");
        assert_eq!(env.var("A").as_deref(), Some("host"));
        assert_eq!(env.var("C").as_deref(), Some("preset"));
        env.set("A", "set");
        assert_eq!(env.var("A").as_deref(), Some("set"));
        env.unset("A");
        assert_eq!(env.var("A"), None);
        env.preset("A", "again");
        assert_eq!(env.var("A").as_deref(), Some("again"));
        env.reset(&BTreeSet::from(["C".to_string()]));
        assert_eq!(env.var("A"), None);
        assert_eq!(env.var("B"), None);
        assert_eq!(env.var("C").as_deref(), Some("preset"));
        env.set("B", "new");
        assert_eq!(env.var("B").as_deref(), Some("new"));
        env.reset(&BTreeSet::from(["B".to_string(), "A".to_string()]));
        assert_eq!(env.var("B").as_deref(), Some("new"));
        assert_eq!(env.var("C"), None);
        assert_eq!(env.var("A"), None);
    }
}
