//! `run_results.json`: what ran, how it ended and how long it took, for schedulers.

use std::path::Path;

use dealframe_model::date;
use serde_json::{Value, json};

use super::{ReportResult, RunOutcome, SectionResult};
use crate::ReportError;
use crate::output::write_atomically;

pub(super) fn write(outcome: &RunOutcome, path: &Path) -> Result<(), ReportError> {
    let sections = outcome.reports.iter().flat_map(|report| &report.sections);
    let failed_sections = sections.filter(|section| section.failure.is_some());
    let results = json!({
        "status": if outcome.failed == 0 { "ok" } else { "failed" },
        "failed_sections": failed_sections.count(),
        "reports": outcome.reports.iter().map(report).collect::<Vec<Value>>(),
    });
    let text = serde_json::to_vec_pretty(&results).map_err(|error| ReportError::build("run results", error))?;
    write_atomically(path, |out| out.write_all(&text).and_then(|()| out.write_all(b"\n")).map_err(ReportError::Write))
}

fn report(report: &ReportResult) -> Value {
    let is_failed = report.headline.is_some() || report.sections.iter().any(|section| section.failure.is_some());
    let mut value = json!({
        "spec": report.spec.display().to_string(),
        "name": report.name,
        "title": report.title,
        "as_of": report.as_of.map(date::format),
        "lake_sequence": report.lake_sequence,
        "status": if is_failed { "failed" } else { "ok" },
        "rows": report.sections.iter().map(|section| section.rows).sum::<usize>(),
        "seconds": (report.seconds * 1000.0).round() / 1000.0,
        "sections": report.sections.iter().map(section).collect::<Vec<Value>>(),
    });
    if let (Some(object), Some((_, (error, hint, _)))) = (value.as_object_mut(), &report.headline) {
        object.insert("headline".to_owned(), json!({ "status": "failed", "error": error, "hint": hint }));
    }
    value
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
