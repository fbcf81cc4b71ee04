//! The attributes of es. Use them through `es-runtime`: `use es_runtime::prelude::*;`.
//!
//! Each word is read (`syntax`), understood (`model`), checked (`check`) and rendered (`expand`). All mistakes of one
//! declaration are reported together; a broken one keeps its item and gets stand-ins for what it promised, so that no other
//! errors follow.

mod check;
mod diagnostics;
mod expand;
mod model;
mod syntax;
#[cfg(test)]
mod tests;
mod word;

use std::panic::{AssertUnwindSafe, catch_unwind};

use proc_macro::TokenStream;

/// Runs an expansion. A panic is a bug of ours: the user is told so, and the item stays.
fn run(item: TokenStream, expand: impl FnOnce(proc_macro2::TokenStream) -> proc_macro2::TokenStream) -> TokenStream {
    let kept = item.clone();
    catch_unwind(AssertUnwindSafe(|| expand(item.into()))).map_or_else(
        |panic| {
            let message = panic.downcast_ref::<String>().map(String::as_str);
            let message = message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            let mut diagnostics = diagnostics::Diagnostics::default();
            diagnostics.error_at(proc_macro2::Span::call_site(), &diagnostics::texts::bug(message));
            [kept, diagnostics.into_tokens().into()].into_iter().collect()
        },
        Into::into,
    )
}

/// Declares an event: a fact, in the past tense, that is stored for good.
///
/// It goes on a struct with named fields, or on a unit struct for an event without data (stored as `{}`, so that fields
/// can come later). It generates `Serialize`, `Deserialize` and `DomainEvent`, and derives `Debug`, `Clone` and
/// `PartialEq` unless you do. Your own `#[derive(..)]` goes *below* the attribute: what stands above is out of its sight.
///
/// # Options
///
/// - `name = "…"`: the stored name: ASCII letters, digits, `.`, `_` and `-`. It is the type's name by default; once given,
///   the type may be renamed freely.
/// - `version = N`: the version of the schema, from 1, which is the default. Every older version must be readable:
///   through `upcast`, or through an [`#[upcast]`](macro@upcast) function for each of them.
/// - `upcast = OldType`: the event of the version before, with `impl From<OldType>` for this one. It has the same name
///   and a version one below; anything else does not compile.
/// - `crate = ::path`: where `es-runtime` is, if it is renamed.
///
/// # Fields
///
/// - `#[claim("set")]` claims the field's value as a unique key of that set when the event is appended;
///   `#[release("set")]` frees it. `None` claims nothing.
/// - `#[lossy = "why"]` silences the warning about money in floating point.
///
/// # What does not compile
///
/// Local time (at any depth of a field's type, and behind aliases), borrowed data, generics, unnamed fields, types that
/// cannot be stored, serde attributes that make the stored form ambiguous. A name in the imperative is a warning, which an
/// explicit `name` silences.
///
/// # Examples
///
/// ```
/// use es_runtime::event::decode;
/// use es_runtime::prelude::*;
///
/// #[domain_event(name = "MoneyDeposited")]
/// pub struct MoneyDepositedV1 {
///     pub euros: i64,
/// }
///
/// #[domain_event(version = 2, upcast = MoneyDepositedV1)]
/// pub struct MoneyDeposited {
///     pub cents: i64,
/// }
///
/// impl From<MoneyDepositedV1> for MoneyDeposited {
///     fn from(old: MoneyDepositedV1) -> Self {
///         Self { cents: old.euros * 100 }
///     }
/// }
///
/// assert_eq!(MoneyDeposited::NAME, "MoneyDeposited");
/// assert_eq!(decode::<MoneyDeposited>(2, br#"{"cents":5}"#)?, MoneyDeposited { cents: 5 });
/// assert_eq!(decode::<MoneyDeposited>(1, br#"{"euros":5}"#)?, MoneyDeposited { cents: 500 });
/// # Ok::<(), DecodeError>(())
/// ```
#[proc_macro_attribute]
pub fn domain_event(options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::event::expand(options.into(), &item))
}

/// Turns the stored JSON of an older version of an event into that of the next.
///
/// For old versions that have no type of their own any more; where there is one, prefer
/// [`#[domain_event(upcast = …)]`](macro@domain_event). It goes on a free function
/// `fn(serde_json::Value) -> Result<serde_json::Value, UpcastError>`, which must be pure: it runs on every replay.
///
/// # Options
///
/// - `event = E`: the event.
/// - `from = N`: the version that is turned into version `N + 1`. There is one upcaster for each version below the
///   event's own; a missing one, or a second one, does not compile.
/// - `crate = ::path`: where `es-runtime` is, if it is renamed.
///
/// # Examples
///
/// ```
/// use es_runtime::event::decode;
/// use es_runtime::prelude::*;
/// use serde_json::Value;
///
/// #[domain_event(version = 2)]
/// pub struct Closed {
///     pub reason: String,
/// }
///
/// #[upcast(event = Closed, from = 1)]
/// fn closed_without_a_reason(mut old: Value) -> Result<Value, UpcastError> {
///     let fields = old.as_object_mut().ok_or_else(|| UpcastError::new("not an object"))?;
///     fields.insert("reason".to_owned(), "unknown".into());
///     Ok(old)
/// }
///
/// assert_eq!(decode::<Closed>(1, b"{}")?, Closed { reason: "unknown".to_owned() });
/// # Ok::<(), DecodeError>(())
/// ```
#[proc_macro_attribute]
pub fn upcast(options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::upcaster::expand(options.into(), &item))
}

/// Declares a value object: compared by value, never changed, and valid from its birth.
///
/// On a struct with private fields it generates `new`, a getter for each field, `Debug`, `Clone`, `PartialEq`, `Eq`,
/// `Hash` and serde. A struct of one unnamed field, `struct Email(String)`, gets the getter `value` and `AsRef`, and is
/// stored as what is inside. Your own `#[derive(..)]` goes *below* the attribute.
///
/// With `#[value_object(validate)]` there is a check that nothing gets past, deserialisation included: put
/// `#[value_object]` on the impl block that holds `fn validate(&self) -> Result<(), E>`, and `new` returns
/// `Result<Self, E>`. On an impl block the attribute also refuses methods that take `&mut self`; other blocks are out of its
/// sight.
///
/// # Options
///
/// - `validate`: values are checked. On the struct.
/// - `crate = ::path`: where `es-runtime` is, if it is renamed.
///
/// # Examples
///
/// ```
/// use es_runtime::prelude::*;
///
/// #[value_object(validate)]
/// pub struct Percentage(u8);
///
/// #[value_object]
/// impl Percentage {
///     fn validate(&self) -> Result<(), String> {
///         if self.0 <= 100 { Ok(()) } else { Err(format!("{} is more than 100", self.0)) }
///     }
/// }
///
/// assert_eq!(Percentage::new(7).unwrap().value(), &7);
/// assert_eq!(Percentage::new(101).unwrap_err(), "101 is more than 100");
/// assert!(serde_json::from_str::<Percentage>("101").is_err());
/// ```
#[proc_macro_attribute]
pub fn value_object(options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::value::expand(options.into(), &item))
}

/// Declares a command: what a caller wants to happen to one aggregate.
///
/// It goes on a struct with named fields, one of which is marked `#[id]` and has the aggregate's type of ids. It derives
/// `Debug`, `Clone` and serde unless you do; your own `#[derive(..)]` goes *below* the attribute, because what stands above
/// is out of its sight and would be derived twice. A command that is in no [`domain!`](macro@domain) is an error at its own name.
///
/// # Options
///
/// - `aggregate = A`: the aggregate the command is for. Required.
/// - `name = "…"`: the name for logs, tools and JSON. It is the type's name by default.
/// - `validate`: the `garde` rules on the fields, such as `#[garde(length(min = 1))]`, run before anything is loaded, and
///   all failures are reported together. The crate needs `garde` as a dependency, because its derive names it: without,
///   the compiler says at `validate` that it cannot find `garde`.
/// - `crate = ::path`: where `es-runtime` is, if it is renamed.
///
/// # Examples
///
/// ```
/// use es_runtime::prelude::*;
///
/// #[command(aggregate = Account)]
/// pub struct OpenAccount {
///     #[id]
///     pub account: Uuid,
///     pub owner: String,
/// }
/// # #[domain_event] pub struct AccountOpened;
/// # #[aggregate(name = "account", id = Uuid, events(AccountOpened))] pub struct Account;
/// # #[aggregate]
/// # impl Account {
/// #     #[apply] fn opened(_: &AccountOpened) -> Self { Self }
/// #     #[command_handler] fn open(_: OpenAccount) -> AccountOpened { AccountOpened }
/// # }
/// # domain! { pub Bank = "bank"; aggregates: [Account]; commands: [OpenAccount] }
///
/// let open = OpenAccount { account: Uuid::nil(), owner: "Ada".to_owned() };
/// assert_eq!(open.id(), &Uuid::nil());
/// assert_eq!(OpenAccount::NAME, "OpenAccount");
/// ```
#[proc_macro_attribute]
pub fn command(options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::command::expand(options.into(), &item))
}

/// Declares an aggregate: the state that decides, folded from its own events.
///
/// # On the struct
///
/// The attribute lists the events: the aggregate's table of contents. From `Account` it generates the enum
/// `AccountEvent` with `From` each event, and decoding by stored name and version. The fields are private; no `Default`
/// is needed, because the first event creates the state. An aggregate that is in no [`domain!`](macro@domain) is an error
/// at its own name.
///
/// - `name = "…"`: the category of its streams. Required.
/// - `id = T`: the type of its ids: anything that displays and parses back. Required.
/// - `events(A, path::B, path::A as OtherA)`: its events; two of one name need an `as`. Required.
/// - `snapshot(every = N, version = M)`: stores the state each time the stream passes a multiple of `N` events. The state
///   gets serde derives unless you have them *below* the attribute, and every field must be storable. Raise `version` (1 by default) when `apply` changes its meaning but the
///   fields stay.
/// - `crate = ::path`: where `es-runtime` is, if it is renamed; on impl blocks too.
///
/// # On impl blocks
///
/// In as many blocks of the crate as you like stand functions marked [`#[apply]`](macro@apply) and
/// [`#[command_handler]`](macro@command_handler); other items pass through untouched. Each listed event has exactly one
/// apply function, and at least one event creates; each command has exactly one handler.
///
/// # Examples
///
/// ```
/// use es_runtime::prelude::*;
///
/// #[domain_event] pub struct AccountOpened  { pub owner: String }
/// #[domain_event] pub struct MoneyDeposited { pub cents: i64 }
///
/// #[aggregate(name = "account", id = Uuid, events(AccountOpened, MoneyDeposited))]
/// pub struct Account { balance: i64 }
///
/// #[aggregate]
/// impl Account {
///     #[apply] fn opened(_: &AccountOpened) -> Self { Self { balance: 0 } }
///     #[apply] fn deposited(&mut self, event: &MoneyDeposited) { self.balance += event.cents; }
/// }
///
/// domain! { pub Bank = "bank"; aggregates: [Account] }
///
/// let mut account = Account::apply(None, &AccountOpened { owner: "Ada".to_owned() }.into())?.unwrap();
/// Account::apply(Some(&mut account), &MoneyDeposited { cents: 5 }.into())?;
/// assert_eq!(account.balance, 5);
/// assert_eq!(Account::stream(&Uuid::nil()).category(), "account");
/// # Ok::<(), CannotApply>(())
/// ```
#[proc_macro_attribute]
pub fn aggregate(options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::aggregate::expand(options.into(), &item))
}

/// Marks the function that applies an event, in an [`#[aggregate] impl`](macro@aggregate) block.
///
/// Two shapes:
///
/// - `fn name(event: &E) -> Self` creates the state;
/// - `fn name(&mut self, event: &E)` changes it.
///
/// It is pure and infallible: what is stored has happened. Check in the command handler whatever could overflow or fail
/// here. It takes no options. Outside of an `#[aggregate] impl` block it has no effect, and says so.
///
/// # Examples
///
/// ```
/// # use es_runtime::prelude::*;
/// # #[domain_event] pub struct CounterStarted { pub at: u64 }
/// # #[domain_event] pub struct Counted { pub by: u64 }
/// # #[aggregate(name = "counter", id = Uuid, events(CounterStarted, Counted))] pub struct Counter { count: u64 }
/// #[aggregate]
/// impl Counter {
///     #[apply]
///     fn started(event: &CounterStarted) -> Self {
///         Self { count: event.at }
///     }
///
///     #[apply]
///     fn counted(&mut self, event: &Counted) {
///         self.count = self.count.saturating_add(event.by);
///     }
/// }
/// # domain! { pub Counting = "counting"; aggregates: [Counter] }
/// let mut counter = Counter::apply(None, &CounterStarted { at: 1 }.into())?.unwrap();
/// Counter::apply(Some(&mut counter), &Counted { by: 2 }.into())?;
/// assert_eq!(counter.count, 3);
/// # Ok::<(), CannotApply>(())
/// ```
#[proc_macro_attribute]
pub fn apply(options: TokenStream, item: TokenStream) -> TokenStream {
    let _ = options;
    run(item, |item| expand::apply::expand(word::Word::Apply, &item))
}

/// Declares what handles a command. The shape of the function says what it may do.
///
/// | shape | meaning |
/// |---|---|
/// | `fn(command: C) -> R` in the impl | creates: the aggregate must not exist |
/// | `fn(&self, command: C) -> R` in the impl | changes: it must exist |
/// | `fn(this: Option<&Self>, command: C) -> R` in the impl | either |
/// | `async fn(command: C, account: &mut Root<A>, …) -> Result<O, E>`, free | orchestrates: dependencies, several steps |
///
/// In an [`#[aggregate] impl`](macro@aggregate) block a handler is pure. `R` is an event, a tuple, `Vec` or array of events,
/// an `Option` of those, or a `Result` of any of them with the domain's own error. A further parameter `&Context` gives the
/// time, the actor and new ids. Where `R` names its first event, a creating handler whose first event does not create, and
/// a changing one whose first event does, do not compile. Neither does one with `Option<&Self>` whose first event is always
/// the same one.
///
/// A free handler records its events on the root (`&mut Root<A>`, or `New<A>` and `Existing<A>`, which demand absence and
/// existence) and may take `Dep<T>` and `&Context`. It may run several times when others change the aggregate meanwhile; one
/// that takes a `Dep` runs once unless `retries` says otherwise.
///
/// # Options
///
/// - `retries = N`: how often a conflict is decided again.
/// - `queries = "why"`: lets a free handler take `Queries`, to look at other aggregates first. The reason is shown in the
///   domain's tables.
/// - `crate = ::path`: where `es-runtime` is, if it is renamed; on free handlers.
///
/// # Examples
///
/// ```
/// # use es_runtime::prelude::*;
/// # #[domain_event] pub struct Opened;
/// # #[domain_event] pub struct Closed { pub notified: bool }
/// # #[command(aggregate = Account)] pub struct Open { #[id] pub account: Uuid }
/// # #[command(aggregate = Account)] pub struct Close { #[id] pub account: Uuid }
/// # #[aggregate(name = "account", id = Uuid, events(Opened, Closed))] pub struct Account { open: bool }
/// # pub struct Mailer;
/// # impl Mailer { async fn say(&self, _: &str) -> bool { true } }
/// # impl Dependency for Mailer {}
/// #[aggregate]
/// impl Account {
///     # #[apply] fn opened(_: &Opened) -> Self { Self { open: true } }
///     # #[apply] fn closed(&mut self, _: &Closed) { self.open = false; }
///     #[command_handler]
///     fn open(_: Open) -> Opened {
///         Opened
///     }
/// }
///
/// #[command_handler]
/// async fn close(_: Close, account: &mut Existing<Account>, mailer: Dep<Mailer>) -> Result<bool, RecordError> {
///     if account.open {
///         account.record(Closed { notified: mailer.say("closed").await })?;
///     }
///     Ok(account.open)
/// }
///
/// domain! { pub Bank = "bank"; aggregates: [Account]; commands: [Open, Close] }
///
/// let close = Bank::describe().commands[1].handler;
/// assert_eq!((close.name, close.retries), ("close", Some(0)));
/// ```
#[proc_macro_attribute]
pub fn command_handler(options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::handler::expand(options.into(), &item))
}

/// Lists what belongs together. The application is the outermost domain.
///
/// First comes the domain's type and stored name, then sections in any order, separated by `;`:
///
/// - `aggregates: [..]`, `commands: [..]`, `queries: [..]`: types of this crate. Each command and query must have a handler.
/// - `projections: [..]`: the types on whose impl blocks they are. What takes a connection binds the domain to its store.
/// - `domains: [..]`: the domains this one is made of.
/// - `crate = ::path`: where `es-runtime` is, if it is renamed.
///
/// An entry is a path, or `path as Name` where two have one last name; `#[cfg]` and documentation on it are kept. From
/// `Bank` it generates `BankEvent` and `BankCommand`, enums with `From` what is inside, which can be decoded and dispatched
/// as a whole. The tables are constants: `Bank::describe()`.
///
/// Checked while compiling: every listed command and query has a handler; names and tables are unique, in the parts too;
/// every command, aggregate, query and projection of the crate is in some list.
///
/// # Examples
///
/// ```
/// # use es_runtime::prelude::*;
/// # #[domain_event] pub struct Opened;
/// # #[command(aggregate = Account)] pub struct Open { #[id] pub account: Uuid }
/// # #[aggregate(name = "account", id = Uuid, events(Opened))] pub struct Account;
/// # #[aggregate]
/// # impl Account {
/// #     #[apply] fn opened(_: &Opened) -> Self { Self }
/// #     #[command_handler] fn open(_: Open) -> Opened { Opened }
/// # }
/// domain! {
///     /// Where money is.
///     pub Bank = "bank";
///     aggregates: [Account];
///     commands: [Open];
/// }
///
/// domain! { pub Company = "company"; domains: [Bank] }
///
/// assert_eq!(Bank::describe().commands[0].name, "Open");
/// assert_eq!(Company::describe().domains[0].name, "bank");
/// let command = CompanyCommand::from(BankCommand::from(Open { account: Uuid::nil() }));
/// assert!(matches!(command, CompanyCommand::Bank(BankCommand::Open(_))));
/// ```
#[proc_macro]
pub fn domain(input: TokenStream) -> TokenStream {
    run(input, expand::domain::expand)
}

/// Declares a read model: a row of a table that a projection keeps and queries read.
///
/// It goes on a struct with named fields: the columns. It generates `ReadModel`, derives `Debug`, `Clone` and `PartialEq` unless
/// you do, and gives one constant for each column, in capitals: `AccountBalance::OWNER`. Rows serialize as an object of their
/// columns, so that they can be answers; derive `Serialize` yourself *below* the attribute for another form.
///
/// # Options
///
/// - `table = "…"`: the table's name: lower-case ASCII letters, digits and `_`, at most 50. Required.
/// - `crate = ::path`: where `es-runtime` is, if it is renamed.
///
/// # Fields
///
/// - `#[key]`: the row is found by it. Of several, the key is a tuple. Numbers with a point, JSON and `Option` cannot be keys.
/// - `#[index]`: rows can be filtered and ordered by it.
/// - `#[json]`: stored as JSON, for any type with `Serialize` and `Deserialize`.
///
/// Whole numbers, `f32` and `f64`, `bool`, `String`, `Uuid`, `DateTime<Utc>`, `NaiveDate`, decimals, `Option` of these, and ids
/// (types with `Display` and `FromStr`, as for aggregates) are columns by themselves. Anything else does not compile without
/// `#[json]`.
///
/// # Examples
///
/// ```
/// use es_runtime::prelude::*;
///
/// #[read_model(table = "account_balances")]
/// pub struct AccountBalance {
///     #[key]
///     pub account: Uuid,
///     #[index]
///     pub owner: String,
///     pub cents: i64,
///     #[json]
///     pub tags: Vec<String>,
/// }
///
/// let row = AccountBalance { account: Uuid::nil(), owner: "Ann".to_owned(), cents: 5, tags: vec!["new".to_owned()] };
/// assert_eq!(row.key(), Uuid::nil());
/// assert_eq!(AccountBalance::from_values(row.to_values()?)?, row);
/// assert_eq!(serde_json::to_value(&row).unwrap()["tags"][0], "new");
/// # Ok::<(), es_runtime::read_model::ColumnError>(())
/// ```
#[proc_macro_attribute]
pub fn read_model(options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::read_model::expand(options.into(), &item))
}

/// Declares a projection: the functions that make a view of events.
///
/// It goes on an impl block. Functions marked [`#[sync_projection]`](macro@sync_projection) run in the transaction that appends
/// the event, those marked [`#[async_projection]`](macro@async_projection) behind the log; other items pass through
/// untouched. How they write is told apart by their signatures, and one block has one style:
///
/// | style | functions |
/// |---|---|
/// | on a read model | `fn(event: &Recorded<E>) -> Self` inserts, `fn(&mut self, event)` changes, `fn(&self, event) -> bool` with `delete` deletes, `fn(this: Option<Self>, event) -> Option<Self>` does any of it |
/// | with a connection | `async fn(&self, db: &mut SqliteConnection, event: &Recorded<E>) -> Result<(), Error>`, or `events: &[Recorded<E>]`; on PostgreSQL `&mut PgConnection` |
/// | elsewhere | `async fn(&self, index: Dep<Index>, event: &Recorded<E>) -> Result<(), Error>`, or `events: &[Recorded<E>]`; at least once |
///
/// The event may be of any domain. Functions on a read model are pure: the runtime loads the row, calls them and stores it. A
/// projection of the other styles is made by `Default`; `#[reset]` empties what one with a connection wrote. A projection
/// that is in no [`domain!`](macro@domain) is an error at its type's name.
///
/// # Options
///
/// - `name = "…"`: the stored name: its place in the log is kept under it. Required.
/// - `renamed_from = "…"`: the name that it had before. What was built under it is taken over when the program starts.
/// - `version = N`: from 1, which is the default. A new version is built beside the old one.
/// - `partitions = N`: in how many parts it runs at once; 1 by default.
/// - `retry = N` and `on_failure = park | stop | skip`: for its asynchronous functions that do not say otherwise.
/// - `crate = ::path`: where `es-runtime` is, if it is renamed.
///
/// # Examples
///
/// ```
/// # use es_runtime::prelude::*;
/// # #[domain_event] pub struct AccountOpened { pub owner: String }
/// # #[domain_event] pub struct MoneyDeposited { pub cents: i64, pub branch: u32 }
/// # #[domain_event] pub struct AccountClosed;
/// # #[aggregate(name = "account", id = Uuid, events(AccountOpened, MoneyDeposited, AccountClosed))] pub struct Account;
/// # #[aggregate]
/// # impl Account {
/// #     #[apply] fn opened(_: &AccountOpened) -> Self { Self }
/// #     #[apply] fn deposited(&mut self, _: &MoneyDeposited) {}
/// #     #[apply] fn closed(&mut self, _: &AccountClosed) {}
/// # }
/// #[read_model(table = "account_balances")]
/// pub struct AccountBalance {
///     #[key]
///     pub account: Uuid,
///     pub cents: i64,
/// }
///
/// #[projection(name = "account_balances", version = 1)]
/// impl AccountBalance {
///     #[sync_projection(priority = 1, timeout = "500ms")]
///     fn opened(event: &Recorded<AccountOpened>) -> Self {
///         Self { account: event.id_of::<Account>(), cents: 0 }
///     }
///
///     #[async_projection]
///     fn deposited(&mut self, event: &Recorded<MoneyDeposited>) {
///         self.cents += event.cents;
///     }
///
///     #[async_projection(delete)]
///     fn closed(&self, _: &Recorded<AccountClosed>) -> bool {
///         self.cents == 0
///     }
/// }
///
/// domain! { pub Bank = "bank"; aggregates: [Account]; projections: [AccountBalance] }
///
/// let projection = Bank::describe().projections[0];
/// assert_eq!((projection.name, projection.version), ("account_balances", 1));
/// assert!(projection.handlers[0].mode.is_sync());
/// ```
#[proc_macro_attribute]
pub fn projection(options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::projection::expand(options.into(), &item))
}

/// Marks a function of a [`#[projection] impl`](macro@projection) block that runs in the transaction that appends its event.
///
/// The command waits for it and fails with it. Outside of such a block it has no effect, and says so.
///
/// # Options
///
/// - `priority = 1..=10`: 1 runs first, 10 last; 5 by default.
/// - `timeout = "…"`: a whole number and its unit, such as `"500ms"` or `"2s"`, which is the default; at most `"5s"`.
/// - `key = |event| …`: which row changes, where that is not the one of the event's stream.
/// - `of = Aggregate`: whose event, where several aggregates list it.
/// - `delete`: the function returns whether its row goes.
///
/// # Examples
///
/// See [`#[projection]`](macro@projection).
#[proc_macro_attribute]
pub fn sync_projection(_options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::apply::expand(word::Word::SyncProjection, &item))
}

/// Marks a function of a [`#[projection] impl`](macro@projection) block that runs behind the log.
///
/// Outside of such a block it has no effect, and says so.
///
/// # Options
///
/// - `key = |event| …`: which row changes, where that is not the one of the event's stream.
/// - `of = Aggregate`: whose event, where several aggregates list it.
/// - `delete`: the function returns whether its row goes.
/// - `retry = N`: how often it is tried again.
/// - `on_failure = park | stop | skip`: what happens to an event that it fails on after that.
///
/// # Examples
///
/// ```
/// # use es_runtime::prelude::*;
/// # #[domain_event] pub struct AccountOpened { pub owner: String }
/// # #[domain_event] pub struct MoneyDeposited { pub cents: i64, pub branch: u32 }
/// # #[domain_event] pub struct AccountClosed;
/// # #[aggregate(name = "account", id = Uuid, events(AccountOpened, MoneyDeposited, AccountClosed))] pub struct Account;
/// # #[aggregate]
/// # impl Account {
/// #     #[apply] fn opened(_: &AccountOpened) -> Self { Self }
/// #     #[apply] fn deposited(&mut self, _: &MoneyDeposited) {}
/// #     #[apply] fn closed(&mut self, _: &AccountClosed) {}
/// # }
/// #[read_model(table = "branches")]
/// pub struct Branch {
///     #[key]
///     pub branch: u32,
///     pub cents: i64,
/// }
///
/// #[projection(name = "branches", partitions = 4)]
/// impl Branch {
///     #[async_projection(key = |event| event.branch, retry = 3, on_failure = park)]
///     #[monitor_projection]
///     fn deposited(this: Option<Self>, event: &Recorded<MoneyDeposited>) -> Option<Self> {
///         let before = this.map_or(0, |row| row.cents);
///         Some(Self { branch: event.branch, cents: before + event.cents })
///     }
/// }
///
/// domain! { pub Bank = "bank"; aggregates: [Account]; projections: [Branch] }
///
/// let handler = Bank::describe().projections[0].handlers[0];
/// assert_eq!(handler.options.retries, Some(3));
/// assert!(handler.options.monitor && !handler.by_stream);
/// ```
#[proc_macro_attribute]
pub fn async_projection(_options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::apply::expand(word::Word::AsyncProjection, &item))
}

/// Raises the span of a projection's function to info, and records how long it takes.
///
/// It stands beside [`#[sync_projection]`](macro@sync_projection) or [`#[async_projection]`](macro@async_projection), takes no
/// options, and has no effect elsewhere.
///
/// # Examples
///
/// See [`#[async_projection]`](macro@async_projection).
#[proc_macro_attribute]
pub fn monitor_projection(_options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::apply::expand(word::Word::MonitorProjection, &item))
}

/// Marks the function that empties what a projection with a connection wrote, before a rebuild.
///
/// `async fn(&self, db: &mut SqliteConnection) -> Result<(), Error>`, once in a [`#[projection] impl`](macro@projection) block
/// whose functions take the same connection. The runtime empties the tables of read models itself. It takes no options.
///
/// # Examples
///
/// ```text
/// #[projection(name = "totals", version = 2)]
/// impl Totals {
///     #[async_projection]
///     async fn deposited(&self, db: &mut SqliteConnection, event: &Recorded<MoneyDeposited>) -> Result<(), sqlx::Error> {
///         sqlx::query("UPDATE totals SET cents = cents + ?").bind(event.cents).execute(db).await.map(|_| ())
///     }
///
///     #[reset]
///     async fn reset(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
///         sqlx::query("DELETE FROM totals").execute(db).await.map(|_| ())
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn reset(_options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::apply::expand(word::Word::Reset, &item))
}

/// Declares a query: a question to read models.
///
/// It goes on a struct with named fields, or on a unit struct. It derives `Debug`, `Clone` and serde unless you do; your own
/// `#[derive(..)]` goes *below* the attribute. A query that is in no [`domain!`](macro@domain) is an error at its own name.
///
/// # Options
///
/// - `output = T`: the answer's type, with `Serialize`; a read model has it. Required.
/// - `name = "…"`: the name for logs, tools and JSON. It is the type's name by default.
/// - `crate = ::path`: where `es-runtime` is, if it is renamed.
///
/// # Examples
///
/// See [`#[query_handler]`](macro@query_handler).
#[proc_macro_attribute]
pub fn query(options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::query::expand(options.into(), &item))
}

/// Declares what answers a query: a free `async fn(query: Q, …) -> Result<Output, Error>`.
///
/// Beside its query it may take `&Table<Row>` for each read model, `Dep<T>`, and a read-only connection of its store, `&mut
/// SqliteConnection` or `&mut PgConnection`, which binds it to that store. It gets no command bus and no event store: a query has no side
/// effects. One handler a query.
///
/// # Options
///
/// - `crate = ::path`: where `es-runtime` is, if it is renamed.
///
/// # Examples
///
/// ```
/// # use es_runtime::prelude::*;
/// # #[domain_event] pub struct AccountOpened { pub owner: String }
/// # #[domain_event] pub struct MoneyDeposited { pub cents: i64, pub branch: u32 }
/// # #[domain_event] pub struct AccountClosed;
/// # #[aggregate(name = "account", id = Uuid, events(AccountOpened, MoneyDeposited, AccountClosed))] pub struct Account;
/// # #[aggregate]
/// # impl Account {
/// #     #[apply] fn opened(_: &AccountOpened) -> Self { Self }
/// #     #[apply] fn deposited(&mut self, _: &MoneyDeposited) {}
/// #     #[apply] fn closed(&mut self, _: &AccountClosed) {}
/// # }
/// # #[read_model(table = "account_balances")] pub struct AccountBalance { #[key] pub account: Uuid, pub cents: i64 }
/// # #[projection(name = "account_balances")]
/// # impl AccountBalance {
/// #     #[async_projection]
/// #     fn deposited(&mut self, event: &Recorded<MoneyDeposited>) { self.cents += event.cents; }
/// # }
/// # pub struct Rates;
/// # impl Dependency for Rates {}
/// #[query(output = Option<AccountBalance>)]
/// pub struct BalanceOf {
///     pub account: Uuid,
/// }
///
/// #[query_handler]
/// async fn balance(
///     query: BalanceOf,
///     balances: &Table<AccountBalance>,
///     rates: Dep<Rates>,
/// ) -> Result<Option<AccountBalance>, ReadModelError> {
///     # let _ = (query.account, balances, rates);
///     # Ok(None)
///     # /*
///     balances.get(&query.account).await
///     # */
/// }
///
/// domain! {
///     pub Bank = "bank";
///     aggregates: [Account];
///     queries: [BalanceOf];
///     projections: [AccountBalance];
/// }
///
/// assert_eq!(Bank::describe().queries[0].name, "BalanceOf");
/// ```
#[proc_macro_attribute]
pub fn query_handler(options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::query::expand_handler(options.into(), &item))
}
