//! Column chunks come back as they were written, whatever encoding was chosen for them, and what
//! the file says about their range is true.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{Int32Type, Int64Type, Schema, SchemaRef};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Compression;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;

use std::fs;

use super::*;
use crate::encode::{Block, Blocks};
use crate::parquet_file::{self, BLOCK_ROWS, Content};

const ROWS: usize = 3 * BLOCK_ROWS + 17;

fn field(name: &str, array: &ArrayRef) -> arrow::datatypes::Field {
    arrow::datatypes::Field::new(name, array.data_type().clone(), true)
}

/// Writes columns and reads them back.
fn there_and_back(columns: &[(&str, ArrayRef)], key: &str) -> (RecordBatch, ParquetMetaData) {
    let folder = Folder::new();
    let schema: SchemaRef =
        Arc::new(Schema::new(columns.iter().map(|(name, array)| field(name, array)).collect::<Vec<_>>()));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let column = |index: usize| -> Result<Blocks<'_>, LakeError> {
        let array = Arc::clone(&columns[index].1);
        Ok(Box::new(move |start, count| Ok(Block::Array(array.slice(start, count)))))
    };
    let rows = columns[0].1.len();
    let content = Content { schema: &schema, rows, key, business_date: None, column: &column };
    let written = parquet_file::write(&folder.path(), 0, &content, &pool).unwrap();
    written.sync().unwrap();
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let metadata = ArrowReaderMetadata::load(&fs::File::open(&written.file.path).unwrap(), options).unwrap();
    assert_eq!(metadata.schema().fields(), schema.fields());
    let batches: Vec<RecordBatch> =
        parquet_file::open(&written.file.path, &schema, None).unwrap().map(Result::unwrap).collect();
    (concat_batches(&schema, &batches).unwrap(), metadata.metadata().as_ref().clone())
}

fn check(columns: &[(&str, ArrayRef)], key: &str) -> ParquetMetaData {
    let (found, metadata) = there_and_back(columns, key);
    for (index, (name, array)) in columns.iter().enumerate() {
        let plain = |array: &ArrayRef| match array.data_type() {
            DataType::Dictionary(_, _) => cast(array, &DataType::Utf8).unwrap(),
            _ => Arc::clone(array),
        };
        assert_eq!(&plain(found.column(index)), &plain(array), "{name}");
        let nulls: u64 = metadata
            .row_groups()
            .iter()
            .map(|group| group.column(index).statistics().unwrap().null_count_opt().unwrap())
            .sum();
        assert_eq!(nulls, plain(array).null_count() as u64, "{name}");
    }
    metadata
}

/// Every third row is null when `gaps`.
fn row(number: usize, gaps: bool) -> Option<usize> {
    (!gaps || !number.is_multiple_of(3)).then_some(number)
}

fn whole(gaps: bool, value: impl Fn(usize) -> i64) -> ArrayRef {
    Arc::new((0..ROWS).map(|number| row(number, gaps).map(&value)).collect::<Int64Array>())
}

/// A number that tells nothing of the one before it.
fn noise(number: usize) -> u64 {
    let mixed = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 31)
}

fn texts(gaps: bool, value: impl Fn(usize) -> String) -> ArrayRef {
    Arc::new((0..ROWS).map(|number| row(number, gaps).map(&value)).collect::<StringArray>())
}

fn categories(gaps: bool, value: impl Fn(usize) -> String) -> ArrayRef {
    let texts: Vec<Option<String>> = (0..ROWS).map(|number| row(number, gaps).map(&value)).collect();
    Arc::new(texts.iter().map(Option::as_deref).collect::<DictionaryArray<Int32Type>>())
}

#[test]
fn numbers_come_back_with_any_spread() {
    let mixed = |number: usize| (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).cast_signed();
    for gaps in [false, true] {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("constant", whole(gaps, |_| -7)),
            ("close", whole(gaps, |number| (number % 900) as i64 * 17 - 5_000)),
            ("close and distinct", whole(gaps, |number| (number % 60_000) as i64)),
            ("far and repeated", whole(gaps, |number| (number % 40) as i64 * 1_000_000_007)),
            ("repeated at first", whole(gaps, |number| if number < 90_000 { 1 << 40 } else { mixed(number) })),
            ("distinct", whole(gaps, mixed)),
            ("noise", whole(gaps, |number| (noise(number) >> 24).cast_signed())),
            ("extreme", whole(gaps, |number| if number.is_multiple_of(2) { i64::MIN } else { i64::MAX })),
            ("rising", whole(gaps, |number| number as i64 * 1_000_000)),
            ("null", Arc::new(Int64Array::new_null(ROWS))),
        ];
        let metadata = check(&columns, "none");
        for (index, (name, array)) in columns.iter().enumerate() {
            let values = array.as_primitive::<Int64Type>();
            let Some(Statistics::Int64(found)) = metadata.row_group(0).column(index).statistics() else { panic!() };
            assert_eq!(found.min_opt().copied(), values.iter().flatten().min(), "{name}");
            assert_eq!(found.max_opt().copied(), values.iter().flatten().max(), "{name}");
        }
        let coded = |index: usize| metadata.row_group(0).column(index).dictionary_page_offset().is_some();
        let coded: Vec<bool> = (0..columns.len()).map(coded).collect();
        assert_eq!(coded, [true, true, false, true, true, false, false, true, false, false]);
        // Differences that look like noise are not compressed in vain; those that rise evenly are.
        let is_compressed = |name: &str| {
            let index = columns.iter().position(|(other, _)| *other == name).unwrap();
            metadata.row_group(0).column(index).compression() != Compression::UNCOMPRESSED
        };
        assert_eq!(["noise", "rising", "constant"].map(is_compressed), [false, true, true]);
    }
}

#[test]
fn other_types_come_back() {
    let dates = Date32Array::from_iter((0..ROWS).map(|number| row(number, true).map(|day| day as i32 / 40 - 800)));
    let far = Date32Array::from_iter((0..ROWS).map(|number| Some(number as i32 * 9_999 - 1_000_000)));
    let very_far = Date32Array::from_iter((0..ROWS).map(|number| Some((number as i32).wrapping_mul(0x1234_5679))));
    let instants = TimestampMicrosecondArray::from_iter((0..ROWS).map(|number| Some(number as i64 * 1_234_567 - 99)));
    let money =
        Decimal128Array::from_iter((0..ROWS).map(|number| row(number, true).map(|cents| cents as i128 * 99 - 7)));
    let truths: BooleanArray =
        (0..ROWS).map(|number| row(number, true).map(|number| number.is_multiple_of(7))).collect();
    let always: BooleanArray = (0..ROWS).map(|_| Some(true)).collect();
    let dates_of = dates.clone();
    let metadata = check(
        &[
            ("dates", Arc::new(dates)),
            ("far dates", Arc::new(far)),
            ("very far dates", Arc::new(very_far)),
            ("instants", Arc::new(instants.with_timezone("UTC"))),
            ("money", Arc::new(money.with_precision_and_scale(18, 4).unwrap())),
            ("truths", Arc::new(truths)),
            ("always", Arc::new(always)),
            ("never", Arc::new(BooleanArray::new_null(ROWS))),
        ],
        "none",
    );
    let index = metadata.page_index_for_row_group(0);
    let Some(ColumnIndexMetaData::INT32(pages)) = index.column_index(0) else { panic!() };
    for page in 0..ROWS.div_ceil(BLOCK_ROWS) {
        let start = page * BLOCK_ROWS;
        let days = dates_of.slice(start, BLOCK_ROWS.min(ROWS - start));
        assert_eq!(pages.min_value(page).copied(), days.iter().flatten().min());
        assert_eq!(pages.max_value(page).copied(), days.iter().flatten().max());
        assert_eq!(pages.null_count(page), Some(days.null_count() as i64));
        assert_eq!(index.offset_index(0).unwrap().page_locations()[page].first_row_index, start as i64);
    }
}

#[test]
fn texts_come_back_however_often_they_repeat() {
    for gaps in [false, true] {
        let long = |number: usize| format!("{number:0200}");
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("key", texts(false, |number| format!("k{:06}", number * 7919 % 1_000_003))),
            ("constant", texts(gaps, |_| "the same".to_owned())),
            ("few", texts(gaps, |number| format!("owner {}", number % 70))),
            ("some thousand", texts(gaps, |number| format!("owner {}", noise(number) % 2_503))),
            ("distinct", texts(gaps, |number| format!("name {number} é"))),
            ("few at first", texts(gaps, |number| if number < 40_000 { "few".to_owned() } else { long(number) })),
            ("empty", texts(gaps, |_| String::new())),
            ("null", Arc::new(StringArray::new_null(ROWS))),
            ("category", categories(gaps, |number| format!("stage {}", number % 9))),
            ("too many", categories(gaps, |number| format!("campaign {number}"))),
            ("too long", categories(gaps, |number| long(number % 30_000))),
            (
                "no category",
                Arc::new(DictionaryArray::<Int32Type>::new(
                    Int32Array::new_null(ROWS),
                    Arc::new(StringArray::from(Vec::<&str>::new())),
                )),
            ),
        ];
        let metadata = check(&columns, "key");
        for (index, (name, array)) in columns.iter().enumerate() {
            let plain = cast(array, &DataType::Utf8).unwrap();
            let all = plain.as_string::<i32>();
            let Some(Statistics::ByteArray(found)) = metadata.row_group(0).column(index).statistics() else { panic!() };
            for (end, expected) in
                [(found.min_opt(), all.iter().flatten().min()), (found.max_opt(), all.iter().flatten().max())]
            {
                // A range may be left out, but must not be wrong.
                assert!(end.is_none_or(|end| Some(end.data()) == expected.map(str::as_bytes)), "{name}");
            }
            assert_eq!(found.min_opt().is_some(), found.max_opt().is_some());
        }
        let column = |index: usize| metadata.row_group(0).column(index);
        assert!(
            column(0).dictionary_page_offset().is_none() && column(0).statistics().unwrap().min_bytes_opt().is_some()
        );
        for index in [1, 2, 3, 5, 8, 9, 10] {
            assert!(column(index).dictionary_page_offset().is_some(), "{}", columns[index].0);
        }
        assert!(column(4).dictionary_page_offset().is_none());
    }
}

#[test]
fn several_row_groups_come_back() {
    let rows = parquet_file::ROW_GROUP_ROWS * 2 + 5;
    let numbers: ArrayRef = Arc::new((0..rows).map(|number| Some(number as i64 * 1_000_003)).collect::<Int64Array>());
    let stages: Vec<String> = (0..rows).map(|number| format!("s{}", number / 1_000)).collect();
    let stages: DictionaryArray<Int32Type> = stages.iter().map(|stage| Some(stage.as_str())).collect();
    let metadata = check(&[("numbers", numbers), ("stages", Arc::new(stages))], "none");
    assert_eq!(metadata.num_row_groups(), 3);
}
