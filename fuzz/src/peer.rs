//! Who is at the other end of a wire: what it said and heard.

use tidegate_core::script::{Script, Wire};

/// A client or a server.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its wire.
    pub wire: Wire,
    /// What it said, whether it was received or not.
    pub said: Vec<u8>,
    /// What it heard.
    pub heard: Vec<u8>,
    /// It ended its direction.
    pub ended: bool,
    /// It reset the connection.
    pub reset: bool,
}

impl Peer {
    /// One that has said nothing yet.
    pub fn new(wire: Wire) -> Peer {
        Peer { wire, said: Vec::new(), heard: Vec::new(), ended: false, reset: false }
    }

    /// Whether it can still say something.
    pub fn speaks(&self, net: &Script) -> bool {
        !self.ended && !self.reset && net.closed(self.wire).is_none()
    }

    /// Says something, if it still can.
    pub fn say(&mut self, net: &mut Script, bytes: &[u8]) {
        if !bytes.is_empty() && self.speaks(net) {
            net.push(self.wire, bytes);
            self.said.extend_from_slice(bytes);
        }
    }

    /// Ends its direction.
    pub fn end(&mut self, net: &mut Script) {
        if self.speaks(net) {
            self.ended = true;
            net.end(self.wire);
        }
    }

    /// Resets.
    pub fn reset(&mut self, net: &mut Script) {
        if !self.reset && net.closed(self.wire).is_none() {
            self.reset = true;
            net.reset(self.wire);
        }
    }

    /// Takes what has come.
    pub fn hear(&mut self, net: &mut Script) {
        self.heard.extend(net.sent(self.wire));
    }
}
