//! A JSON array of objects: exact numbers, never through a float; null for what is missing.

use std::io::Write;

use dealframe_model::date;
use dealframe_model::frame::{Frame, Number};

use crate::listing::ColumnKind;
use crate::number::{write_integer, write_plain};
use crate::{Listing, ReportError};

pub(super) fn frame(frame: &Frame, out: &mut dyn Write) -> Result<(), ReportError> {
    let objects = FrameObjects::new(frame);
    array(frame.rows.len(), out, |index, buffer| objects.write(index, buffer))
}

pub(super) fn listing(listing: &Listing, out: &mut dyn Write) -> Result<(), ReportError> {
    let keys = listing_keys(listing);
    array(listing.rows.len(), out, |index, buffer| listing_object(listing, &keys, index, buffer))
}

fn array(count: usize, out: &mut dyn Write, mut write: impl FnMut(usize, &mut Vec<u8>)) -> Result<(), ReportError> {
    let mut buffer = vec![b'['];
    for index in 0..count {
        buffer.extend_from_slice(if index == 0 { b"\n" } else { b",\n" });
        write(index, &mut buffer);
        if buffer.len() > 1 << 16 {
            out.write_all(&buffer).map_err(ReportError::Write)?;
            buffer.clear();
        }
    }
    buffer.extend_from_slice(if count == 0 { b"]\n" } else { b"\n]\n" });
    out.write_all(&buffer).map_err(ReportError::Write)
}

/// The rows of a frame as JSON objects, repeated texts quoted once.
pub(crate) struct FrameObjects<'a> {
    frame: &'a Frame,
    kpis: Vec<Vec<u8>>,
    periods: Vec<Vec<u8>>,
    keys: Vec<Vec<u8>>,
    labels: Vec<String>,
    units: Vec<String>,
}

impl<'a> FrameObjects<'a> {
    pub(crate) fn new(frame: &'a Frame) -> Self {
        let period = |period: &dealframe_model::frame::Period| {
            let start = period.start.map_or("null".to_owned(), |day| format!("\"{}\"", date::format(day)));
            format!(
                ",\"grain\":\"{}\",\"period_start\":{start},\"period\":{}",
                period.grain.name(),
                quoted(&period.label)
            )
            .into_bytes()
        };
        Self {
            frame,
            kpis: frame.kpis.iter().map(|kpi| format!("{{\"kpi\":{}", quoted(&kpi.id)).into_bytes()).collect(),
            periods: frame.periods.iter().map(period).collect(),
            keys: frame.segments.iter().map(|name| format!(",{}:", quoted(name)).into_bytes()).collect(),
            labels: frame.labels.iter().map(|label| quoted(label)).collect(),
            units: frame.units.iter().map(|unit| quoted(unit)).collect(),
        }
    }

    pub(crate) fn write(&self, index: usize, buffer: &mut Vec<u8>) {
        let Some(row) = self.frame.rows.get(index) else { return };
        if let (Some(kpi), Some(period)) = (self.kpis.get(row.kpi as usize), self.periods.get(row.period as usize)) {
            buffer.extend_from_slice(kpi);
            buffer.extend_from_slice(period);
        }
        for (key, code) in self.keys.iter().zip(row.segments.iter()) {
            buffer.extend_from_slice(key);
            let label = code.and_then(|code| self.labels.get(code as usize));
            buffer.extend_from_slice(label.map_or("null", String::as_str).as_bytes());
        }
        member(buffer, "value", row.value);
        buffer.extend_from_slice(b",\"unit\":");
        buffer.extend_from_slice(self.units.get(row.unit as usize).map_or("null", String::as_str).as_bytes());
        member(buffer, "numerator", row.numerator);
        member(buffer, "denominator", row.denominator);
        buffer.extend_from_slice(b",\"rows\":");
        write_integer(buffer, row.rows);
        if self.frame.compared {
            let (change, ratio) = row.change();
            member(buffer, "base_value", row.base);
            member(buffer, "change", change);
            member(buffer, "change_ratio", ratio);
        }
        if self.frame.intervals.is_some() {
            let interval = self.frame.interval(index);
            member(buffer, "low", interval.low);
            member(buffer, "high", interval.high);
            let small = interval.is_small.map_or("null".to_owned(), |small| small.to_string());
            buffer.extend_from_slice(format!(",\"small_sample\":{small}").as_bytes());
        }
        buffer.push(b'}');
    }
}

fn member(buffer: &mut Vec<u8>, key: &str, value: Option<Number>) {
    buffer.extend_from_slice(b",\"");
    buffer.extend_from_slice(key.as_bytes());
    buffer.extend_from_slice(b"\":");
    match value {
        Some(value) => write_plain(buffer, value),
        None => buffer.extend_from_slice(b"null"),
    }
}

pub(super) fn listing_keys(listing: &Listing) -> Vec<String> {
    listing.columns.iter().map(|column| quoted(&column.name)).collect()
}

pub(super) fn listing_object(listing: &Listing, keys: &[String], index: usize, buffer: &mut Vec<u8>) {
    let Some(row) = listing.rows.get(index) else { return };
    buffer.push(b'{');
    for (position, (key, cell)) in keys.iter().zip(row).enumerate() {
        if position > 0 {
            buffer.push(b',');
        }
        buffer.extend_from_slice(key.as_bytes());
        buffer.push(b':');
        let kind = listing.columns.get(position).map_or(ColumnKind::Text, |column| column.kind);
        match cell.as_deref() {
            None => buffer.extend_from_slice(b"null"),
            Some(text) if kind.is_number() && is_json_number(text) => buffer.extend_from_slice(text.as_bytes()),
            // JSON has no NaN and no infinity.
            Some(_) if kind == ColumnKind::Float => buffer.extend_from_slice(b"null"),
            Some(text @ ("true" | "false")) if kind == ColumnKind::Boolean => buffer.extend_from_slice(text.as_bytes()),
            Some(text) => buffer.extend_from_slice(quoted(text).as_bytes()),
        }
    }
    buffer.push(b'}');
}

fn is_json_number(text: &str) -> bool {
    serde_json::from_str::<serde_json::Number>(text).is_ok()
}

/// A JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
