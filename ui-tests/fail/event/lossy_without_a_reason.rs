// A number may lose precision if somebody says why.
use es_runtime::prelude::*;

#[domain_event]
pub struct Measured {
    #[lossy]
    pub price: f64,
    #[lossy = ""]
    pub cost: f64,
}

fn main() {}
