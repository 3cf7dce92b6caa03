//! The recording side: a tape that an engine's host writes to and that the wrappers around its
//! poller and its door to the shared state write to as well.
//!
//! ```text
//!   host ──start, turn, signal, trim──► Tape ──whole turns──► sink
//!             │                          ▲ ▲
//!             ▼                          │ │
//!           Engine ──► Record<P> ────────┘ │   what it asked of the poller, and the answer
//!             └─────► Door ──► witness ────┘   what it asked of the shared state, and the answer
//! ```
//!
//! Turns are kept until they are over and handed to the sink whole, at the latest when the engine
//! is about to wait; so a process that is killed leaves a recording that ends between two turns.
//! It opens no file: the sink is the host's.

use core::fmt;
use std::io::IoSlice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_core::engine::{Engine, Notice, Observer, Park, Signal};
use tidegate_core::fault::Fault;
use tidegate_core::poller::{
    Accepted, Close, ConnectSpec, Connecting, Event, Io, ListenSpec, More, Parcel, Peer, Pipe,
    Poller, Sock, SockOpt, TcpInfo, Which,
};
use tidegate_core::proxy::shared::{Answer, Question, Witness};
use tidegate_core::time::Now;

use crate::digest::Digest;

use super::boot::Boot;
use super::entry::{Entry, Finish, put_answer};
use super::wire::{Hash, Wire};

/// Where a recording goes; an error, in words, ends it.
pub type Sink = Box<dyn FnMut(&[u8]) -> Result<(), String> + Send>;

/// What a sink to memory has got.
pub type Reel = Arc<Mutex<Vec<u8>>>;

/// A sink that keeps everything in memory, and where.
pub fn to_memory() -> (Sink, Reel) {
    let reel = Reel::default();
    let kept = Arc::clone(&reel);
    let sink = move |bytes: &[u8]| {
        kept.lock().map_err(|_| "its reader panicked")?.extend_from_slice(bytes);
        Ok(())
    };
    (Box::new(sink), reel)
}

/// A digest stands in the recording every so many turns.
pub const CHECK_EVERY: u64 = 64;
/// Bytes that wait for the sink while the engine does not.
const BLOCK: usize = 64 * 1024;
/// More than the last entry takes.
const END_ROOM: u64 = 32;

/// Why nothing is recorded any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Over {
    /// The limit is reached.
    Limit,
    /// It was ended by the host.
    Finished,
    /// The sink failed, and why.
    Failed(String),
}

/// One engine's recording. Clones write to the same.
#[derive(Clone, Debug)]
pub struct Tape(Arc<Mutex<Recorder>>);

struct Recorder {
    sink: Sink,
    limit: u64,
    /// Bytes that the sink has got.
    written: u64,
    /// Whole turns that the sink has not got yet.
    whole: Vec<u8>,
    /// The turn under way, and what came before it.
    turn: Vec<u8>,
    digest: Digest,
    /// The digest up to the last whole turn.
    settled: Digest,
    turns: u64,
    over: Option<Over>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recorder {{ {} turns, {} bytes, {:?} }}", self.turns, self.written, self.over)
    }
}

impl Tape {
    /// Begins a recording of at most `limit` bytes.
    pub fn begin(boot: &Boot, limit: u64, mut sink: Sink) -> Result<Tape, String> {
        let head = boot.head();
        let written = head.len() as u64;
        if written + END_ROOM > limit {
            return Err(format!("the configuration alone takes {written} bytes of {limit}"));
        }
        sink(&head)?;
        let (digest, settled) = Default::default();
        let (whole, turn) = Default::default();
        let recorder =
            Recorder { sink, limit, written, whole, turn, digest, settled, turns: 0, over: None };
        Ok(Tape(Arc::new(Mutex::new(recorder))))
    }

    /// The host is about to start the engine, around whose poller a [`Record`] is: everything that
    /// it asks is written down from here on.
    pub fn starts(&self, engine: &mut Engine, now: Now) {
        engine.witness(Some(Box::new(self.clone())));
        self.note(&Entry::Start(now));
    }

    /// The start is over.
    pub fn started(&self, well: bool) {
        let mut recorder = self.lock();
        recorder.note(&Entry::Started(well), |_| {});
        recorder.settle(true);
    }

    /// The host is about to turn the engine.
    pub fn turns(&self, now: Now) {
        self.note(&Entry::Turn(now));
    }

    /// The turn is over, and left these notices.
    pub fn turned(&self, park: Park, notices: &[Notice]) {
        let mut recorder = self.lock();
        recorder.note(&parked(park, notices), |_| {});
        recorder.turned(park != Park::Busy);
    }

    /// [`Engine::start`] with a poller that is lent to the tape for as long.
    pub fn start<P: Poller>(
        &self,
        engine: &mut Engine,
        net: &mut P,
        now: Now,
    ) -> Result<(), String> {
        self.starts(engine, now);
        let started = engine.start(&mut Record::on(net, self.clone()), now);
        self.started(started.is_ok());
        started
    }

    /// [`Engine::turn`] with a poller that is lent to the tape for as long, and the notices that
    /// came of it.
    pub fn turn<P: Poller, O: Observer>(
        &self,
        engine: &mut Engine,
        net: &mut P,
        seen: &mut O,
        now: Now,
    ) -> (Park, Vec<Notice>) {
        self.turns(now);
        let park = engine.turn(&mut Record::on(net, self.clone()), seen, now);
        let notices = engine.take_notices();
        self.turned(park, &notices);
        (park, notices)
    }

    /// [`Engine::signal`], recorded.
    pub fn signal(&self, engine: &mut Engine, signal: Signal) {
        self.note(&Entry::Signal(signal));
        engine.signal(signal);
    }

    /// [`Engine::trim`], recorded.
    pub fn trim(&self, engine: &mut Engine) {
        self.note(&Entry::Trim);
        engine.trim();
    }

    /// Why it is over, if it is. The engine then goes on without it.
    pub fn over(&self) -> Option<Over> {
        self.lock().over.clone()
    }

    /// Ends the recording and leaves the engine alone.
    pub fn finish(&self, engine: &mut Engine, why: Finish) {
        engine.witness(None);
        self.lock().finish(why, Over::Finished);
    }

    /// Hands over what there is, the turn under way as well: for a process that is about to end in
    /// the middle of it.
    pub fn rescue(&self) {
        // Whoever holds it will not let go any more if it is this thread.
        if let Ok(mut recorder) = self.0.try_lock() {
            let turn = core::mem::take(&mut recorder.turn);
            recorder.whole.extend(turn);
            recorder.flush();
        }
    }

    fn note(&self, entry: &Entry) {
        self.lock().note(entry, |_| {});
    }

    fn lock(&self) -> MutexGuard<'_, Recorder> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a turn that left these notices.
pub(super) fn parked(park: Park, notices: &[Notice]) -> Entry {
    let mut digest = Digest::default();
    for notice in notices {
        digest.number(notice.severity as u64);
        digest.bytes(notice.text.as_bytes());
    }
    Entry::Parked { park, notices: notices.len() as u32, hash: Hash(digest.value()) }
}

/// The hash of bytes that are sent. How they are cut is the engine's doing, and counts.
pub(super) fn hash_of(slices: &[IoSlice<'_>]) -> Hash {
    let mut digest = Digest::default();
    slices.iter().for_each(|slice| digest.bytes(slice));
    Hash(digest.value())
}

impl Recorder {
    fn note(&mut self, entry: &Entry, answer: impl FnOnce(&mut Vec<u8>)) {
        if self.over.is_some() {
            return;
        }
        let start = self.turn.len();
        entry.put(&mut self.turn);
        let middle = self.turn.len();
        answer(&mut self.turn);
        self.digest.bytes(&self.turn[start..middle]);
        self.digest.bytes(&self.turn[middle..]);
        if self.size() + END_ROOM > self.limit {
            self.digest = self.settled;
            self.turn.clear();
            self.finish(Finish::Limit, Over::Limit);
        }
    }

    fn size(&self) -> u64 {
        self.written + (self.whole.len() + self.turn.len()) as u64
    }

    /// A turn is over.
    fn turned(&mut self, idle: bool) {
        if self.over.is_some() {
            return;
        }
        let turns = self.turns + 1;
        if turns.is_multiple_of(CHECK_EVERY) {
            let digest = Hash(self.digest.value());
            self.note(&Entry::Check { turns, digest }, |_| {});
        }
        if self.over.is_none() {
            self.turns = turns;
            self.settle(idle);
        }
    }

    fn settle(&mut self, idle: bool) {
        if self.over.is_some() {
            return;
        }
        self.settled = self.digest;
        self.whole.append(&mut self.turn);
        if idle || self.whole.len() >= BLOCK {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.whole.is_empty() || matches!(self.over, Some(Over::Failed(_))) {
            return;
        }
        match (self.sink)(&self.whole) {
            Ok(()) => self.written += self.whole.len() as u64,
            Err(why) => self.over = Some(Over::Failed(why)),
        }
        self.whole.clear();
        // Turns differ in size; a rare large one shall not be paid for ever.
        self.whole.shrink_to(4 * BLOCK);
        self.turn.shrink_to(4 * BLOCK);
    }

    fn finish(&mut self, why: Finish, over: Over) {
        if self.over.is_some() {
            return;
        }
        // What came after the last turn was not acted upon.
        self.turn.clear();
        let end = Entry::End { why, turns: self.turns, digest: Hash(self.settled.value()) };
        end.put(&mut self.whole);
        self.flush();
        self.over.get_or_insert(over);
        (self.whole, self.turn) = Default::default();
    }
}

/// What the shared state answers is written down too.
impl Witness for Tape {
    fn answer(&mut self, _question: &Question) -> Option<Answer> {
        None
    }

    fn heard(&mut self, question: &Question, answer: &Answer) {
        self.lock().note(&Entry::Shared(question.clone()), |out| put_answer(answer, out));
    }
}

/// A poller whose answers are written down, or not: it changes none of them. Off, it costs a branch
/// for each call.
#[derive(Debug)]
pub struct Record<P> {
    inner: P,
    tape: Option<Tape>,
}

impl<P: Poller> Record<P> {
    /// Writes nothing down yet.
    pub fn off(inner: P) -> Self {
        Record { inner, tape: None }
    }

    /// Writes down what `inner` answers, until the tape is over.
    pub fn on(inner: P, tape: Tape) -> Self {
        Record { inner, tape: Some(tape) }
    }

    /// Writes to this tape from here on, or to none.
    pub fn set_tape(&mut self, tape: Option<Tape>) {
        self.tape = tape;
    }

    /// What it wraps.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    /// What it wraps. What is asked of it directly is not written down.
    pub fn inner_mut(&mut self) -> &mut P {
        &mut self.inner
    }
}

/// Passes a call on, or to who writes it down. The choice is made before the call, so that nothing
/// needs to be kept for later where nothing is written.
macro_rules! pass_on {
    ($($name:ident($($arg:ident: $type:ty),*) $(-> $out:ty)?;)*) => {$(
        #[inline]
        fn $name(&mut self, $($arg: $type),*) $(-> $out)? {
            match &self.tape {
                None => self.inner.$name($($arg),*),
                Some(tape) => Writing { inner: &mut self.inner, tape }.$name($($arg),*),
            }
        }
    )*};
}

impl<P: Poller> Poller for Record<P> {
    pass_on! {
        harvest(events: &mut Vec<Event>);
        listen(at: &ListenSpec) -> Result<Sock, Fault>;
        accept(listener: Sock) -> Accepted;
        connect(to: &ConnectSpec<'_>) -> Result<Sock, Fault>;
        connect_status(sock: Sock) -> Connecting;
        recv(sock: Sock, into: &mut [u8]) -> Io;
        send(sock: Sock, from: &[IoSlice<'_>], more: More) -> Io;
        shut_write(sock: Sock);
        close(sock: Sock, how: Close);
        open_pipe(bytes: u32) -> Result<Pipe, Fault>;
        splice_in(sock: Sock, pipe: Pipe, max: usize) -> Io;
        splice_out(pipe: Pipe, sock: Sock, max: usize, more: More) -> Io;
        close_pipe(pipe: Pipe);
        address(sock: Sock, which: Which) -> Option<Peer>;
        set(sock: Sock, option: SockOpt);
        info(sock: Sock) -> Option<TcpInfo>;
        open_sink(sink: u32) -> Result<Sock, Fault>;
        send_messages(sink: Sock, messages: &[IoSlice<'_>]) -> usize;
        notify(engine: u32);
        detach(sock: Sock) -> Option<Parcel>;
        adopt(parcel: Parcel) -> Option<Sock>;
    }
}

/// A poller whose answers are written down.
struct Writing<'a, P> {
    inner: &'a mut P,
    tape: &'a Tape,
}

impl<P: Poller> Writing<'_, P> {
    fn note<T: Wire>(&self, entry: &Entry, answer: &T) {
        self.note_with(entry, |out| answer.put(out));
    }

    fn note_with(&self, entry: &Entry, answer: impl FnOnce(&mut Vec<u8>)) {
        self.tape.lock().note(entry, answer);
    }
}

impl<P: Poller> Poller for Writing<'_, P> {
    #[cold]
    fn harvest(&mut self, events: &mut Vec<Event>) {
        let from = events.len();
        self.inner.harvest(events);
        self.note_with(&Entry::Harvest, |out| {
            (events.len() - from).put(out);
            events[from..].iter().for_each(|event| event.put(out));
        });
    }

    #[cold]
    fn listen(&mut self, at: &ListenSpec) -> Result<Sock, Fault> {
        let outcome = self.inner.listen(at);
        self.note(&Entry::Listen(at.listener), &outcome);
        outcome
    }

    #[cold]
    fn accept(&mut self, listener: Sock) -> Accepted {
        let accepted = self.inner.accept(listener);
        self.note(&Entry::Accept(listener), &accepted);
        accepted
    }

    #[cold]
    fn connect(&mut self, to: &ConnectSpec<'_>) -> Result<Sock, Fault> {
        let outcome = self.inner.connect(to);
        self.note(&connect(to), &outcome);
        outcome
    }

    #[cold]
    fn connect_status(&mut self, sock: Sock) -> Connecting {
        let status = self.inner.connect_status(sock);
        self.note(&Entry::ConnectStatus(sock), &status);
        status
    }

    #[cold]
    fn recv(&mut self, sock: Sock, into: &mut [u8]) -> Io {
        let io = self.inner.recv(sock, into);
        self.note_with(&Entry::Recv { sock, max: into.len() }, |out| {
            io.put(out);
            if let Io::Done(n) = io {
                out.extend_from_slice(&into[..n]);
            }
        });
        io
    }

    #[cold]
    fn send(&mut self, sock: Sock, from: &[IoSlice<'_>], more: More) -> Io {
        let io = self.inner.send(sock, from, more);
        self.note(&send(sock, from, more), &io);
        io
    }

    #[cold]
    fn shut_write(&mut self, sock: Sock) {
        self.inner.shut_write(sock);
        self.note(&Entry::ShutWrite(sock), &());
    }

    #[cold]
    fn close(&mut self, sock: Sock, how: Close) {
        self.inner.close(sock, how);
        self.note(&Entry::Close(sock, how), &());
    }

    #[cold]
    fn open_pipe(&mut self, bytes: u32) -> Result<Pipe, Fault> {
        let outcome = self.inner.open_pipe(bytes);
        self.note(&Entry::OpenPipe(bytes), &outcome);
        outcome
    }

    #[cold]
    fn splice_in(&mut self, sock: Sock, pipe: Pipe, max: usize) -> Io {
        let io = self.inner.splice_in(sock, pipe, max);
        self.note(&Entry::SpliceIn { sock, pipe, max }, &io);
        io
    }

    #[cold]
    fn splice_out(&mut self, pipe: Pipe, sock: Sock, max: usize, more: More) -> Io {
        let io = self.inner.splice_out(pipe, sock, max, more);
        self.note(&Entry::SpliceOut { pipe, sock, max, more }, &io);
        io
    }

    #[cold]
    fn close_pipe(&mut self, pipe: Pipe) {
        self.inner.close_pipe(pipe);
        self.note(&Entry::ClosePipe(pipe), &());
    }

    #[cold]
    fn address(&mut self, sock: Sock, which: Which) -> Option<Peer> {
        let address = self.inner.address(sock, which);
        self.note(&Entry::Address(sock, which), &address);
        address
    }

    #[cold]
    fn set(&mut self, sock: Sock, option: SockOpt) {
        self.inner.set(sock, option);
        self.note(&Entry::Set(sock, option), &());
    }

    #[cold]
    fn info(&mut self, sock: Sock) -> Option<TcpInfo> {
        let info = self.inner.info(sock);
        self.note(&Entry::Info(sock), &info);
        info
    }

    #[cold]
    fn open_sink(&mut self, sink: u32) -> Result<Sock, Fault> {
        let outcome = self.inner.open_sink(sink);
        self.note(&Entry::OpenSink(sink), &outcome);
        outcome
    }

    #[cold]
    fn send_messages(&mut self, sink: Sock, messages: &[IoSlice<'_>]) -> usize {
        let taken = self.inner.send_messages(sink, messages);
        self.note(&send_messages(sink, messages), &taken);
        taken
    }

    #[cold]
    fn notify(&mut self, engine: u32) {
        self.inner.notify(engine);
        self.note(&Entry::Notify(engine), &());
    }

    #[cold]
    fn detach(&mut self, sock: Sock) -> Option<Parcel> {
        let parcel = self.inner.detach(sock);
        self.note(&Entry::Detach(sock), &parcel);
        parcel
    }

    #[cold]
    fn adopt(&mut self, parcel: Parcel) -> Option<Sock> {
        let sock = self.inner.adopt(parcel);
        self.note(&Entry::Adopt(parcel), &sock);
        sock
    }
}

pub(super) fn connect(to: &ConnectSpec<'_>) -> Entry {
    Entry::Connect { to: to.to.clone(), from: to.from, options: to.options.to_vec() }
}

pub(super) fn send(sock: Sock, from: &[IoSlice<'_>], more: More) -> Entry {
    Entry::Send { sock, bytes: length(from), hash: hash_of(from), more }
}

pub(super) fn send_messages(sink: Sock, messages: &[IoSlice<'_>]) -> Entry {
    let (bytes, hash) = (length(messages), hash_of(messages));
    Entry::SendMessages { sink, messages: messages.len(), bytes, hash }
}

fn length(slices: &[IoSlice<'_>]) -> usize {
    slices.iter().map(|slice| slice.len()).sum()
}
