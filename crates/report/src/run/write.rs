//! The files of one report: a CSV per section, `report.json`, `report.md`, `report.html`.
//!
//! CSV files that an earlier run wrote for sections which are gone, or which failed now, are
//! removed: an old figure must not pass for a new one. Only files that the earlier `report.json`
//! names are touched.

use std::path::Path;

use crate::document::{Answer, Document, html, json, markdown};
use crate::output::write_atomically;
use crate::{Format, ReportError, render};

pub(super) fn report(document: &Document, folder: &Path) -> Result<(), ReportError> {
    std::fs::create_dir_all(folder).map_err(|source| ReportError::Io { path: folder.to_owned(), source })?;
    let earlier = earlier_files(&folder.join("report.json"));
    let mut written = Vec::new();
    for section in &document.sections {
        if let Answer::Frame(frame) = &section.answer {
            let name = format!("{}.csv", section.slug);
            write_atomically(&folder.join(&name), |out| render(frame, Format::Csv, out))?;
            written.push(name);
        }
    }
    write_atomically(&folder.join("report.md"), |out| markdown::write(document, out))?;
    write_atomically(&folder.join("report.html"), |out| html::write(document, out))?;
    write_atomically(&folder.join("report.json"), |out| json::write(document, out))?;
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
