//! What a program sees of the network: [`Poller`], over the handles of one engine or actor.

use core::net::SocketAddr;
use std::cell::RefMut;
use std::io::IoSlice;

use tidegate_core::fault::Fault;
use tidegate_core::poller::{
    Accepted, Address, Close, ConnectSpec, Connecting, Event, Io, ListenSpec, More, Parcel, Peer,
    Pipe, Poller, Sock, SockOpt, TcpInfo, Which,
};

use crate::stopwatch::Part;

use super::end::{End, EndId, Phase};
use super::{HostId, Listener, Net, State, What};

/// The network as one engine or actor of a host sees it.
#[derive(Debug)]
pub struct Port {
    net: Net,
    at: usize,
}

impl Port {
    pub(super) fn new(net: Net, at: usize) -> Port {
        Port { net, at }
    }

    /// The network.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// As [`Poller::recv`], but up to `most` bytes, to the end of `into`.
    pub fn recv_to_vec(&mut self, sock: Sock, into: &mut Vec<u8>, most: usize) -> Io {
        let _mine = self.net.1.within(Part::Network);
        let mut state = self.state();
        let id = state.end_of(self.at, sock);
        state.recv(id, most, |first, second| {
            into.extend_from_slice(first);
            into.extend_from_slice(second);
        })
    }

    /// Says where listener number `listener` will listen.
    pub fn bind(&self, listener: u32, address: Address) {
        let mut state = self.state();
        let backlog = state.limits.backlog;
        state.ports[self.at].bound.insert(listener, (address, backlog));
    }

    /// [`Port::bind`], with room for so many connections that nobody has accepted yet, whatever the
    /// network's limit is.
    pub fn bind_with_backlog(&self, listener: u32, address: Address, backlog: usize) {
        self.state().ports[self.at].bound.insert(listener, (address, backlog));
    }

    /// Says to which host the messages for log target `sink` go.
    pub fn bind_sink(&self, sink: u32, host: HostId) {
        self.state().ports[self.at].sinks.insert(sink, host);
    }

    /// Puts an urgent mark behind what was sent so far: the peer's receive stops there once, even if
    /// more has come (P12).
    pub fn urge(&mut self, sock: Sock) {
        let mut state = self.state();
        let peer = state.end(state.end_of(self.at, sock)).and_then(|end| end.peer);
        if let Some(peer) = peer.and_then(|peer| state.end_mut(peer)) {
            peer.mark = Some(peer.inbox.len()).filter(|len| *len > 0);
        }
    }

    /// Whether there is a reason to turn: events, or a notification.
    pub fn has_events(&self) -> bool {
        let state = self.net.state();
        let port = &state.ports[self.at];
        port.notified || !port.pending.is_empty()
    }

    fn state(&self) -> RefMut<'_, State> {
        self.net.0.borrow_mut()
    }
}

impl State {
    fn handle(&mut self, at: usize, what: What) -> Sock {
        let port = &mut self.ports[at];
        port.generation += 1;
        let index = port.socks.insert((port.generation, what)) as u32;
        self.progress += 1;
        Sock { index, generation: port.generation }
    }

    /// # Panics
    ///
    /// If the handle is stale: the program owes it to the network to use none (P5).
    #[track_caller]
    fn what(&self, at: usize, sock: Sock) -> What {
        match self.ports[at].socks.get(sock.index as usize) {
            Some((generation, what)) if *generation == sock.generation => *what,
            _ => panic!("P5: {sock:?} of port {at} is a stale handle"),
        }
    }

    #[track_caller]
    fn end_of(&self, at: usize, sock: Sock) -> EndId {
        match self.what(at, sock) {
            What::End(id) => id,
            other => panic!("{sock:?} is {other:?}, not a connection"),
        }
    }

    /// Gives an end to a port under a new handle, and says what it is ready for, as registering it
    /// does.
    fn open_end(&mut self, at: usize, id: EndId) -> Sock {
        let sock = self.handle(at, What::End(id));
        let send_buffer = self.limits.send_buffer;
        if let Some(end) = self.end_mut(id) {
            end.port = at;
            end.sock = sock;
            let ready = end.ready(send_buffer);
            if !ready.is_empty() {
                self.tell(at, sock, ready);
            }
        }
        sock
    }

    fn take_handle(&mut self, at: usize, sock: Sock) {
        let stale = self.limits.stale;
        let keeps = stale > 0 && self.rng.below(1000) < stale;
        let port = &mut self.ports[at];
        port.socks.remove(sock.index as usize);
        if !keeps {
            port.pending.retain(|(pending, _)| *pending != sock);
        }
        self.progress += 1;
    }

    /// Receives up to `most` bytes: `take` gets them in two pieces.
    fn recv(&mut self, id: EndId, most: usize, take: impl FnOnce(&[u8], &[u8])) -> Io {
        let window = self.limits.window;
        let Some(end) = self.end_mut(id) else { return Io::Failed(Fault::Reset) };
        match end.phase {
            Phase::Dialling { .. } => return Io::Blocked,
            Phase::Dead(fault) => return Io::Failed(fault),
            Phase::Open => {}
        }
        if end.arrived == 0 {
            return if end.eof { Io::Eof } else { Io::Blocked };
        }
        let n = most.min(end.arrived).min(end.mark.unwrap_or(usize::MAX));
        end.mark = end.mark.and_then(|mark| (mark > n).then(|| mark - n));
        let (first, second) = end.inbox.as_slices();
        let split = n.min(first.len());
        take(&first[..split], &second[..n - split]);
        let was_full = end.arrived >= window / 2;
        end.inbox.drain(..n);
        end.arrived -= n;
        let peer = end.peer;
        self.progress += 1;
        if let Some(peer) = peer
            && (was_full || self.end(peer).is_some_and(|peer| peer.out > peer.flying))
        {
            let at = self.now + self.latency();
            self.queue.push(at, super::queue::Event::Window(peer));
        }
        Io::Done(n)
    }

    fn send(&mut self, id: EndId, from: &[IoSlice<'_>], most: usize) -> Io {
        let send_buffer = self.limits.send_buffer;
        let Some(end) = self.end_mut(id) else { return Io::Failed(Fault::BrokenPipe) };
        assert!(!end.ends, "A12: sending after the end");
        match end.phase {
            Phase::Dialling { .. } => return Io::Blocked,
            Phase::Dead(Fault::Reset) => return Io::Failed(Fault::BrokenPipe),
            Phase::Dead(fault) => return Io::Failed(fault),
            Phase::Open => {}
        }
        let offered = from.iter().map(|slice| slice.len()).sum::<usize>().min(most);
        let n = offered.min(send_buffer.saturating_sub(end.out));
        if n < offered {
            end.starved = true;
        }
        if n == 0 {
            return Io::Blocked;
        }
        self.give(id, from, n);
        self.progress += 1;
        self.transmit(id);
        Io::Done(n)
    }
}

impl Poller for Port {
    fn harvest(&mut self, events: &mut Vec<Event>) {
        let _mine = self.net.1.within(Part::Network);
        let mut state = self.state();
        let state = &mut *state;
        let (narrow, send_buffer) = (state.limits.narrow_events, state.limits.send_buffer);
        let mut pending = core::mem::take(&mut state.ports[self.at].pending);
        state.ports[self.at].notified = false;
        // In no particular order (P9).
        for last in (1..pending.len()).rev() {
            pending.swap(last, state.rng.below(last as u32 + 1) as usize);
        }
        for (sock, mut ready) in pending {
            let known = state.ports[self.at].socks.get(sock.index as usize);
            if !narrow
                && let Some((generation, What::End(id))) = known
                && *generation == sock.generation
                && let Some(end) = state.end(*id)
            {
                ready = ready.with(end.ready(send_buffer));
            }
            events.push(Event { sock, ready });
        }
    }

    fn listen(&mut self, at: &ListenSpec) -> Result<Sock, Fault> {
        let mut state = self.state();
        let host = state.ports[self.at].host;
        let bound = state.ports[self.at].bound.get(&at.listener).cloned();
        let Some((address, backlog)) = bound else { return Err(Fault::Unreachable) };
        state.take_descriptor(host)?;
        let place = state.listeners.insert(Listener {
            port: self.at,
            sock: Sock::NONE,
            address,
            backlog,
            queue: Default::default(),
        });
        let sock = state.handle(self.at, What::Listener(place));
        state.listeners[place].sock = sock;
        Ok(sock)
    }

    fn accept(&mut self, listener: Sock) -> Accepted {
        let _mine = self.net.1.within(Part::Network);
        let mut state = self.state();
        let What::Listener(place) = state.what(self.at, listener) else {
            panic!("{listener:?} is no listener");
        };
        let host = state.ports[self.at].host;
        if state.listeners[place].queue.is_empty() {
            return Accepted::Blocked;
        }
        if let Err(fault) = state.take_descriptor(host) {
            return Accepted::Failed(fault);
        }
        let Some(id) = state.listeners[place].queue.pop_front() else { return Accepted::Blocked };
        let more = Some(state.listeners[place].queue.len() as u32);
        let sock = state.open_end(self.at, id);
        let peer = state.end(id).map_or(Peer::Unix, End::remote_peer);
        Accepted::One { sock, peer, more }
    }

    fn connect(&mut self, to: &ConnectSpec<'_>) -> Result<Sock, Fault> {
        let _mine = self.net.1.within(Part::Network);
        let mut state = self.state();
        let host = state.ports[self.at].host;
        let (limits, from) = (state.limits, state.hosts[host as usize].address);
        // Who connects to a unix socket has neither a port nor a name.
        let is_inet = to.to.is_inet();
        if is_inet
            && limits.ports > 0
            && state.hosts[host as usize].ports >= limits.ports
            && host == 0
        {
            state.counts.shortages += 1;
            return Err(Fault::NoPorts);
        }
        state.take_descriptor(host)?;
        let mut local = Address::Unix("".into());
        if is_inet {
            let machine = &mut state.hosts[host as usize];
            machine.ports += 1;
            machine.next_port = machine.next_port.checked_add(1).unwrap_or(32_768);
            local = Address::Inet(SocketAddr::new(from, machine.next_port));
        }
        let mut end = End::new(host, self.at, local, to.to.clone());
        end.holds_port = is_inet;
        let id = state.insert_end(end);
        let sock = state.handle(self.at, What::End(id));
        if let Some(end) = state.end_mut(id) {
            end.sock = sock;
        }
        state.dial(id);
        Ok(sock)
    }

    fn connect_status(&mut self, sock: Sock) -> Connecting {
        let state = self.state();
        match state.end(state.end_of(self.at, sock)).map(|end| end.phase) {
            Some(Phase::Dialling { .. }) => Connecting::Pending,
            Some(Phase::Open) => Connecting::Done,
            Some(Phase::Dead(fault)) => Connecting::Failed(fault),
            None => Connecting::Failed(Fault::Reset),
        }
    }

    fn recv(&mut self, sock: Sock, into: &mut [u8]) -> Io {
        let _mine = self.net.1.within(Part::Network);
        assert!(!into.is_empty(), "P7: receiving into nothing");
        let mut state = self.state();
        let id = state.end_of(self.at, sock);
        state.recv(id, into.len(), |first, second| {
            into[..first.len()].copy_from_slice(first);
            into[first.len()..][..second.len()].copy_from_slice(second);
        })
    }

    fn send(&mut self, sock: Sock, from: &[IoSlice<'_>], _more: More) -> Io {
        let _mine = self.net.1.within(Part::Network);
        assert!(from.iter().any(|slice| !slice.is_empty()), "P7: sending nothing");
        let mut state = self.state();
        let id = state.end_of(self.at, sock);
        state.send(id, from, usize::MAX)
    }

    fn shut_write(&mut self, sock: Sock) {
        let _mine = self.net.1.within(Part::Network);
        let mut state = self.state();
        let id = state.end_of(self.at, sock);
        state.progress += 1;
        let Some(end) = state.end_mut(id) else { return };
        assert!(!end.ends, "A12: ended twice");
        end.ends = true;
        state.transmit(id);
    }

    fn close(&mut self, sock: Sock, how: Close) {
        let _mine = self.net.1.within(Part::Network);
        let mut state = self.state();
        let what = state.what(self.at, sock);
        state.take_handle(self.at, sock);
        let host = state.ports[self.at].host;
        state.hosts[host as usize].descriptors -= 1;
        match what {
            What::End(id) => state.close_end(id, how),
            What::Listener(place) => {
                let listener = state.listeners.remove(place);
                for id in listener.queue {
                    state.close_end(id, Close::Reset);
                }
            }
            What::Sink(_) => {}
        }
    }

    fn open_pipe(&mut self, bytes: u32) -> Result<Pipe, Fault> {
        let mut state = self.state();
        let host = state.ports[self.at].host;
        state.take_descriptor(host)?;
        if state.take_descriptor(host).is_err() {
            state.hosts[host as usize].descriptors -= 1;
            return Err(Fault::NoDescriptors);
        }
        let port = &mut state.ports[self.at];
        let pipe = port.pipes.insert(Default::default());
        port.pipe_sizes.resize(port.pipe_sizes.len().max(pipe + 1), 0);
        port.pipe_sizes[pipe] = bytes as usize;
        Ok(Pipe(pipe as u32))
    }

    fn splice_in(&mut self, sock: Sock, pipe: Pipe, max: usize) -> Io {
        let _mine = self.net.1.within(Part::Network);
        assert!(max > 0, "P7: receiving into nothing");
        let mut state = self.state();
        let id = state.end_of(self.at, sock);
        let port = &state.ports[self.at];
        let held = port.pipes[pipe.0 as usize].len();
        // A pipe has slots, and small segments use them up before the bytes do (P8).
        let room = port.pipe_sizes[pipe.0 as usize].saturating_sub(held);
        if room == 0 {
            return Io::Blocked;
        }
        let mut pipe_bytes = core::mem::take(&mut state.ports[self.at].pipes[pipe.0 as usize]);
        let io = state.recv(id, max.min(room).min(64 << 10), |first, second| {
            pipe_bytes.extend(first);
            pipe_bytes.extend(second);
        });
        state.ports[self.at].pipes[pipe.0 as usize] = pipe_bytes;
        io
    }

    fn splice_out(&mut self, pipe: Pipe, sock: Sock, max: usize, _more: More) -> Io {
        let _mine = self.net.1.within(Part::Network);
        let mut state = self.state();
        let id = state.end_of(self.at, sock);
        let mut held = core::mem::take(&mut state.ports[self.at].pipes[pipe.0 as usize]);
        assert!(!held.is_empty(), "P7: sending nothing");
        let io = state.send(id, &[IoSlice::new(held.make_contiguous())], max);
        if let Io::Done(n) = io {
            held.drain(..n);
        }
        state.ports[self.at].pipes[pipe.0 as usize] = held;
        io
    }

    fn close_pipe(&mut self, pipe: Pipe) {
        let mut state = self.state();
        let host = state.ports[self.at].host;
        state.hosts[host as usize].descriptors -= 2;
        state.ports[self.at].pipes.remove(pipe.0 as usize);
    }

    fn address(&mut self, sock: Sock, which: Which) -> Option<Peer> {
        let state = self.state();
        let end = match state.what(self.at, sock) {
            What::End(id) => state.end(id)?,
            _ => return None,
        };
        let address = match which {
            Which::Local => &end.local,
            Which::Peer => &end.remote,
        };
        Some(super::inet(address).map_or(Peer::Unix, Peer::Inet))
    }

    fn set(&mut self, sock: Sock, _option: SockOpt) {
        let state = self.state();
        state.what(self.at, sock);
    }

    fn info(&mut self, _sock: Sock) -> Option<TcpInfo> {
        None
    }

    fn open_sink(&mut self, sink: u32) -> Result<Sock, Fault> {
        let mut state = self.state();
        let host = state.ports[self.at].host;
        state.take_descriptor(host)?;
        Ok(state.handle(self.at, What::Sink(sink)))
    }

    fn send_messages(&mut self, sink: Sock, messages: &[IoSlice<'_>]) -> usize {
        let _mine = self.net.1.within(Part::Network);
        let mut state = self.state();
        let What::Sink(number) = state.what(self.at, sink) else { panic!("{sink:?} is no sink") };
        let to = state.ports[self.at].sinks.get(&number).copied();
        for message in messages {
            let loss = state.limits.loss;
            if loss > 0 && state.rng.below(1000) < loss {
                state.counts.datagrams_lost += 1;
            } else if let Some(to) = to {
                state.hosts[to as usize].datagrams.push(message.to_vec());
            }
        }
        state.progress += 1;
        messages.len()
    }

    fn notify(&mut self, engine: u32) {
        let mut state = self.state();
        let state = &mut *state;
        let host = state.ports[self.at].host;
        let programs = &state.hosts[host as usize].programs;
        if let Some(at) = programs.iter().find(|at| state.ports[**at].engine == engine) {
            state.ports[*at].notified = true;
        }
    }

    fn detach(&mut self, sock: Sock) -> Option<Parcel> {
        let mut state = self.state();
        let id = state.end_of(self.at, sock);
        state.take_handle(self.at, sock);
        state.end_mut(id)?.sock = Sock::NONE;
        Some(Parcel((u64::from(id.generation) << 32) | id.place as u64))
    }

    fn adopt(&mut self, parcel: Parcel) -> Option<Sock> {
        let mut state = self.state();
        let id = EndId {
            place: (parcel.0 & u64::from(u32::MAX)) as usize,
            generation: (parcel.0 >> 32) as u32,
        };
        // One that has a handle was adopted already.
        state.end(id).filter(|end| end.sock.is_none())?;
        Some(state.open_end(self.at, id))
    }
}
