//! An old program and a new one side by side on one schema: what the old one does not know stops those of it that need it, visibly, and no others.

use es_runtime::app::DomainOn;
use es_runtime::event::{ClaimKind, ClaimRule, DecodeError};
use es_runtime::prelude::*;
use es_runtime::store::{ClaimRegistry as _, EventClaims, EventStore as _, PostgresStore, StoreError};
use es_runtime::subscription::{StopReason, SubscriptionState};
use futures_util::TryStreamExt as _;
use sqlx::AssertSqlSafe;

use super::{schema, until};
use crate::place::Place as _;

macro_rules! program {
    ($module:ident, $measured:item, [$($more:ident),*], $($rest:item)*) => {
        mod $module {
            use super::*;

            #[domain_event]
            pub struct Installed {
                pub room: String,
            }

            $measured

            #[command(aggregate = Sensor)]
            pub struct Install {
                #[id]
                pub sensor: Uuid,
                pub room: String,
            }

            #[command(aggregate = Sensor)]
            pub struct Measure {
                #[id]
                pub sensor: Uuid,
                pub degrees: i32,
            }

            #[aggregate(name = "sensor", id = Uuid, events(Installed, Measured $(, $more)*))]
            pub struct Sensor {
                seen: u32,
            }

            impl Sensor {
                pub fn seen(&self) -> u32 {
                    self.seen
                }
            }

            /// Needs nothing that is new.
            #[read_model(table = "rooms")]
            pub struct Room {
                #[key]
                pub sensor: Uuid,
                pub name: String,
            }

            #[projection(name = "rooms", version = 1)]
            impl Room {
                #[async_projection]
                fn installed(event: &Recorded<Installed>) -> Self {
                    Self { sensor: event.id_of::<Sensor>(), name: event.room.clone() }
                }
            }

            /// Puts aside what it cannot read.
            #[read_model(table = "counts")]
            pub struct Count {
                #[key]
                pub sensor: Uuid,
                pub measured: u32,
            }

            #[projection(name = "counts", version = 1)]
            impl Count {
                #[async_projection]
                fn measured(this: Option<Self>, event: &Recorded<Measured>) -> Option<Self> {
                    let measured = this.map_or(0, |this| this.measured) + 1;
                    Some(Self { sensor: event.id_of::<Sensor>(), measured })
                }
            }

            /// Stops at what it cannot read.
            #[read_model(table = "strict_counts")]
            pub struct StrictCount {
                #[key]
                pub sensor: Uuid,
                pub measured: u32,
            }

            #[projection(name = "strict_counts", version = 1, on_failure = stop)]
            impl StrictCount {
                #[async_projection]
                fn measured(this: Option<Self>, event: &Recorded<Measured>) -> Option<Self> {
                    let measured = this.map_or(0, |this| this.measured) + 1;
                    Some(Self { sensor: event.id_of::<Sensor>(), measured })
                }
            }

            $($rest)*
        }
    };
}

program! {
    old,
    #[domain_event]
    pub struct Measured {
        pub degrees: i32,
    },
    [],

    #[aggregate]
    impl Sensor {
        #[apply]
        fn installed(_: &Installed) -> Self {
            Self { seen: 0 }
        }

        #[apply]
        fn measured(&mut self, _: &Measured) {
            self.seen += 1;
        }

        #[command_handler]
        fn install(command: Install) -> Installed {
            Installed { room: command.room }
        }

        #[command_handler]
        fn measure(&self, command: Measure) -> Measured {
            Measured { degrees: command.degrees }
        }
    }

    domain! { pub House = "house"; aggregates: [Sensor]; commands: [Install, Measure]; projections: [Room, Count, StrictCount] }
}

program! {
    new,
    #[domain_event(version = 2)]
    pub struct Measured {
        pub degrees: i32,
        pub sure: bool,
    },
    [Removed],

    #[upcast(event = Measured, from = 1)]
    fn measured_without_doubt(mut old: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
        old["sure"] = true.into();
        Ok(old)
    }

    #[domain_event]
    pub struct Removed {}

    #[command(aggregate = Sensor)]
    pub struct Remove {
        #[id]
        pub sensor: Uuid,
    }

    #[aggregate]
    impl Sensor {
        #[apply]
        fn installed(_: &Installed) -> Self {
            Self { seen: 0 }
        }

        #[apply]
        fn measured(&mut self, _: &Measured) {
            self.seen += 1;
        }

        #[apply]
        fn removed(&mut self, _: &Removed) {
            self.seen = 0;
        }

        #[command_handler]
        fn install(command: Install) -> Installed {
            Installed { room: command.room }
        }

        #[command_handler]
        fn measure(&self, command: Measure) -> Measured {
            Measured { degrees: command.degrees, sure: false }
        }

        #[command_handler]
        fn remove(&self, _: Remove) -> Removed {
            Removed {}
        }
    }

    domain! { pub House = "house"; aggregates: [Sensor]; commands: [Install, Measure, Remove]; projections: [Room, Count, StrictCount] }
}

/// Gives the state of the only partition of a projection.
fn state<D: DomainOn<PostgresStore>>(app: &App<D, PostgresStore>, name: &str) -> SubscriptionState {
    let health = app.subscriptions().health();
    let health = health.borrow();
    health.of(name).next().unwrap().state.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_old_program_does_not_know_stops_only_those_of_it_that_need_it() {
    let schema = schema!();
    let old: App<old::House, _> = App::builder(schema.open().await).build().await.unwrap();
    // The new program only dispatches at first: the old one has all partitions.
    let new: App<new::House, _> = App::builder(schema.open().await).without_workers().build().await.unwrap();
    let [one, two] = [Uuid::now_v7(), Uuid::now_v7()];
    old.dispatch(old::Install { sensor: one, room: "hall".into() }).await.unwrap();
    old.dispatch(old::Measure { sensor: one, degrees: 20 }).await.unwrap();
    // An event of a type that the old program does not know, and one in a newer form.
    new.dispatch(new::Measure { sensor: one, degrees: 21 }).await.unwrap();
    let removed = new.dispatch(new::Remove { sensor: one }).await.unwrap();
    old.dispatch(old::Install { sensor: two, room: "attic".into() }).await.unwrap();
    old.dispatch(old::Measure { sensor: two, degrees: 5 }).await.unwrap();

    // Whoever needs neither goes on.
    until("the old program's rooms", async || old.table::<old::Room>().list().await.unwrap().len() == 2).await;
    assert!(matches!(state(&old, "rooms"), SubscriptionState::CaughtUp | SubscriptionState::Running));
    // Whoever needs the newer form puts it aside, and goes on with other streams …
    until("the other sensor's count", async || old.table::<old::Count>().get(&two).await.unwrap().is_some()).await;
    let letters = old.subscriptions().letters("counts", None, 10).await.unwrap();
    let text = "version 2 of event `Measured` is unknown to this program, which knows versions up to 1";
    assert_eq!(letters.len(), 1);
    assert!(letters[0].letter.cause.as_ref().is_some_and(|cause| cause.contains(text)), "{letters:?}");
    assert_eq!(letters[0].letter.stream, new::Sensor::stream(&one));
    // … or stops, if it is to, and says where and why.
    until("the stop", async || matches!(state(&old, "strict_counts"), SubscriptionState::Stopped { .. })).await;
    let SubscriptionState::Stopped { reason, .. } = state(&old, "strict_counts") else { unreachable!() };
    let StopReason::Failed { stream, position, cause, .. } = &reason else { panic!("{reason:?}") };
    assert_eq!((stream, position.get() + 1), (&new::Sensor::stream(&one), removed.position().get()));
    assert!(cause.contains(text), "{cause}");
    assert!(!old.subscriptions().health().borrow().is_well());

    // The aggregate itself cannot be loaded, and says which event.
    let error = old.load::<old::Sensor>(one).await.map(drop).unwrap_err();
    assert!(matches!(&error, StoreError::Decode(DecodeError::At { .. })), "{error:?}");
    assert_eq!(error.to_string(), format!("stream `sensor/{one}`, version 3: {text}"));
    let error = old.dispatch(old::Measure { sensor: one, degrees: 1 }).await.unwrap_err();
    assert!(error.to_string().contains(text), "{error}");
    let error = old.events().decode::<old::House>().try_collect::<Vec<_>>().await.unwrap_err();
    assert!(error.to_string().contains(&format!("position {}: {text}", position)), "{error}");
    // Others can.
    old.dispatch(old::Measure { sensor: two, degrees: 6 }).await.unwrap();
    assert_eq!(old.load::<old::Sensor>(two).await.unwrap().state().unwrap().seen(), 2);
    assert_eq!(new.load::<new::Sensor>(two).await.unwrap().state().unwrap().seen(), 2);

    // The new program takes over: letters and stops are healed by it.
    old.shutdown().await;
    new.shutdown().await;
    let new: App<new::House, _> = App::builder(schema.open().await).build().await.unwrap();
    until("the letters are handled", async || {
        new.subscriptions().retry("counts", None).await.is_ok()
            && new.subscriptions().letters("counts", None, 10).await.unwrap().is_empty()
    })
    .await;
    new.subscriptions().resume("strict_counts").await.unwrap();
    new.caught_up().within_secs(120).await.unwrap();
    for sensor in [one, two] {
        assert_eq!(new.table::<new::Count>().get(&sensor).await.unwrap().unwrap().measured, 2);
        assert_eq!(new.table::<new::StrictCount>().get(&sensor).await.unwrap().unwrap().measured, 2);
    }
    until("all is well", async || new.subscriptions().health().borrow().is_well()).await;
    new.shutdown().await;
}

/// Programs from before the store knew rules call `es_append`, which is still there for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_from_before_the_rules_appends_no_event_that_claims() {
    let schema = schema!();
    let store = schema.open().await;
    let rules: &'static [ClaimRule] = &[ClaimRule { set: "email", field: "email", kind: ClaimKind::Claim }];
    let claims = [EventClaims { aggregate: "account", event: "joined", rules }];
    assert_eq!(store.register_claims(&claims).await.unwrap(), []);
    for (kind, number) in [("made", 1), ("joined", 2)] {
        let mut connection = schema.connect().await;
        let appended = sqlx::query(AssertSqlSafe(format!(
            "SELECT es_append(NULL, ARRAY[{number}]::bigint[], '{{\"\"}}', '{{account}}', '{{k{number}}}', ARRAY[{number}]::bigint[], '{{1}}', \
             ARRAY[gen_random_uuid()], '{{{kind}}}', '{{1}}', ARRAY['{{}}'::bytea], ARRAY['{{}}'::bytea], ARRAY[now()], \
             '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', \
             '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}')"
        )))
        .execute(&mut connection)
        .await;
        match appended {
            Ok(_) => assert_eq!(kind, "made"),
            Err(error) => assert!(kind == "joined" && error.to_string().contains("claims other keys"), "{error}"),
        }
    }
    assert_eq!(store.event_count().await.unwrap(), 1);
    store.close().await;
}
