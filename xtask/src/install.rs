//! Debian's package, where there is no PostgreSQL and we may install one.

use std::path::Path;
use std::process::{Command, Stdio};

use xtask::MISSING;

use crate::interrupt::Interrupts;

/// Where Debian's package reads whether it makes and starts a server of its own.
const CREATE: &str = "/etc/postgresql-common/createcluster.conf";

/// Installs Debian's package without the server that it makes by default.
pub fn postgresql(interrupts: &Interrupts) -> Result<(), String> {
    let before: &[&str] = match (is_debian(), rustix::process::geteuid().is_root(), may_sudo()) {
        (true, true, _) => &[],
        (true, false, true) => &["sudo", "-n"],
        _ => return Err(MISSING.to_owned()),
    };
    crate::say("PostgreSQL is not installed: installing Debian's package `postgresql`");
    let run = |words: &[&str]| run(interrupts, before, words);
    // Old lists of packages may do.
    let _ = run(&["apt-get", "update", "-q"]);
    if !Path::new(CREATE).exists() {
        run(&["apt-get", "install", "-q", "-y", "--no-install-recommends", "postgresql-common"])?;
        run(&["sed", "-i", "s/^#* *create_main_cluster *=.*/create_main_cluster = false/", CREATE])?;
        crate::say(&format!("`create_main_cluster = false` is set in `{CREATE}`: no server is left running"));
    }
    run(&["apt-get", "install", "-q", "-y", "--no-install-recommends", "postgresql"])
}

fn run(interrupts: &Interrupts, before: &[&str], words: &[&str]) -> Result<(), String> {
    let words = [before, &["env", "DEBIAN_FRONTEND=noninteractive"], words].concat();
    // Standard output is for what we say.
    match interrupts.run(Command::new(words[0]).args(&words[1..]).stdout(std::io::stderr()))? {
        0 => Ok(()),
        code => Err(format!("`{}` failed with exit code {code}\n{MISSING}", words.join(" "))),
    }
}

fn is_debian() -> bool {
    Path::new("/etc/debian_version").exists() && succeeds("apt-get", &["--version"])
}

fn may_sudo() -> bool {
    succeeds("sudo", &["-n", "true"])
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
