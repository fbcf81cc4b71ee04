// A domain is listed once.
use es_runtime::prelude::*;

#[domain_event]
pub struct Opened {}

mod one {
    use es_runtime::prelude::*;

    #[aggregate(name = "account", id = Uuid, events(super::Opened))]
    pub struct Account {}

    #[aggregate]
    impl Account {
        #[apply]
        fn opened(_: &super::Opened) -> Self {
            Self {}
        }
    }

    domain! { pub One = "one"; aggregates: [Account] }
}

domain! { pub Whole = "whole"; domains: [one::One, one::One] }

fn main() {}
