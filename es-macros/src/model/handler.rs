//! A free command handler as it is declared.

use proc_macro2::TokenStream;
use syn::{Attribute, LitStr, Path, Type};

use crate::check;
use crate::diagnostics::{Diagnostics, texts};
use crate::syntax::function::Function;
use crate::syntax::options::{self, HandlerOptions};
use crate::syntax::{attributes, item, types};
use crate::word::Word;

use super::{behaviour, runtime};

/// `#[command_handler] async fn …`.
#[derive(Debug)]
pub(crate) struct FreeHandler {
    pub(crate) runtime: Path,
    pub(crate) function: Function,
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) retries: Option<u64>,
    pub(crate) queries: Option<LitStr>,
    /// What the signature says; `None` where it says nothing that could be generated for.
    pub(crate) signature: Option<HandlerSignature>,
    pub(crate) broken: bool,
}

/// The parameters and the result of a free handler.
#[derive(Debug)]
pub(crate) struct HandlerSignature {
    pub(crate) command: Type,
    /// `Root<A>`, `New<A>` or `Existing<A>`.
    pub(crate) root: Type,
    pub(crate) aggregate: Type,
    pub(crate) arguments: Vec<Type>,
    pub(crate) output: Type,
}

impl FreeHandler {
    pub(crate) fn read(options: TokenStream, tokens: &TokenStream, diagnostics: &mut Diagnostics) -> Option<Self> {
        let options: HandlerOptions = options::read(Word::CommandHandler, options, diagnostics);
        let mut function = item::function(Word::CommandHandler, tokens, diagnostics)?;
        function.allow_its_shape();
        let sound = check::handler::free(&function, diagnostics);
        let signature = signature(&function, sound, diagnostics);
        if let Some(reason) = &options.queries {
            check::handler::reason(&reason.0, diagnostics);
        }
        let retries = behaviour::retries(options.retries.as_ref(), diagnostics);
        if let Some(signature) = &signature {
            check::handler::arguments(&signature.arguments, options.queries.is_some(), diagnostics);
        }
        Some(Self {
            runtime: runtime(options.runtime),
            cfgs: attributes::cfgs(&function.attrs),
            function,
            retries,
            queries: options.queries.map(|reason| reason.0),
            signature,
            broken: !sound,
        })
    }

    /// Tells whether the handler takes a dependency, as far as its types show it.
    pub(crate) fn takes_a_dependency(&self) -> bool {
        self.signature.iter().flat_map(|signature| &signature.arguments).any(|ty| types::is_named(ty, "Dep"))
    }
}

fn signature(function: &Function, sound: bool, diagnostics: &mut Diagnostics) -> Option<HandlerSignature> {
    let parameters = function.parameters();
    let mut parameters = parameters.into_iter();
    let (Some(command), Some(root)) = (parameters.next(), parameters.next()) else {
        if sound {
            diagnostics.error(&function.sig.ident, texts::free_handler_form());
        }
        return None;
    };
    let Some((root, aggregate)) = root_of(&root.ty) else {
        diagnostics.error(&root.ty, texts::not_a_root());
        return None;
    };
    Some(HandlerSignature {
        command: types::referent(&command.ty).clone(),
        root,
        aggregate,
        arguments: parameters.map(|parameter| (*parameter.ty).clone()).collect(),
        output: types::returned(&function.sig.output).cloned().unwrap_or_else(|| syn::parse_quote!(())),
    })
}

/// Takes `&mut Kind<A>` apart.
fn root_of(ty: &Type) -> Option<(Type, Type)> {
    let Type::Reference(reference) = types::plain(ty) else { return None };
    reference.mutability?;
    let root = types::plain(&reference.elem);
    match types::type_arguments(root).as_slice() {
        [aggregate] => Some((root.clone(), (*aggregate).clone())),
        _ => None,
    }
}
