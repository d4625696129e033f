//! Whole runs: the same bytes with any number of threads, later nights, currencies, wrong options.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod files;
mod reader;
mod truth;

use std::collections::{BTreeSet, HashMap};
use std::fs;

use reader::{Folder, Rows, cents, run, truth};
use truth::{check_deal_truth, plain_number, seen};

use super::*;

#[test]
fn the_same_bytes_with_any_number_of_threads() {
    for vendor in [Vendor::Salesforce, Vendor::Hubspot] {
        for changed in [None, Some((0.05, 3))] {
            let runs: Vec<Folder> = [1, 2, 5]
                .map(|threads| {
                    let folder = Folder::new();
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                    let mut options = SynthOptions::new(20_000, 5, vendor, &folder.0);
                    options.currencies = true;
                    options.changed_share = changed;
                    pool.install(|| run(&options));
                    folder
                })
                .into();
            let names = |folder: &Folder| -> BTreeSet<_> {
                fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect()
            };
            assert_eq!(
                names(&runs[0]).len(),
                match (vendor, changed.is_some()) {
                    (Vendor::Salesforce, false) => 18,
                    (Vendor::Hubspot, false) => 15,
                    (Vendor::Salesforce, true) => 3,
                    (Vendor::Hubspot, true) => 2,
                }
            );
            for other in &runs[1..] {
                assert_eq!(names(&runs[0]), names(other));
                for name in names(other) {
                    let same = fs::read(runs[0].0.join(&name)).unwrap() == fs::read(other.0.join(&name)).unwrap();
                    assert!(same, "{name:?} differs between numbers of threads");
                }
            }
        }
    }
}

#[test]
fn another_seed_gives_another_company() {
    let (one, two) = (Folder::new(), Folder::new());
    run(&SynthOptions::new(500, 1, Vendor::Salesforce, &one.0));
    run(&SynthOptions::new(500, 2, Vendor::Salesforce, &two.0));
    assert_ne!(truth(&one.0, "revenue"), truth(&two.0, "revenue"));
}

#[test]
fn a_later_night_holds_only_what_changed_and_its_truth_is_that_of_everything() {
    for vendor in [Vendor::Salesforce, Vendor::Hubspot] {
        let (first, second) = (Folder::new(), Folder::new());
        run(&SynthOptions::new(8_000, 4, vendor, &first.0));
        let mut options = SynthOptions::new(8_000, 4, vendor, &second.0);
        options.changed_share = Some((0.02, 77));
        let outcome = run(&options);
        assert_eq!(outcome.as_of, options.end_date + 1);
        let (name, key) = match vendor {
            Vendor::Salesforce => ("Opportunity.csv", "Id"),
            Vendor::Hubspot => ("deals.csv", "Record ID"),
        };
        let (before, after) = (Rows::read(&first.0, name), Rows::read(&second.0, name));
        assert!((130..240).contains(&after.rows.len()), "{} rows", after.rows.len());
        let old: HashMap<&str, &Vec<String>> = before.rows.iter().map(|row| (before.cell(row, key), row)).collect();
        let new = after.rows.iter().filter(|row| match old.get(after.cell(row, key)) {
            Some(old) => {
                assert_ne!(*old, *row, "a row that did not change was written");
                false
            }
            None => true,
        });
        assert_eq!(new.count(), 16);
        let mut state = seen(&first.0, vendor);
        for row in &after.rows {
            state.remove(after.cell(row, key));
        }
        state.extend(seen(&second.0, vendor));
        check_deal_truth(&second.0, &state);
        assert_eq!(truth(&second.0, "leads"), truth(&first.0, "leads"));
        assert_ne!(truth(&second.0, "revenue"), truth(&first.0, "revenue"));
    }
}

#[test]
fn money_in_several_currencies_is_never_added_up() {
    let folder = Folder::new();
    let mut options = SynthOptions::new(3_000, 6, Vendor::Salesforce, &folder.0);
    options.currencies = true;
    run(&options);
    let text = fs::read_to_string(folder.0.join(TRUTH_FILE)).unwrap();
    let truth: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(truth["kpis"].get("revenue").is_none() && truth["kpis"].get("deals_won").is_some());
    let deals = Rows::read(&folder.0, "Opportunity.csv");
    for currency in ["USD", "EUR", "GBP"] {
        let revenue: i128 = deals
            .rows
            .iter()
            .filter(|row| deals.cell(row, "CurrencyIsoCode") == currency && deals.cell(row, "IsDeleted") == "false")
            .filter(|row| deals.cell(row, "IsWon") == "true" && !deals.cell(row, "Amount").is_empty())
            .map(|row| cents(deals.cell(row, "Amount")))
            .sum();
        assert_eq!(
            truth["by_currency"][currency]["revenue"].to_string().trim_end_matches(".0"),
            plain_number(revenue, 2)
        );
    }
    let rates = Rows::read(&folder.0, "fx_rates.csv");
    assert_eq!(rates.set("from_currency"), BTreeSet::from(["EUR", "GBP"]));
    let first = rates.rows.iter().map(|row| rates.cell(row, "rate_date").to_owned()).min().unwrap();
    assert_eq!(first, "2021-12-01", "a rate holds before the first deal closes");
}

#[test]
fn small_and_wrong_options() {
    let folder = Folder::new();
    let outcome = run(&SynthOptions::new(1, 0, Vendor::Hubspot, &folder.0));
    assert!(outcome.files.iter().all(|file| file.rows <= 4_000));
    let again = run(&SynthOptions::new(1, 0, Vendor::Hubspot, &folder.0));
    assert_eq!(outcome, again, "a run may be repeated in its folder");
    let refused = |options: SynthOptions| synthesise(&options, &mut |_| {}).unwrap_err();
    let other = refused(SynthOptions::new(10, 0, Vendor::Salesforce, &folder.0));
    assert!(matches!(&other, SynthError::ForeignFiles { count: 6, first, .. } if first == "activities.csv"), "{other}");
    assert!(other.hint().unwrap().contains("empty folder"));
    assert!(matches!(
        refused(SynthOptions::new(0, 0, Vendor::Salesforce, &folder.0)),
        SynthError::Option { option: "deals", .. }
    ));
    let mut options = SynthOptions::new(10, 0, Vendor::Salesforce, &folder.0);
    options.changed_share = Some((f64::NAN, 1));
    assert!(matches!(refused(options), SynthError::Option { option: "changed-share", .. }));
    let names: Vec<_> = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().ends_with(".partial")));
}
