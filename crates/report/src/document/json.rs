//! `report.json`: the whole report for programs, rows tidy and exact.
//!
//! Written by hand rather than through a value tree, because numbers must not pass a float.

use std::io::Write;

use dealframe_model::date;

use super::{Answer, Document, Section};
use crate::ReportError;
use crate::render::json::{FrameObjects, quoted};

pub fn write(document: &Document, out: &mut dyn Write) -> Result<(), ReportError> {
    let mut buffer = Vec::new();
    let text = |value: &Option<String>| value.as_deref().map_or("null".to_owned(), quoted);
    let as_of = document.as_of.map(date::format);
    buffer.extend_from_slice(
        format!(
            "{{\n\"title\":{},\n\"description\":{},\n\"as_of\":{},\n\"lake_sequence\":{},\n\"period\":{},\n\"sections\":[",
            quoted(&document.title),
            text(&document.description),
            text(&as_of),
            document.lake_sequence,
            quoted(&document.period)
        )
        .as_bytes(),
    );
    for (index, section) in document.sections.iter().enumerate() {
        buffer.extend_from_slice(if index == 0 { b"\n" } else { b",\n" });
        self::section(section, &mut buffer);
    }
    buffer.extend_from_slice(b"\n],\n\"definitions\":[");
    for (index, definition) in document.definitions.iter().enumerate() {
        buffer.extend_from_slice(if index == 0 { b"\n" } else { b",\n" });
        buffer.extend_from_slice(
            format!(
                "{{\"id\":{},\"name\":{},\"what\":{},\"formula\":{},\"caveats\":{}}}",
                quoted(&definition.id),
                quoted(&definition.name),
                quoted(&definition.what),
                quoted(&definition.formula),
                quoted(&definition.caveats)
            )
            .as_bytes(),
        );
    }
    buffer.extend_from_slice(b"\n]\n}\n");
    out.write_all(&buffer).map_err(ReportError::Write)
}

fn section(section: &Section, buffer: &mut Vec<u8>) {
    let texts = |list: &[String]| list.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(",");
    buffer.extend_from_slice(
        format!(
            "{{\"title\":{},\"slug\":{},\"period\":{},\"where\":[{}]",
            quoted(&section.title),
            quoted(&section.slug),
            quoted(&section.period),
            texts(&section.filters)
        )
        .as_bytes(),
    );
    match &section.answer {
        Answer::Failed { error, hint } => {
            let hint = hint.as_deref().map_or("null".to_owned(), quoted);
            buffer.extend_from_slice(
                format!(",\"status\":\"failed\",\"error\":{},\"hint\":{hint},\"rows\":[]}}", quoted(error)).as_bytes(),
            );
        }
        Answer::Frame(frame) => {
            let status = if frame.rows.is_empty() { "empty" } else { "ok" };
            buffer.extend_from_slice(
                format!(
                    ",\"status\":\"{status}\",\"file\":{},\"notes\":[{}],\"rows\":[",
                    quoted(&format!("{}.csv", section.slug)),
                    texts(&frame.notes)
                )
                .as_bytes(),
            );
            let objects = FrameObjects::new(frame);
            for index in 0..frame.rows.len() {
                buffer.extend_from_slice(if index == 0 { b"\n" } else { b",\n" });
                objects.write(index, buffer);
            }
            buffer.extend_from_slice(b"]}");
        }
    }
}
