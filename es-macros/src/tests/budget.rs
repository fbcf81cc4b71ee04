//! Generated code is compiled by every user on every build: its size is part of the interface.

use proc_macro2::TokenStream;

use super::{expand, parse};

/// What was measured, in bytes of tokens. A quarter more fails; raise these with a reason.
// Three constants a field: its shape, how faithfully it is read back, its traced form.
const EVENT: usize = 1172;
const LISTED_EVENT: usize = 793;
const APPLY: usize = 444;
const HANDLER: usize = 1314;
const FREE_HANDLER: usize = 1415;
const COMMAND: usize = 603;
const LISTED_COMMAND: usize = 489;

const COLUMN: usize = 646;
const FOLDED_FUNCTION: usize = 485;
const CONNECTED_FUNCTION: usize = 609;
const QUERY: usize = 752;
const QUERY_HANDLER: usize = 1084;
const LISTED_QUERY: usize = 498;
const LISTED_PROJECTION: usize = 209;

/// The bytes that an expansion adds to its item, without the spaces between tokens.
fn size(word: &str, options: &str, item: &str) -> usize {
    let item = parse(item);
    bytes(&expand(word, parse(options), &item)) - bytes(&item)
}

fn bytes(tokens: &TokenStream) -> usize {
    tokens.to_string().chars().filter(|c| !c.is_whitespace()).count()
}

/// What one more of something costs.
fn each(size_of: impl Fn(usize) -> usize) -> usize {
    (size_of(9) - size_of(1)) / 8
}

fn list(count: usize, name: &str) -> String {
    (0..count).map(|index| format!("{name}{index}")).collect::<Vec<_>>().join(", ")
}

fn in_an_impl(count: usize, function: impl Fn(usize) -> String) -> usize {
    let functions: Vec<String> = (0..count).map(function).collect();
    size("aggregate", "", &format!("impl Account {{ {} }}", functions.join(" ")))
}

fn assert_within(what: &str, measured: usize, recorded: usize) {
    println!("{what}: {measured} bytes");
    assert!(
        measured <= recorded + recorded / 4,
        "{what} takes {measured} bytes, far more than the recorded {recorded}"
    );
    assert!(
        measured >= recorded - recorded / 4,
        "{what} takes only {measured} bytes: record that instead of {recorded}"
    );
}

#[test]
fn an_event_stays_small() {
    assert_within(
        "an event of two fields",
        size("domain_event", "", "pub struct Moved { pub from: u8, pub to: u8 }"),
        EVENT,
    );
    let listed =
        |count| size("aggregate", &format!("name = \"a\", id = Uuid, events({})", list(count, "Event")), "struct A;");
    assert_within("an event in an aggregate's list", each(listed), LISTED_EVENT);
}

#[test]
fn a_function_of_an_aggregate_stays_small() {
    let apply = |count: usize| in_an_impl(count, |i| format!("#[apply] fn on_{i}(&mut self, event: &Event{i}) {{}}"));
    assert_within("an apply function", each(apply), APPLY);
    let handler = |count: usize| {
        in_an_impl(count, |i| {
            format!("#[command_handler] fn do_{i}(&self, command: Command{i}) -> Result<Event{i}, Refused> {{}}")
        })
    };
    assert_within("a command handler in the impl", each(handler), HANDLER);
}

#[test]
fn a_free_handler_stays_small() {
    let item =
        "async fn open(command: Open, account: &mut New<Account>, mailer: Dep<Mailer>) -> Result<(), Refused> {}";
    assert_within("a free command handler", size("command_handler", "", item), FREE_HANDLER);
}

#[test]
fn a_command_stays_small() {
    let item = "pub struct Open { #[id] pub account: Uuid, pub owner: String }";
    assert_within("a command", size("command", "aggregate = Account", item), COMMAND);
    let listed = |count| size("domain", "", &format!("pub D = \"d\"; commands: [{}]", list(count, "Command")));
    assert_within("a command in a domain's list", each(listed), LISTED_COMMAND);
}

#[test]
fn the_read_side_stays_small() {
    let columns = |count: usize| {
        let fields: Vec<String> = (0..count).map(|i| format!("pub field_{i}: String")).collect();
        let item = format!("pub struct Row {{ #[key] pub id: Uuid, {} }}", fields.join(", "));
        size("read_model", "table = \"rows\"", &item)
    };
    assert_within("a column", each(columns), COLUMN);
    let projection = |count: usize, function: &dyn Fn(usize) -> String| {
        let functions: Vec<String> = (0..count).map(function).collect();
        size("projection", "name = \"rows\"", &format!("impl Row {{ {} }}", functions.join(" ")))
    };
    let folded = |i: usize| format!("#[async_projection] fn on_{i}(&mut self, event: &Recorded<Event{i}>) {{}}");
    assert_within("a function on a row", each(|count| projection(count, &folded)), FOLDED_FUNCTION);
    let connected = |i: usize| {
        let parameters = format!("&self, db: &mut Connection, event: &Recorded<Event{i}>");
        format!("#[async_projection] async fn on_{i}({parameters}) -> Result<(), Failed> {{}}")
    };
    assert_within("a function with a connection", each(|count| projection(count, &connected)), CONNECTED_FUNCTION);
    let query = "pub struct BalanceOf { pub account: Uuid }";
    assert_within("a query", size("query", "output = Balance", query), QUERY);
    let handler = "async fn balance(query: BalanceOf, rows: &Table<Balance>) -> Result<Balance, Failed> {}";
    assert_within("a query handler", size("query_handler", "", handler), QUERY_HANDLER);
    let queries = |count| size("domain", "", &format!("pub D = \"d\"; queries: [{}]", list(count, "Query")));
    assert_within("a query in a domain's list", each(queries), LISTED_QUERY);
    let projections = |count| size("domain", "", &format!("pub D = \"d\"; projections: [{}]", list(count, "Row")));
    assert_within("a projection in a domain's list", each(projections), LISTED_PROJECTION);
}
