//! Running orchestrating handlers, and the handlers that their dispatches are part of.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::event::StreamId;

tokio::task_local! {
    /// The innermost orchestrating handler that runs in this task.
    static RUNNING: Arc<Running>;
}

/// An aggregate of an application: two applications may each have a stream of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) application: u64,
    pub(crate) stream: StreamId,
}

/// An orchestrating handler, which has its aggregate's turn while it runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) place: Place,
    /// The handler whose nested dispatch runs this one.
    outer: Option<Arc<Self>>,
    ended: AtomicBool,
}

impl Running {
    pub(crate) fn new(place: Place, outer: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self { place, outer, ended: AtomicBool::new(false) })
    }

    /// Returns the innermost handler that runs in this task.
    pub(crate) fn current() -> Option<Arc<Self>> {
        RUNNING.try_with(Arc::clone).ok()
    }

    /// Returns `true` until the handler has returned or was dropped.
    pub(crate) fn is_running(&self) -> bool {
        !self.ended.load(Ordering::Acquire)
    }

    /// Returns this handler and those around it, innermost first, without those that have ended.
    pub(crate) fn path(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Self>> {
        self.whole_path().filter(|running| running.is_running())
    }

    /// Returns the streams between this handler and the one around it that has the aggregate's turn, outermost first, or
    /// `None` if no handler of the path has it.
    pub(crate) fn between(self: &Arc<Self>, place: &Place) -> Option<Vec<StreamId>> {
        let mut streams: Vec<StreamId> = Vec::new();
        for running in self.path() {
            if running.place == *place {
                streams.reverse();
                return Some(streams);
            }
            streams.push(running.place.stream.clone());
        }
        None
    }

    /// Returns all handlers of the path, even those that have ended.
    pub(crate) fn whole_path(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Self>> {
        std::iter::successors(Some(self), |running| running.outer.as_ref())
    }

    /// Runs the handler: what it dispatches in this task is nested in it.
    pub(crate) async fn run<F: Future>(self: &Arc<Self>, handler: F) -> F::Output {
        let _end = End(self);
        RUNNING.scope(Arc::clone(self), handler).await
    }
}

/// Marks the end of a handler, even of one that panics or is dropped.
struct End<'a>(&'a Running);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
    }
}
