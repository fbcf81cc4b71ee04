//! What a handler may return: events, some events, or the domain's own error.

use std::convert::Infallible;

use super::Aggregate;

/// What a command handler may return: a listed event, a tuple, `Vec` or array of events, an `Option` of those (nothing
/// to do), or a `Result` of any of them with the domain's own error.
///
/// Implemented by [`#[aggregate]`](macro@crate::aggregate) for each listed event and for the generated enum.
#[diagnostic::on_unimplemented(
    message = "a command handler of `{A}` cannot return `{Self}`",
    label = "not events of `{A}`",
    note = "return an event listed in `events(..)` of `{A}`, a tuple, `Vec`, array or `Option` of such events, or a `Result` of one of these"
)]
pub trait IntoEvents<A: Aggregate> {
    /// The domain's own error; [`Infallible`] where there is none.
    type Error;

    /// Adds the events in their order.
    ///
    /// # Errors
    ///
    /// The domain's own error.
    fn into_events(self, events: &mut Vec<A::Event>) -> Result<(), Self::Error>;
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate, T: IntoEvents<A>> IntoEvents<A> for Option<T> {
    type Error = T::Error;
    fn into_events(self, events: &mut Vec<A::Event>) -> Result<(), T::Error> {
        self.map_or(Ok(()), |some| some.into_events(events))
    }
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate, T: IntoEvents<A>> IntoEvents<A> for Vec<T> {
    type Error = T::Error;
    fn into_events(self, events: &mut Vec<A::Event>) -> Result<(), T::Error> {
        self.into_iter().try_for_each(|event| event.into_events(events))
    }
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate, T: IntoEvents<A>, const N: usize> IntoEvents<A> for [T; N] {
    type Error = T::Error;
    fn into_events(self, events: &mut Vec<A::Event>) -> Result<(), T::Error> {
        self.into_iter().try_for_each(|event| event.into_events(events))
    }
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate, T: IntoEvents<A, Error = Infallible>, E> IntoEvents<A> for Result<T, E> {
    type Error = E;
    fn into_events(self, events: &mut Vec<A::Event>) -> Result<(), E> {
        match self?.into_events(events) {
            Ok(()) => Ok(()),
            Err(never) => match never {},
        }
    }
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate> IntoEvents<A> for () {
    type Error = Infallible;
    fn into_events(self, _: &mut Vec<A::Event>) -> Result<(), Infallible> {
        Ok(())
    }
}

macro_rules! tuples {
    ($(($($name:ident)+))+) => {$(
        #[diagnostic::do_not_recommend]
        impl<Agg: Aggregate, $($name: IntoEvents<Agg, Error = Infallible>),+> IntoEvents<Agg> for ($($name,)+) {
            type Error = Infallible;
            #[allow(non_snake_case, reason = "the type parameters name the fields")]
            fn into_events(self, events: &mut Vec<Agg::Event>) -> Result<(), Infallible> {
                let ($($name,)+) = self;
                $($name.into_events(events)?;)+
                Ok(())
            }
        }
    )+};
}

tuples! {
    (E1) (E1 E2) (E1 E2 E3) (E1 E2 E3 E4) (E1 E2 E3 E4 E5) (E1 E2 E3 E4 E5 E6)
    (E1 E2 E3 E4 E5 E6 E7) (E1 E2 E3 E4 E5 E6 E7 E8)
}
