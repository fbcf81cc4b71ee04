//! Building an application.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::Semaphore;
use tower::{Layer, Service};

use super::cache::AggregateCache;
use super::clock::{Clock, SystemClock};
use super::domain::{CommandOf, Domain, DomainOn};
use super::engine::{BEGUN, Engine, Limits};
use super::handle::App;
use super::layer::{CommandReply, CommandRequest, DispatchService, innermost, wrap};
use super::queries::Queries;
use super::query_route::QueryRoutes;
use super::read_models::ReadModels;
use super::route::Routes;
use crate::command::Command;
use crate::error::BoxError;
use crate::handler::{Dependencies, Dependency, IdSource, RandomIds};
use crate::projection::Projections;
use crate::store::{RegisterError, Store, StoreError};
use crate::subscription::{SubscriptionOptions, Subscriptions};

/// Says why an application could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Handlers take dependencies that were not given; all of them are listed.
    #[error("missing dependencies: {}; give each with `.dependency(..)`", .types.join(", "))]
    MissingDependencies {
        /// The types' names.
        types: Vec<&'static str>,
    },
    /// Whether a stored state still fits the program's cannot be seen, because the form of a field is not visible. Say
    /// `snapshot(every = …, version = 1)` and raise the version when the form changes, or use a type whose form is visible.
    #[error(
        "the snapshots of aggregate `{aggregate}` need a version: the stored form of `{field}` is not visible, so a change of it would not be noticed; write `snapshot(every = …, version = 1)` and raise the version with each change"
    )]
    SnapshotNeedsVersion {
        /// The aggregate's name.
        aggregate: &'static str,
        /// The path of the field.
        field: String,
    },
    /// A projection cannot run on what is stored.
    #[error(transparent)]
    Projection(#[from] RegisterError),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Wrap = Box<dyn Fn(DispatchService) -> DispatchService + Send>;

/// Builds an [`App`].
#[must_use = "nothing is built until `build` is awaited"]
pub struct AppBuilder<D, S> {
    store: S,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    dependencies: Dependencies,
    limits: Limits,
    /// The layers, innermost first, with the command they are for.
    layers: Vec<(Option<&'static str>, Wrap)>,
    retention: Option<std::time::Duration>,
    subscriptions: SubscriptionOptions,
    workers: bool,
    domain: PhantomData<fn() -> D>,
}

impl<D: DomainOn<S>, S: Store> AppBuilder<D, S> {
    pub(crate) fn new(store: S) -> Self {
        Self {
            store,
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
            dependencies: Dependencies::default(),
            limits: Limits::default(),
            layers: Vec::new(),
            retention: None,
            subscriptions: SubscriptionOptions::default(),
            workers: true,
            domain: PhantomData,
        }
    }

    /// Gives a dependency, for the handlers that take `Dep<T>`.
    pub fn dependency<T: Dependency>(self, dependency: T) -> Self {
        self.shared_dependency(Arc::new(dependency))
    }

    /// Gives a dependency that is shared already, or a trait object: `shared_dependency::<dyn Gateway>(gateway)`.
    pub fn shared_dependency<T: Dependency + ?Sized>(mut self, dependency: Arc<T>) -> Self {
        self.dependencies.insert(dependency);
        self
    }

    /// Takes the time from another clock: of commits, and of [`Context::now`](crate::handler::Context::now).
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Takes the ids of [`Context::new_id`](crate::handler::Context::new_id) from another source.
    pub fn ids(mut self, ids: impl IdSource) -> Self {
        self.ids = Arc::new(ids);
        self
    }

    /// Changes the application's bounds: `.limits(|limits| limits.retries = 9)`.
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Changes how the subscriptions run: `.subscriptions(|options| options.retries = 5)`.
    pub fn subscriptions(mut self, change: impl FnOnce(&mut SubscriptionOptions)) -> Self {
        change(&mut self.subscriptions);
        self
    }

    /// Leaves following the log to other processes: this one dispatches and asks. What is asynchronous becomes visible when one of the others has
    /// done it.
    pub const fn without_workers(mut self) -> Self {
        self.workers = false;
        self
    }

    /// Forgets idempotency keys older than this when the application is built. Without it they are kept without limit.
    pub const fn idempotency_retention(mut self, retention: std::time::Duration) -> Self {
        self.retention = Some(retention);
        self
    }

    /// Puts a `tower` layer around every command. The layer given last is the outermost.
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<DispatchService> + Send + 'static,
        L::Service:
            Service<CommandRequest, Response = CommandReply, Future: Send + 'static> + Clone + Send + Sync + 'static,
        <L::Service as Service<CommandRequest>>::Error: Into<BoxError> + 'static,
    {
        self.layers.push((None, Box::new(move |inner| wrap(&layer, inner))));
        self
    }

    /// Puts a `tower` layer around command `C`. The layer given last is the outermost.
    pub fn layer_for<C, L, Path>(mut self, layer: L) -> Self
    where
        C: Command + CommandOf<D, Path>,
        L: Layer<DispatchService> + Send + 'static,
        L::Service:
            Service<CommandRequest, Response = CommandReply, Future: Send + 'static> + Clone + Send + Sync + 'static,
        <L::Service as Service<CommandRequest>>::Error: Into<BoxError> + 'static,
    {
        self.layers.push((Some(C::NAME), Box::new(move |inner| wrap(&layer, inner))));
        self
    }

    /// Builds the application, and starts the subscriptions of its projections.
    ///
    /// # Errors
    ///
    /// [`BuildError::MissingDependencies`] with all that are missing; [`BuildError::Projection`] where the store holds a projection otherwise than it is
    /// declared, with the difference; [`BuildError::Store`] where the store cannot be
    /// used.
    pub async fn build(mut self) -> Result<App<D, S>, BuildError> {
        self.limits.page = self.limits.page.max(1);
        snapshots_are_visible::<D>()?;
        let (mut routes, mut queries, mut projections) =
            (Routes::default(), QueryRoutes::default(), Projections::default());
        D::routes(&mut routes);
        D::queries(&mut queries);
        D::projections(&mut projections);
        let mut types = routes.missing(&self.dependencies);
        types.extend(queries.missing(&self.dependencies));
        types.extend(projections.missing(&self.dependencies));
        types.sort_unstable();
        types.dedup();
        if !types.is_empty() {
            return Err(BuildError::MissingDependencies { types });
        }
        if let Some(retention) = self.retention {
            // A retention that reaches back before time began forgets nothing.
            let retention = chrono::TimeDelta::from_std(retention).ok();
            if let Some(before) = retention.and_then(|retention| self.clock.now().checked_sub_signed(retention)) {
                self.store.forget_before(before).await?;
            }
        }
        add_services(&self.layers, &mut routes);
        let dependencies = Arc::new(self.dependencies);
        let sync = projections.in_append(self.limits.projection_backlog);
        let descriptors = projections.descriptors();
        let subscriptions = Subscriptions::start(
            projections,
            self.store.clone(),
            Arc::clone(&dependencies),
            self.subscriptions,
            self.workers,
        )
        .await?;
        let engine = Engine {
            queries: Queries::new(self.store.clone(), self.limits.page),
            cache: AggregateCache::new(self.limits.cached_aggregates, self.limits.cached_bytes),
            places: Semaphore::new(self.limits.in_flight.clamp(1, Semaphore::MAX_PERMITS)),
            begun: Semaphore::new(BEGUN as usize),
            sync,
            read_side: ReadModels::new(self.store.clone(), descriptors, queries, subscriptions),
            store: self.store,
            clock: self.clock,
            ids: self.ids,
            dependencies,
            limits: self.limits,
            routes,
            closed: AtomicBool::new(false),
        };
        Ok(App::new(Arc::new(engine)))
    }
}

/// Refuses snapshots whose form may change without being noticed.
fn snapshots_are_visible<D: Domain>() -> Result<(), BuildError> {
    let mut hidden = None;
    D::TABLE.walk(&mut |domain| {
        for aggregate in domain.aggregates {
            let field = aggregate.snapshot_shape.and_then(|shape| shape().hidden_field());
            hidden = hidden.take().or(field.map(|field| (aggregate.name, field)));
        }
    });
    match hidden {
        Some((aggregate, field)) => Err(BuildError::SnapshotNeedsVersion { aggregate, field }),
        None => Ok(()),
    }
}

/// Builds the service of each command that has layers.
fn add_services<S: Store>(layers: &[(Option<&'static str>, Wrap)], routes: &mut Routes<S>) {
    for (name, route) in routes.iter_mut() {
        let mine = layers.iter().filter(|(command, _)| command.is_none_or(|command| command == name));
        route.service = mine.fold(None, |inner, (_, wrap)| Some(wrap(inner.unwrap_or_else(innermost))));
    }
}

impl<D, S> fmt::Debug for AppBuilder<D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppBuilder")
            .field("dependencies", &self.dependencies)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
