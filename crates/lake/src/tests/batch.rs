//! Batches: opening, states and time travel, idempotency, rejects, conservation, lock, clean-up.

use std::fs;

use super::*;
use crate::At;
use crate::lake::BATCHES;
use crate::table::{LogEngine, TableLog};

#[test]
fn only_an_empty_folder_becomes_a_lake() {
    let folder = Folder::new();
    let root = folder.path();
    let error = Lake::open(&root).unwrap_err();
    assert!(matches!(error, LakeError::NotALake { .. }) && error.is_user_fault() && error.hint().is_some(), "{error}");
    let lake = Lake::create_or_open(&root).unwrap();
    assert_eq!((lake.sequence(), lake.batches().unwrap().len()), (0, 0));
    assert_eq!(fs::read_to_string(root.join("dealframe.json")).unwrap(), "{\"format\":1}\n");
    assert!(lake.files("deals").unwrap().is_empty() && lake.read("deals", None).unwrap().is_empty());
    assert_eq!(Lake::create_or_open(&root).unwrap().root(), lake.root());

    let other = Folder::new();
    fs::create_dir_all(other.path()).unwrap();
    fs::write(other.path().join("letter.txt"), "dear").unwrap();
    let error = Lake::create_or_open(&other.path()).unwrap_err();
    assert!(matches!(error, LakeError::NotEmpty { .. }) && error.is_user_fault(), "{error}");

    fs::write(root.join("dealframe.json"), "{\"format\":2}").unwrap();
    assert!(matches!(Lake::open(&root).unwrap_err(), LakeError::UnknownFormat { found: 2, .. }));
    fs::write(root.join("dealframe.json"), "no").unwrap();
    assert!(matches!(Lake::open(&root).unwrap_err(), LakeError::NotALake { .. }));
}

#[test]
fn states_can_be_opened_by_sequence_and_time() {
    let folder = Folder::new();
    let root = folder.path();
    for (amount, time) in [("1", 1_000), ("2", 2_000), ("3", 3_000)] {
        let mut batch = begin(&root, amount);
        assert_eq!(batch.table_sequence(), amount.parse::<u64>().unwrap());
        upsert(&mut batch, "deals", &[deal("a", &format!("amount={amount}"))]);
        let record = batch.commit(BatchRecord { finished_at: time, ..BatchRecord::default() }).unwrap();
        assert_eq!((record.sequence, record.batch_id.as_str()), (amount.parse().unwrap(), amount));
    }
    let amount = |at: At| {
        content(&Lake::open_at(&root, at).unwrap(), "deals").get("salesforce/a").map(|row| row["amount"].clone())
    };
    let is = |text: &str| Some(text.to_owned());
    assert_eq!(amount(At::Sequence(0)), None);
    assert_eq!(amount(At::Sequence(1)), is("1.0000"));
    assert_eq!(amount(At::Sequence(2)), is("2.0000"));
    assert_eq!(amount(At::Latest), is("3.0000"));
    assert_eq!(amount(At::Time(999)), None);
    assert_eq!(amount(At::Time(1_000)), is("1.0000"));
    assert_eq!(amount(At::Time(2_999)), is("2.0000"));
    assert_eq!(amount(At::Time(i64::MAX)), is("3.0000"));
    let error = Lake::open_at(&root, At::Sequence(4)).unwrap_err();
    assert!(matches!(error, LakeError::NoSuchState { newest: 3, .. }) && error.is_user_fault(), "{error}");
    let second = Lake::open_at(&root, At::Sequence(2)).unwrap();
    assert_eq!(second.batches().unwrap().len(), 2);
    assert_eq!(second.read("batches", None).unwrap()[0].num_rows(), 2);
}

#[test]
fn a_record_comes_back_as_it_was_written() {
    let folder = Folder::new();
    let root = folder.path();
    let mut batch = begin(&root, "hash");
    upsert(&mut batch, "deals", &[deal("a", "")]);
    upsert(&mut batch, "users", &[row("user_id=u source_system=salesforce")]);
    let record = BatchRecord {
        as_of: Some(19_000),
        source_path: "exports/monday".into(),
        rows_read: 10,
        rows_loaded: 6,
        rows_inserted: 1,
        rows_updated: 2,
        rows_unchanged: 3,
        rows_rejected: 2,
        rows_duplicate: 1,
        rows_furniture: 1,
        manifest: serde_json::json!({"files": [{"name": "a.csv", "rows": 10}]}),
        ..BatchRecord::default()
    };
    let written = batch.commit(record).unwrap();
    assert!(written.finished_at > 1_600_000_000_000_000);
    assert_eq!(written.table_versions.keys().collect::<Vec<_>>(), ["deals", "users"]);
    let lake = open(&root);
    assert_eq!(lake.batches().unwrap(), std::slice::from_ref(&written));
    assert_eq!(lake.table_version("users"), written.table_versions.get("users").copied());
    let log = TableLog::new(lake.root(), BATCHES, &LogEngine::new().unwrap());
    assert_eq!(log.transaction_version("batch:hash").unwrap(), Some(1));
    assert_eq!(log.transaction_version("batch:other").unwrap(), None);
}

#[test]
fn the_same_batch_is_applied_once() {
    let folder = Folder::new();
    let root = folder.path();
    load(&root, "one", &[deal("a", "")]);
    load(&root, "two", &[deal("b", "")]);
    let writer = open(&root).writer().unwrap();
    assert_eq!(writer.applied("one").unwrap().unwrap().sequence, 1);
    assert_eq!(writer.applied("three").unwrap(), None);
    let error = writer.begin("one").unwrap_err();
    assert!(matches!(error, LakeError::AlreadyApplied { sequence: 1, .. }), "{error}");
    assert_eq!(open(&root).sequence(), 2);
}

#[test]
fn rows_must_be_conserved() {
    let folder = Folder::new();
    let root = folder.path();
    let mut batch = begin(&root, "1");
    upsert(&mut batch, "deals", &[deal("a", "")]);
    let record =
        BatchRecord { rows_read: 3, rows_loaded: 1, rows_inserted: 1, rows_rejected: 1, ..BatchRecord::default() };
    let error = batch.commit(record).unwrap_err();
    assert!(matches!(error, LakeError::NotConserved { read: 3, sum: 2, .. }), "{error}");
    assert!(!error.is_user_fault());
    let record = BatchRecord { rows_read: 1, rows_loaded: 1, ..BatchRecord::default() };
    let error = begin(&root, "2").commit(record).unwrap_err();
    assert!(matches!(error, LakeError::LoadedNotConserved { .. }), "{error}");
    let record = BatchRecord { batch_id: "9".into(), ..BatchRecord::default() };
    assert!(matches!(begin(&root, "3").commit(record).unwrap_err(), LakeError::WrongBatch { .. }));
    assert_eq!(open(&root).sequence(), 0);
}

#[test]
fn rejects_become_part_of_the_state() {
    let folder = Folder::new();
    let root = folder.path();
    let reject =
        |key: &str| row(&format!("reject_id={key} batch_id=1 source_file=a.csv source_line=7 reason=no_date value=x"));
    for round in ["1", "2"] {
        let mut batch = begin(&root, round);
        batch.append_rejects(batch_of(table("rejects"), &[reject(&format!("{round}a"))])).unwrap();
        batch.append_rejects(batch_of(table("rejects"), &[])).unwrap();
        batch.append_rejects(batch_of(table("rejects"), &[reject(&format!("{round}b"))])).unwrap();
        let error = batch.append_rejects(batch_of(table("users"), &[])).unwrap_err();
        assert!(matches!(error, LakeError::WrongColumn { .. }));
        batch.commit(BatchRecord { rows_read: 2, rows_rejected: 2, ..BatchRecord::default() }).unwrap();
    }
    let rejects = content(&open(&root), "rejects");
    assert_eq!(rejects.keys().collect::<Vec<_>>(), ["/1a", "/1b", "/2a", "/2b"]);
    assert_eq!(rejects["/1a"]["source_line"], "7");
    assert_eq!(content(&Lake::open_at(&root, At::Sequence(1)).unwrap(), "rejects").len(), 2);
    let lake = open(&root);
    let some = lake.read("rejects", Some(&["reason", "reject_id"])).unwrap();
    assert_eq!(
        some[0].schema().fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(),
        ["reason", "reject_id"]
    );
    assert!(matches!(lake.read("rejects", Some(&["nonsense"])).unwrap_err(), LakeError::UnknownColumn { .. }));
    assert!(matches!(lake.read("nonsense", None).unwrap_err(), LakeError::UnknownTable { .. }));
}

#[test]
fn there_is_one_writer_at_a_time() {
    let folder = Folder::new();
    let lake = Lake::create_or_open(&folder.path()).unwrap();
    let writer = lake.writer().unwrap();
    let error = lake.writer().unwrap_err();
    assert!(matches!(error, LakeError::Locked { .. }) && error.is_user_fault() && error.hint().is_some(), "{error}");
    assert!(matches!(lake.vacuum(1, true).unwrap_err(), LakeError::Locked { .. }));
    let batch = writer.begin("1").unwrap();
    assert!(matches!(lake.writer().unwrap_err(), LakeError::Locked { .. }));
    drop(batch);
    lake.writer().unwrap();
}

#[test]
fn many_batches_keep_the_history_whole_and_small() {
    let folder = Folder::new();
    let root = folder.path();
    for number in 1..=45 {
        load(&root, &format!("b{number}"), &[deal("a", &format!("amount={number}"))]);
    }
    let lake = open(&root);
    let batches = lake.batches().unwrap();
    assert_eq!(batches.iter().map(|record| record.sequence).collect::<Vec<_>>(), (1..=45).collect::<Vec<_>>());
    assert!(lake.files(BATCHES).unwrap().len() <= 32);
    let checkpoints = |name: &str| {
        let log = root.join(name).join("_delta_log");
        fs::read_dir(log)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".checkpoint.parquet"))
            .count()
    };
    assert!(checkpoints(BATCHES) >= 2 && checkpoints("deals") >= 2);
    for sequence in [1, 20, 44] {
        let lake = Lake::open_at(&root, At::Sequence(sequence)).unwrap();
        assert_eq!(content(&lake, "deals")["salesforce/a"]["amount"], format!("{sequence}.0000"));
    }
    assert_eq!(lake.writer().unwrap().applied("b3").unwrap().unwrap().sequence, 3);
}

#[test]
fn vacuum_removes_what_no_kept_state_needs() {
    let folder = Folder::new();
    let root = folder.path();
    for number in 1..=4 {
        load(&root, &format!("b{number}"), &[deal("a", &format!("amount={number}"))]);
    }
    let mut batch = begin(&root, "lost");
    upsert(&mut batch, "users", &[row("user_id=u source_system=salesforce")]);
    drop(batch);
    fs::create_dir_all(root.join("_staging/old")).unwrap();
    fs::write(root.join("_staging/old/deals-0.arrows"), "left").unwrap();
    fs::write(root.join("deals/_delta_log/00000000000000000009.json#1"), "torn").unwrap();
    for sequence in [1, 4] {
        let derived = Lake::open_at(&root, At::Sequence(sequence)).unwrap().derived_folder();
        fs::create_dir_all(&derived).unwrap();
        fs::write(derived.join("cube.parquet"), "cube").unwrap();
    }
    let lake = open(&root);
    let plan = lake.vacuum(2, true).unwrap();
    // Two old deals files, one of users, one set aside, one torn commit, one derived.
    assert_eq!((plan.files.len(), plan.oldest_sequence), (6, 3), "{plan:?}");
    assert!(plan.files.iter().all(|path| path.exists()) && plan.bytes > 0);
    assert_eq!(content(&Lake::open_at(&root, At::Sequence(1)).unwrap(), "deals").len(), 1);
    let done = lake.vacuum(2, false).unwrap();
    assert!(done.files.iter().all(|path| !path.exists()));
    assert_eq!(done.oldest_sequence, 3);
    for sequence in [3, 4] {
        let lake = Lake::open_at(&root, At::Sequence(sequence)).unwrap();
        assert_eq!(content(&lake, "deals")["salesforce/a"]["amount"], format!("{sequence}.0000"));
    }
    assert!(root.join("_derived/4/cube.parquet").exists() && !root.join("_derived/1").exists());
    let error = Lake::open_at(&root, At::Sequence(2)).unwrap_err();
    assert!(matches!(error, LakeError::StateCleaned { sequence: 2, oldest: 3 }) && error.is_user_fault(), "{error}");
    assert!(lake.vacuum(2, false).unwrap().files.is_empty(), "nothing left to do");
    load(&root, "b5", &[deal("a", "amount=5"), deal("b", "")]);
    assert_eq!(content(&open(&root), "deals").len(), 2);
}

#[test]
fn a_full_disk_is_the_users_to_mend_whoever_reports_it() {
    let kind = std::io::ErrorKind::StorageFull;
    let wrapped = parquet::errors::ParquetError::External(Box::new(std::io::Error::from(kind)));
    let errors = [
        LakeError::io("write", Path::new("x"))(kind.into()),
        LakeError::parquet("write", Path::new("x"))(wrapped),
        LakeError::parquet("write", Path::new("x"))("No space left on device (os error 28)"),
    ];
    for error in errors {
        assert!(error.is_user_fault(), "{error}");
        assert!(error.hint().unwrap().contains("disk space"));
    }
    assert!(!LakeError::io("write", Path::new("x"))(std::io::ErrorKind::InvalidInput.into()).is_user_fault());
}
