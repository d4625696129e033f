//! Several nights: what a later export brings must not change what an earlier one said of the past.

use std::path::Path;

use super::program::{Table, call, ingest, scratch};

fn write(folder: &Path, name: &str, lines: &[&str]) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(name), lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
}

fn query(words: &str, lake: &Path) -> Table {
    call("query").words(words).lake(lake).words("--format csv").works().table()
}

const OPPORTUNITY: &str =
    "Id,Name,StageName,Amount,Probability,IsClosed,IsWon,CloseDate,CreatedDate,SystemModstamp,CurrencyIsoCode";

#[test]
fn stages_alone_leave_the_amounts_of_an_earlier_night() {
    let folder = scratch();
    let lake = folder.path().join("lake");
    let header = "Record ID,Deal Name,Deal Stage,Amount,Currency,Deal probability,Is Closed Won,Is closed lost,Create Date,\
                  Close Date,Last Modified Date,\"Date entered \"\"Talks (Sales)\"\"\",\"Date entered \"\"Won (Sales)\"\"\"";
    let first = "1,a,Talks,16000,EUR,0.1,false,false,2024-01-05,2024-06-01,2024-01-05 09:00,2024-01-05 09:00,";
    let second =
        "1,a,Won,16000,EUR,1.0,true,false,2024-01-05,2024-02-10,2024-02-10 09:00,2024-01-05 09:00,2024-02-10 09:00";
    for (night, line) in [("1", first), ("2", second)] {
        let night = folder.path().join(night);
        write(&night, "hubspot-deals.csv", &[header, line]);
        ingest(&night, &lake);
    }
    let answer = query("open_pipeline_value weighted_pipeline pipeline_won --grain month --as-of 2024-02-29", &lake);
    let value = |kpi, period| answer.value(&[("kpi", kpi), ("period", period)]);
    assert_eq!(value("open_pipeline_value", "2024-01"), "16000");
    assert_eq!(value("weighted_pipeline", "2024-01"), "1600");
    assert_eq!(value("open_pipeline_value", "2024-02"), "0");
    assert_eq!(value("pipeline_won", "2024-02"), "-16000");
}

#[test]
fn a_history_that_begins_late_leaves_the_state_of_an_earlier_night() {
    let folder = scratch();
    let lake = folder.path().join("lake");
    let nights = [
        (
            "1",
            "006A00000000001,a,New,1000,10,false,false,2024-06-01,2024-01-05T08:00:00.000Z,2024-01-05T08:00:00.000Z,EUR",
        ),
        (
            "2",
            "006A00000000001,a,Offer,5000,30,false,false,2024-06-01,2024-01-05T08:00:00.000Z,2024-03-10T08:00:00.000Z,EUR",
        ),
    ];
    for (night, line) in nights {
        let night = folder.path().join(night);
        write(&night, "Opportunity.csv", &[OPPORTUNITY, line]);
    }
    let changes = [
        "Id,OpportunityId,StageName,Amount,Probability,CreatedDate",
        "008A00000000001,006A00000000001,Talks,1000,20,2024-02-10T08:00:00.000Z",
        "008A00000000002,006A00000000001,Offer,5000,30,2024-03-10T08:00:00.000Z",
    ];
    write(&folder.path().join("2"), "OpportunityHistory.csv", &changes);
    for (night, _) in nights {
        ingest(&folder.path().join(night), &lake);
    }
    let answer = query("open_pipeline_value --by stage --grain month --as-of 2024-03-31", &lake);
    let stands = |period, stage| answer.value(&[("kpi", "open_pipeline_value"), ("period", period), ("stage", stage)]);
    for (period, stage, value) in
        [("2024-01", "New", "1000"), ("2024-02", "Talks", "1000"), ("2024-03", "Offer", "5000")]
    {
        for other in ["New", "Talks", "Offer"] {
            assert_eq!(stands(period, other), if other == stage { value } else { "0" }, "{period} {other}");
        }
    }
    assert_eq!(query("stage_entry_conversion --by stage", &lake).value(&[("stage", "New")]), "1");
}

#[test]
fn deals_that_come_later_tell_what_closed_one_before() {
    let folder = scratch();
    let deals = [
        OPPORTUNITY,
        "006A00000000001,a,Talks,1000,50,false,false,2024-09-01,2024-01-02T08:00:00.000Z,2024-03-05T08:00:00.000Z,EUR",
        "006A00000000002,b,Verloren,500,0,true,false,2024-04-01,2024-01-02T08:00:00.000Z,2024-04-01T08:00:00.000Z,EUR",
    ];
    let history = [
        "Id,OpportunityId,Field,OldValue,NewValue,CreatedDate",
        "017A00000000001,006A00000000001,StageName,Talks,Verloren,2024-01-10T08:00:00.000Z",
        "017A00000000002,006A00000000001,StageName,Verloren,Talks,2024-03-05T08:00:00.000Z",
    ];
    write(&folder.path().join("deals"), "Opportunity.csv", &deals);
    write(&folder.path().join("history"), "OpportunityFieldHistory.csv", &history);
    let mut answers = Vec::new();
    for order in [["deals", "history"], ["history", "deals"]] {
        let lake = folder.path().join(order[0].to_owned() + "-first");
        order.iter().for_each(|part| drop(ingest(&folder.path().join(part), &lake)));
        let answer =
            query("deals_reopened pipeline_lost_count open_pipeline_count --grain month --as-of 2024-04-30", &lake);
        let value = |kpi, period| answer.value(&[("kpi", kpi), ("period", period)]);
        assert_eq!(value("deals_reopened", "2024-03"), "1", "{order:?}");
        assert_eq!(value("open_pipeline_count", "2024-02"), "1", "{order:?}");
        assert_eq!(value("pipeline_lost_count", "2024-01"), "-1", "{order:?}");
        answers.push(answer.rows);
    }
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn what_fell_to_nothing_is_a_line_of_a_comparison() {
    let folder = scratch();
    let lake = folder.path().join("lake");
    let lines = [
        "deal_id,status,amount,currency,region,created_date,close_date",
        "1,won,100,EUR,North,2024-01-01,2024-02-01",
        "2,won,900,EUR,South,2024-01-01,2024-03-01",
        "3,won,110,EUR,North,2025-01-01,2025-02-01",
    ];
    write(&folder.path().join("in"), "deals.csv", &lines);
    ingest(&folder.path().join("in"), &lake);
    for grain in ["all", "year"] {
        for sparse in ["", " --sparse"] {
            let words = format!(
                "revenue --by region --period 2025 --compare year-ago --as-of 2025-12-31 --grain {grain}{sparse}"
            );
            let answer = query(&words, &lake);
            assert_eq!(answer.cell("base_value", &[("region", "South")]), "900", "{words}");
            assert_eq!(answer.value(&[("region", "South")]), "0", "{words}");
            assert_eq!(answer.cell("base_value", &[("region", "North")]), "100", "{words}");
        }
    }
    let running =
        call("query").words("revenue --period 2025 --compare year-ago --as-of 2025-02-01").lake(&lake).works();
    assert!(running.err.contains("what there is of it is compared with 2024-01-01 .. 2024-02-01"), "{running:?}");
}
