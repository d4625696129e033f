//! The oracle's own resolution of segments: follow the references row by row.
//!
//! Candidates and their order are the published vocabulary (`dealframe_model::segment`); the
//! search below is not. Derived tables take the segments of the deal or the account they are of.

use dealframe_model::segment;
use dealframe_model::table::{self, ColumnType};

use super::derived::Facts;
use super::value::Value;
use super::world::{Row, cell};

/// The canonical table whose columns say what segments a derived table has.
fn described_by(table: &str) -> &str {
    match table {
        "deal_states" | "pipeline_changes" | "stage_entries" | "stages_reached" => "deals",
        "purchase_windows" | "contract_windows" | "mrr_changes" => "accounts",
        _ => table,
    }
}

/// Whether a table has a segment of that name.
pub fn has(table_name: &str, name: &str) -> bool {
    let table = table::table(described_by(table_name)).unwrap();
    !segment::paths(table, name).is_empty()
}

/// The value of a segment for a row.
pub fn resolve(facts: &Facts, table_name: &str, row: &Row, name: &str) -> Option<String> {
    let described = described_by(table_name);
    if described == "accounts" && table_name != "accounts" {
        let account = facts.find("accounts", "account_id", &cell(row, "account_id"), &cell(row, "source_system"));
        return resolve_own(facts, described, account.unwrap_or(row), name);
    }
    resolve_own(facts, described, row, name)
}

fn resolve_own(facts: &Facts, table_name: &str, row: &Row, name: &str) -> Option<String> {
    let candidates: &[&str] = match segment::segment(name) {
        Some(_) if table_name == "accounts" && name == "account" => &["name", "account_id"],
        Some(segment) => segment.candidates,
        None => return cell(row, name).as_text().map(str::to_owned),
    };
    candidates.iter().find_map(|candidate| follow(facts, table_name, row, candidate))
}

fn follow(facts: &Facts, table_name: &str, row: &Row, path: &str) -> Option<String> {
    let Some((reference, rest)) = path.split_once('>') else {
        return cell(row, path).as_text().map(str::to_owned);
    };
    let referenced = table::table(table_name)?.column(reference)?.references?;
    let target = table::table(referenced)?;
    let found = facts.find(referenced, target.key, &cell(row, reference), &cell(row, "source_system"))?;
    follow(facts, referenced, found, rest)
}

/// What a name in an expression stands for: a segment, else a column.
pub fn named(facts: &Facts, table_name: &str, row: &Row, name: &str) -> Value {
    let described = table::table(described_by(table_name));
    let category =
        described.and_then(|table| table.column(name)).is_some_and(|column| column.kind == ColumnType::Category);
    if segment::segment(name).is_some() && (category || !row.contains_key(name)) {
        return resolve(facts, table_name, row, name).map_or(Value::Null, Value::Text);
    }
    cell(row, name)
}
