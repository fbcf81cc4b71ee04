//! Who is compared.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// Its folder; its program is called `peer-` and that.
    package: &'static str,
    /// What its program is told beside the workload.
    pub(crate) arguments: &'static [&'static str],
}

const ALL: [Peer; 10] = [
    Peer { name: "es", package: "es", arguments: &[] },
    Peer { name: "es, nothing kept", package: "es", arguments: &["--cold"] },
    Peer { name: "by hand", package: "by-hand", arguments: &[] },
    Peer { name: "cqrs-es", package: "cqrs-es", arguments: &[] },
    Peer { name: "evento", package: "evento", arguments: &[] },
    Peer { name: "evento alpha", package: "evento-alpha", arguments: &[] },
    Peer { name: "evento alpha, nothing kept", package: "evento-alpha", arguments: &["--cold"] },
    Peer { name: "disintegrate", package: "disintegrate", arguments: &[] },
    Peer { name: "es-entity", package: "es-entity", arguments: &[] },
    Peer { name: "eventcore", package: "eventcore", arguments: &[] },
];

impl Peer {
    pub(crate) fn program(&self, home: &Path) -> PathBuf {
        home.join("target/release").join(format!("peer-{}", self.package))
    }
}

/// Gives the peers of these names or packages; all where none is named.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<Peer>> {
    let is = |peer: &Peer, name: &String| peer.name == name || peer.package == name;
    if let Some(unknown) = names.iter().find(|name| !ALL.iter().any(|peer| is(peer, name))) {
        return Err(format!("`{unknown}` is no peer").into());
    }
    Ok(ALL.into_iter().filter(|peer| names.is_empty() || names.iter().any(|name| is(peer, name))).collect())
}

/// Builds their programs, one after the other, into one folder.
pub(crate) fn build(home: &Path, peers: &[Peer]) -> Result<()> {
    let mut packages: Vec<_> = peers.iter().map(|peer| peer.package).collect();
    packages.dedup();
    for package in packages {
        eprintln!("building {package}");
        let built = Command::new("nice")
            .args(["-n", "15", "cargo", "build", "--release", "--quiet", "--locked", "--manifest-path"])
            .arg(home.join(package).join("Cargo.toml"))
            .arg("--target-dir")
            .arg(home.join("target"))
            // es-entity's queries are checked while it is built: against what is written in its folder.
            .env("SQLX_OFFLINE", "true")
            .status()?;
        if !built.success() {
            return Err(format!("`{package}` does not build").into());
        }
    }
    Ok(())
}
