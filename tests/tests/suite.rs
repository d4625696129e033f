//! The integration suite: one binary, one module per subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests fail by panicking and say what they skip"
)]
mod carried;
mod command_line;
mod generated;
mod oracle;
mod sql_engines;
