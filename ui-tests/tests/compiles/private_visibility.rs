//! What is private stays private: the generated enums have the visibility of their declaration.
#![deny(warnings)]
use es_runtime::prelude::*;

mod inner {
    use es_runtime::prelude::*;

    #[domain_event]
    struct Opened;

    #[command(aggregate = Account)]
    struct Open {
        #[id]
        account: String,
    }

    #[aggregate(name = "account", id = String, events(Opened))]
    struct Account;

    #[aggregate]
    impl Account {
        #[apply]
        fn opened(_: &Opened) -> Self {
            Self
        }

        #[command_handler]
        fn open(command: Open) -> Option<Opened> {
            (!command.account.is_empty()).then_some(Opened)
        }
    }

    domain! { pub(super) Inner = "inner"; aggregates: [Account]; commands: [Open] }
}

domain! { Outer = "outer"; domains: [inner::Inner] }

#[test]
fn compiles() {
    assert_eq!(Outer::TABLE.domains[0].commands[0].name, "Open");
}
