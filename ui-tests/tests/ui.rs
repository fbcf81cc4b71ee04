//! Compiles the programs in `fail/`, and compares what the compiler says with the `.stderr` files. What must compile stands
//! beside this file: with such programs among them, `trybuild` would build all dependencies again instead of checking them.
//!
//! The texts are those of one compiler: on another one the programs are not built. `TRYBUILD=overwrite` writes the files
//! anew; review the difference like code.

use std::process::Command;

/// The compiler whose texts the `.stderr` files hold.
const COMPILER: &str = "rustc 1.95.";

#[test]
fn the_compiler_says_what_is_wrong() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    if !String::from_utf8_lossy(&version).starts_with(COMPILER) {
        eprintln!("skipped: the expected texts are those of {COMPILER}");
        return;
    }
    let tests = trybuild::TestCases::new();
    tests.compile_fail("fail/*/*.rs");
}
