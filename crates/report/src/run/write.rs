//! The files of one report: a CSV per section, `report.json`, `report.md`, `report.html`.
//!
//! CSV files that an earlier run wrote for sections which are gone, or which failed now, are
//! removed: an old figure must not pass for a new one. Only files that the earlier `report.json`
//! names are touched.

use std::path::Path;

use rayon::prelude::*;

use crate::document::{Answer, Document, html, json, markdown};
use crate::output::write_atomically;
use crate::spec::Output;
use crate::{Format, ReportError, render};

pub(super) fn report(document: &Document, folder: &Path, outputs: &[Output]) -> Result<(), ReportError> {
    std::fs::create_dir_all(folder).map_err(|source| ReportError::Io { path: folder.to_owned(), source })?;
    let earlier = earlier_files(&folder.join("report.json"));
    let wanted = |output| outputs.contains(&output);
    let sections = document.sections.iter().filter(|_| wanted(Output::Csv));
    let written = sections
        .filter_map(|section| match &section.answer {
            Answer::Frame(frame) => Some((format!("{}.csv", section.slug), frame)),
            Answer::Failed { .. } => None,
        })
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|(name, frame)| {
            write_atomically(&folder.join(&name), |out| render(frame, Format::Csv, out))?;
            Ok(name)
        })
        .collect::<Result<Vec<String>, ReportError>>()?;
    if wanted(Output::Markdown) {
        write_atomically(&folder.join("report.md"), |out| markdown::write(document, out))?;
    }
    if wanted(Output::Html) {
        write_atomically(&folder.join("report.html"), |out| html::write(document, out))?;
    }
    if wanted(Output::Json) {
        write_atomically(&folder.join("report.json"), |out| json::write(document, out))?;
    }
    let unwanted = [(Output::Markdown, "report.md"), (Output::Html, "report.html"), (Output::Json, "report.json")]
        .into_iter()
        .filter(|(output, _)| !wanted(*output))
        .map(|(_, name)| name.to_owned());
    let earlier: Vec<String> = earlier.into_iter().chain(unwanted).collect();
    for name in earlier.into_iter().filter(|name| !written.contains(name)) {
        let path = folder.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(ReportError::Io { path, source: error });
            }
            _ => {}
        }
    }
    Ok(())
}

/// The section files that an earlier report names; none where there is no report, or none of ours.
fn earlier_files(path: &Path) -> Vec<String> {
    let Ok(text) = std::fs::read(path) else { return Vec::new() };
    let Ok(report) = serde_json::from_slice::<serde_json::Value>(&text) else { return Vec::new() };
    let sections = report.get("sections").and_then(|sections| sections.as_array()).cloned().unwrap_or_default();
    let files = sections.iter().filter_map(|section| section.get("file")?.as_str().map(str::to_owned));
    files.filter(|name| name.ends_with(".csv") && !name.contains(['/', '\\'])).collect()
}
