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
/// a changing one whose first event does, do not compile.
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
/// - `aggregates: [..]` and `commands: [..]`: types of this crate. Each command must have a handler.
/// - `domains: [..]`: the domains this one is made of.
/// - `crate = ::path`: where `es-runtime` is, if it is renamed.
///
/// An entry is a path, or `path as Name` where two have one last name; `#[cfg]` and documentation on it are kept. From
/// `Bank` it generates `BankEvent` and `BankCommand`, enums with `From` what is inside, which can be decoded and dispatched
/// as a whole. The tables are constants: `Bank::describe()`.
///
/// Checked while compiling: every listed command has a handler; names are unique, in the parts too; every command and
/// aggregate of the crate is in some list.
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

/// Declares a read model.
#[proc_macro_attribute]
pub fn read_model(options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::read_model::expand(options.into(), &item))
}

/// Declares a projection.
#[proc_macro_attribute]
pub fn projection(options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::projection::expand(options.into(), &item))
}

/// Marks a synchronous projection function.
#[proc_macro_attribute]
pub fn sync_projection(_options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::apply::expand(word::Word::SyncProjection, &item))
}

/// Marks an asynchronous projection function.
#[proc_macro_attribute]
pub fn async_projection(_options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::apply::expand(word::Word::AsyncProjection, &item))
}

/// Marks a monitored projection function.
#[proc_macro_attribute]
pub fn monitor_projection(_options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::apply::expand(word::Word::MonitorProjection, &item))
}

/// Marks the function that empties a projection.
#[proc_macro_attribute]
pub fn reset(_options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::apply::expand(word::Word::Reset, &item))
}

/// Declares a query.
#[proc_macro_attribute]
pub fn query(options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::query::expand(options.into(), &item))
}

/// Declares a query handler.
#[proc_macro_attribute]
pub fn query_handler(options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::query::expand_handler(options.into(), &item))
}
