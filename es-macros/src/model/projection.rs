//! A projection as it is declared: which function takes which event, and what it does with it.

use proc_macro2::{Ident, Span, TokenStream};
use syn::{Attribute, LitStr, Path, Type};

use crate::check::projection as check;
use crate::diagnostics::{Diagnostics, texts};
use crate::syntax::function::Function;
use crate::syntax::impl_block::{ImplBlock, ImplItem};
use crate::syntax::options;
use crate::syntax::read_side::{AsyncOptions, Duration, Key, NoOptions, Policy, ProjectionOptions, SyncOptions};
use crate::syntax::{attributes, item, types};
use crate::word::Word;

use super::runtime;

/// `#[projection(name = "…")] impl …`.
#[derive(Debug)]
pub(crate) struct Projection {
    pub(crate) runtime: Path,
    /// The block without our attributes.
    pub(crate) block: ImplBlock,
    pub(crate) name: Option<LitStr>,
    pub(crate) renamed_from: Option<LitStr>,
    pub(crate) version: u64,
    pub(crate) partitions: u64,
    pub(crate) style: Style,
    /// The type of the connection, where the functions take one.
    pub(crate) connection: Option<Type>,
    pub(crate) functions: Vec<ProjectionFn>,
    pub(crate) reset: Option<Ident>,
}

/// How the functions write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Folded,
    Connected,
    External,
}

/// When a function runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Sync { priority: u64, millis: Option<u64> },
    Async,
}

/// What a function does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Inserts,
    Changes,
    Deletes,
    Folds,
    Runs,
}

/// What a function that runs takes, in its order.
#[derive(Clone, Debug)]
pub(crate) enum Parameter {
    Event,
    Connection,
    Dependency(Box<Type>),
}

/// `#[sync_projection] fn …` or `#[async_projection] fn …`.
#[derive(Debug)]
pub(crate) struct ProjectionFn {
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) ident: Ident,
    pub(crate) event: Type,
    pub(crate) slice: bool,
    pub(crate) of: Option<Type>,
    pub(crate) key: Option<Key>,
    pub(crate) mode: Mode,
    pub(crate) shape: Shape,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) output: Type,
    pub(crate) monitor: bool,
    pub(crate) retry: Option<u64>,
    pub(crate) on_failure: Option<Policy>,
}

/// A function with one of our attributes, before its signature is looked at.
#[derive(Debug)]
pub(crate) struct Marked {
    pub(crate) function: Function,
    pub(crate) mode: Mode,
    pub(crate) key: Option<Key>,
    pub(crate) of: Option<Type>,
    pub(crate) delete: Option<Span>,
    /// Whether its options are as they should be.
    pub(crate) sound: bool,
    monitor: bool,
    retry: Option<u64>,
    on_failure: Option<Policy>,
}

/// The functions of a block, as they are marked.
#[derive(Debug, Default)]
struct Marks {
    functions: Vec<Marked>,
    resets: Vec<Function>,
}

impl Projection {
    pub(crate) fn read(options: TokenStream, tokens: &TokenStream, diagnostics: &mut Diagnostics) -> Option<Self> {
        let options: ProjectionOptions = options::read(Word::Projection, options, diagnostics);
        let broken = diagnostics.has_errors();
        let mut block = item::inherent_impl(Word::Projection, tokens, diagnostics)?;
        if options.name.is_none() && !broken {
            diagnostics.error(&block.self_ty, texts::projection_needs_a_name());
        }
        check::options(&options, diagnostics);
        check::block(&block, diagnostics);
        let mut marks = Marks::default();
        for item in &mut block.items {
            if let ImplItem::Function(function) = item {
                marked(function, &mut marks, diagnostics);
            }
        }
        let this = block.self_ty.clone();
        let style = check::style(&marks.functions, &this, diagnostics);
        let fitting = marks.functions.iter().filter(|marked| check::fits(marked, style, &this));
        let reads = fitting.filter_map(|marked| function_of(marked, style, &this, diagnostics));
        let mut functions: Vec<ProjectionFn> = reads.collect();
        let connection = check::connection(&marks.functions, &marks.resets, style, diagnostics);
        let reset = marks.resets.first().map(|function| function.sig.ident.clone());
        for function in functions.iter_mut().filter(|function| function.mode == Mode::Async) {
            function.retry = function.retry.or(options.retry.as_ref().map(|retry| retry.value));
            function.on_failure = function.on_failure.or(options.on_failure);
        }
        let mut projection = Self {
            runtime: runtime(options.runtime),
            name: options.name.map(|name| name.0),
            renamed_from: options.renamed_from.map(|name| name.0),
            version: options.version.map_or(1, |version| version.value),
            partitions: options.partitions.map_or(1, |partitions| partitions.value),
            style,
            connection,
            functions,
            reset,
            block,
        };
        check::whole(&projection, diagnostics);
        // The table's order is the order in which functions on one event run: by priority, those behind the log last.
        projection.functions.sort_by_key(|function| match function.mode {
            Mode::Sync { priority, .. } => priority,
            Mode::Async => u64::MAX,
        });
        Some(projection)
    }
}

fn marked(function: &mut Function, marks: &mut Marks, diagnostics: &mut Diagnostics) {
    let mut take = |name: &str| {
        let taken = attributes::take(&mut function.attrs, name);
        if let Some(again) = taken.get(1) {
            diagnostics.error(again, texts::attribute_twice());
        }
        taken.into_iter().next()
    };
    let (sync, async_) = (take("sync_projection"), take("async_projection"));
    let (monitor, reset) = (take("monitor_projection"), take("reset"));
    if let Some(attribute) = &monitor {
        let _: NoOptions = options::read_attribute(Word::MonitorProjection, attribute, diagnostics);
    }
    if let Some(attribute) = &reset {
        let _: NoOptions = options::read_attribute(Word::Reset, attribute, diagnostics);
        function.allow_its_shape();
        match sync.as_ref().or(async_.as_ref()).or(monitor.as_ref()) {
            Some(other) => diagnostics.error(other, texts::reset_and_projection()),
            None if marks.resets.is_empty() => marks.resets.push(function.clone()),
            None => diagnostics.error(attribute, texts::two_resets()),
        }
        return;
    }
    match (sync, async_, monitor) {
        (None, None, None) => {}
        (None, None, Some(monitor)) => diagnostics.error(monitor, texts::monitor_alone()),
        (Some(_), Some(second), _) => diagnostics.error(second, texts::sync_and_async()),
        (Some(sync), None, monitor) => {
            let before = diagnostics.count();
            let options: SyncOptions = options::read_attribute(Word::SyncProjection, &sync, diagnostics);
            function.allow_its_shape();
            let sound = diagnostics.count() == before;
            marks.functions.push(Marked {
                sound,
                mode: check::sync(options.priority.as_ref(), options.timeout.as_ref(), diagnostics),
                ..Marked::of(function, options.key, options.of, options.delete, monitor.is_some())
            });
        }
        (None, Some(async_), monitor) => {
            let before = diagnostics.count();
            let options: AsyncOptions = options::read_attribute(Word::AsyncProjection, &async_, diagnostics);
            function.allow_its_shape();
            let sound = diagnostics.count() == before;
            marks.functions.push(Marked {
                sound,
                retry: super::behaviour::retries_of("retry", options.retry.as_ref(), diagnostics),
                on_failure: options.on_failure,
                ..Marked::of(function, options.key, options.of, options.delete, monitor.is_some())
            });
        }
    }
}

impl Marked {
    fn of(
        function: &Function,
        key: Option<Key>,
        of: Option<options::TypePath>,
        delete: options::Flag,
        monitor: bool,
    ) -> Self {
        Self {
            function: function.clone(),
            mode: Mode::Async,
            key,
            of: of.map(|path| path.0),
            delete: delete.0,
            sound: true,
            monitor,
            retry: None,
            on_failure: None,
        }
    }
}

fn function_of(marked: &Marked, style: Style, this: &Type, diagnostics: &mut Diagnostics) -> Option<ProjectionFn> {
    let function = &marked.function;
    check::signature(function, diagnostics);
    let event = check::event(function, style, diagnostics);
    let shape = check::shape(marked, style, this, diagnostics);
    let parameters = check::parameters(marked, style, this, diagnostics);
    let (event, slice) = event?;
    Some(ProjectionFn {
        cfgs: attributes::cfgs(&function.attrs),
        ident: function.sig.ident.clone(),
        event,
        slice,
        of: marked.of.clone(),
        key: marked.key.clone(),
        mode: marked.mode,
        shape,
        parameters,
        output: types::returned(&function.sig.output).cloned().unwrap_or_else(|| syn::parse_quote!(())),
        monitor: marked.monitor,
        retry: marked.retry,
        on_failure: marked.on_failure,
    })
}

impl Mode {
    pub(crate) fn sync(priority: u64, timeout: Option<&Duration>) -> Self {
        Self::Sync { priority, millis: timeout.map(|timeout| timeout.millis) }
    }

    pub(crate) const fn is_sync(self) -> bool {
        matches!(self, Self::Sync { .. })
    }
}
