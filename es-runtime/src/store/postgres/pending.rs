//! Reads what synchronous projections stand on: versions, checkpoints, and the events of a stream that nobody folded yet.

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::error::DbError;
use super::lookup::{in_column, names};
use super::open::locks;
use super::read::{Names, event_columns, event_of_row};
use super::registry::projection_lock;
use super::text::escaped;
use crate::event::StreamId;
use crate::store::NewCommit;
use crate::store::commit::kinds_of;
use crate::store::group::cache::Folded;
use crate::store::group::sync::{Asked, OfStream, Standing, WALK};

/// Arguments: names, versions, tenants, categories, keys. Gives the places of the streams of which an event is put aside.
const PARKED: &str = "SELECT e.place FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[]) \
    WITH ORDINALITY AS e (name, version, tenant, category, key, place) WHERE EXISTS (SELECT 1 FROM dead_letters AS d \
    WHERE d.name = e.name AND d.version = e.version AND d.tenant = e.tenant AND d.category = e.category AND d.stream = e.key)";

/// Arguments: as above, and how many events are looked through. Gives the events of each stream that are behind its watermark and behind the least
/// checkpoint, from the stream's end down to the first that is not.
const PENDING: &str = concat!(
    "SELECT ",
    event_columns!(),
    ", e.place FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[]) \
     WITH ORDINALITY AS e (name, version, tenant, category, key, place) \
     CROSS JOIN LATERAL (SELECT s.stream_no FROM streams AS s \
     WHERE s.tenant = e.tenant AND s.category = e.category AND s.key = e.key LIMIT 1) AS s \
     CROSS JOIN LATERAL (SELECT \
     coalesce((SELECT w.stream_version FROM watermarks AS w WHERE w.name = e.name AND w.version = e.version \
     AND w.stream_no = s.stream_no), 0) AS mark, \
     coalesce((SELECT min(c.position) FROM subscriptions AS c WHERE c.name = e.name AND c.version = e.version), 0) AS point \
     ) AS a CROSS JOIN LATERAL (\
     WITH RECURSIVE back AS (\
     (SELECT h.*, 1 AS depth FROM event_log AS h WHERE h.stream_no = s.stream_no AND h.version > a.mark AND h.position > a.point \
     ORDER BY h.version DESC LIMIT 1) \
     UNION ALL \
     SELECT h.*, b.depth + 1 FROM back AS b JOIN event_log AS h ON h.stream_no = s.stream_no AND h.version = b.version - 1 \
     WHERE h.version > a.mark AND h.position > a.point AND b.depth < $6) \
     SELECT * FROM back) AS l ORDER BY e.place, l.version"
);

/// Begins an append: takes its locks, and those of the projections that are asked for. Returns where these stand, and with it as many positions, if there
/// is one.
pub(super) async fn begin(
    connection: &mut PgConnection,
    commits: &[&NewCommit],
    asked: &[Asked],
    events: usize,
) -> Result<(Vec<Standing>, Vec<i64>), sqlx::Error> {
    debug_assert_eq!(locks::APPEND, 0, "as in the function");
    let brought = || asked.iter().map(|asked| &asked.version);
    let rows = sqlx::query(
        "SELECT folds, has_letters, checkpoints, epochs, positions FROM es_begin_synced($1, $2, $3, $4, $5, $6)",
    )
    .bind(kinds_of(commits).iter().map(|kind| escaped(kind)).collect::<Vec<_>>())
    .bind(brought().map(|version| escaped(version.name)).collect::<Vec<_>>())
    .bind(brought().map(|version| i64::from(version.version)).collect::<Vec<_>>())
    .bind(brought().map(|version| escaped(&version.kinds)).collect::<Vec<_>>())
    .bind(brought().map(|version| projection_lock(version.name)).collect::<Vec<_>>())
    .bind(i32::try_from(events).unwrap_or(i32::MAX))
    .fetch_all(connection)
    .await?;
    let (mut standing, mut positions) = (Vec::with_capacity(asked.len()), Vec::new());
    for (row, asked) in rows.iter().zip(asked) {
        let checkpoints: Vec<i64> = row.try_get(2)?;
        standing.push(Standing {
            folds: row.try_get(0)?,
            has_letters: row.try_get(1)?,
            checkpoints: checkpoints.into_iter().map(i64::cast_unsigned).collect(),
            epochs: row.try_get(3)?,
            streams: vec![OfStream::default(); asked.streams.len()],
        });
        positions.extend(row.try_get::<Option<Vec<i64>>, _>(4)?.unwrap_or_default());
    }
    if standing.len() != asked.len() {
        return Err(sqlx::Error::Decode("the database does not say where each projection stands".into()));
    }
    Ok((standing, positions))
}

/// One stream of one projection that is asked for.
#[derive(Clone, Copy)]
struct Place<'a> {
    projection: usize,
    at: usize,
    asked: &'a Asked,
    stream: &'a StreamId,
}

/// Reads what is pending of each stream. Of streams that are known to be folded, only whether events of them are put aside.
pub(super) async fn streams(
    connection: &mut PgConnection,
    asked: &[Asked],
    standing: &mut [Standing],
    folded: &Folded,
) -> Result<(), DbError> {
    let place = |(projection, asked)| of_projection(projection, asked);
    // Of versions that are not folded, nothing is asked.
    let serving = asked.iter().enumerate().filter(|(place, _)| standing[*place].folds);
    let mut places: Vec<Place<'_>> = serving.flat_map(place).collect();
    if !places.is_empty() && standing.iter().any(|standing| standing.has_letters) {
        for row in bound(PARKED, &places).fetch_all(&mut *connection).await? {
            let place = in_column(&places, &row, 0)?;
            standing[place.projection].streams[place.at].parked = true;
        }
    }
    places.retain(|place| {
        let version = &place.asked.version;
        !folded.contains(version.name, version.version, standing[place.projection].epochs, place.stream)
    });
    if places.is_empty() {
        return Ok(());
    }
    let mut names = Names::default();
    for row in bound(PENDING, &places).bind(WALK).fetch_all(connection).await? {
        let place = *in_column(&places, &row, 9)?;
        let of_stream = &mut standing[place.projection].streams[place.at];
        of_stream.pending.push(event_of_row(&row, place.stream, &mut names)?);
    }
    let walk = usize::try_from(WALK).unwrap_or(usize::MAX);
    for of_stream in standing.iter_mut().flat_map(|standing| &mut standing.streams) {
        of_stream.cut = of_stream.pending.len() >= walk;
    }
    Ok(())
}

fn of_projection(projection: usize, asked: &Asked) -> impl Iterator<Item = Place<'_>> {
    asked.streams.iter().enumerate().map(move |(at, stream)| Place { projection, at, asked, stream })
}

fn bound<'q>(
    sql: &'static str,
    places: &[Place<'q>],
) -> sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments> {
    let names = names(places.iter().map(|place| place.stream));
    sqlx::query(sql)
        .bind(places.iter().map(|place| place.asked.version.name).collect::<Vec<_>>())
        .bind(places.iter().map(|place| i64::from(place.asked.version.version)).collect::<Vec<_>>())
        .bind(names.tenants)
        .bind(names.categories)
        .bind(names.keys)
}
