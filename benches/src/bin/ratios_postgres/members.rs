//! Several processes on one schema.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use es_benches::bank::Account;
use es_benches::ratios::env::Env;
use es_benches::ratios::sample::Sample;
use es_benches::ratios::watch::Watch;
use es_benches::{Result, fill};
use es_runtime::aggregate::Aggregate as _;
use es_runtime::store::EventStore as _;

use crate::archive::Archive;
use crate::member::{COUNT, Count, GO, Order, Role};
use crate::server::{Schema, Server};

/// Processes that dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Company {
    pub(crate) processes: usize,
    /// In all of them together.
    pub(crate) clients: usize,
    /// Whether each process dispatches to all accounts, or to its own.
    pub(crate) mixed: bool,
}

const ACCOUNTS: usize = 1_000;

/// How long processes may take until all of them work.
const ENOUGH: Duration = Duration::from_secs(30);

/// A process that was started. It ends with this.
struct Member {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Member {
    fn start(schema: &Schema, role: Role) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg("--member").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().ok_or("there is no output")?).lines();
        let order = Order { url: schema.server.url().to_owned(), schema: schema.name.clone(), role };
        let mut member = Self { child, input, output };
        member.say(&serde_json::to_string(&order)?)?;
        Ok(member)
    }

    fn say(&mut self, line: &str) -> Result<()> {
        Ok(writeln!(self.input.as_mut().ok_or("it has ended")?, "{line}")?)
    }

    fn hear(&mut self) -> Result<String> {
        Ok(self.output.next().ok_or("a process ended before its time")??)
    }

    fn count(&mut self) -> Result<Count> {
        self.say(COUNT)?;
        Ok(serde_json::from_str(&self.hear()?)?)
    }

    fn end(mut self) -> Result<()> {
        drop(self.input.take());
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("a process failed: {status}").into()) }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ended_already = self.child.wait();
    }
}

/// Starts a process for each role, and lets all of them begin. This and all below block on purpose: nothing else is to do.
fn start(schema: &Schema, roles: impl Iterator<Item = Role>) -> Result<Vec<Member>> {
    let mut members = roles.map(|role| Member::start(schema, role)).collect::<Result<Vec<_>>>()?;
    for member in &mut members {
        member.hear()?;
    }
    for member in &mut members {
        member.say(GO)?;
    }
    Ok(members)
}

fn count(members: &mut [Member]) -> Result<Vec<Count>> {
    members.iter_mut().map(Member::count).collect()
}

/// Counts what they do in a while.
fn watch(members: &mut [Member], env: &Env) -> Result<Sample> {
    let sum = |counts: &[Count], of: fn(&Count) -> u64| counts.iter().map(of).sum::<u64>();
    let (watch, before) = (Watch::start(env)?, count(members)?);
    std::thread::sleep(env.time);
    let after = count(members)?;
    let since = |of| sum(&after, of) - sum(&before, of);
    watch.stop_with(since(|count| count.events), since(|count| count.processors), env)
}

/// Lets processes dispatch for a while.
pub(crate) async fn dispatch(company: Company, server: &Arc<Server>, env: &Env) -> Result<Sample> {
    let Company { processes, clients, mixed } = company;
    let schema = server.fresh();
    let accounts = fill::accounts(ACCOUNTS);
    let store = schema.store().await?;
    fill::histories(&store, accounts.iter().map(|account| (Account::stream(account), 0))).await?;
    store.close().await;
    let roles = (0..processes).map(|process| {
        let own = accounts.iter().copied().enumerate().filter(|(at, _)| mixed || at % processes == process);
        Role::Dispatch { accounts: own.map(|(_, account)| account).collect(), clients: clients / processes }
    });
    let mut members = start(&schema, roles)?;
    // Each loads the accounts first.
    std::thread::sleep(env.time.max(Duration::from_millis(500)));
    let sample = watch(&mut members, env)?;
    let conflicts: u64 = count(&mut members)?.iter().map(|count| count.conflicts).sum();
    members.into_iter().try_for_each(Member::end)?;
    if conflicts > 0 && !mixed {
        return Err(format!("{conflicts} conflicts, though each process has accounts of its own").into());
    }
    schema.drop().await?;
    Ok(sample)
}

/// Lets processes run a projection for a while, from the start of the log.
pub(crate) async fn project(processes: usize, archive: &Archive, env: &Env) -> Result<Sample> {
    let schema = archive.copy(1).await?;
    let mut members = start(&schema, (0..processes).map(|_| Role::Project))?;
    // Until each has its partitions.
    let begun = Instant::now();
    let mut seen = count(&mut members)?;
    loop {
        std::thread::sleep(Duration::from_millis(300));
        let now = count(&mut members)?;
        if now.iter().zip(&seen).all(|(now, seen)| now.events > seen.events) {
            break;
        }
        if begun.elapsed() > ENOUGH {
            return Err("not every process got partitions".into());
        }
        seen = now;
    }
    let sample = watch(&mut members, env)?;
    let all: u64 = count(&mut members)?.iter().map(|count| count.events).sum();
    if all >= archive.events() {
        return Err("the log ended before the measurement".into());
    }
    members.into_iter().try_for_each(Member::end)?;
    schema.drop().await?;
    Ok(sample)
}
