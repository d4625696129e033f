//! What the columns of one row say together: a rate of exchange that can be one, a score on its
//! scale, a period that ends after it begins, a target that is somebody's.
//!
//! Every cell fits its column, and yet the row means nothing: a rate of 0 turns money into
//! nothing, a 7 of 5 lifts a mean above the best score, a target for a period without a day is
//! for none, and one for a team without its name is nobody's. Such a row is rejected like one
//! with a bad cell. Only tables that have such a rule pay for it. A subscription may end before it
//! starts: it was called off, and counts nowhere.

use dealframe_model::{date, decimal};

use crate::column::Builder;
use crate::profile::plan::PlannedColumn;

/// Why a row means nothing.
#[derive(Debug, PartialEq, Eq)]
pub struct Nonsense {
    pub column: &'static str,
    pub reason: &'static str,
    /// What was found, if anything was.
    pub value: Option<String>,
    pub message: String,
}

/// A value that none of its column can be beside the others of its row.
const OUT_OF_RANGE: &str = "out_of_range";

/// The rule of a table, with the positions of its columns.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    Rate { from: usize, to: usize, rate: usize },
    Score { kind: usize, score: usize, scale_max: usize },
    Target { start: usize, end: usize, scope: usize, names: Names },
}

/// Where a target says whose it is: for any scope, and by the scope. A column that the file lacks has no position.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    scope_name: Option<usize>,
    owner: Option<usize>,
    team: Option<usize>,
    region: Option<usize>,
}

/// One, with the digits that rates and scores keep.
const ONE_RATE: i128 = 100_000_000;
const ONE: i128 = 10_000;
const TWO: i128 = 2 * ONE;
/// The best score of the question whether one would recommend us.
const NPS_MAX: i128 = 10 * ONE;
/// The best score of an answer on satisfaction that names no scale.
const CSAT_MAX: i128 = 5 * ONE;

impl Rule {
    /// The rule of a table.
    pub fn of(table: &str, columns: &[PlannedColumn]) -> Option<Self> {
        let position = |name: &str| columns.iter().position(|planned| planned.column.name == name);
        match table {
            "fx_rates" => Some(Self::Rate {
                from: position("from_currency")?,
                to: position("to_currency")?,
                rate: position("rate")?,
            }),
            "surveys" => Some(Self::Score {
                kind: position("kind")?,
                score: position("score")?,
                scale_max: position("scale_max")?,
            }),
            "targets" => Some(Self::Target {
                start: position("period_start")?,
                end: position("period_end")?,
                scope: position("scope")?,
                names: Names {
                    scope_name: position("scope_name"),
                    owner: position("owner_id"),
                    team: position("team"),
                    region: position("region"),
                },
            }),
            _ => None,
        }
    }

    /// What is wrong with the row that the columns end with.
    pub fn broken(self, builders: &[Builder]) -> Option<Nonsense> {
        match self {
            Self::Rate { from, to, rate } => {
                let rate = builders[rate].last_decimal()?;
                let (from, to) = (builders[from].last_word()?, builders[to].last_word()?);
                let wrong = |expected: String| {
                    let value = decimal::format(rate, 8, 0);
                    let message = format!("rate: {value}: {expected}");
                    Some(Nonsense { column: "rate", reason: OUT_OF_RANGE, value: Some(value), message })
                };
                if rate <= 0 {
                    return wrong("expected a rate above 0".to_owned());
                }
                if from == to && rate != ONE_RATE {
                    let code = String::from_utf8_lossy(from);
                    return wrong(format!("one {code} is worth 1 {code}; expected 1"));
                }
                None
            }
            Self::Score { kind, score, scale_max } => {
                let kind = builders[kind].last_word()?;
                score_out_of_scale(kind, builders[score].last_decimal(), builders[scale_max].last_decimal())
            }
            Self::Target { start, end, scope, names } => {
                let scope = builders[scope].last_word()?;
                names
                    .missing(scope, builders)
                    .or_else(|| ends_before_it_starts(builders[start].last_date()?, builders[end].last_date()?))
            }
        }
    }
}

impl Names {
    /// Whom a target that is not the company's is for: it is in `scope_name` or in the column of the scope, or follows from the owner.
    fn missing(self, scope: &[u8], builders: &[Builder]) -> Option<Nonsense> {
        let (own, position) = match scope {
            b"owner" => ("owner_id", None),
            b"team" => ("team", self.team),
            b"region" => ("region", self.region),
            _ => return None,
        };
        let has_name = |position: Option<usize>| position.is_some_and(|position| builders[position].has_last_text());
        if [self.scope_name, self.owner, position].into_iter().any(has_name) {
            return None;
        }
        let whom = if scope == b"owner" { "an owner".to_owned() } else { format!("a {own}") };
        let message =
            format!("scope_name: a target for {whom} is for one by name; expected its name, here or in {own}");
        Some(Nonsense { column: "scope_name", reason: "missing_required", value: None, message })
    }
}

/// Both days belong to the period, so that one of a single day is one.
fn ends_before_it_starts(start: i32, end: i32) -> Option<Nonsense> {
    (end < start).then(|| {
        let value = date::format(end);
        let message = format!(
            "period_end: {value}: the period starts on {}; expected its last day, not before its first",
            date::format(start)
        );
        Nonsense { column: "period_end", reason: OUT_OF_RANGE, value: Some(value), message }
    })
}

fn score_out_of_scale(kind: &[u8], score: Option<i128>, scale_max: Option<i128>) -> Option<Nonsense> {
    let text = |value: i128| decimal::format(value, 4, 0);
    let wrong = |column: &'static str, value: i128, expected: String| {
        let value = text(value);
        let message = format!("{column}: {value}: {expected}");
        Some(Nonsense { column, reason: OUT_OF_RANGE, value: Some(value), message })
    };
    if let Some(scale) = scale_max {
        if kind == b"nps" && scale != NPS_MAX {
            return wrong(
                "scale_max",
                scale,
                "nps is asked on a scale from 0 to 10; expected 10 or nothing".to_owned(),
            );
        }
        if scale <= 0 {
            return wrong("scale_max", scale, "expected the best possible score, above 0".to_owned());
        }
        // On a scale to 1 nothing could be less than satisfied.
        if matches!(kind, b"csat" | b"ces") && scale < TWO {
            return wrong("scale_max", scale, "expected a scale of two points at least, from 1 to 2".to_owned());
        }
    }
    let score = score?;
    let (least, most) = match kind {
        b"nps" => (0, Some(NPS_MAX)),
        // A scale to 100 is one of per cent, and begins at 0.
        b"csat" => (lowest(scale_max), Some(scale_max.unwrap_or(CSAT_MAX))),
        b"ces" => (lowest(scale_max), scale_max),
        _ => (0, scale_max),
    };
    let kind = String::from_utf8_lossy(kind);
    match most {
        Some(most) if score < least || score > most => {
            let hint = if kind == "csat" && scale_max.is_none() { "; scale_max names another scale" } else { "" };
            wrong("score", score, format!("expected {} to {} for {kind}{hint}", text(least), text(most)))
        }
        None if score < least => wrong("score", score, format!("expected at least {} for {kind}", text(least))),
        _ => None,
    }
}

fn lowest(scale_max: Option<i128>) -> i128 {
    if scale_max.is_some_and(|scale| scale > NPS_MAX) { 0 } else { ONE }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn scores_and_their_scales() {
        let whole = |value: i64| Some(i128::from(value) * ONE);
        for (kind, score, scale, fits) in [
            ("nps", whole(0), None, true),
            ("nps", whole(10), whole(10), true),
            ("nps", whole(11), None, false),
            ("nps", whole(-1), whole(10), false),
            ("nps", whole(5), whole(5), false),
            ("nps", None, None, true),
            ("csat", whole(5), None, true),
            ("csat", whole(7), None, false),
            ("csat", whole(7), whole(7), true),
            ("csat", whole(0), None, false),
            ("csat", whole(0), whole(100), true),
            ("csat", None, whole(0), false),
            ("csat", whole(1), whole(1), false),
            ("ces", whole(9), None, true),
            ("ces", whole(8), whole(7), false),
            ("ces", whole(0), None, false),
            ("review", whole(0), None, true),
            ("review", whole(6), whole(5), false),
        ] {
            let found = score_out_of_scale(kind.as_bytes(), score, scale);
            assert_eq!(found.is_none(), fits, "{kind} {score:?} {scale:?}: {found:?}");
        }
        let found = score_out_of_scale(b"csat", whole(7), None).unwrap();
        assert_eq!(found.message, "score: 7: expected 1 to 5 for csat; scale_max names another scale");
    }
}
