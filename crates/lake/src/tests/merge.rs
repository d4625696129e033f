//! Upsert in every branch: against the batch itself, against the stored row, and as a full export.

use std::collections::BTreeMap;

use super::*;

#[test]
fn inserts_updates_and_leaves_the_same_alone() {
    let folder = Folder::new();
    let root = folder.path();
    let first = [deal("a", "amount=10.5 stage=New"), deal("b", "amount=20"), deal("c", "")];
    assert_eq!(load(&root, "1", &first), counts(3, 0, 0, 0, 0));
    // Line, file and batch do not make a row different; amount does; a row replaces the stored one as a whole.
    let second = [
        deal("a", "amount=10.5 stage=New batch_id=b9 source_line=7 source_file=x.csv"),
        deal("b", "stage=Won"),
        deal("d", "amount=-0.0001"),
    ];
    assert_eq!(load(&root, "2", &second), counts(1, 1, 1, 0, 0));
    let deals = content(&open(&root), "deals");
    assert_eq!(deals.len(), 4);
    assert_eq!(deals["salesforce/a"]["batch_id"], "b0");
    assert_eq!(deals["salesforce/a"]["amount"], "10.5000");
    assert_eq!(deals["salesforce/b"].get("amount"), None);
    assert_eq!(deals["salesforce/b"]["stage"], "Won");
    assert_eq!(deals["salesforce/d"]["amount"], "-0.0001");
}

#[test]
fn the_newest_version_within_a_batch_wins() {
    let folder = Folder::new();
    let root = folder.path();
    let rows = [
        deal("newest", "stage=right modified_at=2024-02-01T00:00:00Z"),
        deal("newest", "stage=wrong modified_at=2024-01-01T00:00:00Z"),
        deal("newest", "stage=wrong"),
        deal("tie", "stage=wrong modified_at=2024-01-01T00:00:00Z"),
        deal("tie", "stage=right modified_at=2024-01-01T00:00:00Z"),
        deal("none", "stage=wrong"),
        deal("none", "stage=right"),
        deal("newest", "stage=other source_system=hubspot"),
    ];
    // In one part and in several: the order of the file counts, not the parts.
    assert_eq!(load(&root, "1", &rows), counts(4, 0, 0, 4, 0));
    let check = |root: &Path| {
        let deals = content(&open(root), "deals");
        for key in ["newest", "tie", "none"] {
            assert_eq!(deals[&format!("salesforce/{key}")]["stage"], "right", "{key}");
        }
        assert_eq!(deals["hubspot/newest"]["stage"], "other");
    };
    check(&root);
    let folder = Folder::new();
    let mut batch = begin(&folder.path(), "1");
    let parts: Vec<&[Row]> = rows.chunks(1).collect();
    let result = upsert_with(&mut batch, "deals", &parts, UpsertOptions::default()).unwrap();
    assert_eq!(result, counts(4, 0, 0, 4, 0));
    batch.commit(BatchRecord::default()).unwrap();
    check(&folder.path());
}

#[test]
fn an_older_row_does_not_replace_a_newer_one() {
    let folder = Folder::new();
    let root = folder.path();
    let stored = [
        deal("old", "stage=new modified_at=2024-02-01T00:00:00Z"),
        deal("same", "stage=kept modified_at=2024-02-01T00:00:00Z"),
        deal("undated", "stage=first"),
        deal("dated", "stage=first modified_at=2024-02-01T00:00:00Z"),
        deal("equal", "stage=first modified_at=2024-02-01T00:00:00Z"),
    ];
    load(&root, "1", &stored);
    let incoming = [
        deal("old", "stage=old modified_at=2024-01-01T00:00:00Z"),
        // Equal content is unchanged, however old.
        deal("same", "stage=kept modified_at=2024-01-01T00:00:00Z"),
        deal("undated", "stage=second modified_at=2020-01-01T00:00:00Z"),
        deal("dated", "stage=second"),
        deal("equal", "stage=second modified_at=2024-02-01T00:00:00Z"),
    ];
    assert_eq!(load(&root, "2", &incoming), counts(0, 3, 1, 1, 0));
    let deals = content(&open(&root), "deals");
    assert_eq!(deals["salesforce/old"]["stage"], "new");
    assert_eq!(deals["salesforce/undated"]["stage"], "second");
    assert_eq!(deals["salesforce/dated"]["stage"], "second");
    assert_eq!(deals["salesforce/equal"]["stage"], "second");
}

#[test]
fn every_own_column_and_extra_and_is_deleted_make_a_difference() {
    let folder = Folder::new();
    let root = folder.path();
    load(&root, "1", &[deal("a", "amount=1")]);
    let changes = [
        "amount=2",
        "name=x",
        "close_date=2024-01-01",
        "probability=0.5",
        "closed_at=2024-01-01T00:00:00Z",
        "extra={}",
        "is_deleted=true",
    ];
    let mut expected = deal("a", "amount=1");
    for (index, change) in changes.iter().enumerate() {
        expected.extend(row(change));
        assert_eq!(load(&root, &format!("change {index}"), &[expected.clone()]), counts(0, 1, 0, 0, 0), "{change}");
        assert_eq!(load(&root, &format!("again {index}"), &[expected.clone()]), counts(0, 0, 1, 0, 0), "{change}");
    }
}

#[test]
fn a_table_without_changes_gets_no_new_version() {
    let folder = Folder::new();
    let root = folder.path();
    let rows = [deal("a", "amount=1")];
    load(&root, "1", &rows);
    let before = open(&root);
    load(&root, "2", &rows);
    let after = open(&root);
    assert_eq!((before.sequence(), after.sequence()), (1, 2));
    assert_eq!(before.table_version("deals"), after.table_version("deals"));
    assert_eq!(before.files("deals").unwrap(), after.files("deals").unwrap());
    // A batch without any row creates no table.
    let mut batch = begin(&root, "3");
    assert_eq!(upsert(&mut batch, "users", &[]), UpsertCounts::default());
    batch.commit(BatchRecord::default()).unwrap();
    assert_eq!(open(&root).table_version("users"), None);
    assert!(open(&root).files("users").unwrap().is_empty());
}

#[test]
fn the_listener_sees_old_and_new_rows_side_by_side() {
    let folder = Folder::new();
    let root = folder.path();
    let stored: Vec<Row> = (0..50).map(|key| deal(&format!("k{key}"), "stage=before amount=1")).collect();
    load(&root, "1", &stored);
    let incoming: Vec<Row> = (0..60)
        .map(|key| deal(&format!("k{key}"), if key % 2 == 0 { "stage=after" } else { "stage=before amount=1" }))
        .collect();
    let mut seen = BTreeMap::new();
    let mut listener = |old: &RecordBatch, new: &RecordBatch| {
        assert_eq!(old.schema(), arrow_schema(table("deals")));
        for (old, new) in rows_of(old).into_iter().zip(rows_of(new)) {
            assert_eq!(old["deal_id"], new["deal_id"]);
            seen.insert(old["deal_id"].clone(), (old["stage"].clone(), new["stage"].clone()));
        }
        Ok(())
    };
    let mut batch = begin(&root, "2");
    let options = UpsertOptions { on_change: Some(&mut listener), ..UpsertOptions::default() };
    assert_eq!(upsert_with(&mut batch, "deals", &[&incoming], options).unwrap(), counts(10, 25, 25, 0, 0));
    assert_eq!(seen.len(), 25);
    assert_eq!(seen["k4"], ("before".to_owned(), "after".to_owned()));

    let mut refuse = |_: &RecordBatch, _: &RecordBatch| Err(LakeError::caller("stop here"));
    let options = UpsertOptions { on_change: Some(&mut refuse), ..UpsertOptions::default() };
    batch.abort().unwrap();
    let mut batch = begin(&root, "3");
    let error = upsert_with(&mut batch, "deals", &[&incoming], options).unwrap_err();
    assert_eq!(error.to_string(), "stop here");
}

#[test]
fn an_error_of_the_row_iterator_comes_back_as_it_is() {
    let folder = Folder::new();
    let mut batch = begin(&folder.path(), "1");
    let mut rows =
        [Ok(batch_of(table("deals"), &[deal("a", "")])), Err(LakeError::caller("line 7 is odd"))].into_iter();
    let error = batch.upsert(table("deals"), &mut rows, UpsertOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "line 7 is odd");
}

#[test]
fn a_row_without_key_is_refused_with_its_place() {
    let folder = Folder::new();
    let mut batch = begin(&folder.path(), "1");
    let mut keyless = deal("x", "source_line=41");
    keyless.remove("deal_id");
    let rows = [deal("a", ""), keyless.clone()];
    let error = upsert_with(&mut batch, "deals", &[&rows], UpsertOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "table deals: row 1 of the batch (line 41 of deals.csv) has no deal_id");
    assert!(error.is_user_fault() && error.hint().is_some());
    let error = upsert_with(&mut batch, "deals", &[&[keyless]], UpsertOptions::default()).unwrap_err();
    assert!(matches!(error, LakeError::MissingKey { .. }), "{error}");
    let mut sourceless = deal("x", "");
    sourceless.remove("source_system");
    let rows = [deal("a", ""), sourceless];
    let error = upsert_with(&mut batch, "deals", &[&rows], UpsertOptions::default()).unwrap_err();
    assert!(error.to_string().contains("has no source_system"), "{error}");
}

#[test]
fn a_batch_of_another_shape_is_refused() {
    let folder = Folder::new();
    let mut batch = begin(&folder.path(), "1");
    let users = batch_of(table("users"), &[row("user_id=1 source_system=x")]);
    let error = batch.upsert(table("deals"), &mut [Ok(users)].into_iter(), UpsertOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "table deals: column 0 is user_id Utf8, expected deal_id Utf8");
}

#[test]
fn a_full_export_marks_absent_rows_as_deleted() {
    let folder = Folder::new();
    let root = folder.path();
    let mut rows: Vec<Row> = (0..100).map(|key| deal(&format!("k{key}"), "amount=1")).collect();
    rows.push(deal("elsewhere", "source_system=hubspot"));
    load(&root, "1", &rows);
    let full = || UpsertOptions { full: true, ..UpsertOptions::default() };

    // Five of a hundred may go, six may not.
    let mut batch = begin(&root, "2");
    let files = || std::fs::read_dir(root.join("deals/bucket=0")).unwrap().count();
    let before = files();
    let error = upsert_with(&mut batch, "deals", &[&rows[6..100]], full()).unwrap_err();
    assert!(matches!(error, LakeError::ShrinkRefused { live: 100, vanishing: 6, .. }), "{error}");
    assert!(error.is_user_fault() && error.hint().unwrap().contains("--allow-shrink"));
    assert_eq!(files(), before, "the refused file was removed");
    drop(batch);

    let mut batch = begin(&root, "3");
    assert_eq!(upsert_with(&mut batch, "deals", &[&rows[5..100]], full()).unwrap(), counts(0, 0, 95, 0, 5));
    batch.commit(BatchRecord::default()).unwrap();
    let deals = content(&open(&root), "deals");
    assert_eq!(deals.len(), 101);
    assert_eq!(deals["salesforce/k0"]["is_deleted"], "true");
    assert_eq!(deals["salesforce/k0"]["batch_id"], "3");
    assert_eq!(deals["salesforce/k0"]["amount"], "1.0000");
    assert_eq!(deals["salesforce/k5"].get("is_deleted"), None);
    assert_eq!(deals["hubspot/elsewhere"].get("is_deleted"), None);

    // Gone rows do not count twice; with permission more may go; a row that is back is alive again.
    let mut batch = begin(&root, "4");
    let allowed = UpsertOptions { full: true, allow_shrink: true, ..UpsertOptions::default() };
    let back: Vec<Row> = rows[..1].iter().chain(&rows[50..100]).cloned().collect();
    assert_eq!(upsert_with(&mut batch, "deals", &[&back], allowed).unwrap(), counts(0, 1, 50, 0, 45));
    batch.commit(BatchRecord::default()).unwrap();
    assert_eq!(content(&open(&root), "deals")["salesforce/k0"].get("is_deleted"), None);
}

#[test]
fn a_full_export_reaches_buckets_without_incoming_rows() {
    let folder = Folder::new();
    let root = folder.path();
    let rows: Vec<Row> = (0..200).map(|key| deal(&format!("k{key}"), "")).collect();
    let mut batch = begin(&root, "1");
    let hint = UpsertOptions { expected_rows: Some(20_000_000), ..UpsertOptions::default() };
    upsert_with(&mut batch, "deals", &[&rows], hint).unwrap();
    batch.commit(BatchRecord::default()).unwrap();
    assert!(open(&root).files("deals").unwrap().len() > 10);
    let mut batch = begin(&root, "2");
    let options = UpsertOptions { full: true, allow_shrink: true, ..UpsertOptions::default() };
    assert_eq!(upsert_with(&mut batch, "deals", &[&rows[..1]], options).unwrap(), counts(0, 0, 1, 0, 199));
}

/// Random batches against a plain map that follows the rules of the upsert by the letter.
#[test]
fn random_batches_agree_with_a_plain_map() {
    for buckets in [1, 5] {
        let folder = Folder::new();
        let root = folder.path();
        let mut dice = Dice(buckets);
        let mut model: BTreeMap<String, Row> = BTreeMap::new();
        for round in 0..8 {
            let incoming: Vec<Row> = (0..120).map(|_| random_deal(&mut dice)).collect();
            let expected = apply(&mut model, &incoming);
            let mut batch = Lake::create_or_open(&root)
                .unwrap()
                .writer()
                .unwrap()
                .with_memory_budget(if round % 2 == 0 { 0 } else { 1 << 20 })
                .begin(&round.to_string())
                .unwrap();
            let parts: Vec<&[Row]> = incoming.chunks(1 + usize::try_from(dice.below(50)).unwrap()).collect();
            let hint = UpsertOptions { expected_rows: Some(buckets * 1_500_000), ..UpsertOptions::default() };
            assert_eq!(upsert_with(&mut batch, "deals", &parts, hint).unwrap(), expected, "round {round}");
            batch.commit(BatchRecord::default()).unwrap();
            assert_eq!(content(&open(&root), "deals"), model, "round {round}");
        }
    }
}

fn random_deal(dice: &mut Dice) -> Row {
    let mut deal =
        deal(&format!("k{}", dice.below(80)), &format!("amount={}.0000 stage=s{}", dice.below(3), dice.below(3)));
    if dice.below(3) > 0 {
        deal.insert("modified_at".into(), format!("2024-01-0{}T00:00:00Z", 1 + dice.below(5)));
    }
    if dice.below(2) == 0 {
        deal.insert("close_date".into(), format!("2024-01-0{}", 1 + dice.below(5)));
    }
    deal
}

fn apply(model: &mut BTreeMap<String, Row>, incoming: &[Row]) -> UpsertCounts {
    let mut winners: BTreeMap<String, Row> = BTreeMap::new();
    let mut counts = UpsertCounts::default();
    for row in incoming {
        let key = format!("{}/{}", row["source_system"], row["deal_id"]);
        match winners.get(&key) {
            Some(winner) if winner.get("modified_at") > row.get("modified_at") => counts.duplicate += 1,
            Some(_) => {
                counts.duplicate += 1;
                winners.insert(key, row.clone());
            }
            None => {
                winners.insert(key, row.clone());
            }
        }
    }
    let bare = |row: &Row| {
        let mut row = row.clone();
        for name in ["modified_at", "batch_id", "source_file", "source_line"] {
            row.remove(name);
        }
        row
    };
    for (key, row) in winners {
        match model.get(&key) {
            None => counts.inserted += 1,
            Some(stored) if bare(stored) == bare(&row) => {
                counts.unchanged += 1;
                continue;
            }
            Some(stored) if row.contains_key("modified_at") && stored.get("modified_at") > row.get("modified_at") => {
                counts.duplicate += 1;
                continue;
            }
            Some(_) => counts.updated += 1,
        }
        model.insert(key, row);
    }
    counts
}
