//! The entries of a recording: what the host did to the engine, what the engine asked of the
//! outside and what it was answered, and now and then a digest of all that.
//!
//! An engine's entry is its question; the answer stands right behind it, in a shape that depends on
//! the question alone ([`Wire`] of the poller's own types, see [`super::tape`]). A question has a
//! hash of the bytes that it sends, not the bytes; an answer has all the bytes that came in.

use core::fmt;
use core::net::SocketAddr;

use tidegate_core::engine::{Park, Signal};
use tidegate_core::fault::Fault;
use tidegate_core::poller::{
    Accepted, Address, Close, Connecting, Event, Io, More, Parcel, Peer, Pipe, Ready, Sock,
    SockOpt, TcpInfo, Which,
};
use tidegate_core::proxy::shared::{
    Answer, Cancel, Followed, Gauge, LimitId, Message, Question, Queued, Rank, Rate, Serial, Slot,
    Ticket, Waiter, Wake,
};
use tidegate_core::rule::PatternChange;
use tidegate_core::sample::Change;
use tidegate_core::sample::vars::Stored;
use tidegate_core::time::{Duration, Instant, Now, Wall};

use super::wire::{Broken, Bytes, Hash, Reader, Wire, wire_enum, wire_struct};

/// One entry, without the answer.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "a variant is the call of that name, its fields the arguments")]
pub enum Entry {
    /// The host starts the engine.
    Start(Now),
    /// The host turns the engine.
    Turn(Now),
    /// The host queues a signal.
    Signal(Signal),
    /// The host lets the engine free what it does not need.
    Trim,

    /// The start is over, and has succeeded or not.
    Started(bool),
    /// The turn is over; so many notices for the operator came of it.
    Parked {
        park: Park,
        notices: u32,
        hash: Hash,
    },
    Harvest,
    Listen(u32),
    Accept(Sock),
    Connect {
        to: Address,
        from: Option<SocketAddr>,
        options: Vec<SockOpt>,
    },
    ConnectStatus(Sock),
    Recv {
        sock: Sock,
        max: usize,
    },
    Send {
        sock: Sock,
        bytes: usize,
        hash: Hash,
        more: More,
    },
    ShutWrite(Sock),
    Close(Sock, Close),
    OpenPipe(u32),
    SpliceIn {
        sock: Sock,
        pipe: Pipe,
        max: usize,
    },
    SpliceOut {
        pipe: Pipe,
        sock: Sock,
        max: usize,
        more: More,
    },
    ClosePipe(Pipe),
    Address(Sock, Which),
    Set(Sock, SockOpt),
    Info(Sock),
    OpenSink(u32),
    SendMessages {
        sink: Sock,
        messages: usize,
        bytes: usize,
        hash: Hash,
    },
    Notify(u32),
    Detach(Sock),
    Adopt(Parcel),
    /// What is asked of the state that the engines share.
    Shared(Question),

    /// The digest of everything up to here.
    Check {
        turns: u64,
        digest: Hash,
    },
    /// The last entry.
    End {
        why: Finish,
        turns: u64,
        digest: Hash,
    },
}

/// Why a recording ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finish {
    /// The engine ended.
    Done,
    /// The limit on its size.
    Limit,
    /// Whoever recorded wanted no more.
    Stopped,
}

wire_enum! {
    Entry {
        1 => Start(now),
        2 => Turn(now),
        3 => Signal(signal),
        4 => Trim,
        5 => Started(well),
        6 => Parked { park, notices, hash },
        7 => Check { turns, digest },
        8 => End { why, turns, digest },
        16 => Harvest,
        17 => Listen(listener),
        18 => Accept(sock),
        19 => Connect { to, from, options },
        20 => ConnectStatus(sock),
        21 => Recv { sock, max },
        22 => Send { sock, bytes, hash, more },
        23 => ShutWrite(sock),
        24 => Close(sock, how),
        25 => OpenPipe(bytes),
        26 => SpliceIn { sock, pipe, max },
        27 => SpliceOut { pipe, sock, max, more },
        28 => ClosePipe(pipe),
        29 => Address(sock, which),
        30 => Set(sock, option),
        31 => Info(sock),
        32 => OpenSink(sink),
        33 => SendMessages { sink, messages, bytes, hash },
        34 => Notify(engine),
        35 => Detach(sock),
        36 => Adopt(parcel),
        48 => Shared(question),
    }
    Finish { 0 => Done, 1 => Limit, 2 => Stopped }
    Signal { 0 => SoftStop, 1 => Pause, 2 => Resume, 3 => DumpState, 4 => TrimPools }
    Park { 0 => Busy, 1 => Until(at), 2 => Idle, 3 => Done }
    Io { 0 => Done(n), 1 => Blocked, 2 => Eof, 3 => Failed(fault) }
    Fault {
        0 => Refused, 1 => Reset, 2 => BrokenPipe, 3 => TimedOut, 4 => Unreachable,
        5 => NoDescriptors, 6 => NoMemory, 7 => NoPorts, 8 => AddressInUse, 9 => Denied,
        10 => Other(number),
    }
    Accepted { 0 => One { sock, peer, more }, 1 => Blocked, 2 => Failed(fault) }
    Connecting { 0 => Pending, 1 => Done, 2 => Failed(fault) }
    Peer { 0 => Inet(address), 1 => Unix }
    Address { 0 => Inet(address), 1 => Unix(path), 2 => Abstract(name), 3 => Fd(number) }
    More { 0 => No, 1 => Yes }
    Close { 0 => Graceful, 1 => Reset, 2 => Drop }
    Which { 0 => Local, 1 => Peer }
    SockOpt {
        0 => NoDelay(on), 1 => KeepAlive(on), 2 => KeepIdle(time), 3 => KeepInterval(time),
        4 => KeepCount(count), 5 => ReceiveBuffer(bytes), 6 => SendBuffer(bytes),
        7 => UserTimeout(time), 8 => QuickAck(on), 9 => NoLinger, 10 => Tos(tos), 11 => Mark(mark),
    }
    Question {
        0 => Gauge(gauge),
        1 => Acquire(limit),
        2 => Release(limit),
        3 => Used(limit),
        4 => Slot(server),
        5 => Full(server),
        6 => Enqueue { backend, server, who },
        7 => Cancel(ticket),
        8 => Free(server),
        9 => QueueLengths(backend, server),
        10 => Offer { engine, message },
        11 => HasMail,
        12 => Collect,
        13 => Retire,
        14 => Rate(rate, now),
        15 => TakeNumber(serial),
        16 => NextNumber(serial),
        17 => FollowRing { ring, place, max },
    }
    Gauge {
        0 => Frontend(id), 1 => Backend(id), 2 => Accepted(id), 3 => Received(id),
        4 => Served(id), 5 => Idle(id), 6 => RequestErrors(id), 7 => ResponseErrors(id),
        8 => ServerResponseErrors(id),
    }
    Rate { 0 => Sessions(id), 1 => Requests(id), 2 => Received(id), 3 => Served(id) }
    Serial { 0 => Requests, 1 => Lines(proxy) }
    LimitId { 0 => Process, 1 => Frontend(proxy), 2 => Listener(listener) }
    Message {
        0 => Resume(limit),
        1 => Granted { session, serial, server, position },
        2 => Requeue { session, serial, position },
        3 => Adopt { listener, parcel, peer },
        4 => Change(change),
    }
    Change { 0 => Patterns { change, file, key, value }, 1 => Variable { name, value } }
    PatternChange { 0 => AddAcl, 1 => DelAcl, 2 => SetMap, 3 => DelMap }
    Stored {
        0 => Bool(on), 1 => Int(number), 2 => Ip(address), 3 => Str(text), 4 => Bin(bytes),
        5 => Method(name),
    }
    Slot { 0 => Unlimited, 1 => Granted, 2 => Full }
    Queued { 0 => Waiting { ticket, ahead }, 1 => Granted(server), 2 => Full(max) }
    Cancel { 0 => Cancelled { position }, 1 => Late }
}

wire_struct! {
    Sock { index, generation }
    Event { sock, ready }
    TcpInfo { rtt_us, rtt_var_us, unacked, sacked, lost, retrans, fackets, reordering }
    Waiter { engine, session, serial, rank }
    Rank { class, came, offset }
    Now { mono, wall }
}

macro_rules! wire_as {
    ($($type:ty as $inner:ty: $value:ident => $out:expr, $back:expr;)*) => {$(
        impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                let $value = self;
                <$inner>::put(&$out, out);
            }

            fn get(from: &mut Reader<'_>) -> Result<Self, Broken> {
                Ok($back(from.get::<$inner>()?))
            }
        }
    )*};
}

wire_as! {
    Pipe as u32: pipe => pipe.0, Pipe;
    Parcel as u64: parcel => parcel.0, Parcel;
    Instant as u64: at => at.as_nanos(), Instant::from_nanos;
    Wall as u64: at => at.as_nanos(), Wall::from_nanos;
    Duration as u64: time => time.as_nanos(), Duration::from_nanos;
    Wake as u64: wake => wake.bits(), Wake::from_bits;
    Ready as u8: ready => ready.bits(), ready_of;
    Ticket as (u32, (Option<u32>, u64)):
        ticket => (ticket.backend(), (ticket.server(), ticket.arrival())),
        |(backend, (server, arrival))| Ticket::restored(backend, server, arrival);
}

fn ready_of(bits: u8) -> Ready {
    let all = [Ready::READ, Ready::WRITE, Ready::HUP, Ready::ERR];
    all.into_iter().filter(|one| bits & one.bits() != 0).fold(Ready::NONE, Ready::with)
}

/// Writes an answer of the shared state; which kind it is the question says.
pub fn put_answer(answer: &Answer, out: &mut Vec<u8>) {
    match answer {
        Answer::Number(n) => n.put(out),
        Answer::Flag(flag) => flag.put(out),
        Answer::Wake(wake) => wake.put(out),
        Answer::Slot(slot) => slot.put(out),
        Answer::Queued(queued) => queued.put(out),
        Answer::Cancel(cancel) => cancel.put(out),
        Answer::Lengths(own, backend) => (*own, *backend).put(out),
        Answer::Offered(wake) => wake.put(out),
        Answer::Mail(mail) => mail.put(out),
        Answer::Followed(Followed { bytes, next }) => {
            Bytes(bytes.clone()).put(out);
            next.put(out);
        }
    }
}

/// Reads the answer to a question.
pub fn get_answer(question: &Question, from: &mut Reader<'_>) -> Result<Answer, Broken> {
    Ok(match question {
        Question::Gauge(_)
        | Question::Rate(..)
        | Question::Used(_)
        | Question::TakeNumber(_)
        | Question::NextNumber(_) => Answer::Number(from.get()?),
        Question::Acquire(_) | Question::Full(_) | Question::HasMail | Question::Retire => {
            Answer::Flag(from.get()?)
        }
        Question::Release(_) | Question::Free(_) => Answer::Wake(from.get()?),
        Question::Slot(_) => Answer::Slot(from.get()?),
        Question::Enqueue { .. } => Answer::Queued(from.get()?),
        Question::Cancel(_) => Answer::Cancel(from.get()?),
        Question::QueueLengths(..) => Answer::Lengths(from.get()?, from.get()?),
        Question::Offer { .. } => Answer::Offered(from.get()?),
        Question::Collect => Answer::Mail(from.get()?),
        Question::FollowRing { .. } => {
            Answer::Followed(Followed { bytes: from.get::<Bytes>()?.0, next: from.get()? })
        }
    })
}

/// A socket as traces and messages name it.
struct Name(Sock);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}.{}", self.0.index, self.0.generation)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Start(_) => write!(f, "the start"),
            Entry::Turn(_) => write!(f, "a turn"),
            Entry::Signal(signal) => write!(f, "signal {signal:?}"),
            Entry::Trim => write!(f, "trim"),
            Entry::Started(true) => write!(f, "the end of the start"),
            Entry::Started(false) => write!(f, "a start that failed"),
            Entry::Parked { park, notices: 0, .. } => write!(f, "the end of the turn, {park:?}"),
            Entry::Parked { park, notices, hash } => {
                write!(f, "the end of the turn, {park:?}, {notices} notices ({:016x})", hash.0)
            }
            Entry::Accept(sock) => write!(f, "accept {}", Name(*sock)),
            Entry::ConnectStatus(sock) => write!(f, "connect_status {}", Name(*sock)),
            Entry::Recv { sock, max } => write!(f, "recv {} up to {max} bytes", Name(*sock)),
            Entry::Send { sock, bytes, hash, more } => {
                let more = if *more == More::Yes { ", more follow" } else { "" };
                write!(f, "send {} {bytes} bytes ({:016x}){more}", Name(*sock), hash.0)
            }
            Entry::ShutWrite(sock) => write!(f, "shut_write {}", Name(*sock)),
            Entry::Close(sock, how) => write!(f, "close {} {how:?}", Name(*sock)),
            Entry::SpliceIn { sock, pipe, max } => {
                write!(f, "splice_in {} into pipe {} up to {max} bytes", Name(*sock), pipe.0)
            }
            Entry::SpliceOut { pipe, sock, max, more } => {
                let more = if *more == More::Yes { ", more follow" } else { "" };
                write!(f, "splice_out pipe {} to {} up to {max} bytes{more}", pipe.0, Name(*sock))
            }
            Entry::Address(sock, which) => write!(f, "address of {} {which:?}", Name(*sock)),
            Entry::Set(sock, option) => write!(f, "set {} {option:?}", Name(*sock)),
            Entry::Info(sock) => write!(f, "info {}", Name(*sock)),
            Entry::SendMessages { sink, messages, bytes, hash } => write!(
                f,
                "send_messages {} {messages} of {bytes} bytes ({:016x})",
                Name(*sink),
                hash.0
            ),
            Entry::Detach(sock) => write!(f, "detach {}", Name(*sock)),
            Entry::Shared(question) => write!(f, "shared {question:?}"),
            Entry::Check { turns, digest } => {
                write!(f, "digest {:016x} after {turns} turns", digest.0)
            }
            Entry::End { turns, why, .. } => {
                write!(f, "the recording's end after {turns} turns ({why:?})")
            }
            other => write!(f, "{other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOCK: Sock = Sock { index: 3, generation: 300 };

    fn every_kind() -> Vec<Entry> {
        let now = Now { mono: Instant::from_nanos(5), wall: Wall::from_nanos(1 << 60) };
        let inet: SocketAddr = ([10, 0, 0, 1], 80).into();
        let hash = Hash(7);
        let more = More::Yes;
        let who = Waiter {
            engine: 1,
            session: 2,
            serial: 3,
            rank: Rank { class: 4, came: 5, offset: 6 },
        };
        let message = Message::Adopt { listener: 1, parcel: Parcel(9), peer: Peer::Inet(inet) };
        let options = vec![SockOpt::NoDelay(true), SockOpt::UserTimeout(Duration::from_secs(1))];
        let questions = [
            Question::Gauge(Gauge::Idle(4)),
            Question::Rate(Rate::Served(4), Instant::from_nanos(5)),
            Question::TakeNumber(Serial::Requests),
            Question::NextNumber(Serial::Lines(6)),
            Question::Acquire(LimitId::Process),
            Question::Release(LimitId::Frontend(1)),
            Question::Used(LimitId::Listener(2)),
            Question::Slot(1),
            Question::Full(2),
            Question::Enqueue { backend: 1, server: Some(2), who },
            Question::Cancel(Ticket::restored(1, None, 77)),
            Question::Free(3),
            Question::QueueLengths(1, None),
            Question::Offer { engine: 1, message },
            Question::HasMail,
            Question::Collect,
            Question::Retire,
            Question::FollowRing { ring: 1, place: 1 << 40, max: 16_384 },
        ];
        let mut all = vec![
            Entry::Start(now),
            Entry::Turn(now),
            Entry::Signal(Signal::TrimPools),
            Entry::Trim,
            Entry::Started(true),
            Entry::Parked { park: Park::Until(Instant::from_nanos(9)), notices: 2, hash },
            Entry::Harvest,
            Entry::Listen(1),
            Entry::Accept(SOCK),
            Entry::Connect { to: Address::Unix("/run/x".into()), from: Some(inet), options },
            Entry::ConnectStatus(SOCK),
            Entry::Recv { sock: SOCK, max: 65_536 },
            Entry::Send { sock: SOCK, bytes: 1, hash, more },
            Entry::ShutWrite(SOCK),
            Entry::Close(SOCK, Close::Reset),
            Entry::Close(SOCK, Close::Drop),
            Entry::OpenPipe(1 << 20),
            Entry::SpliceIn { sock: SOCK, pipe: Pipe(1), max: 5 },
            Entry::SpliceOut { pipe: Pipe(1), sock: SOCK, max: 5, more: More::No },
            Entry::ClosePipe(Pipe(1)),
            Entry::Address(SOCK, Which::Peer),
            Entry::Set(SOCK, SockOpt::NoLinger),
            Entry::Set(SOCK, SockOpt::Tos(0x10)),
            Entry::Set(SOCK, SockOpt::Mark(u32::MAX)),
            Entry::Info(SOCK),
            Entry::OpenSink(0),
            Entry::SendMessages { sink: SOCK, messages: 2, bytes: 200, hash },
            Entry::Notify(63),
            Entry::Detach(SOCK),
            Entry::Adopt(Parcel(u64::MAX)),
            Entry::Check { turns: 64, digest: hash },
            Entry::End { why: Finish::Limit, turns: 65, digest: hash },
        ];
        all.extend(questions.map(Entry::Shared));
        all
    }

    #[test]
    fn every_entry_comes_back_and_none_begins_another() {
        let all = every_kind();
        let bytes: Vec<Vec<u8>> = all
            .iter()
            .map(|entry| {
                let mut out = Vec::new();
                entry.put(&mut out);
                out
            })
            .collect();
        for (n, (entry, text)) in all.iter().zip(&bytes).enumerate() {
            let mut reader = Reader::new(text, 0);
            assert_eq!(reader.get::<Entry>().as_ref(), Ok(entry));
            assert!(reader.is_at_end() && !entry.to_string().is_empty(), "{entry:?}");
            let others = bytes.iter().enumerate().filter(|(other, _)| *other != n);
            assert_eq!(others.filter(|(_, other)| other.starts_with(text)).count(), 0, "{entry:?}");
            for short in 0..text.len() {
                assert_eq!(Reader::new(&text[..short], 0).get::<Entry>(), Err(Broken::Short));
            }
        }
    }

    #[test]
    fn an_answer_is_read_as_its_question_has_it() {
        let ticket = Ticket::restored(1, Some(2), 3);
        let message = Message::Granted { session: 1, serial: 2, server: 3, position: 4 };
        let set = |value| Message::Change(Change::Variable { name: 7, value: Some(value) });
        let pattern = |change, value| {
            let key = b"key".as_slice().into();
            Message::Change(Change::Patterns { change, file: 2, key, value })
        };
        for (question, answer) in [
            (Question::Gauge(Gauge::Served(0)), Answer::Number(300)),
            (Question::HasMail, Answer::Flag(true)),
            (Question::Free(1), Answer::Wake(Wake::one(63))),
            (Question::Slot(1), Answer::Slot(Slot::Full)),
            (
                Question::Enqueue {
                    backend: 0,
                    server: None,
                    who: Waiter { engine: 0, session: 0, serial: 0, rank: Rank::default() },
                },
                Answer::Queued(Queued::Waiting { ticket, ahead: 5 }),
            ),
            (
                Question::FollowRing { ring: 0, place: 7, max: 100 },
                Answer::Followed(Followed { bytes: vec![1, 0, 0, 0, b'a'], next: 1 << 40 }),
            ),
            (Question::Cancel(ticket), Answer::Cancel(Cancel::Cancelled { position: 1 })),
            (Question::QueueLengths(0, None), Answer::Lengths(1, 2)),
            (Question::Offer { engine: 0, message: message.clone() }, Answer::Offered(None)),
            (
                Question::Collect,
                Answer::Mail(vec![
                    message,
                    Message::Requeue { session: 1, serial: 2, position: 3 },
                    Message::Change(Change::Variable { name: 1, value: None }),
                    set(Stored::Bool(true)),
                    set(Stored::Int(-5)),
                    set(Stored::Ip([127, 0, 0, 1].into())),
                    set(Stored::Str(b"a".as_slice().into())),
                    set(Stored::Bin(b"".as_slice().into())),
                    set(Stored::Method(b"GET".as_slice().into())),
                    pattern(PatternChange::AddAcl, None),
                    pattern(PatternChange::SetMap, Some(b"v".as_slice().into())),
                ]),
            ),
        ] {
            let mut bytes = Vec::new();
            put_answer(&answer, &mut bytes);
            let mut reader = Reader::new(&bytes, 0);
            assert_eq!(get_answer(&question, &mut reader), Ok(answer), "{question:?}");
            assert!(reader.is_at_end());
        }
    }
}
