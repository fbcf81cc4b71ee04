//! Queries over tables and dependencies, and projections that take a connection or a dependency.
#![deny(warnings)]

use es_runtime::prelude::*;

#[domain_event]
pub struct Opened {
    pub owner: String,
}

#[domain_event]
pub struct Closed;

#[aggregate(name = "account", id = Uuid, events(Opened, Closed))]
pub struct Account;

#[aggregate]
impl Account {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self
    }
    #[apply]
    fn closed(&mut self, _: &Closed) {}
}

#[read_model(table = "owners")]
pub struct Owner {
    #[key]
    pub account: Uuid,
    pub name: String,
}

#[projection(name = "owners", version = 1)]
impl Owner {
    #[async_projection]
    fn opened(event: &Recorded<Opened>) -> Self {
        Self { account: event.id_of::<Account>(), name: event.owner.clone() }
    }
}

pub trait Clock: Send + Sync {
    fn hour(&self) -> u8;
}
impl Dependency for dyn Clock {}

pub struct Cache;
impl Dependency for Cache {}

#[derive(Debug)]
pub struct Refused;
impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("refused")
    }
}
impl std::error::Error for Refused {}

/// External.
#[derive(Default)]
pub struct Cached;

#[projection(name = "cached")]
impl Cached {
    #[async_projection(retry = 2)]
    async fn opened(&self, cache: Dep<Cache>, event: &Recorded<Opened>, clock: Dep<dyn Clock>) -> Result<(), Refused> {
        let _ = (cache, clock.hour(), &event.owner);
        Ok(())
    }

    #[async_projection]
    async fn closed(&self, events: &[Recorded<Closed>], _: Dep<Cache>) -> Result<(), String> {
        if events.is_empty() { Err("empty".to_owned()) } else { Ok(()) }
    }
}

#[query(output = Option<Owner>)]
pub struct OwnerOf {
    pub account: Uuid,
}

#[query_handler]
async fn owner_of(query: OwnerOf, owners: &Table<Owner>, clock: Dep<dyn Clock>) -> Result<Option<Owner>, Refused> {
    let _ = (query.account, owners, clock.hour());
    Ok(None)
}

#[query(output = (u8, Vec<String>), name = "hour")]
#[derive(PartialEq)]
pub struct Hour;

#[query_handler]
async fn hour(_: Hour) -> Result<(u8, Vec<String>), std::convert::Infallible> {
    Ok((1, Vec::new()))
}

domain! {
    pub Bank = "bank";
    aggregates: [Account];
    queries: [OwnerOf, Hour];
    projections: [Owner, Cached];
}

domain! { pub Whole = "whole"; domains: [Bank] }

fn on<S: es_runtime::store::Store, D: es_runtime::app::DomainOn<S>>() {}

#[test]
fn compiles() {
    on::<MemoryStore, Whole>();
    on::<SqliteStore, Whole>();
    assert_eq!(Bank::describe().queries[1].name, "hour");
    let handler = <OwnerOf as es_runtime::query::AnswersOn<MemoryStore>>::HANDLER;
    assert_eq!(handler.reads, [Some("owners"), None]);
    assert!(handler.dependencies[1].is_some());
    let row = Owner { account: Uuid::nil(), name: "Ann".to_owned() };
    let _ = OwnerOf { account: row.account };
    assert_eq!(Owner::ACCOUNT.clone().to_string_of(), "ColumnOf(0)");
}

trait ToStringOf {
    fn to_string_of(&self) -> String;
}
impl<T: std::fmt::Debug> ToStringOf for T {
    fn to_string_of(&self) -> String {
        format!("{self:?}")
    }
}
