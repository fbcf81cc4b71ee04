//! How much may share one durable commit.

use crate::store::NewCommit;

/// How much may share one durable commit.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct GroupLimits {
    pub(in crate::store) commits: usize,
    pub(in crate::store) events: usize,
    pub(in crate::store) bytes: usize,
}

impl Default for GroupLimits {
    fn default() -> Self {
        Self { commits: 512, events: 4_096, bytes: 1 << 20 }
    }
}

impl GroupLimits {
    /// Makes limits of at least one each.
    pub(in crate::store) fn new(commits: usize, events: usize, bytes: usize) -> Self {
        Self { commits: commits.max(1), events: events.max(1), bytes: bytes.max(1) }
    }

    /// Tells whether a commit may join what a group has so far. A commit that is larger by itself has a group of its own.
    pub(in crate::store) fn let_in(&self, group: &Size, commit: &NewCommit) -> bool {
        group.commits == 0
            || (group.events + commit.events.len() <= self.events && group.bytes + bytes(commit) <= self.bytes)
    }
}

/// What a group has so far.
#[derive(Debug, Default)]
pub(in crate::store) struct Size {
    commits: usize,
    events: usize,
    bytes: usize,
}

impl Size {
    /// Counts a commit.
    pub(in crate::store) fn add(&mut self, commit: &NewCommit) {
        self.commits += 1;
        self.events += commit.events.len();
        self.bytes += bytes(commit);
    }
}

/// Counts what a commit brings into a transaction.
fn bytes(commit: &NewCommit) -> usize {
    let events: usize = commit.events.iter().map(|event| event.body.len()).sum();
    events + commit.snapshot.as_ref().map_or(0, |snapshot| snapshot.state.len())
}
