//! Signals: a handler only notes what came and pokes the main thread, which passes it on to every
//! engine; the engine acts on it in its next turn. TERM and INT are not handled: they end the
//! process at once, as with HAProxy (the demonstration is an exception).

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use signal_hook::consts::{
    SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2,
};
use signal_hook::{flag, low_level};
use tidegate_core::engine::Signal;

/// What each handled signal means to an engine, in the order in which they are delivered.
const MEANINGS: [(i32, Signal); 5] = [
    (SIGUSR1, Signal::SoftStop),
    (SIGTTOU, Signal::Pause),
    (SIGTTIN, Signal::Resume),
    (SIGHUP, Signal::DumpState),
    (SIGQUIT, Signal::TrimPools),
];

/// Signals that must neither end nor stop the process.
const IGNORED: [i32; 2] = [SIGUSR2, SIGPIPE];

/// Which signals are handled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Handled {
    /// What HAProxy handles.
    Daemon,
    /// INT and TERM too: the first is a soft stop, a second one ends the process at once.
    Demo,
}

/// The receiving end, for the main thread.
#[derive(Debug)]
pub struct Signals {
    noted: [Arc<AtomicBool>; MEANINGS.len()],
    poked: UnixStream,
    poke: UnixStream,
}

impl Signals {
    /// Installs the handlers.
    pub fn install(handled: Handled) -> io::Result<Signals> {
        let (poked, poke) = UnixStream::pair()?;
        let noted: [Arc<AtomicBool>; MEANINGS.len()] = Default::default();
        for ((signal, _), flag) in MEANINGS.iter().zip(&noted) {
            // Handlers run in the order of their registration: noted first, then poked.
            flag::register(*signal, Arc::clone(flag))?;
            low_level::pipe::register(*signal, poke.try_clone()?)?;
        }
        for signal in IGNORED {
            flag::register(signal, Arc::new(AtomicBool::new(false)))?;
        }
        if handled == Handled::Demo {
            let [stop, ..] = &noted;
            let again = Arc::new(AtomicBool::new(false));
            for signal in [SIGINT, SIGTERM] {
                flag::register_conditional_default(signal, Arc::clone(&again))?;
                flag::register(signal, Arc::clone(&again))?;
                flag::register(signal, Arc::clone(stop))?;
                low_level::pipe::register(signal, poke.try_clone()?)?;
            }
        }
        Ok(Signals { noted, poked, poke })
    }

    /// Something that wakes [`Signals::wait`] when it is dropped.
    pub fn doorbell(&self) -> io::Result<Doorbell> {
        Ok(Doorbell(self.poke.try_clone()?))
    }

    /// Waits until a signal has come or a doorbell was rung, and returns what came.
    pub fn wait(&mut self) -> Vec<Signal> {
        let mut pokes = [0; 64];
        // Interrupted, or readable: in both cases the flags say what it was about.
        let _ = self.poked.read(&mut pokes);
        MEANINGS
            .iter()
            .zip(&self.noted)
            .filter(|(_, flag)| flag.swap(false, Ordering::SeqCst))
            .map(|((_, meaning), _)| *meaning)
            .collect()
    }
}

/// Wakes the main thread when dropped: also when its thread panics.
#[derive(Debug)]
pub struct Doorbell(UnixStream);

impl Drop for Doorbell {
    fn drop(&mut self) {
        let _ = self.0.write(&[0]);
    }
}

/// Where the main thread leaves signals for one engine.
#[derive(Debug, Default)]
pub struct Letterbox(AtomicU8);

impl Letterbox {
    /// Leaves a signal; the engine must be woken too.
    pub fn post(&self, signal: Signal) {
        let bit = MEANINGS.iter().position(|(_, meaning)| *meaning == signal);
        self.0.fetch_or(bit.map_or(0, |bit| 1 << bit), Ordering::AcqRel);
    }

    /// Takes what was left.
    pub fn take(&self) -> impl Iterator<Item = Signal> {
        // Most turns find nothing: a plain load does not take the line from the other threads.
        let bits = match self.0.load(Ordering::Acquire) {
            0 => 0,
            _ => self.0.swap(0, Ordering::AcqRel),
        };
        MEANINGS
            .into_iter()
            .enumerate()
            .filter(move |(bit, _)| bits & 1 << bit != 0)
            .map(|(_, (_, meaning))| meaning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letterbox_keeps_each_signal_once() {
        let letterbox = Letterbox::default();
        for signal in [Signal::DumpState, Signal::SoftStop, Signal::DumpState] {
            letterbox.post(signal);
        }
        let taken: Vec<_> = letterbox.take().collect();
        assert_eq!(taken, [Signal::SoftStop, Signal::DumpState]);
        assert_eq!(letterbox.take().count(), 0);
    }

    #[test]
    fn signals_arrive_and_ignored_ones_do_not() {
        let mut signals = Signals::install(Handled::Daemon).expect("handlers");
        for signal in [SIGUSR2, SIGTTOU] {
            low_level::raise(signal).expect("a signal to ourselves");
        }
        assert_eq!(signals.wait(), [Signal::Pause]);
        drop(signals.doorbell().expect("a doorbell"));
        assert_eq!(signals.wait(), []);
    }
}
