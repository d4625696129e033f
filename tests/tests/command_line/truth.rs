//! Made-up exports come with a truth that the generator counted itself: every KPI in it equals the query's answer.

use std::path::Path;

use super::program::{call, canonical, ingest, scratch, synthesise};

/// The KPIs of a `truth.json` with their digits as written: as floats they would lose some.
fn truth(exports: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(exports.join("truth.json")).unwrap();
    let kpis = text.split_once("\"kpis\": {").unwrap().1.split_once('}').unwrap().0;
    let entry = |entry: &str| {
        let (name, value) = entry.split_once(':').unwrap();
        (name.trim().trim_matches('"').to_owned(), value.trim().to_owned())
    };
    kpis.split(',').map(entry).collect()
}

fn every_kpi_equals_the_truth(options: &str) {
    let folder = scratch();
    let exports = synthesise(options, folder.path().join("exports"));
    let lake = folder.path().join("lake");
    let loaded = ingest(&exports, &lake);
    assert!(loaded.err.contains(" 0 rejected + 0 duplicate + 0 furniture"), "{}", loaded.err);
    let truth = truth(&exports);
    assert!(truth.len() >= 15, "{truth:?}");

    let mut query = call("query --format csv").lake(&lake);
    for (kpi, _) in &truth {
        query = query.arg(kpi);
    }
    let together = query.works();
    let mut wrong = Vec::new();
    for (kpi, expected) in &truth {
        let alone = call("query --format csv").arg(kpi).lake(&lake).works().value(kpi);
        let found = together.value(kpi);
        assert_eq!(found, alone, "{kpi} asked with others and alone");
        if canonical(&found) != canonical(expected) {
            wrong.push(format!("{kpi}: {found}, expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{options}: {wrong:#?}");

    // The parts add up to the whole, whatever the segment and the grain.
    for split in ["--by region,loss_reason", "--by manager", "--grain month", "--grain week --by source"] {
        let answer = call("query deals_won deals_lost --format csv").words(split).lake(&lake).works().table();
        for kpi in ["deals_won", "deals_lost"] {
            let sum = answer
                .rows
                .iter()
                .filter(|row| row[0] == kpi)
                .map(|row| row[answer.position("value")].parse::<u64>().unwrap());
            let expected = &truth.iter().find(|(name, _)| name == kpi).unwrap().1;
            assert_eq!(sum.sum::<u64>().to_string(), *expected, "{kpi} {split}");
        }
    }
}

#[test]
fn salesforce_100_000_deals() {
    every_kpi_equals_the_truth("--deals 100000 --source salesforce");
}

#[test]
fn hubspot_20_000_deals() {
    every_kpi_equals_the_truth("--deals 20000 --source hubspot");
}
