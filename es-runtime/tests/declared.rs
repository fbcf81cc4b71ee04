//! A domain declared with the macros: what they generate compiles and does what it says.
#![allow(missing_docs, clippy::expect_used, reason = "a test")]

use es_runtime::aggregate::AggregateEvent as _;
use es_runtime::event::HasShape;
use es_runtime::prelude::*;

#[domain_event]
pub struct AccountOpened {
    #[claim("owner")]
    pub owner: String,
}

#[domain_event(name = "MoneyDeposited", version = 1)]
pub struct MoneyDepositedV1 {
    pub euros: i64,
}

#[domain_event(version = 2, upcast = MoneyDepositedV1)]
pub struct MoneyDeposited {
    pub cents: i64,
}

impl From<MoneyDepositedV1> for MoneyDeposited {
    fn from(old: MoneyDepositedV1) -> Self {
        Self { cents: old.euros * 100 }
    }
}

#[domain_event(version = 3)]
pub struct Closed {
    pub why: String,
}

#[upcast(event = Closed, from = 1)]
fn closed_1(old: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
    Ok(old)
}

#[upcast(event = Closed, from = 2)]
fn closed_2(mut old: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
    old["why"] = "unknown".into();
    Ok(old)
}

#[domain_event]
pub struct Frozen;

#[command(aggregate = Account)]
pub struct OpenAccount {
    #[id]
    pub account: Uuid,
    pub owner: String,
}

#[command(aggregate = Account)]
pub struct Deposit {
    #[id]
    pub account: Uuid,
    pub cents: i64,
}

#[command(aggregate = Account)]
pub struct Freeze {
    #[id]
    pub account: Uuid,
}

#[command(aggregate = Account)]
pub struct Close {
    #[id]
    pub account: Uuid,
}

#[aggregate(
    name = "account",
    id = Uuid,
    events(AccountOpened, MoneyDeposited, Closed, Frozen),
    snapshot(every = 100),
)]
pub struct Account {
    balance: i64,
    frozen: bool,
}

#[derive(Debug, PartialEq)]
pub struct Overflow;

impl std::fmt::Display for Overflow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("overflow")
    }
}
impl std::error::Error for Overflow {}

#[aggregate]
impl Account {
    #[apply]
    fn opened(_: &AccountOpened) -> Self {
        Self { balance: 0, frozen: false }
    }
    #[apply]
    fn deposited(&mut self, event: &MoneyDeposited) {
        self.balance += event.cents;
    }
    #[apply]
    fn closed(&mut self, _: &Closed) {}
    #[apply]
    fn frozen(&mut self, _: &Frozen) {
        self.frozen = true;
    }

    #[command_handler]
    fn open(command: OpenAccount) -> AccountOpened {
        AccountOpened { owner: command.owner }
    }
    #[command_handler(retries = 2)]
    fn deposit(&self, command: Deposit, _context: &Context) -> Result<MoneyDeposited, Overflow> {
        if self.balance.checked_add(command.cents).is_none() {
            return Err(Overflow);
        }
        Ok(MoneyDeposited { cents: command.cents })
    }
    #[command_handler]
    fn freeze(this: Option<&Self>, _: Freeze) -> Option<Frozen> {
        this.filter(|account| !account.frozen).map(|_| Frozen)
    }
}

pub struct Mailer;
impl Dependency for Mailer {}

#[command_handler]
async fn close(
    _command: Close,
    account: &mut Existing<Account>,
    _mailer: Dep<Mailer>,
    context: &Context,
) -> Result<i64, Overflow> {
    let balance = account.balance;
    account.record(Closed { why: context.actor().unwrap_or("").to_owned() }).map_err(|_| Overflow)?;
    Ok(balance)
}

domain! {
    /// Where money is.
    pub Bank = "bank";
    aggregates: [Account];
    commands: [OpenAccount, Deposit, Freeze, Close];
}

mod cards {
    use es_runtime::prelude::*;

    #[domain_event]
    pub struct Blocked {}

    #[command(aggregate = Card)]
    pub struct Block {
        #[id]
        pub card: String,
    }

    #[aggregate(name = "card", id = String, events(Blocked))]
    pub struct Card {}

    #[aggregate]
    impl Card {
        #[apply]
        fn blocked(_: &Blocked) -> Self {
            Self {}
        }
        #[command_handler]
        fn block(_: Block) -> Blocked {
            Blocked {}
        }
    }

    domain! { pub Cards = "cards"; aggregates: [Card]; commands: [Block] }
}

domain! { pub Outer = "outer"; domains: [Bank, cards::Cards] }
domain! { pub Nothing = "nothing" }

fn dispatch<D, C: CommandOf<D, P>, P>(_: D, _: C) {}

fn encoded(event: &AccountEvent) -> String {
    let mut bytes = Vec::new();
    event.encode(&mut bytes).expect("events are storable");
    String::from_utf8(bytes).expect("JSON is text")
}

#[test]
fn events_are_stored_by_name_and_version_and_read_back() {
    for (event, name, version, json) in [
        (AccountEvent::from(AccountOpened { owner: "Ada".to_owned() }), "AccountOpened", 1, r#"{"owner":"Ada"}"#),
        (MoneyDeposited { cents: 5 }.into(), "MoneyDeposited", 2, r#"{"cents":5}"#),
        (Frozen.into(), "Frozen", 1, "{}"),
    ] {
        assert_eq!((event.name(), event.schema_version(), encoded(&event).as_str()), (name, version, json));
        assert_eq!(AccountEvent::decode(name, version, json.as_bytes()), Ok(event));
    }
    assert_eq!(AccountEvent::decode("Frozen", 1, b"null"), Ok(Frozen.into()));
    assert_eq!(AccountEvent::decode("Frozen", 1, br#"{"since":[1,{}]}"#), Ok(Frozen.into()));
    assert!(matches!(AccountEvent::decode("Frozen", 1, b"7"), Err(DecodeError::Malformed { .. })));
    assert!(matches!(AccountEvent::decode("Thawed", 1, b"{}"), Err(DecodeError::UnknownEvent { .. })));
}

#[test]
fn older_versions_are_read_through_their_upcasters() {
    let money = AccountEvent::decode("MoneyDeposited", 1, br#"{"euros":2}"#);
    assert_eq!(money, Ok(MoneyDeposited { cents: 200 }.into()));
    for version in [1, 2] {
        let closed = AccountEvent::decode("Closed", version, b"{}");
        assert_eq!(closed, Ok(Closed { why: "unknown".to_owned() }.into()));
    }
    for (name, version) in [("MoneyDeposited", 3), ("MoneyDeposited", 0), ("Closed", 4), ("Closed", 0), ("Frozen", 2)] {
        let decoded = AccountEvent::decode(name, version, b"{}");
        assert!(matches!(decoded, Err(DecodeError::UnknownVersion { .. })), "{name} {version}: {decoded:?}");
    }
}

#[test]
fn creating_and_changing_events_are_told_apart() {
    let opened = AccountOpened { owner: "Ada".to_owned() }.into();
    let deposited = MoneyDeposited { cents: 5 }.into();
    assert!(matches!(Account::apply(None, &deposited), Err(CannotApply::Absent { event: "MoneyDeposited", .. })));
    let mut account = Account::apply(None, &opened).expect("it creates").expect("it creates");
    assert!(Account::apply(Some(&mut account), &deposited).is_ok_and(|created| created.is_none()));
    assert_eq!(account.balance, 5);
    assert!(matches!(Account::apply(Some(&mut account), &opened), Err(CannotApply::Exists { .. })));
    let creates: Vec<bool> = Account::EVENTS.iter().map(|event| event.creates).collect();
    assert_eq!(creates, [true, false, false, false]);
}

#[test]
fn claims_are_read_from_the_fields() {
    let mut claims = Vec::new();
    AccountEvent::from(AccountOpened { owner: "Ada".to_owned() }).claims(&mut claims).unwrap();
    AccountEvent::from(Frozen).claims(&mut claims).unwrap();
    assert_eq!(claims.len(), 1);
    assert_eq!((&*claims[0].set, claims[0].key.as_str()), ("owner", "Ada"));
}

#[test]
fn the_tables_say_what_was_declared() {
    let table = Bank::describe();
    assert_eq!((table.name, table.aggregates[0].name, table.aggregates[0].snapshot_every), ("bank", "account", 100));
    let handlers: Vec<_> = table.commands.iter().map(|c| (c.name, c.handler.name, c.handler.retries)).collect();
    let expected = [
        ("OpenAccount", "open", None),
        ("Deposit", "deposit", Some(2)),
        ("Freeze", "freeze", None),
        ("Close", "close", Some(0)),
    ];
    assert_eq!(handlers, expected);
    let dependencies = table.commands[3].handler.dependencies;
    assert_eq!(dependencies.iter().flatten().count(), 1);
    assert_eq!(Outer::describe().domains.len(), 2);
    assert_eq!(<AccountOpened as HasShape>::shape().describe(), "  owner: String (claim \"owner\")\n");
}

#[value_object(validate)]
pub struct Percentage {
    percent: u8,
}

#[value_object]
impl Percentage {
    fn validate(&self) -> Result<(), String> {
        if self.percent <= 100 { Ok(()) } else { Err(format!("{} is more than 100", self.percent)) }
    }
}

#[test]
fn a_checked_value_object_has_no_way_around_its_check() {
    assert_eq!(Percentage::new(7).map(|value| *value.percent()), Ok(7));
    assert_eq!(Percentage::new(101), Err("101 is more than 100".to_owned()));
    let read = |json| serde_json::from_str::<Percentage>(json).map_err(|error| error.to_string());
    assert_eq!(read(r#"{"percent":7}"#), Ok(Percentage { percent: 7 }));
    assert!(read(r#"{"percent":101}"#).is_err_and(|error| error.starts_with("101 is more than 100")));
}

#[test]
fn paths_are_inferred() {
    dispatch(Bank, Deposit { account: Uuid::nil(), cents: 1 });
    dispatch(Outer, Deposit { account: Uuid::nil(), cents: 1 });
    dispatch(Outer, cards::Block { card: "1".to_owned() });
    dispatch(Outer, BankCommand::from(Deposit { account: Uuid::nil(), cents: 1 }));
    dispatch(Outer, OuterCommand::from(BankCommand::from(Deposit { account: Uuid::nil(), cents: 1 })));
}
