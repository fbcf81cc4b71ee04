//! Where PostgreSQL's server programs are.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What to do where they are nowhere.
pub const MISSING: &str = "PostgreSQL's server programs (`initdb`, `postgres`) are not found.
Install them (Debian and Ubuntu: `apt-get install postgresql`; Fedora: `dnf install postgresql-server`; \
macOS: `brew install postgresql@17`), or put their folder into `PATH`.
To leave out the tests that need them: `cargo xtask test --without-postgres`";

const PROGRAMS: [&str; 2] = ["initdb", "postgres"];

/// Folders with a folder for each version: what stands before and behind the version.
const VERSIONED: [(&str, &str, &str); 5] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),
];

/// The programs of one PostgreSQL.
#[derive(Debug)]
pub struct Binaries {
    /// Where they are.
    pub folder: PathBuf,
    /// As `postgres --version` says it.
    pub version: String,
}

/// Looks in `PATH`, asks `pg_config`, and looks where packages install to, newest first.
pub fn binaries() -> Option<Binaries> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    let installed = VERSIONED.iter().flat_map(|(parent, before, behind)| versions(parent, before, behind));
    in_path.chain(configured()).chain(installed).find_map(whole)
}

/// The folder, if all of the programs are in it and run.
fn whole(folder: PathBuf) -> Option<Binaries> {
    if !PROGRAMS.iter().all(|program| folder.join(program).is_file()) {
        return None;
    }
    let version = output(Command::new(folder.join("postgres")).arg("--version"))?;
    Some(Binaries { folder, version })
}

fn configured() -> Option<PathBuf> {
    output(Command::new("pg_config").arg("--bindir")).map(PathBuf::from)
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

fn versions(parent: &str, before: &str, behind: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let folder = |name: String| Path::new(parent).join(name).join(behind);
    newest_first(names, before).into_iter().map(folder).collect()
}

/// Names with a version behind `before`, the highest first; other names are left out.
fn newest_first(names: Vec<String>, before: &str) -> Vec<String> {
    let version = |name: &str| -> Option<Vec<u32>> {
        name.strip_prefix(before)?.split('.').map(|number| number.parse().ok()).collect()
    };
    let mut versions: Vec<_> = names.into_iter().filter_map(|name| Some((version(&name)?, name))).collect();
    versions.sort_by(|one, two| two.cmp(one));
    versions.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(names: &[&str], before: &str) -> Vec<String> {
        newest_first(names.iter().map(ToString::to_string).collect(), before)
    }

    #[test]
    fn the_newest_version_comes_first_by_number_not_by_text() {
        assert_eq!(sorted(&["9.6", "15", "common", "9.10"], ""), ["15", "9.10", "9.6"]);
        assert_eq!(sorted(&["postgresql@9", "sqlite", "postgresql@17", "postgresql"], "postgresql@").len(), 2);
    }

    #[test]
    fn a_folder_where_a_program_is_missing_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("initdb"), "").unwrap();
        assert!(whole(folder.path().to_owned()).is_none());
    }

    #[test]
    fn who_has_no_server_is_told_of_the_flag() {
        assert!(MISSING.contains("--without-postgres"));
    }
}
