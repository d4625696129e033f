//! The commands and their options, as clap reads them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use dealframe_ingest::DateOrder;
use dealframe_model::calendar::{FiscalYearName, WeekPattern, WeekStart};
use dealframe_model::date;
use dealframe_query::request::RateKind;

/// CRM exports in, a Parquet lake in between, sales KPIs out.
#[derive(Debug, Parser)]
#[command(name = "dealframe", version, propagate_version = true, arg_required_else_help = true, max_term_width = 110)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Load CRM exports (files, folders, archives) into a lake
    Ingest(IngestArguments),
    /// Answer KPIs by segments and periods
    Query(Box<QueryArguments>),
    /// Run report specifications: CSV, JSON, Markdown and HTML for each
    Report(ReportArguments),
    /// List the KPIs, or show one definition in full
    Kpis(KpisArguments),
    /// List the segments, or the values of one
    Segments(SegmentsArguments),
    /// Tables of a lake: rows, versions, dates
    Tables(LakeListing),
    /// Records that could not be loaded: where they stood and why
    Rejects(RejectsArguments),
    /// The exports that are recognised, and their columns
    Sources(SourcesArguments),
    /// Ad-hoc SQL over the canonical tables
    Sql(SqlArguments),
    /// Data quality: orphans, duplicates, impossible dates, unmapped stages, mixed currencies
    Check(CheckArguments),
    /// Write made-up CRM exports of any size, with a known truth
    Synth(SynthArguments),
    /// Make exports, load them and write a report in one go
    Demo(DemoArguments),
    /// Print a completion script for a shell
    Completions { shell: Shell },
    /// Print the manual page
    Man,
}

#[derive(Debug, Args)]
pub(crate) struct OutputArguments {
    /// table, csv, json, ndjson, markdown, html, xlsx, parquet or arrow
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// Write to a file; its name chooses the format
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct LakeArgument {
    /// The lake's folder
    #[arg(long, env = "DEALFRAME_LAKE", value_name = "DIR")]
    pub(crate) lake: PathBuf,
}

/// What all commands that ask a lake share.
#[derive(Debug, Args)]
pub(crate) struct SettingsArguments {
    /// State of the business on this day (default: the newest business date in the lake)
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub(crate) as_of: Option<i32>,
    /// Convert amounts into this currency
    #[arg(long, value_name = "CCY")]
    pub(crate) currency: Option<String>,
    /// Exchange rates: spot, average or plan
    #[arg(long, value_name = "KIND", value_parser = rate_kind)]
    pub(crate) rate_kind: Option<RateKind>,
    /// Month with which the fiscal year starts
    #[arg(long, value_name = "MONTH", value_parser = clap::value_parser!(u32).range(1..=12))]
    pub(crate) fiscal_start: Option<u32>,
    /// Calendar year that numbers the fiscal year: the one in which it ends or starts
    #[arg(long, value_name = "WHICH", value_parser = fiscal_name)]
    pub(crate) fiscal_name: Option<FiscalYearName>,
    /// Fiscal periods of whole weeks: 4-4-5, 4-5-4 or 5-4-4
    #[arg(long, value_name = "PATTERN", value_parser = week_pattern)]
    pub(crate) fiscal_weeks: Option<WeekPattern>,
    /// First day of the week: monday or sunday
    #[arg(long, value_name = "DAY", value_parser = week_start)]
    pub(crate) week_start: Option<WeekStart>,
    /// Folder with KPI definitions of your own
    #[arg(long, value_name = "DIR")]
    pub(crate) kpis: Option<PathBuf>,
    /// What the lake knew then: a state number, a date or a UTC time
    #[arg(long, value_name = "N|TIME")]
    pub(crate) lake_version: Option<String>,
    /// Memory for intermediate results, such as 2GiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) memory_limit: Option<u64>,
    /// Sum everything up anew, and neither read nor keep aggregates of large tables
    #[arg(long)]
    pub(crate) anew: bool,
}

#[derive(Debug, Args)]
pub(crate) struct IngestArguments {
    /// Files, folders or zip archives
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) lake: LakeArgument,
    /// auto, salesforce, hubspot, pipedrive, zoho, dynamics or another name of `dealframe sources`
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// A mapping file of your own
    #[arg(long, value_name = "FILE")]
    pub(crate) mapping: Option<PathBuf>,
    /// The export is complete: what is absent was deleted
    #[arg(long)]
    pub(crate) full: bool,
    /// Let a complete export lose more than 5 % of the rows
    #[arg(long, requires = "full")]
    pub(crate) allow_shrink: bool,
    /// Date of the export
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub(crate) as_of: Option<i32>,
    /// Zone of times that carry none (default UTC)
    #[arg(long, value_name = "TZ")]
    pub(crate) timezone: Option<String>,
    /// How ambiguous dates are written: dmy, mdy or ymd
    #[arg(long, value_name = "ORDER")]
    pub(crate) date_order: Option<DateOrder>,
    /// Whether the decimal sign is a comma: true or false
    #[arg(long, value_name = "BOOL")]
    pub(crate) decimal_comma: Option<bool>,
    /// Show what would be mapped and rejected, write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Threads (default: one per processor)
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArguments {
    /// KPI ids; `dealframe kpis` lists them
    // An id of its own: the settings have an option of the name of this field.
    #[arg(id = "kpi", required = true, value_name = "KPI", value_delimiter = ',')]
    pub(crate) kpis: Vec<String>,
    #[command(flatten)]
    pub(crate) lake: LakeArgument,
    /// Segments
    #[arg(long, value_name = "SEGMENT,...", value_delimiter = ',')]
    pub(crate) by: Vec<String>,
    /// day, week, month, quarter, year, fiscal-month, fiscal-quarter, fiscal-year or all
    #[arg(long, value_name = "GRAIN,...", value_delimiter = ',')]
    pub(crate) grain: Vec<String>,
    /// First day
    #[arg(long, value_name = "DATE", value_parser = day, conflicts_with = "period")]
    pub(crate) from: Option<i32>,
    /// Last day, included
    #[arg(long, value_name = "DATE", value_parser = day, conflicts_with = "period")]
    pub(crate) to: Option<i32>,
    /// 2024, 2024-Q3, FY2025-Q1, 2023..2024-06, "last 12 months", "this quarter", ytd
    #[arg(long, value_name = "PERIOD")]
    pub(crate) period: Option<String>,
    /// Only rows where this holds; may be given several times
    #[arg(long = "where", value_name = "EXPR")]
    pub(crate) filters: Vec<String>,
    /// Compare each period with the previous one, or with the same one a year ago
    #[arg(long, value_name = "BASE", value_parser = ["previous", "year-ago"])]
    pub(crate) compare: Option<String>,
    /// Keep the N largest segment combinations, the rest becomes (other)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) top: Option<u32>,
    /// Leave out periods and combinations without rows
    #[arg(long)]
    pub(crate) sparse: bool,
    /// Add the 95 % interval of rates and means, seen as a sample, and mark groups of fewer than 30 rows
    #[arg(long)]
    pub(crate) interval: bool,
    /// Beside each KPI the other readings of the same idea
    #[arg(long)]
    pub(crate) variants: bool,
    #[command(flatten)]
    pub(crate) settings: SettingsArguments,
    /// Show the plan instead of the answer
    #[arg(long, conflicts_with = "sql")]
    pub(crate) explain: bool,
    /// Print one SQL statement instead of the answer: duckdb or spark
    #[arg(long, value_name = "DIALECT")]
    pub(crate) sql: Option<String>,
    /// Draw the answer as well
    #[arg(long)]
    pub(crate) chart: bool,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    /// Report specifications
    #[arg(required = true, value_name = "SPEC.yaml")]
    pub(crate) specs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) lake: LakeArgument,
    /// Folder for the reports, one folder in it for each
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Reports at a time (default: one per processor)
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) jobs: usize,
    #[command(flatten)]
    pub(crate) settings: SettingsArguments,
}

#[derive(Debug, Args)]
pub(crate) struct KpisArguments {
    /// A KPI id: its definition in full
    #[arg(value_name = "ID", conflicts_with = "search")]
    pub(crate) id: Option<String>,
    /// Only KPIs that speak of this
    #[arg(long, value_name = "TEXT")]
    pub(crate) search: Option<String>,
    /// Print the JSON Schema of definition files, for your editor
    #[arg(long, conflicts_with_all = ["id", "search", "kpis", "format"])]
    pub(crate) schema: bool,
    /// Folder with KPI definitions of your own
    #[arg(long, value_name = "DIR")]
    pub(crate) kpis: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

#[derive(Debug, Args)]
pub(crate) struct SegmentsArguments {
    /// A segment: its values and how often they occur
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Only segments of this table
    #[arg(long, value_name = "TABLE", conflicts_with = "name")]
    pub(crate) table: Option<String>,
    #[command(flatten)]
    pub(crate) lake: LakeArgument,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

#[derive(Debug, Args)]
pub(crate) struct LakeListing {
    #[command(flatten)]
    pub(crate) lake: LakeArgument,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

#[derive(Debug, Args)]
pub(crate) struct RejectsArguments {
    #[command(flatten)]
    pub(crate) lake: LakeArgument,
    /// Only this batch: its id, the beginning of it, or its number
    #[arg(long, value_name = "ID")]
    pub(crate) batch: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

#[derive(Debug, Args)]
pub(crate) struct SourcesArguments {
    /// A source (salesforce), an export (salesforce/opportunity) or a table (targets: the header of a plain CSV)
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Print the profiles of the source as a mapping file
    #[arg(long, requires = "name")]
    pub(crate) mapping: bool,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

#[derive(Debug, Args)]
pub(crate) struct SqlArguments {
    /// The statement
    #[arg(value_name = "STATEMENT")]
    pub(crate) statement: String,
    #[command(flatten)]
    pub(crate) lake: LakeArgument,
    #[command(flatten)]
    pub(crate) settings: SettingsArguments,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    #[command(flatten)]
    pub(crate) lake: LakeArgument,
    /// Exit with 1 when anything is found
    #[arg(long)]
    pub(crate) strict: bool,
    /// Also make what is kept from night to night anew from all rows, and compare
    #[arg(long)]
    pub(crate) rollups: bool,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

#[derive(Debug, Args)]
pub(crate) struct SynthArguments {
    /// Deals; everything else scales with them
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub(crate) deals: u64,
    /// The same seed gives the same bytes
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// salesforce or hubspot
    #[arg(long, value_name = "VENDOR", default_value = "salesforce")]
    pub(crate) source: String,
    /// Folder for the files
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Newest business date
    #[arg(long, value_name = "DATE", value_parser = day, default_value = "2025-12-31")]
    pub(crate) end_date: i32,
    /// Years of business
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub(crate) years: u32,
    /// Amounts in USD, EUR and GBP, with exchange rates
    #[arg(long)]
    pub(crate) currencies: bool,
    /// Leave out the history of stages
    #[arg(long)]
    pub(crate) no_history: bool,
    /// A later night: only this share of the deals, changed, and new ones
    #[arg(long, value_name = "SHARE")]
    pub(crate) changed_share: Option<f64>,
    /// Seed of that night
    #[arg(long, value_name = "S", default_value_t = 1, requires = "changed_share")]
    pub(crate) night: u64,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Deals to make up
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub(crate) deals: u64,
    /// Folder for exports, lake and reports
    #[arg(long, value_name = "DIR", default_value = "./dealframe-demo")]
    pub(crate) out: PathBuf,
}

fn day(text: &str) -> Result<i32, String> {
    date::parse(text).ok_or_else(|| "expected a date such as 2024-12-31".to_owned())
}

fn rate_kind(text: &str) -> Result<RateKind, String> {
    let kinds = [RateKind::Spot, RateKind::Average, RateKind::Plan];
    kinds.into_iter().find(|kind| kind.name() == text).ok_or_else(|| "expected spot, average or plan".to_owned())
}

fn fiscal_name(text: &str) -> Result<FiscalYearName, String> {
    match text {
        "end" => Ok(FiscalYearName::End),
        "start" => Ok(FiscalYearName::Start),
        _ => Err("expected end or start".to_owned()),
    }
}

fn week_pattern(text: &str) -> Result<WeekPattern, String> {
    match text {
        "4-4-5" => Ok(WeekPattern::FourFourFive),
        "4-5-4" => Ok(WeekPattern::FourFiveFour),
        "5-4-4" => Ok(WeekPattern::FiveFourFour),
        _ => Err("expected 4-4-5, 4-5-4 or 5-4-4".to_owned()),
    }
}

fn week_start(text: &str) -> Result<WeekStart, String> {
    match text {
        "monday" => Ok(WeekStart::Monday),
        "sunday" => Ok(WeekStart::Sunday),
        _ => Err("expected monday or sunday".to_owned()),
    }
}

/// `2GiB`, `500MB`, `1000000`.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || "expected a size such as 2GiB, 500MB or a number of bytes".to_owned();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.trim().parse().map_err(|_| wrong())?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_declaration_is_consistent() {
        Arguments::command().debug_assert();
    }

    /// What clap checks in debug builds only, and these tests are not one.
    #[test]
    fn no_two_arguments_share_an_id() {
        for command in Arguments::command().get_subcommands() {
            let mut ids: Vec<&str> = command.get_arguments().map(|argument| argument.get_id().as_str()).collect();
            let all = ids.len();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), all, "{}", command.get_name());
        }
    }

    #[test]
    fn a_query_in_full() {
        let line = "dealframe query revenue,win_rate deals_won --lake l --by region,owner --grain month,quarter --from 2024-01-01 \
                    --to 2024-12-31 --compare year-ago --top 5 --fiscal-start 7 --memory-limit 2GiB --kpis own --format json";
        let mut words: Vec<&str> = line.split_whitespace().collect();
        words.extend(["--where", "region = 'East'", "--where", "amount > 5"]);
        let Command::Query(query) = Arguments::try_parse_from(words).unwrap().command else { panic!("no query") };
        assert_eq!(query.kpis, ["revenue", "win_rate", "deals_won"]);
        assert_eq!(query.settings.kpis.as_deref(), Some(std::path::Path::new("own")));
        assert_eq!(query.by, ["region", "owner"]);
        assert_eq!(query.grain, ["month", "quarter"]);
        assert_eq!(query.filters, ["region = 'East'", "amount > 5"]);
        assert_eq!(query.from, date::parse("2024-01-01"));
        assert_eq!(query.settings.memory_limit, Some(2 << 30));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "dealframe query --lake l",
            "dealframe query revenue --lake l --from 2024-02-30",
            "dealframe query revenue --lake l --from 2024-01-01 --period 2024",
            "dealframe query revenue --lake l --compare budget",
            "dealframe query revenue --lake l --fiscal-start 13",
            "dealframe query revenue --lake l --fiscal-weeks 4-4-4",
            "dealframe query revenue --lake l --memory-limit lots",
            "dealframe ingest --lake l",
            "dealframe ingest a --lake l --allow-shrink",
            "dealframe report a.yaml --lake l",
        ] {
            assert!(Arguments::try_parse_from(line.split_whitespace()).is_err(), "{line}");
        }
    }
}
