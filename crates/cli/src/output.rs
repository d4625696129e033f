//! Where a result goes and in which format: `--format`, `--out`, terminal or pipe.

use std::io::Write;

use dealframe_model::frame::Frame;
use dealframe_report::{Format, Listing, ReportError, output, render, render_listing};

use crate::arguments::OutputArguments;
use crate::failure::refuse;
use crate::printer;

/// The format asked for, else the one the file name says, else a table for people and CSV for programs.
pub(crate) fn format(arguments: &OutputArguments, terminal: bool) -> anyhow::Result<Format> {
    match (&arguments.format, &arguments.out) {
        (Some(name), _) => Ok(Format::from_name(name)?),
        (None, Some(path)) => Ok(Format::from_path(path)?),
        (None, None) => Ok(if terminal { Format::Table } else { Format::Csv }),
    }
}

pub(crate) fn frame(frame: &Frame, arguments: &OutputArguments) -> anyhow::Result<()> {
    write(arguments, |format, out| render(frame, format, out))
}

pub(crate) fn listing(listing: &Listing, arguments: &OutputArguments) -> anyhow::Result<()> {
    write(arguments, |format, out| render_listing(listing, format, out))
}

/// Text as it is, to the file or to standard output.
pub(crate) fn text(text: &str, arguments: &OutputArguments) -> anyhow::Result<()> {
    put(arguments, |out| out.write_all(text.as_bytes()).map_err(ReportError::Write))
}

fn write(
    arguments: &OutputArguments,
    fill: impl FnOnce(Format, &mut dyn Write) -> Result<(), ReportError>,
) -> anyhow::Result<()> {
    let terminal = printer::is_terminal();
    let format = format(arguments, terminal)?;
    if format.is_binary() && terminal && arguments.out.is_none() {
        return Err(refuse(
            "this format is not text and would garble the terminal",
            "give --out FILE, or pipe the output",
        ));
    }
    put(arguments, |out| fill(format, out))
}

fn put(
    arguments: &OutputArguments,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), ReportError>,
) -> anyhow::Result<()> {
    match &arguments.out {
        Some(path) => output::write_atomically(path, fill)?,
        None => {
            let mut bytes = Vec::new();
            fill(&mut bytes)?;
            printer::data(&bytes)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn formats_by_flag_then_file_then_reader() {
        let arguments = |format: Option<&str>, out: Option<&str>| OutputArguments {
            format: format.map(str::to_owned),
            out: out.map(std::path::PathBuf::from),
        };
        assert_eq!(format(&arguments(Some("json"), Some("a.csv")), true).unwrap(), Format::Json);
        assert_eq!(format(&arguments(None, Some("a.xlsx")), true).unwrap(), Format::Xlsx);
        assert_eq!(format(&arguments(None, None), true).unwrap(), Format::Table);
        assert_eq!(format(&arguments(None, None), false).unwrap(), Format::Csv);
        assert!(format(&arguments(None, Some("a")), false).is_err());
    }
}
