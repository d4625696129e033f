//! Definitions of one's own: the published schema, a KPI without building anything, and mistakes by file and line.

use std::fs;
use std::path::{Path, PathBuf};

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

use super::program::{Answer, call, ingest, scratch, synthesise};

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

/// A replacement in the good definition, the line and column it leads to, and what must be said there.
const MISTAKES: &[(&str, &str, &str, &str)] = &[
    // Structure.
    ("why: For", "whyy: For", "19:1", "unknown field `whyy`, expected `why`?"),
    (
        "        where: status",
        "        wher: status",
        "13:9",
        "unknown field `wher` in `compute.numerator.0.measure`, expected `where`?",
    ),
    ("kind: ratio", "kind: ration", "7:9", "`compute.kind` is `ration`, expected `ratio`?"),
    ("unit: count", "unit: pieces", "4:7", "`unit` is `pieces`, expected one of count,"),
    ("unit: count", "unit: [count]", "4:1", "`unit` is a list, expected one of count,"),
    ("aggregate: count", "aggregate: counting", "12:20", "expected `count`?"),
    ("        date: close_date\n", "", "10:9", "`compute.numerator.0.measure` lacks the field `date`"),
    ("name: Big deals\n", "", "1:1", "the field `name` is missing"),
    ("related: [deals_won]", "related: deals_won", "24:10", "`related` is `deals_won`, expected a list"),
    ("table: deals", "table: dealz", "10:16", "`compute.numerator.0.measure.table` is `dealz`, expected `deals`?"),
    ("    kpi: deals_won\n", "    at: end\n", "15:3", "a term names exactly one of measure, stock and kpi"),
    ("id: big_deals", "id: huge_deals", "1:5", "the id is `huge_deals`, the file is named `big_deals`"),
    ("name: Big deals", "name: ''", "2:7", "`name` is empty"),
    // Meaning.
    (
        "amount > 10000",
        "amnt > 10000",
        "13:16",
        "the table `deals` has no column or segment `amnt`; did you mean `amount`?",
    ),
    ("status = 'won' and", "status = 'won' and and", "13:16", "cannot read the expression"),
    ("status = 'won' and", "status = 3 and", "13:16", "a text is compared with a number"),
    ("status = 'won' and amount > 10000", "amount", "13:16", "a number stands where a condition is expected"),
    ("amount > 10000", "close_date > '2024-02-30'", "13:16", "`2024-02-30` is no date"),
    ("amount > 10000", "amount / 2 > 10000", "13:16", "a quotient of columns cannot be added up"),
    (
        "date: close_date",
        "date: closing_date",
        "11:15",
        "no column or segment `closing_date`; did you mean `close_date`",
    ),
    ("date: close_date", "date: amount", "11:15", "`amount` is a number and no date"),
    (
        "aggregate: count\n",
        "aggregate: sum\n        of: region\n",
        "13:13",
        "`region` is a text and cannot be added up",
    ),
    ("aggregate: count\n", "aggregate: sum\n", "9:7", "`of` is missing"),
    ("aggregate: count\n", "aggregate: count_distinct\n        of: amount\n", "13:13", "no segment or identifier"),
    (
        "kpi: deals_lost",
        "kpi: deals_losst",
        "14:12",
        "it uses `deals_losst`, which is no KPI; did you mean `deals_lost`?",
    ),
    ("kpi: deals_won", "kpi: big_deals", "16:10", "it uses itself: big_deals -> big_deals"),
    (
        "related: [deals_won]",
        "related:\n  - deals_won\n  - nothing_such",
        "26:5",
        "`related` names `nothing_such`, which is no KPI",
    ),
];

/// What a command says of a definition with this text, at this line and column.
fn refused_for(command: &str, kpis: &Path, text: &str, at: &str, said: &str) -> Answer {
    let file = kpis.join("big_deals.yaml");
    fs::write(&file, text).unwrap();
    let answer = call(command).arg(kpis).refused(said);
    let place = format!("{}:{at}: ", file.display());
    assert!(answer.err.contains(&place), "expected {place} for {text}: {}", answer.err);
    answer
}

#[test]
fn a_mistake_is_told_with_its_file_line_and_column() {
    for (from, to, at, said) in MISTAKES {
        assert!(GOOD.contains(from), "{from}");
        let (folder, kpis) = folder_with("big_deals.yaml", GOOD);
        let answer = refused_for("kpis big_deals --kpis", &kpis, &GOOD.replacen(from, to, 1), at, said);
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
        ("days: 7", "days: 0", "9:11", "`compute.within.days` is `0`, expected a whole number from 1 to 36525"),
        ("days: 7", "days: -3", "9:11", "`compute.within.days` is `-3`, expected a whole number from 1 to 36525"),
        ("days: 7", "days: 36526", "9:11", "`compute.within.days` is `36526`, expected a whole number from 1 to 36525"),
        (
            "days: 7",
            "days: 4000000000",
            "9:11",
            "`compute.within.days` is `4000000000`, expected a whole number from 1",
        ),
        ("days: 7", "days: 99999999999999999999999", "9:11", "expected a whole number from 1 to 36525"),
        ("days: 7", "days: 7.5", "9:11", "`compute.within.days` is `7.5`, expected a whole number from 1 to 36525"),
        ("days: 7", "days: 1e3", "9:11", "`compute.within.days` is `1000.0`, expected a whole number"),
        ("days: 7", "days: a week", "9:11", "`compute.within.days` is `a week`, expected a whole number from 1"),
        ("days: 7", "days:", "9:5", "`compute.within.days` is nothing, expected a whole number from 1 to 36525"),
        ("days: 7", "dayz: 7", "9:5", "unknown field `dayz` in `compute.within`, expected `days`?"),
        (
            "until: close_date",
            "until: amount",
            "10:12",
            "`amount` is a number and no date; the dates of `deals` are close_date,",
        ),
        ("until: close_date", "until: closed", "10:12", "no column or segment `closed`"),
        // Points in time are listed as columns of the exports, and no KPI counts by them.
        ("until: close_date", "until: created_at", "10:12", "`created_at` of `deals` is a point in time"),
        ("until: close_date", "until: closed_at", "10:12", "the dates of `deals` are close_date,"),
        ("until: close_date", "until: created_at", "10:12", "the dates of `deals` are created_date, close_date,"),
        ("until: close_date", "until: name", "10:12", "`name` of `deals` is a text that differs from row to row"),
        ("kpi: deals_created", "kpi: open_pipeline_count", "18:10", "below the line `within` needs a flow"),
        ("date: created_date", "date: created_date\n      ahead: true", "15:14", "what lies ahead has no age"),
    ];
    for (from, to, at, said) in mistakes {
        assert!(text.contains(from), "{from}");
        refused_for("kpis big_deals --kpis", &kpis, &text.replacen(from, to, 1), at, said);
    }
    fs::write(kpis.join("big_deals.yaml"), text.replacen("days: 7", "days: '7'", 1)).unwrap();
    let answer =
        call("kpis big_deals --kpis").arg(&kpis).refused("`compute.within.days` is `7`, expected a whole number");
    assert!(answer.hint().contains("leave out the quotes"), "{answer:?}");
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
    assert!(answer.err.contains("first.yaml:8:12: "), "{}", answer.err);

    let (_folder, kpis) = folder_with("revenue.yaml", &formula("revenue", "deals_won"));
    let answer = call("kpis --kpis").arg(&kpis).refused("the id `revenue` is taken by kpis/revenue/revenue.yaml");
    assert!(answer.err.contains("revenue.yaml:1:5: "), "{}", answer.err);
    assert!(answer.err.contains("which is built in"), "{}", answer.err);
    assert!(answer.hint().contains("own_revenue.yaml") && answer.hint().contains("`id: own_revenue`"), "{answer:?}");
    assert!(answer.hint().contains("`dealframe kpis revenue` shows the KPI that has this one"), "{answer:?}");
    let (_folder, kpis) = folder_with("own.yaml", &formula("own", "deals_won"));
    fs::create_dir(kpis.join("more")).unwrap();
    fs::write(kpis.join("more/own.yaml"), formula("own", "deals_lost")).unwrap();
    let answer = call("kpis --kpis").arg(&kpis).refused("the id `own` is taken by");
    assert!(answer.err.contains("own.yaml:1:5: ") && !answer.err.contains("built in"), "{}", answer.err);
    assert!(answer.hint().contains("choose another id for one of the two"), "{answer:?}");
    call("kpis --kpis").arg(kpis.join("missing")).refused("missing");
}

/// The good definition with another computation and unit; its `compute:` is in line 6.
fn computed(unit: &str, compute: &str) -> String {
    let (head, rest) = GOOD.split_once("  kind: ratio\n").unwrap();
    let (_, prose) = rest.split_once("what:").unwrap();
    let indented: String = compute.lines().map(|line| format!("  {line}\n")).collect();
    format!("{}{indented}what:{prose}", head.replacen("unit: count", &format!("unit: {unit}"), 1))
}

/// What is said of a definition with this computation, at this line and column.
fn refused_at(kpis: &Path, unit: &str, compute: &str, at: &str, said: &str) {
    // Told when the definitions are loaded, whatever is asked.
    let answer = refused_for("kpis revenue --kpis", kpis, &computed(unit, compute), at, said);
    assert!(!answer.hint().is_empty());
}

fn accepted(kpis: &Path, unit: &str, compute: &str) {
    fs::write(kpis.join("big_deals.yaml"), computed(unit, compute)).unwrap();
    call("kpis big_deals --kpis").arg(kpis).works();
}

#[test]
fn numbers_of_periods_years_and_factors_have_bounds() {
    let (_folder, kpis) = folder_with("big_deals.yaml", GOOD);
    let moving = |periods: &str| format!("kind: derived\nof: leads\noperation: moving_average\nperiods: {periods}");
    for (operation, unit) in [("moving_average", "number"), ("moving_sum", "count"), ("trend", "number")] {
        let with = |periods: &str| moving(periods).replace("moving_average", operation);
        accepted(&kpis, unit, &with("2"));
        accepted(&kpis, unit, &with("36525"));
        for wrong in ["-3", "1", "36526", "4000000000"] {
            let said = format!("`compute.periods` is `{wrong}`, expected a whole number from 2 to 36525");
            refused_at(&kpis, unit, &with(wrong), "10:12", &said);
        }
    }
    let paced = |years: &str| {
        format!("kind: attainment\nmetric: revenue\nactual: revenue\nshow: rate\npacing:\n  years: {years}")
    };
    accepted(&kpis, "ratio", &paced("0"));
    accepted(&kpis, "ratio", &paced("100"));
    for wrong in ["-1", "101", "4000000000"] {
        let said = format!("`compute.pacing.years` is `{wrong}`, expected a whole number from 0 to 100");
        refused_at(&kpis, "ratio", &paced(wrong), "12:12", &said);
    }
    let times = |factor: &str| {
        format!("kind: ratio\nnumerator: {{kpi: deals_won}}\ndenominator: {{kpi: leads}}\nfactor: {factor}")
    };
    accepted(&kpis, "number", &times("100"));
    for wrong in ["0", "-1", "9223372036854775807"] {
        let said = format!("`compute.factor` is `{wrong}`, expected a whole number from 1 to 1000000000");
        refused_at(&kpis, "number", &times(wrong), "10:11", &said);
    }
}

#[test]
fn a_file_that_is_no_block_of_fields_is_refused() {
    for (text, said) in
        [("", "the file is nothing"), ("- a\n", "the file is a list"), ("some words\n", "the file is `some words`")]
    {
        let (_folder, kpis) = folder_with("big_deals.yaml", text);
        let answer = call("kpis --kpis").arg(&kpis).refused(&format!("{said}, expected a block of fields"));
        assert!(answer.err.contains("big_deals.yaml:1:1: "), "{answer:?}");
    }
}

/// What the reader of YAML says in its own words is said in those of the file.
#[test]
fn mistakes_of_form_are_told_in_plain_words() {
    let fields = |from: &str, to: &str| GOOD.replacen(from, to, 1);
    for (text, at, said, hint) in [
        (fields("better: higher", "better: higher: x"), "5:15", "a second `: ` stands in one line", "into quotes"),
        (
            fields("unit: count", "unit: count\nname: Twice"),
            "5:1",
            "`name` stands here for the second time",
            "keep one `name`",
        ),
        (
            fields("        date: close_date", "        date: close_date\n        date: created_date"),
            "12:9",
            "`date` stands here for the second time",
            "rename one of the two",
        ),
        (format!("{GOOD}---\n{GOOD}"), "26:1", "a second document begins here", "into a file of its own"),
        (fields("family: own", "family:"), "3:1", "`family` is nothing, expected a text", "give `family` a value"),
        (
            fields("    - kpi: deals_lost", "\t- kpi: deals_lost"),
            "14:1",
            "a tab stands where blanks are expected",
            "blanks only",
        ),
        (fields("inventory: []", "inventory: 'x"), "23:12", "a quote is opened and not closed", "close it"),
        // The quote that closes it is one that was meant to open.
        (
            fields("family: own", "family: 'own"),
            "13:26",
            "something stands behind a closing quote",
            "a line above opened",
        ),
        (
            fields("related: [deals_won]", "related: [deals_won"),
            "24:10",
            "a bracket is opened and not closed",
            "close it",
        ),
    ] {
        let (_folder, kpis) = folder_with("big_deals.yaml", &text);
        let answer = refused_for("kpis --kpis", &kpis, &text, at, said);
        assert!(answer.hint().contains(hint), "{answer:?}");
    }
}

/// A field behind whose colon nothing stands was meant to say something.
#[test]
fn a_field_left_empty_is_refused() {
    let (_folder, kpis) = folder_with("big_deals.yaml", GOOD);
    let attainment = "kind: attainment\nmetric: revenue\nactual: revenue\nshow: rate\n";
    accepted(&kpis, "ratio", attainment);
    for empty in ["pacing:", "pacing: ~", "pacing: null"] {
        let said = "`compute.pacing` is nothing, expected a block of fields";
        refused_at(&kpis, "ratio", &format!("{attainment}{empty}"), "11:3", said);
        let answer = call("kpis --kpis").arg(&kpis).refused(said);
        assert!(answer.hint().contains("give `pacing` a value") && answer.hint().contains("left out"), "{answer:?}");
    }
    refused_at(
        &kpis,
        "ratio",
        &format!("{attainment}pacing: {{}}"),
        "11:11",
        "`compute.pacing` lacks the field `years`",
    );
    let counted = "kind: flow\nmeasure:\n  table: deals\n  date: close_date\n  aggregate: count\n";
    accepted(&kpis, "count", counted);
    refused_at(
        &kpis,
        "count",
        &format!("{counted}  where:"),
        "12:5",
        "`compute.measure.where` is nothing, expected a text",
    );
    refused_at(&kpis, "count", &format!("{counted}  of:"), "12:5", "`compute.measure.of` is nothing, expected a text");
    let wrong = format!("{counted}  empty: null");
    refused_at(&kpis, "count", &wrong, "12:5", "`compute.measure.empty` is nothing, expected one of zero, null");
    let answer = call("kpis --kpis").arg(&kpis).refused("empty");
    assert!(answer.hint().contains("'null' in quotes"), "{answer:?}");
    let windowed = "kind: ratio\nwithin:\nnumerator: {kpi: deals_won}\ndenominator: {kpi: leads}";
    refused_at(&kpis, "ratio", windowed, "8:3", "`compute.within` is nothing, expected a block of fields");
}

#[test]
fn a_unit_that_contradicts_what_is_computed_is_refused() {
    let (_folder, kpis) = folder_with("big_deals.yaml", GOOD);
    let attainment =
        |actual: &str, show: &str| format!("kind: attainment\nmetric: {actual}\nactual: {actual}\nshow: {show}");
    let flow = |aggregate: &str, of: &str| {
        let of = if of.is_empty() { String::new() } else { format!("\n  of: {of}") };
        format!("kind: flow\nmeasure:\n  table: deals\n  date: close_date\n  aggregate: {aggregate}{of}")
    };
    let derived = |of: &str, rest: &str| format!("kind: derived\nof: {of}\n{rest}");
    let retention =
        "kind: retention\nretention: {table: deals, date: close_date, key: account_id, show: lost}".to_owned();
    let recurring = "kind: recurring\nmovement: churn".to_owned();
    let ratio =
        |above: &str, below: &str| format!("kind: ratio\nnumerator: {{kpi: {above}}}\ndenominator: {{kpi: {below}}}");
    let total = |of: &str| format!("kind: total\npart: {{kpi: {of}}}");
    // Computation, a unit that goes with it, one that does not, and what is said of that one.
    let cases = [
        (attainment("revenue", "rate"), "ratio", "money", "`show: rate` is a share of the target; expected ratio"),
        (attainment("revenue", "gap"), "money", "ratio", "targets are in the unit of `revenue`, money; expected money"),
        (attainment("revenue", "target"), "money", "number", "expected money"),
        (
            attainment("leads", "gap"),
            "number",
            "money",
            "targets are in the unit of `leads`, count; expected count or number",
        ),
        (flow("count", ""), "count", "money", "a number of rows or of distinct values; expected count or number"),
        (flow("count_distinct", "account_id"), "number", "days", "expected count or number"),
        (flow("sum", "amount"), "money", "days", "what is measured is an amount of money; expected money"),
        (flow("median", "amount - cost_amount"), "money", "ratio", "an amount of money"),
        (flow("median", "probability"), "ratio", "money", "a number with no unit of its own"),
        (flow("median", "days_between(created_date, close_date)"), "days", "minutes", "a time in days; expected days"),
        (flow("sum", "case when status = 'won' then 1 else 0 end"), "count", "money", "expected count or number"),
        (
            derived("revenue", "operation: growth\nbase: previous"),
            "ratio",
            "money",
            "a growth or a share is a fraction",
        ),
        (
            derived("revenue", "operation: by\nsegment: region"),
            "money",
            "count",
            "`revenue` is in money; expected money",
        ),
        (
            derived("leads", "operation: moving_sum\nperiods: 3"),
            "count",
            "money",
            "`leads` is in count; expected count or number",
        ),
        (derived("revenue", "operation: seasonal_index"), "number", "money", "a seasonal index has no unit of its own"),
        (retention, "ratio", "count", "a retention is a share of customers; expected ratio"),
        (recurring, "money", "number", "recurring revenue is an amount of money; expected money"),
        (ratio("deals_won", "leads"), "ratio", "money", "above the line stands a number of rows"),
        (ratio("revenue", "deals_won"), "money", "ratio", "an amount of money is divided by a number of rows"),
        (ratio("leads", "revenue"), "number", "ratio", "is divided by an amount of money"),
        (total("revenue"), "money", "count", "what is measured is an amount of money"),
    ];
    for (compute, good, bad, said) in cases {
        accepted(&kpis, good, &compute);
        refused_at(&kpis, bad, &compute, "4:7", said);
    }
}

#[test]
fn a_survival_is_of_times_in_its_own_unit() {
    let (_folder, kpis) = folder_with("big_deals.yaml", GOOD);
    let survival = |table: &str, date: &str, of: &str, ended: &str| {
        format!(
            "kind: survival\nsurvival:\n  table: {table}\n  date: {date}\n  of: {of}\n  ended: {ended}\n  show: median"
        )
    };
    let deals = |of: &str, ended: &str| survival("deals", "created_date", of, ended);
    let stages = |of: &str| survival("stage_entries", "entered_date", of, "is_moved_on");
    accepted(&kpis, "days", &deals("days_between(created_date, close_date)", "status = 'won'"));
    accepted(&kpis, "hours", &deals("24 * days_between(created_date, close_date)", "status = 'won'"));
    accepted(&kpis, "days", &stages("coalesce(days_in_stage, 0)"));
    refused_at(&kpis, "days", &deals("7", "status = 'won'"), "11:9", "`compute.survival.of` is `7`, expected a text");
    for of in ["amount", "probability", "'7'", "amount * probability"] {
        let shown = of.trim_matches('\'');
        let said =
            format!("`{shown}` is no length of time; expected the days between two dates, such as `days_between(");
        refused_at(&kpis, "days", &deals(of, "status = 'won'"), "11:9", &said);
    }
    let said = "`probability` is no length of time; expected the days between two dates, such as \
                `days_between(entered_date, close_date)`, or `days_in_stage` of `stage_entries`";
    refused_at(&kpis, "days", &stages("probability"), "11:9", said);
    let said = "`days_in_stage` is in days, and the KPI in hours; expected `unit: days`";
    refused_at(&kpis, "hours", &stages("days_in_stage"), "11:9", said);
    let said = "a survival is told in days, hours, minutes or seconds, not in money";
    refused_at(&kpis, "money", &stages("days_in_stage"), "4:7", said);
}

#[test]
fn a_word_that_a_column_never_holds_is_refused() {
    let (_folder, kpis) = folder_with("big_deals.yaml", GOOD);
    let flow = |table: &str, date: &str, filter: &str| {
        format!("kind: flow\nmeasure:\n  table: {table}\n  date: {date}\n  aggregate: count\n  where: {filter}")
    };
    let deals = |filter: &str| flow("deals", "close_date", filter);
    let mean = "did you mean `lost`? (its words are open, won, lost)";
    for filter in [
        "status = 'lsot'",
        "\"'lsot' = status\"",
        "status <> 'lsot'",
        "status in ('won', 'lsot')",
        "not (status = 'lsot')",
    ] {
        refused_at(&kpis, "count", &deals(filter), "12:12", &format!("`status` of `deals` is never 'lsot'; {mean}"));
    }
    // Words are stored in lower case, however an export writes them.
    refused_at(&kpis, "count", &deals("status = 'Lost'"), "12:12", &format!("is never 'Lost'; {mean}"));
    refused_at(&kpis, "count", &deals("status like 'clos%'"), "12:12", "no word of `status` is like 'clos%'");
    let survival = "kind: survival\nsurvival:\n  table: deals\n  date: created_date\n  \
                    of: days_between(created_date, close_date)\n  ended: status in ('won', 'losst')\n  show: median";
    refused_at(&kpis, "days", survival, "12:12", &format!("`status` of `deals` is never 'losst'; {mean}"));
    for (table, date, column, wrong, likely) in [
        ("stage_changes", "changed_date", "from_status", "opne", "open"),
        ("stage_entries", "entered_date", "status", "wonn", "won"),
        ("line_items", "sold_date", "deal_status", "wonn", "won"),
        ("orders", "order_date", "kind", "invoices", "invoice"),
        ("spend", "spend_date", "kind", "market", "marketing"),
        ("surveys", "response_date", "kind", "npss", "nps"),
        ("mrr_changes", "change_date", "movement", "expanded", "expansion"),
        ("pipeline_changes", "change_date", "movement", "reopen", "reopened"),
    ] {
        let said = format!("`{column}` of `{table}` is never '{wrong}'; did you mean `{likely}`?");
        refused_at(&kpis, "count", &flow(table, date, &format!("{column} = '{wrong}'")), "12:12", &said);
        accepted(&kpis, "count", &flow(table, date, &format!("{column} = '{likely}'")));
    }
    // Open vocabularies take any word, but one that is known stands in lower case.
    accepted(&kpis, "count", &deals("deal_type = 'pilot' and status like 'l%' and coalesce(amount, 0) > 0"));
    for (table, date, column, wrong, stored) in [
        ("deals", "close_date", "deal_type", "New", "new"),
        ("deal_states", "valid_from", "deal_type", "Cross-Sell", "cross-sell"),
        ("activities", "activity_date", "activity_type", "Call", "call"),
        ("activities", "activity_date", "direction", "Inbound", "inbound"),
        ("subscriptions", "start_date", "billing_frequency", "Annual", "annual"),
        ("tickets", "created_date", "ticket_type", "COMPLAINT", "complaint"),
    ] {
        let said = format!("`{column}` of `{table}` is never '{wrong}'; did you mean `{stored}`? (its known words are");
        refused_at(&kpis, "count", &flow(table, date, &format!("{column} in ('{wrong}')")), "12:12", &said);
        accepted(&kpis, "count", &flow(table, date, &format!("{column} in ('{stored}', 'Something Else')")));
    }
}

#[test]
fn a_share_is_not_compared_with_a_percentage_and_a_text_has_its_quotes() {
    let (_folder, kpis) = folder_with("big_deals.yaml", GOOD);
    let flow = |table: &str, date: &str, filter: &str| {
        format!("kind: flow\nmeasure:\n  table: {table}\n  date: {date}\n  aggregate: count\n  where: {filter}")
    };
    for (table, date, filter, said) in [
        ("deals", "close_date", "probability > 50", "is a fraction from 0 to 1, and 50 is none; write 0.5 for 50 %"),
        ("deals", "close_date", "99.5 <= probability", "and 99.5 is none; write 0.995 for 99.5 %"),
        ("deals", "close_date", "coalesce(probability, 0) between 0 and 20", "write 0.2 for 20 %"),
        ("deals", "close_date", "probability in (0.5, 75)", "write 0.75 for 75 %"),
        ("deals", "close_date", "probability < 200", "from 0 to 1, and 200 is none"),
        ("stage_entries", "entered_date", "probability > 10", "`probability` of `stage_entries` is a fraction"),
        (
            "stage_changes",
            "changed_date",
            "from_probability > 10",
            "`from_probability` of `stage_changes` is a fraction",
        ),
        (
            "deals",
            "close_date",
            "status = won",
            "`won` is no column of `deals`; quotes are missing: a text stands in single quotes, as 'won'",
        ),
        ("deals", "close_date", "not East <> region", "`East` is no column of `deals`; quotes are missing"),
        ("deals", "close_date", "status in (won, lost)", "`won` is none; quotes are missing"),
    ] {
        refused_at(&kpis, "count", &flow(table, date, filter), "12:12", said);
    }
    for filter in ["probability > 0.5", "probability = 1", "100 * probability > 50", "amount > 50"] {
        accepted(&kpis, "count", &flow("deals", "close_date", filter));
    }
}

/// Each part is right by itself, and the whole is none.
#[test]
fn parts_that_contradict_each_other_are_refused() {
    let (_folder, kpis) = folder_with("big_deals.yaml", GOOD);
    let sum = |one: &str, other: &str| format!("kind: total\npart:\n  - kpi: {one}\n  - kpi: {other}");
    let formula = |text: &str| format!("kind: formula\nformula: {text}");
    let refused = |unit: &str, compute: &str, at: &str, said: &str, hint: &str| {
        refused_at(&kpis, unit, compute, at, said);
        let answer = call("kpis --kpis").arg(&kpis).refused(said);
        assert!(answer.hint().contains(hint), "{answer:?}");
    };

    // Units.
    accepted(&kpis, "money", &sum("revenue", "open_pipeline_value"));
    let said = "`leads` is a count and cannot be added to `revenue`, an amount of money; expected terms of one unit";
    refused("money", &sum("revenue", "leads"), "10:12", said, "make a KPI of each");
    let measures = "kind: ratio\nnumerator:\n  - measure: {table: deals, date: close_date, aggregate: sum, of: amount}\n  \
                    - stock: {table: deals, from: created_date, until: close_date, aggregate: count}\n\
                    denominator: {kpi: leads}";
    let said = "the stock of `deals` is a count and cannot be added to the measure of `deals`, an amount of money";
    refused("money", measures, "10:7", said, "make a KPI of each");
    for good in ["revenue - open_pipeline_value", "revenue + 100", "revenue / leads", "leads * 50 + revenue"] {
        accepted(&kpis, "money", &formula(good));
    }
    let said = "`revenue` is an amount of money, and `leads` is a count: they cannot be added or subtracted";
    refused("money", &formula("revenue + leads"), "8:12", said, "");
    let said = "`win_rate` is a share, and `deals_won` is a count: they cannot be added or subtracted";
    refused("number", &formula("revenue / (win_rate - deals_won)"), "8:12", said, "");
    let said = "`unit` is `count`, but the values of the formula are in money; expected money or number";
    refused("count", &formula("revenue - open_pipeline_value"), "4:7", said, "");

    // Targets.
    let attainment =
        |metric: &str, actual: &str| format!("kind: attainment\nmetric: {metric}\nactual: {actual}\nshow: rate");
    accepted(&kpis, "ratio", &attainment("activities", "activities"));
    let said = "targets of `revenue` are in money, and `leads` is in count; they cannot be compared";
    refused("ratio", &attainment("revenue", "leads"), "9:11", said, "under a name of your own");
    for (wrong, meant) in [("revenu", "revenue"), ("Deals Won", "deals_won"), ("lead", "leads")] {
        let said = format!("targets have no metric `{wrong}`; did you mean `{meant}`?");
        refused("ratio", &attainment(wrong, meant), "8:11", &said, "the metrics are revenue, deals_won, leads;");
    }

    // What can be added up.
    let ratio = |above: &str| format!("kind: ratio\nnumerator:\n  kpi: {above}\ndenominator:\n  kpi: leads");
    accepted(&kpis, "ratio", &ratio("deals_won"));
    for (id, kind) in [("win_rate", "ratio"), ("revenue_growth_previous", "derived"), ("sales_velocity", "formula")] {
        let said =
            format!("`{id}` is of kind {kind} and cannot be added up; expected a KPI of kind flow, stock, total");
        refused("ratio", &ratio(id), "9:10", &said, "`kind: formula` takes the values of KPIs of any kind");
    }

    // What has a start.
    accepted(&kpis, "ratio", &ratio("open_pipeline_count\n  at: start"));
    let said = "`deals_won` is of kind flow and has no start; `at: start` goes with a stock";
    refused("ratio", &ratio("deals_won\n  at: start"), "10:9", said, "leave out `at`");
    let measure = "kind: total\npart:\n  measure: {table: deals, date: close_date, aggregate: count}\n  at: start";
    let said = "a measure is of what happened in a period and has no start";
    refused("count", measure, "10:9", said, "leave out `at`");

    // What the days count from.
    let within = |date: &str, until: &str, below: &str| {
        format!(
            "kind: ratio\nwithin: {{days: 7, until: {until}}}\nnumerator:\n  measure:\n    table: deals\n    \
             date: {date}\n    aggregate: count\ndenominator:\n  {below}"
        )
    };
    accepted(&kpis, "ratio", &within("lead_created_date", "close_date", "kpi: leads"));
    let states = "measure: {table: stage_entries, date: created_date, aggregate: count}";
    accepted(&kpis, "ratio", &within("created_date", "close_date", states));
    let said = "it counts by `created_date` of `leads`, and above the line the days are counted from `created_date` of \
                `deals`; expected the same date";
    refused(
        "ratio",
        &within("created_date", "close_date", "kpi: leads"),
        "15:10",
        said,
        "every term counts by the date",
    );
    let closed = "measure: {table: deals, date: close_date, aggregate: count}";
    let said = "it counts by `close_date` of `deals`, and above the line the days are counted from `created_date`";
    refused("ratio", &within("created_date", "signed_date", closed), "15:35", said, "every term counts by the date");
    let said = "the days are counted from `close_date` to `close_date`, which are none; expected a later date";
    refused(
        "ratio",
        &within("close_date", "close_date", "kpi: deals_won"),
        "8:28",
        said,
        "`until` is the date on which",
    );
}

/// A family of one's own is a heading of its own in the catalogue; a slip would be one beside the heading that was meant.
#[test]
fn a_family_that_is_nearly_another_is_refused() {
    for (wrong, meant) in [("Revenue", "revenue"), ("pipelin", "pipeline"), ("costs", "cost")] {
        let text = GOOD.replacen("family: own", &format!("family: {wrong}"), 1);
        let (_folder, kpis) = folder_with("big_deals.yaml", &text);
        let answer =
            call("kpis --kpis").arg(&kpis).refused(&format!("there is no family `{wrong}`; did you mean `{meant}`?"));
        assert!(answer.err.contains("big_deals.yaml:3:9: "), "{answer:?}");
        assert!(answer.hint().contains("the families are revenue, leads,"), "{answer:?}");
    }
}

#[test]
fn pacing_needs_an_actual_with_a_season() {
    let (_folder, kpis) = folder_with("big_deals.yaml", GOOD);
    let paced =
        |actual: &str, pacing: &str| format!("kind: attainment\nmetric: pipeline\nactual: {actual}\nshow: gap{pacing}");
    let pacing = "\npacing: {years: 2}";
    accepted(&kpis, "money", &paced("open_pipeline_value", ""));
    accepted(&kpis, "money", &paced("revenue", pacing));
    for (actual, unit) in [("open_pipeline_value", "money"), ("win_rate", "ratio"), ("median_deal_size", "money")] {
        let said = format!("`{actual}` is no sum or count over a period, so it has no season to spread targets by");
        refused_at(&kpis, unit, &paced(actual, pacing), "9:11", &said);
        let answer = call("kpis --kpis").arg(&kpis).refused(&said);
        assert!(answer.hint().contains("leave out `pacing`"), "{answer:?}");
    }
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
    for (from, to, _, said) in MISTAKES.iter().take(11) {
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
    let attainment = "kind: attainment\nmetric: revenue\nactual: revenue\nshow: rate\n";
    assert_eq!(published.problem(&computed("ratio", &format!("{attainment}pacing: {{years: 2}}"))), None);
    for wrong in ["pacing:", "pacing: {years: 101}", "pacing: {years: -1}"] {
        assert!(published.problem(&computed("ratio", &format!("{attainment}{wrong}"))).is_some(), "{wrong}");
    }
    // A measure has no start, a stock has.
    let measure = "kind: total\npart:\n  measure: {table: deals, date: close_date, aggregate: count}\n  at: start";
    assert!(published.problem(&computed("count", measure)).is_some());
    assert_eq!(published.problem(&computed("count", &measure.replace("start", "end"))), None);
    let stock = "kind: total\npart:\n  stock: {table: deals, from: created_date, until: close_date, aggregate: count}\n  at: start";
    assert_eq!(published.problem(&computed("count", stock)), None);
}
