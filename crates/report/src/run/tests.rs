//! What can be tested without a lake; whole runs are tested in the suite over a generated lake.
#![allow(clippy::unwrap_used, clippy::panic)]
use crate::spec::every_output;
use dealframe_model::calendar::Grain;
use dealframe_model::kpi::Better;

use super::*;
use crate::chart::Kind;
use crate::document::{Answer, Columns, Definition, Document, Section, tiles};
use crate::render::tests::{compared, sample};

fn document(answers: Vec<Answer>) -> Document {
    let section = |(index, answer)| Section {
        title: format!("Part {index} <b>"),
        slug: format!("part-{index}"),
        text: None,
        period: String::new(),
        filters: vec!["region = 'East'".to_owned()],
        chart: Kind::Bar,
        columns: Columns::Auto,
        answer,
    };
    Document {
        title: "Sales & Co".to_owned(),
        description: None,
        as_of: Some(17_531),
        lake_sequence: 3,
        period: "all data".to_owned(),
        tiles: tiles::tiles(&compared(), None, Grain::Quarter),
        sections: answers.into_iter().enumerate().map(section).collect(),
        definitions: vec![Definition {
            id: "revenue".to_owned(),
            name: "Revenue".to_owned(),
            what: "Won.".to_owned(),
            formula: "Sum.".to_owned(),
            caveats: String::new(),
        }],
    }
}

fn failed() -> Answer {
    Answer::Failed { error: "unknown KPI `x`".to_owned(), hint: Some("did you mean y?".to_owned()) }
}

#[test]
fn a_failed_section_is_shown_and_the_others_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let empty = dealframe_model::frame::Frame::default();
    write::report(
        &document(vec![Answer::Frame(sample()), failed(), Answer::Frame(empty)]),
        folder.path(),
        &every_output(),
    )
    .unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    for name in ["report.html", "report.md", "report.json"] {
        assert!(read(name).contains("unknown KPI"), "{name}");
    }
    assert!(read("report.html").contains("Sales &amp; Co") && read("report.html").contains("no rows"));
    assert!(read("report.md").contains("no rows"));
    let json: serde_json::Value = serde_json::from_str(&read("report.json")).unwrap();
    let statuses: Vec<_> =
        json["sections"].as_array().unwrap().iter().map(|section| section["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["ok", "failed", "empty"]);
    assert!(!folder.path().join("part-1.csv").exists());
}

#[test]
fn figures_of_an_earlier_run_do_not_stay() {
    let folder = tempfile::tempdir().unwrap();
    write::report(&document(vec![Answer::Frame(sample()), Answer::Frame(sample())]), folder.path(), &every_output())
        .unwrap();
    std::fs::write(folder.path().join("mine.csv"), "keep").unwrap();
    write::report(&document(vec![Answer::Frame(sample()), failed()]), folder.path(), &every_output()).unwrap();
    assert!(folder.path().join("part-0.csv").exists());
    assert!(!folder.path().join("part-1.csv").exists());
    assert!(folder.path().join("mine.csv").exists());
}

#[test]
fn the_same_report_gives_the_same_bytes() {
    let write = || {
        let folder = tempfile::tempdir().unwrap();
        write::report(
            &document(vec![Answer::Frame(sample()), Answer::Frame(compared())]),
            folder.path(),
            &every_output(),
        )
        .unwrap();
        let mut files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
            .iter()
            .map(|path| (path.file_name().unwrap().to_owned(), std::fs::read(path).unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(write(), write());
}

#[test]
fn a_html_report_needs_nothing_from_outside() {
    let mut out = Vec::new();
    crate::document::html::write(&document(vec![Answer::Frame(compared())]), &mut out).unwrap();
    let html = String::from_utf8(out).unwrap().replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for outside in ["http:", "https:", "<script", "@import", "url("] {
        assert!(!html.contains(outside), "{outside}");
    }
}

#[test]
fn tiles_take_the_latest_whole_period_and_judge_by_what_is_better() {
    let tile = &tiles::tiles(&sample(), None, Grain::Month)[0];
    assert_eq!((tile.period.as_str(), tile.running), ("2017-01", false));
    let mut frame = compared();
    frame.segments.clear();
    frame.rows.truncate(1);
    frame.rows[0].segments = [].into();
    let tone = |frame: &dealframe_model::frame::Frame| tiles::tiles(frame, None, Grain::Quarter)[0].changes[0].tone;
    assert_eq!(tone(&frame), crate::document::grid::Tone::Good);
    frame.kpis[0].better = Better::Lower;
    assert_eq!(tone(&frame), crate::document::grid::Tone::Bad);
    frame.kpis[0].better = Better::Neither;
    assert_eq!(tone(&frame), crate::document::grid::Tone::None);
}

#[test]
fn two_specifications_of_one_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text = "title: T\nsections: [{title: A, kpis: revenue}]\n";
    let paths = ["a", "b"].map(|sub| {
        let path = folder.path().join(sub).join("sales_review.yaml");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    });
    let Err(error) = read_all(&paths, &Settings::default()) else { panic!("accepted") };
    assert!(matches!(&error, ReportError::SameName { name, .. } if name == "sales-review"), "{error}");
}
