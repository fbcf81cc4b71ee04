// An answer can be sent.
use es_runtime::prelude::*;

pub struct Secret(pub u8);

#[query(output = Secret)]
pub struct SecretOf {
    pub account: Uuid,
}

#[query_handler]
async fn secret(_: SecretOf) -> Result<Secret, ReadModelError> {
    Ok(Secret(0))
}

domain! { pub Secrets = "secrets"; queries: [SecretOf] }

fn main() {}
