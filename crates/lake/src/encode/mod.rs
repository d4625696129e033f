//! Column chunks of a row group, written straight from canonical columns.
//!
//! `ArrowWriter` looks at every text of a category column again and tries a dictionary on every
//! other column; that took a third of an ingest. Here codes are written as they are, and what is
//! worth a dictionary is found by looking at the values. The pages are PLAIN, RLE_DICTIONARY and
//! DELTA_BINARY_PACKED, with zstd except where packed differences look like noise: every reader in
//! use knows them. Files are put together in `parquet_file.rs`.

mod delta;
mod hybrid;
mod number;
mod pages;
mod text;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use parquet::errors::{ParquetError, Result};
use parquet::schema::types::ColumnDescPtr;

use crate::LakeError;

use number::{Numbers, Truths};
pub(crate) use pages::ColumnChunk;
use pages::Pages;
use text::Texts;

/// A block of rows of one column.
pub(crate) enum Block<'a> {
    /// In a canonical type, except that texts may be a dictionary, and decimals and instants whole numbers.
    Array(ArrayRef),
    Texts(Vec<Option<&'a str>>),
}

/// Gives the rows `start..start + count` of a column as a block.
pub(crate) type Blocks<'a> = Box<dyn Fn(usize, usize) -> std::result::Result<Block<'a>, LakeError> + 'a>;

/// Builds one column chunk out of blocks of rows; each block becomes a page.
pub(crate) enum Encoder {
    Small(Numbers<i32>),
    Whole(Numbers<i64>),
    Truth(Truths),
    Text(Box<Texts>),
}

impl Encoder {
    /// An encoder for up to `rows` rows.
    /// `is_key`: the column has almost only distinct values, and readers look for single ones.
    pub(crate) fn new(descriptor: ColumnDescPtr, kind: &DataType, rows: usize, is_key: bool) -> Result<Self> {
        let pages = Pages::new(descriptor);
        Ok(match kind {
            DataType::Date32 => Self::Small(Numbers::new(pages, rows)),
            DataType::Int64 | DataType::Timestamp(_, _) | DataType::Decimal128(_, _) => {
                Self::Whole(Numbers::new(pages, rows))
            }
            DataType::Boolean => Self::Truth(Truths::new(pages)),
            DataType::Utf8 => Self::Text(Box::new(Texts::new(pages, false, is_key))),
            DataType::Dictionary(_, _) => Self::Text(Box::new(Texts::new(pages, true, is_key))),
            other => return Err(unexpected(other)),
        })
    }

    /// Takes the next block.
    pub(crate) fn take(&mut self, block: &Block<'_>) -> Result<()> {
        let array = match (block, &mut *self) {
            (Block::Array(array), _) => array,
            (Block::Texts(rows), Self::Text(texts)) => return texts.take(rows),
            (Block::Texts(_), _) => return Err(unexpected(&DataType::Utf8)),
        };
        let wrong = || unexpected(array.data_type());
        match self {
            Self::Small(numbers) => {
                let dates = array.as_primitive_opt::<Date32Type>().ok_or_else(wrong)?;
                numbers.take(dates.values(), dates.nulls());
            }
            Self::Whole(numbers) => {
                if let Some(values) = array.as_primitive_opt::<Int64Type>() {
                    numbers.take(values.values(), values.nulls());
                } else if let Some(instants) = array.as_primitive_opt::<TimestampMicrosecondType>() {
                    numbers.take(instants.values(), instants.nulls());
                } else {
                    let decimals = array.as_primitive_opt::<Decimal128Type>().ok_or_else(wrong)?;
                    // What stands in a null slot is arbitrary.
                    let values: Vec<i64> =
                        decimals.values().iter().map(|value| i64::try_from(*value).unwrap_or(i64::MAX)).collect();
                    if values.contains(&i64::MAX)
                        && decimals.iter().flatten().any(|value| i64::try_from(value).is_err())
                    {
                        return Err(ParquetError::General("a decimal of more than 18 digits".to_owned()));
                    }
                    numbers.take(&values, decimals.nulls());
                }
            }
            Self::Truth(truths) => truths.take(array.as_boolean_opt().ok_or_else(wrong)?)?,
            Self::Text(texts) => match array.as_dictionary_opt::<Int32Type>() {
                Some(codes) => texts.take_codes(codes)?,
                None => {
                    let rows: Vec<Option<&str>> = array.as_string_opt::<i32>().ok_or_else(wrong)?.iter().collect();
                    texts.take(&rows)?;
                }
            },
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<ColumnChunk> {
        match self {
            Self::Small(numbers) => numbers.finish(),
            Self::Whole(numbers) => numbers.finish(),
            Self::Truth(truths) => truths.finish(),
            Self::Text(texts) => texts.finish(),
        }
    }
}

fn unexpected(kind: &DataType) -> ParquetError {
    ParquetError::General(format!("a column of {kind}, which no canonical table has"))
}
