//! The columns of the fact tables, known without a lake.
//!
//! What `crate::facts` writes follows from the canonical tables, their segments and a few
//! derived columns; here the same is said as a list, so that definitions can be checked before
//! there is any data. A test makes every fact table of an empty lake and compares.

use std::collections::BTreeMap;

use dealframe_model::segment;
use dealframe_model::table::{self, ColumnType, Table};
use dealframe_model::vocabulary::{Vocabulary, vocabulary};

use crate::facts::derived::{pipeline, recurring};

/// What can be said about a column in an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// An identifier.
    Key,
    Number,
    Boolean,
    Date,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Key => "an identifier",
            Self::Number => "a number",
            Self::Boolean => "a truth value",
            Self::Date => "a date",
        }
    }
}

pub(crate) type Columns = BTreeMap<&'static str, Kind>;

/// The columns of a fact table; `None` when there is no such table.
pub(crate) fn columns(name: &str) -> Option<Columns> {
    if let Some(canonical) = table::table(name) {
        let mut columns = canonical_columns(canonical);
        columns.extend(derived_columns(name).iter().copied());
        return Some(columns);
    }
    let like = carried_from(name)?;
    let dropped: &[&str] = match name {
        "deal_states" | "pipeline_changes" => &["close_date", "status"],
        _ => &[],
    };
    let not_carried =
        ["list_amount", "discount_amount", "forecast_category", "first_contact_date", "proposal_date", "signed_date"];
    let mut columns = canonical_columns(like);
    columns.retain(|column, _| {
        !dropped.contains(column) && (like.name != table::DEALS.name || !not_carried.contains(column))
    });
    columns.extend(derived_columns(name).iter().copied());
    Some(columns)
}

/// The table whose rows lend their columns to a table that no export contains.
fn carried_from(name: &str) -> Option<&'static Table> {
    match name {
        "deal_states" | "pipeline_changes" | "stage_entries" | "stages_reached" => Some(&table::DEALS),
        "purchase_windows" | "contract_windows" | "mrr_changes" => Some(&table::ACCOUNTS),
        _ => None,
    }
}

/// The column of the lake that a column of a fact table repeats; its own name where it is made anew.
fn origin<'a>(table: &'a str, column: &'a str) -> (&'a str, &'a str) {
    match (table, column) {
        ("deals", "lead_created_date") => ("leads", "created_date"),
        ("deals", "first_won_date") => ("accounts", "first_won_date"),
        ("line_items", "deal_status") => ("deals", "status"),
        ("line_items", "deal_close_date") => ("deals", "close_date"),
        _ if derived_columns(table).iter().any(|(name, _)| *name == column) => (table, column),
        _ => (carried_from(table).map_or(table, |like| like.name), column),
    }
}

/// Whether two dates are those of the same event, under whatever names.
pub(crate) fn is_same_event(one: (&str, &str), other: (&str, &str)) -> bool {
    origin(one.0, one.1) == origin(other.0, other.1)
}

/// The words with a meaning in a column of a fact table.
pub(crate) fn words(table: &str, column: &str) -> Option<Vocabulary> {
    match (table, column) {
        ("mrr_changes", "movement") => Some(Vocabulary { words: &recurring::MOVEMENTS, is_closed: true }),
        ("pipeline_changes", "movement") => Some(Vocabulary { words: &pipeline::MOVEMENTS, is_closed: true }),
        ("stage_changes", "status_before") => vocabulary(table, column),
        _ => {
            let (table, column) = origin(table, column);
            vocabulary(table, column)
        }
    }
}

/// Whether a column of a fact table holds shares between 0 and 1.
pub(crate) fn is_fraction(table: &str, column: &str) -> bool {
    let (table, column) = origin(table, column);
    let column = table::table(table).and_then(|table| table.column(column));
    column.is_some_and(|column| column.kind == ColumnType::Fraction)
}

/// The type of a column that stands in the lake but that no definition can read: a point in time, or free text.
pub(crate) fn unread(name: &str, column: &str) -> Option<ColumnType> {
    let kind = carried_from(name).or_else(|| table::table(name))?.column(column)?.kind;
    matches!(kind, ColumnType::Timestamp | ColumnType::Text | ColumnType::Json).then_some(kind)
}

fn canonical_columns(table: &Table) -> Columns {
    let mut columns: Columns = segment::segments_of(table).into_iter().map(|name| (name, Kind::Text)).collect();
    for column in table.own {
        let kind = match column.kind {
            _ if column.references.is_some() => Kind::Key,
            ColumnType::Money | ColumnType::Fraction | ColumnType::Rate | ColumnType::Integer => Kind::Number,
            ColumnType::Boolean => Kind::Boolean,
            ColumnType::Date => Kind::Date,
            ColumnType::Category | ColumnType::Text | ColumnType::Timestamp | ColumnType::Json => continue,
        };
        columns.insert(column.name, kind);
    }
    columns
}

/// Columns that a fact table has beside those of its canonical table.
fn derived_columns(table: &str) -> &'static [(&'static str, Kind)] {
    match table {
        "deals" => &[
            ("is_first_won", Kind::Boolean),
            ("is_repeat_won", Kind::Boolean),
            ("first_won_date", Kind::Date),
            ("lead_created_date", Kind::Date),
        ],
        "accounts" => &[
            ("account_id", Kind::Key),
            ("first_won_date", Kind::Date),
            ("last_won_date", Kind::Date),
            ("customer_until", Kind::Date),
            ("won_deals", Kind::Number),
            ("won_amount", Kind::Number),
            ("won_margin_amount", Kind::Number),
            ("is_customer", Kind::Boolean),
        ],
        "stage_changes" => &[("status_before", Kind::Text)],
        "leads" => &[("minutes_to_first_contact", Kind::Number), ("is_contacted", Kind::Boolean)],
        "line_items" => &[
            ("is_sale", Kind::Boolean),
            ("deal_status", Kind::Text),
            ("deal_close_date", Kind::Date),
            ("sold_on", Kind::Date),
        ],
        "deal_states" => {
            &[("expected_close_date", Kind::Date), ("valid_from", Kind::Date), ("valid_until", Kind::Date)]
        }
        "pipeline_changes" => &[
            ("expected_close_date", Kind::Date),
            ("change_date", Kind::Date),
            ("movement", Kind::Text),
            ("direction", Kind::Number),
        ],
        "stage_entries" => &[
            ("next_stage", Kind::Text),
            ("entered_date", Kind::Date),
            ("left_date", Kind::Date),
            ("days_in_stage", Kind::Number),
            ("is_moved_on", Kind::Boolean),
            ("is_lost_here", Kind::Boolean),
            ("is_won", Kind::Boolean),
            ("is_closed", Kind::Boolean),
        ],
        "stages_reached" => &[
            ("reached_date", Kind::Date),
            ("passed_date", Kind::Date),
            ("is_passed", Kind::Boolean),
            ("is_skipped", Kind::Boolean),
            ("is_won", Kind::Boolean),
            ("is_closed", Kind::Boolean),
        ],
        "purchase_windows" | "contract_windows" => {
            &[("account_id", Kind::Key), ("active_from", Kind::Date), ("active_until", Kind::Date)]
        }
        "mrr_changes" => &[
            ("account_id", Kind::Key),
            ("currency", Kind::Text),
            ("movement", Kind::Text),
            ("change_date", Kind::Date),
            ("amount", Kind::Number),
        ],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use dealframe_lake::{BatchRecord, Lake};

    use super::*;
    use crate::facts::FactKind;
    use crate::facts::derived::DERIVED;
    use crate::plan::Facts;

    fn kind(kind: &FactKind) -> Kind {
        match kind {
            FactKind::Code { domain } if domain.starts_with("key-of-") => Kind::Key,
            FactKind::Code { .. } => Kind::Text,
            FactKind::Number { .. } => Kind::Number,
            FactKind::Boolean => Kind::Boolean,
            FactKind::Date => Kind::Date,
        }
    }

    #[test]
    fn the_list_is_what_fact_tables_have() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lake");
        let batch = Lake::create_or_open(&path).unwrap().writer().unwrap().begin("empty").unwrap();
        batch.commit(BatchRecord::default()).unwrap();
        let facts = Facts::new(Lake::open(&path).unwrap(), None, u64::MAX);
        for name in table::TABLES.iter().map(|table| table.name).chain(DERIVED) {
            let found: BTreeMap<String, Kind> = facts
                .table(name)
                .unwrap()
                .columns
                .iter()
                .filter(|column| !column.name.ends_with("__month"))
                .map(|column| (column.name.clone(), kind(&column.kind)))
                .collect();
            let listed: BTreeMap<String, Kind> =
                columns(name).unwrap().into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect();
            assert_eq!(listed, found, "{name}");
        }
    }
}
