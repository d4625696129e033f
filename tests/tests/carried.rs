//! Fact tables that were carried over from night to night, against those made from all rows.
//!
//! A lake gets a few changed, new and deleted rows, several times, and every KPI is asked for after
//! each of them: once of the lake as it stands, with the fact tables of the night before at hand, and
//! once of a copy that has none. The answers must be the same to the last line.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use dealframe_lake::{BatchRecord, Lake, UpsertOptions};
use dealframe_model::calendar::Grain;
use dealframe_model::date;
use dealframe_model::table::{TABLES, Table};
use dealframe_query::request::{Request, Settings};
use dealframe_query::{Engine, Verified};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;

use crate::sql_engines::{Dice, Row, SEGMENTS, batch_of, lines, request, row};

const DEALS: u64 = 900;

/// Rows of the first night: enough that a few changed ones are few.
fn count(table: &str) -> u64 {
    match table {
        "deals" => DEALS,
        "fx_rates" => 0,
        other => crate::sql_engines::count(other) * 3 / 2,
    }
}

fn table(name: &str) -> &'static Table {
    TABLES.iter().find(|table| table.name == name).unwrap()
}

/// One night of a lake: rows by table, and whether they are all there are.
struct Night {
    rows: Vec<(&'static str, Vec<Row>)>,
    full: bool,
}

impl Night {
    fn load(&self, lake: &Path, name: &str) {
        let mut batch = Lake::create_or_open(lake).unwrap().writer().unwrap().begin(name).unwrap();
        for (name, rows) in &self.rows {
            if !rows.is_empty() {
                let options = UpsertOptions { full: self.full, allow_shrink: true, ..UpsertOptions::default() };
                batch.upsert(table(name), &mut [Ok(batch_of(table(name), rows))].into_iter(), options).unwrap();
            }
        }
        batch.commit(BatchRecord { as_of: date::parse("2017-06-20"), ..BatchRecord::default() }).unwrap();
    }
}

fn rows(name: &'static str, numbers: impl Iterator<Item = u64>, dice: &mut Dice) -> (&'static str, Vec<Row>) {
    (name, numbers.map(|number| row(table(name), number, false, dice)).collect())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            // Only what is derived stays behind.
            if entry.file_name() != "_facts" {
                copy(&entry.path(), &target);
            }
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// What is asked of deals: sums, ratios, distinct counts, medians, and what the first won deal of an account decides.
const OF_DEALS: [&str; 15] = [
    "revenue",
    "win_rate",
    "win_rate_created_by_value",
    "deals_lost",
    "sales_cycle_median",
    "sales_cycle_from_lead_mean",
    "buying_customers",
    "new_customers",
    "new_customer_revenue",
    "repeat_revenue_share",
    "loss_reason_share",
    "margin_rate",
    "open_pipeline_value",
    "revenue_growth_year_ago",
    "retention_rate_identity",
];

/// A lake whose aggregates are kept, small as they are, or one that sums up everything anew.
fn opened(lake: &Path, keeps: bool) -> Engine {
    Engine::open(lake, Settings { keeps_from: Some(if keeps { 0 } else { u64::MAX }), ..Settings::default() }).unwrap()
}

fn answers_of_deals(lake: &Path, keeps: bool) -> Vec<(String, String)> {
    let engine = opened(lake, keeps);
    let known = OF_DEALS.map(str::to_owned).to_vec();
    answers(&engine, known)
}

fn all_answers(lake: &Path, keeps: bool) -> Vec<(String, String)> {
    let engine = opened(lake, keeps);
    let ids = engine.catalogue().ids().map(str::to_owned).collect();
    answers(&engine, ids)
}

/// Every KPI, whole and by the first segment that it has.
fn answers(engine: &Engine, ids: Vec<String>) -> Vec<(String, String)> {
    let ask = |request: Request| engine.run(&[request]).map(|frames| format!("{:?}", lines(&frames[0])));
    let mut found = Vec::new();
    for id in ids {
        found.push((id.clone(), ask(request(&id, &[], Grain::Month)).unwrap()));
        let split =
            SEGMENTS.iter().find_map(|segment| Some((segment, ask(request(&id, &[segment], Grain::Quarter)).ok()?)));
        found.extend(split.map(|(segment, answer)| (format!("{id} by {segment}"), answer)));
    }
    found
}

/// Fact tables at rest and how many of their rows lie in layers, by table.
fn carried(lake: &Path) -> BTreeMap<String, Vec<(PathBuf, u64)>> {
    let mut found: BTreeMap<String, Vec<(PathBuf, u64)>> = BTreeMap::new();
    for entry in fs::read_dir(lake.join("_facts")).unwrap() {
        let path = entry.unwrap().path();
        let Ok(text) = fs::read_to_string(path.join("fact.json")) else { continue };
        let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
        if let Some(layers) = manifest["carried"].as_object() {
            let rows = layers["removed_rows"].as_u64().unwrap() + layers["added_rows"].as_u64().unwrap();
            found.entry(manifest["table"].as_str().unwrap().to_owned()).or_default().push((path, rows));
        }
    }
    found
}

/// Loads nights one after the other and compares; the tables that were carried over at the end of each.
fn compared(
    nights: &[Night],
    answers: fn(&Path, bool) -> Vec<(String, String)>,
) -> Vec<BTreeMap<String, Vec<(PathBuf, u64)>>> {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let mut seen = Vec::new();
    for (number, night) in nights.iter().enumerate() {
        night.load(&lake, &format!("night-{number}"));
        let fresh = folder.path().join(format!("fresh-{number}"));
        copy(&lake, &fresh);
        let (here, anew) = (answers(&lake, true), answers(&fresh, false));
        assert_eq!(here.len(), anew.len());
        for ((name, found), (_, expected)) in here.iter().zip(&anew) {
            assert_eq!(found, expected, "{name} of night {number}");
        }
        assert!(carried(&fresh).is_empty());
        // Once more, with all that was kept a moment ago.
        assert_eq!(answers(&lake, true), here, "night {number}");
        let kept = opened(&lake, true).verify_rollups().unwrap();
        assert!(kept.iter().any(|table| table.table == "deals" && table.aggregates > 5), "{kept:?}");
        assert!(kept.iter().any(|table| table.table == "deals"));
        assert!(kept.iter().all(Verified::is_equal), "{kept:?}");
        seen.push(carried(&lake));
    }
    seen
}

fn first_night(dice: &mut Dice) -> Night {
    let rows = TABLES.iter().map(|table| rows(table.name, 0..count(table.name), dice)).collect();
    Night { rows, full: false }
}

/// Some rows again with other content, and some new ones.
fn some(name: &'static str, changed: u64, new: u64, known: &mut u64, dice: &mut Dice) -> (&'static str, Vec<Row>) {
    let mut numbers: Vec<u64> = (0..changed).map(|_| dice.below(*known)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.extend(*known..*known + new);
    *known += new;
    rows(name, numbers.into_iter(), dice)
}

#[test]
fn nights_of_changed_deals_give_the_answers_of_all_rows() {
    for seed in [3, 8, 21] {
        let mut dice = Dice(seed);
        let mut deals = DEALS;
        let mut nights = vec![first_night(&mut dice)];
        for _ in 0..5 {
            nights.push(Night { rows: vec![some("deals", 4, 1, &mut deals, &mut dice)], full: false });
        }
        let seen = compared(&nights, answers_of_deals);
        // The layers grow, until there is too much in them and everything is read anew.
        let layered = |tables: &BTreeMap<String, Vec<(PathBuf, u64)>>| {
            tables.get("deals").map_or(0, |tables| tables.iter().map(|(_, rows)| *rows).max().unwrap_or(0))
        };
        assert_eq!(layered(&seen[0]), 0);
        assert!(layered(&seen[1]) > 0, "nothing was carried over after the first night");
        assert!(layered(&seen[2]) > layered(&seen[1]), "the second night does not build on the first");
    }
}

#[test]
fn other_tables_are_carried_over_as_well() {
    let mut dice = Dice(5);
    let mut nights = vec![first_night(&mut dice)];
    let names =
        ["activities", "orders", "subscriptions", "tickets", "surveys", "spend", "referrals", "line_items", "leads"];
    let mut known = names.map(count);
    for _ in 0..2 {
        let rows = names.iter().zip(&mut known).map(|(name, known)| some(name, 2, 1, known, &mut dice)).collect();
        nights.push(Night { rows, full: false });
    }
    let seen = compared(&nights, all_answers);
    for name in ["activities", "orders", "tickets", "surveys"] {
        assert!(seen[1].contains_key(name), "{name} was not carried over: {:?}", seen[1].keys());
    }
}

#[test]
fn a_changed_dimension_is_never_carried_over() {
    let mut dice = Dice(13);
    let (mut deals, mut accounts) = (DEALS, count("accounts"));
    let nights = vec![
        first_night(&mut dice),
        Night {
            rows: vec![some("accounts", 3, 0, &mut accounts, &mut dice), some("deals", 5, 1, &mut deals, &mut dice)],
            full: false,
        },
        Night { rows: vec![some("deals", 5, 1, &mut deals, &mut dice)], full: false },
    ];
    let seen = compared(&nights, answers_of_deals);
    assert!(!seen[1].contains_key("deals"), "deals were carried over although accounts changed");
    assert!(seen[2].contains_key("deals"));
}

#[test]
fn deleted_and_restored_deals_leave_and_come_back() {
    let mut dice = Dice(34);
    let first = first_night(&mut dice);
    let deals: Vec<Row> = first.rows.iter().find(|(name, _)| *name == "deals").unwrap().1.clone();
    let without = |gone: &dyn Fn(usize) -> bool| -> Night {
        let left = deals.iter().enumerate().filter(|(number, _)| !gone(*number)).map(|(_, row)| row.clone()).collect();
        Night { rows: vec![("deals", left)], full: true }
    };
    let back: Vec<Row> =
        deals.iter().enumerate().filter(|(number, _)| number % 41 == 7).map(|(_, row)| row.clone()).collect();
    let nights = vec![
        Night { rows: first.rows.clone(), full: false },
        without(&|number| number % 41 == 7),
        without(&|number| number % 41 == 7 || number % 90 == 1),
        Night { rows: vec![("deals", back)], full: false },
    ];
    let seen = compared(&nights, answers_of_deals);
    assert!(seen[1..].iter().all(|tables| tables.contains_key("deals")), "{seen:?}");
}

#[test]
fn two_nights_without_a_question_between_them_are_one_step() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, fresh) = (folder.path().join("lake"), folder.path().join("fresh"));
    let mut dice = Dice(55);
    let mut deals = DEALS;
    first_night(&mut dice).load(&lake, "first");
    drop(answers_of_deals(&lake, true));
    for name in ["second", "third", "fourth"] {
        Night { rows: vec![some("deals", 3, 1, &mut deals, &mut dice)], full: false }.load(&lake, name);
    }
    copy(&lake, &fresh);
    assert_eq!(answers_of_deals(&lake, true), answers_of_deals(&fresh, false));
    assert!(carried(&lake).contains_key("deals"));
}

#[test]
fn a_layer_that_is_not_what_it_should_be_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let mut dice = Dice(144);
    let mut deals = DEALS;
    first_night(&mut dice).load(&lake, "first");
    drop(answers_of_deals(&lake, true));
    Night { rows: vec![some("deals", 3, 1, &mut deals, &mut dice)], full: false }.load(&lake, "second");
    drop(answers_of_deals(&lake, true));
    let (layered, _) = carried(&lake)["deals"][0].clone();
    fs::copy(layered.join("added.parquet"), layered.join("removed.parquet")).unwrap();
    let kept = Engine::open(&lake, Settings::default()).unwrap().verify_rollups().unwrap();
    let deals = kept.iter().find(|table| table.table == "deals").unwrap();
    assert!(!deals.is_equal());
    assert!(deals.differing.iter().any(|column| column == "amount"), "{deals:?}");
}

#[test]
fn what_is_missing_or_damaged_is_made_anew() {
    let mut dice = Dice(89);
    let mut deals = DEALS;
    let nights = [
        first_night(&mut dice),
        Night { rows: vec![some("deals", 3, 1, &mut deals, &mut dice)], full: false },
        Night { rows: vec![some("deals", 3, 1, &mut deals, &mut dice)], full: false },
    ];
    let changes = |lake: &Path| -> Vec<PathBuf> {
        fs::read_dir(lake.join("_changes/deals")).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let facts = |lake: &Path, part: &str| -> Vec<PathBuf> {
        fs::read_dir(lake.join("_facts"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("deals-"))
            .flat_map(|path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>())
            .filter(|path| path.file_name().unwrap().to_str().unwrap().contains(part))
            .collect()
    };
    type Damage<'d> = (&'d str, &'d dyn Fn(&Path));
    let kept = |lake: &Path| -> Vec<PathBuf> {
        let folders = facts(lake, "aggregates");
        folders.iter().flat_map(|path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path())).collect()
    };
    let damages: [Damage<'_>; 8] = [
        ("torn aggregates", &|lake| {
            let files = kept(lake);
            assert!(files.len() > 5, "{files:?}");
            files.iter().for_each(|path| fs::write(path, b"PAR1").unwrap());
        }),
        // Each under the name of the next.
        ("mistaken aggregates", &|lake| {
            let contents: Vec<Vec<u8>> = kept(lake).iter().map(|path| fs::read(path).unwrap()).collect();
            for (path, content) in kept(lake).iter().skip(1).zip(contents) {
                fs::write(path, content).unwrap();
            }
        }),
        ("no changes", &|lake| fs::remove_dir_all(lake.join("_changes")).unwrap()),
        ("half of the changes", &|lake| {
            for path in changes(lake) {
                let bytes = fs::read(&path).unwrap();
                fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
            }
        }),
        ("no dictionary", &|lake| {
            facts(lake, "key-of-accounts").iter().for_each(|path| fs::remove_file(path).unwrap())
        }),
        ("a torn layer", &|lake| facts(lake, "added").iter().for_each(|path| fs::write(path, b"PAR1").unwrap())),
        ("no look-up", &|lake| facts(lake, "lookup").iter().for_each(|path| fs::remove_file(path).unwrap())),
        ("no manifest", &|lake| facts(lake, "fact.json").iter().for_each(|path| fs::write(path, b"{").unwrap())),
    ];
    for (name, damage) in damages {
        let folder = tempfile::tempdir().unwrap();
        let (lake, fresh) = (folder.path().join("lake"), folder.path().join("fresh"));
        for (number, night) in nights.iter().enumerate() {
            night.load(&lake, &format!("night-{number}"));
            if number + 1 < nights.len() {
                drop(answers_of_deals(&lake, true));
            }
        }
        damage(&lake);
        copy(&lake, &fresh);
        assert_eq!(answers_of_deals(&lake, true), answers_of_deals(&fresh, false), "{name}");
    }
}

#[test]
fn aggregates_follow_an_end_that_moves() {
    let mut dice = Dice(55);
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    first_night(&mut dice).load(&lake, "night");
    let ids = ["revenue", "win_rate", "sales_cycle_median", "buying_customers", "open_pipeline_value", "deals_created"];
    let ask = |keeps: bool, from: Option<&str>, to: &str| {
        let engine = opened(&lake, keeps);
        let asked = |id: &str| Request {
            from: from.and_then(date::parse),
            to: date::parse(to),
            ..request(id, &["region"], Grain::Month)
        };
        engine.run(&ids.map(asked)).unwrap().iter().map(|frame| format!("{:?}", lines(frame))).collect::<Vec<_>>()
    };
    // On, back, far on, far back, and to before the day from which on it was asked.
    for from in [None, Some("2015-03-01")] {
        for to in ["2016-05-05", "2016-05-06", "2016-09-30", "2016-02-11", "2017-06-30", "2015-03-02", "2015-02-01"] {
            assert_eq!(ask(true, from, to), ask(false, from, to), "{from:?} to {to}");
        }
    }
    let verified = opened(&lake, true).verify_rollups().unwrap();
    assert!(verified.iter().all(Verified::is_equal), "{verified:?}");
    assert!(verified.iter().any(|table| table.aggregates > 3), "{verified:?}");
}

#[test]
fn an_aggregate_that_is_not_what_it_should_be_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    first_night(&mut Dice(34)).load(&lake, "first");
    drop(answers_of_deals(&lake, true));
    let files = |folder: PathBuf| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_of_deals = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("deals-");
    let deals = files(lake.join("_facts")).find(is_of_deals).unwrap();
    let path = files(deals.join("aggregates")).min().unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&path).unwrap()).unwrap();
    let known = reader.metadata().file_metadata().key_value_metadata().cloned();
    let batch = reader.build().unwrap().next().unwrap().unwrap();
    // One row is counted that is not there.
    let place = batch.schema().index_of("count0").unwrap();
    let mut counts = batch.column(place).as_primitive::<Int64Type>().values().to_vec();
    counts[0] += 1;
    let mut columns = batch.columns().to_vec();
    columns[place] = Arc::new(Int64Array::from(counts));
    let batch = RecordBatch::try_new(batch.schema(), columns).unwrap();
    let properties = WriterProperties::builder().set_key_value_metadata(known).build();
    let mut writer = ArrowWriter::try_new(fs::File::create(&path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let verified = opened(&lake, true).verify_rollups().unwrap();
    let deals = verified.iter().find(|table| table.table == "deals").unwrap();
    assert!(deals.differing.len() == 1 && deals.differing[0].starts_with("the aggregate by"), "{deals:?}");
}
