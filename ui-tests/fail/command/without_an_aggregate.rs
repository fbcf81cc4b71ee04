// A command is for an aggregate.
use es_runtime::prelude::*;

#[command]
pub struct Open {
    #[id]
    pub account: Uuid,
}

fn main() {}
