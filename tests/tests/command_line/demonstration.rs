//! `dealframe demo`: the main job on a fresh machine, in an empty folder.

use std::fs;

use super::lake::{content, difference, files};
use super::program::{Answer, call, scratch};

/// The page that the last line of the answer names.
fn page(answer: &Answer) -> String {
    let line = answer.text().trim_end().lines().last().unwrap();
    line.strip_prefix("report: ").unwrap_or_else(|| panic!("no place of a report: {line}")).to_owned()
}

#[test]
fn it_ends_with_a_report_and_runs_again() {
    let folder = scratch();
    let demo = || call("demo --deals 2000").within(folder.path()).works();
    let first = demo();
    assert!(first.err.contains("8 of 8 figures equal"), "{}", first.err);
    for name in ["Revenue", "Win rate", "Average deal size", "Sales cycle", "New customers"] {
        assert!(first.text().contains(name), "{name}: {}", first.text());
    }
    let path = folder.path().join(page(&first));
    let html = fs::read_to_string(&path).unwrap();
    assert!(html.starts_with("<!DOCTYPE html>") && html.trim_end().ends_with("</html>"));
    for title in ["Sales review", "Revenue by region", "Sales representatives", "Why deals were lost"] {
        assert!(html.contains(title), "{title}");
    }

    let lake = folder.path().join("dealframe-demo/lake");
    let held = content(&lake);
    assert_eq!(held["deals"].rows.len(), 2_000);
    let reports = files(path.parent().unwrap());
    let second = demo();
    assert!(second.err.contains("nothing new"), "{}", second.err);
    assert_eq!(first.text(), second.text());
    assert_eq!(difference(&held, &content(&lake)), "");
    assert!(files(path.parent().unwrap()) == reports, "the second run changed the report");

    let refused = call("demo --deals 2001").within(folder.path()).refused("holds a demo of 2000 deals");
    assert!(refused.hint().contains("--out"), "{refused:?}");
    assert_eq!(difference(&held, &content(&lake)), "");
}

/// Whatever the number of deals, the figures agree to the last digit.
#[test]
fn its_figures_equal_the_truth_at_any_size() {
    let folder = scratch();
    for deals in ["1", "7", "300", "5000"] {
        let answer = call("demo --deals").arg(deals).arg("--out").arg(folder.path().join(deals)).works();
        assert!(answer.err.contains("8 of 8 figures equal"), "{deals} deals: {}", answer.err);
        assert!(fs::metadata(page(&answer)).unwrap().len() > 1_000);
    }
}

#[test]
fn a_folder_of_other_things_is_left_alone() {
    let folder = scratch();
    fs::write(folder.path().join("thesis.txt"), "mine").unwrap();
    call("demo --deals 100 --out").arg(folder.path()).refused("holds no demo");
    assert_eq!(files(folder.path()).len(), 1);
}
