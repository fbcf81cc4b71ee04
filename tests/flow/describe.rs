//! A domain as data and as a diagram; domains made of domains.

use es_runtime::app::DomainTable;
use es_runtime::handler::HandlerShape;
use es_runtime::prelude::*;
use es_runtime::store::Store;
use futures_util::TryStreamExt as _;

use crate::domain::{Account, Bank, BankCommand, BankEvent, Deposit, Gateway, Open, on_every_store};

/// A second domain, and one that is made of both.
mod notes {
    use es_runtime::prelude::*;

    #[domain_event]
    pub struct Noted {
        pub text: String,
    }

    #[command(aggregate = Note)]
    pub struct TakeNote {
        #[id]
        pub note: u32,
        pub text: String,
    }

    #[aggregate(name = "note", id = u32, events(Noted))]
    pub struct Note {}

    #[aggregate]
    impl Note {
        #[apply]
        fn noted(_: &Noted) -> Self {
            Self {}
        }

        #[command_handler]
        fn take(command: TakeNote) -> Noted {
            Noted { text: command.text }
        }
    }

    domain! { pub Notes = "notes"; aggregates: [Note]; commands: [TakeNote] }
}

domain! { pub Office = "office"; domains: [Bank, notes::Notes] }

on_every_store! {
    an_application_of_several_domains_takes_the_commands_of_all,
}

async fn an_application_of_several_domains_takes_the_commands_of_all<S: Store>(store: S) {
    let office = App::<Office, _>::builder(store).dependency(Gateway::default()).build().await.unwrap();
    let account = Uuid::now_v7();
    office.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    office.dispatch(notes::TakeNote { note: 7, text: "buy milk".into() }).await.unwrap();
    office.dispatch(BankCommand::from(Deposit::of(account, 5))).await.unwrap();
    office.dispatch(OfficeCommand::from(BankCommand::from(Deposit::of(account, 5)))).await.unwrap();
    office.dispatch_json("TakeNote", serde_json::json!({ "note": 8, "text": "" })).await.unwrap();
    assert_eq!(office.load::<Account>(account).await.unwrap().version(), 3);
    let events: Vec<_> = office.events().decode::<Office>().try_collect().await.unwrap();
    assert_eq!(events.len(), 5);
    assert!(matches!(events[0].event(), OfficeEvent::Bank(BankEvent::Account(_))));
    assert!(matches!(events[1].event(), OfficeEvent::Notes(notes::NotesEvent::Note(_))));
    assert_eq!(events[1].id_of::<notes::Note>(), 7);
    let error = events[1].try_id_of::<Account>().unwrap_err();
    assert_eq!(error.to_string(), "stream `note/7` is not one of aggregate `account`");
}

#[test]
fn a_domain_is_described_as_data() {
    let DomainTable { name, aggregates, commands, domains, .. } = Bank::describe();
    assert_eq!((*name, aggregates.len(), domains.len()), ("bank", 1, 0));
    let events: Vec<_> = aggregates[0].events.iter().map(|event| (event.name, event.version, event.creates)).collect();
    assert_eq!(events[0], ("Opened", 1, true));
    assert_eq!(events[1], ("Deposited", 1, false));
    assert_eq!(aggregates[0].snapshot_every, 5);
    let shapes: Vec<_> = commands.iter().map(|command| (command.name, command.handler.shape)).collect();
    assert_eq!(shapes[0], ("Open", HandlerShape::Creates));
    assert_eq!(shapes[1], ("Deposit", HandlerShape::Changes));
    assert_eq!(shapes[4], ("OpenWith", HandlerShape::Either));
    assert_eq!(shapes[5], ("PayOut", HandlerShape::Orchestrates));
    assert_eq!(commands[5].handler.retries, Some(0), "a handler with a dependency is not run twice");
    let mut names = Vec::new();
    Office::describe().walk(&mut |domain| names.push(domain.name));
    assert_eq!(names, ["office", "bank", "notes"]);
}

#[test]
fn a_domain_is_drawn() {
    let expected = "\
flowchart LR
subgraph domain_notes[\"notes\"]
  aggregate_note[[\"note\"]]
  event_note__Noted([\"Noted v1\"])
  aggregate_note --> event_note__Noted
  command_TakeNote[/\"TakeNote\"/]
  command_TakeNote --> aggregate_note
end
";
    assert_eq!(notes::Notes::map().to_string(), expected);
    let dot = Office::map().graphviz();
    assert!(dot.starts_with("digraph domain {") && dot.ends_with("}\n"), "{dot}");
    assert!(dot.contains("command_Deposit -> aggregate_account;"), "{dot}");
    assert_eq!(dot.matches('{').count(), dot.matches('}').count());
}

#[test]
fn an_application_is_a_shareable_handle() {
    fn handle<T: Clone + Send + Sync + 'static>() {}
    handle::<App<Bank, SqliteStore>>();
    handle::<App<Office, MemoryStore>>();
}
