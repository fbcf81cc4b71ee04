//! Generated code names nothing that a user could have shadowed.
#![no_implicit_prelude]
#![deny(warnings)]

#[allow(dead_code)]
mod shadows {
    pub struct Option;
    pub struct Result;
    pub struct String;
    pub struct Vec;
    pub struct Box;
    pub struct Some;
    pub struct None;
    pub struct Ok;
    pub struct Err;
    pub trait Clone {}
    pub trait Debug {}
    pub trait From {}
    pub trait Into {}
    pub trait Send {}
    pub trait Future {}
    pub trait PartialEq {}
    pub trait Serialize {}
    pub trait Aggregate {}
    pub trait DomainEvent {}
    pub fn event() {}
    pub fn command() {}
    pub fn state() {}
    pub trait Default {}
    pub trait Projection {}
    pub trait Query {}
    pub trait ReadModel {}
    pub trait Store {}
    pub fn values() {}
    pub fn projections() {}
    pub fn queries() {}
    pub fn hold() {}
}

#[allow(unused_imports)]
use shadows::*;

#[::es_runtime::domain_event]
pub struct Opened {
    #[claim("owner")]
    pub owner: ::std::string::String,
}

#[::es_runtime::domain_event]
pub struct Closed;

#[::es_runtime::value_object(validate)]
pub struct Name {
    text: ::std::string::String,
    count: u8,
}

#[::es_runtime::value_object]
impl Name {
    fn validate(&self) -> ::core::result::Result<(), ::std::string::String> {
        ::core::result::Result::Ok(())
    }
}

#[::es_runtime::value_object]
pub struct Cents(i64);

#[::es_runtime::command(aggregate = Account)]
pub struct Open {
    #[id]
    pub account: ::std::string::String,
}

#[::es_runtime::command(aggregate = Account)]
pub struct Close {
    #[id]
    pub account: ::std::string::String,
}

#[::es_runtime::aggregate(name = "account", id = ::std::string::String, events(Opened, Closed), snapshot(every = 2))]
pub struct Account {}

#[::es_runtime::aggregate]
impl Account {
    #[::es_runtime::apply]
    fn opened(_: &Opened) -> Self {
        Self {}
    }

    #[::es_runtime::apply]
    fn closed(&mut self, _: &Closed) {}

    #[::es_runtime::command_handler]
    fn open(command: Open) -> Opened {
        Opened { owner: command.account }
    }
}

#[::es_runtime::command_handler]
async fn command_root(
    _: Close,
    root: &mut ::es_runtime::aggregate::Existing<Account>,
    _: &::es_runtime::handler::Context,
) -> ::core::result::Result<(), ::es_runtime::aggregate::RecordError> {
    root.record(Closed)
}

#[::es_runtime::read_model(table = "names")]
pub struct Named {
    #[key]
    pub account: ::std::string::String,
    #[key]
    pub table: u8,
    #[json]
    pub projection: ::std::vec::Vec<u8>,
    pub owner: ::core::option::Option<::std::string::String>,
}

#[::es_runtime::projection(name = "names")]
impl Named {
    #[::es_runtime::async_projection(key = |event| (::std::clone::Clone::clone(&event.owner), 0))]
    fn event(
        this: ::core::option::Option<Self>,
        _: &::es_runtime::event::Recorded<Opened>,
    ) -> ::core::option::Option<Self> {
        this
    }
}

pub struct Told;

impl ::core::default::Default for Told {
    fn default() -> Self {
        Told
    }
}

pub struct Channel;

impl ::es_runtime::handler::Dependency for Channel {}

#[::es_runtime::projection(name = "told")]
impl Told {
    #[::es_runtime::async_projection(retry = 1, on_failure = stop)]
    #[::es_runtime::monitor_projection]
    async fn state(
        &self,
        _: ::es_runtime::handler::Dep<Channel>,
        _: &::es_runtime::event::Recorded<Closed>,
    ) -> ::core::result::Result<(), ::std::string::String> {
        ::core::result::Result::Ok(())
    }
}

#[::es_runtime::query(output = ::core::option::Option<Named>)]
pub struct NameOf {
    pub account: ::std::string::String,
}

#[::es_runtime::query_handler]
async fn values(
    query: NameOf,
    _: &::es_runtime::read_model::Table<Named>,
) -> ::core::result::Result<::core::option::Option<Named>, ::es_runtime::read_model::ReadModelError> {
    let _ = query.account;
    ::core::result::Result::Ok(::core::option::Option::None)
}

::es_runtime::domain! {
    pub Bank = "bank";
    aggregates: [Account];
    commands: [Open, Close];
    queries: [NameOf];
    projections: [Named, Told];
}
::es_runtime::domain! { pub Whole = "whole"; domains: [Bank] }
