//! Typed columns that grow row by row and can take back an incomplete row.
//!
//! A row is written column by column; if one cell is refused the columns written so far are
//! cut back, so a rejected row leaves no trace. Category columns remember the raw bytes they
//! have seen: trimming, mapping and normalising a pick-list value happens once per distinct
//! value and chunk, not once per row.

use std::sync::Arc;

use arrow::array::NullBufferBuilder;
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
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

/// Fixed-size values, and which of them are null.
#[derive(Debug)]
pub struct Values<T> {
    values: Vec<T>,
    /// Costs nothing until the first null.
    valid: NullBufferBuilder,
}

impl<T> Default for Values<T> {
    fn default() -> Self {
        Self { values: Vec::new(), valid: NullBufferBuilder::new(0) }
    }
}

impl<T: Default> Values<T> {
    /// Appends a value or a null.
    #[inline]
    pub fn push(&mut self, value: Option<T>) {
        match value {
            Some(value) => {
                self.valid.append_non_null();
                self.values.push(value);
            }
            None => {
                self.valid.append_null();
                self.values.push(T::default());
            }
        }
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
    valid: NullBufferBuilder,
}

impl Default for Text {
    fn default() -> Self {
        Self { offsets: vec![0], bytes: Vec::new(), valid: NullBufferBuilder::new(0) }
    }
}

impl Text {
    /// Appends a text or a null.
    #[inline]
    pub fn push(&mut self, text: Option<&[u8]>) {
        match text {
            Some(text) => {
                self.valid.append_non_null();
                self.bytes.extend_from_slice(text);
            }
            None => self.valid.append_null(),
        }
        self.close();
    }

    /// Appends a text that `write` produces.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.valid.append_non_null();
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
        StringArray::try_new(offsets, Buffer::from_vec(fitted(self.bytes)), self.valid.build())
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

/// Texts of up to this many bytes are remembered by their words.
const SHORT: usize = 32;
/// Texts remembered so, by column.
const REMEMBERED: usize = 64;

/// A short text as words, so that two are compared without a loop. The length tells apart what is filled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Short {
    words: [u64; 4],
    length: usize,
}

impl Short {
    #[inline]
    fn new(text: &[u8]) -> Option<Self> {
        let length = text.len();
        let word = |at: usize| -> u64 {
            text.get(at..at + 8).and_then(|eight| eight.try_into().ok()).map_or(0, u64::from_le_bytes)
        };
        let half = |at: usize| -> u64 {
            text.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, |four| u32::from_le_bytes(four).into())
        };
        let words = match length {
            // Words overlap where the length is no multiple of theirs; the same length overlaps the same way.
            0..=3 => [text.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0, 0, 0],
            4..=8 => [half(0), half(length - 4), 0, 0],
            9..=16 => [word(0), word(length - 8), 0, 0],
            17..=SHORT => [word(0), word(8), word(length - 16), word(length - 8)],
            _ => return None,
        };
        Some(Self { words, length })
    }

    #[inline]
    fn slot(&self) -> usize {
        let [first, second, third, fourth] = self.words;
        let mixed = first ^ second.rotate_left(23) ^ third.rotate_left(41) ^ fourth.rotate_left(7) ^ self.length as u64;
        (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize
    }
}

/// Few distinct texts.
#[derive(Debug, Default)]
pub struct Category {
    codes: Values<i32>,
    /// Short texts seen lately, by slot: nearly every cell is found here.
    lately: Vec<Option<(Short, Code)>>,
    raw: Vec<u8>,
    seen: HashTable<Seen>,
    dictionary: Text,
    distinct: HashTable<(u64, i32)>,
}

impl Category {
    /// The code of a raw text; `make` turns a text not seen before into a value, a null or a refusal.
    #[inline]
    pub fn code(&mut self, text: &[u8], make: impl FnOnce(&[u8]) -> Made) -> Code {
        let Some(short) = Short::new(text) else { return self.look_up(text, make) };
        let slot = short.slot();
        if let Some(Some((known, code))) = self.lately.get(slot)
            && *known == short
        {
            return *code;
        }
        let code = self.look_up(text, make);
        self.lately.resize(REMEMBERED, None);
        self.lately[slot] = Some((short, code));
        code
    }

    fn look_up(&mut self, text: &[u8], make: impl FnOnce(&[u8]) -> Made) -> Code {
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

    /// Makes room for `rows` rows, so that the column does not move while it grows.
    pub fn reserve(&mut self, rows: usize) {
        match self {
            Self::Text(text) => {
                text.offsets.reserve(rows);
                // Identifiers of most systems are about this long.
                text.bytes.reserve(rows * 20);
            }
            Self::Category(category) => category.codes.values.reserve(rows),
            Self::Integer(values) | Self::Timestamp(values) => values.values.reserve(rows),
            Self::Decimal(values, _) => values.values.reserve(rows),
            Self::Boolean(values) => values.values.reserve(rows),
            Self::Date(values) => values.values.reserve(rows),
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

    /// The day in the last row of a date column.
    pub fn last_date(&self) -> Option<i32> {
        let Self::Date(values) = self else { return None };
        let last = values.values.len().checked_sub(1)?;
        values.valid.is_valid(last).then(|| values.values[last])
    }

    /// The number in the last row of a decimal column, scaled.
    pub fn last_decimal(&self) -> Option<i128> {
        let Self::Decimal(values, _) = self else { return None };
        let last = values.values.len().checked_sub(1)?;
        values.valid.is_valid(last).then(|| values.values[last])
    }

    /// The word in the last row of a category column.
    pub fn last_word(&self) -> Option<&[u8]> {
        let Self::Category(category) = self else { return None };
        let last = category.codes.values.len().checked_sub(1)?;
        let code = category.codes.values[last] as usize;
        let Text { offsets, bytes, .. } = &category.dictionary;
        category.codes.valid.is_valid(last).then(|| &bytes[offsets[code] as usize..offsets[code + 1] as usize])
    }

    /// Whether the last row of a text or category column has a value.
    pub fn has_last_text(&self) -> bool {
        match self {
            Self::Text(text) => text.offsets.len().checked_sub(2).is_some_and(|last| text.valid.is_valid(last)),
            other => other.last_word().is_some(),
        }
    }

    /// The newest date of a date column.
    pub fn newest_date(&self) -> Option<i32> {
        let Self::Date(dates) = self else { return None };
        (0..dates.values.len()).filter(|row| dates.valid.is_valid(*row)).map(|row| dates.values[row]).max()
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
                    category.codes.valid.build(),
                )?;
                let dictionary = Arc::new(category.dictionary.into_array()?);
                Arc::new(DictionaryArray::<Int32Type>::try_new(codes, dictionary)?)
            }
            Self::Integer(values) => {
                Arc::new(Int64Array::try_new(ScalarBuffer::from(fitted(values.values)), values.valid.build())?)
            }
            Self::Decimal(values, scale) => Arc::new(
                Decimal128Array::try_new(ScalarBuffer::from(fitted(values.values)), values.valid.build())?
                    .with_precision_and_scale(18, scale as i8)?,
            ),
            Self::Boolean(values) => Arc::new(BooleanArray::new(values.values.into(), values.valid.build())),
            Self::Date(values) => {
                Arc::new(Date32Array::try_new(ScalarBuffer::from(fitted(values.values)), values.valid.build())?)
            }
            Self::Timestamp(values) => Arc::new(
                TimestampMicrosecondArray::try_new(ScalarBuffer::from(fitted(values.values)), values.valid.build())?
                    .with_timezone("UTC"),
            ),
        })
    }
}

/// Gives back room that growing left over: the rows may wait in memory for a while.
fn fitted<T>(mut values: Vec<T>) -> Vec<T> {
    if values.capacity() > values.len() + values.len() / 2 {
        values.shrink_to_fit();
    }
    values
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn short_texts_differ_when_their_bytes_do() {
        let text: Vec<u8> = (0..40).map(|byte| byte * 5 + 1).collect();
        for length in 0..=SHORT {
            let short = Short::new(&text[..length]).unwrap();
            assert!(short.slot() < REMEMBERED);
            for place in 0..length {
                let mut other = text[..length].to_vec();
                other[place] ^= 0x40;
                assert_ne!(Short::new(&other).unwrap(), short, "{length} {place}");
            }
            for other in 0..length {
                assert_ne!(Short::new(&text[..other]).unwrap(), short);
            }
        }
        assert_ne!(Short::new(b"").unwrap(), Short::new(b"\0").unwrap());
        assert!(Short::new(&text[..33]).is_none());
    }

    #[test]
    fn a_category_has_one_code_per_value_however_many_there_are() {
        let mut category = Category::default();
        let texts: Vec<String> = (0..500).map(|number| format!("{number:0width$}", width = 1 + number % 40)).collect();
        for _ in 0..3 {
            for text in &texts {
                let code = category.code(text.as_bytes(), |text| Made::Value(text.to_vec()));
                let Code::Value(code) = code else { panic!("{text}") };
                let (start, end) =
                    (category.dictionary.offsets[code as usize], category.dictionary.offsets[code as usize + 1]);
                assert_eq!(&category.dictionary.bytes[start as usize..end as usize], text.as_bytes());
            }
        }
    }
}
