//! Queries: from a question to its answer.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use serde_json::Value;
use tracing::Instrument as _;

use super::encode;
use super::engine::Engine;
use super::receipt::Receipt;
use super::visible::Awaited;
use crate::error::{AnyDomainError, QueryError};
use crate::event::{GlobalPosition, StreamId, Version};
use crate::private::panic_message;
use crate::query::{AnswersOn, QueryRejection, QueryScope};
use crate::read_model::Rows;
use crate::store::{Store, StoreError};

/// How long a query waits for what it is to see, if it does not say.
const WITHIN: Duration = Duration::from_secs(2);

/// What a query says beside its question.
#[derive(Clone, Debug)]
pub(crate) struct AskOptions {
    tenant: String,
    after: GlobalPosition,
    streams: Vec<StreamId>,
    /// What commands were decided on that had nothing to do.
    decided_on: Vec<(StreamId, Version)>,
    /// Whether nothing but receipts says what is waited for.
    receipts_only: bool,
    within: Duration,
    stale: bool,
}

impl Default for AskOptions {
    fn default() -> Self {
        Self {
            tenant: String::new(),
            after: GlobalPosition::START,
            streams: Vec::new(),
            decided_on: Vec::new(),
            receipts_only: true,
            within: WITHIN,
            stale: false,
        }
    }
}

/// A query that is asked when it is awaited.
///
/// # Guarantees
///
/// With [`after`](Self::after), the answer contains what that command did: the projections of the tables that the handler takes
/// have durably passed the command's position before the handler runs. An event that a projection put aside counts as
/// passed only when it is not of the receipt's stream.
///
/// # Errors
///
/// [`QueryError`].
///
/// # Cancel safety
///
/// Dropping it changes nothing: a query has no side effects.
#[must_use = "a query does nothing until it is awaited"]
pub struct Ask<D, S, Q, Path> {
    engine: Arc<Engine<S>>,
    query: Q,
    options: AskOptions,
    domain: PhantomData<fn() -> (D, Path)>,
}

/// Gives a query builder its options.
macro_rules! ask_options {
    () => {
        /// Waits until what the command did is visible in the tables that the query reads. Several receipts may be given; a
        /// replayed one too. Where it had nothing to do, what it was decided on is waited for.
        pub fn after<O>(mut self, receipt: &Receipt<O>) -> Self {
            self.options.streams.push(receipt.stream().clone());
            if receipt.position() == GlobalPosition::START {
                self.options.decided_on.push((receipt.stream().clone(), receipt.version()));
            }
            self.options.receipts_only &= receipt.is_of_an_append();
            self.options.after = self.options.after.max(receipt.position());
            self
        }

        /// Waits until everything up to a position is visible in the tables that the query reads.
        pub fn after_position(mut self, position: GlobalPosition) -> Self {
            self.options.after = self.options.after.max(position);
            self.options.receipts_only = false;
            self
        }

        /// Waits no longer than this; without it, 2 s.
        pub const fn within(mut self, limit: Duration) -> Self {
            self.options.within = limit;
            self
        }

        /// Waits no longer than so many seconds.
        pub const fn within_secs(self, seconds: u64) -> Self {
            self.within(Duration::from_secs(seconds))
        }

        /// Answers from what is there when the time is up, instead of failing with `NotYetVisible`.
        pub const fn or_stale(mut self) -> Self {
            self.options.stale = true;
            self
        }

        /// Says whose rows are read; the default tenant's without it.
        pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
            self.options.tenant = tenant.into();
            self
        }
    };
}

impl<D, S: Store, Q, Path> Ask<D, S, Q, Path> {
    pub(crate) fn new(engine: Arc<Engine<S>>, query: Q) -> Self {
        Self { engine, query, options: AskOptions::default(), domain: PhantomData }
    }

    ask_options!();
}

impl<D, S, Q, Path> fmt::Debug for Ask<D, S, Q, Path> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The question is left out: it may hold secrets.
        f.debug_struct("Ask").field("options", &self.options).finish_non_exhaustive()
    }
}

impl<D, S, Q, Path> IntoFuture for Ask<D, S, Q, Path>
where
    S: Store,
    Q: AnswersOn<S>,
{
    type Output = Result<Q::Output, QueryError<Q::Error>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(answer(self.engine, self.query, self.options))
    }
}

/// Answers a query: waits for what it is to see, then runs its handler.
pub(crate) async fn answer<S: Store, Q: AnswersOn<S>>(
    engine: Arc<Engine<S>>,
    query: Q,
    options: AskOptions,
) -> Result<Q::Output, QueryError<Q::Error>> {
    let started = Instant::now();
    let span = tracing::debug_span!("query", query = Q::NAME);
    let answer = async {
        if engine.closed.load(Ordering::Acquire) {
            return Err(QueryError::Unavailable(StoreError::Closed));
        }
        visible(&engine, &options, Q::HANDLER.reads).await?;
        let rows: Arc<dyn Rows> = Arc::<super::read_models::Serving<S>>::clone(&engine.read_side.rows);
        let scope = QueryScope {
            store: engine.store.clone(),
            rows,
            tenant: options.tenant.as_str().into(),
            dependencies: Arc::clone(&engine.dependencies),
        };
        let answer = AssertUnwindSafe(query.answer(&scope)).catch_unwind().await;
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(rejection)) => Err(rejected(rejection)),
            Err(panic) => Err(QueryError::HandlerPanicked { query: Q::NAME, message: panic_message(&*panic) }),
        }
    }
    .instrument(span)
    .await;
    let outcome = answer.as_ref().map_or_else(QueryError::kind, |_| "answered");
    metrics::counter!("es_query_total", "query" => Q::NAME, "outcome" => outcome).increment(1);
    metrics::histogram!("es_query_seconds", "query" => Q::NAME).record(started.elapsed().as_secs_f64());
    answer
}

fn rejected<E>(rejection: QueryRejection<E>) -> QueryError<E> {
    match rejection {
        QueryRejection::Domain(error) => QueryError::Domain(error),
        QueryRejection::Store(error) => QueryError::Unavailable(error),
        QueryRejection::MissingDependency(missing) => {
            QueryError::Unavailable(StoreError::Unavailable { reason: missing.to_string(), source: None })
        }
    }
}

/// Waits until the projections of these tables have passed the position.
async fn visible<S: Store, E>(
    engine: &Engine<S>,
    options: &AskOptions,
    reads: &[Option<&'static str>],
) -> Result<(), QueryError<E>> {
    let mut position = options.after;
    for (stream, version) in &options.decided_on {
        position = position.max(engine.read_side.position_of(stream, *version).await.map_err(QueryError::Unavailable)?);
    }
    if position == GlobalPosition::START {
        return Ok(());
    }
    let projections = engine.read_side.projections_of(reads);
    let deadline = tokio::time::Instant::now() + options.within;
    let receipts_only = options.receipts_only;
    let awaited = Awaited { position, streams: &options.streams, receipts_only, own_version: false };
    match engine.read_side.passed(&projections, awaited, deadline).await {
        Ok(pending) if pending.is_empty() || options.stale => Ok(()),
        Ok(pending) => Err(QueryError::NotYetVisible { pending, position, waited: options.within }),
        Err(error) => Err(QueryError::Unavailable(error)),
    }
}

/// A query by name that is asked when it is awaited.
#[must_use = "a query does nothing until it is awaited"]
pub struct AskJson<S> {
    engine: Arc<Engine<S>>,
    query: String,
    json: Value,
    options: AskOptions,
}

impl<S: Store> AskJson<S> {
    pub(crate) fn new(engine: Arc<Engine<S>>, query: String, json: Value) -> Self {
        Self { engine, query, json, options: AskOptions::default() }
    }

    ask_options!();

    async fn run(self) -> Result<Value, QueryError<AnyDomainError>> {
        let Self { engine, query, json, options } = self;
        let within =
            encode::within::<std::convert::Infallible>(&query, json.to_string().len(), engine.limits.payload_bytes);
        if let Err(error) = within {
            return Err(QueryError::Malformed { query, field: ".".to_owned(), reason: error.to_string() });
        }
        let Some(run) = engine.read_side.queries.get(&query).map(|route| route.run) else {
            let similar = engine.read_side.queries.similar(&query);
            return Err(QueryError::UnknownQuery { query, similar });
        };
        run(engine, json, options).await
    }
}

impl<S: Store> IntoFuture for AskJson<S> {
    type Output = Result<Value, QueryError<AnyDomainError>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<S> fmt::Debug for AskJson<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AskJson").field("query", &self.query).field("options", &self.options).finish_non_exhaustive()
    }
}
