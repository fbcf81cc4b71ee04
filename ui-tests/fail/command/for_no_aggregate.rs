// A command is for an aggregate.
use es_runtime::prelude::*;

pub struct Account;

#[command(aggregate = Account)]
pub struct Open {
    #[id]
    pub account: Uuid,
}

fn main() {}
