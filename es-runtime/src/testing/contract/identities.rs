//! Ids of other systems: all callers get the same key.

use futures_util::future::join_all;

use super::fixture::within;
use crate::store::{ExternalId, Store};

fn external(tenant: &str, category: &str, source: &str, id: &str) -> ExternalId {
    ExternalId {
        tenant: tenant.to_owned(),
        category: category.to_owned(),
        source: source.to_owned(),
        id: id.to_owned(),
    }
}

/// Checks what its name says.
pub async fn the_first_candidate_wins<S: Store>(store: S) {
    let id = external("", "account", "bank", "DE\0 \"42\"");
    assert_eq!(store.identity(&id).await.expect("readable"), None);
    assert_eq!(store.identify(&id, "first").await.expect("stored"), "first");
    assert_eq!(store.identify(&id, "second").await.expect("stored"), "first");
    assert_eq!(store.identity(&id).await.expect("readable").as_deref(), Some("first"));
}

/// Checks what its name says.
pub async fn all_callers_get_the_same_key<S: Store>(store: S) {
    for id in 0..20 {
        let id = external("", "account", "bank", &id.to_string());
        let tasks = (0..16).map(|candidate| {
            let (store, id) = (store.clone(), id.clone());
            tokio::spawn(async move { store.identify(&id, &candidate.to_string()).await.expect("stored") })
        });
        let keys: Vec<_> =
            within(join_all(tasks)).await.into_iter().map(|key| key.expect("no caller panics")).collect();
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
        assert_eq!(store.identity(&id).await.expect("readable").as_ref(), Some(&keys[0]));
    }
}

/// Checks what its name says.
pub async fn ids_are_separate_by_tenant_category_and_source<S: Store>(store: S) {
    let ids = [
        external("", "account", "bank", "1"),
        external("acme", "account", "bank", "1"),
        external("", "customer", "bank", "1"),
        external("", "account", "shop", "1"),
        external("", "account", "bank", "2"),
    ];
    for (index, id) in ids.iter().enumerate() {
        assert_eq!(store.identify(id, &index.to_string()).await.expect("stored"), index.to_string());
    }
}
