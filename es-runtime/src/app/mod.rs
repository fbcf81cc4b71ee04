//! The application: a domain on a store.
//!
//! [`App`] is what a program holds. It is cheap to clone and may be used from any task.
//!
//! | to | use |
//! |---|---|
//! | build one | [`App::builder`]: dependencies, layers, clock, [`Limits`] |
//! | build the keys of new claims | [`AppBuilder::build_claims`] |
//! | change something | [`App::dispatch`], with [`DispatchOptions`]; the answer is a [`Receipt`] |
//! | import | [`App::dispatch_all`] |
//! | serve HTTP, brokers, tools | [`App::dispatch_json`] and [`App::dispatch_json_slice`] |
//! | look at one aggregate | [`App::load`], [`App::history`] |
//! | read or follow everything | [`App::events`] |
//! | find the aggregate of a foreign id | [`App::identify`], [`App::identity`] |
//! | end | [`App::shutdown`] |
//! | show the domain to people | [`Domain::describe`], [`Domain::map`] |

mod ask;
mod attempt;
mod builder;
mod cache;
mod canonical;
mod caught_up;
mod claims;
mod clock;
pub(crate) mod dispatch;
pub(crate) mod domain;
mod encode;
mod engine;
mod handle;
mod import;
mod layer;
mod load;
mod log;
mod map;
mod options;
mod queries;
pub(crate) mod query_route;
mod read_models;
mod receipt;
mod recent_keys;
mod repeat;
mod replay;
pub(crate) mod route;
pub(crate) mod running;
mod turn;
mod visible;
mod waits;

pub use ask::{Ask, AskJson};
pub use builder::{AppBuilder, BuildError};
pub use caught_up::{CaughtUp, NotCaughtUp};
pub use claims::{BuildClaims, ClaimsProgress};
pub use clock::{Clock, ManualClock, SystemClock};
pub use dispatch::{Dispatch, Outcome};
pub use domain::{CommandOf, Domain, DomainOn, DomainTable, Runs};
pub use engine::Limits;
pub use handle::{App, DispatchJson};
pub use import::{DispatchAll, Imported};
pub use layer::{CommandReply, CommandRequest, DispatchService};
pub use load::{Load, Loaded};
pub use log::EventLog;
pub use map::DomainMap;
pub use options::DispatchOptions;
pub use queries::Queries;
pub use receipt::{Receipt, Visibility};
