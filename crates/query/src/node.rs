//! Nodes: one aggregation over a fact table, for every measure that anybody wants of it.
//!
//! A node groups a fact table by time and several code columns at once. The group key is packed
//! into integers, conditions are masks or part of the key, every measure is a sum of integers.
//! Here is what a node computes and the general way to run it, for any number of groups; `pass`
//! runs nodes of few groups together. The result is a `cube`.

use std::path::PathBuf;

use dealframe_model::calendar::{Calendar, Grain, TimeUnit};
use dealframe_model::expression::Expression;
use polars::prelude::*;
use serde::{Deserialize, Serialize};

use crate::compile::{Scope, Value, day_literal};
use crate::cube::{Cube, Groups, MeasureData};
use crate::error::QueryError;
use crate::facts::{Fact, FactKind, month_column};
use crate::masks::Split;

/// A sum (with `of`) or a count of rows, under a condition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct MeasureSpec {
    pub of: Option<Expression>,
    pub filter: Option<Expression>,
    /// The texts, for messages.
    pub text: String,
}

/// Beside time and segments, what else the rows are told apart by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Apart {
    /// Nothing: sums and counts.
    No,
    /// A code column: distinct counts.
    Code(String),
    /// A number: medians and percentiles. The text of the expression.
    Number(String),
}

/// What one pass over a fact table computes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NodeSpec {
    pub table: String,
    pub date: Option<String>,
    pub unit: TimeUnit,
    pub dimensions: Vec<String>,
    pub apart: Apart,
    pub apart_expression: Option<Expression>,
    pub filter: Option<Expression>,
    pub filter_text: String,
    /// Half-open range of the date.
    pub from: Option<i32>,
    pub to: Option<i32>,
    pub measures: Vec<MeasureSpec>,
    /// About how many groups there will be.
    pub groups: f64,
}

/// How a node ran, for `--explain`.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeReport {
    pub plan: String,
    pub seconds: f64,
    /// Whether an aggregate at rest was read instead of the parts, and how.
    pub kept: Option<&'static str>,
    /// Number of the pass that the node was part of, from 1, and how many nodes that had.
    pub pass: (usize, usize),
    /// Columns that are part of the key because of conditions on them.
    pub told_apart: Vec<String>,
    /// Sums that were computed row by row, for the measures together.
    pub sums: usize,
}

/// The part that time has in a key.
pub(crate) struct TimePart {
    /// Units of time as 32-bit integers, null where the date is.
    pub unit: Expr,
    /// Smallest and number of units, in the units of `unit`.
    pub low: i64,
    pub card: i64,
    /// What a unit of 0 stands for.
    pub origin: i64,
}

/// A measure, compiled.
pub(crate) struct Terms {
    /// 64-bit integers that are summed up, with their scale; null where there is nothing to sum up.
    pub number: Option<(Expr, u32)>,
    /// Whether the number can be null.
    pub nulls: bool,
    /// Whether a sum of it could exceed 64 bits.
    pub is_wide: bool,
    /// Rows that count; never null.
    pub mask: Option<Expr>,
}

/// A packed key: per part its cardinality, least significant first.
pub(crate) struct Packing {
    cards: Vec<i64>,
}

impl Packing {
    fn unpack(&self, mut key: i64, into: &mut [i64]) {
        for (slot, card) in into.iter_mut().zip(&self.cards) {
            *slot = key % card;
            key /= card;
        }
    }
}

const TWO_TO_32: i64 = 1 << 32;

/// The lazy pipeline of a node, and how to read its result.
struct Pipeline {
    frame: LazyFrame,
    packings: Vec<Packing>,
    time_origin: i64,
    apart_scale: u32,
    split: Split,
    /// Scale of every sum, and whether it comes in two halves.
    shapes: Vec<(u32, bool)>,
}

impl NodeSpec {
    pub(crate) fn scope<'a>(&self, fact: &'a Fact, rewind_to: Option<i32>, text: &str) -> Scope<'a> {
        Scope { fact, rewind_to, text: text.to_owned() }
    }

    /// The range of dates that really cuts something off the table.
    pub(crate) fn range(&self, fact: &Fact) -> (Option<i32>, Option<i32>) {
        let bounds = self.date.as_ref().and_then(|date| fact.column(date)?.bounds);
        (
            self.from.filter(|from| bounds.is_none_or(|(low, _)| low < i64::from(*from))),
            self.to.filter(|to| bounds.is_none_or(|(_, high)| high >= i64::from(*to))),
        )
    }

    /// Which conditions become part of the key when the node runs on its own.
    fn split(&self, fact: &Fact, rewound: bool) -> Result<Split, QueryError> {
        // What every measure asks for is a filter; what tells single values apart is told apart by itself.
        if self.shared_filter().is_some() || self.apart != Apart::No {
            Ok(Split::none(&self.measures))
        } else {
            Split::new(&self.measures, fact, self.groups, rewound)
        }
    }

    /// Builds the pipeline over a fact table.
    fn pipeline(&self, fact: &Fact, rewind_to: Option<i32>, calendar: &Calendar) -> Result<Pipeline, QueryError> {
        let split = self.split(fact, rewind_to.is_some())?;
        let frame = scan(&fact.parts, &fact.table)?;
        let frame = match self.predicate(fact, rewind_to)? {
            Some(predicate) => frame.filter(predicate),
            None => frame,
        };
        let mut selected = Vec::new();
        let (key_exprs, packings, time_origin) = self.keys(fact, rewind_to, calendar, &split.columns)?;
        let mut grouped: Vec<Expr> = Vec::new();
        for (position, expr) in key_exprs.into_iter().enumerate() {
            let name = format!("key{position}");
            selected.push(expr.alias(name.as_str()));
            grouped.push(col(name.as_str()));
        }
        let mut apart_scale = 0;
        match (&self.apart, &self.apart_expression) {
            (Apart::Code(name), _) => {
                selected.push(col(name.as_str()).cast(DataType::Int64).alias("apart"));
                grouped.push(col("apart"));
            }
            (Apart::Number(text), Some(expression)) => {
                let Value::Number { expr, scale, .. } = self.scope(fact, rewind_to, text).value(expression)? else {
                    return Err(QueryError::Expression {
                        expression: text.clone(),
                        reason: "expected a number".to_owned(),
                    });
                };
                apart_scale = scale;
                selected.push(expr.alias("apart"));
                grouped.push(col("apart"));
            }
            _ => {}
        }
        let is_shared = self.shared_filter().is_some();
        let mut sums = Vec::new();
        let mut shapes = Vec::with_capacity(split.sums.len());
        for (position, measure) in split.sums.iter().enumerate() {
            let terms = self.terms(fact, rewind_to, measure, !is_shared)?;
            shapes.push(general_sum(position, terms, &mut selected, &mut sums));
        }
        // A selection of no columns would have no rows either.
        let frame = if selected.is_empty() { frame } else { frame.select(selected) };
        let frame = if grouped.is_empty() { frame.select(sums) } else { frame.group_by(grouped).agg(sums) };
        Ok(Pipeline { frame, packings, time_origin, apart_scale, split, shapes })
    }

    /// Which rows take part at all.
    pub(crate) fn predicate(&self, fact: &Fact, rewind_to: Option<i32>) -> Result<Option<Expr>, QueryError> {
        let mut all: Vec<Expr> = Vec::new();
        if let Some(date) = &self.date {
            let column =
                fact.column(date).ok_or_else(|| QueryError::engine(&fact.table, format!("no date `{date}`")))?;
            if column.nulls {
                all.push(col(date.as_str()).is_not_null());
            }
            let (from, to) = self.range(fact);
            all.extend(from.map(|from| col(date.as_str()).gt_eq(day_literal(from))));
            all.extend(to.map(|to| col(date.as_str()).lt(day_literal(to))));
        }
        all.extend(self.row_filter(fact, rewind_to)?);
        // What every measure asks for is asked once, before anything is computed.
        if let Some(shared) = self.shared_filter() {
            all.push(self.scope(fact, rewind_to, &self.measures[0].text).is_true(shared)?);
        }
        Ok(all.into_iter().reduce(Expr::and))
    }

    /// The filter of the question.
    pub(crate) fn row_filter(&self, fact: &Fact, rewind_to: Option<i32>) -> Result<Option<Expr>, QueryError> {
        self.filter.as_ref().map(|filter| self.scope(fact, rewind_to, &self.filter_text).is_true(filter)).transpose()
    }

    /// A condition that all measures have.
    pub(crate) fn shared_filter(&self) -> Option<&Expression> {
        let first = self.measures.first()?.filter.as_ref()?;
        self.measures.iter().all(|measure| measure.filter.as_ref() == Some(first)).then_some(first)
    }

    /// Units of time of the node's date; `None` for a node without any.
    pub(crate) fn time(&self, fact: &Fact, calendar: &Calendar) -> Option<TimePart> {
        let date = self.date.as_ref().filter(|_| self.unit != TimeUnit::None)?;
        let (low, high) = fact.column(date).and_then(|column| column.bounds).unwrap_or((0, 0));
        let offset = i64::from(calendar.week_offset());
        let days = || col(date.as_str()).cast(DataType::Int32);
        let month = |day: i64| i64::from(calendar.index(Grain::Month, i32::try_from(day).unwrap_or_default()));
        Some(match self.unit {
            TimeUnit::Month => {
                let low = month(low);
                TimePart { unit: col(month_column(date).as_str()), low, card: month(high) - low + 1, origin: 0 }
            }
            // Counted from a week start, so that the division works on numbers that are not negative.
            TimeUnit::Week => {
                let origin = (low + offset).div_euclid(7);
                let after = days().cast(DataType::Int64) - lit(origin * 7 - offset);
                let card = (high + offset).div_euclid(7) - origin + 1;
                TimePart { unit: after.floor_div(lit(7_i64)).cast(DataType::Int32), low: 0, card, origin }
            }
            TimeUnit::None | TimeUnit::Day => TimePart { unit: days(), low, card: high - low + 1, origin: 0 },
        })
    }

    /// A dimension, or a column told apart: its codes and how many there can be.
    pub(crate) fn code(&self, fact: &Fact, rewind_to: Option<i32>, name: &str) -> Result<(Expr, i64), QueryError> {
        let column =
            fact.column(name).ok_or_else(|| QueryError::engine(&fact.table, format!("no segment `{name}`")))?;
        let FactKind::Code { domain } = &column.kind else {
            return Err(QueryError::engine(&fact.table, format!("`{name}` is no segment")));
        };
        let expr = self.scope(fact, rewind_to, name).rewound_code(name, domain)?;
        Ok((expr, i64::from(column.distinct) + 2))
    }

    /// Packed keys of time and codes: as many words as it takes.
    fn keys(
        &self,
        fact: &Fact,
        rewind_to: Option<i32>,
        calendar: &Calendar,
        told_apart: &[String],
    ) -> Result<(Vec<Expr>, Vec<Packing>, i64), QueryError> {
        let mut parts: Vec<(Expr, i64)> = Vec::new();
        let mut origin = 0;
        if let Some(time) = self.time(fact, calendar) {
            origin = time.low + time.origin;
            parts.push((time.unit.cast(DataType::Int64) - lit(time.low), time.card));
        }
        for name in self.dimensions.iter().chain(told_apart) {
            let (codes, card) = self.code(fact, rewind_to, name)?;
            parts.push((codes.cast(DataType::Int64), card));
        }
        let (mut exprs, mut packings): (Vec<Expr>, Vec<Packing>) = (Vec::new(), Vec::new());
        let mut room: i64 = 0;
        for (expr, card) in parts {
            match (
                room.checked_mul(card).filter(|size| *size > 0 && *size < i64::MAX / 2),
                exprs.last_mut(),
                packings.last_mut(),
            ) {
                (Some(size), Some(key), Some(packing)) => {
                    *key = key.clone() + expr * lit(room);
                    packing.cards.push(card);
                    room = size;
                }
                _ => {
                    exprs.push(expr);
                    packings.push(Packing { cards: vec![card] });
                    room = card;
                }
            }
        }
        Ok((exprs, packings, origin))
    }

    /// Compiles a measure; its own filter becomes a mask if `masked`.
    pub(crate) fn terms(
        &self,
        fact: &Fact,
        rewind_to: Option<i32>,
        measure: &MeasureSpec,
        masked: bool,
    ) -> Result<Terms, QueryError> {
        let scope = self.scope(fact, rewind_to, &measure.text);
        let mask = measure.filter.as_ref().filter(|_| masked).map(|filter| scope.is_true(filter)).transpose()?;
        let mut terms = Terms { number: None, nulls: false, is_wide: false, mask: None };
        let present = match measure.of.as_ref().map(|of| scope.value(of)).transpose()? {
            None | Some(Value::Text(_)) => None,
            Some(Value::Number { expr, scale, limit, nulls }) => {
                // 64-bit sums wrap without a word.
                let bound = limit.checked_mul(i128::from(fact.scanned_rows().max(1)));
                terms.is_wide = bound.is_none_or(|bound| bound >= i128::from(i64::MAX));
                terms.number = Some((expr, scale));
                terms.nulls = nulls;
                None
            }
            Some(Value::Boolean(expr) | Value::Date(expr)) => Some(expr.is_not_null()),
            Some(Value::Code { expr, .. }) => Some(expr.neq(lit(0_u32))),
            Some(Value::Null) => Some(lit(false)),
        };
        terms.mask = match (mask, present) {
            (Some(mask), Some(present)) => Some(mask.and(present)),
            (one, other) => one.or(other),
        };
        Ok(terms)
    }

    /// Runs the node by itself.
    pub(crate) fn run(
        &self,
        fact: &Fact,
        rewind_to: Option<i32>,
        calendar: &Calendar,
        explain: bool,
    ) -> Result<(Cube, NodeReport), QueryError> {
        let started = std::time::Instant::now();
        let pipeline = self.pipeline(fact, rewind_to, calendar)?;
        let place = format!("{} by {}", self.table, self.dimensions.join(", "));
        let mut report = NodeReport {
            told_apart: pipeline.split.columns.clone(),
            sums: pipeline.split.sums.len(),
            ..NodeReport::default()
        };
        let (frame, plan) = collect(pipeline.frame.clone(), &place, explain)?;
        let cube = pipeline.groups(&frame, self)?.cube(self.unit, &self.dimensions, &pipeline.split);
        report.plan = plan;
        report.seconds = started.elapsed().as_secs_f64();
        Ok((cube, report))
    }

    /// The cube of a table without rows. Names and kinds are checked all the same.
    pub(crate) fn empty(&self, fact: &Fact, rewind_to: Option<i32>) -> Result<Cube, QueryError> {
        self.row_filter(fact, rewind_to)?;
        for measure in &self.measures {
            self.terms(fact, rewind_to, measure, true)?;
        }
        let nothing = Groups {
            codes: vec![Vec::new(); self.dimensions.len()],
            sums: vec![MeasureData { scale: 0, sums: Vec::new(), counts: Vec::new() }; self.measures.len()],
            ..Groups::default()
        };
        Ok(nothing.cube(self.unit, &self.dimensions, &Split::none(&self.measures)))
    }
}

/// Reads all parts of the fact table `place`.
pub(crate) fn scan(parts: &[PathBuf], place: &str) -> Result<LazyFrame, QueryError> {
    let paths: Vec<PlRefPath> = parts
        .iter()
        .map(|path| {
            path.to_str().map(PlRefPath::new).ok_or_else(|| QueryError::File {
                path: path.display().to_string(),
                reason: "the path is not UTF-8".to_owned(),
            })
        })
        .collect::<Result<_, _>>()?;
    let arguments = ScanArgsParquet { glob: false, cache: false, ..ScanArgsParquet::default() };
    LazyFrame::scan_parquet_files(paths.into_iter().collect(), arguments)
        .map_err(|error| QueryError::engine(&format!("scan of {place}"), error))
}

/// Runs a pipeline; with `explain` its optimised plan comes along.
pub(crate) fn collect(frame: LazyFrame, place: &str, explain: bool) -> Result<(DataFrame, String), QueryError> {
    let fail = |error| QueryError::engine(place, error);
    let plan = if explain { frame.describe_optimized_plan().map_err(fail)? } else { String::new() };
    let frame = frame.collect_with_engine(Engine::Streaming).map_err(fail)?.unwrap_single();
    Ok((frame, plan))
}

/// The columns of a sum and of its count, and how a group-by adds them up.
fn general_sum(position: usize, terms: Terms, selected: &mut Vec<Expr>, sums: &mut Vec<Expr>) -> (u32, bool) {
    let count = format!("count{position}");
    let present = terms.number.as_ref().filter(|_| terms.nulls).map(|(number, _)| number.clone().is_not_null());
    let counted = match (terms.mask.clone(), present) {
        (Some(mask), Some(present)) => Some(mask.and(present)),
        (one, other) => one.or(other),
    };
    match counted {
        None => sums.push(len().alias(count.as_str())),
        Some(counted) => {
            selected.push(counted.alias(count.as_str()));
            sums.push(col(count.as_str()).sum());
        }
    }
    let Some((number, scale)) = terms.number else { return (0, false) };
    let number = if terms.nulls { number.fill_null(lit(0_i64)) } else { number };
    let number = match terms.mask {
        Some(mask) => mask.cast(DataType::Int64) * number,
        None => number,
    };
    let columns = if terms.is_wide {
        let quotient = number.clone().floor_div(lit(TWO_TO_32));
        vec![("low", number - quotient.clone() * lit(TWO_TO_32)), ("high", quotient)]
    } else {
        vec![("sum", number)]
    };
    for (kind, number) in columns {
        let name = format!("{kind}{position}");
        selected.push(number.alias(name.as_str()));
        sums.push(col(name.as_str()).sum());
    }
    (scale, terms.is_wide)
}

/// A column of 64-bit integers; null counts as 0.
pub(crate) fn integers(frame: &DataFrame, name: &str) -> Result<Vec<i64>, QueryError> {
    let read = || -> PolarsResult<Vec<i64>> {
        let column = frame.column(name)?.cast(&DataType::Int64)?;
        let values = column.i64()?;
        Ok(values.iter().map(|value| value.unwrap_or(0)).collect())
    };
    read().map_err(|error| QueryError::engine(name, error))
}

/// Sums and counts at a position of a result; without a value the count is the sum.
pub(crate) fn measure_data(
    frame: &DataFrame,
    position: usize,
    has_value: bool,
    (scale, is_wide): (u32, bool),
) -> Result<MeasureData, QueryError> {
    let counts = integers(frame, &format!("count{position}"))?;
    let sums: Vec<i128> = match (has_value, is_wide) {
        (false, _) => counts.iter().map(|count| i128::from(*count)).collect(),
        (true, false) => integers(frame, &format!("sum{position}"))?.into_iter().map(i128::from).collect(),
        (true, true) => {
            let (low, high) =
                (integers(frame, &format!("low{position}"))?, integers(frame, &format!("high{position}"))?);
            (low.iter().zip(&high))
                .map(|(low, high)| i128::from(*high) * i128::from(TWO_TO_32) + i128::from(*low))
                .collect()
        }
    };
    Ok(MeasureData { scale, sums, counts })
}

impl Pipeline {
    fn groups(&self, frame: &DataFrame, spec: &NodeSpec) -> Result<Groups, QueryError> {
        let count = frame.height();
        let has_time = spec.date.is_some() && spec.unit != TimeUnit::None;
        let width = self.packings.iter().map(|packing| packing.cards.len()).sum();
        let mut parts: Vec<Vec<u32>> = vec![Vec::with_capacity(count); width];
        let mut start = 0;
        for (position, packing) in self.packings.iter().enumerate() {
            let mut slots = vec![0_i64; packing.cards.len()];
            for key in integers(frame, &format!("key{position}"))? {
                packing.unpack(key, &mut slots);
                for (part, value) in parts[start..].iter_mut().zip(&slots) {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "codes were 32-bit unsigned before packing, units of time count from 0"
                    )]
                    part.push(*value as u32);
                }
            }
            start += packing.cards.len();
        }
        let times = has_time.then(|| parts.remove(0));
        let sums = (self.split.sums.iter().zip(&self.shapes).enumerate())
            .map(|(position, (sum, shape))| {
                let has_value = sum.of.is_some() && frame.schema().iter_names().any(|name| is_sum(name, position));
                measure_data(frame, position, has_value, *shape)
            })
            .collect::<Result<_, _>>()?;
        Ok(Groups {
            count,
            times,
            time_origin: self.time_origin,
            codes: parts,
            apart: if spec.apart == Apart::No { Vec::new() } else { apart_values(frame)? },
            apart_scale: self.apart_scale,
            sums,
        })
    }
}

fn is_sum(name: &str, position: usize) -> bool {
    name.strip_prefix("sum").or_else(|| name.strip_prefix("low")).is_some_and(|rest| rest == position.to_string())
}

/// Values that tell rows apart; a null number becomes the smallest integer and is skipped by its count of 0.
fn apart_values(frame: &DataFrame) -> Result<Vec<i64>, QueryError> {
    let values = || -> PolarsResult<Vec<i64>> {
        Ok(frame
            .column("apart")?
            .cast(&DataType::Int64)?
            .i64()?
            .iter()
            .map(|value| value.unwrap_or(i64::MIN))
            .collect())
    };
    values().map_err(|error| QueryError::engine("values told apart", error))
}
