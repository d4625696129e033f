//! Excel workbooks as delimited text: the first sheet that has cells.
//!
//! Typed cells keep their meaning: dates become ISO dates whatever the workbook shows,
//! numbers are written in full. Line numbers are then the row numbers of the sheet, as long
//! as no cell holds a line break.

use std::io::Cursor;

use calamine::{Data, Reader};

/// Why a workbook could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WorkbookError(String);

/// The sheets of a workbook that have cells, as CSV text, with their names.
///
/// # Errors
/// When the bytes are no workbook.
pub fn to_csv(bytes: Vec<u8>) -> Result<Vec<(String, Vec<u8>)>, WorkbookError> {
    let mut book =
        calamine::open_workbook_auto_from_rs(Cursor::new(bytes)).map_err(|error| WorkbookError(error.to_string()))?;
    let mut out = Vec::new();
    for name in book.sheet_names() {
        let range = book.worksheet_range(&name).map_err(|error| WorkbookError(error.to_string()))?;
        if range.is_empty() {
            continue;
        }
        let mut text = Vec::new();
        // The range begins at the first used row: keep the row numbers.
        let above = range.start().map_or(0, |(row, _)| row) as usize;
        text.resize(above, b'\n');
        for row in range.rows() {
            for (index, cell) in row.iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                write_cell(cell, &mut text);
            }
            text.push(b'\n');
        }
        out.push((name, text));
    }
    Ok(out)
}

fn write_cell(cell: &Data, out: &mut Vec<u8>) {
    let text = match cell {
        Data::Empty => return,
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Int(number) => number.to_string(),
        Data::Float(number) => number.to_string(),
        Data::Bool(value) => value.to_string(),
        Data::Error(error) => error.to_string(),
        Data::DateTime(moment) if moment.is_duration() => moment.as_f64().to_string(),
        Data::DateTime(moment) => {
            let (year, month, day, hour, minute, second, milli) = moment.to_ymd_hms_milli();
            if (hour, minute, second, milli) == (0, 0, 0, 0) {
                format!("{year:04}-{month:02}-{day:02}")
            } else {
                format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{milli:03}")
            }
        }
    };
    if text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        out.push(b'"');
        out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}
