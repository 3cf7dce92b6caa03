//! Log lines of sessions and their way out.

use std::io::IoSlice;

use super::Engine;
use crate::agent::log::{Logs, Want};
use crate::conn::proxy_header::HeaderFault;
use crate::logfmt::format::Format;
use crate::logfmt::line::{Broken, Connect};
use crate::logfmt::wire::Level;
use crate::poller::{Close, Poller, Ready, Which};
use crate::proxy::shared::Serial;
use crate::proxy::spec::{LogFormat, Mode, Options, Proxy, ProxyId, WireFormat};
use crate::sample::{Point, Scene, Stream};
use crate::session::{SessionFlags, Surroundings, Witnesses, client_scene, record_of_client};
use crate::side::State;
use crate::txn::{LogLevel, TxnFlags};

/// Messages handed over in one call.
const BATCH: usize = 64;

impl Engine {
    /// `option logasap`, or a format that needs nothing of the end: the line of a session as soon
    /// as its answer has begun, or its connection is there. Without a format, the line of a request
    /// as soon as it is understood.
    #[inline]
    pub(super) fn log_early<P: Poller>(&mut self, net: &mut P, id: u32) {
        let s = &self.sessions[id as usize];
        if self.site.proxy(s.frontend).options.has(Options::LOG_ASAP) {
            self.log_if_begun(net, id);
        }
    }

    fn log_if_begun<P: Poller>(&mut self, net: &mut P, id: u32) {
        let s = &mut self.sessions[id as usize];
        if s.flags.has(SessionFlags::LOGGED) {
            return;
        }
        let frontend = self.site.proxy(s.frontend);
        if frontend.says_connect() && frontend.mode == Mode::Http {
            if s.has_request() {
                s.flags.set(SessionFlags::LOGGED);
                let client = s.client;
                self.log_from(net, client);
            }
            return;
        }
        let begun = match s.mode {
            Mode::Http => s.txn.is(TxnFlags::RESPONSE),
            Mode::Tcp => s.back.state == State::Established,
        };
        if begun {
            self.log_session(id, true);
        }
    }

    /// The line of a session that has ended, and is no longer counted at its server and backend; or
    /// of one that is logged `early`, and is.
    #[inline]
    pub(super) fn log_session(&mut self, id: u32, early: bool) {
        let s = &mut self.sessions[id as usize];
        s.flags.set(SessionFlags::LOGGED);
        if s.is_logged(&self.site) {
            self.log_line(id, early);
        }
    }

    fn log_line(&mut self, id: u32, early: bool) {
        let s = &mut self.sessions[id as usize];
        let site = self.site.clone();
        let client = &self.clients[s.client as usize];
        let frontend = site.proxy(s.frontend);
        // What was no request has a format of its own.
        let broken = s.mode == Mode::Http && !s.has_request();
        let custom = frontend.error_format.as_ref().filter(|_| broken);
        let custom = custom.or(frontend.format.as_ref()).cloned();
        if frontend.log_format == LogFormat::Connect && custom.is_none() {
            return;
        }
        // What counts is what the client said, as in HAProxy, not what a server did.
        if !early && s.req.received == 0 && frontend.options.has(Options::DONT_LOG_NULL) {
            return;
        }
        if s.txn.log_level == LogLevel::Silent {
            return;
        }
        let of = Witnesses { client, site: &site, shared: &self.shared, now: self.now.mono };
        let surroundings = Surroundings {
            client,
            site: &site,
            desk: &self.desk,
            shared: &self.shared,
            engine: self.id,
            now: self.now,
        };
        let formatted = custom.is_some() || frontend.format_sd.is_some();
        if let Some(format) = &frontend.unique_id_format
            && formatted
            && !broken
            && s.txn.unique_id.is_none()
        {
            // As in HAProxy: whoever answered, the request itself is gone by now.
            let record = s.record(&of, &mut self.scratch, early);
            let mut scene = s.scene_of(Point::HttpReq, s.frontend, &surroundings);
            scene.req = Stream { head: None, bytes: &[], ..scene.req };
            scene.record = Some(&record);
            let mut id = Vec::new();
            const ID_MAX: usize = 1024;
            format.write(&scene, ID_MAX, &mut id);
            s.txn.unique_id = Some(id.into());
        }
        let mut record = s.record(&of, &mut self.scratch, early);
        let options = frontend.options;
        let error = record.is_error();
        if options.has(Options::DONT_LOG_NORMAL) && !error {
            if early {
                // It may still become an error.
                self.sessions[id as usize].flags.clear(SessionFlags::LOGGED);
            }
            return;
        }
        let separate = options.has(Options::LOG_SEPARATE_ERRORS) && error;
        let usual = if separate { Level::Error } else { Level::Info };
        let level = match s.txn.log_level {
            LogLevel::Is(level) if !separate => level,
            _ => usual,
        };
        let tag = frontend.log_tag.as_deref().unwrap_or(&site.global.log_tag);
        if site.wants.line_numbers {
            record.log_counter = self.shared.take_number(Serial::Lines(s.frontend));
        }
        // As in HAProxy: what was no request is numbered by each text that is made of it, and there
        // is always one for structured data.
        let numbered = site.wants.numbers && broken;
        let number = || self.shared.take_number(Serial::Requests);
        if numbered && frontend.format_sd.is_none() && has_data(frontend) {
            number();
        }
        if formatted {
            let mut of_data = record;
            let mut scene = s.scene_of(Point::Log, s.frontend, &surroundings);
            if let Some(format) = &frontend.format_sd {
                if numbered {
                    of_data.counter = number();
                }
                scene.record = Some(&of_data);
                write_data(format, &scene, &mut self.logs);
            }
            if numbered {
                record.counter = number();
            }
            scene.record = Some(&record);
            if let Some(format) = custom {
                self.logs.emit(&frontend.logs, tag, level, self.now.wall, |lines, out| {
                    let stop = out.len() + lines.line_max.saturating_sub(1);
                    format.write(&scene, stop, out);
                });
                return;
            }
        }
        let http = s.mode == Mode::Http;
        let json = frontend.log_format.is_json();
        let room = if json { self.logs.room(&frontend.logs, tag, self.now.wall) } else { 0 };
        self.logs.emit(&frontend.logs, tag, level, self.now.wall, |lines, out| {
            match frontend.log_format {
                LogFormat::Http if http => lines.http(&record, out),
                LogFormat::HttpJson => lines.json(&record, http, room, out),
                LogFormat::TcpJson => lines.json(&record, false, room, out),
                _ => lines.tcp(&record, out),
            }
        });
    }

    /// `Connect from …`, where no other line is asked for: for each connection, or (see
    /// [`Engine::log_early`]) for each request that was understood.
    #[inline(always)]
    pub(super) fn log_connect<P: Poller>(&mut self, net: &mut P, client: u32) {
        let frontend = self.site.proxy(self.clients[client as usize].frontend);
        if !frontend.logs.is_empty() && frontend.says_connect() && frontend.mode == Mode::Tcp {
            self.log_from(net, client);
        }
    }

    fn log_from<P: Poller>(&mut self, net: &mut P, client: u32) {
        let client = &self.clients[client as usize];
        let site = self.site.clone();
        let frontend = site.proxy(client.frontend);
        let destination = client.destination().or_else(|| net.address(client.sock, Which::Local));
        let connect = Connect {
            client: client.peer,
            destination,
            listener_id: site.listener(client.listener).id,
            frontend: &frontend.name,
            mode: frontend.mode,
        };
        let tag = frontend.log_tag.as_deref().unwrap_or(&site.global.log_tag);
        self.logs.emit(&frontend.logs, tag, Level::Info, self.now.wall, |lines, out| {
            lines.connect(&connect, out);
        });
    }

    /// The line of a connection that ended before its first session, where sessions have lines too.
    pub(super) fn log_broken(&mut self, client: u32, fault: HeaderFault) {
        let client = &self.clients[client as usize];
        let site = self.site.clone();
        let frontend = site.proxy(client.frontend);
        if frontend.logs.is_empty() || !says_more(frontend) {
            return;
        }
        let separate = frontend.options.has(Options::LOG_SEPARATE_ERRORS);
        let level = if separate { Level::Error } else { Level::Info };
        let tag = frontend.log_tag.as_deref().unwrap_or(&site.global.log_tag);
        let json = frontend.log_format.is_json() && frontend.format.is_none();
        if !json && frontend.error_format.is_none() {
            let listener = site.listener(client.listener);
            let broken = Broken {
                client: client.peer,
                accepted: client.accepted_wall,
                frontend: &frontend.name,
                listener: listener.name.as_deref(),
                listener_id: listener.id,
                message: fault.explain(),
            };
            self.logs.emit(&frontend.logs, tag, level, self.now.wall, |lines, out| {
                lines.broken(&broken, out);
            });
            return;
        }
        let of = Witnesses { client, site: &site, shared: &self.shared, now: self.now.mono };
        let error = (fault.code(), fault.explain());
        let mut record = record_of_client(&of, (error, fault == HeaderFault::TimedOut));
        if site.wants.line_numbers {
            record.log_counter = self.shared.take_number(Serial::Lines(client.frontend));
        }
        let surroundings = Surroundings {
            client,
            site: &site,
            desk: &self.desk,
            shared: &self.shared,
            engine: self.id,
            now: self.now,
        };
        let mut of_data = record;
        let mut scene = client_scene((Point::Log, client.frontend), &surroundings);
        scene.http = frontend.mode == Mode::Http;
        let numbered = site.wants.numbers;
        if numbered && frontend.format_sd.is_none() && has_data(frontend) {
            self.shared.take_number(Serial::Requests);
        }
        if let Some(format) = &frontend.format_sd {
            if numbered {
                of_data.counter = self.shared.take_number(Serial::Requests);
            }
            scene.record = Some(&of_data);
            write_data(format, &scene, &mut self.logs);
        }
        if numbered {
            record.counter = self.shared.take_number(Serial::Requests);
        }
        scene.record = Some(&record);
        let room = if json { self.logs.room(&frontend.logs, tag, self.now.wall) } else { 0 };
        self.logs.emit(&frontend.logs, tag, level, self.now.wall, |lines, out| {
            match &frontend.error_format {
                Some(format) => {
                    let stop = out.len() + lines.line_max.saturating_sub(1);
                    format.write(&scene, stop, out);
                }
                None => {
                    lines.json(&record, frontend.log_format == LogFormat::HttpJson, room, out);
                }
            }
        });
        self.desk.clear();
    }

    /// A line in words to a proxy's log targets.
    pub(super) fn log_text(&mut self, proxy: ProxyId, level: Level, text: &str) {
        let site = self.site.clone();
        let proxy = site.proxy(proxy);
        let tag = proxy.log_tag.as_deref().unwrap_or(&site.global.log_tag);
        self.logs.emit(&proxy.logs, tag, level, self.now.wall, |_, out| {
            out.extend_from_slice(text.as_bytes());
        });
    }

    /// Sends what this turn logged; what a sink does not take is dropped and counted.
    pub(super) fn flush_logs<P: Poller>(&mut self, net: &mut P) {
        if self.logs.is_idle() {
            return;
        }
        let now = self.now.mono;
        for sink in 0..self.logs.sinks() {
            loop {
                match self.logs.want(sink, now) {
                    Want::Nothing => break,
                    Want::Open => {
                        let outcome = net.open_sink(sink);
                        if let Ok(sock) = outcome {
                            let owner = crate::fds::Owner::LogSink(sink);
                            self.fds.insert(sock, owner, Ready::NONE);
                        }
                        self.logs.opened(sink, outcome, now);
                    }
                    Want::Send(sock) => {
                        let mut slices = [IoSlice::new(&[]); BATCH];
                        let mut count = 0;
                        for message in self.logs.pending(sink).take(BATCH) {
                            slices[count] = IoSlice::new(message);
                            count += 1;
                        }
                        let taken = net.send_messages(sock, &slices[..count]);
                        self.logs.sent(sink, count, taken, now);
                    }
                    Want::Close(sock) => {
                        self.fds.remove(sock);
                        net.close(sock, Close::Graceful);
                        self.logs.closed(sink, now);
                    }
                }
            }
        }
        for (ring, messages) in self.logs.for_rings() {
            self.shared.keep_lines(ring, messages);
        }
        self.logs.end_turn();
    }
}

/// Whether a proxy's lines are its own, and not only `Connect from …`. Any format will do, as in
/// HAProxy, whatever it is for.
fn says_more(proxy: &Proxy) -> bool {
    let Proxy { format, format_sd, error_format, unique_id_format, .. } = proxy;
    let formats = [format, format_sd, error_format, unique_id_format];
    proxy.log_format != LogFormat::Connect || formats.into_iter().any(Option::is_some)
}

/// Writes the structured data of the next line.
fn write_data(format: &Format, scene: &Scene<'_>, logs: &mut Logs) {
    const DATA_MAX: usize = 4096;
    format.write(scene, DATA_MAX, &mut logs.structured);
}

/// Whether structured data is part of a proxy's lines, if only to say that there is none.
fn has_data(proxy: &Proxy) -> bool {
    proxy.logs.iter().any(|target| target.format == WireFormat::Rfc5424)
}
