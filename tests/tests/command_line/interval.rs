//! `--interval`: columns of its own in every format, and no other figure changed.

use std::fs;

use parquet::file::reader::{FileReader as _, SerializedFileReader};

use super::program::{call, ingest, scratch, synthesise};

#[test]
fn intervals_in_every_format() {
    let folder = scratch();
    let exports = synthesise("--deals 1200", folder.path().join("exports"));
    let lake = folder.path().join("lake");
    ingest(&exports, &lake);
    let words = "query win_rate sales_cycle_mean revenue --by region --period 2024";
    let plain = call(words).words("--format csv").lake(&lake).works().table();
    let table = call(words).words("--interval --format csv").lake(&lake).works().table();
    let width = plain.header.len();
    assert_eq!(table.header[..width], plain.header);
    assert_eq!(table.header[width..], ["low", "high", "small_sample"]);
    let number = |text: &str| text.parse::<f64>().unwrap();
    let (mut small, mut large) = (0, 0);
    for (row, before) in table.rows.iter().zip(&plain.rows) {
        assert_eq!(row[..width], before[..]);
        let [value, denominator] = ["value", "denominator"].map(|name| row[table.position(name)].as_str());
        let interval = &row[width..];
        if row[0] == "revenue" || value.is_empty() || denominator == "1" && row[0] != "win_rate" {
            assert!(interval[0].is_empty() && interval[1].is_empty(), "{row:?}");
            continue;
        }
        assert!(number(&interval[0]) <= number(value) && number(value) <= number(&interval[1]), "{row:?}");
        assert_eq!(interval[2], (number(denominator) < 30.0).to_string(), "{row:?}");
        if interval[2] == "true" { small += 1 } else { large += 1 }
    }
    assert!(small > 2 && large > 2, "{small} small groups, {large} large ones");

    let with = |format: &str| call(words).words("--interval --format").arg(format).lake(&lake).works();
    let objects: serde_json::Value = serde_json::from_slice(&with("json").out).unwrap();
    for (object, row) in objects.as_array().unwrap().iter().zip(&table.rows) {
        assert_eq!(object["low"].as_f64().is_some(), !row[width].is_empty());
        assert_eq!(object["small_sample"].as_bool().map_or(String::new(), |small| small.to_string()), row[width + 2]);
    }
    assert!(with("table").text().lines().any(|line| line.trim_end().ends_with(" small")));
    assert!(with("markdown").text().contains("| low | high | sample |"));
    assert!(with("html").text().contains(" to ") && with("html").text().contains(", small)"));
    let path = folder.path().join("result.parquet");
    call(words).arg("--interval").arg("--out").arg(&path).lake(&lake).works();
    let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    let columns = reader.metadata().file_metadata().schema_descr().columns();
    let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
    assert_eq!(names, table.header.iter().map(String::as_str).collect::<Vec<_>>());
    for ending in ["xlsx", "arrow", "ndjson"] {
        call(words).arg("--interval").arg("--out").arg(folder.path().join(format!("r.{ending}"))).lake(&lake).works();
    }
    call(words).words("--interval --sql duckdb").lake(&lake).refused("do not offer --interval");
}
