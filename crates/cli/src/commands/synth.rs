//! `dealframe synth`: made-up exports with a known truth.

use std::process::ExitCode;

use dealframe_report::{ColumnKind, Listing};
use dealframe_synth::{SynthOptions, SynthOutcome, Vendor, synthesise};

use crate::arguments::{OutputArguments, SynthArguments};
use crate::{output, printer};

pub(super) fn run(arguments: &SynthArguments) -> anyhow::Result<ExitCode> {
    let vendor: Vendor = arguments.source.parse()?;
    let options = SynthOptions {
        end_date: arguments.end_date,
        years: arguments.years,
        currencies: arguments.currencies,
        history: !arguments.no_history,
        changed_share: arguments.changed_share.map(|share| (share, arguments.night)),
        ..SynthOptions::new(arguments.deals, arguments.seed, vendor, &arguments.out)
    };
    let outcome = synthesise(&options, &mut printer::talk)?;
    output::listing(&listing(&outcome), &OutputArguments { format: None, out: None })?;
    Ok(ExitCode::SUCCESS)
}

fn listing(outcome: &SynthOutcome) -> Listing {
    let mut listing =
        Listing::new(&[("file", ColumnKind::Text), ("rows", ColumnKind::Integer), ("bytes", ColumnKind::Integer)]);
    for file in &outcome.files {
        let cells = [file.name.to_owned(), file.rows.to_string(), file.bytes.to_string()];
        listing.rows.push(cells.map(Some).to_vec());
    }
    listing
}
