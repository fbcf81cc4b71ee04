//! `cargo xtask`: the tests, with a PostgreSQL server of their own.

mod install;
mod interrupt;
mod suite;

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};
use interrupt::Interrupts;
use suite::Suite;
use xtask::{Binaries, Cluster, MISSING};

/// Where tests find the server.
const URL: &str = "ES_TEST_POSTGRES";

#[derive(Parser)]
#[command(name = "cargo xtask", about)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Runs all tests, those on PostgreSQL with a server that is made for them and goes away with them.
    Test {
        /// Leaves out the tests on PostgreSQL.
        #[arg(long)]
        without_postgres: bool,
        /// What goes to `cargo nextest run`, or to `cargo test` where nextest is not installed.
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// Starts such a server, prints its URL, and runs until Ctrl-C.
    Postgres {
        /// Runs this command with the server, and ends both.
        #[arg(last = true)]
        command: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<u8, String> {
    let interrupts = Interrupts::listen()?;
    match task {
        Task::Test { without_postgres, arguments } => {
            let suite = Suite { nextest: suite::has_nextest(), without_postgres, arguments };
            test(&suite, &interrupts)
        }
        Task::Postgres { command } => serve(&command, &interrupts),
    }
}

/// Runs the tests and answers with their exit code.
fn test(suite: &Suite, interrupts: &Interrupts) -> Result<u8, String> {
    if suite.without_postgres {
        let code = suite.run(interrupts, None)?;
        eprintln!("xtask: {}", suite::left_out(suite::count_left_out()));
        return Ok(code);
    }
    if std::env::var_os(URL).is_some_and(|url| !url.is_empty()) {
        say(&format!("`{URL}` is set: the tests use that server"));
        return suite.run(interrupts, None);
    }
    let cluster = start(interrupts)?;
    suite.run(interrupts, Some(cluster.url()))
}

/// Runs a server for a command, or until somebody interrupts.
fn serve(command: &[OsString], interrupts: &Interrupts) -> Result<u8, String> {
    let cluster = start(interrupts)?;
    let Some((program, arguments)) = command.split_first() else {
        println!("{}", cluster.url());
        say(&format!("single tests find it with `{URL}` set to this; Ctrl-C ends it"));
        return Ok(interrupts.wait());
    };
    interrupts.run(Command::new(program).args(arguments).env(URL, cluster.url()))
}

/// Starts a server, and installs PostgreSQL first where it is missing and may be installed.
fn start(interrupts: &Interrupts) -> Result<Cluster, String> {
    let binaries = if let Some(binaries) = xtask::binaries() {
        binaries
    } else {
        install::postgresql(interrupts)?;
        xtask::binaries().ok_or(MISSING)?
    };
    let Binaries { folder, version } = &binaries;
    say(&format!("{version} from {}", folder.display()));
    Cluster::start(&binaries)
}

fn say(what: &str) {
    eprintln!("xtask: {what}");
}
