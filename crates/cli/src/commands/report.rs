//! `dealframe report`: specifications to files.

use std::process::ExitCode;

use dealframe_report::{RunOptions, RunOutcome};

use super::settings::settings;
use crate::arguments::ReportArguments;
use crate::{failure, printer};

pub(super) fn run(arguments: &ReportArguments) -> anyhow::Result<ExitCode> {
    let lake = &arguments.lake.lake;
    let options =
        RunOptions { jobs: arguments.jobs, settings: settings(&arguments.settings, lake)?, talk: &printer::talk };
    let outcome = dealframe_report::run(&arguments.specs, lake, &arguments.out, &options)?;
    for report in &outcome.reports {
        // A report that is not written as HTML is its folder.
        let page = report.folder.join("report.html");
        let written = if page.is_file() { &page } else { &report.folder };
        printer::data(format!("{}\n", written.display()).as_bytes())?;
    }
    Ok(conclude(&outcome))
}

/// Tells of headlines and sections that failed, of empty sections, and chooses the exit code.
pub(super) fn conclude(outcome: &RunOutcome) -> ExitCode {
    for report in &outcome.reports {
        if let Some((at, (error, hint, _))) = &report.headline {
            printer::talk(&format!("error: {}:{}:{}: headline: {error}", report.spec.display(), at.line, at.column));
            if let Some(hint) = hint {
                printer::talk(&format!("hint: {hint}"));
            }
        }
        for section in &report.sections {
            let at = section.place;
            let place = format!("{}:{}:{}: section `{}`", report.spec.display(), at.line, at.column, section.title);
            match &section.failure {
                Some((error, hint, _)) => {
                    printer::talk(&format!("error: {place}: {error}"));
                    if let Some(hint) = hint {
                        printer::talk(&format!("hint: {hint}"));
                    }
                }
                None if section.rows == 0 => printer::talk(&format!("note: {place} has no rows")),
                None => {}
            }
        }
    }
    match (outcome.failed, outcome.user_fault) {
        (0, _) => ExitCode::SUCCESS,
        (_, true) => ExitCode::from(failure::USER),
        (_, false) => ExitCode::from(failure::OURS),
    }
}
