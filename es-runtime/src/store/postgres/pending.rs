//! Reads what synchronous projections stand on: versions, checkpoints, and the events of a stream that nobody folded yet.

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::error::DbError;
use super::lookup::{in_column, names};
use super::read::{Names, event_columns, event_of_row};
use super::text::escaped;
use crate::event::StreamId;
use crate::store::group::sync::{Asked, OfStream, Standing, WALK};

/// Arguments: names, versions, how many positions are taken, kinds. Gives for each its place, whether it serves and does not only follow, whether
/// it has letters, and its checkpoints; with the first one the positions.
const VERSIONS: &str = "SELECT e.place, \
    EXISTS (SELECT 1 FROM projections AS p WHERE p.name = e.name AND p.version = e.version AND p.state = 'active' \
    AND p.followed_at IS NULL AND p.kinds = e.kinds), \
    EXISTS (SELECT 1 FROM dead_letters AS d WHERE d.name = e.name AND d.version = e.version), \
    ARRAY(SELECT s.position FROM subscriptions AS s WHERE s.name = e.name AND s.version = e.version ORDER BY s.partition), \
    CASE WHEN e.place = 1 THEN es_reserve($3) END \
    FROM unnest($1::text[], $2::bigint[], $4::text[]) WITH ORDINALITY AS e (name, version, kinds, place)";

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
     JOIN streams AS s ON s.tenant = e.tenant AND s.category = e.category AND s.key = e.key \
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

/// Answers where projections stand, of which there is one at least; and takes positions for so many events: behind the versions of their streams,
/// which were read before, since whoever wrote those took his positions before.
pub(super) async fn answer(
    connection: &mut PgConnection,
    asked: Vec<Asked>,
    events: usize,
) -> Result<(Vec<(Asked, Standing)>, Vec<i64>), DbError> {
    let mut standing: Vec<Standing> = asked
        .iter()
        .map(|asked| Standing { streams: vec![OfStream::default(); asked.streams.len()], ..Standing::default() })
        .collect();
    let positions = versions(connection, &asked, events, &mut standing).await?;
    streams(connection, &asked, &mut standing).await?;
    Ok((asked.into_iter().zip(standing).collect(), positions))
}

async fn versions(
    connection: &mut PgConnection,
    asked: &[Asked],
    events: usize,
    standing: &mut [Standing],
) -> Result<Vec<i64>, DbError> {
    let mut positions = Vec::new();
    let rows = sqlx::query(VERSIONS)
        .bind(asked.iter().map(|asked| asked.version.name).collect::<Vec<_>>())
        .bind(asked.iter().map(|asked| i64::from(asked.version.version)).collect::<Vec<_>>())
        .bind(i32::try_from(events).unwrap_or(i32::MAX))
        .bind(asked.iter().map(|asked| escaped(&asked.version.kinds)).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    for row in rows {
        if let Some(taken) = row.try_get(4)? {
            positions = taken;
        }
        let place: i64 = row.try_get(0)?;
        let Some(standing) = usize::try_from(place - 1).ok().and_then(|place| standing.get_mut(place)) else {
            continue;
        };
        standing.folds = row.try_get(1)?;
        standing.has_letters = row.try_get(2)?;
        let checkpoints: Vec<i64> = row.try_get(3)?;
        standing.checkpoints = checkpoints.into_iter().map(i64::cast_unsigned).collect();
    }
    Ok(positions)
}

/// One stream of one projection that is asked for.
#[derive(Clone, Copy)]
struct Place<'a> {
    projection: usize,
    at: usize,
    asked: &'a Asked,
    stream: &'a StreamId,
}

async fn streams(connection: &mut PgConnection, asked: &[Asked], standing: &mut [Standing]) -> Result<(), DbError> {
    let place = |(projection, asked)| of_projection(projection, asked);
    // Of versions that are not folded, nothing is asked.
    let serving = asked.iter().enumerate().filter(|(place, _)| standing[*place].folds);
    let places: Vec<Place<'_>> = serving.flat_map(place).collect();
    if places.is_empty() {
        return Ok(());
    }
    if standing.iter().any(|standing| standing.has_letters) {
        for row in bound(PARKED, &places).fetch_all(&mut *connection).await? {
            let place = in_column(&places, &row, 0)?;
            standing[place.projection].streams[place.at].parked = true;
        }
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
