//! The built-in profiles: the files under `profiles/`, and plain CSV with canonical headers.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use dealframe_model::table::{ColumnType, TABLES, Table};
use dealframe_model::vocabulary;

use super::{ColumnMapping, Profile, ProfileError, read};

macro_rules! profiles {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../profiles/", $path, ".yaml")))),*]
    };
}

/// Path below `profiles/` and text of every built-in profile.
pub const FILES: &[(&str, &str)] = profiles![
    "salesforce/account",
    "salesforce/campaign",
    "salesforce/case",
    "salesforce/contact",
    "salesforce/event",
    "salesforce/lead",
    "salesforce/line_item",
    "salesforce/opportunity",
    "salesforce/opportunity_field_history",
    "salesforce/opportunity_history",
    "salesforce/opportunity_history_report",
    "salesforce/opportunity_versions",
    "salesforce/order",
    "salesforce/product",
    "salesforce/quota",
    "salesforce/task",
    "salesforce/user",
    "hubspot/activity",
    "hubspot/call",
    "hubspot/company",
    "hubspot/company_by_domain",
    "hubspot/contact",
    "hubspot/contact_by_email",
    "hubspot/deal",
    "hubspot/deal_stage",
    "hubspot/email",
    "hubspot/engagement",
    "hubspot/line_item",
    "hubspot/meeting",
    "hubspot/note",
    "hubspot/owner",
    "hubspot/task",
    "hubspot/ticket",
    "maven/account",
    "maven/deal",
    "maven/dictionary",
    "maven/product",
    "maven/user",
    "saas/account",
    "saas/churn_event",
    "saas/feature_usage",
    "saas/subscription",
    "saas/ticket",
    "pipedrive/activity",
    "pipedrive/deal",
    "pipedrive/organization",
    "pipedrive/person",
    "zoho/account",
    "zoho/call",
    "zoho/contact",
    "zoho/deal",
    "zoho/lead",
    "zoho/stage_history",
    "zoho/task",
    "dynamics/account",
    "dynamics/activity",
    "dynamics/lead",
    "dynamics/opportunity",
    "stripe/payment",
    "stripe/subscription",
    "chargebee/subscription",
    "ads/google",
    "ads/meta",
    "surveymonkey/response",
];

/// Every built-in profile; an entry that cannot be read is an error of ours, found by a test.
pub fn all() -> Result<&'static [Arc<Profile>], ProfileError> {
    static ALL: OnceLock<Result<Vec<Arc<Profile>>, ProfileError>> = OnceLock::new();
    match ALL.get_or_init(load) {
        Ok(profiles) => Ok(profiles),
        Err(error) => Err(error.clone()),
    }
}

fn load() -> Result<Vec<Arc<Profile>>, ProfileError> {
    let mut out = Vec::new();
    for (path, text) in FILES {
        let profiles = read(text)
            .map_err(|error| ProfileError { line: error.line, problem: format!("{path}: {}", error.problem) })?;
        out.extend(profiles.into_iter().map(Arc::new));
    }
    out.extend(TABLES.iter().map(|table| Arc::new(canonical(table))));
    Ok(out)
}

/// Columns that a plain CSV may leave out although the table requires them: they follow from others.
fn made_of(table: &Table, column: &str) -> Option<&'static [&'static str]> {
    Some(match (table.name, column) {
        ("targets", "target_id") => {
            &["scope", "scope_name", "owner_id", "team", "region", "metric", "period_start", "period_end"]
        }
        ("spend", "spend_id") => {
            &["spend_date", "kind", "channel", "campaign", "initiative", "region", "currency", "extra"]
        }
        ("fx_rates", "rate_id") => &["from_currency", "to_currency", "kind", "rate_date"],
        ("stage_changes", "change_id") => {
            &["deal_id", "changed_at", "stage", "status", "amount", "probability", "close_date", "owner_id"]
        }
        _ => return None,
    })
}

/// The profile of a plain CSV whose headers are the column names of the table.
fn canonical(table: &'static Table) -> Profile {
    let mut columns = BTreeMap::new();
    let mut fingerprint = Vec::new();
    for column in
        table.columns().filter(|column| !matches!(column.name, "batch_id" | "source_file" | "source_line" | "extra"))
    {
        let mut mapping = ColumnMapping { from: vec![column.name.to_owned()], ..ColumnMapping::default() };
        let twin = column.name.strip_suffix("_date").map(|stem| format!("{stem}_at"));
        let twin = if column.name == "response_date" { Some("responded_at".to_owned()) } else { twin };
        let has_twin = twin.is_some_and(|twin| {
            let known = table.column(&twin).is_some_and(|other| other.kind == ColumnType::Timestamp);
            if known {
                mapping.from.push(twin);
            }
            known
        });
        if let Some(parts) = made_of(table, column.name) {
            mapping.key_of = parts.iter().map(|part| (*part).to_owned()).collect();
        } else if column.name == "origin" {
            mapping.default = Some("history_export".to_owned());
        } else if column.required && column.name != "source_system" && !has_twin {
            fingerprint.push(column.name.to_owned());
        }
        columns.insert(column.name.to_owned(), mapping);
    }
    Profile {
        source: "csv".to_owned(),
        entity: table.name.to_owned(),
        table: Some(table.name.to_owned()),
        about: format!("Plain CSV with the column names of dealframe. {}", table.about),
        fingerprints: vec![fingerprint],
        absent: Vec::new(),
        strip_prefixes: Vec::new(),
        inputs: BTreeMap::new(),
        columns,
        nulls: Vec::new(),
        sentinels: Vec::new(),
        furniture: Vec::new(),
        second_header: false,
        stage_settles_status: false,
        stage_dates: Vec::new(),
        skip: None,
        text: "canonical".to_owned(),
        canonical: true,
    }
}

/// The header line of a plain CSV for a table, ready to be filled in; `None` when there is no such table.
pub fn template(table: &str) -> Option<String> {
    let table = dealframe_model::table::table(table)?;
    let made: Vec<&str> =
        table.own.iter().map(|column| column.name).filter(|name| made_of(table, name).is_none()).collect();
    Some(format!("{}\n", made.join(",")))
}

/// What a plain CSV for a table must have, and which words its columns take: lines for people.
pub fn requirements(table: &str) -> Vec<String> {
    let Some(table) = dealframe_model::table::table(table) else { return Vec::new() };
    let mut out = vec![format!(
        "header of a plain CSV; it must have {}, the other columns may be left out",
        canonical(table).fingerprints.concat().join(", ")
    )];
    for column in table.own {
        if let Some(vocabulary) = vocabulary::vocabulary(table.name, column.name) {
            let others =
                if vocabulary.is_closed { "a row with another word is rejected" } else { "other words are kept" };
            out.push(format!("{}: {}, in any case; {others}", column.name, vocabulary.list()));
        } else if column.kind == ColumnType::Fraction {
            out.push(format!(
                "{}: {} A fraction from 0 to 1: 0.4, or 40% with its sign; a row with another number is rejected",
                column.name, column.about
            ));
        } else if column.about.contains("first day")
            || column.about.contains("First day")
            || column.about.contains("Last day")
        {
            out.push(format!("{}: {}", column.name, column.about));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_profile_is_sound() {
        let profiles = all().unwrap();
        assert!(profiles.len() >= FILES.len() + TABLES.len());
        let mut names = Vec::new();
        for profile in profiles {
            assert_eq!(profile.claimed_twice(), Vec::<String>::new());
            assert!(!names.contains(&profile.name()), "{}", profile.name());
            names.push(profile.name());
            for fingerprint in &profile.fingerprints {
                assert!(!fingerprint.is_empty(), "{}", profile.name());
            }
        }
    }

    #[test]
    fn templates_load_as_their_own_table() {
        for table in TABLES {
            let header: Vec<String> = template(table.name).unwrap().trim().split(',').map(str::to_owned).collect();
            let found = super::super::detect::choose(all().unwrap(), 0, &[header]).unwrap();
            assert_eq!(found.profile.table, Some(table.name.to_owned()));
        }
        assert_eq!(template("nothing"), None);
        assert_eq!(requirements("nothing"), Vec::<String>::new());
        let spend = requirements("spend").join("\n");
        assert!(spend.contains("must have spend_date, kind, amount,"), "{spend}");
        assert!(spend.contains("kind: marketing, sales, fixed or variable, in any case"), "{spend}");
        let subscriptions = requirements("subscriptions").join("\n");
        assert!(subscriptions.contains("end_date: First day on which it no longer runs"), "{subscriptions}");
    }
}
