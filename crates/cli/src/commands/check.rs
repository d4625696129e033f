//! `dealframe check`: what is wrong with the data.

use std::process::ExitCode;

use dealframe_query::Engine;
use dealframe_query::request::Settings;
use dealframe_report::{ColumnKind, Listing};

use crate::arguments::CheckArguments;
use crate::{failure, output, printer};

pub(super) fn run(arguments: &CheckArguments) -> anyhow::Result<ExitCode> {
    let engine = Engine::open(&arguments.lake.lake, Settings::default())?;
    let findings = engine.check()?;
    let mut listing = Listing::new(&[
        ("check", ColumnKind::Text),
        ("table", ColumnKind::Text),
        ("rows", ColumnKind::Integer),
        ("message", ColumnKind::Text),
        ("example", ColumnKind::Text),
    ]);
    let found = findings.iter().filter(|finding| finding.rows > 0).count();
    for finding in findings {
        listing.rows.push(vec![
            Some(finding.check.to_owned()),
            Some(finding.table.to_owned()),
            Some(finding.rows.to_string()),
            Some(finding.message),
            finding.example,
        ]);
    }
    let mut damaged = Vec::new();
    if arguments.rollups {
        for table in engine.verify_rollups()? {
            let aggregates = match table.aggregates {
                0 => String::new(),
                number => format!("; with {number} aggregates"),
            };
            let message = match (table.is_equal(), table.layered) {
                (true, 0) => format!("kept as made anew from all rows{aggregates}"),
                (true, rows) => {
                    format!("carried over with {rows} rows in layers; the same as made anew from all rows{aggregates}")
                }
                (false, _) => {
                    damaged.push(table.table.clone());
                    let (rows, anew) = (table.rows, table.rows_anew);
                    format!("DIFFERS from what is made anew: {rows} rows, {anew} anew; {}", table.differing.join(", "))
                }
            };
            let rows = table.rows.to_string();
            listing.rows.push(vec![Some("rollups".to_owned()), Some(table.table), Some(rows), Some(message), None]);
        }
    }
    output::listing(&listing, &arguments.output)?;
    printer::talk(&format!("{found} findings"));
    if !damaged.is_empty() {
        printer::talk(&format!("error: what is kept of {} is not what the lake says", damaged.join(", ")));
        printer::talk(
            "hint: remove the folder _facts of the lake, it is made anew; and please report this: it is our fault",
        );
        return Ok(ExitCode::from(failure::OURS));
    }
    Ok(if arguments.strict && found > 0 { ExitCode::from(failure::USER) } else { ExitCode::SUCCESS })
}
