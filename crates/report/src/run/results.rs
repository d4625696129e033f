//! `run_results.json`: what ran, how it ended and how long it took, for schedulers.

use std::path::Path;

use dealframe_model::date;
use serde_json::{Value, json};

use super::{ReportResult, RunOutcome, SectionResult};
use crate::ReportError;
use crate::output::write_atomically;

pub(super) fn write(outcome: &RunOutcome, path: &Path) -> Result<(), ReportError> {
    let results = json!({
        "status": if outcome.failed == 0 { "ok" } else { "failed" },
        "failed_sections": outcome.failed,
        "reports": outcome.reports.iter().map(report).collect::<Vec<Value>>(),
    });
    let text = serde_json::to_vec_pretty(&results).map_err(|error| ReportError::build("run results", error))?;
    write_atomically(path, |out| out.write_all(&text).and_then(|()| out.write_all(b"\n")).map_err(ReportError::Write))
}

fn report(report: &ReportResult) -> Value {
    json!({
        "spec": report.spec.display().to_string(),
        "name": report.name,
        "title": report.title,
        "as_of": report.as_of.map(date::format),
        "lake_sequence": report.lake_sequence,
        "status": if report.sections.iter().any(|section| section.failure.is_some()) { "failed" } else { "ok" },
        "rows": report.sections.iter().map(|section| section.rows).sum::<usize>(),
        "seconds": (report.seconds * 1000.0).round() / 1000.0,
        "sections": report.sections.iter().map(section).collect::<Vec<Value>>(),
    })
}

fn section(section: &SectionResult) -> Value {
    let mut value = json!({
        "title": section.title,
        "slug": section.slug,
        "status": section.status(),
        "rows": section.rows,
    });
    if let (Some(object), Some((error, hint, _))) = (value.as_object_mut(), &section.failure) {
        object.insert("error".to_owned(), error.clone().into());
        object.insert("hint".to_owned(), hint.clone().into());
    }
    value
}
