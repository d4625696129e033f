//! `dealframe sources`: the exports that are recognised; one in full; templates of plain CSVs.

use std::process::ExitCode;

use dealframe_ingest::Source;
use dealframe_report::{ColumnKind, Listing};

use crate::arguments::SourcesArguments;
use crate::failure::refuse;
use crate::{output, printer};

pub(super) fn run(arguments: &SourcesArguments) -> anyhow::Result<ExitCode> {
    let sources = dealframe_ingest::sources()?;
    let Some(name) = &arguments.name else {
        output::listing(&overview(&sources), &arguments.output)?;
        return Ok(ExitCode::SUCCESS);
    };
    let wanted = name.to_lowercase();
    let found: Vec<&Source> =
        (sources.iter()).filter(|source| source.source == wanted || full_name(source) == wanted).collect();
    if found.is_empty() {
        let template = dealframe_ingest::template(&wanted);
        if template.is_empty() {
            let mut known: Vec<&str> = sources.iter().map(|source| source.source.as_str()).collect();
            known.dedup();
            return Err(refuse(format!("no source called `{name}`"), format!("sources: {}", known.join(", "))));
        }
        for line in dealframe_ingest::requirements(&wanted) {
            printer::talk(&line);
        }
        output::text(&format!("{}\n", template.trim_end()), &arguments.output)?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.mapping {
        let texts: Vec<&str> =
            found.iter().map(|source| source.mapping.trim_end()).filter(|text| !text.is_empty()).collect();
        output::text(&format!("{}\n", texts.join("\n---\n")), &arguments.output)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::listing(&columns(&found), &arguments.output)?;
    Ok(ExitCode::SUCCESS)
}

fn full_name(source: &Source) -> String {
    format!("{}/{}", source.source, source.entity).to_lowercase()
}

fn overview(sources: &[Source]) -> Listing {
    let names = ["source", "entity", "table", "recognised_by", "about"];
    let mut listing = Listing::new(&names.map(|name| (name, ColumnKind::Text)));
    for source in sources {
        let fingerprints: Vec<String> = source.fingerprints.iter().map(|headers| headers.join(" + ")).collect();
        listing.rows.push(vec![
            Some(source.source.clone()),
            Some(source.entity.clone()),
            source.table.map(str::to_owned),
            Some(fingerprints.join(" or ")),
            Some(source.about.clone()),
        ]);
    }
    listing
}

fn columns(sources: &[&Source]) -> Listing {
    let names = ["source", "entity", "table", "column", "headers", "made_from"];
    let mut listing = Listing::new(&names.map(|name| (name, ColumnKind::Text)));
    for source in sources {
        for column in &source.columns {
            listing.rows.push(vec![
                Some(source.source.clone()),
                Some(source.entity.clone()),
                source.table.map(str::to_owned),
                Some(column.column.to_owned()),
                Some(column.headers.join(", ")),
                column.made_from.clone(),
            ]);
        }
    }
    listing
}
