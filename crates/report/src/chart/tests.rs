#![allow(clippy::unwrap_used)]
use super::*;
use crate::render::tests::{compared, sample};

fn balanced(svg: &str) -> bool {
    ["figure", "svg", "text", "rect", "li", "ul"].iter().all(|tag| {
        let opened = svg.matches(&format!("<{tag}>")).count() + svg.matches(&format!("<{tag} ")).count();
        let closed = svg.matches(&format!("</{tag}>")).count();
        let empty = svg
            .split(&format!("<{tag} "))
            .skip(1)
            .filter(|rest| rest.split('>').next().is_some_and(|head| head.ends_with('/')))
            .count();
        opened == closed + empty
    })
}

#[test]
fn every_kind_is_well_formed_and_escapes_names() {
    for frame in [sample(), compared()] {
        for kind in [Kind::Line, Kind::Bar, Kind::Stacked, Kind::Funnel, Kind::Waterfall] {
            for figure in figures(&frame, kind) {
                assert!(balanced(&figure), "{kind:?}: {figure}");
                assert!(!figure.contains("<North>"), "{figure}");
                assert!(!figure.contains("NaN") && !figure.contains("inf"), "{figure}");
            }
        }
    }
    assert_eq!(figures(&sample(), Kind::None), Vec::<String>::new());
    assert_eq!(figures(&Frame::default(), Kind::Line), Vec::<String>::new());
}

#[test]
fn a_line_breaks_at_null_and_marks_the_running_period() {
    let figure = &figures(&sample(), Kind::Line)[0];
    assert!(figure.contains("2017-02*"), "{figure}");
    assert!(figure.contains("stroke-dasharray=\"2 4\""), "{figure}");
}

#[test]
fn a_waterfall_ends_at_the_total() {
    let figure = &figures(&compared(), Kind::Waterfall)[0];
    // 100 + 50 before; +20 and -10 after: 160.
    for text in [">150<", ">+20<", ">-10<", ">160<"] {
        assert!(figure.contains(text), "{text} in {figure}");
    }
}

#[test]
fn terminal_bars_are_in_proportion() {
    let text = terminal::draw(&compared(), 48);
    let length = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.chars().filter(|letter| *letter == '█').count()
    };
    assert_eq!(length("East"), 3 * length("West"), "{text}");
}
