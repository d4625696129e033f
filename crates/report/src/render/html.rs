//! HTML: a page that needs nothing else, or the fragment inside it.

use std::io::Write;

use dealframe_model::frame::Frame;

use crate::chart::{Kind, escaped};
use crate::document::{Columns, html};
use crate::{Listing, ReportError};

pub(super) fn frame(frame: &Frame, out: &mut dyn Write) -> Result<(), ReportError> {
    let names: Vec<&str> = frame.kpis.iter().map(|kpi| kpi.name.as_str()).collect();
    let page = html::page(&names.join(", "), fragment(frame))?;
    out.write_all(page.as_bytes()).map_err(ReportError::Write)
}

/// Chart, table and notes of a frame, to be set into a page.
pub fn fragment(frame: &Frame) -> String {
    let kind = if frame.periods.len() > 1 { Kind::Line } else { Kind::Bar };
    html::content(frame, kind, Columns::Auto, None, "result")
}

pub(super) fn listing(listing: &Listing, out: &mut dyn Write) -> Result<(), ReportError> {
    let mut content = String::from("<div class=\"scroll\"><table><thead><tr>");
    for column in &listing.columns {
        let class = if column.kind.is_number() { "" } else { " class=\"head\"" };
        content.push_str(&format!("<th{class}>{}</th>", escaped(&column.name)));
    }
    content.push_str("</tr></thead><tbody>");
    for row in &listing.rows {
        content.push_str("<tr>");
        for (cell, column) in row.iter().zip(&listing.columns) {
            let class = if column.kind.is_number() { "" } else { " class=\"text\"" };
            content.push_str(&format!("<td{class}>{}</td>", cell.as_deref().map_or("–".to_owned(), escaped)));
        }
        content.push_str("</tr>");
    }
    content.push_str("</tbody></table></div>");
    let page = html::page("dealframe", content)?;
    out.write_all(page.as_bytes()).map_err(ReportError::Write)
}
