//! What every word expands to, for the eye. `cargo insta review`, or `INSTA_UPDATE=always`, takes a change over.

use proc_macro2::TokenStream;

use super::EXAMPLES;

/// Formats an expansion; bodies that do not parse stay as they are.
fn pretty(tokens: &TokenStream) -> String {
    syn::parse2(tokens.clone()).map_or_else(|_| tokens.to_string(), |file| prettyplease::unparse(&file))
}

#[test]
fn every_word_expands_as_recorded() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for example in EXAMPLES {
            insta::assert_snapshot!(example.name, pretty(&example.expand()));
        }
    });
}
