//! More that reads the bank: a view that only counts, one that takes the processor's time, and three on one application.

#![allow(missing_docs, reason = "the names say it")]
#![allow(clippy::unused_async, reason = "a view elsewhere is awaited")]

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use es_runtime::prelude::*;

use crate::bank::{Account, AccountOpened, Bank, EntryBooked};
use crate::views::Behind;

/// Counts the events that were handed out.
#[derive(Debug, Default)]
pub struct Seen(AtomicU64);

impl Dependency for Seen {}

impl Seen {
    /// Gives how many they were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A view elsewhere, which does nothing but count.
#[derive(Debug, Default)]
pub struct Passing;

#[projection(name = "passing", version = 1)]
impl Passing {
    #[async_projection]
    async fn opened(&self, seen: Dep<Seen>, events: &[Recorded<AccountOpened>]) -> Result<(), Infallible> {
        seen.0.fetch_add(events.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    #[async_projection]
    async fn booked(&self, seen: Dep<Seen>, events: &[Recorded<EntryBooked>]) -> Result<(), Infallible> {
        seen.0.fetch_add(events.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

domain! { pub Following = "following"; domains: [Bank]; projections: [Passing] }

static WORKED: AtomicU64 = AtomicU64::new(0);

/// Gives how many events this process has worked on in [`BusyBalance`].
#[must_use]
pub fn worked() -> u64 {
    WORKED.load(Ordering::Relaxed)
}

/// Takes about 50 µs of a processor, so that the database is not the limit.
fn work() {
    let mut number = 1_u64;
    for _ in 0..40_000 {
        number = black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
    WORKED.fetch_add(1, Ordering::Relaxed);
}

#[read_model(table = "busy_balances")]
pub struct BusyBalance {
    #[key]
    pub account: Uuid,
    pub cents: i64,
}

#[projection(name = "busy_balances", version = 1, partitions = 4)]
impl BusyBalance {
    #[async_projection]
    fn opened(event: &Recorded<AccountOpened>) -> Self {
        work();
        Self { account: event.id_of::<Account>(), cents: 0 }
    }

    #[async_projection]
    fn booked(&mut self, event: &Recorded<EntryBooked>) {
        work();
        self.cents += event.cents;
    }
}

domain! { pub Busy = "busy"; domains: [Bank]; projections: [BusyBalance] }

#[read_model(table = "owners")]
pub struct OwnerRow {
    #[key]
    pub account: Uuid,
    pub owner: String,
}

#[projection(name = "owners", version = 1)]
impl OwnerRow {
    #[async_projection]
    fn opened(event: &Recorded<AccountOpened>) -> Self {
        Self { account: event.id_of::<Account>(), owner: event.owner.clone() }
    }
}

#[read_model(table = "last_entries")]
pub struct LastEntry {
    #[key]
    pub account: Uuid,
    pub text: String,
}

#[projection(name = "last_entries", version = 1)]
impl LastEntry {
    #[async_projection]
    fn booked(this: Option<Self>, event: &Recorded<EntryBooked>) -> Option<Self> {
        let account = this.map_or_else(|| event.id_of::<Account>(), |row| row.account);
        Some(Self { account, text: event.text.clone() })
    }
}

domain! { pub Three = "three"; domains: [Behind]; projections: [OwnerRow, LastEntry] }
