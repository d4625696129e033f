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
use crate::masks::{Share, Split};

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
    /// About how many groups there will be.
    pub groups: f64,
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
    /// Columns that are part of the key because of conditions on them.
    pub told_apart: Vec<String>,
    /// Sums that were computed row by row, for the measures together.
    pub sums: usize,
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
    split: Split,
    /// Scale of every sum, and whether it comes in two halves.
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
        let shared = self.shared_filter();
        // What every measure asks for is a filter; what tells single values apart is told apart by itself.
        let split = if shared.is_some() || self.apart != Apart::No {
            Split::none(&self.measures)
        } else {
            Split::new(&self.measures, fact, self.groups, rewind_to.is_some())?
        };
        let frame = self.scan(fact)?;
        let frame = match self.predicate(fact, rewind_to)? {
            Some(predicate) => frame.filter(predicate),
            None => frame,
        };
        let mut selected = Vec::new();
        let (key_exprs, packings, time_low) = self.keys(fact, rewind_to, calendar, &split.columns)?;
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
        let mut shapes = Vec::with_capacity(split.sums.len());
        for (position, measure) in split.sums.iter().enumerate() {
            let shape = self.measure(fact, rewind_to, position, measure, &mut selected, &mut sums)?;
            shapes.push(shape);
        }
        // A selection of no columns would have no rows either.
        let frame = if selected.is_empty() { frame } else { frame.select(selected) };
        let frame = if grouped.is_empty() { frame.select(sums) } else { frame.group_by(grouped).agg(sums) };
        Ok(Pipeline { frame, packings, time_low, apart_scale, split, shapes })
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
        told_apart: &[String],
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
        for name in self.dimensions.iter().chain(told_apart) {
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
        report.told_apart.clone_from(&pipeline.split.columns);
        report.sums = pipeline.split.sums.len();
        let cube = pipeline.read(&frame, self)?;
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
    fn read(&self, frame: &DataFrame, spec: &NodeSpec) -> Result<Cube, QueryError> {
        let groups = frame.height();
        let integers = |name: &str| -> Result<Vec<i64>, QueryError> {
            let read = || -> PolarsResult<Vec<i64>> {
                let column = frame.column(name)?.cast(&DataType::Int64)?;
                let values = column.i64()?;
                Ok(values.iter().map(|value| value.unwrap_or(0)).collect())
            };
            read().map_err(|error| QueryError::engine(&spec.table, error))
        };
        let has_time = spec.date.is_some() && spec.unit != TimeUnit::None;
        let width = usize::from(has_time) + spec.dimensions.len() + self.split.columns.len();
        let mut parts: Vec<Vec<u32>> = vec![Vec::with_capacity(groups); width];
        let mut start = 0;
        for (position, packing) in self.packings.iter().enumerate() {
            let mut slots = vec![0_i64; packing.cards.len()];
            for key in integers(&format!("key{position}"))? {
                packing.unpack(key, &mut slots);
                for (offset, value) in slots.iter().enumerate() {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "codes were 32-bit unsigned before packing, units of time count from 0"
                    )]
                    parts[start + offset].push(*value as u32);
                }
            }
            start += packing.cards.len();
        }
        let apart = if spec.apart == Apart::No { Vec::new() } else { self.apart_values(frame)? };
        let told_apart = parts.split_off(width - self.split.columns.len());
        // Groups that differ only in what was told apart are one group of the cube.
        let rows = if told_apart.is_empty() { None } else { Some(number_rows(&parts, &apart, groups)) };
        let cells = rows.as_ref().map_or(groups, |rows| rows.first.len());
        let keep = |values: Vec<u32>| match &rows {
            Some(rows) => rows.first.iter().map(|group| values[*group as usize]).collect(),
            None => values,
        };
        let mut parts = parts.into_iter().map(keep);
        #[expect(clippy::cast_possible_truncation, reason = "dates and their units fit 32 bits")]
        let times = if has_time {
            parts.next().unwrap_or_default().into_iter().map(|time| (i64::from(time) + self.time_low) as i32).collect()
        } else {
            Vec::new()
        };
        let codes = parts.collect();
        let apart = match &rows {
            Some(rows) if !apart.is_empty() => rows.first.iter().map(|group| apart[*group as usize]).collect(),
            _ => apart,
        };
        let mut found = Vec::with_capacity(self.split.sums.len());
        for (position, sum) in self.split.sums.iter().enumerate() {
            let (scale, halves) = self.shapes[position];
            let counts = integers(&format!("count{position}"))?;
            let is_number = sum.of.is_some() && frame.column(&format!("sum{position}")).is_ok();
            let sums: Vec<i128> = if halves {
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
            found.push(MeasureData { scale, sums, counts });
        }
        let measures = match &rows {
            // Every sum is then one measure's.
            None => self.split.shares.iter().map(|share| found[share.sum].clone()).collect(),
            Some(rows) => {
                let gather = |share: &Share| {
                    found[share.sum].gathered(rows, cells, |group| {
                        (share.codes.iter().zip(&told_apart)).all(|(codes, values)| {
                            codes.as_ref().is_none_or(|codes| codes.get(values[group] as usize) == Some(&true))
                        })
                    })
                };
                self.split.shares.iter().map(gather).collect()
            }
        };
        Ok(Cube {
            unit: spec.unit,
            dimensions: spec.dimensions.clone(),
            times,
            codes,
            apart,
            apart_scale: self.apart_scale,
            groups: cells,
            measures,
        })
    }

    /// Values that tell rows apart; a null number becomes the smallest integer and is skipped by its count of 0.
    fn apart_values(&self, frame: &DataFrame) -> Result<Vec<i64>, QueryError> {
        let values = || -> PolarsResult<Vec<i64>> {
            Ok(frame.column("apart")?.i64()?.iter().map(|value| value.unwrap_or(i64::MIN)).collect())
        };
        values().map_err(|error| QueryError::engine("values told apart", error))
    }
}

impl MeasureData {
    /// Sums along numbered rows, of the groups that `belongs` names.
    fn gathered(&self, rows: &NumberedRows, cells: usize, belongs: impl Fn(usize) -> bool) -> Self {
        let (mut sums, mut counts) = (vec![0; cells], vec![0; cells]);
        for (group, cell) in rows.number.iter().enumerate() {
            if belongs(group) {
                sums[*cell as usize] += self.sums[group];
                counts[*cell as usize] += self.counts[group];
            }
        }
        Self { scale: self.scale, sums, counts }
    }
}

/// Rows of several columns, equal ones with the same number.
struct NumberedRows {
    /// Number per row.
    number: Vec<u32>,
    /// The first row of every number.
    first: Vec<u32>,
}

/// Cells of a table of numbers that is worth its room beside so many rows.
const TABLE_CELLS_PER_ROW: u64 = 8;
const SMALL_TABLE: u64 = 1 << 20;

/// Numbers the distinct rows of some columns, in the order in which they come.
fn number_rows(columns: &[Vec<u32>], apart: &[i64], rows: usize) -> NumberedRows {
    let sizes: Vec<u64> =
        columns.iter().map(|column| u64::from(column.iter().copied().max().unwrap_or(0)) + 1).collect();
    let area = sizes.iter().try_fold(1_u64, |area, size| area.checked_mul(*size));
    let room = (rows as u64).saturating_mul(TABLE_CELLS_PER_ROW).max(SMALL_TABLE);
    let mut numbered = NumberedRows { number: Vec::with_capacity(rows), first: Vec::new() };
    #[expect(clippy::cast_possible_truncation, reason = "a cube of four billion groups does not fit into memory")]
    let next = |numbered: &mut NumberedRows, row: usize| {
        numbered.first.push(row as u32);
        (numbered.first.len() - 1) as u32
    };
    match area.and_then(|area| usize::try_from(area).ok().filter(|_| area <= room && apart.is_empty())) {
        Some(area) => {
            let mut table = vec![u32::MAX; area];
            for row in 0..rows {
                let place =
                    columns.iter().zip(&sizes).fold(0, |place, (column, size)| place * size + u64::from(column[row]));
                let slot = &mut table[place as usize];
                if *slot == u32::MAX {
                    *slot = next(&mut numbered, row);
                }
                numbered.number.push(*slot);
            }
        }
        None => {
            let mut index: HashMap<RowKey, u32> = HashMap::new();
            for row in 0..rows {
                let mut key = RowKey { apart: apart.get(row).copied().unwrap_or(0), codes: [0; MAX_PARTS] };
                for (slot, column) in key.codes.iter_mut().zip(columns) {
                    *slot = column[row];
                }
                let number = *index.entry(key).or_insert_with(|| next(&mut numbered, row));
                numbered.number.push(number);
            }
        }
    }
    numbered
}

/// Where the groups of a cube go when it is rolled up to one grain.
///
/// All measures of a cube go the same ways, so this is found once and used by each of them.
#[derive(Debug)]
pub(crate) struct Ways {
    /// Cell per group.
    cell_of: Vec<u32>,
    /// Period index per cell.
    pub periods: Vec<i32>,
    /// Codes per dimension and cell.
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
    /// The same sums by some of the dimensions only, in the order given.
    pub(crate) fn by(&self, keep: &[String]) -> Result<Self, QueryError> {
        let columns: Vec<&Vec<u32>> = keep
            .iter()
            .map(|name| {
                let position = self.dimensions.iter().position(|dimension| dimension == name);
                position
                    .and_then(|position| self.codes.get(position))
                    .ok_or_else(|| QueryError::engine("roll-up", format!("no dimension `{name}`")))
            })
            .collect::<Result<_, _>>()?;
        let low = self.times.iter().copied().min().unwrap_or(0);
        let mut parts: Vec<Vec<u32>> = columns.into_iter().cloned().collect();
        if !self.times.is_empty() {
            parts.push(self.times.iter().map(|time| (i64::from(*time) - i64::from(low)) as u32).collect());
        }
        let rows = number_rows(&parts, &self.apart, self.groups);
        let kept = |row: &u32| *row as usize;
        Ok(Self {
            unit: self.unit,
            dimensions: keep.to_vec(),
            times: if self.times.is_empty() {
                Vec::new()
            } else {
                rows.first.iter().map(|row| self.times[kept(row)]).collect()
            },
            codes: (parts.iter().take(keep.len()))
                .map(|codes| rows.first.iter().map(|row| codes[kept(row)]).collect())
                .collect(),
            apart: if self.apart.is_empty() {
                Vec::new()
            } else {
                rows.first.iter().map(|row| self.apart[kept(row)]).collect()
            },
            apart_scale: self.apart_scale,
            groups: rows.first.len(),
            measures: (self.measures.iter())
                .map(|measure| measure.gathered(&rows, rows.first.len(), |_| true))
                .collect(),
        })
    }

    /// The ways to a coarser grain.
    pub(crate) fn ways(&self, grain: Grain, calendar: &Calendar) -> Ways {
        let (low, high) =
            self.times.iter().fold((i32::MAX, i32::MIN), |(low, high), time| (low.min(*time), high.max(*time)));
        let period_of: Vec<i32> = if self.times.is_empty() {
            Vec::new()
        } else {
            (low..=high).map(|unit| calendar.index(grain, calendar.unit_start(self.unit, unit))).collect()
        };
        let first = period_of.iter().copied().min().unwrap_or(0);
        let mut parts = self.codes.clone();
        if !self.times.is_empty() {
            let after_first: Vec<u32> = period_of.iter().map(|period| period.abs_diff(first)).collect();
            parts.push(self.times.iter().map(|time| after_first[(time - low) as usize]).collect());
        }
        let rows = number_rows(&parts, &self.apart, self.groups);
        let period = |row: &u32| self.times.get(*row as usize).map_or(0, |time| period_of[(time - low) as usize]);
        Ways {
            periods: rows.first.iter().map(period).collect(),
            codes: (self.codes.iter())
                .map(|codes| rows.first.iter().map(|row| codes[*row as usize]).collect())
                .collect(),
            apart: if self.apart.is_empty() {
                Vec::new()
            } else {
                rows.first.iter().map(|row| self.apart[*row as usize]).collect()
            },
            cell_of: rows.number,
        }
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
/// Segments and time.
const MAX_PARTS: usize = MAX_SEGMENTS + 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct RowKey {
    apart: i64,
    codes: [u32; MAX_PARTS],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_numbered_alike_with_and_without_a_table() {
        // Codes far apart, so that the second form has no table.
        let near: Vec<Vec<u32>> = vec![vec![0, 1, 0, 2, 1, 0], vec![5, 5, 5, 1, 5, 4]];
        let far: Vec<Vec<u32>> =
            near.iter().map(|codes| codes.iter().map(|code| code * 600_000_000).collect()).collect();
        for columns in [near, far] {
            let rows = number_rows(&columns, &[], 6);
            assert_eq!((rows.number, rows.first), (vec![0, 1, 0, 2, 1, 3], vec![0, 1, 3, 5]));
        }
        let rows = number_rows(&[], &[7, 7, 8], 3);
        assert_eq!((rows.number, rows.first), (vec![0, 0, 1], vec![0, 2]));
        assert_eq!(number_rows(&[], &[], 2).number, vec![0, 0]);
    }
}
