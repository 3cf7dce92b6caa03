//! The `global` section.

use crate::config::keywords::Context;
use crate::config::units::Unit;
use crate::config::{Negation, Section, SectionKind, Statement};
use crate::logfmt::format::Style;
use crate::rule::Value;
use crate::sample::Point;
use crate::sample::vars::Scope;

use super::Builder;
use super::args::Args;

impl Builder<'_> {
    pub(super) fn global(&mut self, section: &Section) {
        for statement in &section.statements {
            let context = Context::Line(SectionKind::Global);
            let Some(keyword) = self.keyword(context, statement) else { continue };
            match keyword.name {
                "log" => self.global_log(statement),
                "unix-bind" => self.unix_bind(statement),
                "user" | "group" => self.account(statement, keyword.name),
                "stats" => self.stats(statement),
                "log-send-hostname" => {
                    let name = match statement.word(1) {
                        "" => self.site.global.hostname.clone(),
                        name => name.into(),
                    };
                    self.site.global.log_hostname = Some(name);
                }
                "localpeer" => {
                    if self.cli.localpeer.is_none()
                        && let Some(name) = self.one_word(statement, "a peer name")
                    {
                        self.names.env.set("HAPROXY_LOCALPEER", &name);
                        self.site.global.localpeer = name.into();
                    }
                }
                "chroot" => self.site.global.chroot = self.one_word(statement, "a directory"),
                "pidfile" => {
                    let path = self.one_word(statement, "a file name");
                    if self.cli.pidfile.is_none() {
                        self.site.global.pidfile = path;
                    }
                }
                "log-tag" => {
                    if let Some(tag) = self.one_word(statement, "a tag") {
                        self.site.global.log_tag = tag.into();
                    }
                }
                "node" => {
                    if let Some(node) = self.one_word(statement, "a name") {
                        self.site.global.node = node.into();
                    }
                }
                "description" => {
                    let words: Vec<&str> =
                        statement.words[1..].iter().map(|word| word.as_str()).collect();
                    self.site.global.description = Some(words.join(" ").into());
                }
                "set-var" | "set-var-fmt" => self.proc_var(statement, keyword.name),
                "expose-experimental-directives" => self.experimental = true,
                "default-path" => self.default_path(statement),
                // Threads are in one group: any range of them is the same.
                "thread-group" => {}
                name => self.global_value(statement, name),
            }
        }
    }

    /// `set-var <name> <expr>` and `set-var-fmt <name> <format>`: of the process.
    fn proc_var(&mut self, statement: &Statement, name: &str) {
        let mut phrase = self.phrase(statement, (1, name), Point::Config);
        let Some(word) = phrase.args.need("a variable, such as proc.name") else { return };
        let var = match phrase.names.var(word.as_str()) {
            Ok(var) if var.scope == Scope::Proc => var,
            Ok(_) => {
                let message = format!("'{name}' : only 'proc.' variables exist here");
                phrase.args.alert(word.span, message, "");
                return;
            }
            Err(message) => {
                phrase.args.alert(word.span, format!("'{name}' : {message}"), "");
                return;
            }
        };
        let value = if name == "set-var" {
            phrase.expr().map(Value::Expr)
        } else {
            phrase.format("a format", Style::Plain).map(Value::Format)
        };
        if let Some(value) = value
            && phrase.args.end()
        {
            self.site.proc_vars.push((var.name, value));
        }
    }

    /// Keywords that set one value.
    fn global_value(&mut self, statement: &Statement, name: &'static str) {
        /// As HAProxy: a buffer must stay below 256 MB.
        const BUFSIZE_MAX: u32 = (1 << 28) - 1;
        const COUNT_MAX: u32 = i32::MAX as u32;
        let global = &mut self.site.global;
        let tune = &mut self.site.tunables;
        let mut args = Args::new(statement, 1, name, &mut self.diagnostics);
        match name {
            "daemon" => global.daemon = true,
            "zero-warning" => global.zero_warning = true,
            "nosplice" => tune.nosplice = true,
            "h1-accept-payload-with-any-method" => tune.payload_any_method = true,
            "noreuseport" => global.noreuseport = true,
            "uid" => global.uid = args.number(0..=u32::MAX - 1).or(global.uid),
            "gid" => global.gid = args.number(0..=u32::MAX - 1).or(global.gid),
            "nbthread" => global.nbthread = args.number(1..=64).or(global.nbthread),
            "thread-groups" => {
                args.number(1..=1);
            }
            "ulimit-n" => global.ulimit_n = args.number(1..=COUNT_MAX).or(global.ulimit_n),
            "fd-hard-limit" => {
                global.fd_hard_limit = args.number(1..=COUNT_MAX).or(global.fd_hard_limit);
            }
            "maxconn" => {
                if let Some(maxconn) = args.number(0..=COUNT_MAX)
                    && self.cli.maxconn.is_none()
                {
                    self.maxconn = Some(maxconn).filter(|maxconn| *maxconn > 0);
                }
            }
            "maxpipes" => global.maxpipes = args.number(0..=COUNT_MAX).unwrap_or_default(),
            "hard-stop-after" => global.hard_stop_after = args.time(Unit::Millis),
            "tune.bufsize" => set(&mut tune.bufsize, args.number(1_024..=BUFSIZE_MAX)),
            "tune.maxrewrite" => set(&mut tune.maxrewrite, args.number(0..=BUFSIZE_MAX)),
            "tune.pipesize" => set(&mut tune.pipesize, args.number(4_096..=COUNT_MAX)),
            "tune.maxaccept" => {
                if args.takes("-1") {
                    tune.maxaccept = u32::MAX;
                } else {
                    set(&mut tune.maxaccept, args.number(1..=COUNT_MAX));
                }
            }
            "tune.maxpollevents" => set(&mut tune.maxpollevents, args.number(1..=1_000_000)),
            "tune.runqueue-depth" => set(&mut tune.runqueue_depth, args.number(1..=COUNT_MAX)),
            "tune.http.maxhdr" => set(&mut tune.maxhdr, args.number(1..=32_767)),
            "tune.http.logurilen" => set(&mut tune.logurilen, args.number(1..=BUFSIZE_MAX)),
            "tune.rcvbuf.client" => set(&mut tune.rcvbuf_client, args.number(0..=COUNT_MAX)),
            "tune.rcvbuf.server" => set(&mut tune.rcvbuf_server, args.number(0..=COUNT_MAX)),
            "tune.sndbuf.client" => set(&mut tune.sndbuf_client, args.number(0..=COUNT_MAX)),
            "tune.sndbuf.server" => set(&mut tune.sndbuf_server, args.number(0..=COUNT_MAX)),
            // The environment was changed while the lines were read.
            "setenv" | "presetenv" | "unsetenv" | "resetenv" => return,
            _ => debug_assert!(false, "'{name}' is said to work and is not compiled"),
        }
        args.end();
    }

    fn global_log(&mut self, statement: &Statement) {
        if statement.negation == Negation::No {
            Args::new(statement, 1, "no log", &mut self.diagnostics).end();
            self.site.global.logs.clear();
        } else if let Some(target) = self.log_target(statement) {
            self.site.global.logs.push(target);
        }
    }

    /// `user` and `group`: a name the host knows.
    fn account(&mut self, statement: &Statement, name: &'static str) {
        let Some(account) = self.one_word(statement, "a name") else { return };
        let id = match name {
            "user" => self.host.user(&account).map(|(uid, _)| uid),
            _ => self.host.group(&account),
        };
        if id.is_none() {
            let message = format!("cannot find {name} id for '{account}'");
            let found = self.diagnostics.alert(statement.place(1), message);
            found.help.push(format!(
                "create the {name}, or give a number with '{}'",
                match name {
                    "user" => "uid",
                    _ => "gid",
                }
            ));
        }
        match name {
            "user" => self.site.global.uid = id,
            _ => self.site.global.gid = id,
        }
    }

    /// `stats socket` and its kin, which only concern the runtime socket.
    fn stats(&mut self, statement: &Statement) {
        const KINDS: [&str; 4] =
            ["stats socket", "stats timeout", "stats maxconn", "stats bind-process"];
        const REASON: &str = "the runtime socket does not exist yet";
        let second = statement.word(1);
        match KINDS.into_iter().find(|kind| &kind[6..] == second) {
            Some(kind) => {
                let span = statement.place(0).to(statement.place(1));
                self.ineffective(Context::Line(SectionKind::Global), kind, span, REASON);
            }
            None => {
                let message = format!(
                    "'stats' only supports 'socket', 'maxconn', 'bind-process' and 'timeout' (got \
                     '{second}')"
                );
                self.diagnostics.alert(statement.place(1), message);
            }
        }
    }

    /// `default-path`: where relative file names start from.
    fn default_path(&mut self, statement: &Statement) {
        let mut args = Args::new(statement, 1, "default-path", &mut self.diagnostics);
        use super::error_file::DefaultPath;
        let kinds = [("current", 0), ("config", 1), ("parent", 2), ("origin", 3)];
        let path = match args.choice(&kinds) {
            Some(0) => DefaultPath::Current,
            Some(1) => DefaultPath::Config,
            Some(2) => DefaultPath::Parent,
            Some(_) => match args.need("a directory") {
                Some(origin) => DefaultPath::Origin(origin.as_str().into()),
                None => return,
            },
            None => return,
        };
        args.end();
        self.default_path = path;
    }

    /// The only argument of a keyword.
    fn one_word(&mut self, statement: &Statement, what: &str) -> Option<String> {
        let mut args = Args::new(statement, 1, statement.word(0), &mut self.diagnostics);
        let word = args.need(what)?;
        args.end();
        Some(word.as_str().into())
    }
}

fn set(target: &mut u32, value: Option<u32>) {
    if let Some(value) = value {
        *target = value;
    }
}
