//! Rings that are forwarded: what a [`Forwarder`] wants is done here.

use std::io::IoSlice;

use super::Engine;
use crate::agent::ring::{Forwarder, Want};
use crate::fds::Owner;
use crate::poller::{
    Address, Close, ConnectSpec, Connecting, Io, More, Poller, Ready, Sock, SockOpt,
};
use crate::sometimes;
use crate::tasks::{Woken, Work};
use crate::time::Instant;

/// What a forwarder may have done in a turn, so that it does not hold up the others.
const STEPS_MAX: u32 = 64;

/// The same at the very end, when nobody waits for anything else.
const LAST_STEPS_MAX: u32 = 65_536;

/// All that can be read.
const READABLE: Ready = Ready::READ.with(Ready::HUP).with(Ready::ERR);

impl Engine {
    /// One forwarder for each server of each ring; all of them are the first engine's.
    pub(super) fn start_forwarding(&mut self) {
        if self.id != 0 {
            return;
        }
        let site = self.site.clone();
        for (ring, spec) in site.rings.iter().enumerate() {
            let servers = spec.servers.iter().enumerate();
            for (server, to) in servers.filter(|(_, to)| to.address.is_some()) {
                let task = self.tasks.insert(Work::Forwarder(self.forwarders.len() as u32));
                let place = (ring as u32, server as u32);
                self.forwarders.push(Forwarder::new(place, task, spec, to));
                self.tasks.wake(task, Woken::INIT);
            }
        }
    }

    /// A forwarder's task: its socket, its deadline, or something to be sent.
    pub(super) fn run_forwarder<P: Poller>(&mut self, net: &mut P, id: u32) {
        self.forwarders[id as usize].look_again();
        self.forward(net, id, STEPS_MAX);
        let forwarder = &self.forwarders[id as usize];
        let deadline = forwarder.deadline(self.engines == 1, self.now.mono);
        self.tasks.set_deadline(forwarder.task, deadline);
    }

    fn forward<P: Poller>(&mut self, net: &mut P, id: u32, steps_max: u32) {
        let now = self.now.mono;
        for _ in 0..steps_max {
            let forwarder = &mut self.forwarders[id as usize];
            let ready = forwarder.sock().map_or(Ready::NONE, |sock| self.fds.ready(sock));
            match forwarder.want(ready, now) {
                Want::Nothing => return,
                Want::Connect => {
                    let sock = self.dial(net, id);
                    self.forwarders[id as usize].dialled(sock, now);
                }
                Want::Status(sock) => match net.connect_status(sock) {
                    Connecting::Done => forwarder.connected(),
                    Connecting::Pending => self.fds.used_up(sock, READABLE.with(Ready::WRITE)),
                    Connecting::Failed(_) => forwarder.failed(),
                },
                Want::Receive(sock) => {
                    // What it says is of no interest.
                    let mut waste = [0; 1024];
                    match net.recv(sock, &mut waste) {
                        Io::Done(n) if n == waste.len() || ready.any(READABLE_TO_END) => {}
                        Io::Done(_) => self.fds.used_up(sock, Ready::READ),
                        Io::Blocked => self.fds.used_up(sock, READABLE),
                        Io::Eof | Io::Failed(_) => forwarder.failed(),
                    }
                }
                Want::Read(place) => {
                    let ring = forwarder.to.0;
                    let found = self.shared.follow_ring(ring, place, self.site.tunables.bufsize);
                    self.forwarders[id as usize].took(&found);
                }
                Want::Send(sock) => {
                    let offered = forwarder.output().len();
                    match net.send(sock, &[IoSlice::new(forwarder.output())], More::No) {
                        Io::Done(n) => {
                            forwarder.left(n, now);
                            if n < offered {
                                sometimes!(ShortWrite);
                                self.fds.used_up(sock, Ready::WRITE);
                            }
                        }
                        Io::Blocked => {
                            forwarder.left(0, now);
                            self.fds.used_up(sock, Ready::WRITE);
                        }
                        Io::Eof | Io::Failed(_) => forwarder.failed(),
                    }
                }
                Want::Close(sock) => {
                    forwarder.closed();
                    self.hang_up(net, sock);
                }
            }
        }
        if let Some(sock) = self.forwarders[id as usize].sock() {
            self.fds.retry(sock);
        }
    }

    fn dial<P: Poller>(&mut self, net: &mut P, id: u32) -> Option<Sock> {
        let (ring, server) = self.forwarders[id as usize].to;
        let server = &self.site.rings[ring as usize].servers[server as usize];
        let to = server.address.as_ref()?;
        let timeout = server.user_timeout.map(SockOpt::UserTimeout);
        let options = [SockOpt::NoDelay(true), timeout.unwrap_or(SockOpt::NoDelay(true))];
        let options = if matches!(to, Address::Inet(_)) { &options[..] } else { &[] };
        let sock = net.connect(&ConnectSpec { to, from: server.source, options }).ok()?;
        self.fds.insert(sock, Owner::Forwarder(id), Ready::NONE);
        Some(sock)
    }

    fn hang_up<P: Poller>(&mut self, net: &mut P, sock: Sock) {
        self.fds.remove(sock);
        net.close(sock, Close::Graceful);
        self.descriptor_freed();
    }

    /// The end of the process: what is in the rings is sent, as far as it goes at once.
    #[cold]
    pub(super) fn end_forwarding<P: Poller>(&mut self, net: &mut P) {
        for id in 0..self.forwarders.len() as u32 {
            self.forwarders[id as usize].look_again();
            self.forward(net, id, LAST_STEPS_MAX);
            let forwarder = &self.forwarders[id as usize];
            let (task, sock) = (forwarder.task, forwarder.sock());
            if let Some(sock) = sock {
                self.hang_up(net, sock);
            }
            self.tasks.remove(task);
        }
        self.forwarders = Vec::new();
    }

    /// Checks that no forwarder sleeps that could do something.
    pub(super) fn audit_forwarders(&self) {
        for (id, forwarder) in self.forwarders.iter().enumerate() {
            let ready = forwarder.sock().map_or(Ready::NONE, |sock| self.fds.ready(sock));
            // Its deadline is its timer's to keep.
            let want = forwarder.want(ready, Instant::START);
            assert_eq!(want, Want::Nothing, "forwarder {id} sleeps and could act: {forwarder:#?}");
        }
    }
}

/// What has to be read until the end, whatever comes before it (P3).
const READABLE_TO_END: Ready = Ready::HUP.with(Ready::ERR);
