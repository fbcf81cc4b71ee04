// `validate` is an option of the struct.
use es_runtime::prelude::*;

#[value_object]
pub struct Email(String);

#[value_object(validate)]
impl Email {
    fn validate(&self) -> Result<(), String> {
        Ok(())
    }
}

fn main() {}
