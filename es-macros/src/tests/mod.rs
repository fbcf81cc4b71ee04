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
    Example { name: "domain_smallest", word: "domain", options: "", item: "pub Bank = \"bank\"" },
    Example {
        name: "domain_richest",
        word: "domain",
        options: "",
        item: "/// The bank.\n pub Bank = \"bank\"; aggregates: [Account]; commands: [Open, cards::Open as OpenCard]; domains: [Cards];",
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
        _ => expand::domain::expand(item.clone()),
    }
}

impl Example {
    fn expand(&self) -> TokenStream {
        expand(self.word, parse(self.options), &parse(self.item))
    }
}
