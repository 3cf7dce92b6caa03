//! Tasks and their two queues: the run queue (FIFO, a task is in it once, with the reasons it was
//! woken) and, through [`crate::timers`], the wait queue.
//!
//! A task is what the scheduler knows of a client, a session or an agent; it has no code of its
//! own.

use core::hash::{Hash, Hasher};

use crate::bit_set;
use crate::invariant;
use crate::sometimes;
use crate::time::{Deadline, Instant};
use crate::timers::Wheel;

/// A task's place in the table.
pub type TaskId = u32;

/// Stands for no task.
pub const NO_TASK: TaskId = u32::MAX;

/// Whose task it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Work {
    /// A client between sessions: its idle deadline, its lingering end.
    Client(u32),
    /// A session.
    Session(u32),
    /// The engine's own housekeeping.
    Engine(Chore),
    /// What forwards a ring to a server.
    Forwarder(u32),
}

/// The engine's own timed work.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Chore {
    /// Try accepting again after a shortage of descriptors.
    Shortage,
    /// Purge idle server connections.
    Purge,
    /// Reopen log sinks that failed.
    Sinks,
    /// End what a soft stop left over (`hard-stop-after`).
    HardStop,
}

bit_set! {
    /// Why a task runs.
    pub struct Woken: u8 {
        /// It is new.
        INIT = 1,
        /// Bytes moved, or a socket changed.
        IO = 2,
        /// Its deadline came.
        TIMER = 4,
        /// A queue gave it a server, or another engine wrote to it.
        MESSAGE = 8,
        /// The process is stopping.
        SIGNAL = 16,
    }
}

#[derive(Clone, Copy, Debug, Hash)]
struct Task {
    work: Option<Work>,
    woken: Woken,
    place: Place,
    nice: i16,
    deadline: Deadline,
    next_free: u32,
}

bit_set! {
    /// Where a task stands in the run queue. One byte, so that waking a task which is neither
    /// queued nor nice looks at one thing.
    struct Place: u8 {
        /// On the run queue.
        QUEUED = 1,
        /// [`Tasks::set_nice`] was asked for it.
        NICE = 2,
        /// It stands where it came, and not yet where its niceness puts it.
        UNSORTED = 4,
    }
}

/// How many places one step of niceness is worth, as in HAProxy by default.
const NICE_STEP: i64 = 200;

/// Every task of one engine.
#[derive(Debug)]
pub struct Tasks {
    table: Vec<Task>,
    free: u32,
    run: std::collections::VecDeque<TaskId>,
    wheel: Wheel,
    expired: Vec<TaskId>,
    /// Some task on the run queue stands where it came and not where its niceness puts it.
    unsorted: bool,
    /// Tasks that exist.
    pub live: u32,
}

impl Default for Tasks {
    fn default() -> Self {
        Tasks {
            table: Vec::new(),
            free: NO_TASK,
            run: std::collections::VecDeque::new(),
            wheel: Wheel::default(),
            expired: Vec::new(),
            unsorted: false,
            live: 0,
        }
    }
}

impl Hash for Tasks {
    /// What will run, and when; how the wheel holds it does not matter.
    fn hash<H: Hasher>(&self, into: &mut H) {
        (&self.table, self.free, &self.run, self.unsorted, self.live, self.wheel.next()).hash(into);
    }
}

impl Tasks {
    /// A new task, asleep and without a deadline.
    pub fn insert(&mut self, work: Work) -> TaskId {
        let task = Task {
            work: Some(work),
            woken: Woken::NONE,
            place: Place::NONE,
            nice: 0,
            deadline: Deadline::NEVER,
            next_free: NO_TASK,
        };
        self.live += 1;
        if self.free == NO_TASK {
            self.table.push(task);
            return self.table.len() as u32 - 1;
        }
        let id = self.free;
        self.free = self.table[id as usize].next_free;
        // A removed task may still be on the run queue; it keeps its place there for its successor.
        let place = self.table[id as usize].place;
        self.table[id as usize] = Task { place, ..task };
        id
    }

    /// Ends a task.
    pub fn remove(&mut self, id: TaskId) {
        let task = &mut self.table[id as usize];
        invariant!(task.work.is_some(), "task {id} is gone");
        task.work = None;
        task.woken = Woken::NONE;
        task.deadline = Deadline::NEVER;
        task.next_free = self.free;
        self.wheel.cancel(id);
        self.free = id;
        self.live -= 1;
    }

    /// Puts a task on the run queue for a reason.
    #[inline]
    pub fn wake(&mut self, id: TaskId, why: Woken) {
        let task = &mut self.table[id as usize];
        invariant!(task.work.is_some(), "task {id} is gone");
        task.woken.set(why);
        if task.place.is_empty() {
            task.place = Place::QUEUED;
            self.run.push_back(id);
        } else if !task.place.has(Place::QUEUED) {
            self.wake_nice(id);
        }
    }

    /// Puts on the run queue what has a niceness, or had one.
    #[cold]
    fn wake_nice(&mut self, id: TaskId) {
        let task = &mut self.table[id as usize];
        task.place = Place::QUEUED;
        if task.nice != 0 {
            task.place = Place::QUEUED.with(Place::NICE).with(Place::UNSORTED);
            self.unsorted = true;
        }
        self.run.push_back(id);
    }

    /// Says how soon a task runs among those that are ready with it, from its next waking on: each
    /// step lets so many overtake it (`NICE_STEP`), or lets it overtake so many if it is below 0.
    pub fn set_nice(&mut self, id: TaskId, nice: i16) {
        let task = &mut self.table[id as usize];
        invariant!(task.work.is_some(), "task {id} is gone");
        task.nice = nice;
        task.place.set(Place::NICE);
    }

    /// Whether [`Tasks::sort`] has something to do.
    #[inline]
    pub fn is_unsorted(&self) -> bool {
        self.unsorted
    }

    /// Puts the tasks that have a niceness where it has them stand, each once: none is put back
    /// again and again.
    #[cold]
    pub fn sort(&mut self) {
        self.unsorted = false;
        let Tasks { run, table, .. } = self;
        let key = |(came, id): (i64, TaskId)| {
            let task = &mut table[id as usize];
            let moves = task.place.has(Place::UNSORTED);
            task.place.clear(Place::UNSORTED);
            (came + if moves { i64::from(task.nice) * NICE_STEP } else { 0 }, id)
        };
        let mut keyed: Vec<(i64, TaskId)> = (0..).zip(run.drain(..)).map(key).collect();
        keyed.sort_by_key(|(place, _)| *place);
        run.extend(keyed.into_iter().map(|(_, id)| id));
    }

    /// The next task to run, with the reasons.
    pub fn pop(&mut self) -> Option<(TaskId, Work, Woken)> {
        #[cfg(tidegate_planted)]
        if planted!(OrderOfAddresses) {
            // Where a fresh allocation lies is not ours to know.
            let lies = std::boxed::Box::new([0u8; 32]);
            let address = core::ptr::from_ref(&*lies).addr() >> 4;
            let len = self.run.len().max(1);
            self.run.rotate_left(address % len);
        }
        while let Some(id) = self.run.pop_front() {
            let task = &mut self.table[id as usize];
            task.place.clear(Place::QUEUED.with(Place::UNSORTED));
            let woken = core::mem::take(&mut task.woken);
            if let Some(work) = task.work
                && !woken.is_empty()
            {
                return Some((id, work, woken));
            }
        }
        None
    }

    /// Frees the room of ended tasks behind the last one that lives.
    pub fn trim(&mut self) {
        // Those on the run queue keep their place in the table.
        let lives = |task: &Task| task.work.is_some() || task.place.has(Place::QUEUED);
        let len = self.table.iter().rposition(lives).map_or(0, |last| last + 1);
        self.table.truncate(len);
        self.table.shrink_to_fit();
        self.free = NO_TASK;
        // The first of the table is the first to be taken again.
        for (id, task) in self.table.iter_mut().enumerate().rev() {
            if task.work.is_none() {
                task.next_free = self.free;
                self.free = id as TaskId;
            }
        }
        self.wheel.trim(len);
        self.run.shrink_to_fit();
        self.expired = Vec::new();
    }

    /// Tasks on the run queue.
    pub fn runnable(&self) -> usize {
        self.run.len()
    }

    /// Sets a task's deadline. Earlier re-links it; later is lazy: when the old one fires, the real
    /// one is looked at.
    #[inline]
    pub fn set_deadline(&mut self, id: TaskId, deadline: Deadline) {
        let task = &mut self.table[id as usize];
        invariant!(task.work.is_some(), "task {id} is gone");
        if task.deadline == deadline {
            return;
        }
        task.deadline = deadline;
        if let Some(at) = deadline.instant()
            && self.wheel.deadline(id).is_none_or(|linked| at < linked)
        {
            self.wheel.insert(id, at);
        }
    }

    /// A task's deadline.
    pub fn deadline(&self, id: TaskId) -> Deadline {
        self.table[id as usize].deadline
    }

    /// Wakes every task whose deadline has come, by deadline, then by insertion.
    pub fn expire(&mut self, now: Instant) {
        let mut expired = core::mem::take(&mut self.expired);
        expired.clear();
        self.wheel.expire(now, &mut expired);
        for &id in &expired {
            let deadline = self.table[id as usize].deadline;
            if deadline.is_due(now) {
                self.table[id as usize].deadline = Deadline::NEVER;
                self.wake(id, Woken::TIMER);
            } else if let Some(at) = deadline.instant().filter(|_| !planted!(TimerLost)) {
                sometimes!(TimerRequeued);
                self.wheel.insert(id, at);
            }
        }
        self.expired = expired;
    }

    /// A moment at which something may be due: never later than the earliest deadline.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.wheel.next()
    }

    /// Whose task it is; none if it is gone.
    pub fn work(&self, id: TaskId) -> Option<Work> {
        self.table.get(id as usize).and_then(|t| t.work)
    }

    /// Every task with its owner and deadline, for the audit.
    pub fn iter(&self) -> impl Iterator<Item = (TaskId, Work, Deadline)> + '_ {
        self.table
            .iter()
            .enumerate()
            .filter_map(|(id, t)| t.work.map(|work| (id as u32, work, t.deadline)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn a_task_is_queued_once_with_all_its_reasons() {
        let mut tasks = Tasks::default();
        let a = tasks.insert(Work::Session(7));
        let b = tasks.insert(Work::Client(1));
        tasks.wake(a, Woken::IO);
        tasks.wake(b, Woken::INIT);
        tasks.wake(a, Woken::TIMER);
        assert_eq!(tasks.pop(), Some((a, Work::Session(7), Woken::IO.with(Woken::TIMER))));
        assert_eq!(tasks.pop(), Some((b, Work::Client(1), Woken::INIT)));
        assert_eq!(tasks.pop(), None);
    }

    #[test]
    fn a_removed_task_never_runs_and_its_successor_only_when_woken() {
        let mut tasks = Tasks::default();
        let a = tasks.insert(Work::Session(1));
        tasks.wake(a, Woken::IO);
        tasks.remove(a);
        let b = tasks.insert(Work::Session(2));
        assert_eq!(a, b);
        assert_eq!(tasks.pop(), None);
        tasks.wake(b, Woken::INIT);
        assert_eq!(tasks.pop(), Some((b, Work::Session(2), Woken::INIT)));
    }

    #[test]
    fn the_nice_stand_back_and_the_others_come_forward() {
        for (nice, order) in [
            ([0, 0, 0, 0], [0, 1, 2, 3]),
            ([1, 0, 0, 0], [1, 2, 3, 0]),
            ([0, 0, 0, -1], [3, 0, 1, 2]),
            ([0, 5, -5, 0], [2, 0, 3, 1]),
            ([2, 1, 0, -1], [3, 2, 1, 0]),
            ([1, 1, 0, 0], [2, 3, 0, 1]),
        ] {
            let mut tasks = Tasks::default();
            let ids = [0, 1, 2, 3].map(|id| tasks.insert(Work::Session(id)));
            for (id, nice) in ids.into_iter().zip(nice) {
                if nice != 0 {
                    tasks.set_nice(id, nice);
                }
            }
            // It holds from one waking to the next.
            for _ in 0..2 {
                ids.iter().for_each(|id| tasks.wake(*id, Woken::IO));
                assert_eq!(tasks.is_unsorted(), nice != [0; 4]);
                tasks.sort();
                let ran = core::iter::from_fn(|| tasks.pop()).map(|(id, ..)| id);
                assert_eq!(ran.collect::<Vec<_>>(), order, "{nice:?}");
            }
        }
    }

    #[test]
    fn who_stood_back_once_does_not_again() {
        let mut tasks = Tasks::default();
        let nice = tasks.insert(Work::Session(0));
        tasks.set_nice(nice, 1);
        tasks.wake(nice, Woken::IO);
        tasks.sort();
        let others = [1, 2].map(|id| tasks.insert(Work::Session(id)));
        others.iter().for_each(|id| tasks.wake(*id, Woken::IO));
        assert!(!tasks.is_unsorted());
        let ran = core::iter::from_fn(|| tasks.pop()).map(|(id, ..)| id);
        assert_eq!(ran.collect::<Vec<_>>(), [nice, others[0], others[1]]);
    }

    #[test]
    fn niceness_is_not_inherited() {
        let mut tasks = Tasks::default();
        let a = tasks.insert(Work::Session(1));
        tasks.set_nice(a, 9);
        tasks.remove(a);
        let b = tasks.insert(Work::Session(2));
        assert_eq!(a, b);
        tasks.wake(b, Woken::INIT);
        assert!(!tasks.is_unsorted());
        assert_eq!(tasks.pop(), Some((b, Work::Session(2), Woken::INIT)));
        tasks.wake(b, Woken::IO);
        assert_eq!(tasks.pop(), Some((b, Work::Session(2), Woken::IO)));
    }

    #[test]
    fn room_that_is_freed_is_made_anew() {
        let mut tasks = Tasks::default();
        let ids: Vec<TaskId> = (0..10).map(|n| tasks.insert(Work::Session(n))).collect();
        ids.iter().for_each(|id| tasks.set_deadline(*id, Deadline::at(at(10))));
        tasks.wake(ids[6], Woken::IO);
        for gone in [2, 9, 6, 8, 7, 1] {
            tasks.remove(ids[gone]);
        }
        tasks.trim();
        // The one on the run queue keeps its place.
        assert_eq!((tasks.table.len(), tasks.live), (7, 4));
        let made: Vec<TaskId> = (10..14).map(|n| tasks.insert(Work::Session(n))).collect();
        assert_eq!(made, [1, 2, 6, 7]);
        assert_eq!(tasks.pop(), None, "nothing of those that ended is left");
        tasks.set_deadline(made[3], Deadline::at(at(5)));
        tasks.expire(at(10));
        let woken: Vec<Work> =
            std::iter::from_fn(|| tasks.pop()).map(|(_, work, _)| work).collect();
        assert_eq!(woken, [13, 0, 3, 4, 5].map(Work::Session));
        (0..8).for_each(|id| tasks.remove(id));
        tasks.trim();
        assert_eq!((tasks.table.capacity(), tasks.insert(Work::Session(20))), (0, 0));
    }

    #[test]
    fn later_is_lazy_and_earlier_is_at_once() {
        let mut tasks = Tasks::default();
        let a = tasks.insert(Work::Session(1));
        tasks.set_deadline(a, Deadline::at(at(10)));
        tasks.set_deadline(a, Deadline::at(at(30)));
        tasks.expire(at(20));
        assert_eq!(tasks.pop(), None);
        tasks.set_deadline(a, Deadline::at(at(25)));
        tasks.expire(at(25));
        assert_eq!(tasks.pop(), Some((a, Work::Session(1), Woken::TIMER)));
        assert!(!tasks.deadline(a).is_set());
        tasks.expire(at(100));
        assert_eq!(tasks.pop(), None);
    }

    #[test]
    fn a_cleared_deadline_does_not_fire() {
        let mut tasks = Tasks::default();
        let a = tasks.insert(Work::Session(1));
        tasks.set_deadline(a, Deadline::at(at(10)));
        tasks.set_deadline(a, Deadline::NEVER);
        tasks.expire(at(50));
        assert_eq!(tasks.pop(), None);
    }
}
