//! What reads the bank: the same rows behind the log and in the append, each in a domain of its own.

#![allow(missing_docs, reason = "the names say it")]

use es_runtime::prelude::*;

use crate::bank::{Account, AccountOpened, Bank, EntryBooked};

/// Behind the log.
#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub cents: i64,
    pub entries: i64,
}

#[projection(name = "balances", version = 1)]
impl Balance {
    #[async_projection]
    fn opened(event: &Recorded<AccountOpened>) -> Self {
        Self { account: event.id_of::<Account>(), cents: 0, entries: 0 }
    }

    #[async_projection]
    fn booked(&mut self, event: &Recorded<EntryBooked>) {
        self.cents += event.cents;
        self.entries += 1;
    }
}

#[query(output = Option<Balance>)]
pub struct BalanceOf {
    pub account: Uuid,
}

/// Gives an account's row.
///
/// # Errors
///
/// What the table says.
#[query_handler]
pub async fn balance_of(query: BalanceOf, balances: &Table<Balance>) -> Result<Option<Balance>, ReadModelError> {
    balances.get(&query.account).await
}

domain! { pub Behind = "behind"; domains: [Bank]; queries: [BalanceOf]; projections: [Balance] }

/// In the append.
#[read_model(table = "kept_balances")]
pub struct KeptBalance {
    #[key]
    pub account: Uuid,
    pub cents: i64,
    pub entries: i64,
}

#[projection(name = "kept_balances", version = 1)]
impl KeptBalance {
    #[sync_projection]
    fn opened(event: &Recorded<AccountOpened>) -> Self {
        Self { account: event.id_of::<Account>(), cents: 0, entries: 0 }
    }

    #[sync_projection]
    fn booked(&mut self, event: &Recorded<EntryBooked>) {
        self.cents += event.cents;
        self.entries += 1;
    }
}

domain! { pub InAppend = "in_append"; domains: [Bank]; projections: [KeptBalance] }
