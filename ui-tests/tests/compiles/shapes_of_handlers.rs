//! Everything that a handler may return and take.
#![deny(warnings)]
use es_runtime::prelude::*;

#[domain_event]
pub struct Opened;
#[domain_event]
pub struct Counted {
    pub by: u64,
}

macro_rules! commands {
    ($($name:ident)+) => {$(
        #[command(aggregate = Counter)]
        pub struct $name {
            #[id]
            pub counter: u64,
        }
    )+};
}
commands! { Open OpenTwo OpenResult OpenAll Count CountMany CountArray CountMaybe CountChecked CountAny CountNothing Renamed Look }

pub type Decision<T> = Result<T, std::fmt::Error>;

#[aggregate(name = "counter", id = u64, events(Opened, Counted))]
pub struct Counter {
    count: u64,
}

#[aggregate]
impl Counter {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self { count: 0 }
    }

    #[apply]
    fn counted(&mut self, event: &'_ Counted) {
        self.count += event.by;
    }

    #[command_handler]
    fn open(_: Open) -> Opened {
        Opened
    }

    #[command_handler]
    fn open_two(OpenTwo { counter: by }: OpenTwo) -> (Opened, Counted) {
        (Opened, Counted { by })
    }

    #[command_handler]
    fn open_result(_: OpenResult, context: &Context) -> Decision<(Opened, Option<Counted>)> {
        let _ = context.now();
        Ok((Opened, None))
    }

    #[command_handler]
    fn open_all(mut command: OpenAll) -> Vec<CounterEvent> {
        command.counter += 1;
        vec![Opened.into(), Counted { by: command.counter }.into()]
    }

    #[command_handler]
    fn count(&self, _: Count) -> Counted {
        Counted { by: self.count }
    }

    #[command_handler]
    fn count_many(&self, _: CountMany) -> Vec<Counted> {
        Vec::new()
    }

    #[command_handler]
    fn count_array(&self, _: CountArray) -> [Counted; 2] {
        [Counted { by: 1 }, Counted { by: 2 }]
    }

    #[command_handler]
    fn count_maybe(&self, _: CountMaybe) -> Option<Counted> {
        None
    }

    #[command_handler(retries = 0)]
    fn count_checked(self: &Self, _: CountChecked) -> Result<Option<Counted>, std::fmt::Error> {
        Err(std::fmt::Error)
    }

    #[command_handler]
    fn count_any(this: Option<&Self>, _: CountAny) -> Result<(), std::fmt::Error> {
        this.map(|_| ()).ok_or(std::fmt::Error)
    }
}

#[command_handler]
async fn count_nothing(_: CountNothing, _: &mut Root<Counter>) -> Decision<String> {
    Ok(String::new())
}

#[command_handler(retries = 2)]
async fn root(command: Renamed, command_root: &mut New<Counter>, context: &Context) -> Result<(), RecordError> {
    let _ = context.new_id();
    command_root.record(Opened)?;
    command_root.handle(Count { counter: command.counter }).map_err(|_| unreachable!())
}

#[command_handler(queries = "the limit is owned by another team")]
async fn look(_: Look, counter: &mut Existing<Counter>, _queries: Queries, _context: &Context) -> Decision<u64> {
    Ok(counter.count)
}

domain! {
    pub Counting = "counting";
    commands: [Open, OpenTwo, OpenResult, OpenAll, Count, CountMany, CountArray, CountMaybe, CountChecked, CountAny,
        CountNothing, Renamed, Look];
    aggregates: [Counter];
}
