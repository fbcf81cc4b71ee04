//! Synchronous projections of a group's commits.
//!
//! Everything is folded in memory before anything is written: under the write lock the positions of the events to come are known. Each commit
//! is folded when it is decided, so one whose fold fails is refused alone, and those behind it are decided on what is really stored.

use std::sync::Arc;

use chrono::SubsecRound as _;
use rustc_hash::{FxHashMap, FxHashSet};
use sqlx::sqlite::SqliteConnection;

use super::append::json_rows;
use super::error::DbError;
use super::pending::{Asked, OfStream, Question, WALK, parked_of};
use super::plan::{Gate, Known, State};
use super::rows::{self, by_keys};
use super::script::Script;
use super::sync_connected::refused;
use crate::event::{AnyEvent, GlobalPosition, Recorded, StreamId, Version};
use crate::projection::{ConnectedProjector, FoldSession, ProjectionDescriptor, ProjectionFailure, Projector};
use crate::read_model::{ColumnError, RowChange, RowKey, TableRef, Value};
use crate::store::{AppendError, NewCommit};
use crate::subscription::assign::partition_of;

type Events = Vec<Recorded<AnyEvent>>;

/// A stream's version, and the position of that event.
type Mark = (u64, u64);

/// The synchronous projections that a group concerns.
pub(super) struct Syncs {
    /// The log's head before the group.
    head: u64,
    live: Vec<Live>,
}

/// How a projection writes.
enum Writes {
    Folded(Fold),
    /// Its functions run after the events are written.
    Connected(Arc<dyn ConnectedProjector>),
}

/// A projection in the making.
struct Live {
    projection: &'static ProjectionDescriptor,
    writes: Writes,
    backlog: usize,
    streams: FxHashMap<StreamId, OfStream>,
    /// Sequence keys with letters.
    parked: FxHashSet<String>,
    /// How far the group folds each stream.
    marks: FxHashMap<StreamId, Mark>,
    /// What the last commit that was admitted does, until it is kept or taken back.
    proposed: Option<Proposed>,
    /// What connected functions are to be run on.
    run: Events,
}

struct Fold {
    projector: Arc<dyn Projector>,
    table: TableRef,
    session: Box<dyn FoldSession>,
    /// Every row that was loaded, as it is after the commits so far.
    rows: FxHashMap<RowKey, Option<Vec<Value>>>,
    /// Rows that do not fit the program.
    damaged: FxHashMap<RowKey, ColumnError>,
    changes: FxHashMap<RowKey, RowChange>,
}

#[derive(Default)]
struct Proposed {
    changes: Vec<RowChange>,
    /// Events that are folded, and how far that is; `None` where the commit leaves all to the asynchronous worker.
    folded: Option<(Events, Mark)>,
    /// Events that are left.
    left: Events,
}

impl Syncs {
    /// Gives the synchronous projections that some commits concern; `None` where there is none.
    pub(super) fn of(commits: &[&NewCommit]) -> Option<Self> {
        let mut live: Vec<Live> = Vec::new();
        for commit in commits {
            let Some(projections) = &commit.projections else { continue };
            for projector in &projections.folded {
                let projection = projector.descriptor();
                let Some(table) = projection.table else { continue };
                let table = TableRef { table, version: projection.version };
                let writes = || Writes::Folded(Fold::new(Arc::clone(projector), table));
                concern(&mut live, projection, writes, projections.backlog, commit);
            }
            for projector in &projections.connected {
                let writes = || Writes::Connected(Arc::clone(projector));
                concern(&mut live, projector.descriptor(), writes, projections.backlog, commit);
            }
        }
        (!live.is_empty()).then_some(Self { head: 0, live })
    }

    /// Asks where they stand.
    pub(super) fn question(&self) -> Question {
        let asked = |live: &Live| Asked {
            name: live.projection.name,
            version: live.projection.version,
            streams: live.streams.keys().cloned().collect(),
        };
        Question::new(self.live.iter().map(asked).collect())
    }

    /// Takes where they stand, and loads the rows that the commits may touch. Projections of which another version serves are left out.
    pub(super) async fn load(
        &mut self,
        connection: &mut SqliteConnection,
        answered: Question,
        commits: &[&NewCommit],
    ) -> Result<(), DbError> {
        self.head = answered.head;
        let live = std::mem::take(&mut self.live).into_iter().zip(answered.into_answers());
        for (mut live, (asked, standing)) in live {
            if !standing.active {
                continue;
            }
            for (stream, mut of_stream) in asked.streams.into_iter().zip(standing.streams) {
                of_stream.pending.retain(|event| live.is_pending(event, &standing.checkpoints));
                live.streams.insert(stream, of_stream);
            }
            live.load(connection, commits, standing.has_letters).await?;
            self.live.push(live);
        }
        Ok(())
    }

    /// Adds the statements that write rows and watermarks.
    pub(super) fn write(&self, script: &mut Script, state: &State) {
        for live in &self.live {
            if let Writes::Folded(fold) = &live.writes {
                let changes: Vec<_> = fold.changes.values().cloned().collect();
                rows::write(script, fold.table, &changes);
            }
            if live.marks.is_empty() {
                continue;
            }
            script.add(
                "INSERT INTO watermarks (name, version, stream_no, stream_version, position) \
                 SELECT ?, ?, e.value->>0, e.value->>1, e.value->>2 FROM json_each(?) AS e WHERE true \
                 ON CONFLICT (name, version, stream_no) DO UPDATE SET stream_version = excluded.stream_version, \
                 position = excluded.position",
            );
            let numbered =
                live.marks.iter().filter_map(|(stream, mark)| Some((state.streams.get(stream)?.number, mark)));
            script.bind(live.projection.name).bind(live.projection.version);
            script.bind(json_rows(numbered, |text, (stream, (version, position))| {
                // Writing to a `String` cannot fail.
                let _ = std::fmt::Write::write_fmt(text, format_args!("{stream},{version},{position}"));
            }));
        }
    }

    /// Gives the connected projections and the events that their functions are to be run on, in their order.
    pub(super) fn into_connected(self) -> Vec<(Arc<dyn ConnectedProjector>, Events)> {
        let connected = self.live.into_iter().filter_map(|live| match live.writes {
            Writes::Connected(projector) => Some((projector, live.run)),
            Writes::Folded(_) => None,
        });
        connected.collect()
    }
}

fn concern(
    live: &mut Vec<Live>,
    projection: &'static ProjectionDescriptor,
    writes: impl FnOnce() -> Writes,
    backlog: usize,
    commit: &NewCommit,
) {
    let concerned = |event: &str| projection.takes_in_append(commit.stream.category(), event);
    if !commit.events.iter().any(|event| concerned(&event.name)) {
        return;
    }
    let is_same =
        |live: &&mut Live| (live.projection.name, live.projection.version) == (projection.name, projection.version);
    let stream = commit.stream.clone();
    if let Some(live) = live.iter_mut().find(is_same) {
        live.streams.entry(stream).or_default();
        return;
    }
    live.push(Live {
        projection,
        writes: writes(),
        backlog,
        streams: std::iter::once((stream, OfStream::default())).collect(),
        parked: FxHashSet::default(),
        marks: FxHashMap::default(),
        proposed: None,
        run: Vec::new(),
    });
}

impl Gate for Syncs {
    fn admit(&mut self, commit: &NewCommit, known: Known, events: usize) -> Result<(), AppendError> {
        let first = self.head + 1 + events as u64;
        let admitted = self.live.iter_mut().try_for_each(|live| live.admit(commit, known.version, first));
        if admitted.is_err() {
            self.take_back();
        }
        admitted
    }

    fn take_back(&mut self) {
        for live in &mut self.live {
            if let Some(proposed) = live.proposed.take()
                && proposed.folded.is_some()
                && let Writes::Folded(fold) = &mut live.writes
            {
                fold.begin_again();
            }
        }
    }

    fn keep(&mut self, commit: &NewCommit) {
        for live in &mut self.live {
            if let Some(proposed) = live.proposed.take() {
                live.keep(&commit.stream, proposed);
            }
        }
    }
}

impl Live {
    fn sequence_keys(&self, event: &Recorded<AnyEvent>) -> Vec<RowKey> {
        match &self.writes {
            Writes::Folded(fold) => fold.projector.sequence_keys(event),
            Writes::Connected(_) => Vec::new(),
        }
    }

    /// Tells whether the event's partition has not passed it. Behind the stream's watermark it is already.
    fn is_pending(&self, event: &Recorded<AnyEvent>, checkpoints: &[u64]) -> bool {
        if !self.projection.takes(event) {
            return false;
        }
        let partitions = u32::try_from(checkpoints.len()).unwrap_or(1);
        let partition = match self.sequence_keys(event).first() {
            Some(key) => partition_of(key.as_str(), partitions),
            None => partition_of(&event.stream().to_string(), partitions),
        };
        let checkpoint = usize::try_from(partition).ok().and_then(|partition| checkpoints.get(partition));
        checkpoint.is_none_or(|checkpoint| event.position().get() > *checkpoint)
    }

    /// Loads the rows that the group may touch, and which of their keys are parked.
    async fn load(
        &mut self,
        connection: &mut SqliteConnection,
        commits: &[&NewCommit],
        has_letters: bool,
    ) -> Result<(), DbError> {
        let mut keys: FxHashSet<RowKey> = FxHashSet::default();
        for of_stream in self.streams.values() {
            keys.extend(of_stream.pending.iter().flat_map(|event| self.sequence_keys(event)));
        }
        // Events of commits that concern no synchronous function, too: those behind them in the group need them folded.
        for commit in commits.iter().filter(|commit| self.streams.contains_key(&commit.stream)) {
            let events = recorded(commit, commit.expected.get(), 0);
            let taken = events.filter(|event| self.projection.takes(event));
            keys.extend(taken.flat_map(|event| self.sequence_keys(&event)));
        }
        let keys: Vec<_> = keys.into_iter().collect();
        if has_letters {
            let texts = keys.iter().map(RowKey::as_str).collect();
            self.parked = parked_of(connection, self.projection.name, self.projection.version, texts).await?;
        }
        if let Writes::Folded(fold) = &mut self.writes {
            let rows = by_keys(connection, fold.table, &keys).await?;
            fold.rows = keys.into_iter().zip(rows).collect();
            fold.begin_again();
        }
        Ok(())
    }

    fn admit(&mut self, commit: &NewCommit, version: u64, first: u64) -> Result<(), AppendError> {
        let Some(of_stream) = self.streams.get(&commit.stream) else { return Ok(()) };
        let projection = self.projection;
        let category = commit.stream.category();
        let is_sync = |event: &Recorded<AnyEvent>| projection.takes_in_append(category, &event.event().name);
        let mut own: Vec<_> = recorded(commit, version, first).filter(|event| projection.takes(event)).collect();
        // What does not bring the projection along is left to the worker, whatever others of the group bring.
        let brings = commit.projections.as_ref().is_some_and(|all| all.bring(projection));
        let last = brings.then(|| own.iter().rposition(is_sync)).flatten();
        let Some(last) = last else {
            self.proposed = Some(Proposed { left: own, ..Proposed::default() });
            return Ok(());
        };
        let left = own.split_off(last + 1);
        let events: Vec<_> = of_stream.pending.iter().cloned().chain(own).collect();
        self.check_behind(commit, of_stream, &events)?;
        let count = commit.events.len() as u64;
        let mark = match events.last().filter(|_| !left.is_empty()) {
            Some(event) => (event.version().get(), event.position().get()),
            // Nothing that is left is taken: so far nothing is pending.
            None => (version + count, first + count - 1),
        };
        let failed = |failure| refused(projection.name, failure);
        let changes = match &mut self.writes {
            Writes::Folded(fold) => fold.fold(&events).map_err(failed)?,
            Writes::Connected(_) => Vec::new(),
        };
        self.proposed = Some(Proposed { changes, folded: Some((events, mark)), left });
        Ok(())
    }

    /// A commit may not overtake what is pending before it.
    fn check_behind(
        &self,
        commit: &NewCommit,
        of_stream: &OfStream,
        events: &[Recorded<AnyEvent>],
    ) -> Result<(), AppendError> {
        let behind = |reason: String| {
            let (projection, stream) = (self.projection.name, commit.stream.clone());
            Err(AppendError::ProjectionBehind { projection, stream, reason })
        };
        if of_stream.cut {
            return behind(format!("{WALK} events or more are not projected yet"));
        }
        if of_stream.pending.len() > self.backlog {
            let (pending, backlog) = (of_stream.pending.len(), self.backlog);
            return behind(format!("{pending} events are not projected yet, more than {backlog}"));
        }
        let is_parked = |event: &Recorded<AnyEvent>| {
            !self.parked.is_empty() && self.sequence_keys(event).iter().any(|key| self.parked.contains(key.as_str()))
        };
        if of_stream.parked || events.iter().any(is_parked) {
            return behind("an earlier event is put aside".to_owned());
        }
        Ok(())
    }

    fn keep(&mut self, stream: &StreamId, proposed: Proposed) {
        let Proposed { changes, folded, left } = proposed;
        let Some(of_stream) = self.streams.get_mut(stream) else { return };
        if let Some((events, mark)) = folded {
            of_stream.pending.clear();
            self.marks.insert(stream.clone(), mark);
            match &mut self.writes {
                Writes::Folded(fold) => fold.keep(changes),
                Writes::Connected(_) => self.run.extend(events),
            }
        }
        of_stream.pending.extend(left);
    }
}

impl Fold {
    fn new(projector: Arc<dyn Projector>, table: TableRef) -> Self {
        let session = projector.begin();
        let (rows, damaged, changes) = Default::default();
        Self { projector, table, session, rows, damaged, changes }
    }

    /// Begins with the rows as they are after the commits that are kept.
    fn begin_again(&mut self) {
        self.session = self.projector.begin();
        self.damaged.clear();
        for (key, row) in &self.rows {
            if let Err(error) = self.session.supply(key.clone(), row.clone()) {
                self.damaged.insert(key.clone(), error);
            }
        }
    }

    /// Folds events; gives the rows that change. Where one fails, nothing is left of any.
    fn fold(&mut self, events: &[Recorded<AnyEvent>]) -> Result<Vec<RowChange>, ProjectionFailure> {
        self.session.mark();
        let folded = events.iter().try_for_each(|event| {
            let touches = |(key, _): &(&RowKey, &ColumnError)| self.projector.sequence_keys(event).contains(key);
            match self.damaged.iter().find(touches) {
                Some((_, error)) => Err(error.clone().into()),
                None => self.session.apply(event),
            }
        });
        let changes = folded.and_then(|()| Ok(self.session.changes()?));
        if changes.is_err() {
            self.session.undo();
        }
        changes
    }

    fn keep(&mut self, changes: Vec<RowChange>) {
        for change in changes {
            self.rows.insert(change.key.clone(), change.row.clone());
            self.changes.insert(change.key.clone(), change);
        }
    }
}

/// Gives the events of a commit as they will be recorded, if the stream is at `version` and the first gets the position `first`.
fn recorded(commit: &NewCommit, version: u64, first: u64) -> impl Iterator<Item = Recorded<AnyEvent>> {
    // The log keeps microseconds.
    let at = commit.recorded_at.trunc_subsecs(6);
    (1..).zip(&commit.events).map(move |(place, event)| {
        let name = event.name.clone();
        let stored = AnyEvent { name, version: event.schema_version, body: event.body.clone() };
        let (version, position) = (Version::new(version + place), GlobalPosition::new(first + place - 1));
        Recorded::new(stored, event.id, commit.stream.clone(), version, position, at, Arc::clone(&commit.metadata))
    })
}
