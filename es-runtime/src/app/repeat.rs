//! Repeats: commands whose idempotency key is in the ledger.
//!
//! A pure handler's command is decided first, and the store checks its key with the commit. So a command that is new costs
//! no read. A repeat costs the state that it was decided on, and this state has to be loaded again. Therefore the ledger is
//! read first if a repeat is likely, or if there is no state to lose:
//!
//! - if the aggregate would have to be loaded,
//! - if this process used the key lately,
//! - if the aggregate's last commands were repeats, as they are when an import is run again. Then the reads of all waiting
//!   commands overlap, and a repeat leaves the queue without its turn.
//!
//! What the ledger holds is final, so a repeat may be answered at any time. What it does not hold yet may be in flight, so
//! the store checks the key again with every commit.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::attempt::{Attempt, Failure, Settled, panicked};
use super::dispatch::{ErrorOf, Outcome, OutputOf, Stage};
use super::encode;
use super::receipt::{Receipt, Visibility};
use super::turn::{Held, Turn};
use crate::aggregate::Aggregate;
use crate::command::Command;
use crate::encoding;
use crate::error::{Difference, DispatchError};
use crate::event::Version;
use crate::handler::{HandlerShape, Handles};
use crate::private::panic_message;
use crate::store::{Committed, LedgerEntry, LedgerRecord, Store};

/// What the ledger says of a command in its turn.
pub(super) enum InTurn<A> {
    /// The command was done before.
    Repeat(LedgerRecord),
    /// It is to be decided, on this state if there is one.
    New(Option<Held<A>>),
    /// A decision that the state stood on was not stored: those in front of this command decide first.
    Undone,
}

/// The number of events whose replay takes about as long as one look-up in the ledger.
const EVENTS_PER_LOOK_UP: u64 = 16;

impl<S, C> Attempt<S, C>
where
    S: Store,
    C: Command,
    C::Aggregate: Handles<C>,
{
    /// Reads the ledger before the turn, if a repeat is likely.
    pub(super) async fn foreseen(
        &self,
        turn: &Turn<C::Aggregate>,
        asked: &mut bool,
    ) -> Result<Option<LedgerRecord>, Failure<C>> {
        let recent = self.used_recently();
        if *asked || self.options.key.is_none() || !(recent || turn.expects_repeats()) {
            return Ok(None);
        }
        self.stage.reach(Stage::QUEUED);
        let _permit = self.permit().await?;
        self.stage.reach(Stage::HERE);
        let record = self.recorded().await?;
        *asked = true;
        if record.is_none() && !recent {
            turn.was_new();
        }
        Ok(record)
    }

    /// Reads the ledger in the turn, if the handler must not run twice, if a repeat is likely, or if the aggregate would have
    /// to be loaded. The state comes back if it may be decided on.
    pub(super) async fn found_in_turn(
        &self,
        turn: &mut Turn<C::Aggregate>,
        held: Option<Held<C::Aggregate>>,
        asked: &mut bool,
    ) -> Result<InTurn<C::Aggregate>, Failure<C>> {
        let settled = Self::SHAPE == HandlerShape::Orchestrates || self.used_recently();
        let settling = if settled { self.settle(held).await? } else { Settled::On(held) };
        let Settled::On(held) = settling else { return Ok(InTurn::Undone) };
        self.stage.reach(Stage::HERE);
        let expected = turn.expects_repeats();
        if self.options.key.is_none() || !settled && (*asked || held.is_some() && !expected) {
            return Ok(InTurn::New(held));
        }
        let record = self.recorded().await?;
        *asked = true;
        match (&record, &held) {
            (None, _) if expected => turn.was_new(),
            (Some(_), None) => turn.expect_repeats(1),
            _ => {}
        }
        let Some(record) = record else {
            return Ok(InTurn::New(held));
        };
        if let Some(held) = held {
            turn.submitted(held);
        }
        Ok(InTurn::Repeat(record))
    }

    /// Accounts for a state that was lost to a repeat: so many commands are looked up first that loading it again costs
    /// each of them little.
    pub(super) fn lost_to_a_repeat(turn: &Turn<C::Aggregate>, version: Version) {
        let load = C::Aggregate::SNAPSHOT.map_or(version.get(), |policy| version.get().min(policy.every));
        turn.expect_repeats(load / EVENTS_PER_LOOK_UP);
    }

    fn used_recently(&self) -> bool {
        let tenant = self.stream.tenant();
        self.options.key.as_ref().is_some_and(|key| self.engine.recent_keys.contains(tenant, key))
    }

    /// Remembers, or forgets, that this process used the key.
    pub(super) fn remember_key(&self, used: bool) {
        if let Some(key) = &self.options.key {
            let keys = &self.engine.recent_keys;
            if used {
                keys.insert(self.stream.tenant(), key);
            } else {
                keys.remove(self.stream.tenant(), key);
            }
        }
    }

    async fn recorded(&self) -> Result<Option<LedgerRecord>, Failure<C>> {
        match &self.options.key {
            None => Ok(None),
            Some(key) => self.engine.store.find(self.stream.tenant(), key).await.map_err(DispatchError::Unavailable),
        }
    }

    /// A refusal stands unless the same command was accepted before under this key: then that is the answer. Asked only
    /// now, because whatever was in line before this command is stored by now.
    pub(super) async fn refused(&self, refusal: Failure<C>) -> Result<Outcome<OutputOf<C>, ErrorOf<C>>, Failure<C>> {
        match self.recorded().await? {
            Some(record) => self.replay(&record).map(Ok),
            None => Err(refusal),
        }
    }

    /// Returns the receipt of the first time.
    pub(super) fn replay(&self, record: &LedgerRecord) -> Outcome<OutputOf<C>, ErrorOf<C>> {
        self.remember_key(true);
        let key = self.options.key.clone().unwrap_or_default();
        let hash = catch_unwind(AssertUnwindSafe(|| encode::hash(&self.command)));
        if record.hash != hash.unwrap_or_else(|panic| Err(panicked::<C>(&*panic)))? {
            let differs = if record.command == C::NAME { Difference::Fields } else { Difference::Command };
            return Err(DispatchError::IdempotencyKeyReused { key, command: record.command.clone(), differs });
        }
        self.stage.reach(Stage::DONE);
        let output = catch_unwind(|| encoding::read(&record.output).map_err(|error| error.to_string()));
        let output = output.unwrap_or_else(|panic| Err(panic_message(&*panic)));
        let output = output.map_err(|error| DispatchError::Uncertain {
            command_id: self.command_id,
            reason: format!("it was done before under key `{key}`, and its recorded output does not decode: {error}"),
        })?;
        let Committed { version, position } = record.committed;
        let (stream, events) = (record.stream.clone(), record.events.clone());
        Ok(Receipt { output, stream, version, position, events, replayed: true, visibility: Visibility::Unknown })
    }

    pub(super) fn ledger_entry(&self, output: &OutputOf<C>) -> Result<Option<Box<LedgerEntry>>, Failure<C>> {
        if self.options.key.is_none() && !self.options.json {
            return Ok(None);
        }
        // Refused now, because later the command is stored.
        let fidelity = <C::Aggregate as Handles<C>>::OUTPUT;
        let output = encode::output(output, fidelity, self.engine.limits.payload_bytes)?;
        let Some(key) = &self.options.key else {
            return Ok(None);
        };
        let hash = encode::hash(&self.command)?;
        Ok(Some(Box::new(LedgerEntry { key: key.clone(), command: C::NAME.to_owned(), hash, output })))
    }
}
