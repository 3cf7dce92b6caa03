//! The log agent: messages collected during a turn, and one small machine for each sink.
//!
//! [`Logs::emit`] formats a message for all its targets at once: the text once, the header once
//! for each distinct (format, facility, level, length), into one bounded arena; a sink gets ranges
//! of it. At the end of the turn the engine carries out what each sink wants. What a sink does not
//! take then is dropped and counted: logging never waits and never grows.
//!
//! ```text
//!                opened(Ok)                  failed, or nothing taken for STALL_MAX
//!   Closed ─────────────────────────► Open ─────────────────────────► Broken
//!     │  ▲ opened(Err): not before                                      │ closed: not before
//!     └──┘ REOPEN_DELAY has passed      Closed ◄────────────────────────┘ REOPEN_DELAY has passed
//! ```
//!
//! The flush, in the words of the engine:
//!
//! ```text
//!   for sink in 0..logs.sinks() {
//!       loop match logs.want(sink, now) {
//!           Want::Nothing     => break,
//!           Want::Open        => logs.opened(sink, net.open_sink(sink), now),
//!           Want::Send(sock)  => fill slices from logs.pending(sink); net.send_messages(…);
//!                                logs.sent(sink, offered, taken, now),
//!           Want::Close(sock) => { net.close(sock); logs.closed(sink, now) }
//!       }
//!   }
//!   logs.end_turn();
//! ```
//!
//! What goes to rings goes there with the flush too: they are memory, and take all of it.
//!
//! A closed sink is opened again by the first message after its delay, so a quiet engine needs no
//! timer for it. The agent has no socket and no clock.

use core::hash::{Hash, Hasher};
use core::ops::Range;
use std::sync::Arc;

use crate::fault::Fault;
use crate::invariant;
use crate::logfmt::dates::Dates;
use crate::logfmt::line::Lines;
use crate::logfmt::wire::{Level, Sender, admitted, push_header};
use crate::poller::Sock;
use crate::proxy::spec::{LogSample, LogTarget, Site, WireFormat};
use crate::sometimes;
use crate::time::{Deadline, Duration, Instant, Wall};

/// How long a sink that failed stays closed.
pub const REOPEN_DELAY: Duration = Duration::from_secs(1);

/// How long an open sink may take nothing before it counts as broken. (A receiver that was
/// restarted leaves a unix socket behind that stays full, or refuses, for ever.)
pub const STALL_MAX: Duration = Duration::from_secs(1);

/// All logging of one engine.
#[derive(Debug)]
pub struct Logs {
    lines: Lines,
    pid: u32,
    hostname: Option<Arc<str>>,
    /// The text of the message at hand, before any header.
    text: Vec<u8>,
    /// Structured data for the next message.
    pub structured: Vec<u8>,
    /// The datagrams of this turn, one behind the other.
    arena: Vec<u8>,
    arena_max: usize,
    /// What the message at hand has been formatted to so far.
    made: Vec<(Key, Span)>,
    sinks: Vec<SinkState>,
    /// The messages of this turn for each ring, and how many were lost.
    rings: Vec<(Vec<Span>, u64)>,
    /// Which messages are sent where only some are, and the number of the next.
    samples: Vec<(LogSample, u32)>,
}

/// What a sink wants from the engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// Nothing, this turn.
    Nothing,
    /// To be opened; answer with [`Logs::opened`].
    Open,
    /// Its messages sent; answer with [`Logs::sent`].
    Send(Sock),
    /// Its socket closed; answer with [`Logs::closed`].
    Close(Sock),
}

/// How many messages a sink took and lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Messages that were taken.
    pub sent: u64,
    /// Messages that were lost: the arena or the sink was full, or the sink was closed.
    pub dropped: u64,
}

/// Targets with the same key get the same bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Key {
    format: WireFormat,
    facility: u8,
    level: u8,
    len_max: u32,
    text_max: u32,
}

/// A range of the arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Span {
    start: u32,
    end: u32,
}

#[derive(Debug)]
struct SinkState {
    state: State,
    /// The messages of this turn.
    messages: Vec<Span>,
    /// How many of them are done with.
    next: usize,
    /// Since when nothing has been taken.
    stalled: Option<Instant>,
    tally: Tally,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum State {
    /// Not open, and not to be opened before the instant.
    Closed(Instant),
    Open(Sock),
    /// Useless, and still to be closed.
    Broken(Sock),
}

impl Hash for Logs {
    /// What has a part in what happens next: which sinks are open, and which message each sample is
    /// at. What was logged in the turn has been sent when it is over.
    fn hash<H: Hasher>(&self, into: &mut H) {
        for sink in &self.sinks {
            (sink.state, sink.messages.len(), sink.next, sink.stalled).hash(into);
        }
        self.samples.iter().for_each(|(_, number)| number.hash(into));
    }
}

impl Logs {
    /// The sinks of `site`, none open yet.
    pub fn new(site: &Site, pid: u32, dates: Dates) -> Self {
        let closed = || SinkState {
            state: State::Closed(Instant::START),
            messages: Vec::new(),
            next: 0,
            stalled: None,
            tally: Tally::default(),
        };
        Logs {
            lines: Lines::new(site, dates),
            pid,
            hostname: site.global.log_hostname.clone(),
            text: Vec::new(),
            structured: Vec::new(),
            arena: Vec::new(),
            arena_max: site.tunables.log_arena_max as usize,
            made: Vec::new(),
            sinks: site.sinks.iter().map(|_| closed()).collect(),
            rings: site.rings.iter().map(|_| (Vec::new(), 0)).collect(),
            samples: site.log_samples.iter().map(|sample| (sample.clone(), 0)).collect(),
        }
    }

    /// Sends a message of `level` to every target that wants it. `write` appends its text, without
    /// a line feed; it is not called if nobody does.
    pub fn emit(
        &mut self,
        targets: &[LogTarget],
        tag: &str,
        level: Level,
        at: Wall,
        write: impl FnOnce(&mut Lines, &mut Vec<u8>),
    ) {
        let mut samples = std::mem::take(&mut self.samples);
        let mut wanted = targets
            .iter()
            .filter_map(|target| admitted(target, level).map(|level| (target, level)))
            .filter(|(target, _)| target.sample.is_none_or(|index| sampled(&mut samples, index)))
            .peekable();
        if wanted.peek().is_none() {
            self.structured.clear();
            self.samples = samples;
            return;
        }
        self.text.clear();
        write(&mut self.lines, &mut self.text);
        self.made.clear();
        for (target, level) in wanted {
            let LogTarget { format, facility, len_max, text_max, .. } = *target;
            let key = Key { format, facility, level, len_max, text_max };
            let made = self.made.iter().find(|(other, _)| *other == key).map(|&(_, span)| span);
            let span = made.or_else(|| {
                let span = self.store(key, tag, at)?;
                self.made.push((key, span));
                Some(span)
            });
            let (messages, dropped) = match target.ring {
                Some(ring) => {
                    let (messages, dropped) = &mut self.rings[ring as usize];
                    (messages, dropped)
                }
                None => {
                    let sink = &mut self.sinks[target.sink as usize];
                    (&mut sink.messages, &mut sink.tally.dropped)
                }
            };
            match span {
                Some(span) => messages.push(span),
                None => {
                    sometimes!(LogDropped);
                    *dropped += 1;
                }
            }
        }
        self.structured.clear();
        self.samples = samples;
    }

    /// How long a text may be that none of the targets is to cut.
    pub fn room(&mut self, targets: &[LogTarget], tag: &str, at: Wall) -> usize {
        let start = self.arena.len();
        let sender = Sender {
            tag,
            pid: self.pid,
            hostname: self.hostname.as_deref(),
            data: &self.structured,
            at,
        };
        let room = targets.iter().map(|target| {
            let LogTarget { format, facility, len_max, text_max, .. } = *target;
            // No level is longer than the last.
            let level = Level::Debug as u8;
            push_header(format, facility, level, &sender, &mut self.lines.dates, &mut self.arena);
            let header = self.arena.len() - start;
            self.arena.truncate(start);
            (len_max as usize).saturating_sub(header).min(text_max as usize)
        });
        room.min().unwrap_or(0)
    }

    /// Puts header and text into the arena, cut to the target's length; None if they do not fit.
    fn store(&mut self, key: Key, tag: &str, at: Wall) -> Option<Span> {
        let start = self.arena.len();
        let hostname = self.hostname.as_deref();
        let data = &self.structured[..];
        let sender = Sender { tag, pid: self.pid, hostname, data, at };
        let Key { format, facility, level, len_max, text_max } = key;
        push_header(format, facility, level, &sender, &mut self.lines.dates, &mut self.arena);
        let stop = start + len_max as usize;
        let room = stop.saturating_sub(self.arena.len()).min(self.text.len());
        let room = room.min(text_max as usize);
        let end = (self.arena.len() + room).min(stop) + 1;
        if end > self.arena_max {
            self.arena.truncate(start);
            return None;
        }
        self.arena.extend_from_slice(&self.text[..room]);
        self.arena.truncate(stop);
        // The line feed is not part of the length.
        self.arena.push(b'\n');
        invariant!(self.arena.len() == end);
        // `arena_max` comes from a u32.
        Some(Span { start: start as u32, end: end as u32 })
    }

    /// How many sinks there are.
    pub fn sinks(&self) -> u32 {
        self.sinks.len() as u32
    }

    /// Whether a flush has nothing to do: the cheap question of each turn.
    pub fn is_idle(&self) -> bool {
        self.arena.is_empty()
            && self.sinks.iter().all(|sink| !matches!(sink.state, State::Broken(_)))
    }

    /// What `sink` wants. It is asked again until it wants nothing.
    pub fn want(&self, sink: u32, now: Instant) -> Want {
        let sink = &self.sinks[sink as usize];
        let waiting = sink.next < sink.messages.len();
        match sink.state {
            State::Closed(until) if waiting && Deadline::at(until).is_due(now) => Want::Open,
            State::Open(sock) if waiting => Want::Send(sock),
            State::Broken(sock) => Want::Close(sock),
            State::Closed(_) | State::Open(_) => Want::Nothing,
        }
    }

    /// The messages that `sink` should be sent now, in order, each with its line feed.
    pub fn pending(&self, sink: u32) -> impl Iterator<Item = &[u8]> {
        let sink = &self.sinks[sink as usize];
        sink.messages[sink.next..].iter().map(|span| &self.arena[Range::from(*span)])
    }

    /// The messages that each ring should keep now, in order, each with its line feed; none of
    /// those that have none.
    pub fn for_rings(&self) -> impl Iterator<Item = (u32, impl Iterator<Item = &[u8]>)> {
        let rings = (0..).zip(&self.rings).filter(|(_, (messages, _))| !messages.is_empty());
        rings.map(|(ring, (messages, _))| {
            (ring, messages.iter().map(|span| &self.arena[Range::from(*span)]))
        })
    }

    /// The engine tried to open `sink`. It may do so before there is a message, at its start.
    pub fn opened(&mut self, sink: u32, outcome: Result<Sock, Fault>, now: Instant) {
        let sink = &mut self.sinks[sink as usize];
        invariant!(matches!(sink.state, State::Closed(_)), "opened twice");
        sink.stalled = None;
        sink.state = match outcome {
            Ok(sock) => State::Open(sock),
            Err(_) => State::Closed(now + REOPEN_DELAY),
        };
    }

    /// `sink` was offered so many of its pending messages and took so many, from the first on. If
    /// that is not all of them it is full, and the rest of this turn's messages is dropped.
    pub fn sent(&mut self, sink: u32, offered: usize, taken: usize, now: Instant) {
        let sink = &mut self.sinks[sink as usize];
        let State::Open(sock) = sink.state else {
            panic!("sent to a sink that is not open");
        };
        let waiting = sink.messages.len() - sink.next;
        invariant!(taken <= offered && 0 < offered && offered <= waiting);
        sink.tally.sent += taken as u64;
        sink.next += taken;
        if taken < offered {
            sink.drop_rest();
        }
        if taken > 0 {
            sink.stalled = None;
        } else if now.since(*sink.stalled.get_or_insert(now)) >= STALL_MAX {
            sink.state = State::Broken(sock);
        }
    }

    /// The socket of `sink` failed: an error was announced for it.
    pub fn failed(&mut self, sink: u32) {
        let sink = &mut self.sinks[sink as usize];
        if let State::Open(sock) = sink.state {
            sink.state = State::Broken(sock);
        }
    }

    /// The engine closed the socket of `sink`.
    pub fn closed(&mut self, sink: u32, now: Instant) {
        let sink = &mut self.sinks[sink as usize];
        invariant!(matches!(sink.state, State::Broken(_)), "closed without need");
        sink.state = State::Closed(now + REOPEN_DELAY);
    }

    /// Ends the turn: what was not sent is dropped.
    pub fn end_turn(&mut self) {
        for sink in &mut self.sinks {
            sink.drop_rest();
            sink.messages.clear();
            sink.next = 0;
        }
        self.rings.iter_mut().for_each(|(messages, _)| messages.clear());
        self.arena.clear();
    }

    /// Gives memory back after a burst, except that of messages which are not sent yet.
    pub fn trim(&mut self) {
        self.text = Vec::new();
        if !self.arena.is_empty() {
            return;
        }
        self.arena = Vec::new();
        for sink in &mut self.sinks {
            sink.messages = Vec::new();
        }
    }

    /// How many messages `sink` took and lost so far.
    pub fn tally(&self, sink: u32) -> Tally {
        self.sinks[sink as usize].tally
    }

    /// How many messages were lost so far, of all sinks and rings.
    pub fn dropped(&self) -> u64 {
        let of_rings = self.rings.iter().map(|(_, dropped)| *dropped);
        self.sinks.iter().map(|sink| sink.tally.dropped).chain(of_rings).sum()
    }
}

/// Whether a message that a target gets is one of those that it sends.
fn sampled(samples: &mut [(LogSample, u32)], index: u32) -> bool {
    let Some((sample, next)) = samples.get_mut(index as usize) else { return true };
    let number = *next;
    *next = (number + 1) % sample.size.max(1);
    sample.takes(number)
}

impl SinkState {
    fn drop_rest(&mut self) {
        let rest = self.messages.len() - self.next;
        sometimes!(LogDropped, rest > 0);
        self.tally.dropped += rest as u64;
        self.next = self.messages.len();
    }
}

impl From<Span> for Range<usize> {
    fn from(span: Span) -> Self {
        span.start as usize..span.end as usize
    }
}

#[cfg(test)]
mod tests;
