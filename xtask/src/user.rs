//! Whom the server runs as: PostgreSQL refuses to run as root.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Another user, when we are root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    id: u32,
    group: u32,
}

/// The user that PostgreSQL's packages make; nobody else than us when we are not root.
pub fn of_the_server() -> Result<Option<User>, String> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users =
        std::fs::read_to_string("/etc/passwd").map_err(|error| format!("cannot read `/etc/passwd`: {error}"))?;
    let user = find(&users, "postgres").or_else(|| find(&users, "nobody"));
    user.map(Some).ok_or_else(|| "PostgreSQL does not run as root, and there is no user `postgres`".to_owned())
}

fn find(users: &str, name: &str) -> Option<User> {
    let mut fields = users.lines().map(|line| line.split(':')).find_map(|mut fields| {
        // name:password:id:group:…
        (fields.next() == Some(name)).then_some(fields)
    })?;
    let (id, group) = (fields.nth(1)?, fields.next()?);
    Some(User { id: id.parse().ok()?, group: group.parse().ok()? })
}

/// Gives a folder and what is in it to the user, who must be able to remove it.
pub fn give(user: Option<User>, folder: &Path) -> Result<(), String> {
    let Some(user) = user else { return Ok(()) };
    let owned = |path: &Path| std::os::unix::fs::chown(path, Some(user.id), Some(user.group));
    let all = || -> std::io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            owned(&entry?.path())?;
        }
        owned(folder)
    };
    all().map_err(|error| format!("cannot give `{}` to the server's user: {error}", folder.display()))?;
    let parent = folder.parent().unwrap_or(folder);
    let reached = run_as(Command::new("test").arg("-w").arg(parent), Some(user)).stderr(Stdio::null()).status();
    if reached.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err(format!(
        "the server's user cannot write in `{}`: set `TMPDIR` to a folder in which everybody may",
        parent.display()
    ))
}

/// Lets the user run the command.
pub fn run_as(command: &mut Command, user: Option<User>) -> &mut Command {
    match user {
        Some(user) => command.uid(user.id).gid(user.group),
        None => command,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str =
        "root:x:0:0:root:/root:/bin/sh\npostgresql:x:1:1::/:\npostgres:x:104:111:,,,:/var/lib:/bin/bash\n";

    #[test]
    fn a_user_is_found_by_the_whole_name() {
        assert_eq!(find(USERS, "postgres"), Some(User { id: 104, group: 111 }));
        assert_eq!(find(USERS, "post"), None);
    }

    #[test]
    fn a_line_that_is_cut_off_is_no_user() {
        assert_eq!(find("postgres:x:104", "postgres"), None);
    }
}
