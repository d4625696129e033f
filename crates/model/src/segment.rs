//! Segments: the names by which every report may group and filter, and where their values come from.
//!
//! A segment resolves by a declared order of candidates. A candidate is a path of reference
//! columns that ends in a plain column: `owner_id>team` is the team of the row's owner. The
//! first candidate that exists for the table and has a value wins, row by row, so a deal's own
//! region outranks its owner's. References lead to at most one row, so a segment can never
//! multiply rows. Every category column of a table is a segment of that table as well.

use crate::table::{self, ColumnType, Table};

/// A named segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    pub name: &'static str,
    pub about: &'static str,
    /// Paths in order of preference.
    pub candidates: &'static [&'static str],
}

/// The segments that mean the same in every table.
pub const SEGMENTS: &[Segment] = &[
    Segment {
        name: "region",
        about: "Sales region: of the row itself, else of its owner, else of its account; of a target, else the name of its scope.",
        candidates: &["region", "owner_id>region", "account_id>region", "account_id>owner_id>region", "scope_name"],
    },
    Segment {
        name: "country",
        about: "Country: of the row itself, else of its account.",
        candidates: &["country", "account_id>country"],
    },
    Segment { name: "industry", about: "Industry of the account.", candidates: &["industry", "account_id>industry"] },
    Segment {
        name: "account_type",
        about: "Customer segment or type of the account.",
        candidates: &["account_type", "account_id>account_type"],
    },
    Segment {
        name: "account",
        about: "Name of the account, or its identifier where no account is known by it.",
        candidates: &["account_id>name", "account_id"],
    },
    Segment {
        name: "owner",
        about: "Name of the sales representative: of the row's owner, else of its account's owner; of a target, else the name of its scope.",
        candidates: &["owner_id>name", "owner_name", "owner_id", "account_id>owner_id>name", "scope_name"],
    },
    Segment {
        name: "team",
        about: "Sales team: of the row itself, else of its owner; of a target, else the name of its scope.",
        candidates: &["team", "owner_id>team", "account_id>owner_id>team", "scope_name"],
    },
    Segment {
        name: "manager",
        about: "Manager of the owner.",
        candidates: &[
            "owner_id>manager_id>name",
            "owner_id>manager_name",
            "account_id>owner_id>manager_id>name",
            "account_id>owner_id>manager_name",
        ],
    },
    Segment {
        name: "product",
        about: "Name of the product.",
        candidates: &["product_id>name", "product_name", "product_id"],
    },
    Segment { name: "product_family", about: "Family of the product.", candidates: &["product_id>family"] },
    Segment {
        name: "source",
        about: "Channel the deal, lead or account came from.",
        candidates: &["lead_source", "channel", "account_id>lead_source"],
    },
    Segment { name: "campaign", about: "Campaign.", candidates: &["campaign"] },
    Segment { name: "stage", about: "Stage of the deal.", candidates: &["stage"] },
    Segment { name: "pipeline", about: "Pipeline.", candidates: &["pipeline"] },
    Segment { name: "deal_type", about: "New business, upsell, renewal.", candidates: &["deal_type"] },
    Segment { name: "loss_reason", about: "Why a deal was lost.", candidates: &["loss_reason"] },
    Segment { name: "currency", about: "Currency of the amounts.", candidates: &["currency"] },
];

/// One step-by-step way to a segment's value, checked against a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Path {
    /// Reference columns to follow, first one in the table itself.
    pub references: Vec<&'static str>,
    /// The column at the end.
    pub column: &'static str,
}

/// A named segment.
pub fn segment(name: &str) -> Option<&'static Segment> {
    SEGMENTS.iter().find(|segment| segment.name == name)
}

/// The candidates of a segment that exist for `table`, in order of preference. Empty when the table has no such segment.
pub fn paths(table: &Table, name: &str) -> Vec<Path> {
    let own = table.column(name).filter(|column| column.kind == ColumnType::Category);
    match segment(name) {
        Some(segment) if table.name == "accounts" && segment.name == "account" => {
            vec![Path { references: vec![], column: "name" }, Path { references: vec![], column: "account_id" }]
        }
        Some(segment) => segment.candidates.iter().filter_map(|candidate| resolve(table, candidate)).collect(),
        None => own.map(|column| Path { references: vec![], column: column.name }).into_iter().collect(),
    }
}

/// Names of every segment that `table` has: the named ones, then its other category columns.
pub fn segments_of(table: &Table) -> Vec<&'static str> {
    let named = SEGMENTS.iter().map(|segment| segment.name).filter(|name| !paths(table, name).is_empty());
    let own = table.own.iter().filter(|column| column.kind == ColumnType::Category && segment(column.name).is_none());
    named.chain(own.map(|column| column.name)).chain(["source_system"]).collect()
}

fn resolve(table: &Table, candidate: &'static str) -> Option<Path> {
    let steps: Vec<&'static str> = candidate.split('>').collect();
    let (last, references) = steps.split_last()?;
    let mut current = *table;
    let mut resolved = Vec::with_capacity(references.len());
    for step in references {
        let column = current.column(step)?;
        resolved.push(column.name);
        current = *table::table(column.references?)?;
    }
    current.column(last).map(|column| Path { references: resolved, column: column.name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_segment_of_the_contract_exists_for_deals() {
        for name in [
            "region",
            "country",
            "industry",
            "account",
            "owner",
            "team",
            "manager",
            "product",
            "product_family",
            "source",
            "campaign",
            "stage",
            "pipeline",
            "deal_type",
            "loss_reason",
            "currency",
        ] {
            assert!(!paths(&table::DEALS, name).is_empty(), "deals have no {name}");
        }
    }

    #[test]
    fn every_candidate_exists_somewhere() {
        for segment in SEGMENTS {
            for candidate in segment.candidates {
                assert!(
                    table::TABLES.iter().any(|table| resolve(table, candidate).is_some()),
                    "{} of {} resolves in no table",
                    candidate,
                    segment.name
                );
            }
        }
    }
}
