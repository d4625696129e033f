//! `report.md`: the report as text, for wikis and mails.

use std::io::Write;

use dealframe_model::date;

use super::grid::grids;
use super::{Answer, Document, Section};
use crate::ReportError;
use crate::render::cells::LEGEND;
use crate::render::markdown::{escaped, table};

pub fn write(document: &Document, out: &mut dyn Write) -> Result<(), ReportError> {
    let mut head = format!("# {}\n\n", escaped(&document.title));
    if let Some(description) = &document.description {
        head.push_str(&format!("{}\n\n", description.trim()));
    }
    let as_of = document.as_of.map_or(String::new(), |day| format!(" · as of {}", date::format(day)));
    head.push_str(&format!("Period {}{as_of} · lake state {}\n", document.period, document.lake_sequence));
    if !document.tiles.is_empty() {
        head.push('\n');
    }
    for tile in &document.tiles {
        let changes: Vec<String> =
            tile.changes.iter().map(|change| format!("{} {}", change.text, change.against)).collect();
        let star = if tile.running { "\\*" } else { "" };
        let changes = if changes.is_empty() { String::new() } else { format!(" ({})", changes.join(", ")) };
        head.push_str(&format!("- **{}** {}{star}: {}{changes}\n", escaped(&tile.name), tile.period, tile.value));
    }
    out.write_all(head.as_bytes()).map_err(ReportError::Write)?;
    for section in &document.sections {
        self::section(section, out)?;
    }
    let mut foot = String::from("\n## Definitions\n\n");
    for definition in &document.definitions {
        foot.push_str(&format!(
            "- **{}** (`{}`): {} {} {}\n",
            escaped(&definition.name),
            definition.id,
            escaped(definition.what.trim()),
            escaped(definition.formula.trim()),
            escaped(definition.caveats.trim())
        ));
    }
    out.write_all(foot.as_bytes()).map_err(ReportError::Write)
}

fn section(section: &Section, out: &mut dyn Write) -> Result<(), ReportError> {
    let mut say = |text: String| out.write_all(text.as_bytes()).map_err(ReportError::Write);
    say(format!("\n## {}\n\n", escaped(&section.title)))?;
    if let Some(text) = &section.text {
        say(format!("{}\n\n", text.trim()))?;
    }
    if !section.filters.is_empty() {
        say(format!("Only where `{}`\n\n", section.filters.join("` and `")))?;
    }
    let frame = match &section.answer {
        Answer::Failed { error, hint } => {
            let hint = hint.as_deref().map_or(String::new(), |hint| format!(" Hint: {}", escaped(hint)));
            return say(format!("**This section failed:** {}.{hint}\n", escaped(error)));
        }
        Answer::Frame(frame) => frame,
    };
    let grids = grids(frame, section.columns);
    if grids.is_empty() {
        return say("This section has no rows.\n".to_owned());
    }
    for grid in &grids {
        if let Some(caption) = &grid.caption {
            say(format!("### {}\n\n", escaped(caption)))?;
        }
        let mut header = grid.heads.clone();
        header.extend(grid.columns.iter().map(|column| match column.unit.as_str() {
            "" => column.title.clone(),
            unit => format!("{} ({unit})", column.title),
        }));
        let right: Vec<bool> = (0..header.len()).map(|index| index >= grid.heads.len()).collect();
        let rows: Vec<Vec<String>> = (grid.rows.iter())
            .map(|row| {
                let cells =
                    row.cells.iter().map(|cell| cell.as_ref().map(|cell| cell.text.clone()).unwrap_or_default());
                row.heads.iter().cloned().chain(cells).collect()
            })
            .collect();
        let mut text = Vec::new();
        table(&header, &right, &rows, &mut text)?;
        say(String::from_utf8_lossy(&text).into_owned())?;
        if grid.running {
            say(format!("\n\\{LEGEND}\n"))?;
        }
        say("\n".to_owned())?;
    }
    for note in &frame.notes {
        say(format!("Note: {}\n", escaped(note)))?;
    }
    Ok(())
}
