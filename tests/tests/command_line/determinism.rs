//! The same input gives the same bytes: again, elsewhere, and on any number of threads.

use std::fs;
use std::path::Path;

use super::lake::{content, copy, difference, files};
use super::program::{Call, call, ingest, scratch, synthesise};

const THREADS: [&str; 3] = ["1", "2", "8"];

const WIDE: &str = "query revenue win_rate win_rate_by_value average_deal_size sales_cycle_mean sales_cycle_median gross_margin \
    margin_rate leads qualification_rate lead_conversion weighted_pipeline open_pipeline_value revenue_per_rep \
    new_customers activities --by region,team --grain month,fiscal-quarter,all --format csv";

fn threads(call: Call, number: &str) -> Call {
    call.env("POLARS_MAX_THREADS", number).env("RAYON_NUM_THREADS", number)
}

/// A copy without what earlier queries prepared, so that it is prepared anew.
fn fresh(lake: &Path, name: &str) -> std::path::PathBuf {
    let target = lake.with_file_name(name);
    copy(lake, &target);
    let prepared = target.join("_facts");
    if prepared.exists() {
        fs::remove_dir_all(prepared).unwrap();
    }
    target
}

#[test]
fn queries_and_reports_on_any_number_of_threads() {
    let folder = scratch();
    let exports = synthesise("--deals 20000 --seed 3", folder.path().join("exports"));
    let lake = folder.path().join("lake");
    ingest(&exports, &lake);
    let spec = folder.path().join("spec.yaml");
    fs::write(&spec, SPEC).unwrap();

    let mut answers = Vec::new();
    for number in THREADS {
        let lake = fresh(&lake, &format!("lake-{number}"));
        let first = threads(call(WIDE), number).lake(&lake).works();
        let second = threads(call(WIDE), number).lake(&lake).works();
        assert!(first.out == second.out && first.err == second.err, "the same query twice, {number} threads");
        assert!(first.table().rows.len() > 5_000, "not a wide query: {} rows", first.table().rows.len());
        let out = folder.path().join(format!("reports-{number}"));
        threads(call("report"), number).arg(&spec).lake(&lake).arg("--out").arg(&out).works();
        answers.push((first.out, files(&out.join("spec"))));
    }
    for (number, answer) in THREADS.iter().zip(&answers).skip(1) {
        assert!(answer.0 == answers[0].0, "the query on {number} threads");
        assert!(answer.1.keys().eq(answers[0].1.keys()), "the report's files on {number} threads");
        for (name, bytes) in &answer.1 {
            assert!(*bytes == answers[0].1[name], "{} on {number} threads", name.display());
        }
    }
}

const SPEC: &str = "title: Everything
headline:
  kpis: [revenue, win_rate, sales_cycle_median]
  grain: month
sections:
  - {title: By region, kpis: [revenue, average_deal_size], by: region, grain: month, chart: line}
  - {title: By owner, kpis: [win_rate], by: [owner, product_family], grain: quarter}
  - {title: Pipeline, kpis: [open_pipeline_value, weighted_pipeline], by: stage, grain: month}
";

#[test]
fn exports_and_lakes_on_any_number_of_threads() {
    let folder = scratch();
    let exports = synthesise("--deals 3000 --seed 5 --source hubspot", folder.path().join("exports"));
    let again = synthesise("--deals 3000 --seed 5 --source hubspot", folder.path().join("again"));
    let other = synthesise("--deals 3000 --seed 6 --source hubspot", folder.path().join("other"));
    assert!(files(&exports) == files(&again), "the same seed gives the same bytes");
    assert!(files(&exports) != files(&other), "another seed gives other bytes");

    let mut lakes = Vec::new();
    for number in THREADS {
        let lake = folder.path().join(format!("lake-{number}"));
        threads(call("ingest"), number).arg(&exports).lake(&lake).arg("--threads").arg(number).works();
        lakes.push(content(&lake));
    }
    assert_eq!(lakes[0]["deals"].rows.len(), 3_000);
    for lake in &lakes[1..] {
        assert_eq!(difference(&lakes[0], lake), "");
    }
}
