//! Definitions of one's own: the published schema, a KPI without building anything, and mistakes by file and line.

use std::fs;
use std::path::{Path, PathBuf};

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

use super::program::{call, ingest, scratch, synthesise};

/// A definition that is right: won deals of more than 10,000.
const GOOD: &str = "\
id: big_deals
name: Big deals
family: own
unit: count
better: higher
compute:
  kind: ratio
  numerator:
    - measure:
        table: deals
        date: close_date
        aggregate: count
        where: status = 'won' and amount > 10000
    - kpi: deals_lost
  denominator:
    kpi: deals_won
what: Big won deals and lost deals for each won deal.
formula: (Big won deals + lost deals) / won deals.
why: For tests.
population: Closed deals.
caveats: None.
example: 3 big and 2 lost deals beside 5 won ones are 1.
inventory: []
related: [deals_won]
";

fn folder_with(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = scratch();
    let path = folder.path().join("kpis");
    fs::create_dir(&path).unwrap();
    fs::write(path.join(name), text).unwrap();
    (folder, path)
}

#[test]
fn a_kpi_of_ones_own_is_asked_like_any_other() {
    let (folder, kpis) = folder_with("big_deals.yaml", GOOD);
    let exports = synthesise("--deals 300", folder.path().join("exports"));
    let lake = folder.path().join("lake");
    ingest(&exports, &lake);
    let ask = |words: &str| call("query").words(words).arg("--kpis").arg(&kpis).lake(&lake).works();
    let value = |kpi: &str| ask(&format!("{kpi} --format csv")).table().cell("numerator", &[("kpi", kpi)]);
    let big = call("query deals_won --format csv --where").arg("amount > 10000").lake(&lake).works().value("deals_won");
    let number = |text: String| text.parse::<u64>().unwrap();
    assert_eq!(number(value("big_deals")), number(big) + number(value("deals_lost")));
    assert!(number(value("big_deals")) > 0);
    let together = ask("big_deals revenue --by region --grain quarter --format csv").table();
    assert!(together.column("kpi").contains(&"big_deals") && together.column("kpi").contains(&"revenue"));
    assert!(ask("big_deals --sql duckdb").text().contains("10000"));
    let listed = call("kpis --format csv --kpis").arg(&kpis).works().table();
    assert!(listed.column("id").contains(&"big_deals"));
    let pages = call("kpis --format markdown --kpis").arg(&kpis).works();
    assert!(pages.text().contains("(`big_deals`)"), "the catalogue as a document has the family of the user");
}

/// A replacement in the good definition, the line it leads to, and what must be said there.
const MISTAKES: &[(&str, &str, u32, &str)] = &[
    // Structure.
    ("why: For", "whyy: For", 19, "unknown field `whyy`, expected `why`?"),
    (
        "        where: status",
        "        wher: status",
        13,
        "unknown field `wher` in `compute.numerator.0.measure`, expected `where`?",
    ),
    ("kind: ratio", "kind: ration", 7, "`compute.kind` is `ration`, expected `ratio`?"),
    ("unit: count", "unit: pieces", 4, "`unit` is `pieces`, expected one of count,"),
    ("unit: count", "unit: [count]", 4, "`unit` is a list, expected one of count,"),
    ("aggregate: count", "aggregate: counting", 12, "expected `count`?"),
    ("        date: close_date\n", "", 10, "`compute.numerator.0.measure` lacks the field `date`"),
    ("name: Big deals\n", "", 1, "the field `name` is missing"),
    ("related: [deals_won]", "related: deals_won", 24, "`related` is `deals_won`, expected a list"),
    ("table: deals", "table: dealz", 10, "there is no table `dealz`; did you mean `deals`?"),
    ("better: higher", "better: higher: x", 5, "mapping values are not allowed"),
    ("    kpi: deals_won\n", "    at: end\n", 15, "a term names exactly one of measure, stock and kpi"),
    ("id: big_deals", "id: huge_deals", 1, "the id is `huge_deals`, the file is named `big_deals`"),
    ("name: Big deals", "name: ''", 2, "`name` is empty"),
    // Meaning.
    ("amount > 10000", "amnt > 10000", 13, "the table `deals` has no column or segment `amnt`; did you mean `amount`?"),
    ("status = 'won' and", "status = 'won' and and", 13, "cannot read the expression"),
    ("status = 'won' and", "status = 3 and", 13, "a text is compared with a number"),
    ("status = 'won' and amount > 10000", "amount", 13, "a number stands where a condition is expected"),
    ("amount > 10000", "close_date > '2024-02-30'", 13, "`2024-02-30` is no date"),
    ("amount > 10000", "amount / 2 > 10000", 13, "a quotient of columns cannot be added up"),
    ("date: close_date", "date: closing_date", 11, "no column or segment `closing_date`; did you mean `close_date`"),
    ("date: close_date", "date: amount", 11, "`amount` is a number and no date"),
    ("aggregate: count\n", "aggregate: sum\n        of: region\n", 13, "`region` is a text and cannot be added up"),
    ("aggregate: count\n", "aggregate: sum\n", 9, "`of` is missing"),
    ("aggregate: count\n", "aggregate: count_distinct\n        of: amount\n", 13, "no segment or identifier"),
    ("kpi: deals_lost", "kpi: deals_losst", 14, "it uses `deals_losst`, which is no KPI; did you mean `deals_lost`?"),
    ("kpi: deals_won", "kpi: big_deals", 16, "it uses itself: big_deals -> big_deals"),
    (
        "related: [deals_won]",
        "related:\n  - deals_won\n  - nothing_such",
        26,
        "`related` names `nothing_such`, which is no KPI",
    ),
];

#[test]
fn a_mistake_is_told_with_its_file_and_line() {
    for (from, to, line, said) in MISTAKES {
        assert!(GOOD.contains(from), "{from}");
        let (folder, kpis) = folder_with("big_deals.yaml", &GOOD.replacen(from, to, 1));
        let place = format!("{}:{line}: ", kpis.join("big_deals.yaml").display());
        let answer = call("kpis big_deals --kpis").arg(&kpis).refused(said);
        assert!(answer.err.contains(&place), "expected {place} for {to:?}: {}", answer.err);
        assert!(answer.hint().contains("dealframe kpis --schema"), "{answer:?}");
        // A broken definition stops every command that was told of it, also where it is not asked for.
        call("kpis revenue --kpis").arg(&kpis).refused(said);
        drop(folder);
    }
}

/// The same with a window: big deals won within a week of their creation, among those that are a week old.
const WINDOW: (&str, &str) = (
    "  kind: ratio
  numerator:
    - measure:
        table: deals
        date: close_date
        aggregate: count
        where: status = 'won' and amount > 10000
    - kpi: deals_lost
  denominator:
    kpi: deals_won
",
    "  kind: ratio
  within:
    days: 7
    until: close_date
  numerator:
    measure:
      table: deals
      date: created_date
      aggregate: count
      where: status = 'won' or status = 'lost'
  denominator:
    kpi: deals_created
",
);

#[test]
fn a_window_of_ones_own_and_what_has_none() {
    let text = GOOD.replacen(WINDOW.0, WINDOW.1, 1);
    let (folder, kpis) = folder_with("big_deals.yaml", &text);
    let exports = synthesise("--deals 2000", folder.path().join("exports"));
    let lake = folder.path().join("lake");
    ingest(&exports, &lake);
    let closed = |days: u32| -> (u64, u64) {
        fs::write(kpis.join("big_deals.yaml"), text.replacen("days: 7", &format!("days: {days}"), 1)).unwrap();
        let found = call("query big_deals --format csv --kpis").arg(&kpis).lake(&lake).works().table();
        let number = |column: &str| found.cell(column, &[("kpi", "big_deals")]).parse().unwrap();
        (number("numerator"), number("denominator"))
    };
    let (week, year) = (closed(7), closed(365));
    // More deals are closed in a year than in a week, and fewer of them are that old.
    assert!(week.0 < year.0 && week.1 > year.1 && year.0 <= year.1, "{week:?} {year:?}");
    let mistakes = [
        ("days: 7", "days: 0", 9, "`days` must be at least 1"),
        ("days: 7", "dayz: 7", 9, "unknown field `dayz` in `compute.within`, expected `days`?"),
        ("until: close_date", "until: amount", 10, "`amount` is a number and no date"),
        ("until: close_date", "until: closed", 10, "no column or segment `closed`"),
        ("kpi: deals_created", "kpi: open_pipeline_count", 18, "below the line `within` needs a flow"),
        ("date: created_date", "date: created_date\n      ahead: true", 15, "what lies ahead has no age"),
    ];
    for (from, to, line, said) in mistakes {
        assert!(text.contains(from), "{from}");
        fs::write(kpis.join("big_deals.yaml"), text.replacen(from, to, 1)).unwrap();
        let answer = call("kpis big_deals --kpis").arg(&kpis).refused(said);
        let place = format!("{}:{line}: ", kpis.join("big_deals.yaml").display());
        assert!(answer.err.contains(&place), "expected {place} for {to:?}: {}", answer.err);
    }
    let of_a_kpi = GOOD.replacen("  kind: ratio\n", "  kind: ratio\n  within: {days: 7, until: close_date}\n", 1);
    fs::write(kpis.join("big_deals.yaml"), of_a_kpi).unwrap();
    call("kpis big_deals --kpis").arg(&kpis).refused("above the line `within` needs a measure");
}

#[test]
fn circles_and_taken_names_across_files() {
    let formula = |id: &str, of: &str| {
        let (head, rest) = GOOD.split_once("  kind: ratio\n").unwrap();
        let (_, prose) = rest.split_once("what:").unwrap();
        let text = format!("{head}  kind: formula\n  formula: {of} / 2\nwhat:{prose}");
        text.replacen("id: big_deals", &format!("id: {id}"), 1)
    };
    let (_folder, kpis) = folder_with("first.yaml", &formula("first", "second"));
    fs::write(kpis.join("second.yaml"), formula("second", "third")).unwrap();
    fs::write(kpis.join("third.yaml"), formula("third", "first")).unwrap();
    let answer = call("kpis --kpis").arg(&kpis).refused("it uses itself: first -> second -> third -> first");
    assert!(answer.err.contains("first.yaml:8: "), "{}", answer.err);

    let (_folder, kpis) = folder_with("revenue.yaml", &formula("revenue", "deals_won"));
    let answer = call("kpis --kpis").arg(&kpis).refused("the id `revenue` is taken by kpis/revenue/revenue.yaml");
    assert!(answer.err.contains("revenue.yaml:1: "), "{}", answer.err);
    let (_folder, kpis) = folder_with("own.yaml", &formula("own", "deals_won"));
    fs::create_dir(kpis.join("more")).unwrap();
    fs::write(kpis.join("more/own.yaml"), formula("own", "deals_lost")).unwrap();
    let answer = call("kpis --kpis").arg(&kpis).refused("the id `own` is taken by");
    assert!(answer.err.contains("own.yaml:1: "), "{}", answer.err);
    call("kpis --kpis").arg(kpis.join("missing")).refused("missing");
}

/// The published schema in another program's hands.
struct Published {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Published {
    fn new() -> Self {
        let schema: Value = serde_json::from_slice(&call("kpis --schema").works().out).unwrap();
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("kpi.json", schema).unwrap();
        let index = compiler.compile("kpi.json", &mut schemas).unwrap();
        Self { schemas, index }
    }

    fn problem(&self, text: &str) -> Option<String> {
        let value: Value = serde_saphyr::from_str(text).ok()?;
        self.schemas.validate(&value, self.index).err().map(|error| error.to_string())
    }
}

#[test]
fn every_definition_has_the_published_form() {
    let published = Published::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/query/kpis");
    let mut count = 0;
    for family in fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for file in fs::read_dir(family).unwrap().map(|entry| entry.unwrap().path()) {
            let text = fs::read_to_string(&file).unwrap();
            assert_eq!(published.problem(&text), None, "{}", file.display());
            count += 1;
        }
    }
    assert!(count >= 273, "{count}");
    assert_eq!(published.problem(GOOD), None);
}

/// What an editor underlines is what the program refuses.
#[test]
fn the_schema_finds_the_mistakes_of_structure() {
    let published = Published::new();
    for (from, to, _, said) in MISTAKES.iter().take(12).filter(|(_, to, ..)| !to.contains(": x")) {
        assert!(published.problem(&GOOD.replacen(from, to, 1)).is_some(), "{to:?}: {said}");
    }
    let trend = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/query/kpis/revenue/revenue_trend.yaml"),
    )
    .unwrap();
    for (from, to) in
        [("periods: 6", "period: 6"), ("periods: 6", "periods: 6\n  base: previous"), ("periods: 6", "periods: 1")]
    {
        assert!(published.problem(&trend.replacen(from, to, 1)).is_some(), "{to}");
    }
}
