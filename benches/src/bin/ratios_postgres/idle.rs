//! What an application asks the server when nothing happens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use es_benches::bank::{Book, TEXT};
use es_benches::ratios::sample::Sample;
use es_benches::{Result, fill};
use es_runtime::app::App;

use crate::server::Server;
use es_benches::readers::Three;

/// How long statements are counted: longer than anything that comes again.
const WINDOW: Duration = Duration::from_secs(12);

/// How long nothing happens before.
const CALM: Duration = Duration::from_secs(2);

/// Counts the statements of an application with three projections, as the server's log names them.
pub(crate) async fn measure(server: &Arc<Server>) -> Result<Sample> {
    let schema = server.fresh();
    let app = App::<Three, _>::builder(schema.store().await?).build().await?;
    let accounts = fill::accounts(100);
    fill::open(&app, &accounts).await?;
    for account in accounts {
        app.dispatch(Book { account, cents: 1, text: TEXT.to_owned() }).await?;
    }
    app.caught_up().await?;
    tokio::time::sleep(CALM).await;
    schema.run("ALTER SYSTEM SET log_statement = 'all'".to_owned()).await?;
    schema.run("SELECT pg_reload_conf()".to_owned()).await?;
    let (before, begun) = (statements(server)?, Instant::now());
    tokio::time::sleep(WINDOW).await;
    let (after, took) = (statements(server)?, begun.elapsed());
    schema.run("ALTER SYSTEM RESET log_statement".to_owned()).await?;
    schema.run("SELECT pg_reload_conf()".to_owned()).await?;
    app.shutdown().await;
    schema.drop().await?;
    if after.len() == before.len() {
        return Err("the server's log names no statement".into());
    }
    say(&after[before.len()..], took);
    Ok(Sample::of((after.len() - before.len()) as u64, took))
}

/// Gives the statements that the store's connections ran, `BEGIN` and `COMMIT` too.
fn statements(server: &Server) -> Result<Vec<String>> {
    let log = std::fs::read_to_string(server.log())?;
    let of_store = log.lines().filter_map(|line| line.strip_prefix("es: LOG:  "));
    let asked = of_store.filter(|line| line.starts_with("statement: ") || line.starts_with("execute "));
    Ok(asked.map(|line| line.split_once(": ").map_or("", |(_, sql)| sql).to_owned()).collect())
}

/// Says which statements they were.
fn say(statements: &[String], took: Duration) {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for statement in statements {
        let head = statement.get(..70).unwrap_or(statement);
        match kinds.iter_mut().find(|(known, _)| *known == head) {
            Some((_, count)) => *count += 1,
            None => kinds.push((head, 1)),
        }
    }
    eprintln!("idle for {:.0} s:", took.as_secs_f64());
    for (statement, count) in kinds {
        eprintln!("  {count} × {statement}");
    }
}
