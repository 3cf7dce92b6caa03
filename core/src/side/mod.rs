//! The server side of a session as a state machine: from no server to a connection and to its end.
//! (HAProxy's stream interface. The client side has no states worth a table: it is open, then
//! closed.)
//!
//! ```text
//!            want          queue           grant
//!   Initial ─────► Request ─────► Queued ────────┐
//!                   │  ▲  assign                 ▼        connect          connected
//!                   │  │  ────────────────► Assigned ───────────► Connecting ───────► Established
//!                   │  └── redispatch ──┐      ▲ turn │ reuse            │ fail             │
//!                   │                Retrying ◄┴──────┼──────────────────┘                  │
//!                   ▼                   │  ▲          └──► Established      retry           │
//!                 Closed ◄──────────────┴──┼───────────────── close ──────────────────────┤
//!                                          └────────────────────────────────────────────────┘
//! ```

/// Where the server side is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum State {
    /// Nothing asked for yet: the request is still being looked at.
    #[default]
    Initial,
    /// A server is to be chosen.
    Request,
    /// Waiting in a queue for a server's slot.
    Queued,
    /// A server is chosen (and its slot held): connect.
    Assigned,
    /// The connection attempt is on its way.
    Connecting,
    /// An attempt failed; waiting a moment before the next.
    Retrying,
    /// Connected: data flows.
    Established,
    /// No connection, and none will be made.
    Closed,
}

/// What happens to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The analysers want a server.
    Want,
    /// Every suitable server is full.
    Queue,
    /// The queue gave us a server's slot.
    Grant,
    /// The queue was dissolved: choose again.
    Requeue,
    /// A server was chosen.
    Assign,
    /// The attempt has begun.
    Connect,
    /// An idle connection was taken.
    Reuse,
    /// The attempt succeeded.
    Connected,
    /// The attempt failed, or a connection died in a way that may be tried again.
    Fail,
    /// The pause is over: the same server again.
    Turn,
    /// The pause is over, or there is none: choose again.
    Redispatch,
    /// The connection ended, or none will be made.
    Close,
}

/// Every transition; what is not here does not happen.
const TRANSITIONS: &[(State, Step, State)] = {
    use State::*;
    &[
        (Initial, Step::Want, Request),
        (Request, Step::Queue, Queued),
        (Request, Step::Assign, Assigned),
        (Queued, Step::Grant, Assigned),
        (Queued, Step::Requeue, Request),
        (Assigned, Step::Connect, Connecting),
        (Assigned, Step::Reuse, Established),
        (Assigned, Step::Fail, Retrying),
        (Connecting, Step::Connected, Established),
        (Connecting, Step::Fail, Retrying),
        (Established, Step::Fail, Retrying),
        (Retrying, Step::Turn, Assigned),
        (Retrying, Step::Redispatch, Request),
        (Initial, Step::Close, Closed),
        (Request, Step::Close, Closed),
        (Queued, Step::Close, Closed),
        (Assigned, Step::Close, Closed),
        (Connecting, Step::Close, Closed),
        (Retrying, Step::Close, Closed),
        (Established, Step::Close, Closed),
        (Closed, Step::Close, Closed),
    ]
};

/// The state that `step` leads to, if it may happen in this one.
const fn next(state: State, step: Step) -> Option<State> {
    let mut i = 0;
    while i < TRANSITIONS.len() {
        if TRANSITIONS[i].0 as u8 == state as u8 && TRANSITIONS[i].1 as u8 == step as u8 {
            return Some(TRANSITIONS[i].2);
        }
        i += 1;
    }
    None
}

const STATES: usize = State::Closed as usize + 1;
const STEPS: usize = Step::Close as usize + 1;

/// The transitions as a matrix, so that a step is one look-up.
const MATRIX: [[Option<State>; STEPS]; STATES] = {
    use State::*;
    use Step::*;
    const ALL: [State; STATES] =
        [Initial, Request, Queued, Assigned, Connecting, Retrying, Established, Closed];
    const HOW: [Step; STEPS] = [
        Want, Queue, Grant, Requeue, Assign, Connect, Reuse, Connected, Fail, Turn, Redispatch,
        Close,
    ];
    let mut matrix = [[None; STEPS]; STATES];
    let mut s = 0;
    while s < STATES {
        let mut e = 0;
        while e < STEPS {
            matrix[s][e] = next(ALL[s], HOW[e]);
            e += 1;
        }
        s += 1;
    }
    matrix
};

impl State {
    /// Takes a step. A step that the table does not have is a bug and asserts.
    pub fn step(&mut self, step: Step) {
        match MATRIX[*self as usize][step as usize] {
            Some(next) => *self = next,
            None => panic!("no {step:?} in {self:?}"),
        }
    }

    /// Whether a server connection exists or is being made.
    pub const fn has_connection(self) -> bool {
        matches!(self, State::Connecting | State::Established)
    }

    /// Whether a connection may still come to be.
    pub const fn is_before_connection(self) -> bool {
        matches!(
            self,
            State::Initial
                | State::Request
                | State::Queued
                | State::Assigned
                | State::Connecting
                | State::Retrying
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_states_and_steps() {
        let mut table = String::new();
        for (state, row) in MATRIX.iter().enumerate() {
            let steps: Vec<String> = row
                .iter()
                .enumerate()
                .filter_map(|(e, to)| {
                    let step = TRANSITIONS.iter().find(|t| t.1 as usize == e)?.1;
                    to.map(|to| format!("{step:?}→{to:?}"))
                })
                .collect();
            let from = TRANSITIONS.iter().find(|t| t.0 as usize == state).map(|t| t.0);
            table.push_str(&format!("{from:?}: {}\n", steps.join(" ")));
        }
        insta::assert_snapshot!(table);
    }
}
