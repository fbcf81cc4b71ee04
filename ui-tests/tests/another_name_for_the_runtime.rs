//! A renamed dependency is found through `crate = …`; the usual name is taken by something else.
#![deny(warnings)]
#![allow(missing_docs)]
#[allow(unused_extern_crates)]
extern crate core as es_runtime;
extern crate es_runtime as fw;

use fw::prelude::*;

#[domain_event(crate = ::fw)]
pub struct Opened {
    pub owner: Owner,
}

#[domain_event(version = 2, crate = ::fw)]
pub struct Closed;

#[upcast(event = Closed, from = 1, crate = ::fw)]
fn closed(old: ::fw::__private::serde_json::Value) -> Result<::fw::__private::serde_json::Value, UpcastError> {
    Ok(old)
}

#[value_object(validate, crate = ::fw)]
pub struct Owner(String);

#[value_object(crate = ::fw)]
impl Owner {
    fn validate(&self) -> Result<(), String> {
        Ok(())
    }
}

#[command(aggregate = Account, validate, crate = ::fw)]
pub struct Open {
    #[id]
    pub account: Uuid,
    #[garde(length(min = 1))]
    pub owner: String,
}

#[command(aggregate = Account, crate = ::fw)]
pub struct Close {
    #[id]
    pub account: Uuid,
}

#[aggregate(name = "account", id = Uuid, events(Opened, Closed), snapshot(every = 2), crate = ::fw)]
pub struct Account {}

#[aggregate(crate = ::fw)]
impl Account {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self {}
    }

    #[apply]
    fn closed(&mut self, _: &Closed) {}

    #[command_handler]
    fn open(command: Open) -> Result<Opened, std::io::Error> {
        Ok(Opened { owner: Owner::new(command.owner).map_err(std::io::Error::other)? })
    }
}

#[command_handler(crate = ::fw)]
async fn close(_: Close, account: &mut Existing<Account>) -> Result<(), RecordError> {
    account.record(Closed)
}

domain! { pub Bank = "bank"; crate = ::fw; aggregates: [Account]; commands: [Open, Close] }
