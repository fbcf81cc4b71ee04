//! Messages about read models, projections and queries.

use proc_macro2::Ident;

use crate::check::names::similar;
use crate::diagnostics::Text;
use crate::model::projection::Style;
use crate::syntax::read_side::POLICIES;
use crate::word::Word;

// ---- read models ----------------------------------------------------------------------------------------------------

pub(crate) fn read_model_needs_a_table() -> Text {
    Text::new("a read model needs the name of its table").help("write `#[read_model(table = \"account_balances\")]`")
}

pub(crate) fn bad_table(name: &str) -> Text {
    Text::new(format!(
        "table name `{name}` may hold only lower-case ASCII letters, digits and `_`, and begins with no digit"
    ))
    .note("the name is written into SQL as it is")
}

pub(crate) fn reserved_table(name: &str, prefix: &str) -> Text {
    let owner = match prefix {
        "sqlite_" => "SQLite",
        "pg_" => "PostgreSQL",
        _ => "the runtime",
    };
    Text::new(format!("table name `{name}` begins with `{prefix}`")).note(format!("such names belong to {owner}"))
}

pub(crate) fn long_table(length: usize, limit: usize) -> Text {
    Text::new(format!("this table name has {length} characters, and may have {limit}"))
}

pub(crate) fn unnamed_columns() -> Text {
    Text::new("a read model needs named fields")
        .help("write `struct Name { #[key] field: Type }`")
        .note("the names are those of the table's columns")
}

pub(crate) fn no_key() -> Text {
    Text::new("a read model needs a field marked `#[key]`")
        .help("mark the field by which a row is found: `#[key] pub account: Uuid`")
}

pub(crate) fn reserved_column(name: &str) -> Text {
    Text::new(format!("column name `{name}` begins with `es_`"))
        .note("such columns belong to the runtime: `es_tenant`, `es_version`, `es_position`")
}

pub(crate) fn system_column(name: &str) -> Text {
    Text::new(format!("a column cannot be called `{name}`"))
        .help("rename the field")
        .note("PostgreSQL gives every table columns `tableoid`, `xmin`, `cmin`, `xmax`, `cmax` and `ctid`")
}

pub(crate) fn bad_column(name: &str) -> Text {
    Text::new(format!("column name `{name}` may hold only lower-case ASCII letters, digits and `_`, at most 50"))
        .note("the name is written into SQL as it is")
}

pub(crate) fn mark_takes_nothing(name: &str) -> Text {
    Text::new(format!("`#[{name}]` takes no options")).help(format!("write `#[{name}]` alone"))
}

pub(crate) fn key_of_json() -> Text {
    Text::new("a key cannot be stored as JSON")
        .note("one value has many forms as JSON, and a key is compared by its form")
}

pub(crate) fn key_may_be_absent() -> Text {
    Text::new("a key cannot be an `Option`").help("make the key of what is always there")
}

pub(crate) fn key_of_type(ty: &str) -> Text {
    Text::new(format!("`{ty}` cannot be a key"))
        .help("use a whole number, a text, an id, a day or a moment")
        .note("a key is compared by its stored form, and must always be there")
}

pub(crate) fn key_under_cfg() -> Text {
    Text::new("a key cannot depend on `#[cfg]`").note("the table would have another key in another build")
}

pub(crate) fn key_has_an_index() -> Text {
    Text::new("a key has an index already").help("remove `#[index]`")
}

// ---- projections: options -------------------------------------------------------------------------------------------

/// The right word at the wrong one of two attributes.
pub(crate) fn option_of_the_sibling(word: Word, owner: Word, name: &str) -> Option<Text> {
    let text = Text::new(format!("`{name}` has no meaning for `{word}`"));
    match (word, owner) {
        (Word::AsyncProjection, Word::SyncProjection) => {
            let text = text.help(match name {
                "timeout" => "an asynchronous function is tried again: `retry = 3`; or use `#[sync_projection]`",
                _ => "remove it; or use `#[sync_projection]`",
            });
            Some(text.note("it runs behind the log, where nobody waits for it"))
        }
        (Word::SyncProjection, Word::AsyncProjection) => Some(
            text.help("remove it; or use `#[async_projection]`")
                .note("it runs in the transaction of the command, which fails with it"),
        ),
        (Word::SyncProjection | Word::AsyncProjection, Word::Projection) => {
            Some(text.help(format!("it goes on the block: `#[projection(name = \"…\", {name} = …)]`")))
        }
        (Word::Projection, Word::SyncProjection | Word::AsyncProjection) => {
            Some(text.help(format!("it goes on a function: `{}(..)]`", owner.to_string().trim_end_matches(']'))))
        }
        _ => None,
    }
}

pub(crate) fn not_a_duration(text: &str) -> Text {
    Text::new(format!("`{text}` is not a duration")).help("write a whole number and its unit: `\"500ms\"` or `\"2s\"`")
}

pub(crate) fn timeout_zero() -> Text {
    Text::new("a timeout must be longer than zero").help("leave it out for the default of 2s")
}

pub(crate) fn timeout_too_long(text: &str) -> Text {
    Text::new(format!("a timeout of {text} is longer than 5s, the limit of a synchronous projection"))
        .help("use `#[async_projection]` for what takes longer")
        .note("the command waits for it, and so do all others behind it")
}

pub(crate) fn priority_out_of_range(value: u64) -> Text {
    Text::new(format!("priority {value} is out of range")).help("use 1 (first) to 10 (last)")
}

pub(crate) fn unknown_policy(word: &str) -> Text {
    let text = Text::new(format!("`{word}` is not something to do on failure"));
    match similar(word, &POLICIES) {
        Some(similar) => text.help(format!("write `on_failure = {similar}`")),
        None => text.help("write `on_failure = park`, `on_failure = stop` or `on_failure = skip`"),
    }
}

pub(crate) fn key_is_pure() -> Text {
    Text::new("a key is read from the event, without waiting")
}

pub(crate) fn key_takes_the_event() -> Text {
    Text::new("`key` takes the event and nothing else").help("write `key = |event| event.branch`")
}

pub(crate) fn projection_needs_a_name() -> Text {
    Text::new("a projection needs a stored name")
        .help("write `#[projection(name = \"account_balances\", version = 1)]`")
        .note("its place in the log is kept under this name, which never follows a rename")
}

pub(crate) fn projection_version_zero() -> Text {
    Text::new("projection versions start at 1")
}

pub(crate) fn renamed_from_itself(name: &str) -> Text {
    Text::new(format!("projection `{name}` is renamed from its own name"))
        .help("write the name that it had before; or remove `renamed_from`")
}

pub(crate) fn partitions_out_of_range(value: u64, most: u64) -> Text {
    Text::new(format!("{value} partitions are out of range")).help(format!("use 1 to {most}"))
}

// ---- projections: functions -----------------------------------------------------------------------------------------

pub(crate) fn projection_without_events() -> Text {
    Text::new("a projection takes at least one event")
        .help("mark its functions with `#[async_projection]` or `#[sync_projection]`")
}

pub(crate) fn sync_and_async() -> Text {
    Text::new("a projection function is either sync or async")
        .help("keep one of `#[sync_projection]` and `#[async_projection]`")
}

pub(crate) fn monitor_alone() -> Text {
    Text::new("`#[monitor_projection]` goes beside `#[sync_projection]` or `#[async_projection]`")
        .help("say when the function runs: add `#[async_projection]`")
}

pub(crate) fn reset_and_projection() -> Text {
    Text::new("a function either takes an event or empties the projection").help("remove one of the two attributes")
}

pub(crate) fn two_resets() -> Text {
    Text::new("a projection has one `#[reset]` function").help("empty all tables in one function")
}

pub(crate) fn reset_of_rows() -> Text {
    Text::new("a projection on a read model needs no `#[reset]`")
        .help("remove it")
        .note("the runtime keeps its table, and empties it before a rebuild")
}

pub(crate) fn reset_outside() -> Text {
    Text::new("a projection that takes dependencies has no `#[reset]`")
        .help("raise `version`, and empty the view where it lives")
        .note("the runtime cannot empty what it does not keep")
}

pub(crate) fn reset_form() -> Text {
    Text::new("a `#[reset]` function takes a connection and nothing else")
        .help("write `#[reset] async fn reset(&self, db: &mut SqliteConnection) -> Result<(), Error>`")
}

const fn style(style: Style) -> &'static str {
    match style {
        Style::Folded => "changes a row of the read model",
        Style::Connected => "takes a connection",
        Style::External => "takes dependencies",
    }
}

pub(crate) fn two_styles(first: &Ident, one: Style, second: &Ident, two: Style) -> Text {
    Text::new("the functions of a projection write in one way")
        .help(format!("move `{second}` to a projection of its own"))
        .note(format!("`{first}` {}, and `{second}` {}", style(one), style(two)))
}

pub(crate) fn other_connection(first: &str, other: &str) -> Text {
    Text::new(format!("a projection runs on one store, and takes both `{first}` and `{other}`"))
        .help("write one projection for each store")
}

pub(crate) fn projection_needs_an_event() -> Text {
    Text::new("a projection function takes an event").help("add the parameter `event: &Recorded<Event>`")
}

pub(crate) fn event_is_recorded(event: &str) -> Text {
    Text::new("a projection function takes its event as it is recorded")
        .help(format!("write `&Recorded<{event}>`"))
        .note("with it come its stream, position, time and metadata")
}

pub(crate) fn recorded_by_reference(event: &str) -> Text {
    Text::new("a projection function takes its event by shared reference")
        .help(format!("write `&Recorded<{event}>`"))
        .note("a stored event never changes")
}

pub(crate) fn folded_slice(event: &str) -> Text {
    Text::new("a function on a read model takes one event")
        .help(format!("write `&Recorded<{event}>`"))
        .note("the runtime folds many events in memory and writes each row once")
}

pub(crate) fn projection_takes_one_event() -> Text {
    Text::new("a projection function takes exactly one event").help("write one function for each event")
}

pub(crate) fn projection_of_any_event() -> Text {
    Text::new("a projection function names its event, and `AnyEvent` is every one")
        .help("write one function for each event")
}

pub(crate) fn folded_async() -> Text {
    Text::new("a function on a read model is not `async`")
        .help("remove `async`; to wait for something, write a projection that takes a connection or a `Dep<T>`")
        .note("it changes a row in memory; the runtime loads and stores it")
}

pub(crate) fn folded_receiver() -> Text {
    Text::new("a function on a read model takes its row by reference")
        .help("take `&mut self` to change it; or `this: Option<Self>`, and return `Option<Self>`")
}

pub(crate) fn folded_takes_its_event(ty: &str) -> Text {
    Text::new(format!("a function on a read model cannot take `{ty}`"))
        .help("it takes its row and its event; put what it needs into the event")
        .note("it gives the same row on every rebuild")
}

pub(crate) fn folded_takes_more(ty: &str) -> Text {
    Text::new(format!("a function on a read model cannot take `{ty}`"))
        .help("write a projection of its own, on another struct, with `async fn(&self, …)`")
        .note("a row is changed in memory; the runtime loads and stores it")
}

pub(crate) fn change_returns_nothing() -> Text {
    Text::new("a function that changes a row returns nothing")
        .help("to delete the row, write `#[async_projection(delete)] fn name(&self, event: …) -> bool`")
        .note("a stored event has happened, and cannot be refused")
}

pub(crate) fn shared_self_without_delete() -> Text {
    Text::new("a function with `&self` changes nothing")
        .help("take `&mut self` to change the row; or write `delete`, and return `true` where the row goes")
}

pub(crate) fn delete_form() -> Text {
    Text::new("`delete` goes on a function that looks at its row").help("write `fn name(&self, event: …) -> bool`")
}

pub(crate) fn delete_returns_a_bool() -> Text {
    Text::new("a function with `delete` returns whether the row goes").help("write `-> bool`")
}

pub(crate) fn delete_without_a_row() -> Text {
    Text::new("`delete` goes on a function of a read model").help("delete with SQL, through the connection")
}

pub(crate) fn insert_or_change() -> Text {
    Text::new("a function on a read model inserts or changes a row")
        .help("write `-> Self` to insert; take `&mut self` to change")
}

pub(crate) fn insert_returns_self() -> Text {
    Text::new("a function that inserts a row returns `Self`")
        .help("where the row may be there or not, write `fn name(this: Option<Self>, event: …) -> Option<Self>`")
        .note("a stored event has happened, and cannot be refused")
}

pub(crate) fn fold_returns_the_row() -> Text {
    Text::new("a function that takes `this: Option<Self>` returns the row after it").help("write `-> Option<Self>`")
}

pub(crate) fn this_by_value() -> Text {
    Text::new("the row comes by value").help("write `this: Option<Self>`, and return `Option<Self>`")
}

pub(crate) fn projection_async(name: &str) -> Text {
    Text::new(format!("projection function `{name}` must be `async`"))
        .help("write `async fn`")
        .note("it waits for its store")
}

pub(crate) fn waits_for_nothing() -> Text {
    Text::new("this projection function has nothing to write to").help(
        "take `&mut SqliteConnection`, or `Dep<T>` for a view that lives elsewhere; on a read model, remove `async`",
    )
}

pub(crate) fn projection_takes_self() -> Text {
    Text::new("a projection function takes `&self`").help("add `&self` as the first parameter")
}

pub(crate) fn projection_keeps_no_state() -> Text {
    Text::new("a projection keeps nothing in memory between events")
        .help("take `&self`, and keep what it knows in its tables")
        .note("after a crash it goes on from its place in the log, with a new `self`")
}

pub(crate) fn projection_returns() -> Text {
    Text::new("this projection function can fail").help("write `-> Result<(), Error>`")
}

pub(crate) fn two_connections() -> Text {
    Text::new("there is one connection")
}

pub(crate) fn connection_and_dependency(ty: &str) -> Text {
    Text::new(format!("a projection that takes a connection cannot take `{ty}`"))
        .help("write a projection of its own for what lives elsewhere")
        .note("the connection's changes are stored exactly once, what happens elsewhere at least once")
}

pub(crate) fn projection_cannot_take(ty: &str) -> Text {
    Text::new(format!("a projection cannot take `{ty}`"))
        .help("it takes its event, and a connection of its store or `Dep<T>`")
        .note("a projection has no side effects on the domain: it gets no command bus and no event store")
}

pub(crate) fn sync_takes_a_dependency(ty: &str) -> Text {
    Text::new(format!("a synchronous projection cannot take `{ty}`"))
        .help("use `#[async_projection]`")
        .note("it runs in the transaction of the command, which cannot take back what happens elsewhere")
}

pub(crate) fn key_without_a_row() -> Text {
    Text::new("`key` says which row of a read model changes, and this function writes itself").help("remove `key`")
}

pub(crate) fn key_of_a_mixed_projection() -> Text {
    Text::new("a projection with synchronous and asynchronous functions is keyed by the stream")
        .help("remove `key`; or make two projections of it")
        .note("what a row has seen is counted by stream, so that no event is missed or taken twice")
}

pub(crate) fn partitions_on_a_connection() -> Text {
    Text::new("a synchronous function on a connection needs a projection of one partition")
        .help("remove `partitions`; or use `#[async_projection]`")
        .note("which rows it writes is not known, and partitions do not wait for each other")
}

pub(crate) fn mixed_on_a_connection(first: &Ident, sync: bool) -> Text {
    let (kind, attribute) =
        if sync { ("synchronous", "#[sync_projection]") } else { ("asynchronous", "#[async_projection]") };
    Text::new(format!("the functions of a projection on a connection are all synchronous or all asynchronous, and `{first}` is {kind}"))
        .help(format!("write `{attribute}`; or move this function to a projection of its own"))
        .note("which rows it writes is not known, so an event that waits for the workers could overwrite what a later command has written")
}

pub(crate) fn key_of_sync_partitions() -> Text {
    Text::new("a synchronous function with `key` needs a projection of one partition")
        .help("remove `partitions`; or use `#[async_projection]`")
}

pub(crate) fn projected_twice(event: &str, earlier: &Ident) -> Text {
    Text::new(format!("event `{event}` already has a function in this projection"))
        .help("do both in one function")
        .note(format!("`{earlier}` takes it too"))
}

pub(crate) fn projected_twice_in_partitions(event: &str, earlier: &Ident) -> Text {
    Text::new(format!("event `{event}` changes two rows, which may be in two partitions"))
        .help("remove `partitions`; or make two projections of it")
        .note(format!("`{earlier}` takes it too"))
}

pub(crate) fn same_priority(first: &Ident, second: &Ident, priority: u64) -> Text {
    Text::new(format!("the order between `{first}` and `{second}` is not said: both have priority {priority}"))
        .help("give the one that runs first a smaller `priority`")
}

// ---- queries --------------------------------------------------------------------------------------------------------

pub(crate) fn query_needs_an_output() -> Text {
    Text::new("a query needs the type of its answer").help("write `#[query(output = Option<AccountBalance>)]`")
}

pub(crate) fn query_handler_receiver() -> Text {
    Text::new("a query handler is a free function, without `self`")
        .help("move it out of the impl block; take tables and dependencies as parameters")
        .note("a query changes nothing")
}

pub(crate) fn query_handler_async(name: &str) -> Text {
    Text::new(format!("query handler `{name}` must be `async`"))
        .help("write `async fn`")
        .note("it waits for its tables")
}

pub(crate) fn query_handler_returns() -> Text {
    Text::new("a query handler returns a `Result`")
        .help("write `-> Result<Output, Error>`, with the `output` of its query")
}

pub(crate) fn query_handler_takes_a_query() -> Text {
    Text::new("a query handler takes its query first")
        .help("write `async fn name(query: Query, rows: &Table<Row>) -> Result<Output, Error>`")
}

pub(crate) fn query_cannot_take(ty: &str) -> Text {
    Text::new(format!("a query handler cannot take `{ty}`"))
        .help("it takes `&Table<Row>`, `Dep<T>` and a read-only connection of its store")
        .note("a query has no side effects: it gets no command bus and no event store")
}

pub(crate) fn table_is_lent(table: &str) -> Text {
    Text::new("a query handler takes its tables by shared reference").help(format!("write `&{table}`"))
}

pub(crate) fn query_by_value(query: &str) -> Text {
    Text::new("a query handler takes its query by value").help(format!("write `{query}`"))
}

pub(crate) fn no_query_handler(query: &str) -> Text {
    Text::new(format!("query `{query}` has no handler"))
        .help(format!("add `#[query_handler] async fn …(query: {query}, …) -> Result<…, …>`"))
}

pub(crate) fn renamed_entry(kind: &str) -> Text {
    Text::new(format!("a {kind} needs no other name here")).help("remove `as …`: two of one name may stand in the list")
}
