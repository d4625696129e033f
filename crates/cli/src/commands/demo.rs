//! `dealframe demo`: the main job on a fresh machine: exports, lake, report, in one folder.
//!
//! Running it again changes nothing: the exports come out the same, the lake recognises them.
//! A folder made with another number of deals is refused, because old and new would be mixed.

use std::path::Path;
use std::process::ExitCode;

use dealframe_ingest::{IngestOptions, ingest};
use dealframe_model::decimal::rescale;
use dealframe_model::frame::{Frame, Number};
use dealframe_query::Engine;
use dealframe_query::request::{Request, Settings};
use dealframe_report::output::write_atomically;
use dealframe_report::{ReportError, RunOptions, number};
use dealframe_synth::{SynthOptions, Vendor, synthesise};

use super::report::conclude;
use crate::arguments::DemoArguments;
use crate::failure::refuse;
use crate::printer;

const SEED: u64 = 1;
const SPEC: &str = include_str!("../../specs/sales_review.yaml");
/// Compared with what the generator counted itself.
const CHECKED: [&str; 8] = [
    "revenue",
    "deals_won",
    "deals_lost",
    "average_deal_size",
    "win_rate",
    "sales_cycle_mean",
    "open_pipeline_value",
    "new_customers",
];

pub(super) fn run(arguments: &DemoArguments) -> anyhow::Result<ExitCode> {
    let out = &arguments.out;
    let (exports, lake, reports) = (out.join("exports"), out.join("lake"), out.join("reports"));
    check_folder(out, &exports, arguments.deals)?;
    std::fs::create_dir_all(&exports)?;
    printer::talk(&format!("making {} deals in {}", arguments.deals, exports.display()));
    let options = SynthOptions::new(arguments.deals, SEED, Vendor::Salesforce, &exports);
    let synth = synthesise(&options, &mut |_| {})?;
    printer::talk(&format!("loading {} records into {}", synth.rows(), lake.display()));
    let ingested = ingest(std::slice::from_ref(&exports), &lake, &IngestOptions::default(), &mut |_| {})?;
    let outcome = if ingested.already_applied { "nothing new" } else { "done" };
    printer::talk(&format!(
        "{outcome}: {} loaded, {} rejected, {} duplicate, {} furniture",
        ingested.loaded, ingested.rejected, ingested.duplicate, ingested.furniture
    ));
    let spec = out.join("sales_review.yaml");
    write_atomically(&spec, |file| file.write_all(SPEC.as_bytes()).map_err(ReportError::Write))?;
    let settings = Settings::default();
    let run_options = RunOptions { jobs: 0, settings: settings.clone(), talk: &|_| {} };
    let report = dealframe_report::run(&[spec], &lake, &reports, &run_options)?;

    let request = Request { kpis: CHECKED.map(str::to_owned).to_vec(), ..Request::default() };
    let frame = Engine::open(&lake, settings)?.run(&[request])?.pop().unwrap_or_default();
    printer::data(headlines(&frame).as_bytes())?;
    let equal = compare_with_truth(&frame, &synth.truth)?;
    printer::talk(&format!("{equal} of {} figures equal what the generator counted itself", CHECKED.len()));
    let page = reports.join("sales-review").join("report.html");
    printer::data(format!("\nreport: {}\n", page.display()).as_bytes())?;
    printer::talk(&format!(
        "next: dealframe query revenue win_rate --by region --grain quarter --lake {}",
        lake.display()
    ));
    Ok(conclude(&report))
}

/// Refuses a folder that is not a demo, or one of another size.
fn check_folder(out: &Path, exports: &Path, deals: u64) -> anyhow::Result<()> {
    let occupied = std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some());
    if !occupied {
        return Ok(());
    }
    let place = out.display();
    let other_place = "give --out another folder, or remove this one";
    let Ok(text) = std::fs::read(exports.join("truth.json")) else {
        // An interrupted first run leaves the folder of exports without its truth.
        if exports.is_dir() {
            return Ok(());
        }
        return Err(refuse(format!("{place} is not empty and holds no demo"), other_place));
    };
    let truth: serde_json::Value = serde_json::from_slice(&text)?;
    match truth.get("deals").and_then(serde_json::Value::as_u64) {
        Some(found) if found != deals => {
            Err(refuse(format!("{place} holds a demo of {found} deals, not {deals}"), other_place))
        }
        _ => Ok(()),
    }
}

fn headlines(frame: &Frame) -> String {
    let widest = frame.kpis.iter().map(|kpi| kpi.name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for row in &frame.rows {
        let Some(kpi) = frame.kpis.get(row.kpi as usize) else { continue };
        let unit = frame.units.get(row.unit as usize).map_or("", String::as_str);
        let unit = if matches!(unit, "ratio" | "count") { "" } else { unit };
        let value = row.value.map_or("–".to_owned(), |value| number::display(value, kpi.unit));
        text.push_str(format!("{:<widest$}  {value:>18} {unit}", kpi.name).trim_end());
        text.push('\n');
    }
    text
}

/// How many figures are equal; an unequal one is our fault and an error.
fn compare_with_truth(frame: &Frame, truth: &Path) -> anyhow::Result<usize> {
    let truth = std::fs::read_to_string(truth)?;
    let mut equal = 0;
    for row in &frame.rows {
        let Some(kpi) = frame.kpis.get(row.kpi as usize) else { continue };
        let Some(expected) = digits_of(&truth, &kpi.id) else { continue };
        let found = row.value.map_or("null".to_owned(), Number::plain);
        if !agree(row.value, expected) {
            anyhow::bail!("{} is {found}, but the generator counted {expected}", kpi.id);
        }
        equal += 1;
    }
    Ok(equal)
}

/// The digits of a figure as they stand in the file: read as a float they would lose the last ones.
fn digits_of<'t>(truth: &'t str, id: &str) -> Option<&'t str> {
    let (_, rest) = truth.split_once(&format!("\"{id}\":"))?;
    rest.split([',', '\n', '}']).next().map(str::trim)
}

/// Equal to the digits that both keep, at least to eight after the point.
fn agree(found: Option<Number>, expected: &str) -> bool {
    let Some(found) = found else { return expected == "null" };
    let (whole, fraction) = expected.split_once('.').unwrap_or((expected, ""));
    let Ok(digits) = format!("{whole}{fraction}").parse::<i128>() else { return false };
    let scale = u32::try_from(fraction.len()).unwrap_or(0);
    let shared = scale.min(found.scale).max(8);
    (rescale(found.value, found.scale, shared) - rescale(digits, scale, shared)).abs() <= i128::from(scale > 8)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn figures_agree_to_the_last_common_digit() {
        let number = |value, scale| Some(Number { value, scale });
        assert!(agree(number(125_000, 4), "12.5"));
        assert!(!agree(number(125_001, 4), "12.5"));
        assert!(agree(number(631_500_521_532, 12), "0.631500521532"));
        assert!(!agree(number(631_500_521_632, 12), "0.631500521532"));
        assert_eq!(digits_of("{\"a\": 1.5,\n\"b\": 22501.950492142263}", "b"), Some("22501.950492142263"));
        assert!(agree(None, "null") && !agree(None, "1") && !agree(number(1, 0), "null"));
    }

    #[test]
    fn foreign_folders_and_other_sizes_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let exports = folder.path().join("exports");
        assert!(check_folder(folder.path(), &exports, 5).is_ok());
        std::fs::write(folder.path().join("thesis.txt"), "mine").unwrap();
        assert!(check_folder(folder.path(), &exports, 5).is_err());
        std::fs::create_dir(&exports).unwrap();
        std::fs::write(exports.join("truth.json"), "{\"deals\": 5}").unwrap();
        assert!(check_folder(folder.path(), &exports, 5).is_ok());
        assert!(check_folder(folder.path(), &exports, 6).is_err());
    }

    #[test]
    fn the_embedded_report_can_be_read() {
        let spec = dealframe_report::spec::parse(SPEC, "sales_review.yaml").unwrap();
        assert!(spec.headline.is_some() && spec.sections.len() >= 5);
    }
}
