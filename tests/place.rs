//! Where the store of a test lives, and how a process that the test starts finds it.

use std::path::{Path, PathBuf};
use std::process::Command;

use es_runtime::store::{SqliteStore, Store};
use tempfile::TempDir;

/// Names the place to a child.
const PLACE: &str = "ES_TEST_PLACE";

/// A place that outlives the stores which are opened there, in this process and in others.
pub trait Place: Sized + Send + Sync + 'static {
    type Store: Store;

    /// What its address begins with.
    const KIND: &'static str;

    /// Whether the positions of its log are 1, 2, 3 … whatever failed and died. Elsewhere they only ascend.
    const WITHOUT_GAPS: bool;

    /// Tells whether tests there are not to be run, and says so.
    fn is_left_out() -> bool {
        false
    }

    /// Makes a place of its own, empty, which goes away with this value.
    fn new() -> Self;

    /// Finds a place that somebody else has made.
    fn at(address: &str) -> Self;

    /// Says where it is.
    fn address(&self) -> String;

    /// Opens a store there.
    fn open(&self) -> impl Future<Output = Self::Store> + Send;
}

/// Tells a child where the place is: see [`at_the_parents_place`].
pub fn tell(place: &impl Place, child: &mut Command) {
    child.env(PLACE, format!("{} {}", kind_of(place), place.address()));
}

fn kind_of<P: Place>(_: &P) -> &'static str {
    P::KIND
}

/// Gives kind and address of the place that the parent told.
pub fn told() -> (String, String) {
    let told = std::env::var(PLACE).expect("run by another test, which names the place");
    let (kind, address) = told.split_once(' ').expect("a kind and an address");
    (kind.to_owned(), address.to_owned())
}

/// A file of SQLite.
pub struct File {
    path: PathBuf,
    _folder: Option<TempDir>,
}

impl File {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Place for File {
    type Store = SqliteStore;
    const KIND: &'static str = "sqlite";
    const WITHOUT_GAPS: bool = true;

    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { path: folder.path().join("es.db"), _folder: Some(folder) }
    }

    fn at(address: &str) -> Self {
        Self { path: address.into(), _folder: None }
    }

    fn address(&self) -> String {
        self.path.to_str().unwrap().to_owned()
    }

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.path).await.unwrap()
    }
}

/// Calls a generic async function with the place that the parent told.
macro_rules! at_the_parents_place {
    ($work:ident) => {{
        use crate::place::Place as _;
        let (kind, address) = crate::place::told();
        match kind.as_str() {
            crate::place::File::KIND => $work(crate::place::File::at(&address)).await,
            crate::postgres::Schema::KIND => $work(crate::postgres::Schema::at(&address)).await,
            _ => panic!("there is no store of the kind `{kind}`"),
        }
    }};
}
pub(crate) use at_the_parents_place;

/// Makes one test of each named function, which is generic over a [`Place`], at every kind of place.
macro_rules! at_every_place {
    ($($test:ident,)+) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test::<crate::place::File>().await;
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    if !<crate::postgres::Schema as crate::place::Place>::is_left_out() {
                        super::$test::<crate::postgres::Schema>().await;
                    }
                }
            )+
        }
    };
}
pub(crate) use at_every_place;
