//! The test kit tells what is wrong.

use std::panic::{AssertUnwindSafe, catch_unwind};

use es_runtime::prelude::*;
use es_runtime::testing::{LockError, TestApp, given, update_events_lock};

use crate::domain::{
    Account, AccountEvent, Bank, Deposit, Deposited, Gateway, Misbehave, Misbehaviour, Open, Opened, Refused, Withdraw,
    Withdrawn,
};

fn opened() -> Opened {
    Opened { owner: "ann".into() }
}

#[test]
fn scenarios_pass_where_the_domain_is_right() {
    let account = Uuid::nil();
    given::<Account>(()).when(Open { account, owner: "ann".into() }).then(opened());
    given::<Account>(opened()).when(Open { account, owner: "ann".into() }).then_already_exists();
    given::<Account>(()).when(Deposit::of(account, 5)).then_not_found();
    given::<Account>(opened()).when(Deposit::of(account, 0)).then_invalid("`cents`");
    let scenario = given::<Account>((opened(), Deposited { cents: 9 })).when(Withdraw { account, cents: 4 });
    assert_eq!(scenario.then(Withdrawn { cents: 4 }).state().unwrap().balance(), 5);
    given::<Account>(opened()).when(Withdraw { account, cents: 0 }).then_nothing();
    let refused = Refused::Insufficient { balance: 0, cents: 1 };
    given::<Account>(opened()).when(Withdraw { account, cents: 1 }).then_error(&refused);
    given::<Account>(opened())
        .when(Withdraw { account, cents: 1 })
        .then_error_where(|error| matches!(error, Refused::Insufficient { .. }));
}

fn failure(scenario: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(scenario)).expect_err("the scenario is wrong");
    panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap()
}

#[test]
fn a_wrong_scenario_shows_the_difference() {
    let account = Uuid::nil();
    let text = failure(|| {
        let _ = given::<Account>(opened()).when(Deposit::of(account, 5)).then(Deposited { cents: 6 });
    });
    assert!(text.starts_with("other events follow (- expected, + found):\n"), "{text}");
    assert!(text.contains("-             cents: 6,\n+             cents: 5,"), "{text}");
    let text = failure(|| {
        let _ = given::<Account>(opened()).when(Withdraw { account, cents: 5 }).then(Withdrawn { cents: 5 });
    });
    assert!(text.contains("the domain refuses the command with Insufficient"), "{text}");
    let text = failure(|| given::<Account>(opened()).when(Deposit::of(account, 5)).then_not_found());
    assert!(text.contains("`NotFound` does not follow: the command is accepted, with"), "{text}");
    let text = failure(|| {
        let _ = given::<Account>(AccountEvent::from(Deposited { cents: 5 }));
    });
    assert!(text.contains("the given events do not fit each other: event `Deposited` changes `account`"), "{text}");
    let text = failure(|| {
        let _ = given::<Account>(opened()).when(Misbehave { account, how: Misbehaviour::Panic }).then_nothing();
    });
    assert!(text.contains("the handler panicked"), "{text}");
}

#[tokio::test]
async fn a_test_app_has_a_clock_that_is_moved_by_hand() {
    let app = TestApp::<Bank>::with(|builder| builder.dependency(Gateway::default())).await.unwrap();
    let account = Uuid::nil();
    app.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    app.clock().advance(std::time::Duration::from_secs(90));
    app.dispatch(Deposit::of(account, 5)).await.unwrap();
    let history = app.history::<Account>(account).await.unwrap();
    assert_eq!((history[1].recorded_at() - history[0].recorded_at()).num_seconds(), 90);
}

/// Three versions of one event, as three programs would have them.
macro_rules! program {
    ($module:ident, $event:item) => {
        mod $module {
            use es_runtime::prelude::*;

            $event

            #[command(aggregate = Thing)]
            pub struct Make {
                #[id]
                pub thing: u32,
            }

            #[aggregate(name = "thing", id = u32, events(Made))]
            pub struct Thing {}

            #[aggregate]
            impl Thing {
                #[apply]
                fn made(_: &Made) -> Self {
                    Self {}
                }

                #[command_handler]
                fn make(_: Make) -> Result<Made, std::fmt::Error> {
                    Err(std::fmt::Error)
                }
            }

            domain! { pub Things = "things"; aggregates: [Thing]; commands: [Make] }
        }
    };
}

program! { original, #[domain_event] pub struct Made { pub size: u32 } }
program! { changed, #[domain_event] pub struct Made { pub size: u64 } }
program! { renamed, #[domain_event(name = "Manufactured")] pub struct Made { pub size: u32 } }

mod evolved {
    use es_runtime::prelude::*;

    #[domain_event(version = 2)]
    pub struct Made {
        pub size: u64,
    }

    #[upcast(event = Made, from = 1)]
    fn same(old: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
        Ok(old)
    }

    #[command(aggregate = Thing)]
    pub struct Make {
        #[id]
        pub thing: u32,
    }

    #[aggregate(name = "thing", id = u32, events(Made))]
    pub struct Thing {}

    #[aggregate]
    impl Thing {
        #[apply]
        fn made(_: &Made) -> Self {
            Self {}
        }

        #[command_handler]
        fn make(_: Make) -> Made {
            Made { size: 1 }
        }
    }

    domain! { pub Things = "things"; aggregates: [Thing]; commands: [Make] }
}

#[test]
fn a_lock_file_freezes_what_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.lock");
    update_events_lock::<original::Things>(&path).unwrap();
    let first = std::fs::read_to_string(&path).unwrap();
    assert!(first.ends_with("\nMade v1\n  size: u32\n"), "{first}");
    update_events_lock::<original::Things>(&path).unwrap();

    let error = update_events_lock::<changed::Things>(&path).unwrap_err();
    assert!(matches!(&error, LockError::Changed { version: 1, .. }), "{error}");
    assert!(error.to_string().contains("-   size: u32\n+   size: u64\n"), "{error}");
    let error = update_events_lock::<renamed::Things>(&path).unwrap_err();
    assert!(matches!(&error, LockError::Gone { name } if name == "Made"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), first, "a failed check leaves the file alone");

    update_events_lock::<evolved::Things>(&path).unwrap();
    let second = std::fs::read_to_string(&path).unwrap();
    assert!(second.ends_with("\nMade v1\n  size: u32\n\nMade v2\n  size: u64\n"), "{second}");
    let error = update_events_lock::<original::Things>(&path).unwrap_err();
    assert!(matches!(error, LockError::WentBack { locked: 2, version: 1, .. }), "{error}");
    std::fs::write(&path, "what is this?\n").unwrap();
    let error = update_events_lock::<original::Things>(&path).unwrap_err();
    assert!(matches!(error, LockError::Unreadable { line: 1, .. }), "{error}");
}
