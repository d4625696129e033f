//! Every record of an export is loaded, rejected with a reason, an exact repeat or furniture: none is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::lake::rows_of_tables;
use super::program::{Table, call, real_data, scratch};

/// What `ingest` said about one file.
#[derive(Debug)]
struct Told {
    recognised: bool,
    records: usize,
    rejected: usize,
    furniture: usize,
}

/// Reads the lines `NAME: PROFILE (...), N records, N rejected, N furniture, ...`.
fn told(talk: &str) -> BTreeMap<String, Told> {
    let mut files = BTreeMap::new();
    for line in talk.lines().filter(|line| line.contains(" records, ") && line.contains(" furniture, ")) {
        let (name, rest) = line.split_once(": ").unwrap();
        let number = |word: &str| {
            let before = rest.split(&format!(" {word}")).next().unwrap();
            before.rsplit(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("no number before {word}: {line}"))
        };
        let told = Told {
            recognised: !rest.starts_with("not recognised"),
            records: number("records,"),
            rejected: number("rejected,"),
            furniture: number("furniture,"),
        };
        assert!(files.insert(name.to_owned(), told).is_none(), "{line}");
    }
    files
}

/// The table that each recognised file feeds, from the lines `NAME: PROFILE -> TABLE (...`.
fn tables_of_files(talk: &str) -> BTreeMap<String, String> {
    let recognised = talk.lines().filter_map(|line| {
        let (before, after) = line.split_once(" -> ")?;
        let (file, _) = before.split_once(": ")?;
        Some((file.to_owned(), after.split(' ').next()?.to_owned()))
    });
    recognised.collect()
}

/// The records of every CSV file of a folder, read by another reader.
fn raw(folder: &Path) -> BTreeMap<String, Vec<csv::StringRecord>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "csv") {
            let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(&path).unwrap();
            let records = reader.records().map(Result::unwrap).collect();
            files.insert(path.file_name().unwrap().to_str().unwrap().to_owned(), records);
        }
    }
    files
}

/// Rows of every table by the file they were read from.
fn loaded(lake: &Path) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for table in rows_of_tables(lake).into_keys() {
        // Rows that the product derives itself, such as stage changes, stand on no line.
        let condition = "source_line IS NOT NULL GROUP BY source_file";
        let statement = format!("SELECT source_file, count(*) AS n FROM {table} WHERE {condition}");
        let answer = call("sql --format csv").arg(statement).lake(lake).works().table();
        for row in &answer.rows {
            counts.insert((table.clone(), row[0].clone()), row[1].parse().unwrap());
        }
    }
    counts
}

fn every_record_is_accounted_for(folder: &str, files: usize) {
    let Some(data) = real_data(folder) else { return };
    let scratch = scratch();
    let lake = scratch.path().join("lake");
    let answer = call("ingest --format csv").arg(&data).lake(&lake).works();
    let (told, raw, loaded) = (told(&answer.err), raw(&data), loaded(&lake));
    assert_eq!(told.keys().collect::<Vec<_>>(), raw.keys().collect::<Vec<_>>());
    assert_eq!(told.len(), files);

    let rejects = call("rejects --format csv").lake(&lake).works().table();
    rejects_are_explained(&rejects, &raw);
    let tables = answer.table();
    let table_of = tables_of_files(&answer.err);
    let mut waiting: BTreeMap<String, (usize, Vec<&csv::StringRecord>)> = BTreeMap::new();
    for (file, records) in &raw {
        let told = &told[file];
        assert_eq!(told.records, records.len(), "{file}: records read");
        let listed = rejects.column("source_file").iter().filter(|name| *name == file).count();
        assert_eq!(told.rejected, listed, "{file}: rejected records that `rejects` lists");
        if !told.recognised {
            assert_eq!(
                told.rejected + told.furniture,
                told.records,
                "{file}: a file that is not recognised is rejected"
            );
            continue;
        }
        let rows: usize = loaded.iter().filter(|((_, name), _)| name == file).map(|(_, rows)| rows).sum();
        let missing = told.records.checked_sub(told.rejected + told.furniture + rows).expect("more rows than records");
        // Repeats can stand in several files of one table, such as the four dialects of one export.
        if let Some(table) = table_of.get(file) {
            let entry = waiting.entry(table.clone()).or_default();
            entry.0 += missing;
            entry.1.extend(records);
        } else {
            assert_eq!(missing, 0, "{file}: documentation is furniture");
        }
    }
    for (table, (missing, records)) in waiting {
        let distinct: BTreeSet<Vec<&str>> = records.iter().map(|record| record.iter().collect()).collect();
        let told: usize = tables.cell("duplicate", &[("table", &table)]).parse().unwrap();
        assert_eq!(missing, told, "{table}: records that are neither loaded, rejected nor counted as duplicate");
        // A record that another one with the same key replaces, with other contents, is named: nothing vanishes unsaid.
        let replaced = missing - (records.len() - distinct.len());
        assert!(
            replaced == 0 || answer.err.contains(&format!("{replaced} records were superseded")),
            "{table}: {replaced} records were replaced and nobody said so"
        );
    }
}

fn rejects_are_explained(rejects: &Table, raw: &BTreeMap<String, Vec<csv::StringRecord>>) {
    for row in &rejects.rows {
        let cell = |column: &str| row[rejects.position(column)].as_str();
        assert!(raw.contains_key(cell("source_file")), "{row:?}");
        assert!(cell("source_line").parse::<usize>().unwrap() >= 2, "{row:?}");
        for column in ["batch_id", "reason", "message", "raw_record"] {
            assert!(!cell(column).is_empty(), "a reject without {column}: {row:?}");
        }
    }
}

#[test]
fn fivetran_salesforce() {
    every_record_is_accounted_for("fivetran-salesforce", 14);
}

#[test]
fn fivetran_salesforce_names_what_it_refuses() {
    let Some(data) = real_data("fivetran-salesforce") else { return };
    let scratch = scratch();
    let lake = scratch.path().join("lake");
    call("ingest").arg(&data).lake(&lake).works();
    let rejects = call("rejects --format csv").lake(&lake).works().table();
    let of_deals = [("source_file", "sf_opportunity_data.csv")];
    assert_eq!(rejects.cell("column_name", &of_deals), "probability");
    assert_eq!(rejects.cell("value", &of_deals), "1000");
    assert_eq!(rejects.cell("reason", &of_deals), "out_of_range");
}

#[test]
fn fivetran_hubspot() {
    every_record_is_accounted_for("fivetran-hubspot", 63);
}

#[test]
fn hubspot_demo() {
    every_record_is_accounted_for("hubspot-demo", 5);
}

#[test]
fn ravenstack() {
    every_record_is_accounted_for("ravenstack-saas/data", 5);
}

/// A dry run tells the same account and writes nothing.
#[test]
fn a_dry_run_writes_nothing() {
    let Some(data) = real_data("fivetran-salesforce") else { return };
    let scratch = scratch();
    let lake = scratch.path().join("lake");
    let dry = call("ingest --dry-run --format csv").arg(&data).lake(&lake).works();
    assert!(!lake.exists(), "a dry run made the lake");
    assert!(dry.err.contains("nothing was written"), "{dry:?}");
    let mapped = dry.table();
    assert_eq!(mapped.cell("column", &[("file", "sf_opportunity_data.csv"), ("header", "amount")]), "amount");
    let wet = call("ingest").arg(&data).lake(&lake).works();
    let account = |talk: &str| {
        let line =
            talk.lines().find(|line| line.contains(" records read = ") && line.contains(" furniture, in ")).unwrap();
        line.split(", in ").next().unwrap().to_owned()
    };
    assert_eq!(account(&dry.err), account(&wet.err));
}
