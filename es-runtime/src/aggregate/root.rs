//! The root: an aggregate in the hand of a handler, with the events recorded on it so far.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Aggregate, AggregateEvent as _, EventOf};
use crate::command::Command;
use crate::event::Version;
use crate::handler::{Context, Decides, Rejection};
use crate::private::panic_message;

/// Says that an event could not be applied, so that nothing was stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CannotApply {
    /// A creating event met an aggregate that exists.
    #[error("event `{event}` creates `{aggregate}`, which exists already")]
    Exists {
        /// The event's stored name.
        event: &'static str,
        /// The aggregate's name.
        aggregate: &'static str,
    },
    /// A changing event met an aggregate that does not exist.
    #[error("event `{event}` changes `{aggregate}`, which does not exist")]
    Absent {
        /// The event's stored name.
        event: &'static str,
        /// The aggregate's name.
        aggregate: &'static str,
    },
    /// The apply function panicked.
    #[error("applying event `{event}` to `{aggregate}` panicked: {message}")]
    Panicked {
        /// The event's stored name.
        event: &'static str,
        /// The aggregate's name.
        aggregate: &'static str,
        /// The panic's message.
        message: String,
    },
}

/// The error of [`Root::record`]: the event does not fit the state.
pub type RecordError = CannotApply;

/// What a root has beside the state.
#[derive(Debug)]
pub(crate) struct Work<A: Aggregate> {
    pub(crate) id: A::Id,
    /// The version of the stored state; recorded events come on top.
    pub(crate) version: Version,
    pub(crate) recorded: Vec<A::Event>,
    pub(crate) context: Context,
    /// Set when an apply function panicked: the state is half changed then, and nothing of this root may be stored.
    pub(crate) broken: Option<CannotApply>,
}

impl<A: Aggregate> Work<A> {
    /// Applies an event. The state may be absent; what a creating event makes comes back.
    fn apply(&mut self, state: Option<&mut A>, event: &A::Event) -> Result<Option<A>, CannotApply> {
        // After a panic the state is never looked at again (`broken`), so unwinding past `&mut` is safe to observe.
        catch_unwind(AssertUnwindSafe(|| A::apply(state, event))).unwrap_or_else(|panic| {
            let error = CannotApply::Panicked {
                event: event.name(),
                aggregate: A::NAME,
                message: panic_message(panic.as_ref()),
            };
            self.broken = Some(error.clone());
            Err(error)
        })
    }

    /// Keeps applied events. The first decision's vector is taken as it is: most commands have no other.
    fn keep(&mut self, mut events: Vec<A::Event>) {
        if self.recorded.is_empty() {
            self.recorded = events;
        } else {
            self.recorded.append(&mut events);
        }
    }

    /// Decides a command on the state.
    fn decide<C>(&mut self, state: Option<&A>, command: C) -> Result<Vec<A::Event>, Rejection<A::Error>>
    where
        A: Decides<C>,
    {
        let mut events = Vec::new();
        A::decide(state, command, &self.context, &mut events)?;
        Ok(events)
    }
}

/// An aggregate in the hand of a handler: its state, or none, and the events recorded on it so far.
///
/// An orchestrating handler takes `&mut Root<A>`; [`New`] and [`Existing`] in its place demand that the aggregate is
/// absent or there. What is recorded is applied at once and stored when the handler returns `Ok`.
#[derive(Debug)]
pub struct Root<A: Aggregate> {
    pub(crate) state: Option<A>,
    pub(crate) work: Work<A>,
}

impl<A: Aggregate> Root<A> {
    pub(crate) const fn new(id: A::Id, state: Option<A>, version: Version, context: Context) -> Self {
        Self { state, work: Work { id, version, recorded: Vec::new(), context, broken: None } }
    }

    /// Gives the state with what is recorded so far; `None` where the aggregate does not exist.
    #[must_use]
    pub const fn state(&self) -> Option<&A> {
        self.state.as_ref()
    }

    fn apply(&mut self, event: &A::Event) -> Result<(), CannotApply> {
        if let Some(created) = self.work.apply(self.state.as_mut(), event)? {
            self.state = Some(created);
        }
        Ok(())
    }

    fn decide<C>(&mut self, command: C) -> Result<Vec<A::Event>, Rejection<A::Error>>
    where
        A: Decides<C>,
    {
        self.work.decide(self.state.as_ref(), command)
    }
}

/// A [`Root`] of an aggregate that does not exist yet; the command fails with `AlreadyExists` where it does.
#[derive(Debug)]
pub struct New<A: Aggregate>(Root<A>);

impl<A: Aggregate> New<A> {
    /// Gives the state with what is recorded so far; `None` until a creating event is recorded.
    #[must_use]
    pub const fn state(&self) -> Option<&A> {
        self.0.state()
    }
}

/// A [`Root`] of an aggregate that exists; the command fails with `NotFound` where it does not. Derefs to the state.
#[derive(Debug)]
pub struct Existing<A: Aggregate> {
    state: A,
    work: Work<A>,
}

impl<A: Aggregate> Existing<A> {
    /// Gives the state with what is recorded so far.
    #[must_use]
    pub const fn state(&self) -> &A {
        &self.state
    }

    fn apply(&mut self, event: &A::Event) -> Result<(), CannotApply> {
        if let Some(created) = self.work.apply(Some(&mut self.state), event)? {
            self.state = created;
        }
        Ok(())
    }

    fn decide<C>(&mut self, command: C) -> Result<Vec<A::Event>, Rejection<A::Error>>
    where
        A: Decides<C>,
    {
        self.work.decide(Some(&self.state), command)
    }
}

impl<A: Aggregate> Deref for Existing<A> {
    type Target = A;
    fn deref(&self) -> &A {
        &self.state
    }
}

macro_rules! recording {
    ($($kind:ident: $this:ident => $inner:expr, $work:expr;)+) => {$(
        impl<A: Aggregate> $kind<A> {
            /// Gives the aggregate's id.
            #[must_use]
            pub const fn id(&self) -> &A::Id {
                let $this = self;
                &$work.id
            }

            /// Gives the version with what is recorded so far.
            #[must_use]
            pub const fn version(&self) -> Version {
                let $this = self;
                $work.version.after($work.recorded.len() as u64)
            }

            /// Gives the events recorded so far.
            #[must_use]
            pub fn recorded(&self) -> &[A::Event] {
                let $this = self;
                &$work.recorded
            }

            /// Records an event and applies it.
            ///
            /// # Errors
            ///
            /// [`CannotApply`] for a changing event where the aggregate does not exist, or a creating one where it
            /// does. Nothing is recorded then.
            pub fn record<E>(&mut self, event: E) -> Result<(), RecordError>
            where
                E: EventOf<A>,
            {
                let $this = self;
let event = event.into_event();
                $inner.apply(&event)?;
                $work.recorded.push(event);
                Ok(())
            }

            /// Handles another command of the same aggregate, on the state with what is recorded so far.
            ///
            /// The command's own id is not looked at: it is handled here.
            ///
            /// # Errors
            ///
            /// [`Rejection`]: the domain's own error, or that the aggregate is absent or there. Nothing is recorded
            /// then.
            pub fn handle<C>(&mut self, command: C) -> Result<(), Rejection<A::Error>>
            where
                C: Command<Aggregate = A>,
                A: Decides<C>,
            {
                self.decided(command)
            }

            pub(crate) fn decided<C>(&mut self, command: C) -> Result<(), Rejection<A::Error>>
            where
                A: Decides<C>,
            {
                let $this = self;
                let events = $inner.decide(command)?;
                for event in &events {
                    // An event that does not fit after others of the same decision leaves the state half changed.
                    $inner.apply(event).map_err(|error| {
                        $work.broken.get_or_insert_with(|| error.clone());
                        Rejection::CannotApply(error)
                    })?;
                }
                $work.keep(events);
                Ok(())
            }
        }
    )+};
}

recording! {
    Root: this => this, this.work;
    New: this => this.0, this.0.work;
    Existing: this => this, this.work;
}

/// The three kinds of root that an orchestrating handler may take.
#[diagnostic::on_unimplemented(
    message = "a command handler cannot take `&mut {Self}` as its aggregate",
    label = "not a root of `{A}`",
    note = "take `&mut Root<{A}>`, `&mut New<{A}>` or `&mut Existing<{A}>`"
)]
pub trait RootArg<A: Aggregate>: Sized {
    /// Turns the root into this kind, or gives it back.
    ///
    /// # Errors
    ///
    /// The root and why it cannot be this kind.
    #[expect(clippy::result_large_err, reason = "the root is moved through, not stored; a box would cost more")]
    fn enter<E>(root: Root<A>) -> Result<Self, (Root<A>, Rejection<E>)>;

    /// Turns this kind back into the root.
    fn leave(self) -> Root<A>;
}

impl<A: Aggregate> RootArg<A> for Root<A> {
    fn enter<E>(root: Root<A>) -> Result<Self, (Root<A>, Rejection<E>)> {
        Ok(root)
    }
    fn leave(self) -> Root<A> {
        self
    }
}

impl<A: Aggregate> RootArg<A> for New<A> {
    fn enter<E>(root: Root<A>) -> Result<Self, (Root<A>, Rejection<E>)> {
        if root.state.is_some() { Err((root, Rejection::AlreadyExists)) } else { Ok(Self(root)) }
    }
    fn leave(self) -> Root<A> {
        self.0
    }
}

impl<A: Aggregate> RootArg<A> for Existing<A> {
    fn enter<E>(root: Root<A>) -> Result<Self, (Root<A>, Rejection<E>)> {
        match root {
            Root { state: Some(state), work } => Ok(Self { state, work }),
            absent => Err((absent, Rejection::NotFound)),
        }
    }
    fn leave(self) -> Root<A> {
        Root { state: Some(self.state), work: self.work }
    }
}
