//! What went wrong, typed: a fault of the network, and the one reason for which a session ended.
//!
//! The log's termination code, the counters and the tests all derive from [`End`].

/// A failed operation at the boundary. Final for the direction that it happened in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// Nobody listens there.
    Refused,
    /// The peer reset the connection.
    Reset,
    /// We wrote to a connection whose peer is gone.
    BrokenPipe,
    /// The kernel gave the connection up.
    TimedOut,
    /// No route to the peer.
    Unreachable,
    /// No descriptor left, in the process or in the system.
    NoDescriptors,
    /// The kernel has no memory or buffers left.
    NoMemory,
    /// No local port left.
    NoPorts,
    /// The address is taken.
    AddressInUse,
    /// The kernel forbids it.
    Denied,
    /// Anything else; the system's error number.
    Other(i32),
}

impl Fault {
    /// Whether it speaks of our own shortage, which passes, and not of the peer.
    pub const fn is_shortage(self) -> bool {
        matches!(self, Fault::NoDescriptors | Fault::NoMemory | Fault::NoPorts)
    }

    /// What happened, in words.
    pub const fn explain(self) -> &'static str {
        match self {
            Fault::Refused => "connection refused",
            Fault::Reset => "connection reset by the peer",
            Fault::BrokenPipe => "the peer no longer receives",
            Fault::TimedOut => "the kernel gave the connection up",
            Fault::Unreachable => "no route to the peer",
            Fault::NoDescriptors => "out of file descriptors",
            Fault::NoMemory => "the kernel is out of memory",
            Fault::NoPorts => "no free ports",
            Fault::AddressInUse => "the address is already in use",
            Fault::Denied => "not permitted",
            Fault::Other(_) => "system error",
        }
    }
}

/// Who or what ended a session: the first letter of the termination code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Cause {
    /// Both sides finished.
    #[default]
    Normal,
    /// The client aborted.
    Client,
    /// The server aborted or refused.
    Server,
    /// The proxy refused: a limit, a rule, a malformed message.
    Proxy,
    /// The proxy answered itself.
    Local,
    /// We ran out of a resource.
    Resource,
    /// A bug, caught.
    Internal,
    /// The server went down and its sessions were shut.
    Down,
    /// An active server came up and the backup's sessions were shut.
    Up,
    /// An administrator ended it.
    Killed,
    /// The client's timeout.
    ClientTimeout,
    /// The server's timeout.
    ServerTimeout,
}

impl Cause {
    /// The first letter of the termination code.
    pub const fn code(self) -> u8 {
        match self {
            Cause::Normal => b'-',
            Cause::Client => b'C',
            Cause::Server => b'S',
            Cause::Proxy => b'P',
            Cause::Local => b'L',
            Cause::Resource => b'R',
            Cause::Internal => b'I',
            Cause::Down => b'D',
            Cause::Up => b'U',
            Cause::Killed => b'K',
            Cause::ClientTimeout => b'c',
            Cause::ServerTimeout => b's',
        }
    }

    /// Its name in logs for machines.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::Normal => "normal",
            Cause::Client => "client",
            Cause::Server => "server",
            Cause::Proxy => "proxy",
            Cause::Local => "local",
            Cause::Resource => "resource",
            Cause::Internal => "internal",
            Cause::Down => "server-down",
            Cause::Up => "server-up",
            Cause::Killed => "killed",
            Cause::ClientTimeout => "client-timeout",
            Cause::ServerTimeout => "server-timeout",
        }
    }

    /// The same in words.
    pub const fn explain(self) -> &'static str {
        match self {
            Cause::Normal => "both sides finished",
            Cause::Client => "the client aborted",
            Cause::Server => "the server aborted or refused",
            Cause::Proxy => "the proxy refused it",
            Cause::Local => "the proxy answered itself",
            Cause::Resource => "the proxy ran out of a resource",
            Cause::Internal => "the proxy found an error of its own",
            Cause::Down => "the server went down",
            Cause::Up => "an active server came back",
            Cause::Killed => "an administrator ended it",
            Cause::ClientTimeout => "the client was silent for too long",
            Cause::ServerTimeout => "the server was silent for too long",
        }
    }
}

/// What the session was doing when it ended: the second letter of the termination code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Phase {
    /// Done, or nothing left to wait for.
    #[default]
    Done,
    /// Waiting for a complete request.
    Request,
    /// Waiting in a queue.
    Queue,
    /// Connecting to the server.
    Connect,
    /// Waiting for the head of the answer.
    Headers,
    /// Passing data.
    Data,
    /// Passing the last data to the client, the server having finished.
    Last,
    /// Held in the tarpit.
    Tarpit,
}

impl Phase {
    /// The second letter of the termination code.
    pub const fn code(self) -> u8 {
        match self {
            Phase::Done => b'-',
            Phase::Request => b'R',
            Phase::Queue => b'Q',
            Phase::Connect => b'C',
            Phase::Headers => b'H',
            Phase::Data => b'D',
            Phase::Last => b'L',
            Phase::Tarpit => b'T',
        }
    }

    /// Its name in logs for machines.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Done => "done",
            Phase::Request => "request",
            Phase::Queue => "queue",
            Phase::Connect => "connect",
            Phase::Headers => "headers",
            Phase::Data => "data",
            Phase::Last => "last",
            Phase::Tarpit => "tarpit",
        }
    }

    /// The same in words.
    pub const fn explain(self) -> &'static str {
        match self {
            Phase::Done => "after the end of the transfer",
            Phase::Request => "while the request was incomplete",
            Phase::Queue => "while the request was queued",
            Phase::Connect => "while connecting to the server",
            Phase::Headers => "while the server's answer was awaited",
            Phase::Data => "while data was passing",
            Phase::Last => "while the last data went to the client",
            Phase::Tarpit => "while the request was held in the tarpit",
        }
    }
}

/// The one reason for which a session ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct End {
    /// Who ended it.
    pub cause: Cause,
    /// What it was doing then.
    pub phase: Phase,
}

impl End {
    /// An end for `cause` during `phase`.
    pub const fn new(cause: Cause, phase: Phase) -> Self {
        End { cause, phase }
    }

    /// The first two characters of HAProxy's termination state.
    pub const fn code(self) -> [u8; 2] {
        [self.cause.code(), self.phase.code()]
    }

    /// The reason as a sentence.
    pub fn explain(self) -> String {
        format!("{} {}", self.cause.explain(), self.phase.explain())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_haproxys() {
        assert_eq!(&End::default().code(), b"--");
        assert_eq!(&End::new(Cause::ServerTimeout, Phase::Headers).code(), b"sH");
        assert_eq!(
            End::new(Cause::Client, Phase::Data).explain(),
            "the client aborted while data was passing"
        );
    }
}
