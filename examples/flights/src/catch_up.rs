//! Waiting for the read models, with a look at how far they are.

use std::future::IntoFuture as _;
use std::pin::pin;
use std::time::Duration;

use es_runtime::app::DomainOn;
use es_runtime::event::GlobalPosition;
use es_runtime::prelude::*;
use es_runtime::store::Store;
use indicatif::ProgressBar;

use crate::{Error, Flights};

/// How long is waited at most: a rebuild over a year of flights takes less than a minute.
const LIMIT: Duration = Duration::from_mins(10);
/// How often the bar moves.
const LOOK: Duration = Duration::from_millis(100);

/// Waits until every projection has passed what is in the log now.
///
/// # Errors
///
/// Where a projection stopped or was paused, the time is up, or the store cannot be read.
pub async fn catch_up<S: Store>(app: &App<Flights, S>, bar: &ProgressBar) -> Result<(), Error>
where
    Flights: DomainOn<S>,
{
    bar.set_length(app.store().head().await?.get());
    let mut caught_up = pin!(app.caught_up().within(LIMIT).into_future());
    loop {
        bar.set_position(slowest(app.store()).await?.get());
        if let Ok(done) = tokio::time::timeout(LOOK, &mut caught_up).await {
            return Ok(done?);
        }
    }
}

/// Gives the position up to which all projections behind the log are done.
async fn slowest<S: Store>(store: &S) -> Result<GlobalPosition, StoreError> {
    let mut slowest = store.head().await?;
    for projection in Flights::describe().projections.iter().filter(|projection| projection.has_async()) {
        for checkpoint in store.checkpoints(projection.name, projection.version).await? {
            slowest = slowest.min(checkpoint.position);
        }
    }
    Ok(slowest)
}
