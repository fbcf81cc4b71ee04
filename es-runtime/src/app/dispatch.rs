//! Dispatch: from a command to its receipt.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use tower::ServiceExt as _;
use tracing::Instrument as _;

use super::attempt::Attempt;
use super::domain::CommandOf;
use super::encode;
use super::engine::Engine;
use super::layer::{CommandReply, CommandRequest, DispatchService};
use super::options::{DispatchOptions, option_methods};
use super::receipt::{Receipt, Visibility};
use super::running::{Place, Running};
use super::visible::Awaited;
use crate::aggregate::Aggregate;
use crate::command::Command;
use crate::error::{AnyDomainError, BoxError, DispatchError};
use crate::event::{CommandId, GlobalPosition, StreamId};
use crate::handler::Handles;
use crate::private::panic_message;
use crate::projection::ProjectionDescriptor;
use crate::store::Store;

/// What a dispatch answers.
pub type Outcome<O, E> = Result<Receipt<O>, DispatchError<E>>;

pub(crate) type OutputOf<C> = <<C as Command>::Aggregate as Handles<C>>::Output;
pub(crate) type ErrorOf<C> = <<C as Command>::Aggregate as Handles<C>>::Error;

/// One dispatch on its way: the application's engine and the caller's options.
#[derive(Debug)]
pub struct DispatchContext<S> {
    pub(crate) engine: Arc<Engine<S>>,
    pub(crate) options: DispatchOptions,
}

/// A dispatch that begins when it is awaited.
///
/// # Cancel safety
///
/// Dropping it before it is done leaves either the whole command or nothing; which one, nobody is told. Commands take
/// effect in the order of their first polls, for each aggregate.
///
/// A dispatch that was polled and is then neither polled nor dropped keeps its place: it holds up its aggregate, and
/// [`App::shutdown`](crate::app::App::shutdown). Do not dispatch in the other branches of a `select!` that goes on with it.
#[must_use = "a dispatch does nothing until it is awaited"]
pub struct Dispatch<D, S, C, Path> {
    context: DispatchContext<S>,
    command: C,
    domain: PhantomData<fn() -> (D, Path)>,
}

impl<D, S, C, Path> Dispatch<D, S, C, Path> {
    pub(crate) fn new(engine: Arc<Engine<S>>, command: C) -> Self {
        let context = DispatchContext { engine, options: DispatchOptions::default() };
        Self { context, command, domain: PhantomData }
    }

    fn with(mut self, change: impl FnOnce(DispatchOptions) -> DispatchOptions) -> Self {
        self.context.options = change(self.context.options);
        self
    }

    option_methods!();
}

impl<D, S, C, Path> fmt::Debug for Dispatch<D, S, C, Path> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatch").field("options", &self.context.options).finish_non_exhaustive()
    }
}

impl<D, S, C, Path> IntoFuture for Dispatch<D, S, C, Path>
where
    S: Store,
    C: CommandOf<D, Path>,
{
    type Output = Outcome<C::Output, C::Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.command.run(self.context))
    }
}

/// Runs a command with everything around it, outermost first: time-out, layers; validation, ledger, retry, load, decide and
/// append are the attempt's.
pub(crate) async fn run<S, C>(command: C, mut context: DispatchContext<S>) -> Outcome<OutputOf<C>, ErrorOf<C>>
where
    S: Store,
    C: Command,
    C::Aggregate: Handles<C>,
{
    let started = Instant::now();
    let (timeout, wait) = (context.options.timeout, context.options.wait);
    let metadata_bytes = context.options.bytes();
    let (command_id, metadata) = context.options.seal();
    let stage = Arc::new(Stage::default());
    let stream = stream_of(&command)?;
    let stream =
        if context.options.tenant.is_empty() { stream } else { stream.with_tenant(context.options.tenant.as_str()) };
    let place = Place { application: context.engine.number, stream: stream.clone() };
    let nested = context.options.within.take().or_else(Running::current);
    // A dispatch that has outlived its handler is one like any other.
    let nested = nested.filter(|nested| nested.path().next().is_some());
    if let Some(through) = nested.as_ref().and_then(|nested| nested.between(&place)) {
        // It would wait for a turn that ends after it.
        return Err(DispatchError::WithinItself { stream, through });
    }
    let span = tracing::info_span!(
        "dispatch",
        command = C::NAME,
        %command_id,
        %stream,
    );
    let engine = Arc::clone(&context.engine);
    let attempt = Attempt {
        engine: context.engine,
        options: context.options,
        command,
        command_id,
        stream,
        metadata,
        metadata_bytes,
        stage: Arc::clone(&stage),
        nested,
    };
    // Nothing awaits between the first poll and the aggregate's line, but for the user's layers.
    let work = async {
        let _begun = engine.begin()?;
        match engine.routes.get(C::NAME).and_then(|route| route.service.as_ref()) {
            None => attempt.run().await,
            Some(service) => layered(attempt, service.clone()).await,
        }
    }
    .instrument(span);
    let outcome = match timeout {
        None => work.await,
        Some(after) => match tokio::time::timeout(after, work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(stage.when_stopped(command_id, DispatchError::TimedOut { after })),
        },
    };
    observe::<S, C, _, _>(&engine, &outcome, started);
    match (outcome, wait) {
        (Ok(receipt), Some(limit)) => Ok(watched(&engine, receipt, limit).await),
        (outcome, _) => outcome,
    }
}

/// Names the command's stream. The text of the id is stored, so it has to parse back to the id.
fn stream_of<C>(command: &C) -> Result<StreamId, DispatchError<ErrorOf<C>>>
where
    C: Command,
    C::Aggregate: Handles<C>,
{
    // `Display` and `FromStr` of an id may be the user's.
    let stream = catch_unwind(AssertUnwindSafe(|| {
        let (id, stream) = (command.id(), C::Aggregate::stream(command.id()));
        if C::Aggregate::ID_IS_EXACT {
            return Ok(stream);
        }
        match <C::Aggregate as Aggregate>::Id::from_str(stream.key()) {
            Ok(read) if read == *id => Ok(stream),
            Ok(_) => Err(format!("its text `{}` parses to another id", stream.key())),
            Err(error) => Err(format!("its text `{}` does not parse: {error}", stream.key())),
        }
    }));
    let stream =
        stream.unwrap_or_else(|panic| Err(format!("writing or parsing it panicked: {}", panic_message(&*panic))));
    stream.map_err(|reason| encode::not_storable("id", &reason))
}

/// Waits for the projections of the receipt's aggregate. What is stored stays a success, whatever becomes of the wait.
async fn watched<S: Store, O>(engine: &Engine<S>, mut receipt: Receipt<O>, limit: std::time::Duration) -> Receipt<O> {
    let category = receipt.stream.category();
    let mine = |projection: &&'static ProjectionDescriptor| {
        projection.handlers.iter().any(|handler| handler.category == category)
    };
    let projections: Vec<_> = engine.read_side.projections.values().copied().filter(mine).collect();
    let deadline = tokio::time::Instant::now() + limit;
    let pending = async {
        let position = match receipt.position {
            GlobalPosition::START => engine.read_side.position_of(&receipt.stream, receipt.version).await?,
            position => position,
        };
        let streams = std::slice::from_ref(&receipt.stream);
        let awaited = Awaited { position, streams, receipts_only: receipt.is_of_an_append(), own_version: false };
        engine.read_side.passed(&projections, awaited, deadline).await
    };
    receipt.visibility = match pending.await {
        Ok(pending) if pending.is_empty() => Visibility::Visible,
        Ok(_) => Visibility::Pending,
        Err(error) => {
            tracing::warn!(%error, "the command is stored; whether it is visible could not be found out");
            Visibility::Pending
        }
    };
    receipt
}

/// How far a dispatch has come, for whoever stops it from outside.
#[derive(Debug, Default)]
pub(crate) struct Stage(AtomicU8);

impl Stage {
    /// Nothing of it is with the store: it stands in its aggregate's line, or decides.
    pub(crate) const HERE: u8 = 0;
    /// It waits for a place, or for the store to take its commit in line.
    pub(crate) const QUEUED: u8 = 1;
    /// The store has its commit, and the answer is open.
    pub(crate) const SUBMITTED: u8 = 2;
    /// A handler that takes dependencies runs: nothing is stored, and what it has done outside is open.
    pub(crate) const HANDLING: u8 = 3;
    /// It is stored, and the answer is on its way out.
    pub(crate) const DONE: u8 = 4;

    pub(crate) fn reach(&self, stage: u8) {
        self.0.store(stage, Ordering::Release);
    }

    /// Says what a dispatch that was stopped has become.
    fn when_stopped<E>(&self, command_id: CommandId, nothing_happened: DispatchError<E>) -> DispatchError<E> {
        match self.0.load(Ordering::Acquire) {
            Self::SUBMITTED | Self::HANDLING | Self::DONE => DispatchError::OutcomeUnknown { command_id },
            Self::QUEUED => DispatchError::Overloaded,
            _ => nothing_happened,
        }
    }
}

/// Runs an attempt inside the user's layers.
async fn layered<S, C>(attempt: Attempt<S, C>, service: DispatchService) -> Outcome<OutputOf<C>, ErrorOf<C>>
where
    S: Store,
    C: Command,
    C::Aggregate: Handles<C>,
{
    let (command_id, stage) = (attempt.command_id, Arc::clone(&attempt.stage));
    let request = CommandRequest {
        command: C::NAME,
        command_id,
        stream: attempt.stream.clone(),
        metadata: Arc::clone(&attempt.metadata),
        work: Box::new(|| {
            Box::pin(async move {
                match attempt.run().await {
                    Ok(receipt) => Ok(CommandReply(Box::new(receipt))),
                    Err(error) => Err(Box::new(error) as BoxError),
                }
            })
        }),
    };
    let replaced = || DispatchError::OutcomeUnknown { command_id };
    match service.oneshot(request).await {
        Ok(CommandReply(reply)) => {
            reply.downcast::<Receipt<OutputOf<C>>>().map(|receipt| *receipt).map_err(|_| replaced())
        }
        Err(error) => Err(match error.downcast::<DispatchError<ErrorOf<C>>>() {
            Ok(ours) => *ours,
            Err(theirs) => stage.when_stopped(command_id, DispatchError::Refused(theirs)),
        }),
    }
}

fn observe<S: Store, C: Command, O, E>(engine: &Engine<S>, outcome: &Outcome<O, E>, started: Instant) {
    let Some(metrics) = engine.routes.get(C::NAME).map(|route| route.metrics(C::NAME)) else {
        return;
    };
    match outcome {
        Ok(receipt) if receipt.replayed => metrics.replayed.increment(1),
        Ok(_) => metrics.committed.increment(1),
        Err(error) => {
            metrics::counter!("es_dispatch_total", "command" => C::NAME, "outcome" => error.kind()).increment(1);
        }
    }
    metrics.seconds.record(started.elapsed().as_secs_f64());
}

/// Runs a command of a domain's generated enum.
///
/// # Errors
///
/// As the command itself, with the domain's own error boxed.
pub async fn run_enum<S: Store, C>(
    command: C,
    mut context: DispatchContext<S>,
) -> Outcome<serde_json::Value, AnyDomainError>
where
    C: Command,
    C::Aggregate: Handles<C>,
{
    let command_id = *context.options.metadata.command_id.get_or_insert_with(CommandId::new_v7);
    context.options.json = true;
    let receipt =
        run(command, context).await.map_err(|error| error.map_domain(|error| AnyDomainError(Box::new(error))))?;
    let output = serde_json::to_value(receipt.output()).map_err(|error| DispatchError::Uncertain {
        command_id,
        reason: format!("it is stored, and its output cannot be written as JSON: {error}"),
    })?;
    Ok(receipt.map(|_| output))
}
