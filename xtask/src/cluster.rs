//! A PostgreSQL server in a temporary folder, which does not outlive us.

use std::ffi::OsString;
use std::fs::{File, Permissions};
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::TempDir;

use crate::find::Binaries;
use crate::user;

/// Makes the server and ends it; a process of its own, so that it is there when we are killed.
const WATCHDOG: &str = include_str!("watchdog.sh");

/// How often another port is tried when somebody else was faster.
const ATTEMPTS: u32 = 5;

/// A server that runs.
#[derive(Debug)]
pub struct Cluster {
    url: String,
    watchdog: Child,
    /// The watchdog reads it until it ends.
    pipe: Option<ChildStdin>,
    said: Option<BufReader<ChildStdout>>,
    folder: TempDir,
}

/// What a server gets beyond what all have.
#[derive(Debug, Default)]
pub struct Extra {
    /// Lines of its `postgresql.conf`; the last one of a name holds.
    pub settings: String,
    /// Variables of its processes.
    pub environment: Vec<(OsString, OsString)>,
    /// Where its folder is made, if not with the other temporary ones.
    pub parent: Option<PathBuf>,
}

impl Cluster {
    /// Makes a server of its own and waits until it takes connections.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn start(binaries: &Binaries) -> Result<Self, String> {
        Self::start_with(binaries, &Extra::default())
    }

    /// As [`start`](Self::start), with something more.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn start_with(binaries: &Binaries, extra: &Extra) -> Result<Self, String> {
        let mut attempt = 1;
        loop {
            match Self::try_start(binaries, extra, free_port()?) {
                Err(reason) if attempt < ATTEMPTS && is_port_taken(&reason) => attempt += 1,
                Err(reason) => return Err(format!("PostgreSQL does not start:\n{reason}")),
                Ok(cluster) => return Ok(cluster),
            }
        }
    }

    fn try_start(binaries: &Binaries, extra: &Extra, port: u16) -> Result<Self, String> {
        let user = user::of_the_server()?;
        let folder = tempfile::Builder::new()
            .prefix("es-postgres-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(extra.parent.clone().unwrap_or_else(std::env::temp_dir));
        let folder = folder.map_err(|error| format!("cannot make a temporary folder: {error}"))?;
        let password = password().map_err(|error| format!("cannot read `/dev/urandom`: {error}"))?;
        write(&folder.path().join("password"), &password)?;
        write(&folder.path().join("settings"), &(settings(port) + &extra.settings))?;
        write(&folder.path().join("watchdog.sh"), WATCHDOG)?;
        user::give(user, folder.path())?;
        let mut command = watchdog(binaries, folder.path());
        command.envs(extra.environment.iter().map(|(name, value)| (name, value)));
        let mut watchdog =
            user::run_as(&mut command, user).spawn().map_err(|error| format!("cannot run `sh`: {error}"))?;
        let (pipe, said) = (watchdog.stdin.take(), watchdog.stdout.take().map(BufReader::new));
        let url = format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres");
        let mut cluster = Self { url, watchdog, pipe, said, folder };
        cluster.wait_until("ready").map(|()| cluster)
    }

    /// Waits until the watchdog says something; what it says otherwise is a reason.
    fn wait_until(&mut self, word: &str) -> Result<(), String> {
        let mut reason = String::new();
        for line in self.said.iter_mut().flat_map(BufRead::lines).map_while(Result::ok) {
            if line == word {
                return Ok(());
            }
            reason.extend([&line, "\n"]);
        }
        Err(reason)
    }

    fn tell(&mut self, word: &str) -> Result<(), String> {
        let pipe = self.pipe.as_mut().ok_or("the watchdog is gone")?;
        writeln!(pipe, "{word}").map_err(|error| format!("the watchdog is gone: {error}"))
    }

    /// Ends the server as a crash of it would: nothing is finished, nothing is put in order.
    ///
    /// # Errors
    ///
    /// When the server is gone for good.
    pub fn crash(&mut self) -> Result<(), String> {
        self.end("crash")
    }

    /// Kills every process of the server.
    ///
    /// # Errors
    ///
    /// When the server is gone for good.
    pub fn kill(&mut self) -> Result<(), String> {
        self.end("kill")
    }

    /// Ends the server in order; those who are connected are not waited for.
    ///
    /// # Errors
    ///
    /// When the server is gone for good.
    pub fn stop(&mut self) -> Result<(), String> {
        self.end("stop")
    }

    fn end(&mut self, word: &str) -> Result<(), String> {
        self.tell(word)?;
        self.wait_until("ended")
    }

    /// Starts the server again after one of these, and waits until it has recovered.
    ///
    /// # Errors
    ///
    /// Why it does not start.
    pub fn start_again(&mut self) -> Result<(), String> {
        self.tell("start")?;
        self.wait_until("ready")
    }

    /// Copies the files of the server, which has to be ended, in place of an earlier copy.
    ///
    /// # Errors
    ///
    /// Why they cannot be copied.
    pub fn copy_files(&self) -> Result<(), String> {
        self.move_files("data", "copy", false)
    }

    /// Puts the copy in the place of the server's files, as a backup that is restored. The server has to be ended.
    ///
    /// # Errors
    ///
    /// Why they cannot be put there.
    pub fn put_copy_back(&self) -> Result<(), String> {
        self.move_files("copy", "data", true)
    }

    fn move_files(&self, from: &str, to: &str, moves: bool) -> Result<(), String> {
        let [from, to] = [from, to].map(|name| self.folder().join(name));
        let gone = Command::new("rm").arg("-rf").arg(&to).status();
        let mut command = if moves { Command::new("mv") } else { Command::new("cp") };
        let done = command.args((!moves).then_some("-a")).arg(&from).arg(&to).status();
        match (gone, done) {
            (Ok(gone), Ok(done)) if gone.success() && done.success() => Ok(()),
            _ => Err(format!("cannot put `{}` in the place of `{}`", from.display(), to.display())),
        }
    }

    /// Where to connect as the superuser.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where its files are: `data`, and `log` with what it says.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Gives the number of the server's first process, whose children the others are.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn process(&self) -> Result<u32, String> {
        let file = self.folder().join("data").join("postmaster.pid");
        let text = std::fs::read_to_string(file).map_err(|error| format!("the server does not run: {error}"))?;
        let first = text.lines().next().and_then(|line| line.parse().ok());
        first.ok_or_else(|| "the server does not say its number".to_owned())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _ = self.watchdog.wait();
    }
}

/// The watchdog's command. A process group of its own: Ctrl-C in a terminal is not for the server.
fn watchdog(binaries: &Binaries, folder: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg(folder.join("watchdog.sh")).arg(&binaries.folder).arg(folder);
    // Of the environment only what programs need to run: `PGDATA`, `PGPORT` and others would lead astray.
    command.env_clear().env("LC_ALL", "C");
    for name in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command.current_dir("/").process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// What a server must be set to that loses nothing, and is alone.
fn settings(port: u16) -> String {
    format!(
        "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\nmax_connections = 300\nmax_prepared_transactions = 16\n\
         fsync = on\nsynchronous_commit = on\nfull_page_writes = on\n"
    )
}

/// A port that is free at this moment.
fn free_port() -> Result<u16, String> {
    let bound = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    bound.map(|address| address.port()).map_err(|error| format!("there is no free port: {error}"))
}

fn is_port_taken(log: &str) -> bool {
    log.contains("could not create any TCP/IP sockets")
}

fn password() -> std::io::Result<String> {
    let mut bytes = [0_u8; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_writes_what_it_answers_to() {
        for setting in ["fsync = on", "synchronous_commit = on", "full_page_writes = on", "port = 4711"] {
            assert!(settings(4711).lines().any(|line| line == setting), "{setting}");
        }
    }

    #[test]
    fn a_password_is_another_one_each_time() {
        let (one, two) = (password().unwrap(), password().unwrap());
        assert!(one.len() == 32 && one != two);
    }

    #[test]
    fn a_port_that_is_taken_is_told_from_other_failures() {
        let log = "LOG:  could not bind IPv4 address \"127.0.0.1\": Address already in use\n\
            FATAL:  could not create any TCP/IP sockets\n";
        assert!(is_port_taken(log));
        assert!(!is_port_taken("FATAL:  could not map anonymous shared memory: Cannot allocate memory\n"));
    }

    #[test]
    fn a_postgres_whose_port_is_taken_says_so() {
        let binaries = crate::find::binaries().expect(crate::find::MISSING);
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let reason =
            Cluster::try_start(&binaries, &Extra::default(), taken.local_addr().unwrap().port()).err().unwrap();
        assert!(is_port_taken(&reason), "{reason}");
    }
}
