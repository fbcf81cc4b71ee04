//! The options of a run, and the commands that follow from them.

use uuid::Uuid;

/// The most cents that a command moves.
const MOST: u64 = 10_000;

/// What is run, and how much of it.
#[derive(Clone, Debug, clap::Parser)]
pub struct Options {
    /// Where the empty database is: `postgres://user@host:port/name`.
    #[arg(long, env = "DATABASE_URL")]
    pub url: String,
    /// How many accounts there are.
    #[arg(long, default_value_t = 1_000)]
    pub accounts: usize,
    /// How many clients dispatch at once, each one command after the other.
    #[arg(long, default_value_t = 1)]
    pub clients: usize,
    /// How many commands are counted, of all clients together.
    #[arg(long, default_value_t = 1_000)]
    pub commands: u64,
    /// How many commands go before them, uncounted: connections are opened and statements prepared.
    #[arg(long, default_value_t = 640)]
    pub warm_up: u64,
    /// After how many seconds no further command is begun.
    #[arg(long, default_value_t = 30.0)]
    pub seconds: f64,
    /// How many connections the pool may have.
    #[arg(long, default_value_t = 64)]
    pub pool: u32,
    /// What the random accounts and amounts begin with.
    #[arg(long, default_value_t = 4_711)]
    pub seed: u64,
    /// What a shell runs when all accounts are open, before the clients warm up: `ANALYZE`, for example.
    #[arg(long)]
    pub before: Option<String>,
    /// Keeps no state between commands, where the library would.
    #[arg(long)]
    pub cold: bool,
}

/// What is done to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Puts cents into it.
    Deposit(i64),
    /// Takes cents out of it; refused if there are too few.
    Withdraw(i64),
}

impl Options {
    /// Gives the accounts' ids; always the same ones for a seed.
    #[must_use]
    pub fn ids(&self) -> Vec<Uuid> {
        (0..self.accounts as u64)
            .map(|account| {
                let [high, low] = [0, 1].map(|half| random(self.seed ^ 0xACC0, account * 2 + half));
                uuid::Builder::from_random_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes()).into_uuid()
            })
            .collect()
    }

    /// Gives the command of a turn, and the index of its account: nine of ten are deposits.
    #[must_use]
    pub fn command(&self, turn: u64) -> (usize, Command) {
        let [account, kind, amount] = [0, 1, 2].map(|what| random(self.seed, turn * 3 + what));
        let account = usize::try_from(account % self.accounts as u64).unwrap_or_default();
        let cents = i64::try_from(amount % MOST + 1).unwrap_or_default();
        (account, if kind % 10 == 0 { Command::Withdraw(cents) } else { Command::Deposit(cents) })
    }
}

/// The nth number of a sequence (`SplitMix64`): every peer gets the same ones, whoever asks first.
const fn random(seed: u64, nth: u64) -> u64 {
    let mut z = seed.wrapping_add(nth.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
