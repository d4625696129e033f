//! `report.html`: one file that needs nothing else, for the screen, for mail and for paper.
//!
//! The skeleton is `templates/report.html`, the looks are `templates/style.css`; tables and
//! charts are built here and in `chart`, escaped where they are built.

use std::io::Write;

use dealframe_model::date;
use dealframe_model::frame::Frame;
use minijinja::{Environment, Value, context};

use super::grid::{Grid, Tone, grids};
use super::{Answer, Columns, Document, Section};
use crate::ReportError;
use crate::chart::{Kind, escaped, figures};
use crate::render::cells::LEGEND;

/// More rows than this make a page that browsers open slowly; the rest is in the CSV file beside it.
const MOST_ROWS: usize = 2_000;

pub fn write(document: &Document, out: &mut dyn Write) -> Result<(), ReportError> {
    let tiles: Vec<Value> = document.tiles.iter().map(tile).collect();
    let sections: Vec<Value> = document.sections.iter().map(section).collect();
    let definitions: Vec<Value> = (document.definitions.iter())
        .map(|definition| {
            context! {
                id => definition.id.as_str(), name => definition.name.as_str(), what => definition.what.trim(),
                formula => definition.formula.trim(), caveats => definition.caveats.trim(),
            }
        })
        .collect();
    let running = document.tiles.iter().any(|tile| tile.running);
    let page = render(context! {
        title => document.title.as_str(),
        description => document.description.as_deref().unwrap_or("").trim(),
        period => document.period.as_str(),
        as_of => document.as_of.map(date::format).unwrap_or_default(),
        lake_sequence => document.lake_sequence,
        tiles, sections, definitions, running,
    })?;
    out.write_all(page.as_bytes()).map_err(ReportError::Write)
}

/// A page around ready-made content.
pub fn page(title: &str, content: String) -> Result<String, ReportError> {
    let section = context! { title => "", text => "", content => Value::from_safe_string(content) };
    render(context! { title, sections => vec![section] })
}

fn render(context: Value) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    let failed = |error: minijinja::Error| ReportError::build("HTML page", error);
    environment.add_template("style.css", include_str!("../../templates/style.css")).map_err(failed)?;
    environment.add_template("report.html", include_str!("../../templates/report.html")).map_err(failed)?;
    let template = environment.get_template("report.html").map_err(failed)?;
    template.render(context).map_err(failed)
}

fn tile(tile: &super::tiles::Tile) -> Value {
    let changes: Vec<Value> = (tile.changes.iter())
        .map(|change| {
            let arrow = match change.direction {
                1 => "▲",
                -1 => "▼",
                _ => "■",
            };
            context! { arrow, text => change.text.as_str(), against => change.against.as_str(), tone => class(change.tone) }
        })
        .collect();
    context! {
        name => tile.name.as_str(), value => tile.value.as_str(), exact => tile.exact.as_str(),
        period => tile.period.as_str(), running => tile.running, changes,
        curve => Value::from_safe_string(tile.curve.clone()),
    }
}

fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::None => "",
    }
}

fn section(section: &Section) -> Value {
    let content = match &section.answer {
        Answer::Failed { error, hint } => {
            let hint = hint.as_deref().map_or(String::new(), |hint| format!("<br>{}", escaped(hint)));
            format!("<p class=\"failed\"><strong>This section failed.</strong> {}{hint}</p>", escaped(error))
        }
        Answer::Frame(frame) => content(frame, section.chart, section.columns, Some(MOST_ROWS), &section.slug),
    };
    context! {
        title => section.title.as_str(), slug => section.slug.as_str(),
        text => section.text.as_deref().unwrap_or("").trim(),
        period => section.period.as_str(), filters => section.filters.join(" · "),
        content => Value::from_safe_string(content),
    }
}

/// Charts, tables and notes of one frame. `most` limits the rows of a table, with a word about it.
pub fn content(frame: &Frame, chart: Kind, columns: Columns, most: Option<usize>, slug: &str) -> String {
    let grids = grids(frame, columns);
    if grids.is_empty() {
        return format!("<p class=\"empty\">This section has no rows.</p>{}", notes(frame));
    }
    let mut out = String::new();
    let figures = figures(frame, chart);
    if !figures.is_empty() {
        let class = if figures.len() == 1 { "charts one" } else { "charts" };
        out.push_str(&format!("<div class=\"{class}\">{}</div>", figures.concat()));
    }
    for grid in &grids {
        table(grid, most, slug, &mut out);
    }
    out.push_str(&notes(frame));
    out
}

fn notes(frame: &Frame) -> String {
    frame.notes.iter().map(|note| format!("<p class=\"note\">{}</p>", escaped(note))).collect()
}

fn table(grid: &Grid, most: Option<usize>, slug: &str, out: &mut String) {
    if let Some(caption) = &grid.caption {
        out.push_str(&format!("<h3>{}</h3>", escaped(caption)));
    }
    let layout = if grid.columns.len() + grid.heads.len() > 9 { "scroll dense" } else { "scroll" };
    out.push_str(&format!("<div class=\"{layout}\"><table><thead><tr>"));
    for head in &grid.heads {
        out.push_str(&format!("<th class=\"head\">{}</th>", escaped(&head.replace('_', " "))));
    }
    for column in &grid.columns {
        let unit = if column.unit.is_empty() {
            String::new()
        } else {
            format!(" <span class=\"unit\">{}</span>", escaped(&column.unit))
        };
        out.push_str(&format!("<th>{}{unit}</th>", escaped(&column.title)));
    }
    out.push_str("</tr></thead><tbody>");
    let shown = most.unwrap_or(usize::MAX).min(grid.rows.len());
    for row in &grid.rows[..shown] {
        out.push_str(if row.running { "<tr class=\"running\">" } else { "<tr>" });
        for head in &row.heads {
            out.push_str(&format!("<th scope=\"row\">{}</th>", escaped(head)));
        }
        for cell in &row.cells {
            match cell {
                None => out.push_str("<td></td>"),
                Some(cell) if cell.tone == Tone::None => out.push_str(&format!("<td>{}</td>", cell.text)),
                Some(cell) => out.push_str(&format!("<td class=\"{}\">{}</td>", class(cell.tone), cell.text)),
            }
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
    if shown < grid.rows.len() {
        out.push_str(&format!(
            "<p class=\"note\">The first {shown} of {} rows; all of them are in <a href=\"{slug}.csv\">{slug}.csv</a>.</p>",
            grid.rows.len()
        ));
    }
    if grid.running {
        out.push_str(&format!("<p class=\"note\">{LEGEND}</p>"));
    }
}
