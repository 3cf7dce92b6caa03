//! The client's connection, between and during its sessions.

use crate::bit_set;
use crate::buf::Buf;
use crate::conn::proxy_header::Header;
use crate::conn::{ConnId, Mux, NO_CONN, Transport};
use crate::poller::{Peer, Sock, TcpInfo};
use crate::proxy::spec::{ListenerId, ProxyId, ServerId};
use crate::sample::vars::Vars;
use crate::tasks::TaskId;
use crate::time::{Instant, Wall};

bit_set! {
    /// What is true of a client.
    pub struct ClientFlags: u8 {
        /// We ended our direction and only wait for the client's end, throwing away what comes.
        LINGERING = 1,
        /// The client ended its direction.
        EOF = 2,
        /// It holds a place of each `maxconn` that it counts in: of its listener, frontend and
        /// process.
        COUNTED = 4,
        /// A server authenticated the connection behind it: it goes on there if it can.
        PREFER_LAST = 8,
        /// Its PROXY header is awaited; what has come of it is in [`Client::rest`].
        EXPECTS_PROXY = 16,
        /// A PROXY header came.
        RECEIVED_PROXY = 32,
    }
}

/// Stands for no session.
pub const NO_SESSION: u32 = u32::MAX;

/// What is rarely known of a client, so that idle ones need no room for it. What a PROXY header
/// says is bounded by its rules.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct Details {
    /// The socket's other end, if [`Client::peer`] is another.
    socket_peer: Option<Peer>,
    /// Where it connected to, if somebody asked for it or a PROXY header says it.
    destination: Option<Peer>,
    /// The name that the client asked for (`fc_pp_authority`).
    authority: Option<Box<[u8]>>,
    /// The connection's unique id (`fc_pp_unique_id`).
    unique_id: Option<Box<[u8]>>,
    /// How rules have packets to it marked.
    marks: Marks,
    /// What the kernel knows of its connection, if some expression wants to know.
    tcp_info: Option<TcpInfo>,
}

/// How packets to a client are marked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Marks {
    /// `set-tos`: the type of service or the traffic class.
    pub tos: Option<u8>,
    /// `set-mark`: what the host's own routing and filters look at.
    pub mark: Option<u32>,
}

impl Marks {
    /// These, and of `others` what is not among them.
    pub fn or(self, others: Marks) -> Marks {
        Marks { tos: self.tos.or(others.tos), mark: self.mark.or(others.mark) }
    }

    /// Those of them that are not so in `others`.
    pub fn beyond(self, others: Marks) -> Marks {
        Marks {
            tos: self.tos.filter(|_| self.tos != others.tos),
            mark: self.mark.filter(|_| self.mark != others.mark),
        }
    }
}

/// A client's connection.
#[derive(Debug, Hash)]
pub struct Client {
    /// Its socket.
    pub sock: Sock,
    /// Who it is: what its PROXY header says, else the socket's other end.
    pub peer: Peer,
    details: Option<Box<Details>>,
    /// When it was accepted.
    pub accepted: Instant,
    /// The same on the wall clock.
    pub accepted_wall: Wall,
    /// When it became idle: after accept, its PROXY header or its last answer.
    pub idle_since: Instant,
    /// Where it came in.
    pub listener: ListenerId,
    /// Whose it is.
    pub frontend: ProxyId,
    /// The session that it has, if any.
    pub session: u32,
    /// Its own task: the idle deadline, the lingering end.
    pub task: TaskId,
    /// Sessions begun.
    pub requests: u32,
    /// The server that its last session used, for `option prefer-last-server`.
    pub last_server: ServerId,
    /// The server connection that is its own (`http-reuse never`), idle.
    pub private: ConnId,
    /// What came behind the last request, or what there is of its PROXY header.
    pub rest: Option<Box<Buf>>,
    /// Bytes that may still be thrown away while lingering.
    pub linger_left: u32,
    /// What stands between the socket and the bytes.
    pub transport: Transport,
    /// How sessions share it.
    pub mux: Mux,
    /// `sess.` variables.
    pub vars: Vars,
    /// What is true of it.
    pub flags: ClientFlags,
}

impl Client {
    /// A client just accepted.
    pub fn new(
        sock: Sock,
        peer: Peer,
        listener: ListenerId,
        frontend: ProxyId,
        task: TaskId,
        mux: Mux,
        (accepted, accepted_wall): (Instant, Wall),
    ) -> Self {
        Client {
            sock,
            peer,
            details: None,
            accepted,
            accepted_wall,
            idle_since: accepted,
            listener,
            frontend,
            session: NO_SESSION,
            task,
            requests: 0,
            last_server: ServerId::MAX,
            private: NO_CONN,
            rest: None,
            linger_left: 0,
            transport: Transport::Raw,
            mux,
            vars: Vars::default(),
            flags: ClientFlags::NONE,
        }
    }

    /// Notes what its PROXY header says.
    pub fn introduce(&mut self, header: &Header<'_>) {
        self.flags.clear(ClientFlags::EXPECTS_PROXY);
        self.flags.set(ClientFlags::RECEIVED_PROXY);
        if let Some(ends) = header.ends {
            *self.peer_mut() = Peer::Inet(ends.source);
            self.set_destination(Some(Peer::Inet(ends.destination)));
        }
        if header.authority.is_some() || header.unique_id.is_some() {
            let (authority, unique_id) = (header.authority, header.unique_id);
            let details = self.details.get_or_insert_default();
            details.authority = authority.map(Box::from);
            details.unique_id = unique_id.map(Box::from);
        }
    }

    /// Who it is, to be changed; the socket's other end is kept.
    pub fn peer_mut(&mut self) -> &mut Peer {
        let details = self.details.get_or_insert_default();
        details.socket_peer.get_or_insert(self.peer);
        &mut self.peer
    }

    /// The socket's other end.
    pub fn socket_peer(&self) -> Peer {
        self.details.as_ref().and_then(|details| details.socket_peer).unwrap_or(self.peer)
    }

    /// Where it connected to: what its PROXY header says, else the socket's own end once somebody
    /// asked for it.
    pub fn destination(&self) -> Option<Peer> {
        self.details.as_ref()?.destination
    }

    /// The same, to be changed, if it is known.
    pub fn destination_mut(&mut self) -> Option<&mut Peer> {
        self.details.as_mut()?.destination.as_mut()
    }

    /// Notes where it connected to.
    pub fn set_destination(&mut self, destination: Option<Peer>) {
        self.details.get_or_insert_default().destination = destination;
    }

    /// How packets to it are marked, as far as rules say.
    pub fn marks(&self) -> Marks {
        self.details.as_ref().map(|details| details.marks).unwrap_or_default()
    }

    /// Notes how packets to it are to be marked; what of that is new has to be said to the socket.
    pub fn mark(&mut self, marks: Marks) -> Marks {
        let old = self.marks();
        let new = marks.beyond(old);
        if new != Marks::default() {
            self.details.get_or_insert_default().marks = new.or(old);
        }
        new
    }

    /// What the kernel knew of its connection when this was last asked.
    pub fn tcp_info(&self) -> Option<&TcpInfo> {
        self.details.as_ref()?.tcp_info.as_ref()
    }

    /// Notes what the kernel knows of its connection.
    pub fn set_tcp_info(&mut self, info: Option<TcpInfo>) {
        self.details.get_or_insert_default().tcp_info = info;
    }

    /// The name that it asked for, as its PROXY header says (`fc_pp_authority`).
    pub fn authority(&self) -> Option<&[u8]> {
        self.details.as_ref()?.authority.as_deref()
    }

    /// The unique id that its PROXY header gives (`fc_pp_unique_id`).
    pub fn relayed_id(&self) -> Option<&[u8]> {
        self.details.as_ref()?.unique_id.as_deref()
    }

    /// Whether it has no session.
    pub fn is_idle(&self) -> bool {
        self.session == NO_SESSION
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_marks_that_change_are_new() {
        let marks = |tos, mark| Marks { tos, mark };
        let mut held = Marks::default();
        for (wanted, new, then) in [
            (marks(None, None), marks(None, None), marks(None, None)),
            (marks(Some(8), None), marks(Some(8), None), marks(Some(8), None)),
            (marks(Some(8), Some(1)), marks(None, Some(1)), marks(Some(8), Some(1))),
            (marks(Some(0), Some(1)), marks(Some(0), None), marks(Some(0), Some(1))),
            (marks(Some(0), None), marks(None, None), marks(Some(0), Some(1))),
        ] {
            assert_eq!(wanted.beyond(held), new);
            held = new.or(held);
            assert_eq!(held, then);
        }
    }
}
