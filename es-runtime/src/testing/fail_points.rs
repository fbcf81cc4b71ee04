//! Named places in the runtime at which a test may stop its process: crashes happen where they hurt, not only at random.
//!
//! The places, in the order in which a commit and a batch come by:
//!
//! | place | what is true there |
//! |---|---|
//! | `append.folded` | the synchronous projections have folded, nothing is written |
//! | `append.stored` | the commit is durable, nobody has been told |
//! | `batch.folded` | a worker has folded a batch, nothing is handed over |
//! | `batch.begun` | a batch's transaction is open |
//! | `batch.written` | everything of a batch is written, the transaction is open |
//! | `batch.stored` | the batch is durable, its worker has not been told |
//! | `switch.written` | a new version is about to become the active one, the transaction is open |
//! | `claims.stored` | a page of a build of claims is durable, nobody has been told |
//! | `claims.replaced` | the keys of a build are about to be in force, the transaction is open |
//! | `lease.taken` | a process has leases it has not begun to use |

use std::sync::OnceLock;

static REACHED: OnceLock<Box<dyn Fn(&'static str) + Send + Sync>> = OnceLock::new();

/// Says what is done at every place, for the rest of the process. Only the first call counts.
pub fn on_reach(act: impl Fn(&'static str) + Send + Sync + 'static) {
    // A second call is a mistake of the test; the first one stays.
    let _ = REACHED.set(Box::new(act));
}

pub(crate) fn reached(place: &'static str) {
    if let Some(act) = REACHED.get() {
        act(place);
    }
}
