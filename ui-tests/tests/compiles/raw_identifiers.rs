//! Names that are keywords work, and are stored without `r#`.
#![deny(warnings)]
#![allow(non_camel_case_types)]
use es_runtime::prelude::*;

#[domain_event]
pub struct r#yield {
    pub r#type: String,
    #[claim("match")]
    pub r#match: Option<String>,
}

#[value_object]
pub struct Kind {
    r#type: String,
}

#[command(aggregate = r#Account)]
pub struct Start {
    #[id]
    pub r#in: Uuid,
}

#[aggregate(name = "account", id = Uuid, events(r#yield))]
pub struct Account {}

#[aggregate]
impl r#Account {
    #[apply]
    fn r#move(_: &r#yield) -> Self {
        Self {}
    }

    #[command_handler]
    fn r#loop(_: Start) -> r#yield {
        r#yield { r#type: String::new(), r#match: None }
    }
}

domain! { pub Bank = "bank"; aggregates: [Account]; commands: [Start] }

#[test]
fn compiles() {
    assert_eq!(<r#yield as DomainEvent>::NAME, "yield");
    assert_eq!(Kind::new("a".to_owned()).r#type(), "a");
}
