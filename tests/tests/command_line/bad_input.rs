//! Bad input: one clear error, a hint, exit code 1, and the lake as it was.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::lake::{content, copy, difference, files, sequence};
use super::program::{Call, call, ingest, scratch, synthesise};

/// A folder with a lake of a few deals.
fn prepared() -> (TempDir, PathBuf) {
    let folder = scratch();
    let exports = synthesise("--deals 300", folder.path().join("exports"));
    let lake = folder.path().join("lake");
    ingest(&exports, &lake);
    (folder, lake)
}

/// Bytes that look random, the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// A Salesforce export of opportunities; the caller may spoil a line.
fn opportunities(count: usize, date: impl Fn(usize) -> String, spoil: impl Fn(usize, String) -> String) -> String {
    let mut text = String::from("Id,Name,StageName,Amount,CloseDate,CreatedDate\n");
    for number in 0..count {
        let stage = ["Closed Won", "Closed Lost", "Prospecting"][number % 3];
        let day = date(number);
        let line = format!("006{number:012},Deal {number},{stage},{}.25,{day},{day}", 100 + number % 7);
        text.push_str(&spoil(number, line));
        text.push('\n');
    }
    text
}

fn iso(number: usize) -> String {
    format!("2024-{:02}-15", number % 9 + 1)
}

#[test]
fn files_that_are_no_exports() {
    let (folder, lake) = prepared();
    let before = files(&lake);
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let empty = write("empty.csv", b"");
    let zeros = write("zeros.csv", &[0; 5_000]);
    let binary = write("binary.csv", &noise(200_000));
    let workbook = write("binary.xlsx", &noise(200_000));
    let archive = write("cut.zip", &[b"PK\x03\x04".as_slice(), &noise(5_000)].concat());
    let letter = write("letter.csv", b"Dear Sir or Madam,\nplease find enclosed nothing.\n");
    let headless = write("header.csv", b"Id,Name,StageName,Amount,CloseDate,CreatedDate\n");
    let fresh = folder.path().join("fresh");
    let cases = [
        (&empty, "empty"),
        (&zeros, "zeros.csv"),
        (&binary, "binary"),
        (&workbook, "binary"),
        (&archive, "cut.zip"),
        (&letter, "letter.csv"),
        (&folder.path().join("missing.csv"), "no such file"),
    ];
    for (path, part) in cases {
        for lake in [&lake, &fresh] {
            call("ingest").arg(path).lake(lake).refused(part);
        }
        assert!(!fresh.exists(), "{} made a lake", path.display());
        assert!(files(&lake) == before, "{} changed the lake", path.display());
    }
    // A header without records is an export in which nothing happened, or an error: but never a changed figure.
    let answer = call("ingest").arg(&headless).lake(&lake).run();
    assert!(answer.code == Some(0) || answer.code == Some(1), "{answer:?}");
    assert_eq!(content(&lake)["deals"].rows.len(), 300);
}

#[test]
fn an_empty_file_among_good_ones_is_told_and_the_rest_loaded() {
    let folder = scratch();
    let exports = synthesise("--deals 50", folder.path().join("exports"));
    fs::write(exports.join("Contact.csv"), "").unwrap();
    fs::write(exports.join("Quote.csv"), noise(9_000)).unwrap();
    let lake = folder.path().join("lake");
    let answer = call("ingest").arg(&exports).lake(&lake).works();
    assert!(
        answer.err.contains("Contact.csv: an empty file") && answer.err.contains("Quote.csv: a binary file"),
        "{answer:?}"
    );
    assert_eq!(content(&lake)["deals"].rows.len(), 50);
}

/// A quote that opens at row 50,000 and never closes costs that record and no other.
#[test]
fn a_stray_quote_at_row_50_000() {
    let folder = scratch();
    let lake_of = |name: &str, spoilt: &dyn Fn(String) -> String| {
        let text = opportunities(60_000, iso, |number, line| if number == 49_999 { spoilt(line) } else { line });
        let path = folder.path().join(format!("{name}.csv"));
        fs::write(&path, text).unwrap();
        let lake = folder.path().join(name);
        let answer = call("ingest").arg(&path).lake(&lake).works();
        (lake, answer.err)
    };
    let names = |lake: &Path| {
        let statement = "SELECT name FROM deals WHERE name LIKE 'Deal%' ORDER BY source_line";
        let answer = call("sql --format csv").arg(statement).lake(lake).works().table();
        answer.rows.into_iter().map(|mut row| row.remove(0)).collect::<Vec<_>>()
    };
    let expected: Vec<_> =
        (0..60_000).filter(|number| *number != 49_999).map(|number| format!("Deal {number}")).collect();

    // It opens a field: the record is rejected with its line and its text.
    let opened = |line: String| line.replace("Deal 49999", "\"Deal 49999");
    let followed = |line: String| line.replace("Deal 49999", "\"Deal\" 49999");
    for (name, spoilt) in [("opened", &opened as &dyn Fn(String) -> String), ("followed", &followed)] {
        let (lake, talk) = lake_of(name, spoilt);
        assert!(talk.contains("60000 records read = 59999 loaded + 1 rejected + 0 duplicate"), "{talk}");
        assert!(names(&lake) == expected, "{name}: the records around the quote");
        let rejects = call("rejects --format csv").lake(&lake).works().table();
        assert_eq!(rejects.rows.len(), 1);
        assert_eq!(rejects.column("source_line"), ["50001"], "the header is line 1");
        assert!(rejects.column("reason")[0].contains("quote"), "{rejects:?}");
        assert!(rejects.column("raw_record")[0].contains("006000000049999"), "{rejects:?}");
    }

    // It stands inside a field that is not quoted: it is a character like any other.
    let (lake, talk) = lake_of("inside", &|line| line.replace("Deal 49999", "Deal 49999\""));
    assert!(talk.contains("60000 records read = 60000 loaded + 0 rejected"), "{talk}");
    assert_eq!(names(&lake)[49_999], "Deal 49999\"");
}

#[test]
fn a_column_of_ambiguous_dates() {
    let (folder, lake) = prepared();
    let before = files(&lake);
    let ambiguous = |number: usize| format!("{:02}/{:02}/2024", number % 12 + 1, number % 5 + 1);
    let path = folder.path().join("ambiguous.csv");
    fs::write(&path, opportunities(500, ambiguous, |_, line| line)).unwrap();
    let answer = call("ingest").arg(&path).lake(&lake).refused("ambiguous.csv");
    assert!(answer.err.contains("CloseDate") || answer.err.contains("CreatedDate"), "{answer:?}");
    assert!(answer.hint().contains("--date-order"), "{answer:?}");
    assert!(files(&lake) == before, "the lake changed");

    // With the option, both readings are possible and lead to different days: deal 6 is written 07/02/2024.
    for (order, day) in [("mdy", "2024-07-02"), ("dmy", "2024-02-07")] {
        let lake = folder.path().join(order);
        call("ingest --date-order").arg(order).arg(&path).lake(&lake).works();
        let statement = "SELECT close_date, created_date FROM deals WHERE name = 'Deal 6'";
        let answer = call("sql --format csv").arg(statement).lake(&lake).works().table();
        assert_eq!(answer.rows, [[day, day]], "{order}");
    }
}

#[test]
fn names_that_do_not_exist() {
    let (folder, lake) = prepared();
    let before = files(&lake);
    let suggests = |call: Call, error: &str, name: &str| {
        let answer = call.lake(&lake).refused(error);
        assert!(answer.hint().contains("did you mean") && answer.hint().contains(name), "{answer:?}");
    };
    suggests(call("query reveneu"), "unknown KPI `reveneu`", "revenue");
    suggests(call("query revenue win_rte"), "unknown KPI `win_rte`", "win_rate");
    suggests(call("query revenue --by manger"), "unknown segment `manger`", "manager");
    suggests(call("query revenue --by region,prodct"), "unknown segment `prodct`", "product");
    suggests(call("query revenue --where").arg("regoin = 'East'"), "regoin", "region");
    suggests(call("segments manger"), "unknown segment `manger`", "manager");
    call("kpis reveneu").refused("unknown KPI `reveneu`");
    call("sql").arg("SELECT * FROM dealz").lake(&lake).refused("dealz");
    call("sql").arg("SELEC 1").lake(&lake).refused("SQL");
    call("sources salesfroce").refused("salesfroce");
    call("synth --deals 10 --source sap --out").arg(folder.path().join("sap")).refused("sap");
    suggests(call("ingest --source salesfroce").arg(folder.path().join("exports")), "salesfroce", "salesforce");
    let deals = folder.path().join("exports/Opportunity.csv");
    call("ingest --source hubspot").arg(deals).lake(&lake).refused("nothing could be loaded");
    call("query revenue --period 2024-Q5").lake(&lake).refused("2024-Q5");
    call("query revenue --grain quater").lake(&lake).refused("quater");
    call("query revenue --where").arg("region =").lake(&lake).refused("region =");
    call("query revenue --from 2025-01-01 --to 2024-01-01").lake(&lake).refused("2024-01-01");
    call("query revenue --lake-version 99").lake(&lake).refused("99");
    call("query revenue --lake-version yesterday").lake(&lake).refused("yesterday");
    call("rejects --batch 99").lake(&lake).refused("99");
    assert!(files(&lake) == before, "a question changed the lake");
}

#[test]
fn lakes_that_are_none() {
    let (folder, _) = prepared();
    let exports = folder.path().join("exports");
    let file = exports.join("truth.json");
    let held = files(&exports);
    for command in ["query revenue", "tables", "rejects", "segments", "check"] {
        for place in [&exports, &folder.path().join("missing"), &file] {
            let answer = call(command).lake(place).refused("is not a lake");
            assert!(answer.err.contains(place.to_str().unwrap()), "{answer:?}");
        }
    }
    assert!(!folder.path().join("missing").exists(), "a question made a folder");
    call("sql").arg("SELECT 1").lake(&exports).refused("is not a lake");
    call("ingest").arg(&exports).lake(&exports).refused("is not a lake");
    // No lake can be made below or in the place of a file.
    call("ingest").arg(&exports).lake(&file).refused("truth.json");
    call("ingest").arg(&exports).lake(&file.join("lake")).refused("truth.json");
    assert!(files(&exports) == held, "the folder that is no lake changed");
}

/// Damage is told with its place, never read past.
#[test]
fn a_damaged_lake() {
    let (folder, lake) = prepared();
    let damaged = |name: &str, damage: &dyn Fn(&Path)| {
        let target = folder.path().join(name);
        copy(&lake, &target);
        damage(&target);
        call("query revenue").lake(&target).run()
    };
    let data = |lake: &Path| {
        let is_data =
            |path: &PathBuf| path.starts_with("deals") && path.extension().is_some_and(|end| end == "parquet");
        lake.join(files(lake).into_keys().find(is_data).unwrap())
    };
    let log = |lake: &Path| lake.join("deals/_delta_log/00000000000000000001.json");
    damaged("log", &|lake| fs::write(log(lake), "{\"add\":").unwrap()).refused("deals");
    damaged("cut", &|lake| {
        let bytes = fs::read(data(lake)).unwrap();
        fs::write(data(lake), &bytes[..bytes.len() / 2]).unwrap();
    })
    .refused("deals");
    damaged("missing", &|lake| fs::remove_file(data(lake)).unwrap()).refused("deals");
    damaged("format", &|lake| fs::write(lake.join("dealframe.json"), "{\"format\":99}").unwrap()).refused("99");
    damaged("garbled", &|lake| fs::write(lake.join("dealframe.json"), "{").unwrap()).refused("dealframe.json");
}

#[test]
fn usage_errors() {
    let (_folder, lake) = prepared();
    let cases = [
        "",
        "frobnicate",
        "query",
        "query revenue",
        "query revenue --lake",
        "query revenue --lake x --from yesterday",
        "query revenue --lake x --compare budget",
        "query revenue --lake x --from 2024-01-01 --period 2024",
        "query revenue --lake x --unheard-of",
        "ingest --lake x",
        "report a.yaml --lake x",
        "synth --deals many --out x",
    ];
    for words in cases {
        let answer = call(words).run();
        assert_eq!(answer.code, Some(1), "{words:?}: {answer:?}");
        assert!(answer.out.is_empty(), "{words:?}: {answer:?}");
        assert!(answer.err.contains("Usage:") || answer.err.contains("--help"), "{words:?}: {answer:?}");
    }
    for words in ["--help", "--version", "query --help", "help ingest"] {
        let answer = call(words).works();
        assert!(answer.text().contains("dealframe") && answer.err.is_empty(), "{answer:?}");
    }
    // Findings are an answer, unless they are asked to count as a failure.
    let findings = call("check --format csv").lake(&lake).works();
    let strict = call("check --strict --format csv").lake(&lake).run();
    let any = findings.table().column("rows").iter().any(|rows| *rows != "0");
    assert_eq!(strict.code, Some(i32::from(any)), "{strict:?}");
    assert_eq!(strict.out, findings.out);
}

/// A second night with a defect in one file leaves nothing of the other files behind.
#[test]
fn a_batch_is_loaded_as_a_whole_or_not_at_all() {
    let (folder, lake) = prepared();
    let before = files(&lake);
    let held = content(&lake);
    let night = synthesise("--deals 400 --seed 2", folder.path().join("night"));
    let mut text = String::from("scope,scope_name,metric,period_start,period_end,target_value\n");
    for month in 1..=9 {
        let _ = writeln!(text, "company,,revenue,0{month}/02/2024,0{month}/03/2024,5");
    }
    fs::write(night.join("targets.csv"), text).unwrap();
    call("ingest").arg(&night).lake(&lake).refused("targets.csv");
    assert!(files(&lake) == before, "files of a refused batch stay in the lake");
    assert_eq!(difference(&held, &content(&lake)), "");
    assert_eq!(sequence(&lake), 1);
}
