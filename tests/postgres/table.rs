//! What stands in the table `event_log`, read without the store: the truth that everything else is compared with.

use std::collections::{HashMap, HashSet};

use es_runtime::prelude::Uuid;
use sqlx::postgres::PgConnection;

use crate::crash::child::Acknowledged;

/// An event as it stands in the table.
#[derive(Clone, Debug)]
pub struct Row {
    pub position: u64,
    pub id: Uuid,
    pub stream: String,
    version: u64,
    body: String,
}

impl Row {
    pub fn is_of_one(&self, commits: &HashSet<String>) -> bool {
        self.body.split_once(' ').is_some_and(|(commit, _)| commits.contains(commit))
    }
}

/// Reads the whole table, in the order of positions.
pub async fn rows(connection: &mut PgConnection) -> Vec<Row> {
    let sql = "SELECT l.position, l.event_id, s.key, l.version, convert_from(l.body, 'UTF8') \
        FROM event_log AS l JOIN streams AS s USING (stream_no) ORDER BY l.position";
    let rows: Vec<(i64, Uuid, String, i64, String)> = sqlx::query_as(sql).fetch_all(connection).await.unwrap();
    let number = i64::cast_unsigned;
    rows.into_iter()
        .map(|(position, id, stream, version, body)| Row {
            position: number(position),
            id,
            stream,
            version: number(version),
            body,
        })
        .collect()
}

/// Asserts that no event is there twice, and that each stream's versions are 1, 2, 3 … in the order of positions.
pub fn assert_sound(rows: &[Row]) {
    let (mut versions, mut ids) = (HashMap::<&str, u64>::new(), HashSet::new());
    for row in rows {
        let last = versions.entry(&row.stream).or_default();
        assert_eq!(row.version, *last + 1, "stream {}, position {}", row.stream, row.position);
        *last = row.version;
        assert!(ids.insert(row.id), "event {} is there twice", row.id);
    }
}

/// Puts the events together to commits, and asserts that each is there whole.
pub fn commits(rows: &[Row]) -> Vec<Acknowledged> {
    let mut parts: HashMap<&str, Vec<&Row>> = HashMap::new();
    for row in rows {
        parts.entry(&row.body).or_default().push(row);
    }
    let whole = parts.into_iter().map(|(body, rows)| {
        let (commit, events) = body.split_once(' ').unwrap();
        assert_eq!(rows.len().to_string(), events, "commit {commit} is there in part, or doubled");
        let follow = |pair: &[&Row]| pair[0].stream == pair[1].stream && pair[0].version + 1 == pair[1].version;
        assert!(rows.windows(2).all(follow), "commit {commit} is torn apart");
        let last = rows[rows.len() - 1];
        Acknowledged {
            commit: commit.to_owned(),
            stream: last.stream.clone(),
            version: last.version,
            position: last.position,
            events: rows.len() as u64,
        }
    });
    whole.collect()
}

/// Asserts that the commits that are there are those that were acknowledged, no more and no less.
pub fn assert_as_told(rows: &[Row], acknowledged: &[Acknowledged]) {
    let stored: HashSet<_> = commits(rows).into_iter().collect();
    let told: HashSet<_> = acknowledged.iter().cloned().collect();
    assert_eq!(told.len(), acknowledged.len(), "a commit was acknowledged twice");
    let first = |one: &HashSet<Acknowledged>, other| one.difference(other).next().cloned();
    assert_eq!(first(&told, &stored), None, "acknowledged, and not stored as such");
    assert_eq!(first(&stored, &told), None, "stored, and not acknowledged as such");
}
