//! A [`Poller`] over turmoil: a second network, which nobody here wrote, under the same engine.
//!
//! Turmoil's sockets are futures; here they are polled by the one task of their host, whose waker
//! they wake. A socket that used its readiness up is *armed*: the next wait looks at it and
//! announces what it finds. Every receive arms, since turmoil hands out one segment at a time and a
//! short receive does not mean that there is no more (P4).
//!
//! What turmoil cannot do, and this does not pretend: a send is never partial but for our own
//! `segment`, windows count segments, an end or a reset behind data is not seen before the data is
//! taken, a close resets only if something is unread, a SYN on a link that is cut is refused, and there
//! are no unix sockets.

use core::net::{Ipv4Addr, SocketAddr};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::io::{ErrorKind, IoSlice};
use std::pin::pin;
use std::rc::Rc;

use slab::Slab;
use tidegate_core::fault::Fault;
use tidegate_core::poller::{
    Accepted, Address, Close, ConnectSpec, Connecting, Event, Io, ListenSpec, More, Parcel, Peer,
    Pipe, Poller, Ready, Sock, SockOpt, TcpInfo, Which,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

/// Connections that a listener takes before the engine does. (Turmoil itself panics when its queue
/// is full.)
const BACKLOG: usize = 1_000;
/// What a call on a stale handle fails with: `EBADF`.
const STALE: Fault = Fault::Other(9);

/// What the engines of one host share. One task runs them all.
#[derive(Debug)]
pub struct Hub {
    waker: RefCell<Waker>,
    notified: RefCell<Vec<bool>>,
    parcels: RefCell<BTreeMap<u64, Stream>>,
    next_parcel: Cell<u64>,
    /// Descriptors that can still be had.
    descriptors: Cell<usize>,
    /// What log targets were sent.
    pub lines: RefCell<Vec<String>>,
}

impl Hub {
    /// A hub for so many engines.
    pub fn new(engines: usize) -> Rc<Hub> {
        Rc::new(Hub {
            waker: RefCell::new(Waker::noop().clone()),
            notified: RefCell::new(vec![false; engines]),
            parcels: RefCell::default(),
            next_parcel: Cell::new(0),
            descriptors: Cell::new(usize::MAX),
            lines: RefCell::default(),
        })
    }

    /// So many more descriptors can be had until one is given back.
    pub fn leave_descriptors(&self, left: usize) {
        self.descriptors.set(left);
    }

    /// Wakes the host's task.
    pub fn wake(&self) {
        self.waker.borrow().wake_by_ref();
    }

    fn take_descriptor(&self) -> Result<(), Fault> {
        let left = self.descriptors.get().checked_sub(1).ok_or(Fault::NoDescriptors)?;
        self.descriptors.set(left);
        Ok(())
    }

    fn give_descriptor(&self) {
        self.descriptors.set(self.descriptors.get().saturating_add(1));
    }
}

/// One engine's view of turmoil's network.
pub struct TurmoilNet {
    hub: Rc<Hub>,
    engine: usize,
    /// By listener: the port that it has on this host.
    ports: Vec<u16>,
    /// The most that one send takes.
    segment: usize,
    slots: Slab<Slot>,
    generation: u32,
    events: Vec<Event>,
    pipes: Slab<(VecDeque<u8>, usize)>,
    dropped: Vec<Slot>,
}

struct Slot {
    generation: u32,
    /// What is announced when it is so.
    armed: Ready,
    what: What,
}

enum What {
    Listener { accepting: Accepting, queue: VecDeque<(TcpStream, SocketAddr)> },
    Dialling { to: SocketAddr, attempt: Pin<Box<dyn Future<Output = std::io::Result<TcpStream>>>> },
    Stream(Stream),
    Refused { to: SocketAddr },
    Sink,
}

/// An accept that is under way all the time: a connection is established when it arrives, and not
/// when the engine comes to take it.
type Accepting = Pin<Box<dyn Future<Output = (Option<(TcpStream, SocketAddr)>, Rc<TcpListener>)>>>;

#[derive(Debug)]
struct Stream {
    tcp: TcpStream,
    ended: bool,
    reset: bool,
}

impl TurmoilNet {
    /// A poller for engine number `engine` of a host.
    pub fn new(hub: &Rc<Hub>, engine: usize, ports: &[u16], segment: usize) -> TurmoilNet {
        TurmoilNet {
            hub: Rc::clone(hub),
            engine,
            ports: ports.to_vec(),
            segment,
            slots: Slab::new(),
            generation: 0,
            events: Vec::new(),
            pipes: Slab::new(),
            dropped: Vec::new(),
        }
    }

    /// Whether there is a reason to turn.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty() || self.hub.notified.borrow()[self.engine]
    }

    /// Sockets that are open.
    pub fn open(&self) -> usize {
        self.slots.len()
    }

    /// Looks at everything that is armed, and has the task woken when there is more to see.
    pub fn look(&mut self, cx: &mut Context<'_>) {
        self.hub.waker.replace(cx.waker().clone());
        for (index, slot) in &mut self.slots {
            let ready = slot.look(cx);
            if !ready.is_empty() {
                slot.armed.clear(ready);
                let sock = Sock { index: index as u32, generation: slot.generation };
                self.events.push(Event { sock, ready });
            }
        }
    }

    /// Waits for a reason to turn.
    pub async fn wait(&mut self) {
        core::future::poll_fn(|cx| {
            self.look(cx);
            if self.has_events() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn insert(&mut self, what: What, armed: Ready) -> Sock {
        self.generation += 1;
        let generation = self.generation;
        let index = self.slots.insert(Slot { generation, armed, what }) as u32;
        // It is looked at in the next wait.
        Sock { index, generation }
    }

    fn slot(&mut self, sock: Sock) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(sock.index as usize);
        slot.filter(|slot| slot.generation == sock.generation)
    }

    fn remove(&mut self, sock: Sock) -> Option<Slot> {
        self.slot(sock)?;
        self.events.retain(|event| event.sock != sock);
        self.hub.give_descriptor();
        Some(self.slots.remove(sock.index as usize))
    }

    fn push(&mut self, sock: Sock, bytes: &[u8]) -> Io {
        let Some(slot) = self.slot(sock) else { return Io::Failed(STALE) };
        let io = match &mut slot.what {
            What::Stream(stream) => stream.send(bytes),
            What::Dialling { .. } => Io::Blocked,
            What::Refused { .. } => Io::Failed(Fault::Refused),
            What::Listener { .. } | What::Sink => panic!("{sock:?} is no connection"),
        };
        // Also after a short one: nobody knows whether there is room (P4).
        slot.armed.set(Ready::WRITE);
        io
    }
}

impl Slot {
    /// What it is ready for, of what is to be announced.
    fn look(&mut self, cx: &mut Context<'_>) -> Ready {
        match &mut self.what {
            What::Listener { accepting, queue } => look_at_listener(accepting, queue, cx),
            What::Dialling { to, attempt } => {
                let Poll::Ready(outcome) = attempt.as_mut().poll(cx) else { return Ready::NONE };
                let to = *to;
                let Ok(tcp) = outcome else {
                    self.what = What::Refused { to };
                    return Ready::READ.with(Ready::WRITE).with(Ready::HUP).with(Ready::ERR);
                };
                self.what = What::Stream(Stream { tcp, ended: false, reset: false });
                self.armed = Ready::READ;
                self.look(cx).with(Ready::WRITE)
            }
            What::Stream(stream) => stream.look(self.armed, cx),
            What::Refused { .. } | What::Sink => Ready::NONE,
        }
    }
}

fn look_at_listener(
    accepting: &mut Accepting,
    queue: &mut VecDeque<(TcpStream, SocketAddr)>,
    cx: &mut Context<'_>,
) -> Ready {
    let mut ready = Ready::NONE;
    while queue.len() < BACKLOG
        && let Poll::Ready((accepted, listener)) = accepting.as_mut().poll(cx)
    {
        *accepting = Box::pin(accept(listener));
        if let Some(accepted) = accepted {
            queue.push_back(accepted);
            ready = Ready::READ;
        }
    }
    ready
}

async fn accept(listener: Rc<TcpListener>) -> (Option<(TcpStream, SocketAddr)>, Rc<TcpListener>) {
    let accepted = listener.accept().await;
    (accepted.ok(), listener)
}

impl Stream {
    fn look(&mut self, armed: Ready, cx: &mut Context<'_>) -> Ready {
        let mut ready = Ready::NONE;
        if armed.has(Ready::READ) && !self.ended && !self.reset {
            let mut byte = [0];
            match self.tcp.poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
                Poll::Pending => {}
                Poll::Ready(Ok(0)) => {
                    self.ended = true;
                    ready = Ready::READ.with(Ready::HUP);
                }
                Poll::Ready(Ok(_)) => ready = Ready::READ,
                Poll::Ready(Err(_)) => {
                    self.reset = true;
                    return Ready::READ.with(Ready::WRITE).with(Ready::HUP).with(Ready::ERR);
                }
            }
        }
        if armed.has(Ready::WRITE) && pin!(self.tcp.writable()).poll(cx).is_ready() {
            ready.set(Ready::WRITE);
        }
        ready
    }

    fn recv(&mut self, into: &mut [u8], waker: &Waker) -> Io {
        if self.reset {
            return Io::Failed(Fault::Reset);
        }
        if self.ended {
            return Io::Eof;
        }
        let mut buf = ReadBuf::new(into);
        match Pin::new(&mut self.tcp).poll_read(&mut Context::from_waker(waker), &mut buf) {
            Poll::Pending => Io::Blocked,
            Poll::Ready(Ok(())) if buf.filled().is_empty() => {
                self.ended = true;
                Io::Eof
            }
            Poll::Ready(Ok(())) => Io::Done(buf.filled().len()),
            Poll::Ready(Err(_)) => {
                self.reset = true;
                Io::Failed(Fault::Reset)
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) -> Io {
        if self.reset {
            return Io::Failed(Fault::BrokenPipe);
        }
        match self.tcp.try_write(bytes) {
            Ok(n) => Io::Done(n),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Io::Blocked,
            Err(_) => Io::Failed(Fault::BrokenPipe),
        }
    }
}

impl Poller for TurmoilNet {
    fn harvest(&mut self, events: &mut Vec<Event>) {
        self.hub.notified.borrow_mut()[self.engine] = false;
        events.append(&mut self.events);
    }

    fn listen(&mut self, at: &ListenSpec) -> Result<Sock, Fault> {
        let port = *self.ports.get(at.listener as usize).ok_or(Fault::Unreachable)?;
        self.hub.take_descriptor()?;
        let mut binding = pin!(TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)));
        let bound = match binding.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(bound) => bound.map_err(|_| Fault::AddressInUse)?,
            Poll::Pending => unreachable!("turmoil binds at once"),
        };
        let accepting: Accepting = Box::pin(accept(Rc::new(bound)));
        let queue = VecDeque::new();
        Ok(self.insert(What::Listener { accepting, queue }, Ready::NONE))
    }

    fn accept(&mut self, listener: Sock) -> Accepted {
        let hub = Rc::clone(&self.hub);
        let Some(Slot { what: What::Listener { queue, .. }, .. }) = self.slot(listener) else {
            panic!("{listener:?} is no listener");
        };
        if queue.is_empty() {
            return Accepted::Blocked;
        }
        if let Err(fault) = hub.take_descriptor() {
            return Accepted::Failed(fault);
        }
        let Some((tcp, from)) = queue.pop_front() else { return Accepted::Blocked };
        let more = Some(queue.len() as u32);
        let stream = Stream { tcp, ended: false, reset: false };
        let sock = self.insert(What::Stream(stream), Ready::READ);
        Accepted::One { sock, peer: Peer::Inet(from), more }
    }

    fn connect(&mut self, to: &ConnectSpec<'_>) -> Result<Sock, Fault> {
        let Address::Inet(to) = *to.to else { return Err(Fault::Unreachable) };
        self.hub.take_descriptor()?;
        let attempt = Box::pin(TcpStream::connect(to));
        Ok(self.insert(What::Dialling { to, attempt }, Ready::NONE))
    }

    fn connect_status(&mut self, sock: Sock) -> Connecting {
        match self.slot(sock).map(|slot| &slot.what) {
            Some(What::Dialling { .. }) => Connecting::Pending,
            Some(What::Stream(_)) => Connecting::Done,
            Some(What::Refused { .. }) => Connecting::Failed(Fault::Refused),
            _ => Connecting::Failed(STALE),
        }
    }

    fn recv(&mut self, sock: Sock, into: &mut [u8]) -> Io {
        assert!(!into.is_empty(), "P7: receiving into nothing");
        let waker = self.hub.waker.borrow().clone();
        let Some(slot) = self.slot(sock) else { return Io::Failed(STALE) };
        slot.armed.set(Ready::READ);
        match &mut slot.what {
            What::Stream(stream) => stream.recv(into, &waker),
            What::Dialling { .. } => Io::Blocked,
            What::Refused { .. } => Io::Failed(Fault::Refused),
            What::Listener { .. } | What::Sink => panic!("{sock:?} is no connection"),
        }
    }

    fn send(&mut self, sock: Sock, from: &[IoSlice<'_>], _more: More) -> Io {
        let mut bytes = Vec::new();
        for slice in from {
            let room = self.segment - bytes.len();
            bytes.extend_from_slice(&slice[..slice.len().min(room)]);
        }
        assert!(!bytes.is_empty(), "P7: sending nothing");
        self.push(sock, &bytes)
    }

    fn shut_write(&mut self, sock: Sock) {
        if let Some(Slot { what: What::Stream(stream), .. }) = self.slot(sock) {
            // Turmoil does it at once; it fails if the connection is gone.
            let mut context = Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut stream.tcp).poll_shutdown(&mut context);
        }
    }

    fn close(&mut self, sock: Sock, how: Close) {
        let slot = self.remove(sock);
        // Turmoil says something whenever a stream ends: this one never does.
        self.dropped.extend(slot.filter(|_| how == Close::Drop));
    }

    fn open_pipe(&mut self, bytes: u32) -> Result<Pipe, Fault> {
        Ok(Pipe(self.pipes.insert((VecDeque::new(), bytes as usize)) as u32))
    }

    fn splice_in(&mut self, sock: Sock, pipe: Pipe, max: usize) -> Io {
        assert!(max > 0, "P7: receiving into nothing");
        let (held, size) = &self.pipes[pipe.0 as usize];
        let room = size.saturating_sub(held.len()).min(max);
        if room == 0 {
            return Io::Blocked;
        }
        let mut block = vec![0; room];
        let io = self.recv(sock, &mut block);
        if let Io::Done(n) = io {
            self.pipes[pipe.0 as usize].0.extend(&block[..n]);
        }
        io
    }

    fn splice_out(&mut self, pipe: Pipe, sock: Sock, max: usize, _more: More) -> Io {
        let (held, _) = &self.pipes[pipe.0 as usize];
        let max = max.min(self.segment);
        let bytes: Vec<u8> = held.iter().take(max).copied().collect();
        assert!(!bytes.is_empty(), "P7: sending nothing");
        let io = self.push(sock, &bytes);
        if let Io::Done(n) = io {
            self.pipes[pipe.0 as usize].0.drain(..n);
        }
        io
    }

    fn close_pipe(&mut self, pipe: Pipe) {
        self.pipes.remove(pipe.0 as usize);
    }

    fn address(&mut self, sock: Sock, which: Which) -> Option<Peer> {
        let address = match (&self.slot(sock)?.what, which) {
            (What::Stream(stream), Which::Local) => stream.tcp.local_addr().ok()?,
            (What::Stream(stream), Which::Peer) => stream.tcp.peer_addr().ok()?,
            (What::Dialling { to, .. } | What::Refused { to }, Which::Peer) => *to,
            _ => return None,
        };
        Some(Peer::Inet(address))
    }

    fn set(&mut self, _sock: Sock, _option: SockOpt) {}

    fn info(&mut self, _sock: Sock) -> Option<TcpInfo> {
        None
    }

    fn open_sink(&mut self, _sink: u32) -> Result<Sock, Fault> {
        self.hub.take_descriptor()?;
        Ok(self.insert(What::Sink, Ready::NONE))
    }

    fn send_messages(&mut self, _sink: Sock, messages: &[IoSlice<'_>]) -> usize {
        let text = messages.iter().map(|message| String::from_utf8_lossy(message).into_owned());
        self.hub.lines.borrow_mut().extend(text);
        messages.len()
    }

    fn notify(&mut self, engine: u32) {
        if let Some(notified) = self.hub.notified.borrow_mut().get_mut(engine as usize) {
            *notified = true;
        }
        self.hub.wake();
    }

    fn detach(&mut self, sock: Sock) -> Option<Parcel> {
        let Some(Slot { what: What::Stream(_), .. }) = self.slot(sock) else { return None };
        let What::Stream(stream) = self.remove(sock)?.what else { return None };
        let parcel = self.hub.next_parcel.get();
        self.hub.next_parcel.set(parcel + 1);
        self.hub.parcels.borrow_mut().insert(parcel, stream);
        Some(Parcel(parcel))
    }

    fn adopt(&mut self, parcel: Parcel) -> Option<Sock> {
        let stream = self.hub.parcels.borrow_mut().remove(&parcel.0)?;
        self.hub.take_descriptor().ok()?;
        Some(self.insert(What::Stream(stream), Ready::READ))
    }
}
