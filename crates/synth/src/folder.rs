//! The folder of a run: which files belong to it, which must not be there, and how they are announced.
//!
//! Files themselves are written by `output`, in the order `generate` decides.

use std::fs;
use std::path::Path;

use crate::error::SynthError;
use crate::options::{SynthOptions, Vendor};
use crate::output::failure;

/// Name of the file with the known answers.
pub const TRUTH_FILE: &str = "truth.json";

/// Names of all files a run may write.
const ALL_FILES: [&str; 24] = [
    "Opportunity.csv",
    "OpportunityHistory.csv",
    "OpportunityLineItem.csv",
    "Account.csv",
    "Lead.csv",
    "Task.csv",
    "Event.csv",
    "User.csv",
    "Product2.csv",
    "deals.csv",
    "companies.csv",
    "contacts.csv",
    "activities.csv",
    "tickets.csv",
    "users.csv",
    "products.csv",
    "orders.csv",
    "subscriptions.csv",
    "referrals.csv",
    "surveys.csv",
    "spend.csv",
    "targets.csv",
    "fx_rates.csv",
    TRUTH_FILE,
];

/// Names of the files these options lead to.
pub fn planned_files(options: &SynthOptions) -> Vec<&'static str> {
    let night = options.changed_share.is_some();
    let vendor_files = match options.vendor {
        Vendor::Salesforce => &ALL_FILES[..9],
        Vendor::Hubspot => &ALL_FILES[9..16],
    };
    let deal_files = ["Opportunity.csv", "OpportunityHistory.csv", "deals.csv"];
    vendor_files
        .iter()
        .chain(&ALL_FILES[16..])
        .chain((options.vendor == Vendor::Salesforce).then_some(&"tickets.csv"))
        .filter(|name| !night || deal_files.contains(name) || **name == TRUTH_FILE)
        .filter(|name| options.history || **name != "OpportunityHistory.csv")
        .filter(|name| options.currencies || **name != "fx_rates.csv")
        .copied()
        .collect()
}

/// Files of another run would be ingested together with these and make the truth a lie.
pub fn refuse_foreign(folder: &Path, planned: &[&str]) -> Result<(), SynthError> {
    let entries = fs::read_dir(folder).map_err(|source| failure("list", folder, source))?;
    let mut foreign = Vec::new();
    for entry in entries {
        let name = entry.map_err(|source| failure("list", folder, source))?.file_name();
        let name = name.to_string_lossy().into_owned();
        if name.to_ascii_lowercase().ends_with(".csv") && !planned.contains(&name.as_str()) {
            foreign.push(name);
        }
    }
    foreign.sort();
    match foreign.first() {
        Some(first) => {
            Err(SynthError::ForeignFiles { path: folder.to_path_buf(), count: foreign.len(), first: first.clone() })
        }
        None => Ok(()),
    }
}

/// `1,234,567`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count of bytes for people.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", grouped(bytes / 1_000_000)),
    }
}
