//! One watcher of the log's head for all workers of an application.

use std::time::Duration;

use tokio::sync::watch;

use crate::event::GlobalPosition;
use crate::store::EventStore;

/// How often the head is asked for where the store's watch is gone.
const WITHOUT_WATCH: Duration = Duration::from_millis(100);

/// Follows the head of the log as long as somebody holds the receiver. A value only says "look again".
pub(crate) fn follow(store: impl EventStore) -> watch::Receiver<GlobalPosition> {
    let (sender, receiver) = watch::channel(GlobalPosition::START);
    // The task ends with the last receiver: it keeps the store open, not the application.
    tokio::spawn(run(store, sender));
    receiver
}

async fn run(store: impl EventStore, sender: watch::Sender<GlobalPosition>) {
    let mut changes = store.watch();
    ask(&store, &sender).await;
    loop {
        // A watch that is gone is made up for by asking.
        let watches = changes.has_changed().is_ok();
        let poll = if watches { store.poll_interval() } else { Some(WITHOUT_WATCH) };
        tokio::select! {
            () = sender.closed() => return,
            woken = changes.changed(), if watches => {
                if woken.is_ok() {
                    // Without a question: what the store says may be ahead of what readers may see, but it wakes them.
                    let hint = *changes.borrow_and_update();
                    sender.send_modify(|head| *head = hint.max(*head));
                }
            }
            () = tokio::time::sleep(poll.unwrap_or(Duration::MAX)), if poll.is_some() => ask(&store, &sender).await,
        }
    }
}

/// A store that cannot answer is asked again at the next poll.
async fn ask(store: &impl EventStore, sender: &watch::Sender<GlobalPosition>) {
    if let Ok(found) = store.head().await {
        sender.send_if_modified(|head| {
            let news = found > *head;
            *head = found.max(*head);
            news
        });
    }
}
