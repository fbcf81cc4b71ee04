//! What a caller says beside the command.

use std::sync::Arc;
use std::time::Duration;

use super::running::Running;
use crate::event::{CausationId, CommandId, CorrelationId, Metadata, TraceContext, Version};
use crate::handler::Context;

/// The options of one dispatch, beside its command.
///
/// ```
/// use es_runtime::app::DispatchOptions;
/// let options = DispatchOptions::default().actor("alice").idempotency_key("order-17").entry("ip", "10.0.0.1");
/// assert_eq!(options.metadata().actor.as_deref(), Some("alice"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct DispatchOptions {
    pub(crate) key: Option<String>,
    pub(crate) expected: Option<Version>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) wait: Option<Duration>,
    pub(crate) within: Option<Arc<Running>>,
    pub(crate) tenant: String,
    pub(crate) metadata: Metadata,
    /// The output is returned as a JSON value.
    pub(crate) json: bool,
}

impl DispatchOptions {
    /// Gives the metadata that will be stored.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Makes the dispatch take effect once, however often it is repeated under this key.
    ///
    /// The key is unique in the application (in the tenant) and kept without limit unless a retention is set. A repeat
    /// gets the first receipt; another command under the same key is an error.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Accepts the command only on this version of the aggregate (0: it must not exist). Conflicts are not retried then.
    #[must_use]
    pub fn expect_version(mut self, version: impl Into<Version>) -> Self {
        self.expected = Some(version.into());
        self
    }

    /// Says what the dispatch belongs to. Without it, a dispatch begins a correlation of its own, with its command id.
    #[must_use]
    pub fn correlation(mut self, id: impl Into<CorrelationId>) -> Self {
        self.metadata.correlation = Some(id.into());
        self
    }

    /// Says what the direct cause is: the id of an event or message.
    #[must_use]
    pub fn causation(mut self, id: impl Into<CausationId>) -> Self {
        self.metadata.causation = Some(id.into());
        self
    }

    /// Says who acts.
    #[must_use]
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.metadata.actor = Some(actor.into());
        self
    }

    /// Says on whose behalf: streams, claims and idempotency keys of tenants are apart. Empty is the default tenant.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// Adds the W3C trace context: the `traceparent` and `tracestate` headers.
    #[must_use]
    pub fn trace_context(mut self, traceparent: impl Into<String>, tracestate: impl Into<String>) -> Self {
        self.metadata.trace = Some(TraceContext { traceparent: traceparent.into(), tracestate: tracestate.into() });
        self
    }

    /// Adds a free entry to the metadata.
    #[must_use]
    pub fn entry(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.entries.insert(name.into(), value.into());
        self
    }

    /// Names the dispatch. Without it, it gets a new id.
    #[must_use]
    pub fn command_id(mut self, id: impl Into<CommandId>) -> Self {
        self.metadata.command_id = Some(id.into());
        self
    }

    /// Waits for the answer no longer than this.
    ///
    /// When the time is up and the store does not have the command yet, nothing happened (`TimedOut`, or `Overloaded`
    /// where it was still waiting for a place); else its fate is open (`OutcomeUnknown`).
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Marks the dispatch as one that the handler with this context waits for.
    ///
    /// A dispatch in the handler's own task is marked without it. One in a task that the handler spawned is not known to be
    /// the handler's: mark it if the handler waits for that task. Then a wait for the handler's own aggregate is refused
    /// with `WithinItself`, and handlers that would wait for each other with `MutualWait`. Without the mark, such a wait
    /// ends with the handler's timeout, [`Limits::handler_timeout`](crate::app::Limits::handler_timeout).
    ///
    /// ```
    /// # use es_runtime::prelude::*;
    /// # async fn handler(context: &Context) {
    /// let context = context.clone();
    /// tokio::spawn(async move {
    ///     let options = es_runtime::app::DispatchOptions::default().within(&context);
    ///     // app.dispatch(command).options(options).await, or app.dispatch(command).within(&context).await
    /// # let _ = options;
    /// });
    /// # }
    /// ```
    #[must_use]
    pub fn within(mut self, context: &Context) -> Self {
        self.within.clone_from(&context.running);
        self
    }

    /// Waits, after the command is stored, until every projection that takes one of its events has passed it, up to a limit. The
    /// receipt's [`visibility`](crate::app::Receipt::visibility) says what came of it; a command that is stored is a success either way.
    #[must_use]
    pub const fn wait_for_projections(mut self, limit: Duration) -> Self {
        self.wait = Some(limit);
        self
    }

    /// Fills in the ids and shares the metadata.
    pub(crate) fn seal(&mut self) -> (CommandId, Arc<Metadata>) {
        let mut metadata = std::mem::take(&mut self.metadata);
        let command_id = *metadata.command_id.get_or_insert_with(CommandId::new_v7);
        metadata.correlation.get_or_insert(CorrelationId(command_id.0));
        (command_id, Arc::new(metadata))
    }

    /// Counts the bytes of the caller's texts.
    pub(crate) fn bytes(&self) -> usize {
        let Metadata { actor, trace, entries, .. } = &self.metadata;
        self.tenant.len()
            + self.key.as_ref().map_or(0, String::len)
            + actor.as_ref().map_or(0, String::len)
            + trace.as_ref().map_or(0, |trace| trace.traceparent.len() + trace.tracestate.len())
            + entries.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
    }
}

/// Gives a dispatch builder the methods of [`DispatchOptions`].
macro_rules! option_methods {
    () => {
        /// Makes the dispatch take effect once; see [`DispatchOptions::idempotency_key`].
        pub fn idempotency_key(self, key: impl Into<String>) -> Self {
            self.with(|options| options.idempotency_key(key))
        }

        /// Accepts the command only on this version; see [`DispatchOptions::expect_version`].
        pub fn expect_version(self, version: impl Into<crate::event::Version>) -> Self {
            self.with(|options| options.expect_version(version))
        }

        /// Says what the dispatch belongs to.
        pub fn correlation(self, id: impl Into<crate::event::CorrelationId>) -> Self {
            self.with(|options| options.correlation(id))
        }

        /// Says what the direct cause is.
        pub fn causation(self, id: impl Into<crate::event::CausationId>) -> Self {
            self.with(|options| options.causation(id))
        }

        /// Says who acts.
        pub fn actor(self, actor: impl Into<String>) -> Self {
            self.with(|options| options.actor(actor))
        }

        /// Says on whose behalf.
        pub fn tenant(self, tenant: impl Into<String>) -> Self {
            self.with(|options| options.tenant(tenant))
        }

        /// Adds the W3C trace context.
        pub fn trace_context(self, traceparent: impl Into<String>, tracestate: impl Into<String>) -> Self {
            self.with(|options| options.trace_context(traceparent, tracestate))
        }

        /// Adds a free entry to the metadata.
        pub fn entry(self, name: impl Into<String>, value: impl Into<String>) -> Self {
            self.with(|options| options.entry(name, value))
        }

        /// Names the dispatch.
        pub fn command_id(self, id: impl Into<crate::event::CommandId>) -> Self {
            self.with(|options| options.command_id(id))
        }

        /// Waits for the answer no longer than this; see [`DispatchOptions::timeout`].
        pub fn timeout(self, timeout: std::time::Duration) -> Self {
            self.with(|options| options.timeout(timeout))
        }

        /// Marks the dispatch as one that a handler waits for; see [`DispatchOptions::within`].
        pub fn within(self, context: &crate::handler::Context) -> Self {
            self.with(|options| options.within(context))
        }

        /// Waits until what the command did can be read; see [`DispatchOptions::wait_for_projections`].
        pub fn wait_for_projections(self, limit: std::time::Duration) -> Self {
            self.with(|options| options.wait_for_projections(limit))
        }

        /// Sets all options at once.
        pub fn options(self, options: DispatchOptions) -> Self {
            self.with(|_| options)
        }
    };
}
pub(crate) use option_methods;
