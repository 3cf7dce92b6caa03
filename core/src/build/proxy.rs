//! `defaults`, `frontend`, `listen` and `backend` sections.

use core::net::SocketAddr;

use crate::config::keywords::{Context, Keyword, Status};
use crate::config::units::Unit;
use crate::config::{Environment, Negation, Section, SectionKind, Statement, Word};
use crate::proxy::spec::{Mode, Proxy, RetryOn, Reuse};
use crate::time::Duration;

use super::address::{self, HostPart, PortPart};
use super::args::Args;
use super::draft::Draft;
use super::{Builder, head, legacy};

impl Builder<'_> {
    pub(super) fn proxy(&mut self, section: &Section) {
        let base = match &section.from {
            Some(from) => {
                let known = self.defaults_named.get(from.as_str()).copied();
                if known.is_none() {
                    let message = format!(
                        "defaults section '{}' not found for {} '{}'",
                        from.as_str(),
                        section.kind.as_str(),
                        section.name()
                    );
                    self.diagnostics.alert(from.span, message);
                }
                known
            }
            None if section.kind == SectionKind::Defaults => None,
            None => self.defaults.len().checked_sub(1),
        };
        let at = section.name.as_ref().map_or(section.span, |name| name.span);
        let mut draft = match base {
            Some(index) => {
                self.defaults[index].derive(section.kind, section.name(), section.span, at)
            }
            None => Draft::new(section.kind, section.span).derive(
                section.kind,
                section.name(),
                section.span,
                at,
            ),
        };
        self.enter_proxy(&mut draft);
        for statement in &section.statements {
            self.proxy_statement(&mut draft, statement);
        }
        self.leave_proxy(&mut draft);
        if section.kind == SectionKind::Defaults {
            self.defaults_named.insert(draft.proxy.name.clone(), self.defaults.len());
            self.defaults.push(draft);
        } else {
            self.drafts.push(draft);
        }
    }

    fn proxy_statement(&mut self, draft: &mut Draft, statement: &Statement) {
        if statement.word(0) == "option" {
            self.option(draft, statement);
            return;
        }
        let context = Context::Line(draft.kind);
        let Some(keyword) = self.known(context, statement) else { return };
        let refused = matches!(keyword.status, Status::Removed(_));
        if !refused && !self.belongs(draft, keyword, statement) {
            return;
        }
        if refused {
            let words: Vec<&str> = statement.words.iter().map(Word::as_str).collect();
            if let Some(today) = legacy::modern(&words) {
                let message =
                    format!("'{}' is not supported any more; use '{today}'", keyword.name);
                self.diagnostics.alert(head(keyword, statement), message);
                return;
            }
        }
        if !self.usable(context, keyword, head(keyword, statement)) {
            return;
        }
        match keyword.name {
            "bind" => self.bind(draft, statement),
            "server" => self.server(draft, statement),
            "server-template" => self.server_template(draft, statement),
            "default-server" => self.default_server(draft, statement),
            "log" => self.proxy_log(draft, statement),
            "use_backend" => self.switch(draft, statement, "use_backend"),
            "use-server" => self.switch(draft, statement, "use-server"),
            "acl" => self.acl(statement),
            "log-format" | "log-format-sd" | "error-log-format" | "unique-id-format" => {
                self.format_statement(draft, statement, keyword.name);
            }
            "capture cookie" => self.capture_cookie(draft, statement),
            "capture request header" | "capture response header" | "declare capture" => {
                self.capture(draft, statement, keyword.name);
            }
            "monitor-uri" | "monitor fail" => self.monitor(draft, statement, keyword.name),
            "http-error" => self.http_error(draft, statement),
            "redirect" => self.redirect_rule(draft, statement),
            "balance" => self.balance(draft, statement),
            "hash-type" => self.hash_type(draft, statement),
            "hash-balance-factor" => self.hash_balance_factor(draft, statement),
            "errorfile" | "errorloc" | "errorloc302" | "errorloc303" | "errorfiles" => {
                self.error_statement(draft, statement, keyword.name);
            }
            "http-request"
            | "http-response"
            | "http-after-response"
            | "tcp-request connection"
            | "tcp-request session"
            | "tcp-request content"
            | "tcp-response content" => {
                self.rule(draft, statement, keyword.name);
            }
            name if name.starts_with("timeout ") => {
                let mut args = Args::new(statement, 2, name, &mut self.diagnostics);
                let Some(time) = args.time(Unit::Millis) else { return };
                args.end();
                set_timeout(&mut draft.proxy, name, time);
            }
            name => self.proxy_value(draft, statement, name),
        }
    }

    /// Keywords that set one value.
    fn proxy_value(&mut self, draft: &mut Draft, statement: &Statement, name: &'static str) {
        const COUNT_MAX: u32 = i32::MAX as u32;
        const MODES: [(&str, Mode); 2] = [("tcp", Mode::Tcp), ("http", Mode::Http)];
        const REUSES: [(&str, Reuse); 4] = [
            ("never", Reuse::Never),
            ("safe", Reuse::Safe),
            ("aggressive", Reuse::Aggressive),
            ("always", Reuse::Always),
        ];
        let proxy = &mut draft.proxy;
        let at = name.split(' ').count();
        let mut args = Args::new(statement, at, name, &mut self.diagnostics);
        match name {
            "mode" => {
                let got = args.peek().map_or("", |word| word.as_str());
                if got == "health" {
                    let message = "'mode health' is not supported any more";
                    let help = "write 'mode http' and 'http-request return status 200'";
                    args.alert(args.place(), message, help);
                    return;
                }
                proxy.mode = args.choice(&MODES).unwrap_or(proxy.mode);
            }
            "id" => {
                let span = args.place();
                draft.id = args.number(1..=COUNT_MAX).map(|id| (id, span));
            }
            "maxconn" => set(&mut proxy.maxconn, args.number(0..=COUNT_MAX)),
            "fullconn" => set(&mut proxy.fullconn, args.number(0..=COUNT_MAX)),
            "backlog" => set(&mut proxy.backlog, args.number(0..=COUNT_MAX)),
            "retries" => set(&mut proxy.retries, args.number(0..=COUNT_MAX)),
            "retry-on" => {
                if let Some(retry_on) = retry_on(&mut args) {
                    proxy.retry_on = retry_on;
                }
            }
            "http-reuse" => proxy.reuse = args.choice(&REUSES).unwrap_or(proxy.reuse),
            "default_backend" => {
                if let Some(word) = args.need("a backend's name") {
                    draft.default_backend = Some(word.clone());
                }
            }
            "log-tag" => {
                proxy.log_tag = args.need("a tag").map(|word| word.as_str().into());
            }
            "source" => match source(&mut args, &self.names.env) {
                Ok(source) => proxy.source = source,
                Err(()) => return,
            },
            "http-send-name-header" => {
                if let Some(word) = args.need("a header's name") {
                    proxy.send_name_header = Some(word.as_str().to_ascii_lowercase().into());
                }
            }
            "unique-id-header" => {
                if let Some(word) = args.need("a header's name") {
                    proxy.unique_id_header = Some(word.as_str().to_ascii_lowercase().into());
                }
            }
            "disabled" => proxy.disabled = true,
            "enabled" => proxy.disabled = false,
            "clitcpka-cnt" => proxy.client_probes.count = args.number(1..=127),
            "clitcpka-idle" => proxy.client_probes.idle = args.time(Unit::Seconds),
            "clitcpka-intvl" => proxy.client_probes.interval = args.time(Unit::Seconds),
            "srvtcpka-cnt" => proxy.server_probes.count = args.number(1..=127),
            "srvtcpka-idle" => proxy.server_probes.idle = args.time(Unit::Seconds),
            "srvtcpka-intvl" => proxy.server_probes.interval = args.time(Unit::Seconds),
            "tcp-request inspect-delay" => {
                proxy.rules.inspect_delay = args.time(Unit::Millis).filter(|t| *t > Duration::ZERO);
            }
            "tcp-response inspect-delay" => {
                proxy.rules.response_delay =
                    args.time(Unit::Millis).filter(|t| *t > Duration::ZERO);
            }
            // A text for people; it may have any number of words.
            "description" => {
                args.need("a text");
                return;
            }
            _ => debug_assert!(false, "'{name}' is said to work and is not compiled"),
        }
        args.end();
    }

    /// Whether the section may have this keyword.
    fn belongs(&mut self, draft: &Draft, keyword: &Keyword, statement: &Statement) -> bool {
        const NAMED_ONLY: [&str; 10] = [
            "acl",
            "http-request",
            "http-response",
            "http-after-response",
            "tcp-request connection",
            "tcp-request session",
            "tcp-request content",
            "tcp-request inspect-delay",
            "tcp-response content",
            "tcp-response inspect-delay",
        ];
        let name = keyword.name;
        let span = statement.place(0);
        let anonymous = draft.kind == SectionKind::Defaults && draft.proxy.name.is_empty();
        if anonymous && NAMED_ONLY.contains(&name) {
            let message = format!("'{name}' not allowed in anonymous 'defaults' section");
            let found = self.diagnostics.alert(span, message);
            found.help.push("name the section: 'defaults <name>'".into());
            return false;
        }
        if keyword.sections.contains(draft.kind) {
            return true;
        }
        let lacking = match draft.kind {
            SectionKind::Defaults => {
                let message = format!("'{name}' not allowed in 'defaults' section");
                self.diagnostics.alert(span, message);
                return false;
            }
            SectionKind::Frontend => "backend",
            _ => "frontend",
        };
        let message =
            format!("'{name}' ignored because {} has no {lacking} capability", draft.title());
        if matches!(name, "server" | "server-template") {
            let message = message.replacen("ignored", "not allowed", 1);
            let found = self.diagnostics.alert(span, message);
            found.help.push("servers belong to a 'backend' or 'listen' section".into());
            return false;
        }
        let found = self.diagnostics.warning(span, message);
        if name == "maxconn" {
            found.help.push("maybe you want 'fullconn' instead?".into());
        }
        false
    }

    fn proxy_log(&mut self, draft: &mut Draft, statement: &Statement) {
        if statement.negation == Negation::No {
            Args::new(statement, 1, "no log", &mut self.diagnostics).end();
            draft.proxy.logs.clear();
            return;
        }
        if statement.word(1) != "global" || statement.words.len() > 2 {
            if let Some(target) = self.log_target(statement) {
                draft.proxy.logs.push(target);
            }
            return;
        }
        for target in &self.site.global.logs {
            if !draft.proxy.logs.contains(target) {
                draft.proxy.logs.push(target.clone());
            }
        }
    }
}

/// `source <address>[:<port>]`.
pub(super) fn source(
    args: &mut Args<'_, '_>,
    env: &Environment<'_>,
) -> Result<Option<SocketAddr>, ()> {
    let word = args.need("an address").ok_or(())?;
    let endpoint = match address::parse(word.as_str(), env) {
        Ok(endpoint) => endpoint,
        Err(message) => {
            args.alert(word.span, format!("'{}' : {message}", args.name()), "");
            return Err(());
        }
    };
    if let Some(extra) = args.peek()
        && matches!(extra.as_str(), "usesrc" | "interface")
    {
        let message = format!(
            "'{}' of 'source' is not supported yet, and connections would come from another \
             address",
            extra.as_str()
        );
        args.alert(extra.span, message, "");
        return Err(());
    }
    let port = match endpoint.port {
        PortPart::None => 0,
        PortPart::Range(first, last) if first == last => first,
        PortPart::Range(..) | PortPart::Offset(_) => {
            args.alert(
                word.span,
                "a range of ports in 'source' is not supported",
                "leave the port out",
            );
            return Err(());
        }
    };
    match endpoint.host {
        HostPart::Any => Ok(None),
        HostPart::Ip(ip) if ip.is_unspecified() && port == 0 => Ok(None),
        HostPart::Ip(ip) => Ok(Some(SocketAddr::new(ip, port))),
        _ => {
            let message = format!("'source' expects an IP address (got '{}')", word.as_str());
            args.alert(word.span, message, "");
            Err(())
        }
    }
}

fn set_timeout(proxy: &mut Proxy, name: &str, time: Duration) {
    let timeouts = &mut proxy.timeouts;
    let target = match name {
        "timeout connect" => &mut timeouts.connect,
        "timeout client" => &mut timeouts.client,
        "timeout server" => &mut timeouts.server,
        "timeout tunnel" => &mut timeouts.tunnel,
        "timeout client-fin" => &mut timeouts.client_fin,
        "timeout server-fin" => &mut timeouts.server_fin,
        "timeout queue" => &mut timeouts.queue,
        "timeout http-request" => &mut timeouts.http_request,
        "timeout http-keep-alive" => &mut timeouts.http_keep_alive,
        "timeout tarpit" => &mut timeouts.tarpit,
        _ => {
            debug_assert!(false, "'{name}' is said to work and is not compiled");
            return;
        }
    };
    // Zero is no limit.
    *target = Some(time).filter(|time| *time > Duration::ZERO);
}

fn retry_on(args: &mut Args<'_, '_>) -> Option<RetryOn> {
    const ALL: [u16; 4] = [500, 502, 503, 504];
    let mut set = RetryOn::NONE;
    let first = args.place();
    let mut count = 0;
    let mut none = false;
    while let Some(word) = args.next() {
        count += 1;
        match word.as_str() {
            "none" => none = true,
            "conn-failure" => set.set(RetryOn::CONN_FAILURE),
            "empty-response" => set.set(RetryOn::EMPTY_RESPONSE),
            "junk-response" => set.set(RetryOn::JUNK_RESPONSE),
            "response-timeout" => set.set(RetryOn::RESPONSE_TIMEOUT),
            // There is no early data without TLS.
            "0rtt-rejected" => {}
            "all-retryable-errors" => {
                set.set(RetryOn::CONN_FAILURE);
                set.set(RetryOn::EMPTY_RESPONSE);
                set.set(RetryOn::JUNK_RESPONSE);
                set.set(RetryOn::RESPONSE_TIMEOUT);
                ALL.into_iter().filter_map(RetryOn::status).for_each(|bit| set.set(bit));
            }
            other => match other.parse().ok().and_then(RetryOn::status) {
                Some(bit) => set.set(bit),
                None => {
                    let message = format!("'retry-on': unknown keyword '{other}'");
                    args.alert(
                        word.span,
                        message,
                        "known are: none, conn-failure, empty-response, junk-response, \
                         response-timeout, 0rtt-rejected, all-retryable-errors and the statuses \
                         401, 403, 404, 408, 425, 500, 501, 502, 503, 504",
                    );
                    return None;
                }
            },
        }
    }
    if count == 0 {
        args.need("failures to retry on")?;
    }
    if none && count > 1 {
        args.alert(first, "'retry-on': 'none' is only usable alone", "");
        return None;
    }
    Some(set)
}

fn set(target: &mut u32, value: Option<u32>) {
    if let Some(value) = value {
        *target = value;
    }
}
