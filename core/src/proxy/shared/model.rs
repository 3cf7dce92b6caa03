//! The gate and the limits against a model that is too simple to be wrong: everybody who waits is
//! in one list, in the order in which they are served, and each step looks through it from the
//! start.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::tests::{server, site};
use super::*;
use crate::time::Instant;

const ENGINES: u32 = 3;
const SERVERS: u32 = 3;

/// One step. Picks are taken modulo what there is to pick from; with nothing to pick it is skipped.
#[derive(Clone, Debug)]
enum Step {
    Slot { server: u32 },
    Enqueue { engine: u32, server: Option<u32>, rank: Rank },
    Cancel { pick: usize },
    Free { pick: usize },
    Collect { engine: u32 },
    SetSlots { server: u32, max: u32 },
    SetTakes { server: u32, takes: bool },
    Requeue { server: Option<u32> },
    Acquire { engine: u32 },
    Release,
    SetLimit { max: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    let engine = || 0..ENGINES;
    let server = || 0..SERVERS;
    prop_oneof![
        6 => server().prop_map(|server| Step::Slot { server }),
        8 => (engine(), prop::option::of(server()), rank())
            .prop_map(|(engine, server, rank)| Step::Enqueue { engine, server, rank }),
        3 => any::<usize>().prop_map(|pick| Step::Cancel { pick }),
        8 => any::<usize>().prop_map(|pick| Step::Free { pick }),
        4 => engine().prop_map(|engine| Step::Collect { engine }),
        1 => (server(), 0..4u32).prop_map(|(server, max)| Step::SetSlots { server, max }),
        2 => (server(), any::<bool>()).prop_map(|(server, takes)| Step::SetTakes { server, takes }),
        1 => prop::option::of(server()).prop_map(|server| Step::Requeue { server }),
        6 => engine().prop_map(|engine| Step::Acquire { engine }),
        6 => Just(Step::Release),
        1 => (0..4u32).prop_map(|max| Step::SetLimit { max }),
    ]
}

/// Most have none; clocks that go back and forth a little, and offsets that matter beside them.
fn rank() -> impl Strategy<Value = Rank> {
    let class = prop_oneof![3 => Just(0), 1 => -1..=1i32];
    let offset = prop_oneof![3 => Just(0), 1 => -5..=5i32];
    (class, offset, 0..10u64).prop_map(|(class, offset, millis)| {
        Rank::new((class, offset), Instant::from_nanos(millis * 1_000_000))
    })
}

#[derive(Clone, Copy, Debug)]
struct Place {
    who: Waiter,
    server: Option<u32>,
    ticket: Ticket,
    /// How many of its queue were served since it came.
    served: u32,
    /// Its class, and when it came, with its offset.
    turn: (u16, u64),
}

#[derive(Default)]
struct Model {
    max: [u32; 3],
    queue_max: [u32; 3],
    used: [u32; 3],
    takes: [bool; 3],
    /// Everybody who waits: by class and time, and of one time by arrival.
    places: Vec<Place>,
    arrivals: u64,
    clock: u64,
    /// Tickets that are void.
    void: Vec<Ticket>,
    mail: [Vec<Message>; 3],
    sessions: u32,
    limit: u32,
    held: u32,
    waiting: [bool; 3],
}

impl Model {
    fn has_slot(&self, server: u32) -> bool {
        let server = server as usize;
        self.max[server] == 0 || self.used[server] < self.max[server]
    }

    fn length(&self, server: Option<u32>) -> u32 {
        self.places.iter().filter(|place| place.server == server).count() as u32
    }

    /// Serves whoever can be served by `server`, from the start of the list. Returns whom to wake.
    fn serve(&mut self, server: u32) -> Wake {
        let mut wake = Wake::NONE;
        while self.has_slot(server) {
            let takes = self.takes[server as usize];
            let fits = |place: &Place| match place.server {
                Some(own) => own == server,
                None => takes,
            };
            let Some(at) = self.places.iter().position(fits) else { break };
            let Place { who, server: queue, ticket, served, .. } = self.places.remove(at);
            for place in self.places.iter_mut().filter(|place| place.server == queue) {
                place.served += 1;
            }
            self.used[server as usize] += 1;
            self.void.push(ticket);
            let (session, serial, position) = (who.session, who.serial, served + 1);
            wake.add(self.post(who.engine, Message::Granted { session, serial, server, position }));
        }
        wake
    }

    fn requeue(&mut self, server: Option<u32>) -> (u32, Wake) {
        let (gone, stay) = self.places.iter().partition::<Vec<_>, _>(|p| p.server == server);
        self.places = stay;
        let mut wake = Wake::NONE;
        for Place { who, ticket, served, .. } in &gone {
            let Waiter { engine, session, serial, .. } = *who;
            let position = served + 1;
            wake.add(self.post(engine, Message::Requeue { session, serial, position }));
            self.void.push(*ticket);
        }
        (gone.len() as u32, wake)
    }

    fn resume(&mut self) -> Wake {
        let mut wake = Wake::NONE;
        if self.limit == 0 || self.held < self.limit {
            for engine in 0..ENGINES {
                let resume = Message::Resume(LimitId::Process);
                let waited = core::mem::take(&mut self.waiting[engine as usize]);
                if waited && !self.mail[engine as usize].contains(&resume) {
                    wake.add(self.post(engine, resume));
                }
            }
        }
        wake
    }

    fn post(&mut self, engine: u32, message: Message) -> Wake {
        let mailbox = &mut self.mail[engine as usize];
        mailbox.push(message);
        if mailbox.len() == 1 { Wake::one(engine) } else { Wake::NONE }
    }

    fn step(&mut self, shared: &Shared, step: &Step) {
        match *step {
            Step::Slot { server } => {
                let expected = if self.max[server as usize] == 0 {
                    Slot::Unlimited
                } else if self.has_slot(server) {
                    self.used[server as usize] += 1;
                    Slot::Granted
                } else {
                    Slot::Full
                };
                assert_eq!(shared.slot(server), expected);
            }
            Step::Enqueue { engine, server, rank } => {
                self.sessions += 1;
                let serial = u64::from(self.sessions);
                let who = Waiter { engine, session: self.sessions, serial, rank };
                self.enqueue(who, server, shared.enqueue(0, server, who));
            }
            Step::Cancel { pick } => self.cancel(shared, pick),
            Step::Free { pick } => {
                // Slots that only a message owns are freed too: by an engine whose session is gone.
                let used: Vec<u32> = (0..SERVERS).filter(|s| self.used[*s as usize] > 0).collect();
                let mailed = |s: u32| {
                    self.mail.iter().flatten().filter(
                        move |m| matches!(m, Message::Granted { server, .. } if *server == s),
                    )
                };
                let held: Vec<u32> = used
                    .into_iter()
                    .filter(|s| self.used[*s as usize] as usize > mailed(*s).count())
                    .collect();
                if let Some(server) = pick_from(&held, pick) {
                    self.used[server as usize] -= 1;
                    let wake = self.serve(server);
                    assert_eq!(shared.free(server), wake);
                }
            }
            Step::Collect { engine } => {
                let mut got = Vec::new();
                shared.collect(engine, &mut got);
                assert_eq!(got, core::mem::take(&mut self.mail[engine as usize]));
            }
            Step::SetSlots { server, max } => {
                self.max[server as usize] = max;
                let wake = self.serve(server);
                assert_eq!(shared.set_slots(server, max), wake);
            }
            Step::SetTakes { server, takes } => {
                self.takes[server as usize] = takes;
                let wake = self.serve(server);
                assert_eq!(shared.set_takes(server, takes), wake);
            }
            Step::Requeue { server } => {
                let expected = self.requeue(server);
                let got = server.map_or_else(|| shared.requeue_backend(0), |s| shared.requeue(s));
                assert_eq!(got, expected);
            }
            Step::Acquire { engine } => {
                let room = self.limit == 0 || self.held < self.limit;
                self.held += u32::from(room);
                self.waiting[engine as usize] |= !room;
                assert_eq!(shared.acquire(LimitId::Process, engine), room);
            }
            Step::Release if self.held > 0 => {
                self.held -= 1;
                let wake = self.resume();
                assert_eq!(shared.release(LimitId::Process), wake);
            }
            Step::Release => {}
            Step::SetLimit { max } => {
                self.limit = max;
                let wake = self.resume();
                assert_eq!(shared.set_limit(LimitId::Process, max), wake);
            }
        }
    }

    fn enqueue(&mut self, who: Waiter, server: Option<u32>, got: Queued) {
        let free = match server {
            Some(server) => self.has_slot(server).then_some(server),
            None => (0..SERVERS).find(|s| self.takes[*s as usize] && self.has_slot(*s)),
        };
        let length = self.length(server);
        let queue_max = server.map_or(0, |server| self.queue_max[server as usize]);
        match got {
            Queued::Granted(server) => {
                assert_eq!(free, Some(server));
                self.used[server as usize] += 1;
            }
            Queued::Full(said) => {
                assert_eq!((free, said, length), (None, queue_max, queue_max));
            }
            Queued::Waiting { ticket, ahead: said } => {
                assert!(queue_max == 0 || length < queue_max);
                assert!(self.arrivals <= ticket.arrival());
                self.arrivals = ticket.arrival() + 1;
                self.clock = self.clock.max(who.rank.came);
                let turn = (who.rank.class, self.clock + u64::from(who.rank.offset));
                let later = self.places.iter().position(|place| place.turn > turn);
                let at = later.unwrap_or(self.places.len());
                let ahead = self.places[..at].iter().filter(|place| place.server == server);
                assert_eq!((free, said as usize), (None, ahead.count()));
                self.places.insert(at, Place { who, server, ticket, served: 0, turn });
            }
        }
    }

    fn cancel(&mut self, shared: &Shared, pick: usize) {
        let waiting: Vec<Ticket> = self.places.iter().map(|place| place.ticket).collect();
        let tickets = [waiting, self.void.clone()].concat();
        let Some(ticket) = pick_from(&tickets, pick) else { return };
        let at = self.places.iter().position(|place| place.ticket == ticket);
        let expected = at.map_or(Cancel::Late, |at| {
            let place = self.places.remove(at);
            self.void.push(ticket);
            Cancel::Cancelled { position: place.served + 1 }
        });
        assert_eq!(shared.cancel(ticket), expected);
    }

    fn compare(&self, shared: &Shared) {
        for server in 0..SERVERS {
            let i = server as usize;
            let lengths = (self.length(Some(server)), self.length(None));
            assert_eq!(shared.queue_lengths(0, Some(server)), lengths);
            assert_eq!(shared.slots_used(server), self.used[i]);
            assert_eq!(shared.full(server), !self.has_slot(server));
        }
        assert_eq!(shared.used(LimitId::Process), self.held);
        for engine in 0..ENGINES {
            assert_eq!(shared.has_mail(engine), !self.mail[engine as usize].is_empty());
        }
        shared.audit();
    }

    /// Ends everything: every slot is freed, and whoever waits is served or leaves.
    fn drain(&mut self, shared: &Shared) {
        for server in 0..SERVERS {
            self.step(shared, &Step::SetTakes { server, takes: true });
        }
        while self.used.iter().any(|used| *used > 0) {
            (0..ENGINES).for_each(|engine| self.step(shared, &Step::Collect { engine }));
            self.step(shared, &Step::Free { pick: 0 });
            self.compare(shared);
        }
        (0..self.held).for_each(|_| self.step(shared, &Step::Release));
        (0..ENGINES).for_each(|engine| self.step(shared, &Step::Collect { engine }));
        assert!(self.places.is_empty(), "{:?}", self.places);
        assert!(shared.is_idle());
    }
}

fn pick_from<T: Copy>(from: &[T], pick: usize) -> Option<T> {
    pick.checked_rem(from.len()).map(|at| from[at])
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(0x7469_6465),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_door_does_what_the_model_does(steps in prop::collection::vec(step(), 1..120)) {
        let max = [1, 2, 1];
        let queue_max = [0, 2, 0];
        let servers = max.into_iter().zip(queue_max).map(|(max, queue)| server(max, queue));
        let shared = Shared::new(&site(servers.collect()), ENGINES);
        let mut model = Model { max, queue_max, takes: [true; 3], limit: 3, ..Model::default() };
        for step in &steps {
            model.step(&shared, step);
            model.compare(&shared);
        }
        model.drain(&shared);
    }
}
