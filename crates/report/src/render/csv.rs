//! CSV as RFC 4180 has it, with line feeds: exact values, ISO dates, null as an empty field.
//!
//! A result can have hundreds of thousands of rows, so the parts that repeat (KPI, period,
//! labels, units) are escaped once and copied, and numbers are printed into one buffer.

use std::io::Write;

use dealframe_model::date;
use dealframe_model::frame::{Frame, Number};

use crate::number::{write_integer, write_plain};
use crate::{Listing, ReportError};

const FLUSH: usize = 1 << 16;

pub(super) fn frame(frame: &Frame, out: &mut dyn Write) -> Result<(), ReportError> {
    let kpis: Vec<Vec<u8>> = frame.kpis.iter().map(|kpi| escaped(&kpi.id)).collect();
    let periods: Vec<Vec<u8>> = (frame.periods.iter())
        .map(|period| {
            let start = period.start.map(date::format).unwrap_or_default();
            format!(",{},{start},{}", period.grain.name(), period.label).into_bytes()
        })
        .collect();
    let labels: Vec<Vec<u8>> = frame.labels.iter().map(|label| escaped(label)).collect();
    let units: Vec<Vec<u8>> = frame.units.iter().map(|unit| escaped(unit)).collect();

    let mut buffer = Vec::with_capacity(FLUSH + 4096);
    header(frame.columns(), &mut buffer);
    for (index, row) in frame.rows.iter().enumerate() {
        copy(&mut buffer, kpis.get(row.kpi as usize));
        copy(&mut buffer, periods.get(row.period as usize));
        for code in row.segments.iter() {
            buffer.push(b',');
            copy(&mut buffer, code.and_then(|code| labels.get(code as usize)));
        }
        number(&mut buffer, row.value);
        buffer.push(b',');
        copy(&mut buffer, units.get(row.unit as usize));
        number(&mut buffer, row.numerator);
        number(&mut buffer, row.denominator);
        buffer.push(b',');
        write_integer(&mut buffer, row.rows);
        if frame.compared {
            let (change, ratio) = row.change();
            for value in [row.base, change, ratio] {
                number(&mut buffer, value);
            }
        }
        if frame.intervals.is_some() {
            let interval = frame.interval(index);
            number(&mut buffer, interval.low);
            number(&mut buffer, interval.high);
            buffer.push(b',');
            buffer.extend(interval.is_small.into_iter().flat_map(|small| small.to_string().into_bytes()));
        }
        buffer.push(b'\n');
        if buffer.len() >= FLUSH {
            out.write_all(&buffer).map_err(ReportError::Write)?;
            buffer.clear();
        }
    }
    out.write_all(&buffer).map_err(ReportError::Write)
}

pub(super) fn listing(listing: &Listing, out: &mut dyn Write) -> Result<(), ReportError> {
    let mut buffer = Vec::with_capacity(FLUSH);
    header(listing.columns.iter().map(|column| column.name.as_str()), &mut buffer);
    for row in &listing.rows {
        for (index, cell) in row.iter().enumerate() {
            if index > 0 {
                buffer.push(b',');
            }
            match cell.as_deref() {
                // An empty text is quoted, so that it stays apart from null.
                Some("") => buffer.extend_from_slice(b"\"\""),
                Some(text) => buffer.extend_from_slice(&escaped(text)),
                None => {}
            }
        }
        buffer.push(b'\n');
        if buffer.len() >= FLUSH {
            out.write_all(&buffer).map_err(ReportError::Write)?;
            buffer.clear();
        }
    }
    out.write_all(&buffer).map_err(ReportError::Write)
}

fn header<'a>(names: impl IntoIterator<Item = &'a str>, buffer: &mut Vec<u8>) {
    for (index, name) in names.into_iter().enumerate() {
        if index > 0 {
            buffer.push(b',');
        }
        buffer.extend_from_slice(&escaped(name));
    }
    buffer.push(b'\n');
}

fn copy(buffer: &mut Vec<u8>, part: Option<&Vec<u8>>) {
    if let Some(part) = part {
        buffer.extend_from_slice(part);
    }
}

fn number(buffer: &mut Vec<u8>, value: Option<Number>) {
    buffer.push(b',');
    if let Some(value) = value {
        write_plain(buffer, value);
    }
}

fn escaped(text: &str) -> Vec<u8> {
    if text.is_empty() {
        return b"\"\"".to_vec();
    }
    if !text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'))
        && !text.starts_with(' ')
        && !text.ends_with(' ')
    {
        return text.as_bytes().to_vec();
    }
    format!("\"{}\"", text.replace('"', "\"\"")).into_bytes()
}
