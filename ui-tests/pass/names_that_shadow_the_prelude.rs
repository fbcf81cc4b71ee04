// Generated code names nothing that a user could have shadowed.
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

::es_runtime::domain! { pub Bank = "bank"; aggregates: [Account]; commands: [Open, Close] }
::es_runtime::domain! { pub Whole = "whole"; domains: [Bank] }

fn main() {}
