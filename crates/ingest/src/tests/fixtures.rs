//! One fixture per quirk: parsed like its clean twin, rejected with a reason, or refused.

use std::io::Write;

use super::{Folder, load, load_with, reasons, rows};
use crate::{DateOrder, IngestError, IngestOptions};

const HEADER: &str =
    "Id,Name,AccountId,StageName,Amount,CloseDate,IsClosed,IsWon,Probability,CreatedDate,SystemModstamp";
const COLUMNS: [&str; 6] = ["deal_id", "name", "stage", "status", "amount", "close_date"];

fn line(id: &str, name: &str, amount: &str, date: &str) -> String {
    format!(
        "{id},{name},001,Prospecting,{amount},{date},false,false,10,2024-01-01T00:00:00.000Z,2024-01-02T00:00:00.000Z"
    )
}

fn clean() -> String {
    format!(
        "{HEADER}\n{}\n{}\n",
        line("006A", "Alpha", "1000.50", "2024-03-01"),
        line("006B", "Béta", "20", "2024-04-30")
    )
}

/// Loads text as one file and gives the deals and the reject reasons.
fn deals_of(bytes: impl AsRef<[u8]>) -> (Vec<Vec<String>>, Vec<String>) {
    let folder = Folder::new();
    let path = folder.write("deals.csv", bytes);
    load(&path, &folder.lake()).unwrap();
    (rows(&folder.lake(), "deals", &COLUMNS), reasons(&folder.lake()))
}

#[test]
fn containers_encodings_and_dialects_are_the_clean_twin() {
    let (twin, rejects) = deals_of(clean());
    assert_eq!(rejects, Vec::<String>::new());
    assert_eq!(twin[1], ["006B", "Béta", "Prospecting", "open", "20.0000", "2024-04-30"]);
    let utf16: Vec<u8> =
        [0xFF, 0xFE].into_iter().chain(clean().replace(',', "\t").encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let latin: Vec<u8> = clean().chars().map(|letter| letter as u32 as u8).collect();
    let quoted: String = clean().lines().map(|line| format!("\"{}\"\n", line.replace(',', "\",\""))).collect();
    let variants: Vec<(&str, Vec<u8>)> = vec![
        ("byte order mark", format!("\u{feff}{}", clean()).into()),
        ("CRLF", clean().replace('\n', "\r\n").into()),
        ("lone CR", clean().replace('\n', "\r").into()),
        ("no final newline", clean().trim_end().into()),
        ("blank lines", clean().replace('\n', "\n\n").into()),
        ("semicolons", clean().replace(',', ";").into()),
        ("pipes", clean().replace(',', "|").into()),
        ("tabs in UTF-16", utf16),
        ("windows-1252", latin),
        ("all quoted", quoted.into()),
        ("blanks and quotes", clean().replace(',', ", ").replace("Alpha", "\"Alpha\"").into()),
        ("title above the header", format!("My report,,\nas of today\n\n{}", clean()).into()),
        ("header repeated", clean().replace("006B", &format!("{HEADER}\n006B")).into()),
        ("empty records", format!("{},,,,,,,,,,\n", clean()).into()),
        ("trailing delimiters", clean().replace("\n", ",\n").replacen("SystemModstamp,\n", "SystemModstamp\n", 1).into()),
        ("columns in another order", "CloseDate,StageName,Id,Name,Amount\n2024-03-01,Prospecting,006A,Alpha,1000.50\n2024-04-30,Prospecting,006B,Béta,20\n".into()),
        ("report labels", "Opportunity: Opportunity ID,Opportunity Name*,STAGE,Amount,Close Date\n006A,Alpha,Prospecting,\"1,000.50\",2024-03-01\n006B,Béta,Prospecting,20,2024-04-30\n\nGrand Totals (2 records)\n\nMy report\n\"Copyright (c) 2000-2024 salesforce.com, inc. All rights reserved.\"\nConfidential Information - Do Not Distribute\n".into()),
    ];
    for (what, bytes) in variants {
        let (found, rejects) = deals_of(bytes);
        assert_eq!(found, twin, "{what}");
        assert_eq!(rejects, Vec::<String>::new(), "{what}");
    }
}

#[test]
fn archives_and_folders() {
    let folder = Folder::new();
    let zip = |entries: &[(&str, Vec<u8>)]| -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, bytes) in entries {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    };
    let inner = zip(&[("Opportunity.csv", clean().into_bytes())]);
    folder.write("in/export.zip", zip(&[("WE_1.ZIP", inner), ("notes.md", b"x".to_vec())]));
    // The same object in a second part, overlapping, without a column.
    folder.write(
        "in/part/Opportunity.csv",
        "Id,StageName,SystemModstamp\n006B,Won soon,2024-02-01\n006C,New,2024-02-01\n",
    );
    let outcome = load(&folder.0.join("in"), &folder.lake()).unwrap();
    assert_eq!((outcome.rows_read, outcome.loaded, outcome.duplicate), (4, 3, 1));
    let found = rows(&folder.lake(), "deals", &["deal_id", "stage", "source_file"]);
    assert_eq!(found[0], ["006A", "Prospecting", "export.zip!WE_1.ZIP!Opportunity.csv"]);
    assert_eq!(found[1], ["006B", "Won soon", "part/Opportunity.csv"]);
}

#[test]
fn a_bad_record_costs_only_itself() {
    let good = |id: &str| line(id, "x", "1", "2024-03-01");
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("short row", b"006X,short".to_vec(), "too_few_fields -"),
        ("long row", format!("{},more", good("006X")).into(), "too_many_fields -"),
        ("open quote", line("006X", "\"open", "1", "2024-03-01").into(), "unterminated_quote -"),
        ("text after quote", line("006X", "\"a\" b", "1", "2024-03-01").into(), "text_after_quote -"),
        ("NUL", line("006X", "a\0b", "1", "2024-03-01").into(), "nul_byte -"),
        ("no amount", line("006X", "x", "garbage", "2024-03-01").into(), "not_a_number amount"),
        ("suffix", line("006X", "x", "12k", "2024-03-01").into(), "not_a_number amount"),
        ("too precise", line("006X", "x", "1.23456", "2024-03-01").into(), "too_precise amount"),
        ("no date", line("006X", "x", "1", "TBD").into(), "not_a_date close_date"),
        ("no such day", line("006X", "x", "1", "2023-02-29").into(), "not_a_date close_date"),
        ("probability", good("006X").replace(",10,", ",1000,").into(), "out_of_range probability"),
        ("no key", good("").into(), "missing_required deal_id"),
        ("boolean", good("006X").replace("false,false", "false,perhaps").into(), "-"),
    ];
    for (what, bad, expected) in cases {
        let mut text = format!("{HEADER}\n{}\n", good("006A")).into_bytes();
        text.extend_from_slice(&bad);
        text.extend_from_slice(format!("\n{}\n{}\n", good("006B"), good("006C")).as_bytes());
        let (found, rejects) = deals_of(text);
        let ids: Vec<&str> = found.iter().map(|row| row[0].as_str()).collect();
        if expected == "-" {
            assert_eq!((ids.len(), rejects.len()), (4, 0), "{what}");
            continue;
        }
        assert_eq!(ids, ["006A", "006B", "006C"], "{what}");
        assert_eq!(rejects, [format!("deals.csv 3 {}", expected.replace(" -", " ∅"))], "{what}");
    }
}

#[test]
fn an_invalid_byte_rejects_its_row() {
    let mut text = format!("{HEADER}\n").into_bytes();
    for index in 0..30 {
        text.extend_from_slice(format!("{}\n", line(&format!("006{index:02}"), "Größe", "1", "2024-03-01")).as_bytes());
    }
    text.extend_from_slice(b"006X,M\xFCller");
    text.extend_from_slice(&line("", "", "1", "2024-03-01").as_bytes()[1..]);
    text.push(b'\n');
    let (found, rejects) = deals_of(text);
    assert_eq!((found.len(), rejects), (30, vec!["deals.csv 32 invalid_encoding ∅".to_owned()]));
}

#[test]
fn stray_quotes_and_breaks_inside_fields() {
    let text = format!(
        "{HEADER}\n{}\n{}\n{}\n",
        line("006A", "5\" pipe", "1", "2024-03-01"),
        line("006B", "\"two\r\nlines, \"\"quoted\"\"\"", "2", "2024-03-01"),
        line("006C", "12\" wide", "3", "2024-03-01"),
    );
    let (found, rejects) = deals_of(text);
    assert_eq!(rejects, Vec::<String>::new());
    let names: Vec<&str> = found.iter().map(|row| row[1].as_str()).collect();
    assert_eq!(names, ["5\" pipe", "two\r\nlines, \"quoted\"", "12\" wide"]);
}

#[test]
fn ambiguous_dates_are_refused_and_settled() {
    let folder = Folder::new();
    let text = format!("{HEADER}\n{}\n", line("006A", "x", "1", "01/02/2024"));
    let path = folder.write("deals.csv", text);
    let error = load(&path, &folder.lake()).unwrap_err();
    let IngestError::AmbiguousDates { file, column, line: at, sample, .. } = &error else { panic!("{error}") };
    assert_eq!((file.as_str(), column.as_str(), *at, sample.as_str()), ("deals.csv", "CloseDate", 2, "01/02/2024"));
    assert!(error.hint().unwrap().contains("--date-order") && error.is_user_fault());
    for (order, expected) in [(DateOrder::Dmy, "2024-02-01"), (DateOrder::Mdy, "2024-01-02")] {
        let lake = folder.0.join(expected);
        let options = IngestOptions { date_order: Some(order), ..IngestOptions::default() };
        load_with(&path, &lake, &options).unwrap();
        assert_eq!(rows(&lake, "deals", &["close_date"]), [[expected]]);
    }
    let mixed =
        format!("{HEADER}\n{}\n{}\n", line("006A", "x", "1", "25/02/2024"), line("006B", "x", "1", "02/25/2024"));
    let error = load(&folder.write("mixed.csv", mixed), &folder.lake()).unwrap_err();
    assert!(matches!(error, IngestError::MixedDates { .. }), "{error}");
}

#[test]
fn columns_decide_decimal_commas() {
    let text = format!(
        "{HEADER}\n{}\n{}\n",
        line("006A", "x", "\"1.234,50\"", "2024-03-01"),
        line("006B", "x", "\"7,125\"", "2024-03-01")
    );
    let (found, _) = deals_of(text);
    assert_eq!([found[0][4].as_str(), found[1][4].as_str()], ["1234.5000", "7.1250"]);
    let folder = Folder::new();
    let mixed = format!(
        "{HEADER}\n{}\n{}\n",
        line("006A", "x", "\"399,00\"", "2024-03-01"),
        line("006B", "x", "399.00", "2024-03-01")
    );
    let path = folder.write("mixed.csv", mixed);
    assert!(matches!(load(&path, &folder.lake()).unwrap_err(), IngestError::MixedDecimals { .. }));
    let options = IngestOptions { decimal_comma: Some(false), ..IngestOptions::default() };
    load_with(&path, &folder.lake(), &options).unwrap();
    assert_eq!(reasons(&folder.lake()), ["mixed.csv 2 decimal_separator amount"]);
}

#[test]
fn a_late_cell_that_contradicts_starts_the_file_again() {
    // The head of 4 MiB shows only ISO dates and plain numbers; the end decides otherwise.
    let folder = Folder::new();
    let mut text = format!("{HEADER}\n");
    let mut count = 0;
    while text.len() < 5 << 20 {
        text.push_str(&line(&format!("006{count:07}"), "padding padding padding padding", "1", "2024-03-01"));
        text.push('\n');
        count += 1;
    }
    text.push_str(&line("006LATE", "x", "\"399,00\"", "25/12/2024"));
    text.push('\n');
    let path = folder.write("deals.csv", text);
    let outcome = load(&path, &folder.lake()).unwrap();
    assert_eq!((outcome.loaded, outcome.rejected), (count + 1, 0));
    let late: Vec<_> = rows(&folder.lake(), "deals", &COLUMNS).into_iter().filter(|row| row[0] == "006LATE").collect();
    assert_eq!(late[0][4..], ["399.0000", "2024-12-25"]);
}

#[test]
fn chunks_and_threads_change_nothing() {
    use crate::file::{Recognised, Settled, recognise};
    let mut text = format!("{HEADER}\n");
    let mut seed = 11u64;
    for index in 0..2_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let name =
            ["plain", "\"quoted, \"\"x\"\"\"", "\"two\nlines\"", "5\" pipe", "\"open", ""][(seed >> 40) as usize % 6];
        text.push_str(&line(&format!("006{index:05}"), name, "1", "2024-03-01"));
        text.push('\n');
    }
    let folder = Folder::new();
    let input = crate::input::collect(&[folder.write("deals.csv", &text)]).unwrap().remove(0);
    let crate::input::State::Text(decoded) = &input.state else { panic!() };
    let settled = Settled { date_order: None, decimal_comma: None, zone: crate::coerce::date::Zone::Utc };
    let profiles = crate::run::built_in().unwrap();
    let Recognised::Table(file) = recognise("deals.csv", decoded, profiles, 0, &settled).unwrap() else { panic!() };
    let mut reference: Option<(Vec<String>, Vec<String>)> = None;
    for (chunk, threads) in [(100 << 20, 1), (200, 1), (997, 3), (4_096, 2), (65_536, 4)] {
        let (found, totals) = crate::pipeline::run(std::slice::from_ref(&*file), "b", threads, chunk, |rows| {
            let mut found = Vec::new();
            for batch in rows {
                let batch = batch.unwrap();
                let options = arrow::util::display::FormatOptions::default();
                for name in ["deal_id", "name", "source_line"] {
                    let column = batch.column_by_name(name).unwrap();
                    let text = arrow::util::display::ArrayFormatter::try_new(column.as_ref(), &options).unwrap();
                    found.extend((0..batch.num_rows()).map(|row| (name, text.value(row).to_string())));
                }
            }
            let mut sorted: Vec<String> = found.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
            sorted.sort();
            sorted
        });
        let rejects: Vec<String> = totals.files[0]
            .rejects
            .iter()
            .map(|reject| format!("{} {} {}", reject.line, reject.offset, reject.raw.as_deref().unwrap_or("")))
            .collect();
        assert_eq!(totals.files[0].read, totals.files[0].rows + rejects.len() as u64);
        assert!(!rejects.is_empty());
        match &reference {
            None => reference = Some((found, rejects)),
            Some(reference) => assert_eq!((&found, &rejects), (&reference.0, &reference.1), "{chunk} {threads}"),
        }
    }
}

#[test]
fn newest_version_wins_and_history_is_kept() {
    let folder = Folder::new();
    let night = |stage: &str, amount: &str, modified: &str, closed: &str| {
        format!(
            "{HEADER}\n006A,Alpha,001,{stage},{amount},2024-03-01,{closed},{closed},10,2024-01-01T00:00:00.000Z,{modified}\n"
        )
    };
    let first = folder.write("1/o.csv", night("Prospecting", "10", "2024-01-02T00:00:00.000Z", "false"));
    let second = folder.write("2/o.csv", night("Closed Won", "12.5", "2024-03-01T10:00:00.000Z", "true"));
    load(&first, &folder.lake()).unwrap();
    let outcome = load(&second, &folder.lake()).unwrap();
    let changes = outcome.tables.iter().find(|table| table.table == "stage_changes").unwrap();
    assert_eq!(changes.derived, 1);
    let columns = ["deal_id", "changed_at", "from_stage", "stage", "status", "amount", "origin"];
    assert_eq!(
        rows(&folder.lake(), "stage_changes", &columns),
        [["006A", "2024-03-01T10:00:00Z", "Prospecting", "Closed Won", "won", "12.5000", "snapshot_diff"]]
    );
    // An old export again does not take the deal back.
    let third = folder.write("3/o.csv", night("Qualification", "11", "2024-02-01T00:00:00.000Z", "false"));
    let outcome = load(&third, &folder.lake()).unwrap();
    assert_eq!((outcome.loaded, outcome.duplicate), (0, 1));
    assert_eq!(rows(&folder.lake(), "deals", &["stage"]), [["Closed Won"]]);
}

#[test]
fn a_full_export_deletes_only_when_nothing_was_rejected() {
    let folder = Folder::new();
    let full = IngestOptions { full: true, allow_shrink: true, ..IngestOptions::default() };
    let all = format!("{HEADER}\n{}\n{}\n", line("006A", "x", "1", "2024-03-01"), line("006B", "x", "1", "2024-03-01"));
    load(&folder.write("1.csv", &all), &folder.lake()).unwrap();
    let broken = all.replace("006B,x,001,Prospecting,1", "006B,x,001,Prospecting,one");
    load_with(&folder.write("2.csv", broken), &folder.lake(), &full).unwrap();
    assert_eq!(rows(&folder.lake(), "deals", &["is_deleted"]), [["false"], ["false"]]);
    let less = format!("{HEADER}\n{}\n", line("006A", "y", "1", "2024-03-01"));
    load_with(&folder.write("3.csv", less), &folder.lake(), &full).unwrap();
    assert_eq!(rows(&folder.lake(), "deals", &["deal_id", "is_deleted"]), [["006A", "false"], ["006B", "true"]]);
}

#[test]
fn unknown_and_unreadable_files_are_accounted_for() {
    let folder = Folder::new();
    folder.write("in/deals.csv", clean());
    folder.write("in/empty.csv", "");
    folder.write("in/header.csv", format!("{HEADER}\n"));
    folder.write("in/other.csv", "colour,taste\nred,sweet\n\nblue,\"sour\n");
    folder.write("in/picture.csv", [0u8, 1, 2, 3, 4, 5, 6, 7, 0, 0, 1, 9]);
    let outcome = load(&folder.0.join("in"), &folder.lake()).unwrap();
    assert_eq!((outcome.loaded, outcome.rejected, outcome.furniture), (2, 3, 1));
    assert_eq!(
        reasons(&folder.lake()),
        ["other.csv 2 unrecognised_file ∅", "other.csv 4 unrecognised_file ∅", "picture.csv 1 no_text ∅"]
    );
    for (name, bytes) in [("x.csv", &b""[..]), ("y.csv", b"colour\nred\n"), ("z.csv", b"\0\x01\x02\x03\0\x01\x02\x03")]
    {
        let error = load(&folder.write(name, bytes), &folder.0.join("none")).unwrap_err();
        assert!(matches!(&error, IngestError::NothingLoaded { details } if details.contains(name)), "{error}");
    }
    assert!(!folder.0.join("none").exists());
    let gone = load(&folder.0.join("absent"), &folder.lake()).unwrap_err();
    assert!(matches!(gone, IngestError::NoSuchPath { .. }));
}

#[test]
fn plain_csvs_take_the_system_of_their_neighbours() {
    let folder = Folder::new();
    folder.write("in/deals.csv", clean());
    folder.write(
        "in/targets.csv",
        "scope,scope_name,metric,period_start,period_end,target_value\nteam,North,revenue,2024-01-01,2024-03-31,1000\n",
    );
    folder.write("in/fx_rates.csv", "from_currency,to_currency,rate_date,rate\nEUR,USD,2024-01-01,1.08123456\n");
    load(&folder.0.join("in"), &folder.lake()).unwrap();
    assert_eq!(
        rows(&folder.lake(), "targets", &["source_system", "target_id", "target_value"]),
        [["salesforce", "team|North||||revenue|2024-01-01|2024-03-31", "1000.0000"]]
    );
    assert_eq!(rows(&folder.lake(), "fx_rates", &["rate_id", "rate"]), [["EUR|USD||2024-01-01", "1.08123456"]]);
    let alone = folder.0.join("alone");
    load(&folder.0.join("in/fx_rates.csv"), &alone).unwrap();
    assert_eq!(rows(&alone, "fx_rates", &["source_system"]), [["csv"]]);
}

#[test]
fn wide_stage_dates_become_stage_changes() {
    let folder = Folder::new();
    let path = folder.write(
        "hubspot-deals.csv",
        "Record ID,Deal Name,Deal Stage,Pipeline,Amount,Close Date,Create Date,Deal owner,Deal probability,\"Date entered \"\"Qualified (Sales)\"\"\",\"Date entered \"\"Closed Won (Sales)\"\"\",Colour\n\
         17,A,Closed Won,Sales,10,2024-03-01 10:00,2024-01-01 09:00,Ann@X.com,1.0,2024-01-05 08:00,2024-03-01 10:00,red\n\
         18,B,Qualified,Sales,,2024-09-01,2024-01-02,bo@x.com,0.14285714285714285,2024-01-06 08:00,,\n",
    );
    let outcome = load(&path, &folder.lake()).unwrap();
    assert_eq!((outcome.loaded, outcome.rejected), (2, 0));
    assert_eq!(
        rows(&folder.lake(), "stage_changes", &["deal_id", "changed_at", "stage", "status", "origin"]),
        [
            ["17", "2024-01-05T08:00:00Z", "Qualified", "open", "wide_date_entered"],
            ["17", "2024-03-01T10:00:00Z", "Closed Won", "won", "wide_date_entered"],
            ["18", "2024-01-06T08:00:00Z", "Qualified", "open", "wide_date_entered"],
        ]
    );
    assert_eq!(
        rows(&folder.lake(), "deals", &["deal_id", "owner_id", "owner_name", "probability", "extra"]),
        [
            ["17", "ann@x.com", "Ann@X.com", "1.0000", "{\"Colour\":\"red\"}"],
            ["18", "bo@x.com", "bo@x.com", "0.1429", "∅"],
        ]
    );
}

#[test]
fn a_mapping_of_the_users_own() {
    let folder = Folder::new();
    let mapping = folder.write(
        "acme.yaml",
        "source: acme\nentity: Deals\ntable: deals\nfingerprints: [[Opp No, Phase]]\ncolumns:\n  deal_id: [Opp No]\n  amount: [Wert (EUR)]\n  currency: {from: [Cur], map: {eur: EUR}}\n  stage: [Phase]\n  status:\n    rules: [{when: {stage: [\"*gewonnen*\"]}, then: won}, {when: {stage: [verloren]}, then: lost}]\n    default: open\n",
    );
    let path = folder.write(
        "acme.csv",
        "Opp No,Phase,Wert (EUR),Note\n1,Gewonnen!,5,\"a \"\"b\"\"\n\"\n2,Verloren,6,\n3,Angebot,7,\n",
    );
    let options = IngestOptions { mapping: Some(mapping), ..IngestOptions::default() };
    load_with(&path, &folder.lake(), &options).unwrap();
    assert_eq!(
        rows(
            &folder.lake(),
            "deals",
            &["source_system", "deal_id", "status", "amount", "currency", "extra", "source_line"]
        ),
        [
            ["acme", "1", "won", "5.0000", "EUR", "{\"Note\":\"a \\\"b\\\"\\n\"}", "2"],
            ["acme", "2", "lost", "6.0000", "EUR", "∅", "4"],
            ["acme", "3", "open", "7.0000", "EUR", "∅", "5"],
        ]
    );
    let bad = folder
        .write("bad.yaml", "source: acme\nentity: Deals\ntable: deals\nfingerprints: [[x]]\ncolumns:\n  colour: [x]\n");
    let options = IngestOptions { mapping: Some(bad), ..IngestOptions::default() };
    let error = load_with(&path, &folder.lake(), &options).unwrap_err();
    assert!(matches!(error, IngestError::BadMapping { line: 6, .. }), "{error}");
}

#[test]
fn ads_reports() {
    let folder = Folder::new();
    folder.write(
        "google.csv",
        "Campaign report\n\"September 1, 2026 - September 3, 2026\"\nDay,Campaign,Currency code,Cost,Impr.,Clicks,Device\n2026-09-01,Brand,EUR,\"1,234.50\",\"10,000\",12,phone\n2026-09-01,Brand,EUR,2.50,--,1,desktop\nTotal: Account,,EUR,\"1,237.00\",\"10,000\",13,\n",
    );
    folder.write("meta.csv", "Reporting starts,Reporting ends,Campaign name,Amount spent (USD),Impressions,Link clicks\n2026-09-01,2026-09-01,Spring,99.99,5,2\n");
    let outcome = load(&folder.0, &folder.lake()).unwrap();
    assert_eq!((outcome.loaded, outcome.rejected, outcome.furniture), (3, 0, 3));
    assert_eq!(
        rows(&folder.lake(), "spend", &["channel", "campaign", "amount", "currency", "impressions"]),
        [
            ["Google Ads", "Brand", "1234.5000", "EUR", "10000"],
            ["Google Ads", "Brand", "2.5000", "EUR", "∅"],
            ["Meta Ads", "Spring", "99.9900", "USD", "5"],
        ]
    );
}

#[test]
fn the_example_exports_load_without_a_reject() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets");
    let expected: [(&str, u64); 10] = [
        ("salesforce", 17),
        ("hubspot", 7),
        ("pipedrive", 3),
        ("zoho", 2),
        ("dynamics", 3),
        ("stripe", 2),
        ("ads", 3),
        ("plain", 18),
        ("chargebee", 4),
        ("surveymonkey", 3),
    ];
    for (vendor, records) in expected {
        let folder = Folder::new();
        let outcome = load(&root.join(vendor), &folder.lake()).unwrap();
        assert_eq!(reasons(&folder.lake()), Vec::<String>::new(), "{vendor}");
        assert_eq!(outcome.loaded + outcome.duplicate, records, "{vendor}");
        assert!(outcome.files.iter().all(|file| file.table.is_some()), "{vendor}");
    }
    let folder = Folder::new();
    load(&root.join("pipedrive"), &folder.lake()).unwrap();
    assert_eq!(
        rows(&folder.lake(), "deals", &["deal_id", "status", "amount", "close_date", "probability"]),
        [
            ["11", "won", "64000.0000", "2024-03-20", "1.0000"],
            ["12", "open", "120500.5000", "2024-06-30", "0.4000"],
            ["13", "lost", "88000.0000", "2024-03-01", "0.0000"],
        ]
    );
    let folder = Folder::new();
    load(&root.join("dynamics"), &folder.lake()).unwrap();
    assert_eq!(
        rows(&folder.lake(), "deals", &["status", "amount", "close_date", "loss_reason"]),
        [
            ["lost", "80000.0000", "2024-03-12", "Canceled"],
            ["open", "42000.0000", "2024-06-30", "∅"],
            ["won", "240000.0000", "2024-03-11", "∅"],
        ]
    );
    let folder = Folder::new();
    load(&root.join("stripe"), &folder.lake()).unwrap();
    assert_eq!(
        rows(&folder.lake(), "subscriptions", &["subscription_id", "mrr_amount", "currency", "end_date"]),
        [["sub_0001", "49.0000", "EUR", "∅"], ["sub_0002", "15.8333", "EUR", "2024-02-20"]]
    );
}

#[test]
fn the_state_before_is_filled_from_the_history_itself() {
    let folder = Folder::new();
    let root =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/salesforce/OpportunityHistory.csv");
    load(&root, &folder.lake()).unwrap();
    assert_eq!(
        rows(&folder.lake(), "stage_changes", &["changed_at", "from_stage", "stage", "from_status", "status"]),
        [
            ["2024-01-10T08:30:00Z", "∅", "Prospecting", "∅", "open"],
            ["2024-02-20T12:00:00Z", "Prospecting", "Negotiation/Review", "open", "open"],
            ["2024-03-28T16:20:00Z", "Negotiation/Review", "Closed Won", "open", "won"],
        ]
    );
}

#[test]
fn one_list_of_activities_of_every_kind() {
    let folder = Folder::new();
    let path = folder.write(
        "activities.csv",
        "Record ID,Activity type,Activity date,Activity owner,Subject,Call duration,Call direction,Call outcome,Meeting start time,Meeting end time,Associated Deal IDs\n\
         1,Call,2024-03-01 10:00,a@x.com,Call,61500,Outbound,Connected,,,17\n\
         2,Meeting,2024-03-02 10:00,a@x.com,Meeting,,,,2024-03-02 10:00,2024-03-02 10:45,17;18\n\
         3,Postcard,2024-03-02 10:00,a@x.com,Hello,,,,,,\n",
    );
    load(&path, &folder.lake()).unwrap();
    assert_eq!(
        rows(
            &folder.lake(),
            "activities",
            &["activity_id", "activity_type", "duration_seconds", "direction", "deal_id", "outcome"]
        ),
        [
            ["1", "call", "62", "outbound", "17", "Connected"],
            ["2", "meeting", "2700", "∅", "17", "∅"],
            ["3", "Postcard", "∅", "∅", "∅", "∅"],
        ]
    );
}

#[test]
fn a_workbook_under_any_name() {
    let parts: [(&str, &str); 6] = [
        (
            "[Content_Types].xml",
            r#"<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/><Override PartName="/xl/styles.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"/></Types>"#,
        ),
        (
            "_rels/.rels",
            r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#,
        ),
        (
            "xl/workbook.xml",
            r#"<?xml version="1.0"?><workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="Deals" sheetId="1" r:id="rId1"/></sheets></workbook>"#,
        ),
        (
            "xl/_rels/workbook.xml.rels",
            r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/></Relationships>"#,
        ),
        (
            "xl/styles.xml",
            r#"<?xml version="1.0"?><styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>"#,
        ),
        (
            "xl/worksheets/sheet1.xml",
            r#"<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="2"><c r="A2" t="inlineStr"><is><t>Opportunity ID</t></is></c><c r="B2" t="inlineStr"><is><t>Stage</t></is></c><c r="C2" t="inlineStr"><is><t>Amount</t></is></c><c r="D2" t="inlineStr"><is><t>Close Date</t></is></c></row><row r="3"><c r="A3" t="inlineStr"><is><t>006A</t></is></c><c r="B3" t="inlineStr"><is><t>Closed Won, at last</t></is></c><c r="C3"><v>1000.5</v></c><c r="D3" s="1"><v>45352</v></c></row></sheetData></worksheet>"#,
        ),
    ];
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in parts {
        writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    let folder = Folder::new();
    let path = folder.write("renamed.csv", writer.finish().unwrap().into_inner());
    load(&path, &folder.lake()).unwrap();
    assert_eq!(
        rows(&folder.lake(), "deals", &["deal_id", "stage", "amount", "close_date", "source_line"]),
        [["006A", "Closed Won, at last", "1000.5000", "2024-03-01", "3"]]
    );
}

#[test]
fn salesforce_ids_meet_in_one_spelling() {
    let folder = Folder::new();
    folder.write(
        "a-report.csv",
        "Opportunity ID,Opportunity Name,Stage,Amount,Close Date\n0061G00000Ja7B6,A,Proposal,1,2024-03-01\n",
    );
    folder.write("b-lines.csv", "Id,OpportunityId,Quantity,UnitPrice\n00k1G00000A3iyqQAB,0061G00000Ja7B6QAJ,2,5\n");
    load(&folder.0, &folder.lake()).unwrap();
    assert_eq!(rows(&folder.lake(), "deals", &["deal_id"]), rows(&folder.lake(), "line_items", &["deal_id"]));
}

#[test]
fn zones_move_instants_but_not_plain_dates() {
    let folder = Folder::new();
    let path = folder.write(
        "deals.csv",
        "Record ID,Deal Name,Deal Stage,Close Date,Create Date\n1,A,New,2024-04-01 00:30,2024-03-31T23:30:00Z\n2,B,New,2024-04-01,2024-01-01\n",
    );
    let options = IngestOptions { timezone: Some("Europe/Berlin".to_owned()), ..IngestOptions::default() };
    load_with(&path, &folder.lake(), &options).unwrap();
    assert_eq!(
        rows(&folder.lake(), "deals", &["close_date", "created_date", "created_at"]),
        [["2024-04-01", "2024-01-01", "2023-12-31T23:00:00Z"], ["2024-04-01", "2024-04-01", "2024-03-31T23:30:00Z"],]
    );
    let options = IngestOptions { timezone: Some("Mars/Base".to_owned()), ..IngestOptions::default() };
    assert!(matches!(load_with(&path, &folder.lake(), &options).unwrap_err(), IngestError::UnknownTimezone { .. }));
}
