//! However xtask ends, the server and its folder are gone.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests are assertions")]

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const ENOUGH: Duration = Duration::from_secs(30);

/// `xtask postgres` with a temporary folder of its own.
struct Serving {
    xtask: Child,
    address: String,
    temporary: TempDir,
}

fn xtask(temporary: &TempDir) -> Command {
    // The server runs as somebody else when we are root.
    std::fs::set_permissions(temporary.path(), Permissions::from_mode(0o1777)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("postgres").env("TMPDIR", temporary.path());
    command
}

impl Serving {
    fn start() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut xtask = xtask(&temporary).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(xtask.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let address = url.split(['@', '/']).nth(3).expect("a URL is printed").to_owned();
        TcpStream::connect(&address).expect("the server listens");
        Self { xtask, address, temporary }
    }

    /// Sends a signal, and answers with the exit code and the signal that ended xtask.
    fn end(&mut self, signal: Signal) -> (Option<i32>, Option<i32>) {
        kill_process(Pid::from_child(&self.xtask), signal).unwrap();
        let status = self.xtask.wait().unwrap();
        (status.code(), status.signal())
    }

    fn is_gone(&self) -> bool {
        TcpStream::connect(&self.address).is_err() && is_empty(&self.temporary)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.xtask.kill();
        let _ = self.xtask.wait();
    }
}

fn is_empty(folder: &TempDir) -> bool {
    folder.path().read_dir().unwrap().next().is_none()
}

#[test]
fn a_killed_xtask_leaves_no_postgres_behind() {
    let mut serving = Serving::start();
    assert!(!serving.is_gone());
    assert_eq!(serving.end(Signal::KILL), (None, Some(9)));
    let deadline = Instant::now() + ENOUGH;
    while !serving.is_gone() {
        assert!(Instant::now() < deadline, "the server outlives xtask");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_interrupted_xtask_has_ended_its_postgres_before_it_ends() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut serving = Serving::start();
        assert_eq!(serving.end(signal), (Some(code), None));
        assert!(serving.is_gone());
    }
}

#[test]
fn a_command_runs_with_the_url_of_a_postgres_and_gives_its_exit_code() {
    let temporary = tempfile::tempdir().unwrap();
    let output = xtask(&temporary).args(["--", "sh", "-c", "echo $ES_TEST_POSTGRES; exit 7"]).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert!(output.stdout.starts_with(b"postgres://postgres:"));
    assert!(is_empty(&temporary));
}

#[test]
fn a_command_that_is_not_there_ends_its_postgres_too() {
    let temporary = tempfile::tempdir().unwrap();
    let output = xtask(&temporary).args(["--", "a program that is not there"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot run `a program that is not there`"));
    assert!(is_empty(&temporary));
}

#[test]
fn a_postgres_that_crashed_comes_back_where_it_was() {
    let mut cluster = xtask::Cluster::start(&xtask::binaries().expect(xtask::MISSING)).unwrap();
    let address = cluster.url().split(['@', '/']).nth(3).unwrap().to_owned();
    for end in [xtask::Cluster::crash, xtask::Cluster::kill, xtask::Cluster::stop] {
        TcpStream::connect(&address).expect("the server listens");
        end(&mut cluster).unwrap();
        assert!(TcpStream::connect(&address).is_err());
        cluster.start_again().unwrap();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_postgres_gets_settings_and_variables_of_its_own() {
    let settings = "log_statement = all\nmax_connections = 31\n".to_owned();
    let environment = vec![("ES_TEST_VARIABLE".into(), "x".into())];
    let extra = xtask::Extra { settings, environment, parent: None };
    let cluster = xtask::Cluster::start_with(&xtask::binaries().expect(xtask::MISSING), &extra).unwrap();
    let process = cluster.process().unwrap();
    let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap();
    assert!(environment.split(|byte| *byte == 0).any(|variable| variable == b"ES_TEST_VARIABLE=x"));
    let configured = std::fs::read_to_string(cluster.folder().join("data/postgresql.conf")).unwrap();
    assert_eq!(configured.lines().rfind(|line| line.starts_with("max_connections")), Some("max_connections = 31"));
}
