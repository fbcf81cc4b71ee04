//! Reading the log.

use rustc_hash::FxHashMap;
use sqlx::Arguments as _;
use sqlx::sqlite::SqliteArguments;

use super::SqliteStore;
use super::error::damaged;
use super::page::{Page, Rest, Wrong, full_columns, replay_columns};
use super::pages::Pages;
use crate::event::{AnyEvent, GlobalPosition, Recorded, StreamId, Version};
use crate::store::{StoreError, StoredEvent};

/// Arguments: tenant, category, key, after, limit.
const STREAM: &str = concat!(
    replay_columns!(),
    " FROM (SELECT version, schema_version, kind, body FROM event_log \
     WHERE stream_no = (SELECT stream_no FROM streams WHERE tenant = ? AND category = ? AND key = ?) AND version > ? \
     ORDER BY version LIMIT ?)"
);

/// Arguments: tenant, category, key, after, limit.
const HISTORY: &str = concat!(
    full_columns!(),
    " FROM (SELECT * FROM event_log \
     WHERE stream_no = (SELECT stream_no FROM streams WHERE tenant = ? AND category = ? AND key = ?) AND version > ? \
     ORDER BY version LIMIT ?)"
);

/// Arguments: after, limit.
const ALL: &str =
    concat!(full_columns!(), " FROM (SELECT * FROM event_log WHERE position > ? ORDER BY position LIMIT ?)");

/// Arguments: positions, after, limit.
const PICKED: &str = concat!(
    full_columns!(),
    " FROM (SELECT l.* FROM json_each(?) AS e CROSS JOIN event_log AS l ON l.position = e.value \
     WHERE l.position > ? ORDER BY l.position LIMIT ?)"
);

impl SqliteStore {
    pub(super) async fn replay(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let mut events = Vec::new();
        let mut pages = Pages::new(self, limit).await?;
        let mut last = after.get();
        while let Some(row) = pages.next(STREAM, |limit| of_stream(stream, last, limit)).await? {
            let page = match pages.driver(Page::read(&row))? {
                Ok(page) => page,
                Err(wrong) => return Err(pages.damage(stream, last + wrong.row as u64, wrong).await),
            };
            for row in 0..page.len() {
                let event = page.event(row).and_then(|event| follows(row, last, event.0).map(|()| event));
                match event {
                    Ok((version, name, schema_version, body)) => {
                        events.push(StoredEvent { version: Version::new(version), name, schema_version, body });
                        last = version;
                    }
                    Err(wrong) => return Err(pages.damage(stream, last, wrong).await),
                }
            }
            pages.got(page.len());
        }
        Ok(events)
    }

    pub(super) async fn recorded_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Recorded<AnyEvent>>, StoreError> {
        let mut events = Vec::new();
        let mut pages = Pages::new(self, limit).await?;
        let mut last = after.get();
        while let Some(row) = pages.next(HISTORY, |limit| of_stream(stream, last, limit)).await? {
            let rest = pages.driver(Rest::read(&row))?;
            let page = pages.driver(Page::read(&row))?.map_err(|wrong| place(&wrong, stream, None, &rest))?;
            let mut metadata = None;
            for row in 0..page.len() {
                let event = recorded(&page, &rest, row, stream, &mut metadata)
                    .and_then(|event| follows(row, last, event.version().get()).map(|()| event))
                    .map_err(|wrong| place(&wrong, stream, page.versions.get(row).copied(), &rest))?;
                last = event.version().get();
                events.push(event);
            }
            pages.got(page.len());
        }
        Ok(events)
    }

    pub(super) async fn log(&self, after: GlobalPosition, limit: usize) -> Result<Vec<Recorded<AnyEvent>>, StoreError> {
        let arguments = |last, limit| numbers(&[last, limit]);
        let mut versions: FxHashMap<i64, u64> = FxHashMap::default();
        self.pages(ALL, after.get(), limit, arguments, |row, last, number, event| {
            is_next(row, last, event.position().get())?;
            match versions.insert(number, event.version().get()) {
                Some(before) => follows(row, before, event.version().get()),
                None => Ok(()),
            }
        })
        .await
    }

    /// Reads single events by their positions.
    pub(super) async fn picked(&self, positions: &[GlobalPosition]) -> Result<Vec<Recorded<AnyEvent>>, StoreError> {
        let mut positions: Vec<_> = positions.iter().map(|position| position.get()).collect();
        positions.sort_unstable();
        positions.dedup();
        let index = serde_json::to_string(&positions).unwrap_or_default();
        let arguments = |last: i64, limit: i64| {
            let mut arguments = SqliteArguments::default();
            let added =
                arguments.add(index.clone()).and_then(|()| arguments.add(last)).and_then(|()| arguments.add(limit));
            encoded(arguments, added)
        };
        self.pages(PICKED, 0, positions.len(), arguments, |_, _, _, _| Ok(())).await
    }

    /// Reads events of the log, in the order of their positions. `check` is told a row's place, the position before it, and the number of
    /// its stream.
    async fn pages(
        &self,
        sql: &'static str,
        after: u64,
        limit: usize,
        arguments: impl Fn(i64, i64) -> Result<SqliteArguments, StoreError>,
        mut check: impl FnMut(usize, u64, i64, &Recorded<AnyEvent>) -> Result<(), Wrong>,
    ) -> Result<Vec<Recorded<AnyEvent>>, StoreError> {
        let mut events: Vec<Recorded<AnyEvent>> = Vec::new();
        let mut pages = Pages::new(self, limit).await?;
        let mut last = after;
        while let Some(row) = pages.next(sql, |limit| arguments(i64::try_from(last).unwrap_or(i64::MAX), limit)).await?
        {
            let rest = pages.driver(Rest::read(&row))?;
            let names = pages.names(&rest).await?;
            let unknown = StreamId::new("", "");
            let page = pages.driver(Page::read(&row))?.map_err(|wrong| {
                let stream = rest.streams.get(wrong.row).and_then(|number| names.get(number)).unwrap_or(&unknown);
                place(&wrong, stream, None, &rest)
            })?;
            let mut metadata = None;
            for row in 0..page.len() {
                let number = rest.streams.get(row).copied().unwrap_or_default();
                let Some(stream) = names.get(&number) else {
                    let position = rest.positions.get(row).copied().unwrap_or_default();
                    return Err(damaged(
                        format!("table streams, number {number}"),
                        format!("it is missing, the event at position {position} needs it"),
                    ));
                };
                let event = recorded(&page, &rest, row, stream, &mut metadata)
                    .and_then(|event| check(row, last, number, &event).map(|()| event))
                    .map_err(|wrong| place(&wrong, stream, page.versions.get(row).copied(), &rest))?;
                last = event.position().get();
                events.push(event);
            }
            pages.got(page.len());
        }
        Ok(events)
    }
}

pub(super) fn of_stream(stream: &StreamId, after: u64, limit: i64) -> Result<SqliteArguments, StoreError> {
    let mut arguments = SqliteArguments::default();
    let added = arguments
        .add(stream.tenant())
        .and_then(|()| arguments.add(stream.category()))
        .and_then(|()| arguments.add(stream.key()))
        .and_then(|()| arguments.add(i64::try_from(after).unwrap_or(i64::MAX)))
        .and_then(|()| arguments.add(limit));
    encoded(arguments, added)
}

fn numbers(values: &[i64]) -> Result<SqliteArguments, StoreError> {
    let mut arguments = SqliteArguments::default();
    let added = values.iter().try_for_each(|value| arguments.add(*value));
    encoded(arguments, added)
}

fn encoded(
    arguments: SqliteArguments,
    added: Result<(), sqlx::error::BoxDynError>,
) -> Result<SqliteArguments, StoreError> {
    added.map(|()| arguments).map_err(|error| StoreError::Unavailable { reason: error.to_string(), source: None })
}

/// Versions of a stream are contiguous: whatever is read next stands right behind the last.
fn follows(row: usize, last: u64, version: u64) -> Result<(), Wrong> {
    if version == last.saturating_add(1) {
        Ok(())
    } else {
        Err(Wrong { row, reason: format!("version {version} follows version {last}: events are missing or doubled") })
    }
}

/// Positions have no gaps: they are rowids, given one after the other inside the only write transaction.
fn is_next(row: usize, last: u64, position: u64) -> Result<(), Wrong> {
    if position == last.saturating_add(1) {
        Ok(())
    } else {
        Err(Wrong { row, reason: format!("position {} is missing before it", last.saturating_add(1)) })
    }
}

/// Puts the event of a row together.
fn recorded(
    page: &Page,
    rest: &Rest,
    row: usize,
    stream: &StreamId,
    metadata: &mut Option<(bytes::Bytes, std::sync::Arc<crate::event::Metadata>)>,
) -> Result<Recorded<AnyEvent>, Wrong> {
    let (version, name, schema, body) = page.event(row)?;
    let (position, id, at) = rest.place(row)?;
    let metadata = rest.metadata(row, metadata)?;
    let event = AnyEvent { name, version: schema, body };
    Ok(Recorded::new(event, id, stream.clone(), Version::new(version), GlobalPosition::new(position), at, metadata))
}

fn place(wrong: &Wrong, stream: &StreamId, version: Option<i64>, rest: &Rest) -> StoreError {
    let position = rest.positions.get(wrong.row).copied().unwrap_or_default();
    let version = version.map_or_else(String::new, |version| format!(", version {version}"));
    damaged(format!("table event_log, stream `{stream}`{version}, position {position}"), wrong.reason.as_str())
}
