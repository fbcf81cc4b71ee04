//! Domains compose; entries of one name get another with `as`.
#![deny(warnings)]
use es_runtime::prelude::*;

macro_rules! context {
    ($module:ident $domain:ident $name:literal) => {
        mod $module {
            use es_runtime::prelude::*;

            #[domain_event]
            pub struct Opened;

            #[command(aggregate = Account, name = $name)]
            pub struct Open {
                #[id]
                pub account: Uuid,
            }

            #[aggregate(name = $name, id = Uuid, events(Opened))]
            pub struct Account;

            #[aggregate]
            impl Account {
                #[apply]
                fn opened(_: &Opened) -> Self {
                    Self
                }

                #[command_handler]
                fn open(_: Open) -> Opened {
                    Opened
                }
            }

            pub mod domain {
                use es_runtime::prelude::*;

                domain! { pub $domain = $name; aggregates: [super::Account]; commands: [super::Open] }
            }
        }
    };
}
context!(one Part "one");
context!(two Part "two");
context!(three Third "three");

domain! { pub Both = "both"; domains: [one::domain::Part as One, two::domain::Part as Two,]; }
domain! {
    /// Everything.
    pub Whole = "whole";
    domains: [Both, #[doc = "The third."] three::domain::Third];
}

fn dispatch<D, C: CommandOf<D, P>, P>(_: D, _: C) {}

#[test]
fn compiles() {
    dispatch(Whole, one::Open { account: Uuid::nil() });
    dispatch(Whole, three::Open { account: Uuid::nil() });
    dispatch(Both, two::Open { account: Uuid::nil() });
    dispatch(Whole, BothCommand::from(one::domain::PartCommand::from(one::Open { account: Uuid::nil() })));
    let both: BothCommand = BothCommand::One(one::Open { account: Uuid::nil() }.into());
    dispatch(Whole, WholeCommand::from(both));
}
