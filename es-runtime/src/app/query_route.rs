//! The queries of an application, by name.

use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde_json::Value;

use super::ask::{AskOptions, answer};
use super::engine::Engine;
use super::route::similar;
use crate::encoding;
use crate::error::{AnyDomainError, QueryError};
use crate::handler::{Dependencies, DependencyDescriptor};
use crate::projection::BoxFuture;
use crate::query::{AnswersOn, QueryHandlerDescriptor};
use crate::store::Store;

type Answer = BoxFuture<'static, Result<Value, QueryError<AnyDomainError>>>;

/// The queries of an application, by name.
pub struct QueryRoutes<S>(FxHashMap<&'static str, QueryRoute<S>>);

/// One query by name.
pub(crate) struct QueryRoute<S> {
    handler: QueryHandlerDescriptor,
    pub(crate) run: fn(Arc<Engine<S>>, Value, AskOptions) -> Answer,
}

impl<S> Default for QueryRoutes<S> {
    fn default() -> Self {
        Self(FxHashMap::default())
    }
}

impl<S> fmt::Debug for QueryRoutes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<S: Store> QueryRoutes<S> {
    /// Adds a query.
    pub fn query<Q: AnswersOn<S>>(&mut self)
    where
        Q::Output: serde::Serialize,
    {
        self.0.insert(Q::NAME, QueryRoute { handler: Q::HANDLER, run: run_json::<S, Q> });
    }

    pub(crate) fn get(&self, name: &str) -> Option<&QueryRoute<S>> {
        self.0.get(name)
    }

    pub(crate) fn similar(&self, name: &str) -> Option<&'static str> {
        similar(self.0.keys().copied(), name)
    }

    /// Gives the dependencies that handlers take and the application was not given.
    pub(crate) fn missing(&self, dependencies: &Dependencies) -> Vec<&'static str> {
        let needed = self.0.values().flat_map(|route| route.handler.dependencies).flatten();
        needed
            .filter(|needed| !(needed.is_there)(dependencies))
            .map(|needed: &DependencyDescriptor| (needed.name)())
            .collect()
    }
}

fn run_json<S: Store, Q: AnswersOn<S>>(engine: Arc<Engine<S>>, json: Value, options: AskOptions) -> Answer
where
    Q::Output: serde::Serialize,
{
    Box::pin(async move {
        let query = serde_path_to_error::deserialize::<_, Q>(json).map_err(|error| QueryError::Malformed {
            query: Q::NAME.to_owned(),
            field: error.path().to_string(),
            reason: error.inner().to_string(),
        })?;
        let answer = answer(engine, query, options).await;
        let answer = answer.map_err(|error| error.map_domain(|error| AnyDomainError(Box::new(error))))?;
        // A `NaN` would become `null` without a word.
        let answer = encoding::fits_a_value(&answer).and_then(|()| serde_json::to_value(answer));
        answer.map_err(|error| QueryError::NotJson { query: Q::NAME, reason: error.to_string() })
    })
}
