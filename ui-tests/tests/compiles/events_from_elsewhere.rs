//! Events of another crate and of other modules are listed by their paths, one name twice with `as`.
#![deny(warnings)]
use es_runtime::prelude::*;

mod loans {
    use es_runtime::prelude::*;

    #[domain_event(name = "loan-opened")]
    pub struct Opened;
}

mod accounts {
    use es_runtime::prelude::*;

    #[domain_event]
    pub struct Opened;
}

type Moved = accounts::Opened;

#[aggregate(name = "account", id = u64, events(accounts::Opened, loans::Opened as LoanOpened, es_ui_tests::Noted))]
pub struct Account {
    notes: usize,
}

#[aggregate]
impl self::Account {
    #[apply]
    fn opened(_: &Moved) -> Account {
        Self { notes: 0 }
    }

    #[apply]
    fn lent(&mut self, _: &loans::Opened) {}
}

mod elsewhere {
    use es_runtime::prelude::*;

    #[aggregate]
    impl crate::events_from_elsewhere::Account {
        #[apply]
        fn noted(&mut self, event: &es_ui_tests::Noted) {
            self.notes += event.text.len();
        }

        /// Not a word of the language: passes through.
        const fn notes(&self) -> usize {
            self.notes
        }

        const LIMIT: usize = 3;
    }

    pub fn count(account: &crate::events_from_elsewhere::Account) -> usize {
        account.notes().min(crate::events_from_elsewhere::Account::LIMIT)
    }
}

domain! { pub Bank = "bank"; aggregates: [Account] }

#[test]
fn compiles() {
    let event = AccountEvent::from(loans::Opened);
    assert!(matches!(event, AccountEvent::LoanOpened(_)));
    let _ = elsewhere::count;
}
