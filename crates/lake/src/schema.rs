//! Arrow schemas of the canonical tables: how each logical type is kept at rest.
//!
//! Every column is nullable in storage, required ones too: whether a row may be loaded is
//! decided by `dealframe-ingest`, and a nullable column can be read by every Delta reader.
//! What the columns mean is written in `dealframe_model::table`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use dealframe_model::table::{BATCHES, Column, ColumnType, REJECTS, TABLES, Table};

/// The Arrow schema of a table, columns in storage order.
///
/// `rejects` and `batches` have only their own columns, every other table has the common ones too.
pub fn arrow_schema(table: &Table) -> SchemaRef {
    let fields: Vec<Field> =
        stored_columns(table).iter().map(|column| Field::new(column.name, arrow_type(column.kind), true)).collect();
    Arc::new(Schema::new(fields))
}

/// The columns a table has in storage.
pub(crate) fn stored_columns(table: &Table) -> Vec<&'static Column> {
    if is_ledger(table.name) { table.own.iter().collect() } else { table.columns().collect() }
}

/// A table the lake knows: a canonical one, `rejects` or `batches`.
pub(crate) fn known_table(name: &str) -> Option<&'static Table> {
    static REJECTS_TABLE: Table = REJECTS;
    static BATCHES_TABLE: Table = BATCHES;
    match name {
        "rejects" => Some(&REJECTS_TABLE),
        "batches" => Some(&BATCHES_TABLE),
        _ => TABLES.iter().find(|table| table.name == name),
    }
}

/// Every table of the lake but `batches`: those a batch pins a version of.
pub(crate) fn pinned_tables() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|table| table.name).chain([REJECTS.name])
}

fn is_ledger(name: &str) -> bool {
    name == REJECTS.name || name == BATCHES.name
}

fn arrow_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::Text | ColumnType::Json => DataType::Utf8,
        ColumnType::Category => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        ColumnType::Integer => DataType::Int64,
        ColumnType::Money | ColumnType::Fraction => DataType::Decimal128(18, 4),
        ColumnType::Rate => DataType::Decimal128(18, 8),
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Date => DataType::Date32,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    }
}
