use es_runtime::__private::{column, read_column, write_column};
use es_runtime::read_model::{Column, ColumnCodec, ColumnError, ColumnOf, Indexed, ReadModel, TableDescriptor, Value};
use uuid::Uuid;

/// What `#[read_model]` would make of five fields: the documentation's examples and the tests stand on it.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountBalance {
    pub account: Uuid,
    pub owner: String,
    pub cents: i64,
    pub active: bool,
    pub branch: Option<String>,
}

#[allow(dead_code)]
impl AccountBalance {
    pub const ACCOUNT: ColumnOf<Self, Uuid, Indexed> = ColumnOf::new(0, codec());
    pub const OWNER: ColumnOf<Self, String, Indexed> = ColumnOf::new(1, codec());
    pub const CENTS: ColumnOf<Self, i64, Indexed> = ColumnOf::new(2, codec());
    pub const ACTIVE: ColumnOf<Self, bool, Indexed> = ColumnOf::new(3, codec());
    pub const BRANCH: ColumnOf<Self, Option<String>, Indexed> = ColumnOf::new(4, codec());
}

const fn codec<T: Column>() -> ColumnCodec<T> {
    ColumnCodec { ty: T::TYPE, nullable: T::NULLABLE, to_value: T::to_value, from_value: T::from_value }
}

static TABLE: TableDescriptor = TableDescriptor {
    name: "account_balances",
    columns: &[
        column("account", &codec::<Uuid>(), true, false),
        column("owner", &codec::<String>(), false, true),
        column("cents", &codec::<i64>(), false, true),
        column("active", &codec::<bool>(), false, true),
        column("branch", &codec::<Option<String>>(), false, true),
    ],
};

impl ReadModel for AccountBalance {
    const TABLE: &'static TableDescriptor = &TABLE;
    type Key = Uuid;

    fn key(&self) -> Uuid {
        self.account
    }

    fn key_values(key: &Uuid) -> Result<Vec<Value>, ColumnError> {
        Ok(vec![write_column("account", &codec(), key)?])
    }

    fn to_values(&self) -> Result<Vec<Value>, ColumnError> {
        Ok(vec![
            write_column("account", &codec(), &self.account)?,
            write_column("owner", &codec(), &self.owner)?,
            write_column("cents", &codec(), &self.cents)?,
            write_column("active", &codec(), &self.active)?,
            write_column("branch", &codec(), &self.branch)?,
        ])
    }

    fn from_values(values: Vec<Value>) -> Result<Self, ColumnError> {
        let values = &mut values.into_iter();
        Ok(Self {
            account: read_column("account", &codec(), values)?,
            owner: read_column("owner", &codec(), values)?,
            cents: read_column("cents", &codec(), values)?,
            active: read_column("active", &codec(), values)?,
            branch: read_column("branch", &codec(), values)?,
        })
    }
}
