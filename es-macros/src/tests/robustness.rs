//! The macros give the same answer every time, and survive what an editor sends them.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::{EXAMPLES, expand, parse};

#[test]
fn the_same_input_expands_to_the_same_tokens_a_hundred_times() {
    for example in EXAMPLES {
        let first = example.expand().to_string();
        for _ in 0..100 {
            assert_eq!(example.expand().to_string(), first, "{}", example.name);
        }
    }
}

/// All prefixes of a token stream, inside of its brackets too.
fn prefixes(tokens: &TokenStream) -> Vec<TokenStream> {
    let mut all = vec![TokenStream::new()];
    let mut so_far: Vec<TokenTree> = Vec::new();
    for token in tokens.clone() {
        if let TokenTree::Group(group) = &token {
            for inside in prefixes(&group.stream()) {
                let shorter = TokenTree::Group(Group::new(group.delimiter(), inside));
                all.push(so_far.iter().cloned().chain([shorter]).collect());
            }
        }
        so_far.push(token);
        all.push(so_far.iter().cloned().collect());
    }
    all
}

#[test]
fn no_beginning_of_an_input_panics() {
    for example in EXAMPLES {
        for item in prefixes(&parse(example.item)) {
            let _ = expand(example.word, parse(example.options), &item);
        }
        for options in prefixes(&parse(example.options)) {
            let _ = expand(example.word, options, &parse(example.item));
        }
    }
}

#[test]
fn no_word_panics_on_the_input_of_another() {
    for example in EXAMPLES {
        for other in EXAMPLES {
            let _ = expand(example.word, parse(other.options), &parse(other.item));
            let _ = expand(example.word, parse(other.item), &parse(example.item));
        }
        let nothing = TokenTree::Group(Group::new(Delimiter::None, TokenStream::new()));
        let _ = expand(example.word, parse(example.options), &TokenStream::from(nothing));
    }
}

#[test]
fn a_broken_declaration_is_reported_and_stays() {
    for example in EXAMPLES.iter().filter(|example| example.name.ends_with("broken")) {
        let expanded = example.expand().to_string();
        assert!(expanded.contains("compile_error"), "{}", example.name);
        assert!(expanded.contains("struct Deposited") || expanded.contains("impl Account"), "{}", example.name);
    }
}
