//! Markdown tables, for wikis, tickets and chats.

use std::io::Write;

use dealframe_model::frame::Frame;

use super::cells::{LEGEND, NULL, cells};
use crate::{Listing, ReportError};

pub(super) fn frame(frame: &Frame, out: &mut dyn Write) -> Result<(), ReportError> {
    let cells = cells(frame);
    table(&cells.header, &cells.right, &cells.rows, out)?;
    if cells.running {
        writeln!(out, "\n\\{LEGEND}").map_err(ReportError::Write)?;
    }
    Ok(())
}

pub(super) fn listing(listing: &Listing, out: &mut dyn Write) -> Result<(), ReportError> {
    let header: Vec<String> = listing.columns.iter().map(|column| column.name.clone()).collect();
    let right: Vec<bool> = listing.columns.iter().map(|column| column.kind.is_number()).collect();
    let rows: Vec<Vec<String>> = (listing.rows.iter())
        .map(|row| row.iter().map(|cell| cell.clone().unwrap_or_else(|| NULL.to_owned())).collect())
        .collect();
    table(&header, &right, &rows, out)
}

pub(crate) fn table(
    header: &[String],
    right: &[bool],
    rows: &[Vec<String>],
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    let mut text = String::new();
    line(&mut text, header);
    text.push('|');
    for right in right {
        text.push_str(if *right { " ---: |" } else { " --- |" });
    }
    text.push('\n');
    for row in rows {
        line(&mut text, row);
    }
    out.write_all(text.as_bytes()).map_err(ReportError::Write)
}

fn line(text: &mut String, cells: &[String]) {
    text.push('|');
    for cell in cells {
        text.push(' ');
        text.push_str(&escaped(cell));
        text.push_str(" |");
    }
    text.push('\n');
}

/// A text that Markdown shows as it is.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '|' | '*' | '_' | '`' | '\\' | '<' | '>' | '[' | ']' | '#' => {
                out.push('\\');
                out.push(letter);
            }
            '\n' | '\r' => out.push(' '),
            _ => out.push(letter),
        }
    }
    out
}
