//! Columns gathered from many chunks: the way back from the compact form to canonical Arrow.
//!
//! A row is addressed by its chunk and its place there. The dictionaries of all chunks are merged
//! once per column, so that equal categories have equal codes. `merge.rs` decides which rows in
//! which order. For a file ([`Gather::prepare`]) the chunks of a column are first laid end to end,
//! so that fetching a value in the order of the file is one step and not four.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Int32Array, Int64Array,
    StringArray, TimestampMicrosecondArray, builder::NullBufferBuilder, new_null_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Int32Type, Int64Type, UInt8Type, UInt16Type};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use crate::LakeError;
use crate::chunk::{Chunk, Layout};
use crate::encode::{Block, Blocks};

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
    /// Of a category, or of a text of which every chunk kept a dictionary.
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
    /// Rows of every chunk, and before it.
    rows: Vec<usize>,
    before: Vec<usize>,
}

/// The rows of a file, in its order.
pub(crate) struct Order<'p> {
    places: &'p [Place],
    /// Numbers of the rows when all chunks are laid end to end.
    numbers: Vec<u32>,
    any_gone: bool,
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
        let rows: Vec<usize> = chunks.iter().map(|chunk| chunk.rows).collect();
        let mut total = 0;
        let mut before = Vec::with_capacity(rows.len());
        for rows in &rows {
            before.push(total);
            total += rows;
        }
        if u32::try_from(total).is_err() {
            return Err(LakeError::damaged(
                std::path::Path::new(layout.table.name),
                format!("{total} rows of one bucket are more than can be merged at once"),
            ));
        }
        Ok(Self { layout, columns, batch_id, rows, before })
    }

    /// The rows at `places`, to be fetched column by column.
    pub(crate) fn order<'p>(&self, places: &'p [Place]) -> Order<'p> {
        let number = |place: &Place| (self.before[place.chunk()] + place.row()) as u32;
        let numbers = places.iter().map(number).collect();
        Order { places, numbers, any_gone: places.iter().any(|place| place.is_gone()) }
    }

    /// A column of a file, block by block, in the form that the encoder likes best.
    pub(crate) fn prepare<'s>(&'s self, column: usize, order: &'s Order<'_>) -> Result<Blocks<'s>, LakeError> {
        let source = &self.columns[column];
        let name = self.layout.table.name;
        let marks = column == self.layout.deleted || column == self.layout.batch;
        if marks && order.any_gone {
            return Ok(Box::new(move |start, count| {
                self.column(column, &order.places[start..start + count]).map(Block::Array)
            }));
        }
        if source.is_absent {
            return Ok(Box::new(move |_, count| Ok(Block::Array(new_null_array(&source.kind, count)))));
        }
        if let Some(dictionary) = &source.dictionary {
            let codes = self.flat_codes(source);
            return Ok(Box::new(move |start, count| {
                let numbers = &order.numbers[start..start + count];
                let keys: Vec<i32> = numbers.iter().map(|number| codes[*number as usize]).collect();
                let valid = source.has_nulls.then(|| BooleanBuffer::collect_bool(count, |row| keys[row] >= 0));
                let keys = Int32Array::new(keys.into(), valid.map(NullBuffer::new));
                let array = DictionaryArray::<Int32Type>::try_new(keys, Arc::clone(dictionary));
                Ok(Block::Array(Arc::new(array.map_err(LakeError::arrow("gather codes", name))?)))
            }));
        }
        Ok(match &source.kind {
            DataType::Utf8 => Box::new(move |start, count| {
                let text = |place: &Place| {
                    let (part, row) = (&source.parts[place.chunk()], place.row());
                    part.is_valid(row).then(|| part.text(row))
                };
                Ok(Block::Texts(order.places[start..start + count].iter().map(text).collect()))
            }),
            DataType::Boolean => Box::new(move |start, count| {
                Ok(Block::Array(Arc::new(source.truths(&order.places[start..start + count], false))))
            }),
            DataType::Date32 => {
                let flat = self.flat(source, |part| match part {
                    Part::Small(array) => Some((array.values(), array.nulls())),
                    _ => None,
                });
                Box::new(move |start, count| {
                    let (values, nulls) = flat.fetch(&order.numbers[start..start + count]);
                    Ok(Block::Array(Arc::new(Date32Array::new(values.into(), nulls))))
                })
            }
            // Decimals and instants are whole numbers to the encoder.
            _ => {
                let flat = self.flat(source, |part| match part {
                    Part::Whole(array) => Some((array.values(), array.nulls())),
                    _ => None,
                });
                Box::new(move |start, count| {
                    let (values, nulls) = flat.fetch(&order.numbers[start..start + count]);
                    Ok(Block::Array(Arc::new(Int64Array::new(values.into(), nulls))))
                })
            }
        })
    }

    /// The values of all chunks, end to end.
    fn flat<'s, T: Copy + Default + 's>(
        &'s self,
        column: &'s Column<'a>,
        values_of: impl Fn(&'s Part<'a>) -> Option<(&'s [T], Option<&'s NullBuffer>)>,
    ) -> Flat<T> {
        let total = self.rows.iter().sum();
        let mut flat = Flat { values: Vec::with_capacity(total), valid: None };
        let mut valid = Vec::with_capacity(if column.has_nulls { total } else { 0 });
        for (part, rows) in column.parts.iter().zip(&self.rows) {
            let found = values_of(part);
            match found {
                Some((values, _)) => flat.values.extend_from_slice(values),
                None => flat.values.resize(flat.values.len() + rows, T::default()),
            }
            if column.has_nulls {
                match found {
                    Some((_, Some(nulls))) => valid.extend(nulls.iter()),
                    found => valid.resize(valid.len() + rows, found.is_some()),
                }
            }
        }
        flat.valid = column.has_nulls.then_some(valid);
        flat
    }

    /// The merged codes of all chunks, end to end; -1 is null.
    fn flat_codes(&self, column: &Column<'a>) -> Vec<i32> {
        let mut flat = Vec::with_capacity(self.rows.iter().sum());
        for (part, rows) in column.parts.iter().zip(&self.rows) {
            let Part::Code { keys, nulls, merged, .. } = part else {
                flat.resize(flat.len() + rows, -1);
                continue;
            };
            let start = flat.len();
            match keys {
                Keys::Byte(keys) => flat.extend(keys.iter().map(|key| merged[usize::from(*key)])),
                Keys::Short(keys) => flat.extend(keys.iter().map(|key| merged[usize::from(*key)])),
                Keys::Int(_) => flat.extend((0..*rows).map(|row| merged[keys.at(row)])),
            }
            if let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) {
                for (code, valid) in flat[start..].iter_mut().zip(nulls.iter()) {
                    *code = if valid { *code } else { -1 };
                }
            }
        }
        flat
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

/// The values of all chunks of a column, end to end.
struct Flat<T> {
    values: Vec<T>,
    /// `None` when there is no null.
    valid: Option<Vec<bool>>,
}

impl<T: Copy> Flat<T> {
    fn fetch(&self, numbers: &[u32]) -> (Vec<T>, Option<NullBuffer>) {
        let values = numbers.iter().map(|number| self.values[*number as usize]).collect();
        let bits = |valid: &Vec<bool>| BooleanBuffer::collect_bool(numbers.len(), |row| valid[numbers[row] as usize]);
        (values, self.valid.as_ref().map(|valid| NullBuffer::new(bits(valid))))
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
        let is_coded = is_category
            || chunks
                .iter()
                .all(|chunk| chunk.columns[position].as_ref().is_none_or(|array| dictionary(array).is_some()));
        let mut merged: HashTable<i32> = HashTable::new();
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
                _ if !is_coded => entries.iter().map(|entry| if entry.is_some() { 0 } else { -1 }).collect(),
                _ => entries.iter().map(|entry| entry.map_or(-1, |text| code(&mut merged, &mut texts, text))).collect(),
            };
            last = Some((entries, codes.clone()));
            parts.push(Part::Code { keys, nulls: array.nulls(), texts: entries, merged: codes });
        }
        let has_nulls = parts.iter().any(Part::has_nulls);
        let is_absent = parts.iter().all(|part| matches!(part, Part::Absent));
        let dictionary = is_coded.then(|| Arc::new(StringArray::from(texts)) as ArrayRef);
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

/// The merged code of a text.
fn code<'a>(merged: &mut HashTable<i32>, texts: &mut Vec<&'a str>, text: &'a str) -> i32 {
    let hash = |text: &str| xxh3_64(text.as_bytes());
    if let Some(code) = merged.find(hash(text), |code| texts[*code as usize] == text) {
        return *code;
    }
    let code = texts.len() as i32;
    texts.push(text);
    merged.insert_unique(hash(text), code, |code| hash(texts[*code as usize]));
    code
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
