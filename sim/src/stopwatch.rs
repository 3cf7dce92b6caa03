//! Where the time of a run goes: which part of the simulator, or the engine, has it at each moment.
//! It has no clock of its own; the program lends it one. Without one it costs a look at a flag.

use std::cell::Cell;
use std::rc::Rc;

/// Whose time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The configuration's way to a site, engines, hosts; and their end.
    Setup,
    /// The engines' turns, with the audit of each.
    Engine,
    /// The network: what the engines and the actors ask of it, and what happens in it.
    Network,
    /// Hashing what passes between the engines and the network, and the engines' whole state.
    Digest,
    /// Clients and servers: requests and answers made, read and checked.
    Actors,
    /// The log lines that arrived, the limits.
    Auditor,
    /// Who is next, and when.
    World,
}

/// Every part, in order.
pub const PARTS: [Part; 7] = [
    Part::Setup,
    Part::Engine,
    Part::Network,
    Part::Digest,
    Part::Actors,
    Part::Auditor,
    Part::World,
];

impl Part {
    /// What it is, for a table.
    pub fn name(self) -> &'static str {
        match self {
            Part::Setup => "setup: configuration, engines, their end",
            Part::Engine => "engines, and the audit of each turn",
            Part::Network => "network",
            Part::Digest => "digests: calls, results, whole states",
            Part::Actors => "clients and servers",
            Part::Auditor => "auditor: log lines, limits, the end",
            Part::World => "world: whose turn it is",
        }
    }
}

/// Nanoseconds since whenever.
pub type Clock = fn() -> u64;

/// Time by part.
pub type Spent = [u64; PARTS.len()];

/// A stopwatch that all who are part of a run hold.
#[derive(Clone, Debug, Default)]
pub struct Stopwatch(Option<Rc<Running>>);

#[derive(Debug)]
struct Running {
    clock: Clock,
    spent: Cell<Spent>,
    part: Cell<Part>,
    since: Cell<u64>,
}

impl Stopwatch {
    /// One that runs, if there is a clock. It begins with the setup.
    pub fn new(clock: Option<Clock>) -> Stopwatch {
        Stopwatch(clock.map(|clock| {
            let (spent, part) = (Cell::default(), Cell::new(Part::Setup));
            Rc::new(Running { clock, spent, part, since: Cell::new(clock()) })
        }))
    }

    /// From now on it is that part's time. Says whose it was.
    pub fn switch(&self, to: Part) -> Part {
        let Some(running) = &self.0 else { return to };
        let now = (running.clock)();
        let from = running.part.replace(to);
        let mut spent = running.spent.get();
        spent[from as usize] += now - running.since.replace(now);
        running.spent.set(spent);
        from
    }

    /// It is that part's time until what is returned is dropped.
    pub fn within(&self, part: Part) -> Within {
        Within(self.0.is_some().then(|| (self.clone(), self.switch(part))))
    }

    /// What was spent so far.
    pub fn spent(&self) -> Spent {
        self.0.as_ref().map_or(Spent::default(), |running| running.spent.get())
    }
}

/// Gives the time back to the part that had it before.
#[derive(Debug)]
pub struct Within(Option<(Stopwatch, Part)>);

impl Drop for Within {
    fn drop(&mut self) {
        if let Some((watch, before)) = &self.0 {
            watch.switch(*before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    thread_local! {
        static NOW: Cell<u64> = const { Cell::new(5) };
    }

    fn wait(n: u64) {
        NOW.set(NOW.get() + n);
    }

    #[test]
    fn each_part_has_its_own_time_and_not_that_of_those_within() {
        let watch = Stopwatch::new(Some(|| NOW.get()));
        wait(1);
        {
            let _engine = watch.within(Part::Engine);
            wait(10);
            {
                let _network = watch.within(Part::Network);
                wait(100);
            }
            wait(10);
        }
        wait(1);
        watch.switch(Part::World);
        let mut expected = Spent::default();
        expected[Part::Setup as usize] = 2;
        expected[Part::Engine as usize] = 20;
        expected[Part::Network as usize] = 100;
        assert_eq!(watch.spent(), expected);
        assert_eq!(Stopwatch::default().spent(), Spent::default());
    }
}
