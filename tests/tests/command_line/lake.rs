//! What a lake holds, and whether it changed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use dealframe_model::table::TABLES;

use super::program::{Answer, Table, call};

/// Every row of every table, in the order of its key, with all columns but those that say when and
/// by which batch it was loaded: what two lakes of the same content have in common.
pub(super) fn content(lake: &Path) -> BTreeMap<String, Table> {
    rows_of_tables(lake)
        .into_keys()
        .map(|name| {
            let table =
                TABLES.iter().find(|table| table.name == name).unwrap_or_else(|| panic!("unknown table {name}"));
            let columns: Vec<&str> =
                table.columns().map(|column| column.name).filter(|name| *name != "batch_id").collect();
            let statement = format!("SELECT {} FROM {name} ORDER BY {}, source_system", columns.join(", "), table.key);
            let answer = call("sql --format csv").arg(statement).lake(lake).works().table();
            (name, answer)
        })
        .collect()
}

/// The tables and their rows.
pub(super) fn rows_of_tables(lake: &Path) -> BTreeMap<String, u64> {
    rows(&call("tables --format csv").lake(lake).works())
}

/// The rows by table, from an answer of `tables`.
pub(super) fn rows(answer: &Answer) -> BTreeMap<String, u64> {
    let tables = answer.table();
    let (name, count) = (tables.position("table"), tables.position("rows"));
    tables.rows.iter().map(|row| (row[name].clone(), row[count].parse().unwrap())).collect()
}

/// Names two contents apart by the first row in which they differ: equal ones give nothing.
pub(super) fn difference(left: &BTreeMap<String, Table>, right: &BTreeMap<String, Table>) -> String {
    let mut text = String::new();
    if left.keys().ne(right.keys()) {
        let _ = writeln!(text, "tables {:?} and {:?}", left.keys(), right.keys());
    }
    for (name, left) in left {
        let Some(right) = right.get(name).filter(|right| *right != left) else { continue };
        let _ = writeln!(text, "{name}: {} and {} rows, {:?}", left.rows.len(), right.rows.len(), left.header);
        let first = left.rows.iter().zip(&right.rows).find(|(left, right)| left != right);
        let _ = writeln!(text, "first difference: {first:?}");
    }
    text
}

/// Every file of a lake and its bytes, without the lock and without what queries keep for later.
pub(super) fn files(lake: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![lake.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap();
            if name == ".lock" || name == "_facts" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(lake).unwrap().to_path_buf(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Copies a folder with everything in it.
pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Where the lake stands: the number of its last batch.
pub(super) fn sequence(lake: &Path) -> u64 {
    sequence_told(&call("tables --format csv").lake(lake).works())
}

/// The number of the last batch, from what `tables` says.
pub(super) fn sequence_told(answer: &Answer) -> u64 {
    let after = answer.err.split("last batch ").nth(1).unwrap_or_else(|| panic!("no batch: {}", answer.err));
    after.split_whitespace().next().unwrap().parse().unwrap()
}
