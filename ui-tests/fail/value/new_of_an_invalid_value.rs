// A checked value is built through its check only.
use es_runtime::prelude::*;

#[value_object(validate)]
pub struct Email(String);

#[value_object]
impl Email {
    fn validate(&self) -> Result<(), String> {
        Ok(())
    }
}

fn email() -> Email {
    Email::new("nobody".to_owned())
}

fn main() {}
