//! The application: a domain on a store.

pub(crate) mod dispatch;
pub(crate) mod domain;
mod map;
mod queries;
mod receipt;
pub(crate) mod route;

pub use domain::{CommandOf, Domain, DomainOn, DomainTable};
pub use map::DomainMap;
pub use queries::Queries;
pub use receipt::Receipt;
