//! A domain may be declared inside a function, as in tests.
#![deny(warnings)]

#[test]
fn compiles() {
    use es_runtime::prelude::*;

    #[domain_event]
    struct Opened {
        owner: String,
    }

    #[command(aggregate = Account)]
    struct Open {
        #[id]
        account: Uuid,
    }

    #[aggregate(name = "account", id = Uuid, events(Opened))]
    struct Account {
        owner: String,
    }

    #[aggregate]
    impl Account {
        #[apply]
        fn opened(event: &Opened) -> Self {
            Self { owner: event.owner.clone() }
        }

        #[command_handler]
        fn open(this: Option<&Account>, _: Open) -> Result<Option<Opened>, std::fmt::Error> {
            Ok(this.map(|account| Opened { owner: account.owner.clone() }))
        }
    }

    domain! { Bank = "bank"; aggregates: [Account]; commands: [Open] }
    assert_eq!(Bank::describe().name, "bank");
}
