//! What the program says of its own accord: columns and words that a plain CSV must have, data that
//! makes figures wrong, the day it takes for today.

use std::fs;
use std::path::{Path, PathBuf};

use super::program::{Answer, call, ingest, scratch};

/// A lake of plain CSVs, given as name and text.
fn lake_of(folder: &Path, files: &[(&str, &str)]) -> PathBuf {
    let exports = folder.join("exports");
    fs::create_dir_all(&exports).unwrap();
    for (name, text) in files {
        fs::write(exports.join(name), text).unwrap();
    }
    let lake = folder.join("lake");
    ingest(&exports, &lake);
    lake
}

fn query(words: &str, lake: &Path) -> Answer {
    call("query").words(words).lake(lake).words("--format csv").works()
}

#[test]
fn a_template_names_what_it_needs_and_takes() {
    let leads = call("sources leads").works();
    assert!(leads.text().starts_with("lead_id,kind,"), "{leads:?}");
    assert!(leads.err.contains("must have lead_id, kind, is_qualified, is_converted,"), "{leads:?}");
    assert!(leads.err.contains("kind: lead or contact, in any case; a row with another word is rejected"), "{leads:?}");
    let subscriptions = call("sources subscriptions").works();
    assert!(subscriptions.err.contains("end_date: First day on which it no longer runs"), "{subscriptions:?}");
    // A probability is a fraction, or in per cent where the export has it so.
    let deals = call("sources deals").works();
    assert!(
        deals.err.contains("probability: Probability to win, from the source. A fraction from 0 to 1"),
        "{deals:?}"
    );
    let mapped = |source: &str, entity: &str| {
        let answer = call("sources").arg(source).words("--format csv").works().table();
        answer.cell("made_from", &[("entity", entity), ("column", "probability")]).to_owned()
    };
    assert_eq!(mapped("salesforce", "Opportunity"), "per cent: 40 means 0.4");
    assert_eq!(mapped("hubspot", "Deals"), "a fraction from 0 to 1");
    // What it says is true: the columns alone make a file that is recognised.
    for table in ["leads", "spend", "targets", "fx_rates", "stage_changes", "subscriptions", "tickets", "line_items"] {
        let talk = call("sources").arg(table).works().err;
        let needed = talk.split_once("must have ").unwrap().1.split_once(", the other").unwrap().0.replace(", ", ",");
        let folder = scratch();
        let file = folder.path().join("file.csv");
        fs::write(&file, format!("{needed}\n")).unwrap();
        let answer = call("ingest --dry-run").arg(&file).lake(&folder.path().join("lake")).works();
        assert!(
            answer.err.contains(&format!("-> {table}")) || answer.err.contains(&format!("csv/{table}")),
            "{answer:?}"
        );
    }
}

#[test]
fn check_names_what_makes_figures_wrong() {
    let folder = scratch();
    let lake = lake_of(
        folder.path(),
        &[
            (
                "subscriptions.csv",
                "subscription_id,account_id,mrr_amount,start_date,end_date\n\
                 S1,A1,200,2023-03-01,2024-02-29\nS2,A1,300,2024-03-01,\nS3,A2,100,2023-03-01,2024-03-01\n\
                 S4,A2,100,2024-03-01,\nS5,A3,,2024-01-15,\nS6,A4,9,2024-02-01,2024-01-20\nS7,A5,9,2024-02-01,2024-02-01\n",
            ),
            (
                "targets.csv",
                "scope,scope_name,owner_id,metric,period_start,period_end,target_value\n\
                 company,,,Revenue,2024-02-01,2024-02-29,1000\ncompany,,,umsatz,2024-02-01,2024-02-29,1000\n\
                 region,East,,Revenue,2024-02-01,2024-02-29,10\nregion,Est,,Revenue,2024-02-01,2024-02-29,10\n\
                 region,Est,,Revenue,2024-03-01,2024-03-31,10\nregion,Mars,,Revenue,2024-03-01,2024-03-31,10\n\
                 team,East,,Revenue,2024-02-01,2024-02-29,10\nowner,,U1,Revenue,2024-02-01,2024-02-29,10\n\
                 owner,Ann,,Revenue,2024-03-01,2024-03-31,10\nowner,Bob,,Revenue,2024-03-01,2024-03-31,10\n",
            ),
            ("users.csv", "user_id,name\nU1,Ann\n"),
            (
                "deals.csv",
                "deal_id,status,amount,region,created_date,close_date\nD1,won,1,East,2024-01-01,2024-02-01\n\
                 D2,won,1,East,2024-01-01,9999-12-31\nD3,open,1,East,2024-01-02,9999-12-31\n",
            ),
        ],
    );
    let found = call("check --format csv").lake(&lake).works().table();
    let example = |check: &str| found.cell("example", &[("check", check)]);
    let rows = |check: &str| found.cell("rows", &[("check", check)]);
    assert_eq!((rows("gap_of_a_day"), example("gap_of_a_day")), ("1".to_owned(), "S1".to_owned()));
    assert_eq!(example("subscription_without_amount"), "S5");
    // Called off before it began.
    let backwards = (rows("ends_before_it_starts"), example("ends_before_it_starts"));
    assert_eq!(backwards, ("1".to_owned(), "S6".to_owned()));
    assert_eq!((rows("unknown_metric"), example("unknown_metric")), ("1".to_owned(), "umsatz".to_owned()));
    assert_eq!((rows("far_date"), example("far_date")), ("1".to_owned(), "D2".to_owned()));
    // Targets that nobody can meet, by the scope: the same name may be known as another one's.
    let mut unknown = Vec::new();
    for row in 0..found.column("check").len() {
        let of = |column: &str| found.column(column)[row];
        if of("check") == "unknown_scope" {
            unknown.push(format!("{} {} {}", of("rows"), of("example"), of("message")));
        }
    }
    let said =
        |scope: &str| format!("targets are set for a {scope} that no other row names; nothing is held against them");
    assert_eq!(
        unknown,
        [
            format!("3 Est, Mars {}; is Est meant to be East?", said("region")),
            format!("1 East {}", said("team")),
            format!("1 Bob {}", said("owner")),
        ]
    );
}

#[test]
fn a_word_that_no_row_can_have_is_refused_and_not_answered_with_nothing() {
    let folder = scratch();
    let lake = lake_of(
        folder.path(),
        &[("deals.csv", "deal_id,status,amount,currency,region,close_date\nD1,won,1,USD,East,2024-02-01\n")],
    );
    for engine in ["", "--sql duckdb"] {
        let ask = call("query deals_won --where").arg("status = 'Won'").words(engine).lake(&lake);
        ask.refused("`status` of `deals` is never 'Won'; did you mean `won`?");
    }
    for engine in ["", "--sql duckdb"] {
        let refused = |filter: &str, said: &str| {
            let answer = call("query deals_won --where").arg(filter).words(engine).lake(&lake).refused(said);
            assert!(answer.hint().contains("region = 'East'"), "{answer:?}");
        };
        refused("deal_type = 'New'", "`deal_type` of `deals` is never 'New'; did you mean `new`?");
        refused("probability > 50", "`probability` of `deals` is a fraction from 0 to 1, and 50 is none; write 0.5");
        refused("status = won", "`won` is no column of `deals`; quotes are missing: a text stands in single quotes");
        refused(
            "status = \"won\"",
            "`won` is no column of `deals`; quotes are missing: a text stands in single quotes",
        );
        refused("status in (won)", "`won` is none; quotes are missing: a text stands in single quotes");
    }
    // A name that is compared with no text is a column that there is not.
    let answer = call("query deals_won --where").arg("amuont > 5").lake(&lake).refused("no column or segment `amuont`");
    assert!(answer.hint().contains("did you mean amount"), "{answer:?}");
}

/// An empty segment is an answer; that it is none of those that there are is said beside it.
#[test]
fn a_value_that_no_row_has_is_told_beside_the_answer() {
    let folder = scratch();
    let lake = lake_of(
        folder.path(),
        &[
            (
                "deals.csv",
                "deal_id,status,amount,currency,region,stage,deal_type,account_id,close_date\n\
                 D1,won,1,USD,EMEA,Closed Won,new,A1,2024-02-01\nD2,won,1,USD,North America,Signed,new,A2,2024-02-01\n",
            ),
            (
                "leads.csv",
                "lead_id,kind,is_qualified,is_converted,region,created_date\nL1,lead,true,false,Asia,2024-02-01\n",
            ),
        ],
    );
    let ask = |kpis: &str, filter: &str| {
        let answer = call("query").words(kpis).arg("--where").arg(filter).lake(&lake).words("--format csv").works();
        assert!(!answer.text().contains("note") && !answer.text().contains("no row"), "{answer:?}");
        let notes =
            answer.err.lines().filter(|line| line.starts_with("note: no row") || line.starts_with("note: every row"));
        notes.map(|line| line.trim_start_matches("note: ").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ask("deals_won", "region = 'emea'"), ["no row of deals has region = 'emea'; did you mean 'EMEA'?"]);
    let said = "no row of deals has region = 'North Amerika'; did you mean 'North America'?";
    assert_eq!(ask("deals_won revenue", "region in ('EMEA', 'North Amerika')"), [said]);
    let said = "every row of deals has stage <> 'closed won'; did you mean 'Closed Won'?";
    assert_eq!(ask("deals_won", "'closed won' <> stage and amount > 0"), [said]);
    let said = "no row of deals has region = 'West'; there are 'EMEA', 'North America'";
    assert_eq!(ask("deals_won", "region = 'West'"), [said]);
    assert_eq!(ask("deals_won", "account_id = 'A3'"), ["no row of deals has account_id = 'A3'"]);
    assert_eq!(
        ask("deals_won", "deal_type = 'pilot'"),
        ["no row of deals has deal_type = 'pilot'; there is only 'new'"]
    );
    let said = "no row of deals or leads has region = 'asia'; did you mean 'Asia'?";
    assert_eq!(ask("deals_won leads", "region = 'asia'"), [said]);
    // A word that some row of the question has, one that has a meaning without a row, one that is beyond the order asked for.
    for (kpis, filter) in
        [("deals_won leads", "region = 'Asia'"), ("deals_won", "status = 'lost'"), ("deals_won", "region > 'B'")]
    {
        assert_eq!(ask(kpis, filter), Vec::<String>::new(), "{filter}");
    }
}

#[test]
fn today_is_the_day_on_which_a_subscription_ended() {
    let folder = scratch();
    let subscriptions = "subscription_id,account_id,mrr_amount,status,start_date,end_date,cancelled_date\n\
        S1,A1,200,active,2023-03-01,2031-02-28,\nS2,A2,300,Cancelled,2023-03-01,2024-02-20,2024-02-10\n\
        S3,A3,300,future,2030-01-01,,\n";
    let lake = lake_of(folder.path(), &[("subscriptions.csv", subscriptions)]);
    let newest = query("mrr --grain month --from 2024-01-01", &lake).table();
    assert_eq!(newest.column("period").last().copied(), Some("2024-02"), "{newest:?}");
}

#[test]
fn service_levels_count_the_tickets_whose_time_is_known() {
    let folder = scratch();
    let lake = lake_of(
        folder.path(),
        &[(
            "tickets.csv",
            "ticket_id,is_closed,created_date,created_at,first_response_at,resolved_at\n\
             T1,true,2024-02-01,2024-02-01T10:00:00Z,2024-02-01T10:30:00Z,2024-02-02T10:00:00Z\n\
             T2,true,2024-02-01,2024-02-01T10:00:00Z,2024-02-01T11:00:01Z,2024-02-02T10:00:01Z\n\
             T3,false,2024-02-01,2024-02-01T10:00:00Z,,\n",
        )],
    );
    let found = query("first_response_within_hour resolution_within_day resolution_time_mean", &lake);
    assert_eq!(found.value("first_response_within_hour"), "0.5");
    assert_eq!(found.value("resolution_within_day"), "0.5");
    assert_eq!(found.value("resolution_time_mean"), "1440.5");
    let folder = scratch();
    let tickets = "ticket_id,is_closed,created_date,resolved_date\nT1,true,2024-02-01,2024-02-02\n";
    let lake = lake_of(folder.path(), &[("tickets.csv", tickets)]);
    let found = query("first_response_within_hour resolution_within_day", &lake);
    assert_eq!((found.value("first_response_within_hour"), found.value("resolution_within_day")), Default::default());
}

#[test]
fn amounts_that_rise_and_fall_are_told_by_the_history() {
    let folder = scratch();
    let lake = lake_of(
        folder.path(),
        &[
            (
                "OpportunityHistory.csv",
                "Id,OpportunityId,CreatedDate,StageName,Amount,Probability\n\
                 008A,006A,2024-01-10T08:00:00.000Z,Prospecting,100,10\n008B,006A,2024-02-20T08:00:00.000Z,Prospecting,200,10\n\
                 008C,006B,2024-01-10T08:00:00.000Z,Prospecting,50,10\n008D,006B,2024-02-10T08:00:00.000Z,Closed Lost,50,0\n\
                 008E,006B,2024-02-15T08:00:00.000Z,Prospecting,50,10\n",
            ),
            (
                "Opportunity.csv",
                "Id,Name,StageName,Amount,CloseDate,IsClosed,IsWon,CreatedDate\n\
                 006A,A,Prospecting,200,2024-06-01,false,false,2024-01-10T08:00:00.000Z\n\
                 006B,B,Prospecting,50,2024-06-01,false,false,2024-01-10T08:00:00.000Z\n",
            ),
        ],
    );
    let found = query("pipeline_value_increase deals_reopened --grain month --period 2024-02", &lake);
    let value = |kpi| found.table().value(&[("kpi", kpi)]);
    assert_eq!((value("pipeline_value_increase"), value("deals_reopened")), ("100".to_owned(), "1".to_owned()));
}
