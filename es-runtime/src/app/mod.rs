//! The application: a domain on a store.
//!
//! [`App`] is what a program holds: it dispatches commands and reads what they left.

mod attempt;
mod builder;
mod cache;
mod clock;
pub(crate) mod dispatch;
pub(crate) mod domain;
mod engine;
mod handle;
mod import;
mod layer;
mod load;
mod log;
mod map;
mod options;
mod queries;
mod receipt;
mod replay;
pub(crate) mod route;
mod turn;

pub use builder::{AppBuilder, BuildError};
pub use clock::{Clock, ManualClock, SystemClock};
pub use dispatch::{Dispatch, Outcome};
pub use domain::{CommandOf, Domain, DomainOn, DomainTable};
pub use engine::Limits;
pub use handle::{App, DispatchJson};
pub use import::{DispatchAll, Imported};
pub use layer::{CommandReply, CommandRequest, DispatchService};
pub use load::{Load, Loaded};
pub use log::EventLog;
pub use map::DomainMap;
pub use options::DispatchOptions;
pub use queries::Queries;
pub use receipt::Receipt;
