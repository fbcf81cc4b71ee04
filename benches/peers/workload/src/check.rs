//! What must be there afterwards.

use std::sync::atomic::{AtomicI64, Ordering};

use uuid::Uuid;

use crate::{Bank, Command, Options, Result};

/// How many wrong accounts are told one by one.
const TOLD: usize = 10;

/// The balances that follow from what was acknowledged.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) ids: Vec<Uuid>,
    balances: Vec<AtomicI64>,
}

impl Model {
    pub(crate) fn new(options: &Options) -> Self {
        let ids = options.ids();
        Self { balances: ids.iter().map(|_| AtomicI64::new(0)).collect(), ids }
    }

    /// Notes a command that the library has acknowledged.
    pub(crate) fn acknowledge(&self, account: usize, command: Command) {
        let cents = match command {
            Command::Deposit(cents) => cents,
            Command::Withdraw(cents) => -cents,
        };
        self.balances[account].fetch_add(cents, Ordering::Relaxed);
    }
}

/// What the comparison gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) wrong: usize,
    pub(crate) overdrawn: usize,
    pub(crate) sums_agree: bool,
}

impl Verdict {
    pub(crate) const fn good(self) -> bool {
        self.wrong == 0 && self.overdrawn == 0 && self.sums_agree
    }
}

/// Reads every account anew, and compares it and the sum with the model.
pub(crate) async fn compare<B: Bank>(bank: &B, model: &Model) -> Result<Verdict> {
    let mut verdict = Verdict { wrong: 0, overdrawn: 0, sums_agree: false };
    let (mut sum, mut sum_expected) = (0, 0);
    for (account, expected) in model.ids.iter().zip(&model.balances) {
        let (read, expected) = (bank.balance(*account).await?, expected.load(Ordering::Relaxed));
        sum += read;
        sum_expected += expected;
        verdict.overdrawn += usize::from(read < 0);
        if read != expected {
            verdict.wrong += 1;
            if verdict.wrong <= TOLD {
                eprintln!("{}: account {account} has {read} cents, acknowledged were {expected}", B::PEER);
            }
        }
    }
    verdict.sums_agree = sum == sum_expected;
    if !verdict.good() {
        eprintln!(
            "{}: of {} accounts {} are wrong and {} overdrawn; the sum is {sum}, acknowledged were {sum_expected}",
            B::PEER,
            model.ids.len(),
            verdict.wrong,
            verdict.overdrawn,
        );
    }
    Ok(verdict)
}
