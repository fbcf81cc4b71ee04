//! Running the functions of a connected projection, and which of them ran last.

use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::event::{AnyEvent, Recorded};
use crate::projection::{BoxFuture, ConnectedProjector, ProjectionFailure};

/// A connection with an open transaction.
pub(in crate::store) trait Session: Any + Send {
    /// Runs a statement that gives nothing.
    fn statement(&mut self, sql: &'static str) -> BoxFuture<'_, Result<(), sqlx::Error>>;
}

/// Which function runs, and on which event: for failures that say neither.
#[derive(Default)]
pub(in crate::store) struct Progress {
    handler: AtomicUsize,
    event: AtomicUsize,
}

impl Progress {
    fn at(&self, handler: usize, event: usize) {
        self.handler.store(handler, Ordering::Relaxed);
        self.event.store(event, Ordering::Relaxed);
    }

    pub(in crate::store) fn event(&self) -> usize {
        self.event.load(Ordering::Relaxed)
    }

    fn handler(&self, projector: &dyn ConnectedProjector) -> &'static str {
        name(projector, self.handler.load(Ordering::Relaxed))
    }
}

fn name(projector: &dyn ConnectedProjector, handler: usize) -> &'static str {
    projector.descriptor().handlers.get(handler).map_or("", |handler| handler.name)
}

/// Something of the user's that runs on a connection.
#[derive(Clone, Copy)]
pub(in crate::store) enum Function<'a> {
    /// Every function that takes one of the events.
    Events(&'a dyn ConnectedProjector, &'a [Recorded<AnyEvent>], &'a Progress),
    /// As `Events`, event by event, looking behind each whether the transaction is still good: finds the one whose function passed over an error of
    /// the database, where that spoils what comes behind it.
    #[cfg(feature = "postgres")]
    EventsWithCare(&'a dyn ConnectedProjector, &'a [Recorded<AnyEvent>], &'a Progress),
    /// One function, over one event.
    One(&'a dyn ConnectedProjector, usize, &'a Recorded<AnyEvent>),
    /// The function that empties what a projection wrote.
    Reset(&'a dyn ConnectedProjector),
}

impl Function<'_> {
    pub(in crate::store) async fn run<C: Session>(self, connection: &mut C) -> Result<(), ProjectionFailure> {
        match self {
            Self::Events(projector, events, progress) => run_events(connection, projector, events, progress).await,
            #[cfg(feature = "postgres")]
            Self::EventsWithCare(projector, events, progress) => {
                run_with_care(connection, projector, events, progress).await
            }
            Self::One(projector, handler, event) => {
                projector.run(handler, connection, std::slice::from_ref(event)).await
            }
            Self::Reset(projector) => projector.reset(connection).await,
        }
    }

    /// Names the function that runs.
    pub(in crate::store) fn name(&self) -> &'static str {
        match self {
            Self::Events(projector, _, progress) => progress.handler(*projector),
            #[cfg(feature = "postgres")]
            Self::EventsWithCare(projector, _, progress) => progress.handler(*projector),
            Self::One(projector, handler, _) => name(*projector, *handler),
            Self::Reset(_) => "reset",
        }
    }
}

fn takers(projector: &dyn ConnectedProjector, event: &Recorded<AnyEvent>) -> Vec<usize> {
    let handlers = projector.descriptor().handlers_of(event.stream().category(), &event.event().name);
    handlers.map(|(place, _)| place).collect()
}

fn database(error: &sqlx::Error) -> ProjectionFailure {
    ProjectionFailure::Failed { handler: "", cause: error.to_string() }
}

/// Runs the functions of a projection over events that it takes, one after the other. `progress` holds the place of the event.
async fn run_events<C: Session>(
    connection: &mut C,
    projector: &dyn ConnectedProjector,
    events: &[Recorded<AnyEvent>],
    progress: &Progress,
) -> Result<(), ProjectionFailure> {
    let mut at = 0;
    while let Some(event) = events.get(at) {
        let handlers = takers(projector, event);
        let mut end = at + 1;
        if let [handler] = handlers[..]
            && projector.takes_slices(handler)
        {
            while events.get(end).is_some_and(|next| takers(projector, next) == [handler]) {
                end += 1;
            }
        }
        for handler in handlers {
            progress.at(handler, at);
            run_slice(connection, projector, handler, &events[at..end], at, progress).await?;
        }
        at = end;
    }
    Ok(())
}

/// Runs a function over a slice. Where it fails, it is tried event by event, so that the one it fails on is known.
async fn run_slice<C: Session>(
    connection: &mut C,
    projector: &dyn ConnectedProjector,
    handler: usize,
    events: &[Recorded<AnyEvent>],
    first: usize,
    progress: &Progress,
) -> Result<(), ProjectionFailure> {
    if events.len() <= 1 {
        return projector.run(handler, connection, events).await;
    }
    let wrong = |error: sqlx::Error| database(&error);
    connection.statement("SAVEPOINT es_slice").await.map_err(wrong)?;
    let mut ran = projector.run(handler, connection, events).await;
    if ran.is_ok() {
        // It fails where the function passed over an error of the database.
        ran = connection.statement("RELEASE es_slice").await.map_err(wrong);
    }
    if let Err(failure) = ran {
        connection.statement("ROLLBACK TO es_slice").await.map_err(wrong)?;
        for (place, event) in events.iter().enumerate() {
            progress.at(handler, first + place);
            run_alone(connection, projector, handler, event).await?;
        }
        // One by one it goes well: it fails on the slice.
        progress.at(handler, first);
        return Err(failure);
    }
    Ok(())
}

#[cfg(feature = "postgres")]
async fn run_with_care<C: Session>(
    connection: &mut C,
    projector: &dyn ConnectedProjector,
    events: &[Recorded<AnyEvent>],
    progress: &Progress,
) -> Result<(), ProjectionFailure> {
    for (at, event) in events.iter().enumerate() {
        for handler in takers(projector, event) {
            progress.at(handler, at);
            run_alone(connection, projector, handler, event).await?;
        }
    }
    Ok(())
}

async fn run_alone<C: Session>(
    connection: &mut C,
    projector: &dyn ConnectedProjector,
    handler: usize,
    event: &Recorded<AnyEvent>,
) -> Result<(), ProjectionFailure> {
    let wrong = |error: sqlx::Error| ProjectionFailure::Failed {
        handler: name(projector, handler),
        cause: format!("it left a transaction behind that cannot go on: {error}"),
    };
    connection.statement("SAVEPOINT es_event").await.map_err(|error| database(&error))?;
    projector.run(handler, connection, std::slice::from_ref(event)).await?;
    connection.statement("RELEASE es_event").await.map_err(wrong)
}
