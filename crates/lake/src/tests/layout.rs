//! Files on disk: schema, sorting, dictionaries, buckets, and the same content from any input order.

use std::fs;

use arrow::datatypes::TimeUnit;
use dealframe_model::table::{COMMON, TABLES};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Compression;

use super::*;
use crate::table::{LogEngine, TableLog};

#[test]
fn every_table_has_its_schema() {
    for table in TABLES {
        let schema = arrow_schema(table);
        assert_eq!(schema.fields().len(), table.own.len() + COMMON.len(), "{}", table.name);
        assert!(schema.fields().iter().all(|field| field.is_nullable()));
    }
    assert_eq!(arrow_schema(table("rejects")).fields().len(), table("rejects").own.len());
    assert_eq!(arrow_schema(table("batches")).fields().len(), table("batches").own.len());
    let deals = arrow_schema(table("deals"));
    let kind = |name: &str| deals.field_with_name(name).unwrap().data_type().clone();
    assert_eq!(kind("deal_id"), DataType::Utf8);
    assert_eq!(kind("stage"), DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)));
    assert_eq!(kind("amount"), DataType::Decimal128(18, 4));
    assert_eq!(kind("close_date"), DataType::Date32);
    assert_eq!(kind("modified_at"), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    assert_eq!(
        *arrow_schema(table("fx_rates")).field_with_name("rate").unwrap().data_type(),
        DataType::Decimal128(18, 8)
    );
}

#[test]
fn every_canonical_table_can_be_written_and_read() {
    let folder = Folder::new();
    let root = folder.path();
    let mut batch = begin(&root, "1");
    for table in TABLES {
        let mut full = Row::new();
        for field in arrow_schema(table).fields() {
            let value = match field.data_type() {
                DataType::Boolean => "true",
                DataType::Int64 => "42",
                DataType::Decimal128(_, 8) => "0.00000001",
                DataType::Decimal128(_, _) => "99999999999999.9999",
                DataType::Date32 => "1969-12-31",
                DataType::Timestamp(_, _) => "2024-01-01T00:00:00.000001Z",
                _ => "text",
            };
            full.insert(field.name().clone(), value.to_owned());
        }
        let mut bare = Row::new();
        bare.insert(table.key.to_owned(), "bare".to_owned());
        bare.insert("source_system".to_owned(), "x".to_owned());
        assert_eq!(upsert(&mut batch, table.name, &[full, bare]), counts(2, 0, 0, 0, 0), "{}", table.name);
    }
    batch.commit(BatchRecord::default()).unwrap();
    let lake = open(&root);
    for table in TABLES {
        let rows = content(&lake, table.name);
        assert_eq!(rows["text/text"].len(), arrow_schema(table).fields().len(), "{}", table.name);
        assert_eq!(rows["x/bare"].len(), 2, "{}", table.name);
        for batch in lake.read(table.name, None).unwrap() {
            assert_eq!(batch.schema(), arrow_schema(table));
        }
    }
    let deals = content(&lake, "deals");
    assert_eq!(deals["text/text"]["amount"], "99999999999999.9999");
    assert_eq!(deals["text/text"]["created_at"], "2024-01-01T00:00:00.000001Z");
    assert_eq!(deals["text/text"]["close_date"], "1969-12-31");
}

#[test]
fn categories_are_dictionaries_in_the_file_itself() {
    let folder = Folder::new();
    let root = folder.path();
    let rows: Vec<Row> =
        (0..1000).map(|key| deal(&format!("k{key}"), &format!("stage=s{} amount=1", key % 7))).collect();
    load(&root, "1", &rows);
    let file = &open(&root).files("deals").unwrap()[0];
    assert_eq!((file.rows, file.bucket), (1000, 0));
    assert!(file.path.is_absolute() && file.bytes == fs::metadata(&file.path).unwrap().len());
    let metadata = ArrowReaderMetadata::load(&fs::File::open(&file.path).unwrap(), ArrowReaderOptions::new()).unwrap();
    let kinds = |schema: &arrow::datatypes::Schema| -> Vec<(String, DataType)> {
        schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
    };
    assert_eq!(kinds(metadata.schema()), kinds(&arrow_schema(table("deals"))), "the Arrow schema is kept");
    let group = metadata.metadata().row_group(0);
    let column = |name: &str| {
        (0..group.num_columns())
            .map(|index| group.column(index))
            .find(|column| column.column_path().string() == name)
            .unwrap()
    };
    assert!(column("stage").dictionary_page_offset().is_some());
    assert!(column("deal_id").dictionary_page_offset().is_none());
    assert!(matches!(column("stage").compression(), Compression::ZSTD(_)));
    assert!(column("amount").statistics().is_some() && column("amount").column_index_offset().is_some());
}

#[test]
fn files_are_sorted_by_business_date_then_key() {
    let folder = Folder::new();
    let root = folder.path();
    let mut dice = Dice(7);
    let mut rows: Vec<Row> = (0..500)
        .map(|key| {
            deal(
                &format!("00650000{:05}", (key * 7919) % 500),
                &format!("close_date=20{:02}-01-0{}", 10 + dice.below(60), 1 + dice.below(9)),
            )
        })
        .collect();
    rows.push(deal("before", "close_date=1950-01-01"));
    rows.push(deal("never", ""));
    rows.push(deal("00650000", "close_date=2030-01-01"));
    load(&root, "1", &rows);
    let stored: Vec<Row> = open(&root).read("deals", None).unwrap().iter().flat_map(rows_of).collect();
    let order: Vec<(String, String)> = stored
        .iter()
        .map(|row| (row.get("close_date").cloned().unwrap_or("9999".into()), row["deal_id"].clone()))
        .collect();
    let mut sorted = order.clone();
    sorted.sort();
    assert_eq!(order, sorted);
    assert_eq!(order.len(), 503);
    assert_eq!(order[502].1, "never");
    let log = fs::read_to_string(root.join("deals/_delta_log/00000000000000000001.json")).unwrap();
    assert!(log.contains(r#"\"minValues\":{\"close_date\":\"1950-01-01\"}"#), "{log}");
    assert!(log.contains(r#"\"numRecords\":503"#) && log.contains(r#"\"nullCount\":{\"close_date\":1}"#), "{log}");
}

/// All files of a table by bucket, as bytes.
fn bytes(root: &Path) -> Vec<(u32, Vec<u8>)> {
    let mut files: Vec<(u32, Vec<u8>)> =
        open(root).files("deals").unwrap().iter().map(|file| (file.bucket, fs::read(&file.path).unwrap())).collect();
    files.sort();
    files
}

#[test]
fn the_same_rows_give_the_same_bytes_however_they_come() {
    let mut dice = Dice(99);
    let rows: Vec<Row> = (0..3000)
        .map(|key| {
            deal(
                &format!("k{key}"),
                &format!(
                    "stage=s{} name=n{} amount={} close_date=2024-01-{:02}",
                    dice.below(300),
                    key % 17,
                    dice.below(1000),
                    1 + dice.below(28)
                ),
            )
        })
        .collect();
    let store = |rows: &[Row], part: usize, budget: usize, steps: usize| {
        let folder = Folder::new();
        for (number, step) in rows.chunks(rows.len().div_ceil(steps)).enumerate() {
            let lake = Lake::create_or_open(&folder.path()).unwrap();
            let mut batch = lake.writer().unwrap().with_memory_budget(budget).begin(&number.to_string()).unwrap();
            let parts: Vec<&[Row]> = step.chunks(part).collect();
            let hint = UpsertOptions { expected_rows: Some(4_000_000), ..UpsertOptions::default() };
            upsert_with(&mut batch, "deals", &parts, hint).unwrap();
            batch.commit(BatchRecord::default()).unwrap();
        }
        bytes(&folder.path())
    };
    let expected = store(&rows, 3000, usize::MAX, 1);
    assert_eq!(expected.len(), 4);
    let mut shuffled = rows.clone();
    for index in (1..shuffled.len()).rev() {
        let other = usize::try_from(dice.below(index as u64 + 1)).unwrap();
        shuffled.swap(index, other);
    }
    assert!(store(&shuffled, 3000, usize::MAX, 1) == expected, "shuffled");
    assert!(store(&rows, 77, usize::MAX, 1) == expected, "split");
    assert!(store(&shuffled, 77, 0, 1) == expected, "all set aside on disk");
    assert!(store(&rows, 500, 200_000, 1) == expected, "partly set aside on disk");
    assert!(store(&shuffled, 500, usize::MAX, 3) == expected, "in three batches");
}

#[test]
fn a_crowded_table_is_spread_over_more_buckets() {
    let folder = Folder::new();
    let root = folder.path();
    let rows: Vec<Row> = (0..900).map(|key| deal(&format!("k{key}"), "amount=1")).collect();
    load(&root, "1", &rows);
    assert_eq!(open(&root).files("deals").unwrap().len(), 1);
    let old = open(&root);
    let mut batch = open(&root).writer().unwrap().with_crowded_rows(500).begin("2").unwrap();
    // The hint says that the table is about to grow: from one bucket to three.
    let hint = || UpsertOptions { expected_rows: Some(3_000_000), ..UpsertOptions::default() };
    let changed = [deal("k1", "amount=2"), deal("new", "")];
    assert_eq!(upsert_with(&mut batch, "deals", &[&changed], hint()).unwrap(), counts(1, 1, 0, 0, 0));
    batch.commit(BatchRecord::default()).unwrap();
    let lake = open(&root);
    let files = lake.files("deals").unwrap();
    assert_eq!(files.iter().map(|file| file.bucket).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(files.iter().map(|file| file.rows).sum::<u64>(), 901);
    assert_eq!(content(&lake, "deals")["salesforce/k1"]["amount"], "2.0000");
    assert_eq!(content(&old, "deals").len(), 900);
    // Keys are found again in their new buckets.
    assert_eq!(load(&root, "3", &rows[2..]), counts(0, 0, 898, 0, 0));

    // Undone by a crash, the old bucket count is back too.
    let mut batch = open(&root).writer().unwrap().with_crowded_rows(1).begin("4").unwrap();
    let hint = UpsertOptions { expected_rows: Some(9_000_000), ..UpsertOptions::default() };
    upsert_with(&mut batch, "deals", &[&rows[..1]], hint).unwrap();
    drop(batch);
    assert_eq!(load(&root, "5", &rows[2..]), counts(0, 0, 898, 0, 0));
    assert_eq!(content(&open(&root), "deals").len(), 901);
}

#[test]
fn a_large_unhinted_table_gets_several_buckets() {
    let folder = Folder::new();
    let mut batch = begin(&folder.path(), "1");
    let table = table("deals");
    let part = |part: usize| -> Vec<Row> { (0..30_000).map(|key| deal(&format!("{part}-{key}"), "")).collect() };
    let mut parts = (0..10).map(|number| Ok(batch_of(table, &part(number))));
    let result = batch.upsert(table, &mut parts, UpsertOptions::default()).unwrap();
    assert_eq!(result, counts(300_000, 0, 0, 0, 0));
    batch.commit(BatchRecord::default()).unwrap();
    let files = open(&folder.path()).files("deals").unwrap();
    assert_eq!(files.len(), 8);
    assert!(files.iter().all(|file| (35_000..40_000).contains(&file.rows)), "{files:?}");
}

#[test]
fn a_table_from_before_a_column_existed_gets_the_column() {
    let folder = Folder::new();
    let root = folder.path();
    let lake = Lake::create_or_open(&root).unwrap();
    let old: arrow::datatypes::Fields =
        arrow_schema(table("deals")).fields().iter().filter(|field| field.name() != "stage").cloned().collect();
    TableLog::new(lake.root(), "deals", &LogEngine::new().unwrap()).create(&old, 1).unwrap();
    load(&root, "1", &[deal("a", "stage=Won")]);
    let log = fs::read_to_string(root.join("deals/_delta_log/00000000000000000001.json")).unwrap();
    assert!(log.contains(r#"\"name\":\"stage\""#), "{log}");
    assert_eq!(content(&open(&root), "deals")["salesforce/a"]["stage"], "Won");
}
