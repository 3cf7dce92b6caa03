//! `balance roundrobin`: smooth and weighted, with weights that may change at any time. Not
//! `static-rr`, which walks a table made beforehand.
//!
//! Time is counted in picks. A window has as many positions as the servers have weight together,
//! and a server of weight `w` stands at every `total / w`-th of them; what the division leaves over
//! is carried to its next position. A server enters a window by its weight, the heaviest first,
//! and from then on by its position:
//!
//! ```text
//!             first turn in the window         next position is in this window
//!    fresh ───────────────────────────► (pick) ─────────────────────────────► due ──► (pick) ─┐
//!      ▲    only if nobody is due yet     │ next position is in a later one                   │
//!      └──── the next window begins ──── later ◄──────────────────────────────────────────────┘
//! ```
//!
//! The order is HAProxy's, pick by pick, also after weights changed and around servers that were
//! full: whoever is passed over keeps its rhythm but loses its turn.
//!
//! Where all weights are equal and nobody was passed over, all this comes to one server after the
//! other. A window that begins so runs as a rotation, without queues, until something happens.

use super::heap::Heap;
use super::{Pick, SCALE, Servers, WEIGHT_MAX};

/// One group of servers, all active or all backup.
#[derive(Clone, Debug, Hash)]
pub(super) struct RoundRobin {
    turns: Vec<Turn>,
    /// To be served in this window, by position.
    due: Heap,
    /// By weight: those not yet served in this window, and those to be served in the next.
    waiting: [Heap; 2],
    /// Which of `waiting` is of this window.
    fresh: usize,
    /// Positions of this window: it runs from `window` to twice that.
    window: u64,
    /// Weight of all servers now: the length of the next window.
    total: u64,
    /// The position of the next pick.
    now: u64,
    /// The order of a window that is a rotation: then nobody is queued. Else empty.
    rotation: Vec<u32>,
    /// The next in `rotation`, and how often all of it has been gone through in this window.
    next: usize,
    rounds: u64,
    /// Passed over by the pick in progress, because they were full or to be avoided.
    passed: Vec<u32>,
}

/// One server's rhythm. Positions are absolute while it is due, 0 before its first.
#[derive(Clone, Copy, Debug, Hash, Default)]
struct Turn {
    weight: u64,
    last: u64,
    next: u64,
    /// Remainder of the divisions so far, less than `weight`.
    rest: u64,
    /// `total` divided by `weight`, with the remainder, and the `total` that was divided.
    step: u64,
    left: u64,
    divided: u64,
    queue: Queue,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Queue {
    #[default]
    Out,
    Due,
    /// In the one of `waiting` with this index.
    Waiting(usize),
}

impl RoundRobin {
    /// A group of the servers that have a weight, out of `weights.len()`.
    pub(super) fn new(weights: &[u32]) -> Self {
        let len = weights.len();
        let total = weights.iter().map(|&weight| u64::from(weight)).sum();
        let mut group = Self {
            turns: vec![Turn::default(); len],
            due: Heap::new(len),
            waiting: [Heap::new(len), Heap::new(len)],
            fresh: 0,
            window: total,
            total,
            now: total,
            rotation: Vec::with_capacity(len),
            next: 0,
            rounds: 0,
            passed: Vec::with_capacity(len),
        };
        for (server, &weight) in weights.iter().enumerate() {
            group.turns[server].weight = weight.into();
            if weight > 0 {
                group.enter(server, Queue::Waiting(group.fresh));
            }
        }
        group.rotate();
        group
    }

    /// `server` has another weight now; 0 takes it out.
    pub(super) fn reweigh(&mut self, server: usize, weight: u32) {
        self.unroll();
        let turn = &mut self.turns[server];
        let weight = u64::from(weight);
        let was = core::mem::replace(&mut turn.weight, weight);
        turn.divided = 0;
        self.total = self.total - was + weight;
        match (turn.queue, weight) {
            (Queue::Out, 0) => {}
            (_, 0) => self.leave(server),
            (Queue::Out, _) => {
                // A newcomer waits for its share of what is left of this window and the next.
                turn.next = self.now + (self.total + self.window).saturating_sub(self.now) / weight;
                self.enqueue(server);
            }
            (Queue::Waiting(window), _) if window == self.fresh => {
                self.leave(server);
                self.enter(server, Queue::Waiting(window));
            }
            (queue, _) => {
                if queue != Queue::Due {
                    turn.next += self.window;
                }
                // Sooner if it became heavier, never later than it was promised.
                let step = self.total / weight;
                turn.next = turn.next.min(turn.last + step);
                turn.rest = 0;
                if turn.next < self.now + 2 {
                    turn.next = self.now + step;
                }
                self.leave(server);
                self.enqueue(server);
            }
        }
    }

    pub(super) fn pick(&mut self, servers: &impl Servers, avoid: Option<usize>) -> Pick {
        match self.pick_rotating(servers, avoid) {
            Some(server) => Pick::Server(server),
            None => self.pick_queued(servers, avoid),
        }
    }

    /// The next of a rotation. If it cannot be chosen the rotation ends.
    fn pick_rotating(&mut self, servers: &impl Servers, avoid: Option<usize>) -> Option<usize> {
        let server = *self.rotation.get(self.next)? as usize;
        if servers.full(server) || Some(server) == avoid {
            self.unroll();
            return None;
        }
        // A window that is over ends with the first pick of the next.
        if self.rounds == self.turns[server].weight {
            self.rounds = 0;
        }
        self.next += 1;
        if self.next == self.rotation.len() {
            self.next = 0;
            self.rounds += 1;
        }
        Some(server)
    }

    fn pick_queued(&mut self, servers: &impl Servers, avoid: Option<usize>) -> Pick {
        debug_assert!(self.rotation.is_empty());
        if self.window == 0 {
            (self.now, self.window) = (self.total, self.total);
        }
        debug_assert!(self.passed.is_empty());
        let mut avoided = None;
        let mut turned = false;
        let chosen = loop {
            let Some(server) = self.first() else {
                if turned {
                    break avoided;
                }
                turned = true;
                self.next_window();
                match self.pick_rotating(servers, avoid) {
                    Some(server) => return Pick::Server(server),
                    None => continue,
                }
            };
            self.leave(server);
            self.advance(server);
            self.now += 1;
            if !servers.full(server) {
                if Some(server) != avoid {
                    break Some(server);
                }
                avoided = Some(server);
            }
            self.passed.push(server as u32);
        };
        if let Some(server) = chosen {
            self.enqueue(server);
        }
        while let Some(server) = self.passed.pop() {
            let server = server as usize;
            match (chosen == Some(server), turned) {
                (true, _) => {}
                // Their positions belong to a window that is over: only weight counts again.
                (false, true) => self.enter(server, Queue::Waiting(self.fresh)),
                (false, false) => self.enqueue(server),
            }
        }
        chosen.map_or(Pick::AllFull, Pick::Server)
    }

    /// Whose turn it is: who is due, else who has not yet been served, else who is due next.
    fn first(&mut self) -> Option<usize> {
        let due = self.due.first().map(|place| place.server as usize);
        if let Some(server) = due
            && self.turns[server].next <= self.now
        {
            return due;
        }
        let Some(place) = self.waiting[self.fresh].first() else { return due };
        let turn = &mut self.turns[place.server as usize];
        (turn.next, turn.rest) = (0, 0);
        Some(place.server as usize)
    }

    /// Gives `server` its next position, counted from the last.
    fn advance(&mut self, server: usize) {
        let turn = &mut self.turns[server];
        debug_assert!(turn.weight > 0, "only servers with a weight are queued");
        if turn.divided != self.total {
            turn.divided = self.total;
            (turn.step, turn.left) = (self.total / turn.weight, self.total % turn.weight);
        }
        turn.last = if turn.next == 0 { self.now } else { turn.next };
        turn.next = turn.last + turn.step;
        turn.rest += turn.left;
        if turn.rest >= turn.weight {
            turn.rest -= turn.weight;
            turn.next += 1;
        }
    }

    /// Queues `server` by its next position, in this window or the next.
    fn enqueue(&mut self, server: usize) {
        let next = self.turns[server].next;
        if next >= self.window + self.window.min(self.total) {
            self.turns[server].next = next - self.window;
            self.enter(server, Queue::Waiting(self.fresh ^ 1));
        } else {
            self.enter(server, Queue::Due);
        }
    }

    fn enter(&mut self, server: usize, queue: Queue) {
        let turn = &mut self.turns[server];
        turn.queue = queue;
        let by_weight = u64::from(WEIGHT_MAX * SCALE) - turn.weight;
        match queue {
            Queue::Out => {}
            Queue::Waiting(window) => self.waiting[window].push(server, by_weight),
            // Within a position the heavier comes first, and who waited for less of it.
            Queue::Due => {
                let within = (by_weight + turn.rest) / u64::from(SCALE);
                self.due.push(server, turn.next * u64::from(WEIGHT_MAX) + within);
            }
        }
    }

    fn leave(&mut self, server: usize) {
        match core::mem::take(&mut self.turns[server].queue) {
            Queue::Out => {}
            Queue::Due => self.due.remove(server),
            Queue::Waiting(window) => self.waiting[window].remove(server),
        }
    }

    /// Everybody of this window has been served: those of the next are fresh.
    fn next_window(&mut self) {
        self.fresh ^= 1;
        self.window = self.total;
        self.now = self.window;
        self.rotate();
    }

    /// Turns a window that begins into a rotation, if it is one.
    fn rotate(&mut self) {
        let fresh = &mut self.waiting[self.fresh];
        // If everybody is there: as many as have the total weight together.
        if let Some(rank) = fresh.common_rank()
            && (u64::from(WEIGHT_MAX * SCALE) - rank) * fresh.len() as u64 == self.total
        {
            (self.next, self.rounds) = (0, 0);
            fresh.drain(&mut self.rotation);
            for &server in &self.rotation {
                self.turns[server as usize].queue = Queue::Out;
            }
        }
    }

    /// Queues everybody of a rotation where the window has got to.
    fn unroll(&mut self) {
        let len = self.rotation.len() as u64;
        if len == 0 {
            return;
        }
        self.now = self.window + self.rounds * len + self.next as u64;
        let mut rotation = core::mem::take(&mut self.rotation);
        for (at, server) in rotation.drain(..).enumerate() {
            let server = server as usize;
            let had = self.rounds + u64::from(at < self.next);
            if had == 0 {
                self.enter(server, Queue::Waiting(self.fresh));
                continue;
            }
            let turn = &mut self.turns[server];
            turn.rest = 0;
            turn.last = self.window + at as u64 + (had - 1) * len;
            turn.next = turn.last + len;
            self.enqueue(server);
        }
        self.rotation = rotation;
    }
}
