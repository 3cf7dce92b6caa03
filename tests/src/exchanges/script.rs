//! The words a scenario's script is made of: what clients and origins do, in one order.
//!
//! A script is one list for both sides, run by one thread, so that the order of events at the
//! proxy is the same in every run. It says nothing about what must come out: that is recorded
//! and compared (see `outcome`).

use std::fmt;

/// A socket's name in a script; clients and origin connections share one name space.
pub type Name = &'static str;

/// One action of a client or of an origin.
#[derive(Debug, Clone)]
pub enum Step {
    /// A client connects to the proxy.
    Open { name: Name, to: Name, from: &'static str, narrow: bool },
    /// The origin takes the next connection that reaches one of its servers, and says which.
    Accept { name: Name, server: Option<Name> },
    /// Writes these bytes.
    Send { name: Name, bytes: Vec<u8> },
    /// Writes that many bytes of the pattern in the background.
    Flood { name: Name, len: usize },
    /// Reads up to an empty line.
    Head { name: Name },
    /// Reads that many bytes.
    Body { name: Name, len: usize },
    /// Reads chunks and trailers.
    Chunked { name: Name },
    /// Reads until the peer ends its stream.
    Rest { name: Name },
    /// Writes FIN, goes on reading.
    ShutWrite { name: Name },
    /// Closes in the ordinary way.
    Close { name: Name },
    /// Closes with RST.
    Reset { name: Name },
    /// Lets that many milliseconds pass.
    Pause { ms: u64 },
    /// For that many milliseconds nothing may come and the connection may not end.
    Quiet { name: Name, ms: u64 },
    /// For that many milliseconds no connection may come to the server.
    Unclaimed { server: Name, ms: u64 },
    /// Waits until the proxy has logged that many lines in all.
    Logged { lines: usize },
    /// From here on these servers answer by themselves: 200, with their name as the body.
    Serve { servers: &'static [Name] },
    /// A client opens a connection, asks a self-answering server for a path, and closes.
    Get { name: Name, path: String, from: &'static str },
}

pub const LOOPBACK: &str = "127.0.0.1";

pub fn open(name: Name) -> Step {
    Step::Open { name, to: "fe", from: LOOPBACK, narrow: false }
}

pub fn open_to(name: Name, to: Name) -> Step {
    Step::Open { name, to, from: LOOPBACK, narrow: false }
}

/// Opens with the smallest receive buffer, to be a slow reader.
pub fn open_narrow(name: Name) -> Step {
    Step::Open { name, to: "fe", from: LOOPBACK, narrow: true }
}

pub fn accept(name: Name, server: Name) -> Step {
    Step::Accept { name, server: Some(server) }
}

pub fn accept_any(name: Name) -> Step {
    Step::Accept { name, server: None }
}

pub fn send(name: Name, bytes: impl AsRef<[u8]>) -> Step {
    Step::Send { name, bytes: bytes.as_ref().to_vec() }
}

pub fn flood(name: Name, len: usize) -> Step {
    Step::Flood { name, len }
}

pub fn head(name: Name) -> Step {
    Step::Head { name }
}

pub fn body(name: Name, len: usize) -> Step {
    Step::Body { name, len }
}

pub fn chunked(name: Name) -> Step {
    Step::Chunked { name }
}

pub fn rest(name: Name) -> Step {
    Step::Rest { name }
}

pub fn shut_write(name: Name) -> Step {
    Step::ShutWrite { name }
}

pub fn close(name: Name) -> Step {
    Step::Close { name }
}

pub fn reset(name: Name) -> Step {
    Step::Reset { name }
}

pub fn pause(ms: u64) -> Step {
    Step::Pause { ms }
}

pub fn quiet(name: Name, ms: u64) -> Step {
    Step::Quiet { name, ms }
}

pub fn unclaimed(server: Name, ms: u64) -> Step {
    Step::Unclaimed { server, ms }
}

pub fn logged(lines: usize) -> Step {
    Step::Logged { lines }
}

pub fn serve(servers: &'static [Name]) -> Step {
    Step::Serve { servers }
}

pub fn get(name: Name, path: impl Into<String>) -> Step {
    Step::Get { name, path: path.into(), from: LOOPBACK }
}

pub fn get_from(name: Name, path: impl Into<String>, from: &'static str) -> Step {
    Step::Get { name, path: path.into(), from }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { name, to, from, narrow } => {
                write!(f, "{name}: connect to {to}")?;
                if *from != LOOPBACK {
                    write!(f, " from {from}")?;
                }
                f.write_str(if *narrow { ", small receive buffer" } else { "" })
            }
            Self::Accept { name, server: Some(server) } => {
                write!(f, "{name}: accepted by {server}")
            }
            Self::Accept { name, server: None } => write!(f, "{name}: accepted by any server"),
            Self::Send { name, bytes } => write!(f, "{name}: send {}", quoted(bytes)),
            Self::Flood { name, len } => write!(f, "{name}: send {len} bytes in the background"),
            Self::Head { name } => write!(f, "{name}: read a head"),
            Self::Body { name, len } => write!(f, "{name}: read {len} bytes"),
            Self::Chunked { name } => write!(f, "{name}: read chunks"),
            Self::Rest { name } => write!(f, "{name}: read to the end"),
            Self::ShutWrite { name } => write!(f, "{name}: shut write"),
            Self::Close { name } => write!(f, "{name}: close"),
            Self::Reset { name } => write!(f, "{name}: reset"),
            Self::Pause { ms } => write!(f, "pause {ms} ms"),
            Self::Quiet { name, ms } => write!(f, "{name}: nothing comes for {ms} ms"),
            Self::Unclaimed { server, ms } => {
                write!(f, "{server}: no connection comes for {ms} ms")
            }
            Self::Logged { lines } => write!(f, "wait for {lines} log lines"),
            Self::Serve { servers } => write!(f, "{} answer by themselves", servers.join(" ")),
            Self::Get { name, path, from } => write!(f, "{name}: GET {path} from {from}"),
        }
    }
}

/// Bytes as a string literal, long ones cut.
pub fn quoted(bytes: &[u8]) -> String {
    const SHOWN_MAX: usize = 400;
    if bytes.len() <= SHOWN_MAX {
        return format!("\"{}\"", bytes.escape_ascii());
    }
    let hash = digest(bytes);
    format!("\"{}\" … {} bytes, fnv {hash:016x}", bytes[..60].escape_ascii(), bytes.len())
}

/// FNV-1a, 64 bits.
pub fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The bytes that `flood` sends: no short period, so that a loss or a swap changes the digest.
pub fn pattern(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
