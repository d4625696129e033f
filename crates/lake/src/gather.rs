//! Columns gathered from many chunks: the way back from the compact form to canonical Arrow.
//!
//! A row is addressed by its chunk and its place there. The dictionaries of all chunks are merged
//! once per column, so that equal categories have equal codes. `merge.rs` decides which rows in
//! which order.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Int32Array, Int64Array,
    StringArray, TimestampMicrosecondArray, builder::NullBufferBuilder, new_null_array,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Int32Type, Int64Type, UInt8Type, UInt16Type};

use crate::LakeError;
use crate::chunk::{Chunk, Layout};

/// Address of a row: chunk in the high half, row in the low half, and a mark in the top bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(u64);

const GONE: u64 = 1 << 63;

impl Place {
    pub(crate) fn new(chunk: usize, row: usize) -> Self {
        Self(((chunk as u64) << 32) | row as u64)
    }
    /// The same row, to be marked as deleted.
    pub(crate) fn gone(self) -> Self {
        Self(self.0 | GONE)
    }
    fn is_gone(self) -> bool {
        self.0 & GONE != 0
    }
    #[allow(clippy::cast_possible_truncation)] // the halves fit by construction
    pub(crate) fn chunk(self) -> usize {
        ((self.0 & !GONE) >> 32) as usize
    }
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn row(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }
}

enum Keys<'a> {
    Byte(&'a [u8]),
    Short(&'a [u16]),
    Int(&'a [i32]),
}

impl Keys<'_> {
    fn at(&self, row: usize) -> usize {
        match self {
            Self::Byte(keys) => usize::from(keys[row]),
            Self::Short(keys) => usize::from(keys[row]),
            Self::Int(keys) => usize::try_from(keys[row]).unwrap_or(0),
        }
    }
}

/// A column of one chunk.
enum Part<'a> {
    Absent,
    Text(&'a StringArray),
    /// A text kept once, or a category with the merged code of each entry; -1 is null.
    Code {
        keys: Keys<'a>,
        nulls: Option<&'a NullBuffer>,
        texts: &'a StringArray,
        merged: Vec<i32>,
    },
    Small(&'a Int32Array),
    Whole(&'a Int64Array),
    Truth(&'a BooleanArray),
}

/// One value, for comparisons.
#[derive(PartialEq, Eq)]
enum Cell<'a> {
    Null,
    Text(&'a str),
    Code(i32),
    Whole(i64),
    Truth(bool),
}

impl<'a> Part<'a> {
    fn is_valid(&self, row: usize) -> bool {
        match self {
            Self::Absent => false,
            Self::Text(array) => array.is_valid(row),
            Self::Code { keys, nulls, merged, .. } => {
                nulls.is_none_or(|nulls| nulls.is_valid(row)) && merged[keys.at(row)] >= 0
            }
            Self::Small(array) => array.is_valid(row),
            Self::Whole(array) => array.is_valid(row),
            Self::Truth(array) => array.is_valid(row),
        }
    }

    /// Text of a valid row of a text column.
    fn text(&self, row: usize) -> &'a str {
        match self {
            Self::Text(array) => array.value(row),
            Self::Code { keys, texts, .. } => texts.value(keys.at(row)),
            _ => "",
        }
    }

    fn has_nulls(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Text(array) => array.null_count() > 0,
            Self::Code { nulls, merged, .. } => nulls.is_some() || merged.contains(&-1),
            Self::Small(array) => array.null_count() > 0,
            Self::Whole(array) => array.null_count() > 0,
            Self::Truth(array) => array.null_count() > 0,
        }
    }
}

struct Column<'a> {
    parts: Vec<Part<'a>>,
    kind: DataType,
    dictionary: Option<ArrayRef>,
    has_nulls: bool,
    /// No chunk has a value.
    is_absent: bool,
}

/// All columns of some chunks, ready to be gathered from.
pub(crate) struct Gather<'a> {
    layout: &'a Layout,
    columns: Vec<Column<'a>>,
    /// Batch that marks rows as deleted.
    batch_id: &'a str,
}

impl<'a> Gather<'a> {
    pub(crate) fn new(layout: &'a Layout, chunks: &'a [Chunk], batch_id: &'a str) -> Result<Self, LakeError> {
        let mut columns = Vec::with_capacity(layout.schema.fields().len());
        for (position, field) in layout.schema.fields().iter().enumerate() {
            columns.push(Column::new(field.data_type(), chunks, position).ok_or_else(|| LakeError::WrongColumn {
                table: layout.table.name.to_owned(),
                position,
                found: "a chunk of another table".to_owned(),
                expected: field.to_string(),
            })?);
        }
        Ok(Self { layout, columns, batch_id })
    }

    pub(crate) fn text(&self, column: usize, place: Place) -> Option<&'a str> {
        let part = &self.columns[column].parts[place.chunk()];
        part.is_valid(place.row()).then(|| part.text(place.row()))
    }

    pub(crate) fn small(&self, column: usize, place: Place) -> Option<i32> {
        match &self.columns[column].parts[place.chunk()] {
            Part::Small(array) => array.is_valid(place.row()).then(|| array.value(place.row())),
            _ => None,
        }
    }

    pub(crate) fn integer(&self, column: usize, place: Place) -> Option<i64> {
        match &self.columns[column].parts[place.chunk()] {
            Part::Whole(array) => array.is_valid(place.row()).then(|| array.value(place.row())),
            _ => None,
        }
    }

    pub(crate) fn truth(&self, column: usize, place: Place) -> bool {
        match &self.columns[column].parts[place.chunk()] {
            Part::Truth(array) => array.is_valid(place.row()) && array.value(place.row()),
            _ => false,
        }
    }

    pub(crate) fn same(&self, column: usize, left: Place, right: Place) -> bool {
        let column = &self.columns[column];
        column.cell(left) == column.cell(right)
    }

    /// The rows at `places`, as a canonical column.
    pub(crate) fn column(&self, column: usize, places: &[Place]) -> Result<ArrayRef, LakeError> {
        let source = &self.columns[column];
        let name = self.layout.table.name;
        let marks = column == self.layout.deleted || column == self.layout.batch;
        if source.is_absent && !marks {
            return Ok(new_null_array(&source.kind, places.len()));
        }
        Ok(match &source.kind {
            DataType::Utf8 => {
                let gone = (column == self.layout.batch).then_some(self.batch_id);
                Arc::new(source.texts(places, gone).map_err(LakeError::arrow("gather texts", name))?)
            }
            DataType::Dictionary(_, _) => source.codes(places).map_err(LakeError::arrow("gather categories", name))?,
            DataType::Boolean => Arc::new(source.truths(places, column == self.layout.deleted)),
            DataType::Date32 => {
                let (values, nulls) = source.values(places, |part, row| match part {
                    Part::Small(array) => array.value(row),
                    _ => 0,
                });
                Arc::new(Date32Array::new(values.into(), nulls))
            }
            DataType::Decimal128(precision, scale) => {
                let (values, nulls) = source.values(places, |part, row| i128::from(whole(part, row)));
                let array = Decimal128Array::new(values.into(), nulls);
                let array = array.with_precision_and_scale(*precision, *scale);
                Arc::new(array.map_err(LakeError::arrow("gather decimals", name))?)
            }
            DataType::Timestamp(_, zone) => {
                let (values, nulls) = source.values(places, whole);
                Arc::new(TimestampMicrosecondArray::new(values.into(), nulls).with_timezone_opt(zone.clone()))
            }
            _ => {
                let (values, nulls) = source.values(places, whole);
                Arc::new(Int64Array::new(values.into(), nulls))
            }
        })
    }
}

fn whole(part: &Part<'_>, row: usize) -> i64 {
    match part {
        Part::Whole(array) => array.value(row),
        _ => 0,
    }
}

impl<'a> Column<'a> {
    fn new(kind: &DataType, chunks: &'a [Chunk], position: usize) -> Option<Self> {
        let is_category = matches!(kind, DataType::Dictionary(_, _));
        let mut merged: HashMap<&'a str, i32> = HashMap::new();
        let mut texts: Vec<&'a str> = Vec::new();
        // Slices of one batch share a dictionary, which is looked at once.
        let mut last: Option<(&'a StringArray, Vec<i32>)> = None;
        let mut parts = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let Some(array) = &chunk.columns[position] else {
                parts.push(Part::Absent);
                continue;
            };
            let Some((keys, entries)) = dictionary(array) else {
                parts.push(plain(array)?);
                continue;
            };
            let codes = match &last {
                Some((seen, codes)) if same_buffer(seen, entries) => codes.clone(),
                _ => entries
                    .iter()
                    .map(|entry| match entry {
                        None => -1,
                        Some(_) if !is_category => 0,
                        Some(text) => *merged.entry(text).or_insert_with(|| {
                            texts.push(text);
                            i32::try_from(texts.len() - 1).unwrap_or(-1)
                        }),
                    })
                    .collect(),
            };
            last = Some((entries, codes.clone()));
            parts.push(Part::Code { keys, nulls: array.nulls(), texts: entries, merged: codes });
        }
        let has_nulls = parts.iter().any(Part::has_nulls);
        let is_absent = parts.iter().all(|part| matches!(part, Part::Absent));
        let dictionary = is_category.then(|| Arc::new(StringArray::from(texts)) as ArrayRef);
        Some(Self { parts, kind: kind.clone(), dictionary, has_nulls, is_absent })
    }

    fn cell(&self, place: Place) -> Cell<'a> {
        let (part, row) = (&self.parts[place.chunk()], place.row());
        if !part.is_valid(row) {
            return Cell::Null;
        }
        match part {
            Part::Absent => Cell::Null,
            Part::Code { keys, merged, .. } if self.dictionary.is_some() => Cell::Code(merged[keys.at(row)]),
            Part::Text(_) | Part::Code { .. } => Cell::Text(part.text(row)),
            Part::Small(array) => Cell::Whole(i64::from(array.value(row))),
            Part::Whole(array) => Cell::Whole(array.value(row)),
            Part::Truth(array) => Cell::Truth(array.value(row)),
        }
    }

    fn values<T: Default + Copy>(
        &self,
        places: &[Place],
        read: impl Fn(&Part<'a>, usize) -> T,
    ) -> (Vec<T>, Option<NullBuffer>) {
        let mut values = Vec::with_capacity(places.len());
        if !self.has_nulls {
            values.extend(places.iter().map(|place| read(&self.parts[place.chunk()], place.row())));
            return (values, None);
        }
        let mut nulls = NullBufferBuilder::new(places.len());
        for place in places {
            let (part, row) = (&self.parts[place.chunk()], place.row());
            let valid = part.is_valid(row);
            nulls.append(valid);
            values.push(if valid { read(part, row) } else { T::default() });
        }
        (values, nulls.finish())
    }

    fn codes(&self, places: &[Place]) -> Result<ArrayRef, arrow::error::ArrowError> {
        let (codes, nulls) = self.values(places, |part, row| match part {
            Part::Code { keys, merged, .. } => merged[keys.at(row)],
            _ => 0,
        });
        let values = self.dictionary.clone().unwrap_or_else(|| Arc::new(StringArray::new_null(0)));
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(Int32Array::new(codes.into(), nulls), values)?))
    }

    fn truths(&self, places: &[Place], mark_gone: bool) -> BooleanArray {
        let read = |place: &Place| {
            if mark_gone && place.is_gone() {
                return Some(true);
            }
            match &self.parts[place.chunk()] {
                Part::Truth(array) => array.is_valid(place.row()).then(|| array.value(place.row())),
                _ => None,
            }
        };
        places.iter().map(read).collect()
    }

    fn texts(&self, places: &[Place], gone: Option<&str>) -> Result<StringArray, arrow::error::ArrowError> {
        let mut bytes: Vec<u8> = Vec::with_capacity(places.len() * 16);
        let mut offsets: Vec<i32> = Vec::with_capacity(places.len() + 1);
        let mut nulls = NullBufferBuilder::new(places.len());
        offsets.push(0);
        for place in places {
            let (part, row) = (&self.parts[place.chunk()], place.row());
            match gone {
                Some(text) if place.is_gone() => {
                    bytes.extend_from_slice(text.as_bytes());
                    nulls.append_non_null();
                }
                _ if part.is_valid(row) => {
                    bytes.extend_from_slice(part.text(row).as_bytes());
                    nulls.append_non_null();
                }
                _ => nulls.append_null(),
            }
            let end =
                i32::try_from(bytes.len()).map_err(|_| arrow::error::ArrowError::OffsetOverflowError(bytes.len()))?;
            offsets.push(end);
        }
        StringArray::try_new(OffsetBuffer::new(ScalarBuffer::from(offsets)), Buffer::from_vec(bytes), nulls.finish())
    }
}

fn plain(array: &ArrayRef) -> Option<Part<'_>> {
    match array.data_type() {
        DataType::Utf8 => array.as_string_opt::<i32>().map(Part::Text),
        DataType::Int32 => array.as_primitive_opt::<Int32Type>().map(Part::Small),
        DataType::Int64 => array.as_primitive_opt::<Int64Type>().map(Part::Whole),
        DataType::Boolean => array.as_boolean_opt().map(Part::Truth),
        _ => None,
    }
}

fn dictionary(array: &ArrayRef) -> Option<(Keys<'_>, &StringArray)> {
    if let Some(array) = array.as_dictionary_opt::<UInt8Type>() {
        Some((Keys::Byte(array.keys().values()), array.values().as_string_opt()?))
    } else if let Some(array) = array.as_dictionary_opt::<UInt16Type>() {
        Some((Keys::Short(array.keys().values()), array.values().as_string_opt()?))
    } else if let Some(array) = array.as_dictionary_opt::<Int32Type>() {
        Some((Keys::Int(array.keys().values()), array.values().as_string_opt()?))
    } else {
        None
    }
}

/// Whether two arrays are the same piece of memory.
fn same_buffer(left: &StringArray, right: &StringArray) -> bool {
    left.len() == right.len()
        && left.value_offsets().as_ptr() == right.value_offsets().as_ptr()
        && left.value_data().as_ptr() == right.value_data().as_ptr()
}
