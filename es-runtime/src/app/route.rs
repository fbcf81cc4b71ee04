//! The commands of an application, by name.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;

use rustc_hash::FxHashMap;
use serde_json::Value;

use super::dispatch::{DispatchContext, Outcome, run_enum};
use super::domain::{Domain, DomainOn};
use super::layer::DispatchService;
use crate::command::Command;
use crate::encoding;
use crate::error::{AnyDomainError, DispatchError};
use crate::handler::{Dependencies, HandlerDescriptor, Handles};
use crate::store::Store;

type Answer = Pin<Box<dyn Future<Output = Outcome<Value, AnyDomainError>> + Send>>;
type Run<S> = fn(Json, DispatchContext<S>) -> Answer;

/// The JSON of a command.
pub(crate) enum Json {
    Value(Value),
    Bytes(Vec<u8>),
}

/// One command by name.
pub(crate) struct Route<S> {
    run: Run<S>,
    handler: HandlerDescriptor,
    /// The layers around the command, if it has any.
    pub(crate) service: Option<DispatchService>,
    metrics: OnceLock<CommandMetrics>,
}

/// The handles of the metrics that every dispatch moves. Made at a command's first dispatch, so that a recorder that is
/// installed before it is found; looking the handles up each time would cost more than the rest of a dispatch in memory.
pub(crate) struct CommandMetrics {
    pub(crate) committed: metrics::Counter,
    pub(crate) replayed: metrics::Counter,
    pub(crate) seconds: metrics::Histogram,
}

impl<S> Route<S> {
    pub(crate) fn metrics(&self, command: &'static str) -> &CommandMetrics {
        self.metrics.get_or_init(|| CommandMetrics {
            committed: metrics::counter!("es_dispatch_total", "command" => command, "outcome" => "committed"),
            replayed: metrics::counter!("es_dispatch_total", "command" => command, "outcome" => "replayed"),
            seconds: metrics::histogram!("es_dispatch_seconds", "command" => command),
        })
    }
}

/// The commands of an application, by name.
pub struct Routes<S>(FxHashMap<&'static str, Route<S>>);

impl<S> Default for Routes<S> {
    fn default() -> Self {
        Self(FxHashMap::default())
    }
}

impl<S> fmt::Debug for Routes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<S: Store> Routes<S> {
    /// Adds a command.
    pub fn command<C>(&mut self)
    where
        C: Command,
        C::Aggregate: Handles<C>,
    {
        let handler = <C::Aggregate as Handles<C>>::HANDLER;
        let route = Route { run: run_json::<S, C>, handler, service: None, metrics: OnceLock::new() };
        self.0.insert(C::NAME, route);
    }

    /// Adds the commands of a part.
    pub fn part<D: Domain + DomainOn<S>>(&mut self) {
        D::routes(self);
    }

    /// Gives a command's route.
    pub(crate) fn get(&self, name: &str) -> Option<&Route<S>> {
        self.0.get(name)
    }

    /// Gives every route with its command's name.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut Route<S>)> + '_ {
        self.0.iter_mut().map(|(name, route)| (*name, route))
    }

    /// Names every dependency that a handler takes and the application was not given, each once, in order.
    pub(crate) fn missing(&self, dependencies: &Dependencies) -> Vec<&'static str> {
        let needed = self.0.values().flat_map(|route| route.handler.dependencies).flatten();
        let mut missing: Vec<_> =
            needed.filter(|needed| !(needed.is_there)(dependencies)).map(|needed| (needed.name)()).collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// Runs a command by name.
    pub(crate) async fn run(
        &self,
        name: &str,
        json: Json,
        context: DispatchContext<S>,
    ) -> Outcome<Value, AnyDomainError> {
        match self.0.get(name) {
            Some(route) => (route.run)(json, context).await,
            None => Err(self.unknown(name)),
        }
    }

    pub(crate) fn unknown(&self, name: &str) -> DispatchError<AnyDomainError> {
        DispatchError::UnknownCommand { command: name.to_owned(), similar: similar(self.0.keys().copied(), name) }
    }
}

/// Finds the name that is most like one, by the compiler's own rule for "similar".
pub(crate) fn similar(known: impl Iterator<Item = &'static str>, name: &str) -> Option<&'static str> {
    let distance = |known: &&'static str| strsim::damerau_levenshtein(known, name);
    let near = |known: &&'static str| distance(known) <= name.len().max(3) / 3;
    // A name that is longer than any of ours is not worth comparing.
    if name.len() > 64 { None } else { known.min_by_key(distance).filter(near) }
}

fn run_json<S, C>(json: Json, context: DispatchContext<S>) -> Answer
where
    S: Store,
    C: Command,
    C::Aggregate: Handles<C>,
{
    match read::<C>(json) {
        Ok(command) => Box::pin(run_enum(command, context)),
        Err(malformed) => Box::pin(std::future::ready(Err(malformed))),
    }
}

/// Reads a command. Bytes are read into its own type: a JSON value in between would round what has more than 64 bits.
fn read<C: Command>(json: Json) -> Result<C, DispatchError<AnyDomainError>> {
    let whole = |error: serde_json::Error| malformed(C::NAME, ".".to_owned(), &error);
    let read = match json {
        Json::Value(json) => serde_path_to_error::deserialize(json),
        Json::Bytes(bytes) => {
            encoding::no_key_twice(&bytes).map_err(whole)?;
            serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(&bytes))
        }
    };
    read.map_err(|error| malformed(C::NAME, error.path().to_string(), error.inner()))
}

pub(crate) fn malformed(command: &str, field: String, error: &serde_json::Error) -> DispatchError<AnyDomainError> {
    DispatchError::Malformed { command: command.to_owned(), field, reason: error.to_string() }
}
