//! Report specifications to files: complete, equal to the queries they stand for, and the same each time.

use std::fs;
use std::path::{Path, PathBuf};

use super::lake::files;
use super::program::{call, ingest, real_data, scratch, synthesise};

const SPEC: &str = "title: Sales of 2017
description: Three views of one export.
sections:
  - title: Revenue by manager
    text: By the quarter in which the deal was closed.
    kpis: [revenue, deals_won]
    by: manager
    grain: quarter
    chart: bar
  - title: Win rate
    kpis: win_rate
    grain: month
    chart: line
  - title: Best agents
    kpis: revenue
    by: owner
    top: 5
";

const SECTIONS: [(&str, &str); 3] = [
    ("revenue-by-manager", "query revenue deals_won --by manager --grain quarter"),
    ("win-rate", "query win_rate --grain month"),
    ("best-agents", "query revenue --by owner --top 5"),
];

fn report(spec: &Path, lake: &Path, out: &Path, options: &str) -> PathBuf {
    let answer = call("report").arg(spec).lake(lake).arg("--out").arg(out).words(options).works();
    let page = PathBuf::from(answer.text().trim_end());
    assert!(page.is_file(), "the answer is the place of the report: {answer:?}");
    page.parent().unwrap().to_path_buf()
}

/// Nothing in a page may be fetched from elsewhere.
fn is_self_contained(html: &str) {
    let without_names = html.replace("http://www.w3.org/2000/svg", "").replace("http://www.w3.org/1999/xlink", "");
    for reference in ["http://", "https://", "src=", "<link", "@import", "url(", "<script src", "href=\"//"] {
        assert!(!without_names.contains(reference), "the page refers to something outside: {reference}");
    }
}

#[test]
fn three_sections_of_maven() {
    let Some(data) = real_data("maven-crm/original") else { return };
    let scratch = scratch();
    let lake = scratch.path().join("lake");
    ingest(&data, &lake);
    let spec = scratch.path().join("sales.yaml");
    fs::write(&spec, SPEC).unwrap();
    let folder = report(&spec, &lake, &scratch.path().join("reports"), "");
    let written = files(&folder);
    let names: Vec<_> = written.keys().map(|name| name.to_str().unwrap()).collect();
    let expected =
        ["best-agents.csv", "report.html", "report.json", "report.md", "revenue-by-manager.csv", "win-rate.csv"];
    assert_eq!(names, expected);
    for (section, query) in SECTIONS {
        let answer = call(query).words("--format csv").lake(&lake).works();
        assert!(answer.table().rows.len() >= 6, "{query}");
        assert!(written[Path::new(&format!("{section}.csv"))] == answer.out, "{section} is not what `{query}` answers");
    }

    let text = |name: &str| String::from_utf8(written[Path::new(name)].clone()).unwrap();
    let (html, markdown) = (text("report.html"), text("report.md"));
    is_self_contained(&html);
    for words in ["Sales of 2017", "Revenue by manager", "Win rate", "Best agents", "Melvin Marxen", "Darcel Schlecht"]
    {
        assert!(html.contains(words) && markdown.contains(words), "{words}");
    }
    let json: serde_json::Value = serde_json::from_str(&text("report.json")).unwrap();
    let sections = json["sections"].as_array().unwrap();
    assert_eq!(sections.len(), 3);
    assert_eq!(sections[0]["rows"].as_array().unwrap().len(), 2 * 6 * 4);
    assert_eq!(sections[0]["rows"][0]["manager"], "Cara Losch");
    assert_eq!(sections[0]["rows"][0]["value"], 117_389);

    // Again into the same folder, into another one, one at a time and four at a time.
    for (out, options) in [("reports", ""), ("other", "--jobs 1"), ("third", "--jobs 4")] {
        let again = files(&report(&spec, &lake, &scratch.path().join(out), options));
        for (name, bytes) in &written {
            assert!(again[name] == *bytes, "{} in {out} {options}", name.display());
        }
        assert_eq!(again.len(), written.len());
    }
}

#[test]
fn several_reports_at_once_and_one_bad_section() {
    let scratch = scratch();
    let exports = synthesise("--deals 500 --source hubspot", scratch.path().join("exports"));
    let lake = scratch.path().join("lake");
    ingest(&exports, &lake);
    let spec = |name: &str, text: &str| {
        let path = scratch.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let good = spec("good.yaml", "title: Good\nsections:\n  - {title: Won, kpis: deals_won, grain: month}\n");
    let other = spec("other.yaml", "title: Other\nsections:\n  - {title: Lost, kpis: deals_lost, by: region}\n");
    let out = scratch.path().join("out");
    let answer = call("report").arg(&good).arg(&other).lake(&lake).arg("--out").arg(&out).words("--jobs 2").works();
    assert_eq!(answer.text().lines().count(), 2);
    assert!(out.join("good/won.csv").is_file() && out.join("other/lost.csv").is_file());

    // One section asks for what there is not: it is told, the others are written, and the exit code says so.
    let bad = spec(
        "bad.yaml",
        "title: Bad\nsections:\n  - {title: Fine, kpis: deals_won}\n  - {title: Wrong, kpis: reveneu}\n",
    );
    let answer = call("report").arg(&bad).lake(&lake).arg("--out").arg(&out).run();
    assert_eq!(answer.code, Some(1), "{answer:?}");
    let place = format!("error: {}:4:26: section `Wrong`: unknown KPI `reveneu`", bad.display());
    assert!(answer.err.contains(&place), "expected {place}: {answer:?}");
    assert!(answer.hint().contains("did you mean revenue"), "{answer:?}");
    assert!(out.join("bad/fine.csv").is_file() && out.join("bad/report.html").is_file());
    assert!(!out.join("bad/wrong.csv").exists());

    let figures = spec("figures.yaml", "title: Figures\nformats: csv\nsections:\n  - {title: Fine, kpis: leads}\n");
    let answer = call("report").arg(&figures).lake(&lake).arg("--out").arg(&out).works();
    assert_eq!(
        answer.text().trim_end(),
        out.join("figures").display().to_string(),
        "a page is named where there is one"
    );

    // A headline that cannot be answered is no headline that nobody asked for.
    let bare = spec(
        "bare.yaml",
        "title: Bare\nheadline: {kpis: [leads, reveneu]}\nsections:\n  - {title: Fine, kpis: leads}\n",
    );
    let answer = call("report").arg(&bare).lake(&lake).arg("--out").arg(&out).run();
    assert_eq!(answer.code, Some(1), "{answer:?}");
    let place = format!("error: {}:2:12: headline: unknown KPI `reveneu`", bare.display());
    assert!(answer.err.contains(&place), "expected {place}: {answer:?}");
    assert!(out.join("bare/fine.csv").is_file());
    let results = fs::read_to_string(out.join("run_results.json")).unwrap();
    assert!(results.contains("\"status\": \"failed\"") && results.contains("unknown KPI `reveneu`"), "{results}");

    call("report")
        .arg(spec("key.yaml", "title: Key\nsektions: []\n"))
        .lake(&lake)
        .arg("--out")
        .arg(&out)
        .refused("sektions");
    call("report").arg(scratch.path().join("none.yaml")).lake(&lake).arg("--out").arg(&out).refused("none.yaml");
}

/// The shipped bridge: in every month, and in every quarter of every stage, start and movements make the end.
#[test]
fn the_shipped_bridge_adds_up() {
    let scratch = scratch();
    let exports = synthesise("--deals 800 --source salesforce", scratch.path().join("exports"));
    let lake = scratch.path().join("lake");
    ingest(&exports, &lake);
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/cli/specs/pipeline_bridge.yaml");
    let folder = report(&spec, &lake, &scratch.path().join("reports"), "");
    let (mut bridges, mut moved) = (0, 0);
    for (section, periods) in [("the-bridge-by-month", 12), ("the-bridge-by-stage", 4)] {
        let text = fs::read_to_string(folder.join(format!("{section}.csv"))).unwrap();
        let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let head = lines.next().unwrap();
        let place = |name: &str| head.iter().position(|column| *column == name).unwrap();
        let (kpi, value) = (place("kpi"), place("value"));
        // Cents by period and segment: what stood, what moved, what stands.
        let mut sums: std::collections::BTreeMap<Vec<&str>, [i64; 3]> = std::collections::BTreeMap::new();
        for line in lines {
            let amount = line[value];
            let (whole, cents) = amount.split_once('.').unwrap_or((amount, "0"));
            let sign = if amount.starts_with('-') { -1 } else { 1 };
            let number = |digits: &str| digits.trim_start_matches('-').parse::<i64>().unwrap();
            let amount = sign * (100 * number(whole) + number(&format!("{cents:0<2}")));
            let sum = match line[kpi] {
                "pipeline_at_start" => 0,
                "open_pipeline_value" => 2,
                _ => 1,
            };
            sums.entry(line[kpi + 1..value].to_vec()).or_default()[sum] += amount;
            moved += usize::from(sum == 1 && amount != 0);
        }
        for (key, [start, change, end]) in &sums {
            assert_eq!(start + change, *end, "{section} {key:?}");
        }
        assert!(sums.len() >= periods, "{section} has {} bridges", sums.len());
        bridges += sums.len();
    }
    assert!(bridges > 20 && moved > 50, "{bridges} bridges, {moved} movements");
}
