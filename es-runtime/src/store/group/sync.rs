//! Synchronous projections of a group's commits.
//!
//! Everything is folded in memory before anything is written: under the store's locks the positions of the events to come are known. Each
//! commit is folded when it is decided, so one whose fold fails is refused alone, and those behind it are decided on what is really stored.
//!
//! A store asks where the projections stand ([`Syncs::asked`]) and answers, loads the rows that are [`wanted`](Syncs::wanted), decides its
//! plan behind this gate, and stores what [`writes`](Syncs::writes) says.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::plan::{Gate, Known};
use crate::event::{AnyEvent, GlobalPosition, Recorded, StreamId, Version};
use crate::projection::{ConnectedProjector, FoldSession, ProjectionDescriptor, ProjectionFailure, Projector};
use crate::read_model::{ColumnError, RowChange, RowKey, TableRef, Value};
use crate::store::projecting::put_aside;
use crate::store::sql::known::kinds_text;
use crate::store::{AppendError, NewCommit};
use crate::subscription::assign::partition_of;
use crate::time::whole_micros;

type Events = Vec<Recorded<AnyEvent>>;

/// A stream's version, and the position of that event.
type Mark = (u64, u64);

/// How many events of a stream are looked through at most for those that are pending.
pub(in crate::store) const WALK: i64 = 10_000;

/// A version of a projection, as the program that appends declares it.
#[derive(Clone, Debug)]
pub(in crate::store) struct Declared {
    pub(in crate::store) name: &'static str,
    pub(in crate::store) version: u32,
    /// The kinds of events that have to be folded by their commits, a line each; empty if they need not.
    pub(in crate::store) kinds: String,
}

/// A version, and the streams that are asked for.
pub(in crate::store) struct Asked {
    pub(in crate::store) version: Declared,
    pub(in crate::store) streams: Vec<StreamId>,
}

/// What is known of one projection.
#[derive(Debug, Default)]
pub(in crate::store) struct Standing {
    /// Whether this version serves, and does not only follow.
    pub(in crate::store) folds: bool,
    /// The checkpoints of its partitions, in their order.
    pub(in crate::store) checkpoints: Vec<u64>,
    /// A number that grows with each epoch of a partition; 0 from a store that remembers nothing by it.
    pub(in crate::store) epochs: i64,
    /// Whether it has letters at all.
    pub(in crate::store) has_letters: bool,
    /// Per stream that was asked for.
    pub(in crate::store) streams: Vec<OfStream>,
}

/// What is known of one stream.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct OfStream {
    /// The events behind the stream's watermark and every checkpoint, in their order.
    pub(in crate::store) pending: Vec<Recorded<AnyEvent>>,
    /// Whether there may be more than were looked through.
    pub(in crate::store) cut: bool,
    /// Whether an event of the stream is put aside.
    pub(in crate::store) parked: bool,
}

/// The positions that the events of a group will get, in their order.
#[derive(Debug)]
#[cfg_attr(
    not(all(feature = "sqlite", feature = "postgres")),
    allow(dead_code, reason = "the store that needs the other one is not built")
)]
pub(in crate::store) enum Positions {
    /// One after the other behind this one.
    Behind(u64),
    /// These were reserved.
    Reserved(Vec<u64>),
}

impl Positions {
    fn of(&self, event: usize) -> u64 {
        match self {
            Self::Behind(head) => head + 1 + event as u64,
            // As many are reserved as the group has events.
            Self::Reserved(positions) => positions.get(event).copied().unwrap_or_default(),
        }
    }
}

/// Rows that have to be loaded for one projection.
pub(in crate::store) struct Wanted {
    pub(in crate::store) name: &'static str,
    pub(in crate::store) version: u32,
    /// Where the rows are; `None` where the projection's functions take the connection.
    pub(in crate::store) table: Option<TableRef>,
    pub(in crate::store) keys: Vec<RowKey>,
    /// Whether it has to be asked which of the keys are put aside.
    pub(in crate::store) has_letters: bool,
}

/// What one projection writes.
pub(in crate::store) struct SyncWrites {
    pub(in crate::store) name: &'static str,
    pub(in crate::store) version: u32,
    /// As in [`Standing`].
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "the store that remembers by it is not built"))]
    pub(in crate::store) epochs: i64,
    pub(in crate::store) rows: Option<(TableRef, Vec<RowChange>)>,
    /// How far the group folds each stream: its version, and the position of that event.
    pub(in crate::store) marks: Vec<(StreamId, u64, u64)>,
}

/// The synchronous projections that a group concerns.
pub(in crate::store) struct Syncs {
    positions: Positions,
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
    version: Declared,
    writes: Writes,
    backlog: usize,
    streams: FxHashMap<StreamId, OfStream>,
    epochs: i64,
    /// Whether it has letters at all.
    has_letters: bool,
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
    /// Returns the synchronous projections that some commits concern; `None` if there is none. One whose rows are shared by streams is left out if
    /// another commit of the group leaves it to the workers: they get the events of all.
    pub(in crate::store) fn of(commits: &[&NewCommit]) -> Option<Self> {
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
        live.retain(|live| !live.is_left_by_one_of(commits));
        (!live.is_empty()).then_some(Self { positions: Positions::Behind(0), live })
    }

    /// Asks where they stand.
    pub(in crate::store) fn asked(&self) -> Vec<Asked> {
        let asked =
            |live: &Live| Asked { version: live.version.clone(), streams: live.streams.keys().cloned().collect() };
        self.live.iter().map(asked).collect()
    }

    /// Takes where they stand. Versions that do not serve, or only follow, are left out.
    pub(in crate::store) fn answer(
        &mut self,
        positions: Positions,
        answers: impl IntoIterator<Item = (Asked, Standing)>,
    ) {
        self.positions = positions;
        for (mut live, (asked, standing)) in std::mem::take(&mut self.live).into_iter().zip(answers) {
            if !standing.folds {
                continue;
            }
            live.has_letters = standing.has_letters;
            live.epochs = standing.epochs;
            for (stream, mut of_stream) in asked.streams.into_iter().zip(standing.streams) {
                of_stream.pending.retain(|event| live.is_pending(event, &standing.checkpoints));
                live.streams.insert(stream, of_stream);
            }
            self.live.push(live);
        }
    }

    /// Says which rows the commits may touch, a projection each; [`supply`](Self::supply) takes them.
    pub(in crate::store) fn wanted(&self, commits: &[&NewCommit]) -> Vec<Wanted> {
        self.live.iter().map(|live| live.wanted(commits)).collect()
    }

    /// Takes the rows of one projection, by its place in [`wanted`](Self::wanted), and which of their keys are put aside.
    pub(in crate::store) fn supply(
        &mut self,
        place: usize,
        rows: impl IntoIterator<Item = (RowKey, Option<Vec<Value>>)>,
        parked: FxHashSet<String>,
    ) {
        let Some(live) = self.live.get_mut(place) else { return };
        live.parked = parked;
        if let Writes::Folded(fold) = &mut live.writes {
            fold.rows = rows.into_iter().collect();
            fold.begin_again();
        }
    }

    /// Returns the versions that the group folds, so that they do not follow.
    #[cfg(feature = "sqlite")]
    pub(in crate::store) fn brought(&self) -> Vec<&Declared> {
        self.live.iter().map(|live| &live.version).filter(|version| !version.kinds.is_empty()).collect()
    }

    /// Says what the projections write.
    pub(in crate::store) fn writes(&self) -> impl Iterator<Item = SyncWrites> {
        self.live.iter().map(|live| SyncWrites {
            name: live.projection.name,
            version: live.projection.version,
            epochs: live.epochs,
            rows: match &live.writes {
                Writes::Folded(fold) => Some((fold.table, fold.changes.values().cloned().collect())),
                Writes::Connected(_) => None,
            },
            marks: live.marks.iter().map(|(stream, (version, at))| (stream.clone(), *version, *at)).collect(),
        })
    }

    /// Gives the connected projections and the events that their functions are to be run on, in their order.
    pub(in crate::store) fn into_connected(self) -> Vec<(Arc<dyn ConnectedProjector>, Events)> {
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
    let version = Declared { name: projection.name, version: projection.version, kinds: kinds_text(projection) };
    live.push(Live {
        projection,
        version,
        writes: writes(),
        backlog,
        streams: std::iter::once((stream, OfStream::default())).collect(),
        epochs: 0,
        has_letters: false,
        parked: FxHashSet::default(),
        marks: FxHashMap::default(),
        proposed: None,
        run: Vec::new(),
    });
}

impl Gate for Syncs {
    fn admit(&mut self, commit: &NewCommit, known: Known, events: usize) -> Result<(), AppendError> {
        let positions = &self.positions;
        let position = |place: usize| positions.of(events + place);
        let admitted = self.live.iter_mut().try_for_each(|live| live.admit(commit, known.version, position));
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
    /// Tells whether a commit of a program that does not bring the version has an event that has to be folded.
    fn is_left_by_one_of(&self, commits: &[&NewCommit]) -> bool {
        let projection = self.projection;
        let takes = |commit: &NewCommit| {
            let category = commit.stream.category();
            commit.events.iter().any(|event| projection.handlers_of(category, &event.name).next().is_some())
        };
        let leaves = |commit: &NewCommit| !commit.projections.as_ref().is_some_and(|all| all.bring(projection));
        !self.version.kinds.is_empty() && commits.iter().any(|commit| leaves(commit) && takes(commit))
    }

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
            None => partition_of(&event.stream().sequence_key(), partitions),
        };
        let checkpoint = usize::try_from(partition).ok().and_then(|partition| checkpoints.get(partition));
        checkpoint.is_none_or(|checkpoint| event.position().get() > *checkpoint)
    }

    /// Says which rows the group may touch.
    fn wanted(&self, commits: &[&NewCommit]) -> Wanted {
        let mut keys: FxHashSet<RowKey> = FxHashSet::default();
        for of_stream in self.streams.values() {
            keys.extend(of_stream.pending.iter().flat_map(|event| self.sequence_keys(event)));
        }
        // Events of commits that concern no synchronous function, too: those behind them in the group need them folded.
        for commit in commits.iter().filter(|commit| self.streams.contains_key(&commit.stream)) {
            let events = recorded(commit, commit.expected.get(), |_| 0);
            let taken = events.filter(|event| self.projection.takes(event));
            keys.extend(taken.flat_map(|event| self.sequence_keys(&event)));
        }
        let table = match &self.writes {
            Writes::Folded(fold) => Some(fold.table),
            Writes::Connected(_) => None,
        };
        let (name, version, has_letters) = (self.projection.name, self.projection.version, self.has_letters);
        Wanted { name, version, table, keys: keys.into_iter().collect(), has_letters }
    }

    fn admit(&mut self, commit: &NewCommit, version: u64, position: impl Fn(usize) -> u64) -> Result<(), AppendError> {
        let Some(of_stream) = self.streams.get(&commit.stream) else { return Ok(()) };
        let projection = self.projection;
        let category = commit.stream.category();
        let is_sync = |event: &Recorded<AnyEvent>| projection.takes_in_append(category, &event.event().name);
        let mut own: Vec<_> = recorded(commit, version, &position).filter(|event| projection.takes(event)).collect();
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
        let count = commit.events.len();
        let mark = match events.last().filter(|_| !left.is_empty()) {
            Some(event) => (event.version().get(), event.position().get()),
            // Nothing that is left is taken: so far nothing is pending.
            None => (version + count as u64, position(count.saturating_sub(1))),
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
        if of_stream.parked {
            return behind(put_aside(&commit.stream.sequence_key()));
        }
        if self.parked.is_empty() {
            return Ok(());
        }
        let mut keys = events.iter().flat_map(|event| self.sequence_keys(event));
        keys.find(|key| self.parked.contains(key.as_str())).map_or(Ok(()), |key| behind(put_aside(key.as_str())))
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

/// Gives the events of a commit as they will be recorded, if the stream is at `version`; `position` says what place in the log each gets.
fn recorded(
    commit: &NewCommit,
    version: u64,
    position: impl Fn(usize) -> u64,
) -> impl Iterator<Item = Recorded<AnyEvent>> {
    // Logs keep microseconds.
    let at = whole_micros(commit.recorded_at);
    commit.events.iter().enumerate().map(move |(place, event)| {
        let name = event.name.clone();
        let stored = AnyEvent { name, version: event.schema_version, body: event.body.clone() };
        let (version, position) = (Version::new(version + 1 + place as u64), GlobalPosition::new(position(place)));
        Recorded::new(stored, event.id, commit.stream.clone(), version, position, at, Arc::clone(&commit.metadata))
    })
}

/// Says that a projection refused a commit.
pub(in crate::store) fn refused(projection: &'static str, failure: ProjectionFailure) -> AppendError {
    match failure {
        ProjectionFailure::TimedOut { after, .. } => AppendError::ProjectionTimedOut { projection, after },
        cause => AppendError::ProjectionFailed { projection, cause },
    }
}

/// Tells whether a commit concerns a synchronous projection whose functions take the connection.
pub(in crate::store) fn is_connected(commit: &NewCommit) -> bool {
    commit.projections.as_ref().is_some_and(|projections| {
        projections.connected.iter().any(|projector| {
            let takes = |event: &str| projector.descriptor().takes_in_append(commit.stream.category(), event);
            commit.events.iter().any(|event| takes(&event.name))
        })
    })
}
