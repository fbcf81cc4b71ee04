//! Given, when, then.

use std::convert::Infallible;
use std::fmt::{self, Debug};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::diff;
use crate::aggregate::{Aggregate, IntoEvents, Root};
use crate::app::{Clock as _, ManualClock};
use crate::command::Command;
use crate::event::{Metadata, Version};
use crate::handler::{Context, Decides, Rejection, SequentialIds};
use crate::private::panic_message;
use crate::time::whole_micros;

/// Begins a scenario: these events have happened. `()` stands for none.
///
/// The time of the context is the beginning of the year 2000 and its ids count up from 1, unless set otherwise.
///
/// ```
/// # use es_runtime::prelude::*;
/// # #[domain_event] pub struct Opened {}
/// # #[domain_event] pub struct Deposited { pub cents: i64 }
/// # #[command(aggregate = Account)] pub struct Open { #[id] pub account: Uuid }
/// # #[command(aggregate = Account)] pub struct Deposit { #[id] pub account: Uuid, pub cents: i64 }
/// # #[aggregate(name = "account", id = Uuid, events(Opened, Deposited))] pub struct Account {}
/// # #[aggregate] impl Account {
/// #     #[apply] fn opened(_: &Opened) -> Self { Self {} }
/// #     #[apply] fn deposited(&mut self, _: &Deposited) {}
/// #     #[command_handler] fn open(_: Open) -> Opened { Opened {} }
/// #     #[command_handler] fn deposit(&self, command: Deposit) -> Deposited { Deposited { cents: command.cents } }
/// # }
/// # domain! { pub Bank = "bank"; aggregates: [Account]; commands: [Open, Deposit] }
/// # fn main() {
/// use es_runtime::testing::given;
/// let account = Uuid::nil();
/// given::<Account>(Opened {}).when(Deposit { account, cents: 5 }).then(Deposited { cents: 5 });
/// given::<Account>(()).when(Deposit { account, cents: 5 }).then_not_found();
/// # }
/// ```
///
/// # Panics
///
/// Where the events do not fit each other: a changing one before any creating one, say.
#[track_caller]
#[must_use]
pub fn given<A: Aggregate>(events: impl IntoEvents<A, Error = Infallible>) -> Given<A> {
    let mut happened = Vec::new();
    let Ok(()) = events.into_events(&mut happened);
    let mut state = None;
    for event in &happened {
        match A::apply(state.as_mut(), event) {
            Ok(None) => {}
            Ok(created) => state = created,
            Err(error) => panic!("the given events do not fit each other: {error}\n{happened:#?}"),
        }
    }
    Given {
        state,
        version: Version::new(happened.len() as u64),
        now: ManualClock::default().now(),
        metadata: Metadata::default(),
        tenant: String::new(),
    }
}

/// What has happened before.
pub struct Given<A: Aggregate> {
    state: Option<A>,
    version: Version,
    now: DateTime<Utc>,
    metadata: Metadata,
    tenant: String,
}

impl<A: Aggregate> Given<A> {
    /// Sets the time that the handler sees.
    #[must_use]
    pub const fn at(mut self, now: DateTime<Utc>) -> Self {
        self.now = now;
        self
    }

    /// Sets who acts.
    #[must_use]
    pub fn by(mut self, actor: impl Into<String>) -> Self {
        self.metadata.actor = Some(actor.into());
        self
    }

    /// Sets the tenant.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// Lets a command come: it is validated, decided, and its events are applied.
    pub fn when<C>(self, command: C) -> When<A, <A as Decides<C>>::Error>
    where
        C: Command<Aggregate = A>,
        A: Decides<C>,
    {
        if let Err(errors) = command.validate() {
            return When { outcome: Outcome::Invalid(errors.to_string()), state: self.state };
        }
        let context = Context {
            now: whole_micros(self.now),
            stream: A::stream(command.id()).with_tenant(self.tenant),
            metadata: Arc::new(self.metadata),
            ids: Arc::new(SequentialIds::default()),
            key: None,
            running: None,
        };
        let mut root = Root::new(command.id().clone(), self.state, self.version, context);
        let decided = catch_unwind(AssertUnwindSafe(|| root.handle(command)));
        let outcome = match decided {
            Ok(Ok(())) => Outcome::Events(std::mem::take(&mut root.work.recorded)),
            Ok(Err(rejection)) => Outcome::Rejected(rejection),
            Err(panic) => Outcome::Panicked(panic_message(&*panic)),
        };
        When { outcome, state: root.state }
    }
}

impl<A: Aggregate> Debug for Given<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").field("version", &self.version).finish_non_exhaustive()
    }
}

enum Outcome<A: Aggregate, E> {
    Events(Vec<A::Event>),
    Rejected(Rejection<E>),
    Invalid(String),
    Panicked(String),
}

/// What a command led to.
#[must_use = "say what should follow: `.then(..)`"]
pub struct When<A: Aggregate, E> {
    outcome: Outcome<A, E>,
    state: Option<A>,
}

impl<A: Aggregate, E: Debug> When<A, E> {
    /// Asserts that exactly these events follow.
    ///
    /// # Panics
    ///
    /// With the difference, where others follow or the command was rejected.
    #[track_caller]
    pub fn then(self, events: impl IntoEvents<A, Error = Infallible>) -> Then<A> {
        let mut expected = Vec::new();
        let Ok(()) = events.into_events(&mut expected);
        match self.outcome {
            Outcome::Events(found) if found == expected => Then { state: self.state },
            Outcome::Events(found) => {
                panic!("other events follow (- expected, + found):\n{}", diff::values(&expected, &found))
            }
            other => panic!("no events follow: {}\nexpected: {expected:#?}", other.describe()),
        }
    }

    /// Asserts that the command is accepted and nothing has to be done.
    ///
    /// # Panics
    ///
    /// Where events follow or the command was rejected.
    #[track_caller]
    pub fn then_nothing(self) -> Then<A> {
        self.then(())
    }

    /// Asserts that the domain refuses the command with this error.
    ///
    /// # Panics
    ///
    /// With the difference, where it does not.
    #[track_caller]
    pub fn then_error(self, expected: &E)
    where
        E: PartialEq,
    {
        match &self.outcome {
            Outcome::Rejected(Rejection::Domain(found)) if found == expected => {}
            Outcome::Rejected(Rejection::Domain(found)) => {
                panic!("another error follows (- expected, + found):\n{}", diff::values(expected, found))
            }
            other => panic!("the domain's error does not follow: {}\nexpected: {expected:#?}", other.describe()),
        }
    }

    /// Asserts that the domain refuses the command with an error for which `matches` holds.
    ///
    /// # Panics
    ///
    /// Where it does not.
    #[track_caller]
    pub fn then_error_where(self, matches: impl FnOnce(&E) -> bool) {
        match &self.outcome {
            Outcome::Rejected(Rejection::Domain(found)) if matches(found) => {}
            other => panic!("the expected error does not follow: {}", other.describe()),
        }
    }

    /// Asserts that the command is rejected because the aggregate does not exist.
    ///
    /// # Panics
    ///
    /// Where it is not.
    #[track_caller]
    pub fn then_not_found(self) {
        assert!(
            matches!(self.outcome, Outcome::Rejected(Rejection::NotFound)),
            "`NotFound` does not follow: {}",
            self.outcome.describe()
        );
    }

    /// Asserts that the command is rejected because the aggregate exists already.
    ///
    /// # Panics
    ///
    /// Where it is not.
    #[track_caller]
    pub fn then_already_exists(self) {
        assert!(
            matches!(self.outcome, Outcome::Rejected(Rejection::AlreadyExists)),
            "`AlreadyExists` does not follow: {}",
            self.outcome.describe()
        );
    }

    /// Asserts that the command's fields break their rules, in words that contain `part`.
    ///
    /// # Panics
    ///
    /// Where they do not.
    #[track_caller]
    pub fn then_invalid(self, part: &str) {
        assert!(
            matches!(&self.outcome, Outcome::Invalid(text) if text.contains(part)),
            "a validation failure about `{part}` does not follow: {}",
            self.outcome.describe()
        );
    }
}

/// What followed was right.
pub struct Then<A> {
    state: Option<A>,
}

impl<A> Then<A> {
    /// Gives the state after the events, for further assertions; `None` where the aggregate does not exist.
    #[must_use]
    pub const fn state(&self) -> Option<&A> {
        self.state.as_ref()
    }
}

impl<A> Debug for Then<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Then").field("exists", &self.state.is_some()).finish_non_exhaustive()
    }
}

impl<A: Aggregate, E: Debug> Outcome<A, E> {
    fn describe(&self) -> String {
        match self {
            Self::Events(events) if events.is_empty() => "the command is accepted, nothing has to be done".to_owned(),
            Self::Events(events) => format!("the command is accepted, with {events:#?}"),
            Self::Rejected(Rejection::Domain(error)) => format!("the domain refuses the command with {error:#?}"),
            Self::Rejected(Rejection::NotFound) => "the aggregate does not exist".to_owned(),
            Self::Rejected(Rejection::AlreadyExists) => "the aggregate exists already".to_owned(),
            Self::Rejected(Rejection::CannotApply(error)) => error.to_string(),
            Self::Rejected(Rejection::MissingDependency(error)) => error.to_string(),
            Self::Invalid(text) => format!("the command is not valid: {text}"),
            Self::Panicked(message) => format!("the handler panicked: {message}"),
        }
    }
}

impl<A: Aggregate, E: Debug> Debug for When<A, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "When({})", self.outcome.describe())
    }
}
