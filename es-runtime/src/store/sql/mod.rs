//! What the stores in SQLite and PostgreSQL share about read models: everything that needs no database.
//!
//! | file | what it holds |
//! |---|---|
//! | `distinct` | the parts of a question, each once |
//! | `known` | versions of projections as they are stored, and what is decided on them |
//! | `fold` | folding a batch over rows that the store loads |
//! | `functions` | running the functions of a connected projection, and which of them ran last |
//! | `prefix` | texts that begin with another, as a range |

pub(in crate::store) mod distinct;
pub(in crate::store) mod fold;
pub(in crate::store) mod functions;
pub(in crate::store) mod known;
pub(in crate::store) mod prefix;
