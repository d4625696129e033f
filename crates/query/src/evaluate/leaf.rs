//! Leaves: measures over a period and stocks at a point in time, read from cubes.
//!
//! A leaf knows its asks; collecting them and reading them goes through the same function, so
//! that the planner can never miss one.

use std::sync::Arc;

use dealframe_model::calendar::{Calendar, Grain, TimeUnit};
use dealframe_model::expression::Expression;
use dealframe_model::frame::Number;
use dealframe_model::kpi::{Aggregate, Empty, Measure, Stock};
use hashbrown::HashMap;

use super::money::{Currency, is_amount, not_mixed};
use super::points::{Bounds, Points};
use super::space::{OTHER, Space};
use super::{Key, Point, Question, Series, Source, Walk};
use crate::cube::Rolled;
use crate::definition::check;
use crate::error::QueryError;
use crate::facts::{Fact, FactKind};
use crate::node::{Apart, MeasureSpec};
use crate::parse;
use crate::plan::Ask;

/// A measure or one side of a stock.
struct Leaf<'a> {
    table: &'a str,
    date: &'a str,
    aggregate: Aggregate,
    of: Option<&'a str>,
    filter: Option<&'a str>,
    target: Option<&'a Target>,
}

/// What is known of the currency of targets beside their own column.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The only currency of what is compared with the target: that of targets that name none.
    pub of_actual: Option<String>,
}

/// Cells of one leaf: per key the number and the rows behind it.
struct Cells {
    values: Points<(i128, i64)>,
    scale: u32,
    currency: Currency,
}

/// The first day of a range and the period that it cuts, where it does not begin with a period; for every engine.
pub(crate) fn cut_period(calendar: &Calendar, question: &Question) -> Option<(i32, i32)> {
    let from = question.from.filter(|_| question.grain != Grain::All)?;
    let period = calendar.index(question.grain, from);
    (calendar.start(question.grain, period) != from).then_some((from, period))
}

impl Walk<'_> {
    /// A measure over periods.
    pub(crate) fn measure(&mut self, measure: &Measure, question: &Question) -> Result<Series, QueryError> {
        self.measure_of(measure, None, question)
    }

    /// A measure over targets; with a currency, if they are amounts of money.
    pub(crate) fn measure_of(
        &mut self,
        measure: &Measure,
        target: Option<&Target>,
        question: &Question,
    ) -> Result<Series, QueryError> {
        let leaf = Leaf {
            table: &measure.table,
            date: &measure.date,
            aggregate: measure.aggregate,
            of: measure.of.as_deref(),
            filter: measure.filter.as_deref(),
            target,
        };
        let to = if measure.ahead { question.to_asked } else { question.to };
        let cells = self.cells(&leaf, question, (question.from, to))?;
        let empty = match (measure.empty, measure.aggregate) {
            (Empty::Null, _) | (_, Aggregate::Median | Aggregate::P90) => Point::NULL,
            (Empty::Zero, _) => Point::of(Number { value: 0, scale: cells.scale }, 0),
        };
        let span = cells.values.span();
        let points =
            cells.values.map(|_, (value, rows)| Point::of(Number { value: *value, scale: cells.scale }, *rows));
        Ok(Series { points, empty, carried: false, span, starts: None, ahead: measure.ahead, currency: cells.currency })
    }

    /// A stock at the ends of periods: all that has started less all that has ended.
    pub(crate) fn stock(&mut self, stock: &Stock, question: &Question) -> Result<Series, QueryError> {
        self.stock_until(stock, question, question.to)
    }

    /// A stock at the starts of periods: as the period before left it, or the days before the range that cuts a period.
    pub(crate) fn stock_at_start(&mut self, stock: &Stock, question: &Question) -> Result<Series, QueryError> {
        if question.grain == Grain::All {
            return match question.from {
                // What stood before the first day of the range.
                Some(from) => self.stock_until(stock, question, Some(from)),
                // Before all time there was nothing, in the currency of what came later.
                None => {
                    let series = self.stock_until(stock, question, question.to)?;
                    Ok(Series { points: Points::new(), span: None, ..series })
                }
            };
        }
        let mut series = self.stock_until(stock, question, question.to)?;
        series.points = series.points.later(1);
        series.span = series.span.map(|(first, last)| (first, last + 1));
        if let Some((from, cut)) = cut_period(&self.calendar, question) {
            let before = self.stock_until(stock, question, Some(from))?;
            for (key, point) in before.points.iter().filter(|((period, _), _)| *period == cut) {
                series.points.insert(key, *point);
            }
            series.span = series.points.span();
        }
        Ok(series)
    }

    pub(super) fn stock_until(
        &mut self,
        stock: &Stock,
        question: &Question,
        to: Option<i32>,
    ) -> Result<Series, QueryError> {
        if let Some(converted) = self.converted_stock(stock, question, to)? {
            return Ok(converted);
        }
        let filter = was_there(stock)?;
        let side = |date| Leaf {
            table: &stock.table,
            date,
            aggregate: stock.aggregate,
            of: stock.of.as_deref(),
            filter: Some(&filter),
            target: None,
        };
        let entered = self.cells(&side(stock.from.as_str()), question, (None, to))?;
        let left = self.cells(&side(stock.until.as_str()), question, (None, to))?;
        let mut changes: HashMap<u32, Vec<(i32, i128, i64)>> = HashMap::new();
        for (sign, cells) in [(1, &entered), (-1, &left)] {
            for ((period, combination), (value, rows)) in cells.values.iter() {
                changes.entry(combination).or_default().push((period, i128::from(sign) * value, sign * rows));
            }
        }
        let last = self.last_period(question);
        let mut points: Vec<(Key, Point)> = Vec::new();
        let (mut first, mut end_of_all) = (None, i32::MIN);
        for (combination, mut list) in changes {
            list.sort_unstable_by_key(|(period, ..)| *period);
            first = Some(list[0].0.min(first.unwrap_or(i32::MAX)));
            let end = last.unwrap_or(list[list.len() - 1].0).max(list[list.len() - 1].0);
            end_of_all = end_of_all.max(end);
            let (mut value, mut rows, mut position) = (0, 0, 0);
            for period in list[0].0..=end {
                while let Some((_, change, count)) = list.get(position).filter(|(at, ..)| *at == period) {
                    value += change;
                    rows += count;
                    position += 1;
                }
                points.push(((period, combination), Point::of(Number { value, scale: entered.scale }, rows)));
            }
        }
        let span = first.map(|first| (first, end_of_all));
        Ok(Series {
            points: points.into_iter().collect(),
            empty: Point::of(Number { value: 0, scale: entered.scale }, 0),
            carried: true,
            span,
            starts: None,
            ahead: false,
            currency: entered.currency,
        })
    }

    /// The last period that a question shows.
    pub(crate) fn last_period(&self, question: &Question) -> Option<i32> {
        if question.grain == Grain::All {
            return Some(0);
        }
        let end = match (question.to, self.as_of) {
            (Some(to), Some(as_of)) => Some(to.min(as_of + 1)),
            (to, as_of) => to.or(as_of.map(|day| day + 1)),
        };
        end.map(|end| self.calendar.index(question.grain, end - 1))
    }

    /// Collects the asks of a leaf, or reads its cells.
    fn cells(
        &mut self,
        leaf: &Leaf<'_>,
        question: &Question,
        range: (Option<i32>, Option<i32>),
    ) -> Result<Cells, QueryError> {
        let fact = self.facts.table(leaf.table)?;
        let by = self.dimensions(&fact, question)?;
        let money = Money::of(leaf, &fact, &by, self.settings.currency.as_deref())?;
        let mut dimensions = by.clone();
        if money.needs_currency && !dimensions.iter().any(|name| name == "currency") {
            dimensions.push("currency".to_owned());
        }
        let (apart, apart_expression, of) = match (leaf.aggregate, leaf.of) {
            (Aggregate::Count, of) => (Apart::No, None, of.map(|of| self.catalogue.expression(of)).transpose()?),
            (Aggregate::Sum, Some(of)) => (Apart::No, None, Some(self.catalogue.expression(of)?)),
            (Aggregate::CountDistinct, Some(of)) => (Apart::Code(of.to_owned()), None, None),
            (Aggregate::Median | Aggregate::P90 | Aggregate::SumOfSquares, Some(of)) => {
                let expression = self.catalogue.expression(of)?;
                (Apart::Number(of.to_owned()), Some(expression.clone()), Some(expression))
            }
            (aggregate, None) => {
                return Err(QueryError::Unsupported {
                    kpi: leaf.table.to_owned(),
                    reason: format!("{aggregate:?} needs `of`"),
                    hint: "say what is aggregated".to_owned(),
                });
            }
        };
        if let Apart::Code(name) = &apart
            && !matches!(fact.column(name).map(|column| &column.kind), Some(FactKind::Code { .. }))
        {
            return Err(QueryError::UnknownColumn {
                name: name.clone(),
                table: fact.table.clone(),
                expression: name.clone(),
                nearest: Vec::new(),
            });
        }
        if let (Some(filter), true) = (&question.filter, self.is_collecting()) {
            check::question(leaf.table, filter, &question.filter_text)?;
        }
        let text = [leaf.of, leaf.filter].into_iter().flatten().collect::<Vec<_>>().join(" where ");
        let filter = leaf.filter.map(|filter| self.catalogue.expression(filter)).transpose()?;
        // Counting non-null values of a plain count of rows is the count itself.
        let ask = Ask {
            table: leaf.table.to_owned(),
            date: Some(leaf.date.to_owned()),
            unit: if money.converts { TimeUnit::Day } else { question.unit },
            by: dimensions.clone(),
            apart,
            apart_expression,
            filter: question.filter.clone(),
            filter_text: question.filter_text.clone(),
            from: range.0,
            to: range.1,
            measure: MeasureSpec { of, filter, text },
        };
        match &mut self.source {
            Source::Collect(asks) => {
                asks.push(ask);
                Ok(Cells { values: Points::new(), scale: 0, currency: Currency::None })
            }
            Source::Answer(cubes) => {
                let grain = if money.converts { Grain::Day } else { question.grain };
                let (rolled, apart_scale) = cubes.roll_up(&ask, grain, &self.calendar)?;
                self.reduce(leaf, &fact, &by, &money, question, &rolled, apart_scale)
            }
        }
    }

    /// The segments of a question, checked against a table.
    pub(super) fn dimensions(&self, fact: &Fact, question: &Question) -> Result<Vec<String>, QueryError> {
        for name in &question.by {
            if !matches!(fact.column(name).map(|column| &column.kind), Some(FactKind::Code { .. })) {
                let available: Vec<String> = fact
                    .columns
                    .iter()
                    .filter(
                        |column| matches!(&column.kind, FactKind::Code { domain } if !domain.starts_with("key-of-")),
                    )
                    .map(|column| column.name.clone())
                    .collect();
                return Err(QueryError::UnknownSegment {
                    name: name.clone(),
                    table: fact.table.clone(),
                    nearest: crate::error::nearest(name, available.iter().map(String::as_str)),
                    available,
                });
            }
        }
        Ok(question.by.clone())
    }

    /// Cells of a cube to one number per period and combination.
    #[expect(clippy::too_many_arguments, reason = "the pieces are named at the one place that calls it")]
    fn reduce(
        &mut self,
        leaf: &Leaf<'_>,
        fact: &Fact,
        by: &[String],
        money: &Money,
        question: &Question,
        rolled: &Rolled,
        apart_scale: u32,
    ) -> Result<Cells, QueryError> {
        let combinations = self.space.combinations_of(&rolled.ways, fact, by)?;
        let position = by.iter().position(|name| name == "currency").unwrap_or(by.len());
        let mut unreadable = 0;
        let mut seen: Vec<u32> = Vec::new();
        let mut collected: HashMap<Key, Vec<(i128, i128, i64)>> = HashMap::new();
        let cells_with_rows = || (0..combinations.len()).filter(|cell| rolled.counts[*cell] != 0);
        let period_of = |cell: usize| match money.converts {
            true => self.calendar.index(question.grain, rolled.ways.periods[cell]),
            false => rolled.ways.periods[cell],
        };
        let bounds = Bounds::of(cells_with_rows().map(|cell| (period_of(cell), combinations[cell])));
        let mut values: Points<(i128, i64)> = Points::within(bounds, combinations.len());
        let is_apart = !rolled.ways.apart.is_empty();
        let scale = if money.converts { rolled.scale + dealframe_model::decimal::RATE_SCALE } else { rolled.scale };
        for cell in cells_with_rows() {
            let number = combinations[cell];
            let mut apart = if is_apart { i128::from(rolled.ways.apart[cell]) } else { 0 };
            let day = rolled.ways.periods[cell];
            // A count counts, whatever the values are.
            let mut sum =
                if leaf.aggregate == Aggregate::Count { i128::from(rolled.counts[cell]) } else { rolled.sums[cell] };
            if money.needs_currency {
                let code = rolled.ways.codes[position][cell];
                if !seen.contains(&code) {
                    seen.push(code);
                }
                if let (true, Some(target)) = (money.converts, self.settings.currency.as_deref()) {
                    let rate = match money.currency(code) {
                        Some(from) => self.rates.rate(self.facts, self.settings.rate_kind, from, target, day)?,
                        // Nothing is nothing in every currency.
                        None if sum == 0 && apart == 0 => 0,
                        None => {
                            unreadable += rolled.counts[cell];
                            0
                        }
                    };
                    sum *= rate;
                    apart *= rate;
                }
            }
            if money.is_money && !money.converts && position < by.len() && self.space.is_other(number) {
                return Err(other_currencies(leaf, self.space, by));
            }
            let key = (period_of(cell), number);
            if is_apart {
                collected.entry(key).or_default().push((apart, sum, rolled.counts[cell]));
            } else {
                let entry = values.entry(key, || (0, 0));
                entry.0 += sum;
                entry.1 += rolled.counts[cell];
            }
        }
        if unreadable > 0 {
            let column = leaf.of.unwrap_or_default().to_owned();
            return Err(QueryError::NoCurrency { column, table: fact.table.clone(), rows: unreadable });
        }
        let currency = self.currency_of(leaf, by, money, &seen)?;
        let scale = match leaf.aggregate {
            Aggregate::Count | Aggregate::CountDistinct => 0,
            Aggregate::Sum => scale,
            // Amounts that were converted have the digits of the rate as well.
            Aggregate::Median | Aggregate::P90 => apart_scale + 1 + (scale - rolled.scale),
            Aggregate::SumOfSquares => apart_scale * 2,
        };
        for (key, mut cells) in collected {
            cells.sort_unstable_by_key(|(apart, ..)| *apart);
            // A null key is nobody.
            let counts = |apart: i128| leaf.aggregate != Aggregate::CountDistinct || apart != 0;
            let rows: i64 = cells.iter().filter(|(apart, ..)| counts(*apart)).map(|(.., count)| count).sum();
            let value = match leaf.aggregate {
                Aggregate::CountDistinct => {
                    let mut distinct: Vec<i128> =
                        cells.iter().map(|(apart, ..)| *apart).filter(|apart| *apart != 0).collect();
                    distinct.dedup();
                    (!distinct.is_empty()).then_some(distinct.len() as i128)
                }
                Aggregate::Median => quantile(&cells, rows, 5),
                Aggregate::SumOfSquares => super::interval::sum_of_squares(&cells),
                _ => quantile(&cells, rows, 9),
            };
            if let Some(value) = value {
                values.insert(key, (value, rows));
            }
        }
        Ok(Cells { values, scale, currency })
    }

    fn currency_of(&self, leaf: &Leaf<'_>, by: &[String], money: &Money, seen: &[u32]) -> Result<Currency, QueryError> {
        if !money.is_money {
            return Ok(Currency::None);
        }
        if money.converts {
            return Ok(self.settings.currency.clone().map_or(Currency::None, Currency::One));
        }
        if let Some(position) = by.iter().position(|name| name == "currency") {
            return Ok(Currency::Segment(position));
        }
        if !money.needs_currency {
            return Ok(money.labels.first().map_or(Currency::None, |label| Currency::One(label.to_string())));
        }
        let named: Vec<&str> = seen
            .iter()
            .filter_map(|code| match money.currency(*code) {
                // A target without a currency fits whatever it is compared with.
                None if leaf.target.is_some() => None,
                currency => Some(currency.unwrap_or("(none)")),
            })
            .collect();
        not_mixed(leaf.of.unwrap_or(leaf.table), named.iter().copied())?;
        Ok(named.first().map_or(Currency::None, |one| Currency::One((*one).to_owned())))
    }
}

fn other_currencies(leaf: &Leaf<'_>, space: &Space, by: &[String]) -> QueryError {
    let kept = space.labels_kept(by.iter().position(|name| name == "currency").unwrap_or_default());
    QueryError::Unsupported {
        kpi: leaf.of.unwrap_or(leaf.table).to_owned(),
        reason: format!("beside {}, `{OTHER}` would add up amounts in several currencies", kept.join(", ")),
        hint: "convert with --currency EUR (needs rows in fx_rates), or ask for all currencies without --top, or choose some with --where \"currency in ('EUR', 'USD')\""
            .to_owned(),
    }
}

/// The filter of both sides of a stock, for every engine: a row that ended before it started, or never
/// started, was never there.
pub(crate) fn was_there(stock: &Stock) -> Result<String, QueryError> {
    if stock.aggregate != Aggregate::Count && stock.aggregate != Aggregate::Sum {
        return Err(QueryError::Unsupported {
            kpi: stock.table.clone(),
            reason: "a stock is a count or a sum".to_owned(),
            hint: "use aggregate: count or aggregate: sum".to_owned(),
        });
    }
    let (from, until) = (&stock.from, &stock.until);
    let was_there = format!("{from} is not null and ({until} is null or {until} >= {from})");
    Ok(match &stock.filter {
        Some(filter) => format!("({filter}) and {was_there}"),
        None => was_there,
    })
}

/// How a leaf treats currencies.
struct Money {
    is_money: bool,
    /// Cells must be told apart by currency.
    needs_currency: bool,
    converts: bool,
    /// The currencies of the table, by code.
    labels: Arc<Vec<Box<str>>>,
    /// The currency of rows that name none, if it is beyond doubt.
    unnamed: Option<Box<str>>,
}

impl Money {
    fn of(leaf: &Leaf<'_>, fact: &Fact, by: &[String], wanted: Option<&str>) -> Result<Self, QueryError> {
        let mut is_money = leaf.target.is_some();
        if let Some(Ok(expression)) = leaf.of.map(parse::expression) {
            note_amounts(&expression, &mut is_money);
        }
        is_money &= matches!(leaf.aggregate, Aggregate::Sum | Aggregate::Median | Aggregate::P90);
        let labels = match fact.column("currency").map(|column| &column.kind) {
            Some(FactKind::Code { domain }) if is_money => Some(fact.labels(domain)?),
            _ => None,
        };
        let has_currencies = labels.is_some();
        let labels = labels.unwrap_or_default();
        let unnamed = match (leaf.target, &labels[..]) {
            (Some(target), _) => target.of_actual.as_deref().map(Box::from),
            (None, [only]) => Some(only.clone()),
            (None, _) => None,
        };
        let all_wanted = labels.iter().chain(&unnamed).all(|label| Some(&**label) == wanted);
        let converts = has_currencies && wanted.is_some() && !(unnamed.is_some() && all_wanted);
        let by_currency = by.iter().any(|name| name == "currency");
        let differ = labels.len() > 1 || leaf.target.is_some();
        let needs_currency = has_currencies && (converts || (differ && !by_currency));
        Ok(Self { is_money, needs_currency, converts, labels, unnamed })
    }

    /// The currency of a code of the table.
    fn currency(&self, code: u32) -> Option<&str> {
        match (code as usize).checked_sub(1) {
            Some(position) => self.labels.get(position).map(|label| &**label),
            None => self.unnamed.as_deref(),
        }
    }
}

pub(super) fn note_amounts(expression: &Expression, found: &mut bool) {
    // A condition on an amount does not make a value an amount; what is added up does.
    match expression {
        Expression::Case { branches, otherwise } => {
            branches.iter().for_each(|(_, value)| note_amounts(value, found));
            note_amounts(otherwise, found);
        }
        _ => expression.visit_columns(&mut |name| *found |= is_amount(name)),
    }
}

/// The quantile `tenths`/10 with linear interpolation, one digit more exact than the values.
fn quantile(cells: &[(i128, i128, i64)], rows: i64, tenths: i64) -> Option<i128> {
    if rows == 0 {
        return None;
    }
    let place = (rows - 1) * tenths;
    let (position, fraction) = (place / 10, place % 10);
    let at = |wanted: i64| -> Option<i128> {
        let mut passed = 0;
        for (value, _, count) in cells {
            passed += count;
            if wanted < passed {
                return Some(*value);
            }
        }
        None
    };
    let low = at(position)?;
    let high = if fraction == 0 { low } else { at(position + 1)? };
    Some(low * 10 + (high - low) * i128::from(fraction))
}

/// The unit of time that serves all grains of a question.
pub(crate) fn unit_of(calendar: &Calendar, grains: &[Grain]) -> TimeUnit {
    calendar.common_unit(grains.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate_and_stay_exact() {
        let cells = [(1, 0, 1), (2, 0, 1), (10, 0, 2)];
        assert_eq!(quantile(&cells, 4, 5), Some(60));
        assert_eq!(quantile(&cells, 4, 9), Some(100));
        assert_eq!(quantile(&cells[..1], 1, 5), Some(10));
        assert_eq!(quantile(&[], 0, 5), None);
    }
}
