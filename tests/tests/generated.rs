//! Files that are generated from definitions must equal what would be generated now.
//!
//! With `DEALFRAME_WRITE=1` they are written instead of compared.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use dealframe_model::table::{BATCHES, COMMON, Column, REJECTS, TABLES};
use dealframe_query::Catalogue;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn check(file: &str, expected: &str) {
    let path = root().join(file);
    if std::env::var_os("DEALFRAME_WRITE").is_some() {
        fs::write(&path, expected).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{file} is out of date: run DEALFRAME_WRITE=1 cargo test --release --workspace generated"
    );
}

#[test]
fn generated_catalogue() {
    check("crates/query/KPIS.md", &Catalogue::load(None).unwrap().markdown());
}

#[test]
fn generated_table_in_the_readme() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (begin, end) = ("<!-- kpis: begin -->\n", "<!-- kpis: end -->");
    let (before, rest) = readme.split_once(begin).expect("the README has a place for the table");
    let (_, after) = rest.split_once(end).expect("the README has an end of the table");
    let table = Catalogue::load(None).unwrap().readme_table();
    check("README.md", &format!("{before}{begin}{table}{end}{after}"));
}

#[test]
fn generated_schema_of_definitions() {
    check("crates/query/kpis/schema.json", &Catalogue::schema());
}

#[test]
fn generated_data_dictionary() {
    let mut text = String::from(
        "# Data dictionary and example exports\n\nThe canonical tables of the lake, generated from `crates/model/src/table.rs`; \
         do not edit by hand. The folders beside this file hold small exports in the form of each vendor, written for tests \
         and for trying things out: `dealframe ingest datasets/salesforce --lake lake`. Large data is made by `dealframe synth`.\n\n\
         Every table but `rejects` and `batches` also has the common columns at the end. Key: `source_system` and the column in bold.\n",
    );
    let mut table = |name: &str, about: &str, key: &str, columns: &[Column]| {
        let _ = write!(text, "\n## {name}\n\n{about}\n\n| column | type | meaning |\n|---|---|---|\n");
        for column in columns {
            let shown = if column.name == key { format!("**{}**", column.name) } else { column.name.to_owned() };
            let mut meaning = column.about.to_owned();
            if let Some(target) = column.references {
                let _ = write!(meaning, " Refers to `{target}`.");
            }
            if column.required && column.name != key {
                meaning.push_str(" Required.");
            }
            let _ = writeln!(text, "| {shown} | {} | {meaning} |", column.kind.name());
        }
    };
    for one in TABLES.iter().chain([&REJECTS, &BATCHES]) {
        table(one.name, one.about, one.key, one.own);
    }
    table("Common columns", "At the end of every canonical table.", "", COMMON);
    check("datasets/README.md", &text);
}
