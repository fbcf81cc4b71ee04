//! The attributes of es. Use them through `es-runtime`: `use es_runtime::prelude::*;`.

mod check;
mod diagnostics;
mod expand;
mod model;
mod syntax;
#[cfg(test)]
mod tests;
mod word;

use std::panic::{AssertUnwindSafe, catch_unwind};

use proc_macro::TokenStream;

/// Runs an expansion. A panic is a bug of ours: the user is told so, and the item stays.
fn run(item: TokenStream, expand: impl FnOnce(proc_macro2::TokenStream) -> proc_macro2::TokenStream) -> TokenStream {
    let kept = item.clone();
    catch_unwind(AssertUnwindSafe(|| expand(item.into()))).map_or_else(
        |panic| {
            let message = panic.downcast_ref::<String>().map(String::as_str);
            let message = message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            let mut diagnostics = diagnostics::Diagnostics::default();
            diagnostics.error_at(proc_macro2::Span::call_site(), &diagnostics::texts::bug(message));
            [kept, diagnostics.into_tokens().into()].into_iter().collect()
        },
        Into::into,
    )
}

/// Declares an event.
#[proc_macro_attribute]
pub fn domain_event(options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::event::expand(options.into(), &item))
}

/// Turns the stored JSON of an older version of an event into that of the next.
#[proc_macro_attribute]
pub fn upcast(options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::upcaster::expand(options.into(), &item))
}

/// Declares a value object.
#[proc_macro_attribute]
pub fn value_object(options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::value::expand(options.into(), &item))
}

/// Declares a command.
#[proc_macro_attribute]
pub fn command(options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::command::expand(options.into(), &item))
}

/// Declares an aggregate, on its struct and on its impl blocks.
#[proc_macro_attribute]
pub fn aggregate(options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::aggregate::expand(options.into(), &item))
}

/// Marks the function that applies an event, in an `#[aggregate] impl` block.
#[proc_macro_attribute]
pub fn apply(options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::apply::expand(&options.into(), &item))
}

/// Declares what handles a command.
#[proc_macro_attribute]
pub fn command_handler(options: TokenStream, item: TokenStream) -> TokenStream {
    run(item, |item| expand::handler::expand(options.into(), &item))
}

/// Lists what belongs together.
#[proc_macro]
pub fn domain(input: TokenStream) -> TokenStream {
    run(input, expand::domain::expand)
}
