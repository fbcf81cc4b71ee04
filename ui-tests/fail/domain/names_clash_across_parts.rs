// Names are unique in the whole.
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

mod two {
    use es_runtime::prelude::*;

    #[aggregate(name = "account", id = Uuid, events(super::Opened))]
    pub struct Card {}

    #[aggregate]
    impl Card {
        #[apply]
        fn opened(_: &super::Opened) -> Self {
            Self {}
        }
    }

    domain! { pub Two = "two"; aggregates: [Card] }
}

domain! { pub Whole = "whole"; domains: [one::One, two::Two] }

fn main() {}
