//! A domain as a diagram.
use super::DomainTable;
/// A domain as a diagram.
#[derive(Debug)]
pub struct DomainMap(&'static DomainTable);
impl DomainMap {
    pub(crate) const fn of(table: &'static DomainTable) -> Self {
        Self(table)
    }
}
