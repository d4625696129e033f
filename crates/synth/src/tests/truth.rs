//! The truth, found again in the written files by adding up with integers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use dealframe_model::date;

use super::reader::{Folder, Rows, cents, run, truth};
use crate::{SynthOptions, Vendor};

/// A deal as the naive reader sees it, whoever wrote it.
pub struct Seen {
    status: &'static str,
    amount: Option<i128>,
    cost: Option<i128>,
    percent: i128,
    account: String,
    owner: String,
    created: i32,
    closes: i32,
}

pub fn seen(folder: &Path, vendor: Vendor) -> BTreeMap<String, Seen> {
    let day = |text: &str| date::parse(&text[..10]).unwrap();
    let optional = |text: &str| (!text.is_empty()).then(|| cents(text));
    match vendor {
        Vendor::Salesforce => {
            let deals = Rows::read(folder, "Opportunity.csv");
            let cell = |row: &[String], name: &str| deals.cell(row, name).to_owned();
            deals
                .rows
                .iter()
                .filter(|row| cell(row, "IsDeleted") == "false")
                .map(|row| {
                    let status = match (cell(row, "IsClosed").as_str(), cell(row, "IsWon").as_str()) {
                        ("true", "true") => "won",
                        ("true", "false") => "lost",
                        ("false", "false") => "open",
                        other => panic!("{other:?}"),
                    };
                    let seen = Seen {
                        status,
                        amount: optional(&cell(row, "Amount")),
                        cost: optional(&cell(row, "Cost__c")),
                        percent: cell(row, "Probability").parse().unwrap(),
                        account: cell(row, "AccountId"),
                        owner: cell(row, "OwnerId"),
                        created: day(&cell(row, "CreatedDate")),
                        closes: day(&cell(row, "CloseDate")),
                    };
                    (cell(row, "Id"), seen)
                })
                .collect()
        }
        Vendor::Hubspot => {
            let deals = Rows::read(folder, "deals.csv");
            let cell = |row: &[String], name: &str| deals.cell(row, name).to_owned();
            deals
                .rows
                .iter()
                .map(|row| {
                    let status = match cell(row, "Deal Stage").as_str() {
                        "Closed Won" => "won",
                        "Closed Lost" => "lost",
                        _ => "open",
                    };
                    let seen = Seen {
                        status,
                        amount: optional(&cell(row, "Amount")),
                        cost: optional(&cell(row, "Cost")),
                        percent: cents(&cell(row, "Deal probability")),
                        account: cell(row, "Associated Company IDs"),
                        owner: cell(row, "Deal owner"),
                        created: day(&cell(row, "Create Date")),
                        closes: day(&cell(row, "Close Date")),
                    };
                    (cell(row, "Record ID"), seen)
                })
                .collect()
        }
    }
}

/// Twelve digits after the point, rounded, without trailing zeros.
fn quotient(numerator: i128, denominator: i128) -> String {
    let scaled = numerator * 10i128.pow(12);
    let (mut digits, rest) = (scaled / denominator, scaled % denominator);
    if rest.abs() * 2 >= denominator.abs() {
        digits += scaled.signum();
    }
    plain_number(digits, 12)
}

pub fn plain_number(value: i128, scale: usize) -> String {
    let digits = format!("{:0>width$}", value.abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let text = format!("{}{whole}.{fraction}", if value < 0 { "-" } else { "" });
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub fn check_deal_truth(folder: &Path, deals: &BTreeMap<String, Seen>) {
    let with = |status: &str| deals.values().filter(|deal| deal.status == status).collect::<Vec<_>>();
    let (won, lost, open) = (with("won"), with("lost"), with("open"));
    let sum = |deals: &[&Seen]| deals.iter().map(|deal| deal.amount.unwrap_or(0)).sum::<i128>();
    let revenue = sum(&won);
    let count = |deals: &[&Seen]| deals.len() as i128;
    let priced = won.iter().filter(|deal| deal.amount.is_some()).count() as i128;
    let margins: Vec<(i128, i128)> =
        won.iter().filter_map(|deal| Some((deal.amount? - deal.cost?, deal.amount?))).collect();
    let margin: i128 = margins.iter().map(|pair| pair.0).sum();
    let base: i128 = margins.iter().map(|pair| pair.1).sum();
    let mut cycles: Vec<i128> = won.iter().map(|deal| i128::from(deal.closes - deal.created)).collect();
    cycles.sort_unstable();
    let middle = cycles[(cycles.len() - 1) / 2] + cycles[cycles.len() / 2];
    let buyers: Vec<&String> = won.iter().map(|deal| &deal.account).filter(|account| !account.is_empty()).collect();
    let customers = buyers.iter().collect::<BTreeSet<_>>().len() as i128;
    let sellers = won.iter().map(|deal| &deal.owner).collect::<BTreeSet<_>>().len() as i128;
    let weighted: i128 = open.iter().map(|deal| deal.amount.unwrap_or(0) * deal.percent).sum();
    assert!(priced < count(&won) && margins.len() < won.len(), "some amounts and costs are missing");
    for (kpi, expected) in [
        ("revenue", plain_number(revenue, 2)),
        ("deals_won", won.len().to_string()),
        ("deals_lost", lost.len().to_string()),
        ("deals_created", deals.len().to_string()),
        ("average_deal_size", quotient(revenue, priced * 100)),
        ("gross_margin", plain_number(margin, 2)),
        ("margin_rate", quotient(margin, base)),
        ("win_rate", quotient(count(&won), count(&won) + count(&lost))),
        ("win_rate_by_value", quotient(revenue, revenue + sum(&lost))),
        ("win_rate_created", quotient(count(&won), deals.len() as i128)),
        ("sales_cycle_mean", quotient(cycles.iter().sum(), count(&won))),
        ("sales_cycle_median", quotient(middle, 2)),
        ("open_pipeline_value", plain_number(sum(&open), 2)),
        ("open_pipeline_count", open.len().to_string()),
        ("weighted_pipeline", plain_number(weighted, 4)),
        ("new_customers", customers.to_string()),
        ("customers", customers.to_string()),
        ("upsell_rate", quotient(buyers.len() as i128 - customers, customers)),
        ("revenue_per_rep", quotient(revenue, sellers * 100)),
    ] {
        assert_eq!(truth(folder, kpi), expected, "{kpi}");
    }
}

fn check_survey_truth(folder: &Path) {
    let surveys = Rows::read(folder, "surveys.csv");
    let scores: Vec<i128> = surveys
        .rows
        .iter()
        .filter(|row| surveys.cell(row, "kind") == "nps")
        .map(|row| surveys.cell(row, "score").parse().unwrap())
        .collect();
    let promoters = scores.iter().filter(|score| **score >= 9).count() as i128;
    let detractors = scores.iter().filter(|score| **score <= 6).count() as i128;
    assert_eq!(truth(folder, "nps"), quotient((promoters - detractors) * 100, scores.len() as i128));
}

fn mean(values: &[i128]) -> String {
    quotient(values.iter().sum(), values.len() as i128)
}

fn check_counts(folder: &Path, entries: &[(&str, usize)]) {
    for (kpi, expected) in entries {
        assert_eq!(truth(folder, kpi), expected.to_string(), "{kpi}");
        assert!(*expected > 0, "{kpi} is tried with rows");
    }
}

#[test]
fn truth_is_found_again_in_salesforce_files() {
    let folder = Folder::new();
    let outcome = run(&SynthOptions::new(6_000, 42, Vendor::Salesforce, &folder.0));
    check_deal_truth(&folder.0, &seen(&folder.0, Vendor::Salesforce));
    check_survey_truth(&folder.0);
    let leads = Rows::read(&folder.0, "Lead.csv");
    let kept: Vec<_> = leads.rows.iter().filter(|row| leads.cell(row, "IsDeleted") == "false").collect();
    let qualified = kept.iter().filter(|row| ["Qualified", "Converted"].contains(&leads.cell(row, "Status"))).count();
    let converted = kept.iter().filter(|row| leads.cell(row, "IsConverted") == "true").count();
    assert_eq!(truth(&folder.0, "qualification_rate"), quotient(qualified as i128, kept.len() as i128));
    assert_eq!(truth(&folder.0, "lead_conversion"), quotient(converted as i128, kept.len() as i128));
    assert!(converted * 100 > kept.len() * 15 && kept.len() < leads.rows.len());
    let (tasks, events) = (Rows::read(&folder.0, "Task.csv"), Rows::read(&folder.0, "Event.csv"));
    let numbers = |rows: &Rows, name: &str| -> Vec<i128> {
        let kept = rows.rows.iter().filter(|row| rows.cell(row, "IsDeleted") == "false");
        kept.filter_map(|row| rows.cell(row, name).parse().ok()).collect()
    };
    let minutes: Vec<i128> = numbers(&events, "DurationInMinutes").iter().map(|minutes| minutes * 60).collect();
    assert_eq!(truth(&folder.0, "call_time_mean"), mean(&numbers(&tasks, "CallDurationInSeconds")));
    assert_eq!(truth(&folder.0, "meeting_time_mean"), mean(&minutes));
    let live = |rows: &Rows| rows.rows.iter().filter(|row| rows.cell(row, "IsDeleted") == "false").count();
    let tickets = Rows::read(&folder.0, "tickets.csv");
    let complaints = tickets.rows.iter().filter(|row| tickets.cell(row, "ticket_type") == "complaint").count();
    check_counts(
        &folder.0,
        &[
            ("leads", kept.len()),
            ("qualified_leads", qualified),
            ("activities", live(&tasks) + live(&events)),
            ("tickets", tickets.rows.len()),
            ("complaints", complaints),
        ],
    );
    for file in &outcome.files {
        assert_eq!(Rows::read(&folder.0, file.name).rows.len() as u64, file.rows, "{}", file.name);
        assert_eq!(truth(&folder.0, file.name), file.rows.to_string());
        assert_eq!(fs::metadata(folder.0.join(file.name)).unwrap().len(), file.bytes);
    }
    assert_eq!(outcome.files.len(), 16);
}

#[test]
fn truth_is_found_again_in_hubspot_files() {
    let folder = Folder::new();
    run(&SynthOptions::new(6_000, 9, Vendor::Hubspot, &folder.0));
    check_deal_truth(&folder.0, &seen(&folder.0, Vendor::Hubspot));
    check_survey_truth(&folder.0);
    let contacts = Rows::read(&folder.0, "contacts.csv");
    let stage = |wanted: &[&str]| {
        contacts.rows.iter().filter(|row| wanted.contains(&contacts.cell(row, "Lifecycle Stage"))).count()
    };
    let qualified = stage(&["Marketing Qualified Lead", "Sales Qualified Lead", "Opportunity", "Customer"]);
    let converted = stage(&["Customer"]) as i128;
    assert_eq!(truth(&folder.0, "lead_conversion"), quotient(converted, contacts.rows.len() as i128));
    let activities = Rows::read(&folder.0, "activities.csv");
    let seconds: Vec<i128> = activities
        .rows
        .iter()
        .filter_map(|row| activities.cell(row, "Call duration").parse::<i128>().ok())
        .map(|milliseconds| milliseconds / 1000)
        .collect();
    assert_eq!(truth(&folder.0, "call_time_mean"), mean(&seconds));
    let clock = |text: &str| {
        let day = i128::from(date::parse(&text[..10]).unwrap());
        day * 86_400 + text[11..13].parse::<i128>().unwrap() * 3_600 + text[14..16].parse::<i128>().unwrap() * 60
    };
    let meetings: Vec<i128> = activities
        .rows
        .iter()
        .filter(|row| !activities.cell(row, "Meeting end time").is_empty())
        .map(|row| clock(activities.cell(row, "Meeting end time")) - clock(activities.cell(row, "Meeting start time")))
        .collect();
    assert_eq!(truth(&folder.0, "meeting_time_mean"), mean(&meetings));
    let tickets = Rows::read(&folder.0, "tickets.csv");
    let complaints = tickets.rows.iter().filter(|row| tickets.cell(row, "Category") == "complaint").count();
    check_counts(
        &folder.0,
        &[
            ("leads", contacts.rows.len()),
            ("qualified_leads", qualified),
            ("activities", activities.rows.len()),
            ("tickets", tickets.rows.len()),
            ("complaints", complaints),
        ],
    );
    let deals = Rows::read(&folder.0, "deals.csv");
    for row in &deals.rows {
        let (stage, pipeline) = (deals.cell(row, "Deal Stage"), deals.cell(row, "Pipeline"));
        let entered = deals.cell(row, &format!("Date entered \"{stage} ({pipeline})\""));
        assert!(!entered.is_empty(), "the current stage was entered");
        if stage.starts_with("Closed") {
            assert_eq!(entered, deals.cell(row, "Close Date"));
        }
    }
}
