//! `dealframe sql`: ad-hoc SQL over the canonical tables.

use std::process::ExitCode;

use dealframe_query::Engine;
use dealframe_report::{ColumnKind, Listing, ListingColumn};

use super::settings::settings;
use crate::arguments::SqlArguments;
use crate::output;

pub(super) fn run(arguments: &SqlArguments) -> anyhow::Result<ExitCode> {
    let lake = &arguments.lake.lake;
    let result = Engine::open(lake, settings(&arguments.settings, lake)?)?.sql(&arguments.statement)?;
    let kinds =
        result.types.iter().map(|name| ColumnKind::from_type_name(name)).chain(std::iter::repeat(ColumnKind::Text));
    let columns = result.columns.into_iter().zip(kinds).map(|(name, kind)| ListingColumn { name, kind }).collect();
    output::listing(&Listing { columns, rows: result.rows }, &arguments.output)?;
    Ok(ExitCode::SUCCESS)
}
