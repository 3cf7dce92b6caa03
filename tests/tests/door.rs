//! The door between engines under real threads: limits are never exceeded, queues stay first come
//! first served, and nobody is forgotten. The threads sleep on a bell that only a `Wake` rings, so
//! a lost wake-up is a thread that nobody wakes: the bell gives up after [`PATIENCE`] and fails.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use tidegate_core::poller::Address;
use tidegate_core::proxy::shared::{
    Cancel, LimitId, Message, Queued, Rank, Shared, Slot, Ticket, Waiter, Wake,
};
use tidegate_core::proxy::spec::{Proxy, Role, SendProxy, Server, ServerId, Site};

const ENGINES: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(30);

/// What wakes the hosts: one bell per engine.
#[derive(Default)]
struct Bells([(Mutex<bool>, Condvar); ENGINES as usize]);

impl Bells {
    fn ring(&self, wake: Wake) {
        for engine in wake {
            let (rung, bell) = &self.0[engine as usize];
            *rung.lock().unwrap() = true;
            bell.notify_one();
        }
    }

    fn wait(&self, engine: u32) {
        let (rung, bell) = &self.0[engine as usize];
        let rung = rung.lock().unwrap();
        let (mut rung, late) = bell.wait_timeout_while(rung, PATIENCE, |rung| !*rung).unwrap();
        assert!(!late.timed_out(), "engine {engine} was never woken");
        *rung = false;
    }
}

/// How many hold something, counted independently of the door.
struct Held {
    now: AtomicU32,
    most: AtomicU32,
    max: u32,
}

impl Held {
    fn new(max: u32) -> Self {
        Held { now: AtomicU32::new(0), most: AtomicU32::new(0), max }
    }

    fn take(&self) {
        let now = self.now.fetch_add(1, SeqCst) + 1;
        assert!(now <= self.max, "{now} hold it, not {}", self.max);
        self.most.fetch_max(now, SeqCst);
    }

    fn give(&self) {
        self.now.fetch_sub(1, SeqCst);
    }
}

/// One backend whose servers have these limits, in a process with a `maxconn` of 3.
fn shared(maxconns: &[u32]) -> Shared {
    let servers = maxconns.iter().map(|maxconn| Server {
        name: Arc::from("s"),
        backend: 0,
        id: 1,
        address: Some(Address::Inet(SocketAddr::from((Ipv4Addr::LOCALHOST, 80)))),
        port_offset: None,
        weight: 1,
        backup: false,
        disabled: false,
        maxconn: *maxconn,
        maxqueue: 0,
        pool_max: None,
        pool_purge_delay: tidegate_core::time::Duration::from_secs(5),
        max_reuse: None,
        source: None,
        user_timeout: None,
        send_proxy: SendProxy::NONE,
    });
    let proxy =
        Proxy { role: Role::BACKEND, servers: 0..maxconns.len() as u32, ..Proxy::default() };
    let mut site = Site { proxies: vec![proxy], servers: servers.collect(), ..Site::default() };
    site.global.maxconn = 3;
    Shared::new(&site, ENGINES)
}

#[test]
fn a_connection_limit_holds_and_whoever_was_refused_is_told() {
    const EACH: u32 = 20_000;
    let (shared, bells, held) = (shared(&[]), Bells::default(), Held::new(3));
    let refused = AtomicU32::new(0);
    let engine = |id: u32| {
        let mut mail = Vec::new();
        let mut done = 0;
        while done < EACH {
            mail.clear();
            shared.collect(id, &mut mail);
            if !shared.acquire(LimitId::Process, id) {
                refused.fetch_add(1, SeqCst);
                if !shared.has_mail(id) {
                    bells.wait(id);
                }
                continue;
            }
            held.take();
            if done % 64 == 0 {
                thread::yield_now();
                shared.audit();
            }
            held.give();
            bells.ring(shared.release(LimitId::Process).without(id));
            done += 1;
        }
    };
    // All three are held until someone was refused: whatever the scheduler does, the limit is met.
    (0..3).for_each(|_| assert!(shared.acquire(LimitId::Process, 0)));
    thread::scope(|scope| {
        (0..ENGINES).for_each(|id| _ = scope.spawn(move || engine(id)));
        while refused.load(SeqCst) == 0 {
            thread::yield_now();
        }
        (0..3).for_each(|_| bells.ring(shared.release(LimitId::Process)));
    });
    assert_eq!(shared.used(LimitId::Process), 0);
    shared.audit();
}

/// What one engine of the queue tests knows of a session.
enum State {
    Waiting { ticket: Ticket, ahead: u32 },
    Gone,
}

struct Queues<'a> {
    shared: &'a Shared,
    bells: &'a Bells,
    held: &'a [Held],
    /// Every so many-th waiter leaves the queue; 0: none.
    leaves: u32,
}

impl Queues<'_> {
    /// Runs `each` sessions on engine `id`, up to 8 at a time. Returns how many had to wait.
    fn run(&self, id: u32, each: u32) -> u32 {
        let Queues { shared, bells, held, leaves } = *self;
        let mut sessions: Vec<State> = Vec::new();
        let mut holding: Vec<ServerId> = Vec::new();
        let (mut mail, mut waiting, mut done, mut waited) = (Vec::new(), 0_u32, 0, 0);
        while done < each {
            shared.collect(id, &mut mail);
            for message in mail.drain(..) {
                let Message::Granted { session, serial, server, position } = message else {
                    panic!("{message:?}");
                };
                assert_eq!(serial, u64::from(session));
                match core::mem::replace(&mut sessions[session as usize], State::Gone) {
                    State::Waiting { ahead, .. } => {
                        // First come, first served: those ahead, and nobody else.
                        let behind = ahead + 1 - position;
                        assert!(leaves > 0 || behind == 0, "{position} with {ahead} ahead");
                        held[server as usize].take();
                        holding.push(server);
                        waiting -= 1;
                    }
                    State::Gone => bells.ring(shared.free(server).without(id)),
                }
            }
            let started = sessions.len() as u32;
            if started < each && waiting + (holding.len() as u32) < 8 {
                // The queue of either server, or the backend's.
                let want = (started % 3).checked_sub(1);
                let slot = shared.slot(want.unwrap_or(started % 2));
                let serial = u64::from(started);
                let who = Waiter { engine: id, session: started, serial, rank: Rank::default() };
                let granted = match slot {
                    Slot::Granted => Some(want.unwrap_or(started % 2)),
                    Slot::Unlimited => panic!("both have a limit"),
                    Slot::Full => match shared.enqueue(0, want, who) {
                        Queued::Granted(server) => Some(server),
                        Queued::Full(_) => panic!("there is no maxqueue"),
                        Queued::Waiting { ticket, ahead } => {
                            sessions.push(State::Waiting { ticket, ahead });
                            waiting += 1;
                            waited += 1;
                            None
                        }
                    },
                };
                if let Some(server) = granted {
                    held[server as usize].take();
                    holding.push(server);
                    sessions.push(State::Gone);
                }
                if leaves > 0 && started.is_multiple_of(leaves) {
                    done += self.leave(&mut sessions, &mut waiting);
                }
            } else if let Some(server) = holding.pop() {
                held[server as usize].give();
                bells.ring(shared.free(server).without(id));
                done += 1;
            } else if !shared.has_mail(id) {
                bells.wait(id);
            }
            if done % 256 == 0 {
                shared.audit();
            }
        }
        // Grants that came too late for their sessions.
        shared.collect(id, &mut mail);
        for message in mail.drain(..) {
            let Message::Granted { server, .. } = message else { panic!("{message:?}") };
            bells.ring(shared.free(server).without(id));
        }
        waited
    }

    /// The oldest waiter leaves, whether it was granted meanwhile or not. Returns 1 if one did.
    fn leave(&self, sessions: &mut [State], waiting: &mut u32) -> u32 {
        let waits = |state: &&mut State| matches!(state, State::Waiting { .. });
        let Some(state) = sessions.iter_mut().rev().take(64).filter(waits).last() else {
            return 0;
        };
        let State::Waiting { ticket, ahead } = core::mem::replace(state, State::Gone) else {
            unreachable!("it was just seen waiting");
        };
        match self.shared.cancel(ticket) {
            Cancel::Cancelled { position } => assert!(position <= ahead + 1),
            // The message will find it gone.
            Cancel::Late => {}
        }
        *waiting -= 1;
        1
    }
}

fn run_queues(leaves: u32) {
    const EACH: u32 = 6_000;
    let (shared, bells) = (shared(&[1, 2]), Bells::default());
    let held = [Held::new(1), Held::new(2)];
    let queues = Queues { shared: &shared, bells: &bells, held: &held, leaves };
    let waited: u32 = thread::scope(|scope| {
        let engines: Vec<_> = (0..ENGINES)
            .map(|id| {
                scope.spawn({
                    let queues = &queues;
                    move || queues.run(id, EACH)
                })
            })
            .collect();
        engines.into_iter().map(|engine| engine.join().unwrap()).sum()
    });
    shared.audit();
    assert!(shared.is_idle());
    assert!(waited > 100, "only {waited} ever waited");
    assert_eq!(held.each_ref().map(|held| held.most.load(SeqCst)), [1, 2]);
}

#[test]
fn slots_are_exact_and_queues_first_come_first_served() {
    run_queues(0);
}

#[test]
fn a_slot_that_comes_too_late_is_not_lost() {
    run_queues(5);
}
