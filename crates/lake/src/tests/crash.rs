//! Crashes: a writer that dies at any point leaves the state before, and its successor cleans up.

use super::*;
use crate::table::{LogEngine, TableLog};

/// A batch over two tables that dies before the row in `batches` is written.
fn die(root: &Path) {
    let mut batch = begin(root, "lost");
    let changed: Vec<Row> = (0..20).map(|key| deal(&format!("k{key}"), "stage=lost")).collect();
    upsert(&mut batch, "deals", &changed);
    upsert(&mut batch, "users", &[row("user_id=u source_system=salesforce")]);
    let reject = batch_of(table("rejects"), &[row("reject_id=r")]);
    batch.append_rejects(reject).unwrap();
    batch.flush_for_test();
}

fn paths(root: &Path, name: &str) -> Vec<PathBuf> {
    let log = TableLog::new(&root.canonicalize().unwrap(), name, &LogEngine::new().unwrap());
    let version = log.newest_version().unwrap().unwrap();
    log.files(version).unwrap().into_iter().map(|file| file.path).collect()
}

#[test]
fn a_torn_batch_is_invisible_and_undone() {
    let folder = Folder::new();
    let root = folder.path();
    let rows: Vec<Row> = (0..20).map(|key| deal(&format!("k{key}"), "stage=kept")).collect();
    load(&root, "1", &rows);
    let reader = open(&root);
    let before = content(&reader, "deals");
    let pinned: Vec<PathBuf> = reader.files("deals").unwrap().into_iter().map(|file| file.path).collect();

    die(&root);
    // Visible in the table log, but not to readers of the lake, old or new.
    assert_ne!(paths(&root, "deals"), pinned);
    for lake in [&reader, &open(&root)] {
        assert_eq!(lake.sequence(), 1);
        assert_eq!(content(lake, "deals"), before);
        assert!(lake.files("users").unwrap().is_empty() && lake.files("rejects").unwrap().is_empty());
    }
    // The next writer puts every table back before it works.
    drop(open(&root).writer().unwrap());
    assert_eq!(paths(&root, "deals"), pinned);
    assert!(paths(&root, "users").is_empty() && paths(&root, "rejects").is_empty());
    assert_eq!(content(&reader, "deals"), before);

    // The lost batch can be repeated, and gives what it would have given.
    let mut batch = begin(&root, "lost");
    let changed: Vec<Row> = (0..20).map(|key| deal(&format!("k{key}"), "stage=won")).collect();
    assert_eq!(upsert(&mut batch, "deals", &changed), counts(0, 20, 0, 0, 0));
    assert_eq!(upsert(&mut batch, "users", &[row("user_id=u source_system=salesforce")]), counts(1, 0, 0, 0, 0));
    batch.commit(BatchRecord::default()).unwrap();
    let lake = open(&root);
    assert_eq!(content(&lake, "deals")["salesforce/k7"]["stage"], "won");
    assert_eq!((content(&lake, "users").len(), content(&lake, "rejects").len()), (1, 0));
    assert_eq!(content(&reader, "deals"), before);
}

#[test]
fn a_crash_in_the_very_first_batch_leaves_an_empty_lake() {
    let folder = Folder::new();
    let root = folder.path();
    die(&root);
    die(&root);
    let lake = open(&root);
    assert_eq!((lake.sequence(), lake.table_version("deals")), (0, None));
    drop(lake.writer().unwrap());
    assert!(paths(&root, "deals").is_empty());
    assert_eq!(load(&root, "1", &[deal("a", "")]), counts(1, 0, 0, 0, 0));
    assert_eq!(content(&open(&root), "deals").len(), 1);
}

#[test]
fn an_aborted_batch_leaves_nothing() {
    let folder = Folder::new();
    let root = folder.path();
    load(&root, "1", &[deal("a", "amount=1")]);
    let pinned = paths(&root, "deals");
    let mut batch = begin(&root, "2");
    upsert(&mut batch, "deals", &[deal("a", "amount=2"), deal("b", "")]);
    assert_ne!(paths(&root, "deals"), pinned);
    batch.abort().unwrap();
    assert_eq!(paths(&root, "deals"), pinned);
    assert_eq!(open(&root).sequence(), 1);
}

#[test]
fn recovery_without_work_commits_nothing() {
    let folder = Folder::new();
    let root = folder.path();
    load(&root, "1", &[deal("a", "")]);
    die(&root);
    drop(open(&root).writer().unwrap());
    let count = || std::fs::read_dir(root.join("deals/_delta_log")).unwrap().count();
    let before = count();
    drop(open(&root).writer().unwrap());
    assert_eq!(count(), before);
}

#[test]
fn a_batch_that_upserts_a_table_twice_builds_on_itself() {
    let folder = Folder::new();
    let root = folder.path();
    let mut batch = begin(&root, "1");
    assert_eq!(upsert(&mut batch, "deals", &[deal("a", "amount=1")]), counts(1, 0, 0, 0, 0));
    assert_eq!(upsert(&mut batch, "deals", &[deal("a", "amount=2"), deal("b", "")]), counts(1, 1, 0, 0, 0));
    batch.commit(BatchRecord::default()).unwrap();
    assert_eq!(content(&open(&root), "deals")["salesforce/a"]["amount"], "2.0000");
}

#[test]
fn staged_files_do_not_outlive_the_batch() {
    let folder = Folder::new();
    let root = folder.path();
    let lake = Lake::create_or_open(&root).unwrap();
    let mut batch = lake.writer().unwrap().with_memory_budget(0).begin("1").unwrap();
    upsert(&mut batch, "deals", &[deal("a", "")]);
    assert!(root.join("_staging").is_dir(), "the rows were set aside");
    batch.commit(BatchRecord::default()).unwrap();
    assert!(!root.join("_staging").exists());
    std::fs::create_dir_all(root.join("_staging/dead")).unwrap();
    drop(open(&root).writer().unwrap());
    assert!(!root.join("_staging").exists());
}

#[test]
fn a_missing_data_file_is_reported_as_damage() {
    let folder = Folder::new();
    let root = folder.path();
    load(&root, "1", &[deal("a", "")]);
    std::fs::remove_file(&paths(&root, "deals")[0]).unwrap();
    let error = open(&root).read("deals", None).unwrap_err();
    assert!(matches!(error, LakeError::Damaged { .. }) && error.hint().is_some(), "{error}");
}
