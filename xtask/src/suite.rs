//! Which commands the tests are.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use crate::URL;
use crate::interrupt::Interrupts;

/// Every test on PostgreSQL has this in its path, and no other one has.
const ON_POSTGRES: &str = "postgres";

/// What `cargo run` tells a program of itself begins with this.
const OF_THIS_PROGRAM: [&str; 2] = ["CARGO_PKG_", "CARGO_MANIFEST_"];

/// What is asked for.
#[derive(Debug, Default)]
pub struct Suite {
    pub nextest: bool,
    pub without_postgres: bool,
    pub arguments: Vec<OsString>,
}

impl Suite {
    /// Runs one command after the other until one fails, and answers with its exit code.
    pub fn run(&self, interrupts: &Interrupts, url: Option<&str>) -> Result<u8, String> {
        for arguments in self.commands() {
            let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
            crate::say(&format!("cargo {}", words.join(" ")));
            let code = interrupts.run(cargo().args(arguments).envs(url.map(|url| (URL, url))))?;
            if code != 0 {
                return Ok(code);
            }
        }
        Ok(0)
    }

    /// The arguments of each `cargo`. Nextest knows no doctests, and arguments say which tests are wanted.
    fn commands(&self) -> Vec<Vec<OsString>> {
        if !self.nextest {
            return vec![self.command(&["test"])];
        }
        let mut commands = vec![self.command(&["nextest", "run"])];
        if self.arguments.is_empty() {
            commands.push(self.command(&["test", "--doc"]));
        }
        commands
    }

    fn command(&self, words: &[&str]) -> Vec<OsString> {
        let words = [words, &["--workspace", "--all-features"]].concat();
        let mut command: Vec<_> = words.into_iter().map(OsString::from).chain(self.arguments.iter().cloned()).collect();
        if self.without_postgres {
            let to_the_tests = self.arguments.iter().any(|argument| argument == "--");
            command.extend((!to_the_tests).then(|| "--".into()));
            command.extend(["--skip", ON_POSTGRES].map(OsString::from));
        }
        command
    }
}

/// Counts the tests that are left out, if their programs can be asked.
pub fn count_left_out() -> Option<usize> {
    let list = ["test", "--quiet", "--workspace", "--all-features", "--tests", "--", "--list", ON_POSTGRES];
    let output = cargo().args(list).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| count(&String::from_utf8_lossy(&output.stdout)))
}

fn count(list: &str) -> usize {
    list.lines().filter(|line| line.ends_with(": test")).count()
}

/// What is said at the end, so that nobody takes a part for the whole.
pub fn left_out(count: Option<usize>) -> String {
    let count = count.map_or_else(String::new, |count| format!("{count} "));
    format!(
        "NOT RUN: the {count}tests on PostgreSQL. `cargo xtask test` runs all, \
         `cargo xtask test -- {ON_POSTGRES}` only those; both need PostgreSQL's server programs"
    )
}

/// As it is called from a shell. What `cargo run` says of this program would be news to build scripts that look at it (that
/// of `ring` does), and everything that stands on them would be compiled anew in turns with calls from a shell.
fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if OF_THIS_PROGRAM.iter().any(|of_this| name.to_string_lossy().starts_with(of_this)) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Tells whether `cargo nextest` can be run.
pub fn has_nextest() -> bool {
    let mut version = cargo();
    version.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(suite: &Suite) -> Vec<String> {
        let line = |command: Vec<OsString>| command.join(" ".as_ref()).into_string().unwrap();
        suite.commands().into_iter().map(line).collect()
    }

    fn suite(nextest: bool, without_postgres: bool, arguments: &[&str]) -> Suite {
        Suite { nextest, without_postgres, arguments: arguments.iter().map(Into::into).collect() }
    }

    /// Cargo runs this test, so it says these of it.
    #[test]
    fn cargo_hears_nothing_of_the_program_that_calls_it() {
        let command = cargo();
        let removed: Vec<_> = command.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
        assert!(removed.contains(&"CARGO_PKG_NAME".as_ref()), "{removed:?}");
        assert!(removed.contains(&"CARGO_MANIFEST_DIR".as_ref()), "{removed:?}");
    }

    #[test]
    fn everything_is_run_with_and_without_nextest() {
        assert_eq!(
            lines(&suite(true, false, &[])),
            ["nextest run --workspace --all-features", "test --doc --workspace --all-features"]
        );
        assert_eq!(lines(&suite(false, false, &[])), ["test --workspace --all-features"]);
    }

    #[test]
    fn arguments_choose_among_the_tests_and_no_doctest_is_run_beside() {
        let chosen = lines(&suite(true, false, &["-E", "test(crash)"]));
        assert_eq!(chosen, ["nextest run --workspace --all-features -E test(crash)"]);
    }

    #[test]
    fn tests_on_a_server_are_skipped_by_name() {
        let without = lines(&suite(true, true, &[]));
        assert!(without.iter().all(|line| line.ends_with("--all-features -- --skip postgres")), "{without:?}");
        let passed_on = lines(&suite(false, true, &["--", "--nocapture"]));
        assert_eq!(passed_on, ["test --workspace --all-features -- --nocapture --skip postgres"]);
    }

    #[test]
    fn what_was_left_out_is_counted_and_said() {
        assert_eq!(count("a::b: test\nc: test\nd: bench\n\n2 tests, 1 benchmark\n"), 2);
        assert!(left_out(Some(2)).contains("the 2 tests on PostgreSQL"));
        assert!(left_out(None).contains("the tests on PostgreSQL"));
    }
}
