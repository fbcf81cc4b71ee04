// An event is a struct.
use es_runtime::prelude::*;

#[domain_event]
pub enum Opened {
    Quickly,
}

fn main() {}
