//! One end of a connection, and what passes between two: segments in order, FIN, RST, windows.
//!
//! ```text
//!   Dialling ──accepted──► Open ──FIN sent and received, handle closed──► gone
//!      │ refused, timed out  │ RST, forgotten, given up
//!      ▼                     ▼
//!     Dead(fault) ◄──────────┘   until its handle is closed
//! ```

use std::collections::VecDeque;
use std::io::IoSlice;

use tidegate_core::fault::Fault;
use tidegate_core::poller::{Address, Close, Peer, Ready, Sock};
use tidegate_core::time::{Duration, Instant};

use super::queue::Event;
use super::{HostId, State};

/// Names an end for ever; a stale one finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EndId {
    pub(super) place: usize,
    pub(super) generation: u32,
}

/// The first wait for an answer; each next one is twice as long.
const RETRY_FIRST: Duration = Duration::from_millis(200);
/// How long a SYN waits at first.
const SYN_RETRY_FIRST: Duration = Duration::from_secs(1);
/// So often something is sent again before its sender gives up.
const TRIES_MAX: u32 = 10;
const SYN_TRIES_MAX: u32 = 6;

/// Inboxes kept for the next connections.
const SPARE_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The SYN was sent so often.
    Dialling {
        tries: u32,
    },
    Open,
    /// Nothing passes any more.
    Dead(Fault),
}

/// What is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// So many bytes from the front of `out`.
    Data(usize),
    Fin,
    Reset,
}

#[derive(Debug)]
pub(super) struct End {
    pub(super) generation: u32,
    pub(super) host: HostId,
    pub(super) port: usize,
    /// None before it is accepted, after it was closed and while it is handed on.
    pub(super) sock: Sock,
    pub(super) peer: Option<EndId>,
    pub(super) local: Address,
    pub(super) remote: Address,
    pub(super) phase: Phase,
    /// Bytes sent that have not arrived: in flight, then still to leave. They lie in the peer's
    /// inbox already, if it can still receive.
    pub(super) out: usize,
    pub(super) flight: VecDeque<(Instant, Segment)>,
    /// Bytes of `out` that are in flight.
    pub(super) flying: usize,
    /// When the link has sent what it was given.
    pub(super) link_free: Instant,
    pub(super) tries: u32,
    /// FIN is to follow the last byte; it has been sent.
    pub(super) ends: bool,
    pub(super) fin_sent: bool,
    /// What has arrived and is unread, then what the peer has sent and is still to come.
    pub(super) inbox: VecDeque<u8>,
    /// Bytes of the inbox that have arrived.
    pub(super) arrived: usize,
    pub(super) eof: bool,
    /// A receive stops once before so many bytes are read of what there is, whatever follows.
    pub(super) mark: Option<usize>,
    /// A send found no room, or too little.
    pub(super) starved: bool,
    /// The program has closed it.
    pub(super) closed: bool,
    /// A local port of its host is its own.
    pub(super) holds_port: bool,
}

impl End {
    pub(super) fn new(host: HostId, port: usize, local: Address, remote: Address) -> End {
        End {
            generation: 0,
            host,
            port,
            sock: Sock::NONE,
            peer: None,
            local,
            remote,
            phase: Phase::Dialling { tries: 0 },
            out: 0,
            flight: VecDeque::new(),
            flying: 0,
            link_free: Instant::START,
            tries: 0,
            ends: false,
            fin_sent: false,
            inbox: VecDeque::new(),
            arrived: 0,
            eof: false,
            mark: None,
            starved: false,
            closed: false,
            holds_port: false,
        }
    }

    /// All that it is ready for, as `poll` would say.
    pub(super) fn ready(&self, send_buffer: usize) -> Ready {
        let mut ready = Ready::NONE;
        match self.phase {
            Phase::Dialling { .. } => {}
            Phase::Dead(_) => {
                ready = Ready::READ.with(Ready::WRITE).with(Ready::HUP).with(Ready::ERR);
            }
            Phase::Open => {
                if self.arrived > 0 || self.eof {
                    ready = ready.with(Ready::READ);
                }
                if self.eof {
                    ready = ready.with(Ready::HUP);
                }
                if self.out < send_buffer {
                    ready = ready.with(Ready::WRITE);
                }
            }
        }
        ready
    }

    /// Whether bytes that arrive here find a reader.
    fn receives(&self) -> bool {
        !self.closed && !matches!(self.phase, Phase::Dead(_))
    }

    pub(super) fn remote_peer(&self) -> Peer {
        match &self.remote {
            Address::Inet(address) => Peer::Inet(*address),
            _ => Peer::Unix,
        }
    }
}

impl State {
    pub(super) fn end(&self, id: EndId) -> Option<&End> {
        self.ends.get(id.place).filter(|end| end.generation == id.generation)
    }

    pub(super) fn end_mut(&mut self, id: EndId) -> Option<&mut End> {
        self.ends.get_mut(id.place).filter(|end| end.generation == id.generation)
    }

    pub(super) fn insert_end(&mut self, mut end: End) -> EndId {
        let generation = self.next_generation();
        end.generation = generation;
        end.inbox = self.spare.pop().unwrap_or_default();
        EndId { place: self.ends.insert(end), generation }
    }

    /// Sends a SYN.
    pub(super) fn dial(&mut self, id: EndId) {
        let wait = self.latency();
        let at = self.now + wait;
        self.queue.push(at, Event::Syn(id));
    }

    /// A SYN arrives, or should.
    pub(super) fn syn(&mut self, id: EndId) {
        let Some(end) = self.end(id) else { return };
        let Phase::Dialling { tries } = end.phase else { return };
        let (from, remote, local) = (end.host, end.remote.clone(), end.local.clone());
        let to = match super::inet(&remote) {
            Some(address) => self.host_at(address.ip()),
            None => Some(from),
        };
        let Some(to) = to.filter(|to| !self.is_cut(from, *to) && !self.is_cut(*to, from)) else {
            return self.syn_again(id, tries);
        };
        let shards = self.listening(to, &remote);
        if shards.is_empty() {
            let at = self.now + self.latency();
            return self.queue.push(at, Event::Refused(id));
        }
        let place = shards[self.rng.below(shards.len() as u32) as usize];
        let listener = &self.listeners[place];
        if listener.queue.len() >= listener.backlog {
            return self.syn_again(id, tries);
        }
        let (port, sock) = (listener.port, listener.sock);
        let mut other = End::new(to, port, remote, local);
        other.phase = Phase::Open;
        other.peer = Some(id);
        let other = self.insert_end(other);
        self.listeners[place].queue.push_back(other);
        if let Some(end) = self.end_mut(id) {
            end.peer = Some(other);
        }
        self.counts.connections += 1;
        self.tell(port, sock, Ready::READ);
        let at = self.now + self.latency();
        self.queue.push(at, Event::Accepted(id));
    }

    fn syn_again(&mut self, id: EndId, tries: u32) {
        self.counts.syn_lost += 1;
        if tries >= SYN_TRIES_MAX {
            return self.kill(id, Fault::TimedOut);
        }
        if let Some(end) = self.end_mut(id) {
            end.phase = Phase::Dialling { tries: tries + 1 };
        }
        let at = self.now + doubled(SYN_RETRY_FIRST, tries);
        self.queue.push(at, Event::Syn(id));
    }

    pub(super) fn accepted(&mut self, id: EndId) {
        let Some(end) = self.end_mut(id) else { return };
        if matches!(end.phase, Phase::Dialling { .. }) {
            end.phase = Phase::Open;
            self.announce(id, Ready::WRITE);
            self.transmit(id);
        }
    }

    pub(super) fn refused(&mut self, id: EndId) {
        self.counts.refused += 1;
        self.kill(id, Fault::Refused);
    }

    /// Puts in flight what the peer has room for.
    pub(super) fn transmit(&mut self, id: EndId) {
        let (segment, bandwidth) = (self.limits.segment, self.limits.bandwidth);
        let window = self.limits.window;
        loop {
            let Some(end) = self.end(id) else { return };
            let Some(peer) = end.peer.filter(|_| end.phase == Phase::Open) else { return };
            let unread = self.end(peer).map_or(0, |peer| peer.arrived);
            let room = window.saturating_sub(unread + end.flying);
            let unsent = end.out - end.flying;
            let next = match unsent.min(room).min(segment) {
                0 if unsent == 0 && end.ends && !end.fin_sent => Segment::Fin,
                0 => return,
                n => Segment::Data(n),
            };
            let wait = self.latency();
            let now = self.now;
            let Some(end) = self.end_mut(id) else { return };
            let mut departs = now.max(end.link_free);
            if let Segment::Data(n) = next {
                end.flying += n;
                if let Some(took) = (n as u64 * 1_000_000_000).checked_div(bandwidth) {
                    departs = departs + Duration::from_nanos(took);
                    end.link_free = departs;
                }
            } else {
                end.fin_sent = true;
            }
            self.fly(id, departs + wait, next);
        }
    }

    /// Puts a segment behind those in flight: none overtakes another.
    fn fly(&mut self, id: EndId, arrives: Instant, segment: Segment) {
        let Some(end) = self.end_mut(id) else { return };
        let arrives = end.flight.back().map_or(arrives, |(last, _)| arrives.max(*last));
        end.flight.push_back((arrives, segment));
        if end.flight.len() == 1 {
            self.queue.push(arrives, Event::Arrive(id));
        }
    }

    /// The first segment in flight arrives, and so do all that are due with it.
    pub(super) fn arrive(&mut self, id: EndId) {
        loop {
            let now = self.now;
            let Some(end) = self.end(id) else { return };
            let Some((at, segment)) = end.flight.front().copied() else { return };
            if at > now {
                return self.queue.push(at, Event::Arrive(id));
            }
            let Some(peer) = end.peer else { return };
            let (from, tries) = (end.host, end.tries);
            let to = self.end(peer).map_or(from, |peer| peer.host);
            if self.is_cut(from, to) {
                self.counts.retransmissions += 1;
                if tries >= TRIES_MAX {
                    return self.kill(id, Fault::TimedOut);
                }
                let again = now + doubled(RETRY_FIRST, tries);
                let Some(end) = self.end_mut(id) else { return };
                end.tries += 1;
                return self.queue.push(again, Event::Arrive(id));
            }
            let Some(end) = self.end_mut(id) else { return };
            end.tries = 0;
            end.flight.pop_front();
            self.progress += 1;
            // What overtakes the answer to a SYN is one.
            self.accepted(peer);
            match segment {
                Segment::Data(n) => self.deliver(id, peer, n),
                Segment::Fin => self.deliver_fin(id, peer),
                Segment::Reset => {
                    self.kill(peer, Fault::Reset);
                    self.drop_end(id);
                    return;
                }
            }
        }
    }

    /// Puts bytes behind those that are to go to an end's peer.
    pub(super) fn give(&mut self, id: EndId, slices: &[IoSlice<'_>], mut n: usize) {
        let Some(end) = self.end_mut(id) else { return };
        end.out += n;
        let Some(peer) = end.peer else { return };
        // Who cannot receive gets none of them, but their sender learns of it only by and by.
        let Some(peer) = self.end_mut(peer).filter(|peer| peer.receives()) else { return };
        for slice in slices {
            let part = n.min(slice.len());
            peer.inbox.extend(&slice[..part]);
            n -= part;
        }
    }

    fn deliver(&mut self, id: EndId, peer: EndId, n: usize) {
        self.counts.bytes += n as u64;
        let mut receives = false;
        if let Some(end) = self.end_mut(peer).filter(|end| end.receives()) {
            end.arrived += n;
            assert!(end.arrived <= end.inbox.len(), "more arrives than was sent");
            receives = true;
        }
        let send_buffer = self.limits.send_buffer;
        let Some(end) = self.end_mut(id) else { return };
        end.out -= n;
        end.flying -= n;
        let roomy = end.starved && end.out <= send_buffer / 3 * 2;
        if roomy {
            end.starved = false;
            self.announce(id, Ready::WRITE);
        }
        if receives {
            self.announce(peer, Ready::READ);
        } else {
            // Nobody reads there any more.
            self.counts.resets += 1;
            self.kill(id, Fault::Reset);
        }
    }

    fn deliver_fin(&mut self, id: EndId, peer: EndId) {
        let Some(end) = self.end_mut(peer).filter(|end| end.phase == Phase::Open) else {
            // Nobody knows of this connection any more.
            self.counts.resets += 1;
            return self.kill(id, Fault::Reset);
        };
        end.eof = true;
        self.announce(peer, Ready::READ.with(Ready::HUP));
        self.bury(peer);
        self.bury(id);
    }

    /// The program closes its handle. What it has not read is answered by a RST, as kernels do.
    pub(super) fn close_end(&mut self, id: EndId, how: Close) {
        let Some(end) = self.end_mut(id) else { return };
        end.closed = true;
        end.sock = Sock::NONE;
        if matches!(end.phase, Phase::Dialling { .. }) && end.peer.is_some() {
            // Its SYN was heard: the answer to it finds nobody, which the other end is told.
            end.phase = Phase::Open;
            return self.reset(id);
        }
        if end.phase != Phase::Open {
            return self.drop_end(id);
        }
        if how == Close::Drop {
            return self.kill(id, Fault::Reset);
        }
        if how == Close::Reset || end.arrived > 0 {
            return self.reset(id);
        }
        end.ends = true;
        self.transmit(id);
        self.bury(id);
    }

    /// Sends a RST in the place of what was to be sent.
    fn reset(&mut self, id: EndId) {
        self.counts.resets += 1;
        let wait = self.latency();
        let at = self.now + wait;
        let Some(end) = self.end_mut(id) else { return };
        // What is in flight arrives; what is not never leaves.
        end.out = end.flying;
        end.ends = true;
        end.fin_sent = true;
        if end.flight.back().is_none_or(|(_, last)| *last != Segment::Reset) {
            self.fly(id, at, Segment::Reset);
        }
        self.take_back(id);
    }

    /// Takes out of the peer's inbox what will not come any more.
    fn take_back(&mut self, id: EndId) {
        let Some(end) = self.end(id) else { return };
        let (out, peer) = (end.out, end.peer);
        if let Some(peer) = peer.and_then(|peer| self.end_mut(peer)) {
            peer.inbox.truncate(peer.arrived + out);
        }
    }

    /// The connection is gone at this end: what was not read is lost.
    pub(super) fn kill(&mut self, id: EndId, fault: Fault) {
        let Some(end) = self.end_mut(id) else { return };
        if matches!(end.phase, Phase::Dead(_)) {
            return;
        }
        let queued = end.sock.is_none() && !end.closed;
        end.phase = Phase::Dead(fault);
        end.inbox.clear();
        (end.arrived, end.out, end.flying) = (0, 0, 0);
        end.flight.clear();
        let closed = end.closed;
        self.take_back(id);
        if closed {
            return self.drop_end(id);
        }
        if !queued {
            let all = Ready::READ.with(Ready::WRITE).with(Ready::HUP).with(Ready::ERR);
            self.announce(id, all);
        }
    }

    /// The host has lost its memory: no word to the peer, which gets a RST when it sends.
    pub(super) fn forget(&mut self, id: EndId) {
        if let Some(end) = self.end_mut(id) {
            end.closed |= end.sock.is_none();
        }
        self.kill(id, Fault::Reset);
    }

    /// Drops an end that is closed and has nothing more to say or to hear.
    fn bury(&mut self, id: EndId) {
        let done = self.end(id).is_some_and(|end| {
            end.closed && end.fin_sent && end.flight.is_empty() && end.eof && end.out == 0
        });
        if done {
            self.drop_end(id);
        }
    }

    fn drop_end(&mut self, id: EndId) {
        if self.end(id).is_none() {
            return;
        }
        let mut end = self.ends.remove(id.place);
        if self.spare.len() < SPARE_MAX {
            end.inbox.clear();
            self.spare.push(end.inbox);
        }
        if end.holds_port {
            self.hosts[end.host as usize].ports -= 1;
        }
    }
}

fn doubled(first: Duration, tries: u32) -> Duration {
    Duration::from_nanos(first.as_nanos() << tries.min(5))
}
