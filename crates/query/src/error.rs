//! What can go wrong with a question, where, and what to do about it.
//!
//! Every variant names the fact and the place; [`QueryError::hint`] says what to try next.
//! Faults of the user or the data and faults of ours are told apart, because the exit code
//! of the command line depends on it.

use std::path::PathBuf;

use dealframe_model::segment;
pub(crate) use dealframe_model::spelling::{nearest, slip_of};

/// An error of the query crate.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("unknown KPI `{name}`")]
    UnknownKpi { name: String, nearest: Vec<String> },
    #[error("unknown segment `{name}` for table `{table}`")]
    UnknownSegment { name: String, table: String, nearest: Vec<String>, available: Vec<String> },
    #[error("`{table}` has no column or segment `{name}`, which stands in `{expression}`")]
    UnknownColumn { name: String, table: String, expression: String, nearest: Vec<String> },
    #[error("cannot read the expression `{expression}`: {reason}")]
    Expression { expression: String, reason: String },
    #[error("{file}: {reason}")]
    Definition { file: String, reason: String, hint: Option<String> },
    #[error("{}: {reason}", path.display())]
    Kpis { path: PathBuf, reason: String },
    #[error("cannot answer `{kpi}`: {reason}")]
    Unsupported { kpi: String, reason: String, hint: String },
    #[error("`{kpi}` would add up amounts in {currencies}")]
    MixedCurrencies { kpi: String, currencies: String },
    #[error("{rows} {} no currency in which `{column}` of {table} could be read", if *rows == 1 { "row names" } else { "rows name" })]
    NoCurrency { column: String, table: String, rows: i64 },
    #[error("no exchange rate from {from} to {to} on or before {date}")]
    MissingRate { from: String, to: String, date: String },
    #[error("too many combinations: {combinations} segment values × {periods} periods")]
    TooManyRows { combinations: u64, periods: u64 },
    #[error("the segments {segments} have too many values together to be counted in one pass")]
    TooManyKeys { segments: String },
    #[error("amounts in `{column}` are too large to be added up exactly")]
    TooLarge { column: String },
    #[error("the SQL statement failed: {reason}")]
    Sql { reason: String },
    #[error("{reason}")]
    Period { reason: String, hint: String },
    #[error(transparent)]
    Lake(#[from] dealframe_lake::LakeError),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path}: {reason}")]
    File { path: String, reason: String },
    #[error("the query engine failed on {place}: {reason}")]
    Engine { place: String, reason: String },
    #[error("needs {needed} MiB, more than the memory limit of {limit} MiB ({place})")]
    Memory { needed: u64, limit: u64, place: String },
}

impl QueryError {
    pub(crate) fn engine(place: &str, error: impl std::fmt::Display) -> Self {
        Self::Engine { place: place.to_owned(), reason: error.to_string() }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKpi { nearest, .. } if nearest.is_empty() => {
                Some("`dealframe kpis` lists every KPI, `dealframe kpis --search WORD` finds one".to_owned())
            }
            Self::UnknownKpi { nearest, .. } => Some(format!("did you mean {}?", nearest.join(" or "))),
            Self::UnknownSegment { nearest, available, .. } => Some(if nearest.is_empty() {
                format!("this table has: {}", available.join(", "))
            } else {
                format!("did you mean {}? This table has: {}", nearest.join(" or "), available.join(", "))
            }),
            Self::UnknownColumn { table, name, .. } if table == "targets" && segment::segment(name).is_some() => Some(
                "targets are set for regions, teams and owners: filter by one of those, or ask for the KPI without its target"
                    .to_owned(),
            ),
            Self::UnknownColumn { nearest, .. } if nearest.is_empty() => {
                Some("`dealframe segments` lists the segments; texts such as names are searched with `dealframe sql`".to_owned())
            }
            Self::UnknownColumn { nearest, .. } => Some(format!("did you mean {}?", nearest.join(" or "))),
            Self::Expression { .. } => {
                Some("write a comparison such as region = 'East' or amount >= 1000 and not stage in ('Won', 'Lost')".to_owned())
            }
            Self::Definition { hint: Some(hint), .. } => Some(hint.clone()),
            Self::Definition { .. } => Some(
                "`dealframe kpis revenue --format yaml` shows a complete definition, `dealframe kpis --schema` all fields for your editor"
                    .to_owned(),
            ),
            Self::Kpis { .. } => Some(
                "--kpis takes a folder of definitions, one KPI in each file `<id>.yaml`, in UTF-8; `dealframe kpis revenue \
                 --format yaml` shows one"
                    .to_owned(),
            ),
            Self::Unsupported { hint, .. } | Self::Period { hint, .. } => Some(hint.clone()),
            Self::MixedCurrencies { .. } => Some(
                "convert with --currency EUR (needs rows in fx_rates), or choose one with --where \"currency = 'EUR'\", or, unless the \
                 KPI is held against targets, split with --by currency"
                    .to_owned(),
            ),
            Self::NoCurrency { table, .. } => Some(format!(
                "give the rows of {table} a currency (a column `currency`, or `currency: {{constant: EUR}}` in a mapping for \
                 `dealframe ingest --mapping`), or leave them out with --where \"currency is not null\""
            )),
            Self::MissingRate { .. } => {
                Some("ingest a file with from_currency, to_currency, rate_date, rate; `dealframe sources fx_rates` prints the template".to_owned())
            }
            Self::TooManyRows { .. } => Some("use --sparse to leave out empty periods, --top N, fewer segments or a coarser grain".to_owned()),
            Self::TooManyKeys { .. } => Some("ask for fewer segments at once, or narrow them with --where".to_owned()),
            Self::Memory { .. } => Some("raise --memory-limit, or ask for fewer segments".to_owned()),
            Self::Sql { .. } => Some("`dealframe tables` lists the tables; their columns are in datasets/README.md".to_owned()),
            Self::Lake(error) => error.hint(),
            Self::File { .. } | Self::Io { .. } => Some(
                "a file cannot be read or written: check the disk and its permissions; where a file of the lake is missing or \
                 damaged, restore the lake from a backup or ingest the exports again into a new folder"
                    .to_owned(),
            ),
            Self::TooLarge { .. } | Self::Engine { .. } => None,
        }
    }

    /// Whether the user or the data must change something; otherwise the fault is ours.
    pub fn is_user_fault(&self) -> bool {
        match self {
            Self::Lake(error) => error.is_user_fault(),
            Self::Engine { .. } => false,
            _ => true,
        }
    }
}
