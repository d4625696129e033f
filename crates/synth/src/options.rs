//! What can be asked of the generator, and what it reports back.
//!
//! Ranges are checked here and nowhere else; the generator may rely on them. The command line
//! turns its flags into these options.

use std::path::PathBuf;

use dealframe_model::date;

use crate::error::SynthError;

/// The system whose exports are imitated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    Salesforce,
    Hubspot,
}

impl Vendor {
    /// The name the lake uses in `source_system`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Salesforce => "salesforce",
            Self::Hubspot => "hubspot",
        }
    }
}

impl std::str::FromStr for Vendor {
    type Err = SynthError;

    fn from_str(text: &str) -> Result<Self, SynthError> {
        match text.to_ascii_lowercase().as_str() {
            "salesforce" => Ok(Self::Salesforce),
            "hubspot" => Ok(Self::Hubspot),
            _ => {
                Err(SynthError::Option { option: "source", found: text.to_owned(), expected: "salesforce or hubspot" })
            }
        }
    }
}

/// What to generate.
#[derive(Debug, Clone)]
pub struct SynthOptions {
    /// Number of deals; every other table scales with it.
    pub deals: u64,
    pub seed: u64,
    pub vendor: Vendor,
    /// Folder that receives the files.
    pub out: PathBuf,
    /// Newest business date, in days since 1970-01-01. Only plans (expected closings of open deals, targets) lie later.
    pub end_date: i32,
    /// Years of business, ending on `end_date`.
    pub years: u32,
    /// Amounts in USD, EUR and GBP with `fx_rates.csv`, instead of USD only.
    pub currencies: bool,
    /// Write the history of stages (`OpportunityHistory.csv`, or HubSpot's "Date entered" columns).
    pub history: bool,
    /// A later night: the share of the deals that changed since, and the seed of that night. Only
    /// changed and new deals are written; the truth is that of all deals after the night. Every
    /// night starts from the state without a night, so nights do not build on each other.
    pub changed_share: Option<(f64, u64)>,
}

impl SynthOptions {
    /// Options with the defaults: four years that end on 2025-12-31, USD only, with history.
    pub fn new(deals: u64, seed: u64, vendor: Vendor, out: impl Into<PathBuf>) -> Self {
        Self {
            deals,
            seed,
            vendor,
            out: out.into(),
            end_date: date::from_civil(2025, 12, 31),
            years: 4,
            currencies: false,
            history: true,
            changed_share: None,
        }
    }

    /// Refuses what the generator could not keep its promises for.
    pub(crate) fn check(&self) -> Result<(), SynthError> {
        let refuse = |option, found: String, expected| Err(SynthError::Option { option, found, expected });
        if !(1..=2_000_000_000).contains(&self.deals) {
            return refuse("deals", self.deals.to_string(), "1 to 2,000,000,000 deals");
        }
        if !(1..=30).contains(&self.years) {
            return refuse("years", self.years.to_string(), "1 to 30 years");
        }
        if !(date::from_civil(2005, 1, 1)..=date::from_civil(2200, 1, 1)).contains(&self.end_date) {
            return refuse("end-date", date::format(self.end_date), "a date from 2005-01-01 to 2200-01-01");
        }
        match self.changed_share {
            Some((share, _)) if !(0.0..=1.0).contains(&share) => {
                refuse("changed-share", share.to_string(), "a share from 0 to 1")
            }
            _ => Ok(()),
        }
    }

    /// The day on which the generated state holds.
    pub fn as_of(&self) -> i32 {
        self.end_date + i32::from(self.changed_share.is_some())
    }
}

/// One file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SynthFile {
    pub name: &'static str,
    /// Records, without the header.
    pub rows: u64,
    pub bytes: u64,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SynthOutcome {
    pub files: Vec<SynthFile>,
    /// The file with the known answers.
    pub truth: PathBuf,
    /// The day on which the state holds.
    pub as_of: i32,
}

impl SynthOutcome {
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}
