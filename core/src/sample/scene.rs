//! What an expression may look at: borrowed parts of a client, a session and its transaction, and
//! of the process. Not the session itself: what is here is all that a fetch can know.

use core::cell::RefCell;
use core::hash::{Hash, Hasher};
use core::net::SocketAddr;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::vars::{Scope, Stored, VarId, Vars};
use super::{Arena, Change, Kind, Point, Value};
use crate::acl::{Output, Patterns};
use crate::http::Head;
use crate::logfmt::dates::Dates;
use crate::logfmt::line::Record;
use crate::poller::TcpInfo;
use crate::proxy::shared::{Door, Gauge};
use crate::proxy::spec::{ListenerId, ProxyId, ServerId, Site};
use crate::rng::Rng;
use crate::rule::PatternChange;
use crate::time::{Duration, Now, Wall};

/// A direction of a session's data.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stream<'a> {
    /// The head, once it is understood. Where TCP is proxied it is what the bytes were found to
    /// begin with, if anything looks at it (HAProxy reads HTTP in `mode tcp`, too).
    pub head: Option<&'a Head>,
    /// There is none yet, and one may come.
    pub head_to_come: bool,
    /// Bytes received and not yet passed on: without the head, but where TCP is proxied.
    pub bytes: &'a [u8],
    /// `bytes` are chunks with their framing.
    pub chunked: bool,
    /// The length of the body, as the head declares it; 0 if it does not.
    pub length: u64,
    /// The sender may still send, and there is room for it.
    pub more: bool,
}

/// Values that rules and `capture` lines kept for the log, by slot.
pub type Captures = Vec<Option<Box<[u8]>>>;

/// A rule that applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its file.
    pub file: Arc<str>,
    /// Its line.
    pub line: u32,
    /// As it was written.
    pub text: Arc<str>,
}

/// What an engine keeps for its expressions.
#[derive(Debug)]
pub struct Desk {
    /// For values that are made; reset after each step of a session.
    pub arena: Arena,
    /// Chance, for `rand` and `uuid`.
    pub rng: RefCell<Rng>,
    /// `proc.` variables.
    pub vars: Vars,
    /// Pattern files that rules change: this engine's copies, by index in [`Site::patterns`].
    pub patterns: Vec<Option<Box<Patterns>>>,
    /// How often they were changed.
    pattern_changes: u64,
    /// The local time zone.
    pub zone: TimeZone,
    /// The process id.
    pub pid: u32,
    /// Dates in formats.
    pub dates: RefCell<Dates>,
    /// The rules that applied, if somebody wants to know.
    pub trace: Option<Vec<Applied>>,
    /// What converters captured in this step.
    captured: RefCell<Vec<Captured>>,
    /// Whether there are other engines, which are told of changes.
    pub(crate) accompanied: bool,
    /// What they have yet to be told.
    pub(crate) changes: RefCell<Vec<Change>>,
}

/// What `capture-req` or `capture-res` keeps for the log: an expression can only look at a
/// transaction, so whoever evaluates one puts this into its slots ([`Desk::take_captured`]).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Captured {
    /// A slot of the response.
    pub response: bool,
    /// Which slot.
    pub slot: u32,
    /// The text, not yet cut to the slot's length.
    pub text: Box<[u8]>,
}

impl Hash for Desk {
    /// What has a part in what happens next: of the patterns how often they were changed, since
    /// the same changes make the same of the same files.
    fn hash<H: Hasher>(&self, into: &mut H) {
        let Desk {
            arena: _,
            rng,
            vars,
            patterns: _,
            pattern_changes,
            zone: _,
            pid: _,
            dates: _,
            trace: _,
            captured: _,
            accompanied: _,
            changes,
        } = self;
        rng.borrow().clone().draw().hash(into);
        (vars, pattern_changes, &*changes.borrow()).hash(into);
    }
}

impl Desk {
    /// The desk of an engine.
    pub fn new(site: &Site, rng: Rng, pid: u32) -> Self {
        let name = site.global.timezone.as_deref();
        let zone =
            name.and_then(|name| TimeZone::get(name).or_else(|_| TimeZone::posix(name)).ok());
        Desk {
            arena: Arena::new(),
            rng: RefCell::new(rng),
            vars: Vars::default(),
            patterns: (0..site.patterns.len()).map(|_| None).collect(),
            pattern_changes: 0,
            zone: zone.unwrap_or(TimeZone::UTC),
            pid,
            trace: None,
            dates: RefCell::new(Dates::named(name).unwrap_or_else(Dates::utc)),
            captured: RefCell::default(),
            accompanied: false,
            changes: RefCell::default(),
        }
    }

    /// Keeps what a converter captured; what is too much is left out.
    pub fn capture(&self, captured: Captured) {
        /// More than a request has slots.
        const CAPTURED_MAX: usize = 256;
        let mut list = self.captured.borrow_mut();
        if list.len() < CAPTURED_MAX {
            list.push(captured);
        }
    }

    /// What converters captured since this was last asked.
    pub fn take_captured(&self) -> Vec<Captured> {
        self.captured.take()
    }

    /// Makes a change that a rule wants.
    pub fn change(&mut self, site: &Site, change: Change) {
        self.follow(site, &change);
        self.tell(|| change);
    }

    /// Makes a change that a rule of another engine wanted.
    pub(crate) fn follow(&mut self, site: &Site, change: &Change) {
        match change {
            Change::Patterns { change, file, key, value } => {
                self.change_patterns(site, *change, *file, key, value.as_deref());
            }
            Change::Variable { name, value: Some(value) } => {
                self.vars.set(*name, value.value(), 0);
            }
            Change::Variable { name, value: None } => self.vars.unset(*name),
        }
    }

    /// Notes what the other engines, if there are any, have to be told.
    fn tell(&self, change: impl FnOnce() -> Change) {
        if self.accompanied {
            self.changes.borrow_mut().push(change());
        }
    }

    /// Changes a pattern file, in this engine's own copy.
    fn change_patterns(
        &mut self,
        site: &Site,
        change: PatternChange,
        file: u32,
        key: &[u8],
        value: Option<&[u8]>,
    ) {
        self.pattern_changes += 1;
        let own = self.patterns[file as usize].get_or_insert_with(|| {
            Box::new(Patterns::clone(&site.patterns[file as usize].patterns))
        });
        // A pattern or a value that cannot be one changes nothing, as in HAProxy.
        match change {
            PatternChange::AddAcl => {
                if !own.has(key) {
                    let _ = own.add(key, None);
                }
            }
            PatternChange::SetMap => {
                let kind = own.output_kind().unwrap_or(Kind::Str);
                let Ok(output) = Output::parse(value.unwrap_or_default(), kind) else { return };
                if own.set(key, &output) == 0 {
                    let _ = own.add(key, Some(output));
                }
            }
            PatternChange::DelAcl | PatternChange::DelMap => {
                own.remove(key);
            }
        }
        own.finish();
    }

    /// Notes a rule that applies, if somebody wants to know.
    pub fn note(&mut self, file: &Arc<str>, line: u32, text: &Arc<str>) {
        if let Some(trace) = &mut self.trace {
            trace.push(Applied { file: file.clone(), line, text: text.clone() });
        }
    }

    /// Makes all room free that values took.
    #[inline]
    pub fn clear(&mut self) {
        if self.arena.allocated_bytes() > 0 || !self.captured.get_mut().is_empty() {
            self.clear_used();
        }
    }

    fn clear_used(&mut self) {
        /// More than this is given back.
        const KEPT_MAX: usize = 1 << 20;
        self.captured.get_mut().clear();
        if self.arena.allocated_bytes() > KEPT_MAX {
            self.arena = Arena::new();
        } else {
            self.arena.reset();
        }
    }
}

/// What is known of a client's connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ends {
    /// Where the client's connection came from, as rules and a PROXY header have it (`src`).
    pub src: Option<SocketAddr>,
    /// Where it went to (`dst`).
    pub dst: Option<SocketAddr>,
    /// Where it really came from (`fc_src`).
    pub fc_src: Option<SocketAddr>,
    /// Where it really went to (`fc_dst`).
    pub fc_dst: Option<SocketAddr>,
    /// Our end of the server's connection (`bc_src`).
    pub bc_src: Option<SocketAddr>,
    /// The server's end (`bc_dst`).
    pub bc_dst: Option<SocketAddr>,
    /// A PROXY header came first.
    pub proxied: bool,
}

/// What an expression may look at.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The engine's part.
    pub desk: &'a Desk,
    /// The configuration.
    pub site: &'a Site,
    /// Gauges and limits of all engines.
    pub(crate) shared: &'a Door,
    /// Which engine it is.
    pub engine: u32,
    /// The time.
    pub now: Now,
    /// Where in the configuration the expression stands.
    pub point: Point,
    /// The proxy whose rules are looked at.
    pub proxy: ProxyId,
    /// Where the client came in.
    pub frontend: ProxyId,
    /// Where it goes: the frontend itself until a backend is chosen.
    pub backend: ProxyId,
    /// The listener.
    pub listener: ListenerId,
    /// The server, once it is chosen.
    pub server: Option<ServerId>,
    /// Addresses.
    pub ends: Ends,
    /// What the kernel knows of the client's connection, if it tells and some expression asks.
    pub tcp_info: Option<&'a TcpInfo>,
    /// When the client was accepted.
    pub accepted: Wall,
    /// When the request's first byte came.
    pub began: Wall,
    /// Requests begun on the client's connection, this one included.
    pub requests: u32,
    /// Whether it is HTTP.
    pub http: bool,
    /// From the client.
    pub req: Stream<'a>,
    /// From the server.
    pub res: Stream<'a>,
    /// `sess.` variables.
    pub sess: Option<&'a Vars>,
    /// `txn.` variables.
    pub txn: Option<&'a Vars>,
    /// `req.` or `res.` variables, whichever is processed.
    pub pass: Option<&'a Vars>,
    /// Captures of the request and of the response.
    pub captures: [&'a [Option<Box<[u8]>>]; 2],
    /// What the log knows, where a format needs it.
    pub record: Option<&'a Record<'a>>,
    /// The unique id, once it was made.
    pub unique_id: Option<&'a [u8]>,
    /// The rule that ended the processing: `file:line` (`last_rule_file`, `last_rule_line`).
    pub last_rule: Option<(&'a str, u32)>,
    /// The request line as it was received, `METHOD URI VERSION`, if it is kept: rules may have
    /// changed the head's. None falls back to the head.
    pub request_line: Option<&'a [u8]>,
    /// Rules that find too little now are not looked at again: always so outside `tcp-request
    /// content` and `tcp-response content`, and there once the inspect delay is over, the buffer is
    /// full or the sender has ended (`wait_end`).
    pub last_look: bool,
    /// The engine takes no new clients any more (`stopping`).
    pub stopping: bool,
    /// `set-priority-class` and `set-priority-offset` so far.
    pub priority: (i32, i32),
    /// `timeout server` as `set-timeout` changed it; none if it did not.
    pub server_timeout: Option<Option<Duration>>,
    /// `timeout tunnel` as `set-timeout` changed it; none if it did not.
    pub tunnel_timeout: Option<Option<Duration>>,
    /// The authority of the client's PROXY header.
    pub pp_authority: Option<&'a [u8]>,
    /// The unique id of the client's PROXY header.
    pub pp_unique_id: Option<&'a [u8]>,
}

impl<'a> Scene<'a> {
    /// The scene of nobody: what the process knows by itself.
    pub(crate) fn bare(
        desk: &'a Desk,
        site: &'a Site,
        shared: &'a Door,
        engine: u32,
        now: Now,
    ) -> Scene<'a> {
        Scene {
            desk,
            site,
            shared,
            engine,
            now,
            point: Point::Config,
            proxy: 0,
            frontend: 0,
            backend: 0,
            listener: 0,
            server: None,
            ends: Ends::default(),
            tcp_info: None,
            accepted: now.wall,
            began: now.wall,
            requests: 0,
            http: false,
            req: Stream::default(),
            res: Stream::default(),
            sess: None,
            txn: None,
            pass: None,
            captures: [&[], &[]],
            record: None,
            unique_id: None,
            last_rule: None,
            request_line: None,
            last_look: true,
            stopping: false,
            priority: (0, 0),
            server_timeout: None,
            tunnel_timeout: None,
            pp_authority: None,
            pp_unique_id: None,
        }
    }

    /// Gives the variables of the process the values that the configuration has for them.
    pub(crate) fn set_proc_vars(&self) {
        for (name, value) in &self.site.proc_vars {
            match value {
                crate::rule::Value::Expr(expr) => {
                    if let Some(value) = expr.eval(self).value {
                        self.desk.vars.set(*name, value, 0);
                    }
                }
                crate::rule::Value::Format(format) => {
                    let mut text = Vec::new();
                    format.write(self, usize::from(u16::MAX), &mut text);
                    self.desk.vars.set(*name, Value::Str(&text), 0);
                }
            }
        }
    }

    /// Where made values lie.
    pub fn arena(&self) -> &'a Arena {
        &self.desk.arena
    }

    /// The pattern file `index`: this engine's copy if rules changed it.
    pub fn patterns(&self, index: u32) -> &'a Patterns {
        match &self.desk.patterns[index as usize] {
            Some(own) => own,
            None => &self.site.patterns[index as usize].patterns,
        }
    }

    /// A gauge, summed over all engines.
    pub fn gauge(&self, gauge: Gauge) -> u32 {
        self.shared.gauge(gauge)
    }

    /// The variables of a scope; none where it does not exist yet or any more.
    pub fn vars(&self, scope: Scope) -> Option<&'a Vars> {
        let response = matches!(self.point, Point::ResContent | Point::HttpRes);
        match scope {
            Scope::Proc => Some(&self.desk.vars),
            Scope::Sess => self.sess,
            Scope::Txn => self.txn,
            Scope::Req if response => None,
            Scope::Res if !response => None,
            Scope::Req | Scope::Res => self.pass,
        }
    }

    /// The value of a variable.
    pub fn var(&self, id: VarId) -> Option<Value<'a>> {
        self.vars(id.scope)?.get(id.name, self.arena())
    }

    /// Gives a variable a value; false if its scope does not exist or is full.
    pub fn set_var(&self, id: VarId, value: Value<'_>) -> bool {
        let max = self.site.tunables.vars_max as usize;
        let is_set = self.vars(id.scope).is_some_and(|vars| vars.set(id.name, value, max));
        if is_set && id.scope == Scope::Proc {
            let value = || Some(Stored::of(value));
            self.desk.tell(|| Change::Variable { name: id.name, value: value() });
        }
        is_set
    }

    /// Takes a variable's value away.
    pub fn unset_var(&self, id: VarId) {
        if let Some(vars) = self.vars(id.scope) {
            vars.unset(id.name);
            if id.scope == Scope::Proc {
                self.desk.tell(|| Change::Variable { name: id.name, value: None });
            }
        }
    }
}

/// A file or list of patterns that several places may name.
#[derive(Clone, Debug)]
pub struct PatternFile {
    /// Its path; or `#N`, for patterns that stand in the configuration.
    pub name: Arc<str>,
    /// What it holds at the start.
    pub patterns: Arc<Patterns>,
}
