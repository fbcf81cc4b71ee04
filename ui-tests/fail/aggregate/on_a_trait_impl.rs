// The attribute is for inherent blocks.
use es_runtime::prelude::*;

pub struct Account;

#[aggregate]
impl Default for Account {
    fn default() -> Self {
        Self
    }
}

fn main() {}
