//! Every message in one catalogue. Lower case, no full stop, code in backticks: first what is wrong, then what to do, then
//! why.

use quote::ToTokens;

mod read_side;

pub(crate) use read_side::*;

use super::Text;
use crate::check::names::similar;
use crate::model::behaviour::Shape;
use crate::syntax::domain::SECTIONS;
use crate::syntax::types;
use crate::word::Word;

// ---- attributes and their options -----------------------------------------------------------------------------------

pub(crate) fn unknown_option(word: Word, name: &str) -> Text {
    let text = Text::new(format!("unknown option `{name}` for `{word}`"));
    // A mistyped option of the word itself is likelier than one of a word far away.
    let is_typo = similar(name, word.options()).is_some();
    if let Some(owner) = word.owner_of(name).filter(|owner| !is_typo || word.siblings().contains(owner)) {
        if let Some(text) = option_of_the_sibling(word, owner, name) {
            return text;
        }
        return text.help(match (word, owner) {
            (Word::AggregateImpl, Word::Aggregate) => {
                "this option goes on the struct, not on its impl blocks".to_owned()
            }
            _ => format!("`{name}` is an option of `{owner}`"),
        });
    }
    if let Some(similar) = similar(name, word.options()) {
        return text.help(format!("there is an option with a similar name: `{similar}`"));
    }
    let known: Vec<String> = word.options().iter().map(|option| format!("`{option}`")).collect();
    match known.as_slice() {
        [] => text.note("it takes no options"),
        _ => text.note(format!("the options are {}", known.join(", "))),
    }
}

pub(crate) fn option_twice(name: &str) -> Text {
    Text::new(format!("option `{name}` is given twice"))
}

pub(crate) fn not_an_option(word: Word) -> Text {
    Text::new("this is not an option")
        .help(format!("write `name = value`; the options of `{word}` are {}", word.options().join(", ")))
}

pub(crate) fn options_in_parentheses(word: Word) -> Text {
    Text::new("options stand in parentheses").help(format!("write `{}(..)]`", word.to_string().trim_end_matches(']')))
}

pub(crate) fn no_value(name: &str) -> Text {
    Text::new(format!("`{name}` takes no value")).help(format!("write `{name}` alone"))
}

pub(crate) fn value_missing(name: &str, expected: &str, example: &str) -> Text {
    Text::new(format!("`{name}` needs {expected}")).help(format!("write `{name} = {example}`"))
}

pub(crate) fn wrong_value(name: &str, expected: &str, example: &str) -> Text {
    Text::new(format!("`{name}` must be {expected}")).help(format!("write `{name} = {example}`"))
}

pub(crate) fn too_large(name: &str) -> Text {
    Text::new(format!("this `{name}` is too large")).help(format!("use a number up to {}", u32::MAX))
}

pub(crate) fn list_missing(name: &str) -> Text {
    Text::new(format!("`{name}` needs a list in parentheses")).help(format!("write `{name}(First, Second)`"))
}

pub(crate) fn not_a_list_entry() -> Text {
    Text::new("a list holds types, separated by commas").help("write `Name`, `path::Name` or `path::Name as OtherName`")
}

pub(crate) fn relative_crate(path: &syn::Path) -> Text {
    let path = types::text(path);
    Text::new("the path must be absolute").help(format!("write `crate = ::{path}` or `crate = crate::{path}`"))
}

pub(crate) fn attribute_twice() -> Text {
    Text::new("this attribute is given twice")
}

// ---- items ----------------------------------------------------------------------------------------------------------

pub(crate) fn wrong_item(word: Word, kind: &str) -> Text {
    let text = Text::new(format!("`{word}` goes on {}, this is {kind}", word.target()));
    if word == Word::ValueObject && kind == "an enum" {
        return text
            .help("derive `Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize` on the enum itself")
            .note("an enum has no fields to hide: every value of it is one of its variants");
    }
    text
}

pub(crate) fn not_a_trait_impl(word: Word) -> Text {
    Text::new(format!("`{word}` goes on an inherent impl block, this is an impl of a trait"))
        .help("move the functions to a block `impl Type { … }`")
}

pub(crate) fn generic(what: &str, why: &str) -> Text {
    Text::new(format!("{what} cannot be generic")).note(why)
}

pub(crate) fn unnamed_fields(what: &str) -> Text {
    Text::new(format!("{what} needs named fields"))
        .help("write `struct Name { field: Type }`")
        .note("the names are the stored form")
}

pub(crate) fn empty_name(what: &str) -> Text {
    Text::new(format!("the name of this {what} is empty"))
}

pub(crate) fn bad_name(what: &str, name: &str) -> Text {
    Text::new(format!("{what} name `{name}` may hold only ASCII letters, digits, `.`, `_` and `-`"))
}

pub(crate) fn bug(message: &str) -> Text {
    Text::new("this is a bug in the macro, not in your code")
        .help(format!("report it with the code below: {}/issues", env!("CARGO_PKG_REPOSITORY")))
        .note(format!("es-macros {}: {message}", env!("CARGO_PKG_VERSION")))
}

pub(crate) fn outside(word: Word) -> Text {
    let block = match word {
        Word::Apply => "#[aggregate]",
        _ => "#[projection(name = \"…\")]",
    };
    Text::new(format!("`{word}` has no effect here")).help(format!("put `{block}` on the surrounding impl block"))
}

// ---- events ---------------------------------------------------------------------------------------------------------

pub(crate) fn local_time(what: &str, name: &str) -> Text {
    Text::new(format!("{what} store time in UTC only, and `{name}` is not UTC")).help("use `DateTime<Utc>`")
}

pub(crate) fn borrowed(ty: &str, owned: &str) -> Text {
    Text::new("this field is borrowed; what is stored owns its data").help(format!("replace `{ty}` by `{owned}`"))
}

pub(crate) fn floating_money(name: &str, float: &str) -> Text {
    Text::new(format!("field `{name}` is an `{float}`, which loses cents"))
        .help("use an integer of minor units or a decimal type; or keep it with `#[lossy = \"why\"]` on the field")
}

pub(crate) fn lossy_form() -> Text {
    Text::new("`#[lossy]` needs a reason").help("write `#[lossy = \"why this number may lose precision\"]`")
}

pub(crate) fn claim_form(name: &str) -> Text {
    Text::new(format!("`#[{name}]` needs the name of a set")).help(format!("write `#[{name}(\"user-email\")]`"))
}

pub(crate) fn ambiguous_serde(name: &str, why: &str) -> Text {
    Text::new(format!("`{name}` makes the stored form ambiguous")).note(why)
}

pub(crate) fn lossy_serde(name: &str) -> Text {
    Text::new(format!("with `{name}` the field is not read back as it was")).help("remove the field or the attribute")
}

pub(crate) fn one_way_serde(name: &str, other: &str) -> Text {
    Text::new(format!("`{name}` needs `{other}`"))
        .help(format!("add `{other} = \"…\"`, or name a module that does both: `with = \"…\"`"))
        .note("what is written must be read back as it was")
}

pub(crate) fn two_stored_names(name: &str, example: &str) -> Text {
    Text::new(format!("`{name}` must be one name for writing and reading")).help(format!(
        "write `{name} = \"{example}\"`; names that only old data has go into `alias = \"…\"` on the field"
    ))
}

pub(crate) fn two_fields_of_one_name(name: &str, other: &str) -> Text {
    Text::new(format!("the stored name `{name}` is that of field `{other}`, too"))
        .help("give each field a name of its own")
}

pub(crate) fn serde_behind_cfg() -> Text {
    Text::new("a serde attribute behind `cfg_attr` would change what is stored without being seen")
        .help("write `#[serde(..)]` without a condition")
}

pub(crate) fn serde_not_allowed(name: &str, allowed: &[&str]) -> Text {
    let allowed: Vec<String> = allowed.iter().map(|name| format!("`{name}`")).collect();
    Text::new(format!("`{name}` is not allowed on what is stored")).note(format!("allowed are {}", allowed.join(", ")))
}

pub(crate) fn skip_without_default() -> Text {
    Text::new("a field that is left out cannot be read back").help("add `default` to the same `#[serde(..)]`")
}

pub(crate) fn imperative(name: &str) -> Text {
    Text::new(format!("event names are past tense, and `{name}` reads like a command"))
        .help(format!("say what has happened; or keep the name with `name = \"{name}\"`"))
}

pub(crate) fn version_zero() -> Text {
    Text::new("event versions start at 1")
}

pub(crate) fn upcast_without_version() -> Text {
    Text::new("version 1 has nothing before it to upcast from").help("add the new version: `version = 2`")
}

pub(crate) fn upcast_other_name(old: &str, new: &str, name: &str) -> Text {
    Text::new(format!("`{old}` and `{new}` are not versions of one event: their names differ"))
        .help(format!("write `#[domain_event(name = \"{name}\", …)]` on `{old}`"))
}

pub(crate) fn upcast_other_version(old: &str, new: &str, version: u64) -> Text {
    Text::new(format!("`{old}` is not version {} of the event", version.saturating_sub(1)))
        .help(format!("`{new}` is version {version}, and a chain of versions steps by one"))
}

pub(crate) fn upcast_needs_event() -> Text {
    Text::new("`#[upcast]` needs the event").help("write `#[upcast(event = MoneyDeposited, from = 1)]`")
}

pub(crate) fn upcast_needs_from() -> Text {
    Text::new("`#[upcast]` needs the version to upcast from")
        .help("write `#[upcast(event = MoneyDeposited, from = 1)]`")
}

pub(crate) fn upcast_too_new(event: &str, from: u64) -> Text {
    Text::new(format!("`{event}` has no version after {from}"))
        .help(format!("give `{event}` a newer version: `version = {}`", from + 1))
}

pub(crate) fn upcaster_is_pure() -> Text {
    Text::new("an upcaster is a pure function of the old event")
        .help("write `fn name(old: Value) -> Result<Value, UpcastError>`")
}

pub(crate) fn upcaster_is_free() -> Text {
    Text::new("an upcaster is a free function, without `self`")
}

pub(crate) fn upcaster_form() -> Text {
    Text::new("an upcaster takes the old event").help("write `fn name(old: Value) -> Result<Value, UpcastError>`")
}

// ---- value objects --------------------------------------------------------------------------------------------------

pub(crate) fn public_value_field() -> Text {
    Text::new("a value object has no public fields").help("remove `pub`; a getter of the same name is generated")
}

pub(crate) fn empty_value() -> Text {
    Text::new("a value object needs at least one field")
}

pub(crate) fn tuple_value() -> Text {
    Text::new("a value object without field names has exactly one field")
        .help("name the fields: `struct Name { field: Type }`")
}

pub(crate) fn float_in_value(float: &str) -> Text {
    Text::new(format!("a value object compares by value, and `{float}` has no `Eq`"))
        .help("use an integer of minor units or a decimal type")
}

pub(crate) fn interior_mutability(name: &str) -> Text {
    Text::new(format!("a value object never changes, and `{name}` changes behind a shared reference"))
}

pub(crate) fn value_never_changes() -> Text {
    Text::new("a value object never changes").help("take `&self` and return a new value")
}

pub(crate) fn validate_on_impl() -> Text {
    Text::new("`validate` goes on the struct")
        .help("write `#[value_object(validate)]` on the struct and `#[value_object]` here")
}

pub(crate) fn validate_form() -> Text {
    Text::new("`validate` must be `fn validate(&self) -> Result<(), E>`")
}

// ---- commands -------------------------------------------------------------------------------------------------------

pub(crate) fn command_needs_an_aggregate() -> Text {
    Text::new("a command needs the aggregate it is for").help("write `#[command(aggregate = Account)]`")
}

pub(crate) fn no_id() -> Text {
    Text::new("a command needs a field marked `#[id]`")
        .help("mark the field that holds the aggregate's id: `#[id] account: Uuid`")
}

pub(crate) fn two_ids() -> Text {
    Text::new("a command is for one aggregate, and `#[id]` is given twice").help("keep one `#[id]`")
}

pub(crate) fn id_takes_nothing() -> Text {
    Text::new("`#[id]` takes no options").help("write `#[id]` alone")
}

pub(crate) fn validate_without_rules() -> Text {
    Text::new("`validate` has no rules to run")
        .help("put rules on the fields, such as `#[garde(length(min = 1))]`, or remove `validate`")
}

pub(crate) fn rules_without_validate() -> Text {
    Text::new("`#[garde(..)]` rules have no effect without `validate`")
        .help("write `#[command(aggregate = …, validate)]`")
}

// ---- aggregates -----------------------------------------------------------------------------------------------------

pub(crate) fn aggregate_needs(missing: &[&str]) -> Text {
    let example = |name: &&str| match *name {
        "name" => "name = \"account\"",
        "id" => "id = Uuid",
        _ => "events(AccountOpened)",
    };
    let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
    let examples: Vec<&str> = missing.iter().map(example).collect();
    let names = match names.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        names => names.join(""),
    };
    Text::new(format!("an aggregate needs {names}")).help(format!("add `{}`", examples.join(", ")))
}

pub(crate) fn public_state() -> Text {
    Text::new("aggregate state is private").help("remove `pub`").note("change goes through events")
}

pub(crate) fn no_events() -> Text {
    Text::new("an aggregate needs at least one event").help("list its events: `events(AccountOpened)`")
}

pub(crate) fn event_twice(name: &str) -> Text {
    Text::new(format!("event `{name}` is listed twice"))
}

pub(crate) fn two_events_of_one_name(name: &str) -> Text {
    Text::new(format!("two events of this aggregate are called `{name}`"))
        .help(format!("give one another name here: `path::{name} as Other{name}`"))
}

pub(crate) fn snapshot_needs_options() -> Text {
    Text::new("a snapshot needs to know how often it is taken").help("write `snapshot(every = 100)`")
}

pub(crate) fn snapshot_every_zero() -> Text {
    Text::new("a snapshot is taken every 1 or more events").help("write `every = 100`, or remove `snapshot(..)`")
}

pub(crate) fn nothing_creates(aggregate: &str) -> Text {
    Text::new(format!("no event creates `{aggregate}`"))
        .help("let one apply function create it: `#[apply] fn …(event: &…) -> Self`")
}

// ---- apply functions ------------------------------------------------------------------------------------------------

pub(crate) fn apply_async() -> Text {
    Text::new("an apply function cannot be `async`").note("it gives the same state on every replay")
}

pub(crate) fn apply_receiver() -> Text {
    Text::new("an apply function takes `&mut self`, or no `self` and returns `Self`")
}

pub(crate) fn apply_needs_an_event() -> Text {
    Text::new("an apply function takes one event").help("write `fn name(&mut self, event: &Event)`")
}

pub(crate) fn apply_takes_one_event() -> Text {
    Text::new("an apply function takes exactly one event")
        .help("put what it needs into the event")
        .note("it gives the same state on every replay")
}

pub(crate) fn apply_creates_or_changes() -> Text {
    Text::new("an apply function changes or creates")
        .help("write `fn name(&mut self, event: &Event)` to change, `fn name(event: &Event) -> Self` to create")
}

pub(crate) fn apply_creates_self() -> Text {
    Text::new("an apply function that creates returns `Self`")
        .note("a stored event cannot be refused; check in the command handler")
}

pub(crate) fn apply_returns_nothing() -> Text {
    Text::new("an apply function that changes returns nothing")
        .help("check in the command handler; a stored event cannot be refused")
}

pub(crate) fn apply_event_by_reference(event: &str) -> Text {
    Text::new("an apply function takes its event by reference").help(format!("write `&{event}`"))
}

pub(crate) fn apply_event_is_shared(event: &str) -> Text {
    Text::new("a stored event never changes").help(format!("write `&{event}`"))
}

pub(crate) fn applied_twice(event: &str, earlier: &proc_macro2::Ident) -> Text {
    Text::new(format!("event `{event}` already has an apply function"))
        .note(format!("`{earlier}` applies it too; keep one of the two"))
}

pub(crate) fn apply_and_handler() -> Text {
    Text::new("a function either applies an event or handles a command")
        .help("keep one of `#[apply]` and `#[command_handler]`")
}

// ---- handlers -------------------------------------------------------------------------------------------------------

pub(crate) fn pure_handler_async() -> Text {
    Text::new("a command handler in the impl cannot be `async`")
        .help("to wait for something, write a free `#[command_handler] async fn`")
        .note("it decides from the command and the state alone")
}

pub(crate) fn generic_function() -> Text {
    Text::new("this function cannot be generic").note("there is one function for each type")
}

pub(crate) fn unsafe_function() -> Text {
    Text::new("this function cannot be `unsafe`")
}

pub(crate) fn handler_keeps_no_state() -> Text {
    Text::new("a command handler changes nothing itself")
        .help("take `&self` and return events")
        .note("change goes through events and their apply functions")
}

pub(crate) fn handler_receiver() -> Text {
    Text::new("a command handler looks at the state").help("take `&self`; or nothing, where the command creates")
}

pub(crate) fn handler_returns_events() -> Text {
    Text::new("a command handler returns the events it decided")
        .help("write `-> Event`, `-> Option<Event>` or `-> Result<Event, Error>`")
}

pub(crate) fn handler_returns_a_named_type() -> Text {
    Text::new("a command handler returns a type with a name").help("write `Vec<Event>` or an array")
}

pub(crate) fn pure_handler_queries() -> Text {
    Text::new("a command handler in the impl cannot look elsewhere")
        .help("write a free `#[command_handler(queries = \"…\")] async fn`")
}

pub(crate) fn crate_on_the_block() -> Text {
    Text::new("`crate` goes on the impl block").help("write `#[aggregate(crate = …)] impl …`")
}

pub(crate) fn handler_needs_a_command(shape: Shape) -> Text {
    let form = match shape {
        Shape::Creates => "fn name(command: Command) -> Event",
        Shape::Changes => "fn name(&self, command: Command) -> Event",
        Shape::Either => "fn name(this: Option<&Self>, command: Command) -> Event",
    };
    Text::new("a command handler takes a command").help(format!("write `{form}`"))
}

pub(crate) fn command_by_value(command: &str) -> Text {
    Text::new("a command handler takes its command by value").help(format!("write `{command}`"))
}

pub(crate) fn pure_handler_parameters(ty: &str) -> Text {
    Text::new(format!("a command handler in the impl cannot take `{ty}`"))
        .help("it takes its command and `&Context`; for dependencies, write a free `#[command_handler] async fn`")
}

pub(crate) fn handled_twice(command: &str, earlier: &proc_macro2::Ident) -> Text {
    Text::new(format!("command `{command}` already has a handler"))
        .note(format!("`{earlier}` handles it too; keep one of the two"))
}

pub(crate) fn creating_decides_change(event: &str, aggregate: &str) -> Text {
    Text::new(format!("this handler creates `{aggregate}`, but `{event}` changes it"))
        .help(format!("return the event that creates `{aggregate}` first, or take `&self`"))
}

pub(crate) fn changing_decides_creation(event: &str, aggregate: &str) -> Text {
    Text::new(format!("this handler changes `{aggregate}`, but `{event}` creates it"))
        .help("take no `self` to create, or return an event that changes")
}

const FREE_FORM: &str = "async fn name(command: Command, account: &mut Root<Account>) -> Result<Output, Error>";

pub(crate) fn free_handler_form() -> Text {
    Text::new("a free command handler takes a command and a root").help(format!("write `{FREE_FORM}`"))
}

pub(crate) fn free_handler_receiver() -> Text {
    Text::new("a free command handler has no `self`")
        .help("put `#[aggregate]` on the surrounding impl block; or move the function out of it")
}

pub(crate) fn free_handler_async(name: &str) -> Text {
    Text::new(format!("command handler `{name}` must be `async`"))
        .help("write `async fn`; or move it into an `#[aggregate] impl` block, where handlers are pure")
}

pub(crate) fn free_handler_returns() -> Text {
    Text::new("a free command handler returns a `Result`").help("write `-> Result<(), Error>`")
}

pub(crate) fn not_a_root() -> Text {
    Text::new("the second parameter of a free command handler is its aggregate")
        .help("write `&mut Root<Account>`, `&mut New<Account>` or `&mut Existing<Account>`")
}

pub(crate) fn second_root() -> Text {
    Text::new("a command handler changes one aggregate")
        .help("let a policy or a saga dispatch a command to the other one")
}

pub(crate) fn handler_takes_queries() -> Text {
    Text::new("a command handler cannot take `Queries`")
        .help("put what it needs into the command; or say why this one must look first: `#[command_handler(queries = \"why\")]`")
}

pub(crate) fn queries_reason() -> Text {
    Text::new("`queries` needs a reason")
        .help("say why this handler must look first: `queries = \"the limit is owned by another team\"`")
}

// ---- domains --------------------------------------------------------------------------------------------------------

pub(crate) fn domain_needs_a_name_and_a_text() -> Text {
    Text::new("a domain begins with its name").help("write `domain! { pub Bank = \"bank\"; … }`")
}

pub(crate) fn domain_needs_a_text(ident: &impl ToTokens) -> Text {
    let ident = types::text(ident);
    Text::new("a domain needs a stored name").help(format!("write `{ident} = \"{}\";`", ident.to_lowercase()))
}

pub(crate) fn semicolon_missing() -> Text {
    Text::new("sections are separated by `;`")
}

pub(crate) fn section_expected() -> Text {
    Text::new("expected a section").help(format!("the sections are {}", SECTIONS.join(", ")))
}

pub(crate) fn section_form(name: &proc_macro2::Ident) -> Text {
    Text::new("a section is a name and a list").help(format!("write `{name}: [First, Second]`"))
}

pub(crate) fn unknown_section(name: &str) -> Text {
    let text = Text::new(format!("unknown section `{name}` in `domain!`"));
    match similar(name, &SECTIONS) {
        Some(similar) => text.help(format!("there is a section with a similar name: `{similar}`")),
        None => text.note(format!("the sections are {}", SECTIONS.join(", "))),
    }
}

pub(crate) fn section_twice(name: &str) -> Text {
    Text::new(format!("section `{name}` is given twice")).help("put all entries into one list")
}

pub(crate) fn listed_twice(kind: &str, name: &str) -> Text {
    Text::new(format!("{kind} `{name}` is listed twice"))
}

pub(crate) fn two_entries_of_one_name(kind: &str, name: &str) -> Text {
    Text::new(format!("two {kind}s of this domain are called `{name}`"))
        .help(format!("give one another name here: `path::{name} as Other{name}`"))
}
