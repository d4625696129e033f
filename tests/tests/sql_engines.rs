//! Engines, one answer: every KPI as SQL in DuckDB and in Spark against the pipelines of this product.
//!
//! A small lake with nulls, an empty month, orphaned references, two source systems and a
//! segment of a single row is asked for every KPI. Statements and answers are written to a
//! folder; one Python process runs all statements (`compare_with_duckdb.py`,
//! `compare_with_spark.py`) and prints every difference. Without DuckDB its test says so and is
//! skipped, except in continuous integration; that of Spark is skipped wherever Spark is missing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use dealframe_lake::schema::arrow_schema;
use dealframe_lake::{BatchRecord, Lake, UpsertOptions};
use dealframe_model::calendar::{Calendar, Grain};
use dealframe_model::date;
use dealframe_model::frame::{Frame, Number, QUOTIENT_SCALE};
use dealframe_model::table::{ColumnType, TABLES, Table};
use dealframe_query::Engine;
use dealframe_query::request::{Request, Settings};
use serde_json::{Value, json};

pub(crate) type Row = BTreeMap<&'static str, String>;

/// Numbers that look random and are the same in every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    pub(crate) fn one_of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[usize::try_from(self.below(list.len() as u64)).unwrap()]
    }

    /// A day of the world's eighteen months; none in the empty one.
    fn day(&mut self) -> i32 {
        let first = date::from_civil(2016, 1, 1);
        loop {
            let day = first + i32::try_from(self.below(545)).unwrap();
            let (year, month, _) = date::to_civil(day);
            if (year, month) != (2016, 8) {
                return day;
            }
        }
    }
}

/// How many rows of a table the world has.
pub(crate) fn count(table: &str) -> u64 {
    match table {
        "users" => 7,
        "products" => 6,
        "accounts" => 18,
        "deals" => 150,
        "stage_changes" => 220,
        "activities" | "leads" | "line_items" => 120,
        "targets" => 90,
        "fx_rates" => 0,
        _ => 80,
    }
}

fn categories(table: &str, column: &str) -> &'static [&'static str] {
    match (table, column) {
        ("deals" | "stage_changes", "status" | "from_status") => &["open", "won", "won", "won", "lost"],
        ("stage_changes", "origin") => &["history_export", "field_history", "field_history", "snapshot_diff"],
        ("leads", "kind") => &["lead", "lead", "lead", "contact"],
        ("orders", "kind") => &["order", "order", "invoice", "payment", "refund", "credit"],
        ("spend", "kind") => &["marketing", "sales", "fixed", "variable"],
        ("surveys", "kind") => &["nps", "csat", "ces", "review"],
        ("targets", "scope") => &["company", "region", "team", "owner"],
        ("targets", "metric") => &["revenue", "deals_won", "leads"],
        ("activities", "activity_type") => &["call", "meeting", "email", "task"],
        ("events", "event_type") => &["visit", "usage", "churn"],
        ("tickets", "ticket_type") => &["Complaint", "product return", "request"],
        ("deals", "deal_type") => &["new", "Cross-Sell", "Renewal", "upsell"],
        (_, "stage" | "from_stage") => &["Qualify", "Propose", "Negotiate", "It's signed"],
        (_, "region") => &["East", "West", "North & South"],
        (_, "team") => &["Blue", "Red"],
        (_, "lead_source" | "channel") => &["web", "Referral", "fair"],
        _ => &["a", "b", "Ünïcode c"],
    }
}

fn cell(table: &Table, name: &str, kind: ColumnType, references: Option<&str>, dice: &mut Dice) -> String {
    if let Some(to) = references {
        // Some identifiers lead nowhere.
        return format!("{to}-{}", dice.below(count(to).max(1) + 2));
    }
    match kind {
        ColumnType::Text | ColumnType::Json => format!("{name} {}", dice.below(9)),
        ColumnType::Category => dice.one_of(categories(table.name, name)).to_owned(),
        ColumnType::Integer if name.ends_with("minutes") => dice.below(3_000).to_string(),
        ColumnType::Integer => dice.below(5_000).to_string(),
        ColumnType::Money if name == "score" => dice.below(11).to_string(),
        ColumnType::Money if name == "scale_max" => "5".to_owned(),
        ColumnType::Money if name.contains("quantity") => dice.below(20).to_string(),
        ColumnType::Money => format!("{}.{:04}", dice.below(20_000), dice.below(10_000)),
        ColumnType::Fraction => format!("0.{:02}", dice.below(100)),
        ColumnType::Rate => format!("1.{:03}", dice.below(1_000)),
        ColumnType::Boolean => (dice.below(3) == 0).to_string(),
        ColumnType::Date => date::format(dice.day()),
        ColumnType::Timestamp => {
            format!(
                "{}T{:02}:{:02}:{:02}.{:06}Z",
                date::format(dice.day()),
                dice.below(24),
                dice.below(60),
                dice.below(60),
                dice.below(1_000_000)
            )
        }
    }
}

pub(crate) fn row(table: &Table, number: u64, is_mixed: bool, dice: &mut Dice) -> Row {
    let second = dice.below(5) == 0;
    let mut row = Row::new();
    for column in table.own {
        let value = cell(table, column.name, column.kind, column.references, dice);
        let is_null = !column.required && dice.below(7) == 0;
        if column.name == table.key {
            row.insert(column.name, format!("{}-{number}", table.name));
        } else if column.name == "currency" {
            // The subscriptions of one account may be in several currencies.
            let second = if table.name == "subscriptions" { dice.below(3) == 0 } else { second };
            let currency = if is_mixed && second { "EUR" } else { "USD" };
            row.insert("currency", currency.to_owned());
        } else if !is_null {
            row.insert(column.name, value);
        }
    }
    // Both systems use the same identifiers for different things.
    row.insert("source_system", if second { "beta" } else { "alpha" }.to_owned());
    row.insert("is_deleted", (dice.below(20) == 0).to_string());
    row.insert("batch_id", "b".to_owned());
    row.insert("source_file", "world.csv".to_owned());
    row.insert("source_line", number.to_string());
    tidy(table, &mut row, number);
    row
}

/// What a random row must have to be of any use.
fn tidy(table: &Table, row: &mut Row, number: u64) {
    match table.name {
        "users" => {
            row.insert("name", format!("User {number}"));
        }
        "stage_changes" => {
            // Instants are days, all different, so that the order of changes is beyond dispute.
            let day = row["changed_date"].clone();
            row.insert("changed_at", format!("{day}T00:{:02}:{:02}Z", number / 60, number % 60));
        }
        // One deal alone in its region.
        "deals" if number == 3 => {
            row.insert("region", "Alone".to_owned());
        }
        "deals" if number == 4 => {
            row.insert("amount", "0".to_owned());
        }
        "targets" => {
            let start = row["period_start"].clone();
            row.insert("period_start", format!("{}-01", &start[..7]));
            if number.is_multiple_of(4) {
                row.remove("currency");
            }
        }
        // Some lines know their order only.
        "line_items" if number.is_multiple_of(3) => {
            row.remove("deal_id");
        }
        _ => {}
    }
}

pub(crate) fn batch_of(table: &Table, rows: &[Row]) -> RecordBatch {
    let schema = arrow_schema(table);
    let arrays = schema
        .fields()
        .iter()
        .map(|field| -> ArrayRef {
            let texts: StringArray =
                rows.iter().map(|row| row.get(field.name().as_str()).map(String::as_str)).collect();
            let array = cast(&texts, field.data_type()).unwrap();
            assert_eq!(array.null_count(), texts.null_count(), "{} of {}", field.name(), table.name);
            array
        })
        .collect();
    RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap()
}

/// A lake with rows in every table; in a mixed one the second system counts in another currency.
fn lake(path: &Path, is_mixed: bool, seed: u64) {
    lake_of(path, is_mixed, seed, &count);
}

fn lake_of(path: &Path, is_mixed: bool, seed: u64, count: &dyn Fn(&str) -> u64) {
    let mut batch = Lake::create_or_open(path).unwrap().writer().unwrap().begin("world").unwrap();
    let mut dice = Dice(seed);
    for table in TABLES {
        let rows: Vec<Row> = (0..count(table.name)).map(|number| row(table, number, is_mixed, &mut dice)).collect();
        if !rows.is_empty() {
            batch.upsert(table, &mut [Ok(batch_of(table, &rows))].into_iter(), UpsertOptions::default()).unwrap();
        }
    }
    batch.commit(BatchRecord { as_of: date::parse("2017-06-20"), ..BatchRecord::default() }).unwrap();
}

/// A number for the comparison: quotients have a mark, because they are floats in SQL.
fn number(number: Option<Number>) -> Value {
    match number {
        None => Value::Null,
        Some(number) if number.scale == QUOTIENT_SCALE => json!(format!("~{}", number.plain())),
        Some(number) => json!(number.plain()),
    }
}

pub(crate) fn lines(frame: &Frame) -> Vec<Value> {
    frame
        .rows
        .iter()
        .map(|row| {
            let period = &frame.periods[row.period as usize];
            let mut line = vec![
                json!(frame.kpis[row.kpi as usize].id),
                json!(period.grain.name()),
                period.start.map_or(Value::Null, |day| json!(date::format(day))),
                json!(period.label),
            ];
            line.extend((0..frame.segments.len()).map(|segment| json!(frame.label(row, segment))));
            line.extend([
                number(row.value),
                json!(frame.units[row.unit as usize]),
                number(row.numerator),
                number(row.denominator),
                json!(row.rows),
            ]);
            Value::Array(line)
        })
        .collect()
}

/// Statements and answers, one line of JSON each.
struct Cases {
    dialect: &'static str,
    lines: Vec<String>,
    refused: usize,
}

impl Cases {
    fn of(dialect: &'static str) -> Self {
        Self { dialect, lines: Vec::new(), refused: 0 }
    }

    /// Has a script run the statements; it prints the differences and fails where there are any.
    fn compare(self, folder: &Path, script: &str) {
        let file: PathBuf = folder.join("cases.ndjson");
        std::fs::write(&file, self.lines.join("\n")).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script);
        let output = Command::new("python3").arg(script).arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        println!("{said}{} requests were refused by both alike", self.refused);
        assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Adds a request; whether it could be answered. What the one refuses, the other must refuse with the same words.
    fn add(&mut self, engine: &Engine, name: &str, request: &Request) -> bool {
        let answer = engine.run(std::slice::from_ref(request));
        let statement = engine.to_sql(request, self.dialect);
        match (answer, statement) {
            (Ok(frames), Ok(sql)) => {
                let frame = &frames[0];
                let case = json!({
                    "name": name, "kpis": request.kpis, "sql": sql, "columns": frame.columns(), "rows": lines(frame)
                });
                self.lines.push(case.to_string());
                true
            }
            (Err(left), Err(right)) => {
                assert_eq!(left.to_string(), right.to_string(), "{name}");
                self.refused += 1;
                false
            }
            (Ok(_), Err(error)) => panic!("{name}: answered, but no SQL: {error}"),
            (Err(error), Ok(_)) => panic!("{name}: SQL, but no answer: {error}"),
        }
    }
}

pub(crate) fn request(kpi: &str, by: &[&str], grain: Grain) -> Request {
    Request {
        kpis: vec![kpi.to_owned()],
        by: by.iter().map(|name| (*name).to_owned()).collect(),
        grains: vec![grain],
        ..Request::default()
    }
}

/// Segments to try, so that every KPI is split by one.
pub(crate) const SEGMENTS: [&str; 8] =
    ["region", "team", "owner", "source", "stage", "account", "kind", "source_system"];

fn every_kpi(engine: &Engine, cases: &mut Cases) {
    let ids: Vec<String> = engine.catalogue().ids().map(str::to_owned).collect();
    for id in &ids {
        for grain in [Grain::Month, Grain::All] {
            assert!(
                cases.add(engine, &format!("{id} {}", grain.name()), &request(id, &[], grain)),
                "{id} has no answer"
            );
            let split = SEGMENTS.iter().find(|segment| {
                let name = format!("{id} by {segment} {}", grain.name());
                cases.add(engine, &name, &request(id, &[segment], grain))
            });
            assert!(split.is_some(), "{id} has no segment");
        }
    }
}

/// Ranges, filters, other grains, several segments and KPIs, lines without rows.
fn variations(engine: &Engine, cases: &mut Cases) {
    let day = |text: &str| date::parse(text);
    let kinds = [
        "revenue",
        "win_rate",
        "open_pipeline_value",
        "customers_net_change",
        "revenue_growth_year_ago",
        "revenue_year_to_date",
        "revenue_moving_average",
        "revenue_trend",
        "revenue_seasonal_index",
        "sales_cycle_median",
        "retention_rate_identity",
        "churn_rate_start",
        "clv_cac_ratio",
        "revenue_attainment",
        "revenue_target_paced",
        "revenue_pace",
        "sales_cycle_closed_median_censored",
        "sales_cycle_closed_mean_censored",
        "mrr_net_new",
        "loss_reason_share",
        "stage_conversion",
        "pipeline_movements",
        "stage_reached_conversion_within_30_days",
    ];
    let grains = [
        Grain::Day,
        Grain::Week,
        Grain::Quarter,
        Grain::Year,
        Grain::FiscalMonth,
        Grain::FiscalQuarter,
        Grain::FiscalYear,
    ];
    for id in kinds.into_iter().filter(|id| engine.catalogue().get(id).is_ok()) {
        for grain in grains {
            cases.add(engine, &format!("{id} {}", grain.name()), &request(id, &[], grain));
        }
        for grain in [Grain::Month, Grain::All] {
            let ranged = Request { from: day("2016-05-10"), to: day("2017-03-01"), ..request(id, &["region"], grain) };
            cases.add(engine, &format!("{id} {} in a range", grain.name()), &ranged);
            let before = Request { from: day("2015-11-01"), to: day("2016-02-10"), ..request(id, &[], grain) };
            cases.add(engine, &format!("{id} {} before the data", grain.name()), &before);
        }
        let sparse = Request { sparse: true, ..request(id, &["region", "source_system"], Grain::Month) };
        cases.add(engine, &format!("{id} sparse"), &sparse);
        let filters =
            vec!["region in ('East', 'Alone') or region is null".to_owned(), "not source_system = 'x'".to_owned()];
        let filtered = Request { filters, ..request(id, &[], Grain::Quarter) };
        cases.add(engine, &format!("{id} filtered"), &filtered);
    }
    let together = Request {
        kpis: ["revenue", "win_rate", "open_pipeline_count", "average_deal_size"].map(str::to_owned).to_vec(),
        by: vec!["owner".to_owned(), "region".to_owned()],
        grains: vec![Grain::Quarter, Grain::All],
        ..Request::default()
    };
    assert!(cases.add(engine, "several together", &together));
}

fn open(path: &Path, settings: Settings) -> Engine {
    Engine::open(path, settings).unwrap()
}

/// Whether DuckDB is there to compare with.
fn has_duckdb() -> bool {
    let found =
        Command::new("python3").args(["-c", "import duckdb"]).output().is_ok_and(|output| output.status.success());
    if !found {
        assert!(std::env::var_os("CI").is_none(), "DuckDB is missing: pip install duckdb");
        println!("SKIPPED: the two-engine comparison needs DuckDB (pip install duckdb)");
    }
    found
}

#[test]
fn duckdb_gives_the_same_answers() {
    if !has_duckdb() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [plain, mixed, single, empty] = ["plain", "mixed", "single", "empty"].map(|name| folder.path().join(name));
    lake(&plain, false, 7);
    lake(&mixed, true, 11);
    lake_of(&single, false, 5, &|table| u64::from(table == "deals"));
    lake_of(&empty, false, 5, &|_| 0);
    let mut cases = Cases::of("duckdb");
    every_kpi(&open(&plain, Settings::default()), &mut cases);
    let fiscal = Calendar { fiscal_start_month: 4, ..Calendar::default() };
    variations(&open(&plain, Settings { calendar: fiscal, ..Settings::default() }), &mut cases);
    let earlier = open(&plain, Settings { as_of: date::parse("2017-01-15"), ..Settings::default() });
    let two = open(&mixed, Settings::default());
    let ids: Vec<String> = two.catalogue().ids().map(str::to_owned).collect();
    for id in &ids {
        cases.add(&earlier, &format!("{id} as of an earlier day"), &request(id, &[], Grain::Month));
        let to_come = Request {
            from: date::parse("2016-11-05"),
            to: date::parse("2017-08-01"),
            ..request(id, &["region"], Grain::Month)
        };
        cases.add(&earlier, &format!("{id} beyond an earlier day"), &to_come);
        cases.add(&two, &format!("{id} by currency"), &request(id, &["currency"], Grain::Quarter));
        let one = Request { filters: vec!["source_system = 'beta'".to_owned()], ..request(id, &[], Grain::Year) };
        cases.add(&two, &format!("{id} of one system"), &one);
        let both = request(id, &[], Grain::Year);
        cases.add(&two, &format!("{id} of both systems"), &both);
    }
    for (world, path) in [("a single deal", &single), ("nothing", &empty)] {
        let engine = open(path, Settings::default());
        for id in &ids {
            cases.add(&engine, &format!("{id} all of {world}"), &request(id, &[], Grain::All));
            let ranged = Request { from: date::parse("2017-04-01"), ..request(id, &[], Grain::Month) };
            cases.add(&engine, &format!("{id} month of {world}"), &ranged);
        }
    }
    cases.compare(folder.path(), "compare_with_duckdb.py");
}

/// Whether Spark and a Java to run it are there to compare with.
fn has_spark() -> bool {
    let runs = |program: &str, words: &[&str]| {
        Command::new(program).args(words).output().is_ok_and(|output| output.status.success())
    };
    let found = runs("python3", &["-c", "import pyspark"]) && runs("java", &["-version"]);
    if !found {
        println!(
            "SKIPPED: the comparison with Spark needs pyspark and Java (pip install pyspark, a JRE of 17 or later)"
        );
    }
    found
}

#[test]
fn spark_gives_the_same_answers() {
    if !has_spark() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    lake(&plain, false, 7);
    let mut cases = Cases::of("spark");
    let engine = open(&plain, Settings::default());
    let ids: Vec<String> = engine.catalogue().ids().map(str::to_owned).collect();
    // Spark takes seconds to plan a statement, so both grains go into one.
    let both =
        |id: &str, by: &[&str]| Request { grains: vec![Grain::Month, Grain::All], ..request(id, by, Grain::All) };
    for id in &ids {
        assert!(cases.add(&engine, id, &both(id, &[])), "{id} has no answer");
        let split =
            SEGMENTS.iter().find(|segment| cases.add(&engine, &format!("{id} by {segment}"), &both(id, &[segment])));
        assert!(split.is_some(), "{id} has no segment");
    }
    let fiscal = Calendar { fiscal_start_month: 4, ..Calendar::default() };
    let earlier = Settings { as_of: date::parse("2017-01-15"), calendar: fiscal, ..Settings::default() };
    let earlier = open(&plain, earlier);
    for id in [
        "revenue",
        "win_rate",
        "open_pipeline_value",
        "pipeline_movements",
        "stage_conversion",
        "stage_reached_conversion",
        "mrr_net_new",
        "lead_conversion",
        "lead_conversion_within_30_days",
    ] {
        let filters = vec!["region in ('East', 'Alone') or region is null".to_owned()];
        let from = date::parse("2016-05-10");
        let past = Request { filters, from, ..request(id, &["source_system"], Grain::FiscalQuarter) };
        assert!(cases.add(&earlier, &format!("{id} in the past"), &past), "{id} has no past");
    }
    cases.compare(folder.path(), "compare_with_spark.py");
}

/// What engines disagree about is never left to them: division by 0, rounding, the place of nulls, today's date.
#[test]
fn statements_keep_to_what_means_the_same_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    lake(&folder.path().join("lake"), false, 7);
    let engine = open(&folder.path().join("lake"), Settings::default());
    let ids: Vec<String> = engine.catalogue().ids().map(str::to_owned).collect();
    for id in &ids {
        let segment = SEGMENTS.iter().find(|segment| engine.run(&[request(id, &[segment], Grain::Month)]).is_ok());
        let request = request(id, &[segment.unwrap()], Grain::Month);
        for (dialect, foreign) in
            [("duckdb", &["`", " DIV ", "datediff("][..]), ("spark", &["MATERIALIZED", " // ", "date_diff("])]
        {
            let text = engine.to_sql(&request, dialect).unwrap();
            for word in foreign.iter().chain(&["ROUND(", "NOW(", "CURRENT_", "date_trunc", " FLOAT"]) {
                assert!(!text.contains(word), "{id} in {dialect} has {word}");
            }
            for (place, _) in text.match_indices(" / ") {
                let divisor = &text[place + 3..];
                let is_constant = divisor.starts_with(|first: char| first.is_ascii_digit() && first != '0');
                assert!(divisor.starts_with("NULLIF(") || is_constant, "{id} in {dialect} divides by {divisor:.40}");
            }
            let order = text.rsplit_once("ORDER BY ").unwrap().1;
            assert!(order.starts_with("answer.part, answer.place, answer.s1 NULLS LAST"), "{id} in {dialect}: {order}");
        }
    }
}

#[test]
fn what_statements_do_not_offer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    lake(&folder.path().join("lake"), false, 7);
    let engine = open(&folder.path().join("lake"), Settings::default());
    let plain = request("revenue", &[], Grain::Month);
    let top = Request { top: Some(3), ..plain.clone() };
    let error = engine.to_sql(&top, "duckdb").unwrap_err();
    assert!(error.to_string().contains("--top") && error.hint().is_some(), "{error}");
    assert!(engine.to_sql(&plain, "oracle").unwrap_err().hint().unwrap().contains("spark"));
    let converting =
        open(&folder.path().join("lake"), Settings { currency: Some("EUR".to_owned()), ..Settings::default() });
    assert!(converting.to_sql(&plain, "duckdb").unwrap_err().to_string().contains("--currency"));
    assert!(engine.to_sql(&plain, "spark").unwrap().contains("FROM parquet.`/"));
}
