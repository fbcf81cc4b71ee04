//! Turns: the commands of one aggregate take effect one after the other, in the order in which they were dispatched.
//!
//! Each dispatch gets a place in its aggregate's line when it is first polled. It decides when it is its turn, and lets the
//! next one decide as soon as the store has its commit in line, before the commit is durable. What was decided on such
//! tentative state is tied together by a [`DecisionChain`]: if one commit fails, the store refuses those behind it, and
//! they come back to their old places, so that they are decided again in the same order.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use crate::event::{StreamId, Version};
use crate::store::DecisionChain;

/// One aggregate in the cache: its line and, while nobody decides, its state.
#[derive(Debug)]
pub(crate) struct Slot<A> {
    /// Everything of the aggregate shares this name: comparing it is comparing a pointer.
    stream: StreamId,
    line: Mutex<Line<A>>,
}

/// A state with the version it is at, and the decisions it stands on.
#[derive(Debug)]
pub(crate) struct Held<A> {
    pub(crate) state: Option<A>,
    pub(crate) version: Version,
    pub(crate) chain: DecisionChain,
    /// An estimate of the state's size, from the events folded into it.
    pub(crate) bytes: usize,
}

#[derive(Debug)]
struct Line<A> {
    /// In the order of their tickets.
    places: VecDeque<Place>,
    next_ticket: u64,
    /// The ticket of the one that decides.
    deciding: Option<u64>,
    held: Option<Held<A>>,
    /// The number of further commands with a key that may turn out to be new before repeats are no longer expected.
    repeats: u64,
}

#[derive(Debug)]
struct Place {
    ticket: u64,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Wants to decide, or decides; the waker of its last poll.
    Waiting(Option<Waker>),
    /// Its commit is with the store.
    Submitted(DecisionChain),
}

impl<A> Slot<A> {
    pub(crate) fn new(stream: StreamId) -> Self {
        let line = Line { places: VecDeque::new(), next_ticket: 0, deciding: None, held: None, repeats: 0 };
        Self { stream, line: Mutex::new(line) }
    }

    pub(crate) const fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// Takes a place at the end of the line.
    pub(crate) fn enter(self: &Arc<Self>) -> Turn<A> {
        let mut line = self.line.lock();
        let ticket = line.next_ticket;
        line.next_ticket += 1;
        line.places.push_back(Place { ticket, stage: Stage::Waiting(None) });
        drop(line);
        Turn { slot: Arc::clone(self), ticket }
    }
}

impl<A> Line<A> {
    fn index(&self, ticket: u64) -> Option<usize> {
        self.places.binary_search_by_key(&ticket, |place| place.ticket).ok()
    }

    /// A place may decide when everything before it is with the store and none of that has failed. What has failed comes
    /// back to its place first, or leaves.
    ///
    /// Without a state to go on with one must load, and a load sees only what is durable: then everything before it has to be
    /// answered first, or what is decided would come out of order or conflict with what is on its way.
    ///
    /// `tentative` is what [`may_go_on`](Self::may_go_on) returned. It is asked once for each decision: a chain may break at
    /// any moment, and whoever was let in front of a failure on a state must not load in its place.
    fn may_decide(&self, index: usize, tentative: bool) -> bool {
        self.deciding.is_none()
            && self.places.iter().take(index).all(|place| match &place.stage {
                Stage::Submitted(chain) => tentative && !chain.is_broken(),
                Stage::Waiting(_) => false,
            })
    }

    /// Returns `true` if there is a state to decide on.
    fn may_go_on(&self) -> bool {
        self.held.as_ref().is_some_and(|held| !held.chain.is_broken())
    }

    /// Ends the turn of whoever has this ticket.
    fn leave(&mut self, ticket: u64) {
        if self.deciding == Some(ticket) {
            self.deciding = None;
        }
    }

    /// Finds who decides next, to be woken after the lock is released.
    fn next_waker(&mut self) -> Option<Waker> {
        let index = self.places.iter().position(|place| matches!(place.stage, Stage::Waiting(_)))?;
        if !self.may_decide(index, self.may_go_on()) {
            return None;
        }
        match &mut self.places.get_mut(index)?.stage {
            Stage::Waiting(waker) => waker.take(),
            Stage::Submitted(_) => None,
        }
    }
}

/// A place in an aggregate's line. Dropping it leaves the line; a state that was taken out and not given back is gone
/// from the cache, and the next one loads it from the store.
#[derive(Debug)]
pub(crate) struct Turn<A> {
    slot: Arc<Slot<A>>,
    ticket: u64,
}

impl<A> Turn<A> {
    /// Waits for the turn and takes the state out, where there is one that may still be decided on.
    pub(crate) async fn take(&mut self) -> Option<Held<A>> {
        poll_fn(|cx| self.poll_take(cx)).await
    }

    fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Option<Held<A>>> {
        let mut line = self.slot.line.lock();
        let Some(index) = line.index(self.ticket) else {
            return Poll::Ready(None);
        };
        let tentative = line.may_go_on();
        if !line.may_decide(index, tentative) {
            if let Some(place) = line.places.get_mut(index) {
                place.stage = Stage::Waiting(Some(cx.waker().clone()));
            }
            return Poll::Pending;
        }
        line.deciding = Some(self.ticket);
        // If its chain has broken by now, the store refuses what is decided on it, and the place is kept.
        Poll::Ready(line.held.take().filter(|_| tentative))
    }

    /// Gives the state back after a commit was handed to the store, and lets the next one decide on it.
    pub(crate) fn submitted(&mut self, held: Held<A>) {
        let chain = held.chain.clone();
        self.step(Stage::Submitted(chain), Some(held));
    }

    /// Returns `true` if the next commands with a key are probably repeats.
    pub(crate) fn expects_repeats(&self) -> bool {
        self.slot.line.lock().repeats > 0
    }

    /// Expects repeats until as many commands with a key as this have turned out to be new.
    pub(crate) fn expect_repeats(&self, more: u64) {
        let mut line = self.slot.line.lock();
        line.repeats = line.repeats.saturating_add(more);
    }

    /// Counts a command that was expected to be a repeat and is new.
    pub(crate) fn was_new(&self) {
        let mut line = self.slot.line.lock();
        line.repeats = line.repeats.saturating_sub(1);
    }

    /// Comes back to the old place, to decide again.
    pub(crate) fn again(&mut self) {
        self.step(Stage::Waiting(None), None);
    }

    fn step(&mut self, stage: Stage, held: Option<Held<A>>) {
        let mut line = self.slot.line.lock();
        if let Some(index) = line.index(self.ticket)
            && let Some(place) = line.places.get_mut(index)
        {
            place.stage = stage;
        }
        if let Some(held) = held {
            line.held = Some(held);
        }
        line.leave(self.ticket);
        let waker = line.next_waker();
        drop(line);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<A> Drop for Turn<A> {
    fn drop(&mut self) {
        let mut line = self.slot.line.lock();
        if let Some(index) = line.index(self.ticket) {
            line.places.remove(index);
        }
        line.leave(self.ticket);
        let waker = line.next_waker();
        drop(line);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures_util::FutureExt as _;

    use super::*;

    /// A place in front whose decision fails comes back to be decided again. Whoever is behind it must not load the
    /// aggregate in between, whenever the failure comes.
    #[test]
    fn nobody_loads_while_a_decision_in_front_may_come_back() {
        const ROUNDS: u64 = 50_000;
        let (round, current) = (AtomicU64::new(0), Mutex::new(DecisionChain::new()));
        let mut loads = 0;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for next in 1..=ROUNDS {
                    while round.load(Ordering::Acquire) < next {
                        std::hint::spin_loop();
                    }
                    current.lock().break_off();
                }
            });
            for next in 1..=ROUNDS {
                let slot = Arc::new(Slot::<()>::new(StreamId::new("thing", "1")));
                let (mut first, mut second) = (slot.enter(), slot.enter());
                loads += u64::from(matches!(first.take().now_or_never(), Some(None)));
                let chain = DecisionChain::new();
                *current.lock() = chain.clone();
                first.submitted(Held { state: None, version: Version::new(1), chain, bytes: 0 });
                round.store(next, Ordering::Release);
                loads += u64::from(matches!(second.take().now_or_never(), Some(None)));
            }
        });
        // Only the first of each round.
        assert_eq!(loads, ROUNDS);
    }
}
