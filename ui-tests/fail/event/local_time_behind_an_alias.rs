// An alias does not hide local time.
use es_runtime::prelude::*;

type Moment = chrono::NaiveDateTime;

#[domain_event]
pub struct Opened {
    pub at: Option<Moment>,
}

fn main() {}
