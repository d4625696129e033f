//! Results in every format, by `--format` and by the name of the file; files appear whole or not at all.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use tempfile::TempDir;

use super::lake::files;
use super::program::{Call, Table, call, canonical, ingest, scratch, synthesise};

const QUERY: &str = "query revenue win_rate deals_won sales_cycle_mean --by region --grain quarter";

/// A small lake, and the answer to the query above as CSV.
fn prepared() -> (TempDir, PathBuf, Table) {
    let folder = scratch();
    let exports = synthesise("--deals 800 --source hubspot", folder.path().join("exports"));
    let lake = folder.path().join("lake");
    ingest(&exports, &lake);
    let table = call(QUERY).lake(&lake).words("--format csv").works().table();
    assert!(table.rows.len() > 100);
    (folder, lake, table)
}

/// The result under `--format`, which `--out` with each of these endings must give as well.
fn written(lake: &Path, folder: &Path, format: &str, endings: &[&str]) -> Vec<u8> {
    let answer = call(QUERY).lake(lake).arg("--format").arg(format).works();
    for ending in endings {
        let path = folder.join(format!("result.{ending}"));
        let to_file = call(QUERY).lake(lake).arg("--out").arg(&path).works();
        assert!(to_file.out.is_empty(), "data on standard output in spite of --out");
        assert!(fs::read(&path).unwrap() == answer.out, "--out {ending} and --format {format}");
    }
    let odd = folder.join("result.odd");
    call(QUERY).lake(lake).arg("--format").arg(format).arg("--out").arg(&odd).works();
    assert!(fs::read(&odd).unwrap() == answer.out, "--format {format} wins over the file name");
    answer.out
}

fn number(text: &str) -> Option<f64> {
    (!text.is_empty()).then(|| text.parse().unwrap())
}

/// JSON objects against rows of CSV: the same names in the same order, numbers as numbers, null for nothing.
fn same_objects<'a>(objects: impl Iterator<Item = &'a serde_json::Value>, table: &Table) {
    let mut count = 0;
    for (object, row) in objects.zip(&table.rows) {
        let object = object.as_object().unwrap();
        assert_eq!(object.keys().collect::<Vec<_>>(), table.header.iter().collect::<Vec<_>>());
        for (column, cell) in table.header.iter().zip(row) {
            let value = &object[column];
            match column.as_str() {
                "value" | "numerator" | "denominator" | "rows" => {
                    assert_eq!(value.as_f64(), number(cell), "{object:?}")
                }
                _ => assert_eq!(value.as_str().unwrap_or_default(), cell, "{object:?}"),
            }
        }
        count += 1;
    }
    assert_eq!(count, table.rows.len());
}

#[test]
fn csv_and_json() {
    let (folder, lake, table) = prepared();
    assert_eq!(Table::parse(&written(&lake, folder.path(), "csv", &["csv"])), table);
    // In a pipe, as here, CSV is what a program gets that asks for nothing.
    assert_eq!(call(QUERY).lake(&lake).works().table(), table);
    assert_eq!(call(QUERY).env("DEALFRAME_LAKE", &lake).works().table(), table);

    let json: serde_json::Value = serde_json::from_slice(&written(&lake, folder.path(), "json", &["json"])).unwrap();
    let objects = json.as_array().unwrap();
    assert_eq!(objects.len(), table.rows.len());
    same_objects(objects.iter(), &table);
    let lines = String::from_utf8(written(&lake, folder.path(), "ndjson", &["ndjson"])).unwrap();
    let objects: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), table.rows.len());
    same_objects(objects.iter(), &table);
}

#[test]
fn pages_and_tables_for_people() {
    let (folder, lake, table) = prepared();
    let markdown = String::from_utf8(written(&lake, folder.path(), "markdown", &["md"])).unwrap();
    assert_eq!(markdown.lines().filter(|line| line.starts_with('|')).count(), table.rows.len() + 2);
    let screen = String::from_utf8(written(&lake, folder.path(), "table", &["txt"])).unwrap();
    let html = String::from_utf8(written(&lake, folder.path(), "html", &["html"])).unwrap();
    assert!(html.starts_with("<!DOCTYPE html>") && html.trim_end().ends_with("</html>"));
    let rate = table.rows.iter().find(|row| row[0] == "win_rate" && !row[table.position("value")].is_empty()).unwrap();
    let percent = format!("{:.2}%", 100.0 * rate[table.position("value")].parse::<f64>().unwrap());
    for text in [&markdown, &screen, &html] {
        assert!(text.contains("2024-Q3") && text.contains(&percent), "a rate is a percentage for people: {percent}");
    }
    for outside in ["https://", "src=", "<link", "@import"] {
        assert!(!html.contains(outside), "the page refers to something outside: {outside}");
    }
}

#[test]
fn parquet_and_arrow() {
    let (folder, lake, table) = prepared();
    let bytes = written(&lake, folder.path(), "parquet", &["parquet"]);
    let path = folder.path().join("result.parquet");
    assert_eq!(fs::read(&path).unwrap(), bytes);
    let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr();
    let names: Vec<_> = schema.columns().iter().map(|column| column.name().to_owned()).collect();
    assert_eq!(names, table.header);
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), table.rows.len());
    for (row, expected) in rows.iter().zip(&table.rows) {
        for ((name, field), cell) in row.get_column_iter().zip(expected) {
            let found = field.to_string();
            let found = found.trim_matches('"');
            match (name.as_str(), found) {
                (_, "null") => assert_eq!(cell, "", "{name} in {row}"),
                ("value" | "numerator" | "denominator" | "rows", _) => {
                    assert_eq!(canonical(found), *cell, "{name} in {row}")
                }
                ("period_start", _) => assert!(found.starts_with(cell.as_str()), "{name} in {row}"),
                _ => assert_eq!(found, cell, "{name} in {row}"),
            }
        }
    }

    let arrow = written(&lake, folder.path(), "arrow", &["arrow"]);
    let reader = arrow::ipc::reader::FileReader::try_new(std::io::Cursor::new(arrow), None).unwrap();
    assert_eq!(reader.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>(), table.header);
    assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), table.rows.len());
}

/// A workbook is read back by the product's own reader of exports: every value arrives unchanged.
#[test]
fn workbook() {
    let (folder, lake, table) = prepared();
    let bytes = written(&lake, folder.path(), "xlsx", &["xlsx"]);
    assert!(bytes.starts_with(b"PK\x03\x04"));
    let mapping = folder.path().join("mapping.yaml");
    fs::write(&mapping, MAPPING).unwrap();
    let other = folder.path().join("other");
    let answer =
        call("ingest").arg(folder.path().join("result.xlsx")).arg("--mapping").arg(&mapping).lake(&other).works();
    assert!(answer.err.contains(&format!("{0} records read = {0} loaded", table.rows.len())), "{answer:?}");
    let statement = "SELECT product_id, name, family, code, list_price FROM products";
    let held = call("sql --format csv").arg(statement).lake(&other).works().table();
    for row in &table.rows {
        let cell = |column: &str| row[table.position(column)].as_str();
        let key = ["kpi", "period", "region"].map(cell).join(" ").trim_end().to_owned();
        let expected = number(cell("value"));
        let found = number(&held.cell("list_price", &[("product_id", &key)]));
        let close = expected.zip(found).map(|(expected, found)| (expected - found).abs() <= 0.00005);
        assert!(close.unwrap_or(expected == found), "{key}: {expected:?} became {found:?}");
    }
}

const MAPPING: &str = "source: answers
entity: query
table: products
fingerprints: [[kpi, grain, numerator, denominator]]
columns:
  product_id: {join: [[kpi], [period], [region]]}
  name: [kpi]
  family: [region]
  code: [period]
  list_price: {from: [value], round: true}
  currency: [unit]
";

/// Lists other than KPI answers speak every format as well.
#[test]
fn lists_of_the_other_commands() {
    let (folder, lake, _) = prepared();
    let kpis = call("kpis --format csv").works().table();
    assert_eq!(kpis.header[0], "id");
    let known = kpis.column("id");
    for id in ["revenue", "win_rate", "average_deal_size", "open_pipeline_value", "new_customers"] {
        assert!(known.contains(&id), "{id}");
    }
    for words in ["kpis", "sources", "segments", "tables", "rejects", "check", "segments region"] {
        let with = |call: Call| if matches!(words, "kpis" | "sources") { call } else { call.lake(&lake) };
        let rows = with(call(words)).words("--format csv").works().table().rows.len();
        let json: serde_json::Value =
            serde_json::from_slice(&with(call(words)).words("--format json").works().out).unwrap();
        assert_eq!(json.as_array().unwrap().len(), rows, "{words}");
        let path = folder.path().join("list.parquet");
        with(call(words)).arg("--out").arg(&path).works();
        let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
        assert_eq!(reader.metadata().file_metadata().num_rows() as usize, rows, "{words}");
    }
    let segments = call("segments --format csv").lake(&lake).works().table();
    for name in
        ["region", "country", "industry", "account", "owner", "team", "manager", "product", "product_family", "source"]
    {
        assert!(segments.column("name").contains(&name), "{name}");
    }
    for name in ["campaign", "stage", "pipeline", "deal_type", "loss_reason", "currency"] {
        assert!(segments.column("name").contains(&name), "{name}");
    }
    assert!(call("completions bash").works().text().contains("dealframe"));
    assert!(call("man").works().text().starts_with(".ie"));
}

/// A result that cannot be written whole leaves the old file, and nothing else.
#[cfg(unix)]
#[test]
fn a_file_appears_whole_or_not_at_all() {
    let (folder, lake, _) = prepared();
    let results = folder.path().join("results");
    fs::create_dir(&results).unwrap();
    fs::write(results.join("deals.csv"), "old").unwrap();
    // A limit on the size of files stands for a full disk. Without the trap the signal would end the program.
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$@\"";
    let limited = |words: &str, path: &Path| {
        let inner = call(words).lake(&lake).arg("--out").arg(path).command();
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", script, "sh"]).arg(inner.get_program()).args(inner.get_args());
        Call::of(shell)
    };
    limited("sql SELECT*FROM/**/deals", &results.join("deals.csv")).refused("File too large");
    limited("sql SELECT*FROM/**/deals", &results.join("deals.parquet")).refused("File too large");
    let left = files(&results);
    assert_eq!(left.len(), 1, "{:?}", left.keys());
    assert_eq!(left[Path::new("deals.csv")], b"old");
    limited("query deals_won", &results.join("deals.csv")).works();
    assert!(fs::read_to_string(results.join("deals.csv")).unwrap().starts_with("kpi,grain"));

    call(QUERY).lake(&lake).arg("--out").arg(results.join("missing/x.csv")).refused("missing");
    call(QUERY).lake(&lake).words("--format csv --out").arg(&results).refused("results");
    call(QUERY).lake(&lake).arg("--out").arg(results.join("x.pdf")).refused("does not say which format");
    call(QUERY).lake(&lake).words("--format pdf").refused("unknown format `pdf`");
    assert_eq!(files(&results).len(), 1);
}

/// A reader that has seen enough is no error: `dealframe ... | head -1`.
#[test]
fn a_reader_may_leave() {
    let (_folder, lake, _) = prepared();
    let statement = "SELECT * FROM stage_changes";
    for format in ["csv", "json", "table"] {
        let mut command = call("sql --format").arg(format).arg(statement).lake(&lake).command();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(!line.is_empty());
        drop(reader);
        let mut talk = String::new();
        child.stderr.take().unwrap().read_to_string(&mut talk).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{format}: {talk}");
        assert!(!talk.contains("error") && !talk.contains("panicked"), "{talk}");
    }
}
