//! A bank in a process of its own: this test binary, started again to run one ignored test. It dispatches without end and prints a
//! line for each command that was acknowledged, until somebody kills it, or it kills itself at a named place.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::store::Store;
use es_runtime::testing::fail_points;

use super::domain::{Bank, Close, Deposit, Open, Withdraw};
use crate::place::{Place, at_the_parents_place, tell};

const SEED: &str = "ES_TEST_SEED";
/// `place,count`: the process kills itself when it comes by the place for the `count`th time.
const FAIL_POINT: &str = "ES_TEST_FAIL_POINT";
/// As the above, and it only stops (SIGSTOP), until somebody lets it go on.
const STOP_POINT: &str = "ES_TEST_STOP_POINT";

/// How many accounts the children of one place share.
pub const ACCOUNTS: u64 = 12;
const CALLERS: u64 = 4;

/// Leases of processes in tests are given up after this.
pub const LEASE: Duration = Duration::from_millis(900);

/// A command that was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    pub account: Uuid,
    pub version: u64,
    pub position: u64,
}

pub fn account(number: u64) -> Uuid {
    Uuid::from_u128(0xACC0_0000 + u128::from(number))
}

/// Opens the bank at a place as the children do.
pub async fn bank<P: Place>(place: &P) -> App<Bank, P::Store> {
    let store = place.open().await;
    App::builder(store).subscriptions(|options| options.lease_timeout = LEASE).build().await.unwrap()
}

pub fn start(place: &impl Place, seed: u64, fail_point: Option<(&str, u32)>) -> Child {
    let mut command = command(place, seed);
    if let Some((place, count)) = fail_point {
        command.env(FAIL_POINT, format!("{place},{count}"));
    }
    command.spawn().unwrap()
}

/// Starts a child that stops itself when it comes by a place for the `count`th time.
pub fn start_and_stop(place: &impl Place, seed: u64, point: &str, count: u32) -> Child {
    command(place, seed).env(STOP_POINT, format!("{point},{count}")).spawn().unwrap()
}

fn command(place: &impl Place, seed: u64) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["read::child::dispatcher", "--exact", "--ignored", "--nocapture"]);
    tell(place, &mut command);
    command.env(SEED, seed.to_string());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// A child that does not outlive its test.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Collects what a child acknowledges while the test does something else.
pub fn listen(child: &mut Child) -> Arc<Mutex<Vec<Acknowledged>>> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let all = Arc::<Mutex<Vec<Acknowledged>>>::default();
    let heard = Arc::clone(&all);
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            heard.lock().unwrap().extend(parse(&line));
        }
    });
    all
}

fn parse(line: &str) -> Option<Acknowledged> {
    let parts: Vec<&str> = line.strip_prefix("ack ")?.split(' ').collect();
    let [account, version, position] = parts[..] else { return None };
    let (account, version, position) = (account.parse().ok()?, version.parse().ok()?, position.parse().ok()?);
    Some(Acknowledged { account, version, position })
}

/// Sends a signal (`STOP`, `CONT`) to a process.
pub fn signal(name: &str, process: u32) {
    assert!(Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status().unwrap().success());
}

/// Tells whether a process is stopped by a signal.
pub fn is_stopped(process: u32) -> bool {
    let told = Command::new("ps").args(["-o", "state=", "-p", &process.to_string()]).output().unwrap();
    String::from_utf8_lossy(&told.stdout).trim_start().starts_with('T')
}

/// Reads acknowledgements until the child ends or there are enough; kills it then, and reads what it still said.
pub fn acknowledged(child: &mut Child, enough: usize) -> Vec<Acknowledged> {
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let (mut acknowledged, mut line) = (Vec::new(), String::new());
    loop {
        line.clear();
        // A line that was cut off by the child's death has no end.
        if lines.read_line(&mut line).unwrap() == 0 || !line.ends_with('\n') {
            child.wait().unwrap();
            return acknowledged;
        }
        let Some(one) = parse(line.trim_end()) else { continue };
        acknowledged.push(one);
        if acknowledged.len() == enough {
            // SIGKILL: nothing of the child runs any more.
            child.kill().unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs as a child process"]
async fn dispatcher() {
    if let Ok(point) = std::env::var(FAIL_POINT) {
        at(&point, kill_myself);
    }
    if let Ok(point) = std::env::var(STOP_POINT) {
        at(&point, || signal("STOP", std::process::id()));
    }
    at_the_parents_place!(dispatch_at);
}

async fn dispatch_at(place: impl Place) {
    let seed: u64 = std::env::var(SEED).unwrap().parse().unwrap();
    let bank = bank(&place).await;
    let callers = (0..CALLERS).map(|caller| tokio::spawn(dispatch(bank.clone(), seed * CALLERS + caller, print)));
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
}

fn print(Acknowledged { account, version, position }: Acknowledged) {
    let line = format!("ack {account} {version} {position}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}

/// Does something when the process comes by a place for the n-th time.
pub fn at(point: &str, action: impl Fn() + Send + Sync + 'static) {
    let (place, count) = point.split_once(',').unwrap();
    let (place, left) = (place.to_owned(), AtomicU32::new(count.parse().unwrap()));
    fail_points::on_reach(move |reached| {
        if reached == place && left.fetch_sub(1, Ordering::SeqCst) == 1 {
            action();
        }
    });
}

fn kill_myself() {
    let me = std::process::id().to_string();
    Command::new("kill").args(["-9", &me]).status().unwrap();
    loop {
        std::thread::park();
    }
}

/// Dispatches without end, and tells what was acknowledged.
pub async fn dispatch(bank: App<Bank, impl Store>, seed: u64, tell: impl Fn(Acknowledged)) {
    let mut random = crate::random::Random::new(seed);
    loop {
        let number = random.below(ACCOUNTS);
        let account = account(number);
        let branch = u32::try_from(random.below(5)).unwrap();
        let receipt = match random.below(12) {
            0 | 1 => bank.dispatch(Open { account, owner: format!("owner {}", number % 3), branch }).await.ok(),
            2 if number > 8 => bank.dispatch(Close { account }).await.ok(),
            3 | 4 => bank.dispatch(Withdraw { account, cents: 1 }).await.ok(),
            _ => {
                let cents = (0..random.below(3) + 1).map(|_| i64::try_from(random.below(100)).unwrap()).collect();
                bank.dispatch(Deposit { account, branch, cents }).await.ok()
            }
        };
        if let Some(receipt) = receipt {
            tell(Acknowledged { account, version: receipt.version().get(), position: receipt.position().get() });
        }
    }
}
