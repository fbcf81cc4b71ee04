//! What a worker says of itself.

use super::Worker;
use crate::event::GlobalPosition;
use crate::store::Store;
use crate::subscription::health::SubscriptionState;

impl<S: Store> Worker<S> {
    pub(super) fn retrying(&self, attempt: u32, cause: String) {
        self.show(SubscriptionState::Retrying { attempt, cause });
    }

    pub(super) fn is_at_head(&self) -> bool {
        self.at_head && self.position >= self.page_end.get()
    }

    pub(super) fn publish(&self) {
        let head = self.head();
        let (done, total) = (self.position.get(), head.get());
        let state = if self.task.shared.is_building(&self.task.id.name) {
            SubscriptionState::Building
        } else if self.position >= head {
            SubscriptionState::CaughtUp
        } else if self.at_head {
            SubscriptionState::Running
        } else {
            SubscriptionState::CatchingUp { done, total }
        };
        self.show(state);
        if self.task.shared.is_building(&self.task.id.name) {
            self.task.shared.measure(&self.task.id.name, self.task.id.version);
        }
    }

    fn head(&self) -> GlobalPosition {
        (*self.task.tail.borrow()).max(self.position).max(self.page_end.get())
    }

    fn show(&self, state: SubscriptionState) {
        let (head, position, parked) = (self.head(), self.position, self.machine.parked());
        if !self.machine.is_loaded() {
            // It knows no position yet, or not any more.
            self.task.shared.update(&self.task.id, |health| health.state = state);
            return;
        }
        let lag = head.get() - position.get();
        self.meters.lag(lag);
        let seconds = if lag == 0 { 0.0 } else { self.meters.lag_seconds() };
        self.task.shared.update(&self.task.id, |health| {
            health.position = position;
            health.head = head;
            health.state = state;
            health.lag_events = lag;
            health.lag_seconds = seconds;
            (health.parked_keys, health.letters) = (parked.keys.len(), parked.letters);
        });
    }
}
