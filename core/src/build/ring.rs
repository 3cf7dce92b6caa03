//! `ring` sections: the last messages of the log, kept in memory, and who they are forwarded to.
//!
//! As in HAProxy a `server` line has all words of a proxy's. What concerns a forwarded stream works
//! (`log-proto`, `source`, `tcp-ut`, `init-addr`); the rest is warned of, or refused where leaving
//! it out would send something else, or somewhere else.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::keywords::Context;
use crate::config::units::Unit;
use crate::config::{Section, Span, Word, similar};
use crate::poller::Address;
use crate::proxy::spec::{LogProto, LogTarget, RingServer, RingSpec, WireFormat};
use crate::time::Duration;

use super::Builder;
use super::args::Args;
use super::log::FORMATS;

/// The size of a ring that says none, and the least that it may have: that of HAProxy's buffers.
const SIZE: u32 = 16_384;

/// The ring that is always there, and its size.
const BUILT_IN: (&str, u32) = ("buf0", 1 << 20);

/// The patience with a `log` line's own server.
const STREAM_TIMEOUT: Duration = Duration::from_secs(5);

/// What is known of rings while the lines are read.
#[derive(Debug, Default)]
pub(super) struct Rings {
    declared: BTreeSet<u32>,
    /// `log` lines, which may come first.
    uses: Vec<(u32, Span)>,
}

impl Builder<'_> {
    /// `ring <name>`.
    pub(super) fn ring(&mut self, section: &Section) {
        let id = self.ring_id(section.name());
        if !self.rings.declared.insert(id) {
            let message = format!("sink named '{}' already exists", section.name());
            self.diagnostics.alert(section.span, message);
            return;
        }
        let mut ring = self.site.rings[id as usize].clone();
        for statement in &section.statements {
            let context = Context::Line(section.kind);
            let Some(keyword) = self.keyword(context, statement) else { continue };
            let name = keyword.name;
            let mut args = Args::new(statement, 1, name, &mut self.diagnostics);
            match name {
                "description" => {
                    let words = args.rest().iter().map(|word| word.as_str());
                    let text = words.collect::<Vec<_>>().join(" ");
                    if text.is_empty() {
                        args.alert(statement.place(0), "missing ring description text", "");
                        continue;
                    }
                    ring.description = text.into();
                }
                "format" => {
                    let Some(format) = args.choice(&FORMATS) else { continue };
                    ring.format = format;
                }
                "maxlen" => {
                    let Some(len) = args.number(1..=u32::MAX) else { continue };
                    ring.len_max = len;
                }
                "size" => {
                    let Some(size) = args.number(1..=1 << 30) else { continue };
                    if size < ring.size {
                        let message = format!(
                            "ignoring new size '{size}' that is smaller than current size '{}' \
                             for ring '{}'",
                            ring.size, ring.name
                        );
                        self.diagnostics.warning(statement.place(1), message);
                        continue;
                    }
                    ring.size = size;
                }
                "server" => {
                    let Some(server) = self.ring_server(statement) else { continue };
                    ring.servers.push(server);
                    continue;
                }
                "timeout" => {
                    let timeout = match args.next().map_or("", Word::as_str) {
                        "connect" => &mut ring.connect_timeout,
                        "server" => &mut ring.server_timeout,
                        other => {
                            let message =
                                format!("'timeout {other}' has no effect in a 'ring' section");
                            self.diagnostics.warning(statement.span(), message);
                            continue;
                        }
                    };
                    let Some(time) = args.time(Unit::Millis) else { continue };
                    // As in HAProxy, none at all is for ever.
                    *timeout = Some(time).filter(|time| *time > Duration::ZERO);
                }
                _ => debug_assert!(false, "'{name}' is said to work and is not compiled"),
            }
            args.end();
        }
        let timeouts = [ring.connect_timeout, ring.server_timeout];
        if !ring.servers.is_empty() && timeouts.contains(&None) {
            let message = format!("missing timeouts for ring '{}'", ring.name);
            let found = self.diagnostics.warning(section.span, message);
            found.help.push(
                "without 'timeout connect' and 'timeout server' a server that takes nothing is \
                 waited for without end"
                    .into(),
            );
        }
        if ring.len_max > ring.size {
            let message = format!(
                "ring '{}' event max length '{}' exceeds size, forced to size '{}'",
                ring.name, ring.len_max, ring.size
            );
            self.diagnostics.warning(section.span, message);
            ring.len_max = ring.size;
        }
        self.site.rings[id as usize] = ring;
    }

    /// The ring that a `log` line names, which may be declared behind it.
    pub(super) fn ring_used(&mut self, name: &str, span: Span) -> u32 {
        let id = self.ring_id(name);
        if name == BUILT_IN.0 && self.rings.declared.insert(id) {
            let ring = &mut self.site.rings[id as usize];
            (ring.size, ring.format) = (BUILT_IN.1, WireFormat::Timed);
        }
        self.rings.uses.push((id, span));
        id
    }

    /// The ring that a `log` line to a stream implies: with its format and length, and that address
    /// as its only server. HAProxy waits for such a server without end; here it has
    /// [`STREAM_TIMEOUT`].
    pub(super) fn ring_of_stream(
        &mut self,
        text: &str,
        address: Address,
        target: &LogTarget,
    ) -> u32 {
        let name: Arc<str> = text.into();
        let server = RingServer {
            name: name.clone(),
            address: Some(address),
            source: None,
            user_timeout: None,
            proto: LogProto::Legacy,
        };
        self.site.rings.push(RingSpec {
            description: name.clone(),
            name,
            format: target.format,
            len_max: target.len_max,
            size: SIZE.max(4 * target.len_max),
            connect_timeout: Some(STREAM_TIMEOUT),
            server_timeout: Some(STREAM_TIMEOUT),
            servers: vec![server],
        });
        self.site.rings.len() as u32 - 1
    }

    fn ring_id(&mut self, name: &str) -> u32 {
        let rings = &mut self.site.rings;
        let known = rings.iter().position(|ring| *ring.name == *name);
        let place = known.unwrap_or_else(|| {
            let name: Arc<str> = name.into();
            rings.push(RingSpec {
                description: name.clone(),
                name,
                format: WireFormat::Raw,
                len_max: SIZE,
                size: SIZE,
                connect_timeout: None,
                server_timeout: None,
                servers: Vec::new(),
            });
            rings.len() - 1
        });
        place as u32
    }

    /// Complains about `log` lines to rings that there are not.
    pub(super) fn check_rings(&mut self) {
        let Rings { declared, uses } = std::mem::take(&mut self.rings);
        for (id, span) in uses.iter().filter(|(id, _)| !declared.contains(id)) {
            let name = self.site.rings[*id as usize].name.clone();
            let message = format!("'log' : unknown ring named '{name}'");
            let known = declared.iter().map(|id| &*self.site.rings[*id as usize].name);
            let near = similar::nearest(&name, known).map(str::to_owned);
            self.suggest(*span, message, near.as_deref());
        }
    }
}

/// A message of a ring is written as the ring says: its length holds for all of it, that of the
/// `log` line for its text.
pub(super) fn settle(targets: &mut [LogTarget], rings: &[RingSpec]) {
    for target in targets {
        if let Some(id) = target.ring {
            let ring = &rings[id as usize];
            target.format = ring.format;
            target.text_max = target.len_max;
            target.len_max = ring.len_max;
        }
    }
}
