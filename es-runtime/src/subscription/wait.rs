//! For the tests of the engine alone: waits until a projection has passed a position. Applications wait on the checkpoints (`app/visible.rs`).

use std::time::Duration;

use tokio::time::Instant;

use super::Subscriptions;
use super::control::Control;
use super::health::Health;
use crate::event::GlobalPosition;
use crate::store::Store;

/// Says why the wait for a projection ended without success.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The program has no projection of this name.
    #[error("no projection is called `{name}`")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The deadline passed.
    #[error("projection `{name}` is at position {reached}, not yet at {wanted}")]
    TimedOut {
        /// The projection.
        name: String,
        /// What was waited for.
        wanted: GlobalPosition,
        /// Up to where all of its partitions are done, as far as could be found out.
        reached: GlobalPosition,
    },
}

/// Between two looks at checkpoints that other processes move.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

impl<S: Store> Subscriptions<S> {
    /// Waits until all partitions of the version of a projection that serves have durably passed a position. Events that are put aside count as
    /// passed. Those that were projected in the append have to be passed by the workers, too: that another program's were is not known here.
    ///
    /// # Errors
    ///
    /// [`WaitError`]
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    pub async fn wait_until(&self, name: &str, position: GlobalPosition, deadline: Instant) -> Result<(), WaitError> {
        let control = &self.control;
        if control.subscriber(name).is_err() {
            return Err(WaitError::Unknown { name: name.to_owned() });
        }
        let mut reached = GlobalPosition::START;
        let wait = wait(control, name, position, &mut reached);
        if tokio::time::timeout_at(deadline, wait).await.is_ok() {
            return Ok(());
        }
        Err(WaitError::TimedOut { name: name.to_owned(), wanted: position, reached })
    }
}

async fn wait<S: Store>(control: &Control<S>, name: &str, position: GlobalPosition, reached: &mut GlobalPosition) {
    let (mut health, mut pause) = (control.shared.health.subscribe(), FIRST_PAUSE);
    let mut look = Instant::now();
    loop {
        // Marked as seen first: what changes from here on wakes.
        let mine = mine(&health.borrow_and_update(), name, control.shared.serving_of(name).active);
        if let Some(done) = mine {
            *reached = done;
            if done >= position {
                return;
            }
        } else if Instant::now() >= look {
            if let Some(done) = stored(control, name).await {
                *reached = done;
                if done >= position {
                    return;
                }
            }
            look = Instant::now() + pause;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        tokio::select! {
            changed = health.changed() => if changed.is_err() { tokio::time::sleep(pause).await },
            () = tokio::time::sleep_until(look), if mine.is_none() => {}
        }
    }
}

/// Where this process's workers stand; `None` where others run a partition.
fn mine(health: &Health, name: &str, active: Option<u32>) -> Option<GlobalPosition> {
    let partitions = || health.of(name).filter(|partition| Some(partition.id.version) == active);
    let all = partitions().all(super::SubscriptionHealth::is_mine);
    if all { partitions().map(|partition| partition.position).min() } else { None }
}

/// Where the checkpoints of the version that serves stand.
async fn stored<S: Store>(control: &Control<S>, name: &str) -> Option<GlobalPosition> {
    let active = control.shared.serving_of(name).active?;
    let checkpoints = control.store.checkpoints(name, active).await.ok()?;
    if checkpoints.is_empty() {
        // Another process made a newer version serve.
        control.shared.nudge.notify_one();
    }
    checkpoints.iter().map(|checkpoint| checkpoint.position).min()
}
