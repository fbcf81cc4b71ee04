// The check looks at the value.
use es_runtime::prelude::*;

#[value_object(validate)]
pub struct Email(String);

#[value_object]
impl Email {
    fn validate(_: &str) -> Result<(), String> {
        Ok(())
    }
}

fn main() {}
