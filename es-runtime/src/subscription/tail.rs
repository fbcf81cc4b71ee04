//! One watcher of the log's head for all workers of an application.

use std::time::Duration;

use tokio::sync::watch;

use crate::event::GlobalPosition;
use crate::store::{EventStore, History};

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
    let mut history = store.history();
    ask(&store, &mut history, &sender).await;
    loop {
        // A watch that is gone is made up for by asking.
        let watches = changes.has_changed().is_ok();
        let poll = if watches { store.poll_interval() } else { Some(WITHOUT_WATCH) };
        tokio::select! {
            () = sender.closed() => return,
            seen = changes.changed(), if watches => {
                if seen.is_ok() {
                    // Without a question: what the store says may be ahead of what readers may see, but it wakes them.
                    // The floor first: a hint from before a history ended must not meet the floor from behind it.
                    let floor = floor(&store, &mut history, &sender);
                    let hint = *changes.borrow_and_update();
                    sender.send_modify(|head| *head = hint.max(floor));
                }
            }
            () = tokio::time::sleep(poll.unwrap_or(Duration::MAX)), if poll.is_some() => ask(&store, &mut history, &sender).await,
        }
    }
}

/// A store that cannot answer is asked again at the next poll.
async fn ask(store: &impl EventStore, history: &mut History, sender: &watch::Sender<GlobalPosition>) {
    if let Ok(found) = store.head().await {
        let floor = floor(store, history, sender);
        sender.send_if_modified(|head| {
            let before = std::mem::replace(head, found.max(floor));
            *head != before
        });
    }
}

/// Returns the position below which the head does not fall: the last one, as long as the history is the same.
fn floor(store: &impl EventStore, history: &mut History, sender: &watch::Sender<GlobalPosition>) -> GlobalPosition {
    if history.is_over() {
        *history = store.history();
        return GlobalPosition::START;
    }
    *sender.borrow()
}
