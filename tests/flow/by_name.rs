//! Dispatch by name, from JSON that may be anything.

use es_runtime::prelude::*;
use es_runtime::store::Store;
use serde_json::json;

use crate::domain::{Account, bank, on_every_store};

on_every_store! {
    a_command_is_dispatched_by_its_name,
    every_kind_of_bad_json_is_a_typed_error,
}

async fn a_command_is_dispatched_by_its_name<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::now_v7();
    let receipt = bank.dispatch_json("Open", json!({ "account": account, "owner": "ann" })).actor("x").await.unwrap();
    assert_eq!((receipt.version().get(), receipt.output()), (1, &json!(null)));
    bank.dispatch_json("Deposit", json!({ "account": account, "cents": 9, "note": "" })).await.unwrap();
    let text = format!(r#"{{"account":"{account}","cents":4}}"#);
    let receipt = bank.dispatch_json_slice("PayOut", text.as_bytes()).await.unwrap();
    assert_eq!(receipt.output(), &json!("nobody-1"));
    assert_eq!(bank.load::<Account>(account).await.unwrap().state().unwrap().balance(), 5);
}

async fn every_kind_of_bad_json_is_a_typed_error<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::nil().to_string();
    let cases = [
        ("Opne", json!({}), "no command is called `Opne`; there is `Open`"),
        ("Nonsense", json!({}), "no command is called `Nonsense`"),
        ("Open", json!(7), "command `Open` could not be read at `.`: invalid type: integer `7`, expected struct Open"),
        ("Open", json!({ "account": account }), "command `Open` could not be read at `.`: missing field `owner`"),
        (
            "Open",
            json!({ "account": account, "owner": 7 }),
            "command `Open` could not be read at `owner`: invalid type: integer `7`, expected a string",
        ),
        (
            "OpenWith",
            json!({ "account": account, "owner": "a", "cents": [1, "2"] }),
            "command `OpenWith` could not be read at `cents[1]`: invalid type: string \"2\", expected i64",
        ),
        (
            "Deposit",
            json!({ "account": account, "cents": -1, "note": "" }),
            "the command is not valid: `cents`: lower than 1",
        ),
    ];
    for (command, json, expected) in cases {
        assert_eq!(bank.dispatch_json(command, json).await.unwrap_err().to_string(), expected);
    }
    let error = bank.dispatch_json("Open", json!({ "account": "not-an-id", "owner": "a" })).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("command `Open` could not be read at `account`: UUID parsing failed"), "{text}");
    for bytes in [&b"{\"account\":"[..], b"\xff\xfe", b"", b"{} {}"] {
        let error = bank.dispatch_json_slice("Open", bytes).await.unwrap_err();
        assert!(matches!(error, DispatchError::Malformed { .. }), "{error}");
    }
    assert_eq!(bank.event_count().await.unwrap(), 0);
}
