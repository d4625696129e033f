//! A table without KPI semantics: the answers of `kpis`, `tables`, `sql`, `check` and their like.
//!
//! Cells are texts, as their makers print them exactly; a column's kind says what the text
//! means, so that JSON gets numbers, Parquet gets types and screens align to the right.

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::ReportError;

/// What the texts of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    Text,
    Integer,
    Decimal,
    Float,
    Boolean,
}

impl ColumnKind {
    pub fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Decimal | Self::Float)
    }

    /// The kind that a data type's name stands for, in the spelling of Polars, Arrow or SQL.
    pub fn from_type_name(name: &str) -> Self {
        let name = name.trim().to_ascii_lowercase();
        if name.starts_with("decimal") || name.starts_with("numeric") {
            Self::Decimal
        } else if matches!(name.as_str(), "i8" | "i16" | "i32" | "i64" | "i128" | "u8" | "u16" | "u32" | "u64")
            || name.starts_with("int")
            || name.starts_with("uint")
            || name == "bigint"
        {
            Self::Integer
        } else if matches!(name.as_str(), "f32" | "f64" | "float" | "float32" | "float64" | "double") {
            Self::Float
        } else if name.starts_with("bool") {
            Self::Boolean
        } else {
            Self::Text
        }
    }
}

/// A column of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingColumn {
    pub name: String,
    pub kind: ColumnKind,
}

/// Named columns and rows of texts; `None` is null.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    pub columns: Vec<ListingColumn>,
    pub rows: Vec<Vec<Option<String>>>,
}

impl Listing {
    pub fn new(columns: &[(&str, ColumnKind)]) -> Self {
        let columns =
            columns.iter().map(|(name, kind)| ListingColumn { name: (*name).to_owned(), kind: *kind }).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Record batches of one schema as a listing.
    ///
    /// # Errors
    /// When a column cannot be printed.
    pub fn from_batches(batches: &[RecordBatch]) -> Result<Self, ReportError> {
        let mut listing = Self::default();
        let options = FormatOptions::default();
        for batch in batches {
            if listing.columns.is_empty() {
                listing.columns = (batch.schema().fields().iter())
                    .map(|field| ListingColumn { name: field.name().clone(), kind: kind_of(field.data_type()) })
                    .collect();
            }
            let printers = (batch.columns().iter())
                .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| ReportError::build("listing", error))?;
            for row in 0..batch.num_rows() {
                let cells = batch.columns().iter().zip(&printers);
                listing.rows.push(
                    cells
                        .map(|(column, printer)| (!column.is_null(row)).then(|| printer.value(row).to_string()))
                        .collect(),
                );
            }
        }
        Ok(listing)
    }

    /// Position of a column.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

fn kind_of(data_type: &DataType) -> ColumnKind {
    match data_type {
        DataType::Boolean => ColumnKind::Boolean,
        DataType::Decimal128(..) | DataType::Decimal256(..) => ColumnKind::Decimal,
        kind if kind.is_integer() => ColumnKind::Integer,
        kind if kind.is_floating() => ColumnKind::Float,
        _ => ColumnKind::Text,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn batches_become_rows() {
        let count: Arc<dyn Array> = Arc::new(Int64Array::from(vec![Some(1), None]));
        let name: Arc<dyn Array> = Arc::new(StringArray::from(vec![None, Some("x")]));
        let batch = RecordBatch::try_from_iter([("count", count), ("name", name)]).unwrap();
        let listing = Listing::from_batches(&[batch]).unwrap();
        assert_eq!(listing.columns[0], ListingColumn { name: "count".to_owned(), kind: ColumnKind::Integer });
        assert_eq!(listing.rows, vec![vec![Some("1".to_owned()), None], vec![None, Some("x".to_owned())]]);
    }

    #[test]
    fn kinds_by_type_name() {
        assert_eq!(ColumnKind::from_type_name("decimal[18,4]"), ColumnKind::Decimal);
        assert_eq!(ColumnKind::from_type_name("i64"), ColumnKind::Integer);
        assert_eq!(ColumnKind::from_type_name("UInt32"), ColumnKind::Integer);
        assert_eq!(ColumnKind::from_type_name("str"), ColumnKind::Text);
        assert_eq!(ColumnKind::from_type_name("datetime[μs, UTC]"), ColumnKind::Text);
    }
}
