//! An application for tests.

use std::ops::Deref;

use crate::app::{App, AppBuilder, BuildError, DomainOn, ManualClock};
use crate::handler::SequentialIds;
use crate::store::MemoryStore;

/// An application in memory, with a clock that is moved by hand and ids that count up. Derefs to the [`App`].
///
/// ```
/// # use es_runtime::prelude::*;
/// # #[domain_event] pub struct Opened {}
/// # #[command(aggregate = Account)] pub struct Open { #[id] pub account: Uuid }
/// # #[aggregate(name = "account", id = Uuid, events(Opened))] pub struct Account {}
/// # #[aggregate] impl Account {
/// #     #[apply] fn opened(_: &Opened) -> Self { Self {} }
/// #     #[command_handler] fn open(_: Open) -> Opened { Opened {} }
/// # }
/// # domain! { pub Bank = "bank"; aggregates: [Account]; commands: [Open] }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use es_runtime::testing::TestApp;
/// use std::time::Duration;
/// let app = TestApp::<Bank>::new().await?;
/// app.dispatch(Open { account: Uuid::nil() }).await?;
/// app.clock().advance(Duration::from_secs(60));
/// assert_eq!(app.event_count().await?, 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct TestApp<D> {
    app: App<D, MemoryStore>,
    clock: ManualClock,
}

impl<D: DomainOn<MemoryStore>> TestApp<D> {
    /// Builds an application without dependencies.
    ///
    /// # Errors
    ///
    /// [`BuildError`] where handlers take dependencies.
    pub async fn new() -> Result<Self, BuildError> {
        Self::with(|builder| builder).await
    }

    /// Builds an application with dependencies, layers, limits.
    ///
    /// # Errors
    ///
    /// [`BuildError`] where dependencies are missing.
    pub async fn with(
        configure: impl FnOnce(AppBuilder<D, MemoryStore>) -> AppBuilder<D, MemoryStore>,
    ) -> Result<Self, BuildError> {
        let clock = ManualClock::default();
        let builder = App::builder(MemoryStore::new()).clock(clock.clone()).ids(SequentialIds::default());
        Ok(Self { app: configure(builder).build().await?, clock })
    }

    /// Gives the clock, to be moved.
    #[must_use]
    pub const fn clock(&self) -> &ManualClock {
        &self.clock
    }
}

impl<D> Deref for TestApp<D> {
    type Target = App<D, MemoryStore>;
    fn deref(&self) -> &Self::Target {
        &self.app
    }
}
