use super::*;
use crate::event::{ClaimKind, ClaimRule, GlobalPosition};

const EMAIL: &[ClaimRule] = &[ClaimRule { set: "email", field: "email", kind: ClaimKind::Claim }];
const CARD: &[ClaimRule] = &[
    ClaimRule { set: "email", field: "email", kind: ClaimKind::Claim },
    ClaimRule { set: "card", field: "card", kind: ClaimKind::Claim },
];

fn declares(event: &'static str, rules: &'static [ClaimRule]) -> EventClaims {
    EventClaims { aggregate: "user", event, rules }
}

fn stored(event: &str, rules: &str, built: &str, begun: Option<u64>) -> StoredRules {
    let [aggregate, event, rules, built] = ["user", event, rules, built].map(str::to_owned);
    StoredRules { aggregate, event, rules, built, begun }
}

#[test]
fn what_is_in_force_is_no_change() {
    let rows = [stored("Joined", "claim email email", "claim email email", None)];
    assert_eq!(changes(&rows, &[declares("Joined", EMAIL), declares("Left", &[])]), []);
    let changed = changes(&rows, &[declares("Joined", CARD), declares("Joined", CARD)]);
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].declared, "claim card card\nclaim email email");
    assert_eq!(changes(&rows, &[declares("Joined", &[])])[0].declared, "");
}

#[test]
fn only_sets_that_differ_are_built() {
    let rows = [stored("Joined", "claim email email", "claim email email", None)];
    let declared = [declares("Joined", CARD), declares("Left", EMAIL)];
    let building = changes(&rows, &declared[..1]);
    let target = target(&rows, &declared, &building).unwrap().unwrap();
    assert_eq!(target, "card\nuser Joined claim card card");
    let build = ClaimBuild { target, position: GlobalPosition::START };
    assert_eq!(build.sets().collect::<Vec<_>>(), ["card"]);
    assert_eq!(build.events().collect::<Vec<_>>(), [("user", "Joined")]);
}

#[test]
fn a_set_that_nothing_claims_any_more_reads_no_event() {
    let rows = [stored("Joined", "claim email email", "claim email email", None)];
    let declared = [declares("Joined", &[])];
    let target = target(&rows, &declared, &changes(&rows, &declared)).unwrap().unwrap();
    let build = ClaimBuild { target, position: GlobalPosition::START };
    assert_eq!((build.sets().collect::<Vec<_>>(), build.events().count()), (vec!["email"], 0));
}

#[test]
fn events_of_other_programs_with_keys_of_a_set_are_named() {
    let rows = [stored("Invited", "claim email to", "claim email to", None)];
    let declared = [declares("Joined", EMAIL)];
    let error = target(&rows, &declared, &changes(&rows, &declared)).unwrap_err();
    assert!(
        matches!(&error, BuildClaimsError::UnknownEvent { event, set, .. } if event == "Invited" && set == "email")
    );
}

#[test]
fn a_change_that_is_taken_back_looks_at_what_came_since() {
    let rows = [stored("Joined", "claim email email", "", Some(7))];
    let back = changes(&rows, &[declares("Joined", &[])]);
    assert_eq!((back[0].after, back[0].needs_build(None, false)), (7, false));
    let on = changes(&rows, &[declares("Joined", EMAIL)]);
    assert_eq!(on[0].after, 0);
}

#[test]
fn a_new_event_whose_set_is_being_built_is_part_of_the_build() {
    let build =
        ClaimBuild { target: "email\nuser Joined claim email email".to_owned(), position: GlobalPosition::START };
    let new = changes(&[], &[declares("Invited", EMAIL)]);
    assert!(new[0].needs_build(Some(&build), false));
    assert!(!new[0].needs_build(None, false));
}
