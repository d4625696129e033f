//! The `dealframe` command line: reads arguments, calls the libraries, prints what they answer.
//!
//! Exit codes: 0 done, 1 the user or the data must change something, 2 the fault is ours.
//! Standard output carries data only, and only `printer` writes to it; talk goes to standard
//! error. `arguments` declares the commands, `commands` holds one file for each of them.

mod arguments;
mod commands;
mod failure;
mod output;
mod printer;

use std::process::ExitCode;

use clap::Parser as _;

/// Short-lived allocations of many threads are what a query makes; mimalloc takes a fifth off its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or(String::new(), |place| format!(" at {}:{}", place.file(), place.line()));
        printer::talk(&format!("error: internal error{place}: {}", panic.payload_as_str().unwrap_or("unknown")));
        printer::talk("hint: this is a fault of dealframe; please report it with the command and this message");
    }));
    std::panic::catch_unwind(run).unwrap_or(ExitCode::from(failure::OURS))
}

fn run() -> ExitCode {
    let parsed = match arguments::Arguments::try_parse() {
        Ok(parsed) => parsed,
        Err(error) => return failure::usage(&error),
    };
    match commands::run(parsed.command) {
        Ok(code) => code,
        Err(error) => failure::report(&error),
    }
}
