//! Errors as people and schedulers see them: `error:`, `hint:` and an exit code.

use std::process::ExitCode;

use dealframe_ingest::IngestError;
use dealframe_lake::LakeError;
use dealframe_query::QueryError;
use dealframe_report::ReportError;
use dealframe_synth::SynthError;

use crate::printer;

pub(crate) const USER: u8 = 1;
pub(crate) const OURS: u8 = 2;

/// Something the command line itself finds wrong with what was asked.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

/// An error with advice, for `?` and `bail`.
pub(crate) fn refuse(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Refusal { message: message.into(), hint: hint.into() })
}

/// Prints an error and chooses the exit code. A reader that has gone away is no error.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    printer::talk(&format!("error: {}", chain(error)));
    let (hint, user) = judge(error);
    if let Some(hint) = hint {
        printer::talk(&format!("hint: {hint}"));
    }
    ExitCode::from(if user { USER } else { OURS })
}

/// Help and version are answers; everything else the parser says is the user's to change.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        printer::talk(error.render().to_string().trim_end());
        return ExitCode::from(USER);
    }
    match printer::data(error.render().to_string().as_bytes()) {
        Err(problem) if problem.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::from(USER),
        _ => ExitCode::SUCCESS,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// The error and its causes on one line, without what the error already says itself.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        // Some libraries append their own stack when RUST_BACKTRACE is set; people want the fact.
        let cause = ["\nstack backtrace", "\nBacktrace", "\n   0:"]
            .iter()
            .fold(cause.as_str(), |text, mark| text.split(mark).next().unwrap_or(text))
            .trim_end()
            .to_owned();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// The hint, and whether the user must change something.
fn judge(error: &anyhow::Error) -> (Option<String>, bool) {
    for cause in error.chain() {
        if let Some(error) = cause.downcast_ref::<ReportError>() {
            return (error.hint(), error.is_user_fault());
        }
        if let Some(error) = cause.downcast_ref::<QueryError>() {
            return (error.hint(), error.is_user_fault());
        }
        if let Some(error) = cause.downcast_ref::<IngestError>() {
            return (error.hint(), error.is_user_fault());
        }
        if let Some(error) = cause.downcast_ref::<SynthError>() {
            return (error.hint(), error.is_user_fault());
        }
        if let Some(error) = cause.downcast_ref::<LakeError>() {
            return (error.hint(), error.is_user_fault());
        }
        if let Some(error) = cause.downcast_ref::<Refusal>() {
            return (Some(error.hint.clone()), true);
        }
        if cause.downcast_ref::<std::io::Error>().is_some() {
            return (Some("check the path, the permissions and the space on the disk".to_owned()), true);
        }
    }
    (None, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once_and_hints_are_found_below_context() {
        let error = refuse("the lake is missing", "make one").context("cannot answer");
        assert_eq!(chain(&error), "cannot answer: the lake is missing");
        assert_eq!(judge(&error), (Some("make one".to_owned()), true));
        assert_eq!(judge(&anyhow::anyhow!("something odd")), (None, false));
    }

    #[test]
    fn a_reader_that_left_is_no_error() {
        let error = anyhow::Error::new(ReportError::Write(std::io::ErrorKind::BrokenPipe.into()));
        assert!(is_broken_pipe(&error));
        assert!(!is_broken_pipe(&anyhow::Error::new(ReportError::Write(std::io::ErrorKind::StorageFull.into()))));
    }
}
