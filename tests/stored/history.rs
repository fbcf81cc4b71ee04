//! What is in the log is read, although it is older than a rule.

use es_runtime::prelude::*;
use es_runtime::store::Store;

use crate::domain::on_every_store;

on_every_store! {
    what_is_stored_is_read_although_it_breaks_a_newer_rule,
    a_raw_upcaster_is_told_of_numbers_that_it_would_round,
    snapshots_of_a_form_that_is_not_visible_need_a_version,
}

/// Both domains, with and without the rule.
macro_rules! discounts {
    ($module:ident, $($rule:ident)?, $new:expr) => {
        mod $module {
            use super::*;

            #[value_object($($rule)?)]
            pub struct Discount(u8);

            #[domain_event]
            pub struct Granted {
                pub discount: Discount,
            }

            #[command(aggregate = Customer)]
            pub struct Grant {
                #[id]
                pub customer: u64,
                pub discount: Discount,
            }

            #[aggregate(name = "customer", id = u64, events(Granted), snapshot(every = 1))]
            pub struct Customer {
                discount: Discount,
            }

            #[aggregate]
            impl Customer {
                #[apply]
                fn granted(event: &Granted) -> Self {
                    Self { discount: event.discount.clone() }
                }
                #[command_handler]
                fn grant(command: Grant) -> Granted {
                    Granted { discount: command.discount }
                }
                pub fn discount(&self) -> u8 {
                    *self.discount.value()
                }
            }

            /// The discounts, also as they were.
            #[read_model(table = "discounts")]
            pub struct Row {
                #[key]
                pub customer: u64,
                #[json]
                pub discount: Discount,
            }

            #[projection(name = "discounts", version = 1)]
            impl Row {
                #[async_projection]
                fn granted(event: &Recorded<Granted>) -> Self {
                    Self { customer: event.id_of::<Customer>(), discount: event.discount.clone() }
                }
            }

            domain! { pub Shop = "shop"; aggregates: [Customer]; commands: [Grant]; projections: [Row] }
        }
    };
}
discounts!(before, , Discount::new(150));
discounts!(after, validate, Discount::new(50).unwrap());

#[value_object]
impl after::Discount {
    fn validate(&self) -> Result<(), TooMuch> {
        if *self.value() <= 100 { Ok(()) } else { Err(TooMuch) }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("too much")]
pub struct TooMuch;

async fn what_is_stored_is_read_although_it_breaks_a_newer_rule<S: Store>(store: S) {
    let old = App::<before::Shop, _>::builder(store.clone()).build().await.unwrap();
    old.dispatch(before::Grant { customer: 1, discount: before::Discount::new(150) }).await.unwrap();
    old.caught_up().await.unwrap();
    assert_eq!(old.load::<before::Customer>(1).await.unwrap().state().unwrap().discount(), 150);

    let new = App::<after::Shop, _>::builder(store).build().await.unwrap();
    let customer = new.load::<after::Customer>(1).await.unwrap();
    assert_eq!(customer.state().unwrap().discount(), 150);
    let history = new.history::<after::Customer>(1).await.unwrap();
    let after::CustomerEvent::Granted(granted) = history[0].event();
    assert_eq!(*granted.discount.value(), 150);
    assert_eq!(*new.table::<after::Row>().get(&1).await.unwrap().unwrap().discount.value(), 150);
    // What comes from outside is held to the rule.
    let error = new.dispatch_json_slice("Grant", br#"{"customer":2,"discount":150}"#).await.unwrap_err();
    assert!(error.to_string().starts_with("command `Grant` could not be read at `discount`: too much"), "{error}");
    assert!(after::Discount::new(150).is_err());
}

mod wide {
    use super::*;

    pub mod first {
        use super::*;

        #[domain_event]
        pub struct Counted {
            pub count: u128,
        }
        #[command(aggregate = Counter)]
        pub struct Count {
            #[id]
            pub counter: u64,
            pub count: u128,
        }
        #[aggregate(name = "counter", id = u64, events(Counted))]
        pub struct Counter {}
        #[aggregate]
        impl Counter {
            #[apply]
            fn counted(_: &Counted) -> Self {
                Self {}
            }
            #[command_handler]
            fn count(command: Count) -> Counted {
                Counted { count: command.count }
            }
        }
        domain! { pub Counters = "counters"; aggregates: [Counter]; commands: [Count] }
    }

    pub mod second {
        use super::*;

        #[domain_event(version = 2)]
        pub struct Counted {
            pub count: String,
        }
        #[upcast(event = Counted, from = 1)]
        fn counted(old: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
            Ok(serde_json::json!({ "count": old["count"].to_string() }))
        }
        #[command(aggregate = Counter)]
        pub struct Count {
            #[id]
            pub counter: u64,
        }
        #[aggregate(name = "counter", id = u64, events(Counted))]
        pub struct Counter {
            pub(crate) count: String,
        }
        #[aggregate]
        impl Counter {
            #[apply]
            fn counted(event: &Counted) -> Self {
                Self { count: event.count.clone() }
            }
            #[command_handler]
            fn count(_: Count) -> Counted {
                Counted { count: String::new() }
            }
        }
        domain! { pub Counters = "counters"; aggregates: [Counter]; commands: [Count] }
    }
}

async fn a_raw_upcaster_is_told_of_numbers_that_it_would_round<S: Store>(store: S) {
    let first = App::<wide::first::Counters, _>::builder(store.clone()).build().await.unwrap();
    first.dispatch(wide::first::Count { counter: 1, count: u128::from(u64::MAX) }).await.unwrap();
    first.dispatch(wide::first::Count { counter: 2, count: u128::MAX }).await.unwrap();
    let second = App::<wide::second::Counters, _>::builder(store).build().await.unwrap();
    let good = second.load::<wide::second::Counter>(1).await.unwrap();
    assert_eq!(good.state().unwrap().count, u64::MAX.to_string());
    let error = second.load::<wide::second::Counter>(2).await.unwrap_err().to_string();
    assert!(error.contains("340282366920938463463374607431768211455 has more than 64 bits"), "{error}");
}

mod hidden {
    use super::*;

    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    #[serde(untagged)]
    pub enum Price {
        Whole(u64),
        Text(String),
    }
    #[domain_event]
    pub struct Priced {}
    #[command(aggregate = Thing)]
    pub struct Set {
        #[id]
        pub thing: u64,
    }
    #[aggregate(name = "thing", id = u64, events(Priced), snapshot(every = 1))]
    pub struct Thing {
        prices: Vec<Price>,
    }
    #[aggregate]
    impl Thing {
        #[apply]
        fn priced(_: &Priced) -> Self {
            Self { prices: vec![Price::Whole(1), Price::Text(String::new())] }
        }
        #[command_handler]
        fn set(_: Set) -> Priced {
            Priced {}
        }
    }
    domain! { pub Things = "things"; aggregates: [Thing]; commands: [Set] }
}

async fn snapshots_of_a_form_that_is_not_visible_need_a_version<S: Store>(store: S) {
    let error = App::<hidden::Things, _>::builder(store).build().await.unwrap_err();
    let es_runtime::app::BuildError::SnapshotNeedsVersion { aggregate, field } = &error else { panic!("{error}") };
    assert_eq!((*aggregate, field.as_str()), ("thing", "prices"));
    assert!(error.to_string().contains("write `snapshot(every = …, version = 1)`"), "{error}");
}
