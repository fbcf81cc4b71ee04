//! Projections that are renamed: what was built under the old name is taken over, and nobody builds it again under that.

use super::fixture::*;
use super::read_side::*;
use crate::projection::ProjectionDescriptor;
use crate::read_model::{ColumnDescriptor, TableDescriptor};
use crate::store::{BatchError, BatchWork, RegisterError, Store, VersionState};

/// [`FIRST`] under another name.
static RENAMED: ProjectionDescriptor =
    ProjectionDescriptor { name: "accounts", renamed_from: Some("balances"), ..FIRST };
/// The same without its old name.
static FORGETFUL: ProjectionDescriptor = ProjectionDescriptor { name: "accounts", ..FIRST };
/// Back to the old name.
static BACK: ProjectionDescriptor = ProjectionDescriptor { renamed_from: Some("accounts"), ..FIRST };
/// A second version, under the new name.
static RENAMED_SECOND: ProjectionDescriptor =
    ProjectionDescriptor { name: "accounts", renamed_from: Some("balances"), ..SECOND };

async fn states<S: Store>(store: &S, name: &str) -> Vec<(u32, VersionState)> {
    let known = store.projections().await.expect("readable");
    known.into_iter().filter(|version| version.name == name).map(|version| (version.version, version.state)).collect()
}

/// Verifies that rows, checkpoints, letters and versions are there under the new name, and that who ran the old one is fenced off.
pub async fn a_renamed_projection_keeps_what_was_built<S: Store>(store: S) {
    let mut old = Worker::start(&store, &FIRST).await;
    store_one(&store, commit_of(&stream("a"), 0, &["opened", "deposited"])).await.expect("stored");
    old.catch_up().await;
    let log = whole_log(&store, 10).await;
    let mut aside = old.batch(BatchWork::Nothing, None);
    aside.letters.push(letter(&log[1], "k", Some("cause")));
    old.project(aside).await.expect("put aside");
    let (before, rows) = (positions(&store, &FIRST).await, state(&store, &FIRST, "a").await);
    assert!(rows.is_some());

    register(&store, &RENAMED).await;
    register(&store, &RENAMED).await;
    assert_eq!(states(&store, "accounts").await, [(1, VersionState::Active)]);
    assert_eq!(states(&store, "balances").await, []);
    assert_eq!(positions(&store, &RENAMED).await, before);
    assert_eq!(state(&store, &RENAMED, "a").await, rows);
    let letters = store.letters("accounts", 1, None, 10).await.expect("readable");
    assert_eq!(letters.len(), 1);
    assert!(checkpoints(&store, &RENAMED).await.iter().all(|checkpoint| checkpoint.owner.is_none()));

    // The old program's worker moves nothing, and the new one goes on.
    store_one(&store, commit_of(&stream("a"), 2, &["deposited"])).await.expect("stored");
    let batch = old.next().await;
    let fenced = old.project(batch).await;
    assert!(matches!(fenced, Err(BatchError::Fenced)), "{fenced:?}");
    let mut new = Worker::start(&store, &RENAMED).await;
    assert!(new.epoch > old.epoch);
    new.catch_up().await;
    assert_ne!(state(&store, &RENAMED, "a").await, rows);
}

/// Verifies that an old program that starts again is refused, and changes nothing.
pub async fn an_old_name_is_not_built_again<S: Store>(store: S) {
    register(&store, &FIRST).await;
    register(&store, &RENAMED).await;
    let refused = store.register(&FIRST, None).await;
    assert!(
        matches!(&refused, Err(RegisterError::Renamed { projection, renamed_to }) if projection == "balances" && renamed_to == "accounts"),
        "{refused:?}"
    );
    let refused = store.register(&SECOND, None).await;
    assert!(matches!(refused, Err(RegisterError::Renamed { .. })), "{refused:?}");
    assert_eq!(states(&store, "balances").await, []);
    // The program may leave the old name out later.
    register(&store, &FORGETFUL).await;
    assert_eq!(states(&store, "accounts").await, [(1, VersionState::Active)]);
}

/// Verifies that a name may be taken back.
pub async fn a_projection_may_be_renamed_back<S: Store>(store: S) {
    register(&store, &FIRST).await;
    register(&store, &RENAMED).await;
    register(&store, &BACK).await;
    register(&store, &FIRST).await;
    assert_eq!(states(&store, "balances").await, [(1, VersionState::Active)]);
    let refused = store.register(&FORGETFUL, None).await;
    assert!(matches!(refused, Err(RegisterError::Renamed { .. })), "{refused:?}");
}

/// Verifies that a new version may come with a new name.
pub async fn a_new_version_may_come_with_a_new_name<S: Store>(store: S) {
    let mut old = Worker::start(&store, &FIRST).await;
    store_one(&store, commit_of(&stream("a"), 0, &["opened"])).await.expect("stored");
    old.catch_up().await;
    register(&store, &RENAMED_SECOND).await;
    assert_eq!(states(&store, "accounts").await, [(1, VersionState::Active), (2, VersionState::Building)]);
}

/// Verifies that a projection whose both names are registered is refused, and that one whose old name is not known is new.
pub async fn both_names_of_a_projection_are_refused<S: Store>(store: S) {
    static OTHER_NAME: ProjectionDescriptor = ProjectionDescriptor { renamed_from: Some("balances"), ..OTHER };
    register(&store, &OTHER_NAME).await;
    assert_eq!(states(&store, OTHER.name).await, [(1, VersionState::Active)]);
    register(&store, &FIRST).await;
    let refused = store.register(&OTHER_NAME, None).await;
    assert!(matches!(&refused, Err(RegisterError::BothNames { renamed_from: "balances", .. })), "{refused:?}");
    register(&store, &OTHER).await;
}

/// Verifies that a renamed projection that does not say so is told how.
pub async fn a_renamed_projection_that_does_not_say_so_is_told_how<S: Store>(store: S) {
    register(&store, &FIRST).await;
    let refused = store.register(&FORGETFUL, None).await.expect_err("its table is that of another projection");
    assert!(matches!(&refused, RegisterError::TableExists { .. }), "{refused:?}");
    assert!(refused.to_string().contains("write `renamed_from = \"…\"`"), "{refused}");
}

/// Verifies that nothing is renamed where the projection is refused for another reason.
pub async fn a_rename_that_is_refused_changes_nothing<S: Store>(store: S) {
    static NARROW: TableDescriptor =
        TableDescriptor { name: "balances", columns: &[ColumnDescriptor { ..BALANCES.columns[0] }] };
    static CHANGED: ProjectionDescriptor = ProjectionDescriptor { table: Some(&NARROW), ..RENAMED };
    register(&store, &FIRST).await;
    let refused = store.register(&CHANGED, None).await;
    assert!(matches!(refused, Err(RegisterError::TableChanged { .. })), "{refused:?}");
    assert_eq!(states(&store, "balances").await, [(1, VersionState::Active)]);
    register(&store, &FIRST).await;
}
