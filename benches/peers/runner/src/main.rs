//! Compares es with other libraries on PostgreSQL: one server, one workload, one program a library, in rotating order.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser as _;

mod flush;
mod machine;
mod peers;
mod rounds;
mod server;
mod table;

/// The error of the runner: it is reported, and the program ends.
type Error = Box<dyn std::error::Error>;

type Result<T, E = Error> = std::result::Result<T, E>;

/// How many clients, and how many commands of them all.
#[derive(Clone, Copy, Debug)]
struct Load {
    clients: usize,
    commands: u64,
}

impl std::str::FromStr for Load {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (clients, commands) = text.split_once(':').ok_or("a load is `clients:commands`")?;
        let clients = clients.parse().map_err(|error| format!("`{clients}`: {error}"))?;
        let commands = commands.parse().map_err(|error| format!("`{commands}`: {error}"))?;
        Ok(Self { clients, commands })
    }
}

/// Compares es with other libraries on PostgreSQL.
#[derive(clap::Parser)]
struct Options {
    /// Whom to run; all of them by default.
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// `clients:commands`, each load gets a table.
    #[arg(long, value_delimiter = ',', default_value = "1:1000,64:20000")]
    loads: Vec<Load>,
    /// How often each peer runs each load.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How many accounts there are.
    #[arg(long, default_value_t = 1_000)]
    accounts: usize,
    /// After how many seconds a run begins no further command.
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// How many connections a pool may have. With several, each peer gets what suited it best in a short trial.
    #[arg(long, value_delimiter = ',', default_value = "4,16,64")]
    pools: Vec<u32>,
    /// Lets each flush of the server's disk take so many microseconds, instead of what it takes.
    #[arg(long)]
    flush_us: Option<u64>,
    /// Where PostgreSQL's programs are; by default what `pg_config` says, or the newest under `/usr/lib/postgresql`.
    #[arg(long)]
    postgres: Option<PathBuf>,
    /// Takes the programs as they are.
    #[arg(long)]
    no_build: bool,
    /// Writes the line of each run there, too.
    #[arg(long)]
    lines: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the runner stands in no folder")?;
    let peers = peers::chosen(&options.peers)?;
    if !options.no_build {
        peers::build(home, &peers)?;
    }
    let server = server::Server::start(home, options.postgres.as_deref(), options.flush_us)?;
    println!("{}", machine::describe(&server, options)?);
    for load in &options.loads {
        let seen = rounds::run(home, &server, &peers, *load, options)?;
        println!("{}", table::render(*load, &seen));
    }
    Ok(())
}
