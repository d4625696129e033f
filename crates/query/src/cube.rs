//! Nodes and cubes: one pass over a fact table, and what comes of it.
//!
//! A node groups a fact table by time and several code columns at once and sums up every
//! measure that anybody wants of it. The group key is packed into one integer, conditions are
//! masks, every measure is a sum of integers. The result, a cube, is small; coarser grains and
//! fewer segments are rolled up from it in memory (`roll_up`), never by a second pass.

use std::sync::Arc;

use dealframe_model::calendar::{Calendar, Grain, TimeUnit};
use dealframe_model::expression::Expression;
use hashbrown::HashMap;
use polars::prelude::*;

use crate::compile::{Scope, Value, day_literal};
use crate::error::QueryError;
use crate::facts::{Fact, FactKind, month_column};

/// A sum (with `of`) or a count of rows, under a condition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct MeasureSpec {
    pub of: Option<Expression>,
    pub filter: Option<Expression>,
    /// The texts, for messages.
    pub text: String,
}

/// Beside time and segments, what else the rows are told apart by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Apart {
    /// Nothing: sums and counts.
    No,
    /// A code column: distinct counts.
    Code(String),
    /// A number: medians and percentiles. The text of the expression.
    Number(String),
}

/// What one pass over a fact table computes.
#[derive(Debug, Clone)]
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
}

/// The sums of one measure, group by group.
#[derive(Debug, Clone)]
pub(crate) struct MeasureData {
    pub scale: u32,
    pub sums: Vec<i128>,
    /// Rows under the condition whose value is not null.
    pub counts: Vec<i64>,
}

/// The result of a node.
#[derive(Debug, Clone)]
pub(crate) struct Cube {
    pub unit: TimeUnit,
    pub dimensions: Vec<String>,
    /// Index of the time unit per group; empty without time.
    pub times: Vec<i32>,
    /// Code per dimension and group.
    pub codes: Vec<Vec<u32>>,
    /// The value that tells rows apart, per group.
    pub apart: Vec<i64>,
    pub apart_scale: u32,
    pub groups: usize,
    pub measures: Vec<MeasureData>,
}

/// How a node ran, for `--explain`.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeReport {
    pub plan: String,
    pub seconds: f64,
}

/// A packed key: per part its cardinality, least significant first.
struct Packing {
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
pub(crate) struct Pipeline {
    frame: LazyFrame,
    packings: Vec<Packing>,
    time_low: i64,
    apart_scale: u32,
    /// Scale of every measure, and whether its sum comes in two halves.
    shapes: Vec<(u32, bool)>,
}

impl NodeSpec {
    fn scope<'a>(&self, fact: &'a Fact, rewind_to: Option<i32>, text: &str) -> Scope<'a> {
        Scope { fact, rewind_to, text: text.to_owned() }
    }

    /// Builds the pipeline over a fact table.
    pub(crate) fn pipeline(
        &self,
        fact: &Fact,
        rewind_to: Option<i32>,
        calendar: &Calendar,
    ) -> Result<Pipeline, QueryError> {
        let frame = self.scan(fact)?;
        let frame = match self.predicate(fact, rewind_to)? {
            Some(predicate) => frame.filter(predicate),
            None => frame,
        };
        let mut selected = Vec::new();
        let (key_exprs, packings, time_low) = self.keys(fact, rewind_to, calendar)?;
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
        let mut sums = Vec::new();
        let mut shapes = Vec::with_capacity(self.measures.len());
        for (position, measure) in self.measures.iter().enumerate() {
            let shape = self.measure(fact, rewind_to, position, measure, &mut selected, &mut sums)?;
            shapes.push(shape);
        }
        // A selection of no columns would have no rows either.
        let frame = if selected.is_empty() { frame } else { frame.select(selected) };
        let frame = if grouped.is_empty() { frame.select(sums) } else { frame.group_by(grouped).agg(sums) };
        Ok(Pipeline { frame, packings, time_low, apart_scale, shapes })
    }

    fn scan(&self, fact: &Fact) -> Result<LazyFrame, QueryError> {
        let paths: Vec<PlRefPath> = fact
            .parts
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
            .map_err(|error| QueryError::engine(&format!("scan of {}", fact.table), error))
    }

    fn predicate(&self, fact: &Fact, rewind_to: Option<i32>) -> Result<Option<Expr>, QueryError> {
        let mut all: Vec<Expr> = Vec::new();
        if let Some(date) = &self.date {
            let column =
                fact.column(date).ok_or_else(|| QueryError::engine(&fact.table, format!("no date `{date}`")))?;
            let bounds = column.bounds;
            if column.nulls {
                all.push(col(date.as_str()).is_not_null());
            }
            if let Some(from) = self.from.filter(|from| bounds.is_none_or(|(low, _)| low < i64::from(*from))) {
                all.push(col(date.as_str()).gt_eq(day_literal(from)));
            }
            if let Some(to) = self.to.filter(|to| bounds.is_none_or(|(_, high)| high >= i64::from(*to))) {
                all.push(col(date.as_str()).lt(day_literal(to)));
            }
        }
        if let Some(filter) = &self.filter {
            all.push(self.scope(fact, rewind_to, &self.filter_text).is_true(filter)?);
        }
        // What every measure asks for is asked once, before anything is computed.
        if let Some(shared) = self.shared_filter() {
            all.push(self.scope(fact, rewind_to, &self.measures[0].text).is_true(shared)?);
        }
        Ok(all.into_iter().reduce(Expr::and))
    }

    fn shared_filter(&self) -> Option<&Expression> {
        let first = self.measures.first()?.filter.as_ref()?;
        self.measures.iter().all(|measure| measure.filter.as_ref() == Some(first)).then_some(first)
    }

    /// Packed keys of time and dimensions: as many words as it takes.
    fn keys(
        &self,
        fact: &Fact,
        rewind_to: Option<i32>,
        calendar: &Calendar,
    ) -> Result<(Vec<Expr>, Vec<Packing>, i64), QueryError> {
        let mut parts: Vec<(Expr, i64)> = Vec::new();
        let mut time_low = 0;
        if let (Some(date), true) = (&self.date, self.unit != TimeUnit::None) {
            let (low, high) = fact.column(date).and_then(|column| column.bounds).unwrap_or((0, 0));
            let unit_of = |day: i64| -> i64 {
                match self.unit {
                    TimeUnit::Month => i64::from(calendar.index(Grain::Month, i32::try_from(day).unwrap_or_default())),
                    TimeUnit::Week => (day + i64::from(calendar.week_offset())).div_euclid(7),
                    TimeUnit::None | TimeUnit::Day => day,
                }
            };
            time_low = unit_of(low);
            let card = unit_of(high) - time_low + 1;
            let days = || col(date.as_str()).cast(DataType::Int32).cast(DataType::Int64);
            let expr = match self.unit {
                TimeUnit::Month => col(month_column(date).as_str()).cast(DataType::Int64) - lit(time_low),
                // Counted from a week start, so that the division works on numbers that are not negative.
                TimeUnit::Week => {
                    (days() - lit(time_low * 7 - i64::from(calendar.week_offset()))).floor_div(lit(7_i64))
                }
                TimeUnit::None | TimeUnit::Day => days() - lit(time_low),
            };
            parts.push((expr, card));
        }
        for name in &self.dimensions {
            let column =
                fact.column(name).ok_or_else(|| QueryError::engine(&fact.table, format!("no segment `{name}`")))?;
            let FactKind::Code { domain } = &column.kind else {
                return Err(QueryError::engine(&fact.table, format!("`{name}` is no segment")));
            };
            let expr = self.scope(fact, rewind_to, name).rewound_code(name, domain)?;
            parts.push((expr.cast(DataType::Int64), i64::from(column.distinct) + 2));
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
        Ok((exprs, packings, time_low))
    }

    fn measure(
        &self,
        fact: &Fact,
        rewind_to: Option<i32>,
        position: usize,
        measure: &MeasureSpec,
        selected: &mut Vec<Expr>,
        sums: &mut Vec<Expr>,
    ) -> Result<(u32, bool), QueryError> {
        let scope = self.scope(fact, rewind_to, &measure.text);
        let mask = match &measure.filter {
            Some(filter) if self.shared_filter().is_none() => Some(scope.is_true(filter)?),
            _ => None,
        };
        let count = format!("count{position}");
        let sum = format!("sum{position}");
        let value = measure.of.as_ref().map(|of| scope.value(of)).transpose()?;
        let (number, scale, limit, present) = match value {
            None => (None, 0, 0, None),
            Some(Value::Number { expr, scale, limit, nulls }) => {
                let present = nulls.then(|| expr.clone().is_not_null());
                let expr = if nulls { expr.fill_null(lit(0_i64)) } else { expr };
                (Some(expr), scale, limit, present)
            }
            Some(Value::Boolean(expr)) => (None, 0, 0, Some(expr.is_not_null())),
            Some(Value::Date(expr)) => (None, 0, 0, Some(expr.is_not_null())),
            Some(Value::Code { expr, .. }) => (None, 0, 0, Some(expr.neq(lit(0_u32)))),
            Some(Value::Text(_)) => (None, 0, 0, None),
            Some(Value::Null) => (None, 0, 0, Some(lit(false))),
        };
        let counted = match (mask.clone(), present) {
            (Some(mask), Some(present)) => mask.and(present),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => lit(true),
        };
        let always = mask.is_none() && matches!(&counted, Expr::Literal(_));
        if always {
            sums.push(len().alias(count.as_str()));
        } else {
            selected.push(counted.alias(count.as_str()));
            sums.push(col(count.as_str()).sum());
        }
        let Some(number) = number else { return Ok((0, false)) };
        let number = match mask {
            Some(mask) => mask.cast(DataType::Int64) * number,
            None => number,
        };
        // 64-bit sums wrap without a word, so where they could, the two halves are summed apart.
        let halves = limit.checked_mul(i128::from(fact.rows.max(1))).is_none_or(|bound| bound >= i128::from(i64::MAX));
        if halves {
            let (low, high) = (format!("low{position}"), format!("high{position}"));
            let quotient = number.clone().floor_div(lit(TWO_TO_32));
            selected.push((number - quotient.clone() * lit(TWO_TO_32)).alias(low.as_str()));
            selected.push(quotient.alias(high.as_str()));
            sums.push(col(low.as_str()).sum());
            sums.push(col(high.as_str()).sum());
        } else {
            selected.push(number.alias(sum.as_str()));
            sums.push(col(sum.as_str()).sum());
        }
        Ok((scale, halves))
    }

    /// An empty cube of the node's shape, for a table without rows.
    fn empty(&self) -> Cube {
        Cube {
            unit: self.unit,
            dimensions: self.dimensions.clone(),
            times: Vec::new(),
            codes: vec![Vec::new(); self.dimensions.len()],
            apart: Vec::new(),
            apart_scale: 0,
            groups: 0,
            measures: self
                .measures
                .iter()
                .map(|_| MeasureData { scale: 0, sums: Vec::new(), counts: Vec::new() })
                .collect(),
        }
    }

    /// Runs the node.
    pub(crate) fn run(
        &self,
        fact: &Fact,
        rewind_to: Option<i32>,
        calendar: &Calendar,
        explain: bool,
    ) -> Result<(Cube, NodeReport), QueryError> {
        if fact.parts.is_empty() {
            // Names and kinds are checked all the same.
            self.check(fact, rewind_to)?;
            return Ok((self.empty(), NodeReport::default()));
        }
        let started = std::time::Instant::now();
        let pipeline = self.pipeline(fact, rewind_to, calendar)?;
        let place = format!("{} by {}", self.table, self.dimensions.join(", "));
        let mut report = NodeReport::default();
        if explain {
            report.plan =
                pipeline.frame.describe_optimized_plan().map_err(|error| QueryError::engine(&place, error))?;
        }
        let frame = pipeline
            .frame
            .clone()
            .collect_with_engine(Engine::Streaming)
            .map_err(|error| QueryError::engine(&place, error))?
            .unwrap_single();
        let cube = pipeline.read(&frame, self).map_err(|error| QueryError::engine(&place, error))?;
        report.seconds = started.elapsed().as_secs_f64();
        Ok((cube, report))
    }

    fn check(&self, fact: &Fact, rewind_to: Option<i32>) -> Result<(), QueryError> {
        if let Some(filter) = &self.filter {
            let _ = self.scope(fact, rewind_to, &self.filter_text).is_true(filter)?;
        }
        for measure in &self.measures {
            let scope = self.scope(fact, rewind_to, &measure.text);
            if let Some(filter) = &measure.filter {
                let _ = scope.is_true(filter)?;
            }
            if let Some(of) = &measure.of {
                scope.value(of)?;
            }
        }
        Ok(())
    }
}

impl Pipeline {
    fn read(&self, frame: &DataFrame, spec: &NodeSpec) -> PolarsResult<Cube> {
        let groups = frame.height();
        let integers = |name: &str| -> PolarsResult<Vec<i64>> {
            let column = frame.column(name)?.cast(&DataType::Int64)?;
            let values = column.i64()?;
            Ok(values.iter().map(|value| value.unwrap_or(0)).collect())
        };
        let has_time = spec.date.is_some() && spec.unit != TimeUnit::None;
        let width = spec.dimensions.len() + usize::from(has_time);
        let mut parts: Vec<Vec<i64>> = vec![Vec::with_capacity(groups); width];
        let mut start = 0;
        for (position, packing) in self.packings.iter().enumerate() {
            let mut slots = vec![0_i64; packing.cards.len()];
            for key in integers(&format!("key{position}"))? {
                packing.unpack(key, &mut slots);
                for (offset, value) in slots.iter().enumerate() {
                    parts[start + offset].push(*value);
                }
            }
            start += packing.cards.len();
        }
        let mut parts = parts.into_iter();
        #[expect(clippy::cast_possible_truncation, reason = "dates and their units fit 32 bits")]
        let times = if has_time {
            parts.next().unwrap_or_default().into_iter().map(|time| (time + self.time_low) as i32).collect()
        } else {
            Vec::new()
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "codes were 32-bit unsigned before packing"
        )]
        let codes = parts.map(|codes| codes.into_iter().map(|code| code as u32).collect()).collect();
        let apart = if spec.apart == Apart::No { Vec::new() } else { self.apart_values(frame)? };
        let mut measures = Vec::with_capacity(spec.measures.len());
        for (position, measure) in spec.measures.iter().enumerate() {
            let (scale, halves) = self.shapes[position];
            let counts = integers(&format!("count{position}"))?;
            let is_number = measure.of.is_some() && frame.column(&format!("sum{position}")).is_ok();
            let sums = if halves {
                let (low, high) = (integers(&format!("low{position}"))?, integers(&format!("high{position}"))?);
                low.iter()
                    .zip(&high)
                    .map(|(low, high)| i128::from(*high) * i128::from(TWO_TO_32) + i128::from(*low))
                    .collect()
            } else if is_number {
                integers(&format!("sum{position}"))?.into_iter().map(i128::from).collect()
            } else {
                counts.iter().map(|count| i128::from(*count)).collect()
            };
            measures.push(MeasureData { scale, sums, counts });
        }
        Ok(Cube {
            unit: spec.unit,
            dimensions: spec.dimensions.clone(),
            times,
            codes,
            apart,
            apart_scale: self.apart_scale,
            groups,
            measures,
        })
    }

    /// Values that tell rows apart; a null number becomes the smallest integer and is skipped by its count of 0.
    fn apart_values(&self, frame: &DataFrame) -> PolarsResult<Vec<i64>> {
        // Constants alone are narrower.
        let column = frame.column("apart")?.cast(&DataType::Int64)?;
        Ok(column.i64()?.iter().map(|value| value.unwrap_or(i64::MIN)).collect())
    }
}

/// Where the groups of a cube go when it is rolled up to one grain and some of its dimensions.
///
/// All measures of a cube go the same ways, so this is found once and used by each of them.
#[derive(Debug)]
pub(crate) struct Ways {
    /// Cell per group.
    cell_of: Vec<u32>,
    /// Period index per cell.
    pub periods: Vec<i32>,
    /// Codes per kept dimension and cell.
    pub codes: Vec<Vec<u32>>,
    /// The value that tells cells apart, if the cube has one.
    pub apart: Vec<i64>,
}

/// One measure of a cube, rolled up.
#[derive(Debug)]
pub(crate) struct Rolled {
    pub ways: Arc<Ways>,
    pub sums: Vec<i128>,
    /// Rows per cell; a cell without rows says nothing.
    pub counts: Vec<i64>,
    pub scale: u32,
}

impl Cube {
    /// The ways to a coarser grain and fewer dimensions.
    pub(crate) fn ways(&self, grain: Grain, keep: &[String], calendar: &Calendar) -> Result<Ways, QueryError> {
        let positions: Vec<usize> = keep
            .iter()
            .map(|name| {
                self.dimensions
                    .iter()
                    .position(|dimension| dimension == name)
                    .ok_or_else(|| QueryError::engine("roll-up", format!("no dimension `{name}`")))
            })
            .collect::<Result<_, _>>()?;
        let (low, high) =
            self.times.iter().fold((i32::MAX, i32::MIN), |(low, high), time| (low.min(*time), high.max(*time)));
        let period_of: Vec<i32> = if self.times.is_empty() {
            Vec::new()
        } else {
            (low..=high).map(|unit| calendar.index(grain, calendar.unit_start(self.unit, unit))).collect()
        };
        let mut index: HashMap<CellKey, u32> = HashMap::new();
        let mut ways = Ways {
            cell_of: Vec::with_capacity(self.groups),
            periods: Vec::new(),
            codes: vec![Vec::new(); keep.len()],
            apart: Vec::new(),
        };
        for group in 0..self.groups {
            let period = self.times.get(group).map_or(0, |time| period_of[(time - low) as usize]);
            let mut key =
                CellKey { period, apart: self.apart.get(group).copied().unwrap_or(0), codes: [0; MAX_SEGMENTS] };
            for (slot, position) in key.codes.iter_mut().zip(&positions) {
                *slot = self.codes[*position][group];
            }
            let next = u32::try_from(ways.periods.len()).map_err(|error| QueryError::engine("roll-up", error))?;
            let cell = *index.entry(key).or_insert_with(|| {
                ways.periods.push(period);
                for (target, code) in ways.codes.iter_mut().zip(key.codes) {
                    target.push(code);
                }
                if !self.apart.is_empty() {
                    ways.apart.push(key.apart);
                }
                next
            });
            ways.cell_of.push(cell);
        }
        Ok(ways)
    }

    /// Sums of one measure along known ways.
    pub(crate) fn roll_up(&self, measure: usize, ways: Arc<Ways>) -> Rolled {
        let data = &self.measures[measure];
        let mut rolled = Rolled {
            sums: vec![0; ways.periods.len()],
            counts: vec![0; ways.periods.len()],
            scale: data.scale,
            ways: Arc::clone(&ways),
        };
        for ((cell, sum), count) in ways.cell_of.iter().zip(&data.sums).zip(&data.counts) {
            rolled.sums[*cell as usize] += sum;
            rolled.counts[*cell as usize] += count;
        }
        rolled
    }
}

/// Segments that one question can name.
pub(crate) const MAX_SEGMENTS: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct CellKey {
    period: i32,
    apart: i64,
    codes: [u32; MAX_SEGMENTS],
}
