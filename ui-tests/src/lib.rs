//! What the test programs share: a crate of its own, so that its events come from elsewhere.

use es_runtime::prelude::*;

/// An event of another crate.
#[domain_event]
pub struct Noted {
    /// What is noted.
    pub text: String,
}
