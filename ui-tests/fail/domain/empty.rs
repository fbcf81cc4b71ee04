// A domain begins with its name.
use es_runtime::prelude::*;

domain! {}

fn main() {}
