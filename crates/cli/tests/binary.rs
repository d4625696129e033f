//! That the program starts. Being an integration test of this package, it also makes Cargo build the
//! program before the suite in `tests/` runs, which looks for it beside its own executable.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

#[test]
fn the_program_tells_its_version() {
    let answer = Command::new(env!("CARGO_BIN_EXE_dealframe")).arg("--version").output().unwrap();
    assert!(answer.status.success(), "{answer:?}");
    assert_eq!(String::from_utf8(answer.stdout).unwrap(), concat!("dealframe ", env!("CARGO_PKG_VERSION"), "\n"));
    assert!(answer.stderr.is_empty(), "version is data, not talk");
}
