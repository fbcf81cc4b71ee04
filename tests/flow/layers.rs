//! `tower` layers around dispatch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use es_runtime::app::{CommandReply, CommandRequest, DispatchService};
use es_runtime::error::BoxError;
use es_runtime::prelude::*;
use es_runtime::store::Store;
use tower::{Service, ServiceBuilder, ServiceExt as _, service_fn};

use crate::domain::{Bank, Deposit, Gateway, Open, Refused, Withdraw, on_every_store};

on_every_store! {
    a_layer_sees_every_command_and_can_refuse,
    a_layer_for_one_command_leaves_the_others_alone,
    the_domains_own_error_comes_through_layers,
}

/// Counts commands, and lets nobody in who does not say who they are.
fn guard(
    seen: Arc<AtomicU32>,
) -> impl tower::Layer<
    DispatchService,
    Service: Service<CommandRequest, Response = CommandReply, Error = BoxError, Future: Send> + Clone + Send + Sync,
> + Send
+ 'static {
    tower::layer::layer_fn(move |inner: DispatchService| {
        let seen = Arc::clone(&seen);
        service_fn(move |request: CommandRequest| {
            seen.fetch_add(1, Ordering::SeqCst);
            let inner = inner.clone();
            async move {
                if request.metadata().actor.is_none() {
                    return Err(BoxError::from(format!("{} by nobody", request.command())));
                }
                inner.oneshot(request).await
            }
        })
    })
}

async fn a_layer_sees_every_command_and_can_refuse<S: Store>(store: S) {
    let seen = Arc::new(AtomicU32::new(0));
    let bank = App::<Bank, _>::builder(store)
        .dependency(Gateway::default())
        .layer(guard(Arc::clone(&seen)))
        .build()
        .await
        .unwrap();
    let account = Uuid::now_v7();
    let error = bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap_err();
    assert_eq!(error.to_string(), "a layer refused the command: Open by nobody");
    assert_eq!(bank.event_count().await.unwrap(), 0);
    bank.dispatch(Open { account, owner: "ann".into() }).actor("ann").await.unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}

async fn a_layer_for_one_command_leaves_the_others_alone<S: Store>(store: S) {
    let seen = Arc::new(AtomicU32::new(0));
    let bank = App::<Bank, _>::builder(store)
        .dependency(Gateway::default())
        .layer_for::<Deposit, _, _>(guard(Arc::clone(&seen)))
        .build()
        .await
        .unwrap();
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    let error = bank.dispatch(Deposit::of(account, 1)).await.unwrap_err();
    assert!(matches!(error, DispatchError::Refused(_)), "{error}");
    bank.dispatch(Deposit::of(account, 1)).actor("ann").await.unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}

async fn the_domains_own_error_comes_through_layers<S: Store>(store: S) {
    let layers = ServiceBuilder::new().concurrency_limit(2).timeout(std::time::Duration::from_secs(60));
    let bank = App::<Bank, _>::builder(store).dependency(Gateway::default()).layer(layers).build().await.unwrap();
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    let error = bank.dispatch(Withdraw { account, cents: 5 }).await.unwrap_err();
    assert_eq!(error.domain(), Some(&Refused::Insufficient { balance: 0, cents: 5 }));
}
