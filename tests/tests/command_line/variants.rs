//! `--variants`: the other readings of a KPI beside it, in every form, and none of them by accident.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::program::{call, ingest, scratch, synthesise};

fn prepared() -> (tempfile::TempDir, PathBuf) {
    let folder = scratch();
    let exports = synthesise("--deals 500", folder.path().join("exports"));
    let lake = folder.path().join("lake");
    ingest(&exports, &lake);
    (folder, lake)
}

/// The readings that the definition names, from the catalogue.
fn readings(kpi: &str) -> BTreeSet<String> {
    let answer = call("kpis").arg(kpi).words("--format csv").works().table();
    let variants = answer.rows.iter().filter(|row| row[0] == "variant");
    variants.map(|row| row[1].split_once(':').unwrap().0.to_owned()).collect()
}

#[test]
fn every_reading_is_there_with_its_own_value() {
    let (_folder, lake) = prepared();
    let question = "--by region --grain quarter --period 2024 --format csv";
    let together = call("query win_rate --variants").words(question).lake(&lake).works();
    let table = together.table();
    let mut expected = readings("win_rate");
    assert!(expected.len() > 5 && expected.contains("win_rate_by_value"), "{expected:?}");
    let shown: Vec<&str> = table.column("kpi");
    assert_eq!(shown[0], "win_rate", "the one that was asked for comes first");
    let shown: BTreeSet<String> = shown.into_iter().map(str::to_owned).collect();
    expected.insert("win_rate".to_owned());
    let left_out: BTreeSet<String> = together
        .err
        .lines()
        .filter_map(|line| Some(line.strip_prefix("note: ")?.split_once(" is left out: ")?.0.to_owned()))
        .collect();
    assert!(shown.is_disjoint(&left_out));
    let unseen: Vec<&String> = expected.iter().filter(|id| !shown.contains(*id) && !left_out.contains(*id)).collect();
    for kpi in unseen {
        // Without anything that happened there are no lines, together and alone.
        let alone = call("query").arg(kpi).words(question).lake(&lake).works().table();
        assert!(alone.rows.is_empty(), "{kpi} is missing");
    }
    assert!(shown.is_subset(&expected) && shown.len() > 8, "{shown:?}");
    // Each line is the one that the reading gives alone.
    for kpi in &shown {
        let alone = call("query").arg(kpi).words(question).lake(&lake).works().table();
        let own: Vec<_> = table.rows.iter().filter(|row| row[0] == *kpi).cloned().collect();
        assert_eq!(alone.rows, own, "{kpi}");
        assert!(together.err.contains(&format!("  {kpi} ")), "no formula of {kpi}: {}", together.err);
    }
}

#[test]
fn a_reading_without_the_segment_is_left_out_and_named() {
    let (_folder, lake) = prepared();
    // Deals know their stage; leads, by which some readings of conversion count, do not.
    let answer = call("query win_rate --variants --by stage --format csv").lake(&lake).works();
    assert!(answer.err.contains("note: lead_conversion is left out: unknown segment `stage`"), "{}", answer.err);
    assert!(!answer.table().column("kpi").contains(&"lead_conversion"));
    // So is one whose table lacks what a filter names; but what was asked for by name is refused.
    let answer = call("query win_rate --variants --format csv --where").arg("stage <> 'x'").lake(&lake).works();
    assert!(
        answer.err.contains("note: lead_conversion is left out: `leads` has no column or segment `stage`"),
        "{}",
        answer.err
    );
    call("query win_rate lead_conversion --variants --by stage").lake(&lake).refused("unknown segment `stage`");
}

#[test]
fn variants_in_every_format_and_as_statement() {
    let (folder, lake) = prepared();
    let words = "query win_rate --variants --period 2024";
    let csv = call(words).words("--format csv").lake(&lake).works().table();
    for format in ["table", "markdown", "html", "json", "ndjson"] {
        let text = call(words).arg("--format").arg(format).lake(&lake).works();
        for kpi in csv.column("kpi") {
            // Pages for people have names, tables and data have identifiers.
            let name = call("kpis").arg(kpi).words("--format csv").works().table().cell("text", &[("field", "name")]);
            let shown = text.text().replace('\\', "");
            let is_there = shown.contains(kpi) || shown.contains(&name);
            assert!(is_there, "{kpi} is missing in {format}");
        }
    }
    for ending in ["parquet", "arrow", "xlsx"] {
        let path = folder.path().join(format!("result.{ending}"));
        call(words).arg("--out").arg(&path).lake(&lake).works();
        assert!(fs::metadata(&path).unwrap().len() > 500);
    }
    let plan = call(words).arg("--explain").lake(&lake).works();
    assert!(plan.text().contains("leads"), "{}", plan.text());
    let named: Vec<&str> = csv.column("kpi");
    let statement = call(words).words("--sql duckdb").lake(&lake).works();
    let spelt_out = call("query").arg(named.join(",")).words("--period 2024 --sql duckdb").lake(&lake).works();
    assert_eq!(statement.text(), spelt_out.text());
}

#[test]
fn a_definition_says_what_tells_its_readings_apart() {
    let shown = call("kpis win_rate").works();
    let text = shown.text().split_once("Other readings of the same idea (conversion)").expect("a list of readings").1;
    for kpi in readings("win_rate") {
        assert!(text.contains(&format!("  {kpi} ")), "{kpi}");
    }
    // The formula of one of them, and which rows count.
    assert!(text.contains("Won and lost deals / all deals, both by creation date."), "{text}");
    assert!(shown.text().contains("`dealframe query win_rate --variants`"));
    let (_folder, lake) = prepared();
    let alone = call("query deals_created --variants --format csv").lake(&lake).works();
    assert!(alone.err.contains("note: there is one reading only of deals_created"), "{}", alone.err);
}
