//! `tower` layers around dispatch.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceExt as _};

use crate::error::BoxError;
use crate::event::{CommandId, Metadata, StreamId};

/// The service that a layer around dispatch wraps.
pub type DispatchService = BoxCloneSyncService<CommandRequest, CommandReply, BoxError>;

type Work = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = Result<CommandReply, BoxError>> + Send>> + Send>;

/// A command on its way through the layers: what may be looked at, and the work that the innermost service does.
///
/// A layer passes it on once. The command's fields do not appear here: secrets in them stay out of logs.
pub struct CommandRequest {
    pub(crate) command: &'static str,
    pub(crate) command_id: CommandId,
    pub(crate) stream: StreamId,
    pub(crate) metadata: std::sync::Arc<Metadata>,
    pub(crate) work: Work,
}

impl CommandRequest {
    /// Gives the command's name.
    #[must_use]
    pub const fn command(&self) -> &'static str {
        self.command
    }

    /// Gives the id of this dispatch.
    #[must_use]
    pub const fn command_id(&self) -> CommandId {
        self.command_id
    }

    /// Gives the aggregate's stream.
    #[must_use]
    pub const fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// Gives the metadata: actor, correlation, trace context, free entries.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl fmt::Debug for CommandRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandRequest")
            .field("command", &self.command)
            .field("command_id", &self.command_id)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// The answer on its way back through the layers. A layer passes it on.
pub struct CommandReply(pub(crate) Box<dyn Any + Send>);

impl fmt::Debug for CommandReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CommandReply")
    }
}

/// The innermost service: does the work.
pub(crate) fn innermost() -> DispatchService {
    BoxCloneSyncService::new(tower::service_fn(|request: CommandRequest| (request.work)()))
}

/// Wraps a service with a layer and hides the result's type again.
pub(crate) fn wrap<L>(layer: &L, inner: DispatchService) -> DispatchService
where
    L: Layer<DispatchService>,
    L::Service:
        Service<CommandRequest, Response = CommandReply, Future: Send + 'static> + Clone + Send + Sync + 'static,
    <L::Service as Service<CommandRequest>>::Error: Into<BoxError> + 'static,
{
    BoxCloneSyncService::new(layer.layer(inner).map_err(Into::into))
}
