// Names are the stored form.
use es_runtime::prelude::*;

#[domain_event]
pub struct Opened(String);

fn main() {}
