//! Named places in the code at which a test may kill its process.
//!
//! Without the feature `testing` there is nothing of it in the program.

#[cfg(feature = "testing")]
pub(crate) use crate::testing::fail_points::reached;

/// Marks a place.
#[cfg(not(feature = "testing"))]
#[inline]
pub(crate) const fn reached(_: &'static str) {}
