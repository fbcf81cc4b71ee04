//! A role that appends and reads, and changes nothing of what is stored: the rights that `docs/postgres.md` grants.

use es_runtime::event::{GlobalPosition, Version};
use es_runtime::prelude::App;
use es_runtime::store::{
    AppendError, EventStore as _, ExternalId, IdentityMap as _, Ledger as _, PostgresStore, SnapshotStore as _,
    StoreError,
};
use es_runtime::testing::contract::fixture::{With as _, append, assert_conflict, commit, now, store_one, stream};
use es_runtime::testing::contract::read_side::{FIRST, Projected as _, Worker, balance, commit_of, record, register};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};

use super::foreign::Foreign;
use super::proxy::{Act, Proxy};
use super::{Schema, schema};
use crate::flow::claims::{with, without};
use crate::place::Place as _;

const PAGE: &str = include_str!("../../docs/postgres.md");

fn grants(schema: &str, role: &str) -> String {
    block(0, schema, role)
}

/// A block of SQL below the heading `Rights`, for another schema and another role.
fn block(number: usize, schema: &str, role: &str) -> String {
    let section = PAGE.split("\n## Rights\n").nth(1).expect("the page has a section on rights");
    let block = section.split("```sql\n").nth(number + 1).expect("with a block of SQL").split("```").next().unwrap();
    let read_models = read_models(schema);
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let mut sql = String::new();
    let mut rest = block;
    while let Some(start) = rest.find(is_word) {
        let (before, from) = rest.split_at(start);
        let (word, behind) = from.split_at(from.find(|character| !is_word(character)).unwrap_or(from.len()));
        sql.push_str(before);
        sql.push_str(match word {
            "es" => schema,
            "bank" => role,
            "es_read" => &read_models,
            other => other,
        });
        rest = behind;
    }
    sql + rest
}

/// The schema of the read models beside a store's.
fn read_models(schema: &str) -> String {
    format!("{schema}_read")
}

/// A role with the documented rights in a schema that is up to date. It goes away with [`end`](Role::end).
pub struct Role {
    pub name: String,
    options: PgConnectOptions,
    read_models: String,
    owner: PgConnection,
}

impl Role {
    pub async fn make(schema: &Schema) -> Self {
        schema.open().await.close().await;
        let mut owner = schema.connect().await;
        // Roles belong to the server: as unlike others as the schema is.
        let name = format!("role_{}", schema.name());
        sqlx::raw_sql(AssertSqlSafe(grants(schema.name(), &name))).execute(&mut owner).await.unwrap();
        let secret = es_runtime::event::EventId::new_v7().to_string();
        sqlx::raw_sql(AssertSqlSafe(format!("ALTER ROLE {name} PASSWORD '{secret}'")))
            .execute(&mut owner)
            .await
            .unwrap();
        let options = schema.options().username(&name).password(&secret);
        Self { name, options, read_models: read_models(schema.name()), owner }
    }

    pub async fn store(&self, schema: &Schema) -> PostgresStore {
        self.store_at(schema, self.options.clone()).await
    }

    async fn store_at(&self, schema: &Schema, options: PgConnectOptions) -> PostgresStore {
        let store = PostgresStore::options().schema(schema.name()).read_model_schema(read_models(schema.name()));
        store.migrate(false).connect_with(options).await.unwrap()
    }

    pub fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    async fn connect(&self, schema: &Schema) -> PgConnection {
        self.options.clone().options([("search_path", schema.name())]).connect().await.unwrap()
    }

    pub async fn end(mut self) {
        let Self { name, read_models, .. } = &self;
        let drop =
            format!("DROP OWNED BY {name} CASCADE; DROP ROLE {name}; DROP SCHEMA IF EXISTS {read_models} CASCADE");
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut self.owner).await.unwrap();
    }
}

fn code(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

/// Statements that change or delete events, or what keeps them from it.
const CHANGES: [&str; 3] = ["UPDATE event_log SET body = 'another'", "DELETE FROM event_log", "TRUNCATE event_log"];

const BEYOND: [&str; 10] = [
    "INSERT INTO event_log (position, stream_no, version, event_id, kind, schema_version, body, meta, at) \
     SELECT position + 1000, stream_no, version + 1000, event_id, kind, schema_version, body, meta, at FROM event_log",
    "SELECT key FROM signing_key",
    "SELECT es_signature('1')",
    "DROP TABLE event_log",
    "DROP TRIGGER event_log_is_not_updated ON event_log",
    "ALTER TABLE event_log DISABLE TRIGGER ALL",
    "UPDATE streams SET key = 'another'",
    "DELETE FROM claims",
    "SELECT setval('event_positions', 1)",
    "CREATE OR REPLACE FUNCTION es_lock_class() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
];

#[tokio::test]
async fn a_role_with_the_documented_rights_appends_and_reads() {
    let schema = schema!();
    let role = Role::make(&schema).await;
    let store = role.store(&schema).await;
    append(&store, &stream("a"), 0, 2).await;
    // On trust and with care, with everything that a commit may bring.
    let full = commit(&stream("a"), 2, 1).claiming("k").keyed("key").with_snapshot(1, "state");
    store_one(&store, full).await.unwrap();
    assert_conflict(store_one(&store, commit(&stream("a"), 1, 1)).await, 1, 3);
    let taken = store_one(&store, commit(&stream("b"), 0, 1).claiming("k")).await;
    assert!(matches!(taken, Err(AppendError::Claimed { .. })), "{taken:?}");
    store_one(&store, commit(&stream("a"), 3, 1).freeing("k")).await.unwrap();
    store_one(&store, commit(&stream("b"), 0, 1).claiming("k")).await.unwrap();
    assert_eq!(store.read_stream(&stream("a"), Version::NONE, 10).await.unwrap().len(), 4);
    assert_eq!(store.read_history(&stream("a"), Version::NONE, 10).await.unwrap().len(), 4);
    assert_eq!(store.event_count().await.unwrap(), 5);
    assert!(store.find("", "key").await.unwrap().is_some());
    assert!(store.snapshot(&stream("a"), 1).await.unwrap().is_some());
    assert_eq!(store.forget_before(now() + chrono::Duration::hours(1)).await.unwrap(), 1);
    let of_another = ["", "account", "shop", "1"].map(str::to_owned);
    let [tenant, category, source, id] = of_another;
    let external = ExternalId { tenant, category, source, id };
    assert_eq!(store.identify(&external, "mine").await.unwrap(), "mine");
    let log = async || store.read_all(GlobalPosition::START, 10).await.unwrap();
    // What was refused has left gaps.
    super::until("the log is there", async || log().await.len() == 5).await;
    // It waits for transactions of others at a gap.
    let mut foreign = Foreign::begin(&schema).await;
    foreign.reserve(1).await;
    let last = append(&store, &stream("c"), 0, 1).await.position;
    assert_eq!(log().await.len(), 5);
    foreign.roll_back().await;
    super::until("the gap is passed", async || log().await.last().unwrap().position() == last).await;
    store.close().await;
    role.end().await;
}

#[tokio::test]
async fn a_role_with_the_documented_rights_finds_out_what_became_of_a_commit() {
    let schema = schema!();
    let role = Role::make(&schema).await;
    let proxy = Proxy::start(role.options.clone()).await;
    let store = role.store_at(&schema, proxy.options()).await;
    for (name, act) in [("lost answer", Act::CutAnswer(0)), ("lost request", Act::CutRequest(0))] {
        proxy.arm(name, act);
        let new = commit(&stream(name), 0, 0);
        let events = vec![es_runtime::testing::contract::fixture::event_of("made", name)];
        store_one(&store, es_runtime::store::NewCommit { events, ..new }).await.unwrap();
        assert!(proxy.has_acted());
    }
    assert_eq!(store.event_count().await.unwrap(), 2);
    store.close().await;
    role.end().await;
}

#[tokio::test]
async fn a_role_with_the_documented_rights_changes_no_event() {
    let schema = schema!();
    let role = Role::make(&schema).await;
    let store = role.store(&schema).await;
    append(&store, &stream("a"), 0, 2).await;
    let mut connection = role.connect(&schema).await;
    for change in CHANGES.into_iter().chain(BEYOND) {
        let refused = connection.execute(change).await.unwrap_err();
        assert_eq!(code(&refused).as_deref(), Some("42501"), "{change}: {refused}");
    }
    let log = store.read_all(GlobalPosition::START, 10).await.unwrap();
    assert_eq!(log.len(), 2);
    assert_eq!(log[0].event().body, "{\"amount\":1}");
    store.close().await;
    role.end().await;
}

#[tokio::test]
async fn the_owner_changes_no_event() {
    let schema = schema!();
    let store = schema.open().await;
    append(&store, &stream("a"), 0, 2).await;
    let mut owner = schema.connect().await;
    for change in CHANGES {
        let refused = owner.execute(change).await.unwrap_err();
        // `restrict_violation`, of the trigger.
        assert_eq!(code(&refused).as_deref(), Some("23001"), "{change}: {refused}");
        assert!(refused.to_string().contains("event_log is append-only"), "{refused}");
    }
    assert_eq!(store.event_count().await.unwrap(), 2);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_with_the_documented_rights_builds_claims() {
    let schema = schema!();
    let role = Role::make(&schema).await;
    let store = role.store(&schema).await;
    let old = without::open(&store).await;
    without::join(&old, "ann").await.unwrap();
    App::<with::Club, _>::builder(store.clone()).build_claims().await.unwrap();
    let new = with::open(&store).await;
    assert_eq!(with::join(&new, "ann").await, Err("claimed"));
    assert_eq!(without::join(&old, "eve").await, Err("claims_differ"));
    new.shutdown().await;
    role.end().await;
}

#[tokio::test]
async fn nobody_appends_without_the_right_to() {
    let schema = schema!();
    let role = Role::make(&schema).await;
    let mut owner = schema.connect().await;
    let (name, of) = (&role.name, schema.name());
    let revoke = format!("REVOKE EXECUTE ON FUNCTION {of}.es_append_claiming FROM {name}");
    owner.execute(AssertSqlSafe(revoke)).await.unwrap();
    let store = role.store(&schema).await;
    // The functions are not for everybody: only who is granted them has them.
    let refused = store_one(&store, commit(&stream("a"), 0, 1)).await;
    let Err(AppendError::Store(error)) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().contains("permission denied"), "{error}");
    assert_eq!(store.event_count().await.unwrap(), 0);
    store.close().await;
    role.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_with_the_documented_rights_projects_into_a_schema_of_its_own() {
    let schema = schema!();
    let role = Role::make(&schema).await;
    let store = role.store(&schema).await;
    // Without a history it serves at once.
    register(&store, &FIRST).await;
    record(&store, &stream("a"), 0, &["opened", "deposited:5"]).await;
    let mut worker = Worker::start(&store, &FIRST).await;
    worker.catch_up().await;
    assert_eq!(balance(&store, &FIRST, "a").await.unwrap().cents, 5);
    let mut owner = schema.connect().await;
    let mut made: Vec<(String, String)> = sqlx::query_as(
        "SELECT c.relnamespace::regnamespace::text, c.relname::text FROM pg_class AS c \
         WHERE c.relkind IN ('r', 'v') AND pg_get_userbyid(c.relowner) = $1",
    )
    .bind(&role.name)
    .fetch_all(&mut owner)
    .await
    .unwrap();
    made.sort();
    let table = FIRST.table.unwrap().name;
    let expected = [table.to_owned(), format!("{table}_v{}", FIRST.version)];
    assert_eq!(made, expected.map(|name| (role.read_models.clone(), name)));
    store.close().await;
    role.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_a_role_made_beside_the_stores_move_to_their_own_schema() {
    let schema = schema!();
    let role = Role::make(&schema).await;
    let mut owner = schema.connect().await;
    // As it was granted once.
    let (name, of) = (&role.name, schema.name());
    owner.execute(AssertSqlSafe(format!("GRANT CREATE ON SCHEMA {of} TO {name}"))).await.unwrap();
    let options = PostgresStore::options().schema(of).migrate(false);
    let store = options.connect_with(role.options.clone()).await.unwrap();
    record(&store, &stream("a"), 0, &["opened", "deposited:5"]).await;
    register(&store, &FIRST).await;
    Worker::start(&store, &FIRST).await.catch_up().await;
    store.close().await;
    sqlx::raw_sql(AssertSqlSafe(block(1, of, name))).execute(&mut owner).await.unwrap();
    let store = role.store(&schema).await;
    register(&store, &FIRST).await;
    assert_eq!(balance(&store, &FIRST, "a").await.unwrap().cents, 5);
    record(&store, &stream("a"), 2, &["deposited:2"]).await;
    Worker::start(&store, &FIRST).await.catch_up().await;
    assert_eq!(balance(&store, &FIRST, "a").await.unwrap().cents, 7);
    store.close().await;
    role.end().await;
}

#[tokio::test]
async fn a_schema_for_read_models_that_is_not_there_is_named() {
    let schema = schema!();
    let role = Role::make(&schema).await;
    let options = PostgresStore::options().schema(schema.name()).read_model_schema("nowhere_at_all").migrate(false);
    let error = options.connect_with(role.options.clone()).await.unwrap_err();
    assert!(matches!(&error, StoreError::Unavailable { reason, .. } if reason.contains("`nowhere_at_all`")), "{error}");
    // The owner makes it.
    let options = PostgresStore::options().schema(schema.name()).read_model_schema(read_models(schema.name()));
    let mut owner = schema.connect().await;
    owner.execute(AssertSqlSafe(format!("DROP SCHEMA {}", role.read_models))).await.unwrap();
    let store = options.connect_with(schema.options()).await.unwrap();
    register(&store, &FIRST).await;
    record(&store, &stream("a"), 0, &["opened", "deposited:5"]).await;
    Worker::start(&store, &FIRST).await.catch_up().await;
    assert_eq!(balance(&store, &FIRST, "a").await.unwrap().cents, 5);
    store.close().await;
    role.end().await;
}

/// Has a transaction remember what it has not reserved.
async fn remember(foreign: &mut Foreign, reserved: &str) {
    let set = "SELECT set_config('es.reserved', $1, true)";
    sqlx::query(set).bind(reserved).execute(foreign.connection()).await.unwrap();
}

#[tokio::test]
async fn an_append_takes_only_positions_that_its_transaction_has_reserved() {
    let schema = schema!();
    let store = schema.open().await;
    let mut other = Foreign::begin(&schema).await;
    let of_another = other.reserve(2).await;
    other.roll_back().await;
    let refused = async |reserve: i32, forged: Option<&str>, positions: &[i64]| {
        let mut foreign = Foreign::begin(&schema).await;
        if reserve > 0 {
            foreign.reserve(reserve).await;
        }
        if let Some(forged) = forged {
            remember(&mut foreign, forged).await;
        }
        let error = foreign.try_append_events(Some(positions), &stream("a"), &[("made", "a")]).await.unwrap_err();
        assert_eq!(code(&error).as_deref(), Some("22023"), "{error}");
    };
    refused(0, None, &[i64::MAX]).await;
    refused(0, None, &of_another[..1]).await;
    refused(1, None, &of_another[..1]).await;
    let forged = format!("{};{}", of_another[0], "0".repeat(64));
    refused(1, Some(&forged), &of_another[..1]).await;
    refused(0, Some(""), &of_another[..1]).await;
    // Signed, but for another transaction of the same session.
    let mut foreign = Foreign::begin(&schema).await;
    let reserved = foreign.reserve(1).await;
    let signed = "SELECT current_setting('es.reserved')";
    let signed: String = sqlx::query_scalar(signed).fetch_one(foreign.connection()).await.unwrap();
    let mut foreign = Foreign::on(foreign.end("ROLLBACK").await).await;
    remember(&mut foreign, &signed).await;
    let refused = foreign.try_append_events(Some(&reserved), &stream("a"), &[("made", "a")]).await;
    assert_eq!(code(&refused.unwrap_err()).as_deref(), Some("22023"));
    foreign.roll_back().await;
    // Its own, all of them or some.
    let mut foreign = Foreign::begin(&schema).await;
    let reserved = foreign.reserve(3).await;
    foreign.append(Some(&reserved[1..2]), &stream("b"), &["b 1".to_owned()]).await;
    foreign.append(Some(&reserved[2..]), &stream("c"), &["c 1".to_owned()]).await;
    foreign.commit().await;
    assert!(append(&store, &stream("d"), 0, 1).await.position.get().cast_signed() > reserved[2]);
    assert_eq!(store.event_count().await.unwrap(), 3);
    store.close().await;
}

/// Whoever may append runs code with the owner's rights. It must be the owner's code, and work on the owner's tables.
#[tokio::test]
async fn nothing_stands_in_for_the_tables_and_functions_that_append() {
    let schema = schema!();
    let role = Role::make(&schema).await;
    // A database of its own: what is planted here would be in the way of other tests.
    let mut server = schema.connect().await;
    let database = format!("d_{}", schema.name());
    server.execute(AssertSqlSafe(format!("CREATE DATABASE {database}"))).await.unwrap();
    let options = schema.options().database(&database);
    let opened = PostgresStore::options().schema(schema.name()).connect_with(options.clone()).await.unwrap();
    opened.close().await;
    let mut owner = options.clone().options([("search_path", schema.name())]).connect().await.unwrap();
    let (name, of) = (&role.name, schema.name());
    let grants = grants(of, name).replace(&format!("CREATE ROLE {name} LOGIN;"), "");
    sqlx::raw_sql(AssertSqlSafe(grants)).execute(&mut owner).await.unwrap();
    // As it is on servers before PostgreSQL 15.
    owner.execute(AssertSqlSafe(format!("GRANT CREATE ON SCHEMA public TO {name}"))).await.unwrap();

    let options = role.options.clone().database(&database);
    let mut mine = options.clone().options([("search_path", schema.name())]).connect().await.unwrap();
    // A better fit than `pg_catalog.cardinality(anyarray)`, and a table that comes before all others.
    let plant = "CREATE FUNCTION public.cardinality(bigint[]) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN \
            RAISE EXCEPTION 'planted code runs as %', current_user; END $$; \
        CREATE TEMP TABLE event_log (LIKE event_log); \
        CREATE FUNCTION pg_temp.ran() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
            RAISE EXCEPTION 'a planted trigger runs as %', current_user; END $$; \
        CREATE TRIGGER ran BEFORE INSERT ON pg_temp.event_log FOR EACH ROW EXECUTE FUNCTION pg_temp.ran()";
    sqlx::raw_sql(plant).execute(&mut mine).await.unwrap();
    // Where the role may create what it likes: better fits again, and the functions' own names.
    let read = read_models(of);
    let raise = "LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'planted code runs as %', current_user; END $$";
    let plant = format!(
        "CREATE FUNCTION {read}.cardinality(bigint[]) RETURNS integer {raise}; \
        CREATE FUNCTION {read}.unnest(bigint[]) RETURNS SETOF bigint {raise}; \
        CREATE FUNCTION {read}.split_part(text, text, bigint) RETURNS text {raise}; \
        CREATE FUNCTION {read}.format(text, name) RETURNS text {raise}; \
        CREATE FUNCTION {read}.es_check_claims(text[], text[], text[]) RETURNS void {raise}; \
        CREATE FUNCTION {read}.es_take_positions(integer) RETURNS bigint[] {raise}; \
        CREATE FUNCTION {read}.same(bigint, bigint) RETURNS boolean {raise}; \
        CREATE OPERATOR {read}.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = {read}.same); \
        CREATE TABLE {read}.claim_rules (LIKE {of}.claim_rules); \
        CREATE TABLE {read}.event_log (LIKE {of}.event_log); \
        CREATE FUNCTION {read}.ran() RETURNS trigger {raise}; \
        CREATE TRIGGER ran BEFORE INSERT ON {read}.event_log FOR EACH ROW EXECUTE FUNCTION {read}.ran()"
    );
    sqlx::raw_sql(AssertSqlSafe(plant)).execute(&mut mine).await.unwrap();
    for plant in [
        format!("CREATE FUNCTION {of}.cardinality(bigint[]) RETURNS integer {raise}"),
        format!("CREATE TABLE {of}.mine ()"),
        format!("CREATE TYPE {of}.mine AS (a integer)"),
        format!("CREATE OPERATOR {of}.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = {read}.same)"),
        format!("CREATE TRIGGER ran BEFORE INSERT ON {of}.event_log FOR EACH ROW EXECUTE FUNCTION {read}.ran()"),
        "CREATE CAST (bigint[] AS text) WITH INOUT AS IMPLICIT".to_owned(),
    ] {
        let refused = mine.execute(AssertSqlSafe(plant.as_str())).await.unwrap_err();
        assert_eq!(code(&refused).as_deref(), Some("42501"), "{plant}: {refused}");
    }
    let mut foreign = Foreign::on(mine).await;
    foreign.append(None, &stream("a"), &["a 1".to_owned()]).await;
    foreign.commit().await;
    let store = role.store_at(&schema, options.clone()).await;
    append(&store, &stream("b"), 0, 1).await;
    let log = store.read_all(GlobalPosition::START, 10).await.unwrap();
    assert_eq!(log.len(), 2);
    // Positions that were reserved, with a projection beside, and keys that are built.
    register(&store, &FIRST).await;
    store_one(&store, commit_of(&stream("c"), 0, &["opened", "deposited:5"]).projected(&[&FIRST])).await.unwrap();
    App::<with::Club, _>::builder(store.clone()).build_claims().await.unwrap();
    store.close().await;
    sqlx::raw_sql(AssertSqlSafe(format!("DROP OWNED BY {name} CASCADE"))).execute(&mut owner).await.unwrap();
    owner.close().await.unwrap();
    server.execute(AssertSqlSafe(format!("DROP DATABASE {database} WITH (FORCE)"))).await.unwrap();
    role.end().await;
}
