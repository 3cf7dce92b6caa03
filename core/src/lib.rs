//! The sans-IO core of Tidegate: a TCP and HTTP proxy as a value that is *turned*. It has no clock,
//! socket, thread or randomness of its own; [`engine::Engine::turn`] is one cycle of the loop, and
//! everything that it needs of the world comes through [`poller::Poller`], [`config::Host`] and its
//! arguments.
//!
//! Floors, bottom to top. A module uses only modules of lower floors, or of its own floor to the
//! left; two joined by `+` know each other. `core/tests/floors.rs` reads this table and every
//! `crate::` path, and holds it so.
//!
//! | floor | modules | what lives there |
//! |---|---|---|
//! | 0 | `time rng bits fault check digest planted` | time, chance, bits, typed ends, assertions |
//! | 1 | `poller balance` | the boundary's trait · algorithms: servers and a key in, a choice out |
//! | 2 | `http config` | messages · lexer, statements, diagnostics: no meaning yet |
//! | 3 | `sample+acl+rule+logfmt+proxy` | values, conditions, actions, lines · the site |
//! | 4 | `buf pool fds timers tasks` | buffers · owners, ready bits, cached list · scheduler |
//! | 5 | `conn channel side` | connections · one direction of data · the server side's states |
//! | 6 | `txn reply` | both heads of a transaction · our own answers |
//! | 7 | `session+analyser agent` | one exchange, what looks at it · what has no client |
//! | 8 | `build` | statements to a site |
//! | 9 | `audit engine` | invariants over the whole · the only files that call `Poller` |
//! | test | `script` | a scripted poller, for tests and fuzzers |
//!
//! # Where each mechanism of an event-driven proxy lives
//!
//! | mechanism | room |
//! |---|---|
//! | run loop, cut at the poll | [`engine`]: `Engine::turn`, [`engine::Park`] |
//! | signal queue | `engine/signal.rs` |
//! | wait queue with lazy re-queue | [`tasks`], [`timers`] |
//! | run queue with wake reasons | [`tasks`] ([`tasks::Woken`]) |
//! | `jobs == 0` ends the process | `Engine::park`: [`engine::Park::Done`] |
//! | poller with the contract P1–P13 | [`poller`] |
//! | ready bits and cached events | [`fds`]; speculative I/O: `engine/accept.rs` |
//! | listener states, `tune.maxaccept` | `engine/accept.rs` ([`engine::ListenerState`]) |
//! | protocols (tcp4, tcp6, unix, `fd@N`) | [`poller::Address`]; the host makes the sockets |
//! | session_accept | `engine/accept.rs` (`welcome`) |
//! | frontend_accept | `engine/client.rs` (`start_session`) |
//! | session with two sides and two channels | [`session`], [`side`], [`channel`] |
//! | task per session | `engine/client.rs`, [`tasks::Work`] |
//! | connection, transport, mux | [`conn`]: [`conn::Transport`], [`conn::Mux`], [`conn::Client`] |
//! | owner dispatch | [`fds::Owner`], `Engine::dispatch`; one without a client: [`agent::log`] |
//! | forwarding a ring | [`agent::ring`], `engine/forward.rs` |
//! | buffers only while there are bytes | [`buf`], [`pool`], `engine/run.rs` (`tidy`) |
//! | recv path into the channel, shutr on EOF | `engine/io.rs` (`Receiver`) |
//! | send path, shutw after the last byte | `engine/io.rs` (`send_channel`) |
//! | splice through `to_forward` | `engine/splice.rs`, `Channel::to_forward` |
//! | analysers in order, with switching rules | [`analyser`], [`channel::Analysers`] |
//! | server choice | `engine/connect.rs`, [`balance`] |
//! | connect, retries, redispatch | `engine/connect.rs`, `session/close.rs` |
//! | queues and `maxconn` across threads | [`proxy::shared`], `engine/mail.rs` |
//! | recording what other threads say | [`proxy::shared::Witness`] |
//! | forward | `analyser/forward.rs` |
//! | orderly release of everything | `engine/run.rs` (`finish`), `engine/client.rs` |
//! | audit, digest of all state | [`audit`], [`digest`] |
#![forbid(unsafe_code)]

// Its macro is for all that follow.
#[macro_use]
pub mod planted;

pub mod acl;
pub mod agent;
pub mod analyser;
pub mod audit;
pub mod balance;
pub mod bits;
pub mod buf;
pub mod build;
pub mod channel;
pub mod check;
pub mod config;
pub mod conn;
pub mod digest;
pub mod engine;
pub mod fault;
pub mod fds;
pub mod http;
pub mod logfmt;
pub mod poller;
pub mod pool;
pub mod proxy;
pub mod reply;
pub mod rng;
pub mod rule;
pub mod sample;
pub mod script;
pub mod session;
pub mod side;
pub mod tasks;
pub mod time;
pub mod timers;
pub mod txn;
