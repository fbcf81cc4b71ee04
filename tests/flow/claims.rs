//! Claims that come to events with a history: the program that claims does not start before the keys are built.

use std::sync::{Arc, Mutex};

use es_runtime::app::{BuildError, ClaimsProgress};
use es_runtime::event::StreamId;
use es_runtime::prelude::*;
use es_runtime::store::{BuildClaimsError, DuplicateClaim, Store};

use crate::domain::on_every_store;

on_every_store! {
    a_claim_on_an_event_with_a_history_is_built_before_its_program_starts,
    streams_that_hold_the_same_key_are_listed_and_programs_without_the_claim_go_on,
    a_claim_on_an_event_without_a_history_is_in_force_at_once,
    a_claim_that_is_taken_away_frees_its_keys_once_that_was_built,
    a_build_ends_while_other_events_are_stored,
    an_event_that_cannot_be_read_is_named_with_its_place,
    a_key_of_128_bits_is_claimed,
}

macro_rules! program {
    ($module:ident, { $($joined:tt)* }, { $($moved:tt)* }, { $($left:tt)* }) => {
        pub mod $module {
            use super::*;

            #[domain_event]
            pub struct Joined { $($joined)* pub email: String }
            #[domain_event]
            pub struct Moved { $($moved)* }
            #[domain_event]
            pub struct Left { $($left)* pub email: Option<String> }
            #[domain_event]
            pub struct Greeted {}

            #[command(aggregate = Member)]
            pub struct Join { #[id] pub member: Uuid, pub email: String }
            #[command(aggregate = Member)]
            pub struct Move { #[id] pub member: Uuid, pub email: String }
            #[command(aggregate = Member)]
            pub struct Leave { #[id] pub member: Uuid }
            #[command(aggregate = Member)]
            pub struct Greet { #[id] pub member: Uuid }

            #[aggregate(name = "member", id = Uuid, events(Joined, Moved, Left, Greeted))]
            pub struct Member { email: Option<String> }

            #[aggregate]
            impl Member {
                #[apply] fn joined(event: &Joined) -> Self { Self { email: Some(event.email.clone()) } }
                #[apply] fn moved(&mut self, event: &Moved) { self.email = Some(event.new.clone()); }
                #[apply] fn left(&mut self, _: &Left) { self.email = None; }
                #[apply] fn greeted(&mut self, _: &Greeted) {}

                #[command_handler] fn join(command: Join) -> Joined { Joined { email: command.email } }
                #[command_handler] fn move_to(&self, command: Move) -> Moved {
                    Moved { old: self.email.clone(), new: command.email }
                }
                #[command_handler] fn leave(&self, _: Leave) -> Left { Left { email: self.email.clone() } }
                #[command_handler] fn greet(&self, _: Greet) -> Greeted { Greeted {} }
            }

            domain! { pub Club = "club"; aggregates: [Member]; commands: [Join, Move, Leave, Greet] }

            pub async fn open<S: Store>(store: &S) -> App<Club, S> {
                App::builder(store.clone()).build().await.unwrap()
            }

            pub async fn join<S: Store>(club: &App<Club, S>, email: &str) -> Result<Uuid, &'static str> {
                let member = Uuid::now_v7();
                let joined = club.dispatch(Join { member, email: email.to_owned() }).await;
                joined.map(|_| member).map_err(|error| error.kind())
            }
        }
    };
}

program!(without, {}, { pub old: Option<String>, pub new: String }, {});
program!(
    with,
    { #[claim("email")] },
    { #[release("email")] pub old: Option<String>, #[claim("email")] pub new: String },
    { #[release("email")] }
);

/// Builds the claims of the newer program in pages of a size; gives the progress that it told.
async fn build<S: Store>(store: &S, page: usize) -> Result<Vec<ClaimsProgress>, BuildClaimsError> {
    let told = Arc::<Mutex<Vec<_>>>::default();
    let tell = Arc::clone(&told);
    App::<with::Club, _>::builder(store.clone())
        .limits(|limits| limits.page = page)
        .build_claims()
        .on_progress(move |progress| tell.lock().unwrap().push(progress))
        .await?;
    let told = told.lock().unwrap().clone();
    Ok(told)
}

async fn not_built<D: es_runtime::app::DomainOn<S>, S: Store>(store: &S) -> Vec<String> {
    match App::<D, S>::builder(store.clone()).build().await {
        Err(BuildError::ClaimsNotBuilt { events }) => events.into_iter().map(|differ| differ.event).collect(),
        Err(other) => panic!("{other}"),
        Ok(_) => Vec::new(),
    }
}

async fn a_claim_on_an_event_with_a_history_is_built_before_its_program_starts(store: impl Store) {
    let old = without::open(&store).await;
    let ann = without::join(&old, "ann").await.unwrap();
    let bob = without::join(&old, "bob").await.unwrap();
    let cyd = without::join(&old, "cyd").await.unwrap();
    old.dispatch(without::Leave { member: bob }).await.unwrap();
    old.dispatch(without::Move { member: cyd, email: "bob".to_owned() }).await.unwrap();
    old.dispatch(without::Move { member: cyd, email: "cyd".to_owned() }).await.unwrap();
    old.dispatch(without::Move { member: cyd, email: "eve".to_owned() }).await.unwrap();

    let refused = App::<with::Club, _>::builder(store.clone()).build().await.map(drop).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "claims have to be built from what is stored, once, by the newest program: `App::builder(store).build_claims()`:\n  \
         event `Joined` of aggregate `member` claims nothing in the store, and claims `email` in the set `email` in this program\n  \
         event `Moved` of aggregate `member` claims nothing in the store, and frees `old` in the set `email`, claims `new` in the \
         set `email` in this program\n  \
         event `Left` of aggregate `member` claims nothing in the store, and frees `email` in the set `email` in this program"
    );
    // Nothing has begun: the old program goes on.
    old.dispatch(without::Greet { member: ann }).await.unwrap();

    let told = build(&store, 2).await.unwrap();
    assert!(told.len() >= 4 && told.is_sorted_by_key(|progress| progress.done), "{told:?}");
    let head = store.head().await.unwrap().get();
    assert_eq!(told.last().map(|progress| (progress.done, progress.total)), Some((head, head)));
    assert_eq!(build(&store, 2).await.unwrap(), [], "there is nothing left to do");

    let new = with::open(&store).await;
    for held in ["ann", "eve"] {
        assert_eq!(with::join(&new, held).await, Err("claimed"), "{held}");
    }
    for free in ["bob", "cyd"] {
        with::join(&new, free).await.unwrap();
    }
    new.dispatch(with::Leave { member: ann }).await.unwrap();
    with::join(&new, "ann").await.unwrap();

    // The old program stores no event that claims, everything else, and does not start again.
    assert_eq!(without::join(&old, "new").await, Err("claims_differ"));
    let error = old.dispatch(without::Leave { member: cyd }).await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    old.dispatch(without::Greet { member: cyd }).await.unwrap();
    assert_eq!(not_built::<without::Club, _>(&store).await, ["Joined", "Moved", "Left"]);
}

async fn streams_that_hold_the_same_key_are_listed_and_programs_without_the_claim_go_on(store: impl Store) {
    let old = without::open(&store).await;
    let one = without::join(&old, "ann").await.unwrap();
    without::join(&old, "eve").await.unwrap();
    let other = without::join(&old, "ann").await.unwrap();
    let Err(BuildClaimsError::Duplicates(duplicates)) = build(&store, 100).await else {
        panic!("there is a duplicate")
    };
    let mut streams = [one, other].map(|member| StreamId::new("member", member.to_string()));
    streams.sort();
    let [DuplicateClaim { set, key, streams: mut listed }] = <[_; 1]>::try_from(duplicates.listed).unwrap();
    listed.sort();
    assert_eq!((duplicates.count, set.as_str(), key.as_str(), listed), (1, "email", "ann", streams));
    assert_eq!(not_built::<with::Club, _>(&store).await, ["Joined"]);

    // The old program goes on, and puts it right.
    old.dispatch(without::Move { member: other, email: "bob".to_owned() }).await.unwrap();
    build(&store, 100).await.unwrap();
    let new = with::open(&store).await;
    for held in ["ann", "bob", "eve"] {
        assert_eq!(with::join(&new, held).await, Err("claimed"), "{held}");
    }
}

async fn a_claim_on_an_event_without_a_history_is_in_force_at_once(store: impl Store) {
    let old = without::open(&store).await;
    assert_eq!(not_built::<with::Club, _>(&store).await, [""; 0]);
    let new = with::open(&store).await;
    with::join(&new, "ann").await.unwrap();
    assert_eq!(with::join(&new, "ann").await, Err("claimed"));
    assert_eq!(without::join(&old, "ann").await, Err("claims_differ"));
}

async fn a_claim_that_is_taken_away_frees_its_keys_once_that_was_built(store: impl Store) {
    let new = with::open(&store).await;
    with::join(&new, "ann").await.unwrap();
    assert_eq!(not_built::<without::Club, _>(&store).await, ["Joined"]);
    App::<without::Club, _>::builder(store.clone()).build_claims().await.unwrap();
    let old = without::open(&store).await;
    let other = without::join(&old, "ann").await.unwrap();
    assert_eq!(with::join(&new, "eve").await, Err("claims_differ"));
    // Claimed again, it is built again.
    assert!(matches!(build(&store, 1).await, Err(BuildClaimsError::Duplicates(_))));
    old.dispatch(without::Leave { member: other }).await.unwrap();
    build(&store, 1).await.unwrap();
    assert_eq!(with::join(&new, "ann").await, Err("claimed"));
    assert!(matches!(&*not_built::<without::Club, _>(&store).await, [joined, ..] if joined == "Joined"));
}

async fn a_build_ends_while_other_events_are_stored(store: impl Store) {
    let old = without::open(&store).await;
    let ann = without::join(&old, "ann").await.unwrap();
    for _ in 0..20 {
        old.dispatch(without::Greet { member: ann }).await.unwrap();
    }
    let (greeting, greeter) = (Arc::new(()), old.clone());
    let alive = Arc::downgrade(&greeting);
    let (greeted, was_greeted) = tokio::sync::oneshot::channel();
    let greeter = tokio::spawn(async move {
        greeter.dispatch(without::Greet { member: ann }).await.unwrap();
        greeted.send(()).unwrap();
        while alive.upgrade().is_some() {
            greeter.dispatch(without::Greet { member: ann }).await.unwrap();
        }
    });
    was_greeted.await.unwrap();
    build(&store, 3).await.unwrap();
    drop(greeting);
    greeter.await.unwrap();
    let new = with::open(&store).await;
    assert_eq!(with::join(&new, "ann").await, Err("claimed"));
}

/// The same names as in the others, with a field that they do not write.
mod other {
    use super::*;

    #[domain_event]
    pub struct Joined {
        #[claim("login")]
        pub login: u128,
    }

    #[command(aggregate = Member)]
    pub struct Join {
        #[id]
        pub member: Uuid,
        pub login: u128,
    }

    #[aggregate(name = "member", id = Uuid, events(Joined))]
    pub struct Member {}

    #[aggregate]
    impl Member {
        #[apply]
        fn joined(_: &Joined) -> Self {
            Self {}
        }

        #[command_handler]
        fn join(command: Join) -> Joined {
            Joined { login: command.login }
        }
    }

    domain! { pub Club = "club"; aggregates: [Member]; commands: [Join] }
}

async fn an_event_that_cannot_be_read_is_named_with_its_place(store: impl Store) {
    let old = without::open(&store).await;
    let member = without::join(&old, "ann").await.unwrap();
    let error = App::<other::Club, _>::builder(store.clone()).build_claims().await.unwrap_err().to_string();
    let place = format!(
        "stream `member/{member}`, version 1, position 1: the stored form of event `Joined` version 1 does not fit"
    );
    assert!(error.starts_with(&place) && error.contains("login"), "{error}");
    // It is begun, so the old program waits until it is taken back.
    assert_eq!(without::join(&old, "bob").await, Err("claims_differ"));
    App::<without::Club, _>::builder(store.clone()).build_claims().await.unwrap();
    without::join(&old, "bob").await.unwrap();
}

async fn a_key_of_128_bits_is_claimed(store: impl Store) {
    let club: App<other::Club, _> = App::builder(store).build().await.unwrap();
    let join = |login| club.dispatch(other::Join { member: Uuid::now_v7(), login });
    join(u128::MAX).await.unwrap();
    assert_eq!(join(u128::MAX).await.map(drop).unwrap_err().kind(), "claimed");
    join(u128::MAX - 1).await.unwrap();
}
