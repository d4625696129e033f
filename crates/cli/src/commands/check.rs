//! `dealframe check`: what is wrong with the data.

use std::process::ExitCode;

use dealframe_query::Engine;
use dealframe_query::request::Settings;
use dealframe_report::{ColumnKind, Listing};

use crate::arguments::CheckArguments;
use crate::{failure, output, printer};

pub(super) fn run(arguments: &CheckArguments) -> anyhow::Result<ExitCode> {
    let findings = Engine::open(&arguments.lake.lake, Settings::default())?.check()?;
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
    output::listing(&listing, &arguments.output)?;
    printer::talk(&format!("{found} findings"));
    Ok(if arguments.strict && found > 0 { ExitCode::from(failure::USER) } else { ExitCode::SUCCESS })
}
