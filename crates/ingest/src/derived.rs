//! Rows made by us rather than read: rejects, stage changes from wide columns, snapshot
//! differences. One way to build them: a value for every column and row.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use dealframe_model::table::{Column, Table};

use crate::column::Builder;

/// One value of a derived row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Null,
    Text(&'a str),
    Integer(i64),
    Decimal(i128),
    Boolean(bool),
    Date(i32),
    Timestamp(i64),
}

/// Builds `count` rows of a table.
///
/// # Errors
/// When the columns do not fit the schema of the table.
pub fn record_batch<'a>(
    table: &Table,
    count: usize,
    value: impl Fn(&Column, usize) -> Value<'a>,
) -> Result<RecordBatch, ArrowError> {
    let schema = dealframe_lake::schema::arrow_schema(table);
    let mut arrays = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let Some(column) = table.column(field.name()) else {
            return Err(ArrowError::SchemaError(format!("{} has no column {}", table.name, field.name())));
        };
        let mut builder = Builder::new(column.kind);
        for row in 0..count {
            push(&mut builder, value(column, row));
        }
        arrays.push(builder.finish()?);
    }
    RecordBatch::try_new(schema, arrays)
}

fn push(builder: &mut Builder, value: Value<'_>) {
    match (builder, value) {
        (builder, Value::Text(text)) => builder.push_text(Some(text)),
        (Builder::Integer(values), Value::Integer(value)) | (Builder::Timestamp(values), Value::Timestamp(value)) => {
            values.push(Some(value));
        }
        (Builder::Decimal(values, _), Value::Decimal(value)) => values.push(Some(value)),
        (Builder::Boolean(values), Value::Boolean(value)) => values.push(Some(value)),
        (Builder::Date(values), Value::Date(value)) => values.push(Some(value)),
        (builder, _) => builder.push_null(),
    }
}
