//! The client's connection, between and during its sessions.

use crate::bit_set;
use crate::buf::Buf;
use crate::conn::proxy_header::Header;
use crate::conn::{ConnId, Mux, NO_CONN, Transport};
use crate::poller::{Peer, Sock};
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

/// What a PROXY header says beside the addresses; each is bounded by the header's rules.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Relayed {
    /// The name that the client asked for (`fc_pp_authority`).
    pub authority: Option<Box<[u8]>>,
    /// The connection's unique id (`fc_pp_unique_id`).
    pub unique_id: Option<Box<[u8]>>,
}

/// A client's connection.
#[derive(Debug)]
pub struct Client {
    /// Its socket.
    pub sock: Sock,
    /// Who it is: what its PROXY header says, else the socket's other end.
    pub peer: Peer,
    /// The socket's other end.
    pub socket_peer: Peer,
    /// Where it connected to: what its PROXY header says, else the socket's own end once somebody
    /// asked for it.
    pub destination: Option<Peer>,
    /// What else its PROXY header says, if anything.
    pub relayed: Option<Box<Relayed>>,
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
            socket_peer: peer,
            destination: None,
            relayed: None,
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
            self.peer = Peer::Inet(ends.source);
            self.destination = Some(Peer::Inet(ends.destination));
        }
        if header.authority.is_some() || header.unique_id.is_some() {
            let (authority, unique_id) = (header.authority, header.unique_id);
            self.relayed = Some(Box::new(Relayed {
                authority: authority.map(Box::from),
                unique_id: unique_id.map(Box::from),
            }));
        }
    }

    /// Whether it has no session.
    pub fn is_idle(&self) -> bool {
        self.session == NO_SESSION
    }
}
