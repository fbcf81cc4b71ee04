// Two fields under one stored name cannot be told apart.

use es_runtime::domain_event;

#[domain_event]
#[serde(rename_all = "camelCase")]
pub struct Moved {
    pub from_place: u32,
    #[serde(rename = "fromPlace")]
    pub to: u32,
    #[serde(alias = "to")]
    pub back: u32,
}

#[domain_event]
pub struct Renamed {
    #[serde(rename = "to")]
    pub from: u32,
    pub to: u32,
}

fn main() {}
