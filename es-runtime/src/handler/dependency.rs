//! What an application hands to its handlers, by type.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::Context;
use crate::app::Queries;

/// May be handed to handlers as [`Dep<Self>`](Dep). A type opts in: `impl Dependency for Mailer {}`.
///
/// A trait object may opt in too: `impl Dependency for dyn PaymentGateway {}`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a dependency",
    label = "cannot be handed to a handler",
    note = "opt in with `impl Dependency for {Self} {{}}`"
)]
pub trait Dependency: Send + Sync + 'static {}

/// A dependency in the hand of a handler. Derefs to it; cloning copies a pointer.
pub struct Dep<T: ?Sized>(Arc<T>);

impl<T: ?Sized> Deref for Dep<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> Clone for Dep<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ?Sized> fmt::Debug for Dep<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dep<{}>", type_name::<T>())
    }
}

impl<T: Dependency + ?Sized> From<Arc<T>> for Dep<T> {
    fn from(shared: Arc<T>) -> Self {
        Self(shared)
    }
}

/// The dependencies of an application, by type.
#[derive(Default)]
pub struct Dependencies(HashMap<TypeId, Box<dyn Any + Send + Sync>>);

impl Dependencies {
    /// Adds a dependency. A second one of the same type takes the place of the first.
    pub fn insert<T: Dependency + ?Sized>(&mut self, shared: Arc<T>) {
        self.0.insert(TypeId::of::<T>(), Box::new(shared));
    }

    /// Takes a dependency out, by type.
    ///
    /// # Errors
    ///
    /// [`MissingDependency`] where it was not given.
    pub fn take<T: Dependency + ?Sized>(&self) -> Result<Dep<T>, MissingDependency> {
        self.get().ok_or(MissingDependency { name: type_name::<T>() })
    }

    fn get<T: Dependency + ?Sized>(&self) -> Option<Dep<T>> {
        self.0.get(&TypeId::of::<T>())?.downcast_ref::<Arc<T>>().map(|shared| Dep(Arc::clone(shared)))
    }
}

impl fmt::Debug for Dependencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dependencies({})", self.0.len())
    }
}

/// One dependency that a handler takes.
#[derive(Clone, Copy)]
pub struct DependencyDescriptor {
    /// The Rust type's name.
    pub name: fn() -> &'static str,
    /// Tells whether it is there.
    pub is_there: fn(&Dependencies) -> bool,
}

impl DependencyDescriptor {
    /// Describes the dependency of type `T`.
    #[must_use]
    pub const fn of<T: Dependency + ?Sized>() -> Self {
        Self { name: type_name::<T>, is_there: |dependencies| dependencies.get::<T>().is_some() }
    }
}

impl fmt::Debug for DependencyDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DependencyDescriptor({})", (self.name)())
    }
}

/// Says that a dependency is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("dependency `{name}` was not given to the application")]
pub struct MissingDependency {
    /// The Rust type's name.
    pub name: &'static str,
}

/// What one dispatch may hand to its handler.
#[derive(Clone, Debug)]
pub struct Scope {
    pub(crate) context: Context,
    pub(crate) dependencies: Arc<Dependencies>,
    pub(crate) queries: Queries,
}

/// A further parameter of an orchestrating handler.
#[diagnostic::on_unimplemented(
    message = "a command handler cannot take `{Self}`",
    label = "not available to a command handler",
    note = "a command handler may take its aggregate, `Dep<T>` and `&Context`",
    note = "to read other data, put it in the command, or mark the handler `#[command_handler(queries = \"why\")]`"
)]
pub trait HandlerArg<'a>: Sized {
    /// What the parameter needs from the application.
    const DEPENDENCY: Option<DependencyDescriptor>;

    /// Takes the parameter.
    ///
    /// # Errors
    ///
    /// [`MissingDependency`]; `build` finds these before anything is dispatched.
    fn take(scope: &'a Scope) -> Result<Self, MissingDependency>;
}

impl<'a, T: Dependency + ?Sized> HandlerArg<'a> for Dep<T> {
    const DEPENDENCY: Option<DependencyDescriptor> = Some(DependencyDescriptor::of::<T>());

    fn take(scope: &'a Scope) -> Result<Self, MissingDependency> {
        scope.dependencies.take::<T>()
    }
}

impl<'a> HandlerArg<'a> for &'a Context {
    const DEPENDENCY: Option<DependencyDescriptor> = None;

    fn take(scope: &'a Scope) -> Result<Self, MissingDependency> {
        Ok(&scope.context)
    }
}

/// A further parameter of an orchestrating handler with a reason to look first: also [`Queries`].
#[diagnostic::on_unimplemented(
    message = "a command handler cannot take `{Self}`",
    label = "not available to a command handler",
    note = "a command handler with `queries` may take its aggregate, `Dep<T>`, `&Context` and `Queries`"
)]
pub trait QueryingArg<'a>: Sized {
    /// What the parameter needs from the application.
    const DEPENDENCY: Option<DependencyDescriptor>;

    /// Takes the parameter.
    ///
    /// # Errors
    ///
    /// [`MissingDependency`]; `build` finds these before anything is dispatched.
    fn take(scope: &'a Scope) -> Result<Self, MissingDependency>;
}

#[diagnostic::do_not_recommend]
impl<'a, T: HandlerArg<'a>> QueryingArg<'a> for T {
    const DEPENDENCY: Option<DependencyDescriptor> = T::DEPENDENCY;

    fn take(scope: &'a Scope) -> Result<Self, MissingDependency> {
        T::take(scope)
    }
}

impl<'a> QueryingArg<'a> for Queries {
    const DEPENDENCY: Option<DependencyDescriptor> = None;

    fn take(scope: &'a Scope) -> Result<Self, MissingDependency> {
        Ok(scope.queries.clone())
    }
}
