// A synchronous key needs one partition.
use es_runtime::prelude::*;
use es_ui_tests::MoneyDeposited;

#[read_model(table = "branches")]
pub struct Branch {
    #[key]
    pub branch: u32,
    pub cents: i64,
}

#[projection(name = "branches", partitions = 4)]
impl Branch {
    #[sync_projection(key = |event| event.branch)]
    fn deposited(&mut self, event: &Recorded<MoneyDeposited>) {
        self.cents += event.cents;
    }
}

fn main() {}
