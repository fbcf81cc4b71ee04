//! Keeps the leases of a process, and starts and stops its workers as they come and go.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::health::{StopReason, SubscriptionState};
use super::options::SubscriptionOptions;
use super::shared::Shared;
use super::subscriber::Subscriber;
use super::work::count_stop;
use super::worker::{Ended, Task, Worker};
use crate::event::GlobalPosition;
use crate::handler::Dependencies;
use crate::private::panic_message;
use crate::store::{
    Lease, LeaseRequest, PartitionId, ProcessId, ProjectionVersion, Store, StoreError, SubscriptionStatus, VersionState,
};
use crate::time;

/// A pause before a partition that was fenced off is asked for again.
const AFTER_FENCE: Duration = Duration::from_millis(20);

/// What a process runs.
pub(crate) struct Keeper<S> {
    pub(crate) store: S,
    pub(crate) process: ProcessId,
    pub(crate) subscribers: Arc<[Arc<Subscriber>]>,
    pub(crate) dependencies: Arc<Dependencies>,
    pub(crate) options: Arc<SubscriptionOptions>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) tail: watch::Receiver<GlobalPosition>,
}

/// A worker that runs.
struct Running {
    epoch: u64,
    stop: watch::Sender<bool>,
}

struct Crew {
    workers: BTreeMap<PartitionId, Running>,
    tasks: JoinSet<(PartitionId, Ended)>,
    /// Until when all leases hold.
    lease: watch::Sender<Instant>,
    /// Tells the workers to look at their letters.
    refresh: watch::Sender<()>,
}

impl<S: Store> Keeper<S> {
    /// Runs until `stop` turns true or is gone; then the workers finish the batches at hand and the leases are given back.
    ///
    /// `_alive` is dropped when all of that is done, `looked` when the leases were asked for once, whatever came of it.
    pub(crate) async fn run(
        self,
        mut stop: watch::Receiver<bool>,
        _alive: watch::Sender<()>,
        looked: oneshot::Sender<()>,
    ) {
        let mut first = Some(looked);
        let mut crew = Crew {
            workers: BTreeMap::new(),
            tasks: JoinSet::new(),
            lease: watch::Sender::new(Instant::now() + self.options.lease_timeout),
            refresh: watch::Sender::new(()),
        };
        let mut next = Instant::now();
        let mut replaced = None;
        while !*stop.borrow() && stop.has_changed().is_ok() {
            tokio::select! {
                _ = stop.changed() => {}
                Some(ended) = crew.tasks.join_next() => {
                    if let Ok((id, ended)) = ended {
                        crew.workers.remove(&id);
                        next = next.min(Instant::now() + self.ended(&id, &ended));
                    }
                }
                () = self.shared.nudge.notified() => next = Instant::now(),
                () = tokio::time::sleep_until(next) => {
                    // A look that is dropped half-way leaves leases at most, which are given back at the end.
                    let looked = tokio::select! {
                        looked = self.round(&mut crew) => looked,
                        _ = stop.changed() => continue,
                    };
                    drop(first.take());
                    match looked {
                        Ok(()) => next = Instant::now() + self.options.lease_timeout / 3,
                        Err(StoreError::Closed) => break,
                        Err(error @ StoreError::Replaced { .. }) => {
                            replaced = Some(error);
                            break;
                        }
                        Err(error) => {
                            tracing::warn!(%error, "the leases could not be renewed; trying again");
                            next = Instant::now() + self.options.pause.min(self.options.lease_timeout / 3);
                        }
                    }
                }
            }
        }
        self.end(crew).await;
        // Last: a worker that still ends shows what it does until then.
        if let Some(error) = replaced {
            self.stopped(&error);
        }
    }

    /// Renews the leases, and starts and stops what follows from them.
    async fn round(&self, crew: &mut Crew) -> Result<(), StoreError> {
        let mut renewed = self.renew(crew).await;
        if let Err(StoreError::Gone { .. }) = renewed {
            // A version was dropped since the last look. The others are leased as before.
            self.look_at_versions().await?;
            renewed = self.renew(crew).await;
        }
        let leases = renewed?;
        if !leases.is_empty() {
            crate::fail_point::reached("lease.taken");
        }
        self.look_at_versions().await?;
        stop_lost(crew, &leases);
        for lease in &leases {
            self.heed(crew, lease);
        }
        self.show_missing(&leases);
        crew.refresh.send_replace(());
        Ok(())
    }

    /// Shows that nothing runs any more, for good.
    fn stopped(&self, error: &StoreError) {
        tracing::error!(%error, "no subscription runs any more");
        let reason = StopReason::Recorded(error.to_string().into());
        for id in self.subscribers.iter().flat_map(|subscriber| subscriber.ids()) {
            let state = SubscriptionState::Stopped { reason: reason.clone(), at: time::now() };
            self.shared.update(&id, |health| health.state = state);
        }
    }

    /// Renews the leases of every version that is not known to be dropped.
    async fn renew(&self, crew: &Crew) -> Result<Vec<Lease>, StoreError> {
        let asked = Instant::now();
        let there = self.subscribers.iter().filter(|subscriber| !self.shared.is_dropped(&subscriber.name));
        let wanted = there.flat_map(|subscriber| subscriber.ids()).collect();
        let request = LeaseRequest { process: self.process, timeout: self.options.lease_timeout, wanted };
        let until = *crew.lease.borrow();
        // A store that does not answer: the workers look at the time themselves, the keeper asks anew.
        let leases =
            tokio::time::timeout_at(until.max(asked + self.options.lease_timeout / 3), self.store.lease(&request))
                .await
                .map_err(|_| StoreError::Unavailable {
                    reason: "the leases were not renewed in time".into(),
                    source: None,
                })??;
        crew.lease.send_replace(asked + self.options.lease_timeout);
        Ok(leases)
    }

    /// Finds out which versions serve, and drops those that do no more.
    async fn look_at_versions(&self) -> Result<(), StoreError> {
        let known = self.store.projections().await?;
        let program = self.subscribers.iter().map(|it| (Arc::clone(&it.name), it.projection.version));
        self.shared.learn(program, &known);
        if !self.options.drop_retired {
            return Ok(());
        }
        for subscriber in self.subscribers.iter() {
            let mine = self.shared.serving_of(&subscriber.name).mine == Some(VersionState::Active);
            let old =
                |it: &ProjectionVersion| *it.name == *subscriber.name && it.version < subscriber.projection.version;
            if mine && known.iter().any(old) {
                self.store.drop_retired(&subscriber.name).await?;
            }
        }
        Ok(())
    }

    /// Runs a partition, or not, as its status says.
    fn heed(&self, crew: &mut Crew, lease: &Lease) {
        let running = crew.workers.get(&lease.id);
        let state = match &lease.status {
            SubscriptionStatus::Running => {
                // One that still ends is started with a later look.
                if running.is_none() {
                    self.start(crew, lease);
                }
                return;
            }
            SubscriptionStatus::Paused => SubscriptionState::Paused,
            SubscriptionStatus::Stopped { reason, at } => {
                SubscriptionState::Stopped { reason: StopReason::Recorded(reason.as_str().into()), at: *at }
            }
        };
        if let Some(running) = running {
            running.stop.send_replace(true);
        }
        self.show(&lease.id, state, lease.position);
    }

    fn start(&self, crew: &mut Crew, lease: &Lease) {
        let Some(subscriber) = self.subscribers.iter().find(|it| it.ids().any(|id| id == lease.id)) else { return };
        let (stop, stopped) = watch::channel(false);
        // Nobody may take what was known before for what is done now: it may have been rewound.
        self.shared.update(&lease.id, |health| health.position = lease.position);
        let task = Task {
            store: self.store.clone(),
            subscriber: Arc::clone(subscriber),
            id: lease.id.clone(),
            epoch: lease.epoch,
            shared: Arc::clone(&self.shared),
            options: Arc::clone(&self.options),
            dependencies: Arc::clone(&self.dependencies),
            tail: self.tail.clone(),
            stop: stopped,
            refresh: crew.refresh.subscribe(),
            lease: crew.lease.subscribe(),
        };
        let (id, store, shared) = (lease.id.clone(), self.store.clone(), Arc::clone(&self.shared));
        let pause = self.options.pause;
        crew.tasks.spawn(async move {
            let mut stop = task.stop.clone();
            // A worker never dies silently.
            let run = AssertUnwindSafe(async { Worker::new(task).run().await }).catch_unwind();
            let ended = run
                .await
                .unwrap_or_else(|panic| Ended::Stopped(StopReason::Panicked { message: panic_message(&*panic) }));
            if let Ended::Stopped(reason) = &ended {
                stopped_for_good(&store, &shared, &id, reason, &mut stop, pause).await;
            }
            (id, ended)
        });
        crew.workers.insert(lease.id.clone(), Running { epoch: lease.epoch, stop });
    }

    /// Shows what became of a worker, and says how soon the leases are to be looked at again.
    fn ended(&self, id: &PartitionId, ended: &Ended) -> Duration {
        if matches!(ended, Ended::Stopped(_)) {
            return self.options.lease_timeout;
        }
        self.shared.update(id, |health| {
            if health.is_mine() {
                health.state = SubscriptionState::WaitingForLease;
            }
        });
        match ended {
            Ended::Fenced => {
                tracing::info!(subscription = %id.name, partition = id.partition, "fenced off");
                AFTER_FENCE
            }
            _ => Duration::ZERO,
        }
    }

    /// Partitions that others run, or nobody.
    fn show_missing(&self, leases: &[Lease]) {
        for id in self.subscribers.iter().flat_map(|subscriber| subscriber.ids()) {
            if leases.iter().any(|lease| lease.id == id) {
                continue;
            }
            let dropped = self.shared.serving_of(&id.name).mine.is_none();
            self.shared.update(&id, |health| match (&health.state, dropped) {
                (SubscriptionState::Stopped { reason: StopReason::Dropped, .. }, true) => {}
                (_, true) => health.state = SubscriptionState::Stopped { reason: StopReason::Dropped, at: time::now() },
                _ => health.state = SubscriptionState::WaitingForLease,
            });
        }
    }

    fn show(&self, id: &PartitionId, state: SubscriptionState, position: GlobalPosition) {
        self.shared.update(id, |health| {
            health.position = position;
            let same_stop = match (&health.state, &state) {
                // What this process knows is more than what is recorded.
                (
                    SubscriptionState::Stopped { reason, .. },
                    SubscriptionState::Stopped { reason: StopReason::Recorded(recorded), .. },
                ) => reason.to_string() == **recorded,
                _ => false,
            };
            if !same_stop {
                health.state = state;
            }
        });
    }

    /// Lets the workers finish what they have in hand, and gives the leases back.
    async fn end(&self, mut crew: Crew) {
        for running in crew.workers.values() {
            running.stop.send_replace(true);
        }
        let drained = async { while crew.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(self.options.drain_timeout, drained).await.is_err() {
            tracing::warn!("not all batches were finished in time; they are done again by others");
            crew.tasks.shutdown().await;
        }
        if let Err(error) = self.store.leave(self.process).await
            && !matches!(error, StoreError::Closed)
        {
            tracing::warn!(%error, "the leases could not be given back; others take them after their time-out");
        }
        for id in self.subscribers.iter().flat_map(|subscriber| subscriber.ids()) {
            self.shared.update(&id, |health| {
                if health.is_mine() {
                    health.state = SubscriptionState::WaitingForLease;
                }
            });
        }
    }
}

/// Records and shows why a subscription stopped.
async fn stopped_for_good(
    store: &impl Store,
    shared: &Shared,
    id: &PartitionId,
    reason: &StopReason,
    stop: &mut watch::Receiver<bool>,
    pause: Duration,
) {
    let at = time::now();
    tracing::error!(subscription = %id.name, version = id.version, partition = id.partition, %reason, "the subscription stopped");
    count_stop(id);
    shared.update(id, |health| health.state = SubscriptionState::Stopped { reason: reason.clone(), at });
    if matches!(reason, StopReason::Closed | StopReason::Dropped) {
        return;
    }
    let status = SubscriptionStatus::Stopped { reason: reason.to_string(), at };
    loop {
        match store.set_status(&id.name, id.version, Some(id.partition), status.clone()).await {
            Ok(()) | Err(StoreError::Closed | StoreError::Gone { .. }) => return,
            Err(error) => tracing::warn!(subscription = %id.name, %error, "the stop could not be recorded yet"),
        }
        // Whoever ends the process does not wait for a store that is gone: the next worker stops at the same place.
        tokio::select! {
            _ = stop.changed() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn stop_lost(crew: &Crew, leases: &[Lease]) {
    for (id, running) in &crew.workers {
        let kept = leases.iter().any(|lease| lease.id == *id && lease.epoch == running.epoch);
        if !kept {
            running.stop.send_replace(true);
        }
    }
}
