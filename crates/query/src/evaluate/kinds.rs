//! The kinds of KPIs: how parts become a value.
//!
//! Every function here works on whole series and never looks at rows. A quotient with
//! denominator 0 is null. Growth and the like look back beyond the range that is shown; how far
//! is said by [`lookback`].

use std::borrow::Cow;

use dealframe_model::calendar::{Calendar, Grain};
use dealframe_model::decimal;
use dealframe_model::frame::{Number, QUOTIENT_SCALE, quotient};
use dealframe_model::kpi::{
    Aggregate, At, AttainmentShow, Base, Compute, Definition, Derived, Empty, Measure, Movement, Operation, Pacing,
    Part, Reset, Retention, RetentionShow, Term, Unit, Within,
};
use hashbrown::{HashMap, HashSet};

use super::leaf::Target;
use super::money::{Currency, common, not_mixed, only_currency};
use super::points::{Bounds, Points};
use super::{Key, Point, Question, Series, Walk, no_values};
use crate::catalogue::Catalogue;
use crate::error::QueryError;
use crate::formula;
use crate::plan::Facts;

impl Walk<'_> {
    /// The values of a definition.
    pub(crate) fn compute(&mut self, definition: &Definition, question: &Question) -> Result<Series, QueryError> {
        match &definition.compute {
            Compute::Flow { measure } => self.measure(measure, question),
            Compute::Stock { stock } => self.stock(stock, question),
            Compute::Ratio { numerator, denominator, factor, denominator_is_mean, within } => {
                let terms = if *denominator_is_mean { denominator.terms().len() } else { 1 };
                let (question, numerator) = within_days(numerator, within.as_ref(), question, self.as_of);
                let numerator = self.part(&definition.id, &numerator, &question)?;
                let denominator = self.part(&definition.id, denominator, &question)?;
                common(&definition.id, &[&numerator.currency, &denominator.currency])?;
                Ok(ratio(&numerator, &denominator, *factor, terms))
            }
            Compute::Total { part } => self.part(&definition.id, part, question),
            Compute::Derived(derived) => self.derived(&definition.id, derived, question),
            Compute::Formula { formula } => self.formula(&definition.id, formula, question),
            Compute::Retention { retention } => self.retention(retention, question),
            Compute::Survival { survival } => self.survival(definition.unit, survival, question),
            Compute::Recurring { movement } => self.measure(&recurring(*movement), question),
            Compute::Attainment { metric, actual, show, pacing } => {
                self.attainment(&definition.id, metric, actual, (*show, *pacing), question)
            }
        }
    }

    fn part(&mut self, kpi: &str, part: &Part, question: &Question) -> Result<Series, QueryError> {
        let mut sum: Option<Series> = None;
        for term in part.terms() {
            let mut series = self.term(term, question)?;
            if term.minus {
                negate(&mut series);
            }
            sum = Some(match sum {
                None => series,
                Some(known) => {
                    let currency = common(kpi, &[&known.currency, &series.currency])?;
                    added(&known, &series, currency)
                }
            });
        }
        Ok(sum.unwrap_or_else(|| no_values(Point::NULL, false)))
    }

    fn term(&mut self, term: &Term, question: &Question) -> Result<Series, QueryError> {
        match (&term.measure, &term.stock, &term.kpi) {
            (Some(measure), _, _) => self.measure(measure, question),
            (_, Some(stock), _) if term.at == At::Start => self.stock_at_start(stock, question),
            (_, Some(stock), _) => self.stock(stock, question),
            (_, _, Some(id)) => {
                let catalogue = self.catalogue;
                match &catalogue.get(id)?.compute {
                    Compute::Stock { stock } if term.at == At::Start => self.stock_at_start(stock, question),
                    _ => self.kpi(id, question),
                }
            }
            (None, None, None) => Ok(no_values(Point::NULL, false)),
        }
    }

    fn formula(&mut self, kpi: &str, text: &str, question: &Question) -> Result<Series, QueryError> {
        let fail = |reason| QueryError::Expression { expression: text.to_owned(), reason };
        let parsed = formula::parse(text).map_err(fail)?;
        let names = formula::names(text).map_err(fail)?;
        let mut parts: Vec<(String, Series)> = Vec::with_capacity(names.len());
        for name in names {
            let series = self.kpi(&name, question)?;
            parts.push((name, series));
        }
        let at = |key: Key| -> Point {
            let of = |name: &str| {
                let (_, series) = parts.iter().find(|(known, _)| known == name)?;
                carried_get(series, key).value
            };
            let rows = parts.iter().map(|(_, series)| carried_get(series, key).rows).max().unwrap_or(0);
            let value = formula::evaluate(&parsed, &of);
            Point { value, numerator: value, denominator: None, rows }
        };
        let points = Points::joined(&parts.iter().map(|(_, series)| &series.points).collect::<Vec<_>>(), at);
        let span = parts.iter().fold(None, |span, (_, series)| joined(span, series.span));
        let currency = common(kpi, &parts.iter().map(|(_, series)| &series.currency).collect::<Vec<_>>())?;
        let ahead = parts.iter().any(|(_, series)| series.ahead);
        Ok(Series { points, empty: Point::NULL, carried: false, span, starts: None, ahead, currency })
    }

    /// A total over the values of the segments has one currency.
    fn one_total(&self, kpi: &str, parts: &Series) -> Result<(), QueryError> {
        let Currency::Segment(position) = parts.currency else { return Ok(()) };
        let label = |combination: u32| self.space.label(self.space.combination(combination)[position]);
        let names: Vec<&str> =
            parts.combinations().into_iter().map(|combination| label(combination).unwrap_or("(none)")).collect();
        not_mixed(kpi, names.into_iter())
    }

    fn derived(
        &mut self,
        kpi: &str,
        Derived { of, operation }: &Derived,
        question: &Question,
    ) -> Result<Series, QueryError> {
        if let Operation::Share { .. } = operation {
            let parts = self.kpi(of, question)?;
            self.one_total(kpi, &parts)?;
            return Ok(share(&parts));
        }
        let base = self.kpi(of, question)?;
        if self.is_collecting() {
            return Ok(base);
        }
        let last = self.last_period(question);
        let calendar = self.calendar;
        let series = match operation {
            Operation::By { .. } | Operation::Share { .. } => base,
            Operation::Growth { base: against } => {
                let dense = dense(&base, last, question.grain);
                growth(&dense, *against, question.grain)
            }
            Operation::Cumulative { reset } => {
                cumulative(&dense(&base, last, question.grain), *reset, question.grain, &calendar)
            }
            Operation::MovingAverage { periods } => {
                let periods = i32::try_from(*periods).unwrap_or(i32::MAX);
                windowed(&dense(&base, last, question.grain), periods, &|values| mean(values))
            }
            Operation::MovingSum { periods } => {
                let periods = i32::try_from(*periods).unwrap_or(i32::MAX);
                windowed(&dense(&base, last, question.grain), periods, &|values| sum(values))
            }
            Operation::Trend { periods } => {
                let periods = i32::try_from(*periods).unwrap_or(i32::MAX);
                windowed(&dense(&base, last, question.grain), periods, &|values| slope(values))
            }
            Operation::SeasonalIndex => seasonal_index(&dense(&base, last, question.grain), question.grain, &calendar),
        };
        Ok(series)
    }

    fn retention(&mut self, retention: &Retention, question: &Question) -> Result<Series, QueryError> {
        if question.grain == Grain::All {
            self.note("retention compares a period with the one before: choose a grain".to_owned());
            return Ok(no_values(Point::NULL, false));
        }
        // Customers by identity: a cell per period and key, compared with the period before.
        let mut by = question.by.clone();
        // An identifier is somebody only together with its source system.
        by.extend([retention.key.clone(), "source_system".to_owned()]);
        let measure = Measure {
            table: retention.table.clone(),
            date: retention.date.clone(),
            aggregate: Aggregate::Count,
            of: None,
            filter: retention.filter.clone(),
            empty: Empty::Zero,
            ahead: false,
        };
        let wide = Question { by, ..question.clone() };
        let seen = self.measure(&measure, &wide)?;
        if self.is_collecting() {
            return Ok(no_values(Point::NULL, false));
        }
        let width = question.by.len();
        let mut present: HashSet<(i32, u32, (u32, u32))> = HashSet::new();
        for (period, combination) in seen.points.keys() {
            let mut labels = self.space.combination(combination);
            let key = (labels[width], labels[width + 1]);
            if key.0 == 0 {
                continue;
            }
            (labels[width], labels[width + 1]) = (0, 0);
            let group = self.space.number(labels, width);
            present.insert((period, group, key));
        }
        let mut counts: HashMap<Key, (i64, i64)> = HashMap::new();
        for (period, group, key) in &present {
            let entry = counts.entry((period + 1, *group)).or_insert((0, 0));
            entry.1 += 1;
            if present.contains(&(period + 1, *group, *key)) {
                entry.0 += 1;
            }
        }
        let last = self.last_period(question);
        let points = counts
            .into_iter()
            .filter(|((period, _), _)| last.is_none_or(|last| *period <= last))
            .map(|(key, (again, all))| {
                let shown = match retention.show {
                    RetentionShow::Retained => again,
                    RetentionShow::Lost => all - again,
                };
                (key, divided(whole(i128::from(shown)), whole(i128::from(all)), all))
            })
            .collect::<Points<_>>();
        Ok(Series { span: points.span(), points, ..no_values(Point::NULL, false) })
    }

    /// Actual against target. A target counts in the period in which its own period starts, unless it is spread.
    fn attainment(
        &mut self,
        kpi: &str,
        metric: &str,
        actual: &str,
        (show, pacing): (AttainmentShow, Option<Pacing>),
        question: &Question,
    ) -> Result<Series, QueryError> {
        let measure = target_measure(metric, actual, question)?;
        let currency = target_currency(self.facts, self.catalogue, actual)?;
        let target = match pacing {
            Some(pacing) => {
                let to_date = show != AttainmentShow::Target;
                self.spread(kpi, &measure, currency.as_ref(), (actual, pacing, to_date), question)?
            }
            None => self.measure_of(&measure, currency.as_ref(), question)?,
        };
        if show == AttainmentShow::Target {
            return Ok(target);
        }
        let reached = self.kpi(actual, question)?;
        if self.is_collecting() {
            return Ok(target);
        }
        let currency = common(kpi, &[&reached.currency, &target.currency])?;
        let points = Points::joined(&[&target.points, &reached.points], |key| {
            let (actual, goal) = (carried_get(&reached, key), target.get(key));
            match (actual.value, goal.value, show) {
                (Some(actual_value), Some(goal), AttainmentShow::Rate) => divided(actual_value, goal, actual.rows),
                (Some(actual_value), Some(goal), _) => {
                    let gap = formula::add(actual_value, Number { value: -goal.value, ..goal });
                    Point { value: gap, numerator: Some(actual_value), denominator: Some(goal), rows: actual.rows }
                }
                (actual_value, goal, _) => {
                    Point { value: None, numerator: actual_value, denominator: goal, rows: actual.rows }
                }
            }
        });
        let ahead = target.ahead;
        Ok(Series { span: points.span(), points, ahead, currency, ..no_values(Point::NULL, false) })
    }
}

/// The measure behind the targets of a metric, for every engine.
///
/// Targets of one scope only: those of the segment asked for, else those of the company.
pub(crate) fn target_measure(metric: &str, actual: &str, question: &Question) -> Result<Measure, QueryError> {
    let scope = match question.by.first().map(String::as_str) {
        None => "company",
        Some(name @ ("region" | "team" | "owner")) if question.by.len() == 1 => name,
        Some(_) => {
            return Err(QueryError::Unsupported {
                kpi: format!("{actual} against target"),
                reason: format!("there are no targets by {}", question.by.join(", ")),
                hint: "ask without segments, or --by region, team or owner".to_owned(),
            });
        }
    };
    Ok(Measure {
        table: "targets".to_owned(),
        date: "period_start".to_owned(),
        aggregate: Aggregate::Sum,
        of: Some("target_value".to_owned()),
        filter: Some(format!("metric = '{metric}' and scope = '{scope}'")),
        empty: Empty::Null,
        ahead: true,
    })
}

/// What targets for a KPI are in, for every engine; nothing where the KPI counts something else than money.
pub(crate) fn target_currency(
    facts: &Facts,
    catalogue: &Catalogue,
    actual: &str,
) -> Result<Option<Target>, QueryError> {
    if catalogue.get(actual)?.unit != Unit::Money {
        return Ok(None);
    }
    Ok(Some(Target { of_actual: only_currency(facts, catalogue, actual)? }))
}

/// The question and the numerator of a ratio within a number of days, for every engine.
///
/// The question ends with the last day whose rows have had their days; above the line only what happened within them counts.
pub(crate) fn within_days<'q>(
    numerator: &'q Part,
    within: Option<&Within>,
    question: &'q Question,
    as_of: Option<i32>,
) -> (Cow<'q, Question>, Cow<'q, Part>) {
    let Some(Within { days, until }) = within else { return (Cow::Borrowed(question), Cow::Borrowed(numerator)) };
    let ripe = as_of.map(|day| day.saturating_add(1).saturating_sub(i32::try_from(*days).unwrap_or(i32::MAX)));
    let to = match (question.to, ripe) {
        (Some(to), Some(ripe)) => Some(to.min(ripe)),
        (to, ripe) => to.or(ripe),
    };
    let in_time = |measure: &Measure| {
        let in_time = format!("days_between({}, {until}) <= {days}", measure.date);
        let filter = match &measure.filter {
            Some(filter) => format!("({filter}) and {in_time}"),
            None => in_time,
        };
        Measure { filter: Some(filter), ..measure.clone() }
    };
    let terms =
        numerator.terms().iter().map(|term| Term { measure: term.measure.as_ref().map(in_time), ..term.clone() });
    (Cow::Owned(Question { to, ..question.clone() }), Cow::Owned(Part::Sum(terms.collect())))
}

/// The measure behind a movement of recurring revenue.
pub(crate) fn recurring(movement: Movement) -> Measure {
    let name = match movement {
        Movement::New => Some("new"),
        Movement::Expansion => Some("expansion"),
        Movement::Contraction => Some("contraction"),
        Movement::Churn => Some("churn"),
        Movement::Reactivation => Some("reactivation"),
        Movement::Net => None,
    };
    Measure {
        table: "mrr_changes".to_owned(),
        date: "change_date".to_owned(),
        aggregate: Aggregate::Sum,
        of: Some("amount".to_owned()),
        filter: name.map(|name| format!("movement = '{name}'")),
        empty: Empty::Zero,
        ahead: false,
    }
}

/// As far back as there is data.
pub(crate) const ALL_HISTORY: i32 = 100_000;

/// How many periods before the range a definition looks back.
pub(crate) fn lookback(catalogue: &Catalogue, id: &str, grain: Grain) -> Result<i32, QueryError> {
    let definition = catalogue.get(id)?;
    let own = match &definition.compute {
        Compute::Derived(Derived { operation, .. }) => match operation {
            Operation::Share { .. } | Operation::By { .. } => 0,
            Operation::Cumulative { reset: Reset::Never } => ALL_HISTORY,
            _ if grain == Grain::All => 0,
            // Where the data begins decides whether a neighbour is 0 or nothing, so a range must not hide it.
            _ => ALL_HISTORY,
        },
        Compute::Retention { .. } if grain != Grain::All => 1,
        _ => 0,
    };
    let mut deepest = 0;
    for id in crate::catalogue::references(&definition.compute) {
        deepest = deepest.max(lookback(catalogue, &id, grain)?);
    }
    Ok(own + deepest)
}

fn whole(value: i128) -> Number {
    Number { value, scale: 0 }
}

fn divided(numerator: Number, denominator: Number, rows: i64) -> Point {
    Point { value: quotient(numerator, denominator), numerator: Some(numerator), denominator: Some(denominator), rows }
}

fn joined(left: Option<(i32, i32)>, right: Option<(i32, i32)>) -> Option<(i32, i32)> {
    match (left, right) {
        (Some(left), Some(right)) => Some((left.0.min(right.0), left.1.max(right.1))),
        (one, other) => one.or(other),
    }
}

/// The point of a key; a stock that did not change in the period stands as before.
pub(crate) fn carried_get(series: &Series, key: Key) -> Point {
    if let Some(point) = series.points.get(&key) {
        return *point;
    }
    let Some((_, last)) = series.span.filter(|_| series.carried) else { return series.get(key) };
    // Stocks are dense up to the last period of the question; beyond it the last value stands.
    if key.0 > last { series.get((last, key.1)) } else { series.empty }
}

fn negate(series: &mut Series) {
    let turn = |number: Option<Number>| number.map(|number| Number { value: -number.value, ..number });
    for point in series.points.values_mut().chain([&mut series.empty]) {
        point.value = turn(point.value);
        point.numerator = turn(point.numerator);
    }
}

/// The sum of two series; null counts as nothing, unless both are null.
fn added(left: &Series, right: &Series, currency: Currency) -> Series {
    let both = |left: Point, right: Point| {
        let value = match (left.value, right.value) {
            (Some(left), Some(right)) => formula::add(left, right),
            (one, other) => one.or(other),
        };
        Point { value, numerator: value, denominator: None, rows: left.rows + right.rows }
    };
    let points =
        Points::joined(&[&left.points, &right.points], |key| both(carried_get(left, key), carried_get(right, key)));
    Series {
        points,
        empty: both(left.empty, right.empty),
        carried: left.carried && right.carried,
        span: joined(left.span, right.span),
        starts: None,
        ahead: left.ahead || right.ahead,
        currency,
    }
}

/// The quotient of two series, whose denominator is the mean of a number of terms that were added up.
fn ratio(numerator: &Series, denominator: &Series, factor: i64, terms: usize) -> Series {
    let terms = terms as i128;
    let mean = |sum: Number| if terms == 1 { Some(sum) } else { quotient(sum, whole(terms)) };
    let at = |top: Point, bottom: Point| match (top.value, bottom.value) {
        (Some(top_value), Some(sum)) => {
            let scaled = Number { value: top_value.value * i128::from(factor) * terms, ..top_value };
            let value = quotient(scaled, sum);
            Point { value, numerator: Some(top_value), denominator: mean(sum), rows: bottom.rows }
        }
        (top_value, bottom_value) => {
            Point { value: None, numerator: top_value, denominator: bottom_value.and_then(mean), rows: bottom.rows }
        }
    };
    let points = Points::joined(&[&numerator.points, &denominator.points], |key| {
        at(carried_get(numerator, key), carried_get(denominator, key))
    });
    let currency = match (&numerator.currency, &denominator.currency) {
        // Money over money has no currency left.
        (Currency::One(_) | Currency::Segment(_), Currency::One(_) | Currency::Segment(_)) => Currency::None,
        (currency, Currency::None) => currency.clone(),
        (Currency::None, currency) => currency.clone(),
    };
    Series {
        points,
        empty: at(numerator.empty, denominator.empty),
        carried: false,
        span: joined(numerator.span, denominator.span),
        starts: None,
        ahead: numerator.ahead || denominator.ahead,
        currency,
    }
}

/// Room for every combination in every period.
fn filled(combinations: &[u32], first: i32, last: i32) -> Points<Point> {
    let periods = usize::try_from(i64::from(last) - i64::from(first) + 1).unwrap_or(0);
    let corners = combinations.last().into_iter().flat_map(|greatest| [(first, *greatest), (last, *greatest)]);
    Points::within(Bounds::of(corners), combinations.len().saturating_mul(periods))
}

/// Every combination in every period of the span, so that neighbours in time can be looked at.
fn dense(series: &Series, last: Option<i32>, grain: Grain) -> Series {
    let Some((first, end)) = series.span else { return series.clone() };
    let end = if grain == Grain::All { end } else { last.unwrap_or(end).max(end) };
    let combinations = series.combinations();
    let mut points = filled(&combinations, first, end);
    for period in first..=end {
        for combination in &combinations {
            points.insert((period, *combination), carried_get(series, (period, *combination)));
        }
    }
    Series { points, span: Some((first, end)), ..series.clone() }
}

fn growth(series: &Series, against: Base, grain: Grain) -> Series {
    let at = |(period, combination): Key, point: &Point| -> Point {
        let base = match against {
            Base::Previous if grain != Grain::All => Some(period - 1),
            Base::Previous => None,
            Base::YearAgo => Calendar::default().year_ago(grain, period),
        };
        let base =
            base.map_or(Point::NULL, |base| series.points.get(&(base, combination)).copied().unwrap_or(Point::NULL));
        match (point.value, base.value) {
            (Some(value), Some(base)) => {
                let change = formula::add(value, Number { value: -base.value, ..base });
                change.map_or(Point::NULL, |change| divided(change, base, point.rows))
            }
            (_, base) => Point { value: None, numerator: None, denominator: base, rows: point.rows },
        }
    };
    let points = series.points.map(at);
    Series { points, span: series.span, ahead: series.ahead, ..no_values(Point::NULL, false) }
}

fn share(parts: &Series) -> Series {
    let mut totals: HashMap<i32, Number> = HashMap::new();
    for ((period, _), point) in parts.points.iter() {
        if let Some(value) = point.value {
            let total = totals.get(&period).copied().unwrap_or(Number::ZERO);
            if let Some(sum) = formula::add(total, value) {
                totals.insert(period, sum);
            }
        }
    }
    let at = |(period, _): Key, point: &Point| {
        let (value, total) =
            (point.value.unwrap_or(Number::ZERO), totals.get(&period).copied().unwrap_or(Number::ZERO));
        divided(value, total, point.rows)
    };
    // Every part has a share in every period that has a total, if it is 0.
    let combinations = parts.combinations();
    let keys = totals.keys().flat_map(|period| combinations.iter().map(|combination| (*period, *combination)));
    let points = keys.map(|key| (key, at(key, &carried_get(parts, key)))).collect();
    Series { points, span: parts.span, ahead: parts.ahead, ..no_values(Point::NULL, false) }
}

fn year_of(grain: Grain, period: i32, reset: Reset, calendar: &Calendar) -> i32 {
    let year = if reset == Reset::FiscalYear { Grain::FiscalYear } else { Grain::Year };
    match reset {
        Reset::Never => 0,
        _ => calendar.index(year, calendar.start(grain, period)),
    }
}

fn cumulative(series: &Series, reset: Reset, grain: Grain, calendar: &Calendar) -> Series {
    if grain == Grain::All {
        return series.clone();
    }
    let Some((first, last)) = series.span else { return series.clone() };
    let combinations = series.combinations();
    let mut points = filled(&combinations, first, last);
    for combination in combinations {
        let (mut sum, mut rows, mut year) = (Number::ZERO, 0, None);
        for period in first..=last {
            let this = year_of(grain, period, reset, calendar);
            if year != Some(this) {
                (sum, rows, year) = (Number::ZERO, 0, Some(this));
            }
            let point = series.get((period, combination));
            if let Some(value) = point.value.and_then(|value| formula::add(sum, value)) {
                sum = value;
            }
            rows += point.rows;
            points.insert((period, combination), Point::of(sum, rows));
        }
    }
    let currency = series.currency.clone();
    Series { points, span: series.span, currency, ..no_values(Point::of(Number::ZERO, 0), false) }
}

/// Applies a function to the values of the last `periods` periods; null until there are that many.
fn windowed(series: &Series, periods: i32, of: &dyn Fn(&[Number]) -> Option<Number>) -> Series {
    let nothing = Series { currency: series.currency.clone(), ..no_values(Point::NULL, false) };
    let Some((first, last)) = series.span else { return nothing };
    let combinations = series.combinations();
    let mut points = filled(&combinations, first, last);
    for combination in combinations {
        for period in first..=last {
            let window: Option<Vec<Number>> = if period - periods + 1 < first {
                None
            } else {
                (period - periods + 1..=period).map(|at| series.get((at, combination)).value).collect()
            };
            let rows = series.get((period, combination)).rows;
            let value = window.and_then(|values| of(&values));
            points.insert((period, combination), Point { value, numerator: value, denominator: None, rows });
        }
    }
    // A combination without rows has what a window of empty values has, once there is a whole window.
    let empty: Option<Vec<Number>> = (0..periods).map(|_| series.empty.value).collect();
    let value = empty.and_then(|values| of(&values));
    Series {
        points,
        span: series.span,
        empty: Point { value, numerator: value, denominator: None, rows: 0 },
        starts: Some(first + periods - 1),
        ..nothing
    }
}

fn sum(values: &[Number]) -> Option<Number> {
    values.iter().try_fold(Number::ZERO, |sum, value| formula::add(sum, *value))
}

fn mean(values: &[Number]) -> Option<Number> {
    quotient(sum(values)?, whole(values.len() as i128))
}

/// Least-squares slope per period, exact until the one division.
fn slope(values: &[Number]) -> Option<Number> {
    let count = values.len() as i128;
    let scale = values.iter().map(|value| value.scale).max()?;
    let raised: Vec<i128> = values.iter().map(|value| decimal::rescale(value.value, value.scale, scale)).collect();
    let places = || 0..count;
    let (sum_x, sum_xx) = (places().sum::<i128>(), places().map(|place| place * place).sum::<i128>());
    let sum_y: i128 = raised.iter().sum();
    let sum_xy: i128 = places().zip(&raised).map(|(place, value)| place * value).sum();
    let top = Number { value: count * sum_xy - sum_x * sum_y, scale };
    quotient(top, whole(count * sum_xx - sum_x * sum_x))
}

fn seasonal_index(series: &Series, grain: Grain, calendar: &Calendar) -> Series {
    let Some(in_year) = Calendar::periods_in_year(grain).filter(|periods| *periods > 1) else {
        return no_values(Point::NULL, false);
    };
    let reset =
        if matches!(grain, Grain::FiscalMonth | Grain::FiscalQuarter) { Reset::FiscalYear } else { Reset::Year };
    let mut years: HashMap<(i32, u32), Vec<Number>> = HashMap::new();
    for ((period, combination), point) in series.points.iter() {
        if let Some(value) = point.value {
            years.entry((year_of(grain, period, reset, calendar), combination)).or_default().push(value);
        }
    }
    let at = |(period, combination): Key, point: &Point| -> Point {
        // Only whole years have a mean to compare with.
        let year = years.get(&(year_of(grain, period, reset, calendar), combination));
        let year = year.filter(|values| values.len() == in_year as usize);
        match (point.value, year.and_then(|values| sum(values)), year.and_then(|values| mean(values))) {
            // Over the sum and not over the mean, which is rounded.
            (Some(value), Some(sum), Some(mean)) => {
                let whole = Number { value: value.value * i128::from(in_year), ..value };
                Point { value: quotient(whole, sum), ..divided(value, mean, point.rows) }
            }
            _ => Point { rows: point.rows, ..Point::NULL },
        }
    };
    let points = series.points.map(at);
    Series { points, span: series.span, ..no_values(Point::NULL, false) }
}

const _: () = assert!(QUOTIENT_SCALE >= decimal::MONEY_SCALE);
