//! Typed columns that grow row by row and can take back an incomplete row.
//!
//! A row is written column by column; if one cell is refused the columns written so far are
//! cut back, so a rejected row leaves no trace. Category columns remember the raw bytes they
//! have seen: trimming, mapping and normalising a pick-list value happens once per distinct
//! value and chunk, not once per row.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;
use dealframe_model::table::ColumnType;
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

/// A growing column.
#[derive(Debug)]
pub enum Builder {
    Text(Text),
    Category(Box<Category>),
    Integer(Values<i64>),
    /// Scaled integers and the scale.
    Decimal(Values<i128>, u8),
    Boolean(Values<bool>),
    Date(Values<i32>),
    Timestamp(Values<i64>),
}

/// Fixed-size values with a null flag each.
#[derive(Debug, Default)]
pub struct Values<T> {
    values: Vec<T>,
    valid: Vec<bool>,
}

impl<T: Default> Values<T> {
    /// Appends a value or a null.
    #[inline]
    pub fn push(&mut self, value: Option<T>) {
        self.valid.push(value.is_some());
        self.values.push(value.unwrap_or_default());
    }

    fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.valid.truncate(rows);
    }
}

/// Text of any length.
#[derive(Debug)]
pub struct Text {
    offsets: Vec<i32>,
    bytes: Vec<u8>,
    valid: Vec<bool>,
}

impl Default for Text {
    fn default() -> Self {
        Self { offsets: vec![0], bytes: Vec::new(), valid: Vec::new() }
    }
}

impl Text {
    /// Appends a text or a null.
    #[inline]
    pub fn push(&mut self, text: Option<&[u8]>) {
        self.valid.push(text.is_some());
        if let Some(text) = text {
            self.bytes.extend_from_slice(text);
        }
        self.close();
    }

    /// Appends a text that `write` produces.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.valid.push(true);
        self.close();
    }

    #[inline]
    fn close(&mut self) {
        // Chunks are far smaller than 2 GiB; see `LONGEST_FIELD` and the chunk size.
        self.offsets.push(self.bytes.len() as i32);
    }

    fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.valid.truncate(rows);
        let end = self.offsets.last().copied().unwrap_or(0);
        self.bytes.truncate(end as usize);
    }

    fn into_array(self) -> Result<StringArray, ArrowError> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(fitted(self.offsets)));
        StringArray::try_new(offsets, Buffer::from_vec(fitted(self.bytes)), nulls(self.valid))
    }
}

/// What a raw pick-list value becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Value(i32),
    Null,
    Refused,
}

#[derive(Debug)]
struct Seen {
    hash: u64,
    start: u32,
    end: u32,
    code: Code,
}

/// Few distinct texts.
#[derive(Debug, Default)]
pub struct Category {
    codes: Values<i32>,
    raw: Vec<u8>,
    seen: HashTable<Seen>,
    dictionary: Text,
    distinct: HashTable<(u64, i32)>,
}

impl Category {
    /// The code of a raw text; `make` turns a text not seen before into a value, a null or a refusal.
    #[inline]
    pub fn code(&mut self, text: &[u8], make: impl FnOnce(&[u8]) -> Made) -> Code {
        let hash = xxh3_64(text);
        if let Some(seen) = self
            .seen
            .find(hash, |seen| seen.hash == hash && self.raw.get(seen.start as usize..seen.end as usize) == Some(text))
        {
            return seen.code;
        }
        let code = match make(text) {
            Made::Value(value) => Code::Value(self.intern(&value)),
            Made::Null => Code::Null,
            Made::Refused => Code::Refused,
        };
        let start = self.raw.len() as u32;
        self.raw.extend_from_slice(text);
        let end = self.raw.len() as u32;
        self.seen.insert_unique(hash, Seen { hash, start, end, code }, |seen| seen.hash);
        code
    }

    /// The code of a finished value.
    pub fn intern(&mut self, value: &[u8]) -> i32 {
        let hash = xxh3_64(value);
        let dictionary = &self.dictionary;
        let text_of = |code: i32| {
            let index = code as usize;
            &dictionary.bytes[dictionary.offsets[index] as usize..dictionary.offsets[index + 1] as usize]
        };
        if let Some((_, code)) = self.distinct.find(hash, |(other, code)| *other == hash && text_of(*code) == value) {
            return *code;
        }
        let code = self.dictionary.valid.len() as i32;
        self.dictionary.push(Some(value));
        self.distinct.insert_unique(hash, (hash, code), |(hash, _)| *hash);
        code
    }

    /// Appends a code.
    #[inline]
    pub fn push(&mut self, code: Option<i32>) {
        self.codes.push(code);
    }
}

/// The outcome of looking at a raw pick-list value for the first time.
#[derive(Debug)]
pub enum Made {
    Value(Vec<u8>),
    Null,
    Refused,
}

impl Builder {
    /// An empty column for a canonical type.
    pub fn new(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Text | ColumnType::Json => Self::Text(Text::default()),
            ColumnType::Category => Self::Category(Box::default()),
            ColumnType::Integer => Self::Integer(Values::default()),
            ColumnType::Money | ColumnType::Fraction => Self::Decimal(Values::default(), 4),
            ColumnType::Rate => Self::Decimal(Values::default(), 8),
            ColumnType::Boolean => Self::Boolean(Values::default()),
            ColumnType::Date => Self::Date(Values::default()),
            ColumnType::Timestamp => Self::Timestamp(Values::default()),
        }
    }

    /// Appends a null.
    #[inline]
    pub fn push_null(&mut self) {
        match self {
            Self::Text(text) => text.push(None),
            Self::Category(category) => category.push(None),
            Self::Integer(values) | Self::Timestamp(values) => values.push(None),
            Self::Decimal(values, _) => values.push(None),
            Self::Boolean(values) => values.push(None),
            Self::Date(values) => values.push(None),
        }
    }

    /// Appends a text to a text or category column; other columns get a null.
    pub fn push_text(&mut self, value: Option<&str>) {
        match (self, value) {
            (Self::Text(text), value) => text.push(value.map(str::as_bytes)),
            (Self::Category(category), Some(value)) => {
                let code = category.intern(value.as_bytes());
                category.push(Some(code));
            }
            (other, _) => other.push_null(),
        }
    }

    /// The text in the last row of a text column.
    pub fn last_text(&self) -> Option<String> {
        let Self::Text(text) = self else { return None };
        let [.., start, end] = text.offsets.as_slice() else { return None };
        Some(String::from_utf8_lossy(&text.bytes[*start as usize..*end as usize]).into_owned())
    }

    /// The newest date of a date column.
    pub fn newest_date(&self) -> Option<i32> {
        let Self::Date(dates) = self else { return None };
        dates.values.iter().zip(&dates.valid).filter(|(_, valid)| **valid).map(|(date, _)| *date).max()
    }

    /// Cuts the column back to `rows` rows.
    pub fn truncate(&mut self, rows: usize) {
        match self {
            Self::Text(text) => text.truncate(rows),
            Self::Category(category) => category.codes.truncate(rows),
            Self::Integer(values) | Self::Timestamp(values) => values.truncate(rows),
            Self::Decimal(values, _) => values.truncate(rows),
            Self::Boolean(values) => values.truncate(rows),
            Self::Date(values) => values.truncate(rows),
        }
    }

    /// The finished column.
    ///
    /// # Errors
    /// When the parts do not fit together, which would be a fault of this module.
    pub fn finish(self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Text(text) => Arc::new(text.into_array()?),
            Self::Category(category) => {
                let codes = Int32Array::try_new(
                    ScalarBuffer::from(fitted(category.codes.values)),
                    nulls(category.codes.valid),
                )?;
                let dictionary = Arc::new(category.dictionary.into_array()?);
                Arc::new(DictionaryArray::<Int32Type>::try_new(codes, dictionary)?)
            }
            Self::Integer(values) => {
                Arc::new(Int64Array::try_new(ScalarBuffer::from(fitted(values.values)), nulls(values.valid))?)
            }
            Self::Decimal(values, scale) => Arc::new(
                Decimal128Array::try_new(ScalarBuffer::from(fitted(values.values)), nulls(values.valid))?
                    .with_precision_and_scale(18, scale as i8)?,
            ),
            Self::Boolean(values) => Arc::new(BooleanArray::new(values.values.into(), nulls(values.valid))),
            Self::Date(values) => {
                Arc::new(Date32Array::try_new(ScalarBuffer::from(fitted(values.values)), nulls(values.valid))?)
            }
            Self::Timestamp(values) => Arc::new(
                TimestampMicrosecondArray::try_new(ScalarBuffer::from(fitted(values.values)), nulls(values.valid))?
                    .with_timezone("UTC"),
            ),
        })
    }
}

/// Gives back room that growing left over: the rows may wait in memory for a while.
fn fitted<T>(mut values: Vec<T>) -> Vec<T> {
    if values.capacity() > values.len() + values.len() / 8 {
        values.shrink_to_fit();
    }
    values
}

fn nulls(valid: Vec<bool>) -> Option<NullBuffer> {
    if valid.iter().all(|valid| *valid) { None } else { Some(NullBuffer::from(valid)) }
}
