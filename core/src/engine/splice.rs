//! Bulk through a kernel pipe: the bytes of a direction that only forwards never come to user
//! space.
//!
//! A direction switches to a pipe after one full receive (`Facts::BULK`) and keeps it until it ends
//! or slows down. Pipes are large, since calls, not bytes, are what costs, and come from a pool.

use super::Engine;
use crate::channel::{Channel, Facts};
use crate::fds::Fds;
use crate::poller::{Io, More, Poller, Ready, Sock};
use crate::session::SessionFlags;
use crate::sometimes;
use crate::time::Instant;

/// Fewer bytes than this are copied.
pub(super) const WORTH: u64 = 65_536;
/// Pipes kept open for the next bulk.
const SPARE_PIPES: usize = 16;

impl Engine {
    /// Moves bytes from a socket into the channel's pipe. True if some came, or an end.
    pub(super) fn splicer_in<P: Poller>(
        &mut self,
        net: &mut P,
        id: u32,
        sock: Sock,
        request: bool,
    ) -> bool {
        if !self.fds.ready(sock).any(Ready::READ.with(Ready::HUP).with(Ready::ERR)) {
            return false;
        }
        let pipe = {
            let s = &self.sessions[id as usize];
            let channel = if request { &s.req } else { &s.res };
            channel.pipe
        };
        let Some(pipe) = pipe.or_else(|| self.take_pipe(net)) else {
            // No pipe is to be had: copy.
            let s = &mut *self.sessions[id as usize];
            let channel = if request { &mut s.req } else { &mut s.res };
            channel.facts.clear(Facts::SPLICE);
            return true;
        };
        sometimes!(Spliced);
        let now = self.now.mono;
        let size = self.site.tunables.pipesize;
        let s = &mut *self.sessions[id as usize];
        let channel = if request { &mut s.req } else { &mut s.res };
        channel.pipe = Some(pipe);
        let room = size.saturating_sub(channel.piped);
        let max = channel.to_forward.min(u64::from(room)) as usize;
        if max == 0 {
            return false;
        }
        let moved = match net.splice_in(sock, pipe, max) {
            Io::Done(n) => {
                channel.arrived_in_pipe(n, now);
                self.counters.spliced += n as u64;
                true
            }
            Io::Blocked => {
                // A pipe may be full of slots although not of bytes; an empty one never is (P8).
                if channel.piped == 0 {
                    self.fds.used_up(sock, Ready::READ.with(Ready::HUP).with(Ready::ERR));
                }
                false
            }
            Io::Eof => {
                if planted!(PipeLost) {
                    channel.added -= i64::from(channel.piped);
                    channel.piped = 0;
                }
                channel.shut_read(Facts::EOF);
                self.fds.used_up(sock, Ready::READ.with(Ready::HUP));
                true
            }
            Io::Failed(_) => {
                channel.shut_read(Facts::READ_ERROR);
                self.fds.used_up(sock, Ready::READ.with(Ready::HUP).with(Ready::ERR));
                true
            }
        };
        if !request && moved {
            s.flags.set(SessionFlags::ANSWERED);
        }
        let dead = if request { s.req.is(Facts::READ_ERROR) } else { s.res.is(Facts::READ_ERROR) };
        if dead {
            let other = if request { &mut s.res } else { &mut s.req };
            other.shut_write(Facts::NONE);
        }
        moved
    }

    fn take_pipe<P: Poller>(&mut self, net: &mut P) -> Option<crate::poller::Pipe> {
        if let Some(pipe) = self.pipes.pop() {
            return Some(pipe);
        }
        if self.pipes_open >= self.site.tunables.pipes_max {
            return None;
        }
        let pipe = net.open_pipe(self.site.tunables.pipesize).ok()?;
        self.pipes_open += 1;
        Some(pipe)
    }

    /// Takes a channel's pipe back; one with bytes in it is closed.
    pub(super) fn give_pipe<P: Poller>(&mut self, net: &mut P, channel: &mut Channel) {
        let Some(pipe) = channel.pipe.take() else { return };
        if channel.piped == 0 && self.pipes.len() < SPARE_PIPES {
            self.pipes.push(pipe);
            return;
        }
        channel.added -= i64::from(channel.piped);
        channel.piped = 0;
        net.close_pipe(pipe);
        self.pipes_open -= 1;
    }
}

/// Moves bytes from the channel's pipe to a socket. True if all of it left.
pub(super) fn splice_out<P: Poller>(
    net: &mut P,
    fds: &mut Fds,
    sock: Sock,
    channel: &mut Channel,
    now: Instant,
) -> bool {
    let Some(pipe) = channel.pipe else { return true };
    while channel.piped > 0 {
        match net.splice_out(pipe, sock, channel.piped as usize, More::No) {
            Io::Done(n) => channel.left_pipe(n, now),
            Io::Blocked => {
                fds.used_up(sock, Ready::WRITE);
                channel.await_writer(now);
                return false;
            }
            Io::Eof | Io::Failed(_) => {
                channel.shut_write(Facts::WRITE_ERROR);
                return false;
            }
        }
    }
    true
}
