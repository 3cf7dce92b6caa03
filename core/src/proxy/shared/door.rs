//! One engine's side of what the engines share. It decides nothing: it passes every question on
//! to [`Shared`], and, if there is a [`Witness`], lets it hear the answer, or answer in its place.
//!
//! ```text
//!   engine ──► Door ──► Shared                   without a witness: a branch that is never taken
//!                └────► Witness ──► Shared       recording: it hears what was answered
//!                └────► Witness                  replaying: it answers; nothing else is asked
//! ```
//!
//! What other threads change at any moment thus has one narrow way into an engine. Only questions
//! whose answers steer the engine are witnessed; what it merely adds to the gauges has no answer.

use core::cell::{Cell, RefCell};
use core::fmt;
use std::sync::Arc;

use crate::invariant;
use crate::proxy::shared::errors::Event;
use crate::proxy::shared::{
    Cancel, Gauge, LimitId, Message, Queued, Rate, Serial, Shared, Slot, Ticket, Waiter, Wake,
};
use crate::proxy::spec::{ProxyId, ServerId};
use crate::time::Instant;

/// What an engine asks of the others' state: each is a method of [`Shared`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Question {
    /// [`Shared::gauge`]: a number.
    Gauge(Gauge),
    /// [`Shared::rate`]: a number.
    Rate(Rate, Instant),
    /// [`Shared::take_number`]: a number.
    TakeNumber(Serial),
    /// [`Shared::next_number`]: a number.
    NextNumber(Serial),
    /// [`Shared::acquire`]: a flag.
    Acquire(LimitId),
    /// [`Shared::release`] or [`Shared::release_for_good`]: whom to wake.
    Release(LimitId),
    /// [`Shared::used`]: a number.
    Used(LimitId),
    /// [`Shared::slot`]: a slot.
    Slot(ServerId),
    /// [`Shared::full`]: a flag.
    Full(ServerId),
    /// [`Shared::enqueue`]: what became of it.
    Enqueue {
        /// The backend whose queue it is.
        backend: ProxyId,
        /// The server that is wanted, if it must be this one.
        server: Option<ServerId>,
        /// Who waits.
        who: Waiter,
    },
    /// [`Shared::cancel`]: what became of it.
    Cancel(Ticket),
    /// [`Shared::free`]: whom to wake.
    Free(ServerId),
    /// [`Shared::queue_lengths`]: both lengths.
    QueueLengths(ProxyId, Option<ServerId>),
    /// [`Shared::offer`]: whom to wake, if it was taken.
    Offer {
        /// For which engine.
        engine: u32,
        /// The message.
        message: Message,
    },
    /// [`Shared::has_mail`]: a flag.
    HasMail,
    /// [`Shared::collect`]: the mail.
    Collect,
    /// [`Shared::retire`]: a flag.
    Retire,
}

/// What was answered. Which of these depends on the question alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// How many.
    Number(u32),
    /// Yes or no.
    Flag(bool),
    /// Whom to wake.
    Wake(Wake),
    /// A slot, or none.
    Slot(Slot),
    /// A place in a queue, or a slot after all.
    Queued(Queued),
    /// Out of a queue, or too late.
    Cancel(Cancel),
    /// Of the server's queue and of the backend's.
    Lengths(u32, u32),
    /// Whom to wake; none if it was not taken.
    Offered(Option<Wake>),
    /// What was in the box, oldest first.
    Mail(Vec<Message>),
}

/// Hears what the shared state answers to one engine, or answers in its place.
pub trait Witness: fmt::Debug + Send {
    /// The answer to give. None: the shared state is asked, and the witness hears what it says.
    fn answer(&mut self, question: &Question) -> Option<Answer>;

    /// What the shared state answered.
    fn heard(&mut self, question: &Question, answer: &Answer);
}

/// One engine's door to the others.
#[derive(Debug)]
pub(crate) struct Door {
    shared: Arc<Shared>,
    witness: Option<Box<Witnessed>>,
}

#[derive(Debug)]
struct Witnessed {
    witness: RefCell<Box<dyn Witness>>,
    /// The last answer to `HasMail`: what an audit goes by, which asks nobody.
    mail: Cell<bool>,
}

impl Door {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Door { shared, witness: None }
    }

    pub(crate) fn set_witness(&mut self, witness: Option<Box<dyn Witness>>) {
        let witnessed = |witness| Witnessed { witness: RefCell::new(witness), mail: false.into() };
        self.witness = witness.map(|witness| Box::new(witnessed(witness)));
    }

    #[inline]
    fn ask<A: Answered>(&self, question: &Question, live: impl FnOnce(&Shared) -> A) -> A {
        match &self.witness {
            None => live(&self.shared),
            Some(witnessed) => witnessed.pass(question, || live(&self.shared)),
        }
    }

    #[inline]
    pub(crate) fn gauge_add(&self, engine: u32, gauge: Gauge, n: i32) {
        self.shared.gauge_add(engine, gauge, n);
    }

    /// Nothing of it comes back to an engine: nobody need hear it.
    pub(crate) fn keep_error(&self, event: Box<Event>) {
        self.shared.keep_error(event);
    }

    /// Nor this.
    pub(crate) fn keep_lines<'a>(&self, ring: u32, messages: impl Iterator<Item = &'a [u8]>) {
        self.shared.keep_lines(ring, messages);
    }

    #[inline]
    pub(crate) fn gauge(&self, gauge: Gauge) -> u32 {
        self.ask(&Question::Gauge(gauge), |shared| shared.gauge(gauge))
    }

    #[inline]
    pub(crate) fn count(&self, engine: u32, rate: Rate, now: Instant) {
        self.shared.count(engine, rate, now);
    }

    pub(crate) fn rate(&self, rate: Rate, now: Instant) -> u32 {
        self.ask(&Question::Rate(rate, now), |shared| shared.rate(rate, now))
    }

    pub(crate) fn take_number(&self, serial: Serial) -> u32 {
        self.ask(&Question::TakeNumber(serial), |shared| shared.take_number(serial))
    }

    pub(crate) fn next_number(&self, serial: Serial) -> u32 {
        self.ask(&Question::NextNumber(serial), |shared| shared.next_number(serial))
    }

    #[inline]
    pub(crate) fn acquire(&self, l: LimitId, engine: u32) -> bool {
        self.ask(&Question::Acquire(l), |shared| shared.acquire(l, engine))
    }

    #[inline]
    pub(crate) fn release(&self, l: LimitId) -> Wake {
        self.ask(&Question::Release(l), |shared| shared.release(l))
    }

    pub(crate) fn release_for_good(&self, l: LimitId) -> Wake {
        self.ask(&Question::Release(l), |shared| shared.release_for_good(l))
    }

    #[inline]
    pub(crate) fn used(&self, l: LimitId) -> u32 {
        self.ask(&Question::Used(l), |shared| shared.used(l))
    }

    #[inline]
    pub(crate) fn slot(&self, server: ServerId) -> Slot {
        self.ask(&Question::Slot(server), |shared| shared.slot(server))
    }

    #[inline]
    pub(crate) fn full(&self, server: ServerId) -> bool {
        self.ask(&Question::Full(server), |shared| shared.full(server))
    }

    pub(crate) fn enqueue(
        &self,
        backend: ProxyId,
        server: Option<ServerId>,
        who: Waiter,
    ) -> Queued {
        let question = Question::Enqueue { backend, server, who };
        self.ask(&question, |shared| shared.enqueue(backend, server, who))
    }

    pub(crate) fn cancel(&self, ticket: Ticket) -> Cancel {
        self.ask(&Question::Cancel(ticket), |shared| shared.cancel(ticket))
    }

    #[inline]
    pub(crate) fn free(&self, server: ServerId) -> Wake {
        self.ask(&Question::Free(server), |shared| shared.free(server))
    }

    #[inline]
    pub(crate) fn queue_lengths(&self, backend: ProxyId, server: Option<ServerId>) -> (u32, u32) {
        let question = Question::QueueLengths(backend, server);
        self.ask(&question, |shared| shared.queue_lengths(backend, server))
    }

    pub(crate) fn offer(&self, engine: u32, message: Message) -> Option<Wake> {
        if self.witness.is_none() {
            return self.shared.offer(engine, message);
        }
        let question = Question::Offer { engine, message: message.clone() };
        self.ask(&question, |shared| shared.offer(engine, message))
    }

    #[inline]
    pub(crate) fn has_mail(&self, engine: u32) -> bool {
        match &self.witness {
            None => self.shared.has_mail(engine),
            Some(witnessed) => {
                let live = || self.shared.has_mail(engine);
                let mail = witnessed.pass(&Question::HasMail, live);
                witnessed.mail.set(mail);
                mail
            }
        }
    }

    /// Whether there is mail, for an audit: asking it leaves no trace.
    pub(crate) fn audit_mail(&self, engine: u32) -> bool {
        match &self.witness {
            None => self.shared.has_mail(engine),
            Some(witnessed) => witnessed.mail.get(),
        }
    }

    pub(crate) fn collect(&self, engine: u32, into: &mut Vec<Message>) {
        if self.witness.is_none() {
            return self.shared.collect(engine, into);
        }
        let mail: Vec<Message> = self.ask(&Question::Collect, |shared| {
            let mut mail = Vec::new();
            shared.collect(engine, &mut mail);
            mail
        });
        into.extend(mail);
    }

    pub(crate) fn retire(&self, engine: u32) -> bool {
        self.ask(&Question::Retire, |shared| shared.retire(engine))
    }
}

impl Witnessed {
    #[cold]
    #[inline(never)]
    fn pass<A: Answered>(&self, question: &Question, live: impl FnOnce() -> A) -> A {
        // Held only while the witness is told: what is asked next is asked of nobody within.
        let mut witness = self.witness.borrow_mut();
        if let Some(answer) = witness.answer(question) {
            let answer = A::of(answer);
            invariant!(answer.is_some(), "an answer of another kind to {question:?}");
            if let Some(answer) = answer {
                return answer;
            }
        }
        let answer = live();
        witness.heard(question, &answer.clone().said());
        answer
    }
}

/// What can be an answer.
trait Answered: Clone {
    fn said(self) -> Answer;
    fn of(answer: Answer) -> Option<Self>;
}

macro_rules! answered {
    ($($type:ty => $kind:ident,)*) => {$(
        impl Answered for $type {
            fn said(self) -> Answer {
                Answer::$kind(self)
            }

            fn of(answer: Answer) -> Option<Self> {
                match answer {
                    Answer::$kind(inner) => Some(inner),
                    _ => None,
                }
            }
        }
    )*};
}

answered! {
    u32 => Number,
    bool => Flag,
    Wake => Wake,
    Slot => Slot,
    Queued => Queued,
    Cancel => Cancel,
    Option<Wake> => Offered,
    Vec<Message> => Mail,
}

impl Answered for (u32, u32) {
    fn said(self) -> Answer {
        Answer::Lengths(self.0, self.1)
    }

    fn of(answer: Answer) -> Option<Self> {
        match answer {
            Answer::Lengths(own, backend) => Some((own, backend)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::shared::Rank;
    use crate::proxy::shared::tests::{server, site};
    use std::sync::Mutex;

    /// Hears everything, and answers from a list while there is something in it.
    #[derive(Clone, Debug, Default)]
    struct Script {
        heard: Arc<Mutex<Vec<(Question, Answer)>>>,
        answers: Arc<Mutex<Vec<Answer>>>,
    }

    impl Witness for Script {
        fn answer(&mut self, _question: &Question) -> Option<Answer> {
            let mut answers = self.answers.lock().unwrap();
            (!answers.is_empty()).then(|| answers.remove(0))
        }

        fn heard(&mut self, question: &Question, answer: &Answer) {
            self.heard.lock().unwrap().push((question.clone(), answer.clone()));
        }
    }

    /// A door to two engines that share one server with one slot.
    fn door() -> (Door, Arc<Shared>) {
        let shared = Arc::new(Shared::new(&site(vec![server(1, 0)]), 2));
        (Door::new(Arc::clone(&shared)), shared)
    }

    /// Asks everything once.
    fn ask_all(door: &Door) -> Vec<Answer> {
        let who = Waiter { engine: 0, session: 7, serial: 8, rank: Rank::default() };
        let message = Message::Resume(LimitId::Process);
        door.gauge_add(0, Gauge::Served(0), 1);
        let mut answers = vec![
            Answer::Number(door.gauge(Gauge::Served(0))),
            Answer::Number(door.rate(Rate::Served(0), Instant::START)),
            Answer::Number(door.take_number(Serial::Requests)),
            Answer::Number(door.next_number(Serial::Requests)),
            Answer::Flag(door.acquire(LimitId::Frontend(0), 0)),
            Answer::Flag(door.acquire(LimitId::Listener(0), 0)),
            Answer::Number(door.used(LimitId::Frontend(0))),
            Answer::Wake(door.release(LimitId::Frontend(0))),
            Answer::Slot(door.slot(0)),
            Answer::Flag(door.full(0)),
        ];
        let queued = door.enqueue(0, None, who);
        answers.push(Answer::Queued(queued));
        let Queued::Waiting { ticket, .. } = queued else { panic!("{queued:?}") };
        let (own, backend) = door.queue_lengths(0, Some(0));
        answers.extend([
            Answer::Lengths(own, backend),
            Answer::Cancel(door.cancel(ticket)),
            Answer::Wake(door.free(0)),
            Answer::Offered(door.offer(0, message.clone())),
            Answer::Flag(door.has_mail(0)),
        ]);
        let mut mail = vec![message];
        door.collect(0, &mut mail);
        answers.push(Answer::Mail(mail.split_off(1)));
        answers.push(Answer::Flag(door.retire(0)));
        answers
    }

    #[test]
    fn what_is_heard_is_what_is_answered_and_answers_in_its_place() {
        let (door, shared) = door();
        let unheard = ask_all(&door);
        assert!(!shared.has_mail(0) && unheard.contains(&Answer::Flag(true)));

        let (mut door, _) = self::door();
        let script = Script::default();
        door.set_witness(Some(Box::new(script.clone())));
        assert_eq!(ask_all(&door), unheard);
        let heard: Vec<Answer> =
            script.heard.lock().unwrap().iter().map(|(_, answer)| answer.clone()).collect();
        assert_eq!(heard, unheard);

        // Whatever the shared state would say now: the witness says the same again.
        let (mut door, shared) = self::door();
        assert!(shared.acquire(LimitId::Frontend(0), 1) && shared.slot(0) == Slot::Granted);
        let script = Script::default();
        *script.answers.lock().unwrap() = unheard.clone();
        door.set_witness(Some(Box::new(script.clone())));
        assert_eq!(ask_all(&door), unheard);
        assert_eq!((shared.used(LimitId::Frontend(0)), shared.slots_used(0)), (1, 1));
        assert!(script.heard.lock().unwrap().is_empty());

        door.set_witness(None);
        assert_eq!(door.slot(0), Slot::Full);
    }

    #[test]
    fn an_audit_goes_by_the_last_answer() {
        let (mut door, shared) = door();
        let _ = shared.post(0, Message::Resume(LimitId::Process));
        assert!(door.audit_mail(0));
        door.set_witness(Some(Box::new(Script::default())));
        assert!(!door.audit_mail(0) && door.has_mail(0) && door.audit_mail(0));
    }

    #[test]
    #[should_panic(expected = "another kind")]
    fn an_answer_fits_its_question() {
        let (mut door, _) = door();
        let script = Script::default();
        script.answers.lock().unwrap().push(Answer::Flag(true));
        door.set_witness(Some(Box::new(script)));
        let _ = door.gauge(Gauge::Served(0));
    }
}
