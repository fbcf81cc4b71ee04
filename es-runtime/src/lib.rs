//! Runs event-sourced domains that are declared in Rust.
//!
//! You write what a domain is: its events, its commands, its aggregates, as plain structs and functions with attributes. The
//! compiler checks that the whole fits together. [`App`](app::App) runs it on a store that acknowledges nothing before it is
//! durable, gives every command its turn, and skips no event when it reads.
//!
//! Take it where the history matters: orders, accounts, bookings, anything that is audited or undone. For data that is only
//! ever overwritten, a table is simpler.
//!
//! # Example
//!
//! ```
//! use es_runtime::prelude::*;
//!
//! #[domain_event] pub struct AccountOpened  { pub owner: String }
//! #[domain_event] pub struct MoneyDeposited { pub cents: u32 }
//!
//! #[command(aggregate = Account)] pub struct OpenAccount { #[id] pub account: Uuid, pub owner: String }
//! #[command(aggregate = Account)] pub struct Deposit     { #[id] pub account: Uuid, pub cents: u32 }
//!
//! #[aggregate(name = "account", id = Uuid, events(AccountOpened, MoneyDeposited))]
//! pub struct Account { balance: u32 }
//!
//! #[aggregate]
//! impl Account {
//!     #[apply] fn opened(_: &AccountOpened) -> Self { Self { balance: 0 } }
//!     #[apply] fn deposited(&mut self, event: &MoneyDeposited) { self.balance += event.cents; }
//!
//!     #[command_handler]
//!     fn open(command: OpenAccount) -> AccountOpened { AccountOpened { owner: command.owner } }
//!     #[command_handler]
//!     fn deposit(&self, command: Deposit) -> Result<MoneyDeposited, Full> {
//!         self.balance.checked_add(command.cents).ok_or(Full)?;
//!         Ok(MoneyDeposited { cents: command.cents })
//!     }
//! }
//!
//! #[derive(Debug, PartialEq, thiserror::Error)]
//! #[error("the account is full")]
//! pub struct Full;
//!
//! domain! { pub Bank = "bank"; aggregates: [Account]; commands: [OpenAccount, Deposit] }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let bank = App::<Bank, _>::builder(SqliteStore::in_memory().await?).build().await?;
//!     let account = Uuid::now_v7();
//!     bank.dispatch(OpenAccount { account, owner: "Ann".into() }).await?;
//!     let receipt = bank.dispatch(Deposit { account, cents: 500 }).idempotency_key("payment-17").await?;
//!     assert_eq!(receipt.version(), 2);
//!
//!     let refused = bank.dispatch(Deposit { account, cents: u32::MAX }).await;
//!     assert_eq!(refused.unwrap_err().domain(), Some(&Full));
//!     Ok(())
//! }
//! ```
//!
//! # Where things are
//!
//! | | |
//! |---|---|
//! | [`prelude`] | everything that a domain needs: `use es_runtime::prelude::*;` |
//! | [`app`] | [`App`](app::App), its builder, dispatches and their options, receipts, loading, the log, limits |
//! | [`error`] | [`DispatchError`](error::DispatchError): what a command can fail with, and whether something was stored; [`QueryError`](error::QueryError) |
//! | [`read_model`](mod@read_model), [`projection`](mod@projection), [`query`](mod@query) | tables of rows, what writes them, what reads them |
//! | [`subscription`] | what follows the log: health, letters, pauses, rebuilds, options |
//! | [`store`] | [`SqliteStore`](store::SqliteStore), `PostgresStore` (feature `postgres`), [`MemoryStore`](store::MemoryStore), and what a store of your own implements |
//! | `testing` | given/when/then, `projected`, `TestApp`, `events.lock`, the contract of stores |
//! | [`command`](mod@command), [`handler`], [`aggregate`](mod@aggregate), [`event`] | what the attributes generate against; ids, metadata, recorded events |
//!
//! The attributes are [`domain_event`], [`upcast`], [`value_object`], [`command`](macro@command),
//! [`aggregate`](macro@aggregate), [`apply`], [`command_handler`], [`read_model`](macro@read_model),
//! [`projection`](macro@projection), [`sync_projection`], [`async_projection`], [`monitor_projection`], [`reset`],
//! [`query`](macro@query), [`query_handler`] and [`domain!`].
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `macros` | yes | the attributes and `domain!` |
//! | `sqlite` | yes | [`SqliteStore`](store::SqliteStore); needs a C compiler to build |
//! | `postgres` | no | `PostgresStore`, for PostgreSQL 14 and later; needs a C compiler to build, for TLS |
//! | `decimal` | no | `rust_decimal::Decimal` as a column of read models |
//! | `testing` | no | the module `testing`; for `[dev-dependencies]` |
//!
//! # Guarantees
//!
//! - A command's events, claims and idempotency record are stored together or not at all, and `Ok` comes after they are durable.
//! - Commands of one aggregate take effect in the order of their dispatch. Conflicts between processes are decided again.
//! - Commands share durable writes and stay isolated: one that fails, fails alone.
//! - A reader of the log sees every event once. What does not decode is an error with its place.
//! - A projection takes every event exactly once: its checkpoint moves with its rows. An event that fails is put aside in order, never skipped
//!   unless its function says so.
//! - A synchronous projection is stored with its command or fails it. A query can wait for what a command did.
//! - Bad input is a typed error. Nothing is stored then, and nothing panics.
//!
//! `docs/guarantees.md` in the repository has each promise with the test that proves it; the tutorial stands beside it.

extern crate self as es_runtime;

#[doc(hidden)]
#[path = "private/mod.rs"]
pub mod __private;
pub mod aggregate;
pub mod app;
pub mod command;
mod encoding;
pub mod error;
pub mod event;
mod fail_point;
pub mod handler;
pub mod prelude;
pub mod projection;
pub mod query;
pub mod read_model;
pub mod store;
pub mod subscription;
#[cfg(feature = "testing")]
pub mod testing;
mod time;
pub(crate) use __private as private;

#[cfg(feature = "macros")]
pub use es_macros::{
    aggregate, apply, async_projection, command, command_handler, domain, domain_event, monitor_projection, projection,
    query, query_handler, read_model, reset, sync_projection, upcast, value_object,
};
