//! What an orchestrating handler with a written reason may look at before it decides.
use std::fmt;
use std::sync::Arc;

/// Looks at other aggregates. Only a handler with `queries = "…"` gets one.
#[derive(Clone)]
pub struct Queries(pub(crate) Arc<dyn Look>);

pub(crate) trait Look: Send + Sync {}

impl fmt::Debug for Queries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queries")
    }
}
