//! Against published data sets with answers computed independently. Skipped, with a visible
//! line, where `DEALFRAME_REAL_DATA` does not name their folder.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Folder, load, load_with, rows};
use crate::IngestOptions;
use crate::delimited::dialect::{self, Dialect};
use crate::delimited::record::{Fields, Reader, Step};

fn data(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("DEALFRAME_REAL_DATA").map(PathBuf::from);
    let path = root.map(|root| root.join(folder)).filter(|path| path.exists());
    if path.is_none() {
        // Not through the harness, which would hide it.
        let _ = writeln!(std::io::stderr(), "SKIPPED: DEALFRAME_REAL_DATA has no {folder}");
    }
    path
}

fn sum(values: impl Iterator<Item = String>) -> i128 {
    values
        .filter(|text| text != "∅")
        .map(|text| i128::from(dealframe_model::decimal::parse(text.as_bytes(), 4).unwrap()))
        .sum()
}

#[test]
fn maven_original_and_resaved_are_one_lake() {
    let Some(root) = data("maven-crm") else { return };
    let folder = Folder::new();
    let mut lakes = Vec::new();
    for version in ["original", "resaved"] {
        let lake = folder.0.join(version);
        let outcome = load(&root.join(version), &lake).unwrap();
        assert_eq!((outcome.loaded, outcome.rejected, outcome.duplicate), (8_800 + 85 + 7 + 35, 0, 0));
        lakes.push(lake);
    }
    let columns =
        ["deal_id", "account_id", "owner_id", "stage", "status", "amount", "product_id", "created_date", "close_date"];
    let deals = rows(&lakes[0], "deals", &columns);
    assert_eq!(deals, rows(&lakes[1], "deals", &columns));
    for table in ["accounts", "products", "users"] {
        let all = ["source_system", "extra"];
        assert_eq!(rows(&lakes[0], table, &all), rows(&lakes[1], table, &all));
    }
    let count = |column: usize, value: &str| deals.iter().filter(|row| row[column] == value).count();
    assert_eq!((count(4, "won"), count(4, "lost"), count(4, "open")), (4_238, 2_473, 2_089));
    assert_eq!((count(3, "Engaging"), count(3, "Prospecting")), (1_589, 500));
    assert_eq!((count(1, "∅"), count(7, "∅"), count(8, "∅"), count(5, "∅")), (1_425, 500, 2_089, 2_089));
    assert_eq!((count(6, "GTXPro"), count(6, "GTX Pro")), (0, 1_480));
    let won = sum(deals.iter().filter(|row| row[4] == "won").map(|row| row[5].clone()));
    assert_eq!(won, 100_055_340_000);
    let quarter = deals.iter().filter(|row| row[4] == "won" && ("2017-04".."2017-07").contains(&&row[8][..7]));
    assert_eq!(sum(quarter.map(|row| row[5].clone())), 30_861_110_000);
    assert!(rows(&lakes[0], "accounts", &["industry"]).iter().all(|row| row[0] != "technolgy"));
    // The same contents again change nothing, from wherever they come.
    assert!(load(&root.join("original"), &lakes[0]).unwrap().already_applied);
    // The same data saved differently is a new batch in which every record is known already.
    let again = load(&root.join("resaved"), &lakes[0]).unwrap();
    let unchanged: u64 = again.tables.iter().map(|table| table.unchanged).sum();
    assert_eq!((again.already_applied, unchanged), (false, 8_927));
}

#[test]
fn hubspot_demo() {
    let Some(root) = data("hubspot-demo") else { return };
    let folder = Folder::new();
    let outcome = load(&root, &folder.lake()).unwrap();
    assert_eq!((outcome.loaded, outcome.rejected), (500 + 200 + 950 + 2_000 + 300, 0));
    let deals = rows(&folder.lake(), "deals", &["status", "amount", "account_id", "pipeline", "loss_reason"]);
    let won: Vec<_> = deals.iter().filter(|row| row[0] == "won").collect();
    assert_eq!(won.len(), 71);
    assert_eq!(sum(won.iter().map(|row| row[1].clone())), 89_343_614_800);
    let lost: Vec<_> = deals.iter().filter(|row| row[0] == "lost").collect();
    assert_eq!((lost.len(), lost.iter().filter(|row| row[4] != "∅").count()), (69, 56));
    let accounts: Vec<String> =
        rows(&folder.lake(), "accounts", &["account_id"]).into_iter().map(|mut row| row.remove(0)).collect();
    assert!(deals.iter().all(|row| accounts.contains(&row[2])), "every deal joins its account");
    let zips = rows(&folder.lake(), "accounts", &["postal_code"]);
    assert!(zips.iter().any(|row| row[0].starts_with('0')), "leading zeros stay");
}

#[test]
fn ravenstack() {
    let Some(root) = data("ravenstack-saas") else { return };
    let folder = Folder::new();
    let outcome = load(&root, &folder.lake()).unwrap();
    assert_eq!(outcome.rows_read, 500 + 600 + 25_000 + 5_000 + 2_000);
    assert_eq!((outcome.rejected, outcome.duplicate), (0, 21), "21 usage ids occur twice");
    let subscriptions = rows(&folder.lake(), "subscriptions", &["end_date", "mrr_amount", "is_trial"]);
    let live = subscriptions.iter().filter(|row| row[0] == "∅");
    assert_eq!(live.clone().count(), 4_514);
    assert_eq!(sum(live.map(|row| row[1].clone())), 101_596_080_000);
    assert_eq!(subscriptions.iter().filter(|row| row[2] == "true").count(), 778);
    let tickets = rows(&folder.lake(), "tickets", &["satisfaction_score"]);
    assert_eq!(tickets.iter().filter(|row| row[0] == "∅").count(), 825);
    assert_eq!(rows(&folder.lake(), "events", &["event_type"]).len(), 600 + 24_979);
}

#[test]
fn warehouse_syncs_are_conserved() {
    for (name, tables) in [
        (
            "fivetran-salesforce",
            &["deals", "accounts", "leads", "users", "activities", "orders", "line_items", "products", "stage_changes"]
                [..],
        ),
        ("fivetran-hubspot", &["deals", "accounts", "leads", "users", "activities", "tickets", "stage_changes"][..]),
    ] {
        let Some(root) = data(name) else { return };
        let folder = Folder::new();
        let outcome = load(&root, &folder.lake()).unwrap();
        for table in tables {
            assert!(!rows(&folder.lake(), table, &["source_system"]).is_empty(), "{name}: {table}");
        }
        let rejected = rows(&folder.lake(), "rejects", &["reason", "source_file", "column_name"]);
        assert_eq!(rejected.len() as u64, outcome.rejected);
        let odd: Vec<_> =
            rejected.iter().filter(|row| row[0] != "unrecognised_file").map(|row| row.join(" ")).collect();
        let expected: &[&str] = if name == "fivetran-salesforce" {
            &[
                "out_of_range sf_opportunity_data.csv probability",
                "out_of_range sf_opportunity_history_data.csv probability",
            ]
        } else {
            &[]
        };
        assert_eq!(odd, expected, "{name}");
    }
}

#[test]
fn dry_run_writes_nothing() {
    let Some(root) = data("hubspot-demo") else { return };
    let folder = Folder::new();
    let options = IngestOptions { dry_run: true, ..IngestOptions::default() };
    let outcome = load_with(&root, &folder.lake(), &options).unwrap();
    assert_eq!(outcome.loaded, 3_950);
    assert!(outcome.files.iter().all(|file| !file.mapped.is_empty()));
    assert!(!folder.lake().exists());
}

/// Records of a file, or `None` when one of them is broken or of another width.
fn records(path: &Path) -> Option<Vec<Vec<String>>> {
    let bytes = std::fs::read(path).unwrap();
    let dialect = Dialect { delimiter: b',', ..dialect::detect(&bytes, true) };
    let mut reader = Reader::new(&bytes, &dialect, true);
    let mut fields = Fields::default();
    let mut out: Vec<Vec<String>> = Vec::new();
    while let Some(step) = reader.next(&mut fields) {
        match step {
            Step::Record => out
                .push((0..fields.len()).map(|i| String::from_utf8_lossy(fields.get(&bytes, i)).into_owned()).collect()),
            // With one column a blank line is an empty value; that is for the caller to say.
            Step::Blank if out.first().is_none_or(|header| header.len() == 1) => out.push(vec![String::new()]),
            Step::Blank => {}
            Step::Broken(_) => return None,
        }
    }
    let width = out.first().map_or(0, Vec::len);
    out.iter().all(|row| row.len() == width).then_some(out)
}

#[test]
fn csv_conformance_suites() {
    for (name, texts) in [("csv-spectrum", "csvs"), ("csv-test-data", "csv")] {
        let Some(root) = data(name) else { return };
        let mut compared = 0;
        for entry in std::fs::read_dir(root.join(texts)).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            let truth = root.join("json").join(format!("{stem}.json"));
            let Ok(truth) = std::fs::read_to_string(truth) else { continue };
            let truth: serde_json::Value = serde_json::from_str(&truth).unwrap();
            // One truth of csv-spectrum is a lone object that contradicts its own text.
            let Some(truth) = truth.as_array() else { continue };
            let found = records(&path).unwrap_or_else(|| panic!("{name}/{stem} is broken"));
            let expected: Vec<Vec<String>> = truth
                .iter()
                .map(|row| match row {
                    serde_json::Value::Array(cells) => cells.iter().map(|c| c.as_str().unwrap().to_owned()).collect(),
                    serde_json::Value::Object(cells) => {
                        cells.values().map(|c| c.as_str().unwrap().to_owned()).collect()
                    }
                    _ => panic!("{name}/{stem}"),
                })
                .collect();
            let has_header =
                truth.first().is_some_and(serde_json::Value::is_object) || (expected.is_empty() && !found.is_empty());
            // The truth has CRLF inside a field where the text of one file has LF.
            let body: Vec<Vec<String>> = found[usize::from(has_header)..].to_vec();
            let plain = |rows: Vec<Vec<String>>| -> Vec<Vec<String>> {
                rows.into_iter().map(|row| row.into_iter().map(|cell| cell.replace("\r\n", "\n")).collect()).collect()
            };
            assert_eq!(plain(body), plain(expected), "{name}/{stem}");
            compared += 1;
        }
        assert!(compared >= 11, "{name}: {compared}");
    }
    let Some(root) = data("csv-test-data") else { return };
    for bad in ["header-less-fields", "header-more-fields", "missing-quote", "quotes-with-unescaped-quote"] {
        assert_eq!(records(&root.join(format!("csv/bad-{bad}.csv"))), None, "{bad}");
    }
}
