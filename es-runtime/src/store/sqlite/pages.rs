//! Reads page after page on one connection, and asks for what a page does not say.

use rustc_hash::{FxHashMap, FxHashSet};
use sqlx::Row as _;
use sqlx::sqlite::{SqliteArguments, SqliteRow};

use super::SqliteStore;
use super::append::json_rows;
use super::error::{Fault, damaged, fault, store_error};
use super::page::{Rest, Wrong};
use super::read::of_stream;
use super::readers::Reader;
use crate::event::StreamId;
use crate::store::StoreError;

/// How many events one row carries at most.
const PAGE: usize = 1_024;

/// Arguments: index `[number]`.
const NAMES: &str = "SELECT s.stream_no, s.tenant, s.category, s.key FROM json_each(?) AS e CROSS JOIN streams AS s \
    ON s.stream_no = e.value->>0";

/// Reads page after page on one connection, until a limit or the end.
pub(super) struct Pages<'a> {
    store: &'a SqliteStore,
    reader: Option<Reader>,
    left: usize,
    wanted: usize,
    size: usize,
}

impl<'a> Pages<'a> {
    pub(super) async fn new(store: &'a SqliteStore, limit: usize) -> Result<Self, StoreError> {
        Ok(Self { store, reader: Some(store.reader().await?), left: limit, wanted: 0, size: PAGE })
    }

    /// Reads the next page; `None` where nothing is left.
    pub(super) async fn next(
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
                Err(error) if fault(&error) == Fault::Unfit && self.wanted > 1 => self.size = self.wanted / 2,
                Err(error) => return Err(self.fail(error)),
            }
        }
        Ok(None)
    }

    /// Tells how many events the page had. A page that is not full was the last one.
    pub(super) fn got(&mut self, events: usize) {
        self.left = if events < self.wanted { 0 } else { self.left - events };
    }

    fn fail(&mut self, error: sqlx::Error) -> StoreError {
        if let Some(reader) = self.reader.take() {
            reader.discard();
        }
        store_error(error, "reading the log", self.store.busy_timeout())
    }

    pub(super) fn driver<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        result.map_err(|error| self.fail(error))
    }

    /// Gives the names of a page's streams.
    pub(super) async fn names(&mut self, rest: &Rest) -> Result<FxHashMap<i64, StreamId>, StoreError> {
        let mut names = FxHashMap::default();
        let mut unknown = FxHashSet::default();
        for number in &rest.streams {
            // Most pages name few streams many times: the shared cache is asked once for each.
            if names.contains_key(number) {
                continue;
            }
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
    pub(super) async fn damage(&mut self, stream: &StreamId, last: u64, wrong: Wrong) -> StoreError {
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
