//! Expansions, tested without a compiler.

mod budget;
mod expansions;
mod robustness;

use proc_macro2::TokenStream;

use crate::expand;

/// One use of an attribute: its word, its options and the item.
struct Example {
    name: &'static str,
    word: &'static str,
    options: &'static str,
    item: &'static str,
}

/// Every word, in its smallest and its richest form.
const EXAMPLES: &[Example] = &[
    Example { name: "event_smallest", word: "domain_event", options: "", item: "pub struct Opened;" },
    Example {
        name: "event_richest",
        word: "domain_event",
        options: "name = \"money-deposited\", version = 3, crate = ::fw",
        item: r#"
            /// Money came in.
            #[derive(Debug)]
            #[serde(rename_all = "camelCase")]
            pub struct Deposited {
                /// How much.
                pub cents: i64,
                #[claim("receipt")]
                pub receipt: Option<String>,
                #[cfg(feature = "old")]
                #[release("receipt")]
                pub old: String,
            }
        "#,
    },
    Example {
        name: "event_typed_upcast",
        word: "domain_event",
        options: "version = 2, upcast = v1::Deposited",
        item: "pub struct Deposited { pub cents: i64 }",
    },
    Example {
        name: "event_broken",
        word: "domain_event",
        options: "vresion = 2",
        item: "pub struct Deposited<'a> { pub at: NaiveDateTime, pub note: &'a str }",
    },
    Example {
        name: "upcast",
        word: "upcast",
        options: "event = Deposited, from = 1",
        item: "fn deposited_1(old: Value) -> Result<Value, UpcastError> { Ok(old) }",
    },
    Example { name: "value_smallest", word: "value_object", options: "", item: "pub struct Cents(i64);" },
    Example {
        name: "value_richest",
        word: "value_object",
        options: "validate",
        item: "pub struct Range { /// Where it starts.\n from: u32, to: u32 }",
    },
    Example {
        name: "value_impl",
        word: "value_object",
        options: "",
        item: "impl Range { fn validate(&self) -> Result<(), Empty> { if self.from < self.to { Ok(()) } else { Err(Empty) } } }",
    },
    Example {
        name: "command_smallest",
        word: "command",
        options: "aggregate = Account",
        item: "pub struct Open { #[id] pub account: Uuid }",
    },
    Example {
        name: "command_richest",
        word: "command",
        options: "aggregate = bank::Account, name = \"open-account\", validate",
        item: "pub struct Open { #[id] pub account: Uuid, #[garde(length(min = 1))] pub owner: String }",
    },
    Example {
        name: "aggregate_smallest",
        word: "aggregate",
        options: "name = \"account\", id = Uuid, events(Opened)",
        item: "pub struct Account;",
    },
    Example {
        name: "aggregate_richest",
        word: "aggregate",
        options: "name = \"account\", id = AccountId, events(Opened, #[cfg(loans)] loans::Opened as LoanOpened), snapshot(every = 100, version = 2)",
        item: "/// Where money is.\n pub(crate) struct Account { balance: i64 }",
    },
    Example {
        name: "behaviour",
        word: "aggregate",
        options: "",
        item: r#"
            impl Account {
                #[apply]
                fn opened(_: &Opened) -> Self { Self { balance: 0 } }
                #[cfg(feature = "deposits")]
                #[es_runtime::apply]
                fn deposited(&mut self, event: &Deposited) { self.balance += event.cents; }
                #[command_handler]
                fn open(command: Open) -> Opened { Opened }
                #[command_handler(retries = 2)]
                fn deposit(&self, command: Deposit, context: &Context) -> Result<Deposited, Overflow> { todo!() }
                #[command_handler]
                fn either(this: Option<&Self>, command: Either) -> Vec<AccountEvent> { Vec::new() }
                fn unparsable(&self) { let x = ; }
            }
        "#,
    },
    Example {
        name: "behaviour_broken",
        word: "aggregate",
        options: "",
        item: r"
            impl Account {
                #[apply]
                async fn opened(_: &Opened) -> Self { Self { balance: 0 } }
                #[command_handler]
                fn open(&mut self, command: &Open) {}
            }
        ",
    },
    Example {
        name: "free_handler",
        word: "command_handler",
        options: "queries = \"the limit is owned by another team\"",
        item: "async fn open(command: Open, account: &mut New<Account>, mailer: Dep<Mailer>, context: &Context) -> Result<u8, Refused> { todo!() }",
    },
    Example {
        name: "read_model_smallest",
        word: "read_model",
        options: "table = \"balances\"",
        item: "pub struct Balance { #[key] pub account: Uuid }",
    },
    Example {
        name: "read_model_richest",
        word: "read_model",
        options: "table = \"branch_days\", crate = ::fw",
        item: r"
            /// A day of a branch.
            #[derive(Debug, Serialize)]
            pub struct BranchDay {
                #[key] branch: Branch,
                #[key] pub day: NaiveDate,
                #[index] pub(crate) r#type: u8,
                #[cfg(old)] #[json] tags: Vec<String>,
                cents: i64,
            }
        ",
    },
    Example {
        name: "read_model_broken",
        word: "read_model",
        options: "table = \"Balances\"",
        item: "pub struct Deposited { #[key] pub rate: f64, #[key] #[json] es_tags: Vec<String> }",
    },
    Example {
        name: "projection_folded",
        word: "projection",
        options: "name = \"balances\", version = 2, retry = 3",
        item: r#"
            impl Balance {
                #[sync_projection(priority = 1, timeout = "500ms", of = Account)]
                #[monitor_projection]
                fn opened(event: &Recorded<Opened>) -> Self { todo!() }
                #[cfg(feature = "deposits")]
                #[async_projection(on_failure = skip)]
                fn deposited(&mut self, event: &Recorded<Deposited>) { self.cents += event.cents; }
                #[async_projection(delete, retry = 1)]
                fn closed(&self, _: &Recorded<Closed>) -> bool { true }
                #[async_projection]
                fn either(this: Option<Self>, event: &Recorded<Either>) -> Option<Self> { let x = ; }
                fn helper() {}
            }
        "#,
    },
    Example {
        name: "projection_connected",
        word: "projection",
        options: "name = \"totals\"",
        item: r"
            impl Totals {
                #[sync_projection]
                async fn opened(&self, db: &mut SqliteConnection, event: &Recorded<Opened>) -> Result<(), Error> { todo!() }
                #[sync_projection]
                async fn closed(&self, db: &mut SqliteConnection, events: &[Recorded<Closed>]) -> Result<(), Error> { todo!() }
                #[reset]
                async fn reset(&self, db: &mut SqliteConnection) -> Result<(), Error> { todo!() }
            }
        ",
    },
    Example {
        name: "projection_external",
        word: "projection",
        options: "name = \"cached\"",
        item: r"
            impl Cached {
                #[async_projection]
                async fn opened(&self, cache: Dep<Cache>, event: &Recorded<Opened>) -> Result<(), Error> { todo!() }
            }
        ",
    },
    Example {
        name: "projection_broken",
        word: "projection",
        options: "version = 0",
        item: r#"
            impl Account {
                #[sync_projection(timeout = "9s", key = |a, b| a)]
                async fn opened(event: Recorded<Opened>, app: &App) -> Self { todo!() }
                #[async_projection] #[reset]
                fn closed(&self) {}
            }
        "#,
    },
    Example {
        name: "query_smallest",
        word: "query",
        options: "output = Option<Balance>",
        item: "pub struct BalanceOf { pub account: Uuid }",
    },
    Example {
        name: "query_handler",
        word: "query_handler",
        options: "",
        item: "async fn balance(query: BalanceOf, rows: &Table<Balance>, clock: Dep<Clock>) -> Result<Option<Balance>, Error> { todo!() }",
    },
    Example {
        name: "query_handler_with_a_connection",
        word: "query_handler",
        options: "crate = ::fw",
        item: "async fn balance(query: BalanceOf, db: &mut SqliteConnection) -> Result<Option<Balance>, Error> { todo!() }",
    },
    Example { name: "domain_smallest", word: "domain", options: "", item: "pub Bank = \"bank\"" },
    Example {
        name: "domain_richest",
        word: "domain",
        options: "",
        item: "/// The bank.\n pub Bank = \"bank\"; aggregates: [Account]; commands: [Open, cards::Open as OpenCard]; queries: [BalanceOf]; projections: [Balance, #[cfg(totals)] Totals]; domains: [Cards];",
    },
];

fn parse(text: &str) -> TokenStream {
    text.parse().unwrap_or_default()
}

fn expand(word: &str, options: TokenStream, item: &TokenStream) -> TokenStream {
    match word {
        "domain_event" => expand::event::expand(options, item),
        "upcast" => expand::upcaster::expand(options, item),
        "value_object" => expand::value::expand(options, item),
        "command" => expand::command::expand(options, item),
        "aggregate" => expand::aggregate::expand(options, item),
        "command_handler" => expand::handler::expand(options, item),
        "read_model" => expand::read_model::expand(options, item),
        "projection" => expand::projection::expand(options, item),
        "query" => expand::query::expand(options, item),
        "query_handler" => expand::query::expand_handler(options, item),
        _ => expand::domain::expand(item.clone()),
    }
}

impl Example {
    fn expand(&self) -> TokenStream {
        expand(self.word, parse(self.options), &parse(self.item))
    }
}
