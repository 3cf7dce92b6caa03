//! The replaying side: an engine is made of what a recording says and turned as it was turned, and
//! whatever it asks is answered from there. No network, no other engine, no clock.
//!
//! The first question that differs from the recorded one ends it: what comes behind answers
//! something else. So does the recording's end, wherever it is.

use core::fmt;
use std::io::IoSlice;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_core::engine::Engine;
use tidegate_core::fault::Fault;
use tidegate_core::poller::{
    Accepted, Close, ConnectSpec, Connecting, Event, Io, ListenSpec, More, Parcel, Peer, Pipe,
    Poller, Sock, SockOpt, TcpInfo, Which,
};
use tidegate_core::proxy::shared::{Answer, Question, Witness};
use tidegate_core::time::{Instant, Now};

use crate::digest::Digest;

use super::boot::Boot;
use super::entry::{Entry, Finish, get_answer};
use super::tape::{connect, parked, send, send_messages};
use super::wire::{Broken, Hash, Reader, Wire};

/// One step of a replay, for a person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The turn, from 1; 0 is the start.
    pub turn: u64,
    /// The engine's time.
    pub at: Instant,
    /// What was asked and answered, or what the host did.
    pub text: String,
}

/// Is shown every step.
pub type Trace = Box<dyn FnMut(Step) + Send>;

/// What a replay came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was replayed.
    pub boot: Boot,
    /// Turns replayed whole.
    pub turns: u64,
    /// What the engine asked in them.
    pub calls: u64,
    /// The engine's time in the last one.
    pub time: Instant,
    /// Of everything in the whole turns.
    pub digest: u64,
    /// How it ended.
    pub verdict: Verdict,
}

/// How a replay ended. All but the first two are failures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// At the recording's end, with the same digest.
    Same(Finish),
    /// Where the recording breaks off, all the same up to there.
    CutShort {
        /// In the middle of a turn.
        inside: bool,
    },
    /// The engine asked something else.
    Diverged {
        /// What it asked.
        asked: String,
        /// What the recording has in that place.
        recorded: String,
    },
    /// It asked the same and came to another digest: an answer was changed that nothing has
    /// depended on yet, or the recording is damaged.
    OtherDigest {
        /// What the recording has.
        recorded: u64,
    },
    /// The recording has something that it cannot have.
    Damaged(String),
    /// The engine panicked, in the recorded process perhaps as well.
    Panicked(String),
}

impl Report {
    /// Whether the engine did nothing else than what was recorded.
    pub fn is_same(&self) -> bool {
        matches!(self.verdict, Verdict::Same(_) | Verdict::CutShort { .. })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { boot, turns, calls, digest, .. } = self;
        let seconds = self.time.as_nanos() as f64 / 1e9;
        writeln!(
            f,
            "engine {} of {}, recorded by {} as process {}: {turns} turns, {calls} calls, \
             {seconds:.3} s, digest {digest:016x}",
            boot.engine, boot.engines, boot.program, boot.pid
        )?;
        let next = turns + 1;
        match &self.verdict {
            Verdict::Same(Finish::Done) => write!(f, "same: as recorded, until the engine ended"),
            Verdict::Same(Finish::Stopped) => {
                write!(f, "same: as recorded, until the recording was stopped")
            }
            Verdict::Same(Finish::Limit) => {
                write!(f, "same: as recorded, until the recording reached its size limit")
            }
            Verdict::CutShort { inside } => {
                let within = if *inside { format!(" within turn {next}") } else { String::new() };
                write!(
                    f,
                    "cut short: the recording has no end, it breaks off{within} (its process was \
                     killed, or is still writing); as recorded up to there"
                )
            }
            Verdict::Diverged { asked, recorded } => write!(
                f,
                "DIVERGED in turn {next}: the engine asked: {asked}; the recording has: {recorded}"
            ),
            Verdict::OtherDigest { recorded } => {
                write!(f, "OTHER DIGEST after turn {turns}: the recording has {recorded:016x}")
            }
            Verdict::Damaged(what) => write!(f, "DAMAGED in turn {next}: {what}"),
            Verdict::Panicked(text) => write!(f, "PANICKED in turn {next}: {text}"),
        }
    }
}

/// Replays a recording. An error says why it is none that can be replayed.
pub fn replay(recording: Vec<u8>, trace: Option<Trace>) -> Result<Report, String> {
    let (boot, at) = Boot::read(&recording)?;
    let mut engine = boot.engine()?;
    let player = Player {
        recording,
        at,
        question: Vec::new(),
        digest: Digest::default(),
        turns: 0,
        begun: 0,
        calls: 0,
        now: Now::default(),
        settled: (Digest::default(), 0),
        stop: None,
        trace,
    };
    let replay = Replay(Arc::new(Mutex::new(player)));
    engine.witness(Some(Box::new(replay.clone())));
    let verdict = loop {
        if let Err(verdict) = replay.step(&mut engine) {
            break verdict;
        }
    };
    let player = replay.lock();
    let (digest, calls) = player.settled;
    Ok(Report {
        boot,
        turns: player.turns,
        calls,
        time: player.now.mono,
        digest: digest.value(),
        verdict,
    })
}

/// A poller, and a witness, that answer what a recording has.
#[derive(Clone, Debug)]
pub struct Replay(Arc<Mutex<Player>>);

/// Reads along.
struct Player {
    recording: Vec<u8>,
    at: usize,
    /// The bytes of the question, kept for their room.
    question: Vec<u8>,
    digest: Digest,
    /// Whole turns.
    turns: u64,
    /// The turn under way, or the last one.
    begun: u64,
    calls: u64,
    now: Now,
    /// Digest and calls after the last whole turn.
    settled: (Digest, u64),
    /// Why the engine was stopped in the middle.
    stop: Option<Verdict>,
    trace: Option<Trace>,
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Player {{ turn {}, byte {} }}", self.turns, self.at)
    }
}

/// What a stopped engine unwinds with.
struct Stopped;

impl Replay {
    /// One thing that the host did. The error is the end.
    fn step(&self, engine: &mut Engine) -> Result<(), Verdict> {
        let entry = self.lock().next()?;
        match entry {
            Entry::Start(now) => {
                let started = self.guarded(|net| engine.start(net, now))?;
                let mut player = self.lock();
                player.ask(&Entry::Started(started.is_ok()), |_| Ok(()))?;
                player.settle();
            }
            Entry::Turn(now) => {
                let park = self.guarded(|net| engine.turn(net, &mut (), now))?;
                let notices = engine.take_notices();
                let mut player = self.lock();
                player.ask(&parked(park, &notices), |_| Ok(()))?;
                player.turns += 1;
                player.settle();
            }
            Entry::Signal(signal) => engine.signal(signal),
            Entry::Trim => engine.trim(),
            Entry::Check { turns, digest } => self.lock().check(turns, digest)?,
            Entry::End { why, turns, digest } => {
                let player = self.lock();
                player.compare(turns, digest)?;
                if player.at < player.recording.len() {
                    return Err(Verdict::Damaged("there is something behind its end".into()));
                }
                return Err(Verdict::Same(why));
            }
            other => return Err(Verdict::Damaged(format!("{other} is between two turns"))),
        }
        Ok(())
    }

    /// Runs the engine until it is done or must be stopped.
    fn guarded<T>(&self, run: impl FnOnce(&mut Replay) -> T) -> Result<T, Verdict> {
        let mut net = self.clone();
        let outcome = catch_unwind(AssertUnwindSafe(move || run(&mut net)));
        outcome.map_err(|panic| {
            let stop = self.lock().stop.take();
            stop.unwrap_or_else(|| Verdict::Panicked(words(&*panic)))
        })
    }

    fn ask<T: Wire + fmt::Debug>(&self, entry: &Entry) -> T {
        self.ask_with(entry, |reader| reader.get())
    }

    fn ask_with<T: fmt::Debug>(
        &self,
        entry: &Entry,
        answer: impl FnOnce(&mut Reader<'_>) -> Result<T, Broken>,
    ) -> T {
        let answered = self.lock().ask(entry, answer);
        answered.unwrap_or_else(|stop| self.stop(stop))
    }

    /// Leaves the engine in the middle of what it does: nothing that it could be told is true.
    fn stop(&self, stop: Verdict) -> ! {
        if cfg!(panic = "abort") {
            panic!("the replay ends here: {stop:?}");
        }
        self.lock().stop = Some(stop);
        resume_unwind(Box::new(Stopped))
    }

    fn lock(&self) -> MutexGuard<'_, Player> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn words(panic: &(dyn core::any::Any + Send)) -> String {
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(text), _) => text.clone(),
        (_, Some(text)) => (*text).to_owned(),
        _ => "a panic without words".to_owned(),
    }
}

impl Player {
    /// The next thing that the host did.
    fn next(&mut self) -> Result<Entry, Verdict> {
        let mut reader = Reader::new(&self.recording, self.at);
        if reader.is_at_end() {
            return Err(Verdict::CutShort { inside: false });
        }
        let entry = reader.get::<Entry>().map_err(broken)?;
        let end = reader.at();
        if matches!(entry, Entry::Start(_) | Entry::Turn(_) | Entry::Signal(_) | Entry::Trim) {
            self.digest.bytes(&self.recording[self.at..end]);
            self.digest.bytes(&[]);
            self.begun += u64::from(matches!(entry, Entry::Turn(_)));
            if let Entry::Start(now) | Entry::Turn(now) = entry {
                self.now = now;
            }
            self.show(|| entry.to_string());
        }
        // A check is taken in once it has been compared.
        if !matches!(entry, Entry::Check { .. }) {
            self.at = end;
        }
        Ok(entry)
    }

    /// Compares a question with the recorded one, and reads the answer.
    fn ask<T: fmt::Debug>(
        &mut self,
        entry: &Entry,
        answer: impl FnOnce(&mut Reader<'_>) -> Result<T, Broken>,
    ) -> Result<T, Verdict> {
        self.question.clear();
        entry.put(&mut self.question);
        let rest = &self.recording[self.at..];
        if !rest.starts_with(&self.question) {
            if self.question.starts_with(rest) {
                return Err(Verdict::CutShort { inside: true });
            }
            let other = Reader::new(rest, 0).get::<Entry>().map_err(broken)?;
            let (asked, recorded) = match (entry.to_string(), other.to_string()) {
                // What differs is not worth a word elsewhere.
                (asked, recorded) if asked == recorded => {
                    (format!("{entry:?}"), format!("{other:?}"))
                }
                words => words,
            };
            return Err(Verdict::Diverged { asked, recorded });
        }
        let begin = self.at + self.question.len();
        let mut reader = Reader::new(&self.recording, begin);
        let answered = answer(&mut reader).map_err(broken)?;
        self.digest.bytes(&self.question);
        self.digest.bytes(&self.recording[begin..reader.at()]);
        self.at = reader.at();
        self.calls += 1;
        self.show(|| {
            let answer = format!("{answered:?}");
            let arrow = if answer == "()" { String::new() } else { format!(" -> {answer}") };
            format!("{entry}{arrow}")
        });
        Ok(answered)
    }

    fn check(&mut self, turns: u64, digest: Hash) -> Result<(), Verdict> {
        self.compare(turns, digest)?;
        self.ask(&Entry::Check { turns, digest }, |_| Ok(()))?;
        self.calls -= 1;
        self.settle();
        Ok(())
    }

    fn compare(&self, turns: u64, digest: Hash) -> Result<(), Verdict> {
        if turns != self.turns {
            let what = format!("{turns} turns are said to be before this");
            return Err(Verdict::Damaged(what));
        }
        // What came after the last whole turn was not acted upon, and is not in it.
        if digest.0 != self.settled.0.value() {
            return Err(Verdict::OtherDigest { recorded: digest.0 });
        }
        Ok(())
    }

    fn settle(&mut self) {
        self.settled = (self.digest, self.calls);
    }

    fn show(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace(Step { turn: self.begun, at: self.now.mono, text: text() });
        }
    }
}

fn broken(broken: Broken) -> Verdict {
    match broken {
        Broken::Short => Verdict::CutShort { inside: true },
        Broken::Nonsense(what) => Verdict::Damaged(what.to_owned()),
    }
}

/// Sockets have small numbers; a table as large as a damaged one would not fit anywhere.
const INDEX_MAX: u32 = 1 << 24;

fn sane(sock: Sock) -> Result<Sock, Broken> {
    if sock.index < INDEX_MAX { Ok(sock) } else { Err(Broken::Nonsense("a socket out of range")) }
}

fn opened(reader: &mut Reader<'_>) -> Result<Result<Sock, Fault>, Broken> {
    let outcome: Result<Sock, Fault> = reader.get()?;
    outcome.map(sane).map_or_else(|fault| Ok(Err(fault)), |sock| sock.map(Ok))
}

/// No more can have been moved than was offered, and never nothing.
fn moved(reader: &mut Reader<'_>, max: usize) -> Result<Io, Broken> {
    match reader.get()? {
        Io::Done(n) if n == 0 || n > max => Err(Broken::Nonsense("more bytes than were offered")),
        io => Ok(io),
    }
}

/// Bytes that came in, shown by how they begin.
struct Received<'a>(Io, &'a [u8]);

impl fmt::Debug for Received<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.1[..self.1.len().min(40)];
        let dots = if shown.len() < self.1.len() { "..." } else { "" };
        match self.0 {
            Io::Done(_) => write!(f, "{:?} \"{}{dots}\"", self.0, shown.escape_ascii()),
            io => write!(f, "{io:?}"),
        }
    }
}

impl Witness for Replay {
    fn answer(&mut self, question: &Question) -> Option<Answer> {
        Some(self.ask_with(&Entry::Shared(question.clone()), |reader| get_answer(question, reader)))
    }

    fn heard(&mut self, _question: &Question, _answer: &Answer) {}
}

impl Poller for Replay {
    fn harvest(&mut self, events: &mut Vec<Event>) {
        events.extend(self.ask::<Vec<Event>>(&Entry::Harvest));
    }

    fn listen(&mut self, at: &ListenSpec) -> Result<Sock, Fault> {
        self.ask_with(&Entry::Listen(at.listener), opened)
    }

    fn accept(&mut self, listener: Sock) -> Accepted {
        self.ask_with(&Entry::Accept(listener), |reader| {
            let accepted = reader.get()?;
            if let Accepted::One { sock, .. } = accepted {
                sane(sock)?;
            }
            Ok(accepted)
        })
    }

    fn connect(&mut self, to: &ConnectSpec<'_>) -> Result<Sock, Fault> {
        self.ask_with(&connect(to), opened)
    }

    fn connect_status(&mut self, sock: Sock) -> Connecting {
        self.ask(&Entry::ConnectStatus(sock))
    }

    fn recv(&mut self, sock: Sock, into: &mut [u8]) -> Io {
        let max = into.len();
        let io = self.ask_with(&Entry::Recv { sock, max }, |reader| {
            let io = moved(reader, max)?;
            let Io::Done(n) = io else { return Ok(Received(io, &[])) };
            let bytes = reader.take(n)?;
            into[..n].copy_from_slice(bytes);
            Ok(Received(io, &into[..n]))
        });
        io.0
    }

    fn send(&mut self, sock: Sock, from: &[IoSlice<'_>], more: More) -> Io {
        let entry = send(sock, from, more);
        let max = from.iter().map(|slice| slice.len()).sum();
        self.ask_with(&entry, |reader| moved(reader, max))
    }

    fn shut_write(&mut self, sock: Sock) {
        self.ask(&Entry::ShutWrite(sock))
    }

    fn close(&mut self, sock: Sock, how: Close) {
        self.ask(&Entry::Close(sock, how))
    }

    fn open_pipe(&mut self, bytes: u32) -> Result<Pipe, Fault> {
        self.ask(&Entry::OpenPipe(bytes))
    }

    fn splice_in(&mut self, sock: Sock, pipe: Pipe, max: usize) -> Io {
        self.ask_with(&Entry::SpliceIn { sock, pipe, max }, |reader| moved(reader, max))
    }

    fn splice_out(&mut self, pipe: Pipe, sock: Sock, max: usize, more: More) -> Io {
        self.ask_with(&Entry::SpliceOut { pipe, sock, max, more }, |reader| moved(reader, max))
    }

    fn close_pipe(&mut self, pipe: Pipe) {
        self.ask(&Entry::ClosePipe(pipe))
    }

    fn address(&mut self, sock: Sock, which: Which) -> Option<Peer> {
        self.ask(&Entry::Address(sock, which))
    }

    fn set(&mut self, sock: Sock, option: SockOpt) {
        self.ask(&Entry::Set(sock, option))
    }

    fn info(&mut self, sock: Sock) -> Option<TcpInfo> {
        self.ask(&Entry::Info(sock))
    }

    fn open_sink(&mut self, sink: u32) -> Result<Sock, Fault> {
        self.ask_with(&Entry::OpenSink(sink), opened)
    }

    fn send_messages(&mut self, sink: Sock, messages: &[IoSlice<'_>]) -> usize {
        self.ask_with(&send_messages(sink, messages), |reader| {
            let taken = reader.get()?;
            let fits = taken <= messages.len();
            if fits { Ok(taken) } else { Err(Broken::Nonsense("more messages than were offered")) }
        })
    }

    fn notify(&mut self, engine: u32) {
        self.ask(&Entry::Notify(engine))
    }

    fn detach(&mut self, sock: Sock) -> Option<Parcel> {
        self.ask(&Entry::Detach(sock))
    }

    fn adopt(&mut self, parcel: Parcel) -> Option<Sock> {
        self.ask_with(&Entry::Adopt(parcel), |reader| {
            let sock: Option<Sock> = reader.get()?;
            sock.map(sane).transpose()
        })
    }
}
