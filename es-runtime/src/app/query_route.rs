//! The queries of an application, by name.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use rustc_hash::FxHashMap;
use serde_json::Value;

use crate::query::{AnswersOn, QueryHandlerDescriptor, QueryScope};
use crate::store::Store;

/// The queries of an application, by name.
pub struct QueryRoutes<S>(pub(crate) FxHashMap<&'static str, QueryRoute<S>>);

/// One query by name.
pub(crate) struct QueryRoute<S> {
    pub(crate) handler: QueryHandlerDescriptor,
    _store: std::marker::PhantomData<fn() -> S>,
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
        self.0.insert(Q::NAME, QueryRoute { handler: Q::HANDLER, _store: std::marker::PhantomData });
    }
}
