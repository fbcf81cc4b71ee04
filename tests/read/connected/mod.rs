//! Projections and queries that take the connection of their store.

mod sqlite {
    use es_runtime::store::SqliteStore as Store;
    use sqlx::SqliteConnection as Connection;

    const CHECK_FAILED: &str = "CHECK constraint failed";
    const READ_ONLY: &str = "readonly";

    /// Makes one test of each named function, on a file and in memory.
    macro_rules! on_every_place {
        ($($test:ident,)+) => {
            mod in_file {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $test() {
                        let file = <crate::place::File as crate::place::Place>::new();
                        super::$test(crate::place::Place::open(&file).await).await;
                    }
                )+
            }
            mod in_memory {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $test() {
                        super::$test(super::Store::in_memory().await.unwrap()).await;
                    }
                )+
            }
        };
    }

    include!("books.rs");
}

mod postgres {
    use es_runtime::store::PostgresStore as Store;
    use sqlx::PgConnection as Connection;

    const CHECK_FAILED: &str = "violates check constraint";
    const READ_ONLY: &str = "read-only";

    /// Makes one test of each named function.
    macro_rules! on_every_place {
        ($($test:ident,)+) => {
            mod in_a_schema {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $test() {
                        let schema = crate::postgres::schema!();
                        super::$test(crate::place::Place::open(&schema).await).await;
                    }
                )+
            }
        };
    }

    include!("books.rs");
}
