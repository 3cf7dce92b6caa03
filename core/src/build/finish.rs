//! The last step: names to indices, ids, what can only be said of the whole, and the site.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::balance::Algorithm;
use crate::config::{Diagnostic, SectionKind, Severity, Word, similar};
use crate::logfmt::json;
use crate::proxy::spec::{LogFormat, Mode, Options, Proxy, ProxyId, Role, ServerId, Site};
use crate::rule::{Destination, Rules, Switch};
use crate::sample::{NameRef, Named, Target};

use super::Builder;
use super::directory::Directory;
use super::draft::{Draft, SwitchDraft, SwitchTo};
use super::{bind, option, ring, server};

impl Builder<'_> {
    /// The site, or everything that is wrong.
    pub(super) fn finish(mut self) -> Result<(Site, Vec<Diagnostic>), Vec<Diagnostic>> {
        self.tell_ineffective();
        let mut drafts = std::mem::take(&mut self.drafts);
        let directory = self.check_names(&drafts);
        self.assign_ids(&mut drafts);
        for draft in &mut drafts {
            self.check(draft);
        }
        self.tell_warnings();
        self.check_captured(&drafts);
        for index in 0..drafts.len() {
            let (use_backends, default) = self.backends(&drafts[index], &drafts, &directory);
            let use_servers = self.use_servers(&drafts[index]);
            let proxy = &mut drafts[index].proxy;
            proxy.switching = use_backends;
            proxy.default_backend = default;
            proxy.use_servers = use_servers;
        }
        for draft in drafts {
            self.place(draft);
        }
        self.resolve_names(&directory);
        self.check_rings();
        self.limits();
        self.check_privileges();
        let warned = self.diagnostics.iter().any(|d| d.severity == Severity::Warning);
        if warned && self.site.global.zero_warning && !self.diagnostics.is_fatal() {
            let message = "Some warnings were found and 'zero-warning' is set. Aborting.";
            self.diagnostics.push(Diagnostic::new(Severity::Alert, None, message));
        }
        if self.diagnostics.is_fatal() {
            return Err(self.diagnostics.into_sorted());
        }
        Ok((self.site, self.diagnostics.into_sorted()))
    }

    /// A name may be used once as a frontend and once as a backend. Gives where they are found: a
    /// draft's index is its proxy's.
    fn check_names(&mut self, drafts: &[Draft]) -> Directory {
        let mut directory = Directory::default();
        for (index, draft) in (0..).zip(drafts) {
            let Proxy { name, role, .. } = &draft.proxy;
            let twin = directory.first(name, *role);
            directory.add(name, *role, index);
            let Some(twin) = twin.map(|twin| &drafts[twin as usize]) else { continue };
            let source = &self.sources[twin.span.file as usize].name;
            let message = format!(
                "{} has the same name as {} declared at {source}:{}",
                draft.title(),
                twin.title(),
                twin.span.line
            );
            let found = self.diagnostics.alert(draft.name_span, message);
            *found = found.clone().see(twin.name_span, "declared first at");
        }
        directory
    }

    /// Ids of proxies (from 2 up), listeners and servers (from 1 up).
    fn assign_ids(&mut self, drafts: &mut [Draft]) {
        let mut used = BTreeMap::new();
        for draft in drafts.iter() {
            let Some((id, span)) = draft.id else { continue };
            if let Some(first) = used.insert(id, span) {
                let message = format!("{} reuses the custom id {id}", draft.title());
                let found = self.diagnostics.alert(span, message);
                *found = found.clone().see(first, "used first at");
            }
        }
        let mut next = 2;
        for draft in drafts {
            draft.proxy.uuid = match draft.id {
                Some((id, _)) => id,
                None => {
                    while used.contains_key(&next) {
                        next += 1;
                    }
                    next += 1;
                    next - 1
                }
            };
            let diagnostics = &mut self.diagnostics;
            let mut clash = |id: u32, first, span| {
                let found = diagnostics.alert(span, format!("custom id {id} already used"));
                *found = found.clone().see(first, "used first at");
            };
            bind::assign_ids(&mut draft.binds, &mut clash);
            server::assign_ids(&mut draft.servers, &mut clash);
        }
    }

    /// Formats of a proxy that is not HTTP must do without what only HTTP has.
    fn check_formats(&mut self, draft: &Draft) {
        if draft.is_http() || !draft.is_frontend() {
            return;
        }
        let proxy = &draft.proxy;
        for (name, format) in [
            ("log-format", &proxy.format),
            ("log-format-sd", &proxy.format_sd),
            ("error-log-format", &proxy.error_format),
            ("unique-id-format", &proxy.unique_id_format),
        ] {
            let Some(tag) = format.as_ref().and_then(|format| format.needs_http()) else {
                continue;
            };
            let place = draft.formats.iter().find(|(known, _)| *known == name);
            let span = place.map_or(draft.span, |(_, span)| *span);
            let message = format!(
                "'{name}' of {} : format variable '{tag}' is reserved for HTTP mode",
                draft.title()
            );
            self.diagnostics.alert(span, message);
        }
    }

    /// What one proxy alone can get wrong.
    fn check(&mut self, draft: &mut Draft) {
        let title = draft.title();
        self.check_servers(draft);
        let timeouts = &mut draft.proxy.timeouts;
        timeouts.queue = timeouts.queue.or(timeouts.connect);
        // A frontend has no time for connecting.
        let connect = timeouts.connect.filter(|_| draft.proxy.role.has(Role::BACKEND));
        timeouts.tarpit = timeouts.tarpit.or(connect);
        let proxy = &mut draft.proxy;
        let formats = [&proxy.format, &proxy.format_sd, &proxy.unique_id_format];
        let late = formats.iter().any(|it| it.as_ref().is_some_and(|it| it.waits_for_end()));
        if proxy.format.is_some() && !late {
            proxy.options.set(Options::LOG_ASAP);
        }
        if proxy.says_connect() && !proxy.logs.is_empty() && proxy.mode == Mode::Http {
            proxy.options.set(Options::LOG_ASAP);
        }
        draft.proxy.balance.all_backups = draft.proxy.options.has(Options::ALL_BACKUPS);
        if !draft.is_http() && draft.becomes_http() {
            self.check_switching(draft);
        } else if !draft.is_http() {
            // What goes to an HTTP backend becomes HTTP, and meets the rules after all.
            let leads_on = draft.default_backend.is_some() || !draft.use_backends.is_empty();
            let mut told = BTreeSet::new();
            for (what, span) in std::mem::take(&mut draft.http_only) {
                if told.insert(what) {
                    let what = match what {
                        "http-request" | "http-response" | "http-after-response" | "redirect" => {
                            format!("'{what}' rules")
                        }
                        "balance uri" => "'balance uri'".to_string(),
                        "balance by HTTP" => "'balance' by HTTP messages".to_string(),
                        option => format!("'option {option}'"),
                    };
                    let message = format!("{what} ignored for {title} (needs 'mode http')");
                    let found = self.diagnostics.warning(span, message);
                    if leads_on && what.ends_with("rules") {
                        let but = "they do apply to connections that go to an HTTP backend";
                        found.help.push(but.into());
                    }
                }
            }
            draft.proxy.forward_for = None;
            draft.proxy.forwarded = None;
            if let Algorithm::Uri(_) = draft.proxy.balance.algorithm {
                draft.proxy.balance.algorithm = Algorithm::RoundRobin;
            }
            if !leads_on {
                let rules = &mut draft.proxy.rules;
                *rules = Rules {
                    http_request: Vec::new(),
                    redirect: Vec::new(),
                    http_response: Vec::new(),
                    after_response: Vec::new(),
                    ..std::mem::take(rules)
                };
            }
        }
        let (name, fallback) = match draft.proxy.log_format {
            LogFormat::HttpJson => ("log json", LogFormat::TcpJson),
            _ => ("log", LogFormat::Tcp),
        };
        let http_line = matches!(draft.proxy.log_format, LogFormat::Http | LogFormat::HttpJson);
        if !draft.is_http() && http_line && draft.is_frontend() {
            draft.proxy.log_format = fallback;
            if draft.proxy.format.as_ref().is_some_and(|it| *it.text == *option::COMMON) {
                draft.proxy.format = None;
            }
            if let Some(span) = draft.log_option {
                let message = format!(
                    "'option http{name}' not usable with {title} (needs 'mode http'); falling \
                     back to 'option tcp{name}'"
                );
                self.diagnostics.warning(span, message);
            }
        }
        self.check_formats(draft);
        if draft.proxy.log_format.is_json() && draft.proxy.format.is_none() {
            for target in draft.proxy.logs.iter_mut().filter(|target| !target.len_given) {
                target.len_max = json::LEN_DEFAULT;
            }
        }
        if draft.proxy.disabled {
            return;
        }
        if draft.is_frontend() && !draft.has_bind {
            let message = format!(
                "{title} has no 'bind' directive. Please declare it as a backend if this was \
                 intended."
            );
            self.diagnostics.warning(draft.span, message);
        }
        if draft.is_frontend() && draft.log_option.is_some() && draft.proxy.logs.is_empty() {
            let message = format!("log format ignored for {title} since it has no log address");
            let found = self.diagnostics.warning(draft.span, message);
            found.help.push("add a 'log' line, such as 'log global'".into());
        }
        let timeouts = &draft.proxy.timeouts;
        let mut missing = Vec::new();
        if draft.is_frontend() && timeouts.client.is_none() {
            missing.push("client");
        }
        if !draft.servers.is_empty() {
            if timeouts.connect.is_none() {
                missing.push("connect");
            }
            let tunnel = draft.proxy.mode == Mode::Tcp && timeouts.tunnel.is_some();
            if timeouts.server.is_none() && !tunnel {
                missing.push("server");
            }
        }
        if !missing.is_empty() {
            let found =
                self.diagnostics.warning(draft.span, format!("missing timeouts for {title}"));
            found.help.push(format!(
                "without them dead peers are kept for ever: set 'timeout {}'",
                missing.join("', 'timeout ")
            ));
        }
    }

    /// A TCP proxy whose connections may become HTTP.
    fn check_switching(&mut self, draft: &Draft) {
        let elsewhere = draft.default_backend.is_some() || !draft.use_backends.is_empty();
        if draft.is_backend() && !elsewhere {
            let message = format!(
                "'switch-mode http' configured for {} with no backend: connections that became \
                 HTTP cannot go to its servers",
                draft.title()
            );
            self.diagnostics.warning(draft.span, message);
        }
    }

    fn check_servers(&mut self, draft: &mut Draft) {
        let mut seen = BTreeMap::new();
        for server in &draft.servers {
            let Some(first) = seen.insert(server.server.name.clone(), server.span) else {
                continue;
            };
            let message = format!(
                "{}, another server named '{}' was already defined at line {}, please use distinct \
                 names",
                draft.title(),
                server.server.name,
                first.line
            );
            let found = self.diagnostics.alert(server.span, message);
            *found = found.clone().see(first, "defined first at");
        }
    }

    /// Where the frontend's traffic goes: `use_backend` lines in order, and `default_backend`.
    fn backends(
        &mut self,
        draft: &Draft,
        drafts: &[Draft],
        directory: &Directory,
    ) -> (Vec<Switch>, Option<u32>) {
        if !draft.is_frontend() {
            return (Vec::new(), None);
        }
        let find = |word, keyword| backend(draft, (drafts, directory), word, keyword);
        let mut switches = Vec::new();
        for line in &draft.use_backends {
            let to = match &line.to {
                SwitchTo::Format(format) => Destination::Format(format.clone()),
                SwitchTo::Name(word) => match find(word, "use_backend") {
                    Ok(_) => {
                        Destination::Name(self.refer(Named::Proxy(word.as_str().into()), line))
                    }
                    Err(diagnostic) => {
                        self.diagnostics.push(*diagnostic);
                        continue;
                    }
                },
            };
            switches.push(switch(line, to));
        }
        let default = draft.default_backend.as_ref().and_then(|word| {
            find(word, "default_backend")
                .map_err(|diagnostic| self.diagnostics.push(*diagnostic))
                .ok()
        });
        (switches, default)
    }

    /// `use-server` lines, whose servers are the backend's own.
    fn use_servers(&mut self, draft: &Draft) -> Vec<Switch> {
        let mut switches = Vec::new();
        for line in &draft.use_servers {
            let to = match &line.to {
                SwitchTo::Format(format) => Destination::Format(format.clone()),
                SwitchTo::Name(word) => {
                    let named = Named::Server {
                        backend: None,
                        server: word.as_str().into(),
                        here: draft.proxy.name.to_string(),
                    };
                    Destination::Name(self.refer(named, line))
                }
            };
            switches.push(switch(line, to));
        }
        switches
    }

    fn refer(&mut self, named: Named, line: &SwitchDraft) -> NameRef {
        self.names.span = line.span;
        self.names.refer(named)
    }

    /// What was odd in expressions.
    fn tell_warnings(&mut self) {
        for (span, message) in std::mem::take(&mut self.names.warnings) {
            self.diagnostics.warning(span, message);
        }
    }

    /// What the names in expressions stand for.
    fn resolve_names(&mut self, directory: &Directory) {
        let refs = std::mem::take(&mut self.names.refs);
        let mut servers = BTreeMap::new();
        if refs.iter().any(|(named, _)| matches!(named, Named::Server { .. })) {
            for (id, server) in (0..).zip(&self.site.servers) {
                servers.entry((server.backend, server.name.clone())).or_insert(id);
            }
        }
        let mut targets = Vec::with_capacity(refs.len());
        for (named, span) in refs {
            match self.target(&named, directory, &servers) {
                Ok(target) => targets.push(target),
                Err((message, near)) => self.suggest(span, message, near.as_deref()),
            }
        }
        self.site.refs.targets = targets;
        self.site.wants = self.names.wants;
        if self.site.wants.tcp_info {
            self.site.proxies.iter_mut().for_each(|proxy| proxy.options.set(Options::TCP_INFO));
        }
        self.site.wants.destination |= self.site.proxies.iter().any(|p| p.original_to.is_some());
        self.site.patterns = std::mem::take(&mut self.names.patterns);
        self.find_changed_files();
        self.site.acls = std::mem::take(&mut self.names.acls);
    }

    /// Where the files are that rules change.
    fn find_changed_files(&mut self) {
        for (path, span) in std::mem::take(&mut self.names.changed) {
            let all = (0..).zip(&self.site.patterns);
            let found: Box<[u32]> =
                all.filter(|(_, file)| *file.name == *path).map(|(index, _)| index).collect();
            if found.is_empty() {
                let message = format!("nothing uses the file '{path}': changing it has no effect");
                let told = self.diagnostics.warning(span, message);
                told.help.push("name the file as the 'acl -f' or 'map()' does that uses it".into());
            }
            self.site.changed.push(found);
        }
    }

    /// Captures that expressions look at in a frontend which does not declare them.
    fn check_captured(&mut self, drafts: &[Draft]) {
        for captured in std::mem::take(&mut self.names.captured) {
            let here = |draft: &&Draft| {
                *draft.proxy.name == *captured.proxy && draft.proxy.role.has(Role::FRONTEND)
            };
            let Some(draft) = drafts.iter().find(here) else { continue };
            let slots = draft.proxy.captures[usize::from(captured.response)].len();
            if captured.slot as usize >= slots {
                let message = format!(
                    "'{}({})' is empty: {} declares {slots} captures",
                    captured.fetch,
                    captured.slot,
                    draft.title()
                );
                self.diagnostics.warning(captured.span, message);
            }
        }
    }

    fn target(
        &self,
        named: &Named,
        directory: &Directory,
        servers: &BTreeMap<(ProxyId, Arc<str>), ServerId>,
    ) -> Result<Target, (String, Option<String>)> {
        let site = &self.site;
        let proxies = || site.proxies.iter().map(|proxy| &*proxy.name);
        match named {
            Named::Proxy(name) => match directory.proxy(name) {
                Some(index) => Ok(Target::Proxy(index)),
                None => {
                    let near = similar::nearest(name, proxies()).map(str::to_owned);
                    Err((format!("unable to find the proxy '{name}'"), near))
                }
            },
            Named::Server { backend, server, here } => {
                let name = backend.as_ref().unwrap_or(here);
                let Some(index) = directory.proxy(name) else {
                    let near = similar::nearest(name, proxies()).map(str::to_owned);
                    return Err((format!("unable to find the backend '{name}'"), near));
                };
                match servers.get(&(index, server.as_str().into())) {
                    Some(id) => Ok(Target::Server(*id)),
                    None => {
                        let range = site.proxies[index as usize].servers.clone();
                        let servers = &site.servers[range.start as usize..range.end as usize];
                        let known = servers.iter().map(|known| &*known.name);
                        let near = similar::nearest(server, known).map(str::to_owned);
                        Err((format!("unable to find the server '{server}' in '{name}'"), near))
                    }
                }
            }
            Named::Userlist(name) => {
                let lists = &site.userlists;
                match lists.iter().position(|list| *list.name == **name) {
                    Some(index) => Ok(Target::Userlist(index as u32)),
                    None => {
                        let near = similar::nearest(name, lists.iter().map(|list| &*list.name));
                        let near = near.map(str::to_owned);
                        Err((format!("unable to find the userlist '{name}'"), near))
                    }
                }
            }
        }
    }

    /// Puts a proxy, its listeners and its servers in their places in the site.
    fn place(&mut self, draft: Draft) {
        let site = &mut self.site;
        let id = site.proxies.len() as u32;
        let first_listener = site.listeners.len() as u32;
        let first_server = site.servers.len() as u32;
        site.listeners.extend(draft.binds.into_iter().map(|bind| {
            let mut listener = bind.listener;
            listener.frontend = id;
            listener
        }));
        site.servers.extend(draft.servers.into_iter().map(|server| {
            let mut server = server.server;
            server.backend = id;
            server
        }));
        let mut proxy = Proxy {
            listeners: first_listener..site.listeners.len() as u32,
            servers: first_server..site.servers.len() as u32,
            ..draft.proxy
        };
        if proxy.maxconn == 0 {
            proxy.maxconn = self.cli.proxy_maxconn.unwrap_or(0);
        }
        if draft.kind == SectionKind::Backend {
            proxy.maxconn = 0;
        }
        ring::settle(&mut proxy.logs, &site.rings);
        // Each proxy counts for itself, wherever its line stands.
        for target in &mut proxy.logs {
            if let Some(index) = &mut target.sample {
                let sample = site.log_samples[*index as usize].clone();
                *index = site.log_samples.len() as u32;
                site.log_samples.push(sample);
            }
        }
        // Where events are counted nothing is left out, so that plain traffic need not ask.
        let rates = self.names.wants.rates || self.names.wants.numbers;
        proxy.plain = proxy.is_plain() && !rates;
        site.rewrites |= rates;
        site.rewrites |= proxy.rules.http_request.iter().any(|rule| rule.action.rewrites());
        if proxy.role.has(Role::BACKEND) {
            site.backends.insert(proxy.name.as_bytes(), id);
        }
        site.proxies.push(proxy);
    }

    /// Marking packets takes privileges while the process runs.
    fn check_privileges(&mut self) {
        if let Some(span) = self.marked
            && self.site.global.uid.is_some_and(|uid| uid != 0)
        {
            let message = "'set-mark' needs the privileges that 'user' or 'uid' gives up";
            let found = self.diagnostics.alert(span, message);
            found.help.push("leave out 'user' and start as a user who has CAP_NET_ADMIN".into());
        }
    }

    /// Limits that follow from other settings.
    fn limits(&mut self) {
        let tune = &mut self.site.tunables;
        if tune.maxrewrite >= tune.bufsize / 2 {
            tune.maxrewrite = tune.bufsize / 2;
        }
        let maxconn = self.maxconn;
        let derived = self.derived_maxconn();
        self.site.global.maxconn = maxconn.unwrap_or(derived);
    }

    /// As many connections as descriptors allow: two each, and half a pipe each where data is
    /// spliced; 20 are kept for logs and files, three per thread for its poller and its wakeups.
    fn derived_maxconn(&self) -> u32 {
        const RESERVE: u64 = 20;
        const PER_THREAD: u64 = 3;
        /// Never less, however few descriptors there are.
        const MAXCONN_MIN: u64 = 100;
        const THREADS_MAX: usize = 64;
        let global = &self.site.global;
        let limit = self.host.fd_limit();
        let mut limit = global.ulimit_n.map_or(limit.soft.max(limit.hard), u64::from);
        if let Some(hard) = global.fd_hard_limit {
            limit = limit.min(hard.into());
        }
        let threads =
            global.nbthread.map_or(self.host.cpus().min(THREADS_MAX) as u64, u64::from).max(1);
        let used = RESERVE + PER_THREAD * threads + self.site.listeners.len() as u64;
        let remain = limit.saturating_sub(used);
        let maxconn = match self.pipes() {
            Some(pipes) if pipes * 2 < remain => (remain - pipes * 2) / 2,
            Some(_) => remain / 2,
            None => remain * 2 / 5,
        };
        maxconn.clamp(MAXCONN_MIN, i32::MAX as u64) as u32
    }

    /// Pipes that splicing may need at once; none if only maxconn limits them.
    fn pipes(&self) -> Option<u64> {
        let splice =
            Options::SPLICE_AUTO.with(Options::SPLICE_REQUEST).with(Options::SPLICE_RESPONSE);
        let global = &self.site.global;
        if global.maxpipes > 0 {
            return Some(global.maxpipes.into());
        }
        if self.site.tunables.nosplice {
            return Some(0);
        }
        let (mut front, mut back) = (0u64, 0u64);
        for proxy in self.site.proxies.iter().filter(|proxy| proxy.options.any(splice)) {
            let global_maxconn = self.maxconn.unwrap_or(0);
            if proxy.role.has(Role::FRONTEND) {
                if proxy.maxconn == 0 {
                    return None;
                }
                front += u64::from(proxy.maxconn);
            }
            if proxy.role.has(Role::BACKEND) {
                let most = if proxy.fullconn > 0 { proxy.fullconn } else { global_maxconn };
                if most == 0 {
                    return None;
                }
                back += u64::from(most);
            }
        }
        let pipes = front.max(back);
        Some(if pipes >= 4 { pipes / 4 } else { pipes })
    }
}

fn switch(line: &SwitchDraft, to: Destination) -> Switch {
    let (place, text) = (line.place.clone(), line.text.clone());
    Switch { condition: line.condition.clone(), to, place, text }
}

/// The backend that a line of `draft` names.
fn backend(
    draft: &Draft,
    (drafts, directory): (&[Draft], &Directory),
    word: &Word,
    keyword: &str,
) -> Result<u32, Box<Diagnostic>> {
    let alert = |message| Diagnostic::new(Severity::Alert, Some(word.span), message);
    let name = word.as_str();
    let backends = || drafts.iter().filter(|draft| draft.is_backend());
    let Some(index) = directory.backend(name) else {
        let message = format!("{}: unable to find required {keyword}: '{name}'", draft.title());
        let near = similar::nearest(name, backends().map(|draft| &*draft.proxy.name));
        let diagnostic = alert(message);
        return Err(Box::new(match near {
            Some(near) => diagnostic.suggest(word.span, near),
            None => diagnostic,
        }));
    };
    let target = &drafts[index as usize];
    if target.span == draft.span {
        let message = format!("{}: loop detected for {keyword}: '{name}'", draft.title());
        return Err(Box::new(alert(message)));
    }
    // A TCP session can become HTTP, but not the other way round.
    if target.proxy.mode == draft.proxy.mode || target.is_http() {
        return Ok(index);
    }
    let mode = |draft: &Draft| if draft.is_http() { "http" } else { "tcp" };
    let message = format!(
        "{} {} tries to use incompatible {} {} in '{keyword}'",
        mode(draft),
        draft.title(),
        mode(target),
        target.title()
    );
    let help = "set the same 'mode' in both";
    Err(Box::new(alert(message).help(help).see(target.name_span, "the backend is declared at")))
}
