//! An ingest that is killed at any moment leaves the state before or the state after, and can be repeated.
#![cfg(unix)]

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::lake::{content, copy, difference, rows, sequence_told};
use super::program::{call, ingest, scratch, synthesise};

const TIMES: usize = 15;
const FIGURES: &str = "query revenue deals_won deals_lost leads activities open_pipeline_value win_rate \
    sales_cycle_median --by source_system --format csv";

/// What the lake answers: figures, rows and the number of its last batch.
#[derive(PartialEq, Eq)]
struct State {
    figures: Vec<u8>,
    rows: std::collections::BTreeMap<String, u64>,
    sequence: u64,
}

fn state(lake: &Path) -> State {
    let tables = call("tables --format csv").lake(lake).works();
    State { figures: call(FIGURES).lake(lake).works().out, rows: rows(&tables), sequence: sequence_told(&tables) }
}

fn start(exports: &Path, lake: &Path) -> Child {
    let mut command = call("ingest").arg(exports).lake(lake).command();
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Moments between nought and one from a seed, spread over the range by the golden ratio.
fn moments(seed: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(seed), |moment| Some((moment + 0.618_033_988_749_895).fract()))
}

#[test]
fn killed_at_fifteen_moments() {
    let folder = scratch();
    let first = synthesise("--deals 2000 --source hubspot --seed 4", folder.path().join("first"));
    let second = synthesise("--deals 30000 --seed 9", folder.path().join("second"));
    let base = folder.path().join("base");
    ingest(&first, &base);
    let undisturbed = folder.path().join("undisturbed");
    copy(&base, &undisturbed);
    let began = Instant::now();
    ingest(&second, &undisturbed);
    let duration = began.elapsed();
    let (before, after) = (state(&base), state(&undisturbed));
    assert!(before != after && after.sequence == 2);
    let expected = content(&undisturbed);
    assert_eq!(expected["deals"].rows.len(), 32_000);

    let (mut killed, mut states) = (0, [0, 0]);
    for (number, moment) in moments(0.25).take(TIMES).enumerate() {
        let lake = folder.path().join(format!("lake-{number}"));
        copy(&base, &lake);
        let mut child = start(&second, &lake);
        std::thread::sleep(duration.mul_f64(moment).max(Duration::from_millis(1)));
        child.kill().unwrap();
        if !child.wait().unwrap().success() {
            killed += 1;
        }
        let found = state(&lake);
        let index = if found == before { 0 } else { 1 };
        assert!(index == 0 || found == after, "killed at {moment:.3}: neither the state before nor the state after");
        states[index] += 1;

        let again = ingest(&second, &lake);
        assert_eq!(again.err.contains("nothing changed"), index == 1, "killed at {moment:.3}: {}", again.err);
        assert!(state(&lake) == after, "killed at {moment:.3}: the retry is not the undisturbed ingest");
        // The whole content and a third time, for every third of them: the figures above tell most of it.
        if number % 3 == 0 {
            assert_eq!(difference(&expected, &content(&lake)), "", "killed at {moment:.3}");
            let third = ingest(&second, &lake);
            assert!(third.err.contains("nothing changed"), "killed at {moment:.3}: a third time: {}", third.err);
        }
        std::fs::remove_dir_all(&lake).unwrap();
    }
    assert!(killed >= TIMES / 2, "only {killed} of {TIMES} were still running when they were killed");
    assert!(states[0] > 0, "{states:?}");
}

/// The very first ingest, killed: there is no lake yet, an empty one, or the whole one; the retry completes.
#[test]
fn killed_while_the_lake_is_made() {
    let folder = scratch();
    let exports = synthesise("--deals 4000 --seed 9", folder.path().join("exports"));
    let undisturbed = folder.path().join("undisturbed");
    let began = Instant::now();
    ingest(&exports, &undisturbed);
    let duration = began.elapsed();
    let expected = content(&undisturbed);
    for (number, moment) in moments(0.5).take(8).enumerate() {
        let lake = folder.path().join(format!("lake-{number}"));
        let mut child = start(&exports, &lake);
        std::thread::sleep(duration.mul_f64(moment));
        child.kill().unwrap();
        child.wait().unwrap();
        let answer = call("tables --format csv").lake(&lake).run();
        if answer.code == Some(0) {
            let rows = answer.table().rows;
            assert!(rows.is_empty() || rows.len() == expected.len(), "killed at {moment:.3}: half a lake: {rows:?}");
        } else {
            answer.refused("is not a lake");
        }
        ingest(&exports, &lake);
        assert_eq!(difference(&expected, &content(&lake)), "", "killed at {moment:.3}");
    }
}

/// One writer at a time: the second is refused while the first one runs, and the first is not disturbed.
#[test]
fn two_writers() {
    let folder = scratch();
    let exports = synthesise("--deals 20000 --seed 9", folder.path().join("exports"));
    let small = synthesise("--deals 50 --seed 4 --source hubspot", folder.path().join("small"));
    let lake = folder.path().join("lake");
    ingest(&small, &lake);
    let before = state(&lake);
    let mut first = start(&exports, &lake);
    let mut refused = false;
    while first.try_wait().unwrap().is_none() {
        // Readers are not affected and see the state before until the writer has finished.
        let seen = |found: &State| *found == before || found.sequence == 2;
        let mut found = state(&lake);
        if !seen(&found) {
            // A state is read by several commands; between two of them the batch may have been completed.
            found = state(&lake);
        }
        assert!(seen(&found), "half a batch is seen");
        let answer = call("ingest").arg(&small).lake(&lake).run();
        if answer.code == Some(1) {
            answer.refused("another process is writing");
            refused = true;
        } else {
            answer.succeeded();
        }
    }
    assert!(first.wait().unwrap().success());
    assert!(refused, "no ingest met the running one");
    assert_eq!(content(&lake)["deals"].rows.len(), 20_050);
}
