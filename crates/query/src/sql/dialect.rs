//! What differs between the engines that the statements are written for.
//!
//! Everything else in this folder is plain SQL that both understand. Quoting, constants, the
//! way to a Parquet file and a few functions are decided here and nowhere else. Nothing here
//! knows tables or KPIs.

use std::path::Path;

use dealframe_model::date;
use dealframe_model::decimal;
use dealframe_model::table::ColumnType;

use crate::error::QueryError;

/// An engine that statements are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    DuckDb,
    Spark,
}

impl Dialect {
    pub(super) fn from_name(name: &str) -> Result<Self, QueryError> {
        match name {
            "duckdb" => Ok(Self::DuckDb),
            "spark" => Ok(Self::Spark),
            _ => Err(QueryError::Unsupported {
                kpi: format!("--sql {name}"),
                reason: format!("there is no dialect `{name}`"),
                hint: "write --sql duckdb or --sql spark".to_owned(),
            }),
        }
    }

    /// An identifier that may be any text.
    pub(super) fn quoted(self, name: &str) -> String {
        match self {
            Self::DuckDb => format!("\"{}\"", name.replace('"', "\"\"")),
            Self::Spark => format!("`{}`", name.replace('`', "``")),
        }
    }

    pub(super) fn text(self, text: &str) -> String {
        let text = match self {
            Self::DuckDb => text.replace('\'', "''"),
            Self::Spark => text.replace('\\', "\\\\").replace('\'', "\\'"),
        };
        format!("'{text}'")
    }

    /// The pattern of LIKE: in Spark the backslash escapes, in the expression language it does not.
    pub(super) fn pattern(self, pattern: &str) -> String {
        match self {
            Self::DuckDb => self.text(pattern),
            Self::Spark => self.text(&pattern.replace('\\', "\\\\")),
        }
    }

    pub(super) fn date(self, day: i32) -> String {
        format!("DATE '{}'", date::format(day))
    }

    pub(super) fn number(self, value: i128, scale: u32) -> String {
        decimal::format(value, scale, 0)
    }

    /// An exact decimal with `scale` digits after the point.
    pub(super) fn exact(self, expression: &str, scale: u32) -> String {
        format!("CAST({expression} AS DECIMAL(30, {scale}))")
    }

    /// A whole number of any size that occurs.
    pub(super) fn whole(self, expression: &str) -> String {
        match self {
            Self::DuckDb => format!("CAST({expression} AS HUGEINT)"),
            Self::Spark => format!("CAST({expression} AS DECIMAL(38, 0))"),
        }
    }

    /// The quotient of two whole numbers, rounded half away from zero. The divisor is above 0.
    pub(super) fn rounded_quotient(self, top: &str, bottom: &str) -> String {
        let divided = |top: &str| {
            let (top, bottom) = (self.whole(&format!("2 * {top} + {bottom}")), self.whole(&format!("2 * {bottom}")));
            match self {
                Self::DuckDb => format!("{top} // {bottom}"),
                Self::Spark => format!("{top} DIV {bottom}"),
            }
        };
        format!("CASE WHEN {top} < 0 THEN -({}) ELSE {} END", divided(&format!("-({top})")), divided(top))
    }

    /// Days from one date to another.
    pub(super) fn days_between(self, start: &str, end: &str) -> String {
        match self {
            Self::DuckDb => format!("date_diff('day', {start}, {end})"),
            Self::Spark => format!("datediff({end}, {start})"),
        }
    }

    pub(super) fn add_days(self, date: &str, days: i32) -> String {
        match self {
            Self::DuckDb => format!("{date} + {days}"),
            Self::Spark => format!("date_add({date}, {days})"),
        }
    }

    /// Whole minutes from one instant to another, rounded down.
    pub(super) fn minutes_between(self, start: &str, end: &str) -> String {
        match self {
            Self::DuckDb => format!("(epoch_us({end}) - epoch_us({start})) // 60000000"),
            Self::Spark => format!("(unix_micros({end}) - unix_micros({start})) DIV 60000000"),
        }
    }

    /// What follows the name of a CTE that several others read.
    pub(super) fn kept(self) -> &'static str {
        match self {
            Self::DuckDb => "AS MATERIALIZED",
            Self::Spark => "AS",
        }
    }

    /// The named columns of the rows of some Parquet files for which a condition holds.
    pub(super) fn scan(self, files: &[&Path], columns: &[&str], condition: &str) -> Result<String, QueryError> {
        let mut paths = Vec::with_capacity(files.len());
        for file in files {
            paths.push(file.to_str().ok_or_else(|| QueryError::File {
                path: file.display().to_string(),
                reason: "the path is not UTF-8".to_owned(),
            })?);
        }
        let columns = columns.join(", ");
        Ok(match self {
            Self::DuckDb => {
                let list: Vec<String> = paths.iter().map(|path| self.text(path)).collect();
                format!(
                    "SELECT {columns}\n  FROM read_parquet([\n    {}\n  ])\n  WHERE {condition}",
                    list.join(",\n    ")
                )
            }
            Self::Spark => paths
                .iter()
                .map(|path| format!("SELECT {columns} FROM parquet.{} WHERE {condition}", self.quoted(path)))
                .collect::<Vec<_>>()
                .join("\n  UNION ALL\n  "),
        })
    }

    /// The name of the type of a column at rest.
    pub(super) fn column_type(kind: ColumnType) -> &'static str {
        match kind {
            ColumnType::Text | ColumnType::Category | ColumnType::Json => "STRING",
            ColumnType::Integer => "BIGINT",
            ColumnType::Money | ColumnType::Fraction => "DECIMAL(18, 4)",
            ColumnType::Rate => "DECIMAL(18, 8)",
            ColumnType::Boolean => "BOOLEAN",
            ColumnType::Date => "DATE",
            ColumnType::Timestamp => "TIMESTAMP",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn quotes_cannot_break_out() {
        assert_eq!(Dialect::DuckDb.text("O'Neil"), "'O''Neil'");
        assert_eq!(Dialect::Spark.text("O'Neil\\"), "'O\\'Neil\\\\'");
        assert_eq!(Dialect::DuckDb.quoted("a\"b"), "\"a\"\"b\"");
        assert_eq!(Dialect::Spark.quoted("a`b"), "`a``b`");
        assert!(Dialect::from_name("oracle").is_err());
    }

    #[test]
    fn a_pattern_means_what_the_expression_language_says() {
        assert_eq!(Dialect::DuckDb.pattern("a\\%"), "'a\\%'");
        assert_eq!(Dialect::Spark.pattern("a\\%"), "'a\\\\\\\\%'");
    }
}
