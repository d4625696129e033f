//! Published data sets whose answers were computed independently, from the raw files.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::civil::Date;

use super::lake::{content, difference, files, sequence};
use super::program::{Table, call, ingest, real_data, scratch};

/// Rounds a decimal text to two digits, as the known answers give it.
fn hundredths(value: &str) -> String {
    format!("{:.2}", value.parse::<f64>().unwrap())
}

fn query(words: &str, lake: &Path) -> Table {
    call("query").words(words).lake(lake).words("--format csv").works().table()
}

#[test]
fn maven_totals() {
    let Some(data) = real_data("maven-crm/original") else { return };
    let folder = scratch();
    let lake = folder.path().join("lake");
    let answer = ingest(&data, &lake);
    assert!(
        answer.err.contains("8949 records read = 8927 loaded + 0 rejected + 0 duplicate + 22 furniture"),
        "{answer:?}"
    );

    let totals = query(
        "revenue deals_won deals_lost win_rate open_pipeline_count sales_cycle_mean sales_cycle_lost_mean",
        &lake,
    );
    let total = |kpi| totals.value(&[("kpi", kpi)]);
    assert_eq!(total("revenue"), "10005534");
    assert_eq!(totals.cell("unit", &[("kpi", "revenue")]), "USD");
    assert_eq!(total("deals_won"), "4238");
    assert_eq!(total("deals_lost"), "2473");
    assert_eq!(total("open_pipeline_count"), (1_589 + 500).to_string());
    assert!(total("win_rate").starts_with("0.631500"), "{totals:?}");
    assert_eq!(totals.cell("numerator", &[("kpi", "win_rate")]), "4238");
    assert_eq!(totals.cell("denominator", &[("kpi", "win_rate")]), (4_238 + 2_473).to_string());
    assert_eq!(hundredths(&total("sales_cycle_mean")), "51.78");
    assert_eq!(hundredths(&total("sales_cycle_lost_mean")), "41.48");

    let quarters = query("deals_won revenue --grain quarter", &lake);
    let expected =
        [("Q1", "531", "1134672"), ("Q2", "1254", "3086111"), ("Q3", "1257", "2982255"), ("Q4", "1196", "2802496")];
    for (quarter, won, revenue) in expected {
        let period = format!("2017-{quarter}");
        assert_eq!(quarters.value(&[("kpi", "deals_won"), ("period", &period)]), won);
        assert_eq!(quarters.value(&[("kpi", "revenue"), ("period", &period)]), revenue);
    }
    assert_eq!(quarters.rows.len(), 2 * expected.len(), "no other quarters");

    let managers = query("revenue --by manager", &lake);
    let expected = [
        ("Melvin Marxen", "2251930"),
        ("Summer Sewald", "1964750"),
        ("Rocco Neubert", "1960545"),
        ("Celia Rouche", "1603897"),
        ("Cara Losch", "1130049"),
        ("Dustin Brinkmann", "1094363"),
    ];
    for (manager, revenue) in expected {
        assert_eq!(managers.value(&[("manager", manager)]), revenue);
    }
    assert_eq!(managers.rows.len(), expected.len());

    let best = query("revenue --by owner --top 1", &lake);
    assert_eq!(best.value(&[("owner", "Darcel Schlecht")]), "1153214");
    assert_eq!(best.value(&[("owner", "(other)")]), (10_005_534 - 1_153_214).to_string());
    let agents = query("deals_won --by owner", &lake);
    assert_eq!(agents.rows.len(), 30, "five of the 35 agents have no deal");

    let created = query("deals_created", &lake);
    assert_eq!(created.value(&[]), (8_800 - 500).to_string(), "500 deals have no date of creation");
    let stages = query("open_pipeline_count --by stage", &lake);
    assert_eq!(stages.value(&[("stage", "Engaging")]), "1589");
    assert_eq!(stages.value(&[("stage", "Prospecting")]), "500");
}

/// Won, lost, value and days of one manager in one quarter, from the raw files.
#[derive(Default)]
struct Cell {
    won: i64,
    lost: i64,
    value: i64,
    days: i64,
}

fn raw_cells(data: &Path) -> BTreeMap<(String, String), Cell> {
    let teams = Table::read(&data.join("sales_teams.csv"));
    let deals = Table::read(&data.join("sales_pipeline.csv"));
    let mut cells: BTreeMap<_, Cell> = BTreeMap::new();
    for deal in &deals.rows {
        let text = |column: &str| deal[deals.position(column)].as_str();
        let day = |column: &str| text(column).parse::<Date>();
        let (stage, Ok(closed)) = (text("deal_stage"), day("close_date")) else { continue };
        let quarter = format!("{}-Q{}", closed.year(), (closed.month() - 1) / 3 + 1);
        let manager = teams.cell("manager", &[("sales_agent", text("sales_agent"))]);
        let cell = cells.entry((quarter, manager)).or_default();
        if stage == "Won" {
            cell.won += 1;
            cell.value += text("close_value").parse::<i64>().unwrap();
            cell.days += i64::from((closed - day("engage_date").unwrap()).get_days());
        } else {
            assert_eq!(stage, "Lost");
            cell.lost += 1;
        }
    }
    cells
}

#[test]
fn maven_by_manager_and_quarter_equals_the_raw_file() {
    let Some(data) = real_data("maven-crm/original") else { return };
    let folder = scratch();
    let lake = folder.path().join("lake");
    ingest(&data, &lake);
    let answer = query("win_rate revenue deals_won sales_cycle_mean --by manager --grain quarter", &lake);
    let header = "kpi grain period_start period manager value unit numerator denominator rows";
    assert_eq!(answer.header.join(" "), header);
    let cells = raw_cells(&data);
    assert_eq!(cells.len(), 6 * 4);
    assert_eq!(answer.rows.len(), 4 * cells.len());
    for ((quarter, manager), cell) in &cells {
        let at =
            |wanted: &str, kpi: &str| answer.cell(wanted, &[("kpi", kpi), ("period", quarter), ("manager", manager)]);
        assert_eq!(at("value", "deals_won"), cell.won.to_string());
        assert_eq!(at("value", "revenue"), cell.value.to_string());
        assert_eq!(at("numerator", "win_rate"), cell.won.to_string());
        assert_eq!(at("denominator", "win_rate"), (cell.won + cell.lost).to_string());
        assert_eq!(at("rows", "win_rate"), (cell.won + cell.lost).to_string());
        let rate: f64 = at("value", "win_rate").parse().unwrap();
        assert!((rate - cell.won as f64 / (cell.won + cell.lost) as f64).abs() < 1e-12, "{quarter} {manager}: {rate}");
        assert_eq!(at("numerator", "sales_cycle_mean"), cell.days.to_string());
        assert_eq!(at("denominator", "sales_cycle_mean"), cell.won.to_string());
    }
}

#[test]
fn maven_saved_again_is_the_same_lake_and_loaded_again_is_no_new_version() {
    let Some(data) = real_data("maven-crm") else { return };
    let folder = scratch();
    let (original, resaved) = (folder.path().join("original"), folder.path().join("resaved"));
    ingest(&data.join("original"), &original);
    ingest(&data.join("resaved"), &resaved);
    let held = content(&original);
    assert_eq!(held["deals"].rows.len(), 8_800);
    assert_eq!(difference(&held, &content(&resaved)), "");
    let words =
        "revenue deals_won win_rate sales_cycle_median deals_created --by manager,product,industry --grain month";
    assert_eq!(query(words, &original), query(words, &resaved));

    let before = files(&original);
    let again = ingest(&data.join("original"), &original);
    assert!(again.err.contains("nothing changed"), "{again:?}");
    assert!(again.table().rows.is_empty(), "{again:?}");
    assert_eq!(sequence(&original), 1);
    assert!(files(&original) == before, "ingesting the same folder again touched the lake's files");
    assert_eq!(difference(&held, &content(&original)), "");
}

#[test]
fn hubspot_deals() {
    let Some(data) = real_data("hubspot-demo") else { return };
    let folder = scratch();
    let lake = folder.path().join("lake");
    ingest(&data, &lake);
    let totals = query("deals_won revenue deals_lost", &lake);
    assert_eq!(totals.value(&[("kpi", "deals_won")]), "71");
    assert_eq!(totals.value(&[("kpi", "revenue")]), "8934361.48");
    assert_eq!(totals.value(&[("kpi", "deals_lost")]), "69");
    let reasons = query("deals_lost --by loss_reason", &lake);
    let count = |row: &Vec<String>| row[reasons.position("value")].parse::<u32>().unwrap();
    let (named, unnamed): (Vec<_>, Vec<_>) =
        reasons.rows.iter().partition(|row| !row[reasons.position("loss_reason")].is_empty());
    assert_eq!(named.iter().map(|row| count(row)).sum::<u32>(), 56);
    assert_eq!(unnamed.iter().map(|row| count(row)).sum::<u32>(), 69 - 56, "a null segment is shown, not dropped");
}

#[test]
fn ravenstack_recurring_revenue() {
    let Some(data) = real_data("ravenstack-saas/data") else { return };
    let folder = scratch();
    let lake = folder.path().join("lake");
    ingest(&data, &lake);
    let totals = query("mrr arr", &lake);
    assert_eq!(totals.value(&[("kpi", "mrr")]), "10159608");
    assert_eq!(totals.value(&[("kpi", "arr")]), (12 * 10_159_608).to_string());
    let count = |table: &str, condition: &str| {
        let statement = format!("SELECT count(*) AS n FROM {table} WHERE {condition}");
        call("sql --format csv").arg(statement).lake(&lake).works().table().column("n")[0].to_owned()
    };
    assert_eq!(count("subscriptions", "end_date IS NULL"), "4514");
    assert_eq!(count("subscriptions", "is_trial"), "778");
    assert_eq!(count("subscriptions", "is_trial AND mrr_amount = 0"), "778");
    assert_eq!(count("tickets", "satisfaction_score IS NULL"), "825");
    for (score, tickets) in [(3, "396"), (4, "405"), (5, "374")] {
        assert_eq!(count("tickets", &format!("satisfaction_score = {score}")), tickets);
    }
}
