//! Reading the log.

use rustc_hash::{FxHashMap, FxHashSet};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, Row as _};

use super::SqliteStore;
use super::append::json_rows;
use super::error::{Fault, damaged, fault, store_error};
use super::page::{Page, Rest, Wrong, full_columns, replay_columns};
use super::readers::Reader;
use crate::event::{AnyEvent, GlobalPosition, Recorded, StreamId, Version};
use crate::store::{StoreError, StoredEvent};

/// How many events one row carries at most.
const PAGE: usize = 1_024;

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

/// Arguments: index `[number]`.
const NAMES: &str = "SELECT s.stream_no, s.tenant, s.category, s.key FROM json_each(?) AS e CROSS JOIN streams AS s \
    ON s.stream_no = e.value->>0";

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

    pub(super) async fn history(
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
        let mut events: Vec<Recorded<AnyEvent>> = Vec::new();
        let mut pages = Pages::new(self, limit).await?;
        let mut last = after.get();
        let mut versions: FxHashMap<i64, u64> = FxHashMap::default();
        while let Some(row) =
            pages.next(ALL, |limit| numbers(&[i64::try_from(last).unwrap_or(i64::MAX), limit])).await?
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
                    .and_then(|event| match versions.insert(number, event.version().get()) {
                        Some(before) => follows(row, before, event.version().get()).map(|()| event),
                        None => Ok(event),
                    })
                    .map_err(|wrong| place(&wrong, stream, page.versions.get(row).copied(), &rest))?;
                last = event.position().get();
                events.push(event);
            }
            pages.got(page.len());
        }
        Ok(events)
    }
}

/// Reads page after page on one connection, until a limit or the end.
struct Pages<'a> {
    store: &'a SqliteStore,
    reader: Option<Reader>,
    left: usize,
    wanted: usize,
    size: usize,
}

impl<'a> Pages<'a> {
    async fn new(store: &'a SqliteStore, limit: usize) -> Result<Self, StoreError> {
        Ok(Self { store, reader: Some(store.reader().await?), left: limit, wanted: 0, size: PAGE })
    }

    /// Reads the next page; `None` where nothing is left.
    async fn next(
        &mut self,
        sql: &'static str,
        arguments: impl Fn(i64) -> Result<SqliteArguments, StoreError>,
    ) -> Result<Option<SqliteRow>, StoreError> {
        while self.left > 0 {
            self.wanted = self.left.min(self.size);
            let arguments = arguments(i64::try_from(self.wanted).unwrap_or(i64::MAX))?;
            let Some(reader) = &mut self.reader else { return Err(StoreError::Closed) };
            match sqlx::query_with(sql, arguments).fetch_one(reader.connection()?).await {
                Ok(row) => return Ok(Some(row)),
                // The page's bodies are more than one value of the database may hold: fewer at once.
                Err(error) if fault(&error) == Fault::TooBig && self.wanted > 1 => self.size = self.wanted / 2,
                Err(error) => return Err(self.fail(error)),
            }
        }
        Ok(None)
    }

    /// Tells how many events the page had. A page that is not full was the last one.
    fn got(&mut self, events: usize) {
        self.left = if events < self.wanted { 0 } else { self.left - events };
    }

    fn fail(&mut self, error: sqlx::Error) -> StoreError {
        if let Some(reader) = self.reader.take() {
            reader.discard();
        }
        store_error(error, "reading the log", self.store.busy_timeout())
    }

    fn driver<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        result.map_err(|error| self.fail(error))
    }

    /// Gives the names of a page's streams.
    async fn names(&mut self, rest: &Rest) -> Result<FxHashMap<i64, StreamId>, StoreError> {
        let mut names = FxHashMap::default();
        let mut unknown = FxHashSet::default();
        for number in &rest.streams {
            match self.store.stream_names().get(number) {
                Some(name) => {
                    names.insert(*number, name);
                }
                None => {
                    unknown.insert(*number);
                }
            }
        }
        if unknown.is_empty() {
            return Ok(names);
        }
        let index = json_rows(unknown, |text, number| text.push_str(&number.to_string()));
        let Some(reader) = &mut self.reader else { return Err(StoreError::Closed) };
        let rows = sqlx::query(NAMES).bind(index).fetch_all(reader.connection()?).await;
        for row in self.driver(rows)? {
            let number: i64 = self.driver(row.try_get(0))?;
            let mut parts = [const { String::new() }; 3];
            for (index, part) in parts.iter_mut().enumerate() {
                let bytes: Vec<u8> = self.driver(row.try_get(index + 1))?;
                *part = String::from_utf8(bytes).map_err(|error| {
                    damaged(format!("table streams, number {number}"), format!("its name is not UTF-8: {error}"))
                })?;
            }
            let [tenant, category, key] = parts;
            let name = StreamId::of(tenant, category, key);
            self.store.stream_names().insert(number, name.clone());
            names.insert(number, name);
        }
        Ok(names)
    }

    /// Says where a stream is damaged. A page for replay carries no positions, so they are asked for now.
    async fn damage(&mut self, stream: &StreamId, last: u64, wrong: Wrong) -> StoreError {
        // The damaged row is the first one behind `last`.
        let arguments = of_stream(stream, last, 1);
        let found = match (arguments, &mut self.reader) {
            (Ok(arguments), Some(reader)) => match reader.connection() {
                Ok(connection) => sqlx::query_with(
                    "SELECT version, position FROM event_log WHERE stream_no = \
                     (SELECT stream_no FROM streams WHERE tenant = ? AND category = ? AND key = ?) AND version > ? \
                     ORDER BY version LIMIT ?",
                    arguments,
                )
                .fetch_optional(connection)
                .await
                .ok()
                .flatten(),
                Err(_) => None,
            },
            _ => None,
        };
        let number = |column| found.as_ref().and_then(|row| row.try_get::<i64, _>(column).ok());
        let (version, position) = (number(0).unwrap_or_default(), number(1).unwrap_or_default());
        damaged(format!("table event_log, stream `{stream}`, version {version}, position {position}"), wrong.reason)
    }
}

fn of_stream(stream: &StreamId, after: u64, limit: i64) -> Result<SqliteArguments, StoreError> {
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
