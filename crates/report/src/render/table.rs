//! Tables for the terminal: rounded, right-aligned numbers, nothing cut off.

use std::io::Write;

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, presets};
use dealframe_model::frame::Frame;

use super::cells::{LEGEND, NULL, cells};
use crate::{Listing, ReportError};

pub(super) fn frame(frame: &Frame, out: &mut dyn Write) -> Result<(), ReportError> {
    let cells = cells(frame);
    if cells.rows.is_empty() {
        return out.write_all(b"no rows\n").map_err(ReportError::Write);
    }
    print(cells.header, &cells.right, cells.rows, out)?;
    if cells.running {
        writeln!(out, "{LEGEND}").map_err(ReportError::Write)?;
    }
    Ok(())
}

pub(super) fn listing(listing: &Listing, out: &mut dyn Write) -> Result<(), ReportError> {
    if listing.rows.is_empty() {
        return out.write_all(b"no rows\n").map_err(ReportError::Write);
    }
    let header = listing.columns.iter().map(|column| column.name.clone()).collect();
    let right: Vec<bool> = listing.columns.iter().map(|column| column.kind.is_number()).collect();
    let rows = listing
        .rows
        .iter()
        .map(|row| row.iter().map(|cell| cell.clone().unwrap_or_else(|| NULL.to_owned())).collect::<Vec<String>>());
    print(header, &right, rows, out)
}

fn print(
    header: Vec<String>,
    right: &[bool],
    rows: impl IntoIterator<Item = Vec<String>>,
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()))
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for (column, right) in table.column_iter_mut().zip(right) {
        column.set_cell_alignment(if *right { CellAlignment::Right } else { CellAlignment::Left });
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end()).map_err(ReportError::Write)?;
    }
    Ok(())
}
