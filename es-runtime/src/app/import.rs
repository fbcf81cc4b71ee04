//! Many commands at once: imports.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _};
use tokio::task::JoinHandle;

use super::dispatch::{DispatchContext, Outcome};
use super::domain::CommandOf;
use super::engine::Engine;
use super::options::DispatchOptions;
use crate::error::DispatchError;
use crate::event::CommandId;
use crate::store::Store;

/// How one command of an import ended.
#[derive(Debug)]
pub struct Imported<O, E> {
    /// The command's place in the import, from 0.
    pub index: u64,
    /// Its receipt or error.
    pub outcome: Outcome<O, E>,
}

type Configure<C> = Box<dyn Fn(&C, DispatchOptions) -> DispatchOptions + Send>;

/// Dispatches the commands of a stream, many at a time, and gives their outcomes as they come.
///
/// Commands of one aggregate take effect in the order of the stream; outcomes may come in another order and carry their
/// index. A failed command stops nothing but itself.
///
/// # Cancel safety
///
/// Dropped in the middle, each command in flight is there whole or not at all; with idempotency keys the import can be run
/// again.
#[must_use = "nothing is dispatched until the outcomes are asked for"]
pub struct DispatchAll<S, I, C: CommandOf<D, Path>, D, Path> {
    engine: Arc<Engine<S>>,
    in_flight: usize,
    configure: Vec<Configure<C>>,
    commands: Option<I>,
    running: Option<BoxStream<'static, Imported<C::Output, C::Error>>>,
}

impl<S, I, C, D, Path> DispatchAll<S, I, C, D, Path>
where
    S: Store,
    I: Stream<Item = C> + Send + 'static,
    C: CommandOf<D, Path>,
{
    pub(crate) const fn new(engine: Arc<Engine<S>>, commands: I) -> Self {
        Self { engine, in_flight: 64, configure: Vec::new(), commands: Some(commands), running: None }
    }

    /// Sets how many commands are on their way at once; 64 without it.
    pub fn in_flight(mut self, count: usize) -> Self {
        self.in_flight = count.max(1);
        self
    }

    /// Gives each command an idempotency key, so that an import that is run again repeats nothing.
    pub fn idempotency_key<K: Into<String>>(self, key: impl Fn(&C) -> K + Send + 'static) -> Self {
        self.options(move |command, options| options.idempotency_key(key(command)))
    }

    /// Sets further options for each command.
    pub fn options(mut self, configure: impl Fn(&C, DispatchOptions) -> DispatchOptions + Send + 'static) -> Self {
        self.configure.push(Box::new(configure));
        self
    }

    fn start(&mut self) -> Option<BoxStream<'static, Imported<C::Output, C::Error>>> {
        let commands = self.commands.take()?;
        let (engine, configure) = (Arc::clone(&self.engine), std::mem::take(&mut self.configure));
        let dispatched = commands.enumerate().map(move |(index, command)| {
            let mut options =
                configure.iter().fold(DispatchOptions::default(), |options, change| change(&command, options));
            let command_id = *options.metadata.command_id.get_or_insert_with(CommandId::new_v7);
            let running = command.run(DispatchContext { engine: Arc::clone(&engine), options });
            async move { Imported { index: index as u64, outcome: begin(running, command_id).await } }
        });
        // New futures are polled in the order in which they are made: that is the order of the stream for each aggregate.
        Some(dispatched.buffer_unordered(self.in_flight).boxed())
    }
}

/// Polls a dispatch once here, which gives it its place, and lets it go on in a task of its own: whoever reads the outcomes
/// may take their time, or dispatch in between, without holding anybody up.
async fn begin<O, E>(
    running: impl Future<Output = Outcome<O, E>> + Send + 'static,
    command_id: CommandId,
) -> Outcome<O, E>
where
    O: Send + 'static,
    E: Send + 'static,
{
    let mut running = Box::pin(running);
    match poll_fn(|cx| Poll::Ready(running.as_mut().poll(cx))).await {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => {
            let mut task = AbortOnDrop(tokio::spawn(running));
            // A task ends without an outcome only when its runtime is shut down.
            (&mut task.0).await.unwrap_or(Err(DispatchError::OutcomeUnknown { command_id }))
        }
    }
}

/// A task that ends with its handle: dropping an import stops it.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<S, I, C, D, Path> Stream for DispatchAll<S, I, C, D, Path>
where
    S: Store,
    I: Stream<Item = C> + Send + Unpin + 'static,
    C: CommandOf<D, Path>,
    C::Output: 'static,
    D: 'static,
    Path: 'static,
{
    type Item = Imported<C::Output, C::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.running.is_none() {
            self.running = self.start();
        }
        match &mut self.running {
            Some(running) => running.poll_next_unpin(cx),
            None => Poll::Ready(None),
        }
    }
}

impl<S, I, C: CommandOf<D, Path>, D, Path> fmt::Debug for DispatchAll<S, I, C, D, Path> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DispatchAll").field("in_flight", &self.in_flight).finish_non_exhaustive()
    }
}
