//! What the parts of a process's subscriptions tell each other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::health::{Health, SubscriptionHealth};
use super::machine::Switching;
use super::rebuild::{Meter, Progress, done_of};
use crate::store::{PartitionId, ProjectionVersion, VersionState};

/// Which version of a projection serves, and where this program's stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Serving {
    /// This program's version; `None` where it was dropped.
    pub(crate) mine: Option<VersionState>,
    /// The version that serves.
    pub(crate) active: Option<u32>,
    /// Whether only workers write the rows of this program's version, although its functions are synchronous.
    pub(crate) follows: bool,
}

pub(crate) struct Shared {
    pub(crate) health: watch::Sender<Health>,
    pub(crate) progress: watch::Sender<Vec<Progress>>,
    pub(crate) serving: watch::Sender<BTreeMap<Arc<str>, Serving>>,
    /// Asks the keeper to look at once.
    pub(crate) nudge: Notify,
    /// Counts what makes another version serve, or none.
    pub(crate) generation: AtomicU64,
    meters: Mutex<BTreeMap<Arc<str>, Meter>>,
    started: Instant,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            health: watch::Sender::new(Health::default()),
            progress: watch::Sender::new(Vec::new()),
            serving: watch::Sender::new(BTreeMap::new()),
            nudge: Notify::new(),
            generation: AtomicU64::new(0),
            meters: Mutex::new(BTreeMap::new()),
            started: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Changes a partition's health and wakes those who watch it.
    pub(crate) fn update(&self, id: &PartitionId, change: impl FnOnce(&mut SubscriptionHealth)) {
        self.health.send_if_modified(|health| {
            let entry = health.entry(id);
            let before = entry.clone();
            change(entry);
            *entry != before
        });
    }

    pub(crate) fn serving_of(&self, name: &str) -> Serving {
        self.serving.borrow().get(name).copied().unwrap_or(Serving { mine: None, active: None, follows: false })
    }

    /// Returns `true` if this program's version is known to be gone.
    pub(crate) fn is_dropped(&self, name: &str) -> bool {
        self.serving.borrow().get(name).is_some_and(|serving| serving.mine.is_none())
    }

    pub(crate) fn is_building(&self, name: &str) -> bool {
        self.serving_of(name).mine == Some(VersionState::Building)
    }

    /// Says what this program's version is to become once it has caught up.
    pub(crate) fn switching(&self, name: &str) -> Switching {
        match self.serving_of(name) {
            Serving { mine: Some(VersionState::Building), .. } => Switching::ToServe,
            Serving { mine: Some(VersionState::Active), follows: true, .. } => Switching::ToFold,
            _ => Switching::No,
        }
    }

    /// Takes in what the store knows of the program's versions.
    pub(crate) fn learn(&self, program: impl Iterator<Item = (Arc<str>, u32)>, known: &[ProjectionVersion]) {
        let serving: BTreeMap<Arc<str>, Serving> = program
            .map(|(name, version)| {
                let of_name = || known.iter().filter(|known| *known.name == *name);
                let own = of_name().find(|known| known.version == version);
                let (mine, follows) = (own.map(|own| own.state), own.is_some_and(|own| own.follows));
                let active = of_name().find(|known| known.state == VersionState::Active).map(|known| known.version);
                (name, Serving { mine, active, follows })
            })
            .collect();
        let serves = |(name, now): (&Arc<str>, &Serving)| {
            (now.mine == Some(VersionState::Active) && self.is_building(name)).then(|| Arc::clone(name))
        };
        let finished: Vec<Arc<str>> = serving.iter().filter_map(serves).collect();
        self.serving.send_if_modified(|known| {
            let news = *known != serving;
            *known = serving;
            news
        });
        for name in &finished {
            self.finished(name);
        }
    }

    /// This program's version serves from now on.
    pub(crate) fn switched(&self, name: &Arc<str>, version: u32) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.serving.send_modify(|serving| {
            let (mine, active) = (Some(VersionState::Active), Some(version));
            serving.insert(Arc::clone(name), Serving { mine, active, follows: false });
        });
        self.finished(name);
    }

    /// Commits fold this program's version again.
    pub(crate) fn folds_again(&self, name: &str) {
        self.serving.send_if_modified(|serving| {
            serving.get_mut(name).is_some_and(|serving| std::mem::take(&mut serving.follows))
        });
    }

    /// This program's version is built anew, in place: nobody of this process is to take what is there for the whole.
    pub(crate) fn builds_anew(&self, name: &Arc<str>, version: u32) {
        self.serving.send_modify(|serving| {
            let active = serving.get(name).and_then(|known| known.active).filter(|active| *active != version);
            serving.insert(Arc::clone(name), Serving { mine: Some(VersionState::Building), active, follows: false });
        });
    }

    /// Measures a version that is being built.
    pub(crate) fn measure(&self, name: &Arc<str>, version: u32) {
        let at = done_of(&self.health.borrow(), name, version);
        let now = self.now();
        let meter = *self.meters.lock().entry(Arc::clone(name)).or_insert_with(|| Meter::new(now, at.0));
        let measured = meter.measure(now, Arc::clone(name), version, at);
        self.progress.send_modify(|progress| match progress.iter_mut().find(|known| known.name == *name) {
            // Another partition's worker may have made it serve meanwhile.
            Some(known) if known.finished => {}
            Some(known) => *known = measured,
            None => progress.push(measured),
        });
        if !self.is_building(name) {
            // Another partition's worker made it serve in between.
            self.finished(name);
        }
    }

    fn finished(&self, name: &str) {
        self.progress.send_modify(|progress| {
            for known in progress.iter_mut().filter(|known| &*known.name == name) {
                known.finished = true;
                known.done = known.total;
                known.left = Some(Duration::ZERO);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measure_that_comes_late_does_not_begin_a_rebuild_anew() {
        let (shared, name) = (Shared::new(), Arc::<str>::from("balances"));
        shared.builds_anew(&name, 2);
        shared.measure(&name, 2);
        assert!(!shared.progress.borrow()[0].finished);
        shared.switched(&name, 2);
        // The worker of another partition had looked before the switch.
        shared.measure(&name, 2);
        assert!(shared.progress.borrow()[0].finished);
    }
}
