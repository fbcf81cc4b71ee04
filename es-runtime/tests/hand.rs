//! A domain expanded by hand: what the macros must emit, in substance.
#![allow(missing_docs, dead_code, clippy::all)]
use es_runtime::__private as p;
use es_runtime::aggregate::*;
use es_runtime::app::*;
use es_runtime::command::*;
use es_runtime::error::*;
use es_runtime::event::*;
use es_runtime::handler::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

// ---- #[domain_event] pub struct AccountOpened { #[claim("owner")] pub owner: String }
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountOpened {
    pub owner: String,
}
impl DomainEvent for AccountOpened {
    const NAME: &'static str = "AccountOpened";
    const VERSION: u32 = 1;
    fn claims(&self, claims: &mut Vec<Claim>) {
        p::claim(claims, "owner", &self.owner, false);
    }
}
impl HasShape for AccountOpened {
    fn shape() -> &'static Shape {
        use p::ProbeFallback as _;
        const SHAPE: Shape = Shape {
            name: "AccountOpened",
            fields: &[FieldShape { name: "owner", ty: "String", nested: p::Probe::<String>::SHAPE }],
        };
        &SHAPE
    }
}
const _: () = {
    use p::ProbeFallback as _;
    assert!(!p::Probe::<String>::IS_LOCAL_TIME, "events store time in UTC only");
    p::require_event_field::<String>();
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MoneyDepositedV1 {
    pub euros: i64,
}
impl DomainEvent for MoneyDepositedV1 {
    const NAME: &'static str = "MoneyDeposited";
    const VERSION: u32 = 1;
}
impl HasShape for MoneyDepositedV1 {
    fn shape() -> &'static Shape {
        &Shape { name: "MoneyDepositedV1", fields: &[] }
    }
}

// ---- #[domain_event(version = 2, upcast = MoneyDepositedV1)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MoneyDeposited {
    pub cents: i64,
}
impl From<MoneyDepositedV1> for MoneyDeposited {
    fn from(old: MoneyDepositedV1) -> Self {
        Self { cents: old.euros * 100 }
    }
}
impl DomainEvent for MoneyDeposited {
    const NAME: &'static str = "MoneyDeposited";
    const VERSION: u32 = 2;
    fn upcast(version: u32, body: &[u8]) -> Result<Self, DecodeError> {
        p::upcast_typed::<MoneyDepositedV1, Self>(version, body)
    }
}
impl HasShape for MoneyDeposited {
    fn shape() -> &'static Shape {
        &Shape { name: "MoneyDeposited", fields: &[] }
    }
}

// ---- #[domain_event(version = 3)] with raw upcasters from 1 and 2
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Closed {
    pub why: String,
}
impl DomainEvent for Closed {
    const NAME: &'static str = "Closed";
    const VERSION: u32 = 3;
    fn upcast(version: u32, body: &[u8]) -> Result<Self, DecodeError> {
        p::upcast_raw::<Self>(version, body, &[p::raw_step::<Self, 1>(), p::raw_step::<Self, 2>()])
    }
}
impl HasShape for Closed {
    fn shape() -> &'static Shape {
        &Shape { name: "Closed", fields: &[] }
    }
}
// ---- #[upcast(event = Closed, from = 1)] fn closed_1(old: Value) -> Result<Value, UpcastError>
impl UpcastFrom<1> for Closed {
    fn upcast_json(old: p::serde_json::Value) -> Result<p::serde_json::Value, UpcastError> {
        Ok(old)
    }
}
impl UpcastFrom<2> for Closed {
    fn upcast_json(old: p::serde_json::Value) -> Result<p::serde_json::Value, UpcastError> {
        Ok(old)
    }
}

// ---- #[command(aggregate = Account)]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenAccount {
    pub account: Uuid,
    pub owner: String,
}
impl Command for OpenAccount {
    type Aggregate = Account;
    const NAME: &'static str = "OpenAccount";
    fn id(&self) -> &Uuid {
        &self.account
    }
}
impl OpenAccount {
    #[deny(dead_code)]
    pub(crate) const COMMAND_IS_NOT_LISTED_IN_A_DOMAIN: () = ();
}
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deposit {
    pub account: Uuid,
    pub cents: i64,
}
impl Command for Deposit {
    type Aggregate = Account;
    const NAME: &'static str = "Deposit";
    fn id(&self) -> &Uuid {
        &self.account
    }
}
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Close {
    pub account: Uuid,
}
impl Command for Close {
    type Aggregate = Account;
    const NAME: &'static str = "Close";
    fn id(&self) -> &Uuid {
        &self.account
    }
}

// ---- #[aggregate(name = "account", id = Uuid, events(AccountOpened, MoneyDeposited, Closed), snapshot(every = 100))]
#[derive(Serialize, Deserialize)]
pub struct Account {
    balance: i64,
}
#[derive(Debug, Clone, PartialEq)]
pub enum AccountEvent {
    AccountOpened(AccountOpened),
    MoneyDeposited(MoneyDeposited),
    Closed(Closed),
}
impl AggregateEvent for AccountEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::AccountOpened(_) => <AccountOpened as DomainEvent>::NAME,
            Self::MoneyDeposited(_) => <MoneyDeposited as DomainEvent>::NAME,
            Self::Closed(_) => <Closed as DomainEvent>::NAME,
        }
    }
    fn schema_version(&self) -> u32 {
        match self {
            Self::AccountOpened(_) => <AccountOpened as DomainEvent>::VERSION,
            Self::MoneyDeposited(_) => <MoneyDeposited as DomainEvent>::VERSION,
            Self::Closed(_) => <Closed as DomainEvent>::VERSION,
        }
    }
    fn encode(&self, into: &mut Vec<u8>) -> Result<(), p::serde_json::Error> {
        match self {
            Self::AccountOpened(event) => p::serde_json::to_writer(into, event),
            Self::MoneyDeposited(event) => p::serde_json::to_writer(into, event),
            Self::Closed(event) => p::serde_json::to_writer(into, event),
        }
    }
    fn decode(name: &str, version: u32, body: &[u8]) -> Result<Self, DecodeError> {
        match name {
            <AccountOpened as DomainEvent>::NAME => p::decode(version, body).map(Self::AccountOpened),
            <MoneyDeposited as DomainEvent>::NAME => p::decode(version, body).map(Self::MoneyDeposited),
            <Closed as DomainEvent>::NAME => p::decode(version, body).map(Self::Closed),
            other => Err(p::unknown_event(other)),
        }
    }
    fn claims(&self, claims: &mut Vec<Claim>) {
        match self {
            Self::AccountOpened(event) => DomainEvent::claims(event, claims),
            Self::MoneyDeposited(event) => DomainEvent::claims(event, claims),
            Self::Closed(event) => DomainEvent::claims(event, claims),
        }
    }
}
impl Aggregate for Account {
    const NAME: &'static str = "account";
    type Id = Uuid;
    type Event = AccountEvent;
    const EVENTS: &'static [EventDescriptor] = &[
        EventDescriptor::of::<Self, AccountOpened>("AccountOpened"),
        EventDescriptor::of::<Self, MoneyDeposited>("MoneyDeposited"),
        EventDescriptor::of::<Self, Closed>("Closed"),
    ];
    const SNAPSHOT: Option<SnapshotPolicy<Self>> = Some(SnapshotPolicy::new(100, 1));
    fn apply(state: Option<&mut Self>, event: &AccountEvent) -> Result<Option<Self>, CannotApply> {
        match event {
            AccountEvent::AccountOpened(event) => <Self as Apply<AccountOpened>>::apply(state, event),
            AccountEvent::MoneyDeposited(event) => <Self as Apply<MoneyDeposited>>::apply(state, event),
            AccountEvent::Closed(event) => <Self as Apply<Closed>>::apply(state, event),
        }
    }
}
impl HasShape for Account {
    fn shape() -> &'static Shape {
        &Shape { name: "Account", fields: &[FieldShape { name: "balance", ty: "i64", nested: None }] }
    }
}
// per listed event (as one macro_rules-free block each):
impl EventOf<Account> for AccountOpened {}
impl From<AccountOpened> for AccountEvent {
    fn from(event: AccountOpened) -> Self {
        Self::AccountOpened(event)
    }
}
impl IntoEvents<Account> for AccountOpened {
    type Error = std::convert::Infallible;
    fn into_events(self, events: &mut Vec<AccountEvent>) -> Result<(), Self::Error> {
        events.push(AccountEvent::AccountOpened(self));
        Ok(())
    }
}
impl EventOf<Account> for MoneyDeposited {}
impl From<MoneyDeposited> for AccountEvent {
    fn from(event: MoneyDeposited) -> Self {
        Self::MoneyDeposited(event)
    }
}
impl IntoEvents<Account> for MoneyDeposited {
    type Error = std::convert::Infallible;
    fn into_events(self, events: &mut Vec<AccountEvent>) -> Result<(), Self::Error> {
        events.push(AccountEvent::MoneyDeposited(self));
        Ok(())
    }
}
impl EventOf<Account> for Closed {}
impl From<Closed> for AccountEvent {
    fn from(event: Closed) -> Self {
        Self::Closed(event)
    }
}
impl IntoEvents<Account> for Closed {
    type Error = std::convert::Infallible;
    fn into_events(self, events: &mut Vec<AccountEvent>) -> Result<(), Self::Error> {
        events.push(AccountEvent::Closed(self));
        Ok(())
    }
}
impl IntoEvents<Account> for AccountEvent {
    type Error = std::convert::Infallible;
    fn into_events(self, events: &mut Vec<AccountEvent>) -> Result<(), Self::Error> {
        events.push(self);
        Ok(())
    }
}

// ---- #[aggregate] impl Account
impl Account {
    fn opened(_: &AccountOpened) -> Self {
        Self { balance: 0 }
    }
    fn deposited(&mut self, event: &MoneyDeposited) {
        self.balance += event.cents;
    }
    fn closed(&mut self, _: &Closed) {}
    fn open(command: OpenAccount) -> AccountOpened {
        AccountOpened { owner: command.owner }
    }
    fn deposit(&self, command: Deposit, _context: &Context) -> Result<MoneyDeposited, Overflow> {
        if self.balance.checked_add(command.cents).is_none() {
            return Err(Overflow);
        }
        Ok(MoneyDeposited { cents: command.cents })
    }
}
#[derive(Debug)]
pub struct Overflow;
impl std::fmt::Display for Overflow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("overflow")
    }
}
impl std::error::Error for Overflow {}

impl Apply<AccountOpened> for Account {
    const CREATES: bool = true;
    fn apply(state: Option<&mut Self>, event: &AccountOpened) -> Result<Option<Self>, CannotApply> {
        p::apply_create(state, event, Self::opened)
    }
}
impl Apply<MoneyDeposited> for Account {
    const CREATES: bool = false;
    fn apply(state: Option<&mut Self>, event: &MoneyDeposited) -> Result<Option<Self>, CannotApply> {
        p::apply_change(state, event, Self::deposited)
    }
}
impl Apply<Closed> for Account {
    const CREATES: bool = false;
    fn apply(state: Option<&mut Self>, event: &Closed) -> Result<Option<Self>, CannotApply> {
        p::apply_change(state, event, Self::closed)
    }
}
impl Decides<OpenAccount> for Account {
    type Error = <AccountOpened as IntoEvents<Account>>::Error;
    fn decide(
        state: Option<&Self>,
        command: OpenAccount,
        _context: &Context,
        events: &mut Vec<AccountEvent>,
    ) -> Result<(), Rejection<<Self as Decides<OpenAccount>>::Error>> {
        p::creates(state, events, || Self::open(command))
    }
}
impl Handles<OpenAccount> for Account {
    type Output = ();
    type Error = <Self as Decides<OpenAccount>>::Error;
    const HANDLER: HandlerDescriptor = HandlerDescriptor::new("open", HandlerShape::Creates);
    fn handle(
        root: Root<Self>,
        command: OpenAccount,
        _: &Scope,
    ) -> impl Future<Output = Handled<Self, (), <Self as Handles<OpenAccount>>::Error>> + Send {
        p::decided(root, command)
    }
}
impl Decides<Deposit> for Account {
    type Error = <Result<MoneyDeposited, Overflow> as IntoEvents<Account>>::Error;
    fn decide(
        state: Option<&Self>,
        command: Deposit,
        context: &Context,
        events: &mut Vec<AccountEvent>,
    ) -> Result<(), Rejection<<Self as Decides<Deposit>>::Error>> {
        p::changes(state, events, |state| Self::deposit(state, command, context))
    }
}
impl Handles<Deposit> for Account {
    type Output = ();
    type Error = <Self as Decides<Deposit>>::Error;
    const HANDLER: HandlerDescriptor = HandlerDescriptor::new("deposit", HandlerShape::Changes);
    fn handle(
        root: Root<Self>,
        command: Deposit,
        _: &Scope,
    ) -> impl Future<Output = Handled<Self, (), <Self as Handles<Deposit>>::Error>> + Send {
        p::decided(root, command)
    }
}

// ---- #[command_handler] async fn close(command: Close, account: &mut Existing<Account>, mailer: Dep<Mailer>, context: &Context) -> Result<i64, Overflow>
pub struct Mailer;
impl Dependency for Mailer {}
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
impl Handles<Close> for Account {
    type Output = i64;
    type Error = Overflow;
    const HANDLER: HandlerDescriptor = HandlerDescriptor::new("close", HandlerShape::Orchestrates).dependencies(&[
        <Dep<Mailer> as HandlerArg<'static>>::DEPENDENCY,
        <&'static Context as HandlerArg<'static>>::DEPENDENCY,
    ]);
    async fn handle(root: Root<Self>, command: Close, scope: &Scope) -> Handled<Self, i64, Overflow> {
        let mut account = match <Existing<Account> as RootArg<Account>>::enter(root) {
            Ok(account) => account,
            Err((root, rejection)) => return (root, Err(rejection)),
        };
        let a1 = match p::arg(scope) {
            Ok(arg) => arg,
            Err(error) => return p::missing(RootArg::leave(account), error),
        };
        let a2 = match p::arg(scope) {
            Ok(arg) => arg,
            Err(error) => return p::missing(RootArg::leave(account), error),
        };
        let answer = close(command, &mut account, a1, a2).await;
        (RootArg::leave(account), answer.map_err(Rejection::Domain))
    }
}

// ---- domain! { pub Bank = "bank"; aggregates: [Account]; commands: [OpenAccount, Deposit, Close] }
pub struct Bank;
#[derive(Debug, Clone, PartialEq)]
pub enum BankEvent {
    Account(AccountEvent),
}
#[derive(Debug, Clone)]
pub enum BankCommand {
    OpenAccount(OpenAccount),
    Deposit(Deposit),
    Close(Close),
}
impl From<Deposit> for BankCommand {
    fn from(command: Deposit) -> Self {
        Self::Deposit(command)
    }
}
impl Domain for Bank {
    const TABLE: &'static DomainTable = &DomainTable {
        name: "bank",
        aggregates: &[AggregateDescriptor::of::<Account>("Account")],
        commands: &[
            CommandDescriptor::of::<OpenAccount>("OpenAccount"),
            CommandDescriptor::of::<Deposit>("Deposit"),
            CommandDescriptor::of::<Close>("Close"),
        ],
        domains: &[],
    };
    type Event = BankEvent;
    fn decode(event: &Recorded<AnyEvent>) -> Result<Recorded<BankEvent>, DecodeError> {
        if let Some(decoded) = p::decode_of::<Account, _>(event, BankEvent::Account) {
            return decoded;
        }
        Err(p::unknown_aggregate(event))
    }
}
impl<S: es_runtime::store::Store> DomainOn<S> for Bank {
    fn routes(routes: &mut p::Routes<S>) {
        routes.command::<OpenAccount>();
        routes.command::<Deposit>();
        routes.command::<Close>();
    }
}
impl p::Has<Bank, p::Here> for Bank {}
impl p::InDomain for OpenAccount {
    type Domain = Bank;
}
impl p::InDomain for Deposit {
    type Domain = Bank;
}
impl p::InDomain for Close {
    type Domain = Bank;
}
impl<D: 'static, P: 'static> CommandOf<D, P> for BankCommand
where
    D: p::Has<Bank, P>,
{
    type Output = p::serde_json::Value;
    type Error = AnyDomainError;
    async fn run<S: es_runtime::store::Store>(
        self,
        context: p::DispatchContext<S>,
    ) -> p::Outcome<Self::Output, Self::Error> {
        match self {
            Self::OpenAccount(command) => p::run_enum(command, context).await,
            Self::Deposit(command) => p::run_enum(command, context).await,
            Self::Close(command) => p::run_enum(command, context).await,
        }
    }
}
const _: () = OpenAccount::COMMAND_IS_NOT_LISTED_IN_A_DOMAIN;

// ---- domain! { pub Outer = "outer"; domains: [Bank] }
pub struct Outer;
pub enum OuterEvent {
    Bank(BankEvent),
}
pub enum OuterCommand {
    Bank(BankCommand),
}
impl Domain for Outer {
    const TABLE: &'static DomainTable =
        &DomainTable { name: "outer", aggregates: &[], commands: &[], domains: &[<Bank as Domain>::TABLE] };
    type Event = OuterEvent;
    fn decode(event: &Recorded<AnyEvent>) -> Result<Recorded<OuterEvent>, DecodeError> {
        if let Some(decoded) = p::decode_part::<Bank, _>(event, OuterEvent::Bank) {
            return decoded;
        }
        Err(p::unknown_aggregate(event))
    }
}
impl<S: es_runtime::store::Store> DomainOn<S> for Outer {
    fn routes(routes: &mut p::Routes<S>) {
        routes.part::<Bank>();
    }
}
impl p::Has<Outer, p::Here> for Outer {}
impl<D, P> p::Has<D, p::Part<0, P>> for Outer where Bank: p::Has<D, P> {}
impl<D: 'static, P: 'static> CommandOf<D, P> for OuterCommand
where
    D: p::Has<Outer, P>,
{
    type Output = p::serde_json::Value;
    type Error = AnyDomainError;
    async fn run<S: es_runtime::store::Store>(
        self,
        context: p::DispatchContext<S>,
    ) -> p::Outcome<Self::Output, Self::Error> {
        match self {
            Self::Bank(command) => <BankCommand as CommandOf<Bank, p::Here>>::run(command, context).await,
        }
    }
}

fn dispatch<D, C: CommandOf<D, P>, P>(_: D, _: C) {}

#[test]
fn paths_are_inferred() {
    dispatch(Bank, Deposit { account: Uuid::nil(), cents: 1 });
    dispatch(Outer, Deposit { account: Uuid::nil(), cents: 1 });
    dispatch(Outer, BankCommand::from(Deposit { account: Uuid::nil(), cents: 1 }));
}

use es_runtime::store::MemoryStore;
use futures_util::StreamExt as _;

async fn bank() -> App<Bank, MemoryStore> {
    App::<Bank, _>::builder(MemoryStore::new()).dependency(Mailer).build().await.unwrap()
}

#[tokio::test]
async fn a_domain_runs() {
    let bank = bank().await;
    let account = Uuid::from_u128(1);
    let receipt = bank.dispatch(OpenAccount { account, owner: "ann".into() }).await.unwrap();
    assert_eq!(receipt.version(), 1);
    let receipt = bank.dispatch(Deposit { account, cents: 5 }).idempotency_key("k").await.unwrap();
    assert_eq!(receipt.version(), 2);
    let again = bank.dispatch(Deposit { account, cents: 5 }).idempotency_key("k").await.unwrap();
    assert!(again.replayed());
    assert_eq!(again.events(), receipt.events());
    let other = bank.dispatch(Deposit { account, cents: 6 }).idempotency_key("k").await.unwrap_err();
    assert!(matches!(other, DispatchError::IdempotencyKeyReused { .. }), "{other}");
    let error = bank.dispatch(Deposit { account, cents: i64::MAX }).await.unwrap_err();
    assert!(error.domain().is_some());
    let error = bank.dispatch(OpenAccount { account, owner: "bob".into() }).await.unwrap_err();
    assert!(matches!(error, DispatchError::AlreadyExists { .. }));
    let error = bank.dispatch(OpenAccount { account: Uuid::from_u128(2), owner: "ann".into() }).await.unwrap_err();
    assert!(matches!(error, DispatchError::Claimed { .. }), "{error}");
    let receipt = bank.dispatch(Close { account }).await.unwrap();
    assert_eq!(*receipt.output(), 5);
    assert_eq!(bank.load::<Account>(account).await.unwrap().state().unwrap().balance, 5);
    assert_eq!(bank.load::<Account>(account).at_version(1).await.unwrap().state().unwrap().balance, 0);
    assert_eq!(bank.event_count().await.unwrap(), 3);
    let all: Vec<_> = bank.events().decode::<Bank>().map(Result::unwrap).collect().await;
    assert_eq!(all.len(), 3);
    let json = serde_json::json!({"account": account, "cents": "x"});
    let error = bank.dispatch_json("Deposit", json).await.unwrap_err();
    let text = "command `Deposit` could not be read at `cents`: invalid type: string \"x\", expected i64";
    assert_eq!(error.to_string(), text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hot() {
    let bank = bank().await;
    let account = Uuid::from_u128(1);
    bank.dispatch(OpenAccount { account, owner: "ann".into() }).await.unwrap();
    let deposits = futures_util::stream::iter((0..1000).map(move |_| Deposit { account, cents: 1 }));
    let outcomes: Vec<_> = bank.dispatch_all(deposits).in_flight(64).collect().await;
    assert!(outcomes.iter().all(|o| o.outcome.is_ok()));
    assert_eq!(bank.load::<Account>(account).await.unwrap().state().unwrap().balance, 1000);
}
