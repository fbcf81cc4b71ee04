// Local time has no meaning on another machine.
use es_runtime::prelude::*;

#[domain_event]
pub struct Opened {
    pub at: chrono::NaiveDateTime,
    pub due: Option<Vec<chrono::DateTime<chrono::Local>>>,
}

fn main() {}
