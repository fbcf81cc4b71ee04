//! One dispatch inside its layers: validation, ledger, retry, load, decide, append.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use backon::BackoffBuilder as _;
use futures_util::FutureExt as _;
use tokio::sync::SemaphorePermit;
use tracing::Instrument as _;

use super::dispatch::{ErrorOf, Outcome, OutputOf, Stage};
use super::encode;
use super::engine::Engine;
use super::options::DispatchOptions;
use super::receipt::{Receipt, Visibility};
use super::repeat::InTurn;
use super::replay;
use super::running::{Place, Running};
use super::turn::{Held, Turn};
use super::waits::Wait;
use crate::aggregate::{Aggregate, AggregateEvent as _, Root};
use crate::command::Command;
use crate::error::DispatchError;
use crate::event::{CommandId, EventId, Metadata, StreamId, Version};
use crate::handler::{Context, HandlerShape, Handles, Rejection, Scope};
use crate::private::panic_message;
use crate::store::{
    AppendError, Committed, DecisionChain, InvalidCommit, NewCommit, NewEvent, Store, StoreError, SyncProjections,
    longest,
};

pub(crate) struct Attempt<S, C> {
    pub(crate) engine: Arc<Engine<S>>,
    pub(crate) options: DispatchOptions,
    pub(crate) command: C,
    pub(crate) command_id: CommandId,
    pub(crate) stream: StreamId,
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) metadata_bytes: usize,
    pub(crate) stage: Arc<Stage>,
    /// The running handler that this dispatch is part of.
    pub(crate) nested: Option<Arc<Running>>,
}

pub(super) type Failure<C> = DispatchError<ErrorOf<C>>;
type DecisionOf<C> = Decision<<C as Command>::Aggregate, OutputOf<C>, ErrorOf<C>>;
type TriedOf<C> = Tried<OutputOf<C>, ErrorOf<C>>;

/// What a handler answered, with everything that has to be stored for it.
struct Decision<A: Aggregate, O, E> {
    answer: Result<O, DispatchError<E>>,
    /// The state to go on with, unless it is spoilt.
    held: Option<Held<A>>,
    commit: NewCommit,
}

/// What became of the state that a command would be decided on.
pub(super) enum Settled<A> {
    /// This state is what is stored, or there is none that is.
    On(Option<Held<A>>),
    /// A decision that it stood on was not stored.
    Undone,
}

/// How one try ended.
enum Tried<O, E> {
    Done(Outcome<O, E>),
    /// Somebody else changed the aggregate; the versions expected and found.
    Conflict(Version, Version),
    /// A decision that this one stood on was not stored.
    Undone,
}

impl<S, C> Attempt<S, C>
where
    S: Store,
    C: Command,
    C::Aggregate: Handles<C>,
{
    pub(super) const SHAPE: HandlerShape = <C::Aggregate as Handles<C>>::HANDLER.shape;

    pub(crate) async fn run(mut self) -> Outcome<OutputOf<C>, ErrorOf<C>> {
        catch_unwind(AssertUnwindSafe(|| self.check())).unwrap_or_else(|panic| Err(panicked::<C>(&*panic)))?;
        let slot = self.engine.cache.slot::<C::Aggregate>(&self.stream);
        self.stream = slot.stream().clone();
        let mut turn = slot.enter();
        let mut retries = self.retries();
        let mut pauses = backoff();
        let mut asked = false;
        loop {
            match self.once(&mut turn, &mut asked).await? {
                Tried::Done(outcome) => return outcome,
                Tried::Undone => turn.again(),
                Tried::Conflict(expected, actual) => {
                    metrics::counter!("es_dispatch_conflicts_total", "command" => C::NAME).increment(1);
                    if retries == 0 {
                        return Err(DispatchError::Conflict { stream: self.stream.clone(), expected, actual });
                    }
                    retries -= 1;
                    turn.again();
                    tokio::time::sleep(pauses.next().unwrap_or_default()).await;
                }
            }
        }
    }

    /// Refuses what can be refused without looking at the store.
    fn check(&self) -> Result<(), Failure<C>> {
        let limits = &self.engine.limits;
        self.command.validate().map_err(DispatchError::Validation)?;
        let key = self.stream.key();
        if key.is_empty() {
            return Err(encode::not_storable("id", "an aggregate's id must not be empty"));
        }
        encode::within("id", key.len(), limits.id_bytes)?;
        let tenant = self.stream.tenant();
        self.fits("stream name", &[tenant, self.stream.category(), key])?;
        if let Some(key) = &self.options.key {
            if key.is_empty() {
                return Err(encode::not_storable("idempotency key", "it must not be empty"));
            }
            self.fits("idempotency key", &[tenant, key])?;
        }
        encode::within("metadata", self.metadata_bytes, limits.metadata_bytes)
    }

    /// Refuses a key that no store takes, before a handler runs for nothing.
    fn fits(&self, what: &'static str, parts: &[&str]) -> Result<(), Failure<C>> {
        longest(what, parts).map_err(|error| self.failed(error.into()))
    }

    fn retries(&self) -> u32 {
        if self.options.expected.is_some() {
            return 0;
        }
        <C::Aggregate as Handles<C>>::HANDLER.retries.unwrap_or(self.engine.limits.retries)
    }

    /// Tries once. `asked` is `true` if a try found that the ledger does not hold the command.
    async fn once(&self, turn: &mut Turn<C::Aggregate>, asked: &mut bool) -> Result<TriedOf<C>, Failure<C>> {
        if let Some(record) = self.foreseen(turn, asked).await? {
            return self.replay(&record).map(|receipt| Tried::Done(Ok(receipt)));
        }
        let held = self.take(turn).await?;
        self.stage.reach(Stage::QUEUED);
        let _permit = self.permit().await?;
        let held = match self.found_in_turn(turn, held, asked).await? {
            InTurn::Repeat(record) => return self.replay(&record).map(|receipt| Tried::Done(Ok(receipt))),
            InTurn::Undone => return Ok(Tried::Undone),
            InTurn::New(Some(held)) => held,
            InTurn::New(None) => self.load().await?,
        };
        // The state is owned by the future: after a panic nobody sees it again, it is loaded anew.
        let decision = AssertUnwindSafe(self.decide(held)).catch_unwind().await;
        self.append(turn, decision.unwrap_or_else(|panic| Err(panicked::<C>(&*panic)))?).await
    }

    /// Waits for the turn, inside the running handler if there is one.
    async fn take(&self, turn: &mut Turn<C::Aggregate>) -> Result<Option<Held<C::Aggregate>>, Failure<C>> {
        let Some(nested) = &self.nested else {
            return Ok(turn.take().await);
        };
        let _wait =
            Wait::begin(Arc::clone(nested), self.place()).map_err(|circle| DispatchError::MutualWait { circle })?;
        let after = self.engine.limits.turn_timeout;
        tokio::time::timeout(after, turn.take()).await.map_err(|_| {
            let (stream, within) = (self.stream.clone(), nested.place.stream.clone());
            DispatchError::TurnTimedOut { stream, within, after }
        })
    }

    fn place(&self) -> Place {
        Place { application: self.engine.number, stream: self.stream.clone() }
    }

    /// Waits for a permit. A nested dispatch needs none: its handler has one, and would keep it from the dispatch that it
    /// waits for.
    pub(super) async fn permit(&self) -> Result<Option<SemaphorePermit<'_>>, Failure<C>> {
        match self.nested {
            Some(_) => Ok(None),
            None => self.engine.permit().await.map(Some),
        }
    }

    /// Runs an orchestrating handler, for a limited time.
    async fn bounded<F: Future>(&self, running: &Arc<Running>, handled: F) -> Result<F::Output, Failure<C>> {
        let after = self.engine.limits.handler_timeout;
        let mut handled = pin!(tokio::time::timeout(after, running.run(handled)));
        // What it waits for is known until it is dropped.
        handled.as_mut().await.map_err(|_| DispatchError::HandlerTimedOut {
            command: C::NAME,
            stream: self.stream.clone(),
            after,
            waits_for: Wait::of(running),
        })
    }

    /// Waits until the store has decided everything that was handed to it before, and gives the state back if it is what is
    /// stored.
    ///
    /// A pure decision on a state that lags behind costs a second try. A handler with side effects has only one: what an
    /// earlier dispatch left in the store's line, even if nobody waits for it any more, has to be settled before the ledger is
    /// asked and the aggregate loaded.
    pub(super) async fn settle(&self, held: Option<Held<C::Aggregate>>) -> Result<Settled<C::Aggregate>, Failure<C>> {
        let (version, chain) = match &held {
            Some(held) => (held.version, held.chain.clone()),
            None => (Version::NONE, DecisionChain::new()),
        };
        let confirm = self.confirm(version, chain, self.engine.now());
        match self.engine.store.submit(confirm).await.await {
            Ok(_) => Ok(Settled::On(held)),
            Err(AppendError::Conflict { .. }) => Ok(Settled::On(None)),
            Err(AppendError::ChainBroken) => Ok(Settled::Undone),
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn load(&self) -> Result<Held<C::Aggregate>, Failure<C>> {
        let span = tracing::debug_span!("load", stream = %self.stream);
        let held = replay::load(&replay::From(&self.engine.store), &self.stream, self.engine.limits.page)
            .instrument(span)
            .await;
        let held = held.map_err(DispatchError::Unavailable)?;
        self.engine.cache.reweigh(&self.stream, held.bytes);
        Ok(held)
    }

    async fn decide(&self, held: Held<C::Aggregate>) -> Result<DecisionOf<C>, Failure<C>> {
        let Held { state, version, chain, bytes } = held;
        let orchestrates = Self::SHAPE == HandlerShape::Orchestrates;
        let running = orchestrates.then(|| Running::new(self.place(), self.nested.clone()));
        let context = Context {
            now: self.engine.now(),
            stream: self.stream.clone(),
            metadata: Arc::clone(&self.metadata),
            ids: Arc::clone(&self.engine.ids),
            key: self.options.key.as_deref().map(Arc::from),
            running: running.clone(),
        };
        let now = context.now;
        let unexpected = self.options.expected.filter(|expected| *expected != version);
        if let Some(expected) = unexpected {
            // The cache may lag behind other processes: the store has to confirm that the version really is another.
            let error = DispatchError::Conflict { stream: self.stream.clone(), expected, actual: version };
            let held = Held { state, version, chain: chain.clone(), bytes };
            return Ok(Decision { answer: Err(error), held: Some(held), commit: self.confirm(version, chain, now) });
        }
        let scope = Scope {
            context: context.clone(),
            dependencies: Arc::clone(&self.engine.dependencies),
            queries: self.engine.queries.of(self.stream.tenant()),
        };
        let root = Root::new(self.command.id().clone(), state, version, context);
        let command = self.command.clone();
        let handled = <C::Aggregate as Handles<C>>::handle(root, command, &scope);
        let (root, answer) = if let Some(running) = &running {
            if <C::Aggregate as Handles<C>>::HANDLER.dependencies.iter().any(Option::is_some) {
                self.stage.reach(Stage::HANDLING);
            }
            self.bounded(running, handled).await?
        } else {
            handled.await
        };
        self.stage.reach(Stage::HERE);
        if let Some(error) = root.work.broken {
            return Err(DispatchError::CannotApply(error));
        }
        match answer {
            Ok(output) => self.accepted(root, output, chain, bytes),
            Err(rejection) => {
                // What was recorded before the refusal is applied already, so that state is not the stored one.
                let spoilt = !root.work.recorded.is_empty();
                let held = Held { state: root.state, version, chain: chain.clone(), bytes };
                let commit = self.confirm(version, chain, now);
                Ok(Decision { answer: Err(self.rejected(rejection)), held: (!spoilt).then_some(held), commit })
            }
        }
    }

    fn rejected(&self, rejection: Rejection<ErrorOf<C>>) -> Failure<C> {
        match rejection {
            Rejection::Domain(error) => DispatchError::Domain(error),
            Rejection::NotFound => DispatchError::NotFound { stream: self.stream.clone() },
            Rejection::AlreadyExists => DispatchError::AlreadyExists { stream: self.stream.clone() },
            Rejection::CannotApply(error) => DispatchError::CannotApply(error),
            Rejection::MissingDependency(missing) => {
                DispatchError::Unavailable(StoreError::Unavailable { reason: missing.to_string(), source: None })
            }
        }
    }

    /// A commit that changes nothing: it asks whether the decision was made on what is stored.
    fn confirm(&self, version: Version, chain: DecisionChain, now: chrono::DateTime<chrono::Utc>) -> NewCommit {
        NewCommit {
            stream: self.stream.clone(),
            expected: version,
            events: Vec::new(),
            metadata: Arc::clone(&self.metadata),
            recorded_at: now,
            claims: Vec::new(),
            ledger: None,
            snapshot: None,
            chain,
            projections: None,
        }
    }

    /// Builds the commit of an accepted command.
    fn accepted(
        &self,
        root: Root<C::Aggregate>,
        output: OutputOf<C>,
        chain: DecisionChain,
        before: usize,
    ) -> Result<DecisionOf<C>, Failure<C>> {
        let Root { state, work } = root;
        let mut commit = self.confirm(work.version, chain.clone(), work.context.now);
        let mut bytes = before;
        commit.events.reserve_exact(work.recorded.len());
        for event in &work.recorded {
            let body = encode::event(event, self.engine.limits.payload_bytes)?;
            bytes = replay::grown::<C::Aggregate>(bytes, body.len());
            let claimed = event.claims(&mut commit.claims);
            claimed.map_err(|error| encode::not_storable(event.name(), &error.to_string()))?;
            commit.events.push(NewEvent {
                id: EventId::new_v7(),
                name: event.name().into(),
                schema_version: event.schema_version(),
                body,
                rules: event.claim_rules(),
            });
        }
        let category = self.stream.category();
        let in_append = |sync: &&Arc<SyncProjections>| root_events(&commit).any(|event| sync.concern(category, event));
        commit.projections = self.engine.sync.as_ref().filter(in_append).map(Arc::clone);
        commit.ledger = self.ledger_entry(&output)?;
        let version = work.version.after(work.recorded.len() as u64);
        commit.snapshot = encode::snapshot(state.as_ref(), work.version, version);
        if before.next_power_of_two() != bytes.next_power_of_two() {
            self.engine.cache.reweigh(&self.stream, bytes);
        }
        let held = Held { state, version, chain, bytes };
        Ok(Decision { answer: Ok(output), held: Some(held), commit })
    }

    /// Hands the commit over, lets the next one decide, and waits for what became of it.
    async fn append(&self, turn: &mut Turn<C::Aggregate>, decision: DecisionOf<C>) -> Result<TriedOf<C>, Failure<C>> {
        let Decision { answer, held, commit } = decision;
        let expected = commit.expected;
        let keyed = commit.ledger.is_some();
        let changes = !commit.events.is_empty() || keyed;
        let events: Vec<EventId> = commit.events.iter().map(|event| event.id).collect();
        let span = tracing::debug_span!("append", stream = %self.stream, events = events.len());
        // Until `submit` resolves nothing is handed over. From there to `submitted` nothing awaits, so a dispatch that is
        // dropped leaves either no commit or one whose state is in the line.
        self.stage.reach(Stage::QUEUED);
        let ticket = self.engine.store.submit(commit).instrument(span.clone()).await;
        self.stage.reach(if changes { Stage::SUBMITTED } else { Stage::HERE });
        if keyed {
            self.remember_key(true);
        }
        let committed = if Self::SHAPE == HandlerShape::Orchestrates {
            // A handler with side effects is never undone by another's failure: nobody decides on its tentative state.
            let committed = ticket.instrument(span).await;
            if let (Some(held), Ok(_)) = (held, &committed) {
                turn.submitted(held);
            }
            committed
        } else {
            if let Some(held) = held {
                turn.submitted(held);
            }
            ticket.instrument(span).await
        };
        let stored = match &committed {
            Ok(_) => changes,
            Err(error) => matches!(error, AppendError::KeyRecorded(_)),
        };
        if keyed && !stored && !matches!(committed, Err(AppendError::Uncertain { .. })) {
            self.remember_key(false);
        }
        self.stage.reach(if stored { Stage::DONE } else { Stage::HERE });
        match (committed, answer) {
            (Ok(committed), Ok(output)) => Ok(Tried::Done(Ok(self.receipt(output, committed, events)))),
            (Ok(_), Err(refusal)) => self.refused(refusal).await.map(Tried::Done),
            (Err(AppendError::KeyRecorded(record)), _) => {
                Self::lost_to_a_repeat(turn, expected);
                if Self::SHAPE == HandlerShape::Orchestrates {
                    // Another process was doing the same at the same time. The command took effect once, its side effects
                    // twice, unless what they go to knows the key.
                    tracing::warn!(command = C::NAME, "a handler ran for a command that another process has done");
                    metrics::counter!("es_dispatch_handled_twice_total", "command" => C::NAME).increment(1);
                }
                self.replay(&record).map(|receipt| Tried::Done(Ok(receipt)))
            }
            // The caller's expected version was compared with a cache that lagged behind another process.
            (Err(AppendError::Conflict { .. }), _)
                if self.options.expected.is_some_and(|theirs| theirs != expected) =>
            {
                Ok(Tried::Undone)
            }
            (Err(AppendError::Conflict { actual, .. }), _) => Ok(Tried::Conflict(expected, actual)),
            (Err(AppendError::ChainBroken), _) => Ok(Tried::Undone),
            (Err(error), _) => Err(self.failed(error)),
        }
    }

    fn receipt(&self, output: OutputOf<C>, committed: Committed, events: Vec<EventId>) -> Receipt<OutputOf<C>> {
        let Committed { version, position } = committed;
        Receipt {
            output,
            stream: self.stream.clone(),
            version,
            position,
            events,
            replayed: false,
            visibility: Visibility::Unknown,
        }
    }

    fn failed(&self, error: AppendError) -> Failure<C> {
        match error {
            AppendError::Claimed { set, .. } => DispatchError::Claimed { set },
            AppendError::ClaimsDiffer(differ) => DispatchError::ClaimsDiffer(differ),
            AppendError::ProjectionFailed { projection, cause } => {
                DispatchError::SyncProjectionFailed { projection, cause }
            }
            AppendError::ProjectionTimedOut { projection, after } => {
                DispatchError::SyncProjectionTimedOut { projection, after }
            }
            AppendError::ProjectionBehind { projection, stream, reason } => {
                DispatchError::ProjectionBehind { projection, stream, reason }
            }
            // The stream's name may be what is too long.
            AppendError::Invalid(InvalidCommit::TooLong { what, bytes, limit }) => encode::too_long(what, bytes, limit),
            AppendError::Invalid(error) => {
                DispatchError::NotStorable { what: self.stream.to_string(), reason: error.to_string() }
            }
            AppendError::Store(StoreError::Refused { reason }) => {
                DispatchError::NotStorable { what: self.stream.to_string(), reason }
            }
            AppendError::Overloaded => DispatchError::Overloaded,
            AppendError::Store(error) => DispatchError::Unavailable(error),
            AppendError::Uncertain { reason } => DispatchError::Uncertain { command_id: self.command_id, reason },
            // The others are told apart before this is called.
            other => DispatchError::Unavailable(StoreError::Unavailable { reason: other.to_string(), source: None }),
        }
    }
}

fn root_events(commit: &NewCommit) -> impl Iterator<Item = &str> {
    commit.events.iter().map(|event| &*event.name)
}

pub(super) fn panicked<C: Command>(panic: &(dyn Any + Send)) -> Failure<C>
where
    C::Aggregate: Handles<C>,
{
    DispatchError::HandlerPanicked { command: C::NAME, message: panic_message(panic) }
}

/// Pauses between tries: exponential from 1 ms to 100 ms, with jitter.
fn backoff() -> impl Iterator<Item = Duration> {
    backon::ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(1))
        .with_max_delay(Duration::from_millis(100))
        .without_max_times()
        .with_jitter()
        .build()
}
