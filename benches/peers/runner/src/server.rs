//! A PostgreSQL server of the runner's own, in a temporary folder, which ends with it.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::flush::Flush;
use crate::{Result, flush};

/// What every peer meets. All else is PostgreSQL's default.
pub(crate) const SETTINGS: [&str; 9] = [
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "listen_addresses=127.0.0.1",
    "max_connections=200",
    "shared_buffers=256MB",
    "max_wal_size=4GB",
    "checkpoint_timeout=1h",
    "log_min_messages=fatal",
];

/// How long starting and stopping may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running server.
pub(crate) struct Server {
    programs: PathBuf,
    port: u16,
    process: Child,
    pub(crate) flush: Flush,
    /// Removed last.
    folder: TempDir,
}

impl Server {
    /// Makes a cluster and starts it, as the user `postgres` where this is root.
    pub(crate) fn start(home: &Path, programs: Option<&Path>, flush_us: Option<u64>) -> Result<Self> {
        let programs = programs.map_or_else(find, |programs| Ok(programs.to_owned()))?;
        let folder = tempfile::Builder::new().prefix("es-peers-").tempdir()?;
        let user = User::of_the_server()?;
        user.owns(folder.path())?;
        let data = folder.path().join("data");
        run(user
            .command(&programs.join("initdb"))
            .args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "-D"])
            .arg(&data))?;
        let flush = Flush::prepare(home, folder.path(), flush_us)?;
        if let Some(count) = &flush.count {
            user.owns(count)?;
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut server = user.command(&programs.join("postgres"));
        server.arg("-D").arg(&data).args(["-p", &port.to_string()]);
        server.arg("-c").arg(format!("unix_socket_directories={}", folder.path().display()));
        for setting in SETTINGS {
            server.args(["-c", setting]);
        }
        let log = File::create(folder.path().join("log"))?;
        let process =
            server.envs(flush.environment()).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let mut server = Self { programs, port, process, flush, folder };
        server.wait()?;
        Ok(server)
    }

    fn wait(&mut self) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.process.try_wait()? {
                let log = std::fs::read_to_string(self.folder.path().join("log"))?;
                return Err(format!("the server ended with {status}: {log}").into());
            }
            if self.sql("postgres", &["SELECT 1"]).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err("the server does not answer".into())
    }

    /// Runs statements, each for itself, and gives what they print.
    pub(crate) fn sql(&self, database: &str, statements: &[&str]) -> Result<String> {
        run(self.psql(database).args(statements.iter().flat_map(|statement| ["-c", statement])))
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            "127.0.0.1",
            "-U",
            "postgres",
            "-d",
            database,
        ]);
        psql.args(["-p", &self.port.to_string()]);
        psql
    }

    /// Makes an empty database in the place of the last one, and gives its address.
    pub(crate) fn fresh(&self) -> Result<String> {
        self.sql("postgres", &["DROP DATABASE IF EXISTS peer WITH (FORCE)", "CREATE DATABASE peer"])?;
        Ok(format!("postgres://postgres@127.0.0.1:{}/peer", self.port))
    }

    /// Gives a line for a shell that gathers statistics and writes out what is dirty, so that every run begins alike.
    pub(crate) fn settle(&self) -> String {
        let psql = self.programs.join("psql");
        format!(
            "'{}' -X -q -h 127.0.0.1 -p {} -U postgres -d peer -c ANALYZE -c CHECKPOINT >/dev/null",
            psql.display(),
            self.port
        )
    }

    /// Measures a flush of the disk that the cluster is on.
    pub(crate) fn disk(&self) -> Result<Duration> {
        flush::measure(self.folder.path())
    }
}

impl Drop for Server {
    /// Ends the server and waits for it (`SIGINT`: a fast shutdown).
    fn drop(&mut self) {
        let asked = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        let begun = Instant::now();
        while asked.is_ok() && begun.elapsed() < PATIENCE {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        eprintln!("peers: the server did not stop; it is killed");
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whom the server runs as.
struct User(Option<(u32, u32)>);

impl User {
    fn of_the_server() -> Result<Self> {
        let id = |what: &[&str]| -> Result<u32> { Ok(run(Command::new("id").args(what))?.trim().parse()?) };
        Ok(Self(if id(&["-u"])? == 0 { Some((id(&["-u", "postgres"])?, id(&["-g", "postgres"])?)) } else { None }))
    }

    fn owns(&self, path: &Path) -> Result<()> {
        match self.0 {
            Some((user, group)) => Ok(chown(path, Some(user), Some(group))?),
            None => Ok(()),
        }
    }

    /// A command of that user, which is ended (`SIGINT`) if this process dies.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        if let Some((user, group)) = self.0 {
            command.args([format!("--reuid={user}"), format!("--regid={group}"), "--init-groups".to_owned()]);
        }
        command.args(["--pdeathsig", "INT"]).arg(program).current_dir("/");
        command
    }
}

/// Runs a command to its end, and gives what it prints.
fn run(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    Err(format!("{}: {}", command.get_program().display(), String::from_utf8_lossy(&output.stderr)).into())
}

/// Looks for PostgreSQL's programs.
fn find() -> Result<PathBuf> {
    let told = run(Command::new("pg_config").arg("--bindir")).map(|folder| PathBuf::from(folder.trim())).ok();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    found.sort_by_key(|folder| {
        folder.iter().nth_back(1).and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok())
    });
    told.into_iter()
        .chain(found.into_iter().rev())
        .find(|folder| folder.join("initdb").exists())
        .ok_or_else(|| "PostgreSQL's `initdb` is not found; say `--postgres FOLDER`".into())
}
