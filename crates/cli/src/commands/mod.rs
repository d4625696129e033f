//! One file per command, and what several of them share.

mod check;
mod demo;
mod ingest;
mod kpis;
mod manual;
mod query;
mod rejects;
mod report;
mod segments;
mod settings;
mod sources;
mod sql;
mod synth;
mod tables;

use std::process::ExitCode;

use crate::arguments::Command;

/// Runs a command. An error is the caller's to print.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Ingest(arguments) => ingest::run(&arguments),
        Command::Query(arguments) => query::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Kpis(arguments) => kpis::run(&arguments),
        Command::Segments(arguments) => segments::run(&arguments),
        Command::Tables(arguments) => tables::run(&arguments),
        Command::Rejects(arguments) => rejects::run(&arguments),
        Command::Sources(arguments) => sources::run(&arguments),
        Command::Sql(arguments) => sql::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Synth(arguments) => synth::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man => manual::man(),
    }
}
