//! A small company in memory: rows of the canonical tables, and how they become a lake.
//!
//! Rows are maps from column names to values. They are written through the lake's public
//! interface, so the engine sees nothing that an ingest could not have written. What follows
//! from the rows is the business of `derived`, how they are invented that of `generate`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use dealframe_lake::schema::arrow_schema;
use dealframe_lake::{BatchRecord, Lake, UpsertOptions};
use dealframe_model::date;
use dealframe_model::table::{self, Table};

use super::value::{Fraction, Value};

pub type Row = BTreeMap<&'static str, Value>;

/// Every row of a company, and the day on which its data was exported.
#[derive(Debug, Clone, Default)]
pub struct World {
    pub tables: BTreeMap<&'static str, Vec<Row>>,
    pub as_of: i32,
}

/// The value of a column; a row that does not name it has none.
pub fn cell(row: &Row, column: &str) -> Value {
    row.get(column).cloned().unwrap_or(Value::Null)
}

impl World {
    pub fn new(as_of: &str) -> Self {
        Self { tables: BTreeMap::new(), as_of: day(as_of) }
    }

    /// Adds a row written as `column=value` words; an underscore in a value stands for a blank.
    pub fn add(&mut self, table_name: &str, text: &str) -> &mut Self {
        let table = table::table(table_name).unwrap();
        let mut row = Row::from([("source_system", Value::text("test"))]);
        for (name, value) in text.split_whitespace().map(|pair| pair.split_once('=').unwrap()) {
            let column = table.column(name).unwrap_or_else(|| panic!("no column {name} in {table_name}"));
            // Names have spaces, origins have none.
            let value = if name == "origin" { value.to_owned() } else { value.replace('_', " ") };
            row.insert(column.name, read(column.kind, &value));
        }
        self.tables.entry(table.name).or_default().push(row);
        self
    }

    /// The rows in the words that `add` reads.
    pub fn describe(&self) -> String {
        let mut lines = vec![format!("as of {}", date::format(self.as_of))];
        for (name, rows) in &self.tables {
            for row in rows {
                let words = row.iter().filter_map(|(column, value)| Some(format!("{column}={}", plain(value)?)));
                lines.push(format!("{name}: {}", words.collect::<Vec<_>>().join(" ")));
            }
        }
        lines.join("\n")
    }

    pub fn rows(&self, table: &str) -> &[Row] {
        self.tables.get(table).map_or(&[], Vec::as_slice)
    }

    /// Writes the rows as one batch; `parts` says in how many pieces a table arrives.
    pub fn write(&self, lake: &Path, parts: usize) {
        let mut batch = Lake::create_or_open(lake).unwrap().writer().unwrap().begin("oracle").unwrap();
        for (name, rows) in &self.tables {
            let table = table::TABLES.iter().find(|table| table.name == *name).unwrap();
            let size = rows.len().div_ceil(parts).max(1);
            let mut pieces = rows.chunks(size).map(|rows| Ok(record_batch(table, rows)));
            batch.upsert(table, &mut pieces, UpsertOptions::default()).unwrap();
        }
        batch.commit(BatchRecord { as_of: Some(self.as_of), ..BatchRecord::default() }).unwrap();
    }
}

pub fn day(text: &str) -> i32 {
    date::parse(text).unwrap_or_else(|| panic!("no date: {text}"))
}

fn read(kind: table::ColumnType, text: &str) -> Value {
    use table::ColumnType;
    match kind {
        ColumnType::Text | ColumnType::Category | ColumnType::Json => Value::text(text),
        ColumnType::Integer => Value::whole(text.parse().unwrap()),
        ColumnType::Money | ColumnType::Fraction | ColumnType::Rate => {
            let digits = text.split_once('.').map_or(0, |(_, digits)| digits.len());
            Value::Number(Fraction::scaled(text.replace('.', "").parse().unwrap(), digits as u32))
        }
        ColumnType::Boolean => Value::Boolean(text == "true"),
        ColumnType::Date => Value::Date(day(text)),
        ColumnType::Timestamp => {
            let (date, minutes) = text.split_once('+').unwrap_or((text, "0"));
            Value::Instant(i64::from(day(date)) * 86_400_000_000 + minutes.parse::<i64>().unwrap() * 60_000_000)
        }
    }
}

fn record_batch(table: &Table, rows: &[Row]) -> RecordBatch {
    let schema = arrow_schema(table);
    let arrays = schema.fields().iter().map(|field| -> ArrayRef {
        let texts: StringArray = rows.iter().map(|row| row.get(field.name().as_str()).and_then(plain)).collect();
        let array = cast(&texts, field.data_type()).unwrap();
        assert_eq!(array.null_count(), texts.null_count(), "{}.{}: {texts:?}", table.name, field.name());
        array
    });
    RecordBatch::try_new(Arc::clone(&schema), arrays.collect()).unwrap()
}

/// A value as Arrow reads it from text.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Boolean(known) => Some(known.to_string()),
        Value::Text(text) => Some(text.clone()),
        Value::Number(number) => Some(number.plain()),
        Value::Date(day) => Some(date::format(*day)),
        Value::Instant(instant) => {
            let (day, within) = (instant.div_euclid(86_400_000_000), instant.rem_euclid(86_400_000_000) / 1_000_000);
            let day = date::format(i32::try_from(day).unwrap());
            Some(format!("{day}T{:02}:{:02}:{:02}Z", within / 3600, within / 60 % 60, within % 60))
        }
    }
}
