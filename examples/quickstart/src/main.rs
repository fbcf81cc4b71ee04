//! A bank in 45 lines: declare it, run it on a file, look at it.

use es_runtime::prelude::*;

#[rustfmt::skip]
mod bank {
    #![allow(missing_docs, reason = "the names say it; a real domain documents its words")]
    use es_runtime::prelude::*;

    #[domain_event] pub struct AccountOpened  { pub owner: String }
    #[domain_event] pub struct MoneyDeposited { pub cents: i64 }

    #[command(aggregate = Account)] pub struct OpenAccount { #[id] pub account: Uuid, pub owner: String }
    #[command(aggregate = Account)] pub struct Deposit     { #[id] pub account: Uuid, pub cents: i64 }

    #[aggregate(name = "account", id = Uuid, events(AccountOpened, MoneyDeposited))]
    pub struct Account { balance: i64 }

    #[aggregate]
    impl Account {
        #[apply] fn opened(_: &AccountOpened) -> Self { Self { balance: 0 } }
        #[apply] fn deposited(&mut self, event: &MoneyDeposited) { self.balance += event.cents; }

        #[command_handler]
        fn open(command: OpenAccount) -> AccountOpened { AccountOpened { owner: command.owner } }
        #[command_handler]
        fn deposit(&self, command: Deposit) -> Result<MoneyDeposited, Overflow> {
            self.balance.checked_add(command.cents).ok_or(Overflow)?;
            Ok(MoneyDeposited { cents: command.cents })
        }

        pub fn balance(&self) -> i64 { self.balance }
    }

    // What is looked at: a row for each account, kept by two functions.
    #[read_model(table = "accounts")]
    pub struct AccountRow { #[key] pub account: Uuid, pub owner: String, #[index] pub cents: i64 }

    #[projection(name = "accounts", version = 1)]
    impl AccountRow {
        #[sync_projection] fn opened(event: &Recorded<AccountOpened>) -> Self {     // there when `dispatch` returns
            Self { account: event.id_of::<Account>(), owner: event.owner.clone(), cents: 0 }
        }
        #[async_projection] fn deposited(&mut self, event: &Recorded<MoneyDeposited>) {     // soon after
            self.cents += event.cents;
        }
    }

    #[query(output = Vec<AccountRow>)] pub struct Richest { pub count: u64 }
    #[query_handler]
    async fn richest(query: Richest, accounts: &Table<AccountRow>) -> Result<Vec<AccountRow>, ReadModelError> {
        accounts.query().order_by(AccountRow::CENTS.desc()).limit(query.count).all().await
    }

    #[derive(Debug)] pub struct Overflow;
    impl std::error::Error for Overflow {}
    impl std::fmt::Display for Overflow {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("the account is full") }
    }

    domain! {
        pub Bank = "bank";
        aggregates: [Account]; commands: [OpenAccount, Deposit]; queries: [Richest]; projections: [AccountRow]
    }
}
use bank::{Account, AccountRow, Bank, Deposit, OpenAccount, Richest};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::temp_dir().join("quickstart-bank.db");
    // On another store only this line changes: `PostgresStore::connect("postgres://user@host/database").await?`.
    let bank = App::<Bank, _>::builder(SqliteStore::open(&file).await?).build().await?;

    let account = Uuid::now_v7();
    bank.dispatch(OpenAccount { account, owner: "Ann".into() }).await?;
    let row = bank.table::<AccountRow>().get(&account).await?;
    assert_eq!(row.map(|row| row.owner).as_deref(), Some("Ann"), "projected in the command's own transaction");

    // Dispatched twice under one key: it takes effect once.
    let receipt = bank.dispatch(Deposit { account, cents: 500 }).idempotency_key(format!("payment-{account}")).await?;
    let again = bank.dispatch(Deposit { account, cents: 500 }).idempotency_key(format!("payment-{account}")).await?;
    assert!(again.replayed() && again.version() == receipt.version());

    // Projected behind the log: the query waits until it sees what the command did.
    for row in bank.query(Richest { count: 3 }).after(&receipt).await? {
        println!("{} has {} cents", row.owner, row.cents);
    }

    // The domain's own rule refuses this one, with the domain's own error.
    if let Err(DispatchError::Domain(refused)) = bank.dispatch(Deposit { account, cents: i64::MAX }).await {
        println!("refused: {refused}");
    }

    let loaded = bank.load::<Account>(account).await?;
    println!("balance: {} cents at version {}", loaded.state().map_or(0, Account::balance), loaded.version());
    for event in bank.history::<Account>(account).await? {
        println!("  {}  {:?}", event.recorded_at().format("%Y-%m-%d %H:%M:%S"), event.event());
    }
    println!("{} events in {}", bank.event_count().await?, file.display());
    bank.shutdown().await;
    Ok(())
}
