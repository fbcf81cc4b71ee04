//! Tells everybody what became of their commits.

use tokio::sync::watch;

use super::plan::Fate;
use crate::event::{GlobalPosition, Version};
use crate::store::{AppendError, Committed, LedgerRecord, NewCommit, StoreError, TicketSender};

/// A commit in line, and who waits for it.
#[derive(Debug)]
pub(in crate::store) struct Pending {
    pub(in crate::store) commit: NewCommit,
    pub(in crate::store) ticket: TicketSender,
}

/// A group that did not go through.
pub(in crate::store) enum Failed {
    /// No commit of it is stored, or nobody knows.
    Together(AppendError),
    /// No commit of it is stored, and one commit may be the cause: each is tried alone.
    Separable(StoreError),
}

impl Failed {
    /// The store could not be used, whatever the commits are.
    pub(in crate::store) const fn store(error: StoreError) -> Self {
        Self::Together(AppendError::Store(error))
    }
}

/// Answers a group that went through. `position` says where each of its events is, in the order of its plan.
pub(in crate::store) fn answer(group: Vec<Pending>, fates: &[Fate], position: impl Fn(usize) -> GlobalPosition) {
    let committed = |version: u64, last_event: Option<usize>| Committed {
        version: Version::new(version),
        position: last_event.map_or(GlobalPosition::START, &position),
    };
    let answers: Vec<_> = fates
        .iter()
        .map(|fate| match fate {
            Fate::Stored { version, last_event } => Ok(committed(*version, *last_event)),
            Fate::Refused(error) => Err(error.clone()),
            Fate::Repeats(first) => match (fates.get(*first), group.get(*first)) {
                (Some(Fate::Stored { version, last_event }), Some(first)) => {
                    Err(recorded(&first.commit, committed(*version, *last_event)))
                }
                // Only stored commits get an entry, so there is always a first one.
                _ => Err(AppendError::ChainBroken),
            },
        })
        .collect();
    for (pending, answer) in group.into_iter().zip(answers) {
        pending.ticket.answer(answer);
    }
}

/// Answers a group that did not go through.
pub(in crate::store) fn refuse(group: Vec<Pending>, failed: &Failed) {
    let error = match failed {
        Failed::Together(error) => error.clone(),
        Failed::Separable(error) => AppendError::Store(error.clone()),
    };
    // All chains first: whoever hears of a failure finds every chain of the group broken.
    for pending in &group {
        pending.commit.chain.break_off();
    }
    for pending in group {
        pending.ticket.answer(Err(error.clone()));
    }
}

/// Raises a watched position; whoever watches hears of it only where it is news.
pub(in crate::store) fn raise(watched: &watch::Sender<GlobalPosition>, last: GlobalPosition) {
    watched.send_if_modified(|known| {
        let news = last > *known;
        *known = last.max(*known);
        news
    });
}

/// Makes the ledger's record of a commit of this group, for another commit with the same key.
fn recorded(commit: &NewCommit, committed: Committed) -> AppendError {
    let Some(entry) = &commit.ledger else { return AppendError::ChainBroken };
    AppendError::KeyRecorded(Box::new(LedgerRecord {
        command: entry.command.clone(),
        hash: entry.hash,
        output: entry.output.clone(),
        stream: commit.stream.clone(),
        committed,
        events: commit.events.iter().map(|event| event.id).collect(),
    }))
}
