//! A scenario: a configuration, a script, what it should end in, and what may differ.

use super::script::Step;

/// What every exchange of one configuration needs to be run and judged.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Unique, as given to `--only`.
    pub name: &'static str,
    /// What it shows, in one sentence.
    pub why: &'static str,
    pub config: Config,
    pub steps: Vec<Step>,
    /// Termination states (positions 1 and 2) of the lines haproxy logs, in their order.
    pub codes: Vec<&'static str>,
    /// Differences that are accepted, with the reason.
    pub allowed: Vec<Allowed>,
}

/// An accepted difference: those whose place starts with `place`.
#[derive(Debug, Clone, Copy)]
pub struct Allowed {
    pub place: &'static str,
    pub reason: &'static str,
    /// It is there in every run: one without it says that the allowance is not needed any more.
    pub always: bool,
}

/// The lines that a scenario adds to a template of `configs/exchanges/`.
#[derive(Debug, Clone)]
pub struct Config {
    pub template: Template,
    pub global: &'static str,
    pub defaults: &'static str,
    pub frontend: &'static str,
    pub backend: &'static str,
    pub servers: &'static str,
    pub more: &'static str,
    /// Files put beside the configuration, found as `{dir}/name`.
    pub files: Vec<(&'static str, &'static str)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    Http,
    Tcp,
}

impl Template {
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http.cfg",
            Self::Tcp => "tcp.cfg",
        }
    }

    pub fn text(self) -> &'static str {
        match self {
            Self::Http => include_str!("../../configs/exchanges/http.cfg"),
            Self::Tcp => include_str!("../../configs/exchanges/tcp.cfg"),
        }
    }
}

impl Config {
    fn new(template: Template) -> Self {
        Self {
            template,
            global: "",
            defaults: "",
            frontend: "",
            backend: "",
            servers: "server s1 {origin.s1}",
            more: "",
            files: Vec::new(),
        }
    }

    /// The lines by the place where they go, for people.
    pub fn added(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        [
            ("@global", self.global),
            ("@defaults", self.defaults),
            ("@frontend", self.frontend),
            ("@backend", self.backend),
            ("@servers", self.servers),
            ("@more", self.more),
        ]
        .into_iter()
        .filter(|(_, lines)| !lines.is_empty())
    }

    /// The whole text; `{…}` places are still to be filled.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in self.template.text().lines() {
            let word = line.trim_start();
            let indent = &line[..line.len() - word.len()];
            let lines = match word {
                "@global" => self.global,
                "@defaults" => self.defaults,
                "@frontend" => self.frontend,
                "@backend" => self.backend,
                "@servers" => self.servers,
                "@more" => self.more,
                _ => line,
            };
            let indent = if word.starts_with('@') { indent } else { "" };
            for added in lines.lines() {
                text.push_str(indent);
                text.push_str(added);
                text.push('\n');
            }
            if line.is_empty() {
                text.push('\n');
            }
        }
        text
    }
}

/// An HTTP scenario with one server, `s1`.
pub fn http(name: &'static str, why: &'static str) -> Scenario {
    Scenario::new(name, why, Template::Http)
}

/// A TCP scenario with one server, `s1`.
pub fn tcp(name: &'static str, why: &'static str) -> Scenario {
    Scenario::new(name, why, Template::Tcp)
}

impl Scenario {
    fn new(name: &'static str, why: &'static str, template: Template) -> Self {
        let config = Config::new(template);
        Self { name, why, config, steps: Vec::new(), codes: Vec::new(), allowed: Vec::new() }
    }

    pub fn global(mut self, lines: &'static str) -> Self {
        self.config.global = lines;
        self
    }

    pub fn defaults(mut self, lines: &'static str) -> Self {
        self.config.defaults = lines;
        self
    }

    pub fn frontend(mut self, lines: &'static str) -> Self {
        self.config.frontend = lines;
        self
    }

    pub fn backend(mut self, lines: &'static str) -> Self {
        self.config.backend = lines;
        self
    }

    pub fn servers(mut self, lines: &'static str) -> Self {
        self.config.servers = lines;
        self
    }

    pub fn more(mut self, lines: &'static str) -> Self {
        self.config.more = lines;
        self
    }

    pub fn file(mut self, name: &'static str, text: &'static str) -> Self {
        self.config.files.push((name, text));
        self
    }

    pub fn steps(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.steps.extend(steps);
        self
    }

    /// The termination states that haproxy logs, in order; one per expected line.
    pub fn codes<const N: usize>(mut self, codes: [&'static str; N]) -> Self {
        self.codes.extend(codes);
        self
    }

    /// Accepts a deliberate difference, and expects it.
    pub fn allow(mut self, place: &'static str, reason: &'static str) -> Self {
        self.allowed.push(Allowed { place, reason, always: true });
        self
    }

    /// Accepts a difference that comes and goes with the machine.
    pub fn tolerate(mut self, place: &'static str, reason: &'static str) -> Self {
        self.allowed.push(Allowed { place, reason, always: false });
        self
    }
}
