//! What becomes of the commits of a group, without a database: what the stores in SQLite and PostgreSQL share.
//!
//! | file | what it holds |
//! |---|---|
//! | `plan` | what becomes of each commit of a group, and what the group writes |
//! | `cache` | what a group may be decided on without asking the database |
//! | `sync` | the synchronous projections that have a say in it |
//! | `limits` | how much a group takes |
//! | `answer` | what everybody is told |

pub(in crate::store) mod answer;
pub(in crate::store) mod cache;
pub(in crate::store) mod limits;
pub(in crate::store) mod plan;
pub(in crate::store) mod sync;
