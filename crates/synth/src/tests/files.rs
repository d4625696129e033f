//! Rows that must agree with each other: references, identifiers, history and product lines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeSet, HashMap};

use super::reader::{Folder, Rows, cents, run};
use crate::{SynthOptions, Vendor};

#[test]
fn references_resolve_and_ids_carry_their_checksum() {
    let folder = Folder::new();
    run(&SynthOptions::new(4_000, 8, Vendor::Salesforce, &folder.0));
    let read = |name: &str| Rows::read(&folder.0, name);
    let (deals, accounts, users) = (read("Opportunity.csv"), read("Account.csv"), read("User.csv"));
    let (leads, products) = (read("Lead.csv"), read("Product2.csv"));
    let keys = |rows: &Rows| -> BTreeSet<String> {
        let keys: BTreeSet<String> = rows.rows.iter().map(|row| rows.cell(row, "Id").to_owned()).collect();
        assert_eq!(keys.len(), rows.rows.len(), "keys are unique");
        for key in &keys {
            assert_eq!(&key[15..], checksum(&key[..15]), "{key}");
        }
        keys
    };
    let known: Vec<BTreeSet<String>> = [&deals, &accounts, &users, &leads, &products].map(keys).into();
    let within = |rows: &Rows, column: &str, table: usize| {
        let values = rows.set(column);
        assert!(!values.is_empty() && values.iter().all(|value| known[table].contains(*value)), "{column}");
    };
    within(&deals, "AccountId", 1);
    within(&deals, "OwnerId", 2);
    within(&deals, "Product__c", 4);
    within(&leads, "ConvertedOpportunityId", 0);
    within(&leads, "ConvertedAccountId", 1);
    within(&users, "ManagerId", 2);
    for name in ["Task.csv", "Event.csv"] {
        within(&read(name), "WhatId", 0);
        within(&read(name), "WhoId", 3);
    }
    for name in ["orders.csv", "subscriptions.csv", "referrals.csv"] {
        within(&read(name), "deal_id", 0);
        within(&read(name), "account_id", 1);
    }
    within(&read("referrals.csv"), "referrer_account_id", 1);
    within(&read("tickets.csv"), "account_id", 1);
    within(&read("surveys.csv"), "owner_id", 2);
    within(&read("targets.csv"), "owner_id", 2);
    assert!(deals.rows.iter().any(|row| deals.cell(row, "AccountId").is_empty()), "some deals have no account");
    let conversions = leads.rows.iter().filter(|row| leads.cell(row, "IsConverted") == "true").count();
    assert_eq!(leads.set("ConvertedOpportunityId").len(), conversions, "a deal comes of one lead");
    let spent = read("spend.csv");
    assert!(spent.set("channel").is_subset(&deals.set("LeadSource")));
    assert!(deals.set("CampaignId").is_subset(&spent.set("campaign")));
    let names: BTreeSet<&str> = users.set("Name");
    assert_eq!(names.len(), users.rows.len(), "no two users share a name");
}

/// The three last characters of a Salesforce id, by the definition and not by the generator's code.
fn checksum(id: &str) -> String {
    let alphabet: Vec<char> = ('A'..='Z').chain('0'..='5').collect();
    let characters: Vec<char> = id.chars().collect();
    characters
        .chunks(5)
        .map(|five| {
            let bits: String = five.iter().rev().map(|letter| if letter.is_uppercase() { '1' } else { '0' }).collect();
            alphabet[usize::from_str_radix(&bits, 2).unwrap()]
        })
        .collect()
}

#[test]
fn history_and_lines_agree_with_their_deals() {
    let folder = Folder::new();
    run(&SynthOptions::new(5_000, 21, Vendor::Salesforce, &folder.0));
    let (deals, history) = (Rows::read(&folder.0, "Opportunity.csv"), Rows::read(&folder.0, "OpportunityHistory.csv"));
    let mut last: HashMap<&str, &Vec<String>> = HashMap::new();
    for row in &history.rows {
        if let Some(before) = last.insert(history.cell(row, "OpportunityId"), row) {
            assert!(history.cell(before, "CreatedDate") < history.cell(row, "CreatedDate"));
            assert!(!history.cell(before, "StageName").starts_with("Closed"), "nothing follows a closing");
        }
    }
    let mut lines: HashMap<String, i128> = HashMap::new();
    let items = Rows::read(&folder.0, "OpportunityLineItem.csv");
    for row in &items.rows {
        let total = cents(items.cell(row, "TotalPrice"));
        let unit: i128 = items.cell(row, "UnitPrice").replace('.', "").parse().unwrap();
        let list: i128 = items.cell(row, "ListPrice").replace('.', "").parse().unwrap();
        assert_eq!(unit * items.cell(row, "Quantity").parse::<i128>().unwrap(), total * 100);
        assert!(list >= unit);
        *lines.entry(items.cell(row, "OpportunityId").to_owned()).or_default() += total;
    }
    let mut with_lines = 0;
    for row in deals.rows.iter().filter(|row| deals.cell(row, "IsDeleted") == "false") {
        let state = last[deals.cell(row, "Id")];
        for column in ["StageName", "Amount", "Probability", "CloseDate", "CurrencyIsoCode"] {
            assert_eq!(history.cell(state, column), deals.cell(row, column), "{column}");
        }
        assert_eq!(deals.cell(row, "IsWon") == "true", deals.cell(row, "StageName") == "Closed Won");
        let lost = deals.cell(row, "StageName") == "Closed Lost";
        assert!(lost || deals.cell(row, "Loss_Reason__c").is_empty());
        if let Some(total) = lines.get(deals.cell(row, "Id")) {
            assert_eq!(*total, cents(deals.cell(row, "Amount")));
            with_lines += 1;
        }
    }
    assert_eq!(with_lines, lines.len());
    assert!(history.rows.len() > 3 * deals.rows.len(), "about four states for each deal");
}
