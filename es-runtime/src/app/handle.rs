//! The handle that a program holds.

use std::borrow::Borrow;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::str::FromStr as _;
use std::sync::Arc;

use futures_util::Stream;
use serde_json::Value;

use super::ask::{Ask, AskJson};
use super::builder::AppBuilder;
use super::caught_up::CaughtUp;
use super::dispatch::{Dispatch, DispatchContext, Outcome};
use super::domain::{CommandOf, DomainOn, Runs};
use super::encode;
use super::engine::{Engine, Limits};
use super::import::DispatchAll;
use super::load::Load;
use super::log::EventLog;
use super::options::{DispatchOptions, option_methods};
use super::route::Json;
use crate::aggregate::Aggregate;
use crate::error::{AnyDomainError, DispatchError};
use crate::event::{Recorded, StreamId, Version};
use crate::query::{AnswersOn, QueryOf};
use crate::read_model::{ReadModel, Rows, Table};
use crate::store::{ExternalId, Store, StoreError, longest};
use crate::subscription::Control;

/// A domain on a store: dispatches commands and reads what they left.
///
/// Cloning copies a pointer. [`shutdown`](Self::shutdown) drains and closes; dropping the last handle frees the store.
pub struct App<D, S> {
    engine: Arc<Engine<S>>,
    /// Whose data it works on, unless a call says otherwise; empty: the default tenant's.
    tenant: Arc<str>,
    domain: PhantomData<fn() -> D>,
}

impl<D, S> Clone for App<D, S> {
    fn clone(&self) -> Self {
        Self { engine: Arc::clone(&self.engine), tenant: Arc::clone(&self.tenant), domain: PhantomData }
    }
}

impl<D, S> fmt::Debug for App<D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("App").field(&self.engine).finish()
    }
}

impl<D, S: Store> App<D, S> {
    /// Begins to build an application of domain `D` on a store.
    pub fn builder(store: S) -> AppBuilder<D, S>
    where
        S: Runs<D>,
    {
        store.begin()
    }
}

impl<D: DomainOn<S>, S: Store> App<D, S> {
    pub(crate) fn new(engine: Arc<Engine<S>>) -> Self {
        Self { engine, tenant: Arc::default(), domain: PhantomData }
    }

    /// Returns a handle to the same application that works on the data of one tenant: what it dispatches, asks, loads, reads and identifies is the
    /// tenant's, unless a call names another one. [`caught_up`](Self::caught_up), [`subscriptions`](Self::subscriptions),
    /// [`event_count`](Self::event_count) and [`shutdown`](Self::shutdown) are about the whole application.
    ///
    /// A connection that a query handler takes sees the rows of every tenant, whoever asks. Take a [`Table`] where they have to be kept apart.
    ///
    /// ```
    /// # use es_runtime::prelude::*;
    /// # domain! { pub Bank = "bank"; aggregates: []; commands: [] }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let bank: App<Bank, MemoryStore> = App::builder(MemoryStore::new()).build().await?;
    /// let acme = bank.of_tenant("acme");
    /// assert_eq!(acme.tenant(), "acme");
    /// # Ok::<_, Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn of_tenant(&self, tenant: impl Into<Arc<str>>) -> Self {
        Self { tenant: tenant.into(), ..self.clone() }
    }

    /// Returns the tenant whose data this handle works on; empty for the default one.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Dispatches a command. Options may follow; then it is awaited.
    ///
    /// # Errors
    ///
    /// [`DispatchError`]; whether something was stored is part of each variant.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, it leaves the whole command or nothing.
    pub fn dispatch<C: CommandOf<D, Path>, Path>(&self, command: C) -> Dispatch<D, S, C, Path> {
        Dispatch::new(Arc::clone(&self.engine), command).tenant(&*self.tenant)
    }

    /// Dispatches all commands of a stream, many at a time; see [`DispatchAll`].
    pub fn dispatch_all<I, C, Path>(&self, commands: I) -> DispatchAll<S, I, C, D, Path>
    where
        I: Stream<Item = C> + Send + 'static,
        C: CommandOf<D, Path>,
    {
        let tenant = Arc::clone(&self.tenant);
        let all = DispatchAll::new(Arc::clone(&self.engine), commands);
        if tenant.is_empty() { all } else { all.options(move |_, options| options.tenant(&*tenant)) }
    }

    /// Dispatches a command by its name, from JSON: for HTTP, brokers and tools. The checks and errors are the same.
    pub fn dispatch_json(&self, command: impl Into<String>, json: Value) -> DispatchJson<S> {
        DispatchJson::new(Arc::clone(&self.engine), command.into(), Input::Value(json)).tenant(&*self.tenant)
    }

    /// Dispatches a command by its name, from the bytes of its JSON, which may be anything.
    pub fn dispatch_json_slice(&self, command: impl Into<String>, json: &[u8]) -> DispatchJson<S> {
        let command = command.into();
        // Looked at before it is copied.
        let input = match encode::within(&command, json.len(), self.engine.limits.payload_bytes) {
            Ok(()) => Input::Bytes(json.to_vec()),
            Err(error) => Input::Refused(Box::new(error)),
        };
        DispatchJson::new(Arc::clone(&self.engine), command, input).tenant(&*self.tenant)
    }

    /// Asks a query. Options may follow; then it is awaited.
    ///
    /// # Errors
    ///
    /// [`QueryError`](crate::error::QueryError).
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    pub fn query<Q, Path>(&self, query: Q) -> Ask<D, S, Q, Path>
    where
        Q: QueryOf<D, Path> + AnswersOn<S>,
    {
        Ask::new(Arc::clone(&self.engine), query).tenant(&*self.tenant)
    }

    /// Asks a query by its name, from JSON: for HTTP and tools. The answer is JSON too.
    pub fn query_json(&self, query: impl Into<String>, json: Value) -> AskJson<S> {
        AskJson::new(Arc::clone(&self.engine), query.into(), json).tenant(&*self.tenant)
    }

    /// Gives the rows of a read model: for tools and tests. Handlers of queries take them as a parameter.
    #[must_use]
    pub fn table<R: ReadModel>(&self) -> Table<R> {
        let rows: Arc<dyn Rows> = Arc::<super::read_models::Serving<S>>::clone(&self.engine.read_side.rows);
        Table { rows, tenant: Arc::clone(&self.tenant), row: PhantomData }
    }

    /// Waits until every projection serves in this program's version, and has passed what is in the log now.
    pub fn caught_up(&self) -> CaughtUp<S> {
        CaughtUp::new(Arc::clone(&self.engine))
    }

    /// Gives what follows the log: how it fares, how far rebuilds are, letters, pauses.
    #[must_use]
    pub fn subscriptions(&self) -> &Control<S> {
        self.engine.read_side.subscriptions.control()
    }

    /// Loads the state and version of one aggregate from the store; an earlier one with
    /// [`at_version`](Load::at_version) or [`at_time`](Load::at_time).
    pub fn load<A: Aggregate>(&self, id: impl Borrow<A::Id>) -> Load<S, A> {
        Load::new(Arc::clone(&self.engine), id.borrow()).tenant(&*self.tenant)
    }

    /// Reads the recorded events of one aggregate.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store cannot be read or a stored event does not decode.
    pub async fn history<A: Aggregate>(
        &self,
        id: impl Borrow<A::Id> + Send,
    ) -> Result<Vec<Recorded<A::Event>>, StoreError> {
        let stream = A::stream(id.borrow()).with_tenant(&*self.tenant);
        drop(id);
        self.history_of::<A>(&stream).await
    }

    /// Reads the recorded events of one aggregate by its stream, whoever's it is.
    ///
    /// # Errors
    ///
    /// As [`history`](Self::history).
    pub async fn history_of<A: Aggregate>(&self, stream: &StreamId) -> Result<Vec<Recorded<A::Event>>, StoreError> {
        let page = self.engine.limits.page;
        let mut history: Vec<Recorded<A::Event>> = Vec::new();
        loop {
            let after = history.last().map_or(Version::NONE, Recorded::version);
            let events = self.engine.store.read_history(stream, after, page).await?;
            let last = events.len() < page;
            for event in events {
                history.push(event.decode_as::<A>()?);
            }
            if last {
                return Ok(history);
            }
        }
    }

    /// Reads the whole log, or of a tenant's handle, that tenant's part of it; see [`EventLog`].
    #[must_use]
    pub fn events(&self) -> EventLog<S> {
        let log = EventLog::new(Arc::clone(&self.engine));
        if self.tenant.is_empty() { log } else { log.tenant(&*self.tenant) }
    }

    /// Counts the events of all streams.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store cannot be read.
    pub async fn event_count(&self) -> Result<u64, StoreError> {
        self.engine.store.event_count().await
    }

    /// Gives the id of the aggregate that an id of another system stands for, if there is one.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the id is longer than [`NewCommit::LONGEST_KEY`](crate::store::NewCommit::LONGEST_KEY), the store cannot be read, or the stored key is not an id of `A`.
    pub async fn identity<A: Aggregate>(&self, source: &str, external: &str) -> Result<Option<A::Id>, StoreError> {
        let external = self.external_id::<A>(source, external)?;
        self.engine.store.identity(&external).await?.map(|key| parse_id::<A>(&external, &key)).transpose()
    }

    /// Gives the id of the aggregate that an id of another system stands for: `candidate` from now on, if there was none.
    ///
    /// Race-free: all callers, in all processes, get the same id.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store cannot be used, or the stored key is not an id of `A`.
    pub async fn identify<A: Aggregate>(
        &self,
        source: &str,
        external: &str,
        candidate: A::Id,
    ) -> Result<A::Id, StoreError> {
        let external = self.external_id::<A>(source, external)?;
        let key = self.engine.store.identify(&external, &candidate.to_string()).await?;
        parse_id::<A>(&external, &key)
    }

    fn external_id<A: Aggregate>(&self, source: &str, id: &str) -> Result<ExternalId, StoreError> {
        let tenant = self.tenant.to_string();
        longest("id of another system", &[&tenant, A::NAME, source, id])
            .map_err(|error| StoreError::Refused { reason: error.to_string() })?;
        Ok(ExternalId { tenant, category: A::NAME.to_owned(), source: source.to_owned(), id: id.to_owned() })
    }

    /// Forgets the idempotency keys recorded before a time, and says how many.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store cannot be used.
    pub async fn forget_idempotency_keys(&self, before: chrono::DateTime<chrono::Utc>) -> Result<u64, StoreError> {
        self.engine.store.forget_before(before).await
    }

    /// Gives the application's bounds.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.engine.limits
    }

    /// Gives the store.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.engine.store
    }

    /// Lets no new dispatch in, waits until those on their way are done, then closes the store. Further dispatches of any
    /// handle fail with `Unavailable`.
    ///
    /// # Cancel safety
    ///
    /// Dropped in the middle, the application stays closed for new dispatches; calling it again goes on.
    pub async fn shutdown(&self) {
        self.engine.shutdown().await;
    }
}

fn parse_id<A: Aggregate>(external: &ExternalId, key: &str) -> Result<A::Id, StoreError> {
    A::Id::from_str(key).map_err(|error| StoreError::Damaged {
        place: format!("the identity of `{}` from `{}`", external.id, external.source),
        reason: format!("`{key}` is not an id of aggregate `{}`: {error}", A::NAME),
    })
}

enum Input {
    Value(Value),
    Bytes(Vec<u8>),
    /// Too large, and not kept.
    Refused(Box<DispatchError<AnyDomainError>>),
}

/// A dispatch by name that begins when it is awaited.
#[must_use = "a dispatch does nothing until it is awaited"]
pub struct DispatchJson<S> {
    context: DispatchContext<S>,
    command: String,
    input: Input,
}

impl<S: Store> DispatchJson<S> {
    fn new(engine: Arc<Engine<S>>, command: String, input: Input) -> Self {
        Self { context: DispatchContext { engine, options: DispatchOptions::default() }, command, input }
    }

    fn with(mut self, change: impl FnOnce(DispatchOptions) -> DispatchOptions) -> Self {
        self.context.options = change(self.context.options);
        self
    }

    option_methods!();

    async fn run(self) -> Outcome<Value, AnyDomainError> {
        let Self { context, command, input } = self;
        let json = match input {
            Input::Value(json) => {
                encode::within(&command, json.to_string().len(), context.engine.limits.payload_bytes)?;
                Json::Value(json)
            }
            Input::Bytes(bytes) => Json::Bytes(bytes),
            Input::Refused(error) => return Err(*error),
        };
        let engine = Arc::clone(&context.engine);
        engine.routes.run(&command, json, context).await
    }
}

impl<S: Store> IntoFuture for DispatchJson<S> {
    type Output = Outcome<Value, AnyDomainError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<S> fmt::Debug for DispatchJson<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The JSON is left out: it may hold secrets.
        f.debug_struct("DispatchJson").field("command", &self.command).finish_non_exhaustive()
    }
}
