//! The one task that appends: it takes what stands in line, makes groups of it, and stores each group with one flush.

use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::aside::Aside;
use super::history::Era;
use super::open::Place;
use super::options::PostgresOptions;
use super::outcome::Session;
use crate::event::GlobalPosition;
use crate::store::StoreError;
use crate::store::group::answer::Pending;
use crate::store::group::cache::StreamCache;
use crate::store::group::limits::{GroupLimits, Size};

/// How long a group waits for somebody else's transaction before it is halved. Longer than appends are held off for a version that takes over.
pub(super) const GROUP_WAITS: Duration = Duration::from_millis(250);

/// How many numbers for new streams are taken at once: what the sequence `stream_numbers` counts by.
pub(super) const NUMBERS: i64 = 1_024;

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Work {
    Commit(Pending),
    Close(oneshot::Sender<()>),
}

/// Numbers for new streams that no other process has.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// The last one that was given away.
    pub(super) last: i64,
    end: i64,
}

pub(super) struct Writer {
    pub(super) place: Place,
    pub(super) line: Option<Line>,
    pub(super) cache: StreamCache,
    pub(super) numbers: Numbers,
    /// The last position that this process stored.
    pub(super) stored: watch::Sender<GlobalPosition>,
    /// How long the connection waits for somebody else's transaction.
    pub(super) lock_timeout: Duration,
    /// Where commits wait for somebody else's transaction; `None` for the writer that is there.
    pub(super) aside: Option<Aside>,
}

/// Where the writer's work comes from, and how much of it makes a group.
pub(super) struct Intake {
    queue: mpsc::Receiver<Work>,
    limits: GroupLimits,
    linger: Duration,
}

/// The connection that appends, and its session on the server.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) connection: PgConnection,
    pub(super) session: Session,
    /// The history that its server goes on with; `None` before the tables are there.
    pub(super) era: Option<Era>,
}

/// What was taken out of the line for one turn.
#[derive(Default)]
struct Turn {
    commits: Vec<Pending>,
    size: Size,
    closing: Vec<oneshot::Sender<()>>,
}

impl Turn {
    fn take(&mut self, work: Work) {
        match work {
            Work::Commit(pending) => {
                self.size.add(&pending.commit);
                self.commits.push(pending);
            }
            Work::Close(closed) => self.closing.push(closed),
        }
    }
}

impl Intake {
    pub(super) fn new(options: &PostgresOptions, queue: mpsc::Receiver<Work>) -> Self {
        let most = usize::try_from(NUMBERS).unwrap_or(usize::MAX);
        // A group finds numbers for all of its streams in one block.
        let limits = GroupLimits { commits: options.group.commits.min(most), ..options.group };
        Self { queue, limits, linger: options.linger }
    }

    /// Fills a turn from the line, up to the limits. Gives back what did not fit.
    async fn fill(&mut self, turn: &mut Turn, target: usize) -> Option<Work> {
        let mut until = None;
        loop {
            while turn.commits.len() < self.limits.commits {
                let Ok(work) = self.queue.try_recv() else { break };
                if let Work::Commit(pending) = &work
                    && !self.limits.let_in(&turn.size, &pending.commit)
                {
                    return Some(work);
                }
                turn.take(work);
            }
            if turn.commits.len() >= target.min(self.limits.commits) || self.queue.is_closed() {
                return None;
            }
            // Those who were answered a moment ago are about to ask again. Without waiting for them, callers split into two
            // halves that take turns. A timer of tokio is too coarse for this: yielding lets them run.
            let until = *until.get_or_insert_with(|| Instant::now() + self.linger);
            if Instant::now() >= until {
                return None;
            }
            tokio::task::yield_now().await;
        }
    }
}

impl Writer {
    /// Makes a writer that waits as long for somebody else's transaction. It connects when there is something to write.
    pub(super) fn new(
        place: Place,
        options: &PostgresOptions,
        stored: watch::Sender<GlobalPosition>,
        lock_timeout: Duration,
    ) -> Self {
        Self {
            place,
            line: None,
            cache: StreamCache::new(options.cached_streams, false).trust_rules(),
            numbers: Numbers::default(),
            stored,
            lock_timeout,
            aside: None,
        }
    }

    /// Makes a writer that has its connection already.
    pub(super) async fn with_line(mut self, mut line: Line) -> Result<Self, StoreError> {
        self.place.limit_waiting(&mut line.connection, self.lock_timeout).await?;
        self.line = Some(line);
        Ok(self)
    }

    /// Works until the store is closed or its last handle is gone, and everything that was in line is done.
    pub(super) async fn run(mut self, mut intake: Intake) {
        let mut closing = Vec::new();
        // What did not fit into the last group.
        let mut held: Option<Work> = None;
        let mut target = 0;
        loop {
            let next = match held.take() {
                Some(work) => work,
                None => match intake.queue.recv().await {
                    Some(work) => work,
                    None => break,
                },
            };
            let mut turn = Turn::default();
            turn.take(next);
            held = intake.fill(&mut turn, target).await;
            if !turn.closing.is_empty() {
                // Nothing more comes in; what is in line is still stored.
                intake.queue.close();
                closing.append(&mut turn.closing);
            }
            let commits = turn.commits.len();
            if commits > 0 {
                self.store(turn.commits).await;
            }
            // How many are worth waiting for next time: only if there was company.
            let company = commits + intake.queue.len() + usize::from(held.is_some());
            target = if company > 1 { company } else { 0 };
        }
        self.disconnect().await;
        for closed in closing {
            let _nobody_waits = closed.send(());
        }
    }

    pub(super) async fn disconnect(&mut self) {
        if let Some(line) = self.line.take() {
            // Nothing runs on it any more; a connection that does not close well is closed by the server.
            let _ = line.connection.close().await;
        }
    }

    /// Sets how long the connection waits for others, where there is one.
    pub(super) async fn wait_for_locks(&mut self, timeout: Duration) {
        if self.lock_timeout == timeout {
            return;
        }
        self.lock_timeout = timeout;
        if let Some(line) = &mut self.line
            && self.place.limit_waiting(&mut line.connection, timeout).await.is_err()
        {
            self.lose();
        }
    }

    /// Gives the connection; makes it again if it was lost.
    pub(super) async fn line(&mut self) -> Result<&mut Line, StoreError> {
        let line = if let Some(line) = self.line.take() { line } else { self.new_line().await? };
        Ok(self.line.insert(line))
    }

    async fn new_line(&mut self) -> Result<Line, StoreError> {
        let line = self.place.connect_writer(self.lock_timeout).await?;
        // A server that took the place of the last one may know less than this writer remembers.
        self.cache.forget();
        self.numbers = Numbers::default();
        Ok(line)
    }

    /// Takes the connection, for a transaction on it. It is to be put back.
    pub(super) async fn take_line(&mut self) -> Result<Line, StoreError> {
        self.line().await?;
        self.line.take().ok_or(StoreError::Closed)
    }

    /// Gives the connection up: whatever runs on it is not waited for. Gives its session, of which it has to be found out what it did.
    pub(super) fn lose(&mut self) -> Option<Session> {
        self.line.take().map(|line| line.session)
    }

    /// Makes sure that there are numbers for as many new streams.
    pub(super) async fn number(&mut self, streams: usize) -> Result<(), sqlx::Error> {
        let wanted = i64::try_from(streams).unwrap_or(NUMBERS);
        if self.numbers.end - self.numbers.last < wanted
            && let Some(line) = &mut self.line
        {
            let next = sqlx::query_scalar("SELECT nextval('stream_numbers')").fetch_one(&mut line.connection);
            let first: i64 = self.place.patience.answered(next).await?;
            self.numbers = Numbers { last: first - 1, end: first - 1 + NUMBERS };
        }
        Ok(())
    }
}
